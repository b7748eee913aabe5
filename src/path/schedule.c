/* path/schedule.c - the table of schedules, and schedules on the host: see schedule.h. */
#include "path/schedule.h"

#include "path/dual.h"
#include "path/knots.h"

#include <math.h>

static void tw_dual_knots(const tw_schedule *s, bool by_place, tw_dual at, tw_dual out[TW_BIN_NUMBERS])
{
    double bin[TW_BIN_NUMBERS];
    tw_knots_bin(s, tw_knots_find(s, by_place, at.v), bin);
    for (int i = 0; i < TW_BIN_NUMBERS; i++) out[i] = (tw_dual){bin[i], 0};
}

#define HALF_PI 1.57079632679489661923
#define NUM     tw_dual
#define N(op)   tw_dual_##op
#include "path/schedules.inc"

static const tw_piece_info infos[] = {
#define TW_SCHEDULE(name, about, source, parameters) {#name, about, source, parameters},
#include "path/schedules.def"
};

static const struct {
    tw_dual (*alpha)(P p, tw_dual t);
    tw_dual (*sigma)(P p, tw_dual t);
    tw_dual (*time)(P p, tw_dual a, tw_dual s);
} rows[] = {
#define TW_SCHEDULE(name, about, source, parameters) {name##_alpha, name##_sigma, name##_time},
#include "path/schedules.def"
};

const tw_piece_info *tw_schedule_list(int index)
{
    return index >= 0 && index < TW_COUNT(infos) ? &infos[index] : NULL;
}

tw_schedule_point tw_schedule_at(const tw_schedule *schedule, double t)
{
    tw_dual time = {t, 1};
    tw_dual alpha = rows[schedule->row].alpha(schedule, time), sigma = rows[schedule->row].sigma(schedule, time);
    return (tw_schedule_point){alpha.v, sigma.v, alpha.d, sigma.d};
}

double tw_schedule_log_snr(const tw_schedule *schedule, double t)
{
    tw_schedule_point at = tw_schedule_at(schedule, t);
    return 2 * (log(at.alpha) - log(at.sigma));
}

/* alpha : sigma = e^(l/2) : 1 as a pair of shares, (0,1) and (1,0) at the ends. */
double tw_schedule_time(const tw_schedule *schedule, double log_snr)
{
    double a = 1 / (1 + exp(-0.5 * log_snr)), s = 1 / (1 + exp(0.5 * log_snr));
    double t = rows[schedule->row].time(schedule, (tw_dual){a, 0}, (tw_dual){s, 0}).v;
    return t > 0 ? fmin(t, 1) : 0;
}

static bool bounded(const tw_schedule *schedule, double t)
{
    tw_schedule_point at = tw_schedule_at(schedule, t);
    return isfinite(at.d_alpha) && isfinite(at.d_sigma);
}

void tw_schedule_interval(const tw_schedule *schedule, double *out_low, double *out_high)
{
    *out_low = bounded(schedule, 0) ? 0 : TW_SCHEDULE_MARGIN;
    *out_high = bounded(schedule, 1) ? 1 : 1 - TW_SCHEDULE_MARGIN;
}

/* --- another schedule ------------------------------------------------------------------------------------------------
 */

static bool change_bounded(const tw_schedule *from, const tw_schedule *to, double r)
{
    tw_dual at = {r, 1}, alpha = rows[to->row].alpha(to, at), sigma = rows[to->row].sigma(to, at);
    return isfinite(rows[from->row].time(from, alpha, sigma).d);
}

/* The r at which `to` has the ratio that `from` has at t. */
static double same_ratio(const tw_schedule *from, const tw_schedule *to, double t)
{
    return tw_schedule_time(to, tw_schedule_log_snr(from, t));
}

void tw_schedule_change_interval(const tw_schedule *from, double from_low, double from_high, const tw_schedule *to,
                                 double *out_low, double *out_high)
{
    double low, high;
    tw_schedule_interval(to, &low, &high);
    low = fmax(low, same_ratio(from, to, from_low));
    high = fmin(high, same_ratio(from, to, from_high));
    *out_low = change_bounded(from, to, low) ? low : low + TW_SCHEDULE_MARGIN;
    *out_high = change_bounded(from, to, high) ? high : high - TW_SCHEDULE_MARGIN;
}
