/* The training step as a graph and as a program: its gradient against central differences in double, its update against
 * AdamW written out here, and what happens to gradients that are not numbers. */
#include "train/step.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 7, COLUMNS = 2, BATCH = 6, WIDTH = 4 };

static tw_context *ctx;
static tw_flow *flow;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    return tw_flow_create(ctx,
                          &(tw_flow_desc){.columns = COLUMNS,
                                          .seed = 3,
                                          .network = {.width = WIDTH, .depth = 2, .time_features = 4}},
                          &flow) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_flow_destroy(flow);
    tw_context_destroy(ctx);
    return 0;
}

static tw_step_desc step_desc(tw_dtype dtype)
{
    return (tw_step_desc){.rows = ROWS,
                          .batch = BATCH,
                          .beta1 = 0.9,
                          .beta2 = 0.99,
                          .epsilon = 1e-8,
                          .weight_decay = 0.1,
                          .clip = 0.5,
                          .dtype = dtype};
}

/* --- the gradient ----------------------------------------------------------------------------------------------------
 */

typedef struct frame {
    int pieces;
    tw_step_graph s;
    tw_val inputs[64];
    const double *values[64];
    int count;
    double data[ROWS * COLUMNS], key[2], counter[2];
    double *flat;
} frame;

static void frame_make(frame *f)
{
    tw_step_desc desc = step_desc(TW_DTYPE_F64);
    desc.pieces = f->pieces;
    assert_int_equal(tw_step_graph_build(flow, &desc, &f->s), TW_OK);
    for (int i = 0; i < ROWS * COLUMNS; i++) f->data[i] = sin(2.1 * i);
    f->key[0] = 12;
    f->key[1] = 13;
    f->counter[0] = 5;
    f->counter[1] = 0;
    int64_t size = tw_params_size(f->s.params);
    f->flat = calloc((size_t)size, sizeof(double));
    for (int64_t i = 0; i < size; i++) f->flat[i] = 0.5 * sin(1.3 * (double)i + 1);
    f->inputs[0] = f->s.feed[TW_FEED_DATA];
    f->values[0] = f->data;
    f->inputs[1] = f->s.key;
    f->values[1] = f->key;
    f->inputs[2] = f->s.counter;
    f->values[2] = f->counter;
    f->count = 3;
    for (int i = 0; i < f->s.params_count; i++) {
        f->inputs[f->count] = tw_params_value(f->s.params, i);
        f->values[f->count++] = f->flat + tw_params_offset(f->s.params, i);
    }
}

static void frame_free(frame *f)
{
    tw_step_graph_free(ctx, &f->s);
    free(f->flat);
}

static double frame_loss(frame *f)
{
    double loss;
    assert_int_equal(tw_reference_run(ctx, f->count, f->inputs, f->values, 1, &f->s.loss, (double *[]){&loss}), TW_OK);
    return loss;
}

static void test_gradient_of_the_whole_step(void **state)
{
    (void)state;
    frame f = {0};
    frame_make(&f);
    const double h = 1e-5; /* error h^2 f'''/6 + 1e-16/h: 1e-10 */
    double largest = 0;
    for (int i = 0; i < f.s.params_count; i++) {
        int64_t size = tw_shape_size(tw_shape_at(f.s.old[i].weight));
        double *gradient = calloc((size_t)size, sizeof(double)), *weight = f.flat + tw_params_offset(f.s.params, i);
        assert_int_equal(
            tw_reference_run(ctx, f.count, f.inputs, f.values, 1, &f.s.gradients[i], (double *[]){gradient}), TW_OK);
        for (int64_t j = 0; j < size; j++) {
            double kept = weight[j];
            weight[j] = kept + h;
            double up = frame_loss(&f);
            weight[j] = kept - h;
            double down = frame_loss(&f);
            weight[j] = kept;
            assert_true(fabs((up - down) / (2 * h) - gradient[j]) < 1e-8);
            largest = fmax(largest, fabs(gradient[j]));
        }
        free(gradient);
    }
    assert_true(largest > 0.01); /* it is not all zeros */
    frame_free(&f);
}

/* The same draws in three pieces give the same loss and gradients, but for the order of sums. */
static void test_pieces_add_up(void **state)
{
    (void)state;
    frame f[2] = {{.pieces = 1}, {.pieces = 3}};
    for (int k = 0; k < 2; k++) frame_make(&f[k]);
    assert_true(fabs(frame_loss(&f[0]) - frame_loss(&f[1])) < 1e-14);
    for (int i = 0; i < f[0].s.params_count; i++) {
        int64_t size = tw_shape_size(tw_shape_at(f[0].s.old[i].weight));
        double *gradient[2];
        for (int k = 0; k < 2; k++) {
            gradient[k] = calloc((size_t)size, sizeof(double));
            assert_int_equal(
                tw_reference_run(ctx, f[k].count, f[k].inputs, f[k].values, 1, &f[k].s.gradients[i], &gradient[k]),
                TW_OK);
        }
        for (int64_t j = 0; j < size; j++) assert_true(fabs(gradient[0][j] - gradient[1][j]) < 1e-14);
        free(gradient[0]);
        free(gradient[1]);
    }
    for (int k = 0; k < 2; k++) frame_free(&f[k]);
}

/* Rows, times and source points of a batch as the step draws them. */
static void test_draws(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    static double data[64], chosen[MANY * COLUMNS];
    double key[2] = {1, 2}, counter[2] = {0, 0};
    int seen[32] = {0};
    tw_step_desc desc = step_desc(TW_DTYPE_F64);
    desc.batch = MANY;
    desc.rows = 32;
    tw_step_graph s;
    assert_int_equal(tw_step_graph_build(flow, &desc, &s), TW_OK);
    for (int i = 0; i < 64; i++) data[i] = i / 2;
    /* the value that take_rows made is found by its operation */
    tw_val rows = TW_NONE;
    for (int32_t id = 0; id < s.graph->count; id++)
        if (tw_node_of(s.graph, id)->op == TW_OP_take_rows) rows = (tw_val){s.graph, id};
    assert_false(tw_is_none(rows));
    tw_val inputs[3] = {s.feed[TW_FEED_DATA], s.key, s.counter};
    assert_int_equal(
        tw_reference_run(ctx, 3, inputs, (const double *[]){data, key, counter}, 1, &rows, (double *[]){chosen}),
        TW_OK);
    double chi = 0, mean = (double)MANY / 32;
    for (int i = 0; i < MANY; i++) seen[(int)chosen[COLUMNS * i]]++;
    for (int i = 0; i < 32; i++) chi += (seen[i] - mean) * (seen[i] - mean) / mean;
    assert_true(chi > 9 && chi < 70); /* chi-square of 31 degrees: outside of this once in 10,000 seeds */
    tw_step_graph_free(ctx, &s);
}

/* --- the update -------------------------------------------------------------------------------------------------- */

/* A parameter of two numbers (a vector) and one of one by one (a matrix), gradients given. */
static void test_update_is_adamw(void **state)
{
    (void)state;
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    for (int rank = 1; rank <= 2; rank++) {
        tw_shape shape = rank == 1 ? tw_shape_of(2) : tw_shape_of(1, 2);
        tw_val in[10];
        for (int i = 0; i < 5; i++) in[i] = tw_input(g, "array", TW_DTYPE_F64, shape);
        for (int i = 5; i < 10; i++) in[i] = tw_input(g, "scalar", TW_DTYPE_F64, TW_SCALAR);
        tw_update adamw = {.beta1 = 0.9,
                           .beta2 = 0.99,
                           .epsilon = 1e-3,
                           .weight_decay = 0.1,
                           .rate = in[5],
                           .correction1 = in[6],
                           .correction2 = in[7],
                           .average = in[8],
                           .scale = in[9],
                           .go = tw_is_finite(in[9])};
        tw_moments new =
            tw_optimiser_update(tw_optimiser_at(0), &adamw, (tw_moments){in[0], in[1], in[2], in[3]}, in[4]);
        tw_val out[4] = {new.weight, new.first, new.second, new.average};
        double w[2] = {1, -2}, m[2] = {0, 0}, v[2] = {0, 0}, e[2] = {1, -2};
        double pw[2] = {1, -2}, pm[2] = {0, 0}, pv[2] = {0, 0}, pe[2] = {1, -2};
        for (int n = 1; n <= 5; n++) {
            double grad[2] = {sin(n), 3 * cos(n)}, rate = 0.1 / n, decay = n / (n + 9.0), scale = 0.5;
            double c1 = 1 / (1 - pow(0.9, n)), c2 = 1 / (1 - pow(0.99, n));
            assert_int_equal(tw_reference_run(ctx, 10, in,
                                              (const double *[]){w, m, v, e, grad, &rate, &c1, &c2, &decay, &scale}, 4,
                                              out, (double *[]){w, m, v, e}),
                             TW_OK);
            for (int i = 0; i < 2; i++) {
                double gi = grad[i] * scale;
                pm[i] = 0.9 * pm[i] + 0.1 * gi;
                pv[i] = 0.99 * pv[i] + 0.01 * gi * gi;
                if (rank == 2) pw[i] -= rate * 0.1 * pw[i];
                pw[i] -= rate * (pm[i] / (1 - pow(0.9, n))) / (sqrt(pv[i] / (1 - pow(0.99, n))) + 1e-3);
                pe[i] = decay * pe[i] + (1 - decay) * pw[i];
                assert_true(fabs(w[i] - pw[i]) < 1e-12 && fabs(m[i] - pm[i]) < 1e-12);
                assert_true(fabs(v[i] - pv[i]) < 1e-12 && fabs(e[i] - pe[i]) < 1e-12);
            }
        }
        double grad[2] = {1, 1}, rate = 1, one = 1, infinite = (double)INFINITY;
        assert_int_equal(tw_reference_run(ctx, 10, in,
                                          (const double *[]){w, m, v, e, grad, &rate, &one, &one, &one, &infinite}, 4,
                                          out, (double *[]){w, m, v, e}),
                         TW_OK);
        for (int i = 0; i < 2; i++)
            assert_true(fabs(w[i] - pw[i]) < 1e-12 && fabs(m[i] - pm[i]) < 1e-12); /* not gone */
    }
    tw_graph_destroy(g);
}

/* Momentum, Nesterov's and Lion, written out as the papers have them; the matrix decays apart from the gradient. */
static void test_updates_with_one_moment(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        const char *names[] = {"sgd", "nesterov", "lion"};
        const tw_optimiser *optimiser = NULL;
        tw_graph *g = NULL;
        assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
        assert_int_equal(tw_optimiser_find(ctx, names[kind], &optimiser), TW_OK);
        assert_int_equal(optimiser->moments, 1);
        tw_val in[7];
        for (int i = 0; i < 4; i++) in[i] = tw_input(g, "array", TW_DTYPE_F64, tw_shape_of(1, 2));
        for (int i = 4; i < 7; i++) in[i] = tw_input(g, "scalar", TW_DTYPE_F64, TW_SCALAR);
        tw_update update = {.beta1 = 0.9,
                            .beta2 = 0.99,
                            .weight_decay = 0.1,
                            .rate = in[4],
                            .average = in[5],
                            .scale = in[6],
                            .go = tw_is_finite(in[6])};
        tw_moments old = {in[0], in[1], TW_NONE, in[2]};
        tw_moments new = tw_optimiser_update(optimiser, &update, old, in[3]);
        assert_true(tw_is_none(new.second));
        tw_val out[3] = {new.weight, new.first, new.average};
        double w[2] = {1, -2}, m[2] = {0, 0}, e[2] = {1, -2}, pw[2] = {1, -2}, pm[2] = {0, 0};
        for (int n = 1; n <= 5; n++) {
            double grad[2] = {sin(n), 3 * cos(n)}, rate = 0.1 / n, decay = 0.5, scale = 0.5;
            assert_int_equal(tw_reference_run(ctx, 7, in, (const double *[]){w, m, e, grad, &rate, &decay, &scale}, 3,
                                              out, (double *[]){w, m, e}),
                             TW_OK);
            for (int i = 0; i < 2; i++) {
                double gi = grad[i] * scale, step, look = 0.9 * pm[i] + 0.1 * gi;
                if (kind < 2) pm[i] = 0.9 * pm[i] + gi;
                step = kind == 0 ? pm[i] : kind == 1 ? gi + 0.9 * pm[i] : (double)((look > 0) - (look < 0));
                if (kind == 2) pm[i] = 0.99 * pm[i] + 0.01 * gi;
                pw[i] = pw[i] - rate * 0.1 * pw[i] - rate * step;
                assert_true(fabs(w[i] - pw[i]) < 1e-12 && fabs(m[i] - pm[i]) < 1e-12);
            }
        }
        tw_graph_destroy(g);
    }
    const tw_optimiser *none = NULL;
    assert_int_equal(tw_optimiser_find(ctx, "adamv", &none), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "adamw"));
}

static void test_clipping(void **state)
{
    (void)state;
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val in[2] = {tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(2)), tw_input(g, "b", TW_DTYPE_F64, tw_shape_of(1, 2))};
    tw_val square = tw_square_of_all(2, in);
    tw_val out[3] = {square, tw_clip_scale(square, 2), tw_clip_scale(square, -1)};
    double a[2] = {3, 4}, b[2] = {0, 12}, s, clipped, not_clipped;
    double *results[3] = {&s, &clipped, &not_clipped};
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){a, b}, 3, out, results), TW_OK);
    assert_true(fabs(s - 169) < 1e-12 && fabs(clipped - 2.0 / 13) < 1e-12 && not_clipped == 1);
    double small[2] = {0.1, 0}, zero[2] = {0, 0};
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){small, zero}, 3, out, results), TW_OK);
    assert_true(clipped == 1);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){zero, zero}, 3, out, results), TW_OK);
    assert_true(clipped == 1);
    tw_graph_destroy(g);
}

/* --- the program ------------------------------------------------------------------------------------------------- */

static void test_program_follows_the_reference(void **state)
{
    (void)state;
    float data[ROWS * COLUMNS];
    tw_step_desc desc = step_desc(TW_DTYPE_F32);
    tw_step step;
    for (int i = 0; i < ROWS * COLUMNS; i++) data[i] = (float)sin(2.1 * i);
    const uint64_t seed = 12 | (uint64_t)13 << 32;
    assert_int_equal(tw_step_create(flow, &desc, (const void *const[TW_FEEDS]){data}, seed, &step), TW_OK);
    frame f = {0};
    frame_make(&f);
    for (int i = 0; i < ROWS * COLUMNS; i++) f.data[i] = (double)data[i];
    int64_t size = tw_params_size(flow->params);
    for (int64_t i = 0; i < size; i++) step.flat[TW_WEIGHTS][i] = (float)f.flat[i];
    double want = frame_loss(&f);
    assert_int_equal(tw_step_run(&step, 5, 1, 0.01, 0.5), TW_OK); /* counter 5, as in the frame */
    assert_true(fabs((double)step.loss - want) < 1e-5 * want);
    assert_true(step.finite > 0 && step.norm > 0);
    /* the first AdamW step of a bias moves by the rate times g / (|g| + eps): nearly the rate itself */
    int last = tw_params_count(flow->params) - 1;
    int64_t at = tw_params_offset(flow->params, last);
    double moved = fabs((double)step.flat[TW_WEIGHTS][at] - (double)(float)f.flat[at]);
    assert_true(fabs(moved - 0.01) < 1e-4);
    double mean = 0.5 * (f.flat[at] + (double)step.flat[TW_WEIGHTS][at]); /* the average had been 0 */
    assert_true(fabs((double)step.flat[TW_AVERAGE][at] - 0.5 * (double)step.flat[TW_WEIGHTS][at]) < 1e-6);
    (void)mean;
    frame_free(&f);
    tw_step_destroy(&step);
}

static void test_bad_gradients_change_nothing(void **state)
{
    (void)state;
    float data[ROWS * COLUMNS];
    tw_step_desc desc = step_desc(TW_DTYPE_F32);
    tw_step step;
    for (int i = 0; i < ROWS * COLUMNS; i++) data[i] = (float)NAN;
    assert_int_equal(tw_step_create(flow, &desc, (const void *const[TW_FEEDS]){data}, 1, &step), TW_OK);
    float *before = malloc(step.flat_bytes[TW_WEIGHTS]);
    memcpy(step.flat[TW_WEIGHTS], flow->weights, step.flat_bytes[TW_WEIGHTS]);
    memcpy(before, flow->weights, step.flat_bytes[TW_WEIGHTS]);
    assert_int_equal(tw_step_run(&step, 0, 1, 0.01, 0.5), TW_OK);
    assert_true(step.finite == 0);
    assert_memory_equal(before, step.flat[TW_WEIGHTS], step.flat_bytes[TW_WEIGHTS]);
    memset(before, 0, step.flat_bytes[TW_WEIGHTS]);
    assert_memory_equal(before, step.flat[TW_FIRST], step.flat_bytes[TW_WEIGHTS]);
    assert_memory_equal(before, step.flat[TW_AVERAGE], step.flat_bytes[TW_WEIGHTS]);
    free(before);
    tw_step_destroy(&step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_gradient_of_the_whole_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_draws, setup, teardown),
        cmocka_unit_test_setup_teardown(test_update_is_adamw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_updates_with_one_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clipping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_program_follows_the_reference, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_gradients_change_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
