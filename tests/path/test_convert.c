/* Conversions between predictions: every pair of them on the eight Gaussians, where all are known (tests/path/g8.h);
 * round trips near the ends in f32 as programs compute them; and the ends themselves. */
#include "path/g8.h"

#include "path/convert.h"
#include "path/path.h"

#include "graph/reference.h"
#include "path/schedule_of.h"

#include <thalweg/exec.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VELOCITY = TW_PREDICT_velocity, X1 = TW_PREDICT_x1, X0 = TW_PREDICT_x0, SCORE = TW_PREDICT_score, KINDS = 5 };

/* The prediction of a kind that a pair means, in doubles. */
static double kind_of(int kind, tw_schedule_point at, double x1, double x0)
{
    switch (kind) {
    case VELOCITY:
        return at.d_alpha * x1 + at.d_sigma * x0;
    case X1:
        return x1;
    case X0:
        return x0;
    case SCORE:
        return -x0 / at.sigma;
    default:
        return (at.alpha * x0 - at.sigma * x1) / hypot(at.alpha, at.sigma);
    }
}

/* Converts y (n,2) at x, t by a program in f32 or, `wide`, by the reference in f64. */
static void convert(const tw_schedule *s, int from, int to, int n, bool wide, const double *t, const double *x,
                    const double *y, double *out)
{
    tw_graph *graph = NULL;
    tw_dtype dtype = wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    tw_val in[3] = {tw_input(graph, "t", dtype, tw_shape_of(n)), tw_input(graph, "x", dtype, tw_shape_of(n, 2)),
                    tw_input(graph, "y", dtype, tw_shape_of(n, 2))};
    tw_schedule_values at = tw_schedule_values_at(s, tw_expand_dim(in[0], 1));
    tw_val z = tw_prediction_convert((tw_prediction)from, (tw_prediction)to, &at, in[1], in[2]);
    assert_int_equal(tw_graph_check(graph), TW_OK);
    if (wide) {
        assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){t, x, y}, 1, &z, &out), TW_OK);
    } else {
        float tf[64], xf[128], yf[128], zf[128];
        tw_program *program = NULL;
        tw_state *run = NULL;
        assert_true(n <= 64);
        for (int i = 0; i < n; i++) tf[i] = (float)t[i];
        for (int i = 0; i < 2 * n; i++) xf[i] = (float)x[i], yf[i] = (float)y[i];
        tw_program_desc desc = {
            .name = "conversion", .inputs_count = 3, .inputs = in, .outputs_count = 1, .outputs = &z};
        assert_int_equal(tw_program_compile(ctx, &desc, &program), TW_OK);
        assert_int_equal(tw_state_create(program, 0, &run), TW_OK);
        assert_int_equal(tw_program_run(run, (const void *[]){tf, xf, yf}, (void *[]){zf}, 0), TW_OK);
        for (int i = 0; i < 2 * n; i++) out[i] = (double)zf[i];
        tw_state_destroy(run);
        tw_program_destroy(program);
    }
    tw_graph_destroy(graph);
}

static void test_all_pairs_on_eight_gaussians(void **state)
{
    (void)state;
    static const char *const schedules[] = {"condot", "polynomial:2", "vp",  "sub_vp",    "linear_vp",
                                            "cosine", "ve:0.01,20",   "edm", "rectified", "decay"};
    enum { N = 8 };
    double t[N], x[2 * N], values[KINDS][2 * N], got[2 * N];
    for (int k = 0; k < TW_COUNT(schedules); k++) {
        tw_schedule s = schedule_of(schedules[k]);
        for (int i = 0; i < N; i++) {
            double x1[2], x0[2];
            t[i] = 0.08 + 0.12 * i;
            tw_schedule_point at = tw_schedule_at(&s, t[i]);
            x[2 * i] = (4 * at.alpha + at.sigma) * sin(1.7 * i + 1),
                  x[2 * i + 1] = (4 * at.alpha + at.sigma) * cos(2.3 * i);
            g8_means(at.alpha, at.sigma, x + 2 * i, x1, x0);
            for (int kind = 0; kind < KINDS; kind++)
                for (int j = 0; j < 2; j++) values[kind][2 * i + j] = kind_of(kind, at, x1[j], x0[j]);
        }
        for (int from = 0; from < KINDS; from++)
            for (int to = 0; to < KINDS; to++) {
                convert(&s, from, to, N, true, t, x, values[from], got);
                for (int i = 0; i < 2 * N; i++) {
                    /* 1e-16 times what the worst pair magnifies, sigma 80 against data of size 4 */
                    double error = fabs(got[i] - values[to][i]);
                    if (!(error < 1e-10 * (1 + fabs(values[to][i]))))
                        fail_msg("%s: %s to %s at t = %g: %.17g, expected %.17g", schedules[k],
                                 tw_prediction_list(from)->name, tw_prediction_list(to)->name, t[i / 2], got[i],
                                 values[to][i]);
                }
            }
        tw_piece_free(ctx, &s);
    }
}

/* The closed form itself: its score is the slope of its log-density, and along condot velocity, score and posterior
 * mean are tied by score = (t v - x)/(1 - t), E[x_1 | x] = x + (1 - t) v. */
static void test_eight_gaussians_are_consistent(void **state)
{
    (void)state;
    const double h = 1e-5;
    for (int i = 0; i < 20; i++) {
        double t = 0.05 + 0.045 * i, alpha = t, sigma = 1 - t, x[2] = {3 * sin(i), 3 * cos(2.0 * i)}, x1[2], x0[2];
        g8_means(alpha, sigma, x, x1, x0);
        for (int j = 0; j < 2; j++) {
            double up[2] = {x[0], x[1]}, down[2] = {x[0], x[1]}, v = x1[j] - x0[j];
            up[j] += h, down[j] -= h;
            double slope = (g8_log_density(alpha, sigma, up) - g8_log_density(alpha, sigma, down)) / (2 * h);
            /* h^2 times the third derivative, up to 1/V^2 of 1e3 times distances */
            assert_true(fabs(slope + x0[j] / sigma) < 1e-5 * (1 + fabs(slope)));
            assert_true(fabs((t * v - x[j]) / (1 - t) + x0[j] / sigma) < 1e-10 * (1 + fabs(slope)));
            assert_true(fabs(x[j] + (1 - t) * v - x1[j]) < 1e-13);
        }
    }
}

/* Data, velocity, data again within 1e-6 of an end, in f32: the prediction comes back to 4e-7 of its size (a few
 * roundings), and the point at the other end is not asked for. */
static void test_round_trips_near_the_ends(void **state)
{
    (void)state;
    static const char *const schedules[] = {"condot", "cosine", "vp", "linear_vp", "polynomial:2"};
    static const double times[] = {1e-6, 1e-4, 0.5, 1 - 1e-4, 1 - 1e-6};
    enum { N = TW_COUNT(times) };
    double x[2 * N], y[2 * N], u[2 * N], back[2 * N];
    for (int k = 0; k < TW_COUNT(schedules); k++) {
        tw_schedule s = schedule_of(schedules[k]);
        for (int from = X1; from <= X0; from++) {
            for (int i = 0; i < 2 * N; i++) {
                tw_schedule_point at = tw_schedule_at(&s, times[i / 2]);
                double x1 = 3 * cos(i), x0 = sin(3 * i + 1.0);
                x[i] = at.alpha * x1 + at.sigma * x0;
                y[i] = from == X1 ? x1 : x0;
            }
            convert(&s, from, VELOCITY, N, false, times, x, y, u);
            convert(&s, VELOCITY, from, N, false, times, x, u, back);
            for (int i = 0; i < 2 * N; i++)
                if (!(isfinite(u[i]) && fabs(back[i] - y[i]) < 4e-6))
                    fail_msg("%s, %s at t = %.7g: %.9g became %.9g (velocity %.9g)", schedules[k],
                             tw_prediction_list(from)->name, times[i / 2], y[i], back[i], u[i]);
        }
        tw_piece_free(ctx, &s);
    }
}

/* At an end one point is x itself; what the prediction cannot tell is 0. flow_matching's target_to_velocity of VP gives
 * NaN at t = 1. */
static void test_ends_are_exact(void **state)
{
    (void)state;
    enum { N = 2 };
    const double t[N] = {0, 1}, x[2 * N] = {0.5, -2, 3, 0.25}, y[2 * N] = {1, 2, -1, 4};
    double out[2 * N];
    static const char *const plain[] = {"condot", "cosine", "polynomial:2", "polynomial:1"};
    for (int k = 0; k < TW_COUNT(plain); k++) {
        tw_schedule s = schedule_of(plain[k]);
        for (int from = 0; from < KINDS; from++) {
            convert(&s, from, X0, N, true, t, x, y, out);
            if (from != X0)
                for (int j = 0; j < 2; j++)
                    assert_true(out[j] == (from == SCORE ? -y[j] : x[j])); /* alpha = 0: x is x_0 */
            convert(&s, from, X1, N, true, t, x, y, out);
            if (from != X1)
                for (int j = 2; j < 4; j++) assert_true(out[j] == x[j]); /* sigma = 0: x is x_1 */
            for (int to = 0; to < KINDS; to++) {
                convert(&s, from, to, N, true, t, x, y, out);
                for (int j = 0; j < 2 * N; j++) assert_true(isfinite(out[j]));
            }
        }
        tw_piece_free(ctx, &s);
    }
    /* the velocity of a denoiser that is right at t = 1, D = x: alpha' x, for the mean of x_0 is 0 there */
    tw_schedule s = schedule_of("condot");
    convert(&s, X1, VELOCITY, N, true, t, x, x, out);
    assert_true(out[2] == x[2] && out[3] == x[3]);
    convert(&s, X0, VELOCITY, N, true, t, x, x, out);
    assert_true(out[0] == -x[0] && out[1] == -x[1]);
    tw_piece_free(ctx, &s);
}

/* How errors grow from one prediction to another: half of 1 + half by definition of a linear map. */
static void test_gain_is_the_slope(void **state)
{
    (void)state;
    enum { N = 3 };
    const double t[N] = {0.2, 0.5, 0.8}, x[2 * N] = {1, 2, 3, 4, 5, 6};
    double y[2 * N] = {0}, a[2 * N], b[2 * N], gain[N], *out = gain;
    tw_schedule s = schedule_of("vp:0.5,3");
    for (int from = 0; from < KINDS; from++)
        for (int to = 0; to < KINDS; to++) {
            tw_graph *graph = NULL;
            const double *in = t;
            assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
            tw_val time = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(N));
            tw_schedule_values at = tw_schedule_values_at(&s, time);
            tw_val g = tw_prediction_gain((tw_prediction)from, (tw_prediction)to, &at);
            assert_int_equal(tw_reference_run(ctx, 1, &time, &in, 1, &g, &out), TW_OK);
            tw_graph_destroy(graph);
            for (int i = 0; i < 2 * N; i++) y[i] = 0;
            convert(&s, from, to, N, true, t, x, y, a);
            for (int i = 0; i < 2 * N; i++) y[i] = 1;
            convert(&s, from, to, N, true, t, x, y, b);
            for (int i = 0; i < 2 * N; i++)
                assert_true(fabs(fabs(b[i] - a[i]) - gain[i / 2]) < 1e-11 * (1 + gain[i / 2]));
        }
    tw_piece_free(ctx, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pairs_on_eight_gaussians),
        cmocka_unit_test(test_eight_gaussians_are_consistent),
        cmocka_unit_test(test_round_trips_near_the_ends),
        cmocka_unit_test(test_ends_are_exact),
        cmocka_unit_test(test_gain_is_the_slope),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
