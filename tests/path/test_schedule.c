/* Schedules: values of other libraries, slopes against differences, inverses, the same numbers on a graph and on the
 * host, finite at both ends; reading their parameters; and following one schedule with a model of another. */
#include "path/convert.h"
#include "path/path.h"

#include "graph/reference.h"
#include "support/limited_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

static tw_schedule schedule_of(const char *text)
{
    tw_schedule schedule;
    tw_status status = tw_piece_read(ctx, "schedule", text, tw_schedule_list, &schedule);
    if (status != TW_OK) fail_msg("%s: %s", text, tw_context_error(ctx));
    return schedule;
}

/* Every schedule with its defaults, and some with others. */
static const char *const all[] = {"condot",    "polynomial", "polynomial:1", "polynomial:3.5", "polynomial:0.5",
                                  "vp",        "vp:1,1",     "vp:0.5,3",     "sub_vp",         "linear_vp",
                                  "cosine",    "gvp",        "ve",           "ve:0.01,50",     "edm",
                                  "edm:rho=3", "rectified",  "decay",        "rectified:0,0",  "decay:0.5,0,0"};

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, expected %.17g", got, want);
}

/* flow_matching 1.0.10, float64; its time is ours. alpha, sigma and their slopes at 0.1, 0.5, 0.9. */
static void test_values_of_flow_matching(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double values[3][4];
    } golden[] = {
        {"vp",
         {{0.0169964633, 0.9998555497, 0.1530531517, -0.0026017381},
          {0.2811828808, 0.9596542021, 1.4129439760, -0.4139987682},
          {0.9467217988, 0.3220525355, 0.9893242798, -2.9082673118}}},
        {"linear_vp",
         {{0.1, 0.9949874371, 1, -0.1005037815},
          {0.5, 0.8660254038, 1, -0.5773502692},
          {0.9, 0.4358898944, 1, -2.0647416048}}},
        {"cosine",
         {{0.1564344650, 0.9876883406, 1.5514572174, -0.2457266831},
          {0.7071067812, 0.7071067812, 1.1107207345, -1.1107207345},
          {0.9876883406, 0.1564344650, 0.2457266831, -1.5514572174}}},
        /* t^n, 1 - t^n */
        {"polynomial:3", {{0.001, 0.999, 0.03, -0.03}, {0.125, 0.875, 0.75, -0.75}, {0.729, 0.271, 2.43, -2.43}}},
        {"condot", {{0.1, 0.9, 1, -1}, {0.5, 0.5, 1, -1}, {0.9, 0.1, 1, -1}}},
    };
    for (int i = 0; i < TW_COUNT(golden); i++) {
        tw_schedule s = schedule_of(golden[i].name);
        for (int j = 0; j < 3; j++) {
            tw_schedule_point at = tw_schedule_at(&s, 0.1 + 0.4 * j);
            const double *want = golden[i].values[j];
            near(at.alpha, want[0], 1e-9);
            near(at.sigma, want[1], 1e-9);
            near(at.d_alpha, want[2], 1e-9);
            near(at.d_sigma, want[3], 1e-9);
        }
        tw_piece_free(ctx, &s);
    }
    tw_schedule vp = schedule_of("vp");
    near(tw_schedule_at(&vp, 0).alpha, 0.0065715865, 1e-9);
    near(tw_schedule_at(&vp, 0).sigma, 0.9999784069, 1e-9);
    tw_piece_free(ctx, &vp);
}

/* azula 2026-04, whose time runs from data to noise: alpha, sigma by its formulas. EDM: Karras et al. 2022, eq. 5. */
static void test_formulas_of_azula_and_edm(void **state)
{
    (void)state;
    tw_schedule ve = schedule_of("ve"), rectified = schedule_of("rectified"), decay = schedule_of("decay");
    tw_schedule edm = schedule_of("edm");
    for (int i = 0; i <= 10; i++) {
        double noise = 0.1 * i, least = 1e-3, tau = (1 - pow(0.1, noise)) / (1 - 0.1);
        double t = 1 - noise;
        near(log(tw_schedule_at(&ve, t).sigma), (1 - noise) * log(1e-3) + noise * log(1e3), 1e-12);
        near(tw_schedule_at(&rectified, t).alpha, noise * least + (1 - noise), 1e-15);
        near(tw_schedule_at(&rectified, t).sigma, noise + (1 - noise) * least, 1e-15);
        near(tw_schedule_at(&decay, t).alpha, tau * least + (1 - tau), 1e-14);
        near(tw_schedule_at(&decay, t).sigma, tau + (1 - tau) * least, 1e-14);
        double high = pow(80, 1.0 / 7), low = pow(0.002, 1.0 / 7);
        near(tw_schedule_at(&edm, t).sigma, pow(high + t * (low - high), 7), 1e-12 * 80);
    }
    tw_piece_free(ctx, &ve);
    tw_piece_free(ctx, &rectified);
    tw_piece_free(ctx, &decay);
    tw_piece_free(ctx, &edm);
}

static void test_slopes_are_differences(void **state)
{
    (void)state;
    const double h = 1e-5; /* error h^2 f''' / 6 and 1e-16 f / h: below 1e-7 of the largest slope, ve's 1e4 */
    for (int i = 0; i < TW_COUNT(all); i++) {
        tw_schedule s = schedule_of(all[i]);
        for (double t = 0.05; t < 0.99; t += 0.09) {
            tw_schedule_point a = tw_schedule_at(&s, t - h), b = tw_schedule_at(&s, t + h), at = tw_schedule_at(&s, t);
            double scale = 1 + fabs(at.d_sigma) + fabs(at.d_alpha);
            near((b.alpha - a.alpha) / (2 * h), at.d_alpha, 1e-7 * scale);
            near((b.sigma - a.sigma) / (2 * h), at.d_sigma, 1e-7 * scale);
        }
        tw_piece_free(ctx, &s);
    }
}

static void test_log_snr_and_back(void **state)
{
    (void)state;
    for (int i = 0; i < TW_COUNT(all); i++) {
        tw_schedule s = schedule_of(all[i]);
        for (double t = 0.01; t < 1; t += 0.01) near(tw_schedule_time(&s, tw_schedule_log_snr(&s, t)), t, 1e-12);
        /* ends, and what lies beyond them */
        near(tw_schedule_time(&s, tw_schedule_log_snr(&s, 0)), 0, 1e-12);
        near(tw_schedule_time(&s, tw_schedule_log_snr(&s, 1)), 1, 1e-12);
        assert_true(tw_schedule_time(&s, (double)-INFINITY) == 0);
        assert_true(tw_schedule_time(&s, (double)INFINITY) == 1);
        for (int j = 0; j < 100; j++) /* growing */
            assert_true(tw_schedule_log_snr(&s, 0.01 * j) < tw_schedule_log_snr(&s, 0.01 * (j + 1)));
        tw_piece_free(ctx, &s);
    }
}

/* flow_matching's VP has an infinite slope at t = 1, and conversions there give NaN; here such ends are found and left
 * by a margin, and values are finite everywhere. */
static void test_ends(void **state)
{
    (void)state;
    for (int i = 0; i < TW_COUNT(all); i++) {
        tw_schedule s = schedule_of(all[i]);
        double low, high;
        tw_schedule_interval(&s, &low, &high);
        bool vp = strncmp(all[i], "vp", 2) == 0 || strcmp(all[i], "linear_vp") == 0;
        bool root = strcmp(all[i], "polynomial:0.5") == 0;
        assert_true(low == (root ? TW_SCHEDULE_MARGIN : 0));
        assert_true(high == (vp ? 1 - TW_SCHEDULE_MARGIN : 1));
        for (int end = 0; end < 2; end++) {
            tw_schedule_point at = tw_schedule_at(&s, end), in = tw_schedule_at(&s, end ? high : low);
            assert_true(isfinite(at.alpha) && isfinite(at.sigma));
            assert_true(isfinite(in.d_alpha) && isfinite(in.d_sigma));
        }
        assert_true(tw_schedule_at(&s, 1).alpha == 1);
        tw_piece_free(ctx, &s);
    }
}

/* alpha, sigma, slopes, and the time of alpha : sigma, all n of them */
static void on_graph(const tw_schedule *s, int n, const double *t, double *out[5])
{
    tw_graph *graph = NULL;
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    tw_val in = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(n));
    tw_schedule_values at = tw_schedule_values_at(s, in);
    tw_val outs[5] = {at.alpha, at.sigma, at.d_alpha, at.d_sigma, tw_schedule_time_of(s, at.alpha, at.sigma)};
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 1, &in, &t, 5, outs, out), TW_OK);
    tw_graph_destroy(graph);
}

static void test_graph_and_host_agree(void **state)
{
    (void)state;
    enum { N = 23 };
    double t[N], values[5][N], *out[5];
    for (int k = 0; k < 5; k++) out[k] = values[k];
    for (int i = 0; i < TW_COUNT(all); i++) {
        tw_schedule s = schedule_of(all[i]);
        double low, high;
        tw_schedule_interval(&s, &low, &high);
        for (int j = 0; j < N; j++) t[j] = low + (high - low) * j / (N - 1);
        on_graph(&s, N, t, out);
        for (int j = 0; j < N; j++) {
            tw_schedule_point at = tw_schedule_at(&s, t[j]);
            near(values[0][j], at.alpha, 1e-14);
            near(values[1][j], at.sigma, 1e-14 * (1 + at.sigma));
            near(values[2][j], at.d_alpha, 1e-12 * (1 + fabs(at.d_alpha)));
            near(values[3][j], at.d_sigma, 1e-12 * (1 + fabs(at.d_sigma)));
            near(values[4][j], t[j], 1e-11);
        }
        tw_piece_free(ctx, &s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_flow_matching),
        cmocka_unit_test(test_formulas_of_azula_and_edm),
        cmocka_unit_test(test_slopes_are_differences),
        cmocka_unit_test(test_log_snr_and_back),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_graph_and_host_agree),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
