/* io/npy.c - one array: a magic, a version, a header that is a Python dictionary written by repr(), raw numbers.
 * Format: NumPy Enhancement Proposal 1 (numpy/doc/neps, nep-0001-npy-format). */
#include "io/npy.h"

#include "base/file.h"
#include "base/text.h"
#include "io/half.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER (1u << 20)
#define MAX_BYTES  ((size_t)4 << 30) /* of the array as doubles */

/* --- the header dictionary -------------------------------------------------------------------------------- */

typedef struct header {
    tw_context *ctx;
    const char *label;
    const char *at, *end;
    char type[8];
    bool fortran;
    tw_shape shape;
    bool has_type, has_order, has_shape;
} header;

static tw_status fail_header(const header *h, const char *what)
{
    return tw_fail(h->ctx, TW_ERR_FORMAT, "%s: the NPY header is malformed: %s", h->label, what);
}

static void skip_blanks(header *h)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t')) h->at++;
}

static bool accept(header *h, char c)
{
    skip_blanks(h);
    if (h->at == h->end || *h->at != c) return false;
    h->at++;
    return true;
}

/* 'text' or "text" without escapes, cut to fit. */
static bool parse_text(header *h, char *out, size_t room)
{
    skip_blanks(h);
    if (h->at == h->end || (*h->at != '\'' && *h->at != '"')) return false;
    char quote = *h->at++;
    size_t length = 0;
    for (; h->at < h->end && *h->at != quote; h->at++) {
        if (*h->at == '\\' || (unsigned char)*h->at < 0x20) return false;
        if (length + 1 < room) out[length++] = *h->at;
    }
    out[length] = 0;
    return accept(h, quote);
}

static tw_status parse_type(header *h)
{
    char type[32];
    skip_blanks(h);
    if (h->at < h->end && *h->at == '[')
        return tw_fail(h->ctx, TW_ERR_UNSUPPORTED, "%s: records with named fields are not read: save a plain array",
                       h->label);
    if (!parse_text(h, type, sizeof type)) return fail_header(h, "'descr' is not a text");
    const char *code = type + (strchr("<>|=", type[0]) != NULL && type[0]);
    if (*code == 'O')
        return tw_fail(h->ctx, TW_ERR_UNSUPPORTED, "%s: Python objects are not read: save an array of numbers",
                       h->label);
    static const char *const known[] = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"};
    for (int i = 0; i < TW_COUNT(known); i++)
        if (strcmp(code, known[i]) == 0) {
            h->type[0] = code == type ? '<' : type[0];
            memcpy(h->type + 1, known[i], 3);
            h->has_type = true;
            return TW_OK;
        }
    return tw_fail(h->ctx, TW_ERR_UNSUPPORTED, "%s: numbers of type '%s' are not read (bool, integers, f2, f4, f8 are)",
                   h->label, type);
}

static tw_status parse_order(header *h)
{
    skip_blanks(h);
    size_t left = (size_t)(h->end - h->at);
    if (left >= 4 && memcmp(h->at, "True", 4) == 0) {
        h->fortran = true;
        h->at += 4;
    } else if (left >= 5 && memcmp(h->at, "False", 5) == 0) {
        h->at += 5;
    } else {
        return fail_header(h, "'fortran_order' is neither True nor False");
    }
    h->has_order = true;
    return TW_OK;
}

static tw_status parse_shape(header *h)
{
    if (!accept(h, '(')) return fail_header(h, "'shape' is not a tuple");
    while (!accept(h, ')')) {
        int64_t dim = 0;
        bool any = false;
        for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
            any = true;
            if (dim > (INT64_MAX - 9) / 10) return fail_header(h, "a dimension is too large");
            dim = 10 * dim + (*h->at - '0');
        }
        if (!any) return fail_header(h, "'shape' holds something other than whole numbers");
        if (h->at < h->end && *h->at == 'L') h->at++; /* written by Python 2 */
        if (h->shape.rank == TW_MAX_RANK)
            return tw_fail(h->ctx, TW_ERR_UNSUPPORTED, "%s: more than %d dimensions", h->label, TW_MAX_RANK);
        h->shape.dim[h->shape.rank++] = dim;
        if (accept(h, ',')) continue;
        if (!accept(h, ')')) return fail_header(h, "'shape' does not end");
        break;
    }
    h->has_shape = true;
    return TW_OK;
}

static tw_status parse_header(header *h)
{
    if (!accept(h, '{')) return fail_header(h, "it does not begin with {");
    while (!accept(h, '}')) {
        char key[32];
        if (!parse_text(h, key, sizeof key) || !accept(h, ':')) return fail_header(h, "a key is not a text");
        tw_status status;
        if (strcmp(key, "descr") == 0 && !h->has_type)
            status = parse_type(h);
        else if (strcmp(key, "fortran_order") == 0 && !h->has_order)
            status = parse_order(h);
        else if (strcmp(key, "shape") == 0 && !h->has_shape)
            status = parse_shape(h);
        else
            return fail_header(h, "a key is unknown or appears twice");
        if (status != TW_OK) return status;
        if (accept(h, ',')) continue;
        if (!accept(h, '}')) return fail_header(h, "it does not end with }");
        break;
    }
    skip_blanks(h);
    if (h->at < h->end) return fail_header(h, "something follows its }");
    if (!h->has_type || !h->has_order || !h->has_shape)
        return fail_header(h, "'descr', 'fortran_order' or 'shape' is missing");
    return TW_OK;
}

/* --- the numbers ------------------------------------------------------------------------------------------ */

/* One element; `raw` holds its bytes, least first. */
static double element(const char *kind, uint64_t raw)
{
    int width = kind[1] - '0';
    if (kind[0] == 'f' && width == 2) return tw_half((uint16_t)raw);
    if (kind[0] == 'f' && width == 4) {
        uint32_t bits = (uint32_t)raw;
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    if (kind[0] == 'f') {
        double value;
        memcpy(&value, &raw, sizeof value);
        return value;
    }
    if (kind[0] != 'i') return (double)raw;
    int shift = 64 - 8 * width;
    return (double)((int64_t)(raw << shift) >> shift);
}

static void convert(const char *type, const unsigned char *bytes, int64_t count, double *out)
{
    size_t width = (size_t)(type[2] - '0');
    bool big = type[0] == '>';
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *p = bytes + (size_t)i * width;
        uint64_t raw = 0;
        for (size_t b = 0; b < width; b++) raw |= (uint64_t)p[big ? width - 1 - b : b] << (8 * b);
        out[i] = element(type + 1, raw);
    }
}

/* Column-major to row-major: element (i0, i1, ...) lies at i0 + d0 (i1 + d1 (...)). */
static tw_status turn(tw_context *ctx, tw_npy *array, int64_t count)
{
    const tw_shape *s = &array->shape;
    if (s->rank < 2 || count == 0) return TW_OK;
    double *out = tw_resize(ctx, NULL, (size_t)count, sizeof(double));
    if (!out) return tw_fail_memory(ctx, (size_t)count * sizeof(double));
    int64_t index[TW_MAX_RANK] = {0}, stride[TW_MAX_RANK] = {1}, from = 0;
    for (int k = 1; k < s->rank; k++) stride[k] = stride[k - 1] * s->dim[k - 1];
    for (int64_t to = 0; to < count; to++) {
        out[to] = array->value[from];
        for (int k = s->rank - 1; k >= 0; k--) {
            from += stride[k];
            if (++index[k] < s->dim[k]) break;
            from -= stride[k] * s->dim[k];
            index[k] = 0;
        }
    }
    tw_free(ctx, array->value);
    array->value = out;
    return TW_OK;
}

/* Elements of a shape; false when even the product of its nonzero dimensions overflows. */
static bool count_elements(const tw_shape *shape, int64_t *out_count)
{
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, shape->dim[i], &product))
            return false;
    }
    *out_count = empty ? 0 : product;
    return true;
}

static tw_status take_numbers(const header *h, const unsigned char *bytes, size_t size, tw_npy *out_array)
{
    int64_t count;
    size_t width = (size_t)(h->type[2] - '0');
    if (!count_elements(&h->shape, &count)) return fail_header(h, "'shape' has more elements than can be counted");
    if ((uint64_t)count > MAX_BYTES / sizeof(double))
        return tw_fail(h->ctx, TW_ERR_MEMORY, "%s: the array needs %.1f GiB of memory and 4.0 GiB is the limit",
                       h->label, (double)count * 8 / 0x1p30);
    if ((size_t)count * width != size)
        return tw_fail(h->ctx, TW_ERR_FORMAT, "%s: %zu bytes of numbers where the header promises %zu", h->label, size,
                       (size_t)count * width);
    tw_npy array = {.shape = h->shape};
    memcpy(array.type, h->type, sizeof array.type);
    array.value = tw_resize(h->ctx, NULL, (size_t)count, sizeof(double));
    if (!array.value) return tw_fail_memory(h->ctx, (size_t)count * sizeof(double));
    convert(h->type, bytes, count, array.value);
    tw_status status = h->fortran ? turn(h->ctx, &array, count) : TW_OK;
    if (status == TW_OK)
        *out_array = array;
    else
        tw_npy_free(h->ctx, &array);
    return status;
}

/* Checks what stands before the numbers; *out_size are its bytes. */
static tw_status read_header(tw_context *ctx, const char *label, const void *bytes, size_t size, header *out_header,
                             size_t *out_size)
{
    const unsigned char *b = bytes;
    if (size < 10 || memcmp(b, "\x93NUMPY", 6) != 0) return tw_fail(ctx, TW_ERR_FORMAT, "%s: not an NPY file", label);
    if (b[6] < 1 || b[6] > 3)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: NPY version %d.%d is unknown (1, 2 and 3 are read)", label, b[6],
                       b[7]);
    size_t prefix = b[6] == 1 ? 10 : 12, length = (size_t)b[8] | (size_t)b[9] << 8;
    if (prefix == 12 && size >= 12) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    if (size < prefix || length > MAX_HEADER || length > size - prefix)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: the NPY header goes beyond the file: it is cut short", label);
    header h = {.ctx = ctx, .label = label, .at = (const char *)b + prefix, .end = (const char *)b + prefix + length};
    tw_status status = parse_header(&h);
    *out_header = h;
    *out_size = prefix + length;
    return status;
}

tw_status tw_npy_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_npy *out_array)
{
    header h;
    size_t head = 0;
    tw_status status = read_header(ctx, label, bytes, size, &h, &head);
    return status == TW_OK ? take_numbers(&h, (const unsigned char *)bytes + head, size - head, out_array) : status;
}

bool tw_npy_is_bytes(tw_context *ctx, const void *bytes, size_t size, int rank, tw_shape *out_shape, size_t *out_header)
{
    header h;
    if (read_header(ctx, "", bytes, size, &h, out_header) != TW_OK) return false;
    *out_shape = h.shape;
    return strcmp(h.type + 1, "u1") == 0 && !h.fortran && h.shape.rank >= rank;
}

tw_status tw_npy_find_bytes(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                            int rank, tw_npy_bytes *out_array, bool *out_found)
{
    tw_npy_bytes array = {0};
    size_t head, length = size;
    int64_t count;
    tw_status status = TW_OK;
    const uint8_t *at = bytes;
    *out_found = false;
    if (size >= 2 && memcmp(bytes, "PK", 2) == 0) {
        TW_TRY(tw_npz_find_bytes(ctx, label, bytes, size, name, rank, &at, &length, &array.owned));
        if (!at) return TW_OK;
    }
    if (!tw_npy_is_bytes(ctx, at, length, rank, &array.shape, &head)) goto done;
    if (!count_elements(&array.shape, &count) || (size_t)count != length - head)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: %zu bytes of numbers, not what the NPY header promises", label,
                       length - head));
    array.bytes = at + head;
    *out_array = array;
    *out_found = true;
    array.owned = NULL;
done:
    tw_npy_bytes_free(ctx, &array);
    return status;
}

void tw_npy_bytes_free(tw_context *ctx, tw_npy_bytes *array)
{
    tw_free(ctx, array->owned);
    *array = (tw_npy_bytes){0};
}

tw_status tw_npy_read(tw_context *ctx, const char *path, const char *name, tw_npy *out_array)
{
    char *bytes = NULL;
    size_t size = 0;
    tw_status status = tw_file_read(ctx, path, true, 0, &bytes, &size);
    if (status != TW_OK) return status;
    if (size >= 2 && memcmp(bytes, "PK", 2) == 0)
        status = tw_npz_parse(ctx, path, bytes, size, name, out_array);
    else
        status = tw_npy_parse(ctx, path, bytes, size, out_array);
    tw_free(ctx, bytes);
    return status;
}

void tw_npy_free(tw_context *ctx, tw_npy *array)
{
    tw_free(ctx, array->value);
    *array = (tw_npy){0};
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static tw_status write_array(tw_context *ctx, const char *path, tw_shape shape, const char *type, size_t size,
                             const void *value)
{
    tw_status status = TW_OK;
    tw_writer writer = {0};
    tw_text text = tw_text_new(ctx);
    int64_t count;
    if (shape.rank < 0 || shape.rank > TW_MAX_RANK || !count_elements(&shape, &count))
        return tw_fail(ctx, TW_ERR_SHAPE, "%s: an array of this shape cannot be written", path);
    tw_text_add(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < shape.rank; i++)
        tw_text_add(&text, "%lld,%s", (long long)shape.dim[i], i + 1 < shape.rank ? " " : "");
    tw_text_add(&text, "), }");
    while ((10 + text.length + 1) % 64 != 0 && !text.failed)
        tw_text_add(&text, " "); /* the numbers begin at a multiple of 64 */
    tw_text_add(&text, "\n");
    TW_TRY(tw_text_check(&text));
    unsigned char prefix[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
    prefix[8] = (unsigned char)text.length;
    prefix[9] = (unsigned char)(text.length >> 8);
    TW_TRY(tw_writer_open(ctx, path, &writer));
    TW_TRY(tw_writer_write(&writer, prefix, sizeof prefix));
    TW_TRY(tw_writer_write(&writer, text.data, text.length));
    if (count > 0) TW_TRY(tw_writer_write(&writer, value, (size_t)count * size));
    status = tw_writer_commit(&writer);
done:
    tw_writer_abandon(&writer);
    tw_text_free(&text);
    return status;
}

tw_status tw_npy_write(tw_context *ctx, const char *path, tw_shape shape, const double *value)
{
    return write_array(ctx, path, shape, "<f8", sizeof *value, value);
}

tw_status tw_npy_write_bytes(tw_context *ctx, const char *path, tw_shape shape, const uint8_t *value)
{
    return write_array(ctx, path, shape, "|u1", sizeof *value, value);
}
