/* Elementary functions against the C library one precision up: f32 over all of its range (every 509th bit pattern,
 * every pattern near special values), f64 over many million bit patterns and dense ranges. Bounds are in units in the
 * last place of the result and are what was measured, rounded up to the next half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/kernels.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 4096 };

static double sigmoid_double(double x)
{
    return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x));
}
static double silu_double(double x)
{
    return x < -1000 ? -0.0 : x * sigmoid_double(x);
}
static double rsqrt_double(double x)
{
    return 1 / sqrt(x);
}
static long double sigmoid_long(long double x)
{
    return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x));
}
static long double silu_long(long double x)
{
    return x < -2000 ? -0.0L : x * sigmoid_long(x);
}
static long double rsqrt_long(long double x)
{
    return 1 / sqrtl(x);
}

typedef struct function {
    const char *name;
    tw_tile_op op;
    double (*f32_reference)(double);
    double f32_ulp;
    long double (*f64_reference)(long double);
    double f64_ulp;
} function;

static const function functions[] = {
    {"exp", TW_TILE_EXP, exp, 1.0, expl, 1.0},
    {"expm1", TW_TILE_EXPM1, expm1, 1.5, expm1l, 2.0},
    {"log", TW_TILE_LOG, log, 1.5, logl, 1.5},
    {"log1p", TW_TILE_LOG1P, log1p, 1.5, log1pl, 1.5},
    {"sin", TW_TILE_SIN, sin, 0.51, sinl, 1.5},
    {"cos", TW_TILE_COS, cos, 0.51, cosl, 1.5},
    {"tanh", TW_TILE_TANH, tanh, 2.5, tanhl, 2.5},
    {"erf", TW_TILE_ERF, erf, 1.5, erfl, 1.5},
    {"sqrt", TW_TILE_SQRT, sqrt, 0.5001, sqrtl, 0.5001},
    {"rsqrt", TW_TILE_RSQRT, rsqrt_double, 1.5, rsqrt_long, 1.5},
    {"sigmoid", TW_TILE_SIGMOID, sigmoid_double, 2.5, sigmoid_long, 2.5},
    {"silu", TW_TILE_SILU, silu_double, 3.0, silu_long, 3.0},
};

/* Distance of a float from the exact value, in units of the float grid there; agreeing NaN, infinities and signed zeros
 * are 0. */
static double ulp_f32(float got, double exact)
{
    float nearest = (float)exact;
    if (isnan(exact) || isnan(got)) return isnan(exact) && isnan(got) ? 0 : (double)INFINITY;
    if (isinf(got) && got == nearest) return 0;
    if (isinf(got) || isinf(nearest)) /* the last rounding may fall on either side of overflow */
        return fabs((double)got) >= (double)FLT_MAX && fabs(exact) >= 0.9999999 * (double)FLT_MAX ? 1
                                                                                                  : (double)INFINITY;
    if (got == 0 && nearest == 0 && signbit(got) != signbit(nearest)) return (double)INFINITY;
    int exponent = exact == 0 ? -126 : ilogb(exact);
    return fabs((double)got - exact) / ldexp(1, (exponent < -126 ? -126 : exponent) - 23);
}

static double ulp_f64(double got, long double exact)
{
    double nearest = (double)exact;
    if (isnan(nearest) || isnan(got)) return isnan(nearest) && isnan(got) ? 0 : (double)INFINITY;
    if (isinf(got) && got == nearest) return 0;
    if (isinf(got) || isinf(nearest))
        return fabsl(exact) >= 0.9999999999999L * (long double)DBL_MAX ? 1 : (double)INFINITY;
    if (got == 0 && nearest == 0) return signbit(got) == signbit(nearest) ? 0 : (double)INFINITY;
    int exponent = exact == 0 ? -1022 : ilogbl(exact);
    return (double)(fabsl((long double)got - exact) / ldexpl(1, (exponent < -1022 ? -1022 : exponent) - 52));
}

/* Fills x with the next patterns; returns how many (0 at the end). */
static int next_f32(uint64_t *at, float *x)
{
    int count = 0;
    for (; count < CHUNK && *at < (uint64_t)1 << 32; count++) {
        uint32_t bits = (uint32_t)*at;
        memcpy(&x[count], &bits, 4);
        uint32_t exponent = bits << 1 >> 24;
        /* every pattern just beside 0, 1, overflow */
        bool dense = (bits << 1) < 4000 || (exponent == 127 && (bits & 0x7FFFFF) < 500) || exponent == 255;
        *at += dense && (bits & 0x7FFFFF) < 500 ? 1 : 509;
    }
    return count;
}

static void test_f32_functions(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    static float x[CHUNK], y[CHUNK];
    for (int f = 0; f < TW_COUNT(functions); f++) {
        double worst = 0;
        float where = 0;
        uint64_t at = 0;
        for (int count; (count = next_f32(&at, x)) > 0;) {
            cpu->tile[functions[f].op][TW_DTYPE_F32](y, x, NULL, NULL, count);
            for (int i = 0; i < count; i++) {
                double error = ulp_f32(y[i], functions[f].f32_reference((double)x[i]));
                if (error > worst) worst = error, where = x[i];
            }
        }
        print_message("%8s f32: %.3f ulp at %a\n", functions[f].name, worst, (double)where);
        assert_true(worst <= functions[f].f32_ulp);
    }
}

/* A third of the arguments are any bit pattern, a third uniform in [-40, 40], a third of moderate exponent. */
static double argument_f64(tw_random *random, int i)
{
    uint64_t bits = (uint64_t)tw_random_u32(random) << 32;
    bits |= tw_random_u32(random);
    double x;
    if (i % 3 == 1) return 80 * ((double)(bits >> 12) * 0x1p-52 - 0.5);
    if (i % 3 == 2) bits = (bits & ~(0x7FFull << 52)) | (1023 - 40 + (bits >> 52) % 52) << 52;
    memcpy(&x, &bits, 8);
    return x;
}

static void test_f64_functions(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    static double x[CHUNK], y[CHUNK];
    for (int f = 0; f < TW_COUNT(functions); f++) {
        tw_random random = {.seed = 1, .stream = (uint32_t)f};
        double worst = 0, where = 0;
        for (int chunk = 0; chunk < 150; chunk++) {
            for (int i = 0; i < CHUNK; i++) x[i] = argument_f64(&random, i);
            cpu->tile[functions[f].op][TW_DTYPE_F64](y, x, NULL, NULL, CHUNK);
            for (int i = 0; i < CHUNK; i++) {
                double error = ulp_f64(y[i], functions[f].f64_reference((long double)x[i]));
                if (error > worst) worst = error, where = x[i];
            }
        }
        print_message("%8s f64: %.3f ulp at %a\n", functions[f].name, worst, where);
        assert_true(worst <= functions[f].f64_ulp);
    }
}

/* GELU and its slope in f32, from 1e-30 to where the slope is 0 or 1: within 2e-7 of the value or of one, whichever is
 * larger - what is added to them has no more digits. Beyond, x or nothing at all. */
static void test_gelu(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    double worst[2] = {0, 0};
    for (int i = -200000; i <= 200000; i++) {
        float x = (float)i * 6e-5f, y[2];
        if (i % 3 == 0) x *= 1e-3f;
        if (i % 1000 == 1) x *= 1e-25f;
        cpu->tile[TW_TILE_GELU][TW_DTYPE_F32](&y[0], &x, NULL, NULL, 1);
        cpu->tile[TW_TILE_GELU_SLOPE][TW_DTYPE_F32](&y[1], &x, NULL, NULL, 1);
        double z = (double)x, cdf = 0.5 * erfc(-z * M_SQRT1_2), unit = fmin(fabs(z), 1);
        double slope = cdf + z * exp(-0.5 * z * z) * 0.39894228040143267794;
        worst[0] = fmax(worst[0], fabs((double)y[0] - z * cdf) / fmax(fabs(z * cdf), unit));
        worst[1] = fmax(worst[1], fabs((double)y[1] - slope));
    }
    print_message("    gelu f32: %.3g, slope %.3g\n", worst[0], worst[1]);
    assert_true(worst[0] <= 2e-7 && worst[1] <= 2e-7);
    static const float far[] = {1e4f, -1e4f, 1e30f, -1e30f};
    for (int i = 0; i < TW_COUNT(far); i++) {
        float y[2];
        cpu->tile[TW_TILE_GELU][TW_DTYPE_F32](&y[0], &far[i], NULL, NULL, 1);
        cpu->tile[TW_TILE_GELU_SLOPE][TW_DTYPE_F32](&y[1], &far[i], NULL, NULL, 1);
        assert_true(far[i] > 0 ? y[0] == far[i] && y[1] == 1 : y[0] == 0 && y[1] == 0);
    }
}

/* Arguments next to multiples of pi/2 lose all leading digits in the reduction. */
static void test_sine_near_its_zeros(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    double worst = 0;
    for (int i = 1; i < 2000000; i = i < 4000 ? i + 1 : i + 997) {
        double x = (double)(i * 1.57079632679489661923132169163975144L), s, c;
        cpu->tile[TW_TILE_SIN][TW_DTYPE_F64](&s, &x, NULL, NULL, 1);
        cpu->tile[TW_TILE_COS][TW_DTYPE_F64](&c, &x, NULL, NULL, 1);
        worst = fmax(worst, fmax(ulp_f64(s, sinl((long double)x)), ulp_f64(c, cosl((long double)x))));
    }
    assert_true(worst <= 1.5);
}

static void test_pow(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    static const float special[] = {0.0f,     -0.0f,     1.0f, -1.0f,       2.0f,        -2.0f,        3.0f,  -3.0f,
                                    0.5f,     -0.5f,     2.5f, -2.5f,       1e-40f,      -1e-40f,      1e38f, -1e38f,
                                    INFINITY, -INFINITY, NAN,  16777217.0f, 16777216.0f, -16777215.0f, 1e30f};
    for (int i = 0; i < TW_COUNT(special); i++)
        for (int j = 0; j < TW_COUNT(special); j++) {
            float y;
            cpu->tile[TW_TILE_POW][TW_DTYPE_F32](&y, &special[i], &special[j], NULL, 1);
            double exact = pow((double)special[i], (double)special[j]);
            if (!(ulp_f32(y, exact) <= 0.51))
                fail_msg("pow(%a, %a) = %a, not %a", (double)special[i], (double)special[j], (double)y, exact);
        }
    tw_random random = {.seed = 2};
    double worst = 0;
    for (int i = 0; i < 500000; i++) {
        float a = (float)exp(10 * tw_random_normal(&random)), b = (float)(4 * tw_random_normal(&random)), y;
        cpu->tile[TW_TILE_POW][TW_DTYPE_F32](&y, &a, &b, NULL, 1);
        worst = fmax(worst, ulp_f32(y, pow((double)a, (double)b)));
    }
    print_message("     pow f32: %.3f ulp\n", worst);
    assert_true(worst <= 0.51);
}

static void test_special_values(void **state)
{
    (void)state;
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    static const float in[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, -200.0f, 200.0f, 1e-42f, -1e-42f};
    for (int v = 0; v < count; v++) {
        float y[TW_COUNT(in)];
#define RUN(op) variants[v]->tile[TW_TILE_##op][TW_DTYPE_F32](y, in, NULL, NULL, TW_COUNT(in))
        RUN(SIGMOID);
        assert_true(y[0] == 0.5f && y[2] == 1.0f && y[3] == 0.0f && isnan(y[4]) && y[5] == 0.0f && y[6] == 1.0f);
        RUN(SILU);
        assert_true(y[0] == 0 && y[2] == INFINITY && y[3] == 0 && signbit(y[3]) && isnan(y[4]) && signbit(y[5]) &&
                    y[6] == 200);
        RUN(TANH);
        assert_true(signbit(y[1]) && y[2] == 1 && y[3] == -1 && isnan(y[4]) && y[7] == in[7] && y[8] == in[8]);
        RUN(LOG);
        assert_true(y[0] == -INFINITY && y[1] == -INFINITY && y[2] == INFINITY && isnan(y[3]) && isnan(y[4]));
        RUN(EXP);
        assert_true(y[0] == 1 && y[2] == INFINITY && y[3] == 0 && isnan(y[4]) && y[5] == 0 && y[6] == INFINITY);
        RUN(SIGN);
        assert_true(y[0] == 0 && y[2] == 1 && y[3] == -1 && isnan(y[4]));
        RUN(RSQRT);
        assert_true(y[0] == INFINITY && y[2] == 0 && isnan(y[3]));
#undef RUN
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32_functions),       cmocka_unit_test(test_f64_functions),
        cmocka_unit_test(test_sine_near_its_zeros), cmocka_unit_test(test_gelu), cmocka_unit_test(test_pow),
        cmocka_unit_test(test_special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
