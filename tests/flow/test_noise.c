/* Sampling with noise: the distribution of the flow whatever is added, the flow itself when nothing is, finite at the
 * ends for every schedule, log-densities of steps. The flows are Gaussian: a network that says "x_1 = m" wherever it is
 * asked is exact for data at the point m, whose path is N(alpha m, sigma^2); one that says "velocity 0" is exact for
 * standard normal data along `cosine`. */
#include "flow/diffusion.h"
#include "flow/flow.h"
#include "flow/mixture.h"
#include "path/schedule.h"
#include "solve/sde.h"
#include "support/limited_memory.h"
#include "support/normality.h"
#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"

#include <math.h>
#include <string.h>

#include <cmocka.h>

static const double mean[2] = {1.5, -0.75};

/* A network that answers `answer` (2) everywhere. */
static tw_status constant_flow(tw_context *c, const char *schedule, const char *predict, const double *answer,
                               tw_flow **out)
{
    tw_flow_desc desc = {.columns = 2,
                         .schedule = schedule,
                         .predict = predict,
                         .network = {.width = 4, .depth = 1, .time_features = 2}};
    tw_status status = tw_flow_create(c, &desc, out);
    if (status != TW_OK) return status;
    tw_flow *f = *out;
    memset(f->weights, 0, (size_t)tw_params_size(f->params) * sizeof(float));
    bool found = false;
    for (int i = 0; i < tw_params_count(f->params); i++) {
        if (strcmp(tw_params_name(f->params, i), "network.out.bias") != 0) continue;
        for (int j = 0; j < 2; j++) f->weights[tw_params_offset(f->params, i) + j] = (float)answer[j];
        found = true;
    }
    assert_true(found);
    for (int j = 0; j < 2; j++) {
        f->normaliser.shift[j] = 0;
        f->normaliser.scale[j] = 1;
    }
    return TW_OK;
}

static tw_flow *flow_of(const char *schedule, const char *predict, const double *answer)
{
    tw_flow *f = NULL;
    tw_status status = constant_flow(ctx, schedule, predict, answer, &f);
    if (status != TW_OK) print_error("%s\n", tw_context_error(ctx));
    assert_int_equal(status, TW_OK);
    return f;
}

static void sample(tw_flow *f, int64_t n, tw_sample_desc desc, double *out, double *frames)
{
    tw_status status = tw_sample(f, n, &desc, out, frames, NULL);
    if (status != TW_OK) print_error("%s\n", tw_context_error(ctx));
    assert_int_equal(status, TW_OK);
}

/* ---- distributions ---- */

enum { N = 6000 };
static double out[2 * N], frames[3 * 2 * N], column[N];

static void assert_normal(const double *x, int j, double m, double s)
{
    double variance = 0;
    for (int i = 0; i < N; i++) {
        column[i] = (x[2 * i + j] - m) / s;
        variance += column[i] * column[i] / N;
    }
    if (fabs(variance - 1) >= 5 * sqrt(2.0 / N)) print_error("variance %g\n", variance);
    assert_true(fabs(variance - 1) < 5 * sqrt(2.0 / N));
    assert_true(normality(column, N) >= 1e-5);
}

static void standard_normal_data_stay_it(void **state)
{
    (void)state;
    const double zero[2] = {0, 0};
    tw_flow *f = flow_of("cosine", "velocity", zero);
    const char *const diffusions[] = {"sigma", "constant:2", "linear:3", "decreasing", "increasing_decreasing:2",
                                      "sbdm"};
    const char *const methods[] = {"srk", "heun", "midpoint", "heun", "srk", "heun"};
    for (int d = 0; d < TW_COUNT(diffusions); d++) {
        tw_sample_desc desc = {.diffusion = diffusions[d], .seed = 3, .solver = {.method = methods[d], .steps = 60}};
        if (d == 1) desc.grid = "shift:2";
        sample(f, N, desc, out, NULL);
        for (int j = 0; j < 2; j++) assert_normal(out, j, 0, 1);
        /* it moved: without noise this flow stands still */
        double source[2];
        tw_source_row(f->model.source, 3, 7, 0, 2, source);
        assert_true(fabs(out[0] - source[0]) > 1e-3);
    }
    tw_flow_destroy(f);
}

static void a_point_is_reached_through_the_right_widths(void **state)
{
    (void)state;
    tw_flow *f = flow_of("condot", "x1", mean);
    const char *const diffusions[] = {"sigma", "constant", "sbdm", "sigma:0"};
    for (int d = 0; d < TW_COUNT(diffusions); d++) {
        tw_sample_desc desc = {
            .diffusion = diffusions[d], .frames = 3, .seed = 5, .solver = {.method = "srk", .steps = 120}};
        sample(f, N, desc, out, frames);
        for (int j = 0; j < 2; j++) assert_normal(frames + 2 * N, j, 0.5 * mean[j], 0.5);
        double square = 0, h = 1.0 / 120;
        for (int i = 0; i < 2 * N; i++) square += (out[i] - mean[i % 2]) * (out[i] - mean[i % 2]) / (2 * N);
        /* the last step begins at sigma = h and adds noise of that size; the weights of srk enlarge it */
        assert_true(sqrt(square) < 3 * h);
    }
    tw_flow_destroy(f);
}

/* ---- nothing added ---- */

static void no_noise_is_the_flow(void **state)
{
    (void)state;
    enum { FEW = 100 };
    double with[2 * FEW], without[2 * FEW];
    tw_flow *f = flow_of("cosine", "x1", mean);
    tw_sample_desc desc = {
        .diffusion = "constant:0", .double_precision = true, .solver = {.method = "heun", .steps = 30}};
    tw_sample_desc plain = {.double_precision = true, .solver = {.method = "heun2", .steps = 30}};
    sample(f, FEW, desc, with, NULL);
    sample(f, FEW, plain, without, NULL);
    for (int i = 0; i < 2 * FEW; i++) assert_true(fabs(with[i] - without[i]) < 1e-12);
    tw_flow_destroy(f);
}

/* ---- ends ---- */

static void every_schedule_and_method_is_finite(void **state)
{
    (void)state;
    enum { FEW = 20 };
    double x[2 * FEW];
    const tw_piece_info *schedule, *diffusion;
    const tw_sde_method_info *method;
    for (int s = 0; (schedule = tw_schedule_list(s)); s++) {
        if (strcmp(schedule->name, "table") == 0) continue;
        tw_flow *f = flow_of(schedule->name, "x1", mean);
        for (int d = 0; (diffusion = tw_diffusion_list(d)); d++)
            for (int m = 0; (method = tw_sde_method_list(m)); m++) {
                tw_sample_desc desc = {.diffusion = diffusion->name, .solver = {.method = method->name, .steps = 9}};
                sample(f, FEW, desc, x, NULL);
                for (int i = 0; i < 2 * FEW; i++) assert_true(isfinite(x[i]));
            }
        tw_flow_destroy(f);
    }
}

/* SiT stores this one as "inccreasing-decreasing" while its options offer "increasing-decreasing": it always fails. */
static void sit_option_that_cannot_be_reached(void **state)
{
    (void)state;
    tw_diffusion d = {.step = 1e-3};
    tw_piece condot = {0};
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &condot), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "diffusion", "increasing_decreasing:2", tw_diffusion_list, &d.piece), TW_OK);
    d.schedule = &condot;
    assert_true(fabs(tw_diffusion_at(&d, 0.25) - 1) < 1e-12);
    assert_true(fabs(tw_diffusion_at(&d, 0.5) - 2) < 1e-12);
    tw_piece_free(ctx, &d.piece);
    tw_piece_free(ctx, &condot);
}

/* Values by the formulas of SiT's paper and program, along condot. */
static void diffusions_are_as_published(void **state)
{
    (void)state;
    const struct {
        const char *name;
        double at[2]; /* t = 0.25, 0.5 */
    } want[] = {{"sigma:2", {1.5, 1}},
                {"constant:3", {3, 3}},
                {"linear", {0.75, 0.5}},
                {"decreasing", {0.72855339059327376, 0.25}},
                {"sbdm", {2 * 0.75 / 0.25, 2}}};
    tw_piece condot = {0};
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &condot), TW_OK);
    for (int i = 0; i < TW_COUNT(want); i++) {
        tw_diffusion d = {.schedule = &condot, .step = 0.01};
        assert_int_equal(tw_piece_read(ctx, "diffusion", want[i].name, tw_diffusion_list, &d.piece), TW_OK);
        assert_true(fabs(tw_diffusion_at(&d, 0.25) - want[i].at[0]) < 1e-12);
        assert_true(fabs(tw_diffusion_at(&d, 0.5) - want[i].at[1]) < 1e-12);
        assert_true(tw_diffusion_at(&d, 1) == 0);
        assert_true(isfinite(tw_diffusion_at(&d, 0)));
        tw_piece_free(ctx, &d.piece);
    }
    tw_piece_free(ctx, &condot);
}

/* ---- log-densities of steps ---- */

static void log_densities_of_steps(void **state)
{
    (void)state;
    enum { FEW = 300, STEPS = 10 };
    static double x[2 * FEW], states[(STEPS + 1) * 2 * FEW], log_prob[STEPS * FEW];
    double low, high;
    tw_flow *f = flow_of("condot", "x1", mean);
    tw_flow_interval(f, &low, &high);
    const double h = (high - low) / STEPS;
    tw_sample_desc desc = {.diffusion = "constant:0.6",
                           .frames = STEPS + 1,
                           .log_prob = log_prob,
                           .double_precision = true,
                           .solver = {.method = "euler", .steps = STEPS}};
    sample(f, FEW, desc, x, states);
    for (int n = 0; n < STEPS; n++) {
        double t = low + n * h, s = 1 - t, w = fmin(0.6, s * s / h);
        for (int i = 0; i < FEW; i++) {
            double sum = 0;
            for (int j = 0; j < 2; j++) {
                double m = (double)(float)mean[j], now = states[(n * FEW + i) * 2 + j];
                double next = states[((n + 1) * FEW + i) * 2 + j], z = (now - t * m) / s;
                double step = now + h * (m - z - 0.5 * w * z / s); /* u = m - x_0, score = -x_0 / sigma */
                sum -= 0.5 * (next - step) * (next - step) / (h * w) + 0.5 * log(6.283185307179586 * h * w);
            }
            assert_true(fabs(sum - log_prob[n * FEW + i]) < 1e-8 * (1 + fabs(sum)));
        }
    }
    tw_flow_destroy(f);
}

/* ---- steps chosen by their error ---- */

static const double bumps_centre[] = {1.2, 0, 0, 1.2, -1.2, 0, 0, -1.2};
static const int bumps_class[] = {0, 1, 0, 1};
static const tw_mixture bumps = {
    .columns = 2, .components = 4, .deviation = 0.3, .centre = bumps_centre, .classes = 2, .class_of = bumps_class};

static void tolerances_keep_the_distribution(void **state)
{
    (void)state;
    const double zero[2] = {0, 0};
    tw_flow *f = flow_of("cosine", "velocity", zero);
    const char *const methods[] = {"heun", "srk", "midpoint"};
    for (int k = 0; k < TW_COUNT(methods); k++) {
        tw_sample_desc desc = {
            .diffusion = "constant:2", .seed = 9, .solver = {.method = methods[k], .rtol = 1e-2, .atol = 1e-2}};
        sample(f, N, desc, out, NULL);
        for (int j = 0; j < 2; j++) assert_normal(out, j, 0, 1);
    }
    tw_flow_destroy(f);
}

/* The path is the same whatever the tolerance, so that what a tolerance loses can be seen row by row. */
static void errors_follow_tolerances(void **state)
{
    (void)state;
    enum { ROWS = 100 };
    static double best[2 * ROWS], x[2 * ROWS];
    const double tolerances[] = {3e-5, 1e-2, 1e-3};
    double error[3] = {0};
    tw_flow *f = NULL;
    tw_ode_stats stats;
    assert_int_equal(tw_flow_create_exact(ctx, &bumps, NULL, &f), TW_OK);
    for (int k = 0; k < 3; k++) {
        tw_sample_desc desc = {.diffusion = "sigma",
                               .seed = 4,
                               .double_precision = true,
                               .solver = {.method = "srk", .rtol = tolerances[k], .atol = tolerances[k]}};
        assert_int_equal(tw_sample(f, ROWS, &desc, k == 0 ? best : x, NULL, &stats), TW_OK);
        assert_true(stats.nfe_mean <= (double)stats.nfe && stats.accepted >= 10 * ROWS);
        for (int i = 0; i < 2 * ROWS && k > 0; i++) error[k] += fabs(x[i] - best[i]) / (2 * ROWS);
    }
    assert_true(error[1] < 1e-2 && error[2] < error[1] / 3);
    tw_flow_destroy(f);
}

/* Rows that are done leave the others their places: what each is told stays its own. */
static void rows_of_chosen_steps_are_told_their_own(void **state)
{
    (void)state;
    enum { ROWS = 200 };
    static double each[2 * ROWS], all[2][2 * ROWS], told[ROWS];
    tw_flow *f = NULL;
    tw_sample_desc desc = {.diffusion = "sigma", .seed = 6, .solver = {.rtol = 1e-3, .atol = 1e-3}};
    assert_int_equal(tw_flow_create_exact(ctx, &bumps, NULL, &f), TW_OK);
    desc.same_conditions = true;
    for (int c = 0; c < 2; c++) {
        told[0] = c;
        desc.conditions = told;
        sample(f, ROWS, desc, all[c], NULL);
    }
    for (int i = 0; i < ROWS; i++) told[i] = i * 7 % 3 == 0;
    desc.same_conditions = false;
    sample(f, ROWS, desc, each, NULL);
    for (int i = 0; i < ROWS; i++) assert_memory_equal(each + 2 * i, all[(int)told[i]] + 2 * i, 2 * sizeof *each);
    tw_flow_destroy(f);
}

/* ---- rows, threads, refusals ---- */

static void rows_and_threads(void **state)
{
    (void)state;
    enum { MANY = 1000, FEW = 130 };
    static double x[3][2 * MANY], few[2 * FEW];
    for (int i = 0; i < 3; i++) {
        tw_context *c = tw_context_create(&(tw_context_desc){.threads = i + 1});
        tw_flow *f = NULL;
        assert_int_equal(constant_flow(c, "condot", "x1", mean, &f), TW_OK);
        tw_sample_desc desc = {.diffusion = "sigma", .seed = 8, .solver = {.steps = 12}};
        assert_int_equal(tw_sample(f, MANY, &desc, x[i], NULL, NULL), TW_OK);
        assert_int_equal(tw_sample(f, FEW, &desc, few, NULL, NULL), TW_OK);
        assert_memory_equal(few, x[i], sizeof few);
        assert_memory_equal(x[0], x[i], sizeof x[0]);
        tw_flow_destroy(f);
        tw_context_destroy(c);
    }
}

static void refuse(tw_flow *f, tw_sample_desc desc, const char *word)
{
    double x[2];
    assert_int_not_equal(tw_sample(f, 1, &desc, x, NULL, NULL), TW_OK);
    if (!strstr(tw_context_error(ctx), word)) print_error("'%s' without '%s'\n", tw_context_error(ctx), word);
    assert_non_null(strstr(tw_context_error(ctx), word));
}

static void refusals(void **state)
{
    (void)state;
    double log_prob[100];
    tw_flow *f = flow_of("condot", "x1", mean);
    refuse(f, (tw_sample_desc){.diffusion = "sigmoid"}, "sigma");
    refuse(f, (tw_sample_desc){.diffusion = "sigma:-1"}, "scale");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .solver = {.rtol = 1e-3, .steps = 3}}, "not both");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .solver = {.method = "euler", .rtol = 1e-3}}, "cannot be chosen");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .solver = {.t0 = 1, .t1 = 0}}, "forwards");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .solver = {.steps = 3, .step_size = 0.1}}, "not both");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .solver = {.method = "dopri5"}}, "no SDE method");
    refuse(f, (tw_sample_desc){.log_prob = log_prob}, "diffusion");
    refuse(f, (tw_sample_desc){.diffusion = "sigma", .log_prob = log_prob}, "euler");
    tw_flow_destroy(f);
}

static tw_status sample_with_noise(tw_context *c, void *user)
{
    tw_flow *f = NULL;
    double x[4];
    (void)user;
    tw_status status = constant_flow(c, "condot", "x1", mean, &f);
    if (status == TW_OK)
        status = tw_sample(f, 2, &(tw_sample_desc){.diffusion = "sigma", .solver = {.steps = 2}}, x, NULL, NULL);
    tw_flow_destroy(f);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(sample_with_noise, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standard_normal_data_stay_it),
        cmocka_unit_test(a_point_is_reached_through_the_right_widths),
        cmocka_unit_test(no_noise_is_the_flow),
        cmocka_unit_test(every_schedule_and_method_is_finite),
        cmocka_unit_test(sit_option_that_cannot_be_reached),
        cmocka_unit_test(diffusions_are_as_published),
        cmocka_unit_test(log_densities_of_steps),
        cmocka_unit_test(tolerances_keep_the_distribution),
        cmocka_unit_test(errors_follow_tolerances),
        cmocka_unit_test(rows_of_chosen_steps_are_told_their_own),
        cmocka_unit_test(rows_and_threads),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
