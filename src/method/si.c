/* method/si.c - stochastic interpolants: x_t = point(x_0, x_1, t) + gamma(t) z between any two distributions, and two
 * things learned of it, the velocity b = E[d/dt x_t | x_t] and the denoiser eta = E[z | x_t], which tells the score
 * s = -eta / gamma. The same marginals are then those of the flow dX = b dt and of dX = (b + eps s) dt + sqrt(2 eps) dW
 * for any eps(t) >= 0, chosen when sampling (Albergo, Boffi, Vanden-Eijnden 2023, Stochastic interpolants: a unifying
 * framework for flows and diffusions, theorems 6, 8 and corollary 18).
 *
 *   loss(row) = mean over +-z of  distance(b(x_t), d/dt x_t) + mean (eta(x_t) - z)^2
 *
 * Both signs of each noise: near the ends gamma' may grow without bounds, and what it adds to the gradient cancels
 * between the two but for what b itself differs (ibid., section 6.1, antithetic sampling). The loss's value keeps the
 * variance of gamma' z, which no network can lower. */
#include "method/interpolant.h"

enum { VELOCITY, NOISE, HEADS };

static tw_val gamma_of(const tw_model *model, tw_val t)
{
    return model->gamma ? tw_gamma_at(model->gamma, t) : tw_zeros_like(t);
}

static tw_val signed_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, ut;
    tw_interpolant_at(model, gamma_of, d, &xt, &ut);
    if (tw_is_none(xt)) return TW_NONE;
    tw_val y = tw_model_predict(model, xt, d->t);
    tw_val noise = tw_mean_axis(tw_square(tw_sub(tw_model_head(y, HEADS, NOISE), d->z)), 1);
    return tw_add(tw_model_loss(model, d->t, tw_model_head(y, HEADS, VELOCITY), ut), noise);
}

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    tw_draws other = *draws;
    other.z = tw_neg(draws->z);
    tw_val one = signed_loss(model, draws), two = signed_loss(model, &other);
    return tw_is_none(one) || tw_is_none(two) ? TW_NONE : tw_muls(tw_add(one, two), 0.5);
}

static tw_val velocity(const tw_model *model, tw_val x, tw_val t)
{
    return tw_model_head(tw_model_predict(model, x, t), HEADS, VELOCITY);
}

static tw_val score(const tw_model *model, tw_val x, tw_val t)
{
    if (!model->gamma || model->gamma->row == 0)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED, "method 'si' tells no score with gamma 'none'");
    tw_val noise = tw_model_head(tw_model_predict(model, x, t), HEADS, NOISE);
    return tw_gamma_score(gamma_of(model, tw_expand_dim(t, 1)), noise);
}

const tw_method_rules tw_method_si = {.defaults = {.gamma = "brownian"},
                                      .noise = 1,
                                      .gamma = true,
                                      .velocity_only = true,
                                      .heads = HEADS,
                                      .row_loss = row_loss,
                                      .velocity = velocity,
                                      .score = score};
