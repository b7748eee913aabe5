/* L-BFGS on functions whose minima are known: a quadratic of any conditioning, Rosenbrock's valley, a function with
 * walls; where it stops and what it hands back. */
#include "solve/lbfgs.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { N = 20 };

/* sum of 10^(4 i / N) (x_i - i)^2 / 2: condition 10^4 */
static tw_status quadratic(void *user, const double *x, double *out_value, double *g)
{
    (void)user;
    *out_value = 0;
    for (int i = 0; i < N; i++) {
        double weight = pow(10, 4.0 * i / N);
        *out_value += weight * (x[i] - i) * (x[i] - i) / 2;
        g[i] = weight * (x[i] - i);
    }
    return TW_OK;
}

/* Rosenbrock, chained: sum of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2; user counts the calls. */
static tw_status valley(void *user, const double *x, double *out_value, double *g)
{
    ++*(int64_t *)user;
    *out_value = 0;
    memset(g, 0, N * sizeof *g);
    for (int i = 0; i + 1 < N; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1 - x[i];
        *out_value += 100 * a * a + b * b;
        g[i] -= 400 * a * x[i] + 2 * b;
        g[i + 1] += 200 * a;
    }
    return TW_OK;
}

/* x - 3 log x, whose minimum is 3: not a number where x < 0 */
static tw_status walled(void *user, const double *x, double *out_value, double *g)
{
    (void)user;
    *out_value = x[0] - 3 * log(x[0]);
    g[0] = 1 - 3 / x[0];
    return TW_OK;
}

static tw_status failing(void *user, const double *x, double *out_value, double *g)
{
    int *left = user;
    (void)x;
    if ((*left)-- <= 0) return TW_ERR_UNSUPPORTED;
    *out_value = x[0];
    g[0] = 1; /* falls for ever */
    return TW_OK;
}

static void minima_are_found(void **state)
{
    tw_context *ctx = *state;
    double x[N] = {0};
    int64_t calls = 0;
    tw_lbfgs_result r;
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = N, .iterations = 300}, quadratic, NULL, x, &r), TW_OK);
    assert_true(r.reached && r.slope <= 1e-8 && (double)r.evaluations <= 1.1 * 277); /* scipy's, likewise */
    for (int i = 0; i < N; i++) assert_true(fabs(x[i] - i) < 1e-7);

    for (int i = 0; i < N; i++) x[i] = i % 2 ? 1 : -1.2;
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = N, .iterations = 1000}, valley, &calls, x, &r), TW_OK);
    assert_true(r.reached);
    assert_int_equal(r.evaluations, calls);
    assert_true((double)calls <= 1.1 * 152); /* scipy 1.17's L-BFGS-B with 20 pairs, to the same tolerance */
    double least;
    double g[N];
    valley(&calls, x, &least, g);
    assert_true(least == r.value);
    for (int i = 0; i < N; i++) assert_true(fabs(g[i]) <= 1e-8);

    x[0] = 0.1;
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = 1}, walled, NULL, x, &r), TW_OK);
    assert_true(r.reached && fabs(x[0] - 3) < 1e-7);
}

static void it_stops_where_it_is_told(void **state)
{
    tw_context *ctx = *state;
    double x[N] = {0}, start, g[N];
    int left = 3;
    tw_lbfgs_result r;
    quadratic(NULL, x, &start, g);
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = N, .target = start / 10}, quadratic, NULL, x, &r), TW_OK);
    assert_true(r.reached && r.value <= start / 10 && r.value > 0 && r.slope > 1e-3);
    memset(x, 0, sizeof x);
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = N, .iterations = 2}, quadratic, NULL, x, &r), TW_OK);
    assert_true(!r.reached && r.iterations == 2 && r.value < start);
    x[0] = 0;
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = 1}, failing, &left, x, &r), TW_ERR_UNSUPPORTED);
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = -1}, failing, &left, x, &r), TW_ERR_INVALID);
    assert_int_equal(tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = 0}, failing, &left, x, &r), TW_ERR_UNSUPPORTED);
}

static tw_status once(tw_context *ctx, void *user)
{
    double x[N] = {0};
    (void)user;
    return tw_lbfgs(ctx, &(tw_lbfgs_desc){.size = N, .iterations = 3}, quadratic, NULL, x, NULL);
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minima_are_found),
        cmocka_unit_test(it_stops_where_it_is_told),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
