/* space/normal.c - the standard normal source. */
#include "base/philox.h"
#include "space/space.h"

#include <math.h>

static const double root_half = 0.70710678118654752440;

double tw_normal_share(double z)
{
    return 0.5 * erfc(-z * root_half);
}

tw_val tw_normal_share_rows(tw_val z)
{
    return tw_muls(tw_adds(tw_erf(tw_muls(z, root_half)), 1), 0.5);
}

static tw_val draw(const double *p, tw_val key, tw_val counter, uint32_t stream, tw_shape shape, tw_dtype dtype)
{
    (void)p;
    return tw_bits_to_normal(tw_random_bits(key, counter, stream, shape), dtype);
}

static void draw_row(const double *p, uint64_t seed, uint32_t stream, int64_t row, int columns, double *out)
{
    enum { WORDS_PER_NORMAL = 4 }; /* two uniforms of two words, see tw_random_normal */
    tw_random random = {.seed = seed, .stream = stream, .index = (uint64_t)row * (uint64_t)columns * WORDS_PER_NORMAL};
    (void)p;
    for (int i = 0; i < columns; i++) out[i] = tw_random_normal(&random);
}

static const double half_log_two_pi = 0.91893853320467274178;

static double log_density(const double *p, int columns, const double *x)
{
    double sum = 0;
    (void)p;
    for (int i = 0; i < columns; i++) sum += 0.5 * x[i] * x[i] + half_log_two_pi;
    return -sum;
}

static void score(const double *p, int columns, const double *x, double *out)
{
    (void)p;
    for (int i = 0; i < columns; i++) out[i] = -x[i];
}

static tw_val density(const double *p, tw_val x)
{
    (void)p;
    if (tw_is_none(x)) return x;
    return tw_adds(tw_muls(tw_sum_axis(tw_square(x), 1), -0.5), -half_log_two_pi * (double)tw_last_dim(x));
}

const tw_source_rules tw_source_normal = {
    .draw = draw,
    .draw_row = draw_row,
    .log_density = log_density,
    .score = score,
    .density = density,
    .independent = true,
};
