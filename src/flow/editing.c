/* flow/editing.c - editing between conditions: rows go back to the source told what they are, and forth told what they
 * are to be.
 *
 * RF-Edit (Wang et al. 2024, Taming rectified flow for inversion and editing) stores the values of self-attention of
 * the last steps back and uses them in the first ones forth. Here the row as it was goes forth again beside the edited
 * one, told what it was told, and hands over its values at the very times the solver asks for: it is where the way back
 * was, up to the solver's error, and nothing is stored, which would be numbers for every row, evaluation, layer, token
 * and channel. */
#include "flow/grid.h"
#include "flow/journey.h"

#include "nn/sharing.h"

#include <math.h>

typedef struct editing {
    tw_flow *flow;
    const tw_flow_edit_desc *edit;
    tw_sample_desc back, forth; /* what rows are told there, and how they are guided */
    tw_ode_desc solver;         /* of the whole way, from source to data */
    tw_flow_grid grid;
    int64_t n;
    double *rows; /* (n, numbers) */
    tw_ode_stats stats;
} editing;

static tw_status check_sharing(const tw_flow *flow, const tw_flow_edit_desc *edit)
{
    if (!(edit->share >= 0 && edit->share <= 1)) /* refuses NaN too */
        return tw_fail(flow->ctx, TW_ERR_INVALID, "values of attention shared until t=%g: expected a time from 0 to 1",
                       edit->share);
    if (edit->share_layers < 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "%d layers of attention that share: expected 1 and more, or 0 for all", edit->share_layers);
    if (edit->share == 0) return TW_OK;
    if (tw_params_attentions(flow->params) == 0)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "network '%s' has no attention whose values could be shared",
                       flow->desc.network.kind);
    return tw_flow_need_flat(flow, "attention shared between rows");
}

static tw_status check(const tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_flow_edit_desc *edit)
{
    tw_context *ctx = flow->ctx;
    if (flow->space.symbols > 0 || tw_space_is_mixed(&flow->space) || desc->tokens)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "rows of tokens cannot be edited: there is no way back from them");
    if (n < 0) return tw_fail(ctx, TW_ERR_INVALID, "%lld rows to edit", (long long)n);
    if (!desc->from) return tw_fail(ctx, TW_ERR_INVALID, "editing needs rows of data to begin at");
    if (flow->desc.conditions_count == 0)
        return tw_fail(ctx, TW_ERR_INVALID, "rows are edited between conditions, and the flow was trained without any");
    if (desc->diffusion) return tw_fail(ctx, TW_ERR_INVALID, "editing and noise: noise cannot be undone");
    if (desc->jumps != 0) return tw_fail(ctx, TW_ERR_INVALID, "editing and jumps: jumps cannot be undone");
    if (desc->frames > 1 || desc->log_density || desc->log_prob)
        return tw_fail(ctx, TW_ERR_INVALID, "editing gives rows alone: no frames and no densities");
    if (desc->held) return tw_fail(ctx, TW_ERR_UNSUPPORTED, "editing moves every column: none is held");
    if (desc->solver.t0 != 0 || (desc->solver.t1 != 0 && desc->solver.t1 != 1))
        return tw_fail(ctx, TW_ERR_INVALID, "editing goes the whole way, not from t=%g to t=%g", desc->solver.t0,
                       desc->solver.t1);
    return check_sharing(flow, edit);
}

/* Rows side by side with themselves; beside what was filled in already, what the row as it was is told, stands what the
 * edited one is. */
static tw_status set_abreast(const editing *e, const tw_journey *j)
{
    const tw_flow_desc *about = &e->flow->desc;
    int numbers = e->flow->space.numbers, told = about->conditions_count;
    tw_status status = TW_OK;
    for (int64_t i = 0; i < e->n && status == TW_OK; i++) {
        double *state = j->state + i * j->crew->columns;
        const double *now = e->edit->conditions;
        if (now && !e->edit->same_conditions) now += i * told;
        for (int k = 0; k < numbers; k++) state[numbers + k] = state[k];
        status = tw_conditions_take(e->flow->ctx, told, about->conditions, i, now, state + 2 * numbers);
    }
    return status;
}

/* A part of the way with its share of the steps. */
static tw_status go(editing *e, tw_flow_second second, const tw_sample_desc *desc, double t0, double t1)
{
    tw_journey j = {0};
    tw_ode_desc part = e->solver;
    tw_status status = TW_OK;
    double share = fabs(t1 - t0) / (part.t1 - part.t0);
    part.t0 = t0;
    part.t1 = t1;
    if (part.steps > 0) part.steps = (int)fmax(1, round(part.steps * share));
    if (part.step_size > 0) part.step_size = fmin(part.step_size, fabs(t1 - t0));
    tw_flow_grid_use(&e->grid, &part);
    TW_TRY(tw_journey_begin(e->flow, desc, second, e->n, e->rows, &j));
    tw_journey_give(&j, e->rows);
    if (second == TW_FLOW_SHARED) TW_TRY(set_abreast(e, &j));
    j.stats = e->stats;
    TW_TRY(tw_journey_travel(&j, &part, NULL, desc));
    e->stats = j.stats;
    tw_journey_take(&j, e->rows);
done:
    tw_journey_end(&j);
    return status;
}

static tw_status there_and_back(editing *e)
{
    double low = e->solver.t0, high = e->solver.t1, until = fmin(fmax(e->edit->share, low), high);
    tw_sample_desc shared = e->forth; /* what is told there stands beside what was */
    shared.conditions = e->back.conditions;
    shared.same_conditions = e->back.same_conditions;
    tw_status status = TW_OK;
    TW_TRY(go(e, TW_FLOW_ALONE, &e->back, high, low));
    if (until > low) TW_TRY(go(e, TW_FLOW_SHARED, &shared, low, until));
    if (until < high) TW_TRY(go(e, TW_FLOW_ALONE, &e->forth, until, high));
done:
    return status;
}

tw_status tw_flow_edit(tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_flow_edit_desc *edit, double *out,
                       tw_ode_stats *out_stats)
{
    tw_status status = TW_OK;
    editing e = {.flow = flow, .edit = edit, .back = *desc, .forth = *desc, .solver = tw_journey_solver(desc), .n = n};
    TW_TRY(check(flow, n, desc, edit));
    TW_TRY(tw_journey_check(flow, &e.solver));
    e.back.guidance = 0;
    e.back.guide = NULL;
    e.forth.conditions = edit->conditions;
    e.forth.same_conditions = edit->same_conditions;
    size_t bytes = (size_t)flow->space.numbers * sizeof(double);
    e.rows = tw_alloc(flow->ctx, (size_t)tw_max_i64(n, 1), bytes);
    if (!e.rows) TW_TRY(tw_fail_memory(flow->ctx, (size_t)n * bytes));
    if (flow->shared_layers != edit->share_layers) tw_flow_programs_drop(flow);
    flow->shared_layers = edit->share_layers;
    TW_TRY(tw_flow_use_schedule(flow, desc->schedule));
    tw_journey_hold(flow, &e.solver);
    TW_TRY(tw_flow_grid_make(flow, desc->grid, &e.solver, &e.grid));
    tw_journey_count_steps(&e.solver);
    TW_TRY(tw_flow_from_data_units(flow, n, desc->from, flow->space.numbers, e.rows));
    TW_TRY(there_and_back(&e));
    tw_flow_to_data_units(flow, n, e.rows, out);
    if (out_stats) *out_stats = e.stats;
done:
    tw_free(flow->ctx, e.rows);
    tw_flow_grid_free(flow->ctx, &e.grid);
    return status;
}
