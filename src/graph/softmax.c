/* graph/softmax.c - softmax along an axis, its logarithm, log-sum-exp, cross-entropy.
 *
 * The Jacobian of y = softmax(x) is diag(y) - y y', which is symmetric: softmax_tangent(y, t) = y (t - sum y t) is the
 * derivative and its own transpose, one kernel for both directions. That of z = log softmax(x) is 1 - 1 (e^z)', whose
 * transpose is a node of its own. */
#include "graph/rules.h"

static int axis_of(const tw_draft *d)
{
    return d->attr.axis[0];
}

static int node_axis(tw_val v)
{
    return tw_node_attr(v.graph, tw_node_at(v))->axis[0];
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

bool tw_infer_logsumexp(tw_draft *d)
{
    if (!tw_infer_softmax(d)) return false;
    for (int i = axis_of(d); i + 1 < d->shape.rank; i++) d->shape.dim[i] = d->shape.dim[i + 1];
    d->shape.dim[--d->shape.rank] = 0;
    return true;
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

/* --- softmax --- */

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
    return along_axis(TW_OP_softmax_tangent, 2, (tw_val[]){y, t[0]}, node_axis(y));
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

/* --- its logarithm --- */

tw_val tw_log_softmax(tw_val x, int axis)
{
    return along_axis(TW_OP_log_softmax, 1, &x, axis);
}

tw_val tw_body_log_softmax(const tw_draft *call)
{
    tw_val shifted = tw_sub(call->args[0], max_kept(call->args[0], axis_of(call)));
    return tw_sub(shifted, tw_log(summed(tw_exp(shifted), axis_of(call))));
}

tw_val tw_jvp_log_softmax(tw_val z, const tw_val *x, const tw_val *t)
{
    (void)x;
    return along_axis(TW_OP_log_softmax_tangent, 2, (tw_val[]){z, t[0]}, node_axis(z));
}

tw_val tw_body_log_softmax_tangent(const tw_draft *call)
{
    tw_val z = call->args[0], t = call->args[1];
    return tw_sub(t, summed(tw_mul(tw_exp(z), t), axis_of(call)));
}

void tw_transpose_log_softmax_tangent(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    out[1] = along_axis(TW_OP_log_softmax_cotangent, 2, (tw_val[]){x[0], ct}, node_axis(node));
}

tw_val tw_body_log_softmax_cotangent(const tw_draft *call)
{
    tw_val z = call->args[0], ct = call->args[1];
    return tw_sub(ct, tw_mul(tw_exp(z), summed(ct, axis_of(call))));
}

void tw_transpose_log_softmax_cotangent(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    out[1] = along_axis(TW_OP_log_softmax_tangent, 2, (tw_val[]){x[0], ct}, node_axis(node));
}

tw_val tw_logsumexp(tw_val x, int axis)
{
    return along_axis(TW_OP_logsumexp, 1, &x, axis);
}

tw_val tw_body_logsumexp(const tw_draft *call)
{
    tw_val x = call->args[0], shift = max_kept(x, axis_of(call));
    tw_val sum = tw_sum_axis(tw_exp(tw_sub(x, shift)), axis_of(call));
    return tw_add(tw_log(sum), tw_reshape(shift, tw_shape_at(sum)));
}

tw_val tw_jvp_logsumexp(tw_val y, const tw_val *x, const tw_val *t)
{
    return tw_sum_axis(tw_mul(tw_softmax(x[0], node_axis(y)), t[0]), node_axis(y));
}

/* --- cross-entropy: scores (...,C), classes (...) --- */

static bool check_classes(tw_draft *d)
{
    tw_shape scores = tw_shape_at(d->args[0]), classes = tw_shape_at(d->args[1]);
    tw_dtype dtype = tw_dtype_at(d->args[1]);
    d->shape = scores;
    d->dtype = tw_dtype_at(d->args[0]);
    bool fits = tw_dtype_is_real(d->dtype) && (dtype == TW_DTYPE_I32 || dtype == TW_DTYPE_U32) &&
                scores.rank == classes.rank + 1 && scores.dim[classes.rank] > 0;
    for (int i = 0; fits && i < classes.rank; i++) fits = scores.dim[i] == classes.dim[i];
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: scores %s%s and classes %s%s: expected real (...,C) and whole (...)",
                      tw_op_table[d->op].name, tw_dtype_name(d->dtype), tw_shape_show(scores).text,
                      tw_dtype_name(dtype), tw_shape_show(classes).text);
    return fits;
}

bool tw_infer_cross_entropy(tw_draft *d)
{
    if (!check_classes(d)) return false;
    d->shape.dim[--d->shape.rank] = 0;
    return true;
}

bool tw_infer_cross_entropy_gradient(tw_draft *d)
{
    return check_classes(d);
}

static tw_val cross_entropy(tw_op op, tw_val scores, tw_val classes, double ignored)
{
    tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){scores, classes}};
    d.attr.value = ignored;
    return tw_graph_append(&d);
}

tw_val tw_cross_entropy(tw_val scores, tw_val classes, int64_t ignored)
{
    return cross_entropy(TW_OP_cross_entropy, scores, classes, (double)ignored);
}

/* One at the element of each row that its class names: bool, of the shape of the scores. */
static tw_val hits(const tw_draft *d)
{
    tw_shape shape = tw_shape_at(d->args[0]);
    tw_val classes = tw_expand_dim(d->args[1], shape.rank - 1);
    return tw_eq(tw_iota(d->graph, tw_dtype_at(classes), shape, shape.rank - 1), classes);
}

/* Rows that count: the class exists and is not the ignored one. */
static tw_val counted(const tw_draft *d)
{
    tw_val classes = d->args[1];
    tw_dtype dtype = tw_dtype_at(classes);
    double count = (double)tw_last_dim(d->args[0]), ignored = d->attr.value;
    tw_val valid = tw_lt(classes, tw_full_like(classes, count));
    if (dtype == TW_DTYPE_I32) valid = tw_and(valid, tw_lt(tw_full_like(classes, -1.0), classes));
    if (!(ignored >= 0.0 && ignored < count)) return valid;
    return tw_and(valid, tw_not(tw_eq(classes, tw_full_like(classes, ignored))));
}

tw_val tw_body_cross_entropy(const tw_draft *call)
{
    tw_val x = call->args[0], zero = tw_zeros_like(x);
    int last = tw_shape_at(x).rank - 1;
    tw_val loss = tw_sub(tw_logsumexp(x, last), tw_sum_axis(tw_select(hits(call), x, zero), last));
    return tw_select(counted(call), loss, tw_zeros_like(loss));
}

tw_val tw_jvp_cross_entropy(tw_val y, const tw_val *x, const tw_val *t)
{
    double ignored = tw_node_attr(y.graph, tw_node_at(y))->value;
    tw_val gradient = cross_entropy(TW_OP_cross_entropy_gradient, x[0], x[1], ignored);
    return tw_sum_axis(tw_mul(gradient, t[0]), -1);
}

tw_val tw_body_cross_entropy_gradient(const tw_draft *call)
{
    tw_val x = call->args[0];
    int last = tw_shape_at(x).rank - 1;
    tw_val gradient = tw_sub(tw_softmax(x, last), tw_cast(hits(call), tw_dtype_at(x)));
    return tw_select(tw_expand_dim(counted(call), last), gradient, tw_zeros_like(gradient));
}
