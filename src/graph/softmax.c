/* graph/softmax.c - softmax along an axis.
 *
 * The Jacobian of y = softmax(x) is diag(y) - y y', which is symmetric: softmax_tangent(y, t) = y (t - sum y t) is the
 * derivative and its own transpose, one kernel for both directions. */
#include "graph/rules.h"

static int axis_of(const tw_draft *d)
{
    return d->attr.axis[0];
}

/* An op of one or two arrays of one shape, along an axis that may count from the end. */
static tw_val along_axis(tw_op op, int count, const tw_val *args, int axis)
{
    tw_draft d = {.op = op, .count = count, .args = args};
    int rank = args[0].id < 0 ? 0 : tw_shape_at(args[0]).rank;
    if (axis < 0) axis += rank;
    d.attr.axis[0] = (int8_t)(axis < 0 || axis >= TW_MAX_RANK ? -1 : axis);
    return tw_graph_append(&d);
}

bool tw_infer_softmax(tw_draft *d)
{
    if (!tw_infer_real(d)) return false;
    if (axis_of(d) >= 0 && axis_of(d) < d->shape.rank && d->shape.dim[axis_of(d)] > 0) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s has no axis %d with elements", tw_op_table[d->op].name,
                  tw_shape_show(d->shape).text, axis_of(d));
    return false;
}

/* A sum along the axis, stretched back. */
static tw_val summed(tw_val x, int axis)
{
    return tw_expand_dim(tw_sum_axis(x, axis), axis);
}

/* The maximum along an axis, kept as 1, as a constant shift: it cancels, so it needs no derivative. */
static tw_val max_kept(tw_val x, int axis)
{
    return tw_stop_gradient(tw_expand_dim(tw_reduce_max(x, 1, &axis), axis));
}

tw_val tw_softmax(tw_val x, int axis)
{
    return along_axis(TW_OP_softmax, 1, &x, axis);
}

tw_val tw_body_softmax(const tw_draft *call)
{
    tw_val e = tw_exp(tw_sub(call->args[0], max_kept(call->args[0], axis_of(call))));
    return tw_div(e, summed(e, axis_of(call)));
}

tw_val tw_jvp_softmax(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return along_axis(TW_OP_softmax_tangent, 2, (tw_val[]){y, t[0]}, tw_node_attr(y.graph, tw_node_at(y))->axis[0]);
}

tw_val tw_body_softmax_tangent(const tw_draft *call)
{
    tw_val y = call->args[0], t = call->args[1];
    return tw_mul(y, tw_sub(t, summed(tw_mul(y, t), axis_of(call))));
}

void tw_transpose_softmax_tangent(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    out[1] = tw_graph_remake(node, (tw_val[]){x[0], ct});
}

tw_val tw_logsumexp(tw_val x, int axis)
{
    if (x.id < 0) return x;
    if (axis < 0) axis += tw_shape_at(x).rank;
    tw_val shift = max_kept(x, axis);
    tw_val sum = tw_sum_axis(tw_exp(tw_sub(x, shift)), axis);
    return tw_add(tw_log(sum), tw_reshape(shift, tw_shape_at(sum)));
}
