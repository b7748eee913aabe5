/* method/fm.c - flow matching: the network regresses the velocity of the conditional path, whose conditional mean given
 * x_t is the velocity of the marginal flow (Lipman et al. 2023, theorem 2). With the condot schedule this is rectified
 * flow (Liu et al. 2023) and the linear stochastic interpolant without noise (Albergo, Vanden-Eijnden 2023).
 *
 *   loss(row) = mean over columns of (u(x_t, t) - d/dt x_t)^2
 */
#include "method/method.h"

static tw_val row_loss(const tw_model *model, tw_val x0, tw_val x1, tw_val t)
{
    tw_val xt, ut;
    tw_path_at(model->path, model->schedule, x0, x1, t, &xt, &ut);
    return tw_mean_axis(tw_square(tw_sub(model->network(model->user, xt, t), ut)), 1);
}

static tw_val velocity(const tw_model *model, tw_val x, tw_val t)
{
    return model->network(model->user, x, t);
}

const tw_method_rules tw_method_fm = {
    .row_loss = row_loss,
    .velocity = velocity,
};
