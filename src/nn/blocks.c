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

tw_val tw_block_attention(tw_val qkv, int heads, bool by_head)
{
    if (tw_is_none(qkv)) return qkv;
    tw_val part[3];
    tw_qkv_split(qkv, heads, by_head, part);
    tw_val y = tw_attention(part[0], part[1], part[2], NULL);
    return tw_reshape(y, tw_shape_of(tw_dim(qkv, 0), tw_dim(qkv, 1), tw_dim(qkv, 2) / 3));
}
