/* io/safetensors.c - reading: the header goes through cJSON, then every claim in it is checked against the bytes there
 * are. Format: the text "Format" of the safetensors repository (https://github.com/huggingface/safetensors, README). */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/text.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 8

size_t tw_safetensors_dtype_size(const char *dtype)
{
    static const struct {
        const char *name;
        size_t size;
    } types[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},   {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"I16", 2},
                 {"U16", 2},  {"F16", 2}, {"BF16", 2}, {"I32", 4},     {"U32", 4},     {"F32", 4},
                 {"I64", 8},  {"U64", 8}, {"F64", 8},  {"C64", 8}};
    for (int i = 0; i < TW_COUNT(types); i++)
        if (strcmp(types[i].name, dtype) == 0) return types[i].size;
    return 0;
}

/* Where a tensor lies, to sort them by place. */
typedef struct extent {
    uint64_t begin, end;
    int tensor;
} extent;

typedef struct parser {
    tw_context *ctx;
    const char *label;
    const char *data; /* the first byte after the header */
    uint64_t data_size;
    tw_tensor_file file;
    extent *extents;
    bool misaligned;
} parser;

/* cJSON recurses as deep as the text nests and turns \u0000 into the end of a string: both are refused beforehand. */
static tw_status check_json_text(const parser *p, const char *text, size_t size)
{
    int depth = 0;
    bool inside = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == 0) return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: the header holds a zero byte at %zu", p->label, i);
        if (inside && c == '\\') {
            if (size - i > 5 && strncmp(text + i, "\\u0000", 6) == 0)
                return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: the header holds \\u0000 in a text", p->label);
            i++;
        } else if (c == '"') {
            inside = !inside;
        } else if (!inside && (c == '{' || c == '[')) {
            if (++depth > MAX_DEPTH)
                return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: the header nests deeper than %d", p->label, MAX_DEPTH);
        } else if (!inside && (c == '}' || c == ']')) {
            depth--;
        }
    }
    return TW_OK;
}

/* A whole number from 0 to 2^53: what JSON's doubles can say exactly. */
static bool get_whole(const cJSON *item, uint64_t *out)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 0x1p53)) return false;
    *out = (uint64_t)item->valuedouble;
    return (double)*out == item->valuedouble;
}

static tw_status parse_shape(const parser *p, const char *name, const cJSON *json, tw_shape *out,
                             uint64_t *out_elements)
{
    if (!cJSON_IsArray(json))
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': 'shape' is missing or not a list", p->label, name);
    tw_shape shape = {0};
    uint64_t elements = 1;
    for (const cJSON *item = json->child; item; item = item->next) {
        uint64_t dim;
        if (!get_whole(item, &dim))
            return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': 'shape' holds something other than whole numbers",
                           p->label, name);
        if (shape.rank == TW_MAX_RANK)
            return tw_fail(p->ctx, TW_ERR_UNSUPPORTED, "%s: tensor '%s' has more than %d dimensions", p->label, name,
                           TW_MAX_RANK);
        shape.dim[shape.rank++] = (int64_t)dim;
        if (__builtin_mul_overflow(elements, dim, &elements) || elements > INT64_MAX)
            return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': its shape has more elements than can be counted",
                           p->label, name);
    }
    *out = shape;
    *out_elements = elements;
    return TW_OK;
}

static tw_status parse_extent(const parser *p, const char *name, const cJSON *json, extent *out)
{
    if (!cJSON_IsArray(json) || cJSON_GetArraySize(json) != 2 || !get_whole(json->child, &out->begin) ||
        !get_whole(json->child->next, &out->end) || out->end < out->begin)
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': 'data_offsets' is not [begin, end]", p->label, name);
    if (out->end > p->data_size)
        return tw_fail(p->ctx, TW_ERR_FORMAT,
                       "%s: tensor '%s' ends at byte %llu of the data, but there are only %llu: the file is cut short",
                       p->label, name, (unsigned long long)out->end, (unsigned long long)p->data_size);
    return TW_OK;
}

static tw_status parse_tensor(parser *p, const cJSON *json)
{
    int index = p->file.count;
    tw_tensor *t = &p->file.tensor[index];
    const char *name = json->string;
    if (!cJSON_IsObject(json))
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s' is not described", p->label, name);
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(json, "dtype");
    if (!cJSON_IsString(dtype))
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': 'dtype' is missing", p->label, name);
    size_t width = tw_safetensors_dtype_size(dtype->valuestring);
    if (width == 0)
        return tw_fail(p->ctx, TW_ERR_UNSUPPORTED, "%s: tensor '%s': unknown number type '%.20s'", p->label, name,
                       dtype->valuestring);
    uint64_t elements = 0, bytes = 0;
    extent e = {.tensor = index};
    tw_status status = parse_shape(p, name, cJSON_GetObjectItemCaseSensitive(json, "shape"), &t->shape, &elements);
    if (status == TW_OK) status = parse_extent(p, name, cJSON_GetObjectItemCaseSensitive(json, "data_offsets"), &e);
    if (status != TW_OK) return status;
    if (__builtin_mul_overflow(elements, width, &bytes) || bytes != e.end - e.begin)
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s': %llu elements of %s do not fill its %llu bytes",
                       p->label, name, (unsigned long long)elements, dtype->valuestring,
                       (unsigned long long)(e.end - e.begin));
    memcpy(t->dtype, dtype->valuestring, strlen(dtype->valuestring) + 1);
    t->data = p->data + e.begin;
    t->size = (size_t)bytes;
    t->name = tw_strdup(p->ctx, name);
    if (!t->name) return tw_fail_memory(p->ctx, strlen(name) + 1);
    p->misaligned |= (uintptr_t)t->data % width != 0;
    p->extents[index] = e;
    p->file.count++;
    return TW_OK;
}

static tw_status parse_metadata(parser *p, const cJSON *json)
{
    tw_status status = TW_OK;
    if (!cJSON_IsObject(json)) return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: '__metadata__' is not a map", p->label);
    if (p->file.key) return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: '__metadata__' appears twice", p->label);
    size_t count = (size_t)cJSON_GetArraySize(json);
    p->file.key = tw_alloc(p->ctx, count, sizeof(char *));
    p->file.value = tw_alloc(p->ctx, count, sizeof(char *));
    if (!p->file.key || !p->file.value) return tw_fail_memory(p->ctx, count * sizeof(char *));
    for (const cJSON *item = json->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: metadata '%s' is not a text", p->label, item->string);
        int i = p->file.keys_count++;
        p->file.key[i] = tw_strdup(p->ctx, item->string);
        p->file.value[i] = tw_strdup(p->ctx, item->valuestring);
        if (!p->file.key[i] || !p->file.value[i]) return tw_fail_memory(p->ctx, strlen(item->valuestring) + 1);
    }
    return status;
}

static int compare_extents(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return 0;
}

/* The tensors must tile the data: no gaps, no overlaps, nothing behind the last. */
static tw_status check_extents(parser *p)
{
    qsort(p->extents, (size_t)p->file.count, sizeof(extent), compare_extents);
    uint64_t at = 0;
    for (int i = 0; i < p->file.count; i++) {
        const extent *e = &p->extents[i];
        const char *name = p->file.tensor[e->tensor].name;
        if (e->begin > at)
            return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: %llu bytes before tensor '%s' belong to no tensor", p->label,
                           (unsigned long long)(e->begin - at), name);
        if (e->begin < at)
            return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: tensor '%s' overlaps tensor '%s'", p->label, name,
                           p->file.tensor[p->extents[i - 1].tensor].name);
        at = e->end;
    }
    if (at != p->data_size)
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: %llu bytes after the last tensor belong to no tensor", p->label,
                       (unsigned long long)(p->data_size - at));
    return TW_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static tw_status check_unique(const parser *p, const char *what, char *const *names, int count)
{
    if (count < 2) return TW_OK;
    char **sorted = tw_alloc(p->ctx, (size_t)count, sizeof(char *));
    if (!sorted) return tw_fail_memory(p->ctx, (size_t)count * sizeof(char *));
    memcpy(sorted, names, (size_t)count * sizeof(char *));
    qsort(sorted, (size_t)count, sizeof(char *), compare_names);
    tw_status status = TW_OK;
    for (int i = 1; i < count && status == TW_OK; i++)
        if (strcmp(sorted[i - 1], sorted[i]) == 0)
            status = tw_fail(p->ctx, TW_ERR_FORMAT, "%s: %s '%s' appears twice", p->label, what, sorted[i]);
    tw_free(p->ctx, sorted);
    return status;
}

static tw_status check_names(const parser *p)
{
    char **names = tw_alloc(p->ctx, (size_t)p->file.count, sizeof(char *));
    if (!names) return tw_fail_memory(p->ctx, (size_t)p->file.count * sizeof(char *));
    for (int i = 0; i < p->file.count; i++) names[i] = p->file.tensor[i].name;
    tw_status status = check_unique(p, "tensor", names, p->file.count);
    if (status == TW_OK) status = check_unique(p, "metadata key", p->file.key, p->file.keys_count);
    tw_free(p->ctx, names);
    return status;
}

/* Other writers may put a tensor at any byte: such files are laid out anew, each tensor at a multiple of 16. */
static tw_status realign(parser *p)
{
    size_t total = 0;
    for (int i = 0; i < p->file.count; i++) total += (p->file.tensor[i].size + 15) & ~(size_t)15;
    char *buffer = tw_alloc(p->ctx, total, 1);
    if (!buffer) return tw_fail_memory(p->ctx, total);
    size_t at = 0;
    for (int i = 0; i < p->file.count; i++) {
        tw_tensor *t = &p->file.tensor[i];
        if (t->size) memcpy(buffer + at, t->data, t->size);
        t->data = buffer + at;
        at += (t->size + 15) & ~(size_t)15;
    }
    tw_free(p->ctx, p->file.buffer);
    p->file.buffer = buffer;
    return TW_OK;
}

static tw_status parse_header(parser *p, const cJSON *root)
{
    tw_status status = TW_OK;
    if (!cJSON_IsObject(root)) return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: the header is not a JSON object", p->label);
    size_t count = (size_t)cJSON_GetArraySize(root);
    p->file.tensor = tw_alloc(p->ctx, count, sizeof(tw_tensor));
    p->extents = tw_alloc(p->ctx, count, sizeof(extent));
    if (!p->file.tensor || !p->extents) return tw_fail_memory(p->ctx, count * sizeof(tw_tensor));
    for (const cJSON *item = root->child; item && status == TW_OK; item = item->next)
        status = strcmp(item->string, "__metadata__") == 0 ? parse_metadata(p, item) : parse_tensor(p, item);
    if (status == TW_OK) status = check_names(p);
    if (status == TW_OK) status = check_extents(p);
    return status;
}

/* Takes `buffer` over, whether it succeeds or not. */
static tw_status parse_take(tw_context *ctx, const char *label, char *buffer, size_t size, tw_tensor_file *out_file)
{
    parser p = {.ctx = ctx, .label = label, .file.buffer = buffer};
    cJSON *root = NULL;
    tw_status status = TW_OK;
    uint64_t header = 0;
    if (size < 8) {
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: %zu bytes are too few for a safetensors file", label, size);
        goto done;
    }
    for (int i = 0; i < 8; i++) header |= (uint64_t)(unsigned char)buffer[i] << (8 * i);
    if (header > TW_SAFETENSORS_MAX_HEADER)
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: not a safetensors file: its header would be %llu bytes long", label,
                         (unsigned long long)header);
    else if (header > size - 8)
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: the header of %llu bytes goes beyond the file's %zu: it is cut short",
                         label, (unsigned long long)header, size);
    if (status != TW_OK) goto done;
    p.data = buffer + 8 + header;
    p.data_size = size - 8 - header;
    TW_TRY(check_json_text(&p, buffer + 8, (size_t)header));
    const char *end = NULL;
    root = cJSON_ParseWithLengthOpts(buffer + 8, (size_t)header, &end, false);
    if (!root) {
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: the header is not JSON (byte %lld)", label,
                         end ? (long long)(end - buffer) : 8LL);
        goto done;
    }
    while (end < p.data && (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t')) end++;
    if (end < p.data) {
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: something follows the JSON header at byte %lld", label,
                         (long long)(end - buffer));
        goto done;
    }
    TW_TRY(parse_header(&p, root));
    if (p.misaligned) TW_TRY(realign(&p));
    *out_file = p.file;
    p.file = (tw_tensor_file){0};
done:
    cJSON_Delete(root);
    tw_free(ctx, p.extents);
    tw_safetensors_free(ctx, &p.file);
    return status;
}

tw_status tw_safetensors_read(tw_context *ctx, const char *path, tw_tensor_file *out_file)
{
    char *buffer = NULL;
    size_t size = 0;
    tw_status status = tw_file_read(ctx, path, false, 0, &buffer, &size);
    return status == TW_OK ? parse_take(ctx, path, buffer, size, out_file) : status;
}

tw_status tw_safetensors_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                               tw_tensor_file *out_file)
{
    char *buffer = tw_alloc(ctx, size, 1);
    if (!buffer) return tw_fail_memory(ctx, size);
    if (size) memcpy(buffer, bytes, size);
    return parse_take(ctx, label, buffer, size, out_file);
}

void tw_safetensors_free(tw_context *ctx, tw_tensor_file *file)
{
    for (int i = 0; file->tensor && i < file->count; i++) tw_free(ctx, file->tensor[i].name);
    for (int i = 0; i < file->keys_count; i++) {
        tw_free(ctx, file->key[i]);
        tw_free(ctx, file->value[i]);
    }
    tw_free(ctx, file->tensor);
    tw_free(ctx, file->key);
    tw_free(ctx, file->value);
    tw_free(ctx, file->buffer);
    *file = (tw_tensor_file){0};
}

/* --- looking things up ------------------------------------------------------------------------------------ */

const tw_tensor *tw_safetensors_find(const tw_tensor_file *file, const char *name)
{
    for (int i = 0; i < file->count; i++)
        if (strcmp(file->tensor[i].name, name) == 0) return &file->tensor[i];
    return NULL;
}

const char *tw_safetensors_metadata(const tw_tensor_file *file, const char *key)
{
    for (int i = 0; i < file->keys_count; i++)
        if (strcmp(file->key[i], key) == 0) return file->value[i];
    return NULL;
}

tw_status tw_safetensors_get(tw_context *ctx, const tw_tensor_file *file, const char *path, const char *name,
                             const char *dtype, int64_t elements, const void **out_data)
{
    const tw_tensor *t = tw_safetensors_find(file, name);
    if (!t) return tw_fail(ctx, TW_ERR_FORMAT, "%s: tensor '%s' is missing", path, name);
    if (dtype && strcmp(t->dtype, dtype) != 0)
        return tw_fail(ctx, TW_ERR_DTYPE, "%s: tensor '%s' is %s where %s is expected", path, name, t->dtype, dtype);
    int64_t found = 1;
    for (int i = 0; i < t->shape.rank; i++) found *= t->shape.dim[i];
    if (elements >= 0 && found != elements)
        return tw_fail(ctx, TW_ERR_SHAPE, "%s: tensor '%s' has %lld elements where %lld are expected", path, name,
                       (long long)found, (long long)elements);
    *out_data = t->data;
    return TW_OK;
}
