/* method/ppd.c - continuous normalising flows matched to a path of densities (Ben-Hamu et al. 2022, Matching
 * normalizing flows and probability paths on manifolds): the field learns to keep the mass of the path that leads from
 * the source to the data, every point of which is widened to the law of path/contraction.h with s = w^t,
 *
 *   p_t = mean over the data of p(. | x_1; s(t)),   r = d/dt log p_t(x) + <grad log p_t(x), u> + div u,   x ~ p_t
 *
 *   loss(row) = |r|^power
 *
 * which is 0 for all x and t if u makes the densities p_t. For power 1 half of its mean over t bounds the total
 * variation between the flow and p_1, as that changes no faster than the mass that is not kept. Nothing is simulated,
 * and unlike flow matching's the loss has no floor. The data that p_t is the mean over are all, where they are few,
 * else those of the batch, which should be large then: neighbours that are missing make a density of peaks. Widths w
 * are `width`, or by `smooth` each row's own (train/widths.h). */
#include "method/kernels.h"
#include "path/contraction.h"

#include <math.h>

enum { WIDTH, POWER, PROBE }; /* parameters */

/* Slopes of log p_t(x) in x (B,D) and t (B), which k is made of. */
static bool slopes_of(const tw_model *model, const tw_kernels *k, tw_val x, tw_val t, tw_val *out_x, tw_val *out_t)
{
    tw_val each = tw_contraction_log_density(model->space, x, k->data, k->s);
    const tw_val of[2] = {x, t};
    tw_val slope[2];
    if (tw_is_none(each) || tw_grad(tw_sum_all(tw_logsumexp(each, 1)), 2, of, slope) != TW_OK) return false;
    *out_x = slope[0];
    *out_t = slope[1];
    return true;
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    const double power = model->method->value[POWER];
    const bool probes = model->method->value[PROBE] > 0;
    tw_val slope_x, slope_t, divergence;
    /* both are constants: the slopes are those at a place, not along the path */
    tw_val t = tw_stop_gradient(d->t);
    int64_t columns = tw_last_dim(d->x1);
    tw_val signs = tw_sign(tw_slice(d->z, 1, 0, columns)), z = tw_slice(d->z, 1, columns, 2 * columns);
    tw_kernels k = tw_kernels_at(d, t, model->method->value[WIDTH]);
    tw_val x = tw_stop_gradient(tw_contraction_point(model->space, d->x0, d->x1, k.own, z));
    if (tw_is_none(x) || !slopes_of(model, &k, x, t, &slope_x, &slope_t)) return TW_NONE;
    tw_val u = tw_model_predict(model, x, t);
    const tw_divergence_desc along = {
        .trace = TW_TRACE_HUTCHINSON, .probes = 1, .vectors = probes ? tw_expand_dim(signs, 1) : TW_NONE};
    if (tw_is_none(u) || tw_divergence(x, u, probes ? &along : NULL, &divergence) != TW_OK) return TW_NONE;
    tw_val r = tw_add(tw_add(slope_t, tw_sum_axis(tw_mul(slope_x, u), 1)), divergence);
    return power == 2 ? tw_square(r) : power == 1 ? tw_abs(r) : tw_pows(tw_abs(r), power);
}

const tw_method_rules tw_method_ppd = {.noise = 2,
                                       .everywhere = true,
                                       .velocity_only = true,
                                       .own_path = true,
                                       .covers = tw_contraction_covers,
                                       .takes = "numbers, angles, unit vectors and shares",
                                       .row_loss = row_loss};
