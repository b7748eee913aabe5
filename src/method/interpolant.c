/* method/interpolant.c - see interpolant.h. */
#include "method/interpolant.h"

#include "graph/node.h"

tw_val tw_gamma_constant(const tw_model *model, tw_val t)
{
    return tw_full_like(t, model->method->value[0]);
}

tw_val tw_gamma_bridge(const tw_model *model, tw_val t)
{
    return tw_muls(tw_sqrt(tw_mul(t, tw_adds(tw_neg(t), 1))), model->method->value[0]);
}

void tw_interpolant_at(const tw_model *model, tw_gamma_fn gamma, const tw_draws *d, tw_val *out_xt, tw_val *out_ut)
{
    *out_xt = *out_ut = TW_NONE;
    tw_val point = model->path->point(model->space, model->schedule, d->x0, d->x1, d->t);
    if (tw_is_none(point)) return;
    tw_val noisy = tw_add(point, tw_mul(gamma(model, tw_expand_dim(d->t, 1)), d->z));
    if (tw_slopes(d->t, 1, &noisy, out_ut)) *out_xt = noisy;
}

tw_val tw_interpolant_loss(const tw_model *model, tw_gamma_fn gamma, const tw_draws *d)
{
    tw_val xt, ut;
    tw_interpolant_at(model, gamma, d, &xt, &ut);
    if (tw_is_none(xt)) return TW_NONE;
    return tw_model_loss(model, d->t, tw_model_predict(model, xt, d->t), ut);
}

double tw_bridge_epsilon(const tw_piece *method)
{
    return 2 * method->value[0] * method->value[0];
}
