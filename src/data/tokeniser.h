/* data/tokeniser.h - the inside of a tokeniser. Kinds differ in how a text is cut into pieces (data/cut.h) and whether
 * a piece is one symbol or is merged from bytes (data/bpe.h); everything else is shared. */
#ifndef TW_DATA_TOKENISER_H
#define TW_DATA_TOKENISER_H

#include "data/bpe.h"
#include "data/cut.h"
#include "data/symbols.h"

#include <thalweg/tokens.h>

enum {
    TW_TOKENISER_MERGES = 1,    /* a piece is bytes to be merged */
    TW_TOKENISER_JOINS = 2,     /* one blank between two words is not written */
    TW_TOKENISER_BY_COUNT = 4,  /* symbols in the order of how often they came */
    TW_TOKENISER_ALL_BYTES = 8, /* the 256 bytes are symbols whatever the text */
};

typedef struct tw_tokeniser_kind_row {
    tw_tokeniser_info info;
    tw_cut_fn cut;
    unsigned flags;
} tw_tokeniser_kind_row;

struct tw_tokeniser {
    tw_context *ctx;
    const tw_tokeniser_kind_row *kind;
    tw_symbols symbols;
    bool has[TW_SPECIALS];
    tw_merges merges;
    int32_t byte[256]; /* token of each byte, -1: none (kinds that merge) */
    int32_t *whole;    /* symbols that are taken whole wherever they stand, before the text is cut */
    int64_t whole_count, whole_capacity;
    bool whole_begins[256]; /* bytes that such a symbol begins with */
};

/* An empty one of a kind; unknown kinds fail with the nearest right name. */
TW_NODISCARD tw_status tw_tokeniser_new(tw_context *ctx, const char *kind, tw_tokeniser **out_tokeniser);
/* When symbols and merges are there: fills what follows from them, and checks that there is a symbol. */
TW_NODISCARD tw_status tw_tokeniser_settle(tw_tokeniser *tokeniser, const char *label);
/* Appends the merge of two symbols; what they spell together must be a symbol. */
TW_NODISCARD tw_status tw_tokeniser_add_merge(tw_tokeniser *tokeniser, const char *label, int32_t left, int32_t right);
/* Makes a symbol one that is taken whole. */
TW_NODISCARD tw_status tw_tokeniser_add_whole(tw_tokeniser *tokeniser, int32_t symbol);

/* tw_tokeniser_open from memory; `merges_path` NULL: `json` is a tokenizer.json. */
TW_NODISCARD tw_status tw_tokeniser_parse(tw_context *ctx, const char *path, const char *json, size_t size,
                                          const char *merges_path, const char *merges, size_t merges_size,
                                          const bool special[TW_SPECIALS], tw_tokeniser **out_tokeniser);

/* "'x'" or "byte 0xFF": what a sentence calls a piece. */
typedef struct tw_piece_shown {
    char text[64];
} tw_piece_shown;
tw_piece_shown tw_show_piece(const char *piece, size_t size);

#endif
