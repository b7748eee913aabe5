/* nn/blocks.c - see blocks.h. */
#include "nn/blocks.h"

#include "graph/function.h"
#include "nn/sharing.h"

#include <math.h>
#include <string.h>

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

tw_val tw_block_attention(tw_scope scope, tw_val qkv, int heads, bool by_head)
{
    if (tw_is_none(qkv)) return qkv;
    tw_val part[3];
    tw_qkv_split(qkv, heads, by_head, part);
    tw_val y = tw_attention(part[0], part[1], tw_shared_values(scope, part[2]), NULL);
    return tw_reshape(y, tw_shape_of(tw_dim(qkv, 0), tw_dim(qkv, 1), tw_dim(qkv, 2) / 3));
}

tw_val tw_block_gather(tw_val x, int64_t n)
{
    if (tw_is_none(x) || n == 1) return x;
    tw_shape s = tw_shape_at(x);
    int64_t b = s.dim[0], h = s.dim[1] / n, w = s.dim[2] / n, c = s.dim[3];
    tw_val parts = tw_transpose(tw_reshape(x, tw_shape_of(b, h, n, w, n, c)), (const int[]){0, 1, 3, 2, 4, 5});
    return tw_reshape(parts, tw_shape_of(b, h, w, n * n * c));
}

tw_val tw_block_spread(tw_val x, int64_t n)
{
    if (tw_is_none(x) || n == 1) return x;
    tw_shape s = tw_shape_at(x);
    int64_t b = s.dim[0], h = s.dim[1], w = s.dim[2], c = s.dim[3] / (n * n);
    tw_val parts = tw_transpose(tw_reshape(x, tw_shape_of(b, h, w, n, n, c)), (const int[]){0, 1, 3, 2, 4, 5});
    return tw_reshape(parts, tw_shape_of(b, h * n, w * n, c));
}

void tw_block_modulation(tw_scope scope, tw_val c, int64_t width, int count, tw_val *out)
{
    tw_val all = tw_block_zero_linear(scope, c, count * width);
    for (int i = 0; i < count; i++) out[i] = tw_expand_dim(tw_slice(all, 1, i * width, (i + 1) * width), 1);
}

tw_val tw_block_modulate(tw_val x, tw_val shift, tw_val scale, double more)
{
    return tw_add(tw_mul(tw_layernorm(x, TW_NONE, TW_NONE, more), tw_adds(scale, 1)), shift);
}

/* The layer is written on stand-ins of x and told; what else it needs, its parameters, is found. */
tw_val tw_block_run(tw_scope scope, tw_layer layer, const void *user, tw_val x, tw_val told)
{
    if (tw_is_none(x) || tw_is_none(told)) return TW_NONE;
    if (!tw_params_recompute(scope.params)) return layer(scope, user, x, told);
    tw_graph *g = x.graph;
    tw_val inputs[2] = {tw_input(g, "x", tw_dtype_at(x), tw_shape_at(x)),
                        tw_input(g, "told", tw_dtype_at(told), tw_shape_at(told))};
    tw_val output = layer(scope, user, inputs[0], inputs[1]), result = TW_NONE;
    tw_closure body = {.inputs_count = 2, .inputs = inputs, .outputs_count = 1, .outputs = &output};
    if (tw_is_none(output) || !tw_closure_open(&body, g)) return TW_NONE;
    tw_val *args = tw_alloc(g->ctx, (size_t)body.captures_count + 2, sizeof *args);
    if (args) {
        memcpy(args, body.args, (size_t)body.captures_count * sizeof *args);
        args[body.captures_count] = x;
        args[body.captures_count + 1] = told;
        tw_checkpoint(g, tw_closure_body, &body, body.captures_count + 2, args, 1, &result);
    } else {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a layer of %d parameters", body.captures_count);
    }
    tw_free(g->ctx, args);
    tw_closure_close(&body, g);
    return result;
}
