/* Special functions against values computed in 50 digits (tests/golden/special.py), identities, special values. Bounds
 * are in units in the last place and are what was measured, rounded up to the next half; the values themselves are
 * rounded to double, half a unit; what the C library computes (asin to atan2, lgamma in double) gets what it promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cpu/kernels.h"
#include "cpu/special.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct value {
    const char *name;
    double x, y, exact;
} value;

static const value values[] = {
#include "golden/special.inc"
};

static const struct {
    const char *name;
    tw_tile_op op;
    double f32_ulp, f64_ulp;
} functions[] = {
    {"SINH", TW_TILE_SINH, 1.0, 1.5},   {"COSH", TW_TILE_COSH, 1.0, 1.5},     {"ASIN", TW_TILE_ASIN, 1.0, 1.0},
    {"ACOS", TW_TILE_ACOS, 1.0, 1.0},   {"ATAN", TW_TILE_ATAN, 1.0, 1.0},     {"EXP2", TW_TILE_EXP2, 1.0, 1.5},
    {"LOG2", TW_TILE_LOG2, 1.0, 1.5},   {"ERFINV", TW_TILE_ERFINV, 2.5, 1.5}, {"LGAMMA", TW_TILE_LGAMMA, 1.0, 5.0},
    {"ATAN2", TW_TILE_ATAN2, 1.0, 1.0},
};

static double ulp_of(double exact, int digits, int lowest)
{
    int exponent = exact == 0.0 ? lowest : ilogb(exact);
    return ldexp(1.0, (exponent < lowest ? lowest : exponent) - digits);
}

static double error_f32(tw_tile_op op, const value *v)
{
    float x = (float)v->x, y = (float)v->y, got;
    if ((double)x != v->x || (double)y != v->y) return 0.0; /* not a value for floats */
    tw_cpu_best()->tile[op][TW_DTYPE_F32](&got, &x, &y, NULL, 1);
    if (fabs(v->exact) > (double)FLT_MAX) return isinf(got) ? 0.0 : HUGE_VAL;
    return fabs((double)got - v->exact) / ulp_of(v->exact, 23, -126);
}

static double error_f64(tw_tile_op op, const value *v)
{
    double got;
    tw_cpu_best()->tile[op][TW_DTYPE_F64](&got, &v->x, &v->y, NULL, 1);
    if (isinf(v->exact)) return got == v->exact ? 0.0 : HUGE_VAL;
    return fabs(got - v->exact) / ulp_of(v->exact, 52, -1022);
}

static void golden_values(void **state)
{
    (void)state;
    for (int f = 0; f < TW_COUNT(functions); f++) {
        double worst[2] = {0}, where[2] = {0};
        int count = 0;
        for (int i = 0; i < TW_COUNT(values); i++) {
            if (strcmp(values[i].name, functions[f].name) != 0) continue;
            double error[2] = {error_f32(functions[f].op, &values[i]), error_f64(functions[f].op, &values[i])};
            for (int w = 0; w < 2; w++)
                if (!(error[w] <= worst[w])) worst[w] = error[w], where[w] = values[i].x;
            count++;
        }
        print_message("%7s: %.2f ulp at %a (f32), %.2f at %a (f64), %d values\n", functions[f].name, worst[0], where[0],
                      worst[1], where[1], count);
        assert_true(count > 20);
        assert_true(worst[0] <= functions[f].f32_ulp && worst[1] <= functions[f].f64_ulp);
    }
}

/* Units of 2^-53 of the value (of 1 for digamma, whose zeros leave only the absolute error small). A power 1/x^(n+1)
 * multiplies the rounding of its base by n + 1. */
static void polygamma_values(void **state)
{
    (void)state;
    double worst = 0.0, where = 0.0, order = 0.0;
    for (int i = 0; i < TW_COUNT(values); i++) {
        const value *v = &values[i];
        if (strcmp(v->name, "POLYGAMMA") != 0) continue;
        double scale = fmax(fabs(v->exact), v->x == 0.0 ? 1.0 : 0.0);
        double error = fabs(tw_polygamma_of(v->x, v->y) - v->exact) / scale * 0x1p53 / (v->x + 1.0);
        if (!(error <= worst)) worst = error, where = v->y, order = v->x;
    }
    print_message("polygamma: %.1f (n + 1) units at order %g, %.17g\n", worst, order, where);
    assert_true(worst <= 8.0);
}

/* psi^(n)(x+1) - psi^(n)(x) = (-1)^n n! / x^(n+1), across zero too */
static void polygamma_recurrence(void **state)
{
    (void)state;
    double factorial = 1.0;
    for (int n = 0; n < 10; factorial *= ++n)
        for (double x = -5.3; x < 20.0; x += 0.37) {
            double above = tw_polygamma_of(n, x + 1.0), here = tw_polygamma_of(n, x);
            double step = (n % 2 ? -factorial : factorial) * pow(x, -(n + 1.0));
            double scale = fmax(fmax(fabs(above), fabs(here)), fabs(step));
            assert_true(fabs(above - here - step) <= 2e-14 * scale);
        }
}

static void polygamma_poles(void **state)
{
    (void)state;
    assert_true(tw_polygamma_of(0, 0.0) == -HUGE_VAL && tw_polygamma_of(0, -0.0) == HUGE_VAL);
    assert_true(tw_polygamma_of(1, 0.0) == HUGE_VAL && tw_polygamma_of(1, -3.0) == HUGE_VAL);
    assert_true(isnan(tw_polygamma_of(0, -2.0)) && isnan(tw_polygamma_of(2, -2.0)));
    assert_true(isnan(tw_polygamma_of(0.5, 1.0)) && isnan(tw_polygamma_of(-1, 1.0)) && isnan(tw_polygamma_of(31, 1.0)));
    assert_true(isnan(tw_polygamma_of(0, (double)NAN)) && isnan(tw_polygamma_of(0, -HUGE_VAL)));
    assert_true(tw_polygamma_of(0, HUGE_VAL) == HUGE_VAL && tw_polygamma_of(3, HUGE_VAL) == 0.0);
}

static double f64(tw_tile_op op, double x, double y)
{
    double out;
    tw_cpu_best()->tile[op][TW_DTYPE_F64](&out, &x, &y, NULL, 1);
    return out;
}
static double f32(tw_tile_op op, double x, double y)
{
    float out, a = (float)x, b = (float)y;
    tw_cpu_best()->tile[op][TW_DTYPE_F32](&out, &a, &b, NULL, 1);
    return (double)out;
}

static void special_values(void **state)
{
    (void)state;
    const double inf = HUGE_VAL, pi = 3.14159265358979323846;
    for (int w = 0; w < 2; w++) {
        double (*f)(tw_tile_op, double, double) = w ? f64 : f32;
        double tolerance = w ? 1e-15 : 3e-7;
#define OF(op, x) f(TW_TILE_##op, x, 0.0)
        assert_true(OF(SINH, inf) == inf && OF(SINH, -inf) == -inf && signbit(OF(SINH, -0.0)) && isnan(OF(SINH, NAN)));
        assert_true(OF(COSH, inf) == inf && OF(COSH, -inf) == inf && OF(COSH, 0.0) == 1.0 && isnan(OF(COSH, NAN)));
        assert_true(isnan(OF(ASIN, 1.5)) && isnan(OF(ACOS, -1.5)) && signbit(OF(ASIN, -0.0)) && isnan(OF(ACOS, NAN)));
        assert_true(OF(ACOS, 1.0) == 0.0 && fabs(OF(ACOS, -1.0) - pi) < tolerance);
        assert_true(fabs(OF(ATAN, inf) - pi / 2) < tolerance && fabs(OF(ATAN, -inf) + pi / 2) < tolerance);
        assert_true(signbit(OF(ATAN, -0.0)) && isnan(OF(ATAN, NAN)));
        assert_true(OF(EXP2, 10.0) == 1024.0 && OF(EXP2, -inf) == 0.0 && OF(EXP2, inf) == inf && isnan(OF(EXP2, NAN)));
        assert_true(OF(EXP2, -149.0) > 0.0 && OF(EXP2, 5000.0) == inf && OF(EXP2, -5000.0) == 0.0);
        assert_true(OF(LOG2, 0.125) == -3.0 && OF(LOG2, 0.0) == -inf && isnan(OF(LOG2, -1.0)) && OF(LOG2, inf) == inf);
        assert_true(OF(ERFINV, 1.0) == inf && OF(ERFINV, -1.0) == -inf && isnan(OF(ERFINV, 1.5)));
        assert_true(OF(ERFINV, 0.0) == 0.0 && signbit(OF(ERFINV, -0.0)) && isnan(OF(ERFINV, NAN)));
        assert_true(OF(LGAMMA, 0.0) == inf && OF(LGAMMA, -2.0) == inf && OF(LGAMMA, 1.0) == 0.0);
        assert_true(OF(ROUND, 2.5) == 2.0 && OF(ROUND, 3.5) == 4.0 && OF(ROUND, -0.5) == 0.0 && OF(ROUND, inf) == inf);
#undef OF
#define OF(op, x, y) f(TW_TILE_##op, x, y)
        assert_true(OF(ATAN2, 0.0, 0.0) == 0.0 && fabs(OF(ATAN2, 0.0, -0.0) - pi) < tolerance);
        assert_true(signbit(OF(ATAN2, -0.0, 1.0)) && fabs(OF(ATAN2, -0.0, -1.0) + pi) < tolerance);
        assert_true(fabs(OF(ATAN2, inf, inf) - pi / 4) < tolerance &&
                    fabs(OF(ATAN2, -inf, -inf) + 3 * pi / 4) < tolerance);
        assert_true(fabs(OF(ATAN2, 1.0, 0.0) - pi / 2) < tolerance && OF(ATAN2, 1.0, inf) == 0.0);
        assert_true(isnan(OF(ATAN2, NAN, 1.0)) && isnan(OF(ATAN2, 1.0, NAN)));
        assert_true(OF(REM, 7.5, 2.0) == 1.5 && OF(REM, -7.5, 2.0) == -1.5 && isnan(OF(REM, 1.0, 0.0)));
        assert_true(OF(POLYGAMMA, 1.0, 1.0) > 1.644934 && OF(POLYGAMMA, 1.0, 1.0) < 1.644935);
#undef OF
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),   cmocka_unit_test(polygamma_values), cmocka_unit_test(polygamma_recurrence),
        cmocka_unit_test(polygamma_poles), cmocka_unit_test(special_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
