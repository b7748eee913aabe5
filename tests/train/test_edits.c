/* Flows of sequences, from training to samples: the law of a small world is learned from nothing, from noise and from
 * pairs, files keep everything, rows are the same for any number of threads, beginnings that are given stay, and what
 * has no meaning is refused. */
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

#include "support/own_context.h"
#include "support/flow_checks.h"

enum { LONGEST = 3, STATES = 15, ROWS = 2000 };

/* Sequences of up to three of two symbols by length, then as binary numbers: (), 0, 1, 00, 01, ... */
static const double law[STATES] = {0.1, 0, 0.2, 0, 0.2, 0.05, 0, 0, 0.25, 0, 0, 0, 0, 0, 0.2};

static int state_of(const double *row)
{
    int length = 0, number = 0;
    for (; length < LONGEST && row[length] < 2; length++) number = 2 * number + (int)row[length];
    for (int i = length; i < LONGEST; i++) assert_true(row[i] == 2);
    return (1 << length) - 1 + number;
}

static void write_state(int state, double *row)
{
    int length = 0;
    while (state + 1 >= 2 << length) length++;
    for (int i = 0; i < LONGEST; i++) row[i] = i < length ? (state + 1) >> (length - 1 - i) & 1 : 2;
}

static tw_dataset *data_of(const double *values)
{
    tw_dataset *data = NULL;
    tw_dataset_desc desc = {.split = {1, 0, 0}};
    check(tw_dataset_from_memory(ctx, ROWS, LONGEST, values, NULL, &desc, &data));
    return data;
}

/* Rows of the law; those they are paired with lack their last token, or are "0". */
static void make_rows(double *goal, double *start)
{
    for (int i = 0; i < ROWS; i++) {
        double place = fmod((i + 0.5) * 0.6180339887498949, 1);
        int state = 0;
        while ((place -= law[state]) > 0 && state < STATES - 1) state++;
        write_state(state, goal + LONGEST * i);
        memcpy(start + LONGEST * i, goal + LONGEST * i, LONGEST * sizeof *goal);
        int length = 0;
        while (length < LONGEST && goal[LONGEST * i + length] < 2) length++;
        start[LONGEST * i + (length ? length - 1 : 0)] = length ? 2 : 0;
    }
}

static tw_flow *trained(const char *source, const char *path)
{
    static double goal[ROWS * LONGEST], start[ROWS * LONGEST];
    bool paired = source && strcmp(source, "data") == 0;
    make_rows(goal, start);
    tw_dataset *data = data_of(goal), *from = paired ? data_of(start) : NULL;
    tw_flow *flow = NULL;
    tw_flow_desc desc = {.space = "sequences:2",
                         .source = source,
                         .path = path,
                         .schedule = "condot",
                         .coupling = paired ? "given" : NULL,
                         .columns = LONGEST,
                         .network = {.width = 24, .depth = 2, .heads = 2}};
    check(tw_flow_create(ctx, &desc, &flow));
    assert_string_equal(tw_flow_about(flow)->method, "edit");
    assert_string_equal(tw_flow_about(flow)->network.kind, "ddit");
    tw_train_desc train = {.steps = 500, .batch = 128, .lr = 6e-3, .ema = 0.99, .source = from};
    check(tw_train(flow, data, &train, NULL));
    tw_dataset_destroy(data);
    tw_dataset_destroy(from);
    return flow;
}

static double distance(tw_flow *flow, const tw_sample_desc *desc)
{
    static double rows[ROWS * LONGEST];
    double count[STATES] = {0}, sum = 0;
    check(tw_sample(flow, ROWS, desc, rows, NULL, NULL));
    for (int i = 0; i < ROWS; i++) count[state_of(rows + LONGEST * i)] += 1.0 / ROWS;
    for (int i = 0; i < STATES; i++) sum += 0.5 * fabs(count[i] - law[i]);
    return sum;
}

/* How far the bound is above the entropy: nats a row. */
static double above_entropy(tw_flow *flow)
{
    double rows[STATES * LONGEST], score[STATES], sum = 0;
    for (int i = 0; i < STATES; i++) write_state(i, rows + LONGEST * i);
    check(tw_log_density(flow, STATES, rows, &(tw_sample_desc){.solver = {.steps = 1000}}, score, NULL));
    for (int i = 0; i < STATES; i++)
        if (law[i] > 0) sum += law[i] * (log(law[i]) - score[i]);
    return sum;
}

/* Draws leave a TV of 0.025, so small and short a training some hundredths more; that of an untrained flow is 0.8. */
static void test_learns(void **state)
{
    (void)state;
    static const struct {
        const char *source, *path;
        double most, above; /* TV; noise is the harder beginning, and what its ways have in common is counted twice */
    } cases[] = {{NULL, NULL, 0.12, 0.5}, {"uniform", "padding", 0.25, 4}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_flow *flow = trained(cases[i].source, cases[i].path);
        tw_sample_desc steps = {.solver = {.steps = 32}, .seed = 3};
        tw_sample_desc tolerant = {.seed = 3, .tokens = &(tw_token_options){.tolerance = 0.2}};
        double fixed = distance(flow, &steps), own = distance(flow, &tolerant);
        if (!(fixed < cases[i].most && own < cases[i].most)) fail_msg("case %d: TV %g and %g", i, fixed, own);
        double above = above_entropy(flow);
        if (!(above > -0.1 && above < cases[i].above)) fail_msg("case %d: the bound is %g above", i, above);
        tw_flow_destroy(flow);
    }
}

/* Given pairs differ in one edit: one is made, and it is the right one. */
static void test_pairs(void **state)
{
    (void)state;
    static double goal[ROWS * LONGEST], start[ROWS * LONGEST], rows[ROWS * LONGEST];
    static int32_t edits[ROWS];
    tw_flow *flow = trained("data", NULL);
    tw_sample_desc desc = {.solver = {.steps = 32}, .from = start, .tokens = &(tw_token_options){.edits = edits}};
    make_rows(goal, start);
    check(tw_sample(flow, ROWS, &desc, rows, NULL, NULL));
    double made = 0, count[STATES] = {0}, sum = 0;
    for (int i = 0; i < ROWS; i++) {
        count[state_of(rows + LONGEST * i)] += 1.0 / ROWS;
        made += (double)edits[i] / ROWS;
    }
    for (int i = 0; i < STATES; i++) sum += 0.5 * fabs(count[i] - law[i]);
    if (!(fabs(made - 1) < 0.08 && sum < 0.15)) fail_msg("%g edits, TV %g", made, sum);
    tw_flow_destroy(flow);
}

static void test_files_threads_and_beginnings(void **state)
{
    (void)state;
    enum { N = 300, FRAMES = 5 };
    static double rows[LONGEST * N], again[LONGEST * N], frames[FRAMES * LONGEST * N], few[10 * LONGEST];
    tw_flow *flow = NULL, *loaded = NULL;
    tw_flow_desc plain = {.space = "sequences:2", .columns = LONGEST, .network = {.width = 8, .depth = 1, .heads = 1}};
    check(tw_flow_create(ctx, &plain, &flow));
    tw_sample_desc desc = {.solver = {.steps = 12}, .seed = 7, .frames = FRAMES};
    check(tw_sample(flow, N, &desc, rows, frames, NULL));
    for (int i = 0; i < LONGEST * N; i++) assert_true(frames[i] == 2); /* nothing at first */
    assert_memory_equal(rows, frames + (FRAMES - 1) * LONGEST * N, sizeof rows);
    desc.frames = 0;
    check(tw_sample(flow, 10, &desc, few, NULL, NULL));
    check(tw_sample(flow, N, &desc, rows, NULL, NULL));
    assert_memory_equal(rows, few, sizeof few); /* whatever n */
    char file[] = "/tmp/thalweg-edits-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    check(tw_flow_save(flow, file));
    tw_context *other = tw_context_create(&(tw_context_desc){.threads = 2});
    assert_int_equal(tw_flow_load(other, file, &loaded), TW_OK);
    assert_int_equal(tw_sample(loaded, N, &desc, again, NULL, NULL), TW_OK);
    assert_memory_equal(rows, again, sizeof rows);
    tw_flow_destroy(loaded);
    tw_context_destroy(other);
    unlink(file);
    const double known[LONGEST] = {1, 0, (double)NAN};
    const tw_token_options given = {.known = known, .same_known = true};
    desc.tokens = &given;
    check(tw_sample(flow, N, &desc, rows, NULL, NULL));
    for (int i = 0; i < N; i++) assert_true(rows[LONGEST * i] == 1 && rows[LONGEST * i + 1] == 0);
    tw_flow_destroy(flow);
}

static void test_refused(void **state)
{
    (void)state;
    refused(&(tw_flow_desc){.space = "sequences", .columns = 2}, "such as sequences:26");
    refused(&(tw_flow_desc){.space = "sequences:4", .method = "dfm", .columns = 2}, "not of space 'sequences'");
    refused(&(tw_flow_desc){.method = "edit", .columns = 2}, "of space 'sequences'");
    refused(&(tw_flow_desc){.space = "tokens:4", .method = "edit", .columns = 2}, "not of space 'tokens'");
    refused(&(tw_flow_desc){.source = "empty", .columns = 2}, "of space 'sequences'");
    refused(&(tw_flow_desc){.path = "levenshtein", .columns = 2}, "of space 'sequences'");
    refused(&(tw_flow_desc){.space = "sequences:4", .source = "mask", .columns = 2}, "source 'mask'");
    refused(&(tw_flow_desc){.space = "sequences:4", .path = "mixture", .columns = 2}, "path 'mixture'");
    refused(&(tw_flow_desc){.space = "sequences:4", .loss = "cross_entropy", .columns = 2}, "loss 'cross_entropy'");
    refused(&(tw_flow_desc){.space = "sequences:4", .schedule = "cosine", .columns = 2}, "alpha + sigma = 1");
    refused(&(tw_flow_desc){.space = "sequences:4", .coupling = "ot", .columns = 2}, "coupling");
    refused(&(tw_flow_desc){.space = "sequences:4", .network = {.kind = "token_mlp"}, .columns = 2}, "of one length");
    refused(&(tw_flow_desc){.space = "sequences:4", .network = {.tied = 1}, .columns = 2}, "tied");
    tw_flow *flow = NULL;
    tw_flow_desc plain = {.space = "sequences:4", .columns = 3, .network = {.width = 8, .depth = 1, .heads = 1}};
    check(tw_flow_create(ctx, &plain, &flow));
    double hole[3] = {1, 4, 2}, far[3] = {1, 5, 4}, known[3] = {1, (double)NAN, 2}, out[3];
    const tw_token_options late = {.known = known}, most = {.argmax = true}, hidden = {.remask = 0.1},
                           loose = {.tolerance = 1};
    const struct {
        tw_sample_desc desc;
        const char *says;
    } bad[] = {{{.solver = {.method = "midpoint"}}, "expected 'euler'"},
               {{.guidance = 1}, "guidance"},
               {{.from = hole}, "then as many to the end"},
               {{.from = far}, "then as many to the end"},
               {{.tokens = &late}, "x3 is behind what is not"},
               {{.tokens = &most}, "no argmax"},
               {{.tokens = &hidden}, "masked"},
               {{.tokens = &loose}, "tolerance of 1"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        if (tw_sample(flow, 1, &bad[i].desc, out, NULL, NULL) == TW_OK) fail_msg("%d is not refused", i);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("%d: %s", i, tw_context_error(ctx));
    }
    assert_int_equal(tw_log_density(flow, 1, far, NULL, out, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "then as many to the end"));
    tw_dataset *data = NULL;
    check(tw_dataset_from_memory(ctx, 1, 3, hole, NULL, &(tw_dataset_desc){.split = {1, 0, 0}}, &data));
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1}, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "x1=1, x2=4, x3=2: expected whole numbers"));
    tw_dataset_destroy(data);
    tw_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_files_threads_and_beginnings),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
