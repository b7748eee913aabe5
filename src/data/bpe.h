/* data/bpe.h - byte pairs: the list of merges, using it on a piece, finding it from counted pieces (Sennrich, Haddow,
 * Birch, Neural machine translation of rare words with subword units, 2016). */
#ifndef TW_DATA_BPE_H
#define TW_DATA_BPE_H

#include "data/symbols.h"

typedef struct tw_merge {
    int32_t left, right, result;
} tw_merge;

/* Merges in the order of their making, which is the order they are applied in. */
typedef struct tw_merges {
    tw_merge *item;
    int64_t count, capacity;
    int32_t *slot; /* hash table of ranks + 1, 0: free; `slots` is a power of two */
    int64_t slots;
} tw_merges;

/* Appends a merge; one of a pair that is there already changes nothing. */
TW_NODISCARD tw_status tw_merges_add(tw_context *ctx, tw_merges *merges, tw_merge merge);
/* Place of the merge of a pair, -1: there is none. */
int32_t tw_merges_find(const tw_merges *merges, int32_t left, int32_t right);
void tw_merges_free(tw_context *ctx, tw_merges *merges);

/* What merging a piece works in, kept from piece to piece; start from {0}. */
typedef struct tw_bpe {
    struct tw_bpe_link *link;
    struct tw_bpe_candidate *heap;
    int64_t link_capacity, heap_capacity, heap_count;
} tw_bpe;

/* Merges `count` tokens in place until no merge fits, always the earliest merge at its first place. O(n log n). */
TW_NODISCARD tw_status tw_bpe_merge(tw_context *ctx, tw_bpe *work, const tw_merges *merges, int32_t *tokens,
                                    int64_t *count);
void tw_bpe_free(tw_context *ctx, tw_bpe *work);

/* The byte that stands at a place of GPT-2's order: the printable ones of Latin-1, then the rest. `out_code` is the
 * code point that its files write for the byte. */
uint8_t tw_gpt2_byte(int place, uint32_t *out_code);

/* Adds to `symbols`, which holds the 256 bytes in GPT-2's order, merges until there are `limit` symbols or no pair
 * comes `min_count` times. `pieces` came `times` (their count) often. Pairs are chosen by how often they stand side by
 * side now, of equals the one whose left number, then right number is least. */
TW_NODISCARD tw_status tw_bpe_train(tw_context *ctx, const tw_symbols *pieces, const int64_t *times, int64_t limit,
                                    int64_t min_count, tw_symbols *symbols, tw_merges *merges);

#endif
