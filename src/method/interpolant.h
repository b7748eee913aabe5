/* method/interpolant.h - paths with noise of their own: x_t = point(x_0, x_1, t) + gamma(t) z, z standard normal
 * (Albergo, Boffi, Vanden-Eijnden 2023, Stochastic interpolants; Tong et al. 2024, Improving and generalizing
 * flow-based generative models). The velocity is the derivative of the whole point in t, so gamma is all a method
 * states. */
#ifndef TW_METHOD_INTERPOLANT_H
#define TW_METHOD_INTERPOLANT_H

#include "method/method.h"
#include "path/gamma.h"

/* gamma(t), elementwise */
typedef tw_val (*tw_gamma_fn)(const tw_model *model, tw_val t);

/* x_t and its velocity, (B,D) each; none after an error, which the graph keeps. */
void tw_interpolant_at(const tw_model *model, tw_gamma_fn gamma, const tw_draws *draws, tw_val *out_xt, tw_val *out_ut);
/* Row loss of a network whose one head is the velocity. */
tw_val tw_interpolant_loss(const tw_model *model, tw_gamma_fn gamma, const tw_draws *draws);

/* gamma = sigma, the method's first parameter. */
tw_val tw_gamma_constant(const tw_model *model, tw_val t);
/* gamma = sigma sqrt(t (1 - t)): a Brownian bridge. */
tw_val tw_gamma_bridge(const tw_model *model, tw_val t);

/* 2 sigma^2: the regularisation at which entropic pairs and Brownian bridges of variance sigma^2 make the Schroedinger
 * bridge (Tong et al. 2024, proposition 3.5). */
double tw_bridge_epsilon(const tw_piece *method);

#endif
