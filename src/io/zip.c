/* io/zip.c - see zip.h. The central directory is looked up from the end of the file, a member is unpacked by zlib and
 * checked by its CRC. Sizes are believed only as far as deflate allows (1032 to 1), so that a small file cannot ask for
 * much memory. Format: PKWARE APPNOTE 6.3.3, sections 4.3 to 4.5. */
#include "io/zip.h"

#include <string.h>
#include <zlib.h>

#define MAX_MEMBERS  100000
#define MAX_BYTES    ((uint64_t)5 << 30)
#define DEFLATE_BEST 1032 /* bytes out per byte in, at most */

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

static tw_status fail_zip(const tw_zip *a, const char *what)
{
    return tw_fail(a->ctx, TW_ERR_FORMAT, "%s: not a sound %s: %s", a->label, a->kind, what);
}

/* Counts that 16 and 32 bits cannot hold stand in a record of their own, whose place stands before the end record. */
static tw_status find_long_directory(tw_zip *a, size_t end)
{
    const unsigned char *locator = end < 20 + 56 ? NULL : a->bytes + end - 20;
    if (!locator || memcmp(locator, "PK\6\7", 4) != 0) return fail_zip(a, "its long directory is missing");
    uint64_t at = get64(locator + 8);
    if (at > end - 20 - 56 || memcmp(a->bytes + at, "PK\6\6", 4) != 0)
        return fail_zip(a, "its long directory is not where it says");
    const unsigned char *record = a->bytes + at;
    if (get64(record + 32) > MAX_MEMBERS) return fail_zip(a, "it has too many members");
    a->count = (int)get64(record + 32);
    a->directory_size = get64(record + 40);
    a->directory = get64(record + 48);
    return TW_OK;
}

/* The end record is the last thing in the file but for a comment of at most 65535 bytes. */
static tw_status find_directory(tw_zip *a)
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
    if (a->count == 0xFFFF || a->directory == 0xFFFFFFFFu || a->directory_size == 0xFFFFFFFFu) {
        tw_status status = find_long_directory(a, at);
        if (status != TW_OK) return status;
    }
    if (a->count == 0) return tw_fail(a->ctx, TW_ERR_FORMAT, "%s: holds no %s", a->label, a->content);
    if (a->count > MAX_MEMBERS) return fail_zip(a, "it has too many members");
    if (a->directory > at || a->directory_size > at - a->directory)
        return fail_zip(a, "its directory lies outside the file");
    return TW_OK;
}

/* Sizes of 4 GiB and more stand in the extra field 1, in this order, each only when its short form is all ones. */
static tw_status read_long_sizes(const tw_zip *a, const unsigned char *extra, size_t length, tw_zip_member *m)
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
tw_status tw_zip_next(const tw_zip *a, size_t *at, tw_zip_member *out)
{
    size_t end = a->directory + a->directory_size;
    const unsigned char *p = a->bytes + *at;
    if (end - *at < 46 || memcmp(p, "PK\1\2", 4) != 0) return fail_zip(a, "its directory is damaged");
    size_t name = get16(p + 28), extra = get16(p + 30), comment = get16(p + 32);
    if (end - *at - 46 < name + extra + comment) return fail_zip(a, "its directory is damaged");
    *out = (tw_zip_member){.name = (const char *)p + 46,
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

static tw_status inflate_member(const tw_zip *a, const tw_zip_member *m, const unsigned char *packed,
                                unsigned char *out)
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
static tw_status find_data(const tw_zip *a, const tw_zip_member *m, const unsigned char **out_bytes)
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

tw_status tw_zip_unpack(const tw_zip *a, const tw_zip_member *m, const unsigned char **out_bytes,
                        unsigned char **out_owned)
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

size_t tw_zip_peek(const tw_zip *a, const tw_zip_member *m, unsigned char *out, size_t room)
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

tw_status tw_zip_open(tw_context *ctx, const char *label, const char *kind, const char *content, const void *bytes,
                      size_t size, tw_zip *out_zip)
{
    tw_zip zip = {.ctx = ctx, .label = label, .kind = kind, .content = content, .bytes = bytes, .size = size};
    tw_status status = find_directory(&zip);
    if (status == TW_OK) *out_zip = zip;
    return status;
}
