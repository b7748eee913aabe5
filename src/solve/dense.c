/* solve/dense.c - states at the times asked for, by the interpolant of the method's table. What the interpolant needs
 * beside the stages is evaluated only for rows that are asked for a state strictly within their step. */
#include "solve/ode.h"

#include <math.h>
#include <string.h>

void tw_ode_between(const tw_ode *ode, int64_t a, double theta, double *out)
{
    int64_t at = a * ode->columns;
    double h = ode->h[a], rest = 1 - theta, bump = h * theta * theta * rest * rest;
    double to_end = theta * theta * (3 - 2 * theta), first = h * theta * rest * rest, last = -h * theta * theta * rest;
    const double *y = ode->y + at, *z = ode->z + at, *f0 = ode->k[ode->begin] + at, *f1 = ode->k[ode->end] + at;
    for (int c = 0; c < ode->columns; c++) out[c] = y[c] + to_end * (z[c] - y[c]) + first * f0[c] + last * f1[c];
    for (int term = 0; term < ode->betweens; term++, bump *= theta) {
        const tw_ode_terms *d = &ode->between[term];
        for (int j = 0; j < d->count; j++) {
            const double *k = ode->k[d->stage[j]] + at, weight = bump * d->weight[j];
            for (int c = 0; c < ode->columns; c++) out[c] += weight * k[c];
        }
    }
}

/* The time asked for next, or one never reached. */
static double next_time(const tw_ode *ode, int64_t a)
{
    if (ode->asked[a] < ode->desc.times_count) return ode->desc.times[ode->asked[a]];
    return ode->direction * HUGE_VAL;
}

static bool beyond(const tw_ode *ode, double t, double end)
{
    return ode->direction > 0 ? t > end : t < end;
}

/* Derivatives at the end of the step and at the nodes of the interpolant, for the rows marked. */
static tw_status prepare(tw_ode *ode)
{
    tw_status status = TW_OK;
    if (!ode->ends_known) {
        TW_TRY(tw_ode_call_some(ode, ode->marked, ode->t_next, ode->z, ode->k[ode->end]));
        for (int64_t a = 0; a < ode->active; a++) ode->known[a] |= ode->marked[a];
    }
    for (int n = 0; n < ode->nodes; n++) {
        tw_ode_combine(ode, &ode->node[n], ode->square);
        for (int64_t a = 0; a < ode->active; a++)
            ode->t_stage[a] = tw_ode_node(ode->t[a], ode->table->interpolant->c[n], ode->h[a], ode->t_next[a]);
        TW_TRY(tw_ode_call_some(ode, ode->marked, ode->t_stage, ode->square, ode->k[ode->end + 1 + n]));
    }
done:
    return status;
}

static double *place_of(const tw_ode *ode, int64_t a)
{
    return ode->output->states + (ode->asked[a] * ode->rows + ode->first_row + ode->index[a]) * ode->columns;
}

/* Writes the states asked for up to `end`. On the end itself stands z, unless the step is about to be cut there. */
static void write_states(tw_ode *ode, int64_t a, double end, bool cut)
{
    for (double t = next_time(ode, a); !beyond(ode, t, end); t = next_time(ode, a)) {
        double *out = place_of(ode, a);
        if (t == ode->t_next[a] && !cut)
            memcpy(out, ode->z + a * ode->columns, (size_t)ode->columns * sizeof(double));
        else
            tw_ode_between(ode, a, (t - ode->t[a]) / ode->h[a], out);
        ode->asked[a]++;
    }
}

tw_status tw_ode_look_at_start(tw_ode *ode)
{
    for (int64_t a = 0; a < ode->active; a++)
        while (next_time(ode, a) == ode->t[a]) {
            memcpy(place_of(ode, a), ode->y + a * ode->columns, (size_t)ode->columns * sizeof(double));
            ode->asked[a]++;
        }
    return ode->desc.events_count ? tw_events_start(ode) : TW_OK;
}

tw_status tw_ode_look(tw_ode *ode)
{
    tw_status status = TW_OK;
    int events = ode->desc.events_count;
    for (int64_t a = 0; a < ode->active; a++)
        ode->marked[a] = ode->fresh[a] && (events > 0 || beyond(ode, ode->t_next[a], next_time(ode, a)));
    TW_TRY(prepare(ode));
    if (events) TW_TRY(tw_events_sample(ode));
    for (int64_t a = 0; a < ode->active; a++) {
        double end = ode->t_next[a];
        bool cut = false;
        if (!ode->fresh[a]) continue;
        if (events) TW_TRY(tw_events_find(ode, a, &end, &cut));
        write_states(ode, a, end, cut);
        if (cut) TW_TRY(tw_events_cut(ode, a, end));
    }
done:
    return status;
}
