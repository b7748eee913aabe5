/* flow/sample.c - sampling: the flow integrated from source to data, x(1) = x(0) + int_0^1 u_t(x(t)) dt, with x(0) from
 * the source; then from normalised to data units. */
#include "flow/grid.h"
#include "flow/journey.h"
#include "flow/likelihood.h"
#include "flow/jumping.h"

#include "base/streams.h"
#include "solve/sampler.h"

#include <math.h>
#include <string.h>

const tw_ode_method_info *tw_sampler_list(int index)
{
    return tw_sampler_at(index);
}

/* The part of a solver's journey between frame - 1 and frame, with its share of the steps. */
static tw_ode_desc leg(tw_ode_desc solver, int number, int legs)
{
    double t0 = solver.t0, t1 = solver.t1;
    solver.t0 = t0 + (t1 - t0) * number / legs;
    solver.t1 = number + 1 == legs ? t1 : t0 + (t1 - t0) * (number + 1) / legs;
    if (solver.steps > 0)
        solver.steps = (solver.steps + legs - 1) / legs;
    else if (legs > 1 && solver.step_size > 0)
        solver.step_size = fmin(solver.step_size, fabs(t1 - t0) / legs);
    return solver;
}

/* --- with noise ---------------------------------------------------------------------------------------------------
 */

static tw_status check_noise(tw_context *ctx, const tw_sample_desc *desc, const tw_ode_desc *solver)
{
    if (!desc->diffusion)
        return desc->log_prob ? tw_fail(ctx, TW_ERR_INVALID, "log_prob of a flow's steps needs a diffusion") : TW_OK;
    if (desc->log_prob && desc->grid && desc->frames > 1)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "log_prob along a grid of times goes without frames, which cut its steps");
    if ((solver->rtol != 0 || solver->atol != 0) && (solver->steps != 0 || solver->step_size != 0))
        return tw_fail(ctx, TW_ERR_INVALID, "give sampling with noise steps or tolerances, not both");
    if (!(solver->t0 < solver->t1))
        return tw_fail(ctx, TW_ERR_INVALID, "sampling with noise goes forwards, not from t=%g to t=%g", solver->t0,
                       solver->t1);
    if (solver->steps > 0 && solver->step_size > 0)
        return tw_fail(ctx, TW_ERR_INVALID, "give sampling with noise steps or step_size, not both");
    if (!(solver->steps >= 0 && solver->step_size >= 0))
        return tw_fail(ctx, TW_ERR_INVALID, "%d steps of size %g of sampling with noise", solver->steps,
                       solver->step_size);
    return TW_OK;
}

/* A part of the way: each has a motion of its own. `part` has its times, and its share of the steps or its grid. Steps
 * that errors choose begin as the solver's own first ones; the noise is that of 100 steps all the way, so that smaller
 * errors do not change the equation. */
static tw_crew_noise noisy_leg(const tw_sample_desc *desc, const tw_ode_desc *part, tw_diffusion *diffusion, int64_t n,
                               int number, int legs)
{
    const double *grid = part->time_grid;
    bool chosen = part->rtol != 0 || part->atol != 0;
    double length = part->t1 - part->t0, by_default = (100 + legs - 1) / legs;
    double steps = part->steps > 0 ? part->steps : by_default;
    if (part->step_size > 0) steps = fmin(fmax(1, ceil(length / part->step_size - 1e-6)), INT32_MAX - 1);
    if (grid) steps = (double)(part->time_grid_count - 1);
    diffusion->step = length / (chosen ? by_default : steps);
    for (int64_t i = 1; grid && !chosen && i < part->time_grid_count; i++)
        diffusion->step = fmax(diffusion->step, grid[i] - grid[i - 1]);
    return (tw_crew_noise){.diffusion = diffusion,
                           .solver = {.method = part->method ? part->method : "heun",
                                      .t0 = part->t0,
                                      .t1 = part->t1,
                                      .steps = chosen && !grid ? 0 : (int64_t)steps,
                                      .times = grid,
                                      .rtol = part->rtol,
                                      .atol = part->atol,
                                      .max_steps = part->max_steps,
                                      .seed = desc->seed,
                                      .stream = number},
                           .log_prob = desc->log_prob ? desc->log_prob + number * (int64_t)steps * n : NULL};
}

/* In data units, with what is held as it was given. */
static void hand_out(const tw_flow *flow, const tw_sample_desc *desc, int64_t n, const double *state, double *out)
{
    int columns = flow->desc.columns;
    tw_flow_to_data_units(flow, n, state, out);
    for (int64_t i = 0; desc && desc->held && i < n * columns; i++)
        if (desc->held[i % columns]) out[i] = desc->from[i];
}

static void keep_frame(const tw_flow *flow, const tw_sample_desc *desc, int64_t n, int frame, const double *state,
                       double *out_frames)
{
    if (!desc || desc->frames < 2 || !out_frames) return;
    hand_out(flow, desc, n, state, out_frames + (int64_t)frame * n * flow->desc.columns);
    if (desc->on_frame) desc->on_frame(desc->user, frame);
}

/* States where the flow begins: draws of the source, or given rows. */
static tw_status begin_rows(const tw_flow *flow, const tw_sample_desc *desc, int64_t n, double *out)
{
    int columns = flow->space.numbers;
    const tw_piece *source = flow->model.source;
    if (desc && desc->from) return tw_flow_from_data_units(flow, n, desc->from, columns, out);
    if (!tw_space_draws(&flow->space, source))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "the flow begins at rows of another data set: it needs such rows to begin at");
    for (int64_t i = 0; i < n; i++)
        tw_space_draw_row(&flow->space, source, desc ? desc->seed : 0, TW_STREAM_SAMPLE, i, out + i * columns);
    double scale = tw_journey_scale(flow);
    for (int64_t i = 0; i < n * columns; i++) out[i] *= scale;
    return TW_OK;
}

static tw_status check_scored(const tw_flow *flow, const tw_sample_desc *desc, const tw_ode_desc *solver)
{
    if (desc->diffusion)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "samples with noise have no log_density of their own: see log_prob");
    if (solver->t0 != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "the log_density of samples is known from t=0 on, not from t=%g",
                       solver->t0);
    return tw_flow_check_density(flow, solver);
}

static tw_status check_run(tw_flow *flow, const tw_sample_desc *desc, const tw_ode_desc *solver)
{
    tw_status status = TW_OK;
    TW_TRY(tw_journey_check(flow, solver));
    if (desc && desc->tokens)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "options of tokens for a flow on space '%s'", flow->desc.space));
    if (desc) TW_TRY(check_noise(flow->ctx, desc, solver));
    if (desc && desc->diffusion) TW_TRY(tw_flow_need_flat(flow, "sampling with noise"));
    if (desc && desc->log_density) TW_TRY(check_scored(flow, desc, solver));
    if (desc && desc->held && !desc->from)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "columns that are held need rows to begin at, which have them"));
    if (desc && desc->held && tw_sampler_find(solver->method))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_UNSUPPORTED,
                       "solver %s knows points of a path only: columns are held by methods of differential equations",
                       solver->method));
    if (solver->t1 < solver->t0 && !(desc && desc->from))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "from t=%g back to t=%g: it needs rows of data to begin at",
                       solver->t0, solver->t1));
done:
    return status;
}

tw_status tw_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out, double *out_frames,
                    tw_ode_stats *out_stats)
{
    tw_journey j = {0};
    double *scored = desc ? desc->log_density : NULL, *rows = out, *own = NULL;
    tw_flow_second second = scored ? TW_FLOW_DIVERGENCE : TW_FLOW_ALONE;
    tw_ode_desc solver = tw_journey_solver(desc);
    tw_flow_grid grid = {0};
    tw_diffusion diffusion = {0};
    bool noisy = desc && desc->diffusion;
    int frames = desc ? desc->frames : 0, legs = frames > 1 ? frames - 1 : 1;
    tw_status status = TW_OK;
    if (desc && desc->jumps != 0) return tw_superposition_sample(flow, n, desc, out, out_stats);
    if (tw_space_is_mixed(&flow->space)) return tw_together_sample(flow, n, desc, out, out_stats);
    if (flow->space.symbols > 0) return tw_tokens_sample(flow, n, desc, out, out_frames, out_stats);
    if (n < 0) TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n));
    TW_TRY(check_run(flow, desc, &solver));
    if (!flow->space.flat) {
        rows = own = tw_alloc(flow->ctx, (size_t)tw_max_i64(n, 1), (size_t)flow->space.numbers * sizeof(double));
        if (!own) TW_TRY(tw_fail_memory(flow->ctx, (size_t)n * (size_t)flow->space.numbers * sizeof(double)));
    }
    if (noisy) TW_TRY(tw_piece_read(flow->ctx, "diffusion", desc->diffusion, tw_diffusion_list, &diffusion.piece));
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    diffusion.schedule = tw_flow_schedule(flow);
    tw_journey_hold(flow, &solver);
    TW_TRY(tw_flow_grid_make(flow, desc ? desc->grid : NULL, &solver, &grid));
    if (!noisy && legs > 1) tw_journey_count_steps(&solver);
    TW_TRY(tw_journey_begin(flow, desc, noisy ? TW_FLOW_SCORE : second, n, rows, &j));
    TW_TRY(begin_rows(flow, desc, n, rows));
    if (scored) tw_flow_begin_densities(flow, n, rows, scored);
    tw_journey_give(&j, rows);
    keep_frame(flow, desc, n, 0, rows, out_frames);
    for (int i = 0; i < legs; i++) {
        tw_ode_desc part = leg(solver, i, legs);
        tw_flow_grid_use(&grid, &part);
        tw_crew_noise noise = {0};
        if (noisy) noise = noisy_leg(desc, &part, &diffusion, n, i, legs);
        TW_TRY(tw_journey_travel(&j, &part, noisy ? &noise : NULL, desc));
        tw_journey_take(&j, rows);
        keep_frame(flow, desc, n, i + 1, rows, out_frames);
    }
    hand_out(flow, desc, n, rows, out);
    for (int64_t i = 0; scored && i < n; i++) scored[i] -= j.state[i * j.crew->columns + flow->space.numbers];
    if (out_stats) *out_stats = j.stats;
done:
    tw_free(flow->ctx, own);
    tw_flow_grid_free(flow->ctx, &grid);
    tw_piece_free(flow->ctx, &diffusion.piece);
    tw_journey_end(&j);
    return status;
}

tw_status tw_flow_carry(tw_flow *flow, const tw_sample_desc *desc, int64_t n, double *rows)
{
    tw_journey j = {0};
    tw_ode_desc solver = tw_journey_solver(desc);
    tw_status status = TW_OK;
    TW_TRY(tw_journey_check(flow, &solver));
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    tw_journey_hold(flow, &solver);
    double scale = tw_journey_scale(flow);
    TW_TRY(tw_journey_begin(flow, desc, TW_FLOW_ALONE, n, rows, &j));
    for (int64_t i = 0; i < n * flow->space.numbers; i++) rows[i] *= scale;
    tw_journey_give(&j, rows);
    TW_TRY(tw_journey_travel(&j, &solver, NULL, desc));
    tw_journey_take(&j, rows);
done:
    tw_journey_end(&j);
    return status;
}

tw_status tw_velocity(tw_flow *flow, int64_t n, const double *t, const double *x, const tw_sample_desc *desc,
                      double *out)
{
    tw_journey j = {0};
    double *du = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    TW_TRY(tw_journey_begin(flow, desc, TW_FLOW_ALONE, n, out, &j));
    if (!j.owned) return tw_crew_field(j.crew, n, t, x, out);
    size_t bytes = (size_t)tw_max_i64(n, 1) * (size_t)j.crew->columns * sizeof(double);
    du = tw_alloc(flow->ctx, bytes, 1);
    if (!du) TW_TRY(tw_fail_memory(flow->ctx, bytes));
    tw_journey_give(&j, x);
    TW_TRY(tw_crew_field(j.crew, n, t, j.state, du));
    memcpy(j.state, du, bytes);
    tw_journey_take(&j, out);
done:
    tw_free(flow->ctx, du);
    tw_journey_end(&j);
    return status;
}
