/* solve/drive.c - the loop every method runs in: a step of all active rows, a verdict, a look, and on. Rows that are
 * done leave at once; the others stay packed. */
#include "solve/tape.h"

#include <string.h>

/* Derivatives at the start of the step for rows that do not have them. */
static tw_status refresh(tw_ode *ode)
{
    ode->weightless = !ode->weighs[ode->begin];
    tw_status status = tw_ode_call_some(ode, ode->stale, ode->t, ode->y, ode->k[ode->begin]);
    ode->weightless = false;
    if (status == TW_OK) memset(ode->stale, 0, (size_t)ode->active);
    return status;
}

static void exchange(double **a, double **b)
{
    double *turn = *a;
    *a = *b;
    *b = turn;
}

/* Moves accepted rows to their new state. When all were accepted, as usual, the arrays change places instead. */
static void advance(tw_ode *ode)
{
    size_t bytes = (size_t)ode->columns * sizeof(double);
    int64_t columns = ode->columns, moved = 0, known = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        moved += ode->fresh[a];
        known += ode->fresh[a] && ode->known[a];
        ode->taken[a] += ode->fresh[a];
        ode->stale[a] = ode->fresh[a] && !ode->known[a];
    }
    bool all = moved == ode->active;
    if (ode->table->kind == TW_TABLEAU_ADAMS) tw_adams_remember(ode);
    double *begin = ode->k[ode->begin], *end = ode->k[ode->end];
    if (all) exchange(&ode->y, &ode->z);
    for (int64_t a = 0; a < ode->active && !all; a++)
        if (ode->fresh[a]) memcpy(ode->y + a * columns, ode->z + a * columns, bytes);
    if (known == ode->active)
        exchange(&ode->k[ode->begin], &ode->k[ode->end]);
    else
        for (int64_t a = 0; a < ode->active && known > 0; a++)
            if (ode->fresh[a] && ode->known[a]) memcpy(begin + a * columns, end + a * columns, bytes);
}

static void plan(tw_ode *ode, int64_t a)
{
    if (ode->adaptive)
        tw_adaptive_plan(ode, a);
    else
        tw_fixed_plan(ode, a);
}

/* Sends finished rows away and plans the next steps of the others. */
static void go_on(tw_ode *ode)
{
    int64_t leaving = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        if (ode->fresh[a]) ode->t[a] = ode->t_next[a];
        if (!ode->leaving[a]) {
            if (ode->t[a] == ode->desc.t1)
                ode->leaving[a] = 1;
            else if (ode->tries[a] >= ode->desc.max_steps)
                tw_ode_fail_row(ode, a, "max_steps reached");
            else
                plan(ode, a);
        }
        leaving += ode->leaving[a];
    }
    if (leaving) tw_ode_compact(ode);
}

tw_status tw_ode_drive(tw_ode *ode)
{
    tw_status status = TW_OK;
    memset(ode->stale, 1, (size_t)ode->active);
    TW_TRY(refresh(ode));
    if (ode->adaptive) TW_TRY(tw_adaptive_start(ode));
    if (ode->looks) TW_TRY(tw_ode_look_at_start(ode));
    for (int64_t a = 0; a < ode->active; a++) plan(ode, a);
    tw_ode_compact(ode);
    while (ode->active) {
        TW_TRY(tw_ode_step(ode));
        memset(ode->known, ode->ends_known, (size_t)ode->active);
        if (ode->adaptive)
            tw_adaptive_judge(ode);
        else
            tw_fixed_judge(ode);
        if (ode->desc.chart) tw_chart_restore(ode);
        if (ode->looks) TW_TRY(tw_ode_look(ode));
        if (ode->tape) TW_TRY(tw_tape_record(ode));
        advance(ode);
        go_on(ode);
        TW_TRY(refresh(ode));
        if (ode->desc.events_count) TW_TRY(tw_events_start(ode));
    }
done:
    return status;
}
