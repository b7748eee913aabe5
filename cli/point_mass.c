/* point_mass.c - see point_mass.h. */
#include "point_mass.h"

#include <math.h>

enum { PLANE = 2 };

static double bounded(double push)
{
    return fmin(1, fmax(-1, push));
}

void point_place(tw_random *random, double state[POINT_STATE])
{
    double away = 1 + tw_random_uniform(random), angle = 6.283185307179586 * tw_random_uniform(random);
    state[0] = away * cos(angle);
    state[1] = away * sin(angle);
    for (int k = 0; k < PLANE; k++) state[PLANE + k] = 0.2 * tw_random_normal(random);
}

void point_step(const double push[POINT_PUSH], double shake, tw_random *random, double state[POINT_STATE])
{
    const double h = POINT_STEP;
    for (int k = 0; k < PLANE; k++) {
        double by = bounded(push[k]), *x = &state[k], *v = &state[PLANE + k];
        *x += h * *v + 0.5 * h * h * by + shake * tw_random_normal(random);
        *v += h * by + shake * tw_random_normal(random);
    }
}

double point_reward(const double state[POINT_STATE])
{
    const double near = 0.5;
    return exp(-(state[0] * state[0] + state[1] * state[1]) / (2 * near * near));
}

point_driver point_driver_any(tw_random *random)
{
    point_driver d = {.spring = 0.1 + 1.4 * tw_random_uniform(random),
                      .brake = 0.5 + 1.5 * tw_random_uniform(random),
                      .tremble = 0.2};
    for (int k = 0; k < PLANE; k++) d.aim[k] = 0.6 * tw_random_normal(random);
    return d;
}

point_driver point_driver_good(void)
{
    return (point_driver){.spring = 4, .brake = 3};
}

void point_drive(const point_driver *driver, const double state[POINT_STATE], tw_random *random,
                 double push[POINT_PUSH])
{
    for (int k = 0; k < PLANE; k++)
        push[k] = bounded(driver->spring * (driver->aim[k] - state[k]) - driver->brake * state[PLANE + k] +
                          driver->tremble * tw_random_normal(random));
}
