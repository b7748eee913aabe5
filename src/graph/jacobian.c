/* graph/jacobian.c - whole Jacobians, Hessians and Laplacians: one derivative along a stand-in, batched over the unit
 * vectors.
 *
 * The part of the function that does not depend on the stand-in is computed once, whatever the number of vectors.
 * Forward costs one tangent per input element, reverse one cotangent per output element. */
#include "graph/node.h"

tw_val tw_eye(tw_graph *g, tw_dtype dtype, int64_t n)
{
    tw_shape square = tw_shape_of(n, n);
    return tw_cast(tw_eq(tw_iota(g, TW_DTYPE_I32, square, 0), tw_iota(g, TW_DTYPE_I32, square, 1)), dtype);
}

tw_val tw_unit_vectors(tw_val x)
{
    if (x.id < 0) return x;
    int64_t rows = tw_dim(x, 0), n = tw_last_dim(x);
    return tw_broadcast_to(tw_expand_dim(tw_eye(x.graph, tw_dtype_at(x), n), 0), tw_shape_of(rows, n, n));
}

/* The unit vectors of an array: (n,shape...), n = size of the shape. */
static tw_val unit_arrays(tw_val x)
{
    tw_shape shape = tw_shape_at(x), many = {.rank = shape.rank + 1, .dim = {tw_shape_size(shape)}};
    if (many.rank > TW_MAX_RANK)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "jacobian: %s has too many axes", tw_shape_show(shape).text);
    for (int i = 0; i < shape.rank; i++) many.dim[i + 1] = shape.dim[i];
    return tw_reshape(tw_eye(x.graph, tw_dtype_at(x), tw_shape_size(shape)), many);
}

static tw_val stand_in(const char *name, tw_val x)
{
    return tw_input(x.graph, name, tw_dtype_at(x), tw_shape_at(x));
}

/* Both values are real and of one graph. */
static tw_status check_pair(const char *who, tw_val input, tw_val output, tw_graph **out_graph)
{
    tw_status status = tw_graph_of(who, 2, (tw_val[]){input, output}, out_graph);
    if (status != TW_OK) return status;
    if (tw_dtype_is_real(tw_dtype_at(input)) && tw_dtype_is_real(tw_dtype_at(output))) return TW_OK;
    return tw_fail((*out_graph)->ctx, TW_ERR_DTYPE, "%s: %s%s of %s%s: only f32 and f64 have derivatives", who,
                   tw_dtype_name(tw_dtype_at(output)), tw_shape_show(tw_shape_at(output)).text,
                   tw_dtype_name(tw_dtype_at(input)), tw_shape_show(tw_shape_at(input)).text);
}

/* The last axis becomes axis 1 (rows) or the first becomes the last. */
static tw_val columns_last(tw_val x, int from)
{
    int8_t permutation[TW_MAX_RANK] = {0};
    int rank = tw_shape_at(x).rank;
    for (int i = 0; i < rank && i < TW_MAX_RANK; i++)
        permutation[i] = (int8_t)(i < from ? i : i + 1 < rank ? i + 1 : from);
    return tw_transpose_axes(x, permutation);
}

tw_status tw_jacobian(tw_mode mode, tw_val input, tw_val output, tw_val *out_jacobian)
{
    tw_graph *g = NULL;
    tw_status status = check_pair("jacobian", input, output, &g);
    if (status != TW_OK) return status;
    tw_shape x = tw_shape_at(input), y = tw_shape_at(output), shape = {.rank = x.rank + y.rank};
    if (shape.rank > TW_MAX_RANK)
        return tw_fail(g->ctx, TW_ERR_SHAPE, "jacobian: %s by %s has more than %d axes", tw_shape_show(y).text,
                       tw_shape_show(x).text, TW_MAX_RANK);
    for (int i = 0; i < shape.rank; i++) shape.dim[i] = i < y.rank ? y.dim[i] : x.dim[i - y.rank];
    bool forward = mode == TW_MODE_FORWARD || (mode == TW_MODE_AUTO && tw_shape_size(x) <= tw_shape_size(y));
    tw_val slot = stand_in("slot", forward ? input : output), units = unit_arrays(slot), one = TW_NONE, all = TW_NONE;
    TW_TRY(tw_graph_check(g));
    if (forward) TW_TRY(tw_jvp(1, &input, &slot, 1, &output, &one));
    if (!forward) TW_TRY(tw_vjp(1, &input, 1, &output, &slot, &one));
    if (tw_is_none(one)) {
        all = tw_full(g, tw_dtype_at(output), shape, 0.0);
    } else {
        TW_TRY(tw_vmap(1, &slot, &units, 1, &one, &all));
        all = tw_reshape(forward ? columns_last(all, 0) : all, shape);
    }
    TW_TRY(tw_graph_check(g));
    *out_jacobian = all;
done:
    return status;
}

static tw_status check_rows(const char *who, tw_val input, tw_val output, int output_rank, tw_graph **out_graph)
{
    tw_status status = check_pair(who, input, output, out_graph);
    if (status != TW_OK) return status;
    tw_shape x = tw_shape_at(input), y = tw_shape_at(output);
    if (x.rank == 2 && y.rank == output_rank && x.dim[0] == y.dim[0]) return TW_OK;
    return tw_fail((*out_graph)->ctx, TW_ERR_SHAPE, "%s: %s of %s is not a function (R,D) -> %s", who,
                   tw_shape_show(y).text, tw_shape_show(x).text, output_rank == 1 ? "(R)" : "(R,E)");
}

tw_status tw_jacobian_rows(tw_mode mode, tw_val input, tw_val output, tw_val *out_jacobian)
{
    tw_graph *g = NULL;
    tw_status status = check_rows("jacobian_rows", input, output, 2, &g);
    if (status != TW_OK) return status;
    int64_t rows = tw_dim(input, 0), from = tw_dim(input, 1), to = tw_dim(output, 1);
    bool forward = mode == TW_MODE_FORWARD || (mode == TW_MODE_AUTO && from <= to);
    tw_val slot = stand_in("slot", forward ? input : output), units = tw_unit_vectors(slot), one = TW_NONE,
           all = TW_NONE;
    TW_TRY(tw_graph_check(g));
    if (forward) TW_TRY(tw_jvp(1, &input, &slot, 1, &output, &one));
    if (!forward) TW_TRY(tw_vjp(1, &input, 1, &output, &slot, &one));
    if (tw_is_none(one)) {
        all = tw_full(g, tw_dtype_at(output), tw_shape_of(rows, to, from), 0.0);
    } else {
        TW_TRY(tw_vmap_rows(1, &slot, &units, 1, &one, &all));
        if (forward) all = columns_last(all, 1);
    }
    TW_TRY(tw_graph_check(g));
    *out_jacobian = all;
done:
    return status;
}

tw_status tw_hessian(tw_val scalar, tw_val input, tw_val *out_hessian)
{
    tw_val gradient = TW_NONE;
    tw_status status = tw_grad(scalar, 1, &input, &gradient);
    return status == TW_OK ? tw_jacobian(TW_MODE_FORWARD, input, gradient, out_hessian) : status;
}

/* Gradients of all rows at once: rows do not see each other, so that of the sum has each row's. */
static tw_status row_gradients(tw_val scalars, tw_val input, tw_val *out_gradients)
{
    tw_val sum = tw_sum_all(scalars);
    tw_status status = tw_graph_check(input.graph);
    return status == TW_OK ? tw_grad(sum, 1, &input, out_gradients) : status;
}

tw_status tw_hessian_rows(tw_val scalars, tw_val input, tw_val *out_hessian)
{
    tw_graph *g = NULL;
    tw_val gradients = TW_NONE;
    tw_status status = check_rows("hessian_rows", input, scalars, 1, &g);
    if (status == TW_OK) status = row_gradients(scalars, input, &gradients);
    return status == TW_OK ? tw_jacobian_rows(TW_MODE_FORWARD, input, gradients, out_hessian) : status;
}

tw_status tw_laplacian(tw_mode mode, tw_val scalars, tw_val input, tw_val *out_laplacian)
{
    tw_graph *g = NULL;
    tw_val first = TW_NONE, second = TW_NONE, all = TW_NONE;
    tw_status status = check_rows("laplacian", input, scalars, 1, &g);
    if (status != TW_OK) return status;
    if (mode != TW_MODE_FORWARD) {
        TW_TRY(row_gradients(scalars, input, &first));
        return tw_divergence(input, first, NULL, out_laplacian);
    }
    tw_val slot = stand_in("slot", input), units = tw_unit_vectors(slot);
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_jvp(1, &input, &slot, 1, &scalars, &first));
    if (!tw_is_none(first)) TW_TRY(tw_jvp(1, &input, &slot, 1, &first, &second));
    if (tw_is_none(second)) {
        all = tw_zeros_like(scalars);
    } else {
        TW_TRY(tw_vmap_rows(1, &slot, &units, 1, &second, &all));
        all = tw_sum_axis(all, 1);
    }
    TW_TRY(tw_graph_check(g));
    *out_laplacian = all;
done:
    return status;
}
