/* Implicit methods on stiff fields with published solutions, with every way to solve their equations. */
#include <thalweg/solve.h>

#include "base/base.h"
#include "solve/problems.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Robertson's reactions (Hairer, Wanner: Solving ODEs II, IV.1; values of their reference solution) ---- */

static tw_status robertson(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++, x += 3, out_dx += 3) {
        out_dx[0] = -0.04 * x[0] + 1e4 * x[1] * x[2];
        out_dx[2] = 3e7 * x[1] * x[1];
        out_dx[1] = -out_dx[0] - out_dx[2];
    }
    return TW_OK;
}

static tw_status robertson_jvp(void *user, int64_t rows, const double *t, const double *x, const double *v,
                               double *out_jv)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++, x += 3, v += 3, out_jv += 3) {
        out_jv[0] = -0.04 * v[0] + 1e4 * (v[1] * x[2] + x[1] * v[2]);
        out_jv[2] = 6e7 * x[1] * v[1];
        out_jv[1] = -out_jv[0] - out_jv[2];
    }
    return TW_OK;
}

static void robertson_is_solved(void **state)
{
    (void)state;
    static const double exact[3] = {0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050};
    for (int way = 0; way < 3; way++) {
        double x[3] = {1, 0, 0};
        tw_ode_stats stats;
        tw_ode_desc desc = {.method = "radauIIA5",
                            .t1 = 1e11,
                            .rtol = 1e-8,
                            .atol = 1e-18,
                            .jvp = way == 1 ? NULL : robertson_jvp,
                            .krylov = way == 2 ? 9 : 0};
        assert_int_equal(tw_ode_solve(ctx, &desc, robertson, NULL, 1, 3, x, &stats), TW_OK);
        print_message("way %d: %lld steps, %lld rejected, %lld evaluations, errors %.2g %.2g %.2g\n", way,
                      (long long)stats.accepted, (long long)stats.rejected, (long long)stats.evaluations,
                      x[0] / exact[0] - 1, x[1] / exact[1] - 1, x[2] / exact[2] - 1);
        for (int c = 0; c < 3; c++) assert_true(fabs(x[c] / exact[c] - 1) < 1e-6);
        assert_true(stats.accepted < 2000);
    }
}

/* ---- van der Pol's oscillator, epsilon 1e-6 (the same source) ---- */

static tw_status van_der_pol(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++, x += 2, out_dx += 2) {
        out_dx[0] = x[1];
        out_dx[1] = 1e6 * ((1 - x[0] * x[0]) * x[1] - x[0]);
    }
    return TW_OK;
}

static void oscillations_relax(void **state)
{
    (void)state;
    static const double exact[2] = {0.1706167732170483e1, -0.8928097010247975};
    double x[2] = {2, -0.66};
    tw_ode_stats stats;
    tw_ode_desc desc = {.method = "radauIIA5", .t1 = 2, .rtol = 1e-7, .atol = 1e-7};
    assert_int_equal(tw_ode_solve(ctx, &desc, van_der_pol, NULL, 1, 2, x, &stats), TW_OK);
    print_message("%lld steps, %lld rejected, %lld evaluations, errors %.2g %.2g\n", (long long)stats.accepted,
                  (long long)stats.rejected, (long long)stats.evaluations, x[0] - exact[0], x[1] - exact[1]);
    for (int c = 0; c < 2; c++) assert_true(fabs(x[c] - exact[c]) < 5e-5);
}

/* ---- Prothero and Robinson: x' = -s (x - cos t) - sin t, s in the second column; x = cos t whatever s ---- */

static tw_status prothero(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++, x += 2, out_dx += 2) {
        out_dx[0] = -x[1] * (x[0] - cos(t[i])) - sin(t[i]);
        out_dx[1] = 0;
    }
    return TW_OK;
}

static void stiffness_costs_nothing(void **state)
{
    (void)state;
    static const double bars[] = {1e-6, 3e-4, 3e-4}; /* radauIIA5, sdirk2, trbdf2 */
    int which = 0;
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        if (!info->implicit) continue;
        for (double speed = 1; speed < 1e9; speed *= 1e4) {
            double x[2] = {1, speed};
            tw_ode_stats stats;
            tw_ode_desc desc = {.method = info->name, .t1 = 10, .rtol = 1e-6, .atol = 1e-6};
            if (!info->adaptive) desc.steps = 1000;
            assert_int_equal(tw_ode_solve(ctx, &desc, prothero, NULL, 1, 2, x, &stats), TW_OK);
            double error = fabs(x[0] - cos(10));
            if (info->adaptive) {
                assert_true(error < bars[which]);
                assert_true(stats.accepted + stats.rejected < 3000);
            } else {
                if (!(error < (info->order == 1 ? 5e-3 : 5e-5))) print_error("%s, %g: %g\n", info->name, speed, error);
                assert_true(error < (info->order == 1 ? 5e-3 : 5e-5));
            }
        }
        which += info->adaptive;
    }
    assert_int_equal(which, 3);
}

/* ---- many unknowns: heat in a rod, u_t = u_xx, ends cold ---- */

enum { CELLS = 120 };

static tw_status heat(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    const double scale = (CELLS + 1.0) * (CELLS + 1.0);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < CELLS; c++) {
            const double *u = x + i * CELLS;
            double left = c > 0 ? u[c - 1] : 0, right = c + 1 < CELLS ? u[c + 1] : 0;
            out_dx[i * CELLS + c] = scale * (left - 2 * u[c] + right);
        }
    return TW_OK;
}

static tw_status heat_jvp(void *user, int64_t rows, const double *t, const double *x, const double *v, double *out_jv)
{
    (void)x;
    return heat(user, rows, t, v, out_jv);
}

static void many_unknowns_go_to_gmres(void **state)
{
    (void)state;
    static const char *const names[] = {"radauIIA5", "trbdf2", "gl4"};
    const double pi = 3.14159265358979323846;
    for (int m = 0; m < TW_COUNT(names); m++)
        for (int given = 0; given < 2; given++) {
            double x[2][CELLS];
            tw_ode_desc desc = {.method = names[m], .t1 = 0.1, .rtol = 1e-5, .atol = 1e-7};
            if (given) desc.jvp = heat_jvp;
            if (m == 2) desc.steps = 40;
            for (int r = 0; r < 2; r++)
                for (int c = 0; c < CELLS; c++) x[r][c] = sin((r + 1) * pi * (c + 1) / (CELLS + 1));
            assert_int_equal(tw_ode_solve(ctx, &desc, heat, NULL, 2, CELLS, &x[0][0], NULL), TW_OK);
            double worst = 0;
            for (int r = 0; r < 2; r++) {
                double half = sin((r + 1) * pi / (2 * (CELLS + 1))),
                       rate = -4 * half * half * (CELLS + 1) * (CELLS + 1);
                for (int c = 0; c < CELLS; c++)
                    worst = fmax(worst, fabs(x[r][c] - exp(0.1 * rate) * sin((r + 1) * pi * (c + 1) / (CELLS + 1))));
            }
            if (!(worst < 5e-5)) print_error("%s: %g\n", names[m], worst);
            assert_true(worst < 5e-5);
        }
}

/* ---- the ways agree ---- */

static tw_status coupled_jvp(void *user, int64_t rows, const double *t, const double *x, const double *v,
                             double *out_jv)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++, x += 2, v += 2, out_jv += 2) {
        out_jv[0] = 2 * t[i] * (log(x[1]) * v[0] + x[0] / x[1] * v[1]);
        out_jv[1] = -2 * t[i] * (log(x[0]) * v[1] + x[1] / x[0] * v[0]);
    }
    return TW_OK;
}

static void every_way_gives_the_same(void **state)
{
    (void)state;
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        if (!info->implicit) continue;
        double x[4][2];
        for (int way = 0; way < 4; way++) {
            x[way][0] = 1, x[way][1] = exp(1.0);
            tw_ode_stats stats;
            tw_ode_desc desc = {.method = info->name, .steps = 100};
            if (way == 1 || way == 3) desc.jvp = coupled_jvp;
            if (way >= 2) desc.krylov = 6;
            assert_int_equal(tw_ode_solve(ctx, &desc, coupled, NULL, 1, 2, x[way], &stats), TW_OK);
            assert_true((stats.jvps > 0) == (desc.jvp != NULL));
            for (int c = 0; c < 2; c++) assert_true(fabs(x[way][c] - x[0][c]) < 1e-11);
        }
    }
}

/* Many rows at once change no bits of one, with LU and with GMRES. */
static void rows_are_solved_alone(void **state)
{
    (void)state;
    enum { ROWS = 9 };
    for (int krylov = 0; krylov < 4; krylov += 3)
        for (int m = 0; tw_ode_method_list(m); m++) {
            const tw_ode_method_info *info = tw_ode_method_list(m);
            double x[ROWS][2], one[2];
            if (!info->implicit) continue;
            tw_ode_desc desc = {.method = info->name, .krylov = krylov, .rtol = 1e-4};
            for (int r = 0; r < ROWS; r++) x[r][0] = 1 + r, x[r][1] = pow(10, r);
            assert_int_equal(tw_ode_solve(ctx, &desc, prothero, NULL, ROWS, 2, &x[0][0], NULL), TW_OK);
            for (int r = 0; r < ROWS; r++) {
                one[0] = 1 + r, one[1] = pow(10, r);
                assert_int_equal(tw_ode_solve(ctx, &desc, prothero, NULL, 1, 2, one, NULL), TW_OK);
                assert_memory_equal(one, x[r], sizeof one);
            }
        }
}

/* ---- a field in float, as networks are ---- */

static tw_status in_float(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) {
        float u = (float)x[2 * i], v = (float)x[2 * i + 1], s = (float)t[i];
        out_dx[2 * i] = (double)(v * cosf(s) - u * v);
        out_dx[2 * i + 1] = (double)(u * u - v * sinf(2 * s));
    }
    return TW_OK;
}

static tw_status in_double(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) {
        double u = x[2 * i], v = x[2 * i + 1];
        out_dx[2 * i] = v * cos(t[i]) - u * v;
        out_dx[2 * i + 1] = u * u - v * sin(2 * t[i]);
    }
    return TW_OK;
}

static void fields_in_float_are_solved(void **state)
{
    (void)state;
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        if (!info->implicit) continue;
        for (int krylov = 0; krylov < 5; krylov += 4) {
            double x[2] = {0.8, 0.3}, y[2] = {0.8, 0.3};
            tw_ode_desc desc = {.method = info->name, .krylov = krylov, .t1 = 2, .difference = 1e-3};
            assert_int_equal(tw_ode_solve(ctx, &desc, in_float, NULL, 1, 2, x, NULL), TW_OK);
            assert_int_equal(tw_ode_solve(ctx, &desc, in_double, NULL, 1, 2, y, NULL), TW_OK);
            for (int c = 0; c < 2; c++) assert_true(fabs(x[c] - y[c]) < (info->adaptive ? 1e-4 : 2e-6));
        }
    }
}

/* ---- failures ---- */

/* x' = 1 + x^2 has no solution of a step of the implicit Euler method beyond h = 1 or so. */
static tw_status no_solution(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = 1 + x[i] * x[i];
    return TW_OK;
}

static void equations_without_solution_are_told(void **state)
{
    (void)state;
    double x = 2;
    tw_ode_desc desc = {.method = "implicit_euler", .steps = 1, .t1 = 4};
    assert_int_equal(tw_ode_solve(ctx, &desc, no_solution, NULL, 1, 1, &x, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "Newton"));
    assert_true(x == 2);
    assert_int_equal(
        tw_ode_solve(ctx, &(tw_ode_desc){.method = "gl4", .krylov = -1}, no_solution, NULL, 1, 1, &x, NULL),
        TW_ERR_INVALID);
}

static tw_status solve_stiff(tw_context *own, void *user)
{
    double x[2] = {1, 1000};
    return tw_ode_solve(own, &(tw_ode_desc){.method = "radauIIA5", .krylov = *(int *)user}, prothero, NULL, 1, 2, x,
                        NULL);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int krylov = 0; krylov < 4; krylov += 3) run_with_limited_memory(solve_stiff, &krylov);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(robertson_is_solved),        cmocka_unit_test(oscillations_relax),
        cmocka_unit_test(stiffness_costs_nothing),    cmocka_unit_test(many_unknowns_go_to_gmres),
        cmocka_unit_test(every_way_gives_the_same),   cmocka_unit_test(rows_are_solved_alone),
        cmocka_unit_test(fields_in_float_are_solved), cmocka_unit_test(equations_without_solution_are_told),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
