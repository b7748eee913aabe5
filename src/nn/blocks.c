/* nn/blocks.c - see blocks.h. */
#include "nn/blocks.h"

#include <math.h>

/* what PyTorch adds to variances */
static const double epsilon = 1e-5;

tw_val tw_block_conv(tw_scope scope, tw_val x, int64_t channels, int kernel, int stride, bool zero)
{
    if (tw_is_none(x)) return x;
    int64_t inputs = tw_last_dim(x), half = kernel / 2;
    tw_init init = zero ? TW_INIT_ZERO : TW_INIT_UNIFORM;
    tw_val weight = tw_param(scope, "weight", tw_shape_of(kernel, kernel, inputs, channels), init,
                             1 / sqrt((double)(kernel * kernel * inputs)));
    tw_val bias = tw_param(scope, "bias", tw_shape_of(channels), TW_INIT_ZERO, 0);
    tw_conv_desc desc = {.stride = {stride, stride}, .low = {half, half}, .high = {half, half}};
    return tw_add(tw_conv(x, weight, &desc), bias);
}

tw_val tw_block_zero_linear(tw_scope scope, tw_val x, int64_t width)
{
    return tw_linear_init(scope, x, width, TW_INIT_ZERO, 0);
}

tw_val tw_block_groupnorm(tw_scope scope, tw_val x, int groups)
{
    if (tw_is_none(x)) return x;
    tw_shape channels = tw_shape_of(tw_last_dim(x));
    tw_val weight = tw_param(scope, "weight", channels, TW_INIT_ONE, 0);
    tw_val bias = tw_param(scope, "bias", channels, TW_INIT_ZERO, 0);
    return tw_groupnorm(x, groups, weight, bias, epsilon);
}

tw_val tw_block_layernorm(tw_scope scope, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape features = tw_shape_of(tw_last_dim(x));
    tw_val weight = tw_param(scope, "weight", features, TW_INIT_ONE, 0);
    tw_val bias = tw_param(scope, "bias", features, TW_INIT_ZERO, 0);
    return tw_layernorm(x, weight, bias, epsilon);
}

/* Part number `which` of (B,T,3*C) as (B,heads,T,C/heads). */
static tw_val heads_of(tw_val qkv, int which, int heads)
{
    tw_shape s = tw_shape_at(qkv);
    int64_t width = s.dim[2] / 3;
    tw_val part = tw_slice(qkv, 2, which * width, (which + 1) * width);
    part = tw_reshape(part, tw_shape_of(s.dim[0], s.dim[1], heads, width / heads));
    return tw_transpose(part, (const int[]){0, 2, 1, 3});
}

tw_val tw_block_attention(tw_val qkv, int heads)
{
    if (tw_is_none(qkv)) return qkv;
    tw_shape s = tw_shape_at(qkv);
    if (s.rank != 3 || heads < 1 || s.dim[2] % (3 * heads) != 0)
        return tw_graph_fail(qkv.graph, TW_ERR_SHAPE,
                             "attention: queries, keys and values are (B,T,3*C) with C in %d heads", heads);
    int64_t width = s.dim[2] / 3;
    tw_val q = heads_of(qkv, 0, heads), k = heads_of(qkv, 1, heads), v = heads_of(qkv, 2, heads);
    tw_val scores = tw_matmul(q, tw_transpose(k, (const int[]){0, 1, 3, 2}));
    tw_val p = tw_softmax(tw_muls(scores, 1 / sqrt((double)(width / heads))), -1);
    tw_val y = tw_transpose(tw_matmul(p, v), (const int[]){0, 2, 1, 3});
    return tw_reshape(y, tw_shape_of(s.dim[0], s.dim[1], width));
}

tw_val tw_block_timestep(tw_val t, int count)
{
    if (tw_is_none(t)) return t;
    tw_graph *g = t.graph;
    int half = count / 2;
    if (count < 2 || count % 2)
        return tw_graph_fail(g, TW_ERR_INVALID, "time features: %d is not an even number of at least 2", count);
    tw_dtype dtype = tw_dtype_at(t);
    tw_val place = tw_iota(g, dtype, tw_shape_of(1, half), 1);
    tw_val angle = tw_mul(tw_expand_dim(t, 1), tw_exp(tw_muls(place, -log(10000.0) / half)));
    return tw_concat2(1, tw_cos(angle), tw_sin(angle));
}
