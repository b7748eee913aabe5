/* solve/tape_events.c - events on a tape: where they stood in their steps, the states around them, and the way back.
 *
 * Seen from a fixed time, a solution x is moved by dx. It meets g = 0 later by dt = -(g_x dx + g_theta dtheta) / slope,
 * slope = g_t + g_x f, at the state x + dx + f dt. A jump J leads from there to x', and the solution behind it, seen at
 * the same fixed time, is moved by dx' - f' dt with f' the field at x' (the saltation of a hybrid system; Chen, Amos,
 * Nickel 2021, section 3.1 for the time alone). What follows is the transpose of these. A state within a step is the
 * interpolant's, whose transpose is that of every state asked for. */
#include "solve/tape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the way there -------------------------------------------------------------------------------------------------
 */

static double *around(const tw_ode_tape *tape, int64_t number, int behind)
{
    return tape->around + (2 * number + behind) * tape->equation.columns;
}

tw_status tw_tape_meet(tw_ode *ode, int64_t a, int event, double theta, double t, const double *x)
{
    tw_ode_tape *tape = ode->tape;
    tw_status status = TW_OK;
    int64_t n = tape->events, row = ode->index[a];
    size_t bytes = (size_t)ode->columns * sizeof(double);
    TW_TRY(tw_tape_room(tape->ctx, &tape->event, &tape->events_capacity, n + 1, INT64_MAX, sizeof *tape->event));
    TW_TRY(tw_tape_room(tape->ctx, &tape->around, &tape->around_capacity, n + 1, INT64_MAX, 2 * bytes));
    tape->event[n] = (tw_tape_event){.row = row,
                                     .step = tape->taken[row],
                                     .number = n,
                                     .event = event,
                                     .t = t,
                                     .theta = theta,
                                     .until = ode->t_next[a]};
    memcpy(around(tape, n, 0), x, bytes);
    tape->events = n + 1;
done:
    return status;
}

void tw_tape_cut(tw_ode *ode, int64_t a)
{
    tw_ode_tape *tape = ode->tape;
    tw_tape_event *last = &tape->event[tape->events - 1];
    last->cut = true;
    last->over = ode->leaving[a];
    memcpy(around(tape, last->number, 1), ode->there, (size_t)ode->columns * sizeof(double));
}

static int by_step(const void *a, const void *b)
{
    const tw_tape_event *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

void tw_tape_sort_events(tw_ode_tape *tape)
{
    if (tape->events > 0) qsort(tape->event, (size_t)tape->events, sizeof *tape->event, by_step);
}

const tw_tape_event *tw_tape_events(const tw_ode_tape *tape, int64_t n, int64_t *out_count)
{
    int64_t low = 0, high = tape->events;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (tape->event[middle].step < n)
            low = middle + 1;
        else
            high = middle;
    }
    while (high < tape->events && tape->event[high].step == n) high++;
    *out_count = high - low;
    return high > low ? tape->event + low : NULL;
}

void tw_tape_land(tw_ode_tape *tape, int64_t n)
{
    tw_ode *ode = tape->replay;
    int64_t count = 0;
    const tw_tape_event *event = tw_tape_events(tape, n, &count);
    for (int64_t i = 0; i < count; i++)
        if (event[i].cut)
            memcpy(ode->z + tape->rank[event[i].row] * ode->columns, around(tape, event[i].number, 1),
                   (size_t)ode->columns * sizeof(double));
}

/* --- the way back --------------------------------------------------------------------------------------------------
 */

static double dot(const double *v, const double *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += v[i] * w[i];
    return sum;
}

/* From the cotangent w of the solution behind a jump to those of the state before it, added to `at`, and of the time.
 */
static tw_status through_jump(tw_ode_tape *tape, const tw_tape_event *e, const double *w, double *dparams, double *at,
                              double *tau)
{
    tw_ode *ode = tape->replay;
    double *field = tape->spot[1], *dx = tape->spot[2], dt = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_ode_call(ode, 1, &e->t, around(tape, e->number, 1), field));
    TW_TRY(
        ode->desc.events[e->event].jump_vjp(ode->user, e->row, e->t, around(tape, e->number, 0), w, &dt, dx, dparams));
    *tau += dt - dot(field, w, ode->columns);
    for (int c = 0; c < ode->columns; c++) at[c] += dx[c];
done:
    return status;
}

/* The time of an event, whose cotangent is tau, moves with the state it would have had there. */
static tw_status through_time(tw_ode_tape *tape, const tw_tape_event *e, double tau, double *dparams, double *at,
                              const char **why)
{
    tw_ode *ode = tape->replay;
    const tw_ode_event *what = &ode->desc.events[e->event];
    const double *x = around(tape, e->number, 0);
    double *field = tape->spot[1], *dx = tape->spot[2], dt = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_ode_call(ode, 1, &e->t, x, field));
    tau += dot(field, at, ode->columns);
    if (tau == 0) goto done;
    TW_TRY(what->g_vjp(ode->user, e->t, x, 1, &dt, dx, NULL));
    double slope = dt + dot(dx, field, ode->columns);
    if (slope == 0 || !isfinite(tau / slope)) {
        *why = "at an event g has no slope, so that its time has no derivative";
        TW_TRY(TW_ERR_NUMERIC);
    }
    TW_TRY(what->g_vjp(ode->user, e->t, x, -tau / slope, &dt, dx, dparams));
    for (int c = 0; c < ode->columns; c++) at[c] += dx[c];
done:
    return status;
}

tw_status tw_tape_events_back(tw_ode_tape *tape, int64_t n, const tw_ode_cotangents *d, double *dparams,
                              const char **why)
{
    tw_ode *ode = tape->replay;
    tw_status status = TW_OK;
    int64_t count = 0, columns = ode->columns;
    size_t bytes = (size_t)columns * sizeof(double);
    const tw_tape_event *event = tw_tape_events(tape, n, &count);
    for (int64_t i = count - 1; i >= 0; i--) {
        const tw_tape_event *e = &event[i];
        double *at = tape->spot[0], *behind = tape->a + tape->rank[e->row] * columns;
        double tau = d->event_t ? d->event_t[e->number] : 0;
        if (d->event_x)
            memcpy(at, d->event_x + e->number * columns, bytes);
        else
            memset(at, 0, bytes);
        if (e->cut && e->over)
            for (int64_t c = 0; c < columns; c++) at[c] += behind[c];
        else if (e->cut)
            TW_TRY(through_jump(tape, e, behind, dparams, at, &tau));
        if (e->cut) memset(behind, 0, bytes); /* nothing goes on from the planned end */
        TW_TRY(through_time(tape, e, tau, dparams, at, why));
        tw_tape_within(tape, tape->rank[e->row], e->theta, at);
    }
done:
    return status;
}
