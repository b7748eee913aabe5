/* space/student.c - the multivariate t distribution with D degrees of freedom: z / sqrt(chi^2_D / D), z standard
 * normal.
 *
 * PFGM++ draws its noise as R w, w uniform on the sphere of N dimensions, R = sigma sqrt(D) sqrt(B / (1 - B)), B from
 * Beta(N/2, D/2) (Xu et al. 2023, PFGM++, section 3.2). B / (1 - B) is a quotient of chi^2 numbers with N and D degrees
 * of freedom, so R w / sigma has this law whatever sigma; D = 1 is the Cauchy law of PFGM, D to infinity the normal
 * one.
 *
 *   p(x) = Gamma((N + D)/2) / (Gamma(D/2) (pi D)^(N/2)) (1 + |x|^2 / D)^(-(N + D)/2)
 *
 * chi^2 with an even number of degrees is exactly -2 times a sum of logarithms of uniform numbers; one more is the
 * square of a normal number. */
#include "base/philox.h"
#include "space/space.h"

#include <math.h>

static int freedom(const double *p)
{
    return (int)p[0]; /* whole */
}

static tw_val draw(const double *p, tw_val key, tw_val counter, uint32_t stream, tw_shape shape, tw_dtype dtype)
{
    const tw_dtype wide = TW_DTYPE_F64; /* a small chi^2 is a far point */
    int degrees = freedom(p), halves = degrees / 2;
    int64_t rows = shape.dim[0];
    tw_val z = tw_bits_to_normal(tw_random_bits(key, counter, stream, shape), dtype), sum = TW_NONE;
    if (halves > 0) {
        tw_val bits = tw_random_bits(key, counter, stream + (1u << 8), tw_shape_of(rows, halves));
        sum = tw_muls(tw_sum_axis(tw_log(tw_bits_to_uniform(bits, wide)), 1), -2);
    }
    if (degrees % 2 == 1) {
        tw_val bits = tw_random_bits(key, counter, stream + (2u << 8), tw_shape_of(rows));
        tw_val square = tw_square(tw_bits_to_normal(bits, wide));
        sum = halves > 0 ? tw_add(sum, square) : square;
    }
    tw_val stretch = tw_rsqrt(tw_muls(sum, 1.0 / degrees));
    return tw_mul(z, tw_cast(tw_expand_dim(stretch, 1), dtype));
}

static void draw_row(const double *p, uint64_t seed, uint32_t stream, int64_t row, int columns, double *out)
{
    enum { WORDS_OF_NORMAL = 4, WORDS_OF_UNIFORM = 2 };
    int degrees = freedom(p);
    int64_t words = (columns + 1) * (int64_t)WORDS_OF_NORMAL + degrees / 2 * WORDS_OF_UNIFORM;
    tw_random random = {.seed = seed, .stream = stream, .index = (uint64_t)row * (uint64_t)words};
    double odd = tw_random_normal(&random), sum = degrees % 2 == 1 ? odd * odd : 0;
    for (int i = 0; i < degrees / 2; i++) sum -= 2 * log(tw_random_uniform(&random));
    for (int i = 0; i < columns; i++) out[i] = tw_random_normal(&random) / sqrt(sum / degrees);
}

/* The logarithm of the density at 0. */
static double at_middle(const double *p, double columns)
{
    const double pi = 3.14159265358979323846;
    double degrees = freedom(p);
    return lgamma(0.5 * (columns + degrees)) - lgamma(0.5 * degrees) - 0.5 * columns * log(pi * degrees);
}

static double log_density(const double *p, int columns, const double *x)
{
    double degrees = freedom(p), square = 0;
    for (int i = 0; i < columns; i++) square += x[i] * x[i];
    return at_middle(p, columns) - 0.5 * (columns + degrees) * log1p(square / degrees);
}

static void score(const double *p, int columns, const double *x, double *out)
{
    double degrees = freedom(p), square = 0;
    for (int i = 0; i < columns; i++) square += x[i] * x[i];
    for (int i = 0; i < columns; i++) out[i] = -(columns + degrees) * x[i] / (degrees + square);
}

static tw_val density(const double *p, tw_val x)
{
    double degrees = freedom(p);
    if (tw_is_none(x)) return x;
    int64_t columns = tw_last_dim(x);
    tw_val square = tw_muls(tw_sum_axis(tw_square(x), 1), 1 / degrees);
    return tw_adds(tw_muls(tw_log1p(square), -0.5 * ((double)columns + degrees)), at_middle(p, (double)columns));
}

const tw_source_rules tw_source_student = {
    .draw = draw, .draw_row = draw_row, .log_density = log_density, .score = score, .density = density, .whole = true};
