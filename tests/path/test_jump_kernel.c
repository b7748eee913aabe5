/* The jump solution of the straight path: it moves the path's density as time does, by differences and quadrature; bins
 * against quadrature, graph against host, and lengths drawn by uniform numbers. */
#include "path/jump_kernel.h"

#include "graph/reference.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const double points[] = {-3, -1.2, 0, 0.4, 2.5};
enum { COUNT = 5 };

static double phi(double u)
{
    return exp(-0.5 * u * u) * 0.39894228040143267794;
}

static double places(double u, double z)
{
    return fmax(1 + z * u - u * u, 0) * phi(u);
}

static double leaving(double u, double z)
{
    return tw_jump_kernel_intensity(u, z) * phi(u);
}

/* By the trapezoidal rule, whose error is that of kinks. */
static double integral(double (*f)(double, double), double z, double from, double to)
{
    enum { CELLS = 40000 };
    double sum = 0.5 * (f(from, z) + f(to, z)), h = (to - from) / CELLS;
    for (int i = 1; i < CELLS; i++) sum += f(from + i * h, z);
    return sum * h;
}

static double path_density(double t, double x, double z)
{
    return phi((x - t * z) / (1 - t)) / (1 - t);
}

/* dp/dt = inflow - outflow at fixed x; the inflow is all that leaves, shared out as the places are. */
static void moves_the_density(void **state)
{
    (void)state;
    const double d = 1e-5;
    for (int i = 0; i < COUNT; i++) {
        double z = points[i], all = integral(places, z, -12, 12);
        assert_true(fabs(integral(leaving, z, -12, 12) - all) < 1e-6);
        for (int j = 0; j < COUNT; j++) {
            double t = 0.1 + 0.2 * j, x = points[(i + j) % COUNT], u = (x - t * z) / (1 - t), pace = 1 / (1 - t);
            double slope = (path_density(t + d, x, z) - path_density(t - d, x, z)) / (2 * d);
            double in = integral(leaving, z, -12, 12) * places(u, z) / all * pace;
            double out = leaving(u, z) * pace;
            assert_true(fabs(pace * (in - out) - slope) < 1e-5);
        }
    }
}

static void bins_are_integrals(void **state)
{
    (void)state;
    double mass[TW_JUMP_BINS];
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            double u = points[i], z = points[j], sum = 0, width = 2.0 * TW_JUMP_REACH / TW_JUMP_BINS;
            double all = integral(places, z, -12, 12);
            tw_jump_kernel_masses(u, z, mass);
            for (int b = 0; b < TW_JUMP_BINS; b++) sum += mass[b];
            assert_true(fabs(sum - 1) < 1e-12);
            for (int b = 1; b < TW_JUMP_BINS - 1; b += 7) {
                double from = u - TW_JUMP_REACH + b * width;
                assert_true(fabs(mass[b] - integral(places, z, from, from + width) / all) < 1e-6);
            }
        }
    /* from beyond the reach every jump is in the outer bin */
    tw_jump_kernel_masses(-20, 0, mass);
    assert_true(fabs(mass[TW_JUMP_BINS - 1] - 1) < 1e-12);
}

static void graph_is_host(void **state)
{
    (void)state;
    enum { N = COUNT * COUNT };
    double u[N], z[N], rate[N], mass[N * TW_JUMP_BINS], want[TW_JUMP_BINS];
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    for (int i = 0; i < N; i++) u[i] = points[i % COUNT], z[i] = points[i / COUNT];
    tw_val in[2] = {tw_input(g, "u", TW_DTYPE_F64, tw_shape_of(COUNT, COUNT)),
                    tw_input(g, "z", TW_DTYPE_F64, tw_shape_of(COUNT, COUNT))};
    tw_val out[2] = {tw_jump_kernel_intensities(in[0], in[1]), tw_jump_kernel_masses_of(in[0], in[1])};
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){u, z}, 2, out, (double *[]){rate, mass}), TW_OK);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(rate[i] - tw_jump_kernel_intensity(u[i], z[i])) < 1e-12);
        tw_jump_kernel_masses(u[i], z[i], want);
        for (int b = 0; b < TW_JUMP_BINS; b++) assert_true(fabs(mass[i * TW_JUMP_BINS + b] - want[b]) < 1e-12);
    }
    tw_graph_destroy(g);
}

/* Three quarters of the weight in one bin, a quarter in another: the inverse of a piecewise linear distribution. */
static void lengths_by_hand(void **state)
{
    (void)state;
    double weight[TW_JUMP_BINS] = {0};
    weight[32] = 6, weight[63] = 2;
    assert_true(fabs(tw_jump_kernel_length(weight, 8, 0.375) - 0.125) < 1e-12);
    assert_true(fabs(tw_jump_kernel_length(weight, 8, 0.875) - 7.875) < 1e-12);
    assert_true(tw_jump_kernel_length(weight, 8, 1 - 0x1p-53) <= TW_JUMP_REACH);
    assert_true(tw_jump_kernel_length(weight, 8, 0x1p-53) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moves_the_density), cmocka_unit_test(bins_are_integrals),
                                       cmocka_unit_test(graph_is_host), cmocka_unit_test(lengths_by_hand)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
