/* tests/graph/array_cases.h - cases of op_cases.h for indexing, Fourier transforms and linear algebra. */
#ifndef TESTS_GRAPH_ARRAY_CASES_H
#define TESTS_GRAPH_ARRAY_CASES_H

#include "graph/support.h"

static tw_val add_input(tw_graph *g, test_case *c, tw_dtype dtype, tw_shape shape, double low, double high);

/* Windows about half as large, beginning before, within and beyond what fits. */
static bool window_op_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    tw_shape window = shape;
    for (int i = 0; i < shape.rank; i++) window.dim[i] = i == 0 && variant == 1 ? shape.dim[i] : (shape.dim[i] + 1) / 2;
    if (variant > 1 || (variant == 1 && shape.rank == 0)) return false;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    tw_val update = op == TW_OP_dynamic_slice ? TW_NONE : add_input(g, c, real, window, -2.0, 2.0);
    tw_val start = add_input(g, c, TW_DTYPE_I32, tw_shape_of(shape.rank), -2.0, 5.0);
    c->output =
        op == TW_OP_dynamic_slice ? tw_dynamic_slice(x, start, window) : tw_dynamic_update_slice(x, update, start);
    return true;
}

static bool along_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int axis, test_case *c)
{
    if (axis >= shape.rank || (op == TW_OP_take_along_axis && shape.dim[axis] == 0)) return false;
    tw_shape index = shape;
    if (op == TW_OP_take_along_axis) index.dim[axis] = 5;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    if (op == TW_OP_argsort) {
        c->output = axis ? tw_argsort(x, axis, true) : tw_argsort(x, axis, false);
        return true;
    }
    tw_val at = add_input(g, c, TW_DTYPE_I32, index, -2.0, (double)shape.dim[axis] + 2.0);
    c->output =
        op == TW_OP_take_along_axis ? tw_take_along_axis(x, at, axis) : tw_scatter_add_along_axis(x, at, axis, 4);
    return true;
}

static bool fft_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (shape.rank < 1 || variant > 2) return false;
    int axis = variant % shape.rank;
    tw_shape pairs = shape;
    pairs.dim[pairs.rank++] = 2;
    if (tw_shape_size(shape) == 0 && (op == TW_OP_fft || shape.dim[axis] == 0)) return false;
    if (op == TW_OP_rfft) {
        c->output = tw_rfft(add_input(g, c, real, shape, -2.0, 2.0), 1, &axis);
        return variant < shape.rank;
    }
    if (op == TW_OP_irfft) {
        pairs.dim[axis] = shape.dim[axis] / 2 + 1;
        c->output = tw_irfft(add_input(g, c, real, pairs, -2.0, 2.0), 1, &axis, shape.dim[axis]);
        return variant < shape.rank;
    }
    tw_val z = add_input(g, c, real, pairs, -1.0, 1.0);
    c->output = variant == 0 ? tw_fft(z, 0, NULL) : variant == 1 ? tw_ifft(z, 0, NULL) : tw_fft(z, 1, &axis);
    return true;
}

/* 0.3 B + 2 I, with the columns turned around when `turned`: far from singular. */
static tw_val matrix_input(tw_graph *g, test_case *c, tw_dtype real, tw_shape shape, bool turned)
{
    int64_t n = shape.dim[shape.rank - 1];
    tw_shape last = tw_shape_of(n, n), whole = shape;
    whole.dim[whole.rank++] = n;
    tw_val one = tw_cast(tw_eq(tw_iota(g, real, last, 0), tw_iota(g, real, last, 1)), real);
    if (turned) one = tw_reverse(one, 1);
    return tw_add(tw_muls(add_input(g, c, real, whole, -1.0, 1.0), 0.3), tw_muls(one, 2.0));
}

static bool linalg_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (shape.rank < 1 || shape.rank > 3) return false;
    int64_t n = shape.dim[shape.rank - 1];
    if (op == TW_OP_triangular_solve) {
        bool right = variant & 1;
        tw_shape b = shape;
        b.dim[b.rank++] = right ? n : 3;
        if (right) b.dim[b.rank - 2] = 3;
        tw_val a = matrix_input(g, c, real, shape, false);
        c->output =
            tw_triangular_solve(a, add_input(g, c, real, b, -1.0, 1.0), right, variant & 2, variant & 4, variant & 8);
        return true;
    }
    tw_val a = matrix_input(g, c, real, shape, op == TW_OP_lu), factors, order;
    if (op == TW_OP_cholesky) {
        c->output = tw_cholesky(a);
        return variant == 0;
    }
    tw_lu(a, &factors, &order);
    c->output = factors;
    return variant == 0;
}

static bool array_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c, bool *out_known)
{
    *out_known = true;
    switch (op) {
    case TW_OP_dynamic_slice:
    case TW_OP_dynamic_update_slice:
        return window_op_case(g, op, real, shape, variant, c);
    case TW_OP_take_along_axis:
    case TW_OP_scatter_add_along_axis:
    case TW_OP_argsort:
        return along_case(g, op, real, shape, variant, c);
    case TW_OP_fft:
    case TW_OP_rfft:
    case TW_OP_irfft:
        return fft_case(g, op, real, shape, variant, c);
    case TW_OP_cholesky:
    case TW_OP_lu:
    case TW_OP_triangular_solve:
        return linalg_case(g, op, real, shape, variant, c);
    default:
        *out_known = false;
        return false;
    }
}

#endif
