/* graph/build_shape.c - builders that move, join, reduce and contract elements.
 *
 * Negative axes and positions are resolved here; what is stored in a node is always counted from the front. */
#include "graph/node.h"

#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

/* The axis counted from the front, or -1 and a failed graph. */
static int resolve_axis(const char *who, tw_val x, int axis)
{
    tw_shape shape = tw_shape_at(x);
    int at = axis < 0 ? axis + shape.rank : axis;
    if (at >= 0 && at < shape.rank) return at;
    tw_graph_fail(x.graph, TW_ERR_SHAPE, "%s: axis %d is not one of %s", who, axis, tw_shape_show(shape).text);
    return -1;
}

static tw_val given_shape(tw_op op, tw_val x, tw_shape shape)
{
    tw_draft d = {.op = op, .count = 1, .args = &x, .shape = shape};
    return tw_graph_append(&d);
}

static tw_val along_axis(tw_op op, tw_val x, int axis)
{
    if (x.id < 0) return x;
    axis = resolve_axis(tw_op_table[op].name, x, axis);
    if (axis < 0) return tw_val_of(x.graph, -1);
    tw_draft d = {.op = op, .count = 1, .args = &x};
    d.attr.axis[0] = (int8_t)axis;
    return tw_graph_append(&d);
}

/* --- reshape, broadcast, transpose --- */

tw_val tw_reshape(tw_val x, tw_shape shape)
{
    if (x.id < 0) return x;
    int open = -1;
    int64_t known = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == -1 && open < 0)
            open = i;
        else if (__builtin_mul_overflow(known, shape.dim[i], &known))
            known = -1;
    }
    if (open >= 0) {
        int64_t size = tw_shape_size(tw_shape_at(x));
        if (known <= 0 || size % known != 0)
            return tw_graph_fail(x.graph, TW_ERR_SHAPE, "reshape: %s cannot become %s", SHOW(x),
                                 tw_shape_show(shape).text);
        shape.dim[open] = size / known;
    }
    return given_shape(TW_OP_reshape, x, shape);
}

tw_val tw_broadcast_to(tw_val x, tw_shape shape)
{
    if (x.id < 0) return x;
    tw_shape from = tw_shape_at(x);
    if (tw_shape_equal(from, shape)) return x;
    if (from.rank > shape.rank || shape.rank > TW_MAX_RANK)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "broadcast: %s does not stretch to %s", SHOW(x),
                             tw_shape_show(shape).text);
    tw_shape aligned = {.rank = shape.rank};
    int shift = shape.rank - from.rank;
    for (int i = 0; i < shape.rank; i++) aligned.dim[i] = i < shift ? 1 : from.dim[i - shift];
    return given_shape(TW_OP_broadcast, tw_reshape(x, aligned), shape);
}

tw_val tw_expand_dim(tw_val x, int axis)
{
    if (x.id < 0) return x;
    tw_shape from = tw_shape_at(x), shape = {.rank = from.rank + 1};
    int at = axis < 0 ? axis + shape.rank : axis;
    if (at < 0 || at >= shape.rank || shape.rank > TW_MAX_RANK)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "expand_dim: %s cannot take a new axis %d", SHOW(x), axis);
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = i == at ? 1 : from.dim[i < at ? i : i - 1];
    return given_shape(TW_OP_reshape, x, shape);
}

tw_val tw_transpose_axes(tw_val x, const int8_t *permutation)
{
    if (x.id < 0) return x;
    tw_draft d = {.op = TW_OP_transpose, .count = 1, .args = &x};
    for (int i = 0; i < tw_shape_at(x).rank; i++) d.attr.axis[i] = permutation[i];
    return tw_graph_append(&d);
}

tw_val tw_transpose(tw_val x, const int *permutation)
{
    if (x.id < 0) return x;
    int8_t axes[TW_MAX_RANK] = {0};
    for (int i = 0; i < tw_shape_at(x).rank; i++) {
        int axis = resolve_axis("transpose", x, permutation[i]);
        if (axis < 0) return tw_val_of(x.graph, -1);
        axes[i] = (int8_t)axis;
    }
    return tw_transpose_axes(x, axes);
}

/* --- slice, pad, reverse, concat --- */

tw_val tw_slice_given(tw_val x, const int64_t *begin, const int64_t *stride, tw_shape shape)
{
    if (x.id < 0) return x;
    tw_draft d = {.op = TW_OP_slice, .count = 1, .args = &x, .shape = shape};
    for (int i = 0; i < tw_shape_at(x).rank; i++) {
        d.attr.begin[i] = begin[i];
        d.attr.stride[i] = stride ? stride[i] : 1;
    }
    return tw_graph_append(&d);
}

tw_val tw_slice_strided(tw_val x, const int64_t *begin, const int64_t *end, const int64_t *stride)
{
    if (x.id < 0) return x;
    tw_shape from = tw_shape_at(x), shape = {.rank = from.rank};
    int64_t first[TW_MAX_RANK];
    for (int i = 0; i < from.rank; i++) {
        int64_t low = begin[i] < 0 ? begin[i] + from.dim[i] : begin[i];
        int64_t high = end[i] < 0 ? end[i] + from.dim[i] : end[i], step = stride ? stride[i] : 1;
        if (low < 0 || high < low || high > from.dim[i] || step < 1)
            return tw_graph_fail(x.graph, TW_ERR_SHAPE,
                                 "slice: [%lld, %lld) in steps of %lld is not within axis %d of %s",
                                 (long long)begin[i], (long long)end[i], (long long)step, i, tw_shape_show(from).text);
        first[i] = low;
        shape.dim[i] = (high - low) / step + ((high - low) % step != 0);
    }
    return tw_slice_given(x, first, stride, shape);
}

tw_val tw_slice(tw_val x, int axis, int64_t begin, int64_t end)
{
    if (x.id < 0) return x;
    int at = resolve_axis("slice", x, axis);
    if (at < 0) return tw_val_of(x.graph, -1);
    tw_shape from = tw_shape_at(x);
    int64_t low[TW_MAX_RANK] = {0}, high[TW_MAX_RANK];
    for (int i = 0; i < from.rank; i++) high[i] = from.dim[i];
    low[at] = begin;
    high[at] = end;
    return tw_slice_strided(x, low, high, NULL);
}

tw_val tw_pad(tw_val x, double value, const int64_t *low, const int64_t *high, const int64_t *interior)
{
    if (x.id < 0) return x;
    tw_draft d = {.op = TW_OP_pad, .count = 1, .args = &x};
    for (int i = 0; i < tw_shape_at(x).rank; i++) {
        d.attr.begin[i] = low ? low[i] : 0;
        d.attr.end[i] = high ? high[i] : 0;
        d.attr.stride[i] = interior ? interior[i] : 0;
    }
    d.attr.value = value;
    return tw_graph_append(&d);
}

tw_val tw_reverse(tw_val x, int axis)
{
    return along_axis(TW_OP_reverse, x, axis);
}

tw_val tw_concat(int axis, int count, const tw_val *parts)
{
    if (count < 1) return TW_NONE;
    for (int i = 0; i < count; i++)
        if (parts[i].id < 0)
            return parts[0].graph ? tw_graph_fail(parts[0].graph, TW_ERR_INVALID, "concat: part %d is none", i + 1)
                                  : TW_NONE;
    int at = resolve_axis("concat", parts[0], axis);
    if (at < 0) return tw_val_of(parts[0].graph, -1);
    tw_draft d = {.op = TW_OP_concat, .count = count, .args = parts};
    d.attr.axis[0] = (int8_t)at;
    return tw_graph_append(&d);
}

tw_val tw_concat2(int axis, tw_val a, tw_val b)
{
    return tw_concat(axis, 2, (tw_val[]){a, b});
}

/* --- reductions --- */

static tw_val reduce(tw_op op, tw_val x, uint32_t mask)
{
    tw_draft d = {.op = op, .count = 1, .args = &x};
    d.attr.axis_mask = mask;
    return tw_graph_append(&d);
}

static tw_val reduce_list(tw_op op, tw_val x, int count, const int *axes)
{
    if (x.id < 0) return x;
    uint32_t mask = 0;
    for (int i = 0; i < count; i++) {
        int axis = resolve_axis(tw_op_table[op].name, x, axes[i]);
        if (axis < 0) return tw_val_of(x.graph, -1);
        mask |= 1u << axis;
    }
    return reduce(op, x, mask);
}

tw_val tw_sum_mask(tw_val x, uint32_t mask)
{
    return reduce(TW_OP_sum, x, mask);
}
tw_val tw_sum(tw_val x, int count, const int *axes)
{
    return reduce_list(TW_OP_sum, x, count, axes);
}
tw_val tw_sum_axis(tw_val x, int axis)
{
    return reduce_list(TW_OP_sum, x, 1, &axis);
}
tw_val tw_sum_all(tw_val x)
{
    return reduce(TW_OP_sum, x, (1u << tw_shape_at(x).rank) - 1);
}
tw_val tw_reduce_max(tw_val x, int count, const int *axes)
{
    return reduce_list(TW_OP_reduce_max, x, count, axes);
}
tw_val tw_argmax(tw_val x, int axis)
{
    return along_axis(TW_OP_argmax, x, axis);
}
tw_val tw_cumsum(tw_val x, int axis)
{
    return along_axis(TW_OP_cumsum, x, axis);
}

tw_val tw_mean_axis(tw_val x, int axis)
{
    return tw_muls(tw_sum_axis(x, axis), 1.0 / (double)tw_dim(x, axis));
}

tw_val tw_mean_all(tw_val x)
{
    return tw_muls(tw_sum_all(x), 1.0 / (double)tw_shape_size(tw_shape_at(x)));
}

tw_val tw_spread(tw_val reduced, uint32_t mask, tw_shape shape)
{
    tw_shape kept = shape;
    for (int i = 0; i < shape.rank; i++)
        if (mask & 1u << i) kept.dim[i] = 1;
    return tw_broadcast_to(tw_reshape(reduced, kept), shape);
}

/* --- contraction, indexing --- */

static bool fill_axes(int8_t *to, tw_val x, int batches, const int *batch, int contractions, const int *contract)
{
    for (int i = 0; i < batches + contractions; i++) {
        int axis = resolve_axis("dot_general", x, i < batches ? batch[i] : contract[i - batches]);
        if (axis < 0) return false;
        to[i] = (int8_t)axis;
    }
    return true;
}

tw_val tw_dot_general(tw_val a, tw_val b, int batches, const int *batch_a, const int *batch_b, int contractions,
                      const int *contract_a, const int *contract_b)
{
    tw_draft d = {.op = TW_OP_dot_general, .count = 2, .args = (tw_val[]){a, b}};
    if (a.id < 0 || b.id < 0) return tw_graph_append(&d);
    if (batches < 0 || contractions < 0 || batches + contractions > TW_MAX_RANK)
        return tw_graph_fail(a.graph, TW_ERR_INVALID, "dot_general: %d batch and %d contracted axes", batches,
                             contractions);
    d.attr.batch_count = (int8_t)batches;
    d.attr.contract_count = (int8_t)contractions;
    if (!fill_axes(d.attr.axis, a, batches, batch_a, contractions, contract_a) ||
        !fill_axes(d.attr.axis_b, b, batches, batch_b, contractions, contract_b))
        return tw_val_of(a.graph, -1);
    return tw_graph_append(&d);
}

tw_val tw_matmul(tw_val a, tw_val b)
{
    if (a.id < 0 || b.id < 0) return tw_dot_general(a, b, 0, NULL, NULL, 0, NULL, NULL);
    tw_shape m = tw_shape_at(a), n = tw_shape_at(b);
    int batches = n.rank > 2 ? n.rank - 2 : 0;
    if (m.rank < 1 || n.rank < 1 || (batches > 0 && m.rank != n.rank))
        return tw_graph_fail(a.graph, TW_ERR_SHAPE, "matmul: %s does not fit %s: numbers of axes", SHOW(a), SHOW(b));
    int axes[TW_MAX_RANK];
    for (int i = 0; i < batches; i++) {
        axes[i] = i;
        if (m.dim[i] != n.dim[i])
            return tw_graph_fail(a.graph, TW_ERR_SHAPE, "matmul: %s does not fit %s: batch sizes %lld and %lld differ",
                                 SHOW(a), SHOW(b), (long long)m.dim[i], (long long)n.dim[i]);
    }
    int inner_a = m.rank - 1, inner_b = n.rank >= 2 ? n.rank - 2 : 0;
    if (m.dim[inner_a] != n.dim[inner_b])
        return tw_graph_fail(a.graph, TW_ERR_SHAPE, "matmul: %s does not fit %s: inner sizes %lld and %lld differ",
                             SHOW(a), SHOW(b), (long long)m.dim[inner_a], (long long)n.dim[inner_b]);
    return tw_dot_general(a, b, batches, axes, axes, 1, &inner_a, &inner_b);
}

tw_val tw_take_rows(tw_val table, tw_val index)
{
    tw_draft d = {.op = TW_OP_take_rows, .count = 2, .args = (tw_val[]){table, index}};
    return tw_graph_append(&d);
}

tw_val tw_scatter_add_rows(tw_val rows, tw_val index, int64_t count)
{
    tw_draft d = {.op = TW_OP_scatter_add_rows, .count = 2, .args = (tw_val[]){rows, index}};
    d.shape = tw_shape_make(1, &count);
    return tw_graph_append(&d);
}
