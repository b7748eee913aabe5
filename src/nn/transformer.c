/* nn/transformer.c - see transformer.h.
 *
 *   h = embedding[token] + position
 *   h = h + out(attention(qkv(norm1(h))));   h = h + mlp.2(gelu(mlp.0(norm2(h))))    depth times
 *   logits = head(norm(h))                                                                                    */
#include "nn/transformer.h"

#include "nn/blocks.h"

tw_val tw_transformer_block(tw_scope scope, const tw_transformer_desc *desc, tw_val x)
{
    if (tw_is_none(x)) return x;
    int64_t width = tw_last_dim(x);
    tw_val h = tw_linear(tw_in(scope, "qkv"), tw_block_layernorm(tw_in(scope, "norm1"), x), 3 * width);
    x = tw_add(x, tw_linear(tw_in(scope, "out"), tw_block_attention(scope, h, desc->heads, false), width));
    h = tw_dense(tw_at(scope, "mlp", 0), tw_block_layernorm(tw_in(scope, "norm2"), x), 4 * width, tw_gelu);
    return tw_add(x, tw_linear(tw_at(scope, "mlp", 2), h, width));
}

tw_val tw_transformer(tw_scope scope, const tw_transformer_desc *desc, tw_val tokens)
{
    if (tw_is_none(tokens)) return tokens;
    tw_shape s = tw_shape_at(tokens);
    if (s.rank != 2)
        return tw_graph_fail(tokens.graph, TW_ERR_SHAPE, "transformer: tokens have rank %d, expected (B,T)",
                             (int)s.rank);
    tw_val table =
        tw_param(tw_in(scope, "embedding"), "weight", tw_shape_of(desc->symbols, desc->width), TW_INIT_NORMAL, 0.02);
    tw_val position = tw_param(scope, "position", tw_shape_of(s.dim[1], desc->width), TW_INIT_NORMAL, 0.02);
    tw_val h = tw_take_rows(table, tw_reshape(tokens, tw_shape_of(-1)));
    h = tw_add(tw_reshape(h, tw_shape_of(s.dim[0], s.dim[1], desc->width)), position);
    for (int i = 0; i < desc->depth; i++) h = tw_transformer_block(tw_at(scope, "blocks", i), desc, h);
    return tw_linear(tw_in(scope, "head"), tw_block_layernorm(tw_in(scope, "norm"), h), desc->symbols);
}
