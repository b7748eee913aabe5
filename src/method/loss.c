/* method/loss.c - distances between prediction and target, and weights over time: the tables losses.def, weights.def.
 */
#include "graph/node.h"
#include "method/method.h"

/* --- distances: e (B,D) -> (B) -------------------------------------------------------------------------------------
 */

static tw_val mse_distance(const double *p, tw_val e)
{
    (void)p;
    return tw_mean_axis(tw_square(e), 1);
}

static tw_val pseudo_huber_distance(const double *p, tw_val e)
{
    double c = p[0] * (double)tw_last_dim(e);
    return tw_adds(tw_sqrt(tw_adds(tw_sum_axis(tw_square(e), 1), c * c)), -c);
}

static tw_val l1_distance(const double *p, tw_val e)
{
    (void)p;
    return tw_mean_axis(tw_abs(e), 1);
}

static const struct {
    tw_piece_info info;
    tw_val (*distance)(const double *p, tw_val e); /* or */
    tw_val (*of_tokens)(const tw_model *model, const tw_draws *draws, tw_val xt, tw_val logits);
} losses[] = {
#define TW_LOSS(name, about, source, parameters) {{#name, about, source, parameters}, name##_distance, NULL},
#define TW_TOKEN_LOSS(name, about, source)       {{#name, about, source, NULL}, NULL, tw_token_loss_##name},
#include "method/losses.def"
};

const tw_piece_info *tw_loss_list(int index)
{
    return index >= 0 && index < TW_COUNT(losses) ? &losses[index].info : NULL;
}

bool tw_loss_of_tokens(const tw_piece *loss)
{
    return losses[loss->row].of_tokens != NULL;
}

tw_val tw_model_token_loss(const tw_model *model, const tw_draws *draws, tw_val xt, tw_val logits)
{
    return losses[model->loss->row].of_tokens(model, draws, xt, logits);
}

/* --- weights at times ------------------------------------------------------------------------------------------------
 */

/* A weight of squared errors of `kind` as one of squared errors of what is predicted. */
static tw_val of_kind(tw_prediction kind, const tw_model *m, const tw_schedule_values *at, tw_val weight)
{
    tw_val gain = tw_square(tw_prediction_gain(m->predict, kind, at));
    return tw_is_none(weight) ? gain : tw_mul(gain, weight);
}

static tw_val snr(const tw_schedule_values *at)
{
    return tw_square(tw_div(at->alpha, at->sigma));
}

static tw_val none_weight(const tw_model *m, const tw_schedule_values *at)
{
    (void)m;
    return tw_full_like(at->alpha, 1);
}

static tw_val velocity_weight(const tw_model *m, const tw_schedule_values *at)
{
    return of_kind(TW_PREDICT_velocity, m, at, TW_NONE);
}

static tw_val likelihood_weight(const tw_model *m, const tw_schedule_values *at)
{
    tw_val shrinking = tw_mul(tw_div(at->d_alpha, at->alpha), at->sigma);
    return of_kind(TW_PREDICT_score, m, at, tw_mul(at->sigma, tw_sub(shrinking, at->d_sigma)));
}

static tw_val snr_weight(const tw_model *m, const tw_schedule_values *at)
{
    return of_kind(TW_PREDICT_x1, m, at, snr(at));
}

static tw_val min_snr_weight(const tw_model *m, const tw_schedule_values *at)
{
    tw_val ratio = snr(at);
    return of_kind(TW_PREDICT_x1, m, at, tw_min(ratio, tw_full_like(ratio, m->weight->value[0])));
}

static tw_val cosmap_weight(const tw_model *m, const tw_schedule_values *at)
{
    const double pi = 3.14159265358979323846;
    (void)m;
    tw_val below = tw_adds(tw_muls(tw_sub(tw_square(at->sigma), at->sigma), 2), 1);
    return tw_div(tw_full_like(below, 2 / pi), below);
}

static tw_val sigma_sqrt_weight(const tw_model *m, const tw_schedule_values *at)
{
    (void)m;
    return tw_div(tw_full_like(at->sigma, 1), tw_square(at->sigma));
}

#define learned_weight none_weight /* what is learned comes behind the loss */

static const struct {
    tw_piece_info info;
    tw_val (*weight)(const tw_model *m, const tw_schedule_values *at);
} weights[] = {
#define TW_WEIGHT(name, about, source, parameters) {{#name, about, source, parameters}, name##_weight},
#include "method/weights.def"
};

const tw_piece_info *tw_weight_list(int index)
{
    return index >= 0 && index < TW_COUNT(weights) ? &weights[index].info : NULL;
}

static bool is_learned(const tw_model *m)
{
    return m->weight && weights[m->weight->row].weight == learned_weight && m->weight->row > 0;
}

tw_val tw_model_loss(const tw_model *model, tw_val t, tw_val prediction, tw_val target)
{
    const double largest = 1e4;
    const tw_piece *l = model->loss, *w = model->weight;
    tw_val loss = losses[l ? l->row : 0].distance(l ? l->value : NULL, tw_sub(prediction, target));
    if (!w || w->row == 0) return loss;
    if (is_learned(model)) {
        tw_val h = model->uncertainty(model->user, t);
        return tw_add(tw_mul(loss, tw_exp(tw_neg(h))), h);
    }
    tw_schedule_values at = tw_schedule_values_at(model->schedule, t);
    tw_val weight = weights[w->row].weight(model, &at);
    return tw_mul(loss, tw_min(weight, tw_full_like(weight, largest)));
}

tw_val tw_model_regress(const tw_model *model, tw_val x, tw_val t, tw_val target)
{
    tw_val predicted = tw_model_predict(model, x, t);
    return tw_model_loss(model, t, tw_space_frame(model->space, x, predicted), tw_space_frame(model->space, x, target));
}
