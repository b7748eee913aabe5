/* Gradients through a flow: closed forms of a linear one, differences of a network, the same bits in any memory and for
 * any number of threads; source points found by them. */
#include "flow/linear_flow.h"
#include "flow/small_flow.h"

#include "support/context.h"
#include "support/limited_memory.h"

#include <thalweg/gradient.h>

/* sum over rows of c . x + sin(x_0 x_1) / 2, c = user */
static tw_status bent_loss(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    const double *c = user;
    *out_loss = 0;
    for (int64_t i = 0; i < n; i++) {
        const double *p = x + D * i;
        *out_loss += c[0] * p[0] + c[1] * p[1] + sin(p[0] * p[1]) / 2;
        out_dx[D * i] = c[0] + cos(p[0] * p[1]) * p[1] / 2;
        out_dx[D * i + 1] = c[1] + cos(p[0] * p[1]) * p[0] / 2;
    }
    return TW_OK;
}

static tw_status sum_loss(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    const double *c = user;
    *out_loss = 0;
    for (int64_t i = 0; i < D * n; i++) {
        *out_loss += c[i % D] * x[i];
        out_dx[i] = c[i % D];
    }
    return TW_OK;
}

static double weights_of_loss[D] = {0.7, -1.2};

/* d x1 / d x0 of the linear flow, in data units: jacobian[output][input] */
static void linear_jacobian(double jacobian[D][D], double offset[D])
{
    const double origin[D] = {0};
    linear_map(origin, offset);
    for (int in = 0; in < D; in++) {
        double unit[D] = {in == 0, in == 1}, end[D];
        linear_map(unit, end);
        for (int out = 0; out < D; out++) jacobian[out][in] = linear_scale[out] * (end[out] - offset[out]);
    }
    for (int out = 0; out < D; out++) offset[out] = linear_shift[out] + linear_scale[out] * offset[out];
}

static void gradients_of_a_linear_flow(void **state)
{
    enum { N = 600 }; /* some blocks */
    static double x0[D * N], x1[D * N], dx[D * N];
    tw_context *ctx = *state;
    tw_flow *flow = NULL;
    double j[D][D], offset[D], loss, want = 0;
    tw_sample_desc sample = {.double_precision = true, .solver = {.rtol = 1e-10, .atol = 1e-10}};
    tw_flow_gradient_desc desc = {.sample = &sample, .loss = sum_loss, .user = weights_of_loss};
    tw_ode_stats stats;
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    draw(N, x0);
    linear_jacobian(j, offset);
    assert_int_equal(tw_flow_gradient(flow, &desc, N, x0, x1, &loss, dx, NULL, &stats), TW_OK);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++) {
            double end = offset[k] + j[k][0] * x0[D * i] + j[k][1] * x0[D * i + 1];
            want += weights_of_loss[k] * end;
            assert_true(fabs(x1[D * i + k] - end) < 1e-8);
            assert_true(fabs(dx[D * i + k] - weights_of_loss[0] * j[0][k] - weights_of_loss[1] * j[1][k]) < 1e-8);
        }
    assert_true(fabs(loss - want) < 1e-6);
    assert_true(stats.jvps > 0 && stats.accepted > 0);
    tw_flow_destroy(flow);
}

static double loss_of(tw_flow *flow, void *user, const double *x0)
{
    double loss, dx[D * ROWS];
    assert_int_equal(tw_flow_gradient(flow, user, ROWS, x0, NULL, &loss, dx, NULL, NULL), TW_OK);
    return loss;
}

/* D-Flow's midpoint rule and an adaptive method, to the 1e-5 that is asked of D-Flow and better. */
static void gradients_against_differences(void **state)
{
    tw_context *ctx = *state;
    tw_flow *flow = small_flow(ctx);
    int64_t parameters = tw_flow_parameters(flow);
    double *dweights = calloc((size_t)parameters, sizeof *dweights);
    for (int m = 0; m < 2; m++) {
        tw_sample_desc sample = m ? told("dopri5", 0) : told("midpoint", 6);
        tw_flow_gradient_desc desc = {.sample = &sample, .loss = bent_loss, .user = weights_of_loss};
        double x0[D * ROWS], loss, dx[D * ROWS];
        draw(ROWS, x0);
        memset(dweights, 0, (size_t)parameters * sizeof *dweights);
        assert_int_equal(tw_flow_gradient(flow, &desc, ROWS, x0, NULL, &loss, dx, dweights, NULL), TW_OK);
        /* steps chosen anew move an adaptive end by its tolerance, 1e-9 / 1e-5 at worst */
        check_differences(flow, loss_of, &desc, x0, dx, m ? 1e-5 : 1e-8);
        check_weights(flow, loss_of, &desc, x0, dweights, 2e-5); /* 1e-6 times third derivatives */
    }
    free(dweights);
    tw_flow_destroy(flow);
}

/* f32 programs, many rows: one thread or three, all states or one. */
static void threads_and_memory_change_no_bit(void **state)
{
    enum { N = 900 };
    static double x0[D * N], x1[2][D * N], dx[2][D * N];
    (void)state;
    draw(N, x0);
    double *dweights[2], loss[2];
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        tw_flow *flow = small_flow(ctx);
        tw_flow_gradient_desc desc = {.memory = k ? 1 : 0, .loss = bent_loss, .user = weights_of_loss};
        dweights[k] = calloc((size_t)tw_flow_parameters(flow), sizeof(double));
        assert_int_equal(tw_flow_gradient(flow, &desc, N, x0, x1[k], &loss[k], dx[k], dweights[k], NULL), TW_OK);
        if (k) assert_memory_equal(dweights[0], dweights[1], (size_t)tw_flow_parameters(flow) * sizeof(double));
        tw_flow_destroy(flow);
        tw_context_destroy(ctx);
    }
    assert_true(loss[0] == loss[1]);
    assert_memory_equal(x1[0], x1[1], sizeof x1[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    free(dweights[0]);
    free(dweights[1]);
}

/* ---- D-Flow ---- */

/* (a . x - 20)^2 / 2 of every row, a = user */
static tw_status observed(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    const double *a = user;
    *out_loss = 0;
    for (int64_t i = 0; i < n; i++) {
        double miss = a[0] * x[D * i] + a[1] * x[D * i + 1] - 20;
        *out_loss += miss * miss / 2;
        for (int k = 0; k < D; k++) out_dx[D * i + k] = miss * a[k];
    }
    return TW_OK;
}

/* Without a penalty every step goes along the observed direction: the point found is where the observation holds and
 * nearest to the start, among source points. */
static void observations_of_a_linear_flow_project(void **state)
{
    enum { N = 3 };
    tw_context *ctx = *state;
    tw_flow *flow = NULL;
    double a[D] = {1, -2}, x0[D * N], start[D * N], x1[D * N], j[D][D], offset[D];
    tw_sample_desc sample = {.double_precision = true, .solver = {.method = "rk4", .steps = 40}};
    tw_source_search_desc desc = {.gradient = {.sample = &sample, .loss = observed, .user = a}, .tolerance = 1e-9};
    tw_source_search_result r;
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    draw(N, x0);
    memcpy(start, x0, sizeof x0);
    linear_jacobian(j, offset);
    assert_int_equal(tw_source_search(flow, &desc, N, x0, x1, &r), TW_OK);
    assert_true(r.reached && r.loss < 1e-16);
    for (int i = 0; i < N; i++) {
        double g[D], miss = 20, square = 0;
        for (int k = 0; k < D; k++) {
            g[k] = a[0] * j[0][k] + a[1] * j[1][k];
            square += g[k] * g[k];
            miss -= a[k] * (offset[k] + j[k][0] * start[D * i] + j[k][1] * start[D * i + 1]);
        }
        for (int k = 0; k < D; k++) assert_true(fabs(x0[D * i + k] - start[D * i + k] - g[k] * miss / square) < 1e-6);
        assert_true(fabs(a[0] * x1[D * i] + a[1] * x1[D * i + 1] - 20) < 1e-7);
    }
    tw_flow_destroy(flow);
}

static tw_status nothing(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    (void)user;
    (void)x;
    *out_loss = 0;
    memset(out_dx, 0, (size_t)(D * n) * sizeof *out_dx);
    return TW_OK;
}

/* Its sign is easily wrong: alone it makes the squares of lengths D - 1, which is 1, along the rays they are on. */
static void penalty_makes_lengths_typical(void **state)
{
    tw_context *ctx = *state;
    tw_flow *flow = NULL;
    double x0[D * 2] = {3, 4, -0.03, 0.04};
    tw_sample_desc sample = {.solver = {.method = "euler", .steps = 1}};
    tw_source_search_desc desc = {.gradient = {.sample = &sample, .loss = nothing}, .lambda = 0.1, .tolerance = 1e-9};
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    assert_int_equal(tw_source_search(flow, &desc, 2, x0, NULL, NULL), TW_OK);
    const double want[D * 2] = {0.6, 0.8, -0.6, 0.8};
    for (int i = 0; i < D * 2; i++) assert_true(fabs(x0[i] - want[i]) < 1e-7);
    tw_flow_destroy(flow);
}

static tw_status refuses(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    (void)user, (void)n, (void)x, (void)out_loss, (void)out_dx;
    return TW_ERR_UNSUPPORTED;
}

static void refusals(void **state)
{
    tw_context *ctx = *state;
    tw_flow *flow = NULL;
    double x0[D] = {0}, loss, dx[D];
    tw_sample_desc frames = {.frames = 3}, implicit = {.solver = {.method = "explicit_adams"}},
                   late = {.solver = {.t0 = 0.5, .t1 = 1}};
    tw_flow_gradient_desc desc = {.loss = nothing};
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    assert_int_equal(tw_flow_gradient(flow, &desc, 0, x0, NULL, &loss, dx, NULL, NULL), TW_OK);
    desc.loss = refuses;
    assert_int_equal(tw_flow_gradient(flow, &desc, 1, x0, NULL, &loss, dx, NULL, NULL), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "loss"));
    desc.loss = NULL;
    assert_int_equal(tw_flow_gradient(flow, &desc, 1, x0, NULL, &loss, dx, NULL, NULL), TW_ERR_INVALID);
    desc = (tw_flow_gradient_desc){.loss = nothing, .sample = &frames};
    assert_int_equal(tw_flow_gradient(flow, &desc, 1, x0, NULL, &loss, dx, NULL, NULL), TW_ERR_UNSUPPORTED);
    desc.sample = &late;
    assert_int_equal(tw_flow_gradient(flow, &desc, 1, x0, NULL, &loss, dx, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "t=0.5"));
    desc.sample = &implicit;
    assert_int_equal(tw_flow_gradient(flow, &desc, 1, x0, NULL, &loss, dx, NULL, NULL), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "explicit_adams"));
    tw_source_search_desc search = {.gradient = {.loss = nothing}, .lambda = -1};
    assert_int_equal(tw_source_search(flow, &search, 1, x0, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "lambda"));
    tw_flow_destroy(flow);
}

static tw_status search_once(tw_context *ctx, void *user)
{
    double a[D] = {1, -2}, x0[D * 2] = {0.5, 1, -1, 2}, loss, dx[D * 2];
    tw_flow *flow = NULL;
    double *dweights = NULL;
    tw_status status = TW_OK;
    tw_source_search_desc desc = {.gradient = {.loss = observed, .user = a}, .iterations = 2};
    (void)user;
    TW_TRY(linear_flow(ctx, &flow));
    dweights = calloc((size_t)tw_flow_parameters(flow), sizeof *dweights);
    TW_TRY(tw_flow_gradient(flow, &desc.gradient, 2, x0, NULL, &loss, dx, dweights, NULL));
    TW_TRY(tw_source_search(flow, &desc, 2, x0, NULL, NULL));
done:
    free(dweights);
    tw_flow_destroy(flow);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(search_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_a_linear_flow),
        cmocka_unit_test(gradients_against_differences),
        cmocka_unit_test(threads_and_memory_change_no_bit),
        cmocka_unit_test(observations_of_a_linear_flow_project),
        cmocka_unit_test(penalty_makes_lengths_typical),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, open_pool, close_context);
}
