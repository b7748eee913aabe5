/* nn/token_mlp.c - residual multilayer perceptron of a few tokens, as that of numbers (nn/mlp.c):
 *
 *   h = sum_i table[i][x_i] + features(t) Wt + condition Wc + b       a linear layer of one-hot tokens, looked up
 *   h = h + silu(h) W_j + b_j                                         j = 1..depth
 *   logits = silu(h) Wo + bo                                          zero at the start: every symbol is as likely */
#include "nn/network.h"

#include <math.h>

/* The first layer: table (T states, width), rows of token i from i states on. */
static tw_val look_up(tw_scope scope, const tw_network_desc *desc, tw_val x)
{
    if (tw_is_none(x)) return x;
    int64_t rows = tw_dim(x, 0), tokens = tw_dim(x, 1), states = desc->states;
    tw_val table = tw_param(scope, "weight", tw_shape_of(tokens * states, desc->width), TW_INIT_UNIFORM,
                            1 / sqrt((double)tokens));
    tw_val offset = tw_muls(tw_iota(x.graph, TW_DTYPE_I32, tw_shape_of(1, tokens), 1), (double)states);
    tw_val index = tw_reshape(tw_add(x, offset), tw_shape_of(rows * tokens));
    tw_val each = tw_reshape(tw_take_rows(table, index), tw_shape_of(rows, tokens, desc->width));
    return tw_add(tw_sum_axis(each, 1), tw_param(scope, "bias", tw_shape_of(desc->width), TW_INIT_ZERO, 0));
}

tw_val tw_network_token_mlp(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                            int64_t outputs)
{
    int64_t width = desc->width;
    if (tw_is_none(x)) return x;
    int64_t rows = tw_dim(x, 0), tokens = tw_dim(x, 1);
    tw_val time = tw_param(tw_in(scope, "time"), "weight", tw_shape_of(desc->time_features, width), TW_INIT_UNIFORM,
                           1 / sqrt((double)desc->time_features));
    tw_val h = tw_add(look_up(tw_in(scope, "in"), desc, x), tw_matmul(tw_time_features(t, desc->time_features), time));
    if (!tw_is_none(condition))
        h = tw_add(h, tw_matmul(condition, tw_param(tw_in(scope, "condition"), "weight",
                                                    tw_shape_of(tw_last_dim(condition), width), TW_INIT_UNIFORM, 1)));
    for (int i = 0; i < desc->depth; i++) h = tw_add(h, tw_linear(tw_at(scope, "block", i), tw_silu(h), width));
    h = tw_linear_init(tw_in(scope, "out"), tw_silu(h), tokens * outputs, TW_INIT_ZERO, 0);
    return tw_reshape(h, tw_shape_of(rows, tokens, outputs));
}
