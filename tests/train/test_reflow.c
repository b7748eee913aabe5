/* Reflow: the pairs are where the teacher takes fresh normal points (a teacher whose map is known in closed form), the
 * student has the teacher's units, learns that map in one step, is trained the same with stops, and refuses what does
 * not go together. */
#include "train/tables.h"

#include "base/streams.h"
#include "flow/linear_flow.h"
#include "support/normality.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PAIRS = 3000, HELD = 300 };

static char folder[] = "/tmp/tw-reflow-XXXXXX", checkpoint[64], before[64], model[64];
static tw_context *ctx;
static tw_flow *teacher;
static tw_dataset *data;

static int setup(void **state)
{
    (void)state;
    static double rows[2 * 500];
    if (!mkdtemp(folder)) return 1;
    snprintf(checkpoint, sizeof checkpoint, "%s/c.safetensors", folder);
    snprintf(before, sizeof before, "%s/c.safetensors.prev", folder);
    snprintf(model, sizeof model, "%s/m.safetensors", folder);
    ctx = tw_context_create(NULL);
    for (int i = 0; i < 1000; i++) rows[i] = sin(3.0 * i);
    return !ctx || linear_flow(ctx, &teacher) != TW_OK ||
           tw_dataset_from_memory(ctx, 500, 2, rows, NULL, NULL, &data) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    tw_flow_destroy(teacher);
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) != 0;
}

static tw_flow *student(tw_flow_desc desc)
{
    tw_flow *flow = NULL;
    if (!desc.coupling) desc.coupling = "given";
    if (desc.columns == 0) desc.columns = 2;
    if (desc.network.width == 0) desc.network = (tw_network_desc){.width = 32, .depth = 1, .time_features = 4};
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return flow;
}

static tw_train_desc lesson(void)
{
    return (tw_train_desc){
        .steps = 500, .batch = 256, .lr = 1e-2, .teacher = teacher, .pairs = PAIRS, .seed = 4, .checkpoint_steps = 120};
}

static void test_pairs_are_the_teachers(void **state)
{
    (void)state;
    static double x0[2 * PAIRS];
    tw_flow *flow = student((tw_flow_desc){0});
    tw_train_desc options = lesson();
    tw_tables t;
    if (tw_tables_make(flow, data, &options, &t) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    assert_int_equal(t.train.rows, PAIRS);
    assert_int_equal(t.train.source_rows, PAIRS);
    assert_int_equal(t.held.rows, HELD);
    for (int i = 0; i < PAIRS + HELD; i++) {
        const tw_table_set *set = i < PAIRS ? &t.train : &t.held;
        int at = i < PAIRS ? i : i - PAIRS;
        const float *from = set->feed[TW_FEED_SOURCE] + 2 * at, *to = set->feed[TW_FEED_DATA] + 2 * at;
        double start[2] = {(double)from[0], (double)from[1]}, end[2];
        linear_map(start, end);
        for (int j = 0; j < 2; j++) assert_true(fabs((double)to[j] - end[j]) < 2e-4);
        if (i < PAIRS) memcpy(x0 + 2 * i, start, sizeof start);
    }
    /* held-out pairs begin at points of their own, and none of them where samples of that seed begin */
    assert_true(t.held.feed[TW_FEED_SOURCE][0] != t.train.feed[TW_FEED_SOURCE][0]);
    double sampled[2];
    tw_source_row(teacher->model.source, options.seed, TW_STREAM_SAMPLE, 0, 2, sampled);
    assert_true(fabs(sampled[0] - x0[0]) > 1e-6);
    assert_true(normality(x0, 2 * PAIRS) > 1e-3);
    assert_memory_equal(t.normaliser.shift, linear_shift, sizeof linear_shift);
    assert_memory_equal(t.normaliser.scale, linear_scale, sizeof linear_scale);
    tw_tables_free(ctx, &t);
    tw_flow_destroy(flow);
}

/* The lines between points and their images under a linear map with positive eigenvalues never cross: the student's
 * best loss is 0, so one step of Euler is the map. */
static void test_one_step_is_enough(void **state)
{
    (void)state;
    enum { N = 500 };
    static double from[2 * N], to[2 * N];
    tw_flow *flow = student((tw_flow_desc){.network = {.width = 64, .depth = 2, .time_features = 8}});
    tw_train_desc options = lesson();
    tw_train_result result;
    options.steps = 1500;
    if (tw_train(flow, data, &options, &result) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    assert_true(result.validation < 2e-3);
    for (int i = 0; i < N; i++) {
        double x[2];
        tw_source_row(teacher->model.source, 77, TW_STREAM_EVAL, i, 2, x);
        for (int j = 0; j < 2; j++) from[2 * i + j] = linear_shift[j] + linear_scale[j] * x[j];
    }
    tw_sample_desc how = {.solver = {.method = "euler", .steps = 1}, .from = from};
    assert_int_equal(tw_sample(flow, N, &how, to, NULL, NULL), TW_OK);
    double error = 0;
    for (int i = 0; i < N; i++) {
        double x[2], y[2];
        for (int j = 0; j < 2; j++) x[j] = (from[2 * i + j] - linear_shift[j]) / linear_scale[j];
        linear_map(x, y);
        for (int j = 0; j < 2; j++) error += pow((to[2 * i + j] - linear_shift[j]) / linear_scale[j] - y[j], 2);
    }
    assert_true(sqrt(error / N) < 0.1); /* of points 1.5 from the middle */
    double density[N];
    assert_int_equal(tw_log_density(flow, N, to, NULL, density, NULL), TW_OK);
    for (int i = 0; i < N; i++) assert_true(fabs(density[i] - linear_log_density(to + 2 * i)) < 0.5);
    tw_flow_destroy(flow);
}

/* The same network begins where the teacher stands: a step that moves nothing keeps its weights. */
static void test_begins_with_the_teachers_weights(void **state)
{
    (void)state;
    tw_train_desc options = lesson();
    options.steps = 1;
    options.lr = 1e-12;
    for (int same = 0; same < 2; same++) {
        tw_flow *flow = student((tw_flow_desc){.network = {.width = LINEAR_WIDTH, .depth = 1, .time_features = 2},
                                               .schedule = same ? NULL : "cosine"});
        assert_int_equal(tw_train(flow, data, &options, NULL), TW_OK);
        double most = 0;
        for (int64_t i = 0; i < tw_params_size(flow->params); i++)
            most = fmax(most, (double)fabsf(flow->weights[i] - teacher->weights[i]));
        assert_true(same ? most < 1e-6 : most > 0.1); /* along another schedule they would mean something else */
        tw_flow_destroy(flow);
    }
}

static char *bytes_of(tw_flow *flow, size_t *size)
{
    assert_int_equal(tw_flow_save(flow, model), TW_OK);
    FILE *f = fopen(model, "rb");
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

static void test_resume_is_exact(void **state)
{
    (void)state;
    size_t size[2];
    char *bytes[2];
    for (int stopped = 0; stopped < 2; stopped++) {
        tw_train_desc options = lesson();
        options.checkpoint = checkpoint;
        options.resume = stopped;
        tw_flow *flow = student((tw_flow_desc){0});
        if (stopped) assert_int_equal(rename(before, checkpoint), 0); /* what a kill after step 480 would leave */
        if (tw_train(flow, data, &options, NULL) != TW_OK) fail_msg("%s", tw_context_error(ctx));
        bytes[stopped] = bytes_of(flow, &size[stopped]);
        tw_flow_destroy(flow);
    }
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
    /* another teacher is another training */
    tw_train_desc options = lesson();
    options.checkpoint = checkpoint;
    options.resume = true;
    float *weight = linear_piece(teacher, "network.out.bias"), kept = *weight;
    *weight += 0.5f;
    tw_flow_programs_drop(teacher);
    tw_flow *flow = student((tw_flow_desc){0});
    assert_int_equal(tw_train(flow, data, &options, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "of another training: data is"));
    *weight = kept;
    tw_flow_programs_drop(teacher);
    tw_flow_destroy(flow);
}

static void expect_refused(tw_flow_desc desc, tw_train_desc options, const char *says)
{
    tw_flow *flow = student(desc);
    assert_int_not_equal(tw_train(flow, data, &options, NULL), TW_OK);
    if (!strstr(tw_context_error(ctx), says)) fail_msg("'%s' does not say '%s'", tw_context_error(ctx), says);
    tw_flow_destroy(flow);
}

static int stop(void *user, const tw_train_progress *progress)
{
    (void)user;
    assert_int_equal(progress->step, 0);
    assert_true(progress->making > 0 && progress->making <= 1);
    return 1;
}

static void test_refusals(void **state)
{
    (void)state;
    tw_train_desc options = lesson(), bare = {.steps = 10, .pairs = 5};
    expect_refused((tw_flow_desc){0}, bare, "there is none");
    bare.pairs = 0;
    expect_refused((tw_flow_desc){0}, bare, "needs a data set of source points, or a teacher");
    expect_refused((tw_flow_desc){.coupling = "ot"}, options, "the coupling is 'ot");
    options.source = data;
    expect_refused((tw_flow_desc){0}, options, "a teacher makes the pairs");
    options = lesson();
    expect_refused((tw_flow_desc){.source = "data"}, options, "expected the same, and no data");
    options.pairs = -1;
    expect_refused((tw_flow_desc){0}, options, "pairs is -1, expected 1");
    options = lesson();
    options.on_progress = stop; /* heard while pairs are made */
    options.pairs = 200000;
    tw_flow *flow = student((tw_flow_desc){0});
    assert_int_equal(tw_train(flow, data, &options, NULL), TW_ERR_CANCELLED);
    tw_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pairs_are_the_teachers),
                                       cmocka_unit_test(test_one_step_is_enough),
                                       cmocka_unit_test(test_begins_with_the_teachers_weights),
                                       cmocka_unit_test(test_resume_is_exact), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
