/* cpu/sort.c - argsort: numbers become whole keys of the same order, which are sorted with their positions by insertion
 * (short lines) or digit by digit, lowest first (D. Knuth, The Art of Computer Programming 3, 5.2.5): stable, linear,
 * the same for every dtype. Digits that all keys share cost one look. */
#include "cpu/sort.h"

#include <string.h>

typedef struct item {
    uint64_t key;
    int64_t at;
} item;

enum { SHORT = 48, DIGIT = 256, DIGITS = 8 };

size_t tw_sort_scratch_bytes(int64_t n)
{
    return (size_t)(n > 0 ? n : 1) * 2 * sizeof(item);
}

/* Bits of a float so that larger numbers have larger keys: all bits of a negative one are flipped, the sign of others.
 */
static uint64_t key_f32(float x)
{
    uint32_t bits;
    x = x == 0.0f ? 0.0f : x;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return UINT32_MAX;
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static uint64_t key_f64(double x)
{
    uint64_t bits;
    x = x == 0.0 ? 0.0 : x;
    memcpy(&bits, &x, sizeof bits);
    if (x != x) return UINT64_MAX;
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t key_of(tw_dtype dtype, const void *x, int64_t i)
{
    switch (dtype) {
    case TW_DTYPE_F32:
        return key_f32(((const float *)x)[i]);
    case TW_DTYPE_F64:
        return key_f64(((const double *)x)[i]);
    case TW_DTYPE_I32:
        return ((const uint32_t *)x)[i] ^ 0x80000000u;
    case TW_DTYPE_U32:
        return ((const uint32_t *)x)[i];
    default:
        return ((const uint8_t *)x)[i] != 0;
    }
}

static void sort_short(item *items, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        item moving = items[i];
        int64_t j = i;
        for (; j > 0 && items[j - 1].key > moving.key; j--) items[j] = items[j - 1];
        items[j] = moving;
    }
}

/* Sorts with `other` as the second array; returns the one that holds the result. */
static item *sort_long(item *items, item *other, int64_t n)
{
    uint64_t all = ~(uint64_t)0, any = 0;
    for (int64_t i = 0; i < n; i++) {
        all &= items[i].key;
        any |= items[i].key;
    }
    for (int digit = 0; digit < DIGITS; digit++) {
        int shift = 8 * digit;
        if (((all ^ any) >> shift & (DIGIT - 1)) == 0) continue;
        int64_t begin[DIGIT] = {0}, sum = 0;
        for (int64_t i = 0; i < n; i++) begin[items[i].key >> shift & (DIGIT - 1)]++;
        for (int d = 0; d < DIGIT; d++) {
            int64_t size = begin[d];
            begin[d] = sum;
            sum += size;
        }
        for (int64_t i = 0; i < n; i++) other[begin[items[i].key >> shift & (DIGIT - 1)]++] = items[i];
        item *turn = items;
        items = other;
        other = turn;
    }
    return items;
}

void tw_sort_order(tw_dtype dtype, const void *x, int64_t outer, int64_t n, int64_t inner, int64_t count, bool falling,
                   int32_t *out, void *scratch)
{
    item *items = scratch, *other = items + n;
    /* A key turned around has the falling order, and equals still keep theirs. */
    uint64_t turn = !falling ? 0 : dtype == TW_DTYPE_F64 ? UINT64_MAX : UINT32_MAX;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            for (int64_t k = 0; k < n; k++) items[k] = (item){key_of(dtype, x, (o * n + k) * inner + i) ^ turn, k};
            const item *sorted = items;
            if (n <= SHORT)
                sort_short(items, n);
            else
                sorted = sort_long(items, other, n);
            for (int64_t k = 0; k < count; k++) out[(o * count + k) * inner + i] = (int32_t)sorted[k].at;
        }
}
