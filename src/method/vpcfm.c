/* method/vpcfm.c - variance preserving conditional flow matching: pairs on an arc, x_t = cos(pi t/2) x_0 + sin(pi t/2)
 * x_1
 * + sigma z (Albergo, Vanden-Eijnden 2023, Building normalizing flows with stochastic interpolants; Tong et al. 2024).
 */
#include "method/interpolant.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_interpolant_loss(model, tw_gamma_constant, draws);
}

const tw_method_rules tw_method_vpcfm = {
    .defaults = {.schedule = "cosine"}, .noise = 1, .velocity_only = true, .row_loss = row_loss};
