/* method/method.c - the table of methods, and what they share: the network's answer and what it means. */
#include "method/method.h"

#include <math.h>

static const tw_method methods[] = {
#define TW_METHOD(name, about, source, parameters) {{#name, about, source, parameters}, &tw_method_##name},
#include "method/methods.def"
};

const tw_piece_info *tw_method_list(int index)
{
    return index >= 0 && index < TW_COUNT(methods) ? &methods[index].info : NULL;
}

tw_val tw_model_predict(const tw_model *model, tw_val x, tw_val t)
{
    const double little_more = 1.01; /* than the data */
    if (tw_is_none(x) || tw_is_none(t)) return TW_NONE;
    tw_schedule_point begin = tw_schedule_at(model->schedule, 0);
    if (hypot(begin.alpha, begin.sigma) > little_more) {
        tw_val column = tw_expand_dim(t, 1);
        tw_val alpha = tw_schedule_alpha(model->schedule, column), sigma = tw_schedule_sigma(model->schedule, column);
        x = tw_mul(x, tw_rsqrt(tw_add(tw_square(alpha), tw_square(sigma))));
    }
    return model->network(model->user, x, t);
}

tw_val tw_model_head(tw_val y, int heads, int head)
{
    if (tw_is_none(y) || heads < 2) return y;
    int64_t columns = tw_last_dim(y) / heads;
    return tw_slice(y, 1, head * columns, (head + 1) * columns);
}

/* The prediction as another one. */
static tw_val meaning(const tw_model *model, tw_val x, tw_val t, tw_prediction kind)
{
    tw_val y = tw_model_predict(model, x, t);
    if (kind == model->predict || tw_is_none(y)) return y;
    tw_schedule_values at = tw_schedule_values_at(model->schedule, tw_expand_dim(t, 1));
    return tw_prediction_convert(model->predict, kind, &at, x, y);
}

tw_val tw_method_velocity(const tw_method *method, const tw_model *model, tw_val x, tw_val t)
{
    const tw_method_rules *rules = method->rules;
    return rules->velocity ? rules->velocity(model, x, t) : meaning(model, x, t, TW_PREDICT_velocity);
}

tw_val tw_method_logits(const tw_method *method, const tw_model *model, tw_val x, tw_val t)
{
    return method->rules->logits(model, x, t);
}

tw_val tw_method_score(const tw_method *method, const tw_model *model, tw_val x, tw_val t)
{
    const tw_method_rules *rules = method->rules;
    if (rules->score) return rules->score(model, x, t);
    if (rules->velocity_only)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED, "method '%s' does not tell a score", method->info.name);
    return meaning(model, x, t, TW_PREDICT_score);
}
