/* path/schedule.h - schedules alpha(t), sigma(t) of affine paths x_t = alpha x_1 + sigma x_0.
 *
 * t = 0 is the source and t = 1 the data; alpha(1) = 1. Most schedules have alpha(0) = 0, sigma(0) = 1, sigma(1) = 0;
 * those of diffusions keep a little of the data at 0 (vp) or a little noise at 1 (ve, edm), and those that explode
 * start from sigma(0) times the source. Each is written once (path/schedules.inc) and is the same on a graph and on the
 * host; slopes are derivatives of it by machine. */
#ifndef TW_PATH_SCHEDULE_H
#define TW_PATH_SCHEDULE_H

#include "nn/piece.h"

const tw_piece_info *tw_schedule_list(int index); /* NULL past the end */
typedef tw_piece tw_schedule;                     /* read with tw_schedule_list */
/* Whether the numbers of a table are a schedule; others always are. */
TW_NODISCARD tw_status tw_schedule_check(tw_context *ctx, const tw_schedule *schedule);

/* --- on the host, in double ----------------------------------------------------------------------------------------
 */

typedef struct tw_schedule_point {
    double alpha, sigma, d_alpha, d_sigma; /* and their slopes in t */
} tw_schedule_point;
/* At t in [0,1]; a slope that is unbounded there is an infinity. */
tw_schedule_point tw_schedule_at(const tw_schedule *schedule, double t);
/* log(alpha^2 / sigma^2) (Kingma et al. 2021); twice the lambda of DPM-Solver. Infinite where one of them is 0. */
double tw_schedule_log_snr(const tw_schedule *schedule, double t);
/* The t in [0,1] with that log-SNR, in closed form; infinities are the ends, and so is what lies beyond them. */
double tw_schedule_time(const tw_schedule *schedule, double log_snr);
/* Where to train, and to solve (but see tw_prediction_interval): [0,1], except that an end where a slope is unbounded
 * is left by TW_SCHEDULE_MARGIN, which costs sigma(1 - margin) of noise in x_1, 1e-3 (vp) to 5e-3 (linear_vp). */
#define TW_SCHEDULE_MARGIN 1e-5
void tw_schedule_interval(const tw_schedule *schedule, double *out_low, double *out_high);

/* --- on a graph ------------------------------------------------------------------------------------------------------
 */

tw_val tw_schedule_alpha(const tw_schedule *schedule, tw_val t); /* elementwise */
tw_val tw_schedule_sigma(const tw_schedule *schedule, tw_val t);
/* The t at which alpha : sigma = a : s, held in [0,1]. */
tw_val tw_schedule_time_of(const tw_schedule *schedule, tw_val a, tw_val s);
typedef struct tw_schedule_values {
    tw_val alpha, sigma, d_alpha, d_sigma;
} tw_schedule_values;
/* Derivatives of values in t, elementwise or along the rows of t (B). A failure is kept in the graph; false then. */
bool tw_slopes(tw_val t, int count, const tw_val *values, tw_val *out_slopes);
/* All four, slopes by forward derivatives in t. */
tw_schedule_values tw_schedule_values_at(const tw_schedule *schedule, tw_val t);

/* --- another schedule after training ---------------------------------------------------------------------------------
 * Paths of the same signal-to-noise ratio are the same up to scale and pace: a model trained along `from` is followed
 * along `to` by x-bar(r) = scale(r) x(t(r)), where alpha/sigma of `from` at t(r) is that of `to` at r, and
 *
 *   u-bar(r, x) = scale'/scale x + scale t' u(t, x/scale)        (Pokle et al. 2023; flow matching guide, section 4.6)
 *
 * scale = (alpha + sigma of `to`) / (alpha + sigma of `from`) is either of its two ratios where they are defined, and
 * needs no care at the ends. */
typedef struct tw_schedule_change {
    tw_val t, scale, d_t, d_scale;
} tw_schedule_change;
tw_schedule_change tw_schedule_change_at(const tw_schedule *from, const tw_schedule *to, tw_val r);
/* The r that can be solved: where `to` has ratios that `from` has between from_low and from_high, may itself be solved,
 * and all slopes are bounded. */
void tw_schedule_change_interval(const tw_schedule *from, double from_low, double from_high, const tw_schedule *to,
                                 double *out_low, double *out_high);

#endif
