/* nn/piece.h - looking up a named piece (network, schedule, method, ...) in its table, and reading its parameters.
 *
 * Every table of pieces starts its rows with a tw_piece_info, and hands them out by index: adding a published method is
 * a file and a row, and listing, look-up, parameters and the errors for what is misspelt come with it. */
#ifndef TW_NN_PIECE_H
#define TW_NN_PIECE_H

#include "base/base.h"

#include <thalweg/nn.h>

/* Parameters in a row of a table: TW_PARAMETERS(TW_P(beta_min, 0.1, 0, 1e3) TW_P(beta_max, 20, 0, 1e3)), or
 * TW_PARAMETERS(). */
#define TW_PARAMETERS(...)                                                                                             \
    (const tw_piece_parameter[])                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
        {                                                                                                              \
            NULL, 0, 0, 0, false                                                                                       \
        }                                                                                                              \
    }
#define TW_P(name, standard, low, high) {#name, standard, low, high, false},
#define TW_P_MANY(name, low, high)      {#name, 0, low, high, true},
#define TW_P_MAYBE(name, low, high)     {#name, 1, low, high, true}, /* many, or none */

/* The row at an index, NULL past the end. */
typedef const tw_piece_info *(*tw_piece_at)(int index);

/* The piece called `name`; unknown names fail with the nearest right one, or all of them. `kind` is for the sentence.
 */
TW_NODISCARD tw_status tw_piece_find(tw_context *ctx, const char *kind, const char *name, tw_piece_at at,
                                     const tw_piece_info **out_piece);

/* A piece with its parameters settled. */
typedef struct tw_piece {
    const tw_piece_info *info;
    int row;       /* of the table */
    int64_t count; /* of values: the piece's parameters in their order, or the many of the only one */
    double *value; /* NULL when there are none */
    char *text;    /* name and every parameter: what a file keeps, and what reads back as the same piece */
} tw_piece;

/* Reads "name" or "name:parameters" (see tw_piece_info). Failures say which parameter and what was expected. The piece
 * is freed with tw_piece_free, NULLs and zeros included. */
TW_NODISCARD tw_status tw_piece_read(tw_context *ctx, const char *kind, const char *text, tw_piece_at at,
                                     tw_piece *out_piece);
void tw_piece_free(tw_context *ctx, tw_piece *piece);

#endif
