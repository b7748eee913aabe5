/* Guidance of flows of tokens: what is drawn and scored is the formula, outside its times nothing changes, a guide is
 * another network, and a predictor makes the posterior. The fault it once had: told nothing at all, rows were told
 * class 0. */
#include "flow/flow.h"

#include "base/philox.h"

#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

enum { K = 4, ROWS = 6000, DRAWS = 40000 };

/* One token of two classes, seen equally often. */
static const double law[2][K] = {{0.5, 0.3, 0.15, 0.05}, {0.1, 0.2, 0.3, 0.4}};

static int draw(const double *p, double u)
{
    int k = 0;
    while (k < K - 1 && (u -= p[k]) >= 0) k++;
    return k;
}

static tw_flow *trained(int64_t steps)
{
    static double values[ROWS * 2];
    static const char *const names[] = {"x", "class"};
    tw_random random = {.seed = 3, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        values[2 * i + 1] = i % 2;
        values[2 * i] = draw(law[i % 2], tw_random_uniform(&random));
    }
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    const tw_dataset_desc wishes = {.split = {1, 0, 0}, .conditions = "class"};
    check(tw_dataset_from_memory(ctx, ROWS, 2, values, names, &wishes, &data));
    tw_flow_desc desc = {.space = "tokens:4",
                         .columns = 1,
                         .conditions = tw_dataset_condition(data, 0),
                         .conditions_count = 1,
                         .network = {.width = 32, .depth = 1, .timeless = 1}};
    check(tw_flow_create(ctx, &desc, &flow));
    check(tw_train(flow, data, &(tw_train_desc){.steps = steps, .batch = 512, .lr = 5e-3, .ema = 0.99}, NULL));
    tw_dataset_destroy(data);
    return flow;
}

/* log p(k) of all symbols. told: 0, 1; NAN: nothing, by a row that says so; below 0: by no rows. A mask's bound is
 * exact where there is one token and no time. */
static void score(tw_flow *flow, double told, double w, const tw_flow *guide, double out[K])
{
    static const double rows[K] = {0, 1, 2, 3};
    const tw_sample_desc desc = {
        .conditions = told < 0 ? NULL : &told, .same_conditions = true, .guidance = w, .guide = guide};
    check(tw_log_density(flow, K, rows, &desc, out, NULL));
}

static void guided_law(const double *better, const double *worse, double w, double out[K])
{
    double sum = 0;
    for (int k = 0; k < K; k++) sum += out[k] = exp((1 + w) * better[k] - w * worse[k]);
    for (int k = 0; k < K; k++) out[k] /= sum;
}

static void frequencies(tw_flow *flow, const char *solver, double w, const char *kind, double out[K])
{
    static double rows[DRAWS];
    const double told = 1;
    const tw_sample_desc desc = {.solver = {.method = solver, .steps = 16},
                                 .conditions = &told,
                                 .same_conditions = true,
                                 .guidance = w,
                                 .guidance_kind = kind,
                                 .seed = 7};
    check(tw_sample(flow, DRAWS, &desc, rows, NULL, NULL));
    for (int k = 0; k < K; k++) out[k] = 0;
    for (int i = 0; i < DRAWS; i++) out[(int)rows[i]] += 1.0 / DRAWS;
}

/* Five deviations of a frequency. */
static void assert_frequencies(const double *got, const double *p)
{
    for (int k = 0; k < K; k++)
        if (!(fabs(got[k] - p[k]) < 5 * sqrt(p[k] * (1 - p[k]) / DRAWS)))
            fail_msg("symbol %d: %g of the draws, expected %g", k, got[k], p[k]);
}

static void test_formula(void **state)
{
    (void)state;
    static const double strengths[] = {-0.5, 1, 2.5};
    static const char *const solvers[] = {NULL, "first_hitting", "trapezoidal"};
    tw_flow *flow = trained(500);
    double told[K], untold[K], got[K], want[K];
    score(flow, 1, 0, NULL, told);
    score(flow, (double)NAN, 0, NULL, untold);
    for (int k = 0; k < K; k++) { /* the law is learned; what is untold, too */
        assert_true(fabs(exp(told[k]) - law[1][k]) < 0.03);
        assert_true(fabs(exp(untold[k]) - 0.5 * (law[0][k] + law[1][k])) < 0.04);
    }
    for (int i = 0; i < TW_COUNT(strengths); i++) {
        guided_law(told, untold, strengths[i], want);
        score(flow, 1, strengths[i], NULL, got);
        for (int k = 0; k < K; k++) assert_true(fabs(got[k] - log(want[k])) < 1e-4);
        frequencies(flow, solvers[i], strengths[i], NULL, got);
        assert_frequencies(got, want);
    }
    tw_flow_destroy(flow);
}

/* A mask falls at any time alike: guided in half of the time, half of the tokens are. */
static void test_times(void **state)
{
    (void)state;
    tw_flow *flow = trained(200);
    double told[K], untold[K], got[K], want[K], plain[K];
    score(flow, 1, 0, NULL, told);
    score(flow, (double)NAN, 0, NULL, untold);
    guided_law(told, untold, 2, want);
    for (int k = 0; k < K; k++) want[k] = 0.5 * (want[k] + exp(told[k]));
    frequencies(flow, NULL, 2, "cfg:0.46875,1", got); /* the middle of 16 steps begins at 0.5 */
    assert_frequencies(got, want);
    frequencies(flow, NULL, 0, NULL, plain);
    frequencies(flow, NULL, 2, "cfg:1,1", got);
    assert_memory_equal(got, plain, sizeof got);
    tw_flow_destroy(flow);
}

static void test_guide(void **state)
{
    (void)state;
    tw_flow *flow = trained(300), *worse = trained(5);
    double told[K], other[K], got[K], want[K];
    score(flow, 0, 0, NULL, told);
    score(worse, 0, 0, NULL, other);
    guided_law(told, other, 1.5, want);
    score(flow, 0, 1.5, worse, got);
    for (int k = 0; k < K; k++) assert_true(fabs(got[k] - log(want[k])) < 1e-4);
    score(flow, 0, 1.5, flow, got); /* away from itself */
    for (int k = 0; k < K; k++) assert_true(fabs(got[k] - told[k]) < 1e-5);
    tw_flow_destroy(flow);
    tw_flow_destroy(worse);
}

static void test_told_nothing(void **state)
{
    (void)state;
    tw_flow *flow = trained(200);
    double by_row[K], by_none[K], told[K];
    score(flow, (double)NAN, 0, NULL, by_row);
    score(flow, -1, 0, NULL, by_none);
    score(flow, 0, 0, NULL, told);
    assert_memory_equal(by_row, by_none, sizeof by_row);
    assert_memory_not_equal(by_none, told, sizeof told);
    tw_sample_desc desc = {.guidance = 1, .guidance_kind = "cfg_zero"};
    assert_int_equal(tw_sample(flow, 1, &desc, by_row, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "guidance 'cfg_zero' is for velocities: tokens have 'cfg'"));
    tw_flow_destroy(flow);
}

/* --- a predictor ------------------------------------------------------------------------------------------------- */

/* Pairs whose second token is the first or one more, and what is wanted: that they are alike. */
static double pair_law(int a, int b)
{
    return (a + 1) / 10.0 * (b == a ? 0.3 + 0.1 * a : b == (a + 1) % K ? 0.7 - 0.1 * a : 0);
}

static tw_flow *trained_pairs(const char *source)
{
    static double values[ROWS * 2];
    tw_random random = {.seed = 5, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        double u = tw_random_uniform(&random);
        int pair = 0;
        while (pair < K * K - 1 && (u -= pair_law(pair / K, pair % K)) >= 0) pair++;
        values[2 * i] = pair / K, values[2 * i + 1] = pair % K;
    }
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    check(tw_dataset_from_memory(ctx, ROWS, 2, values, NULL, &(tw_dataset_desc){.split = {1, 0, 0}}, &data));
    check(tw_flow_create(
        ctx, &(tw_flow_desc){.space = "tokens:4", .source = source, .columns = 2, .network = {.width = 48}}, &flow));
    check(tw_train(flow, data, &(tw_train_desc){.steps = 800, .batch = 512, .lr = 5e-3, .ema = 0.99}, NULL));
    tw_dataset_destroy(data);
    return flow;
}

typedef struct asking {
    bool masked;   /* the source is */
    int64_t asked; /* rows */
    int64_t wrong; /* of no number of theirs, or at no time */
} asking;

/* p(alike | x_t, x_1^i = k): of the other token it is known what x_t says, which is itself, nothing of a mask, and
 * little of a symbol that the source may have put there. */
static tw_status predict_alike(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                               float *out)
{
    asking *a = user;
    __atomic_fetch_add(&a->asked, rows, __ATOMIC_RELAXED);
    for (int64_t r = 0; r < rows; r++) {
        if (!(row[r] >= 0 && row[r] < DRAWS && t[r] >= 0 && t[r] < 1))
            __atomic_fetch_add(&a->wrong, 1, __ATOMIC_RELAXED);
        for (int at = 0; at < 2 * K; at++) {
            int i = at / K, k = at % K, other = x[2 * r + 1 - i];
            double both = 0, all = 0;
            for (int j = 0; j < K; j++) {
                double seen = other == K ? 1 : a->masked ? other == j : t[r] * (other == j) + (1 - t[r]) / K;
                double p = seen * (i ? pair_law(j, k) : pair_law(k, j));
                all += p;
                both += j == k ? p : 0;
            }
            out[2 * r * K + at] = all > 0 ? (float)log(both / all) : -30; /* never seen by the flow either */
        }
    }
    return TW_OK;
}

static tw_status cannot_predict(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                float *out)
{
    (void)user, (void)rows, (void)row, (void)t, (void)x, (void)out;
    return TW_ERR_IO;
}

/* Pairs that are alike come as often as among those of the data that are, to what 6000 rows tell; without a predictor
 * they are a fifth to a half. */
static void test_predictor(void **state)
{
    (void)state;
    static const struct {
        const char *source, *solver;
    } cases[] = {{"mask", NULL}, {"mask", "first_hitting"}, {"uniform", NULL}};
    static double rows[2 * DRAWS];
    double alike = 0;
    for (int k = 0; k < K; k++) alike += pair_law(k, k);
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_flow *flow = trained_pairs(cases[i].source);
        asking user = {.masked = i < 2};
        tw_token_options options = {.predictor = predict_alike, .predictor_user = &user};
        tw_sample_desc desc = {.solver = {.method = cases[i].solver, .steps = 64}, .seed = 9, .tokens = &options};
        double tv = 1;
        check(tw_sample(flow, DRAWS, &desc, rows, NULL, NULL));
        assert_true(user.asked >= DRAWS && user.wrong == 0);
        for (int k = 0; k < K; k++) {
            double share = 0;
            for (int r = 0; r < DRAWS; r++) share += rows[2 * r] == k && rows[2 * r + 1] == k ? 1.0 / DRAWS : 0;
            tv -= fmin(share, pair_law(k, k) / alike);
        }
        if (!(tv < 0.06)) fail_msg("case %d: %g from the law of those that are alike", i, tv);
        options.predictor = cannot_predict;
        assert_int_equal(tw_sample(flow, 10, &desc, rows, NULL, NULL), TW_ERR_IO);
        tw_flow_destroy(flow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formula),      cmocka_unit_test(test_times),     cmocka_unit_test(test_guide),
        cmocka_unit_test(test_told_nothing), cmocka_unit_test(test_predictor),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
