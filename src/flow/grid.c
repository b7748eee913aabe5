/* flow/grid.c - see grid.h. */
#include "flow/grid.h"

#include "path/grid.h"

#include <math.h>

tw_status tw_flow_grid_make(const tw_flow *flow, const char *text, const tw_ode_desc *solver, tw_flow_grid *out_grid)
{
    enum { DEFAULT_STEPS = 50 };
    tw_context *ctx = flow->ctx;
    tw_flow_grid grid = {0};
    tw_piece piece = {0};
    tw_status status = TW_OK;
    if (!text) return TW_OK;
    tw_grid_desc desc = {.schedule = tw_flow_schedule(flow),
                         .low = fmin(solver->t0, solver->t1),
                         .high = fmax(solver->t0, solver->t1),
                         .steps = solver->steps > 0 ? solver->steps : DEFAULT_STEPS,
                         .columns = flow->desc.columns};
    if (solver->step_size > 0) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "give a grid or a step size, not both"));
    if (!(desc.high > desc.low))
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "a grid of times from %g to %g: expected two times", desc.low, desc.high));
    TW_TRY(tw_piece_read(ctx, "grid", text, tw_grid_list, &piece));
    TW_TRY(tw_grid_make(ctx, &piece, &desc, &grid.count, &grid.times));
    grid.part = tw_alloc(ctx, (size_t)grid.count + 2, sizeof(double));
    if (!grid.part) TW_TRY(tw_fail_memory(ctx, ((size_t)grid.count + 2) * sizeof(double)));
    *out_grid = grid;
    grid = (tw_flow_grid){0};
done:
    tw_flow_grid_free(ctx, &grid);
    tw_piece_free(ctx, &piece);
    return status;
}

void tw_flow_grid_use(const tw_flow_grid *grid, tw_ode_desc *leg)
{
    int64_t count = 0;
    if (!grid->times) return;
    grid->part[count++] = leg->t0;
    bool back = leg->t1 < leg->t0;
    double low = back ? leg->t1 : leg->t0, high = back ? leg->t0 : leg->t1;
    for (int64_t i = 0; i < grid->count; i++) {
        double t = grid->times[back ? grid->count - 1 - i : i];
        if (t > low && t < high) grid->part[count++] = t;
    }
    grid->part[count++] = leg->t1;
    leg->time_grid = grid->part;
    leg->time_grid_count = count;
    leg->steps = 0;
}

void tw_flow_grid_free(tw_context *ctx, tw_flow_grid *grid)
{
    tw_free(ctx, grid->times);
    tw_free(ctx, grid->part);
    *grid = (tw_flow_grid){0};
}
