/* Whatever the network predicts, along whatever schedule, with whatever loss: the flow has the distribution of its
 * data. Two correlated columns, not centred, in data units; a small network for half a second each. */
#include <thalweg/thalweg.h>

#include "base/base.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 4000, SAMPLES = 4000 };

static tw_context *ctx;
static tw_dataset *data;
static double rows[2 * ROWS], samples[2 * SAMPLES];

/* Mean, deviation, correlation and the share left of the first mode's edge: a mixture at -2 and 2 with 1 : 3. */
typedef struct facts {
    double mean[2], deviation[2], correlation, left;
} facts;

static facts facts_of(int n, const double *x)
{
    facts f = {0};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < 2; j++) f.mean[j] += x[2 * i + j] / n;
        f.left += (x[2 * i] < 10) / (double)n;
    }
    for (int i = 0; i < n; i++) {
        double a = x[2 * i] - f.mean[0], b = x[2 * i + 1] - f.mean[1];
        f.deviation[0] += a * a / n, f.deviation[1] += b * b / n, f.correlation += a * b / n;
    }
    for (int j = 0; j < 2; j++) f.deviation[j] = sqrt(f.deviation[j]);
    f.correlation /= f.deviation[0] * f.deviation[1];
    return f;
}

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    if (!ctx) return 1;
    uint64_t seed = 7;
    for (int i = 0; i < ROWS; i++) {
        double z[3];
        for (int j = 0; j < 3; j++) { /* Irwin-Hall: twelve uniform numbers are nearly normal */
            z[j] = -6;
            for (int k = 0; k < 12; k++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                z[j] += (double)(seed >> 11) / 9007199254740992.0;
            }
        }
        rows[2 * i] = 10 + (i % 4 == 0 ? -2 : 2) + 0.5 * z[0];
        rows[2 * i + 1] = 0.3 * (rows[2 * i] - 10) + 0.2 * z[1] - 5;
    }
    return tw_dataset_from_memory(ctx, ROWS, 2, rows, NULL, &(tw_dataset_desc){.split = {1, 0, 0}}, &data) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
    return 0;
}

static void check(const char *what, tw_flow_desc desc)
{
    tw_flow *flow = NULL;
    desc.columns = 2;
    desc.coupling = "independent";
    desc.network = (tw_network_desc){.width = 48, .depth = 2};
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    tw_train_desc training = {.steps = 700, .batch = 256, .ema = 0.98};
    if (tw_train(flow, data, &training, NULL) != TW_OK) fail_msg("%s: %s", what, tw_context_error(ctx));
    assert_int_equal(tw_sample(flow, SAMPLES, NULL, samples, NULL, NULL), TW_OK);
    facts got = facts_of(SAMPLES, samples), want = facts_of(ROWS, rows);
    /* standard errors: 0.03 of a mean, 0.007 of a share; five of them, and room for the little training */
    for (int j = 0; j < 2; j++)
        if (!(fabs(got.mean[j] - want.mean[j]) < 0.15 * want.deviation[j] &&
              fabs(got.deviation[j] / want.deviation[j] - 1) < 0.1))
            fail_msg("%s: column %d has mean %g, deviation %g; expected %g, %g", what, j, got.mean[j], got.deviation[j],
                     want.mean[j], want.deviation[j]);
    if (!(fabs(got.correlation - want.correlation) < 0.06 && fabs(got.left - want.left) < 0.06))
        fail_msg("%s: correlation %g, share %g; expected %g, %g", what, got.correlation, got.left, want.correlation,
                 want.left);
    tw_flow_destroy(flow);
}

static void test_objectives(void **state)
{
    (void)state;
    check("velocity", (tw_flow_desc){0});
    check("x1", (tw_flow_desc){.predict = "x1", .weight = "velocity"});
    check("x0", (tw_flow_desc){.predict = "x0", .weight = "velocity"});
    check("score", (tw_flow_desc){.predict = "score", .weight = "snr", .schedule = "rectified:0,0.05"});
    check("v", (tw_flow_desc){.predict = "v", .schedule = "linear_vp", .time_density = "logit_normal"});
    check("vp", (tw_flow_desc){.predict = "x0", .schedule = "vp"});
    check("edm", (tw_flow_desc){.method = "edm"});
    check("sf2m", (tw_flow_desc){.method = "sf2m:0.3"});
    check("learned", (tw_flow_desc){.weight = "learned", .time_density = "u_shaped"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_objectives)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
