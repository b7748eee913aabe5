/* path/schedule_graph.c - schedules on a graph: the source of path/schedules.inc with values of a graph for numbers. */
#include "path/schedule.h"

#include "graph/node.h"
#include "path/knots.h"

#include <math.h>

static tw_val tw_lts(tw_val x, double bound)
{
    return tw_lt(x, tw_full_like(x, bound));
}

/* The numbers of the bin in which each element of `at` lies, in the shape of `at`: rows of a table, gathered. */
static void tw_knots(const tw_schedule *s, bool by_place, tw_val at, tw_val out[TW_BIN_NUMBERS])
{
    tw_graph *graph = at.graph;
    int64_t bins = tw_knots_bins(s);
    for (int i = 0; i < TW_BIN_NUMBERS; i++) out[i] = TW_NONE;
    if (tw_is_none(at)) return;
    tw_context *ctx = graph->ctx;
    double *numbers = tw_alloc(ctx, (size_t)bins * TW_BIN_NUMBERS, sizeof(double));
    if (!numbers) {
        tw_graph_fail(graph, TW_ERR_MEMORY, "out of memory: a schedule of %lld rows", (long long)bins + 1);
        return;
    }
    for (int64_t i = 0; i < bins; i++) tw_knots_bin(s, i, numbers + i * TW_BIN_NUMBERS);
    tw_dtype dtype = tw_dtype_at(at);
    tw_val table = tw_const_data(graph, TW_DTYPE_F64, tw_shape_of(bins, TW_BIN_NUMBERS), numbers);
    tw_free(ctx, numbers);
    table = tw_cast(table, dtype);
    tw_val flat = tw_reshape(at, tw_shape_of(-1));
    int column = by_place ? TW_BIN_Y : TW_BIN_T;
    tw_val first = tw_reshape(tw_slice(table, 1, column, column + 1), tw_shape_of(1, bins));
    tw_val passed = tw_cast(tw_ge(tw_expand_dim(flat, 1), first), TW_DTYPE_I32);
    tw_val index = tw_add(tw_sum_axis(passed, 1), tw_const(graph, TW_DTYPE_I32, -1));
    tw_val rows = tw_take_rows(table, index);
    for (int i = 0; i < TW_BIN_NUMBERS; i++) out[i] = tw_reshape(tw_slice(rows, 1, i, i + 1), tw_shape_at(at));
}

#define HALF_PI 1.57079632679489661923
#define NUM     tw_val
#define N(op)   tw_##op
#include "path/schedules.inc"

static const struct {
    tw_val (*alpha)(P p, tw_val t);
    tw_val (*sigma)(P p, tw_val t);
    tw_val (*time)(P p, tw_val a, tw_val s);
} rows[] = {
#define TW_SCHEDULE(name, about, source, parameters) {name##_alpha, name##_sigma, name##_time},
#include "path/schedules.def"
};

bool tw_slopes(tw_val t, int count, const tw_val *values, tw_val *out_slopes)
{
    tw_val tangent = tw_ones_like(t);
    if (tw_is_none(t) || tw_is_none(tangent)) return false;
    tw_status status = tw_jvp(1, &t, &tangent, count, values, out_slopes);
    if (status != TW_OK) tw_graph_fail(t.graph, status, "%s", tw_context_error(t.graph->ctx));
    for (int i = 0; status == TW_OK && i < count; i++)
        if (tw_is_none(out_slopes[i])) out_slopes[i] = tw_zeros_like(values[i]);
    return status == TW_OK;
}

tw_val tw_schedule_alpha(const tw_schedule *schedule, tw_val t)
{
    return rows[schedule->row].alpha(schedule, t);
}

tw_val tw_schedule_sigma(const tw_schedule *schedule, tw_val t)
{
    return rows[schedule->row].sigma(schedule, t);
}

tw_val tw_schedule_time_of(const tw_schedule *schedule, tw_val a, tw_val s)
{
    /* held without losing the slope, which rounding beyond an end must not cost; what is no number lies before 0 */
    tw_val t = rows[schedule->row].time(schedule, a, s), zero = tw_full_like(t, 0), one = tw_full_like(t, 1);
    tw_val held = tw_select(tw_ge(t, zero), tw_select(tw_lt(one, t), one, t), zero);
    tw_val number = tw_select(tw_is_finite(t), t, held);
    return tw_add(number, tw_stop_gradient(tw_sub(held, number)));
}

tw_schedule_values tw_schedule_values_at(const tw_schedule *schedule, tw_val t)
{
    tw_schedule_values none = {TW_NONE, TW_NONE, TW_NONE, TW_NONE};
    if (tw_is_none(t)) return none;
    tw_val values[2] = {tw_schedule_alpha(schedule, t), tw_schedule_sigma(schedule, t)}, slopes[2];
    if (!tw_slopes(t, 2, values, slopes)) return none;
    return (tw_schedule_values){values[0], values[1], slopes[0], slopes[1]};
}

tw_schedule_change tw_schedule_change_at(const tw_schedule *from, const tw_schedule *to, tw_val r)
{
    tw_schedule_change none = {TW_NONE, TW_NONE, TW_NONE, TW_NONE};
    if (tw_is_none(r)) return none;
    tw_val alpha = tw_schedule_alpha(to, r), sigma = tw_schedule_sigma(to, r), slopes[2];
    tw_val t = tw_schedule_time_of(from, alpha, sigma);
    tw_val below = tw_add(tw_schedule_alpha(from, t), tw_schedule_sigma(from, t));
    tw_val values[2] = {t, tw_div(tw_add(alpha, sigma), below)};
    if (!tw_slopes(r, 2, values, slopes)) return none;
    return (tw_schedule_change){values[0], values[1], slopes[0], slopes[1]};
}
