/* solve/step.c - one Runge-Kutta step of every active row, and the bookkeeping of rows that leave.
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

/* Rounding may put t + c h an ulp beyond the end of the step; a field is never asked beyond it. */
static void stage_times(tw_ode *ode, double c)
{
    const double *t = ode->t, *h = ode->h, *end = ode->t_next;
    double *at = ode->t_stage;
    if (c >= 1)
        memcpy(at, end, (size_t)ode->active * sizeof *at);
    else if (ode->direction > 0)
        for (int64_t a = 0; a < ode->active; a++) {
            double s = t[a] + c * h[a];
            at[a] = s < end[a] ? s : end[a];
        }
    else
        for (int64_t a = 0; a < ode->active; a++) {
            double s = t[a] + c * h[a];
            at[a] = s > end[a] ? s : end[a];
        }
}

static void spread_steps(tw_ode *ode)
{
    int columns = ode->columns;
    double *step = ode->step;
    for (int64_t a = 0; a < ode->active; a++)
        for (int c = 0; c < columns; c++) *step++ = ode->h[a];
}

tw_status tw_ode_step(tw_ode *ode)
{
    tw_status status = TW_OK;
    spread_steps(ode);
    for (int s = 1; s < ode->stages; s++) {
        tw_ode_combine(ode, &ode->stage[s], ode->z);
        stage_times(ode, ode->table->c[s]);
        ode->weightless = !ode->weighs[s];
        TW_TRY(tw_ode_call(ode, ode->active, ode->t_stage, ode->z, ode->k[s]));
    }
    if (!ode->adaptive || !ode->table->fsal) tw_ode_combine(ode, &ode->solution, ode->z);
done:
    ode->weightless = false;
    return status;
}

void tw_ode_fail_row(tw_ode *ode, int64_t a, const char *why)
{
    int64_t row = ode->first_row + ode->index[a];
    ode->leaving[a] = 1;
    ode->stats.failed++;
    if (ode->failure.why && ode->failure.row < row) return;
    ode->failure = (tw_ode_failure){.row = row, .t = ode->t[a], .step = ode->wish[a], .why = why};
}

void tw_ode_compact(tw_ode *ode)
{
    size_t bytes = (size_t)ode->columns * sizeof(double);
    int64_t columns = ode->columns, kept = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        if (ode->leaving[a]) {
            memcpy(ode->x + ode->index[a] * columns, ode->y + a * columns, bytes);
            ode->stats.nfe = tw_max_i64(ode->stats.nfe, ode->nfe[a]);
            continue;
        }
        if (kept < a) {
            memcpy(ode->y + kept * columns, ode->y + a * columns, bytes);
            memcpy(ode->k[0] + kept * columns, ode->k[0] + a * columns, bytes);
            ode->t[kept] = ode->t[a];
            ode->t_next[kept] = ode->t_next[a];
            ode->h[kept] = ode->h[a];
            ode->wish[kept] = ode->wish[a];
            ode->last[kept] = ode->last[a];
            ode->index[kept] = ode->index[a];
            ode->tries[kept] = ode->tries[a];
            ode->nfe[kept] = ode->nfe[a];
            ode->fresh[kept] = ode->fresh[a];
            ode->bad[kept] = ode->bad[a];
        }
        kept++;
    }
    ode->active = kept;
    memset(ode->leaving, 0, (size_t)kept);
}
