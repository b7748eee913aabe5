/* io/idx.c - see idx.h. */
#include "io/idx.h"

enum { BYTES = 0x08 };

bool tw_idx_is(const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    bool type = size >= 4 && b[0] == 0 && b[1] == 0 && b[2] >= 0x08 && b[2] <= 0x0E && b[2] != 0x0A;
    return type && b[3] >= 1 && b[3] <= TW_IDX_MAX_RANK;
}

tw_status tw_idx_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_idx *out_array)
{
    const uint8_t *b = bytes;
    if (!tw_idx_is(bytes, size))
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: not an IDX file (expected bytes 0 0 8 and a rank of 1 to %d)", label,
                       TW_IDX_MAX_RANK);
    if (b[2] != BYTES)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: IDX numbers of type 0x%02X are not read (bytes, 0x08, are)", label,
                       b[2]);
    tw_idx array = {.rank = b[3]};
    size_t head = 4 + 4 * (size_t)array.rank;
    int64_t count = 1;
    if (size < head) return tw_fail(ctx, TW_ERR_FORMAT, "%s: the IDX header is cut short", label);
    for (int i = 0; i < array.rank; i++) {
        const uint8_t *p = b + 4 + 4 * i;
        array.dim[i] = (int64_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
        if (__builtin_mul_overflow(count, array.dim[i], &count))
            return tw_fail(ctx, TW_ERR_FORMAT, "%s: the IDX header promises more bytes than can be counted", label);
    }
    if ((uint64_t)count != size - head)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: %zu bytes of numbers where the IDX header promises %lld", label,
                       size - head, (long long)count);
    array.bytes = b + head;
    *out_array = array;
    return TW_OK;
}
