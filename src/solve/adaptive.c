/* solve/adaptive.c - steps chosen for each row by its own error, with an active set.
 *
 * Unless told otherwise a mild PI controller: step times 0.86 ratio^(-1/p) last^(0.1/p), within [0.2, 10] (Hairer,
 * Wanner: Solving ODEs II, IV.2). Against the plain I controller with 0.9 it takes about a tenth fewer evaluations on
 * Gaussian flows, as it is rejected less; of the PI controllers around it none is better by more than chance.
 * The first step follows Hairer, Norsett, Wanner: Solving ODEs I, II.4, made robust for components that happen to be
 * zero at the start. Steps land on t1 and are never evaluated beyond it. */
#include "solve/ode.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The largest root mean square over a part of the columns whose squares are given; NaN when a square is. */
static double norm_of(const tw_ode *ode, const double *square)
{
    double largest = 0;
    for (int p = 0; p < TW_COUNT(ode->part); p++) {
        double sum = 0;
        if (ode->part[p] == 0) continue;
        for (int c = 0; c < ode->part[p]; c++) sum += square[c];
        double mean = sum / ode->part[p];
        if (!(mean <= largest) && !isnan(largest)) largest = mean;
        square += ode->part[p];
    }
    return sqrt(largest);
}

/* The norm of (v - w) / (atol + rtol |y|); w may be NULL. */
static double row_norm(const tw_ode *ode, int64_t a, const double *v, const double *w)
{
    int64_t at = a * ode->columns;
    for (int64_t i = at; i < at + ode->error_columns; i++) {
        double r = (w ? v[i] - w[i] : v[i]) / (ode->desc.atol + ode->desc.rtol * fabs(ode->y[i]));
        ode->square[i] = r * r;
    }
    return norm_of(ode, ode->square + at);
}

/* Turns the wished size into the step that is taken: exactly onto t1 when that is near (stretching by 1 %), two even
 * halves when two steps are left. False when t would not move. */
bool tw_adaptive_plan(tw_ode *ode, int64_t a)
{
    double t = ode->t[a], left = fabs(ode->desc.t1 - t), wish = fmax(ode->wish[a], ode->desc.min_step);
    if (ode->desc.max_step > 0) wish = fmin(wish, ode->desc.max_step);
    if (wish * 1.01 >= left) {
        ode->t_next[a] = ode->desc.t1;
        ode->h[a] = ode->desc.t1 - t;
        return true;
    }
    double least = fmax(16 * DBL_EPSILON * fabs(t), 1e-30 * ode->span);
    if (!(wish > least)) {
        static const char *const why[] = {
            [TW_ODE_WENT_WELL] = "a step too small to go on (is it stiff?)",
            [TW_ODE_NOT_FINITE] = "a value that is not finite",
            [TW_ODE_NO_SOLUTION] = "Newton's iteration did not converge",
        };
        tw_ode_fail_row(ode, a, why[ode->bad[a]]);
        return false;
    }
    ode->t_next[a] = t + ode->direction * (wish * 2 > left ? 0.5 * left : wish);
    ode->h[a] = ode->t_next[a] - t; /* the times of steps tell all about them: solve/tape.c */
    return true;
}

/* The first of two guesses: an Euler step that changes the state by a hundredth, but not so short that the difference
 * of derivatives over it would drown in the rounding of a field computed in float. */
static double probe_step(const tw_ode *ode, double d0, double d1)
{
    double least = 1e-4 * fmin(ode->span, 1);
    return fmin(ode->span, d0 < 1e-5 || d1 < 1e-5 ? least : fmax(least, 0.01 * d0 / d1));
}

/* The second: from the sizes of state, first and second derivative. Each of the three times d0/d1, d1/d2, sqrt(d0/d2)
 * is the time scale of a linear field; any of them may be zero by accident, so the longest caps the step. */
static double first_step(const tw_ode *ode, double h0, double d0, double d1, double d2)
{
    double greatest = fmax(d1, d2);
    if (!isfinite(d2)) return fmin(h0, 1e-6 * ode->span);
    if (greatest <= 1e-15) return ode->span;
    bool known = d2 > 0 && (d0 >= 1e-5 || d1 >= 1e-5);
    double cap = known ? fmax(d1 / d2, sqrt(d0 / d2)) : HUGE_VAL;
    if (d1 > 0) cap = fmax(cap, d0 / d1);
    return fmin(cap, pow(0.01 / greatest, 1.0 / ode->error_power));
}

static void probe_rows(tw_ode *ode)
{
    const double *slope = ode->k[ode->begin];
    for (int64_t a = 0; a < ode->active; a++) {
        double d0 = row_norm(ode, a, ode->y, NULL), d1 = row_norm(ode, a, slope, NULL);
        double h = ode->direction * probe_step(ode, d0, d1), end = ode->t[a] + h;
        ode->h[a] = h;
        ode->t_stage[a] = ode->direction > 0 ? fmin(end, ode->desc.t1) : fmax(end, ode->desc.t1);
        for (int64_t i = a * ode->columns; i < (a + 1) * ode->columns; i++) ode->z[i] = ode->y[i] + h * slope[i];
        for (int64_t i = a * ode->columns; ode->desc.chart && i < (a + 1) * ode->columns; i++) ode->way[i] = h * slope[i];
    }
    if (ode->desc.chart) tw_chart_go(ode, NULL);
}

/* A first step for every row. */
tw_status tw_adaptive_start(tw_ode *ode)
{
    tw_status status = TW_OK;
    const double *slope = ode->k[ode->begin];
    int64_t columns = ode->columns;
    double *there = ode->k[1];
    for (int64_t a = 0; a < ode->active; a++) {
        ode->last[a] = ode->before[a] = 1;
        ode->wish[a] = ode->desc.first_step;
        if (!tw_ode_finite(ode->y + a * columns, columns) || !tw_ode_finite(slope + a * columns, columns))
            tw_ode_fail_row(ode, a, "a value that is not finite");
    }
    tw_ode_compact(ode);
    if (ode->desc.first_step > 0 || !ode->active) goto done;

    probe_rows(ode);
    TW_TRY(tw_ode_call(ode, ode->active, ode->t_stage, ode->z, there));
    if (ode->desc.chart) tw_chart_pull(ode, 1);
    for (int64_t a = 0; a < ode->active; a++) {
        double h0 = fabs(ode->h[a]), d0 = row_norm(ode, a, ode->y, NULL), d1 = row_norm(ode, a, slope, NULL);
        ode->wish[a] = first_step(ode, h0, d0, d1, row_norm(ode, a, there, slope) / h0);
        ode->nfe[a]++;
    }
done:
    return status;
}

/* Scaled errors, squared; a state that is not finite makes its square not finite. */
static void scaled_squares(tw_ode *ode)
{
    int64_t count = ode->active * ode->columns;
    double atol = ode->desc.atol, rtol = ode->desc.rtol;
    bool filtered = ode->newton != NULL;
    for (int64_t begin = 0; begin < count; begin += TW_ODE_TILE) {
        int n = (int)tw_min_i64(TW_ODE_TILE, count - begin);
        double sum[TW_ODE_TILE];
        double *restrict square = ode->square + begin;
        const double *y = ode->y + begin, *z = ode->z + begin, *step = ode->step + begin;
        if (filtered)
            for (int i = 0; i < n; i++) sum[i] = square[i];
        else
            tw_ode_weigh(ode, &ode->error, begin, n, sum);
        for (int i = 0; i < n; i++) {
            double v = fabs(y[i]), w = fabs(z[i]);
            double r = step[i] * sum[i] / (atol + rtol * (v > w ? v : w));
            square[i] = r * r + 0 * z[i];
        }
    }
}

static double error_ratio(const tw_ode *ode, int64_t a)
{
    const double *z = ode->z + a * ode->columns;
    double rest = 0; /* not finite when a state left out is not */
    for (int c = ode->error_columns; c < ode->columns; c++) rest += 0 * z[c];
    return norm_of(ode, ode->square + a * ode->columns) + rest;
}

/* Decides on one row; true when its step is accepted. */
static bool control(tw_ode *ode, int64_t a)
{
    const tw_ode_desc *d = &ode->desc;
    const double *exponent = ode->exponent;
    double ratio = error_ratio(ode, a), factor = d->min_factor;
    bool finite = isfinite(ratio), accepted = ratio <= 1 || (finite && fmin(fabs(ode->h[a]), ode->wish[a]) <= d->min_step);
    if (ode->bad[a] != TW_ODE_NO_SOLUTION || finite) ode->bad[a] = finite ? TW_ODE_WENT_WELL : TW_ODE_NOT_FINITE;
    if (accepted) {
        /* The floors keep a ratio of zero from spoiling the memory; a factor of ten is reached long before them. */
        factor = d->safety * pow(fmax(ratio, 1e-12), exponent[0]) * pow(ode->last[a], exponent[1]);
        if (exponent[2] != 0) factor *= pow(ode->before[a], exponent[2]);
        factor = fmin(d->max_factor, fmax(d->min_factor, factor));
        ode->before[a] = ode->last[a];
        ode->last[a] = fmax(ratio, 1e-4);
    } else if (finite) {
        factor = fmin(0.95, fmax(d->min_factor, d->safety * pow(ratio, -1.0 / ode->error_power)));
    }
    ode->wish[a] = fabs(ode->h[a]) * factor;
    ode->tries[a]++;
    return accepted;
}

void tw_adaptive_judge(tw_ode *ode)
{
    int64_t accepted = 0;
    scaled_squares(ode);
    for (int64_t a = 0; a < ode->active; a++) {
        ode->fresh[a] = control(ode, a);
        accepted += ode->fresh[a];
    }
    ode->stats.accepted += accepted;
    ode->stats.rejected += ode->active - accepted;
}
