/* Batches that a coupling pairs: the same whatever was asked before, pairs of the points that were drawn, cheaper than
 * chance, within classes; conditions: as the network sees them, dropped, guided, saved; flows that begin at data. */
#include "base/base.h"
#include "graph/reference.h"
#include "train/producer.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 1000, BATCH = 96 };

static const char *const kinds[] = {"red", "green", "blue"};
static const tw_condition told[2] = {{"colour", 3, kinds, 0, 0}, {"height", 0, NULL, 2, 4}};

static tw_context *ctx;
static float data[2 * ROWS], source[2 * ROWS], condition[2 * ROWS];

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(NULL);
    for (int i = 0; i < ROWS; i++) {
        data[2 * i] = (float)(3 * sin(1.3 * i));
        data[2 * i + 1] = (float)(3 * cos(0.7 * i * i));
        source[2 * i] = (float)(i + 0.25);
        source[2 * i + 1] = (float)-i;
        condition[2 * i] = (float)(i % 4 == 3 ? TW_UNTOLD : i % 4);
        condition[2 * i + 1] = (float)(i % 5);
    }
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

static tw_flow *flow_of(const char *coupling, const char *source_name, int conditions)
{
    tw_flow *flow = NULL;
    tw_flow_desc desc = {.columns = 2,
                         .coupling = coupling,
                         .source = source_name,
                         .conditions = told,
                         .conditions_count = conditions,
                         .seed = 3,
                         .network = {.width = 16, .depth = 1, .time_features = 4}};
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return flow;
}

static tw_producer *producer_of(tw_flow *flow, bool from_table)
{
    tw_producer *p = NULL;
    tw_producer_desc desc = {
        .batch = {.batch = BATCH,
                  .columns = 2,
                  .rows = ROWS,
                  .source_rows = from_table ? ROWS : 0,
                  .conditions = flow->desc.conditions_count,
                  .dtype = TW_DTYPE_F32},
        .table = {data, from_table ? source : NULL, flow->desc.conditions_count ? condition : NULL},
        .seed = 11};
    if (tw_producer_create(flow, &desc, &p) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return p;
}

typedef struct batch {
    float x1[2 * BATCH], x0[2 * BATCH], condition[2 * BATCH];
} batch;

static batch take(tw_producer *p, int64_t step)
{
    batch b = {0};
    const float *feed[TW_FEEDS];
    if (tw_producer_take(p, step, feed) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    memcpy(b.x1, feed[TW_FEED_DATA], sizeof b.x1);
    memcpy(b.x0, feed[TW_FEED_SOURCE], sizeof b.x0);
    if (feed[TW_FEED_CONDITION]) memcpy(b.condition, feed[TW_FEED_CONDITION], sizeof b.condition);
    return b;
}

static void batches_are_functions_of_the_step(void **state)
{
    (void)state;
    tw_flow *flow = flow_of("ot", NULL, 0);
    tw_producer *first = producer_of(flow, false), *second = producer_of(flow, false);
    batch in_order[6];
    for (int i = 0; i < 6; i++) in_order[i] = take(first, i);
    static const int jumps[] = {4, 1, 2, 0, 5, 5, 3};
    for (int i = 0; i < TW_COUNT(jumps); i++) {
        batch again = take(second, jumps[i]);
        assert_memory_equal(&again, &in_order[jumps[i]], sizeof again);
    }
    assert_memory_not_equal(&in_order[0], &in_order[1], sizeof in_order[0]);
    double worked, waited;
    tw_producer_times(first, &worked, &waited);
    assert_true(worked > 0 && waited > 0);
    tw_producer_destroy(first);
    tw_producer_destroy(second);
    tw_flow_destroy(flow);
}

static double cost(const batch *b)
{
    double sum = 0;
    for (int i = 0; i < 2 * BATCH; i++)
        sum += ((double)b->x1[i] - (double)b->x0[i]) * ((double)b->x1[i] - (double)b->x0[i]);
    return sum;
}

/* Whole numbers with noise: each in its cell, uniformly, others at another step, the same when asked again; a column
 * without width stays. */
static void whole_numbers_fill_their_cells(void **state)
{
    (void)state;
    enum { STEPS = 40, N = STEPS * BATCH };
    static const float width[2] = {1, 0};
    static float whole[2 * ROWS];
    batch first = {0};
    double mean = 0, square = 0;
    tw_flow *flow = flow_of("ot", NULL, 0);
    tw_producer *p = NULL;
    for (int i = 0; i < ROWS; i++) whole[2 * i] = (float)(i % 7), whole[2 * i + 1] = 3;
    tw_producer_desc desc = {
        .batch = {.batch = BATCH, .columns = 2, .rows = ROWS, .dtype = TW_DTYPE_F32, .noise = width},
        .table = {whole},
        .seed = 11};
    assert_int_equal(tw_producer_create(flow, &desc, &p), TW_OK);
    for (int step = 0; step < STEPS; step++) {
        const batch b = take(p, step);
        const float *x1 = b.x1;
        if (step == 0) first = b;
        if (step == 1) assert_memory_not_equal(&first, &b, sizeof b);
        for (int i = 0; i < BATCH; i++) {
            double cell = floor((double)x1[2 * i] + 0.5), u = (double)x1[2 * i] - cell;
            assert_true(cell >= 0 && cell <= 6 && x1[2 * i + 1] == 3.0f);
            mean += u / N;
            square += u * u / N;
        }
    }
    /* five deviations of the means of u and u^2 */
    assert_true(fabs(mean) < 5 * sqrt(1.0 / 12 / N) && fabs(square - 1.0 / 12) < 5 * sqrt(1.0 / 180 / N));
    const batch again = take(p, 0);
    assert_memory_equal(&first, &again, sizeof first);
    tw_producer_destroy(p);
    tw_flow_destroy(flow);
}

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The same points as without a coupling, in another order of the sources, and cheaper. */
static void pairs_are_of_the_points_drawn(void **state)
{
    (void)state;
    tw_flow *plain = flow_of("independent", NULL, 0), *flow = flow_of("ot", NULL, 0);
    assert_false(tw_producer_needed(plain));
    assert_true(tw_producer_needed(flow));
    tw_producer *p = producer_of(plain, false), *q = producer_of(flow, false);
    for (int step = 0; step < 3; step++) {
        batch chance = take(p, step), paired = take(q, step);
        assert_memory_equal(chance.x1, paired.x1, sizeof paired.x1);
        assert_true(cost(&paired) < 0.8 * cost(&chance));
        qsort(chance.x0, BATCH, 2 * sizeof(float), by_value);
        qsort(paired.x0, BATCH, 2 * sizeof(float), by_value);
        assert_memory_equal(chance.x0, paired.x0, sizeof paired.x0);
    }
    tw_producer_destroy(p);
    tw_producer_destroy(q);
    tw_flow_destroy(plain);
    tw_flow_destroy(flow);
}

/* Rows keep their conditions; with a table of sources x0 comes from it. */
static void conditions_go_with_their_rows(void **state)
{
    (void)state;
    tw_flow *flow = flow_of("ot", "data", 2);
    tw_producer *p = producer_of(flow, true);
    batch b = take(p, 7);
    for (int i = 0; i < BATCH; i++) {
        int row = 0, from = (int)b.x0[2 * i];
        while (row < ROWS && memcmp(data + 2 * row, b.x1 + 2 * i, 2 * sizeof(float)) != 0) row++;
        assert_true(row < ROWS);
        assert_memory_equal(condition + 2 * row, b.condition + 2 * i, 2 * sizeof(float));
        assert_memory_equal(source + 2 * from, b.x0 + 2 * i, 2 * sizeof(float));
    }
    tw_producer_destroy(p);
    tw_flow_destroy(flow);
}

static void features_of_conditions(void **state)
{
    (void)state;
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val raw = tw_input(g, "raw", TW_DTYPE_F64, tw_shape_of(3, 2));
    tw_val features = tw_conditions_features(2, told, raw);
    const double values[6] = {2, 10, TW_UNTOLD, -2, 0, TW_UNTOLD};
    double got[15];
    const double want[15] = {0, 0, 1, 2, 1, 0, 0, 0, -1, 1, 1, 0, 0, 0, 0};
    assert_int_equal(tw_conditions_width(2, told), 5);
    assert_int_equal(tw_reference_run(ctx, 1, &raw, (const double *[]){values}, 1, &features, (double *[]){got}),
                     TW_OK);
    for (int i = 0; i < 15; i++) assert_true(got[i] == want[i]);
    tw_graph_destroy(g);
}

static void fill_weights(tw_flow *flow)
{
    for (int64_t i = 0; i < tw_params_size(flow->params); i++) flow->weights[i] = (float)(0.4 * sin(1.9 * (double)i));
}

static void velocity_of(tw_flow *flow, const double *conditions, double guidance, double out[8])
{
    const double x[8] = {0.3, -1, 2, 0.1, -0.7, 0.4, 1, 1}, t[4] = {0.1, 0.5, 0.8, 0.3};
    tw_sample_desc desc = {.conditions = conditions, .guidance = guidance, .double_precision = true};
    if (tw_velocity(flow, 4, t, x, &desc, out) != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

static void guidance_is_its_formula(void **state)
{
    (void)state;
    tw_flow *flow = flow_of(NULL, NULL, 2);
    fill_weights(flow);
    const double c[8] = {0, 1, 1, 5, 2, (double)NAN, (double)NAN, (double)NAN};
    double informed[8], untold[8], guided[8];
    velocity_of(flow, c, 0, informed);
    velocity_of(flow, NULL, 0, untold);
    velocity_of(flow, c, 1.5, guided);
    for (int i = 0; i < 8; i++) assert_true(fabs(guided[i] - (informed[i] + 1.5 * (informed[i] - untold[i]))) < 1e-12);
    for (int i = 0; i < 6; i++) assert_true(fabs(informed[i] - untold[i]) > 1e-6);
    for (int i = 6; i < 8; i++) assert_true(informed[i] == untold[i]); /* told nothing */
    double again[8];
    velocity_of(flow, c, 0, again);
    assert_memory_equal(again, informed, sizeof again);
    tw_flow_destroy(flow);
}

static void conditions_steer_samples_and_are_saved(void **state)
{
    (void)state;
    tw_flow *flow = flow_of(NULL, NULL, 2), *loaded = NULL;
    fill_weights(flow);
    const double row[2] = {1, 3};
    double rows[40], one[40], each[40], other[40];
    for (int i = 0; i < 20; i++) memcpy(rows + 2 * i, row, sizeof row);
    tw_sample_desc desc = {.conditions = row, .same_conditions = true, .seed = 5};
    assert_int_equal(tw_sample(flow, 20, &desc, one, NULL, NULL), TW_OK);
    desc = (tw_sample_desc){.conditions = rows, .seed = 5};
    assert_int_equal(tw_sample(flow, 20, &desc, each, NULL, NULL), TW_OK);
    assert_memory_equal(one, each, sizeof one);
    assert_int_equal(tw_sample(flow, 20, &(tw_sample_desc){.seed = 5}, other, NULL, NULL), TW_OK);
    assert_memory_not_equal(one, other, sizeof one);
    assert_int_equal(tw_flow_save(flow, "conditions.safetensors"), TW_OK);
    if (tw_flow_load(ctx, "conditions.safetensors", &loaded) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    unlink("conditions.safetensors");
    const tw_flow_desc *about = tw_flow_about(loaded);
    assert_int_equal(about->conditions_count, 2);
    assert_int_equal(about->conditions[0].classes, 3);
    assert_string_equal(about->conditions[0].level[1], "green");
    assert_string_equal(about->conditions[1].name, "height");
    assert_true(about->conditions[1].mean == 2 && about->conditions[1].scale == 4);
    assert_int_equal(tw_sample(loaded, 20, &desc, other, NULL, NULL), TW_OK);
    assert_memory_equal(each, other, sizeof each);
    rows[1 + 2 * 4] = (double)INFINITY;
    assert_int_equal(tw_sample(flow, 20, &desc, other, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "row 5: condition 'height' is inf"));
    rows[2 * 4] = 3;
    assert_int_equal(tw_sample(flow, 20, &desc, other, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "condition 'colour' is 3: expected a class from 0 to 2"));
    tw_flow_destroy(flow);
    tw_flow_destroy(loaded);
}

/* Given pairs x1 = x0 + (1, 2), begun at data: the velocity is constant and one step of any solver lands on the pair.
 */
static void given_pairs_are_learned(void **state)
{
    (void)state;
    enum { PAIRS = 600 };
    static double from[2 * PAIRS], to[2 * PAIRS], got[2 * PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        from[2 * i] = 3 * sin(1.3 * i);
        from[2 * i + 1] = 3 * cos(0.7 * i * i);
        to[2 * i] = from[2 * i] + 1;
        to[2 * i + 1] = from[2 * i + 1] + 2;
    }
    tw_dataset *x0 = NULL, *x1 = NULL;
    tw_dataset_desc split = {.seed = 4};
    assert_int_equal(tw_dataset_from_memory(ctx, PAIRS, 2, from, NULL, &split, &x0), TW_OK);
    assert_int_equal(tw_dataset_from_memory(ctx, PAIRS, 2, to, NULL, &split, &x1), TW_OK);
    tw_flow *flow = flow_of("given", "data", 0);
    tw_train_desc train = {.steps = 400, .batch = 128, .lr = 1e-2, .source = x0, .seed = 1};
    if (tw_train(flow, x1, &train, NULL) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    tw_sample_desc desc = {.from = from, .solver = {.method = "euler", .steps = 1}};
    assert_int_equal(tw_sample(flow, PAIRS, &desc, got, NULL, NULL), TW_OK);
    double worst = 0;
    for (int i = 0; i < 2 * PAIRS; i++) worst = fmax(worst, fabs(got[i] - to[i]));
    assert_true(worst < 0.2); /* of displacements 1 and 2, points 3 apart */
    assert_int_equal(tw_sample(flow, 3, NULL, got, NULL, NULL), TW_ERR_INVALID);
    assert_int_equal(tw_log_density(flow, 3, to, NULL, got, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "the density of the flow's source is not known"));
    train.source = NULL;
    assert_int_equal(tw_train(flow, x1, &train, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "no rows to begin at"));
    tw_flow_destroy(flow);
    flow = flow_of("given", NULL, 0);
    assert_int_equal(tw_train(flow, x1, &train, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "needs a data set of source points"));
    tw_flow_destroy(flow);
    tw_dataset_destroy(x0);
    tw_dataset_destroy(x1);
}

/* Rows that follow each other: pieces of their numbers, from any on, as often. */
static void pieces_begin_anywhere(void **state)
{
    (void)state;
    enum { LINES = 5, LONG = 4, MANY = 2000, PLACES = LINES * LONG - LONG + 1 };
    static double out[MANY * LONG];
    double table[LINES * LONG], *results = out;
    int seen[PLACES] = {0};
    tw_graph *g = NULL;
    tw_val feed[TW_FEEDS];
    tw_piece mask = {0};
    tw_factor factor = {.symbols = 30, .columns = LONG, .numbers = LONG};
    const tw_space space = {.count = 1, .numbers = LONG, .columns = LONG, .symbols = 30, .factor = &factor};
    const tw_batch_desc desc = {.batch = MANY, .columns = LONG, .rows = LINES, .dtype = TW_DTYPE_F64, .runs_on = true};
    for (int i = 0; i < LINES * LONG; i++) table[i] = i;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "source", "mask", tw_source_list, &mask), TW_OK);
    tw_batch_tables(g, &desc, feed);
    tw_val key = tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)),
           counter = tw_input(g, "counter", TW_DTYPE_U32, tw_shape_of(2));
    tw_val x1 = tw_batch_draw(&space, &mask, &desc, feed, key, counter).x1;
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 3, (tw_val[]){feed[TW_FEED_DATA], key, counter},
                                      (const double *[]){table, (double[]){7, 0}, (double[]){3, 0}}, 1, &x1, &results),
                     TW_OK);
    for (int r = 0; r < MANY; r++) {
        int begin = (int)out[r * LONG];
        assert_in_range(begin, 0, PLACES - 1);
        for (int k = 0; k < LONG; k++) assert_true(out[r * LONG + k] == begin + k);
        seen[begin]++;
    }
    for (int i = 0; i < PLACES; i++) assert_in_range(seen[i], MANY / PLACES / 2, 2 * MANY / PLACES);
    tw_piece_free(ctx, &mask);
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_are_functions_of_the_step),
        cmocka_unit_test(whole_numbers_fill_their_cells),
        cmocka_unit_test(pairs_are_of_the_points_drawn),
        cmocka_unit_test(conditions_go_with_their_rows),
        cmocka_unit_test(features_of_conditions),
        cmocka_unit_test(guidance_is_its_formula),
        cmocka_unit_test(conditions_steer_samples_and_are_saved),
        cmocka_unit_test(given_pairs_are_learned),
        cmocka_unit_test(pieces_begin_anywhere),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
