/* Every ODE solver samples, and scores, a flow known in closed form: implicit ones, which take differences of a network
 * in float, no worse than others. */
#include "flow/linear_flow.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_solver_samples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
