/* nn/dense.c - plain multilayer perceptrons: x, t and the condition side by side, `depth` hidden layers, no residuals.
 *
 *   h = [x, t, condition];   h = act(h W_i + b_i)   i = 1..depth;   u = h W + b
 *
 * What the usual two-dimensional examples train. Layers are named as PyTorch's Sequential numbers them, activations
 * counted ("main.0.weight", "main.2.weight", ...), so that weights can travel; a weight is the transpose of PyTorch's.
 */
#include "nn/network.h"

/* Self-normalising activation (Klambauer et al. 2017, eq. 2). The exponential sees no positive numbers. */
static tw_val selu(tw_val x)
{
    const double alpha = 1.6732632423543772, scale = 1.0507009873554805;
    tw_val zero = tw_zeros_like(x);
    return tw_muls(tw_add(tw_max(x, zero), tw_muls(tw_expm1(tw_min(x, zero)), alpha)), scale);
}

static tw_val dense(tw_scope scope, const tw_network_desc *desc, tw_activation act, tw_val x, tw_val t,
                    tw_val condition, int64_t outputs)
{
    tw_val h = tw_concat2(1, x, tw_expand_dim(t, 1));
    if (!tw_is_none(condition)) h = tw_concat2(1, h, condition);
    for (int i = 0; i < desc->depth; i++) h = tw_dense(tw_at(scope, "main", 2 * i), h, desc->width, act);
    return tw_linear(tw_at(scope, "main", 2 * desc->depth), h, outputs);
}

tw_val tw_network_plain(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                        int64_t outputs)
{
    return dense(scope, desc, tw_silu, x, t, condition, outputs);
}

tw_val tw_network_selu(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                       int64_t outputs)
{
    return dense(scope, desc, selu, x, t, condition, outputs);
}
