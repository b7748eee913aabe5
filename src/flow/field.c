/* flow/field.c - what is solved: the trained velocity, guided or not, along the trained schedule or along another by
 * its scale and pace (path/schedule.h). */
#include "flow/flow.h"

#include <string.h>

tw_status tw_flow_use_schedule(tw_flow *flow, const char *schedule)
{
    tw_piece other = {0};
    tw_status status = TW_OK;
    if (schedule) TW_TRY(tw_piece_read(flow->ctx, "schedule", schedule, tw_schedule_list, &other));
    if (schedule) TW_TRY(tw_schedule_check(flow->ctx, &other));
    if (other.text && strcmp(other.text, flow->desc.schedule) == 0) tw_piece_free(flow->ctx, &other);
    const char *before = flow->other_schedule.text, *now = other.text;
    bool same = before && now ? strcmp(before, now) == 0 : before == now;
    if (!same) {
        tw_flow_programs_drop(flow);
        tw_piece_free(flow->ctx, &flow->other_schedule);
        flow->other_schedule = other;
        other = (tw_piece){0};
    }
done:
    tw_piece_free(flow->ctx, &other);
    return status;
}

const tw_schedule *tw_flow_schedule(const tw_flow *flow)
{
    return flow->other_schedule.info ? &flow->other_schedule : flow->model.schedule;
}

void tw_flow_interval(const tw_flow *flow, double *out_low, double *out_high)
{
    const tw_model *m = &flow->model;
    tw_prediction_interval(m->predict, m->schedule, out_low, out_high);
    if (flow->other_schedule.info)
        tw_schedule_change_interval(m->schedule, *out_low, *out_high, &flow->other_schedule, out_low, out_high);
}

/* The change at times (B), and the times and points at which the trained model is asked. */
static tw_schedule_change change(const tw_flow *flow, tw_val *x, tw_val *t)
{
    tw_schedule_change c = tw_schedule_change_at(flow->model.schedule, &flow->other_schedule, tw_expand_dim(*t, 1));
    *x = tw_div(*x, c.scale);
    *t = tw_sum_axis(c.t, 1);
    return c;
}

void tw_flow_use_guidance(tw_flow *flow, double guidance)
{
    if (flow->desc.conditions_count == 0) guidance = 0;
    if (guidance != flow->guidance) tw_flow_programs_drop(flow);
    flow->guidance = guidance;
}

tw_status tw_flow_use_probes(tw_flow *flow, int probes, uint64_t seed)
{
    enum { MOST = 1024 };
    if (probes < 0 || probes > MOST)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%d probes of a divergence: expected 0 (exact) to %d", probes, MOST);
    if (probes != flow->probes) tw_flow_programs_drop(flow);
    flow->probes = probes;
    flow->probe_seed = seed;
    return TW_OK;
}

static tw_val velocity(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    if (!flow->other_schedule.info) return tw_method_velocity(flow->method, model, x, t);
    tw_val inner = x;
    tw_schedule_change c = change(flow, &inner, &t);
    tw_val u = tw_method_velocity(flow->method, model, inner, t);
    return tw_add(tw_mul(tw_div(c.d_scale, c.scale), x), tw_mul(tw_mul(c.scale, c.d_t), u));
}

static tw_val score(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    if (!flow->other_schedule.info) return tw_method_score(flow->method, model, x, t);
    tw_schedule_change c = change(flow, &x, &t);
    return tw_div(tw_method_score(flow->method, model, x, t), c.scale);
}

/* Classifier-free guidance (Ho, Salimans 2022; of velocities: Zheng et al. 2023, Guided flows, eq. 9), of both alike.
 */
static tw_val guided(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t,
                     tw_val (*of)(const tw_flow *, const tw_model *, tw_val, tw_val))
{
    tw_flow_binding *binding = model->user;
    tw_val told = of(flow, model, x, t), condition = binding->condition;
    if (flow->guidance == 0 || tw_is_none(condition)) return told;
    binding->condition = tw_zeros_like(condition);
    tw_val untold = of(flow, model, x, t);
    binding->condition = condition;
    return tw_add(told, tw_muls(tw_sub(told, untold), flow->guidance));
}

tw_val tw_flow_velocity(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    return guided(flow, model, x, t, velocity);
}

tw_val tw_flow_score(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    const tw_piece *piece = flow->piece;
    bool independent = piece[TW_PIECE_coupling].row == 0 && piece[TW_PIECE_source].row == 0;
    if (!independent && !flow->method->rules->score)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED,
                             "the score of a flow needs source 'normal' and coupling 'independent', or a method that "
                             "learns it");
    return guided(flow, model, x, t, score);
}
