/* space/wrapped.c - the wrapped normal source: where geodesics from the origin lead whose velocities are normal numbers
 * of standard deviation sigma. The origin is 0; of matrices the identity; on the sphere the first axis (longitude and
 * latitude 0), among rotations the one that turns nothing.
 *
 *   p(x) = sum over v with exp(v) = x of N(v; 0, sigma^2) / |det d exp(v)|
 *
 * Around a closed manifold there are as many v as turns, of lengths |r + 2 pi k|; between walls as many as mirror
 * images. */
#include "graph/node.h"
#include "space/space.h"
#include "space/spd.h"

#include <math.h>

enum { TURNS = 8 }; /* either way: sigma is at most 3 */

static const double turn = 6.28318530717958647693;

static bool has_origin_vector(const tw_factor *f)
{
    return f->manifold == TW_MANIFOLD_sphere || f->manifold == TW_MANIFOLD_rotation;
}

double tw_factor_unit(const tw_factor *f)
{
    return f->manifold == TW_MANIFOLD_rotation ? 2 : 1;
}

static void origin(const tw_factor *f, double *x)
{
    for (int i = 0; i < f->numbers; i++) x[i] = i == 0 && has_origin_vector(f);
    if (f->manifold == TW_MANIFOLD_spd) tw_spd_identity(f->numbers, x);
}

tw_val tw_factor_origin_rows(const tw_factor *f, tw_val like)
{
    double first[TW_MANIFOLD_MOST];
    origin(f, first);
    tw_val row = tw_const_data(like.graph, TW_DTYPE_F64, tw_shape_of(1, f->numbers), first);
    return tw_broadcast_to(tw_cast(row, tw_dtype_at(like)), tw_shape_at(like));
}

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    double x[TW_MANIFOLD_MOST], v[TW_MANIFOLD_MOST];
    origin(f, x);
    for (int i = 0; i < f->numbers; i++) v[i] = i == 0 && has_origin_vector(f) ? 0 : p[0] * z[i] / tw_factor_unit(f);
    tw_manifold_exp(f->manifold, f->numbers, x, v, out);
    tw_fold_point(f->fold, f->numbers, out, out);
}

static tw_val place_rows(const double *p, const tw_factor *f, tw_val z)
{
    if (tw_is_none(z)) return z;
    tw_val x = tw_factor_origin_rows(f, z);
    tw_val v = tw_manifold_tangent_rows(f->manifold, x, tw_muls(z, p[0] / tw_factor_unit(f)));
    return tw_fold_rows(f->fold, tw_manifold_exp_rows(f->manifold, x, v));
}

static double normal_at(double sigma, int dims, double r)
{
    return -0.5 * r * r / (sigma * sigma) - dims * (0.5 * log(turn) + log(sigma));
}

static double log_of_sum(int count, const double *terms)
{
    double most = -(double)INFINITY, sum = 0;
    for (int i = 0; i < count; i++) most = fmax(most, terms[i]);
    for (int i = 0; i < count; i++) sum += exp(terms[i] - most);
    return most + log(sum);
}

/* Over all turns of a geodesic of length r. */
static double around(const double *p, const tw_factor *f, int dims, double r)
{
    double terms[2 * TURNS + 1];
    for (int k = -TURNS; k <= TURNS; k++) {
        double length = fabs(r + turn * k);
        double spread = f->manifold == TW_MANIFOLD_torus ? 0 : tw_manifold_log_spread(f->manifold, f->numbers, length);
        terms[k + TURNS] = normal_at(p[0], dims, length) - spread;
    }
    return log_of_sum(2 * TURNS + 1, terms);
}

static double factor_log_density(const double *p, const tw_factor *f, const double *x)
{
    double zero[TW_MANIFOLD_MOST], v[TW_MANIFOLD_MOST], sum = 0;
    int dims = tw_manifold_dims(f->manifold, f->numbers);
    origin(f, zero);
    if (f->manifold == TW_MANIFOLD_torus) {
        tw_manifold_log(f->manifold, f->numbers, zero, x, v);
        for (int i = 0; i < f->numbers; i++) sum += around(p, f, 1, v[i]);
        return sum;
    }
    if (f->manifold == TW_MANIFOLD_euclidean) return tw_fold_normal(f->fold, dims, p[0], x);
    double r = tw_manifold_distance(f->manifold, f->numbers, zero, x);
    if (f->fold == TW_FOLD_POSITIVE) { /* mirrors but the first hold the origin; that one sends it to its antipode */
        double images[2] = {around(p, f, dims, r), around(p, f, dims, 0.5 * turn - r)};
        return dims * log(2) + log_of_sum(2, images);
    }
    if (has_origin_vector(f)) return around(p, f, dims, r);
    if (f->manifold == TW_MANIFOLD_spd) {
        tw_manifold_log(f->manifold, f->numbers, zero, x, v);
        return normal_at(p[0], dims, r) - tw_spd_log_spread(f->numbers, v);
    }
    return normal_at(p[0], dims, r) - tw_manifold_log_spread(f->manifold, f->numbers, r);
}

const tw_source_rules tw_source_wrapped = {
    .place = place, .place_rows = place_rows, .factor_log_density = factor_log_density};
