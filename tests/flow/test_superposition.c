/* Sampling with jumps: the same rows for any number of threads and of rows, and what is refused. */
#include "flow/flow.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static tw_context *ctx;
#include "support/flow_checks.h"

enum { D = 2, N = 700 };

static tw_flow *made(const char *method, const char *coupling)
{
    const tw_flow_desc desc = {.method = method,
                               .coupling = coupling,
                               .columns = D,
                               .network = {.width = 16, .depth = 2, .time_features = 4},
                               .seed = 5};
    tw_flow *flow = NULL;
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK) return NULL;
    for (int64_t i = 0; i < tw_params_size(flow->params); i++) flow->weights[i] += (float)(0.2 * sin(1.7 * (double)i));
    tw_flow_programs_drop(flow);
    return flow;
}

static void same_for_any_threads(void **state)
{
    static double rows[3][D * N];
    (void)state;
    for (int k = 0; k < 2; k++) {
        ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        tw_flow *flow = made("jump", NULL);
        const tw_sample_desc how = {.solver.steps = 9, .jumps = 0.5, .seed = 8};
        tw_ode_stats stats;
        assert_int_equal(tw_sample(flow, N, &how, rows[k], NULL, &stats), TW_OK);
        assert_int_equal(stats.nfe, 9);
        assert_true(fabs(stats.nfe_mean - 9) < 1e-9);
        if (k) assert_int_equal(tw_sample(flow, 3, &how, rows[2], NULL, NULL), TW_OK);
        tw_flow_destroy(flow);
        tw_context_destroy(ctx);
    }
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    assert_memory_equal(rows[0], rows[2], 3 * D * sizeof(double));
    for (int i = 0; i < D * N; i++) assert_true(isfinite(rows[0][i]));
}

static void samples(tw_flow *flow, const tw_sample_desc *how, const char *says)
{
    double rows[D * 4];
    assert_int_not_equal(tw_sample(flow, 4, how, rows, NULL, NULL), TW_OK);
    if (!strstr(tw_context_error(ctx), says)) fail_msg("'%s' does not say '%s'", tw_context_error(ctx), says);
}

static void refuses(void **state)
{
    (void)state;
    double density[4], rows[D * 4] = {0};
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_flow *flow = made("jump", NULL), *none = made("fm", NULL);
    samples(none, &(tw_sample_desc){.jumps = 0.5}, "method 'fm' has learned none");
    samples(flow, &(tw_sample_desc){.jumps = 1.5}, "expected 0 to 1");
    samples(flow, &(tw_sample_desc){.jumps = NAN}, "expected 0 to 1");
    samples(flow, &(tw_sample_desc){.jumps = 1, .solver.method = "heun"}, "another solver");
    samples(flow, &(tw_sample_desc){.jumps = 1, .solver.rtol = 1e-3}, "steps are counted");
    samples(flow, &(tw_sample_desc){.jumps = 1, .solver.t1 = 0.5}, "times other");
    samples(flow, &(tw_sample_desc){.jumps = 1, .frames = 3}, "frames");
    samples(flow, &(tw_sample_desc){.jumps = 1, .from = rows}, "rows to begin at");
    samples(flow, &(tw_sample_desc){.jumps = 1, .guidance = 1}, "guidance");
    samples(flow, &(tw_sample_desc){.jumps = 1, .diffusion = "sigma"}, "noise");
    samples(flow, &(tw_sample_desc){.jumps = 1, .conditions = rows}, "trained without any");
    samples(flow, &(tw_sample_desc){.jumps = 1, .log_density = density}, "only the flow alone has");
    assert_int_not_equal(tw_log_density(flow, 4, rows, &(tw_sample_desc){.jumps = 1}, density, NULL), TW_OK);
    assert_non_null(strstr(tw_context_error(ctx), "jumps have no density"));
    check(tw_log_density(flow, 4, rows, NULL, density, NULL)); /* the flow's */
    refused(&(tw_flow_desc){.method = "jump", .columns = D, .coupling = "ot"}, "not of coupling 'ot'");
    refused(&(tw_flow_desc){.method = "jump", .columns = D, .schedule = "vp"}, "not of schedule 'vp'");
    refused(&(tw_flow_desc){.method = "jump", .columns = D, .predict = "x1"}, "predicts the velocity");
    refused(&(tw_flow_desc){.method = "jump", .columns = D, .space = "torus"}, "of space 'euclidean'");
    tw_flow_destroy(flow);
    tw_flow_destroy(none);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_for_any_threads), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
