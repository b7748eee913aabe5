/* solve/adjoint.c - the exact gradient of a Runge-Kutta solution. A step, and a state looked up within it, are linear
 * in the values of the field, so the transpose walks the stages backwards with the same weights, and asks the field for
 * w' df/dx where the forward step asked it for f (Hager 2000, Runge-Kutta methods in optimal control; Sanz-Serna 2016,
 * Symplectic Runge-Kutta schemes for adjoint equations). Sizes of steps count as given. */
#include "solve/tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void add(double weight, const double *v, int64_t count, double *restrict sum)
{
    for (int64_t i = 0; i < count; i++) sum[i] += weight * v[i];
}

/* The transpose of y + h sum of weight k: cotangents of the slots from that of the sum. */
static void spread(const tw_ode_tape *tape, const tw_ode_terms *terms, const double *w)
{
    const tw_ode *ode = tape->replay;
    int64_t count = ode->active * ode->columns;
    for (int j = 0; j < terms->count; j++) {
        double *restrict k = tape->k[terms->stage[j]];
        double weight = terms->weight[j];
        for (int64_t i = 0; i < count; i++) k[i] += ode->step[i] * weight * w[i];
    }
}

/* The cotangent of the state x at which slot s is the field at times t: dx, and added to `sum`. */
static tw_status through_field(tw_ode_tape *tape, int s, const double *t, const double *x, double *dparams, double *sum)
{
    const tw_ode_equation *e = &tape->equation;
    tw_ode *ode = tape->replay;
    tw_status status = e->vjp(e->user, ode->active, t, x, tape->k[s], tape->dx, dparams);
    ode->stats.jvps += ode->active;
    if (status == TW_OK) add(1, tape->dx, ode->active * ode->columns, sum);
    return status;
}

static void set_times(tw_ode *ode, double c)
{
    for (int64_t a = 0; a < ode->active; a++) ode->t_stage[a] = tw_ode_node(ode->t[a], c, ode->h[a], ode->t_next[a]);
}

/* --- states within a step ------------------------------------------------------------------------------------------
 */

void tw_tape_within(tw_ode_tape *tape, int64_t a, double theta, const double *w)
{
    const tw_ode *ode = tape->replay;
    int64_t at = a * ode->columns;
    int columns = ode->columns;
    double h = ode->h[a], rest = 1 - theta, bump = h * theta * theta * rest * rest;
    double to_end = theta * theta * (3 - 2 * theta), first = h * theta * rest * rest, last = -h * theta * theta * rest;
    add(1 - to_end, w, columns, tape->y + at);
    add(to_end, w, columns, tape->a + at);
    add(first, w, columns, tape->k[ode->begin] + at);
    add(last, w, columns, tape->k[ode->end] + at);
    for (int term = 0; term < ode->betweens; term++, bump *= theta) {
        const tw_ode_terms *d = &ode->between[term];
        for (int j = 0; j < d->count; j++) add(bump * d->weight[j], w, columns, tape->k[d->stage[j]] + at);
    }
}

/* Cotangents of the states asked for within the step or on its end; true when some were within. */
static bool take_states(tw_ode_tape *tape, const double *dstates)
{
    tw_ode *ode = tape->replay;
    int64_t columns = ode->columns;
    bool inside = false;
    for (int64_t a = 0; a < ode->active; a++)
        for (; ode->asked[a] > 0; ode->asked[a]--) {
            double t = ode->desc.times[ode->asked[a] - 1];
            if (ode->direction > 0 ? t <= ode->t[a] : t >= ode->t[a]) break;
            const double *w = dstates + ((ode->asked[a] - 1) * tape->rows + tape->order[a]) * columns;
            if (t == ode->t_next[a])
                add(1, w, columns, tape->a + a * columns);
            else
                tw_tape_within(tape, a, (t - ode->t[a]) / ode->h[a], w), inside = true;
        }
    return inside;
}

/* Back from what only interpolation evaluates: the nodes, and the field at the end of the step. */
static tw_status through_nodes(tw_ode_tape *tape, double *dparams)
{
    tw_ode *ode = tape->replay;
    const tw_interpolant *way = ode->table->interpolant;
    tw_status status = TW_OK;
    if (ode->nodes > 0) TW_TRY(tw_ode_call(ode, ode->active, ode->t_next, ode->z, ode->k[ode->end]));
    for (int n = 0; n + 1 < ode->nodes; n++) {
        tw_ode_combine(ode, &ode->node[n], ode->square);
        set_times(ode, way->c[n]);
        TW_TRY(tw_ode_call(ode, ode->active, ode->t_stage, ode->square, ode->k[ode->end + 1 + n]));
    }
    for (int n = ode->nodes - 1; n >= 0; n--) {
        tw_ode_combine(ode, &ode->node[n], ode->square);
        set_times(ode, way->c[n]);
        TW_TRY(through_field(tape, ode->end + 1 + n, ode->t_stage, ode->square, dparams, tape->y));
        spread(tape, &ode->node[n], tape->dx);
    }
    TW_TRY(through_field(tape, ode->end, ode->t_next, ode->z, dparams, tape->a));
done:
    return status;
}

/* --- a step --------------------------------------------------------------------------------------------------------
 */

/* The cotangent in tape->a from the state after step n to the one before. */
static tw_status step_back(tw_ode_tape *tape, int64_t n, const tw_ode_cotangents *d, double *dparams, const char **why)
{
    tw_ode *ode = tape->replay;
    tw_status status = TW_OK;
    int64_t events = 0;
    TW_TRY(tw_tape_step(tape, n));
    tw_tape_events(tape, n, &events);
    int64_t count = ode->active * ode->columns;
    for (int s = 0; s < TW_TABLEAU_SLOTS; s++)
        if (tape->k[s]) memset(tape->k[s], 0, (size_t)count * sizeof(double));
    memset(tape->y, 0, (size_t)count * sizeof(double));
    if (events > 0) TW_TRY(tw_tape_events_back(tape, n, d, dparams, why));
    bool inside = d->states && take_states(tape, d->states);
    if (inside || events > 0) TW_TRY(through_nodes(tape, dparams));
    spread(tape, &ode->solution, tape->a);
    for (int s = ode->stages - 1; s > 0; s--) {
        tw_ode_combine(ode, &ode->stage[s], ode->z);
        set_times(ode, ode->table->c[s]);
        TW_TRY(through_field(tape, s, ode->t_stage, ode->z, dparams, tape->y));
        spread(tape, &ode->stage[s], tape->dx);
    }
    TW_TRY(through_field(tape, 0, ode->t, ode->y, dparams, tape->y));
    add(1, tape->y, count, tape->a);
done:
    return status;
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

/* Between the caller's rows and those of the tape. */
static void reorder(const tw_ode_tape *tape, double *rows, bool back)
{
    size_t columns = (size_t)tape->equation.columns;
    for (int64_t i = 0; i < tape->rows; i++) {
        double *outside = rows + (size_t)tape->order[i] * columns, *inside = tape->a + (size_t)i * columns;
        memcpy(back ? outside : inside, back ? inside : outside, columns * sizeof(double));
    }
}

/* How many of the times asked for a row reached. */
static int64_t reached(const tw_ode_tape *tape, int64_t row)
{
    const tw_ode *ode = tape->replay;
    int64_t count = ode->desc.times_count, steps = tape->taken[row];
    if (tape->events == 0 || steps == 0) return count;
    double end = tape->times[(steps - 1) * tape->width + row];
    while (count > 0 && ode->direction * (ode->desc.times[count - 1] - end) > 0) count--;
    return count;
}

/* States asked for where the solution began. */
static void take_start(tw_ode_tape *tape, const double *dstates)
{
    const tw_ode *ode = tape->replay;
    int64_t columns = ode->columns;
    for (int64_t a = 0; a < tape->rows; a++)
        for (; ode->asked[a] > 0; ode->asked[a]--)
            add(1, dstates + ((ode->asked[a] - 1) * tape->rows + tape->order[a]) * columns, columns,
                tape->a + a * columns);
}

tw_status tw_ode_tape_gradient(tw_ode_tape *tape, const tw_ode_cotangents *d, double *a, double *dparams,
                               tw_ode_stats *out_stats, char *error, size_t size)
{
    tw_ode *ode = tape->replay;
    tw_ode_cotangents of = d ? *d : (tw_ode_cotangents){0};
    tw_status status = TW_OK;
    const char *why = "the field could not be evaluated on the way back";
    if (!tape->told || (tape->equation.params > 0 && !dparams)) {
        if (error)
            snprintf(error, size,
                     tape->told ? "no array for the gradient of %lld parameters"
                                : "a gradient of a solution that was not found, %lld parameters",
                     (long long)tape->equation.params);
        return TW_ERR_INVALID;
    }
    ode->field = tape->equation.field;
    ode->user = tape->equation.user;
    ode->stats = (tw_ode_stats){0};
    if (ode->desc.times_count == 0) of.states = NULL;
    if (tape->equation.params == 0) dparams = NULL;
    for (int64_t i = 0; i < tape->rows; i++) ode->asked[i] = reached(tape, tape->order[i]);
    reorder(tape, a, false);
    for (int64_t n = tape->longest - 1; n >= 0; n--) {
        TW_TRY(tw_tape_seek(tape, n));
        TW_TRY(step_back(tape, n, &of, dparams, &why));
    }
    if (of.states) take_start(tape, of.states);
    if (!tw_ode_finite(tape->a, tape->rows * ode->columns)) {
        why = "a value that is not finite";
        TW_TRY(TW_ERR_NUMERIC);
    }
    reorder(tape, a, true);
done:
    if (out_stats) *out_stats = ode->stats;
    if (status != TW_OK && error)
        snprintf(error, size, "the gradient of %s: %s (%s)", ode->desc.method, why, tw_status_text(status));
    return status;
}
