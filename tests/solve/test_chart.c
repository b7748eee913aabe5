/* Solvers on a manifold: every explicit method has its order there, rows stay where they belong, steps are chosen by
 * each row's error, grids begin and end where they say, and back is where one came from. The truth is the same field
 * solved among the vectors around the manifold. */
#include "base/base.h"
#include "space/space.h"
#include "support/context.h"

#include <thalweg/solve.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* sphere, rotation, hyperbolic plane, torus; and a column that is a number */
enum { SPHERE = 0, ROTATION = 3, PLANE = 7, TORUS = 9, NUMBERS = 11, COLUMNS = 12, ROWS = 3 };

static tw_factor factors[] = {
    {.manifold = TW_MANIFOLD_sphere, .number = SPHERE, .numbers = 3},
    {.manifold = TW_MANIFOLD_rotation, .number = ROTATION, .numbers = 4},
    {.manifold = TW_MANIFOLD_hyperbolic, .number = PLANE, .numbers = 2},
    {.manifold = TW_MANIFOLD_torus, .number = TORUS, .numbers = 2},
};
static const tw_space space = {.count = 4, .factor = factors, .numbers = NUMBERS};

static void go(void *user, int64_t rows, const double *y, const double *v, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++, y += COLUMNS, v += COLUMNS, out += COLUMNS) {
        tw_space_exp(&space, y, v, out);
        out[NUMBERS] = y[NUMBERS] + v[NUMBERS];
    }
}

static void pull(void *user, int64_t rows, const double *y, const double *v, const double *z, double *k)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++, y += COLUMNS, v += COLUMNS, z += COLUMNS, k += COLUMNS)
        tw_space_pull(&space, y, v, z, k, k);
}

static const tw_ode_chart chart = {go, pull, NULL};

/* Bends, depends on time and mixes the factors. */
static tw_status field(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++, x += COLUMNS, out += COLUMNS) {
        double s = x[SPHERE], c = cos(x[TORUS] - x[TORUS + 1]);
        for (int j = 0; j < 3; j++) out[j] = 1.5 * sin(2 * t[i] + j) + x[(j + 1) % 3] * c;
        for (int j = 0; j < 4; j++) /* odd in q, as a field of rotations is */
            out[ROTATION + j] = x[ROTATION + (j + 1) % 4] * (1 + s) - 2 * x[ROTATION + (j + 2) % 4] * cos(3 * t[i]);
        out[PLANE] = 1 - x[PLANE + 1] * s;
        out[PLANE + 1] = 2 * x[PLANE] * cos(t[i]);
        out[TORUS] = 2 * sin(x[TORUS + 1]) + 3;
        out[TORUS + 1] = cos(x[TORUS]) - 4 * s;
        out[NUMBERS] = sin(x[TORUS]) * x[PLANE] - 0.2 * x[NUMBERS];
        for (int f = 0; f < 2; f++) {
            double unit[4];
            int at = factors[f].number, n = factors[f].numbers;
            tw_manifold_project(factors[f].manifold, n, x + at, unit); /* the truth is rounded off it */
            tw_manifold_tangent(factors[f].manifold, n, unit, out + at, out + at);
        }
    }
    return TW_OK;
}

static void start(double *x)
{
    for (int i = 0; i < ROWS; i++) {
        double *row = x + i * COLUMNS;
        for (int j = 0; j < COLUMNS; j++) row[j] = sin(1.3 * j + i + 0.4);
        tw_space_project(&space, row, row);
    }
}

/* Among vectors, much more finely. */
static void truth(tw_context *ctx, double t0, double t1, double *x)
{
    tw_ode_desc desc = {.method = "dopri8", .t0 = t0, .t1 = t1, .rtol = 1e-13, .atol = 1e-13};
    start(x);
    assert_int_equal(tw_ode_solve(ctx, &desc, field, NULL, ROWS, COLUMNS, x, NULL), TW_OK);
}

static double error_of(const double *x, const double *exact)
{
    double worst = 0, d[NUMBERS];
    for (int i = 0; i < ROWS; i++, x += COLUMNS, exact += COLUMNS) {
        tw_space_log(&space, x, exact, d);
        for (int j = 0; j < NUMBERS; j++) worst = fmax(worst, fabs(d[j]));
        worst = fmax(worst, fabs(x[NUMBERS] - exact[NUMBERS]));
    }
    return worst;
}

static double constraint(const double *x)
{
    double worst = 0;
    for (int i = 0; i < ROWS; i++, x += COLUMNS) {
        worst = fmax(worst, fabs(x[0] * x[0] + x[1] * x[1] + x[2] * x[2] - 1));
        worst = fmax(worst, fabs(x[3] * x[3] + x[4] * x[4] + x[5] * x[5] + x[6] * x[6] - 1));
        for (int j = TORUS; j < TORUS + 2; j++) worst = fmax(worst, fmax(-x[j], x[j] - 6.283185307179587));
    }
    return worst;
}

static void test_every_explicit_method_has_its_order(void **state)
{
    double exact[ROWS * COLUMNS], x[ROWS * COLUMNS];
    int ran = 0;
    truth(*state, 0, 1, exact);
    for (int i = 0; tw_ode_method_list(i); i++) {
        const tw_ode_method_info *info = tw_ode_method_list(i);
        double error[2];
        tw_status status = TW_OK;
        int steps = info->order >= 7 ? 12 : info->order >= 5 ? 20 : 40;
        for (int k = 0; k < 2 && status == TW_OK; k++) {
            tw_ode_desc desc = {.method = info->name, .steps = steps << k, .chart = &chart};
            start(x);
            status = tw_ode_solve(*state, &desc, field, NULL, ROWS, COLUMNS, x, NULL);
            error[k] = error_of(x, exact);
            assert_true(status != TW_OK || constraint(x) < 1e-14);
        }
        if (info->implicit) assert_int_equal(status, TW_ERR_UNSUPPORTED);
        if (status != TW_OK) continue; /* Adams methods, too, step among vectors */
        double order = log2(error[0] / error[1]);
        assert_true(order > info->order - 0.35 && error[1] < 0.1);
        ran++;
    }
    assert_true(ran >= 8);
}

/* D3 and D4 of flow_matching: a grid from 0.5 began at 0, and one from 1 to 0 was sorted. */
static void test_grids_begin_and_end_where_they_say(void **state)
{
    double exact[ROWS * COLUMNS], x[ROWS * COLUMNS], begun[ROWS * COLUMNS];
    const double late[] = {0.5, 0.6, 0.7, 0.8, 0.9, 1}, back[] = {1, 0.9, 0.8, 0.7, 0.6, 0.5};
    tw_ode_desc desc = {.method = "dopri8", .time_grid = late, .time_grid_count = 6, .chart = &chart};
    truth(*state, 0.5, 1, exact);
    start(x);
    start(begun);
    assert_int_equal(tw_ode_solve(*state, &desc, field, NULL, ROWS, COLUMNS, x, NULL), TW_OK);
    assert_true(error_of(x, exact) < 1e-5);
    desc.time_grid = back;
    assert_int_equal(tw_ode_solve(*state, &desc, field, NULL, ROWS, COLUMNS, x, NULL), TW_OK);
    assert_true(error_of(x, begun) < 1e-5);
}

static void test_adaptive_methods_keep_their_tolerance_there_and_back(void **state)
{
    static const char *const methods[] = {"dopri5", "tsit5", "bosh3", "dopri8"};
    double exact[ROWS * COLUMNS], x[ROWS * COLUMNS], begun[ROWS * COLUMNS];
    int64_t nfe[ROWS];
    truth(*state, 0, 1, exact);
    for (int i = 0; i < TW_COUNT(methods); i++) {
        tw_ode_desc desc = {.method = methods[i], .rtol = 1e-8, .atol = 1e-8, .chart = &chart};
        tw_ode_output out = {.nfe = nfe};
        tw_ode_stats stats;
        start(x);
        start(begun);
        assert_int_equal(tw_ode_solve_output(*state, &desc, field, NULL, ROWS, COLUMNS, x, &out, &stats), TW_OK);
        assert_true(error_of(x, exact) < 1e-6 && constraint(x) < 1e-14);
        assert_true(stats.accepted > ROWS);
        assert_true(nfe[0] != nfe[1] || nfe[1] != nfe[2]); /* each row its own steps */
        desc.t0 = 1;
        assert_int_equal(tw_ode_solve(*state, &desc, field, NULL, ROWS, COLUMNS, x, NULL), TW_OK);
        assert_true(error_of(x, begun) < 2e-6);
    }
}

static void test_a_row_does_not_depend_on_others(void **state)
{
    double x[ROWS * COLUMNS], one[ROWS * COLUMNS];
    tw_ode_desc desc = {.method = "tsit5", .chart = &chart};
    start(x);
    start(one);
    assert_int_equal(tw_ode_solve(*state, &desc, field, NULL, ROWS, COLUMNS, x, NULL), TW_OK);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(tw_ode_solve(*state, &desc, field, NULL, 1, COLUMNS, one + i * COLUMNS, NULL), TW_OK);
    assert_memory_equal(x, one, sizeof x);
}

static void test_what_needs_vectors_is_refused(void **state)
{
    double x[ROWS * COLUMNS], t = 0.5;
    tw_ode_desc timed = {.times = &t, .times_count = 1, .chart = &chart};
    tw_ode_desc half = {.chart = &(tw_ode_chart){go, NULL, NULL}};
    start(x);
    assert_int_equal(tw_ode_solve(*state, &timed, field, NULL, ROWS, COLUMNS, x, NULL), TW_ERR_UNSUPPORTED);
    assert_int_equal(tw_ode_solve(*state, &half, field, NULL, ROWS, COLUMNS, x, NULL), TW_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_explicit_method_has_its_order),
        cmocka_unit_test(test_grids_begin_and_end_where_they_say),
        cmocka_unit_test(test_adaptive_methods_keep_their_tolerance_there_and_back),
        cmocka_unit_test(test_a_row_does_not_depend_on_others),
        cmocka_unit_test(test_what_needs_vectors_is_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
