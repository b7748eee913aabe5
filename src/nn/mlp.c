/* nn/mlp.c - residual multilayer perceptron.
 *
 *   h = x Wx + features(t) Wt + condition Wc + b
 *   h = h + silu(h) W_i + b_i        i = 1..depth   ("identity mappings": the sum is never squashed)
 *   u = silu(h) Wo + bo              Wo zero at the start: an untrained flow is the identity
 *
 * Every hot product is (B,width) x (width,width). x and the features of t enter by products of their own rather than
 * side by side in one, so that a tangent of x does not drag the features along. */
#include "nn/network.h"

#include <math.h>

tw_val tw_network_mlp(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                      int64_t outputs)
{
    int64_t width = desc->width;
    tw_val features = tw_time_features(t, desc->time_features);
    tw_val time = tw_param(tw_in(scope, "time"), "weight", tw_shape_of(desc->time_features, width), TW_INIT_UNIFORM,
                           1 / sqrt((double)desc->time_features));
    tw_val h = tw_add(tw_linear(tw_in(scope, "in"), x, width), tw_matmul(features, time));
    if (!tw_is_none(condition)) /* uniform in +-1: classes are told by a single one among zeros */
        h = tw_add(h, tw_matmul(condition, tw_param(tw_in(scope, "condition"), "weight",
                                                    tw_shape_of(tw_last_dim(condition), width), TW_INIT_UNIFORM, 1)));
    for (int i = 0; i < desc->depth; i++) h = tw_add(h, tw_linear(tw_at(scope, "block", i), tw_silu(h), width));
    return tw_linear_init(tw_in(scope, "out"), tw_silu(h), outputs, TW_INIT_ZERO, 0);
}
