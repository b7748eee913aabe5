/* path/density.c - see density.h. */
#include "path/density.h"

#include "graph/node.h"

#include <math.h>

static const double half_pi = 1.57079632679489661923, root_two = 1.41421356237309504880;

/* mean + std times the normal quantile */
static tw_val normal(const double *p, tw_val u)
{
    tw_val z = tw_muls(tw_erfinv(tw_adds(tw_muls(u, 2), -1)), root_two);
    return tw_adds(tw_muls(z, p[1]), p[0]);
}

static tw_val uniform_time(const double *p, const tw_schedule *schedule, tw_val u)
{
    (void)p, (void)schedule;
    return u;
}

static tw_val logit_normal_time(const double *p, const tw_schedule *schedule, tw_val u)
{
    (void)schedule;
    return tw_sigmoid(normal(p, u));
}

static tw_val mode_time(const double *p, const tw_schedule *schedule, tw_val u)
{
    (void)schedule;
    tw_val square = tw_square(tw_cos(tw_muls(u, half_pi)));
    return tw_add(u, tw_muls(tw_adds(tw_add(square, u), -1), p[0]));
}

/* sigma : alpha = e^l : 1 as a pair of shares */
static tw_val skewed_time(const double *p, const tw_schedule *schedule, tw_val u)
{
    tw_val l = normal(p, u);
    return tw_schedule_time_of(schedule, tw_sigmoid(tw_neg(l)), tw_sigmoid(l));
}

/* t = 1/2 + asinh((2u - 1) sinh(a/2)) / a; asinh of the size, then the sign */
static tw_val u_shaped_time(const double *p, const tw_schedule *schedule, tw_val u)
{
    (void)schedule;
    tw_val y = tw_muls(tw_adds(tw_muls(u, 2), -1), sinh(0.5 * p[0])), size = tw_abs(y);
    tw_val asinh = tw_log(tw_add(size, tw_sqrt(tw_adds(tw_square(size), 1))));
    return tw_adds(tw_muls(tw_mul(tw_sign(y), asinh), 1 / p[0]), 0.5);
}

static const struct {
    tw_piece_info info;
    tw_val (*time)(const double *p, const tw_schedule *schedule, tw_val u);
} densities[] = {
#define TW_DENSITY(name, about, source, parameters) {{#name, about, source, parameters}, name##_time},
#include "path/densities.def"
};

const tw_piece_info *tw_density_list(int index)
{
    return index >= 0 && index < TW_COUNT(densities) ? &densities[index].info : NULL;
}

tw_val tw_density_times(const tw_piece *density, const tw_schedule *schedule, tw_val uniform)
{
    double low, high;
    tw_schedule_interval(schedule, &low, &high);
    return tw_adds(tw_muls(densities[density->row].time(density->value, schedule, uniform), high - low), low);
}
