/* method/sf2m.c - [SF]2M, simulation-free score and flow matching: the bridges of sbcfm, and beside the velocity the
 * noise they carry, which tells the score s = -E[z | x_t] / gamma of the marginals. Solvers may then follow the flow or
 * the Schroedinger bridge itself, dX = (u + sigma^2/2 s) dt + sigma dW (Tong et al. 2024, Simulation-free Schroedinger
 * bridges via score and flow matching, eq. 14).
 *
 *   loss(row) = distance(head 0, u_t) + mean (head 1 - z)^2
 *
 * The second term is that of the paper with its weight lambda = 2 gamma / sigma^2: z is what lambda makes of the score.
 */
#include "method/interpolant.h"

enum { VELOCITY, NOISE, HEADS };

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, ut;
    tw_interpolant_at(model, tw_gamma_bridge, d, &xt, &ut);
    if (tw_is_none(xt)) return TW_NONE;
    tw_val y = tw_model_predict(model, xt, d->t);
    tw_val noise = tw_mean_axis(tw_square(tw_sub(tw_model_head(y, HEADS, NOISE), d->z)), 1);
    return tw_add(tw_model_loss(model, d->t, tw_model_head(y, HEADS, VELOCITY), ut), noise);
}

static tw_val velocity(const tw_model *model, tw_val x, tw_val t)
{
    return tw_model_head(tw_model_predict(model, x, t), HEADS, VELOCITY);
}

/* 0 at the ends, where the bridge has no noise and tells nothing */
static tw_val score(const tw_model *model, tw_val x, tw_val t)
{
    tw_val noise = tw_model_head(tw_model_predict(model, x, t), HEADS, NOISE);
    tw_val gamma = tw_gamma_bridge(model, tw_expand_dim(t, 1));
    return tw_gamma_score(gamma, noise);
}

const tw_method_rules tw_method_sf2m = {.defaults = {.coupling = "sinkhorn"},
                                        .coupling_epsilon = tw_bridge_epsilon,
                                        .noise = 1,
                                        .velocity_only = true,
                                        .heads = HEADS,
                                        .row_loss = row_loss,
                                        .velocity = velocity,
                                        .score = score};
