/* method/otcfm.c - conditional flow matching over pairs of an optimal transport of the batch: paths hardly cross, so
 * flows are straighter and few steps do (Tong et al. 2024, section 3.2.3; Pooladian et al. 2023). */
#include "method/interpolant.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_interpolant_loss(model, tw_gamma_constant, draws);
}

const tw_method_rules tw_method_otcfm = {
    .defaults = {.coupling = "ot"}, .noise = 1, .velocity_only = true, .row_loss = row_loss};
