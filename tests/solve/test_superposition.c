/* Superpositions of a flow and of jumps to a known point: the path's law whatever the share, Euler's steps without
 * jumps, rows that do not know their neighbours, and answers that are no numbers. */
#include "solve/superposition.h"

#include "base/philox.h"
#include "support/normality.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { D = 2, ROWS = 4000, ANSWERS = D * (2 + TW_JUMP_BINS) };

static const double goal[D] = {1.5, -0.4};
static float answer[ROWS * ANSWERS];

/* The flow and the jumps to the goal, column by column. */
static tw_status exact(void *user, int64_t rows, double t, const double *x, float *out)
{
    double mass[TW_JUMP_BINS];
    (void)user;
    for (int64_t i = 0; i < rows; i++, x += D, out += ANSWERS)
        for (int j = 0; j < D; j++) {
            double u = (x[j] - t * goal[j]) / (1 - t);
            out[j] = (float)((goal[j] - x[j]) / (1 - t));
            out[D + j] = (float)tw_jump_kernel_intensity(u, goal[j]);
            if (out[D + j] > 0) tw_jump_kernel_masses(u, goal[j], mass); /* else nobody asks */
            for (int b = 0; b < TW_JUMP_BINS && out[D + j] > 0; b++)
                out[2 * D + j * TW_JUMP_BINS + b] = (float)log(fmax(mass[b], 1e-300));
        }
    return TW_OK;
}

static void begin(double *x)
{
    tw_random r = {.seed = 3, .stream = 90};
    for (int i = 0; i < D * ROWS; i++) x[i] = tw_random_normal(&r);
}

/* Steps of 1/400 leave an error of the law of about 0.003, a fifth of what 4000 rows can tell. */
static void has_the_law(void **state)
{
    (void)state;
    static double x[D * ROWS], column[ROWS];
    const double shares[] = {0.3, 1};
    for (int k = 0; k < 2; k++) {
        tw_superposition how = {.columns = D, .share = shares[k], .t1 = 0.5, .steps = 200, .seed = 11};
        begin(x);
        assert_int_equal(tw_superposition_run(&how, exact, NULL, ROWS, x, answer), TW_OK);
        for (int j = 0; j < D; j++) {
            for (int i = 0; i < ROWS; i++) column[i] = (x[i * D + j] - 0.5 * goal[j]) / 0.5;
            double p = normality(column, ROWS);
            if (!(p > 1e-3)) fail_msg("share %g, column %d: p = %g", shares[k], j, p);
        }
    }
}

/* The flow of a goal is straight: Euler's steps arrive, by whatever number of them. */
static void flows_without_jumps(void **state)
{
    (void)state;
    static double x[D * ROWS];
    tw_superposition how = {.columns = D, .t1 = 0.75, .steps = 3};
    begin(x);
    double from = x[5];
    assert_int_equal(tw_superposition_run(&how, exact, NULL, ROWS, x, answer), TW_OK);
    assert_true(fabs(x[5] - (0.25 * from + 0.75 * goal[1])) < 1e-6);
    how = (tw_superposition){.columns = D, .share = 0.5, .t0 = 0.75, .t1 = 1, .steps = 2};
    assert_int_equal(tw_superposition_run(&how, exact, NULL, ROWS, x, answer), TW_OK);
    for (int i = 0; i < ROWS; i++) assert_true(isfinite(x[i])); /* at the end, where rates have no bound */
}

static void rows_are_alone(void **state)
{
    (void)state;
    static double x[D * ROWS], y[D * ROWS];
    tw_superposition how = {.columns = D, .share = 0.6, .t1 = 1, .steps = 7, .seed = 2};
    begin(x);
    begin(y);
    assert_int_equal(tw_superposition_run(&how, exact, NULL, 50, x, answer), TW_OK);
    assert_int_equal(tw_superposition_run(&how, exact, NULL, 20, y, answer), TW_OK);
    how.first_row = 20;
    assert_int_equal(tw_superposition_run(&how, exact, NULL, 30, y + 20 * D, answer), TW_OK);
    assert_memory_equal(x, y, 50 * D * sizeof *x);
}

static tw_status broken(void *user, int64_t rows, double t, const double *x, float *out)
{
    int at = *(const int *)user;
    tw_status status = exact(NULL, rows, t, x, out);
    for (int b = 0; b < TW_JUMP_BINS; b++) out[2 * D + b] = 0;
    out[at] = at == D ? -1 : NAN;
    if (at >= 2 * D) out[D] = 1e6f; /* so that it is asked */
    return status;
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    double x[D] = {0.1, 0.2};
    tw_superposition how = {.columns = D, .share = 0.5, .t1 = 1, .steps = 4};
    const int places[] = {1, D, D + 1, 2 * D + 3};
    for (int i = 0; i < 4; i++) {
        int at = places[i];
        assert_int_equal(tw_superposition_run(&how, broken, &at, 1, x, answer), TW_ERR_NUMERIC);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(has_the_law), cmocka_unit_test(flows_without_jumps),
                                       cmocka_unit_test(rows_are_alone), cmocka_unit_test(refuses_what_is_no_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
