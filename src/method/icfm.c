/* method/icfm.c - independent conditional flow matching: the straight line between a pair with a little noise of
 * constant size, x_t = (1 - t) x_0 + t x_1 + sigma z, u_t = x_1 - x_0, for any source (Tong et al. 2024,
 * section 3.2.2). With sigma = 0 it is flow matching. */
#include "method/interpolant.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_interpolant_loss(model, tw_gamma_constant, draws);
}

const tw_method_rules tw_method_icfm = {.noise = 1, .velocity_only = true, .row_loss = row_loss};
