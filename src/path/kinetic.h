/* path/kinetic.h - the schedule of least kinetic energy for a data set (Shaul, Chen, Nickel, Le, Lipman 2023, On
 * kinetic optimal probability paths for generative models).
 *
 * The mean square of the flow's velocity along alpha = r sin theta, sigma = r cos theta is, per column of data that has
 * mean 0 and variance 1, with a standard normal source,
 *
 *   E = int r'^2 + r^2 theta'^2 gamma(theta) dt,   gamma(theta) = 1 - (1 - lambda(tan theta)) / cos^2 theta
 *
 * where the separation lambda(s) = E|E[x_1 | x]|^2 / D, x = x_1 + x_0 / s, says how well x tells x_1. With phi = int
 * sqrt(gamma) dtheta that is the energy of a curve in the plane of polar coordinates (r, phi), from (1, 0) to (1, Phi):
 * the best one is a straight line at constant speed, and E = 2 - 2 cos Phi. (The paper finds its number b by shooting;
 * it is 4 sin^2(Phi / 2).) lambda = 1 gives Phi = pi/2 and condot. */
#ifndef TW_PATH_KINETIC_H
#define TW_PATH_KINETIC_H

#include "path/schedule.h"

/* lambda at the angles theta_k = pi/2 (k + 1/2) / TW_KINETIC_ANGLES. */
enum { TW_KINETIC_ANGLES = 64 };

/* lambda of data whose columns are standardised, rows (rows, columns): means over draws by seed, posteriors over at
 * most 2048 of the rows. Grows with the angle, in [0,1]. */
TW_NODISCARD tw_status tw_kinetic_separation(tw_context *ctx, int64_t rows, int columns, const float *data,
                                             uint64_t seed, double out_lambda[TW_KINETIC_ANGLES]);

/* What the schedule costs in kinetic energy per column, for data of that separation. */
double tw_kinetic_energy(const tw_schedule *schedule, const double lambda[TW_KINETIC_ANGLES]);

/* The schedule of least energy, as a table. gamma is held at 0.01 from below: where it vanishes the best pace is
 * unbounded. *out_degenerate: it nearly vanishes everywhere, as for one Gaussian (lambda = s^2 / (1 + s^2)), whose flow
 * along a circle stands still at any pace; the table is then the cosine schedule. Free *out_schedule with
 * tw_piece_free. */
TW_NODISCARD tw_status tw_kinetic_schedule(tw_context *ctx, const double lambda[TW_KINETIC_ANGLES],
                                           tw_schedule *out_schedule, bool *out_degenerate);

#endif
