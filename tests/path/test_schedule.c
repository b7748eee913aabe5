/* Schedules: values of other libraries, slopes against differences, inverses, the same numbers on a graph and on the
 * host, finite at both ends; reading their parameters; and following one schedule with a model of another. */
#include "path/convert.h"
#include "path/path.h"

#include "graph/reference.h"
#include "support/limited_memory.h"
#include "path/schedule_of.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Every schedule with its defaults, and some with others. */
static const char *const all[] = {"condot",
                                  "polynomial",
                                  "polynomial:1",
                                  "polynomial:3.5",
                                  "polynomial:0.5",
                                  "cubic",
                                  "cubic:1,2",
                                  "cubic:0,2",
                                  "mask_cosine",
                                  "geodesic",
                                  "geodesic:0.0078125",
                                  "vp",
                                  "vp:1,1",
                                  "vp:0.5,3",
                                  "sub_vp",
                                  "linear_vp",
                                  "cosine",
                                  "gvp",
                                  "ve",
                                  "ve:0.01,50",
                                  "edm",
                                  "edm:rho=3",
                                  "rectified",
                                  "decay",
                                  "rectified:0,0",
                                  "decay:0.5,0,0",
                                  "table:0,0,1,1,1,0",
                                  "table:0,0,1,0.3,0.4,0.8,0.5,0.5,0.6,0.9,0.93,0.2,1,1,0",
                                  "table:0,0.05,1,0.25,0.1,0.9,1,1,0.01"};

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
        for (double t = 0.047; t < 0.99; t += 0.091) { /* not where rows of a table meet */
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
        near(tw_schedule_at(&s, 1).alpha, 1, strncmp(all[i], "table", 5) == 0 ? 2e-16 : 0);
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

/* A table takes its own rows, follows what it was made from, and is straight where two rows leave no choice. */
static tw_schedule table_of(const char *name, int rows)
{
    char text[8000] = "table:";
    size_t used = strlen(text);
    tw_schedule s = schedule_of(name);
    for (int i = 0; i < rows; i++) {
        double t = (double)i / (rows - 1);
        tw_schedule_point at = tw_schedule_at(&s, t);
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.17g,%.17g,%.17g", i ? "," : "", t, at.alpha,
                                 at.sigma);
    }
    tw_piece_free(ctx, &s);
    tw_schedule table = schedule_of(text);
    assert_int_equal(tw_schedule_check(ctx, &table), TW_OK);
    return table;
}

static void test_table(void **state)
{
    (void)state;
    tw_schedule cosine = schedule_of("cosine"), table = table_of("cosine", 33);
    for (int i = 0; i <= 1000; i++) {
        double t = 0.001 * i;
        tw_schedule_point got = tw_schedule_at(&table, t), want = tw_schedule_at(&cosine, t);
        near(got.alpha, want.alpha, 1e-14); /* the place on the circle is linear in t, the radius 1 */
        near(got.sigma, want.sigma, 1e-14);
        near(got.d_sigma, want.d_sigma, 1e-11);
    }
    tw_piece_free(ctx, &table);
    tw_piece_free(ctx, &cosine);
    /* others are met at the rows, and between them to second order at least */
    double worst[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        int bins = 16 << k;
        tw_schedule square = table_of("polynomial:2", bins + 1);
        for (int i = 0; i <= 10 * bins; i++) {
            double t = (double)i / (10 * bins), error = fabs(tw_schedule_at(&square, t).alpha - t * t);
            if (i % 10 == 0) near(error, 0, 1e-15);
            worst[k] = fmax(worst[k], error);
        }
        tw_piece_free(ctx, &square);
    }
    assert_true(worst[0] < 2e-3 && worst[1] < worst[0] / 3.8);
}

static void test_bad_tables(void **state)
{
    (void)state;
    const struct {
        const char *text, *says;
    } bad[] = {{"table:0,0,1,1,1", "rows of t, alpha, sigma"},
               {"table:0,0,1", "at least two"},
               {"table:0,0,1,0.9,1,0", "from t = 0 to t = 1"},
               {"table:0,0,1,1,0.9,0", "where alpha = 1"},
               {"table:0,0,1,0,0.5,0.5,1,1,0", "row 2: t is 0 after 0"},
               {"table:0,0,1,0.5,0,0.5,1,1,0", "row 2: alpha/sigma does not grow"},
               {"table:0,0,0,1,1,0", "row 1: alpha and sigma are both 0"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_schedule s = schedule_of(bad[i].text);
        assert_int_equal(tw_schedule_check(ctx, &s), TW_ERR_INVALID);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("%s: %s", bad[i].text, tw_context_error(ctx));
        tw_piece_free(ctx, &s);
    }
}

/* --- another schedule after training ---------------------------------------------------------------------------------
 */

/* Data N(m, s^2): the marginal velocity in closed form. */
static const double mean = 1.5, deviation = 0.4;

static double exact_velocity(tw_schedule_point at, double x)
{
    double variance = at.alpha * at.alpha * deviation * deviation + at.sigma * at.sigma, off = x - at.alpha * mean;
    double x1 = mean + at.alpha * deviation * deviation / variance * off, x0 = at.sigma / variance * off;
    return at.d_alpha * x1 + at.d_sigma * x0;
}

static tw_val exact_on_graph(const tw_schedule *schedule, tw_val t, tw_val x)
{
    tw_schedule_values at = tw_schedule_values_at(schedule, t);
    tw_val variance = tw_add(tw_muls(tw_square(at.alpha), deviation * deviation), tw_square(at.sigma));
    tw_val off = tw_div(tw_sub(x, tw_muls(at.alpha, mean)), variance);
    tw_val x1 = tw_adds(tw_muls(tw_mul(at.alpha, off), deviation * deviation), mean);
    return tw_add(tw_mul(at.d_alpha, x1), tw_mul(at.d_sigma, tw_mul(at.sigma, off)));
}

/* The velocity of `from` brought to `to` is the velocity of `to`, whose marginals have a closed form of their own; ends
 * included. flow_matching's transform (its D9) divides by sigma = 0 at t = 1: rk4 from condot to cosine ends at -1e5.
 */
static void test_change_gives_the_other_velocity(void **state)
{
    (void)state;
    static const char *const names[] = {
        "condot",     "cosine",       "vp",
        "linear_vp",  "polynomial:2", "edm",
        "ve:0.01,50", "sub_vp",       "table:0,0,1,0.3,0.4,0.8,0.5,0.5,0.6,0.9,0.93,0.2,1,1,0"};
    enum { N = 11 };
    double r[N], x[N], got[N], *out = got;
    for (int i = 0; i < TW_COUNT(names); i++)
        for (int j = 0; j < TW_COUNT(names); j++) {
            tw_schedule from = schedule_of(names[i]), to = schedule_of(names[j]);
            double low, high;
            tw_graph *graph = NULL;
            tw_schedule_interval(&from, &low, &high);
            tw_schedule_change_interval(&from, low, high, &to, &low, &high);
            assert_true(low >= 0 && high <= 1 && low < 0.2 && high > 0.8);
            for (int k = 0; k < N; k++) {
                r[k] = low + (high - low) * k / (N - 1);
                tw_schedule_point at = tw_schedule_at(&to, r[k]);
                x[k] = at.alpha * mean + hypot(at.alpha, at.sigma) * sin(k);
            }
            assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
            tw_val in[2] = {tw_input(graph, "r", TW_DTYPE_F64, tw_shape_of(N)),
                            tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(N))};
            tw_schedule_change c = tw_schedule_change_at(&from, &to, in[0]);
            tw_val u = exact_on_graph(&from, c.t, tw_div(in[1], c.scale));
            tw_val changed = tw_add(tw_mul(tw_div(c.d_scale, c.scale), in[1]), tw_mul(tw_mul(c.scale, c.d_t), u));
            assert_int_equal(tw_graph_check(graph), TW_OK);
            assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){r, x}, 1, &changed, &out), TW_OK);
            for (int k = 0; k < N; k++) {
                double want = exact_velocity(tw_schedule_at(&to, r[k]), x[k]);
                /* near an end that is left by a margin the slopes are 1e2 and the ratio has lost 1e5 roundings */
                double tolerance = (k == 0 || k == N - 1 ? 1e-5 : 1e-8) * (1 + fabs(want));
                if (!(fabs(got[k] - want) < tolerance))
                    fail_msg("%s to %s at %.17g: %.12g, expected %.12g", names[i], names[j], r[k], got[k], want);
            }
            tw_graph_destroy(graph);
            tw_piece_free(ctx, &from);
            tw_piece_free(ctx, &to);
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
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_change_gives_the_other_velocity),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
