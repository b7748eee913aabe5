/* Mixtures of wrapped normals: a density on the torus, fitted to draws whose law is known, across the seam too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "eval/wrapped_mixture.h"
#include "support/limited_memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4000 };
static const double whole = 6.28318530717958647693;

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

/* Two bumps in the plane of angles, one of them over the seam of both columns. */
static double weight[2] = {0.3, 0.7}, mean[4] = {0.5, -1, 3.1, -3.0}, variance[4] = {0.04, 0.25, 0.16, 0.01};

static double *draws(uint64_t seed)
{
    tw_random random = {.seed = seed, .stream = 1};
    double *rows = malloc(sizeof *rows * 2 * N);
    for (int i = 0; i < N; i++) {
        int k = tw_random_uniform(&random) < weight[0] ? 0 : 1;
        for (int d = 0; d < 2; d++)
            rows[2 * i + d] = remainder(mean[2 * k + d] + sqrt(variance[2 * k + d]) * tw_random_normal(&random), whole);
    }
    return rows;
}

static void test_density(void **state)
{
    (void)state;
    enum { CELLS = 400 };
    double mass = 0, wide[2] = {9, 0.5}, centre[2] = {-3, 2}, all = 1;
    tw_wrapped_mixture m = {
        .ctx = NULL, .columns = 2, .components = 1, .weight = &all, .mean = centre, .variance = wide};
    for (int i = 0; i < CELLS * CELLS; i++) {
        double x[2] = {whole * (i / CELLS) / CELLS, whole * (i % CELLS) / CELLS};
        mass += exp(tw_wrapped_mixture_score(&m, 1, x)) * whole * whole / (CELLS * CELLS);
    }
    assert_true(fabs(mass - 1) < 1e-4); /* turns beyond the second hold 3e-5 of a deviation of 3 */
}

/* As likely as under the law itself, on rows not seen: 7 numbers fitted to 4000 rows cost 7 / 8000 nats. */
static void test_fit(void **state)
{
    (void)state;
    tw_wrapped_mixture truth = {
        .ctx = NULL, .columns = 2, .components = 2, .weight = weight, .mean = mean, .variance = variance};
    double *seen = draws(1), *held = draws(2);
    tw_wrapped_mixture one, two, four;
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 2, N, seen, 1, 0, &one), TW_OK);
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 2, N, seen, 2, 0, &two), TW_OK);
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 2, N, seen, 4, 0, &four), TW_OK);
    double exact = tw_wrapped_mixture_score(&truth, N, held);
    assert_true(fabs(tw_wrapped_mixture_score(&two, N, held) - exact) < 0.004);
    assert_true(tw_wrapped_mixture_score(&one, N, held) < exact - 0.5);
    assert_true(tw_wrapped_mixture_score(&four, N, seen) >= tw_wrapped_mixture_score(&two, N, seen) - 1e-4);
    int seam = two.weight[0] > 0.5 ? 0 : 1;
    assert_true(fabs(two.weight[seam] - 0.7) < 0.03);
    for (int d = 0; d < 2; d++) {
        assert_true(fabs(remainder(two.mean[2 * seam + d] - mean[2 + d], whole)) < 0.03);
        assert_true(fabs(two.variance[2 * seam + d] / variance[2 + d] - 1) < 0.1);
    }
    tw_wrapped_mixture_free(&one);
    tw_wrapped_mixture_free(&two);
    tw_wrapped_mixture_free(&four);
    free(seen);
    free(held);
}

static tw_status fit_two(tw_context *small, void *rows)
{
    tw_wrapped_mixture m;
    tw_status status = tw_wrapped_mixture_fit(small, 1, 2, rows, 2, 0, &m);
    if (status == TW_OK) tw_wrapped_mixture_free(&m);
    return status;
}

static void test_bad_input(void **state)
{
    (void)state;
    double rows[2] = {0, 1};
    tw_wrapped_mixture m;
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 1, 2, rows, 65, 0, &m), TW_ERR_INVALID);
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 17, 2, rows, 1, 0, &m), TW_ERR_INVALID);
    assert_int_equal(tw_wrapped_mixture_fit(ctx, 1, 1, rows, 1, 0, &m), TW_ERR_INVALID);
    run_with_limited_memory(fit_two, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_density),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
