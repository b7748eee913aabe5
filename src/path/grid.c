/* path/grid.c - see grid.h. */
#include "path/grid.h"

#include <math.h>

/* Each gives time `i` of `n` steps; tw_grid_make sets the ends and brings the unit interval to the one solved. */

static double uniform_grid(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n)
{
    (void)grid, (void)d;
    return (double)i / (double)n;
}

static double edm_grid(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n)
{
    double rho = grid->value[2], low = pow(grid->value[0], 1 / rho), high = pow(grid->value[1], 1 / rho);
    double place = n > 1 ? (double)i / (double)(n - 1) : 0;
    return tw_schedule_time(d->schedule, -2 * rho * log(high + place * (low - high)));
}

static double shifted(double s, double t)
{
    return t / (t + s * (1 - t));
}

static double shift_grid(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n)
{
    return shifted(grid->value[0], uniform_grid(grid, d, i, n));
}

static double dynamic_grid(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n)
{
    double base = grid->value[0], most = grid->value[1], few = grid->value[2], many = grid->value[3];
    double mu = base + (most - base) * ((double)d->columns - few) / (many - few);
    return shifted(exp(mu), uniform_grid(grid, d, i, n));
}

static double at_grid(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n)
{
    (void)d, (void)n;
    return grid->value[i];
}

static const struct {
    tw_piece_info info;
    double (*time)(const tw_piece *grid, const tw_grid_desc *d, int64_t i, int64_t n);
} grids[] = {
#define TW_GRID(name, about, source, parameters) {{#name, about, source, parameters}, name##_grid},
#include "path/grids.def"
};

const tw_piece_info *tw_grid_list(int index)
{
    return index >= 0 && index < TW_COUNT(grids) ? &grids[index].info : NULL;
}

static tw_status check_given(tw_context *ctx, const tw_piece *grid)
{
    int64_t count = grid->count;
    const double *t = grid->value;
    if (count < 2 || t[0] != 0 || t[count - 1] != 1)
        return tw_fail(ctx, TW_ERR_INVALID, "grid '%s': the times go from 0 to 1, as in at:0,0.5,1", grid->info->name);
    for (int64_t i = 1; i < count; i++)
        if (t[i] <= t[i - 1])
            return tw_fail(ctx, TW_ERR_INVALID, "grid '%s': time %lld is %g after %g, expected growing times",
                           grid->info->name, (long long)i + 1, t[i], t[i - 1]);
    return TW_OK;
}

/* By ratios of noise the grid knows its times itself; others fill the interval. */
static bool by_ratio(const tw_piece *grid)
{
    return grids[grid->row].time == edm_grid;
}

tw_status tw_grid_make(tw_context *ctx, const tw_piece *grid, const tw_grid_desc *desc, int64_t *out_count,
                       double **out_times)
{
    bool given = grids[grid->row].time == at_grid;
    tw_status status = given ? check_given(ctx, grid) : TW_OK;
    if (status != TW_OK) return status;
    int64_t n = given ? grid->count - 1 : desc->steps, kept = 0;
    double *times = tw_alloc(ctx, (size_t)n + 1, sizeof(double));
    if (!times) return tw_fail_memory(ctx, ((size_t)n + 1) * sizeof(double));
    times[kept++] = desc->low;
    for (int64_t i = 1; i < n; i++) {
        double t = grids[grid->row].time(grid, desc, i, n);
        if (!by_ratio(grid)) t = desc->low + (desc->high - desc->low) * t;
        /* ratios beyond the schedule's own fall together at its ends */
        if (t > times[kept - 1] && t < desc->high) times[kept++] = t;
    }
    times[kept++] = desc->high;
    *out_count = kept;
    *out_times = times;
    return TW_OK;
}
