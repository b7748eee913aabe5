/* space/uniform.c - the source that prefers no place: uniform on factors of finite volume and between walls, the
 * wrapped normal of scale 1 on others. */
#include "graph/node.h"
#include "space/space.h"

#include <math.h>

static const double turn = 6.28318530717958647693, root_half = 0.70710678118654752440;
static const double scale = 1; /* of those without a volume */

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    (void)p;
    for (int i = 0; f->symbols > 0 && i < f->numbers; i++)
        out[i] = fmin(floor(f->symbols * 0.5 * erfc(-z[i] * root_half)), f->symbols - 1);
    if (f->symbols > 0) return;
    if (f->fold == TW_FOLD_BETWEEN) {
        for (int i = 0; i < f->numbers; i++) out[i] = erf(z[i] * root_half);
        return;
    }
    switch (f->manifold) {
    case TW_MANIFOLD_torus:
        for (int i = 0; i < f->numbers; i++) out[i] = turn * 0.5 * erfc(-z[i] * root_half);
        break;
    case TW_MANIFOLD_sphere:
    case TW_MANIFOLD_rotation:
        tw_manifold_project(f->manifold, f->numbers, z, out);
        tw_fold_point(f->fold, f->numbers, out, out);
        break;
    default:
        tw_source_wrapped.place(&scale, f, z, out);
    }
}

static tw_val place_rows(const double *p, const tw_factor *f, tw_val z)
{
    (void)p;
    if (f->symbols > 0) {
        tw_val place = tw_floor(tw_muls(tw_adds(tw_erf(tw_muls(z, root_half)), 1), 0.5 * f->symbols));
        return tw_min(place, tw_full_like(place, f->symbols - 1));
    }
    if (f->fold == TW_FOLD_BETWEEN) return tw_erf(tw_muls(z, root_half));
    switch (f->manifold) {
    case TW_MANIFOLD_torus:
        return tw_muls(tw_adds(tw_erf(tw_muls(z, root_half)), 1), 0.5 * turn);
    case TW_MANIFOLD_sphere:
    case TW_MANIFOLD_rotation:
        return tw_fold_rows(f->fold, tw_manifold_project_rows(f->manifold, z));
    default:
        return tw_source_wrapped.place_rows(&scale, f, z);
    }
}

static double factor_log_density(const double *p, const tw_factor *f, const double *x)
{
    (void)p;
    if (f->fold == TW_FOLD_BETWEEN) return -f->numbers * log(2);
    double volume = tw_manifold_log_volume(f->manifold, f->numbers);
    if (f->fold == TW_FOLD_POSITIVE) volume -= f->numbers * log(2);
    return isfinite(volume) ? -volume : tw_source_wrapped.factor_log_density(&scale, f, x);
}

const tw_source_rules tw_source_uniform = {
    .place = place, .place_rows = place_rows, .factor_log_density = factor_log_density, .tokens = true};
