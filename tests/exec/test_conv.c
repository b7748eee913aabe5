/* Convolutions in programs: the three passes of many shapes against the reference, a small network with its gradients
 * and a Hessian product, the same bits for any number of threads, fewer rows. */
#include "exec/check.h"
#include "support/context.h"

typedef struct conv_case {
    int rank;
    int64_t x[5], w[5];
    tw_conv_desc desc;
} conv_case;

static const conv_case cases[] = {
    {4, {13, 7, 7, 32}, {3, 3, 32, 32}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {7, 9, 11, 6}, {3, 3, 6, 34}, {.stride = {2, 2}, .low = {1, 1}, .high = {1, 1}}},
    {4, {5, 10, 11, 4}, {3, 2, 4, 9}, {.stride = {3, 2}, .low = {0, 2}, .high = {1, 0}}},
    {4, {5, 12, 9, 4}, {3, 3, 4, 6}, {.dilation = {2, 2}, .low = {2, 1}, .high = {1, 2}}},
    {4, {6, 8, 8, 12}, {3, 3, 6, 10}, {.low = {1, 1}, .high = {1, 1}, .groups = 2}},
    {4, {6, 8, 7, 37}, {3, 3, 1, 37}, {.low = {1, 1}, .high = {1, 1}, .groups = 37}},
    {4, {9, 12, 11, 20}, {3, 3, 20, 1}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {11, 6, 5, 16}, {1, 1, 16, 24}, {.groups = 1}},
    {4, {5, 6, 5, 16}, {1, 1, 16, 24}, {.stride = {2, 2}}},
    {4, {3, 2, 3, 8}, {5, 7, 8, 8}, {.low = {2, 3}, .high = {3, 3}}},
    {4, {0, 5, 4, 8}, {3, 3, 8, 8}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {1, 5, 4, 8}, {3, 3, 8, 8}, {.low = {1, 1}, .high = {1, 1}}},
    {3, {5, 23, 6}, {5, 6, 9}, {.stride = {2}, .low = {4}, .dilation = {2}}},
    {5, {3, 4, 5, 6, 3}, {2, 3, 3, 3, 8}, {.stride = {1, 2, 1}, .low = {1, 0, 1}, .high = {1, 1, 1}}},
};

/* All three passes in one program, each behind and before an elementwise op, so that they share a region. */
static void every_pass(void **state)
{
    for (int i = 0; i < TW_COUNT(cases); i++)
        for (int wide = 0; wide < 2; wide++) {
            tw_graph *g = NULL;
            assert_int_equal(tw_graph_create(*state, &g), TW_OK);
            tw_dtype dtype = wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
            const tw_conv_desc *desc = &cases[i].desc;
            tw_val x = tw_input(g, "x", dtype, tw_shape_make(cases[i].rank, cases[i].x)),
                   w = tw_input(g, "w", dtype, tw_shape_make(cases[i].rank, cases[i].w)), warm = tw_sin(x),
                   y = tw_conv(warm, w, desc), back = tw_conv_input(tw_sin(y), w, desc, tw_shape_at(x));
            /* a sum over thousands of terms: f32 rounds each of them */
            check c = {
                .ctx = *state,
                .inputs_count = 2,
                .inputs = {x, w},
                .outputs_count = 3,
                .outputs = {tw_muls(y, 0.5), tw_add(back, x), tw_conv_weights(warm, tw_cos(y), desc, tw_shape_at(w))},
                .tolerance = wide ? 1e-13 : 2e-5,
                .seed = (uint64_t)i};
            if (tw_graph_check(g) != TW_OK) fail_msg("%s", tw_context_error(*state));
            check_all_ways(&c);
            tw_graph_destroy(g);
        }
}

/* (N,H,W,C) -> means of 2 x 2 pixels, and each pixel four times: how networks change the size of images. */
static tw_val pooled(tw_val x)
{
    tw_val parts = tw_reshape(x, tw_shape_of(tw_dim(x, 0), tw_dim(x, 1) / 2, 2, tw_dim(x, 2) / 2, 2, tw_dim(x, 3)));
    return tw_muls(tw_sum(parts, 2, (int[]){2, 4}), 0.25);
}

static tw_val upsampled(tw_val x)
{
    int64_t n = tw_dim(x, 0), h = tw_dim(x, 1), w = tw_dim(x, 2), c = tw_dim(x, 3);
    tw_val wide = tw_broadcast_to(tw_reshape(x, tw_shape_of(n, h, 1, w, 1, c)), tw_shape_of(n, h, 2, w, 2, c));
    return tw_reshape(wide, tw_shape_of(n, 2 * h, 2 * w, c));
}

/* Down, through the bottom and up again with a shortcut, to a scalar. */
static void small_network(void **state)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(*state, &g), TW_OK);
    tw_conv_desc same = {.low = {1, 1}, .high = {1, 1}}, half = {.stride = {2, 2}, .low = {1, 1}, .high = {1, 1}};
    tw_dtype f64 = TW_DTYPE_F64;
    tw_val in[] = {tw_input(g, "x", f64, tw_shape_of(5, 8, 8, 2)),  tw_input(g, "a", f64, tw_shape_of(3, 3, 2, 6)),
                   tw_input(g, "b", f64, tw_shape_of(3, 3, 6, 8)),  tw_input(g, "c", f64, tw_shape_of(3, 3, 8, 6)),
                   tw_input(g, "d", f64, tw_shape_of(1, 1, 12, 1)), tw_input(g, "bias", f64, tw_shape_of(8)),
                   tw_input(g, "v", f64, tw_shape_of(3, 3, 6, 8))};
    tw_val first = tw_silu(tw_conv(in[0], in[1], &same)),
           low = tw_silu(tw_add(tw_conv(pooled(first), in[2], &half), in[5])),
           high = upsampled(upsampled(tw_conv(low, in[3], &same))), both = tw_concat2(3, first, high),
           loss = tw_mean_all(tw_square(tw_conv(both, in[4], NULL)));
    tw_val vectors[] = {TW_NONE, TW_NONE, in[6], TW_NONE, TW_NONE, TW_NONE}, gradients[6], products[6];
    assert_int_equal(tw_grad(loss, 6, in, gradients), TW_OK);
    assert_int_equal(tw_hvp(loss, 6, in, vectors, products), TW_OK);
    check c = {.ctx = *state, .inputs_count = 7, .outputs_count = 13, .tolerance = 1e-12, .seed = 3};
    memcpy(c.inputs, in, sizeof in);
    c.outputs[0] = loss;
    memcpy(c.outputs + 1, gradients, sizeof gradients);
    memcpy(c.outputs + 7, products, sizeof products);
    check_all_ways(&c);
    tw_graph_destroy(g);
}

/* A program for 9 rows run on 4 gives the bits of the first four. */
static void fewer_rows(void **state)
{
    enum { ROWS = 9, FEWER = 4, PIXELS = 6 * 5, C = 16 };
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(*state, &g), TW_OK);
    tw_conv_desc same = {.low = {1, 1}, .high = {1, 1}};
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(ROWS, 6, 5, C)),
           w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(3, 3, C, C)),
           y = tw_conv_input(tw_tanh(tw_conv(x, w, &same)), w, &same, tw_shape_at(x)), in[] = {x, w};
    tw_program *program = NULL;
    tw_state *run = NULL;
    assert_int_equal(tw_program_compile(*state,
                                        &(tw_program_desc){.inputs_count = 2,
                                                           .inputs = in,
                                                           .outputs_count = 1,
                                                           .outputs = &y,
                                                           .rows = ROWS,
                                                           .row_inputs = (bool[]){true, false}},
                                        &program),
                     TW_OK);
    assert_int_equal(tw_state_create(program, 0, &run), TW_OK);
    static float images[ROWS * PIXELS * C], weights[9 * C * C], all[ROWS * PIXELS * C], some[ROWS * PIXELS * C];
    tw_random r = {.seed = 4};
    for (int i = 0; i < ROWS * PIXELS * C; i++) images[i] = (float)tw_random_normal(&r);
    for (int i = 0; i < 9 * C * C; i++) weights[i] = 0.1f * (float)tw_random_normal(&r);
    const void *inputs[] = {images, weights};
    assert_int_equal(tw_program_run(run, inputs, (void *[]){all}, 0), TW_OK);
    assert_int_equal(tw_program_run(run, inputs, (void *[]){some}, FEWER), TW_OK);
    assert_memory_equal(all, some, FEWER * PIXELS * C * sizeof(float));
    tw_state_destroy(run);
    tw_program_destroy(program);
    tw_graph_destroy(g);
}

/* By our own code where the library would be asked. */
static void own(void **state)
{
    assert_int_equal(setenv("TW_CONV", "own", 1), 0);
    every_pass(state);
    small_network(state);
    assert_int_equal(unsetenv("TW_CONV"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pass),
        cmocka_unit_test(small_network),
        cmocka_unit_test(fewer_rows),
        cmocka_unit_test(own),
    };
    return cmocka_run_group_tests_name("exec/conv", tests, open_pool, close_context);
}
