/* flow/mixture.c - see mixture.h. */
#include "flow/flow.h"

/* Centres (K,D) and, with classes, ones where component k is of class c (C,K). */
static tw_val centres_of(const tw_mixture *m, tw_val x)
{
    tw_dtype dtype = tw_dtype_at(x);
    tw_shape shape = tw_shape_of(m->components, m->columns);
    if (!m->centre) return tw_full(x.graph, dtype, shape, 0);
    return tw_cast(tw_const_data(x.graph, TW_DTYPE_F64, shape, m->centre), dtype);
}

/* (B,K): 0 where a component is possible, and far below where what is told rules it out. */
static tw_val possible(const tw_mixture *m, tw_val condition)
{
    tw_val all = tw_ones_like(tw_slice(condition, 1, 0, 1)), parts[TW_MIXTURE_COMPONENTS];
    tw_val untold = tw_sub(all, tw_expand_dim(tw_sum_axis(condition, 1), 1));
    for (int k = 0; k < m->components; k++)
        parts[k] = tw_add(untold, tw_slice(condition, 1, m->class_of[k], m->class_of[k] + 1));
    return tw_muls(tw_adds(tw_concat(1, m->components, parts), -1), 1e9);
}

tw_val tw_mixture_velocity(const tw_mixture *m, const tw_model *model, tw_val condition, tw_val x, tw_val t)
{
    tw_schedule_values at = tw_schedule_values_at(model->schedule, tw_expand_dim(t, 1));
    double s2 = m->deviation * m->deviation;
    tw_val centre = centres_of(m, x), wide = tw_reshape(centre, tw_shape_of(1, m->components, m->columns));
    tw_val variance = tw_add(tw_muls(tw_square(at.alpha), s2), tw_square(at.sigma));    /* (B,1) */
    tw_val off = tw_sub(tw_expand_dim(x, 1), tw_mul(tw_expand_dim(at.alpha, 2), wide)); /* (B,K,D) */
    tw_val exponent = tw_div(tw_muls(tw_sum_axis(tw_square(off), 2), -0.5), variance);  /* (B,K) */
    if (m->classes > 0 && !tw_is_none(condition)) exponent = tw_add(exponent, possible(m, condition));
    tw_val mean = tw_matmul(tw_softmax(exponent, 1), centre); /* sum w_k m_k */
    tw_val rest = tw_div(tw_sub(x, tw_mul(at.alpha, mean)), variance);
    tw_val x1 = tw_add(mean, tw_mul(tw_muls(at.alpha, s2), rest)), x0 = tw_mul(at.sigma, rest);
    tw_val predicted = tw_prediction_of(model->predict, &at, x1, x0);
    return tw_prediction_convert(model->predict, TW_PREDICT_velocity, &at, x, predicted);
}

tw_status tw_flow_create_exact(tw_context *ctx, const tw_mixture *mixture, const char *schedule, tw_flow **out_flow)
{
    static char *level[] = {"0", "1", "2", "3", "4", "5", "6", "7"};
    tw_condition told = {.name = "class", .classes = mixture->classes, .level = (const char *const *)level, .scale = 1};
    tw_flow_desc desc = {.columns = mixture->columns,
                         .schedule = schedule,
                         .predict = mixture->predict,
                         .network = {.width = 1, .depth = 1, .time_features = 2},
                         .conditions = &told,
                         .conditions_count = mixture->classes > 0};
    if (mixture->components > TW_MIXTURE_COMPONENTS || mixture->classes > TW_COUNT(level))
        return tw_fail(ctx, TW_ERR_INVALID, "%d components of %d classes: at most %d of %d", mixture->components,
                       mixture->classes, TW_MIXTURE_COMPONENTS, TW_COUNT(level));
    tw_status status = tw_flow_create(ctx, &desc, out_flow);
    if (status == TW_OK) (*out_flow)->mixture = mixture;
    return status;
}
