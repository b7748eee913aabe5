/* path/contraction.c - see contraction.h. Laws of all pairs of rows come from products of matrices; what they lose by
 * cancellation is 1e-7 of a squared length, small beside s^2 from s = 1e-3 on. */
#include "path/contraction.h"

#include "graph/node.h"

#include <math.h>

static const double turn = 6.28318530717958647693;

bool tw_contraction_covers(const tw_space *space)
{
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        bool known = f->manifold == TW_MANIFOLD_euclidean || f->manifold == TW_MANIFOLD_torus ||
                     f->manifold == TW_MANIFOLD_sphere;
        if (!known || f->fold != TW_FOLD_NONE || f->surface || f->symbols > 0) return false;
    }
    return true;
}

/* a b' of rows a (B,n), b (N,n): (B,N) */
static tw_val products(tw_val a, tw_val b)
{
    return tw_matmul(a, tw_transpose(b, (const int[]){1, 0}));
}

static tw_val square_of(tw_val x)
{
    return tw_expand_dim(tw_sum_axis(tw_square(x), 1), 1);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static tw_val numbers_point(tw_val x0, tw_val x1, tw_val s)
{
    return tw_add(x1, tw_mul(s, tw_sub(x0, x1)));
}

static tw_val numbers_density(tw_val x, tw_val x1, tw_val s)
{
    double n = (double)tw_last_dim(x);
    tw_val share = tw_adds(tw_neg(s), 1), far = tw_transpose(square_of(x1), (const int[]){1, 0});
    tw_val cross = products(tw_mul(share, x), x1);
    tw_val square = tw_add(tw_sub(tw_mul(tw_square(share), far), tw_muls(cross, 2)), square_of(x));
    tw_val around = tw_div(tw_muls(square, -0.5), tw_square(s));
    return tw_add(around, tw_adds(tw_muls(tw_log(s), -n), -0.5 * n * log(turn)));
}

/* --- unit vectors of n numbers ------------------------------------------------------------------------------------- */

/* 1 + x0 . x1 and 1 - x0 . x1 are half of squared lengths, which do not cancel. */
static tw_val sphere_point(tw_val x0, tw_val x1, tw_val s)
{
    tw_val near = tw_muls(square_of(tw_add(x0, x1)), 0.5), far = tw_muls(square_of(tw_sub(x0, x1)), 0.5);
    tw_val drawn = tw_mul(tw_square(s), far), aside = tw_sub(x0, tw_mul(tw_adds(near, -1), x1));
    tw_val to = tw_add(tw_mul(tw_sub(near, drawn), x1), tw_mul(tw_muls(s, 2), aside));
    return tw_manifold_project_rows(TW_MANIFOLD_sphere, tw_div(to, tw_add(near, drawn)));
}

/* Of points of a sphere of `dims` dimensions with these cosines (B,N), over the uniform density. */
static tw_val cauchy(int dims, tw_val cosine, tw_val s)
{
    tw_val square = tw_square(s), apart = tw_adds(tw_neg(cosine), 1);
    tw_val width = tw_add(tw_mul(tw_adds(tw_neg(square), 1), apart), tw_muls(square, 2));
    return tw_muls(tw_sub(tw_log(tw_muls(s, 2)), tw_log(width)), dims);
}

/* --- angles --------------------------------------------------------------------------------------------------------- */

static tw_val angles_point(tw_val x0, tw_val x1, tw_val s)
{
    tw_val half = tw_muls(tw_manifold_log_rows(TW_MANIFOLD_torus, x1, x0), 0.5);
    tw_val drawn = tw_atan2(tw_mul(s, tw_sin(half)), tw_cos(half));
    return tw_manifold_exp_rows(TW_MANIFOLD_torus, x1, tw_muls(drawn, 2));
}

/* Each angle is a circle of its own. */
static tw_val angles_density(tw_val x, tw_val x1, tw_val s)
{
    tw_val sum = TW_NONE;
    for (int64_t i = 0; i < tw_last_dim(x); i++) {
        tw_val a = tw_slice(x, 1, i, i + 1), b = tw_slice(x1, 1, i, i + 1);
        tw_val cosine = products(tw_concat2(1, tw_cos(a), tw_sin(a)), tw_concat2(1, tw_cos(b), tw_sin(b)));
        tw_val term = cauchy(1, cosine, s);
        sum = tw_is_none(sum) ? term : tw_add(sum, term);
    }
    return sum;
}

/* --- of a factor, and of all ----------------------------------------------------------------------------------------- */

static tw_val point_of(tw_manifold m, tw_val x0, tw_val x1, tw_val s)
{
    if (m == TW_MANIFOLD_sphere) return sphere_point(x0, x1, s);
    return m == TW_MANIFOLD_torus ? angles_point(x0, x1, s) : numbers_point(x0, x1, s);
}

static tw_val density_of(tw_manifold m, tw_val x, tw_val x1, tw_val s)
{
    int n = (int)tw_last_dim(x);
    if (m == TW_MANIFOLD_euclidean) return numbers_density(x, x1, s);
    tw_val over_uniform = m == TW_MANIFOLD_sphere ? cauchy(n - 1, products(x, x1), s) : angles_density(x, x1, s);
    return tw_adds(over_uniform, -tw_manifold_log_volume(m, n));
}

tw_val tw_contraction_point(const tw_space *space, tw_val x0, tw_val x1, tw_val s)
{
    tw_val out = TW_NONE;
    if (tw_is_none(x0) || tw_is_none(x1) || tw_is_none(s)) return TW_NONE;
    if (space->flat) return numbers_point(x0, x1, s);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val part = point_of(f->manifold, tw_slice(x0, 1, f->number, f->number + f->numbers),
                               tw_slice(x1, 1, f->number, f->number + f->numbers), s);
        out = i == 0 ? part : tw_concat2(1, out, part);
    }
    return out;
}

tw_val tw_contraction_log_density(const tw_space *space, tw_val x, tw_val x1, tw_val s)
{
    tw_val sum = TW_NONE;
    if (tw_is_none(x) || tw_is_none(x1) || tw_is_none(s)) return TW_NONE;
    if (space->flat) return numbers_density(x, x1, s);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val term = density_of(f->manifold, tw_slice(x, 1, f->number, f->number + f->numbers),
                                 tw_slice(x1, 1, f->number, f->number + f->numbers), s);
        sum = i == 0 ? term : tw_add(sum, term);
    }
    return sum;
}
