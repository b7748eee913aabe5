/* flow/pieces.h - the pieces a flow is made of, in one table (flow/pieces.def), so that descriptions, files,
 * checkpoints and lists cannot forget one. */
#ifndef TW_FLOW_PIECES_H
#define TW_FLOW_PIECES_H

#include "nn/piece.h"

#include <thalweg/flow.h>

typedef enum tw_flow_piece {
#define TW_FLOW_PIECE(field, kinds, list) TW_PIECE_##field,
#include "flow/pieces.def"
    TW_PIECE_COUNT
} tw_flow_piece;

typedef struct tw_flow_piece_row {
    const char *field, *kinds;
    tw_piece_at at;
    size_t in_desc; /* offset of the name in tw_flow_desc */
} tw_flow_piece_row;

const tw_flow_piece_row *tw_flow_piece_at(int index); /* NULL past the end */
/* The name of a piece in a description. */
const char **tw_flow_piece_name(tw_flow_desc *desc, int index);

/* Reads every piece that `desc` names, or that stands for NULL, into piece [TW_PIECE_COUNT]; free each. */
TW_NODISCARD tw_status tw_flow_pieces_read(tw_context *ctx, const tw_flow_desc *desc, tw_piece *piece);

#endif
