/* method/fm.c - flow matching: the network regresses the velocity of the conditional path, whose conditional mean given
 * x_t is the velocity of the marginal flow (Lipman et al. 2023, theorem 2). With the condot schedule this is rectified
 * flow (Liu et al. 2023) and the linear stochastic interpolant without noise (Albergo, Vanden-Eijnden 2023). Instead of
 * the velocity it may regress anything that tells it (path/convert.h).
 *
 * On a manifold the conditional path is a geodesic and the distance that of its metric (Chen, Lipman 2024).
 *
 *   loss(row) = weight(t) distance(y(x_t, t), target)        target: d/dt x_t, or x_1, x_0, ...
 */
#include "method/method.h"

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, target;
    tw_path_at(model->path, model->space, model->schedule, d->x0, d->x1, d->t, &xt, &target);
    if (tw_is_none(xt)) return TW_NONE;
    if (model->predict != TW_PREDICT_velocity) {
        tw_schedule_values at = tw_schedule_values_at(model->schedule, tw_expand_dim(d->t, 1));
        target = tw_prediction_of(model->predict, &at, d->x1, d->x0);
    }
    return tw_model_regress(model, xt, d->t, target);
}

const tw_method_rules tw_method_fm = {.everywhere = true, .row_loss = row_loss};
