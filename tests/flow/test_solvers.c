/* Every ODE solver samples, and scores, a flow known in closed form; implicit ones ask a network for products with its
 * derivative, of the divergence's too. */
#include "flow/linear_flow.h"
#include "flow/small_flow.h"

#include "base/streams.h"

#include <stdlib.h>

static void every_solver_samples(void **state)
{
    (void)state;
    enum { N = 40 };
    double got[2 * N], want[2 * N], density[N];
    tw_flow *flow = NULL;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    for (int i = 0; i < N; i++) {
        double x0[2];
        tw_source_row(flow->model.source, 5, TW_STREAM_SAMPLE, i, 2, x0);
        linear_map(x0, want + 2 * i);
        for (int j = 0; j < 2; j++) want[2 * i + j] = linear_shift[j] + linear_scale[j] * want[2 * i + j];
    }
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        double bar = info->order == 1 ? 0.3 : info->order == 2 ? 1e-2 : 3e-4, worst = 0, worst_density = 0;
        tw_sample_desc desc = {.seed = 5, .solver = {.method = info->name}};
        assert_int_equal(tw_sample(flow, N, &desc, got, NULL, NULL), TW_OK);
        assert_int_equal(tw_log_density(flow, N, want, &desc, density, NULL), TW_OK);
        for (int i = 0; i < 2 * N; i++) worst = fmax(worst, fabs(got[i] - want[i]));
        for (int i = 0; i < N; i++)
            worst_density = fmax(worst_density, fabs(density[i] - linear_log_density(want + 2 * i)));
        if (!(worst < bar && worst_density < 5 * bar))
            print_error("%s: %g, density %g\n", info->name, worst, worst_density);
        assert_true(worst < bar && worst_density < 5 * bar);
    }
    tw_flow_destroy(flow);
    tw_context_destroy(ctx);
}

/* Newton's iterations on a curved network, told conditions and guided: the same ends and densities as an explicit
 * method, with differences of the field nowhere, and in as many products for floats as for doubles, give or take a
 * step's last iteration. */
static void implicit_solvers_use_the_derivative(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_flow *flow = small_flow(ctx);
    double x[D * ROWS], want[D * ROWS], want_density[ROWS], got[D * ROWS], density[ROWS];
    const char *const methods[] = {"gl6", "radauIIA5", "trbdf2"};
    const double bar[] = {1e-8, 1e-7, 2e-4}; /* orders 6, 5 and 2 of steps of 1/80 */
    tw_sample_desc exact = told("dopri8", 0);
    draw(ROWS, x);
    assert_int_equal(tw_sample(flow, ROWS, &exact, want, NULL, NULL), TW_OK);
    assert_int_equal(tw_log_density(flow, ROWS, x, &exact, want_density, NULL), TW_OK);
    for (int m = 0; m < TW_COUNT(methods); m++)
        for (int probes = 0; probes < 2; probes++) {
            tw_sample_desc desc = told(methods[m], 80);
            desc.solver.rtol = desc.solver.atol = 1e-10; /* of the iterations */
            tw_ode_stats stats, plain;
            assert_int_equal(tw_sample(flow, ROWS, &desc, got, NULL, &stats), TW_OK);
            desc.double_precision = false;
            assert_int_equal(tw_sample(flow, ROWS, &desc, got, NULL, &plain), TW_OK);
            assert_true(stats.jvps > 0 && plain.jvps > 0 && plain.jvps < 2 * stats.jvps);
            desc.double_precision = true;
            desc.probes = exact.probes = probes;
            assert_int_equal(tw_sample(flow, ROWS, &desc, got, NULL, NULL), TW_OK);
            assert_int_equal(tw_log_density(flow, ROWS, x, &exact, want_density, NULL), TW_OK);
            assert_int_equal(tw_log_density(flow, ROWS, x, &desc, density, NULL), TW_OK);
            for (int i = 0; i < D * ROWS; i++) assert_true(fabs(got[i] - want[i]) < bar[m]);
            for (int i = 0; i < ROWS; i++) assert_true(fabs(density[i] - want_density[i]) < 3 * bar[m]);
        }
    tw_flow_destroy(flow);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_solver_samples),
                                       cmocka_unit_test(implicit_solvers_use_the_derivative)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
