/* solve/step.c - one explicit Runge-Kutta step of every active row, calls of the field, and the bookkeeping of rows
 * that leave.
 *
 * Sums run over tiles that stay in the first cache and touch each element by itself, in the order of the stages: a row
 * has the same bits whatever rows stand beside it. */
#include "solve/ode.h"

#include <math.h>
#include <string.h>

tw_status tw_ode_call(tw_ode *ode, int64_t rows, const double *t, const double *x, double *out_dx)
{
    ode->stats.calls++;
    ode->stats.evaluations += rows;
    return ode->field(ode->user, rows, t, x, out_dx);
}

tw_status tw_ode_call_some(tw_ode *ode, const unsigned char *which, const double *t, const double *x, double *out_dx)
{
    tw_status status = TW_OK;
    int64_t columns = ode->columns, count = 0;
    size_t bytes = (size_t)columns * sizeof(double);
    for (int64_t a = 0; a < ode->active; a++) {
        count += which[a];
        ode->nfe[a] += which[a];
    }
    if (count == 0) return TW_OK;
    if (count == ode->active) return tw_ode_call(ode, count, t, x, out_dx);
    count = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        if (!which[a]) continue;
        memcpy(ode->packed_x + count * columns, x + a * columns, bytes);
        ode->packed_t[count++] = t[a];
    }
    TW_TRY(tw_ode_call(ode, count, ode->packed_t, ode->packed_x, ode->packed_dx));
    count = 0;
    for (int64_t a = 0; a < ode->active; a++)
        if (which[a]) memcpy(out_dx + a * columns, ode->packed_dx + count++ * columns, bytes);
done:
    return status;
}

bool tw_ode_finite(const double *z, int64_t count)
{
    double sum[4] = {0}; /* 0 * inf and 0 * nan are not zero */
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += 0 * z[i + j];
    for (; i < count; i++) sum[0] += 0 * z[i];
    return sum[0] + sum[1] + sum[2] + sum[3] == 0;
}

void tw_ode_combine(const tw_ode *ode, const tw_ode_terms *terms, double *out)
{
    int64_t count = ode->active * ode->columns;
    for (int64_t begin = 0; begin < count; begin += TW_ODE_TILE) {
        int n = (int)tw_min_i64(TW_ODE_TILE, count - begin);
        double sum[TW_ODE_TILE];
        tw_ode_weigh(ode, terms, begin, n, sum);
        const double *y = ode->y + begin, *step = ode->step + begin;
        double *restrict result = out + begin;
        for (int i = 0; i < n; i++) result[i] = y[i] + step[i] * sum[i];
    }
}

void tw_ode_reach(tw_ode *ode, const tw_ode_terms *terms)
{
    if (ode->desc.chart)
        tw_chart_go(ode, terms);
    else
        tw_ode_combine(ode, terms, ode->z);
}

static void stage_times(tw_ode *ode, double c)
{
    for (int64_t a = 0; a < ode->active; a++) ode->t_stage[a] = tw_ode_node(ode->t[a], c, ode->h[a], ode->t_next[a]);
}

static void spread_steps(tw_ode *ode)
{
    int columns = ode->columns;
    double *step = ode->step;
    for (int64_t a = 0; a < ode->active; a++)
        for (int c = 0; c < columns; c++) *step++ = ode->h[a];
}

tw_status tw_ode_step_explicit(tw_ode *ode)
{
    tw_status status = TW_OK;
    for (int s = 1; s < ode->stages; s++) {
        tw_ode_reach(ode, &ode->stage[s]);
        stage_times(ode, ode->table->c[s]);
        ode->weightless = !ode->weighs[s];
        TW_TRY(tw_ode_call(ode, ode->active, ode->t_stage, ode->z, ode->k[s]));
        if (ode->desc.chart) tw_chart_pull(ode, s);
    }
    if (!ode->ends_known) tw_ode_reach(ode, &ode->solution);
    for (int64_t a = 0; a < ode->active; a++) ode->nfe[a] += ode->stages - 1;
done:
    ode->weightless = false;
    return status;
}

tw_status tw_ode_step(tw_ode *ode)
{
    spread_steps(ode);
    switch (ode->table->kind) {
    case TW_TABLEAU_ADAMS:
        return tw_ode_step_adams(ode);
    case TW_TABLEAU_IMPLICIT:
        return tw_ode_step_implicit(ode);
    default:
        return tw_ode_step_explicit(ode);
    }
}

void tw_ode_fail_row(tw_ode *ode, int64_t a, const char *why)
{
    int64_t row = ode->first_row + ode->index[a];
    ode->leaving[a] = 1;
    ode->stats.failed++;
    if (ode->failure.why && ode->failure.row < row) return;
    ode->failure = (tw_ode_failure){.row = row, .t = ode->t[a], .step = ode->wish[a], .why = why};
}

/* Hands row a back to the caller. */
static void write_row(tw_ode *ode, int64_t a)
{
    int64_t columns = ode->columns, row = ode->first_row + ode->index[a];
    const tw_ode_output *out = ode->output;
    memcpy(ode->x + ode->index[a] * columns, ode->y + a * columns, (size_t)columns * sizeof(double));
    ode->stats.nfe = tw_max_i64(ode->stats.nfe, ode->nfe[a]);
    if (!out) return;
    if (out->ends) out->ends[row] = ode->t[a];
    if (out->nfe) out->nfe[row] = ode->nfe[a];
    if (out->accepted) out->accepted[row] = ode->taken[a];
    if (out->rejected) out->rejected[row] = ode->tries[a] - ode->taken[a];
}

static void move_row(tw_ode *ode, int64_t to, int64_t from)
{
    size_t bytes = (size_t)ode->columns * sizeof(double);
    double *const reals[] = {ode->t,      ode->t_next,  ode->h,       ode->wish,   ode->last,
                             ode->before, ode->past[0], ode->past[1], ode->past[2]};
    int64_t *const integers[] = {ode->index, ode->tries, ode->nfe, ode->taken, ode->place, ode->asked, ode->cause};
    unsigned char *const flags[] = {ode->fresh, ode->bad, ode->stale, ode->known, ode->history, ode->anew};
    memcpy(ode->y + to * ode->columns, ode->y + from * ode->columns, bytes);
    memcpy(ode->k[ode->begin] + to * ode->columns, ode->k[ode->begin] + from * ode->columns, bytes);
    for (int j = 1; j <= 3 && ode->table->kind == TW_TABLEAU_ADAMS; j++)
        memcpy(ode->k[j] + to * ode->columns, ode->k[j] + from * ode->columns, bytes);
    for (int i = 0; i < TW_COUNT(reals); i++) reals[i][to] = reals[i][from];
    for (int i = 0; i < TW_COUNT(integers); i++) integers[i][to] = integers[i][from];
    for (int i = 0; i < TW_COUNT(flags); i++) flags[i][to] = flags[i][from];
    int events = ode->desc.events_count;
    for (int e = 0; e < events; e++) {
        ode->fired[to * events + e] = ode->fired[from * events + e];
        ode->side[to * events + e] = ode->side[from * events + e];
    }
}

void tw_ode_compact(tw_ode *ode)
{
    int64_t kept = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        if (ode->leaving[a])
            write_row(ode, a);
        else if (kept++ < a)
            move_row(ode, kept - 1, a);
    }
    ode->active = kept;
    memset(ode->leaving, 0, (size_t)kept);
}
