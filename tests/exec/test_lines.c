/* Sums and maxima of lines that an elementwise program has just made: done by that program, tile by tile, without the
 * lines being stored; to the bit what a reduction of stored lines gives. */
#include "check.h"

typedef tw_val (*reduction)(tw_val x, int count, const int *axes);

static tw_val mean(tw_val x, int count, const int *axes)
{
    int64_t line = 1;
    for (int k = 0; k < count; k++) line *= tw_dim(x, axes[k]);
    return tw_muls(tw_sum(x, count, axes), 1.0 / (double)line);
}

static const reduction reductions[] = {tw_sum, tw_reduce_max, mean};

static tw_val chain(tw_val x, tw_val y)
{
    return tw_square(tw_sub(tw_tanh(x), y));
}

typedef struct made {
    tw_context *ctx;
    tw_graph *g;
    tw_program *program;
    int insts, lines;
} made;

static made compile(tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs)
{
    tw_context *ctx = g->ctx;
    made m = {.ctx = ctx, .g = g};
    tw_program_desc desc = {
        .inputs_count = inputs_count, .inputs = inputs, .outputs_count = outputs_count, .outputs = outputs};
    assert_int_equal(tw_program_compile(ctx, &desc, &m.program), TW_OK);
    m.insts = m.program->insts_count;
    for (int32_t i = 0; i < m.program->tiles_count; i++) m.lines += m.program->tiles[i].reduce != NULL;
    return m;
}

static void run(const made *m, const void *const *in, void *const *out)
{
    tw_state *running = NULL;
    assert_int_equal(tw_state_create(m->program, 0, &running), TW_OK);
    tw_state_poison(running);
    assert_int_equal(tw_program_run(running, in, out, 0), TW_OK);
    tw_state_destroy(running);
}

/* The chain and the reduction in one program, and in two with the lines stored between them. */
static void same_bits(tw_dtype dtype, tw_shape shape, int count, reduction reduce)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    int axes[2] = {shape.rank - count, shape.rank - 1};
    int64_t size = tw_shape_size(shape), line = tw_shape_size((tw_shape){1, {shape.dim[shape.rank - 1]}});
    if (count == 2) line *= shape.dim[shape.rank - 2];
    size_t bytes = (size_t)size * tw_dtype_size(dtype);
    void *x = aligned_alloc(64, (bytes + 63) / 64 * 64), *y = aligned_alloc(64, (bytes + 63) / 64 * 64);
    void *stored = aligned_alloc(64, (bytes + 63) / 64 * 64), *one = calloc(1, bytes), *two = calloc(1, bytes);
    tw_random r = {.seed = 8};
    tw_graph *g = NULL;
    for (int64_t i = 0; i < size; i++) {
        check_set(x, dtype, i, tw_random_normal(&r));
        check_set(y, dtype, i, tw_random_normal(&r));
    }
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val in[3];
    for (int i = 0; i < 3; i++) in[i] = tw_input(g, "x", dtype, shape);
    tw_val lines = chain(in[0], in[1]), fused = reduce(lines, count, axes), late = reduce(in[2], count, axes);
    made m = compile(g, 2, in, 1, &fused), first = compile(g, 2, in, 1, &lines),
         second = compile(g, 1, in + 2, 1, &late);
    assert_int_equal(m.lines, line <= TW_TILE);
    if (line <= TW_TILE) assert_int_equal(m.insts, reduce == mean ? 2 : 1);
    run(&m, (const void *[]){x, y}, &one);
    run(&first, (const void *[]){x, y}, &stored);
    run(&second, (const void *[]){stored}, &two);
    assert_memory_equal(one, two, (size_t)(size / line) * tw_dtype_size(dtype));
    tw_program_destroy(m.program);
    tw_program_destroy(first.program);
    tw_program_destroy(second.program);
    tw_graph_destroy(g);
    free(x), free(y), free(stored), free(one), free(two);
    tw_context_destroy(ctx);
}

static void awkward_shapes(void **state)
{
    (void)state;
    static const int64_t lengths[] = {2, 3, 5, 16, 17, 100, 127, 128, 129, 255, 256, 257, 300};
    for (int l = 0; l < TW_COUNT(lengths); l++)
        for (int k = 0; k < TW_COUNT(reductions); k++)
            for (int dtype = 0; dtype < 2; dtype++) {
                same_bits((tw_dtype)dtype, tw_shape_of(301, lengths[l]), 1, reductions[k]);
                same_bits((tw_dtype)dtype, tw_shape_of(3, 7, lengths[l]), 1, reductions[k]);
                same_bits((tw_dtype)dtype, tw_shape_of(41, 3, lengths[l]), 2, reductions[k]);
            }
}

/* Lines read by others too, several reductions of one program, of other lengths, of whole arrays, an output over the
 * input the lines come from. */
static void company(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++)
        for (int64_t n = 3; n < 200; n += 61) {
            check c = {.ctx = tw_context_create(&(tw_context_desc){.threads = 3}),
                       .tolerance = dtype ? 1e-12 : 2e-5,
                       .seed = 6};
            tw_graph *g = NULL;
            assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
            tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(133, 4, n)), y = tw_sin(x), z = tw_square(y);
            tw_val m = tw_mean_axis(z, 2), centred = tw_sub(z, tw_expand_dim(m, 2));
            out(&c, z);
            out(&c, tw_sum_axis(y, 2));
            out(&c, tw_reduce_max(z, 1, (int[]){2}));
            out(&c, tw_sum(tw_exp(y), 2, (int[]){1, 2}));
            out(&c, tw_mean_axis(tw_square(centred), 2));
            out(&c, tw_sum_all(tw_square(centred)));
            out(&c, tw_mean_axis(tw_mean_axis(tw_square(tw_cos(x)), 2), 0));
            end(&c, g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(awkward_shapes), cmocka_unit_test(company)};
    return cmocka_run_group_tests_name("exec/lines", tests, NULL, NULL);
}
