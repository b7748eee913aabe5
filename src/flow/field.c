/* flow/field.c - what is solved: the trained velocity, guided or not, along the trained schedule or along another by
 * its scale and pace (path/schedule.h). */
#include "flow/checksum.h"
#include "flow/flow.h"
#include "nn/sharing.h"

#include <math.h>
#include <string.h>

tw_status tw_flow_need_flat(const tw_flow *flow, const char *what)
{
    if (flow->space.flat) return TW_OK;
    return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "%s: for flows on space 'euclidean', not '%s'", what,
                   flow->desc.space);
}

tw_status tw_flow_use_schedule(tw_flow *flow, const char *schedule)
{
    tw_piece other = {0};
    tw_status status = TW_OK;
    if (schedule) TW_TRY(tw_piece_read(flow->ctx, "schedule", schedule, tw_schedule_list, &other));
    if (schedule) TW_TRY(tw_schedule_check(flow->ctx, &other));
    if (other.text && strcmp(other.text, flow->desc.schedule) == 0) tw_piece_free(flow->ctx, &other);
    const char *before = flow->other_schedule.text, *now = other.text;
    bool same = before && now ? strcmp(before, now) == 0 : before == now;
    if (now) TW_TRY(tw_flow_need_flat(flow, "another schedule than the trained one"));
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

/* A guide speaks of the same points: the same columns in the same units along the same schedule, told the same or
 * nothing. */
static tw_status check_guide(const tw_flow *flow, const tw_flow *guide)
{
    const tw_flow_desc *a = &flow->desc, *b = &guide->desc;
    const char *what = NULL;
    if (a->columns != b->columns) what = "columns";
    if (strcmp(a->space, b->space) != 0) what = "a space";
    if (strcmp(a->schedule, b->schedule) != 0) what = "a schedule";
    if (strcmp(a->source, b->source) != 0) what = "a source";
    if (strcmp(a->path, b->path) != 0) what = "a path";
    if (b->conditions_count > 0 && b->conditions_count != a->conditions_count) what = "conditions";
    for (int i = 0; !what && i < b->conditions_count; i++)
        if (a->conditions[i].classes != b->conditions[i].classes ||
            strcmp(a->conditions[i].name, b->conditions[i].name) != 0)
            what = "conditions";
    for (int i = 0; !what && i < a->columns; i++) {
        double scale = flow->normaliser.scale[i], shift = flow->normaliser.shift[i] - guide->normaliser.shift[i];
        if (fabs(scale - guide->normaliser.scale[i]) > 1e-6 * scale || fabs(shift) > 1e-6 * scale)
            what = "units (it saw other data, or other rows of them)";
    }
    if (!what) return TW_OK;
    return tw_fail(flow->ctx, TW_ERR_INVALID, "the guide has %s that the flow has not", what);
}

/* Programs hold the guide's weights where they lie. */
static tw_flow_guide guide_now(const tw_flow *guide)
{
    if (!guide) return (tw_flow_guide){0};
    size_t bytes = (size_t)tw_params_size(guide->params) * sizeof(float);
    return (tw_flow_guide){guide, guide->weights, tw_checksum(0, guide->weights, bytes)};
}

static bool same_guidance(const tw_flow *flow, const tw_guidance *next, const tw_flow_guide *guide)
{
    const tw_guidance *now = &flow->guidance;
    const tw_flow_guide *before = &flow->guide;
    if (now->strength != next->strength) return false;
    if (next->strength == 0) return true;
    return strcmp(now->piece.text, next->piece.text) == 0 && before->flow == guide->flow &&
           before->weights == guide->weights && before->checksum == guide->checksum;
}

tw_status tw_flow_use_guidance(tw_flow *flow, const tw_sample_desc *desc)
{
    tw_guidance next = {.strength = desc->guidance};
    tw_status status = TW_OK;
    if (!isfinite(desc->guidance))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "a guidance of %g: expected a number", desc->guidance));
    TW_TRY(tw_piece_read(flow->ctx, "guidance", desc->guidance_kind ? desc->guidance_kind : "cfg", tw_guidance_list,
                         &next.piece));
    if (strcmp(next.piece.info->name, "apg") == 0 && strcmp(flow->model.path->info.name, "affine") != 0)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "guidance 'apg' is for affine paths, not for path '%s'",
                       flow->model.path->info.name));
    if (desc->guide) TW_TRY(check_guide(flow, desc->guide));
    if (next.strength != 0 && !desc->guide && flow->desc.conditions_count == 0)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID,
                       "a guidance of %g has nothing to lead away from: the flow was trained without conditions, and "
                       "there is no guide",
                       desc->guidance));
    tw_flow_guide guide = guide_now(next.strength != 0 ? desc->guide : NULL);
    if (same_guidance(flow, &next, &guide)) goto done;
    tw_flow_programs_drop(flow);
    tw_piece_free(flow->ctx, &flow->guidance.piece);
    flow->guide = guide;
    flow->guidance = next;
    next.piece = (tw_piece){0};
done:
    tw_piece_free(flow->ctx, &next.piece);
    return status;
}

/* Solvers that would see fresh probes as a field without end of turns. */
static bool is_adaptive(const tw_ode_desc *solver)
{
    if (solver->steps > 0 || solver->step_size > 0 || solver->time_grid) return false;
    for (int i = 0; tw_ode_method_list(i); i++)
        if (solver->method && strcmp(solver->method, tw_ode_method_list(i)->name) == 0)
            return tw_ode_method_list(i)->adaptive;
    return !solver->method;
}

tw_status tw_flow_use_probes(tw_flow *flow, const tw_sample_desc *desc)
{
    tw_probes probes;
    tw_status status = tw_probes_read(flow->ctx, desc->probe_kind, desc->probes, desc->seed, &probes);
    if (status != TW_OK) return status;
    if (probes.count > 0 && probes.fresh && is_adaptive(&desc->solver))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "fresh probes are for fixed steps: give a number of steps or a step size");
    if (probes.count != flow->probes.count) tw_flow_programs_drop(flow);
    flow->probes = probes;
    return TW_OK;
}

/* That of `whose` network, or of what stands in its place, along its own schedule. */
static tw_val own_velocity(const tw_flow *whose, const tw_model *model, tw_val x, tw_val t)
{
    const tw_flow_binding *binding = model->user;
    return whose->mixture ? tw_mixture_velocity(whose->mixture, model, binding->condition, x, t)
                          : tw_method_velocity(whose->method, model, x, t);
}

/* The same along the schedule the flow is solved with. */
static tw_val velocity(const tw_flow *flow, const tw_flow *whose, const tw_model *model, tw_val x, tw_val t)
{
    if (!flow->other_schedule.info) return own_velocity(whose, model, x, t);
    tw_val inner = x;
    tw_schedule_change c = change(flow, &inner, &t);
    tw_val u = own_velocity(whose, model, inner, t);
    return tw_add(tw_mul(tw_div(c.d_scale, c.scale), x), tw_mul(tw_mul(c.scale, c.d_t), u));
}

static tw_val score(const tw_flow *flow, const tw_flow *whose, const tw_model *model, tw_val x, tw_val t)
{
    if (!flow->other_schedule.info) return tw_method_score(whose->method, model, x, t);
    tw_schedule_change c = change(flow, &x, &t);
    return tw_div(tw_method_score(whose->method, model, x, t), c.scale);
}

static bool is_guided(const tw_flow *flow, const tw_flow_binding *binding)
{
    return flow->guidance.strength != 0 && (binding->guide || !tw_is_none(binding->condition));
}

/* What guidance leads away from: the guide's answer, else the flow's own when it is told nothing. */
static tw_val worse(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t, tw_flow_answer of)
{
    tw_flow_binding *binding = model->user;
    if (binding->guide) {
        tw_model other = tw_flow_model(binding->guide->flow, binding->guide);
        return of(flow, binding->guide->flow, &other, x, t);
    }
    tw_val condition = binding->condition;
    binding->condition = tw_zeros_like(condition);
    tw_val untold = of(flow, flow, model, x, t);
    binding->condition = condition;
    return untold;
}

tw_val tw_flow_guided(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t, tw_flow_answer of)
{
    tw_val better = of(flow, flow, model, x, t);
    if (!is_guided(flow, model->user)) return better;
    tw_schedule_values at = tw_schedule_values_at(tw_flow_schedule(flow), tw_expand_dim(t, 1));
    return tw_guidance_apply(&flow->guidance, &at, x, t, better, worse(flow, model, x, t, of));
}

tw_status tw_flow_use_held(tw_flow *flow, const bool *held)
{
    int columns = flow->desc.columns;
    bool same = !held == !flow->moving;
    for (int j = 0; held && same && j < columns; j++) same = held[j] == (flow->moving[j] == 0);
    if (same) return TW_OK;
    float *moving = NULL;
    if (held) {
        tw_status status = tw_flow_need_flat(flow, "columns that are held");
        if (status != TW_OK) return status;
        if (!(moving = tw_alloc(flow->ctx, (size_t)columns, sizeof *moving)))
            return tw_fail_memory(flow->ctx, (size_t)columns * sizeof *moving);
        for (int j = 0; j < columns; j++) moving[j] = held[j] ? 0 : 1;
    }
    tw_flow_programs_drop(flow);
    tw_free(flow->ctx, flow->moving);
    flow->moving = moving;
    return TW_OK;
}

static tw_val hold(const tw_flow *flow, tw_val u)
{
    if (!flow->moving) return u;
    tw_val moving = tw_const_data(u.graph, TW_DTYPE_F32, tw_shape_of(flow->desc.columns), flow->moving);
    return tw_mul(u, tw_broadcast_to(tw_cast(moving, tw_dtype_at(u)), tw_shape_at(u)));
}

tw_val tw_flow_velocity(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    return hold(flow, tw_flow_guided(flow, model, x, t, velocity));
}

tw_val tw_flow_shared_velocity(const tw_flow *flow, const tw_model *model, tw_val told, tw_val x, tw_val t)
{
    tw_flow_binding *binding = model->user;
    tw_val condition = binding->condition;
    int64_t columns = flow->space.numbers;
    binding->condition = told;
    tw_val second = velocity(flow, flow, model, tw_slice(x, 1, columns, 2 * columns), t);
    binding->condition = condition;
    tw_params_share(binding->params, true, flow->shared_layers);
    tw_val first = tw_flow_velocity(flow, model, tw_slice(x, 1, 0, columns), t);
    tw_params_share(binding->params, false, 0);
    return tw_concat2(1, first, second);
}

tw_val tw_flow_score(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t)
{
    const tw_piece *piece = flow->piece;
    bool independent = piece[TW_PIECE_coupling].row == 0 && piece[TW_PIECE_source].row == 0;
    if (!independent && !flow->method->rules->score)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED,
                             "the score of a flow needs source 'normal' and coupling 'independent', or a method that "
                             "learns it");
    /* classifier-free guidance is the same sum of scores; others are of velocities, from which the score follows */
    if (!flow->mixture && (!is_guided(flow, model->user) || flow->guidance.piece.row == 0))
        return tw_flow_guided(flow, model, x, t, score);
    if (flow->method->rules->score)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED, "guidance '%s' with noise is for methods that learn no score",
                             flow->guidance.piece.info->name);
    tw_schedule_values at = tw_schedule_values_at(tw_flow_schedule(flow), tw_expand_dim(t, 1));
    return tw_prediction_convert(TW_PREDICT_velocity, TW_PREDICT_score, &at, x, tw_flow_velocity(flow, model, x, t));
}
