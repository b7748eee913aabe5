/* Densities of training times: each is the inverse of a distribution function written here another way. */
#include "path/density.h"

#include "graph/reference.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 199 };

static void times(const char *density, const char *schedule, double *u, double *out)
{
    tw_piece d, s;
    tw_graph *graph = NULL;
    const double *in = u;
    for (int i = 0; i < N; i++) u[i] = (i + 1.0) / (N + 1);
    assert_int_equal(tw_piece_read(ctx, "density", density, tw_density_list, &d), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", schedule, tw_schedule_list, &s), TW_OK);
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    tw_val uniform = tw_input(graph, "u", TW_DTYPE_F64, tw_shape_of(N));
    tw_val t = tw_density_times(&d, &s, uniform);
    assert_int_equal(tw_reference_run(ctx, 1, &uniform, &in, 1, &t, &out), TW_OK);
    tw_graph_destroy(graph);
    tw_piece_free(ctx, &d);
    tw_piece_free(ctx, &s);
}

static double normal_share(double x, double mean, double std)
{
    return 0.5 * erfc(-(x - mean) / std / sqrt(2));
}

static void test_distribution_functions(void **state)
{
    (void)state;
    double u[N], t[N];
    times("uniform", "condot", u, t);
    for (int i = 0; i < N; i++) assert_true(t[i] == u[i]);
    times("logit_normal:0.5,0.8", "condot", u, t);
    for (int i = 0; i < N; i++) assert_true(fabs(normal_share(log(t[i] / (1 - t[i])), 0.5, 0.8) - u[i]) < 1e-9);
    /* EDM's noise levels: log sigma/alpha normal, the larger the earlier */
    const char *const schedules[] = {"condot", "cosine", "vp"};
    for (int k = 0; k < TW_COUNT(schedules); k++) {
        tw_schedule s;
        times("skewed", schedules[k], u, t);
        assert_int_equal(tw_piece_read(ctx, "schedule", schedules[k], tw_schedule_list, &s), TW_OK);
        for (int i = 0; i < N; i++) {
            double ratio = -0.5 * tw_schedule_log_snr(&s, t[i]);
            /* the margin of vp shrinks times by 1e-5 */
            assert_true(fabs(normal_share(ratio, -1.2, 1.2) - u[i]) < (k == 2 ? 2e-3 : 1e-9));
        }
        tw_piece_free(ctx, &s);
    }
    /* the integral of cosh a(t - 1/2), by the midpoint rule */
    times("u_shaped:4", "condot", u, t);
    for (int i = 0; i < N; i += 9) {
        double part = 0, all = 0;
        const int steps = 20000;
        for (int j = 0; j < steps; j++) {
            double at = (j + 0.5) / steps, density = exp(4 * at) + exp(4 * (1 - at));
            all += density / steps;
            part += density / steps * fmin(1, fmax(0, (t[i] - at) * steps + 0.5));
        }
        assert_true(fabs(part / all - u[i]) < 1e-7);
    }
}

/* diffusers' compute_density_for_timestep_sampling: u' = 1 - u - m (cos^2(pi u/2) - 1 + u) is a noise level. */
static void test_mode_of_sd3(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    double u[N], t[N];
    times("mode:0.8", "condot", u, t);
    for (int i = 0; i < N; i++) {
        double noise = 1 - u[i] - 0.8 * (pow(cos(pi * u[i] / 2), 2) - 1 + u[i]);
        assert_true(fabs(1 - t[i] - noise) < 1e-14);
    }
}

static void test_all_grow_within_the_interval(void **state)
{
    (void)state;
    double u[N], t[N], low, high;
    tw_schedule s;
    assert_int_equal(tw_piece_read(ctx, "schedule", "linear_vp", tw_schedule_list, &s), TW_OK);
    tw_schedule_interval(&s, &low, &high);
    for (int i = 0; tw_density_list(i); i++) {
        times(tw_density_list(i)->name, "linear_vp", u, t);
        for (int j = 0; j < N; j++) {
            assert_true(t[j] >= low && t[j] <= high);
            bool falls = strcmp(tw_density_list(i)->name, "skewed") == 0; /* more noise first */
            if (j > 0) assert_true(falls ? t[j] < t[j - 1] : t[j] > t[j - 1]);
        }
    }
    tw_piece_free(ctx, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution_functions),
        cmocka_unit_test(test_mode_of_sd3),
        cmocka_unit_test(test_all_grow_within_the_interval),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
