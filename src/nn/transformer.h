/* nn/transformer.h - a transformer over tokens, norms before the branches (Vaswani et al. 2017; Xiong et al. 2020, On
 * layer normalization in the transformer architecture). */
#ifndef TW_NN_TRANSFORMER_H
#define TW_NN_TRANSFORMER_H

#include "base/base.h"

#include <thalweg/nn.h>

typedef struct tw_transformer_desc {
    int64_t symbols; /* of the vocabulary */
    int width, depth, heads;
} tw_transformer_desc;

/* tokens (B,T) i32 -> logits (B,T,symbols). */
tw_val tw_transformer(tw_scope scope, const tw_transformer_desc *desc, tw_val tokens);

/* One block by itself, for tests: x (B,T,D) -> (B,T,D). */
tw_val tw_transformer_block(tw_scope scope, const tw_transformer_desc *desc, tw_val x);

#endif
