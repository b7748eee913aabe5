/* Derivatives of log-densities: the score of a linear flow in closed form, differences of a network's densities in rows
 * and weights, exact and estimated divergences, the tape beside the adjoint equation, the same bits in any memory and
 * for any number of threads. */
#include "flow/linear_flow.h"
#include "flow/small_flow.h"

#include "support/context.h"
#include "support/limited_memory.h"

#include <thalweg/gradient.h>

static void score_of_a_linear_flow(void **state)
{
    enum { N = 300 };
    static double x[D * N], log_density[N], dx[D * N];
    tw_flow *flow = NULL;
    tw_sample_desc sample = {.double_precision = true, .solver = {.rtol = 1e-10, .atol = 1e-10}};
    assert_int_equal(linear_flow(*state, &flow), TW_OK);
    draw(N, x);
    for (int i = 0; i < D * N; i++) x[i] = linear_shift[i % D] + linear_scale[i % D] * x[i];
    for (int m = 0; m < 2; m++) {
        tw_density_gradient_desc desc = {.sample = &sample, .adjoint = m};
        assert_int_equal(tw_log_density_gradient(flow, &desc, N, x, log_density, dx, NULL, NULL), TW_OK);
        for (int i = 0; i < N; i++) {
            assert_true(fabs(log_density[i] - linear_log_density(x + D * i)) < 1e-8);
            for (int k = 0; k < D; k++) { /* quadratic: differences are exact but for rounding */
                double y[2][D] = {{x[D * i], x[D * i + 1]}, {x[D * i], x[D * i + 1]}};
                y[0][k] += linear_scale[k];
                y[1][k] -= linear_scale[k];
                double slope = (linear_log_density(y[0]) - linear_log_density(y[1])) / (2 * linear_scale[k]);
                assert_true(fabs(dx[D * i + k] - slope) < 1e-7);
            }
        }
    }
    tw_flow_destroy(flow);
}

static const double slopes[ROWS] = {1, -0.5, 2, 0.3, 1.7};

static double weighted(tw_flow *flow, void *user, const double *x)
{
    double log_density[ROWS], sum = 0;
    assert_int_equal(tw_log_density(flow, ROWS, x, user, log_density, NULL), TW_OK);
    for (int i = 0; i < ROWS; i++) sum += slopes[i] * log_density[i];
    return sum;
}

/* Conditions, guidance and exact divergences; then two random signs a row. */
static void against_differences(void **state)
{
    tw_flow *flow = small_flow(*state);
    double *dweights = calloc((size_t)tw_flow_parameters(flow), sizeof *dweights);
    for (int probes = 0; probes <= 2; probes += 2) {
        tw_sample_desc sample = told("rk4", 6);
        sample.probes = probes;
        sample.seed = 4;
        tw_density_gradient_desc desc = {.sample = &sample, .slopes = slopes};
        double x[D * ROWS], log_density[ROWS], dx[D * ROWS], sum = 0;
        draw(ROWS, x);
        memset(dweights, 0, (size_t)tw_flow_parameters(flow) * sizeof *dweights);
        assert_int_equal(tw_log_density_gradient(flow, &desc, ROWS, x, log_density, dx, dweights, NULL), TW_OK);
        for (int i = 0; i < ROWS; i++) sum += slopes[i] * log_density[i];
        assert_true(fabs(sum - weighted(flow, &sample, x)) < 1e-12);
        check_differences(flow, weighted, &sample, x, dx, 1e-8);
        check_weights(flow, weighted, &sample, x, dweights, 2e-5); /* 1e-6 times third derivatives */
    }
    free(dweights);
    tw_flow_destroy(flow);
}

/* To what tolerances of 1e-9 make of a solution, whether the weights shorten its steps or not. */
static void adjoint_equation_agrees(void **state)
{
    tw_flow *flow = small_flow(*state);
    int64_t parameters = tw_flow_parameters(flow);
    double *dweights[2] = {calloc((size_t)parameters, sizeof(double)), calloc((size_t)parameters, sizeof(double))};
    double x[D * ROWS], dx[2][D * ROWS];
    tw_sample_desc sample = told("dopri5", 0);
    tw_density_gradient_desc desc = {.sample = &sample, .slopes = slopes};
    tw_ode_stats stats[2];
    draw(ROWS, x);
    assert_int_equal(tw_log_density_gradient(flow, &desc, ROWS, x, NULL, dx[0], dweights[0], NULL), TW_OK);
    desc.adjoint = true;
    for (int m = 0; m < 2; m++) {
        desc.seminorm = m;
        memset(dweights[1], 0, (size_t)parameters * sizeof(double));
        assert_int_equal(tw_log_density_gradient(flow, &desc, ROWS, x, NULL, dx[1], dweights[1], &stats[m]), TW_OK);
        for (int i = 0; i < D * ROWS; i++) assert_true(fabs(dx[1][i] - dx[0][i]) < 1e-6);
        for (int64_t i = 0; i < parameters; i++) assert_true(fabs(dweights[1][i] - dweights[0][i]) < 1e-5);
    }
    assert_true(stats[1].calls <= stats[0].calls);
    free(dweights[0]);
    free(dweights[1]);
    tw_flow_destroy(flow);
}

/* f32 programs, many rows: one thread or three, all states or one. */
static void threads_and_memory_change_no_bit(void **state)
{
    enum { N = 900 };
    static double x[D * N], log_density[2][N], dx[2][D * N];
    double *dweights[2];
    (void)state;
    draw(N, x);
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        tw_flow *flow = small_flow(ctx);
        tw_density_gradient_desc desc = {.memory = k ? 1 : 0};
        dweights[k] = calloc((size_t)tw_flow_parameters(flow), sizeof(double));
        assert_int_equal(tw_log_density_gradient(flow, &desc, N, x, log_density[k], dx[k], dweights[k], NULL), TW_OK);
        if (k) assert_memory_equal(dweights[0], dweights[1], (size_t)tw_flow_parameters(flow) * sizeof(double));
        tw_flow_destroy(flow);
        tw_context_destroy(ctx);
    }
    assert_memory_equal(log_density[0], log_density[1], sizeof log_density[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    free(dweights[0]);
    free(dweights[1]);
}

static void constant_columns_have_no_slope(void **state)
{
    tw_flow *flow = NULL;
    double x[D] = {11, linear_shift[1]}, log_density, dx[D] = {9, 9};
    assert_int_equal(linear_flow(*state, &flow), TW_OK);
    flow->constant[1] = 1;
    assert_int_equal(tw_log_density_gradient(flow, NULL, 1, x, &log_density, dx, NULL, NULL), TW_OK);
    assert_true(isfinite(log_density) && dx[0] != 0 && dx[1] == 0);
    tw_flow_destroy(flow);
}

static void refusals(void **state)
{
    tw_context *ctx = *state;
    tw_flow *flow = NULL;
    double x[D] = {0}, dx[D] = {7, 7};
    tw_sample_desc sampler = {.solver = {.method = "ddim"}}, implicit = {.solver = {.method = "radauIIA3"}},
                   late = {.solver = {.t0 = 0.5, .t1 = 1}}, frames = {.frames = 3};
    const struct {
        const tw_sample_desc *sample;
        const char *says;
    } cases[] = {{&sampler, "ddim"}, {&implicit, "radauIIA3"}, {&late, "0.5"}, {&frames, "frames"}};
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tw_density_gradient_desc desc = {.sample = cases[i].sample};
        assert_int_not_equal(tw_log_density_gradient(flow, &desc, 1, x, NULL, dx, NULL, NULL), TW_OK);
        assert_non_null(strstr(tw_context_error(ctx), cases[i].says));
    }
    assert_int_equal(tw_log_density_gradient(flow, NULL, -1, x, NULL, dx, NULL, NULL), TW_ERR_INVALID);
    assert_true(dx[0] == 7 && dx[1] == 7);
    assert_int_equal(tw_log_density_gradient(flow, NULL, 0, x, NULL, dx, NULL, NULL), TW_OK);
    tw_flow_destroy(flow);
}

static tw_status once(tw_context *ctx, void *user)
{
    tw_density_gradient_desc desc = {.adjoint = *(const bool *)user};
    double x[D * 2] = {0.5, 1, -1, 2}, log_density[2], dx[D * 2];
    double *dweights = NULL;
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    TW_TRY(linear_flow(ctx, &flow));
    dweights = calloc((size_t)tw_flow_parameters(flow), sizeof *dweights);
    TW_TRY(tw_log_density_gradient(flow, &desc, 2, x, log_density, dx, dweights, NULL));
done:
    free(dweights);
    tw_flow_destroy(flow);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    for (int m = 0; m < 2; m++) run_with_limited_memory(once, &(bool){m});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_of_a_linear_flow),
        cmocka_unit_test(against_differences),
        cmocka_unit_test(adjoint_equation_agrees),
        cmocka_unit_test(threads_and_memory_change_no_bit),
        cmocka_unit_test(constant_columns_have_no_slope),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, open_pool, close_context);
}
