/* space/spd_graph.c - see spd.h: on a graph. Functions of matrices are custom calls, row by row what the host does;
 * their derivatives are linear, and their own transposes as divided differences are symmetric. */
#include "space/spd.h"

#include "graph/node.h"

/* --- numbers and matrices ------------------------------------------------------------------------------------------
 */

static const double root_half = 0.70710678118654752440;

/* Columns of x (B,n) by number, times their factors: (B,count). */
static tw_val pick(tw_val x, int count, const int32_t *column, const double *factor)
{
    tw_val index = tw_const_data(x.graph, TW_DTYPE_I32, tw_shape_of(1, count), column);
    tw_val scale = tw_const_data(x.graph, TW_DTYPE_F64, tw_shape_of(1, count), factor);
    tw_val picked = tw_take_along_axis(x, index, 1);
    return tw_mul(picked, tw_broadcast_to(tw_cast(scale, tw_dtype_at(x)), tw_shape_at(picked)));
}

static tw_val unfold(tw_val x)
{
    int32_t column[TW_SPD_MOST * TW_SPD_MOST];
    double factor[TW_SPD_MOST * TW_SPD_MOST];
    int side = tw_spd_side((int)tw_last_dim(x));
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            column[i * side + j] = i > j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i;
            factor[i * side + j] = i == j ? 1 : root_half;
        }
    return tw_reshape(pick(x, side * side, column, factor), tw_shape_of(tw_dim(x, 0), side, side));
}

/* Of both triangles. */
static tw_val fold(tw_val a, int n)
{
    int32_t lower[TW_SPD_NUMBERS], upper[TW_SPD_NUMBERS];
    double factor[TW_SPD_NUMBERS];
    int side = (int)tw_last_dim(a);
    if (tw_is_none(a)) return a;
    for (int i = 0, at = 0; i < side; i++)
        for (int j = 0; j <= i; j++, at++) {
            lower[at] = i * side + j;
            upper[at] = j * side + i;
            factor[at] = i == j ? 0.5 : root_half;
        }
    tw_val flat = tw_reshape(a, tw_shape_of(tw_dim(a, 0), side * side));
    return tw_add(pick(flat, n, lower, factor), pick(flat, n, upper, factor));
}

tw_val tw_spd_whiten_rows(tw_val x, tw_val v)
{
    if (tw_is_none(x) || tw_is_none(v)) return TW_NONE;
    tw_val l = tw_cholesky(unfold(x)), half = tw_triangular_solve(l, unfold(v), false, false, false, false);
    return fold(tw_triangular_solve(l, half, true, false, true, false), (int)tw_last_dim(x));
}

static tw_val similar(tw_val a, tw_val b)
{
    return tw_matmul(tw_matmul(a, b), tw_transpose(a, (int[]){0, 2, 1}));
}

tw_val tw_spd_colour_rows(tw_val x, tw_val v)
{
    if (tw_is_none(x) || tw_is_none(v)) return TW_NONE;
    return fold(similar(tw_cholesky(unfold(x)), unfold(v)), (int)tw_last_dim(x));
}

static tw_val join(tw_val whole, tw_val part)
{
    return tw_is_none(whole) ? part : tw_concat2(1, whole, part);
}

/* By what is not negative, picked so that the derivative at 0 is 1. */
static tw_val asinh_of(tw_val z)
{
    tw_val up = tw_ge(z, tw_zeros_like(z)), size = tw_select(up, z, tw_neg(z));
    tw_val far = tw_log(tw_add(size, tw_sqrt(tw_adds(tw_square(z), 1))));
    return tw_select(up, far, tw_neg(far));
}

tw_val tw_spd_root_rows(tw_val x)
{
    if (tw_is_none(x)) return x;
    int n = (int)tw_last_dim(x), side = tw_spd_side(n);
    tw_val l = tw_cholesky(unfold(x)), out = TW_NONE;
    for (int i = 0; i < side; i++) {
        tw_val row = tw_reshape(tw_slice(l, 1, i, i + 1), tw_shape_of(tw_dim(x, 0), side)),
               end = tw_slice(row, 1, i, i + 1);
        if (i > 0) out = join(out, asinh_of(tw_div(tw_slice(row, 1, 0, i), end)));
        out = join(out, tw_log(end));
    }
    return out;
}

tw_val tw_spd_between_rows(tw_val a, tw_val v)
{
    if (tw_is_none(a) || tw_is_none(v)) return TW_NONE;
    return fold(similar(unfold(a), unfold(v)), (int)tw_last_dim(a));
}

tw_val tw_spd_identity_rows(tw_val like)
{
    double one[TW_SPD_NUMBERS];
    if (tw_is_none(like)) return like;
    tw_spd_identity((int)tw_last_dim(like), one);
    tw_val row = tw_const_data(like.graph, TW_DTYPE_F64, tw_shape_of(1, tw_last_dim(like)), one);
    return tw_broadcast_to(tw_cast(row, tw_dtype_at(like)), tw_shape_at(like));
}

tw_val tw_spd_trace_rows(tw_val a)
{
    return tw_sum_axis(tw_mul(a, tw_spd_identity_rows(a)), 1);
}

/* --- functions of matrices ------------------------------------------------------------------------------------------
 */

/* Argument 0, or the last where there are two, and the result: (B,n). */
static bool infer(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    for (int i = 0; i < args_count; i++)
        if (args[i].shape.rank != 2 || args[i].dtype != args[0].dtype || args[i].shape.dim[1] > TW_SPD_NUMBERS ||
            args[i].shape.dim[1] != args[0].shape.dim[1] || args[i].shape.dim[0] != args[0].shape.dim[0])
            return false;
    results[0] = args[0];
    return true;
}

static void read_row(const tw_array *a, int64_t row, double *out)
{
    int64_t n = a->shape.dim[1];
    for (int64_t i = 0; i < n; i++)
        out[i] = a->dtype == TW_DTYPE_F64 ? ((const double *)a->data)[row * n + i]
                                          : (double)((const float *)a->data)[row * n + i];
}

static void evaluate(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    const tw_spd_function *f = user;
    int n = (int)args[0].shape.dim[1];
    double a[TW_SPD_NUMBERS], d[TW_SPD_NUMBERS];
    for (int64_t row = 0; row < args[0].shape.dim[0]; row++) {
        read_row(&args[0], row, a);
        if (args_count == 1) {
            tw_spd_map(*f, n, a, d);
        } else {
            read_row(&args[1], row, d);
            tw_spd_along(*f, n, a, d, d);
        }
        for (int64_t i = 0; i < n; i++)
            if (results[0].dtype == TW_DTYPE_F64)
                ((double *)results[0].data)[row * n + i] = d[i];
            else
                ((float *)results[0].data)[row * n + i] = (float)d[i];
    }
}

static void jvp(void *user, tw_graph *g, int args_count, const tw_val *args, const tw_val *results,
                const tw_val *tangents, tw_val *out_tangents);
static void transpose(void *user, tw_graph *g, int args_count, const tw_val *args, const bool *wanted,
                      const tw_val *cotangents, tw_val *out_cotangents);

static const tw_spd_function functions[] = {TW_SPD_EXPM1, TW_SPD_LOG1P};
#define CUSTOM(f, called, derivative, adjoint)                                                                         \
    {                                                                                                                  \
        .name = (called), .user = (void *)&functions[f], .results_count = 1, .infer = infer, .evaluate = evaluate,     \
        .jvp = (derivative), .transpose = (adjoint), .by_rows = true                                                   \
    }
static const tw_custom maps[] = {CUSTOM(TW_SPD_EXPM1, "spd_expm1", jvp, NULL),
                                 CUSTOM(TW_SPD_LOG1P, "spd_log1p", jvp, NULL)};
static const tw_custom alongs[] = {CUSTOM(TW_SPD_EXPM1, "spd_expm1_along", NULL, transpose),
                                   CUSTOM(TW_SPD_LOG1P, "spd_log1p_along", NULL, transpose)};

static void jvp(void *user, tw_graph *g, int args_count, const tw_val *args, const tw_val *results,
                const tw_val *tangents, tw_val *out_tangents)
{
    const tw_spd_function *f = user;
    (void)args_count, (void)results;
    out_tangents[0] = TW_NONE;
    if (!tw_is_none(tangents[0])) tw_custom_call(g, &alongs[*f], 2, (tw_val[]){args[0], tangents[0]}, out_tangents);
}

static void transpose(void *user, tw_graph *g, int args_count, const tw_val *args, const bool *wanted,
                      const tw_val *cotangents, tw_val *out_cotangents)
{
    const tw_spd_function *f = user;
    (void)args_count;
    out_cotangents[0] = out_cotangents[1] = TW_NONE;
    if (wanted[1] && !tw_is_none(cotangents[0]))
        tw_custom_call(g, &alongs[*f], 2, (tw_val[]){args[0], cotangents[0]}, &out_cotangents[1]);
}

tw_val tw_spd_map_rows(tw_spd_function f, tw_val a)
{
    tw_val out = TW_NONE;
    if (!tw_is_none(a)) tw_custom_call(a.graph, &maps[f], 1, &a, &out);
    return out;
}
