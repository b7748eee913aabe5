/* io/npz.c - NPZ is a zip of .npy members: the central directory is looked up from the end of the file, one member is
 * unpacked by zlib and checked by its CRC. Sizes are believed only as far as deflate allows (1032 to 1), so that a
 * small file cannot ask for much memory. Format: PKWARE APPNOTE 6.3.3, sections 4.3 to 4.5. */
#include "io/npy.h"

#include "base/text.h"

#include <string.h>
#include <zlib.h>

#define MAX_MEMBERS  10000
#define MAX_BYTES    ((uint64_t)5 << 30)
#define DEFLATE_BEST 1032 /* bytes out per byte in, at most */

typedef struct member {
    const char *name; /* not terminated */
    size_t name_length;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size, offset;
} member;

typedef struct archive {
    tw_context *ctx;
    const char *label;
    const unsigned char *bytes;
    size_t size;
    size_t directory, directory_size;
    int count;
} archive;

static uint16_t get16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}
static uint64_t get64(const unsigned char *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static tw_status fail_zip(const archive *a, const char *what)
{
    return tw_fail(a->ctx, TW_ERR_FORMAT, "%s: not a sound NPZ file: %s", a->label, what);
}

/* The end record is the last thing in the file but for a comment of at most 65535 bytes. */
static tw_status find_directory(archive *a)
{
    if (a->size < 22) return fail_zip(a, "it is too short");
    size_t at = a->size - 22, stop = a->size > 22 + 65535 ? a->size - 22 - 65535 : 0;
    while (memcmp(a->bytes + at, "PK\5\6", 4) != 0 || get16(a->bytes + at + 20) != a->size - 22 - at) {
        if (at == stop) return fail_zip(a, "its directory is missing: it is cut short");
        at--;
    }
    const unsigned char *end = a->bytes + at;
    a->count = get16(end + 10);
    a->directory_size = get32(end + 12);
    a->directory = get32(end + 16);
    if (get16(end + 4) != 0 || get16(end + 8) != a->count)
        return tw_fail(a->ctx, TW_ERR_UNSUPPORTED, "%s: a zip in several parts is not read", a->label);
    if (a->count == 0xFFFF || a->directory == 0xFFFFFFFFu)
        return tw_fail(a->ctx, TW_ERR_UNSUPPORTED, "%s: a zip of more than 4 GiB is not read", a->label);
    if (a->count == 0) return tw_fail(a->ctx, TW_ERR_FORMAT, "%s: holds no array", a->label);
    if (a->count > MAX_MEMBERS) return fail_zip(a, "it has too many members");
    if (a->directory > at || a->directory_size > at - a->directory)
        return fail_zip(a, "its directory lies outside the file");
    return TW_OK;
}

/* Sizes of 4 GiB and more stand in the extra field 1, in this order, each only when its short form is all ones. */
static tw_status read_long_sizes(const archive *a, const unsigned char *extra, size_t length, member *m)
{
    uint64_t *wanted[3] = {&m->size, &m->packed, &m->offset};
    for (size_t at = 0; at + 4 <= length;) {
        size_t field = get16(extra + at + 2), used = 0;
        if (field > length - at - 4) break;
        for (int i = 0; get16(extra + at) == 1 && i < 3; i++) {
            if (*wanted[i] != 0xFFFFFFFFu) continue;
            if (used + 8 > field) return fail_zip(a, "a long size is missing");
            *wanted[i] = get64(extra + at + 4 + used);
            used += 8;
        }
        at += 4 + field;
    }
    return TW_OK;
}

/* The directory entry at *at, which moves behind it. */
static tw_status read_entry(const archive *a, size_t *at, member *out)
{
    size_t end = a->directory + a->directory_size;
    const unsigned char *p = a->bytes + *at;
    if (end - *at < 46 || memcmp(p, "PK\1\2", 4) != 0) return fail_zip(a, "its directory is damaged");
    size_t name = get16(p + 28), extra = get16(p + 30), comment = get16(p + 32);
    if (end - *at - 46 < name + extra + comment) return fail_zip(a, "its directory is damaged");
    *out = (member){.name = (const char *)p + 46,
                    .name_length = name,
                    .flags = get16(p + 8),
                    .method = get16(p + 10),
                    .crc = get32(p + 16),
                    .packed = get32(p + 20),
                    .size = get32(p + 24),
                    .offset = get32(p + 42)};
    *at += 46 + name + extra + comment;
    return read_long_sizes(a, p + 46 + name, extra, out);
}

/* Length of a member's name without ".npy". */
static size_t stem(const member *m)
{
    bool npy = m->name_length > 4 && memcmp(m->name + m->name_length - 4, ".npy", 4) == 0;
    return m->name_length - (npy ? 4 : 0);
}

static bool is_named(const member *m, const char *name)
{
    size_t length = strlen(name);
    return (length == m->name_length || length == stem(m)) && memcmp(m->name, name, length) == 0;
}

static tw_status fail_no_member(const archive *a, const char *name)
{
    tw_text text = tw_text_new(a->ctx);
    size_t at = a->directory;
    tw_status status = TW_OK;
    for (int i = 0; i < a->count && i < 12; i++) {
        member m;
        TW_TRY(read_entry(a, &at, &m));
        tw_text_add(&text, "%s'%.*s'", i ? ", " : "", (int)(stem(&m) < 40 ? stem(&m) : 40), m.name);
    }
    if (a->count > 12) tw_text_add(&text, ", ... (%d arrays)", a->count);
    TW_TRY(tw_text_check(&text));
    status = tw_fail(a->ctx, TW_ERR_INVALID, "%s: no array '%s'; it holds %s", a->label, name, text.data);
done:
    tw_text_free(&text);
    return status;
}

static tw_status find_member(const archive *a, const char *name, member *out)
{
    size_t at = a->directory;
    for (int i = 0; i < a->count; i++) {
        tw_status status = read_entry(a, &at, out);
        if (status != TW_OK || !name || is_named(out, name)) return status;
    }
    return fail_no_member(a, name);
}

static tw_status inflate_member(const archive *a, const member *m, const unsigned char *packed, unsigned char *out)
{
    z_stream z = {0};
    if (inflateInit2(&z, -15) != Z_OK) return tw_fail_memory(a->ctx, 1 << 16);
    uint64_t in = 0, made = 0;
    int result = Z_OK;
    while (result == Z_OK) { /* zlib counts in 32 bits: blocks of at most 1 GiB */
        uint64_t in_left = m->packed - in, out_left = m->size - made;
        z.next_in = (Bytef *)(uintptr_t)(packed + in);
        z.avail_in = (uInt)(in_left < 1u << 30 ? in_left : 1u << 30);
        z.next_out = out + made;
        z.avail_out = (uInt)(out_left < 1u << 30 ? out_left : 1u << 30);
        uInt in_given = z.avail_in, out_given = z.avail_out;
        result = inflate(&z, Z_NO_FLUSH);
        in += in_given - z.avail_in;
        made += out_given - z.avail_out;
        if (result == Z_OK && in_given == z.avail_in && out_given == z.avail_out) break;
    }
    inflateEnd(&z);
    if (result == Z_MEM_ERROR) return tw_fail_memory(a->ctx, 1 << 16);
    if (result != Z_STREAM_END || made != m->size) return fail_zip(a, "a member does not unpack to its size");
    return TW_OK;
}

static bool crc_matches(const unsigned char *bytes, uint64_t size, uint32_t expected)
{
    uLong crc = crc32(0, NULL, 0);
    for (uint64_t at = 0; at < size;) {
        uInt step = (uInt)(size - at < 1u << 30 ? size - at : 1u << 30);
        crc = crc32(crc, bytes + at, step);
        at += step;
    }
    return crc == expected;
}

/* A member's packed bytes, checked against what the directory says. */
static tw_status find_data(const archive *a, const member *m, const unsigned char **out_bytes)
{
    if (m->offset > a->size || a->size - m->offset < 30) return fail_zip(a, "a member lies outside the file");
    const unsigned char *local = a->bytes + m->offset;
    if (memcmp(local, "PK\3\4", 4) != 0) return fail_zip(a, "a member is not where the directory says");
    uint64_t data = m->offset + 30 + get16(local + 26) + get16(local + 28);
    if (data > a->size || m->packed > a->size - data) return fail_zip(a, "a member is cut short");
    if (m->flags & 1) return tw_fail(a->ctx, TW_ERR_UNSUPPORTED, "%s: encrypted members are not read", a->label);
    if (m->method != 0 && m->method != 8)
        return tw_fail(a->ctx, TW_ERR_UNSUPPORTED, "%s: compression method %u is not read (stored and deflate are)",
                       a->label, m->method);
    if (m->size > MAX_BYTES)
        return tw_fail(a->ctx, TW_ERR_MEMORY, "%s: a member of %.1f GiB is too large", a->label,
                       (double)m->size / 0x1p30);
    if (m->method == 0 ? m->size != m->packed : m->size > DEFLATE_BEST * m->packed + 64)
        return fail_zip(a, "a member claims more bytes than it can hold");
    *out_bytes = a->bytes + data;
    return TW_OK;
}

/* A member's bytes; *out_owned when they had to be unpacked, else NULL. */
static tw_status unpack(const archive *a, const member *m, const unsigned char **out_bytes, void **out_owned)
{
    const unsigned char *bytes = NULL;
    unsigned char *unpacked = NULL;
    tw_status status = TW_OK;
    TW_TRY(find_data(a, m, &bytes));
    if (m->method == 8) {
        unpacked = tw_resize(a->ctx, NULL, (size_t)m->size, 1);
        if (!unpacked) return tw_fail_memory(a->ctx, (size_t)m->size);
        TW_TRY(inflate_member(a, m, bytes, unpacked));
        bytes = unpacked;
    }
    if (!crc_matches(bytes, m->size, m->crc)) TW_TRY(fail_zip(a, "a member's checksum is wrong: the file is damaged"));
    *out_bytes = bytes;
    *out_owned = unpacked;
    unpacked = NULL;
done:
    tw_free(a->ctx, unpacked);
    return status;
}

/* The beginning of a member's bytes, as far as a header of ordinary length goes. */
static size_t peek(const archive *a, const member *m, unsigned char *out, size_t room)
{
    const unsigned char *bytes = NULL;
    size_t wanted = m->size < room ? (size_t)m->size : room;
    if (find_data(a, m, &bytes) != TW_OK) return 0;
    if (m->method == 0) {
        memcpy(out, bytes, wanted);
        return wanted;
    }
    z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)(m->packed < 65536 ? m->packed : 65536)};
    z.next_out = out;
    z.avail_out = (uInt)wanted;
    if (inflateInit2(&z, -15) != Z_OK) return 0;
    inflate(&z, Z_NO_FLUSH);
    inflateEnd(&z);
    return wanted - z.avail_out;
}

tw_status tw_npz_find_bytes(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                            int rank, const uint8_t **out_bytes, size_t *out_size, void **out_owned)
{
    archive a = {.ctx = ctx, .label = label, .bytes = bytes, .size = size};
    size_t at = 0;
    unsigned char head[1024];
    tw_status status = find_directory(&a);
    *out_bytes = NULL;
    at = a.directory;
    for (int i = 0; status == TW_OK && i < a.count; i++) {
        member m;
        tw_shape shape;
        size_t length;
        status = read_entry(&a, &at, &m);
        if (status != TW_OK || (name && !is_named(&m, name))) continue;
        if (!tw_npy_is_bytes(ctx, head, peek(&a, &m, head, sizeof head), rank, &shape, &length)) continue;
        *out_size = (size_t)m.size;
        return unpack(&a, &m, out_bytes, out_owned);
    }
    return status;
}

bool tw_npz_has(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name)
{
    archive a = {.ctx = ctx, .label = label, .bytes = bytes, .size = size};
    bool found = false;
    if (find_directory(&a) != TW_OK) return false;
    size_t at = a.directory;
    for (int i = 0; i < a.count && !found; i++) {
        member m;
        if (read_entry(&a, &at, &m) != TW_OK) return false;
        found = is_named(&m, name);
    }
    return found;
}

tw_status tw_npz_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                       tw_npy *out_array)
{
    archive a = {.ctx = ctx, .label = label, .bytes = bytes, .size = size};
    member m = {0};
    tw_status status = find_directory(&a);
    const unsigned char *npy = NULL;
    void *owned = NULL;
    if (status == TW_OK) status = find_member(&a, name, &m);
    if (status == TW_OK) status = unpack(&a, &m, &npy, &owned);
    if (status == TW_OK) status = tw_npy_parse(ctx, label, npy, (size_t)m.size, out_array);
    tw_free(ctx, owned);
    return status;
}
