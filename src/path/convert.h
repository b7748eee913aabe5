/* path/convert.h - what a network predicts along an affine path, and any of it from any other.
 *
 * Every prediction is y = a x_1 + b x_0, and x_t = alpha x_1 + sigma x_0: two equations for the two points, from which
 * any other prediction follows (Lipman et al. 2024, Flow matching guide, table 1; Salimans, Ho 2022). All of it holds
 * for conditional means, since both equations are linear.
 *
 * At an end the equations may not tell both points: x_1 says nothing of x_0 where sigma = 0. There the least that
 * explains x_t is taken, (x_1, x_0) = (alpha, sigma) x_t / (alpha^2 + sigma^2), which is the exact limit for source and
 * data of mean 0, drawn independently. The score of the data itself (sigma = 0) is beyond this and comes out as 0. */
#ifndef TW_PATH_CONVERT_H
#define TW_PATH_CONVERT_H

#include "path/schedule.h"

typedef enum tw_prediction {
#define TW_PREDICTION(name, about, source) TW_PREDICT_##name,
#include "path/predictions.def"
} tw_prediction;
const tw_piece_info *tw_prediction_list(int index); /* in the order of tw_prediction, NULL past the end */

/* Below, `at` holds values at t (B,1) or of any shape that broadcasts against x_t and y (B,D). */

/* The prediction's own value for a pair: what to train on. */
tw_val tw_prediction_of(tw_prediction kind, const tw_schedule_values *at, tw_val x1, tw_val x0);
/* Source and data points that a prediction at x_t means. */
void tw_prediction_split(tw_prediction kind, const tw_schedule_values *at, tw_val xt, tw_val y, tw_val *out_x1,
                         tw_val *out_x0);
/* One prediction from another; the same kind is y itself. */
tw_val tw_prediction_convert(tw_prediction from, tw_prediction to, const tw_schedule_values *at, tw_val xt, tw_val y);
/* |d to / d from|: how much larger an error of `from` is when seen as one of `to`; elementwise in t. */
tw_val tw_prediction_gain(tw_prediction from, tw_prediction to, const tw_schedule_values *at);

/* Where the velocity can be told from a prediction: the schedule's interval, except that an end at which the prediction
 * tells nothing of the point that moves x - data where sigma = 0, noise or score where alpha = 0 - is a pole of the
 * velocity, and left by TW_POLE_MARGIN (SiT's sample_eps). */
#define TW_POLE_MARGIN 1e-3
void tw_prediction_interval(tw_prediction kind, const tw_schedule *schedule, double *out_low, double *out_high);

#endif
