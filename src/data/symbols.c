/* data/symbols.c - see symbols.h. FNV-1a with linear probing, at most half full. */
#include "data/symbols.h"

#include <string.h>

enum { FIRST_SLOTS = 256 };

static uint64_t hash_of(const char *bytes, size_t size)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* The slot that holds the string, or the free one where it belongs. */
static int64_t find_slot(const tw_symbols *symbols, const char *bytes, size_t size)
{
    int64_t at = (int64_t)(hash_of(bytes, size) & (uint64_t)(symbols->slots - 1));
    for (; symbols->slot[at]; at = (at + 1) & (symbols->slots - 1)) {
        size_t length;
        const char *there = tw_symbol_bytes(symbols, symbols->slot[at] - 1, &length);
        if (length == size && memcmp(there, bytes, size) == 0) break;
    }
    return at;
}

static tw_status grow_slots(tw_context *ctx, tw_symbols *symbols)
{
    int64_t slots = symbols->slots ? 2 * symbols->slots : FIRST_SLOTS;
    int32_t *slot = tw_alloc(ctx, (size_t)slots, sizeof *slot);
    if (!slot) return tw_fail_memory(ctx, (size_t)slots * sizeof *slot);
    tw_free(ctx, symbols->slot);
    symbols->slot = slot;
    symbols->slots = slots;
    for (int64_t i = 0; i < symbols->count; i++) {
        size_t size;
        const char *bytes = tw_symbol_bytes(symbols, i, &size);
        slot[find_slot(symbols, bytes, size)] = (int32_t)i + 1;
    }
    return TW_OK;
}

tw_status tw_symbols_take(tw_context *ctx, tw_symbols *symbols, const char *bytes, size_t size, int32_t *out_number)
{
    tw_status status = TW_OK;
    if (2 * symbols->count >= symbols->slots) TW_TRY(grow_slots(ctx, symbols));
    int64_t at = find_slot(symbols, bytes, size);
    if (!symbols->slot[at]) {
        int64_t need = symbols->bytes_count + (int64_t)size;
        if (symbols->count == TW_SYMBOLS_MAX)
            return tw_fail(ctx, TW_ERR_UNSUPPORTED, "more than %d different symbols", (int)TW_SYMBOLS_MAX);
        TW_TRY(tw_grow(ctx, &symbols->bytes, &symbols->bytes_capacity, tw_max_i64(need, 1), 1));
        TW_TRY(tw_grow(ctx, &symbols->end, &symbols->capacity, symbols->count + 1, sizeof(int64_t)));
        if (size) memcpy(symbols->bytes + symbols->bytes_count, bytes, size);
        symbols->bytes_count = need;
        symbols->end[symbols->count++] = need;
        symbols->slot[at] = (int32_t)symbols->count;
    }
    *out_number = symbols->slot[at] - 1;
done:
    return status;
}

int32_t tw_symbols_find(const tw_symbols *symbols, const char *bytes, size_t size)
{
    return symbols->slots ? symbols->slot[find_slot(symbols, bytes, size)] - 1 : -1;
}

void tw_symbols_free(tw_context *ctx, tw_symbols *symbols)
{
    tw_free(ctx, symbols->bytes);
    tw_free(ctx, symbols->end);
    tw_free(ctx, symbols->slot);
    *symbols = (tw_symbols){0};
}

int tw_bytes_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t common = a_size < b_size ? a_size : b_size;
    int order = common ? memcmp(a, b, common) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}
