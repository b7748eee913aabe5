/* flow/journey.c - see journey.h. */
#include "flow/journey.h"

#include "solve/sampler.h"

#include <math.h>
#include <string.h>

tw_status tw_journey_check(tw_flow *flow, const tw_ode_desc *solver)
{
    /* negated comparisons refuse NaN too */
    if (!(solver->t0 >= 0 && solver->t0 <= 1) || !(solver->t1 >= 0 && solver->t1 <= 1))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "times from %g to %g: a flow lives on 0 to 1", solver->t0,
                       solver->t1);
    if (tw_sampler_find(solver->method) && strcmp(flow->model.path->info.name, "affine") != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "solver %s is for affine paths, not for path '%s'", solver->method,
                       flow->model.path->info.name);
    return TW_OK;
}

tw_ode_desc tw_journey_solver(const tw_sample_desc *desc)
{
    tw_ode_desc solver = desc ? desc->solver : (tw_ode_desc){0};
    if (solver.t0 == 0 && solver.t1 == 0) solver.t1 = 1;
    return solver;
}

void tw_journey_count_steps(tw_ode_desc *solver)
{
    enum { STANDARD = 50 };
    if (solver->steps != 0 || solver->step_size != 0) return;
    if (tw_sampler_find(solver->method)) solver->steps = STANDARD;
    for (int i = 0; tw_ode_method_list(i); i++) {
        const tw_ode_method_info *info = tw_ode_method_list(i);
        if (solver->method && strcmp(info->name, solver->method) == 0 && !info->adaptive) solver->steps = STANDARD;
    }
}

void tw_journey_hold(const tw_flow *flow, tw_ode_desc *solver)
{
    double low, high;
    tw_flow_interval(flow, &low, &high);
    solver->t0 = fmin(fmax(solver->t0, low), high);
    solver->t1 = fmin(fmax(solver->t1, low), high);
}

double tw_journey_scale(const tw_flow *flow)
{
    double low, high;
    tw_flow_interval(flow, &low, &high);
    return flow->space.flat ? tw_schedule_at(tw_flow_schedule(flow), low).sigma : 1;
}

tw_status tw_journey_begin(tw_flow *flow, const tw_sample_desc *desc, tw_flow_second second, int64_t n, double *out,
                           tw_journey *j)
{
    static const tw_sample_desc none;
    const tw_sample_desc *d = desc ? desc : &none;
    tw_context *ctx = flow->ctx;
    int told = flow->desc.conditions_count;
    tw_status status = TW_OK;
    *j = (tw_journey){.flow = flow, .n = n, .state = out};
    if (d->conditions && told == 0)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "conditions for a flow that was trained without any"));
    TW_TRY(tw_flow_use_guidance(flow, d));
    TW_TRY(tw_flow_use_probes(flow, d));
    if (d->held && (second == TW_FLOW_SCORE || tw_flow_diverges(second)))
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "columns are held without noise and without densities"));
    if (d->held && flow->other_schedule.info)
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "columns are held along the trained schedule only"));
    TW_TRY(tw_flow_use_held(flow, d->held));
    TW_TRY(tw_crew_get(flow, second, d->double_precision, &j->crew));
    int columns = j->crew->columns;
    if (columns == flow->space.numbers) return TW_OK;
    j->owned = true;
    j->state = tw_alloc(ctx, (size_t)tw_max_i64(n, 1), (size_t)columns * sizeof(double));
    if (!j->state) TW_TRY(tw_fail_memory(ctx, (size_t)n * (size_t)columns * sizeof(double)));
    for (int64_t i = 0; i < n; i++) {
        double *behind = j->state + i * columns + flow->space.numbers;
        if (second == TW_FLOW_DIVERGENCE) behind[0] = 0;
        if (second == TW_FLOW_DIVERGENCE && d->probes > 0) behind[1] = (double)i;
        TW_TRY(tw_conditions_take(ctx, told, flow->desc.conditions, i,
                                  d->conditions ? d->conditions + (d->same_conditions ? 0 : i * told) : NULL,
                                  j->state + (i + 1) * columns - told));
    }
done:
    return status;
}

void tw_journey_end(tw_journey *j)
{
    if (j->owned) tw_free(j->flow->ctx, j->state);
}

tw_status tw_journey_travel(tw_journey *j, const tw_ode_desc *solver, const tw_crew_noise *noise,
                            const tw_sample_desc *desc)
{
    return tw_crew_solve(j->crew, solver, noise, j->n, j->state, j->ends, desc ? desc->on_progress : NULL,
                         desc ? desc->user : NULL, &j->stats);
}

void tw_journey_take(const tw_journey *j, double *out)
{
    size_t columns = (size_t)j->flow->space.numbers, stride = (size_t)j->crew->columns;
    for (size_t i = 0; out != j->state && i < (size_t)j->n; i++)
        memcpy(out + i * columns, j->state + i * stride, columns * sizeof(double));
}
void tw_journey_give(const tw_journey *j, const double *x)
{
    size_t columns = (size_t)j->flow->space.numbers, stride = (size_t)j->crew->columns;
    for (size_t i = 0; x != j->state && i < (size_t)j->n; i++)
        memcpy(j->state + i * stride, x + i * columns, columns * sizeof(double));
}

tw_status tw_flow_from_data_units(const tw_flow *flow, int64_t n, const double *x, int64_t stride, double *out)
{
    const tw_space *space = &flow->space;
    const tw_factor *bad = NULL;
    int columns = flow->desc.columns;
    tw_status status = TW_OK;
    double *row = NULL;
    for (int64_t i = 0; space->flat && i < n; i++) {
        tw_normaliser_apply(&flow->normaliser, 1, x + i * columns, out + i * stride);
        for (int j = 0; j < columns; j++) /* the network knows noise there */
            if (flow->constant[j]) out[i * stride + j] = 0;
    }
    if (space->flat) return TW_OK;
    row = tw_alloc(flow->ctx, (size_t)columns, sizeof(double));
    if (!row) return tw_fail_memory(flow->ctx, (size_t)columns * sizeof(double));
    for (int64_t i = 0; i < n && status == TW_OK; i++) {
        tw_normaliser_apply(&flow->normaliser, 1, x + i * columns, row);
        if (!tw_space_read(space, row, out + i * stride, &bad))
            status = tw_space_refuse(flow->ctx, bad, i, row, flow->desc.names);
    }
    tw_free(flow->ctx, row);
    return status;
}

void tw_flow_to_data_units(const tw_flow *flow, int64_t n, const double *z, double *out)
{
    int columns = flow->desc.columns;
    const tw_space *space = &flow->space;
    for (int64_t i = 0; !space->flat && i < n; i++) {
        double *row = out + i * columns;
        tw_space_write(space, z + i * space->numbers, row);
        tw_normaliser_undo(&flow->normaliser, 1, row, row);
    }
    if (!space->flat) return;
    tw_normaliser_undo(&flow->normaliser, n, z, out);
    for (int j = 0; j < columns; j++)
        for (int64_t i = 0; flow->constant[j] && i < n; i++) out[i * columns + j] = flow->normaliser.shift[j];
}
