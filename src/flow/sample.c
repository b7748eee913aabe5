/* flow/sample.c - sampling and likelihood: the flow integrated from source to data, and back.
 *
 *   x(1) = x(0) + int_0^1 u_t(x(t)) dt                                   x(0) from the source
 *   log p_1(x(1)) = log p_0(x(0)) - int_0^1 div u_t(x(t)) dt             (Chen et al. 2018, Neural ODEs, eq. 8)
 *
 * then from normalised to data units, whose log-determinant is the normaliser's. */
#include "flow/crew.h"
#include "flow/grid.h"

#include "base/streams.h"

#include <math.h>
#include <string.h>

static tw_status check_interval(tw_flow *flow, const tw_ode_desc *solver)
{
    /* negated comparisons refuse NaN too */
    if (!(solver->t0 >= 0 && solver->t0 <= 1) || !(solver->t1 >= 0 && solver->t1 <= 1))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "times from %g to %g: a flow lives on 0 to 1", solver->t0,
                       solver->t1);
    return TW_OK;
}

static tw_ode_desc solver_of(const tw_sample_desc *desc)
{
    tw_ode_desc solver = desc ? desc->solver : (tw_ode_desc){0};
    if (solver.t0 == 0 && solver.t1 == 0) solver.t1 = 1;
    return solver;
}

/* Keeps a solver within the times at which the flow can be solved. */
static void hold(const tw_flow *flow, tw_ode_desc *solver)
{
    double low, high;
    tw_flow_interval(flow, &low, &high);
    solver->t0 = fmin(fmax(solver->t0, low), high);
    solver->t1 = fmin(fmax(solver->t1, low), high);
}

/* What a source point is multiplied by where the flow begins. */
static double source_scale(const tw_flow *flow)
{
    double low, high;
    tw_flow_interval(flow, &low, &high);
    return tw_schedule_at(tw_flow_schedule(flow), low).sigma;
}

/* Log-density of the flow's beginning at x: that of the source, scaled. */
static double begin_log_density(const tw_flow *flow, double scale, int columns, double *x)
{
    for (int j = 0; j < columns; j++) x[j] /= scale;
    return flow->model.source->rules->log_density(columns, x) - columns * log(scale);
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

/* Normalised to data units; columns that never change are what they are. */
static void to_data_units(const tw_flow *flow, int64_t n, const double *z, double *out)
{
    int columns = flow->desc.columns;
    tw_normaliser_undo(&flow->normaliser, n, z, out);
    for (int j = 0; j < columns; j++)
        for (int64_t i = 0; flow->constant[j] && i < n; i++) out[i * columns + j] = flow->normaliser.shift[j];
}

static void keep_frame(const tw_flow *flow, int64_t n, int frame, const double *state, double *out_frames)
{
    if (out_frames) to_data_units(flow, n, state, out_frames + (int64_t)frame * n * flow->desc.columns);
}

/* Frames of a fixed-step method without a step count of its own: the default number of steps is shared out, not
 * repeated. */
static void share_default_steps(tw_ode_desc *solver, int legs)
{
    if (legs < 2 || solver->steps > 0 || solver->step_size > 0) return;
    for (int i = 0; tw_ode_method_list(i); i++) {
        const tw_ode_method_info *info = tw_ode_method_list(i);
        if (solver->method && strcmp(info->name, solver->method) == 0 && !info->adaptive) solver->steps = 50;
    }
}

tw_status tw_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out, double *out_frames,
                    tw_ode_stats *out_stats)
{
    tw_crew *crew = NULL;
    tw_ode_stats stats = {0};
    tw_ode_desc solver = solver_of(desc);
    tw_flow_grid grid = {0};
    int frames = desc ? desc->frames : 0, legs = frames > 1 ? frames - 1 : 1;
    int columns = flow->desc.columns;
    tw_status status = TW_OK;
    if (n < 0) TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n));
    TW_TRY(check_interval(flow, &solver));
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    hold(flow, &solver);
    TW_TRY(tw_flow_grid_make(flow, desc ? desc->grid : NULL, &solver, &grid));
    share_default_steps(&solver, legs);
    TW_TRY(tw_crew_get(flow, false, desc && desc->double_precision, &crew));
    for (int64_t i = 0; i < n; i++)
        flow->model.source->rules->draw_row(desc ? desc->seed : 0, TW_STREAM_SAMPLE, i, columns, out + i * columns);
    double scale = source_scale(flow);
    for (int64_t i = 0; i < n * columns; i++) out[i] *= scale;
    if (frames > 1) keep_frame(flow, n, 0, out, out_frames);
    for (int i = 0; i < legs; i++) {
        tw_ode_desc part = leg(solver, i, legs);
        tw_flow_grid_use(&grid, &part);
        TW_TRY(tw_crew_solve(crew, &part, n, out, desc ? desc->on_progress : NULL, desc ? desc->user : NULL, &stats));
        if (frames > 1) keep_frame(flow, n, i + 1, out, out_frames);
    }
    to_data_units(flow, n, out, out);
    if (out_stats) *out_stats = stats;
done:
    tw_flow_grid_free(flow->ctx, &grid);
    return status;
}

/* The network takes columns that never change for standard normal ones, independent of the others: at 0 their share of
 * the log-density is that of the source, and is left out. A row that has another value there is impossible. */
static double density_beside_constants(const tw_flow *flow, double scale, const double *x, double log_density)
{
    double zero = 0;
    for (int j = 0; j < flow->desc.columns; j++) {
        if (!flow->constant[j]) continue;
        if (x[j] != flow->normaliser.shift[j]) return -(double)INFINITY;
        log_density -= begin_log_density(flow, scale, 1, &zero);
    }
    return log_density;
}

tw_status tw_log_density(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc, double *out,
                         tw_ode_stats *out_stats)
{
    tw_context *ctx = flow->ctx;
    tw_crew *crew = NULL;
    tw_ode_stats stats = {0};
    tw_ode_desc solver = solver_of(desc);
    int columns = flow->desc.columns, stride = columns + 1;
    double *state = NULL;
    tw_status status = TW_OK;
    if (solver.t0 != 0 || solver.t1 != 1)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "a likelihood needs the whole way from 0 to 1, not %g to %g", solver.t0,
                       solver.t1));
    solver.t0 = 1;
    solver.t1 = 0;
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    hold(flow, &solver);
    double scale = source_scale(flow);
    state = tw_alloc(ctx, (size_t)tw_max_i64(n, 1), (size_t)stride * sizeof(double));
    if (!state) TW_TRY(tw_fail_memory(ctx, (size_t)n * (size_t)stride * sizeof(double)));
    for (int64_t i = 0; i < n; i++) {
        tw_normaliser_apply(&flow->normaliser, 1, x + i * columns, state + i * stride);
        for (int j = 0; j < columns; j++)
            if (flow->constant[j]) state[i * stride + j] = 0;
    }
    TW_TRY(tw_crew_get(flow, true, desc && desc->double_precision, &crew));
    TW_TRY(tw_crew_solve(crew, &solver, n, state, desc ? desc->on_progress : NULL, desc ? desc->user : NULL, &stats));
    double log_jacobian = tw_normaliser_log_jacobian(&flow->normaliser);
    /* integrated from 1 back to 0, the last column holds minus the integral from 0 to 1 */
    for (int64_t i = 0; i < n; i++) {
        double source = begin_log_density(flow, scale, columns, state + i * stride);
        double log_density = source + state[i * stride + columns] + log_jacobian;
        out[i] = density_beside_constants(flow, scale, x + i * columns, log_density);
    }
    if (out_stats) *out_stats = stats;
done:
    tw_free(ctx, state);
    return status;
}

tw_status tw_velocity(tw_flow *flow, int64_t n, const double *t, const double *x, double *out)
{
    tw_crew *crew = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_flow_use_schedule(flow, NULL));
    TW_TRY(tw_crew_get(flow, false, false, &crew));
    TW_TRY(tw_crew_field(crew, n, t, x, out));
done:
    return status;
}
