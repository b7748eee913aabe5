/* graph/infer.c - what dtype and shape a node has, and whether its arguments fit.
 *
 * Each rule completes a draft. Ops whose shape is a choice (reshape, broadcast, slice, iota, ...) find it in the
 * draft and only check it, so a node can be inferred again from what it stores. */
#include "graph/rules.h"

#define NAME(d) (tw_op_table[(d)->op].name)
#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

static bool fail_dtype(const tw_draft *d, int arg, const char *expected)
{
    tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: argument %d is %s%s, which is not %s", NAME(d), arg + 1,
                  tw_dtype_name(tw_dtype_at(d->args[arg])), SHOW(d->args[arg]), expected);
    return false;
}

static bool check_shape(const tw_draft *d)
{
    if (tw_shape_is_valid(d->shape)) return true;
    if (d->shape.rank < 0 || d->shape.rank > TW_MAX_RANK)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: a result of more than %d axes", NAME(d), TW_MAX_RANK);
    else
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: a result of shape %s has a negative size or too many elements",
                      NAME(d), tw_shape_show(d->shape).text);
    return false;
}

static bool check_axis(const tw_draft *d, int axis, tw_shape shape)
{
    if (axis >= 0 && axis < shape.rank) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: axis %d is not one of %s", NAME(d), axis, tw_shape_show(shape).text);
    return false;
}

/* Arguments from `first` on have one shape and one dtype; the result takes both. */
static bool check_alike(tw_draft *d, int first)
{
    d->shape = tw_shape_at(d->args[first]);
    d->dtype = tw_dtype_at(d->args[first]);
    for (int i = first + 1; i < d->count; i++) {
        if (tw_dtype_at(d->args[i]) != d->dtype) {
            tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: %s%s and %s%s are of different number types", NAME(d),
                          tw_dtype_name(d->dtype), SHOW(d->args[first]), tw_dtype_name(tw_dtype_at(d->args[i])),
                          SHOW(d->args[i]));
            return false;
        }
        if (!tw_shape_equal(tw_shape_at(d->args[i]), d->shape)) {
            tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: shapes %s and %s differ", NAME(d), SHOW(d->args[first]),
                          SHOW(d->args[i]));
            return false;
        }
    }
    return true;
}

bool tw_infer_leaf(tw_draft *d)
{
    return check_shape(d);
}

/* Can be added and compared; bf16 is only kept and multiplied in products. */
static bool is_number(tw_dtype dtype)
{
    return dtype != TW_DTYPE_BOOL && dtype != TW_DTYPE_BF16;
}

bool tw_infer_iota(tw_draft *d)
{
    if (!check_shape(d) || !check_axis(d, d->attr.axis[0], d->shape)) return false;
    if (is_number(d->dtype)) return true;
    tw_graph_fail(d->graph, TW_ERR_DTYPE, "iota: %s cannot count", tw_dtype_name(d->dtype));
    return false;
}

bool tw_infer_random_bits(tw_draft *d)
{
    for (int i = 0; i < 2; i++) {
        tw_shape shape = tw_shape_at(d->args[i]);
        if (tw_dtype_at(d->args[i]) != TW_DTYPE_U32 || shape.rank != 1 || shape.dim[0] != 2)
            return fail_dtype(d, i, "u32(2)");
    }
    d->dtype = TW_DTYPE_U32;
    return check_shape(d);
}

bool tw_infer_from_bits(tw_draft *d)
{
    if (tw_dtype_at(d->args[0]) != TW_DTYPE_U32) return fail_dtype(d, 0, "u32");
    d->shape = tw_shape_at(d->args[0]);
    if (tw_dtype_is_real(d->dtype)) return true;
    tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: makes f32 or f64, not %s", NAME(d), tw_dtype_name(d->dtype));
    return false;
}

bool tw_infer_same(tw_draft *d)
{
    return check_alike(d, 0);
}

bool tw_infer_numeric(tw_draft *d)
{
    if (!check_alike(d, 0)) return false;
    return is_number(d->dtype) || fail_dtype(d, 0, d->dtype == TW_DTYPE_BF16 ? "f32 or f64 (cast it)" : "a number");
}

bool tw_infer_real(tw_draft *d)
{
    if (!check_alike(d, 0)) return false;
    return tw_dtype_is_real(d->dtype) || fail_dtype(d, 0, "f32 or f64");
}

bool tw_infer_is_finite(tw_draft *d)
{
    if (!tw_infer_real(d)) return false;
    d->dtype = TW_DTYPE_BOOL;
    return true;
}

bool tw_infer_bitwise(tw_draft *d)
{
    if (!check_alike(d, 0)) return false;
    return !tw_dtype_has_tangent(d->dtype) || fail_dtype(d, 0, "bool, i32 or u32");
}

bool tw_infer_compare(tw_draft *d)
{
    if (!check_alike(d, 0)) return false;
    if (d->dtype == TW_DTYPE_BF16) return fail_dtype(d, 0, "f32 or f64 (cast it)");
    d->dtype = TW_DTYPE_BOOL;
    return true;
}

bool tw_infer_select(tw_draft *d)
{
    if (!check_alike(d, 1)) return false;
    if (tw_dtype_at(d->args[0]) != TW_DTYPE_BOOL) return fail_dtype(d, 0, "bool");
    if (tw_shape_equal(tw_shape_at(d->args[0]), d->shape)) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "select: condition %s and values %s differ in shape", SHOW(d->args[0]),
                  SHOW(d->args[1]));
    return false;
}

bool tw_infer_cast(tw_draft *d)
{
    d->shape = tw_shape_at(d->args[0]);
    return true;
}

bool tw_infer_bitcast(tw_draft *d)
{
    d->shape = tw_shape_at(d->args[0]);
    if (tw_dtype_size(tw_dtype_at(d->args[0])) != 4) return fail_dtype(d, 0, "f32, i32 or u32");
    if (tw_dtype_size(d->dtype) == 4) return true;
    tw_graph_fail(d->graph, TW_ERR_DTYPE, "bitcast: makes f32, i32 or u32, not %s", tw_dtype_name(d->dtype));
    return false;
}

/* --- shape --- */

bool tw_infer_reshape(tw_draft *d)
{
    d->dtype = tw_dtype_at(d->args[0]);
    if (!check_shape(d)) return false;
    tw_shape from = tw_shape_at(d->args[0]);
    if (tw_shape_size(from) == tw_shape_size(d->shape)) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "reshape: %s has %lld elements, %s has %lld", tw_shape_show(from).text,
                  (long long)tw_shape_size(from), tw_shape_show(d->shape).text, (long long)tw_shape_size(d->shape));
    return false;
}

bool tw_infer_transpose(tw_draft *d)
{
    tw_shape from = tw_shape_at(d->args[0]);
    unsigned seen = 0;
    d->dtype = tw_dtype_at(d->args[0]);
    d->shape.rank = from.rank;
    for (int i = 0; i < from.rank; i++) {
        int axis = d->attr.axis[i];
        if (!check_axis(d, axis, from)) return false;
        if (seen & 1u << axis) {
            tw_graph_fail(d->graph, TW_ERR_SHAPE, "transpose: axis %d of %s is named twice", axis,
                          tw_shape_show(from).text);
            return false;
        }
        seen |= 1u << axis;
        d->shape.dim[i] = from.dim[axis];
    }
    return true;
}

bool tw_infer_broadcast(tw_draft *d)
{
    tw_shape from = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (!check_shape(d)) return false;
    bool fits = from.rank == d->shape.rank;
    for (int i = 0; fits && i < from.rank; i++) fits = from.dim[i] == d->shape.dim[i] || from.dim[i] == 1;
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "broadcast: %s does not stretch to %s", tw_shape_show(from).text,
                      tw_shape_show(d->shape).text);
    return fits;
}

bool tw_infer_slice(tw_draft *d)
{
    tw_shape from = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (!check_shape(d)) return false;
    bool fits = from.rank == d->shape.rank;
    for (int i = 0; fits && i < from.rank; i++) {
        int64_t begin = d->attr.begin[i], stride = d->attr.stride[i], size = d->shape.dim[i];
        fits = stride >= 1 && begin >= 0 && begin <= from.dim[i];
        if (fits && size > 0) fits = (from.dim[i] - 1 - begin) / stride >= size - 1 && begin < from.dim[i];
    }
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "slice: %s from %s at %s in steps of %s leaves it",
                      tw_shape_show(d->shape).text, tw_shape_show(from).text,
                      tw_shape_show(tw_shape_make(from.rank, d->attr.begin)).text,
                      tw_shape_show(tw_shape_make(from.rank, d->attr.stride)).text);
    return fits;
}

/* Padding is bounded so that sums of three terms cannot overflow. */
bool tw_infer_pad(tw_draft *d)
{
    const int64_t most = INT64_MAX / 64;
    tw_shape from = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    d->shape.rank = from.rank;
    for (int i = 0; i < from.rank; i++) {
        int64_t low = d->attr.begin[i], high = d->attr.end[i], inside = d->attr.stride[i], size = from.dim[i];
        bool fits = inside >= 0 && low > -most && low < most && high > -most && high < most;
        int64_t gaps = 0;
        if (fits && size > 1) fits = !__builtin_mul_overflow(size - 1, inside, &gaps) && gaps < most;
        d->shape.dim[i] = fits ? size + gaps + low + high : -1;
        if (d->shape.dim[i] >= 0) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "pad: axis %d of %s cannot take %lld below, %lld above, %lld between", i,
                      tw_shape_show(from).text, (long long)low, (long long)high, (long long)inside);
        return false;
    }
    return check_shape(d);
}

bool tw_infer_axis(tw_draft *d)
{
    return check_alike(d, 0) && check_axis(d, d->attr.axis[0], d->shape);
}

bool tw_infer_cumsum(tw_draft *d)
{
    return tw_infer_numeric(d) && check_axis(d, d->attr.axis[0], d->shape);
}

bool tw_infer_concat(tw_draft *d)
{
    if (d->count < 1) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "concat: no parts");
        return false;
    }
    tw_shape first = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    if (!check_axis(d, axis, first)) return false;
    d->dtype = tw_dtype_at(d->args[0]);
    d->shape = first;
    for (int i = 1; i < d->count; i++) {
        tw_shape part = tw_shape_at(d->args[i]);
        bool fits = part.rank == first.rank;
        for (int k = 0; fits && k < first.rank; k++) fits = k == axis || part.dim[k] == first.dim[k];
        if (!fits || tw_dtype_at(d->args[i]) != d->dtype) {
            tw_graph_fail(d->graph, fits ? TW_ERR_DTYPE : TW_ERR_SHAPE,
                          "concat: %s%s and %s%s cannot be joined along axis %d", tw_dtype_name(d->dtype),
                          tw_shape_show(first).text, tw_dtype_name(tw_dtype_at(d->args[i])), tw_shape_show(part).text,
                          axis);
            return false;
        }
        d->shape.dim[axis] += part.dim[axis];
        if (!check_shape(d)) return false;
    }
    return true;
}

/* --- reductions --- */

static bool drop_axes(tw_draft *d, tw_shape from, uint32_t mask)
{
    if (mask >> from.rank) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: an axis is not one of %s", NAME(d), tw_shape_show(from).text);
        return false;
    }
    d->shape = TW_SCALAR;
    for (int i = 0; i < from.rank; i++)
        if (!(mask & 1u << i)) d->shape.dim[d->shape.rank++] = from.dim[i];
    return true;
}

bool tw_infer_sum(tw_draft *d)
{
    return tw_infer_numeric(d) && drop_axes(d, d->shape, d->attr.axis_mask);
}

static bool check_not_empty(const tw_draft *d, tw_shape from, uint32_t mask)
{
    for (int i = 0; i < from.rank; i++) {
        if (!(mask & 1u << i) || from.dim[i] > 0) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: axis %d of %s is empty", NAME(d), i, tw_shape_show(from).text);
        return false;
    }
    return true;
}

bool tw_infer_reduce_max(tw_draft *d)
{
    if (!tw_infer_numeric(d)) return false;
    tw_shape from = d->shape;
    return drop_axes(d, from, d->attr.axis_mask) && check_not_empty(d, from, d->attr.axis_mask);
}

bool tw_infer_argmax(tw_draft *d)
{
    if (!tw_infer_numeric(d) || !check_axis(d, d->attr.axis[0], d->shape)) return false;
    tw_shape from = d->shape;
    uint32_t mask = 1u << d->attr.axis[0];
    d->dtype = TW_DTYPE_I32;
    return check_not_empty(d, from, mask) && drop_axes(d, from, mask);
}

/* --- contraction, indexing --- */

/* The axes of one argument are distinct and its own; they are marked in *out_used. */
static bool check_dot_axes(const tw_draft *d, int count, const int8_t *axes, tw_shape shape, uint32_t *out_used)
{
    *out_used = 0;
    for (int i = 0; i < count; i++) {
        if (!check_axis(d, axes[i], shape)) return false;
        if (*out_used & 1u << axes[i]) {
            tw_graph_fail(d->graph, TW_ERR_SHAPE, "dot_general: axis %d of %s is named twice", axes[i],
                          tw_shape_show(shape).text);
            return false;
        }
        *out_used |= 1u << axes[i];
    }
    return true;
}

static bool push_dim(const tw_draft *d, tw_shape *shape, int64_t dim)
{
    if (shape->rank < TW_MAX_RANK) {
        shape->dim[shape->rank++] = dim;
        return true;
    }
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "dot_general: %s and %s make a result of more than %d axes", SHOW(d->args[0]),
                  SHOW(d->args[1]), TW_MAX_RANK);
    return false;
}

bool tw_infer_dot_general(tw_draft *d)
{
    tw_shape a = tw_shape_at(d->args[0]), b = tw_shape_at(d->args[1]), shape = TW_SCALAR;
    const int8_t *axis_a = d->attr.axis, *axis_b = d->attr.axis_b;
    int batches = d->attr.batch_count, used = batches + d->attr.contract_count;
    uint32_t used_a, used_b;
    d->dtype = tw_dtype_at(d->args[0]);
    if (!tw_dtype_has_tangent(d->dtype)) return fail_dtype(d, 0, "f32, f64 or bf16");
    if (tw_dtype_at(d->args[1]) != d->dtype) return fail_dtype(d, 1, tw_dtype_name(d->dtype));
    d->dtype = tw_dtype_tangent(d->dtype); /* two bf16 add up in f32 */
    if (!check_dot_axes(d, used, axis_a, a, &used_a) || !check_dot_axes(d, used, axis_b, b, &used_b)) return false;
    for (int i = 0; i < used; i++) {
        int64_t m = a.dim[axis_a[i]], n = b.dim[axis_b[i]];
        if (m != n) {
            tw_graph_fail(d->graph, TW_ERR_SHAPE, "dot_general: %s does not fit %s: %s sizes %lld and %lld differ",
                          tw_shape_show(a).text, tw_shape_show(b).text, i < batches ? "batch" : "inner", (long long)m,
                          (long long)n);
            return false;
        }
        if (i < batches && !push_dim(d, &shape, m)) return false;
    }
    for (int i = 0; i < a.rank; i++)
        if (!(used_a & 1u << i) && !push_dim(d, &shape, a.dim[i])) return false;
    for (int i = 0; i < b.rank; i++)
        if (!(used_b & 1u << i) && !push_dim(d, &shape, b.dim[i])) return false;
    d->shape = shape;
    return check_shape(d);
}

/* The index is a list of whole numbers; returns its length, or -1. */
static int64_t check_index(const tw_draft *d)
{
    tw_shape index = tw_shape_at(d->args[1]);
    tw_dtype dtype = tw_dtype_at(d->args[1]);
    if ((dtype == TW_DTYPE_I32 || dtype == TW_DTYPE_U32) && index.rank == 1) return index.dim[0];
    fail_dtype(d, 1, "a list of i32 or u32");
    return -1;
}

bool tw_infer_take_rows(tw_draft *d)
{
    int64_t count = check_index(d);
    if (count < 0) return false;
    d->shape = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (d->shape.rank < 1 || (d->shape.dim[0] == 0 && count > 0)) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "take_rows: the table %s has no rows", SHOW(d->args[0]));
        return false;
    }
    d->shape.dim[0] = count;
    return check_shape(d);
}

bool tw_infer_scatter_add_rows(tw_draft *d)
{
    int64_t count = check_index(d);
    if (count < 0) return false;
    tw_shape rows = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (d->dtype == TW_DTYPE_BOOL) return fail_dtype(d, 0, "a number");
    int64_t target = d->shape.rank > 0 ? d->shape.dim[0] : -1;
    if (rows.rank < 1 || rows.dim[0] != count || target < 0 || (target == 0 && count > 0)) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "scatter_add_rows: %s with an index %s into %lld rows does not fit",
                      tw_shape_show(rows).text, SHOW(d->args[1]), (long long)target);
        return false;
    }
    d->shape = rows;
    d->shape.dim[0] = target;
    return check_shape(d);
}
