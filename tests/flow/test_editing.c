/* Rows edited between conditions, by networks as they were made: told the same they come back, whatever of attention is
 * shared; without sharing an edit is the way back and another forth; guidance away from the flow told nothing leads to
 * it at strength -1; what is shared until when does not depend on the solver, nor anything on threads. That the values
 * are those they should be: tests/flow/test_import.c, against PyTorch. */
#include "base/philox.h"
#include "flow/flow.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 20, D = 16, CLASSES = 3 };
static const char *const levels[] = {"a", "b", "c"};
static const tw_condition told = {.name = "class", .classes = CLASSES, .level = levels};
static const tw_network_desc dit = {.kind = "dit", .width = 8, .depth = 2, .heads = 2, .patch = 2},
                             unet = {.kind = "patch_unet",
                                     .width = 8,
                                     .mult = {1, 2},
                                     .blocks = 1,
                                     .heads = 2,
                                     .patch = 1},
                             bare = {.kind = "mlp", .width = 8, .depth = 1, .time_features = 4};

/* Layers that are zero at first get numbers, too. */
static tw_status make_flow(tw_context *in, const tw_network_desc *network, int conditions, tw_flow **out_flow)
{
    const tw_flow_desc desc = {.columns = D,
                               .image = {4, 4, 1},
                               .network = *network,
                               .conditions = &told,
                               .conditions_count = conditions,
                               .seed = 5};
    tw_status status = tw_flow_create(in, &desc, out_flow);
    if (status != TW_OK) return status;
    tw_flow *flow = *out_flow;
    tw_random random = {.seed = 7, .stream = 51};
    for (int64_t i = 0; i < tw_params_size(flow->params); i++)
        if (flow->weights[i] == 0) flow->weights[i] = (float)(0.5 * tw_random_normal(&random));
    tw_flow_programs_drop(flow);
    return TW_OK;
}

static double x[ROWS * D], was[ROWS], now[ROWS];

static void draw(void)
{
    tw_random random = {.seed = 3, .stream = 50};
    for (int i = 0; i < ROWS * D; i++) x[i] = tw_random_normal(&random);
    for (int i = 0; i < ROWS; i++) was[i] = i % CLASSES, now[i] = (i + 1 + i / CLASSES % 2) % CLASSES;
}

static tw_sample_desc by(const char *method, int steps)
{
    return (tw_sample_desc){
        .solver = {.method = method, .steps = steps, .rtol = steps ? 0 : 1e-9, .atol = steps ? 0 : 1e-9},
        .from = x,
        .conditions = was,
        .double_precision = true};
}

static void edit(tw_flow *flow, const tw_sample_desc *desc, const double *conditions, double share, double *out)
{
    const tw_flow_edit_desc to = {.conditions = conditions, .share = share};
    if (tw_flow_edit(flow, ROWS, desc, &to, out, NULL) != TW_OK) fail_msg("%s", tw_context_error(flow->ctx));
}

/* The way back and another forth, by hand. */
static void go(tw_flow *flow, tw_sample_desc desc, const double *conditions, double guidance, double *out)
{
    desc.solver.t0 = 1;
    assert_int_equal(tw_sample(flow, ROWS, &desc, out, NULL, NULL), TW_OK);
    desc.solver.t0 = 0;
    desc.solver.t1 = 1;
    desc.from = out;
    desc.conditions = conditions;
    desc.guidance = guidance;
    assert_int_equal(tw_sample(flow, ROWS, &desc, out, NULL, NULL), TW_OK);
}

static double apart(const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < ROWS * D; i++) most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

static void told_the_same(void **state)
{
    (void)state;
    const tw_network_desc *networks[] = {&dit, &unet};
    draw();
    for (int k = 0; k < TW_COUNT(networks); k++) {
        tw_flow *flow = NULL;
        double plain[ROWS * D], shared[ROWS * D];
        const tw_sample_desc coarse = by("rf_solver", 8), fine = by("dopri8", 0);
        assert_int_equal(make_flow(ctx, networks[k], 1, &flow), TW_OK);
        go(flow, coarse, was, 0, plain);
        for (int share = 0; share <= 4; share++) {
            edit(flow, &coarse, was, share / 4.0, shared);
            assert_true(apart(plain, shared) < 1e-12);
            edit(flow, &fine, was, share / 4.0, shared);
            assert_true(apart(x, shared) < 1e-6);
        }
        tw_flow_destroy(flow);
    }
}

static void without_sharing(void **state)
{
    (void)state;
    const tw_network_desc *networks[] = {&dit, &bare};
    draw();
    for (int k = 0; k < TW_COUNT(networks); k++) {
        tw_flow *flow = NULL;
        double want[ROWS * D], got[ROWS * D];
        tw_sample_desc desc = by("heun2", 6);
        assert_int_equal(make_flow(ctx, networks[k], 1, &flow), TW_OK);
        go(flow, desc, now, 0.5, want);
        desc.guidance = 0.5;
        edit(flow, &desc, now, 0, got);
        assert_true(apart(want, got) < 1e-12);
        assert_true(apart(x, got) > 0.1);
        tw_flow_destroy(flow);
    }
}

/* u - (u - u told nothing), both by the same values. */
static void guided_to_nothing(void **state)
{
    (void)state;
    tw_flow *flow = NULL;
    double want[ROWS * D], got[ROWS * D];
    tw_sample_desc desc = by("heun2", 6);
    draw();
    assert_int_equal(make_flow(ctx, &dit, 1, &flow), TW_OK);
    edit(flow, &desc, NULL, 0.5, want);
    desc.guidance = -1;
    edit(flow, &desc, now, 0.5, got);
    assert_true(apart(want, got) < 1e-12);
    edit(flow, &desc, now, 0, got);
    assert_true(apart(want, got) > 1e-3);
    tw_flow_destroy(flow);
}

/* A classical step of order 4, 128 of them, and an adaptive method; along a grid that has no time where sharing ends.
 */
static void of_any_solver(void **state)
{
    (void)state;
    const double share = 0.3;
    tw_flow *flow = NULL;
    double want[ROWS * D], got[ROWS * D], none[ROWS * D];
    tw_sample_desc desc = by("dopri8", 0);
    draw();
    assert_int_equal(make_flow(ctx, &dit, 1, &flow), TW_OK);
    edit(flow, &desc, now, share, want);
    edit(flow, &desc, now, 0, none);
    assert_true(apart(want, none) > 1e-3);
    desc = by("rk4", 128);
    edit(flow, &desc, now, share, got);
    assert_true(apart(want, got) < 1e-5);
    desc.grid = "shift:3";
    edit(flow, &desc, now, share, got);
    assert_true(apart(want, got) < 1e-4);
    tw_flow_destroy(flow);
}

static void on_any_threads(void **state)
{
    (void)state;
    double got[2][ROWS * D];
    draw();
    for (int k = 0; k < 2; k++) {
        tw_context *own = tw_context_create(&(tw_context_desc){.threads = 1 + 2 * k});
        tw_flow *flow = NULL;
        tw_sample_desc desc = by("rf_solver", 5);
        desc.double_precision = false;
        assert_int_equal(make_flow(own, &dit, 1, &flow), TW_OK);
        edit(flow, &desc, now, 0.4, got[k]);
        tw_flow_destroy(flow);
        tw_context_destroy(own);
    }
    assert_memory_equal(got[0], got[1], sizeof got[0]);
}

static void refuses(void **state)
{
    (void)state;
    double out[ROWS * D], log_density[ROWS];
    tw_flow *flow[3];
    const tw_token_options jumps = {0};
    const bool held[D] = {true};
    draw();
    assert_int_equal(make_flow(ctx, &dit, 1, &flow[0]), TW_OK);
    assert_int_equal(make_flow(ctx, &bare, 1, &flow[1]), TW_OK);
    assert_int_equal(make_flow(ctx, &dit, 0, &flow[2]), TW_OK);
    const struct {
        int flow;
        tw_sample_desc desc;
        double share;
        int layers;
        const char *words;
    } cases[] = {
        {0, {.conditions = was}, 0, 0, "needs rows of data"},
        {0, {.from = x, .diffusion = "sigma"}, 0, 0, "noise cannot be undone"},
        {0, {.from = x, .frames = 3}, 0, 0, "no frames"},
        {0, {.from = x, .log_density = log_density}, 0, 0, "no densities"},
        {0, {.from = x, .tokens = &jumps}, 0, 0, "tokens"},
        {0, {.from = x, .held = held}, 0, 0, "none is held"},
        {0, {.from = x, .solver = {.t0 = 1}}, 0, 0, "the whole way"},
        {0, {.from = x, .solver = {.t1 = 0.5}}, 0, 0, "the whole way"},
        {0, {.from = x, .solver = {.method = "euler", .steps = -1}}, 0, 0, "must not be negative"},
        {0, {.from = x}, 1.5, 0, "t=1.5: expected a time from 0 to 1"},
        {0, {.from = x}, (double)NAN, 0, "expected a time from 0 to 1"},
        {0, {.from = x}, 1, -2, "-2 layers"},
        {1, {.from = x}, 0.5, 0, "network 'mlp' has no attention"},
        {2, {.from = x}, 0.5, 0, "trained without any"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        const tw_flow_edit_desc to = {.conditions = now, .share = cases[i].share, .share_layers = cases[i].layers};
        assert_int_not_equal(tw_flow_edit(flow[cases[i].flow], ROWS, &cases[i].desc, &to, out, NULL), TW_OK);
        if (!strstr(tw_context_error(ctx), cases[i].words)) fail_msg("%d: %s", i, tw_context_error(ctx));
    }
    now[3] = CLASSES;
    const tw_flow_edit_desc to = {.conditions = now, .share = 0.5};
    const tw_sample_desc desc = by("euler", 2);
    assert_int_equal(tw_flow_edit(flow[0], ROWS, &desc, &to, out, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "row 4: condition 'class' is 3"));
    for (int i = 0; i < 3; i++) tw_flow_destroy(flow[i]);
}

static tw_status make_and_edit(tw_context *in, void *user)
{
    tw_flow *flow = NULL;
    tw_sample_desc desc = by("euler", 2);
    const tw_flow_edit_desc to = {.conditions = now, .share = 0.5};
    const tw_network_desc small = {.kind = "dit", .width = 4, .depth = 1, .heads = 1, .patch = 4};
    tw_status status = make_flow(in, &small, 1, &flow);
    if (status == TW_OK) status = tw_flow_edit(flow, 2, &desc, &to, user, NULL);
    tw_flow_destroy(flow);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    double out[2 * D];
    draw();
    run_with_limited_memory(make_and_edit, out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_the_same),           cmocka_unit_test(without_sharing),
        cmocka_unit_test(guided_to_nothing),       cmocka_unit_test(of_any_solver),
        cmocka_unit_test(on_any_threads),          cmocka_unit_test(refuses),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
