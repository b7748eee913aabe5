/* Networks of images as rows of the table: their fields as text, conditions, several outputs, dropout, and what is
 * refused. What they compute is compared with PyTorch elsewhere (tests/nn/test_golden.c, tests/flow/test_import.c). */
#include "graph/reference.h"
#include "nn/network.h"
#include "nn/own_params.h"
#include "nn/unet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 2, SIDE = 4, CHANNELS = 2, D = SIDE * SIDE * CHANNELS, CLASSES = 3 };

/* Small ones of each kind. */
static const tw_network_desc small[] = {
    {.kind = "unet",
     .width = 32,
     .mult = {1, 2},
     .blocks = 1,
     .heads = 2,
     .dropout = 0.5,
     .scale_shift = 1,
     .image = {SIDE, SIDE, CHANNELS}},
    {.kind = "dit", .width = 24, .depth = 2, .heads = 3, .patch = 2, .image = {SIDE, SIDE, CHANNELS}},
    {.kind = "dit",
     .width = 8,
     .depth = 1,
     .heads = 1,
     .patch = 1,
     .learn_positions = 1,
     .learn_sigma = 1,
     .image = {2, 2 * SIDE, CHANNELS}},
    {.kind = "patch_unet",
     .width = 8,
     .mult = {1, 2},
     .blocks = 1,
     .heads = 2,
     .patch = 1,
     .image = {SIDE, SIDE, CHANNELS}},
    {.kind = "patch_unet",
     .width = 16,
     .mult = {2, 1},
     .blocks = 2,
     .attention = {2, 1},
     .heads = 1,
     .patch = 2,
     .image = {SIDE, SIDE, CHANNELS}},
};

typedef struct run {
    tw_val in[512];
    const double *from[512];
    double x[ROWS * D], t[ROWS], c[ROWS * CLASSES], counter[2];
    double *memory;
    int count;
} run;

static void give(run *r, tw_val v, const double *values)
{
    r->in[r->count] = v;
    r->from[r->count++] = values;
}

static void begin(run *r)
{
    *r = (run){0};
    for (int i = 0; i < ROWS * D; i++) r->x[i] = cos(0.9 * i);
    for (int i = 0; i < ROWS; i++) r->t[i] = 0.2 + 0.5 * i;
    give(r, tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(ROWS, D)), r->x);
    give(r, tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(ROWS)), r->t);
    give(r, tw_input(graph, "c", TW_DTYPE_F64, tw_shape_of(ROWS, CLASSES)), r->c);
}

/* Runs; parameters are waves, so that nothing is zero. */
static void finish(run *r, int outs, const tw_val *out, double *const *to)
{
    r->memory = calloc((size_t)tw_params_size(params), sizeof(double));
    for (int64_t i = 0; i < tw_params_size(params); i++) r->memory[i] = 0.3 * sin(1.7 * (double)i + 0.3);
    for (int i = 0; i < tw_params_count(params); i++)
        give(r, tw_params_value(params, i), r->memory + tw_params_offset(params, i));
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, r->count, r->in, r->from, outs, out, to), TW_OK);
    free(r->memory);
}

static double distance(int n, const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

/* Zeros say nothing; a class says something to its row alone. */
static void test_conditions(void **state)
{
    const tw_network_desc *desc = *state;
    static run r;
    double told[ROWS * D], plain[ROWS * D];
    begin(&r);
    tw_scope root = tw_scope_root(params);
    tw_val u[] = {tw_network(root, desc, r.in[0], r.in[1], r.in[2], D),
                  tw_network(root, desc, r.in[0], r.in[1], TW_NONE, D)};
    r.c[CLASSES + 1] = 1;
    finish(&r, 2, u, (double *[]){told, plain});
    assert_true(distance(D, told, plain) < 1e-13);
    assert_true(distance(D, told + D, plain + D) > 1e-4);
}

/* Several outputs of a row stand one behind another: the network itself has them pixel by pixel. */
static void test_outputs(void **state)
{
    const tw_network_desc *desc = *state;
    static run r;
    double both[ROWS * 2 * D], pixels[ROWS * 2 * D];
    begin(&r);
    tw_scope root = tw_scope_root(params);
    tw_unet_desc same = {.width = 32,
                         .levels = 2,
                         .mult = {1, 2},
                         .attend = {false, true},
                         .blocks = 1,
                         .heads = 2,
                         .scale_shift = true};
    tw_val image = tw_reshape(r.in[0], tw_shape_of(ROWS, SIDE, SIDE, CHANNELS));
    tw_val u[] = {tw_network(root, desc, r.in[0], r.in[1], TW_NONE, 2 * D),
                  tw_unet(root, &same, image, r.in[1], TW_NONE, 2 * CHANNELS)};
    assert_true(tw_shape_equal(tw_shape_at(u[0]), tw_shape_of(ROWS, 2 * D)));
    finish(&r, 2, u, (double *[]){both, pixels});
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < D; i++) {
            double want = pixels[i / CHANNELS * 2 * CHANNELS + k * CHANNELS + i % CHANNELS];
            assert_true(fabs(both[k * D + i] - want) < 1e-13);
        }
}

/* Nothing is dropped unless a graph trains; then masks depend on the step, and another layer's are others. */
static void test_dropout(void **state)
{
    (void)state;
    enum { N = 4000 };
    static double x[N], first[N], second[N], left[N];
    static double key[2] = {5, 0}, counter[2] = {1, 0};
    tw_val in[] = {tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(N)),
                   tw_input(graph, "key", TW_DTYPE_U32, tw_shape_of(2)),
                   tw_input(graph, "counter", TW_DTYPE_U32, tw_shape_of(2))};
    tw_scope root = tw_scope_root(params);
    assert_int_equal(tw_drop(root, in[0], 0.25).id, in[0].id);
    tw_params_train(params, (tw_training){.key = in[1], .counter = in[2]});
    tw_val out[] = {tw_drop(root, in[0], 0.25), tw_drop(root, in[0], 0.25)};
    assert_int_equal(tw_drop(root, in[0], 0).id, in[0].id);
    for (int i = 0; i < N; i++) x[i] = 3;
    const double *from[] = {x, key, counter};
    assert_int_equal(tw_reference_run(ctx, 3, in, from, 2, out, (double *[]){first, second}), TW_OK);
    double sum = 0, same = 0;
    for (int i = 0; i < N; i++) {
        assert_true(first[i] == 0 || fabs(first[i] - 4) < 1e-12);
        sum += first[i];
        same += first[i] == second[i];
    }
    /* five standard errors; two masks agree with probability 1/16 + 9/16 */
    assert_true(fabs(sum / N - 3) < 5 * 3 * sqrt(0.25 / 0.75 / N));
    assert_true(fabs(same / N - 0.625) < 5 * sqrt(0.625 * 0.375 / N));
    counter[0] = 2;
    assert_int_equal(tw_reference_run(ctx, 3, in, from, 1, out, (double *[]){left}), TW_OK);
    assert_true(distance(N, first, left) > 1);
}

/* Computing activations again changes no result and no gradient, dropout included: masks are functions of the step. */
static void test_recompute(void **state)
{
    const tw_network_desc *desc = *state;
    static run r;
    static double key[2] = {5, 0}, counter[2] = {3, 0};
    double u[2][ROWS * D], dx[2][ROWS * D], dc[2][ROWS * CLASSES], loss[2];
    tw_val out[8];
    begin(&r);
    r.c[1] = r.c[CLASSES] = 1;
    tw_val k = tw_input(graph, "key", TW_DTYPE_U32, tw_shape_of(2)),
           n = tw_input(graph, "n", TW_DTYPE_U32, tw_shape_of(2));
    give(&r, k, key);
    give(&r, n, counter);
    for (int again = 0; again < 2; again++) {
        tw_val wanted[2] = {r.in[0], r.in[2]}, *o = &out[4 * again];
        tw_params_train(params, (tw_training){.key = k, .counter = n, .recompute = again});
        o[0] = tw_network(tw_scope_root(params), desc, r.in[0], r.in[1], r.in[2], D);
        o[1] = tw_sum_all(tw_square(o[0]));
        assert_int_equal(tw_grad(o[1], 2, wanted, &o[2]), TW_OK);
    }
    assert_int_not_equal(out[0].id, out[4].id);
    finish(&r, 8, out, (double *[]){u[0], &loss[0], dx[0], dc[0], u[1], &loss[1], dx[1], dc[1]});
    assert_true(distance(ROWS * D, u[0], u[1]) < 1e-12);
    assert_true(distance(ROWS * D, dx[0], dx[1]) < 1e-10 && distance(ROWS * CLASSES, dc[0], dc[1]) < 1e-10);
    assert_true(loss[0] > 1e-3);
}

/* Every field that a kind has, as text and back. */
static void test_texts(void **state)
{
    const tw_network_desc *desc = *state;
    tw_network_desc full, back = {.kind = desc->kind, .image = desc->image};
    int count;
    assert_int_equal(tw_network_complete(ctx, desc, &full), TW_OK);
    const tw_field_default *fields = tw_network_fields_of(desc->kind, &count);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char text[TW_FIELD_TEXT];
        tw_field_write(&full, (int)fields[i].field, text);
        assert_int_equal(tw_field_read(ctx, (int)fields[i].field, text, &back), TW_OK);
    }
    back.kind = full.kind;
    assert_memory_equal(&back, &full, sizeof full);
}

static void test_texts_of_lists(void **state)
{
    (void)state;
    tw_network_desc desc = {0};
    char text[TW_FIELD_TEXT];
    assert_int_equal(tw_field_read(ctx, TW_FIELD_mult, "1,2,4", &desc), TW_OK);
    assert_true(desc.mult[0] == 1 && desc.mult[1] == 2 && desc.mult[2] == 4 && desc.mult[3] == 0);
    assert_int_equal(tw_field_read(ctx, TW_FIELD_attention, "none", &desc), TW_OK);
    assert_int_equal(desc.attention[0], -1);
    tw_field_write(&desc, TW_FIELD_attention, text);
    assert_string_equal(text, "none");
    static const char *const bad[] = {"", "1,", ",1", "0", "1,x", "1,2.5", "1,1,1,1,1,1,1,1,1", "65", "nan"};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_equal(tw_field_read(ctx, TW_FIELD_mult, bad[i], &desc), TW_ERR_INVALID);
        assert_non_null(strstr(tw_context_error(ctx), "network mult"));
    }
    assert_int_equal(tw_field_read(ctx, TW_FIELD_dropout, "1", &desc), TW_ERR_INVALID);
    assert_int_equal(desc.mult[2], 4);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        tw_network_desc desc;
        const char *word;
    } cases[] = {
        {{.kind = "unet", .width = 48, .image = {28, 28, 1}}, "32 groups"},
        {{.kind = "unet", .attention = {9}, .image = {28, 28, 1}}, "height of 9"},
        {{.kind = "unet", .heads = 3, .image = {28, 28, 1}}, "heads"},
        {{.kind = "unet", .head_channels = 48, .image = {28, 28, 1}}, "heads"},
        {{.kind = "unet", .image = {30, 28, 1}}, "halved"},
        {{.kind = "unet", .depth = 3, .image = {28, 28, 1}}, "has no depth"},
        {{.kind = "unet", .mult = {1, 100}, .image = {28, 28, 1}}, "mult is 100"},
        {{.kind = "unet", .image = {28, 28, 2}}, "rows of"},
        {{.kind = "patch_unet", .patch = 3, .image = {28, 28, 1}}, "multiples of 6"},
        {{.kind = "patch_unet", .width = 20, .image = {28, 28, 1}}, "multiple of 8"},
        {{.kind = "patch_unet", .attention = {28}, .image = {28, 28, 1}}, "from 14 to 7"},
        {{.kind = "dit", .patch = 5, .image = {28, 28, 1}}, "patches of 5"},
        {{.kind = "dit", .heads = 5, .image = {28, 28, 1}}, "5 heads"},
        {{.kind = "dit", .width = 6, .heads = 1, .image = {28, 28, 1}}, "multiple of 4"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        void *none = NULL;
        const tw_image *image = &cases[i].desc.image;
        int64_t size = (int64_t)image->height * image->width;
        assert_int_equal(setup(&none), 0);
        tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(2, size)),
               t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(2));
        assert_true(tw_is_none(tw_network(tw_scope_root(params), &cases[i].desc, x, t, TW_NONE, size)));
        assert_int_not_equal(tw_graph_check(graph), TW_OK);
        if (!strstr(tw_context_error(ctx), cases[i].word)) fail_msg("%d: %s", i, tw_context_error(ctx));
        teardown(&none);
    }
}

#define ON(test, kind) cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, (void *)(uintptr_t)&small[kind])
#define EACH(test)     ON(test, 0), ON(test, 1), ON(test, 2), ON(test, 3), ON(test, 4)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_conditions),
        EACH(test_texts),
        EACH(test_recompute),
        ON(test_outputs, 0),
        cmocka_unit_test_setup_teardown(test_dropout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts_of_lists, setup, teardown),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
