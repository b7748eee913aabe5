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

/* (x - mean) / sqrt(variance + epsilon) over the given axes, which stay as 1 */
static tw_val standardise(tw_val x, int count, const int *axes, tw_shape kept)
{
    double n = (double)tw_shape_size(tw_shape_at(x)) / (double)tw_shape_size(kept);
    tw_val centred = tw_sub(x, tw_muls(tw_reshape(tw_sum(x, count, axes), kept), 1 / n));
    tw_val variance = tw_muls(tw_reshape(tw_sum(tw_square(centred), count, axes), kept), 1 / n);
    return tw_mul(centred, tw_rsqrt(tw_adds(variance, epsilon)));
}

static tw_val scale_and_shift(tw_scope scope, tw_val x)
{
    tw_shape shape = tw_shape_of(tw_last_dim(x));
    tw_val weight = tw_param(scope, "weight", shape, TW_INIT_ONE, 0);
    return tw_add(tw_mul(x, weight), tw_param(scope, "bias", shape, TW_INIT_ZERO, 0));
}

tw_val tw_block_groupnorm(tw_scope scope, tw_val x, int groups)
{
    if (tw_is_none(x)) return x;
    tw_shape shape = tw_shape_at(x);
    int64_t batch = shape.dim[0], channels = tw_last_dim(x);
    if (groups < 1 || channels % groups != 0)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "group norm: %lld channels in %d groups", (long long)channels,
                             groups);
    tw_val split = tw_reshape(x, tw_shape_of(batch, -1, groups, channels / groups));
    split = standardise(split, 2, (const int[]){1, 3}, tw_shape_of(batch, 1, groups, 1));
    return scale_and_shift(scope, tw_reshape(split, shape));
}

tw_val tw_block_layernorm(tw_scope scope, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape kept = tw_shape_at(x);
    int last = kept.rank - 1;
    kept.dim[last] = 1;
    return scale_and_shift(scope, standardise(x, 1, &last, kept));
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
