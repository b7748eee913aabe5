/* nn/layers.c - the layers networks are made of. Each is a function of a scope and values; wrong shapes are told with
 * the layer's path by the first parameter it makes. */
#include "base/base.h"

#include <thalweg/nn.h>

#include <math.h>

/* Angular frequencies of the time features: the slowest turns by one radian over [0,1], the fastest resolves about a
 * thirtieth of it. Faster ones were no better on the checkerboard and, wiggling between the times that were trained,
 * cost the adaptive solver twice the steps (fastest 100: 138 evaluations a likelihood; 30: 77; 10: 67 but a slightly
 * worse one). */
static const double slowest = 1.0, fastest = 30.0;

tw_val tw_linear_init(tw_scope scope, tw_val x, int64_t width, tw_init init, double scale)
{
    if (tw_is_none(x)) return x;
    int64_t inputs = tw_last_dim(x);
    tw_val weight = tw_param(scope, "weight", tw_shape_of(inputs, width), init, scale);
    tw_val bias = tw_param(scope, "bias", tw_shape_of(width), TW_INIT_ZERO, 0);
    return tw_add(tw_matmul(x, weight), bias);
}

tw_val tw_linear(tw_scope scope, tw_val x, int64_t width)
{
    if (tw_is_none(x)) return x;
    return tw_linear_init(scope, x, width, TW_INIT_UNIFORM, 1 / sqrt((double)tw_last_dim(x)));
}

tw_val tw_dense(tw_scope scope, tw_val x, int64_t width, tw_activation activation)
{
    tw_val h = tw_linear(scope, x, width);
    return activation ? activation(h) : h;
}

/* t (B) times `count` angular frequencies, (B,count). */
static tw_val angles(tw_val t, int count, const double *frequency)
{
    float narrow[2048];
    for (int i = 0; i < count; i++) narrow[i] = (float)frequency[i];
    tw_dtype dtype = tw_dtype_at(t);
    const void *data = dtype == TW_DTYPE_F64 ? (const void *)frequency : (const void *)narrow;
    return tw_mul(tw_expand_dim(t, 1), tw_const_data(t.graph, dtype, tw_shape_of(1, count), data));
}

tw_val tw_time_features(tw_val t, int count)
{
    if (tw_is_none(t)) return t;
    tw_graph *g = t.graph;
    int half = count / 2;
    if (count < 2 || count % 2 || count > 4096)
        return tw_graph_fail(g, TW_ERR_INVALID, "time features: %d is not an even number from 2 to 4096", count);
    if (tw_shape_at(t).rank != 1)
        return tw_graph_fail(g, TW_ERR_SHAPE, "time features: t has rank %d, expected (B)", (int)tw_shape_at(t).rank);
    double w[2048];
    for (int i = 0; i < half; i++) w[i] = slowest * pow(fastest / slowest, half == 1 ? 0.0 : (double)i / (half - 1));
    tw_val angle = angles(t, half, w);
    return tw_concat2(1, tw_sin(angle), tw_cos(angle));
}

tw_val tw_timestep_embedding(tw_val t, int count, double max_period)
{
    if (tw_is_none(t)) return t;
    int half = count / 2;
    if (count < 2 || count > 4096 || !(max_period > 0.0))
        return tw_graph_fail(t.graph, TW_ERR_INVALID,
                             "timestep embedding: %d features, longest period %g: expected 2 to 4096 and above 0",
                             count, max_period);
    if (tw_shape_at(t).rank != 1)
        return tw_graph_fail(t.graph, TW_ERR_SHAPE, "timestep embedding: t has rank %d, expected (B)",
                             (int)tw_shape_at(t).rank);
    double w[2048];
    for (int i = 0; i < half; i++) w[i] = exp(-log(max_period) * i / half);
    tw_val angle = angles(t, half, w), both = tw_concat2(1, tw_cos(angle), tw_sin(angle));
    return count % 2 ? tw_pad(both, 0.0, (int64_t[]){0, 0}, (int64_t[]){0, 1}, NULL) : both;
}
