/* nn/network.h - the inside of the table of networks. */
#ifndef TW_NN_NETWORK_H
#define TW_NN_NETWORK_H

#include "base/base.h"

#include <thalweg/nn.h>

/* Fills zeros with defaults and checks ranges; strings of the result are static. */
TW_NODISCARD tw_status tw_network_complete(tw_context *ctx, const tw_network_desc *desc, tw_network_desc *out_desc);

#define TW_NETWORK(name, about, source)                                                                                \
    tw_val tw_network_##name(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,        \
                             int64_t outputs);
#include "nn/networks.def"

#endif
