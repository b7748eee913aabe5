/* data/symbols.h - strings of bytes, numbered as they come: the symbols of a tokeniser, the words that are counted for
 * it. One block of bytes and a hash table of numbers, so that a hundred thousand cost three allocations. */
#ifndef TW_DATA_SYMBOLS_H
#define TW_DATA_SYMBOLS_H

#include "base/base.h"

enum { TW_SYMBOLS_MAX = 1 << 30 };

typedef struct tw_symbols {
    char *bytes;
    int64_t bytes_count, bytes_capacity;
    int64_t *end; /* (count) where the bytes of each end; they begin where those before end */
    int64_t count, capacity;
    int32_t *slot; /* hash table of numbers + 1, 0: free; `slots` is a power of two */
    int64_t slots;
} tw_symbols;

/* The number of a string, which is added when it is new. */
TW_NODISCARD tw_status tw_symbols_take(tw_context *ctx, tw_symbols *symbols, const char *bytes, size_t size,
                                       int32_t *out_number);
/* -1: it is not there. */
int32_t tw_symbols_find(const tw_symbols *symbols, const char *bytes, size_t size);
void tw_symbols_free(tw_context *ctx, tw_symbols *symbols);

static inline const char *tw_symbol_bytes(const tw_symbols *symbols, int64_t number, size_t *out_size)
{
    int64_t begin = number ? symbols->end[number - 1] : 0;
    *out_size = (size_t)(symbols->end[number] - begin);
    return symbols->bytes + begin;
}

/* Order of bytes, shorter ones first among equals. */
int tw_bytes_compare(const char *a, size_t a_size, const char *b, size_t b_size);

#endif
