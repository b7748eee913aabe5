/* graph/shorthand.c - functions users expect that are a few nodes of others: comparisons, clamping, triangles,
 * reductions by way of sums and maxima, complex numbers as a last axis of 2. */
#include "graph/node.h"

/* --- comparisons: false wherever a NaN is compared, except ne --- */

tw_val tw_gt(tw_val a, tw_val b)
{
    return tw_lt(b, a);
}
tw_val tw_le(tw_val a, tw_val b)
{
    return tw_xor(tw_lt(a, b), tw_eq(a, b)); /* never both */
}
tw_val tw_ge(tw_val a, tw_val b)
{
    return tw_le(b, a);
}
tw_val tw_ne(tw_val a, tw_val b)
{
    return tw_not(tw_eq(a, b));
}
tw_val tw_or(tw_val a, tw_val b)
{
    return tw_not(tw_and(tw_not(a), tw_not(b)));
}

/* --- rounding, ranges --- */

tw_val tw_clamp(tw_val x, double low, double high)
{
    return tw_min(tw_max(x, tw_full_like(x, low)), tw_full_like(x, high));
}
tw_val tw_ceil(tw_val x)
{
    return tw_neg(tw_floor(tw_neg(x)));
}
tw_val tw_trunc(tw_val x)
{
    return tw_mul(tw_sign(x), tw_floor(tw_abs(x)));
}
tw_val tw_tan(tw_val x)
{
    return tw_div(tw_sin(x), tw_cos(x));
}

/* --- reductions --- */

/* Complementing the bits of a whole number turns the order around without overflow. */
tw_val tw_reduce_min(tw_val x, int count, const int *axes)
{
    if (x.id < 0) return x;
    bool real = tw_dtype_is_real(tw_dtype_at(x));
    tw_val most = tw_reduce_max(real ? tw_neg(x) : tw_not(x), count, axes);
    return real ? tw_neg(most) : tw_not(most);
}

/* Front half times back half until one is left: no quotient, so derivatives are right where factors are zero. */
static tw_val prod_axis(tw_val x, int axis)
{
    tw_shape shape = tw_shape_at(x);
    tw_val rest = TW_NONE;
    for (int64_t n = shape.dim[axis]; n > 1; n /= 2) {
        int64_t half = n / 2;
        if (n % 2) {
            tw_val last = tw_slice(x, axis, n - 1, n);
            rest = rest.id < 0 ? last : tw_mul(rest, last);
        }
        x = tw_mul(tw_slice(x, axis, 0, half), tw_slice(x, axis, half, 2 * half));
    }
    if (rest.id >= 0) x = tw_mul(x, rest);
    for (int i = axis; i + 1 < shape.rank; i++) shape.dim[i] = shape.dim[i + 1];
    bool empty = tw_dim(x, axis) == 0;
    shape.rank--;
    return empty ? tw_full(x.graph, tw_dtype_at(x), shape, 1.0) : tw_reshape(x, shape);
}

tw_val tw_reduce_prod(tw_val x, int count, const int *axes)
{
    if (x.id < 0) return x;
    int rank = tw_shape_at(x).rank;
    uint32_t mask = 0;
    for (int i = 0; i < count; i++) {
        int axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return tw_graph_fail(x.graph, TW_ERR_SHAPE, "reduce_prod: axis %d is not one of %s", axes[i],
                                 tw_shape_show(tw_shape_at(x)).text);
        mask |= 1u << axis;
    }
    for (int i = rank - 1; i >= 0 && x.id >= 0; i--)
        if (mask & 1u << i) x = prod_axis(x, i);
    return x;
}

/* How many are true. */
static tw_val count_true(tw_val x, int count, const int *axes)
{
    return tw_sum(tw_cast(x, TW_DTYPE_I32), count, axes);
}

tw_val tw_any(tw_val x, int count, const int *axes)
{
    return tw_cast(count_true(x, count, axes), TW_DTYPE_BOOL);
}
tw_val tw_all(tw_val x, int count, const int *axes)
{
    return tw_not(tw_any(tw_not(x), count, axes));
}

/* --- triangles of the last two axes --- */

/* Where column - row <= diagonal, bool of the last two axes of x. */
static tw_val not_above(tw_val x, int diagonal)
{
    tw_shape shape = tw_shape_at(x);
    if (shape.rank < 2)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "triangle: %s is not a matrix", tw_shape_show(shape).text);
    tw_shape last = tw_shape_of(shape.dim[shape.rank - 2], shape.dim[shape.rank - 1]);
    tw_val row = tw_iota(x.graph, TW_DTYPE_I32, last, 0), column = tw_iota(x.graph, TW_DTYPE_I32, last, 1);
    return tw_lt(column, tw_adds(row, diagonal + 1.0));
}

tw_val tw_tril(tw_val x, int diagonal)
{
    return x.id < 0 ? x : tw_select(not_above(x, diagonal), x, tw_zeros_like(x));
}
tw_val tw_triu(tw_val x, int diagonal)
{
    return x.id < 0 ? x : tw_select(not_above(x, diagonal - 1), tw_zeros_like(x), x);
}

/* --- complex numbers: (..., 2), real and imaginary part --- */

static tw_val part(tw_val z, int which)
{
    if (z.id < 0) return z;
    if (tw_shape_at(z).rank < 1 || tw_last_dim(z) != 2)
        return tw_graph_fail(z.graph, TW_ERR_SHAPE, "complex: the last axis of %s is not 2",
                             tw_shape_show(tw_shape_at(z)).text);
    tw_val x = tw_slice(z, -1, which, which + 1);
    tw_shape shape = tw_shape_at(x);
    shape.rank--;
    return tw_reshape(x, shape);
}

tw_val tw_real(tw_val z)
{
    return part(z, 0);
}
tw_val tw_imag(tw_val z)
{
    return part(z, 1);
}
tw_val tw_complex(tw_val re, tw_val im)
{
    return tw_concat2(-1, tw_expand_dim(re, -1), tw_expand_dim(im, -1));
}
tw_val tw_complex_mul(tw_val a, tw_val b)
{
    tw_val x = tw_real(a), y = tw_imag(a), u = tw_real(b), v = tw_imag(b);
    return tw_complex(tw_sub(tw_mul(x, u), tw_mul(y, v)), tw_add(tw_mul(x, v), tw_mul(y, u)));
}
tw_val tw_complex_conj(tw_val z)
{
    return tw_complex(tw_real(z), tw_neg(tw_imag(z)));
}
tw_val tw_complex_abs2(tw_val z)
{
    return z.id < 0 ? z : tw_sum_axis(tw_square(z), -1);
}
