/* path/contraction.c - see contraction.h. Laws of all pairs of rows come from products of matrices; what they lose by
 * cancellation is 1e-7 of a squared length, small beside s^2 from s = 1e-3 on. */
#include "path/contraction.h"

#include "graph/node.h"

#include <math.h>

static const double turn = 6.28318530717958647693;
#define LEAST_ROOT 1e-6 /* of a share, where a logarithm is taken */

bool tw_contraction_covers(const tw_space *space)
{
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        bool sphere = f->manifold == TW_MANIFOLD_sphere;
        bool known = sphere || f->manifold == TW_MANIFOLD_euclidean || f->manifold == TW_MANIFOLD_torus;
        bool walls = f->fold != TW_FOLD_NONE && !tw_factor_is_shares(f);
        if (!known || walls || f->surface || f->symbols > 0) return false;
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
    tw_val cross = tw_mul(share, products(x, x1));
    tw_val square = tw_add(tw_sub(tw_mul(tw_square(share), far), tw_muls(cross, 2)), square_of(x));
    tw_val around = tw_div(tw_muls(square, -0.5), tw_square(s));
    return tw_add(around, tw_adds(tw_muls(tw_log(s), -n), -0.5 * n * log(turn)));
}

/* --- unit vectors of n numbers ------------------------------------------------------------------------------------ */

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

/* --- shares, as unit vectors without negative numbers ------------------------------------------------------------- */

/* tau, from 0 on: what the roots of shares deviate by is s then, for small s. */
static tw_val concentration(tw_val s)
{
    tw_val one = tw_ones_like(s);
    return tw_muls(tw_adds(tw_div(one, tw_square(s)), -1), 0.25);
}

/* Roots of Gamma variables by Wilson and Hilferty's normal cube roots, which are good to a few per cent from shape 1/2
 * on. */
static tw_val shares_point(tw_val x1, tw_val s, tw_val z)
{
    tw_val shape = tw_adds(tw_mul(concentration(s), tw_square(x1)), 0.5), root = tw_sqrt(shape);
    tw_val cube_root = tw_add(tw_sub(tw_ones_like(shape), tw_div(tw_full_like(shape, 1.0 / 9), shape)),
                              tw_div(tw_muls(z, 1.0 / 3), root));
    tw_val positive = tw_adds(tw_abs(cube_root), LEAST_ROOT);
    return tw_manifold_project_rows(TW_MANIFOLD_sphere, tw_mul(root, tw_mul(positive, tw_sqrt(positive))));
}

/* With respect to the area of the sphere: Gamma(n/2 + tau) / prod Gamma(1/2 + tau p_k) prod x_k^(2 tau p_k) 2^(n - 1),
 * p the shares x1^2. */
static tw_val shares_density(tw_val x, tw_val x1, tw_val s)
{
    const int64_t n = tw_last_dim(x);
    tw_val tau = concentration(s), p = tw_transpose(tw_square(x1), (const int[]){1, 0});
    tw_val sum = tw_adds(tw_lgamma(tw_adds(tau, 0.5 * (double)n)), (double)(n - 1) * log(2));
    for (int64_t k = 0; k < n; k++) {
        tw_val each = tw_mul(tau, tw_slice(p, 0, k, k + 1)); /* (B,N) */
        tw_val root = tw_log(tw_adds(tw_slice(x, 1, k, k + 1), LEAST_ROOT));
        sum = tw_add(sum, tw_sub(tw_mul(tw_muls(each, 2), root), tw_lgamma(tw_adds(each, 0.5))));
    }
    return sum;
}

/* --- angles ------------------------------------------------------------------------------------------------------- */

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

/* --- of a factor, and of all -------------------------------------------------------------------------------------- */

static tw_val part_of(const tw_factor *f, tw_val x)
{
    return tw_slice(x, 1, f->number, f->number + f->numbers);
}

static tw_val point_of(const tw_factor *f, tw_val x0, tw_val x1, tw_val s, tw_val z)
{
    if (tw_factor_is_shares(f)) return shares_point(x1, s, z);
    if (f->manifold == TW_MANIFOLD_sphere) return sphere_point(x0, x1, s);
    return f->manifold == TW_MANIFOLD_torus ? angles_point(x0, x1, s) : numbers_point(x0, x1, s);
}

static tw_val density_of(const tw_factor *f, tw_val x, tw_val x1, tw_val s)
{
    const tw_manifold m = f->manifold;
    int n = (int)tw_last_dim(x);
    if (tw_factor_is_shares(f)) return shares_density(x, x1, s);
    if (m == TW_MANIFOLD_euclidean) return numbers_density(x, x1, s);
    tw_val over_uniform = m == TW_MANIFOLD_sphere ? cauchy(n - 1, products(x, x1), s) : angles_density(x, x1, s);
    return tw_adds(over_uniform, -tw_manifold_log_volume(m, n));
}

tw_val tw_contraction_point(const tw_space *space, tw_val x0, tw_val x1, tw_val s, tw_val z)
{
    tw_val out = TW_NONE;
    if (tw_is_none(x0) || tw_is_none(x1) || tw_is_none(s) || tw_is_none(z)) return TW_NONE;
    if (space->flat) return numbers_point(x0, x1, s);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val part = point_of(f, part_of(f, x0), part_of(f, x1), s, part_of(f, z));
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
        tw_val term = density_of(f, part_of(f, x), part_of(f, x1), s);
        sum = i == 0 ? term : tw_add(sum, term);
    }
    return sum;
}

bool tw_contraction_moves(const tw_space *space)
{
    for (int i = 0; i < space->count; i++)
        if (tw_factor_is_shares(&space->factor[i])) return false;
    return tw_contraction_covers(space);
}

/* Each direction is linear in what x_1 is: its numbers, or the sine and cosine of its angles. */
static tw_val towards(tw_manifold m, tw_val x, tw_val x1, tw_val weight)
{
    if (m == TW_MANIFOLD_torus) {
        tw_val sine = tw_matmul(weight, tw_sin(x1)), cosine = tw_matmul(weight, tw_cos(x1));
        return tw_sub(tw_mul(tw_cos(x), sine), tw_mul(tw_sin(x), cosine));
    }
    tw_val sum = tw_matmul(weight, x1);
    if (m == TW_MANIFOLD_sphere) return tw_manifold_tangent_rows(m, x, sum);
    return tw_sub(sum, tw_mul(tw_expand_dim(tw_sum_axis(weight, 1), 1), x));
}

tw_val tw_contraction_towards(const tw_space *space, tw_val x, tw_val x1, tw_val weight)
{
    tw_val out = TW_NONE;
    if (tw_is_none(x) || tw_is_none(x1) || tw_is_none(weight)) return TW_NONE;
    if (space->flat) return towards(TW_MANIFOLD_euclidean, x, x1, weight);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val part = towards(f->manifold, part_of(f, x), part_of(f, x1), weight);
        out = i == 0 ? part : tw_concat2(1, out, part);
    }
    return out;
}
