/* point_mass.h - a point mass in the plane that is to be brought to a goal and kept there: the task that planners are
 * tried on. A state is position and velocity, as seen from the goal; a push lasts POINT_STEP seconds and accelerates by
 * at most 1 in each direction, and both are shaken a little. Rewards are from 0, far away, to 1, at the goal. */
#ifndef THALWEG_CLI_POINT_MASS_H
#define THALWEG_CLI_POINT_MASS_H

#include "base/philox.h"

enum { POINT_STATE = 4, POINT_PUSH = 2 };
#define POINT_STEP 0.2

/* At rest but for a little, one to two from the goal in any direction. */
void point_place(tw_random *random, double state[POINT_STATE]);
/* One step, exact for a push that is constant, and all shaken by so much (POINT_SHAKE, or 0); normal numbers are drawn
 * either way. */
#define POINT_SHAKE 0.02
void point_step(const double push[POINT_PUSH], double shake, tw_random *random, double state[POINT_STATE]);
double point_reward(const double state[POINT_STATE]);

/* Who pushes by what is seen: a spring to where it believes the goal to be, a brake, and a hand that trembles. */
typedef struct point_driver {
    double spring, brake, tremble, aim[POINT_PUSH];
} point_driver;

/* Drivers of all kinds, most of them bad: they aim beside the goal, or hardly push. And a good one. */
point_driver point_driver_any(tw_random *random);
point_driver point_driver_good(void);
void point_drive(const point_driver *driver, const double state[POINT_STATE], tw_random *random,
                 double push[POINT_PUSH]);

#endif
