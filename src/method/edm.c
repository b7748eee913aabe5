/* method/edm.c - diffusion as EDM has it (Karras et al. 2022): data with noise of size sigma, noise levels log-normal,
 * a network seen through a preconditioning that keeps its input and its target of unit size. It is flow matching of an
 * affine path: the preconditioned network F of table 1, for data of unit variance, is the prediction v, c_in is what
 * tw_model_predict does where sigma is large, and lambda c_out^2 = 1 is no weight at all.
 *
 *   D(x; sigma) = x / (1 + sigma^2) - sigma / sqrt(1 + sigma^2) v(x / sqrt(1 + sigma^2), t)
 */
#include "method/method.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_method_fm.row_loss(model, draws);
}

const tw_method_rules tw_method_edm = {.defaults = {.schedule = "edm", .predict = "v", .time_density = "skewed"},
                                       .row_loss = row_loss};
