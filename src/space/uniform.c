/* space/uniform.c - the source that prefers no place: uniform on factors of finite volume and between walls, the
 * wrapped normal of scale 1 on others. */
#include "graph/node.h"
#include "space/space.h"

#include <math.h>

static const double turn = 6.28318530717958647693, root_half = 0.70710678118654752440;
static const double scale = 1; /* of those without a volume */

/* Numbers of 0..count - 1, equally likely, by normal ones. */
static double pick(double z, double count)
{
    return fmin(floor(count * tw_normal_share(z)), count - 1);
}

static tw_val pick_rows(tw_val z, double count)
{
    tw_val place = tw_floor(tw_muls(tw_normal_share_rows(z), count));
    return tw_min(place, tw_full_like(place, count - 1));
}

/* Of sequences the last number, where no token is, says how long they are. */
static void place_tokens(const tw_factor *f, const double *z, double *out)
{
    double length = f->ragged ? pick(z[f->numbers - 1], f->columns + 1) : f->numbers;
    for (int i = 0; i < f->numbers; i++) out[i] = i < length ? pick(z[i], f->symbols) : f->symbols;
}

static tw_val place_tokens_rows(const tw_factor *f, tw_val z)
{
    tw_val out = pick_rows(z, f->symbols);
    if (!f->ragged || tw_is_none(out)) return out;
    tw_val length = pick_rows(tw_slice(z, 1, f->numbers - 1, f->numbers), f->columns + 1);
    tw_val place = tw_iota(z.graph, tw_dtype_at(z), tw_shape_at(z), 1);
    return tw_select(tw_lt(place, length), out, tw_full_like(out, f->symbols));
}

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    (void)p;
    if (f->symbols > 0) {
        place_tokens(f, z, out);
        return;
    }
    if (f->mesh) {
        tw_mesh_uniform(f->mesh, z, out);
        return;
    }
    if (f->fold == TW_FOLD_BETWEEN) {
        for (int i = 0; i < f->numbers; i++) out[i] = erf(z[i] * root_half);
        return;
    }
    switch (f->manifold) {
    case TW_MANIFOLD_torus:
        for (int i = 0; i < f->numbers; i++) out[i] = turn * tw_normal_share(z[i]);
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
    if (f->symbols > 0) return place_tokens_rows(f, z);
    if (f->mesh) return tw_mesh_uniform_rows(f->mesh, z);
    if (f->fold == TW_FOLD_BETWEEN) return tw_erf(tw_muls(z, root_half));
    switch (f->manifold) {
    case TW_MANIFOLD_torus:
        return tw_muls(tw_normal_share_rows(z), turn);
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
    if (f->mesh) return -log(f->mesh->info.area);
    if (f->fold == TW_FOLD_BETWEEN) return -f->numbers * log(2);
    double volume = tw_manifold_log_volume(f->manifold, f->numbers);
    if (f->fold == TW_FOLD_POSITIVE) volume -= f->numbers * log(2);
    return isfinite(volume) ? -volume : tw_source_wrapped.factor_log_density(&scale, f, x);
}

const tw_source_rules tw_source_uniform = {
    .place = place, .place_rows = place_rows, .factor_log_density = factor_log_density, .tokens = true};
