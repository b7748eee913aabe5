/* solve/events.c - where a function of the state passes zero: sampled on the interpolant of every accepted step, then
 * bisected to the last digits of t, row by row.
 *
 * A row cut short by an event starts anew from there. On which side of zero it starts is told by g, and where g is zero
 * there, as it often is behind the event itself up to rounding, by the slope of g along the field: a g that starts at
 * zero has not passed it, and a ball that has just bounced is above the ground. */
#include "solve/tape.h"

#include <math.h>
#include <string.h>

enum { LOOKS = TW_ODE_LOOKS };

static int sign(double v)
{
    return (v > 0) - (v < 0);
}

static tw_status value_at(tw_ode *ode, int event, double t, const double *x, double *out)
{
    return ode->desc.events[event].g(ode->user, 1, &t, x, out);
}

/* dg/dt along the field at (t, x), by a difference over a span that stays within the interval. */
static tw_status slope_at(tw_ode *ode, int event, double t, const double *x, const double *dx, double span, double *out)
{
    tw_status status = TW_OK;
    const tw_ode_desc *d = &ode->desc;
    double low = fmin(d->t0, d->t1), high = fmax(d->t0, d->t1), g[2] = {0};
    double at[2] = {fmax(low, t - span), fmin(high, t + span)};
    for (int i = 0; i < 2; i++) {
        for (int c = 0; c < ode->columns; c++) ode->probe[c] = x[c] + (at[i] - t) * dx[c];
        TW_TRY(value_at(ode, event, at[i], ode->probe, &g[i]));
    }
    *out = at[1] > at[0] ? (g[1] - g[0]) / (at[1] - at[0]) : 0;
done:
    return status;
}

tw_status tw_events_start(tw_ode *ode)
{
    tw_status status = TW_OK;
    int events = ode->desc.events_count;
    for (int64_t a = 0; a < ode->active; a++) {
        if (!ode->anew[a]) continue;
        const double *x = ode->y + a * ode->columns, *dx = ode->k[ode->begin] + a * ode->columns;
        for (int e = 0; e < events; e++) {
            double g = 0, slope = 0, instant = 1e-7 * ode->span;
            TW_TRY(value_at(ode, e, ode->t[a], x, &g));
            if (g == 0 || ode->cause[a] == e) {
                TW_TRY(slope_at(ode, e, ode->t[a], x, dx, instant, &slope));
                if (fabs(g) <= instant * fabs(slope)) g = ode->direction * slope;
            }
            ode->side[a * events + e] = (signed char)sign(g);
        }
        ode->anew[a] = 0;
    }
done:
    return status;
}

tw_status tw_events_sample(tw_ode *ode)
{
    tw_status status = TW_OK;
    int events = ode->desc.events_count;
    for (int look = 0; look < LOOKS; look++) {
        int64_t count = 0;
        for (int64_t a = 0; a < ode->active; a++) {
            if (!ode->fresh[a]) continue;
            double theta = (look + 1.0) / LOOKS, *x = ode->packed_x + count * ode->columns;
            tw_ode_between(ode, a, theta, x);
            if (look + 1 == LOOKS) memcpy(x, ode->z + a * ode->columns, (size_t)ode->columns * sizeof(double));
            ode->packed_t[count++] = tw_ode_node(ode->t[a], theta, ode->h[a], ode->t_next[a]);
        }
        for (int e = 0; e < events && count > 0; e++) {
            TW_TRY(ode->desc.events[e].g(ode->user, count, ode->packed_t, ode->packed_x, ode->g));
            count = 0;
            for (int64_t a = 0; a < ode->active; a++)
                if (ode->fresh[a]) ode->looked[(a * events + e) * LOOKS + look] = ode->g[count++];
        }
    }
done:
    return status;
}

/* A part theta of the step in (low, high] from which on g has left the side it has at low. */
static tw_status bisect(tw_ode *ode, int64_t a, int event, int side, double low, double high, double *out)
{
    tw_status status = TW_OK;
    for (double middle = 0.5 * (low + high); low < middle && middle < high; middle = 0.5 * (low + high)) {
        double t = ode->t[a] + middle * ode->h[a], g = 0;
        if (t == ode->t[a] + low * ode->h[a] || t == ode->t[a] + high * ode->h[a]) break;
        tw_ode_between(ode, a, middle, ode->probe);
        TW_TRY(value_at(ode, event, t, ode->probe, &g));
        if (sign(g) == side)
            low = middle;
        else
            high = middle;
    }
    *out = high;
done:
    return status;
}

/* The first passing of one event behind `from`, or theta = 2 when there is none. `side` follows g there. */
static tw_status first_passing(tw_ode *ode, int64_t a, int event, double from, signed char *side, double *out)
{
    const tw_ode_event *what = &ode->desc.events[event];
    const double *looked = ode->looked + (a * ode->desc.events_count + event) * LOOKS;
    *out = 2;
    for (int look = 0; look < LOOKS; look++) {
        double low = fmax(from, (double)look / LOOKS), high = (look + 1.0) / LOOKS;
        int now = sign(looked[look]), before = *side;
        if (high <= from || now == before) continue;
        *side = (signed char)(now ? now : -before);
        if (before == 0 || (what->direction != 0 && what->direction * before > 0)) continue;
        return bisect(ode, a, event, before, low, high, out);
    }
    return TW_OK;
}

/* Counts one passing, a part theta into the step, and tells of it. */
static tw_status record(tw_ode *ode, int64_t a, int event, double theta, double t, const double *x)
{
    tw_status status = TW_OK;
    tw_ode_output *out = ode->output;
    ode->fired[a * ode->desc.events_count + event]++;
    if (ode->tape) TW_TRY(tw_tape_meet(ode, a, event, theta, t, x));
    if (!out) goto done;
    int64_t n = out->events_count++;
    if (n >= out->events_capacity) goto done;
    double *dx = ode->probe + ode->columns, slope = 0;
    ode->nfe[a]++;
    TW_TRY(tw_ode_call(ode, 1, &t, x, dx));
    TW_TRY(slope_at(ode, event, t, x, dx, 1e-5 * fabs(ode->h[a]), &slope));
    if (out->events)
        out->events[n] =
            (tw_ode_occurrence){.row = ode->first_row + ode->index[a], .event = event, .t = t, .slope = slope};
    size_t bytes = (size_t)ode->columns * sizeof(double);
    if (out->event_x) memcpy(out->event_x + n * ode->columns, x, bytes);
    if (out->event_dx) memcpy(out->event_dx + n * ode->columns, dx, bytes);
done:
    return status;
}

/* Events that change nothing are told of and passed over; at the first one that ends the row or lets it jump the step
 * is to be cut: its state is in ode->there. */
tw_status tw_events_find(tw_ode *ode, int64_t a, double *out_end, bool *out_cut)
{
    tw_status status = TW_OK;
    int events = ode->desc.events_count, first;
    signed char *side = ode->side + a * events;
    for (int e = 0; e < events; e++) {
        ode->side_next[e] = side[e];
        TW_TRY(first_passing(ode, a, e, 0, &ode->side_next[e], &ode->passing[e]));
    }
    for (;;) {
        first = 0;
        for (int e = 1; e < events; e++)
            if (ode->passing[e] < ode->passing[first]) first = e;
        double theta = ode->passing[first], t = tw_ode_node(ode->t[a], theta, ode->h[a], ode->t_next[a]);
        const tw_ode_event *what = &ode->desc.events[first];
        if (theta > 1) break;
        tw_ode_between(ode, a, theta, ode->there);
        TW_TRY(record(ode, a, first, theta, t, ode->there));
        bool over = what->limit > 0 && ode->fired[a * events + first] >= what->limit;
        if (over) ode->leaving[a] = 1;
        if (over || what->jump) {
            ode->cause[a] = first;
            *out_end = t;
            *out_cut = true;
            goto done;
        }
        TW_TRY(first_passing(ode, a, first, theta, &ode->side_next[first], &ode->passing[first]));
    }
    memcpy(side, ode->side_next, (size_t)events);
done:
    return status;
}

tw_status tw_events_cut(tw_ode *ode, int64_t a, double end)
{
    tw_status status = TW_OK;
    int64_t row = ode->first_row + ode->index[a];
    const tw_ode_event *what = &ode->desc.events[ode->cause[a]];
    if (!ode->leaving[a]) TW_TRY(what->jump(ode->user, row, end, ode->there));
    if (ode->tape) tw_tape_cut(ode, a);
    memcpy(ode->z + a * ode->columns, ode->there, (size_t)ode->columns * sizeof(double));
    ode->t_next[a] = end;
    ode->known[a] = 0;
    ode->anew[a] = 1;
    ode->history[a] = TW_ADAMS_FORGET;
done:
    return status;
}
