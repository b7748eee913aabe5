/* What a run hands back between its ends: states at any times to the stated order, grids of steps, counts of rows; and
 * the knobs of the controller. */
#include <thalweg/solve.h>

#include "base/base.h"
#include "solve/problems.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 4096 };

/* Largest error at 0.37 of every step of a grid. */
static double error_between(const char *name, bool two, double end, int steps)
{
    static double times[MOST], states[2 * MOST];
    double x[2] = {1, exp(1.0)}, worst = 0;
    for (int i = 0; i < steps; i++) times[i] = end * (i + 0.37) / steps;
    tw_ode_desc desc = {.method = name, .t1 = end, .steps = steps, .times = times, .times_count = steps};
    tw_ode_output output = {.states = states};
    tw_status status =
        tw_ode_solve_output(ctx, &desc, two ? coupled : cosine_growth, NULL, 1, two ? 2 : 1, x, &output, NULL);
    assert_int_equal(status, TW_OK);
    for (int i = 0; i < steps; i++) {
        double error = two ? coupled_error(states + 2 * i, times[i]) : fabs(states[i] - exp(sin(times[i])));
        worst = fmax(worst, error);
    }
    return worst;
}

static void interpolants_have_their_observed_order(void **state)
{
    (void)state;
    static const int enough[] = {0, 2000, 1000, 400, 200, 100, 40, 9, 6};
    for (int m = 0; tw_ode_method_list(m); m++)
        for (int two = 0; two < 2; two++) {
            const tw_ode_method_info *info = tw_ode_method_list(m);
            int order = info->dense_order + 1 < info->order ? info->dense_order + 1 : info->order;
            int steps = enough[order] * (strstr(info->name, "adams") || (order == 7 && two) ? 2 : 1);
            double end = order == 7 ? 1.4 : 2, coarse = error_between(info->name, two, end, steps);
            double fine = error_between(info->name, two, end, 2 * steps), observed = log2(coarse / fine);
            if (!(fabs(observed - order) < 0.15))
                print_error("%s, problem %d: %g, not %d (%g, %g)\n", info->name, two, observed, order, coarse, fine);
            assert_true(fabs(observed - order) < 0.15);
        }
}

/* The accuracy of what users get: 101 outputs over [0, 10] at rtol 1e-6. torchdiffeq 0.2.5 needs 260 evaluations for
 * 1.5e-5 with dopri5, 314 for 1.1e-5 with tsit5, 275 for 3.3e-4 with dopri8, whose interpolant has not its order. */
static void outputs_are_as_good_as_the_tolerance(void **state)
{
    (void)state;
    static const char *const names[] = {"dopri5", "tsit5", "dopri8"};
    double times[101], states[101];
    for (int i = 0; i <= 100; i++) times[i] = 0.1 * i;
    for (int m = 0; m < TW_COUNT(names); m++) {
        double x = 1, worst = 0;
        tw_ode_stats stats;
        tw_ode_desc desc = {
            .method = names[m], .t1 = 10, .rtol = 1e-6, .atol = 1e-9, .times = times, .times_count = 101};
        tw_ode_output output = {.states = states};
        assert_int_equal(tw_ode_solve_output(ctx, &desc, cosine_growth, NULL, 1, 1, &x, &output, &stats), TW_OK);
        for (int i = 0; i <= 100; i++) worst = fmax(worst, fabs(states[i] - exp(sin(times[i]))));
        print_message("%s: largest error %.2g in %lld evaluations\n", names[m], worst, (long long)stats.nfe);
        assert_true(worst <= 1e-5);
        assert_true(stats.nfe <= 300);
        assert_true(states[0] == 1);
        assert_true(states[100] == x);
    }
}

typedef struct watch {
    double least, greatest;
} watch;

static tw_status watched(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    watch *w = user;
    for (int64_t i = 0; i < rows; i++) w->least = fmin(w->least, t[i]), w->greatest = fmax(w->greatest, t[i]);
    return coupled(NULL, rows, t, x, out_dx);
}

/* Asking for states changes nothing else; rows, blocks and reuse change no bits; nothing is evaluated outside. */
static void asking_changes_nothing(void **state)
{
    (void)state;
    enum { ROWS = 7, TIMES = 9 };
    for (int m = 0; tw_ode_method_list(m); m++)
        for (int back = 0; back < 2; back++) {
            double times[TIMES], all[TIMES][ROWS][2], again[TIMES][ROWS][2], x[ROWS][2], y[ROWS][2], z[ROWS][2];
            tw_ode_desc desc = {.method = tw_ode_method_list(m)->name, .t0 = back, .t1 = 1 - back, .rtol = 1e-4};
            for (int i = 0; i < TIMES; i++) times[i] = back ? 1 - i / 8.0 : i / 8.0;
            times[4] = times[3];
            for (int r = 0; r < ROWS; r++) x[r][0] = 1 + 0.1 * r, x[r][1] = 2;
            memcpy(y, x, sizeof x);
            memcpy(z, x, sizeof x);
            assert_int_equal(tw_ode_solve(ctx, &desc, coupled, NULL, ROWS, 2, &x[0][0], NULL), TW_OK);
            desc.times = times;
            desc.times_count = TIMES;
            watch w = {HUGE_VAL, -HUGE_VAL};
            double ends[ROWS];
            int64_t nfe[ROWS], accepted[ROWS], rejected[ROWS];
            tw_ode_output output = {
                .states = &all[0][0][0], .ends = ends, .nfe = nfe, .accepted = accepted, .rejected = rejected};
            tw_ode_stats stats;
            assert_int_equal(tw_ode_solve_output(ctx, &desc, watched, &w, ROWS, 2, &y[0][0], &output, &stats), TW_OK);
            assert_memory_equal(x, y, sizeof x);
            assert_memory_equal(all[8], y, sizeof y);
            assert_memory_equal(all[3], all[4], sizeof y);
            for (int r = 0; r < ROWS; r++) assert_true(all[0][r][0] == 1 + 0.1 * r && all[0][r][1] == 2);
            assert_true(w.least >= 0 && w.greatest <= 1);
            int64_t sums[3] = {0};
            for (int r = 0; r < ROWS; r++) {
                assert_true(ends[r] == 1 - back);
                sums[0] += nfe[r], sums[1] += accepted[r], sums[2] += rejected[r];
            }
            assert_int_equal(sums[0], stats.evaluations);
            assert_int_equal(sums[1], stats.accepted);
            assert_int_equal(sums[2], stats.rejected);

            tw_ode *ode = NULL;
            output = (tw_ode_output){.states = &again[0][0][0]};
            assert_int_equal(tw_ode_create(ctx, &desc, 3, 2, &ode), TW_OK);
            assert_int_equal(tw_ode_run_output(ode, coupled, NULL, ROWS, &z[0][0], &output, NULL, NULL, 0), TW_OK);
            assert_memory_equal(all, again, sizeof all);
            tw_ode_destroy(ode);
        }
}

/* x' = x^2 from 2 is over at t = 1/2, from 1/2 at t = 2. */
static tw_status square(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = x[i] * x[i];
    return TW_OK;
}

static void times_not_reached_are_nan(void **state)
{
    (void)state;
    double x[2] = {2, 0.5}, times[3] = {0.25, 0.45, 0.75}, states[3][2], ends[2];
    tw_ode_desc desc = {.times = times, .times_count = 3, .rtol = 1e-8, .atol = 1e-8};
    tw_ode_output output = {.states = &states[0][0], .ends = ends};
    assert_int_equal(tw_ode_solve_output(ctx, &desc, square, NULL, 2, 1, x, &output, NULL), TW_ERR_NUMERIC);
    for (int i = 0; i < 3; i++) {
        if (i < 2) assert_true(fabs(states[i][0] - 1 / (0.5 - times[i])) < 1e-5);
        assert_true(fabs(states[i][1] - 1 / (2 - times[i])) < 1e-7);
    }
    assert_true(isnan(states[2][0]));
    assert_true(fabs(ends[0] - 0.5) < 1e-3 && ends[1] == 1);
}

/* ---- grids ---- */

static tw_status growth(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    watch *w = user;
    for (int64_t i = 0; i < rows; i++) {
        out_dx[i] = x[i];
        if (w) w->greatest = t[i];
    }
    return TW_OK;
}

static void grids_are_stepped_on_exactly(void **state)
{
    (void)state;
    double grid[11], x = 1, y = 1;
    for (int i = 0; i < 11; i++) grid[i] = 0.1 * i;
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.method = "euler", .time_grid = grid, .time_grid_count = 11},
                                  growth, NULL, 1, 1, &x, NULL),
                     TW_OK);
    assert_true(fabs(x - pow(1.1, 10)) < 1e-12);
    /* uneven: the product of 1 + h */
    const double uneven[] = {2, 1.5, 1.4, 0.1, 0};
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.method = "euler", .time_grid = uneven, .time_grid_count = 5},
                                  growth, NULL, 1, 1, &y, NULL),
                     TW_OK);
    assert_true(fabs(y - (1 - 0.5) * (1 - 0.1) * (1 - 1.3) * (1 - 0.1)) < 1e-14);
    /* an adaptive method takes the same steps without control */
    tw_ode_stats stats;
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.method = "tsit5", .time_grid = uneven, .time_grid_count = 5},
                                  growth, NULL, 1, 1, &y, &stats),
                     TW_OK);
    assert_int_equal(stats.accepted, 4);
    assert_int_equal(stats.rejected, 0);
}

/* torchdiffeq's explicit_adams is wrong by 0.14 on an uneven grid at any number of steps, because it uses the weights
 * of equal ones; its implicit_adams falls to order 2, and a short last step does the same. */
static double adams_error(const char *name, int steps)
{
    static double grid[MOST];
    double x = 1;
    for (int i = 0; i <= steps; i++) grid[i] = 2.0 * (i / 2 * 3 + i % 2) / (1.5 * steps); /* steps of 1, 2, 1, 2 ... */
    tw_ode_desc desc = {.method = name, .time_grid = grid, .time_grid_count = steps + 1};
    assert_int_equal(tw_ode_solve(ctx, &desc, cosine_growth, NULL, 1, 1, &x, NULL), TW_OK);
    return fabs(x - exp(sin(grid[steps])));
}

static void adams_keeps_its_order_on_uneven_grids(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int order, steps;
    } cases[] = {{"explicit_adams", 4, 800}, {"implicit_adams", 5, 240}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        double coarse = adams_error(cases[i].name, cases[i].steps),
               fine = adams_error(cases[i].name, 2 * cases[i].steps);
        double observed = log2(coarse / fine);
        if (!(fabs(observed - cases[i].order) < 0.15))
            print_error("%s: %g (%g, %g)\n", cases[i].name, observed, coarse, fine);
        assert_true(fabs(observed - cases[i].order) < 0.15);
        /* a last step of a tenth */
        double x = 1;
        tw_ode_desc desc = {.method = cases[i].name, .t1 = 2, .step_size = 2 / 200.1};
        assert_int_equal(tw_ode_solve(ctx, &desc, cosine_growth, NULL, 1, 1, &x, NULL), TW_OK);
        if (!(fabs(x - exp(sin(2))) < 1e-7)) print_error("%s %g\n", cases[i].name, x - exp(sin(2)));
        assert_true(fabs(x - exp(sin(2))) < 1e-7);
    }
}

/* ---- the controller ---- */

static tw_status fast(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = -200 * (x[i] - cos(t[i]));
    return TW_OK;
}

static int64_t evaluations(tw_ode_desc desc, double *out_x, tw_ode_stats *out_stats)
{
    *out_x = 2;
    desc.t1 = 4;
    desc.rtol = desc.atol = 1e-6;
    assert_int_equal(tw_ode_solve(ctx, &desc, fast, NULL, 1, 1, out_x, out_stats), TW_OK);
    return out_stats->nfe;
}

static void controllers_do_as_they_are_told(void **state)
{
    (void)state;
    double x, exact = (200 * 200 * cos(4) + 200 * sin(4)) / (200 * 200 + 1.0);
    tw_ode_stats plain, other;
    evaluations((tw_ode_desc){0}, &x, &plain);
    assert_true(fabs(x - exact) < 1e-5);
    /* the default by its numbers; a textbook's controller; PI and PID, which are rejected less on a stiff field */
    evaluations((tw_ode_desc){.pcoeff = 0.1, .icoeff = 0.9}, &x, &other);
    assert_int_equal(other.nfe, plain.nfe);
    tw_ode_stats textbook;
    evaluations((tw_ode_desc){.icoeff = 1}, &x, &textbook);
    static const tw_ode_desc smooth[] = {{.pcoeff = 0.4, .icoeff = 0.3},
                                         {.pcoeff = 0.3, .icoeff = 0.3, .dcoeff = 0.05}};
    for (int i = 0; i < TW_COUNT(smooth); i++) {
        evaluations(smooth[i], &x, &other);
        assert_true(fabs(x - exact) < 1e-5);
        assert_true(other.rejected < textbook.rejected);
    }
    /* careful steps are many and few of them rejected */
    evaluations((tw_ode_desc){.icoeff = 1, .safety = 0.5}, &x, &other);
    assert_true(other.accepted > textbook.accepted && other.rejected < textbook.rejected);
    evaluations((tw_ode_desc){.max_factor = 1.1}, &x, &other);
    assert_true(other.accepted > 0 && fabs(x - exact) < 1e-5);
    evaluations((tw_ode_desc){.max_step = 1e-3}, &x, &other);
    assert_true(other.accepted >= 4000 && other.accepted <= 4040);
}

/* torchdiffeq's own test of min_step: fewer than 50 evaluations, where it takes more than 100 without. */
static void least_steps_are_taken_whatever_the_error(void **state)
{
    (void)state;
    double x = 1;
    tw_ode_stats stats;
    tw_ode_desc desc = {.t1 = 20, .rtol = 1e-9, .atol = 1e-9};
    assert_int_equal(tw_ode_solve(ctx, &desc, cosine_growth, NULL, 1, 1, &x, &stats), TW_OK);
    assert_true(stats.nfe > 100);
    desc.min_step = 2.5;
    x = 1;
    assert_int_equal(tw_ode_solve(ctx, &desc, cosine_growth, NULL, 1, 1, &x, &stats), TW_OK);
    assert_true(stats.nfe <= 50);
    assert_int_equal(stats.rejected, 0);
}

static void wrong_times_are_refused(void **state)
{
    (void)state;
    static const double down[] = {0.5, 0.2}, outside[] = {0.5, 1.5}, twice[] = {0, 0.5, 0.5, 1}, one[] = {0};
    static const double nan_grid[] = {0, (double)NAN, 1};
    static const struct {
        tw_ode_desc desc;
        const char *says;
    } wrong[] = {
        {{.times = down, .times_count = 2}, "number 1 is 0.2"},
        {{.times = outside, .times_count = 2}, "number 1 is 1.5"},
        {{.times = nan_grid, .times_count = 2}, "times of the ODE solver"},
        {{.times_count = 2}, "without an array"},
        {{.time_grid = twice, .time_grid_count = 4}, "number 2 is 0.5"},
        {{.time_grid = one, .time_grid_count = 1}, "two times"},
        {{.time_grid = nan_grid, .time_grid_count = 3}, "time_grid of the ODE solver"},
        {{.time_grid = down, .time_grid_count = 2, .steps = 3}, "not both"},
        {{.safety = 1.5}, "safety below 1"},
        {{.max_factor = 0.5}, "max_factor above"},
        {{.min_factor = -1}, "min_factor"},
        {{.pcoeff = -0.1}, "pcoeff"},
        {{.min_step = 2, .max_step = 1}, "below min_step"},
        {{.times = down, .times_count = 1}, "no array to write"},
    };
    for (int i = 0; i < TW_COUNT(wrong); i++) {
        double x = 3;
        assert_int_equal(tw_ode_solve(ctx, &wrong[i].desc, growth, NULL, 1, 1, &x, NULL), TW_ERR_INVALID);
        if (!strstr(tw_context_error(ctx), wrong[i].says)) print_error("%s\n", tw_context_error(ctx));
        assert_non_null(strstr(tw_context_error(ctx), wrong[i].says));
        assert_true(x == 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interpolants_have_their_observed_order),
        cmocka_unit_test(outputs_are_as_good_as_the_tolerance),
        cmocka_unit_test(asking_changes_nothing),
        cmocka_unit_test(times_not_reached_are_nan),
        cmocka_unit_test(grids_are_stepped_on_exactly),
        cmocka_unit_test(adams_keeps_its_order_on_uneven_grids),
        cmocka_unit_test(controllers_do_as_they_are_told),
        cmocka_unit_test(least_steps_are_taken_whatever_the_error),
        cmocka_unit_test(wrong_times_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
