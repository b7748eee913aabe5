/* A table of mixed columns from its file to samples: kind a, b or c; size, a number about a place that the kind tells,
 * which c does not have; and a count that is mostly 0. Samples have the joint law, and so have rows of which a part is
 * given; models come back from their files, rows do not depend on the threads, and what has no meaning is refused. */
#include "data/dataset.h"
#include "flow/flow.h"

#include "base/philox.h"

#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 6000, DRAWS = 6000, KINDS = 3, COLUMNS = 3 };
static const double share[KINDS] = {0.5, 0.3, 0.2}, place[KINDS] = {10, 30, 0}, zeros[KINDS] = {0.9, 0.5, 0.7};
static const double spread = 0.3; /* of log size */

static tw_context *ctx;
static tw_dataset *data;
static tw_flow *flow;

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

static void write_table(void)
{
    FILE *f = fopen("x.csv", "w");
    tw_random r = {.seed = 3, .stream = 1};
    assert_non_null(f);
    fprintf(f, "kind,size,count\n");
    for (int i = 0; i < ROWS; i++) {
        double u = tw_random_uniform(&r);
        int k = u < share[0] ? 0 : u < share[0] + share[1] ? 1 : 2;
        fprintf(f, "%c,", 'a' + k);
        if (k < 2) fprintf(f, "%.2f", place[k] * exp(spread * tw_random_normal(&r)));
        double v = tw_random_uniform(&r);
        fprintf(f, ",%d\n", v < zeros[k] ? 0 : 50 + (int)tw_random_below(&r, 500));
    }
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    if (!ctx) return 1;
    write_table();
    tw_dataset_desc desc = {.split = {1, 0, 0}, .mixed = TW_MIXED_AUTO};
    check(tw_dataset_open(ctx, "x.csv", &desc, &data));
    const tw_schema *s = tw_dataset_schema(data);
    tw_text space = tw_text_new(ctx);
    assert_non_null(s);
    tw_schema_space(s, &space);
    assert_string_equal(space.data, "euclidean*2 + tokens:3*1 + tokens:2*2");
    tw_flow_desc flow_desc = {.space = space.data, .columns = s->codes, .network = {.width = 64, .depth = 2}};
    check(tw_flow_create(ctx, &flow_desc, &flow));
    assert_string_equal(tw_flow_about(flow)->method, "gm:known=0.3,tokens=1");
    tw_train_desc train = {.steps = 2500, .batch = 256, .lr = 4e-3, .ema = 0.99};
    check(tw_train(flow, data, &train, NULL));
    tw_text_free(&space);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
    return 0;
}

/* Draws given cells (NaN: not given) as cells. */
static void draw(double kind, double size, double *cells)
{
    const tw_schema *s = tw_dataset_schema(data);
    static double codes[DRAWS * 8];
    double known[8], given[COLUMNS] = {kind, size, (double)NAN};
    tw_schema_encode(s, given, 0, 0, true, known);
    tw_token_options tokens = {.known = known, .same_known = true};
    tw_sample_desc desc = {.solver = {.steps = 24}, .seed = 5, .tokens = &tokens};
    check(tw_sample(flow, DRAWS, &desc, codes, NULL, NULL));
    for (int i = 0; i < DRAWS; i++) tw_schema_decode(s, codes + i * s->codes, cells + i * COLUMNS);
}

/* Shares of kinds, of missing sizes and of zeros in each; means and deviations of the logarithm of size. */
static void check_law(void)
{
    static double cells[DRAWS * COLUMNS];
    double n[KINDS] = {0}, missing[KINDS] = {0}, zero[KINDS] = {0}, mean[KINDS] = {0}, square[KINDS] = {0};
    draw(NAN, NAN, cells);
    for (int i = 0; i < DRAWS; i++) {
        const double *row = cells + i * COLUMNS;
        int k = (int)row[0];
        n[k]++;
        missing[k] += isnan(row[1]);
        zero[k] += row[2] == 0;
        assert_true(row[2] == floor(row[2]) && (row[2] == 0 || (row[2] >= 50 && row[2] < 550)));
        if (isnan(row[1]) || k == 2) continue;
        double off = log(row[1] / place[k]);
        mean[k] += off, square[k] += off * off;
    }
    for (int k = 0; k < KINDS; k++) { /* bounds: four deviations of the draws, and as much again for what was learned */
        double both = 8 / sqrt(n[k]);
        if (fabs(n[k] / DRAWS - share[k]) > 0.05) fail_msg("kind %d: %g", k, n[k] / DRAWS);
        if (fabs(missing[k] / n[k] - (k == 2)) > 0.02) fail_msg("kind %d: %g missing", k, missing[k] / n[k]);
        if (fabs(zero[k] / n[k] - zeros[k]) > both) fail_msg("kind %d: %g zeros", k, zero[k] / n[k]);
        if (k == 2) continue;
        double there = n[k] - missing[k], m = mean[k] / there, sd = sqrt(square[k] / there - m * m);
        if (fabs(m) > both * spread || fabs(sd / spread - 1) > 0.15)
            fail_msg("kind %d: size off by %g, deviation %g", k, m, sd);
    }
}

static void has_the_law(void **state)
{
    (void)state;
    check_law();
}

/* Nothing was trained for these in particular. A size between both kinds is told apart by Bayes' rule. */
static void has_conditional_laws(void **state)
{
    (void)state;
    static double cells[DRAWS * COLUMNS];
    double zero = 0, first = 0;
    draw(1, NAN, cells);
    for (int i = 0; i < DRAWS; i++) {
        assert_true(cells[i * COLUMNS] == 1);
        zero += (cells[i * COLUMNS + 2] == 0) / (double)DRAWS;
    }
    assert_true(fabs(zero - zeros[1]) < 0.08);
    draw(NAN, 17, cells);
    for (int i = 0; i < DRAWS; i++) {
        assert_true(fabs(cells[i * COLUMNS + 1] - 17) < 0.1);
        first += (cells[i * COLUMNS] == 0) / (double)DRAWS;
    }
    double a = share[0] * exp(-0.5 * pow(log(17.0 / place[0]) / spread, 2)),
           b = share[1] * exp(-0.5 * pow(log(17.0 / place[1]) / spread, 2));
    if (fabs(first - a / (a + b)) > 0.12) fail_msg("a with probability %g, expected %g", first, a / (a + b));
}

static void comes_back(void **state)
{
    (void)state;
    enum { N = 300 };
    static double rows[N * 5], again[N * 5];
    tw_flow *loaded = NULL;
    tw_sample_desc desc = {.solver = {.steps = 8}, .seed = 2};
    check(tw_flow_save(flow, "x.safetensors"));
    tw_context *single = tw_context_create(&(tw_context_desc){.threads = 1});
    if (tw_flow_load(single, "x.safetensors", &loaded) != TW_OK) fail_msg("%s", tw_context_error(single));
    check(tw_sample(flow, N, &desc, rows, NULL, NULL));
    assert_int_equal(tw_sample(loaded, N, &desc, again, NULL, NULL), TW_OK);
    assert_memory_equal(rows, again, sizeof rows);
    tw_flow_destroy(loaded);
    tw_context_destroy(single);
    unlink("x.safetensors");
}

static tw_flow *other(const char *schedules, const char *weights, int64_t steps)
{
    tw_flow *made = NULL;
    tw_flow_desc desc = {.space = tw_flow_about(flow)->space,
                         .columns = tw_dataset_schema(data)->codes,
                         .network = {.width = 64, .depth = 2},
                         .factor_schedules = schedules,
                         .factor_weights = weights};
    check(tw_flow_create(ctx, &desc, &made));
    check(tw_train(made, data, &(tw_train_desc){.steps = steps, .batch = 256, .lr = 4e-3, .ema = 0.99}, NULL));
    return made;
}

/* Numbers and tokens that go at paces of their own, by weights that are learned, come to the same law; what a schedule
 * is for, what a file keeps; weights of 1 change nothing. */
static void factors_have_their_own(void **state)
{
    (void)state;
    enum { N = 300 };
    static double rows[N * 5], again[N * 5];
    tw_flow *first = flow, *loaded = NULL;
    flow = other("polynomial:2 + condot+mask_cosine", "learned", 2500);
    check_law();
    assert_string_equal(flow->factor_schedule[1].text, "condot");
    int at = tw_params_count(flow->params) - 1;
    assert_string_equal(tw_params_name(flow->params, at), "balance.log_loss");
    const float *log_loss = flow->weights + tw_params_offset(flow->params, at);
    for (int i = 0; i < 3; i++) assert_true(log_loss[i] < 2 && log_loss[i] > -5 && log_loss[i] != 0);
    tw_sample_desc desc = {.solver = {.steps = 8}, .seed = 2};
    check(tw_flow_save(flow, "x.safetensors"));
    check(tw_flow_load(ctx, "x.safetensors", &loaded));
    unlink("x.safetensors");
    assert_string_equal(tw_flow_about(loaded)->factor_weights, "learned");
    check(tw_sample(flow, N, &desc, rows, NULL, NULL));
    check(tw_sample(loaded, N, &desc, again, NULL, NULL));
    assert_memory_equal(rows, again, sizeof rows);
    tw_flow_destroy(loaded);
    tw_flow_destroy(flow);
    flow = first;
    tw_flow *plain = other(NULL, NULL, 20), *ones = other("condot + condot + condot", "1 + 1 + 1", 20),
            *twos = other(NULL, "1 + 2 + 1", 20);
    size_t bytes = (size_t)tw_params_size(plain->params) * sizeof(float);
    assert_memory_equal(plain->weights, ones->weights, bytes);
    assert_memory_not_equal(plain->weights, twos->weights, bytes);
    tw_flow_destroy(plain);
    tw_flow_destroy(ones);
    tw_flow_destroy(twos);
}

static void refuses(void **state)
{
    (void)state;
    double row[5] = {0, 0, 7, 0, 0}, out[5];
    tw_token_options tokens = {.known = row, .same_known = true};
    tw_sample_desc desc = {.tokens = &tokens};
    assert_int_equal(tw_sample(flow, 1, &desc, out, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "expected whole numbers from 0 on"));
    desc = (tw_sample_desc){.solver = {.method = "dopri5"}};
    assert_int_equal(tw_sample(flow, 1, &desc, out, NULL, NULL), TW_ERR_UNSUPPORTED);
    assert_int_equal(tw_log_density(flow, 1, row, NULL, out, NULL), TW_ERR_UNSUPPORTED);
    const tw_flow_desc bad[] = {{.space = "euclidean*1 + tokens:2*1", .method = "fm", .columns = 2},
                                {.space = "euclidean", .method = "gm", .columns = 2},
                                {.space = "euclidean*1 + tokens:2*1", .path = "affine", .columns = 2},
                                {.space = "euclidean*1 + tokens:2*1", .schedule = "vp", .columns = 2}};
    static const char *const sentence[] = {"method 'fm' is not for a product with tokens",
                                           "method 'gm' is of products with tokens, and the space is 'euclidean'",
                                           "path 'affine' is not for a product with tokens", "schedule 'vp"};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_flow *none = NULL;
        assert_int_not_equal(tw_flow_create(ctx, &bad[i], &none), TW_OK);
        if (!strstr(tw_context_error(ctx), sentence[i])) fail_msg("%s", tw_context_error(ctx));
    }
}

int main(void)
{
    char folder[] = "/tmp/thalweg_mixed_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(has_the_law), cmocka_unit_test(has_conditional_laws),
                                       cmocka_unit_test(comes_back), cmocka_unit_test(refuses),
                                       cmocka_unit_test(factors_have_their_own)};
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    unlink("x.csv");
    if (chdir("/") == 0) rmdir(folder);
    return failed;
}
