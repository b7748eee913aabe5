/* flow/steer.h - a walk along a flow whose steps are pushed by something asked of the data point expected:
 *
 *   x <- x + h u(x, t) + J' g(x1-hat),  J the derivative of x1-hat in x, or a number in its place
 *
 * Rewards, posteriors of linear measurements, DPS and FlowChef differ in g only. */
#ifndef TW_FLOW_STEER_H
#define TW_FLOW_STEER_H

#include "path/schedule.h"

#include <thalweg/steer.h>

/* Where a step begins. */
typedef struct tw_steer_step {
    double t, h;
    tw_schedule_point at;
    /* sigma^2 d/dt log(alpha/sigma), which makes a velocity of a score; where it has no bound, at t = 0, that of half a
     * step later */
    double rate;
    double plain; /* derivative of x1-hat for standard normal data, alpha / (alpha^2 + sigma^2), times rate: finite */
} tw_steer_step;

typedef struct tw_steering {
    /* What step to add, g (rows, columns), for x1-hat (rows, columns), which it may use up; both normalised. Several
     * threads at once. */
    tw_status (*push)(const void *user, const tw_steer_step *step, int64_t first, int64_t rows, double *x1,
                      double *out);
    const void *user;
    bool pulled; /* through the network; else J is 1 */
    double start;
} tw_steering;

/* Refuses what steering does not know. */
TW_NODISCARD tw_status tw_steer_check(tw_flow *flow, int64_t n, const tw_sample_desc *desc);
/* Walks rows x (n, columns), normalised, in place from `start` to the end. The flow's schedule must be set. */
TW_NODISCARD tw_status tw_steer(tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_steering *steering,
                                double *x, tw_ode_stats *out_stats);

#endif
