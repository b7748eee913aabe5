/* data/token_table.h - a table of tokens being made: readers append tokens and say where rows are. */
#ifndef TW_DATA_TOKEN_TABLE_H
#define TW_DATA_TOKEN_TABLE_H

#include "data/table.h"

#include <thalweg/tokens.h>

typedef struct tw_token_row {
    int64_t begin, length;
    int64_t record; /* which line, field or row of its files it was, counted from 0 */
} tw_token_row;

struct tw_tokens {
    tw_context *ctx;
    int size;
    bool wide;   /* int32_t, else uint16_t */
    void *token; /* (count) */
    int64_t count, token_capacity;
    tw_token_row *row; /* in the order of the parts */
    int64_t rows, row_capacity, width, least;
    int64_t records; /* what files held, with what was left out */
    int64_t part_rows[3];
    int64_t left_over; /* tokens that fill no row */
    double *value;     /* (size), or NULL */
    tw_notes notes;
};

TW_NODISCARD tw_status tw_tokens_new(tw_context *ctx, int size, tw_tokens **out_tokens);
TW_NODISCARD tw_status tw_tokens_append(tw_tokens *tokens, int64_t count, const int32_t *values);
/* `length` tokens from `begin` on are a row. */
TW_NODISCARD tw_status tw_tokens_end_row(tw_tokens *tokens, int64_t begin, int64_t length);
/* The tokens from `begin` on, those of a file, become rows of desc->chunk. */
TW_NODISCARD tw_status tw_tokens_chunk(tw_tokens *tokens, const tw_tokens_desc *desc, int64_t begin);
/* A table of the rows of files of numbers, not yet settled. */
TW_NODISCARD tw_status tw_tokens_read_numbers(tw_context *ctx, int count, const char *const *paths,
                                              const tw_tokens_desc *desc, tw_tokens **out_tokens);
/* All rows are there: order, parts (desc NULL: as they are). `label` is for the sentence when there are none. */
TW_NODISCARD tw_status tw_tokens_settle(tw_tokens *tokens, const char *label, const tw_tokens_desc *desc);

#endif
