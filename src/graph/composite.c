/* graph/composite.c - ops written in other ops: bodies of the composite nodes, softmax, logsumexp.
 *
 * silu, gelu and softplus stay one node until compilation, so that a kernel may do them at once and a derivative is one
 * stored factor. softmax and logsumexp are only shorthands. */
#include "graph/rules.h"

tw_val tw_body_silu(tw_val x)
{
    return tw_mul(x, tw_sigmoid(x));
}

tw_val tw_body_gelu(tw_val x)
{
    const double inv_sqrt2 = 0.70710678118654752440;
    return tw_mul(x, tw_adds(tw_muls(tw_erf(tw_muls(x, inv_sqrt2)), 0.5), 0.5));
}

/* log(1 + e^x) without overflow: the exponent is never positive. */
tw_val tw_body_softplus(tw_val x)
{
    return tw_add(tw_max(x, tw_zeros_like(x)), tw_log1p(tw_exp(tw_neg(tw_abs(x)))));
}

/* The maximum along an axis, kept as 1, as a constant shift: it cancels, so it needs no derivative. */
static tw_val max_kept(tw_val x, int axis)
{
    return tw_stop_gradient(tw_expand_dim(tw_reduce_max(x, 1, &axis), axis));
}

static int from_front(tw_val x, int axis)
{
    return axis < 0 ? axis + tw_shape_at(x).rank : axis;
}

tw_val tw_softmax(tw_val x, int axis)
{
    if (x.id < 0) return x;
    axis = from_front(x, axis);
    tw_val e = tw_exp(tw_sub(x, max_kept(x, axis)));
    return tw_div(e, tw_expand_dim(tw_sum_axis(e, axis), axis));
}

tw_val tw_logsumexp(tw_val x, int axis)
{
    if (x.id < 0) return x;
    axis = from_front(x, axis);
    tw_val shift = max_kept(x, axis);
    tw_val sum = tw_sum_axis(tw_exp(tw_sub(x, shift)), axis);
    return tw_add(tw_log(sum), tw_reshape(shift, tw_shape_at(sum)));
}
