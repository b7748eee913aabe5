/* Guidance: of a mixture known exactly every kind is its formula, written again here in plain numbers; outside its
 * times and at strength 0 it is the unguided flow to the bit; stronger guidance gives purer classes (Zheng et al.
 * 2023); a guide is another network in the same program. */
#include "flow/flow.h"
#include "flow/linear_flow.h"
#include "support/limited_memory.h"
#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"

#include <math.h>
#include <string.h>

#include <cmocka.h>

/* Two classes that overlap, of two components each. */
static const double centre[] = {-1, 0, -3, 1, 1, 0, 2, -2};
static const int class_of[] = {0, 0, 1, 1};
static const tw_mixture mixture = {
    .columns = 2, .components = 4, .deviation = 0.8, .centre = centre, .classes = 2, .class_of = class_of};

/* Its velocity along x_t = t x_1 + (1 - t) x_0: (E[x_1 | x] - x) / (1 - t). told < 0: nothing. */
static void exact_velocity(double t, const double x[2], int told, double out[2])
{
    double v = t * t * 0.64 + (1 - t) * (1 - t), weight[4], sum = 0, mean[2] = {0, 0};
    for (int k = 0; k < 4; k++) {
        double a = x[0] - t * centre[2 * k], b = x[1] - t * centre[2 * k + 1];
        weight[k] = told >= 0 && class_of[k] != told ? 0 : exp(-(a * a + b * b) / (2 * v));
        sum += weight[k];
    }
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 2; j++) {
            double m = centre[2 * k + j];
            mean[j] += weight[k] / sum * (m + t * 0.64 / v * (x[j] - t * m));
        }
    for (int j = 0; j < 2; j++) out[j] = (mean[j] - x[j]) / (1 - t);
}

static void assert_near(double got, double want, double bound)
{
    if (fabs(got - want) <= bound) return;
    fail_msg("%.12g is not %.12g within %g", got, want, bound);
}

enum { POINTS = 40 };
static double times[POINTS], points[POINTS][2], told[POINTS];

static void fill_points(void)
{
    for (int i = 0; i < POINTS; i++) {
        times[i] = 0.03 + 0.93 * i / POINTS;
        points[i][0] = 2.5 * sin(1.7 * i);
        points[i][1] = 2.5 * cos(2.9 * i);
        told[i] = i % 2;
    }
}

static tw_status velocities(tw_flow *flow, double w, const char *kind, const tw_flow *guide, double out[POINTS][2])
{
    fill_points();
    const tw_sample_desc desc = {.conditions = flow->desc.conditions_count ? told : NULL,
                                 .guidance = w,
                                 .guidance_kind = kind,
                                 .guide = guide,
                                 .double_precision = true};
    return tw_velocity(flow, POINTS, times, points[0], &desc, out[0]);
}

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1];
}

typedef void (*rule)(double w, double t, const double *x, const double *u, const double *worse, double *out);

static void cfg(double w, double t, const double *x, const double *u, const double *worse, double *out)
{
    (void)t, (void)x;
    for (int j = 0; j < 2; j++) out[j] = (1 + w) * u[j] - w * worse[j];
}

static void cfg_zero(double w, double t, const double *x, const double *u, const double *worse, double *out)
{
    double s = dot(u, worse) / dot(worse, worse);
    (void)x;
    for (int j = 0; j < 2; j++) out[j] = t < 0.1 ? 0 : (1 + w) * u[j] - w * s * worse[j];
}

/* Algorithm 1 of Sadat et al. on predictions of the data, D = x + (1 - t) u, and back. */
static void apg(double w, double t, const double *x, const double *u, const double *worse, double *out)
{
    const double eta = 0.25, most = 0.5;
    double better[2], diff[2], guided[2];
    for (int j = 0; j < 2; j++) {
        better[j] = x[j] + (1 - t) * u[j];
        diff[j] = better[j] - (x[j] + (1 - t) * worse[j]);
    }
    double shrink = fmin(1, most / sqrt(dot(diff, diff)));
    for (int j = 0; j < 2; j++) diff[j] *= shrink;
    double along = dot(diff, better) / dot(better, better);
    for (int j = 0; j < 2; j++) {
        double parallel = along * better[j];
        guided[j] = better[j] + w * (diff[j] - parallel + eta * parallel);
        out[j] = (guided[j] - x[j]) / (1 - t);
    }
}

static void test_formulas(void **state)
{
    (void)state;
    const struct {
        const char *kind;
        rule rule;
    } cases[] = {{NULL, cfg}, {"cfg", cfg}, {"cfg_zero:0.1", cfg_zero}, {"apg:eta=0.25,norm=0.5", apg}};
    tw_flow *flow;
    double got[POINTS][2];
    assert_int_equal(tw_flow_create_exact(ctx, &mixture, NULL, &flow), TW_OK);
    for (int c = 0; c < TW_COUNT(cases); c++) {
        assert_int_equal(velocities(flow, 1.5, cases[c].kind, NULL, got), TW_OK);
        for (int i = 0; i < POINTS; i++) {
            double u[2], worse[2], want[2];
            exact_velocity(times[i], points[i], (int)told[i], u);
            exact_velocity(times[i], points[i], -1, worse);
            cases[c].rule(1.5, times[i], points[i], u, worse, want);
            for (int j = 0; j < 2; j++) /* rounding, magnified by 1 / (1 - t) <= 25 */
                assert_near(got[i][j], want[j], 1e-11 * (1 + fabs(want[j])));
        }
    }
    tw_flow_destroy(flow);
}

static void test_off_to_the_bit(void **state)
{
    (void)state;
    const char *const level[] = {"a", "b"};
    const tw_condition class = {.name = "class", .classes = 2, .level = level, .scale = 1};
    const tw_flow_desc desc = {.columns = 2,
                               .schedule = "cosine",
                               .seed = 3,
                               .conditions = &class,
                               .conditions_count = 1,
                               .network = {.width = 16, .depth = 1, .time_features = 4}};
    tw_flow *flow;
    double plain[POINTS][2], got[POINTS][2];
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    for (int64_t i = 0; i < tw_params_size(flow->params); i++) /* the last layer begins at 0, which says nothing */
        if (flow->weights[i] == 0) flow->weights[i] = (float)(0.3 * sin(0.7 * (double)i));
    assert_int_equal(velocities(flow, 0, NULL, NULL, plain), TW_OK);
    assert_int_equal(velocities(flow, 0, "apg", NULL, got), TW_OK);
    assert_memory_equal(got, plain, sizeof plain);
    const char *const kinds[] = {"cfg:0.3,0.6", "apg:from=0.3,to=0.6", "cfg_zero:still=0,from=0.3,to=0.6"};
    for (int k = 0; k < TW_COUNT(kinds); k++) {
        assert_int_equal(velocities(flow, 2, kinds[k], NULL, got), TW_OK);
        for (int i = 0; i < POINTS; i++) {
            bool inside = times[i] >= 0.3 && times[i] <= 0.6;
            assert_int_equal(memcmp(got[i], plain[i], sizeof plain[i]) != 0, inside);
        }
    }
    tw_flow_destroy(flow);
}

/* A network apart: the guide is A x + b with another b, told nothing. */
static void test_guide(void **state)
{
    (void)state;
    tw_flow *flow, *guide, *other;
    double plain[POINTS][2], bad[POINTS][2], got[POINTS][2];
    assert_int_equal(linear_flow(ctx, &flow), TW_OK);
    assert_int_equal(linear_flow(ctx, &guide), TW_OK);
    linear_piece(guide, "network.out.bias")[1] = 0.4f;
    assert_int_equal(velocities(flow, 0, NULL, NULL, plain), TW_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(velocities(guide, 0, NULL, NULL, bad), TW_OK);
        assert_int_equal(velocities(flow, 2, NULL, guide, got), TW_OK);
        for (int i = 0; i < POINTS; i++)
            for (int j = 0; j < 2; j++) assert_near(got[i][j], 3 * plain[i][j] - 2 * bad[i][j], 1e-12);
        linear_piece(guide, "network.out.bias")[0] = 0.9f; /* a guide that changed is seen */
        tw_flow_programs_drop(guide);
    }
    tw_flow_destroy(guide);
    assert_int_equal(velocities(flow, 0, NULL, NULL, got), TW_OK); /* and one that is gone is not */
    assert_memory_equal(got, plain, sizeof plain);
    assert_int_equal(tw_flow_create_exact(ctx, &mixture, NULL, &other), TW_OK);
    assert_int_equal(velocities(flow, 2, NULL, other, got), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "that the flow has not"));
    assert_int_equal(velocities(other, 2, "apg:eta=2", NULL, got), TW_ERR_INVALID);
    tw_flow_destroy(other);
    tw_flow_destroy(flow);
}

/* Zheng et al. 2023: w = 0 draws p(x | class); the share of samples that the posterior gives to the class told grows
 * with w. */
static void test_purity(void **state)
{
    (void)state;
    enum { N = 1500 };
    static double x[N][2];
    const double class = 0, strengths[] = {0, 0.5, 1, 2, 4};
    double before = 0;
    tw_flow *flow;
    assert_int_equal(tw_flow_create_exact(ctx, &mixture, NULL, &flow), TW_OK);
    for (int s = 0; s < TW_COUNT(strengths); s++) {
        const tw_sample_desc desc = {
            .seed = 5, .conditions = &class, .same_conditions = true, .guidance = strengths[s]};
        assert_int_equal(tw_sample(flow, N, &desc, x[0], NULL, NULL), TW_OK);
        double purity = 0, mean[2] = {0, 0};
        for (int i = 0; i < N; i++) {
            double sum[2] = {0, 0};
            for (int k = 0; k < 4; k++) {
                double a = x[i][0] - centre[2 * k], b = x[i][1] - centre[2 * k + 1];
                sum[class_of[k]] += exp(-(a * a + b * b) / (2 * 0.64));
            }
            purity += sum[0] / (sum[0] + sum[1]) / N;
            for (int j = 0; j < 2; j++) mean[j] += x[i][j] / N;
        }
        if (s == 0) /* mean of class 0; deviations sqrt(0.64 + 1), sqrt(0.64 + 0.25); four standard errors */
            for (int j = 0; j < 2; j++) assert_near(mean[j], j == 0 ? -2 : 0.5, 4 * 1.281 / sqrt(N));
        assert_true(purity > before);
        before = purity;
    }
    tw_flow_destroy(flow);
}

/* With noise the score follows from the guided velocity: samples stay in the class. */
static void test_noise(void **state)
{
    (void)state;
    enum { N = 200 };
    static double a[N][2];
    const double class = 1;
    tw_flow *flow;
    assert_int_equal(tw_flow_create_exact(ctx, &mixture, NULL, &flow), TW_OK);
    const tw_sample_desc desc = {.solver.steps = 100,
                                 .diffusion = "sigma",
                                 .conditions = &class,
                                 .same_conditions = true,
                                 .guidance = 1,
                                 .guidance_kind = "apg"};
    assert_int_equal(tw_sample(flow, N, &desc, a[0], NULL, NULL), TW_OK);
    double mean = 0;
    for (int i = 0; i < N; i++) mean += a[i][0] / N;
    assert_true(mean > 1 && mean < 3); /* class 1 has its mean at 1.5 */
    tw_flow_destroy(flow);
}

static tw_status guided_by_another(tw_context *c, void *user)
{
    tw_flow *flow = NULL, *guide = NULL;
    double x[4] = {1, 2, 3, 4}, t[2] = {0.2, 0.7}, u[4];
    (void)user;
    tw_status status = linear_flow(c, &flow);
    if (status == TW_OK) status = linear_flow(c, &guide);
    const tw_sample_desc desc = {
        .guidance = 1, .guidance_kind = "apg:norm=1", .guide = guide, .double_precision = true};
    if (status == TW_OK) status = tw_velocity(flow, 2, t, x, &desc, u);
    tw_flow_destroy(flow);
    tw_flow_destroy(guide);
    return status;
}

static void test_memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(guided_by_another, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_formulas, setup, teardown),
        cmocka_unit_test_setup_teardown(test_off_to_the_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guide, setup, teardown),
        cmocka_unit_test_setup_teardown(test_purity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_noise, setup, teardown),
        cmocka_unit_test(test_memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
