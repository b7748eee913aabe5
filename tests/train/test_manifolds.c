/* Training on manifolds: a hill on the sphere across the date line is learned, with pairs by the manifold's own
 * distance too; rows that are no points are refused with their numbers. */
#include "base/philox.h"
#include "flow/flow.h"
#include "support/context.h"

#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 2000, SAMPLES = 1000 };

static const char *const names[] = {"longitude", "latitude"};

/* Around longitude 180, latitude 10. */
static void make_rows(double *out)
{
    tw_random random = {.seed = 4, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        double lon = 180 + 12 * tw_random_normal(&random);
        out[2 * i] = lon > 180 ? lon - 360 : lon;
        out[2 * i + 1] = 10 + 8 * tw_random_normal(&random);
    }
}

/* Mean negative log-density of the rows after a short training. */
static double trained(tw_context *ctx, const char *coupling, double *out_far)
{
    static double rows[2 * ROWS], samples[2 * SAMPLES], density[ROWS];
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    double sum = 0;
    make_rows(rows);
    assert_int_equal(tw_dataset_from_memory(ctx, ROWS, 2, rows, names, NULL, &data), TW_OK);
    tw_flow_desc desc = {.columns = 2,
                         .names = names,
                         .space = "sphere:0",
                         .coupling = coupling,
                         .network = {.width = 48, .depth = 2},
                         .seed = 1};
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    tw_train_desc options = {.steps = 400, .batch = 64, .lr = 5e-3, .seed = 2, .ema = 0.99};
    assert_int_equal(tw_train(flow, data, &options, NULL), TW_OK);
    assert_int_equal(tw_log_density(flow, 500, rows, NULL, density, NULL), TW_OK);
    for (int i = 0; i < 500; i++) sum -= density[i] / 500;
    assert_int_equal(tw_sample(flow, SAMPLES, NULL, samples, NULL, NULL), TW_OK);
    *out_far = 0;
    for (int i = 0; i < SAMPLES; i++) *out_far += fabs(samples[2 * i]) < 120 ? 1.0 / SAMPLES : 0;
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
    return sum;
}

static void test_a_hill_across_the_date_line_is_learned(void **state)
{
    /* the entropy of a flat normal distribution of these deviations, in radians: 1 + log 2 pi + log 0.209 + log 0.140
     */
    double far, exact = 1 + log(2 * 3.14159265358979) + log(0.2094) + log(0.1396);
    double independent = trained(*state, "independent", &far);
    assert_true(independent < exact + 0.35 && independent > exact - 0.1); /* 2.53 untrained, -0.69 exact */
    assert_true(far < 0.06);
    double paired = trained(*state, "ot", &far);
    assert_true(paired < exact + 0.35 && paired > exact - 0.1);
    assert_true(far < 0.06);
}

static void test_rows_that_are_no_points_are_refused(void **state)
{
    const double rows[] = {10, 20, 30, 40, 50, 95, 1, 2};
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    tw_dataset_desc all = {.split = {1, 0, 0}};
    assert_int_equal(tw_dataset_from_memory(*state, 4, 2, rows, names, &all, &data), TW_OK);
    tw_flow_desc desc = {.columns = 2, .names = names, .space = "sphere", .network = {.width = 4, .depth = 1}};
    assert_int_equal(tw_flow_create(*state, &desc, &flow), TW_OK);
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1}, NULL), TW_ERR_INVALID);
    assert_non_null(
        strstr(tw_context_error(*state), "a row with longitude=50, latitude=95: expected a latitude from -90 to 90"));
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_hill_across_the_date_line_is_learned),
        cmocka_unit_test(test_rows_that_are_no_points_are_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
