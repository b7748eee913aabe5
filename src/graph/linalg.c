/* graph/linalg.c - dense linear algebra of matrices in the last two axes, batched over the others: Cholesky and LU
 * factorisation, triangular solves and what is made of them. Builders, inference, derivatives.
 *
 * Derivatives are triangular solves again, so every order exists: for Cholesky dL = L Phi(L^-1 dA L^-T) (I. Murray,
 * Differentiation of the Cholesky decomposition, 2016), for LU dL = L low(M), dU = up(M) U with M = L^-1 P dA U^-1, for
 * solves op(A) dX = dB - op(dA) X (M. Giles, Collected matrix derivative results, 2008). */
#include "graph/rules.h"

#include "graph/linalg.h"

#define NAME(d) (tw_op_table[(d)->op].name)
#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

/* --- building blocks --- */

/* op(a) op(b) of the last two axes, all others batch axes. */
static tw_val product(tw_val a, bool ta, tw_val b, bool tb)
{
    if (a.id < 0 || b.id < 0) return a.id < 0 ? a : b;
    int rank = tw_shape_at(a).rank, axes[TW_MAX_RANK];
    for (int i = 0; i < rank; i++) axes[i] = i;
    int inner_a = ta ? rank - 2 : rank - 1, inner_b = tb ? rank - 1 : rank - 2;
    return tw_dot_general(a, b, rank - 2, axes, axes, 1, &inner_a, &inner_b);
}

static tw_val turned(tw_val x)
{
    if (x.id < 0) return x;
    int8_t axes[TW_MAX_RANK] = {0};
    int rank = tw_shape_at(x).rank;
    for (int i = 0; i < rank; i++) axes[i] = (int8_t)(i < rank - 2 ? i : i == rank - 2 ? rank - 1 : rank - 2);
    return tw_transpose_axes(x, axes);
}

static tw_val solve(int form, tw_val a, tw_val b)
{
    tw_draft d = {.op = TW_OP_triangular_solve, .count = 2, .args = (tw_val[]){a, b}};
    d.attr.number = (uint32_t)form;
    return tw_graph_append(&d);
}

static bool is_square(tw_shape shape)
{
    return shape.rank >= 2 && shape.dim[shape.rank - 1] == shape.dim[shape.rank - 2];
}

/* --- builders --- */

tw_val tw_cholesky(tw_val a)
{
    tw_draft d = {.op = TW_OP_cholesky, .count = 1, .args = &a};
    return tw_graph_append(&d);
}

/* Leading axes of both to their common ones. */
static bool meet(const char *who, tw_val *a, tw_val *b)
{
    tw_shape s = tw_shape_at(*a), t = tw_shape_at(*b);
    bool fits = s.rank >= 2 && t.rank >= 2;
    tw_shape lead = {.rank = s.rank > t.rank ? s.rank : t.rank};
    for (int i = 3; fits && i <= lead.rank; i++) {
        int64_t m = i <= s.rank ? s.dim[s.rank - i] : 1, n = i <= t.rank ? t.dim[t.rank - i] : 1;
        fits = m == n || m == 1 || n == 1;
        lead.dim[lead.rank - i] = m == 1 ? n : m;
    }
    if (!fits) {
        tw_graph_fail(a->graph, TW_ERR_SHAPE, "%s: %s and %s are not matrices of the same leading axes", who, SHOW(*a),
                      SHOW(*b));
        return false;
    }
    for (int i = 1; i <= 2; i++) lead.dim[lead.rank - i] = s.dim[s.rank - i];
    *a = tw_broadcast_to(*a, lead);
    for (int i = 1; i <= 2; i++) lead.dim[lead.rank - i] = t.dim[t.rank - i];
    *b = tw_broadcast_to(*b, lead);
    return true;
}

tw_val tw_triangular_solve(tw_val a, tw_val b, bool right, bool upper, bool transposed, bool unit)
{
    if (a.id >= 0 && b.id >= 0 && !meet("triangular_solve", &a, &b)) return tw_val_of(a.graph, -1);
    return solve((right ? TW_SOLVE_RIGHT : 0) | (upper ? TW_SOLVE_UPPER : 0) | (transposed ? TW_SOLVE_TRANSPOSED : 0) |
                     (unit ? TW_SOLVE_UNIT : 0),
                 a, b);
}

void tw_lu(tw_val a, tw_val *out_factors, tw_val *out_order)
{
    tw_draft d = {.op = TW_OP_lu, .count = 1, .args = &a};
    tw_val packed = tw_graph_append(&d);
    *out_factors = *out_order = packed;
    if (packed.id < 0) return;
    int64_t n = tw_last_dim(packed);
    tw_shape row = tw_shape_at(packed);
    row.rank--;
    row.dim[row.rank - 1] = n;
    *out_factors = tw_slice(packed, -2, 0, n);
    *out_order = tw_cast(tw_reshape(tw_slice(packed, -2, n, n + 1), row), TW_DTYPE_I32);
}

tw_val tw_diagonal(tw_val x)
{
    if (x.id < 0) return x;
    tw_shape shape = tw_shape_at(x);
    if (!is_square(shape)) return tw_graph_fail(x.graph, TW_ERR_SHAPE, "diagonal: %s is not a square matrix", SHOW(x));
    int64_t n = shape.dim[shape.rank - 1], begin[TW_MAX_RANK] = {0}, end[TW_MAX_RANK], stride[TW_MAX_RANK];
    shape.rank--;
    shape.dim[shape.rank - 1] = n * n;
    for (int i = 0; i < shape.rank; i++) {
        end[i] = shape.dim[i];
        stride[i] = i == shape.rank - 1 ? n + 1 : 1;
    }
    return tw_slice_strided(tw_reshape(x, shape), begin, end, stride);
}

/* +1 or -1: even or odd number of pairs in falling order. */
static tw_val sign_of_order(tw_val order, tw_dtype dtype)
{
    tw_val later = tw_expand_dim(order, -2), earlier = tw_expand_dim(order, -1);
    tw_val inversions = tw_sum(tw_cast(tw_triu(tw_lt(later, earlier), 1), TW_DTYPE_I32), 2, (int[]){-1, -2});
    tw_val odd = tw_and(inversions, tw_ones_like(inversions));
    return tw_adds(tw_muls(tw_cast(odd, dtype), -2.0), 1.0);
}

void tw_slogdet(tw_val a, tw_val *out_sign, tw_val *out_log)
{
    tw_val factors, order;
    tw_lu(a, &factors, &order);
    tw_val pivots = tw_diagonal(factors);
    *out_log = tw_sum_axis(tw_log(tw_abs(pivots)), -1);
    *out_sign = pivots.id < 0
                    ? pivots
                    : tw_mul(tw_reduce_prod(tw_sign(pivots), 1, (int[]){-1}), sign_of_order(order, tw_dtype_at(a)));
}

tw_val tw_solve(tw_val a, tw_val b)
{
    if (a.id < 0 || b.id < 0) return a.id < 0 ? a : b;
    tw_val factors, order;
    if (!meet("solve", &a, &b)) return tw_val_of(a.graph, -1);
    tw_lu(a, &factors, &order);
    if (factors.id < 0) return factors;
    tw_val rows = tw_take_along_axis(b, tw_expand_dim(order, -1), -2);
    return solve(TW_SOLVE_UPPER, factors, solve(TW_SOLVE_UNIT, factors, rows));
}

tw_val tw_inverse(tw_val a)
{
    if (a.id < 0) return a;
    tw_shape shape = tw_shape_at(a);
    if (!is_square(shape)) return tw_graph_fail(a.graph, TW_ERR_SHAPE, "inverse: %s is not a square matrix", SHOW(a));
    tw_shape last = tw_shape_make(2, &shape.dim[shape.rank - 2]);
    tw_val one = tw_eq(tw_iota(a.graph, TW_DTYPE_I32, last, 0), tw_iota(a.graph, TW_DTYPE_I32, last, 1));
    return tw_solve(a, tw_cast(one, tw_dtype_at(a)));
}

/* --- inference --- */

static bool fail(const tw_draft *d, int arg, const char *expected)
{
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: argument %d is %s%s, which is not %s", NAME(d), arg + 1,
                  tw_dtype_name(tw_dtype_at(d->args[arg])), SHOW(d->args[arg]), expected);
    return false;
}

bool tw_infer_factored(tw_draft *d)
{
    d->shape = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (!tw_dtype_is_real(d->dtype) || !is_square(d->shape)) return fail(d, 0, "a square matrix of f32 or f64");
    if (d->op == TW_OP_lu) d->shape.dim[d->shape.rank - 2]++;
    return true;
}

bool tw_infer_triangular_solve(tw_draft *d)
{
    tw_shape a = tw_shape_at(d->args[0]), b = tw_shape_at(d->args[1]);
    d->shape = b;
    d->dtype = tw_dtype_at(d->args[0]);
    if (!tw_dtype_is_real(d->dtype) || !is_square(a)) return fail(d, 0, "a square matrix of f32 or f64");
    if (tw_dtype_at(d->args[1]) != d->dtype) return fail(d, 1, tw_dtype_name(d->dtype));
    bool fits = a.rank == b.rank && d->attr.number < 16;
    for (int i = 0; fits && i < a.rank - 2; i++) fits = a.dim[i] == b.dim[i];
    int side = d->attr.number & TW_SOLVE_RIGHT ? 1 : 2;
    fits = fits && b.dim[b.rank - side] == a.dim[a.rank - 1];
    return fits || fail(d, 1, "of the leading axes and the size of the triangle");
}

/* --- derivatives --- */

/* Phi: the lower half, half the diagonal. */
static tw_val lower_half(tw_val x)
{
    return tw_muls(tw_add(tw_tril(x, 0), tw_tril(x, -1)), 0.5);
}

/* Only the lower half of A is read, and stands for both. */
tw_val tw_jvp_cholesky(tw_val l, const tw_val *x, const tw_val *t)
{
    tw_val low = tw_tril(t[0], -1), change = tw_add(tw_tril(t[0], 0), turned(low));
    (void)x;
    tw_val inside = solve(TW_SOLVE_RIGHT | TW_SOLVE_TRANSPOSED, l, solve(0, l, change));
    return product(l, false, lower_half(inside), false);
}

/* The part of a matrix a solve reads. */
static tw_val read_part(tw_val x, int form)
{
    int unit = form & TW_SOLVE_UNIT ? 1 : 0;
    return form & TW_SOLVE_UPPER ? tw_triu(x, unit) : tw_tril(x, -unit);
}

tw_val tw_jvp_triangular_solve(tw_val y, const tw_val *x, const tw_val *t)
{
    int form = (int)tw_node_attr(y.graph, tw_node_at(y))->number;
    bool transposed = form & TW_SOLVE_TRANSPOSED;
    tw_val change = t[1];
    if (t[0].id >= 0) {
        tw_val part = read_part(t[0], form);
        tw_val moved =
            form & TW_SOLVE_RIGHT ? product(y, false, part, transposed) : product(part, transposed, y, false);
        change = change.id < 0 ? tw_neg(moved) : tw_sub(change, moved);
    }
    return solve(form, x[0], change);
}

tw_val tw_jvp_lu(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_val factors, order;
    tw_lu(x[0], &factors, &order); /* y itself and its parts */
    if (factors.id < 0) return factors;
    tw_val change = tw_take_along_axis(t[0], tw_expand_dim(order, -1), -2);
    tw_val inside = solve(TW_SOLVE_RIGHT | TW_SOLVE_UPPER, factors, solve(TW_SOLVE_UNIT, factors, change));
    tw_val low = tw_tril(inside, -1);
    tw_val lower = tw_add(low, product(tw_tril(factors, -1), false, low, false));
    tw_val upper = product(tw_triu(inside, 0), false, tw_triu(factors, 0), false);
    int64_t high[TW_MAX_RANK] = {0};
    high[tw_shape_at(y).rank - 2] = 1;
    return tw_pad(tw_add(lower, upper), 0.0, NULL, high, NULL);
}

void tw_transpose_triangular_solve(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    if (wanted[0])
        tw_graph_fail(node.graph, TW_ERR_INVALID,
                      "linear_transpose: the matrix of a triangular_solve depends on the "
                      "inputs");
    else
        out[1] = solve((int)tw_node_attr(node.graph, tw_node_at(node))->number ^ TW_SOLVE_TRANSPOSED, x[0], ct);
}
