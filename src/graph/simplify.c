/* graph/simplify.c - what a new node can be instead of itself.
 *
 * Rules look one or two nodes deep and return an existing value or a smaller expression; they run on every append, so
 * chains shrink as they are built. Constants are folded with the reference kernels in double and rounded to the node's
 * dtype. x*0 is 0 whatever x is: a derivative that is identically zero must vanish even where x is infinite. */
#include "graph/function.h"

#include <string.h>

enum { FOLD_LIMIT = 64 }; /* elements of a constant array worth folding */

static tw_val arg(const tw_draft *d, int i)
{
    return d->args[i];
}

static bool is(tw_val v, tw_op op)
{
    return tw_node_at(v)->op == op;
}

/* The k-th argument of a node. */
static tw_val inner(tw_val v, int k)
{
    return tw_val_of(v.graph, tw_node_args(v.graph, tw_node_at(v))[k]);
}

bool tw_node_full_value(const tw_graph *g, int32_t id, double *out_value)
{
    const tw_node *n = tw_node_of(g, id);
    while (n->op == TW_OP_broadcast || n->op == TW_OP_reshape) n = tw_node_of(g, n->args[0]);
    if (n->op != TW_OP_const) return false;
    int64_t size = tw_shape_size(n->shape);
    if (size < 1 || size > FOLD_LIMIT) return false;
    double first = tw_const_element(g, n, 0);
    for (int64_t i = 1; i < size; i++) {
        double other = tw_const_element(g, n, i);
        if (memcmp(&first, &other, sizeof first) != 0) return false;
    }
    *out_value = first;
    return true;
}

bool tw_node_is_full_of(const tw_graph *g, int32_t id, double value)
{
    double found;
    return tw_node_full_value(g, id, &found) && found == value;
}

static bool full_of(tw_val v, double value)
{
    return tw_node_is_full_of(v.graph, v.id, value);
}

static tw_val full(const tw_draft *d, double value)
{
    return tw_full(d->graph, d->dtype, d->shape, value);
}

/* --- constants --- */

/* A small constant array, or a stretched single element (then *out_single). */
static bool is_foldable(tw_val v, bool *out_single)
{
    double value;
    *out_single = tw_node_full_value(v.graph, v.id, &value);
    return *out_single || (is(v, TW_OP_const) && tw_shape_size(tw_shape_at(v)) <= FOLD_LIMIT);
}

static double element_of(tw_val v, int64_t i)
{
    double value;
    if (tw_node_full_value(v.graph, v.id, &value)) return value;
    return tw_const_element(v.graph, tw_node_at(v), i);
}

/* Evaluates an elementwise op of constants: once when every argument is one stretched element. */
static tw_val fold(const tw_draft *d)
{
    const tw_op_info *op = &tw_op_table[d->op];
    bool all_single = true,
         foldable = op->evaluate && d->count > 0 && d->count <= TW_MAX_ARGS && tw_shape_size(d->shape) > 0;
    for (int k = 0; foldable && k < d->count; k++) {
        bool single = false;
        foldable = is_foldable(arg(d, k), &single);
        all_single = all_single && single;
    }
    if (!foldable || (!all_single && tw_shape_size(d->shape) > FOLD_LIMIT)) return TW_NONE;
    int64_t size = all_single ? 1 : tw_shape_size(d->shape);
    double values[TW_MAX_ARGS][FOLD_LIMIT], out[FOLD_LIMIT], bytes[FOLD_LIMIT];
    const double *columns[TW_MAX_ARGS];
    tw_node node = {.op = (uint8_t)d->op, .dtype = (uint8_t)d->dtype, .args_count = d->count, .attr = -1};
    node.shape = tw_shape_make(1, &size);
    for (int k = 0; k < d->count; k++) {
        for (int64_t i = 0; i < size; i++) values[k][i] = element_of(arg(d, k), i);
        columns[k] = values[k];
        node.args[k] = arg(d, k).id;
    }
    op->evaluate(d->graph, &node, columns, out);
    if (all_single) return full(d, out[0]);
    for (int64_t i = 0; i < size; i++) tw_store_element(bytes, d->dtype, i, out[i]);
    return tw_const_data(d->graph, d->dtype, d->shape, bytes);
}

/* --- arithmetic; commuting arguments come in either order --- */

/* The axis along which a pad with zeros only places its argument, or -1. */
static int placing_axis(tw_val v)
{
    if (!is(v, TW_OP_pad)) return -1;
    const tw_attr *attr = tw_node_attr(v.graph, tw_node_at(v));
    int found = -1;
    for (int i = 0; i < tw_shape_at(v).rank; i++) {
        if (attr->begin[i] < 0 || attr->end[i] < 0 || attr->stride[i] != 0) return -1;
        if (attr->begin[i] == 0 && attr->end[i] == 0) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return attr->value == 0.0 ? found : -1;
}

/* Two neighbouring parts, each padded to the whole, are one longer part: the gradient of a split becomes a concat. */
static tw_val join_placed(tw_val a, tw_val b)
{
    int axis = placing_axis(a);
    if (axis < 0 || axis != placing_axis(b)) return TW_NONE;
    tw_attr first = *tw_node_attr(a.graph, tw_node_at(a)), second = *tw_node_attr(b.graph, tw_node_at(b));
    if (second.begin[axis] < first.begin[axis]) return join_placed(b, a);
    tw_val front = inner(a, 0), back = inner(b, 0);
    if (first.begin[axis] + tw_shape_at(front).dim[axis] != second.begin[axis]) return TW_NONE;
    return tw_pad(tw_concat2(axis, front, back), 0.0, first.begin, second.end, NULL);
}

static tw_val simplify_add(const tw_draft *d)
{
    tw_val a = arg(d, 0), b = arg(d, 1);
    if (full_of(a, 0.0)) return b;
    if (full_of(b, 0.0)) return a;
    if (a.id == b.id) return tw_muls(a, 2.0);
    if (is(b, TW_OP_neg)) return tw_sub(a, inner(b, 0));
    if (is(a, TW_OP_neg)) return tw_sub(b, inner(a, 0));
    return join_placed(a, b);
}

static tw_val simplify_sub(const tw_draft *d)
{
    tw_val a = arg(d, 0), b = arg(d, 1);
    if (full_of(b, 0.0)) return a;
    if (full_of(a, 0.0)) return tw_neg(b);
    if (is(b, TW_OP_neg)) return tw_add(a, inner(b, 0));
    return TW_NONE;
}

static tw_val simplify_mul(const tw_draft *d)
{
    tw_val a = arg(d, 0), b = arg(d, 1);
    if (full_of(a, 1.0)) return b;
    if (full_of(b, 1.0)) return a;
    if (full_of(a, 0.0)) return a;
    if (full_of(b, 0.0)) return b;
    if (full_of(a, -1.0)) return tw_neg(b);
    if (full_of(b, -1.0)) return tw_neg(a);
    if (is(a, TW_OP_neg) && is(b, TW_OP_neg)) return tw_mul(inner(a, 0), inner(b, 0));
    return TW_NONE;
}

static tw_val simplify_div(const tw_draft *d)
{
    tw_val a = arg(d, 0), b = arg(d, 1);
    if (full_of(b, 1.0)) return a;
    if (full_of(b, -1.0)) return tw_neg(a);
    if (full_of(a, 0.0)) return a;
    return TW_NONE;
}

static tw_val simplify_pow(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    double p;
    if (!tw_node_full_value(d->graph, arg(d, 1).id, &p)) return TW_NONE;
    if (p == 0.0) return full(d, 1.0);
    if (p == 1.0) return x;
    if (p == 2.0) return tw_mul(x, x);
    if (p == 3.0) return tw_mul(x, tw_mul(x, x));
    if (p == 0.5) return tw_sqrt(x);
    if (p == -0.5) return tw_rsqrt(x);
    if (p == -1.0) return tw_div(full(d, 1.0), x);
    return TW_NONE;
}

static tw_val simplify_neg(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    if (is(x, TW_OP_neg)) return inner(x, 0);
    if (is(x, TW_OP_sub)) return tw_sub(inner(x, 1), inner(x, 0));
    return TW_NONE;
}

static tw_val simplify_bits(const tw_draft *d)
{
    tw_val a = arg(d, 0), b = arg(d, 1);
    bool is_and = d->op == TW_OP_and, is_bool = d->dtype == TW_DTYPE_BOOL;
    if (a.id == b.id) return is_and ? a : full(d, 0.0);
    if (full_of(a, 0.0)) return is_and ? a : b;
    if (full_of(b, 0.0)) return is_and ? b : a;
    if (is_bool && full_of(a, 1.0)) return is_and ? b : tw_not(b);
    if (is_bool && full_of(b, 1.0)) return is_and ? a : tw_not(a);
    return TW_NONE;
}

static tw_val simplify_select(const tw_draft *d)
{
    if (arg(d, 1).id == arg(d, 2).id) return arg(d, 1);
    if (full_of(arg(d, 0), 1.0)) return arg(d, 1);
    if (full_of(arg(d, 0), 0.0)) return arg(d, 2);
    return TW_NONE;
}

/* --- shape --- */

static tw_val simplify_reshape(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    if (tw_shape_equal(tw_shape_at(x), d->shape)) return x;
    if (is(x, TW_OP_reshape)) return tw_reshape(inner(x, 0), d->shape);
    double value;
    if (is(x, TW_OP_broadcast) && tw_node_full_value(d->graph, x.id, &value)) return full(d, value);
    return TW_NONE;
}

static tw_val simplify_broadcast(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    if (tw_shape_equal(tw_shape_at(x), d->shape)) return x;
    if (is(x, TW_OP_broadcast)) return tw_broadcast_to(inner(x, 0), d->shape);
    return TW_NONE;
}

static tw_val simplify_transpose(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    bool identity = true;
    for (int i = 0; i < d->shape.rank; i++) identity = identity && d->attr.axis[i] == i;
    if (identity) return x;
    if (!is(x, TW_OP_transpose)) return TW_NONE;
    int8_t both[TW_MAX_RANK] = {0};
    const tw_attr *first = tw_node_attr(d->graph, tw_node_at(x));
    for (int i = 0; i < d->shape.rank; i++) both[i] = first->axis[d->attr.axis[i]];
    return tw_transpose_axes(inner(x, 0), both);
}

/* A slice that is exactly one part of a concatenation. */
static tw_val slice_of_concat(const tw_draft *d, tw_val x)
{
    const tw_node *n = tw_node_at(x);
    int axis = tw_node_attr(d->graph, n)->axis[0];
    int64_t at = 0;
    for (int i = 0; i < d->shape.rank; i++)
        if (i != axis && d->shape.dim[i] != n->shape.dim[i]) return TW_NONE;
    if (d->attr.stride[axis] != 1) return TW_NONE;
    for (int k = 0; k < n->args_count; k++) {
        tw_val part = inner(x, k);
        int64_t size = tw_shape_at(part).dim[axis];
        if (at == d->attr.begin[axis] && size == d->shape.dim[axis]) return part;
        at += size;
    }
    return TW_NONE;
}

static tw_val simplify_slice(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    if (tw_shape_equal(tw_shape_at(x), d->shape)) return x;
    return is(x, TW_OP_concat) ? slice_of_concat(d, x) : TW_NONE;
}

static tw_val simplify_pad(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    tw_shape from = tw_shape_at(x);
    bool idle = true;
    for (int i = 0; i < from.rank; i++)
        idle = idle && d->attr.begin[i] == 0 && d->attr.end[i] == 0 && (d->attr.stride[i] == 0 || from.dim[i] < 2);
    if (idle) return x;
    return full_of(x, d->attr.value) ? full(d, d->attr.value) : TW_NONE;
}

static tw_val simplify_reverse(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    int axis = d->attr.axis[0];
    if (d->shape.dim[axis] <= 1) return x;
    if (is(x, TW_OP_reverse) && tw_node_attr(d->graph, tw_node_at(x))->axis[0] == axis) return inner(x, 0);
    return TW_NONE;
}

/* Sums along axes of size 1 only move nothing. */
static tw_val simplify_sum(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    tw_shape from = tw_shape_at(x);
    if (tw_shape_size(from) == tw_shape_size(d->shape) && tw_shape_size(from) > 0) return tw_reshape(x, d->shape);
    return full_of(x, 0.0) ? full(d, 0.0) : TW_NONE;
}

static tw_val simplify_reduce_max(const tw_draft *d)
{
    tw_val x = arg(d, 0);
    return tw_shape_size(tw_shape_at(x)) == tw_shape_size(d->shape) ? tw_reshape(x, d->shape) : TW_NONE;
}

/* Neighbouring slices of one value are one slice of it: what was split and is joined again was never apart. */
static tw_val join_slices(const tw_draft *d)
{
    int axis = d->attr.axis[0];
    if (!is(arg(d, 0), TW_OP_slice)) return TW_NONE;
    tw_val whole = inner(arg(d, 0), 0);
    tw_attr first = *tw_node_attr(d->graph, tw_node_at(arg(d, 0)));
    int64_t at = first.begin[axis];
    for (int k = 0; k < d->count; k++) {
        tw_val part = arg(d, k);
        if (!is(part, TW_OP_slice) || inner(part, 0).id != whole.id) return TW_NONE;
        const tw_attr *attr = tw_node_attr(d->graph, tw_node_at(part));
        for (int i = 0; i < d->shape.rank; i++)
            if (attr->begin[i] != (i == axis ? at : first.begin[i]) || attr->stride[i] != 1) return TW_NONE;
        at += tw_shape_at(part).dim[axis];
    }
    return tw_slice_given(whole, first.begin, first.stride, d->shape);
}

/* Parts that are concatenations along the same axis are listed themselves. */
static tw_val simplify_concat(const tw_draft *d)
{
    if (d->count == 1) return arg(d, 0);
    tw_val joined = join_slices(d);
    if (joined.id >= 0) return joined;
    tw_val parts[FOLD_LIMIT];
    int count = 0;
    bool nested = false;
    for (int k = 0; k < d->count; k++) {
        tw_val part = arg(d, k);
        const tw_node *n = tw_node_at(part);
        bool same = n->op == TW_OP_concat && tw_node_attr(d->graph, n)->axis[0] == d->attr.axis[0];
        int pieces = same ? n->args_count : 1;
        if (count + pieces > FOLD_LIMIT) return TW_NONE;
        for (int i = 0; i < pieces; i++) parts[count++] = same ? inner(part, i) : part;
        nested = nested || same;
    }
    return nested ? tw_concat(d->attr.axis[0], count, parts) : TW_NONE;
}

/* Products of zeros; products of matrices that were transposed first, whose axes can be named directly instead. */
static tw_val simplify_dot_general(const tw_draft *d)
{
    if (full_of(arg(d, 0), 0.0) || full_of(arg(d, 1), 0.0)) return full(d, 0.0);
    if (d->attr.batch_count != 0 || d->attr.contract_count != 1) return TW_NONE;
    int axis[2] = {d->attr.axis[0], d->attr.axis_b[0]};
    tw_val factor[2] = {arg(d, 0), arg(d, 1)};
    bool turned = false;
    for (int k = 0; k < 2; k++) {
        if (tw_shape_at(factor[k]).rank != 2 || !is(factor[k], TW_OP_transpose)) continue;
        factor[k] = inner(factor[k], 0);
        axis[k] = 1 - axis[k];
        turned = true;
    }
    return turned ? tw_dot_general(factor[0], factor[1], 0, NULL, NULL, 1, &axis[0], &axis[1]) : TW_NONE;
}

/* Moving the elements of a stretched constant changes nothing but the shape. */
static tw_val simplify_moved(const tw_draft *d)
{
    double value;
    if (tw_shape_size(d->shape) == 0 || !tw_node_full_value(d->graph, arg(d, 0).id, &value)) return TW_NONE;
    return full(d, value);
}

/* --- control --- */

static tw_val simplify_part(const tw_draft *d)
{
    return is(arg(d, 0), TW_OP_tuple) ? inner(arg(d, 0), (int)d->attr.number) : TW_NONE;
}

/* A known condition leaves a call of one function. */
static tw_val simplify_cond(const tw_draft *d)
{
    double truth;
    if (!tw_node_full_value(d->graph, arg(d, 0).id, &truth)) return TW_NONE;
    tw_attr attr = {.function = {d->attr.function[truth != 0.0 ? 0 : 1]}};
    return tw_produce(d->graph, TW_OP_call, &attr, d->count - 1, d->args + 1);
}

/* No steps: the carry stays as it was, nothing is stacked. */
static tw_val simplify_scan(const tw_draft *d)
{
    if (d->attr.length != 0) return TW_NONE;
    const tw_function *f = tw_graph_function(d->graph, d->attr.function[0]);
    int carries = d->attr.carries, ys = f->outputs_count - carries;
    tw_val *values = tw_alloc(d->graph->ctx, (size_t)(2 * carries + ys), sizeof *values);
    if (!values) return tw_graph_fail(d->graph, TW_ERR_MEMORY, "out of memory: scan of %d carries", carries);
    for (int i = 0; i < carries; i++) values[i] = arg(d, d->attr.consts + i);
    for (int k = carries; k < 2 * carries + ys; k++) {
        tw_type type = k < carries + ys ? tw_function_output(f, k) : tw_type_of(values[k - carries - ys]);
        values[k] = tw_full(d->graph, type.dtype, tw_stacked(type.shape, 0), 0.0);
    }
    tw_val out = tw_tuple(d->graph, 2 * carries + ys, values);
    tw_free(d->graph->ctx, values);
    return out;
}

static tw_val simplify_op(const tw_draft *d)
{
    switch (d->op) {
    case TW_OP_add:
        return simplify_add(d);
    case TW_OP_sub:
        return simplify_sub(d);
    case TW_OP_mul:
        return simplify_mul(d);
    case TW_OP_div:
        return simplify_div(d);
    case TW_OP_pow:
        return simplify_pow(d);
    case TW_OP_neg:
        return simplify_neg(d);
    case TW_OP_not:
        return is(arg(d, 0), TW_OP_not) ? inner(arg(d, 0), 0) : TW_NONE;
    case TW_OP_and:
    case TW_OP_xor:
        return simplify_bits(d);
    case TW_OP_max:
    case TW_OP_min:
        return arg(d, 0).id == arg(d, 1).id ? arg(d, 0) : TW_NONE;
    case TW_OP_select:
        return simplify_select(d);
    case TW_OP_cast:
        return tw_dtype_at(arg(d, 0)) == d->dtype ? arg(d, 0) : TW_NONE;
    case TW_OP_stop_gradient:
        return is(arg(d, 0), TW_OP_stop_gradient) ? arg(d, 0) : TW_NONE;
    case TW_OP_reshape:
        return simplify_reshape(d);
    case TW_OP_broadcast:
        return simplify_broadcast(d);
    case TW_OP_transpose:
        return simplify_transpose(d);
    case TW_OP_slice:
        return simplify_slice(d);
    case TW_OP_pad:
        return simplify_pad(d);
    case TW_OP_reverse:
        return simplify_reverse(d);
    case TW_OP_concat:
        return simplify_concat(d);
    case TW_OP_sum:
        return simplify_sum(d);
    case TW_OP_reduce_max:
        return simplify_reduce_max(d);
    case TW_OP_dot_general:
        return simplify_dot_general(d);
    case TW_OP_conv:
    case TW_OP_conv_input:
    case TW_OP_conv_weights:
        return full_of(arg(d, 0), 0.0) || full_of(arg(d, 1), 0.0) ? full(d, 0.0) : TW_NONE;
    case TW_OP_barrier:
        return is(arg(d, 0), TW_OP_const) || is(arg(d, 1), TW_OP_const) ? arg(d, 0) : TW_NONE;
    case TW_OP_part:
        return simplify_part(d);
    case TW_OP_cond:
        return simplify_cond(d);
    case TW_OP_scan:
        return simplify_scan(d);
    default:
        return TW_NONE;
    }
}

tw_val tw_simplify(const tw_draft *d)
{
    tw_val found = TW_NONE;
    if (tw_op_table[d->op].flags & TW_OPF_ELEMENTWISE) found = fold(d);
    if (found.id < 0 && d->graph->status == TW_OK) found = simplify_op(d);
    bool moves = d->op == TW_OP_transpose || d->op == TW_OP_slice || d->op == TW_OP_reverse;
    if (found.id < 0 && moves && d->graph->status == TW_OK) found = simplify_moved(d);
    return found;
}
