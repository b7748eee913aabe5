/* method/sbcfm.c - Schroedinger bridge conditional flow matching: Brownian bridges between entropically coupled pairs,
 * x_t = (1 - t) x_0 + t x_1 + sigma sqrt(t (1 - t)) z (Tong et al. 2024, section 3.2.4). Its flow has the marginals of
 * the bridge of a Brownian motion of variance sigma^2 when the coupling's regularisation is 2 sigma^2.
 *
 *   u_t = (1 - 2t) / (2 sqrt(t (1 - t))) sigma z + x_1 - x_0      the derivative of x_t: no 1e-8 guards a quotient
 */
#include "method/interpolant.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_interpolant_loss(model, tw_gamma_bridge, draws);
}

const tw_method_rules tw_method_sbcfm = {.defaults = {.coupling = "sinkhorn"},
                                         .coupling_epsilon = tw_bridge_epsilon,
                                         .noise = 1,
                                         .velocity_only = true,
                                         .row_loss = row_loss};
