/* graph/indexing.c - elements chosen by values: windows that start where a value says, gathers along one axis, and the
 * order of elements. Builders, inference, derivatives, reference.
 *
 * All are linear in the data and have each other as transposes: dynamic_slice and dynamic_update_slice, take_along_axis
 * and scatter_add_along_axis. Sorting is taking along an axis by argsort, so its derivative is that of the taking. */
#include "graph/rules.h"

#include <math.h>

#define NAME(d) (tw_op_table[(d)->op].name)
#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

static const tw_attr *attr_of(tw_val node)
{
    return tw_node_attr(node.graph, tw_node_at(node));
}

/* --- builders --- */

tw_val tw_dynamic_slice(tw_val x, tw_val start, tw_shape shape)
{
    tw_draft d = {.op = TW_OP_dynamic_slice, .count = 2, .args = (tw_val[]){x, start}, .shape = shape};
    return tw_graph_append(&d);
}

tw_val tw_dynamic_update_slice(tw_val x, tw_val update, tw_val start)
{
    tw_draft d = {.op = TW_OP_dynamic_update_slice, .count = 3, .args = (tw_val[]){x, update, start}};
    return tw_graph_append(&d);
}

/* The axis counted from the front, or -1 and a failed graph. */
static int axis_of(const char *who, tw_val x, int axis)
{
    int rank = tw_shape_at(x).rank, at = axis < 0 ? axis + rank : axis;
    if (at >= 0 && at < rank) return at;
    tw_graph_fail(x.graph, TW_ERR_SHAPE, "%s: axis %d is not one of %s", who, axis, SHOW(x));
    return -1;
}

/* An index that is 1 where the data is not (or the other way) is stretched, except along the axis. */
static bool meet(const char *who, tw_val *x, tw_val *index, int axis)
{
    tw_shape a = tw_shape_at(*x), b = tw_shape_at(*index);
    bool fits = a.rank == b.rank;
    for (int i = 0; fits && i < a.rank; i++) {
        if (i == axis || a.dim[i] == b.dim[i]) continue;
        fits = a.dim[i] == 1 || b.dim[i] == 1;
        if (a.dim[i] == 1) a.dim[i] = b.dim[i];
        b.dim[i] = a.dim[i];
    }
    if (fits) {
        *x = tw_broadcast_to(*x, a);
        *index = tw_broadcast_to(*index, b);
    } else {
        tw_graph_fail(x->graph, TW_ERR_SHAPE, "%s: index %s does not fit %s beside axis %d", who, SHOW(*index),
                      SHOW(*x), axis);
    }
    return fits;
}

tw_val tw_take_along_axis(tw_val x, tw_val index, int axis)
{
    tw_draft d = {.op = TW_OP_take_along_axis, .count = 2, .args = (tw_val[]){x, index}};
    if (x.id < 0 || index.id < 0) return tw_graph_append(&d);
    int at = axis_of("take_along_axis", x, axis);
    if (at < 0 || !meet("take_along_axis", &x, &index, at)) return tw_val_of(x.graph, -1);
    d.args = (tw_val[]){x, index};
    d.attr.axis[0] = (int8_t)at;
    return tw_graph_append(&d);
}

tw_val tw_scatter_add_along_axis(tw_val x, tw_val index, int axis, int64_t count)
{
    tw_draft d = {.op = TW_OP_scatter_add_along_axis, .count = 2, .args = (tw_val[]){x, index}};
    if (x.id < 0 || index.id < 0) return tw_graph_append(&d);
    int at = axis_of("scatter_add_along_axis", x, axis);
    if (at < 0 || !meet("scatter_add_along_axis", &x, &index, at)) return tw_val_of(x.graph, -1);
    d.args = (tw_val[]){x, index};
    d.attr.axis[0] = (int8_t)at;
    d.shape = tw_shape_at(x);
    d.shape.dim[at] = count;
    return tw_graph_append(&d);
}

static tw_val order(const char *who, tw_val x, int axis, int64_t count, bool falling)
{
    if (x.id < 0) return x;
    int at = axis_of(who, x, axis);
    if (at < 0) return tw_val_of(x.graph, -1);
    tw_shape shape = tw_shape_at(x);
    if (count > shape.dim[at] || count < -1)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "%s: axis %d of %s does not have %lld elements", who, axis, SHOW(x),
                             (long long)count);
    if (count >= 0) shape.dim[at] = count;
    tw_draft d = {.op = TW_OP_argsort, .count = 1, .args = &x, .shape = shape};
    d.attr.axis[0] = (int8_t)at;
    d.attr.number = falling;
    return tw_graph_append(&d);
}

tw_val tw_argsort(tw_val x, int axis, bool falling)
{
    return order("argsort", x, axis, -1, falling);
}

tw_val tw_sort(tw_val x, int axis, bool falling)
{
    return tw_take_along_axis(x, order("sort", x, axis, -1, falling), axis);
}

void tw_top_k(tw_val x, int axis, int64_t k, tw_val *out_values, tw_val *out_index)
{
    tw_val index = order("top_k", x, axis, k < 0 ? INT64_MAX : k, true);
    *out_index = index;
    *out_values = tw_take_along_axis(x, index, axis);
}

/* --- inference --- */

static bool fail(const tw_draft *d, int arg, const char *expected)
{
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: argument %d is %s%s, which is not %s", NAME(d), arg + 1,
                  tw_dtype_name(tw_dtype_at(d->args[arg])), SHOW(d->args[arg]), expected);
    return false;
}

/* One start for each axis, and a window that fits. */
static bool check_window(const tw_draft *d, int start, tw_shape whole, tw_shape window)
{
    tw_shape shape = tw_shape_at(d->args[start]);
    if (tw_dtype_at(d->args[start]) != TW_DTYPE_I32 || shape.rank != 1 || shape.dim[0] != whole.rank)
        return fail(d, start, "i32 with one start for each axis");
    bool fits = window.rank == whole.rank;
    for (int i = 0; fits && i < whole.rank; i++) fits = window.dim[i] >= 0 && window.dim[i] <= whole.dim[i];
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: a window of %s does not fit into %s", NAME(d),
                      tw_shape_show(window).text, tw_shape_show(whole).text);
    return fits;
}

bool tw_infer_dynamic_slice(tw_draft *d)
{
    d->dtype = tw_dtype_at(d->args[0]);
    return check_window(d, 1, tw_shape_at(d->args[0]), d->shape);
}

bool tw_infer_dynamic_update_slice(tw_draft *d)
{
    d->shape = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (tw_dtype_at(d->args[1]) != d->dtype) return fail(d, 1, tw_dtype_name(d->dtype));
    return check_window(d, 2, d->shape, tw_shape_at(d->args[1]));
}

/* Data and index have one shape but for the axis, where the index has `lines` and the data any number. */
static bool check_along(tw_draft *d, bool same_along)
{
    tw_shape x = tw_shape_at(d->args[0]), index = tw_shape_at(d->args[1]);
    tw_dtype dtype = tw_dtype_at(d->args[1]);
    int axis = d->attr.axis[0];
    if (dtype != TW_DTYPE_I32 && dtype != TW_DTYPE_U32) return fail(d, 1, "i32 or u32");
    bool fits = x.rank == index.rank && axis >= 0 && axis < x.rank;
    for (int i = 0; fits && i < x.rank; i++) fits = (i == axis && !same_along) || x.dim[i] == index.dim[i];
    return fits || fail(d, 1, "an index of the shape of the data beside the axis");
}

bool tw_infer_take_along_axis(tw_draft *d)
{
    if (!check_along(d, false)) return false;
    d->dtype = tw_dtype_at(d->args[0]);
    d->shape = tw_shape_at(d->args[1]);
    bool empty = tw_dim(d->args[0], d->attr.axis[0]) == 0 && tw_shape_size(d->shape) > 0;
    return !empty || fail(d, 0, "data with elements along the axis");
}

bool tw_infer_scatter_add_along_axis(tw_draft *d)
{
    if (!check_along(d, true)) return false;
    d->dtype = tw_dtype_at(d->args[0]);
    if (d->dtype == TW_DTYPE_BOOL) return fail(d, 0, "a number");
    tw_shape shape = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    int64_t count = d->shape.rank == shape.rank ? d->shape.dim[axis] : -1;
    if (count < 0 || (count == 0 && tw_shape_size(shape) > 0)) return fail(d, 0, "to be added to so few elements");
    shape.dim[axis] = count;
    d->shape = shape;
    if (tw_shape_is_valid(shape)) return true;
    return fail(d, 0, "to be added to so many elements");
}

bool tw_infer_argsort(tw_draft *d)
{
    tw_shape x = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    d->dtype = TW_DTYPE_I32;
    bool fits = axis >= 0 && axis < x.rank && d->shape.rank == x.rank && d->attr.number < 2;
    for (int i = 0; fits && i < x.rank; i++)
        fits = i == axis ? d->shape.dim[i] >= 0 && d->shape.dim[i] <= x.dim[i] : d->shape.dim[i] == x.dim[i];
    if (!fits) return fail(d, 0, "of the shape of the result beside the axis, rising (0) or falling (1)");
    return x.dim[axis] <= INT32_MAX || fail(d, 0, "short enough to be counted by i32");
}

/* --- derivatives --- */

tw_val tw_jvp_dynamic_update_slice(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_val whole = t[0].id >= 0 ? t[0] : tw_zeros_like(x[0]), part = t[1].id >= 0 ? t[1] : tw_zeros_like(x[1]);
    return tw_graph_remake(y, (tw_val[]){whole, part, x[2]});
}

void tw_transpose_dynamic_slice(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    if (wanted[0]) out[0] = tw_dynamic_update_slice(tw_zeros_like(x[0]), ct, x[1]);
}

void tw_transpose_dynamic_update_slice(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    if (wanted[0]) out[0] = tw_dynamic_update_slice(ct, tw_zeros_like(x[1]), x[2]);
    if (wanted[1]) out[1] = tw_dynamic_slice(ct, x[2], tw_shape_at(x[1]));
}

void tw_transpose_take_along_axis(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int axis = attr_of(node)->axis[0];
    if (wanted[0]) out[0] = tw_scatter_add_along_axis(ct, x[1], axis, tw_dim(x[0], axis));
}

void tw_transpose_scatter_add_along_axis(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    if (wanted[0]) out[0] = tw_take_along_axis(ct, x[1], attr_of(node)->axis[0]);
}

static int64_t clamp(double at, int64_t last)
{
    return at < 0.0 ? 0 : at > (double)last ? last : (int64_t)at;
}

static tw_shape arg_shape(const tw_graph *g, const tw_node *n, int k)
{
    return tw_node_of(g, tw_node_args(g, n)[k])->shape;
}

void tw_eval_dynamic_slice(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape whole = arg_shape(g, n, 0);
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        for (int k = 0; k < whole.rank; k++) index[k] += clamp(a[1][k], whole.dim[k] - n->shape.dim[k]);
        out[i] = a[0][tw_shape_ravel(whole, index)];
    }
}

void tw_eval_dynamic_update_slice(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape window = arg_shape(g, n, 1);
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) out[i] = a[0][i];
    for (int64_t i = 0, size = tw_shape_size(window); i < size; i++) {
        tw_shape_unravel(window, i, index);
        for (int k = 0; k < window.rank; k++) index[k] += clamp(a[2][k], n->shape.dim[k] - window.dim[k]);
        out[tw_shape_ravel(n->shape, index)] = a[1][i];
    }
}

void tw_eval_take_along_axis(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        index[axis] = clamp(a[1][i], from.dim[axis] - 1);
        out[i] = a[0][tw_shape_ravel(from, index)];
    }
}

void tw_eval_scatter_add_along_axis(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) out[i] = 0.0;
    for (int64_t i = 0, size = tw_shape_size(from); i < size; i++) {
        tw_shape_unravel(from, i, index);
        index[axis] = clamp(a[1][i], n->shape.dim[axis] - 1);
        double *to = &out[tw_shape_ravel(n->shape, index)];
        *to = tw_wrap((tw_dtype)n->dtype, *to + a[0][i]);
    }
}

/* True when b may not stand before a: NaN is the largest, falling order the other way round. */
static bool goes_before(double a, double b, bool falling)
{
    if (isnan(a) || isnan(b)) return falling ? isnan(a) && !isnan(b) : isnan(b) && !isnan(a);
    return falling ? a > b : a < b;
}

/* The place of each element is the number of those before it. */
void tw_eval_argsort(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    const tw_attr *attr = tw_node_attr(g, n);
    int axis = attr->axis[0];
    bool falling = attr->number != 0;
    int64_t index[TW_MAX_RANK], length = from.dim[axis], step = 1;
    for (int k = axis + 1; k < from.rank; k++) step *= from.dim[k];
    for (int64_t i = 0, size = tw_shape_size(from); i < size; i++) {
        tw_shape_unravel(from, i, index);
        const double *line = a[0] + i - index[axis] * step;
        int64_t own = index[axis], place = 0;
        for (int64_t k = 0; k < length; k++) {
            double x = line[k * step], y = line[own * step];
            place += goes_before(x, y, falling) || (k < own && !goes_before(y, x, falling));
        }
        index[axis] = place;
        if (place < n->shape.dim[axis]) out[tw_shape_ravel(n->shape, index)] = (double)own;
    }
}
