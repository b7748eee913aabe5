/* nn/piece.h - looking up a named piece (network, schedule, method, ...) in its table.
 *
 * Every table of pieces starts its rows with a tw_piece_info, and hands them out by index: adding a published method is
 * a file and a row, and listing, look-up and the error for a misspelt name come with it. */
#ifndef TW_NN_PIECE_H
#define TW_NN_PIECE_H

#include "base/base.h"

#include <thalweg/nn.h>

/* The row at an index, NULL past the end. */
typedef const tw_piece_info *(*tw_piece_at)(int index);

/* The piece called `name`; unknown names fail with the nearest right one, or all of them. `kind` is for the sentence.
 */
TW_NODISCARD tw_status tw_piece_find(tw_context *ctx, const char *kind, const char *name, tw_piece_at at,
                                     const tw_piece_info **out_piece);

#endif
