/* Schedules that training fits: the flow then has a table, the same one after a stop and whatever the number of
 * threads; one that is fitted stays; a Gaussian is told to have none. */
#include "flow/flow.h"

#include "base/philox.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 3000 };

static char checkpoint[] = "/tmp/tw-kinetic-XXXXXX";
static char said[500];

static void on_log(void *user, tw_log_level level, const char *message)
{
    (void)user;
    if (level == TW_LOG_WARNING) snprintf(said, sizeof said, "%s", message);
}

/* Four clusters, or one Gaussian. */
static tw_dataset *rows_of(tw_context *ctx, bool clusters)
{
    static double x[2 * ROWS];
    tw_dataset *data = NULL;
    tw_random random = {.seed = 8, .stream = 1};
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < 2; j++)
            x[2 * i + j] = clusters ? (tw_random_below(&random, 2) ? 3 : -3) + 0.2 * tw_random_normal(&random)
                                    : 4 + 2 * tw_random_normal(&random);
    assert_int_equal(tw_dataset_from_memory(ctx, ROWS, 2, x, NULL, NULL, &data), TW_OK);
    return data;
}

static void train(int threads, bool clusters, tw_train_desc desc, char *out_text, size_t size, float *out_weight)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = threads, .log = on_log});
    tw_dataset *data = rows_of(ctx, clusters);
    tw_flow *flow = NULL;
    tw_flow_desc about = {
        .columns = 2, .schedule = "kinetic", .network = {.width = 16, .depth = 1, .time_features = 4}};
    assert_int_equal(tw_flow_create(ctx, &about, &flow), TW_OK);
    assert_string_equal(tw_flow_about(flow)->schedule, "kinetic");
    desc.steps = 60;
    desc.batch = 64;
    if (tw_train(flow, data, &desc, NULL) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    snprintf(out_text, size, "%s", tw_flow_about(flow)->schedule);
    *out_weight = flow->weights[5];
    /* trained again, it goes along the same table */
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1, .seed = 77}, NULL), TW_OK);
    assert_string_equal(tw_flow_about(flow)->schedule, out_text);
    double t = 0.5, at[2] = {0.1, 0.2}, u[2];
    assert_int_equal(tw_velocity(flow, 1, &t, at, NULL, u), TW_OK);
    assert_true(isfinite(u[0]) && isfinite(u[1]));
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
}

static void test_fitted_once_and_always_alike(void **state)
{
    (void)state;
    static char text[3][6000];
    float weight[3];
    int made = mkstemp(checkpoint);
    assert_true(made >= 0);
    close(made);
    unlink(checkpoint);
    train(1, true, (tw_train_desc){.seed = 3}, text[0], sizeof text[0], &weight[0]);
    train(3, true, (tw_train_desc){.seed = 3, .checkpoint = checkpoint, .checkpoint_steps = 25}, text[1],
          sizeof text[1], &weight[1]);
    char before[64];
    snprintf(before, sizeof before, "%s.prev", checkpoint);
    assert_int_equal(rename(before, checkpoint), 0); /* what a kill after step 50 would leave */
    train(2, true, (tw_train_desc){.seed = 3, .checkpoint = checkpoint, .checkpoint_steps = 25, .resume = true},
          text[2], sizeof text[2], &weight[2]);
    unlink(checkpoint);
    unlink(before);
    assert_true(strncmp(text[0], "kinetic:0,0,1,", 14) == 0);
    assert_true(strlen(text[0]) > 100);
    for (int k = 1; k < 3; k++) {
        assert_string_equal(text[k], text[0]);
        assert_true(weight[k] == weight[0]);
    }
}

static void test_a_gaussian_has_none(void **state)
{
    (void)state;
    static char text[6000];
    float weight;
    said[0] = 0;
    train(1, false, (tw_train_desc){.seed = 3}, text, sizeof text, &weight);
    assert_non_null(strstr(said, "close to one Gaussian"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fitted_once_and_always_alike),
                                       cmocka_unit_test(test_a_gaussian_has_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
