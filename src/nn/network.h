/* nn/network.h - the inside of the table of networks. */
#ifndef TW_NN_NETWORK_H
#define TW_NN_NETWORK_H

#include "nn/fields.h"

/* Fills zeros with defaults and checks ranges; strings of the result are static. */
TW_NODISCARD tw_status tw_network_complete(tw_context *ctx, const tw_network_desc *desc, tw_network_desc *out_desc);

/* Of rows (B,D) -> (B,outputs), of images (B,H,W,C) -> (B,H,W,outputs), of tokens (B,T) i32 -> (B,T,outputs). */
#define TW_NETWORK(name, about, source, fields)                                                                        \
    tw_val tw_network_##name(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,        \
                             int64_t outputs);
#define TW_IMAGE_NETWORK TW_NETWORK
#define TW_TOKEN_NETWORK TW_NETWORK
#define TW_RAGGED_NETWORK TW_NETWORK
#include "nn/networks.def"

#endif
