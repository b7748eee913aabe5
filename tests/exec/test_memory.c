/* Memory of programs: known before anything runs, and no more than the values alive at once need. */
#include "check.h"

enum { ROWS = 512, WIDTH = 64, DEPTH = 6 };

/* h <- silu(h W + b), DEPTH times */
static tw_val chain(check *c, tw_graph *g)
{
    tw_val h = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(ROWS, WIDTH));
    c->inputs[c->inputs_count++] = h;
    for (int i = 0; i < DEPTH; i++) {
        tw_val w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(WIDTH, WIDTH)),
               b = tw_input(g, "b", TW_DTYPE_F32, tw_shape_of(WIDTH));
        c->inputs[c->inputs_count++] = w;
        c->inputs[c->inputs_count++] = b;
        h = tw_silu(tw_add(tw_matmul(h, w), b));
    }
    return c->outputs[c->outputs_count++] = h;
}

static tw_program *compile(check *c, bool unplanned, int64_t block_rows)
{
    tw_program *program = NULL;
    tw_program_desc desc = {.inputs_count = c->inputs_count,
                            .inputs = c->inputs,
                            .outputs_count = c->outputs_count,
                            .outputs = c->outputs,
                            .unplanned = unplanned,
                            .block_rows = block_rows};
    if (tw_program_compile(c->ctx, &desc, &program) != TW_OK) fail_msg("compile: %s", tw_context_error(c->ctx));
    return program;
}

/* A product cannot be written over its argument, an elementwise program can: two arrays of a block are enough, however
 * deep the chain. */
static void chain_lives_in_two_arrays(void **state)
{
    (void)state;
    check c = {.ctx = tw_context_create(&(tw_context_desc){.threads = 2}), .tolerance = 2e-6, .seed = 3};
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
    chain(&c, g);
    tw_program *planned = compile(&c, false, 32), *unplanned = compile(&c, true, 32);
    int64_t array = 32 * WIDTH * (int64_t)sizeof(float);
    assert_true(planned->local_bytes <= 2 * array);
    assert_true(unplanned->local_bytes >= DEPTH * array);
    assert_true(tw_program_bytes(planned, 2) < tw_program_bytes(unplanned, 2));
    tw_program_destroy(planned);
    tw_program_destroy(unplanned);
    check_all_ways(&c);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
}

/* An argument that is read again later, through a broadcast or after the result is written must keep its place. */
static void arguments_still_wanted_are_kept(void **state)
{
    (void)state;
    check c = {.ctx = tw_context_create(&(tw_context_desc){.threads = 2}), .tolerance = 1e-12, .seed = 4};
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(100, 8)),
           w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(8, 8));
    c.inputs[c.inputs_count++] = x;
    c.inputs[c.inputs_count++] = w;
    tw_val h = tw_matmul(x, w), a = tw_exp(tw_muls(h, 0.1)), s = tw_sum_axis(a, 1);
    tw_val b = tw_sub(a, tw_expand_dim(tw_muls(s, 0.125), 1));            /* a and s die here, s through a broadcast */
    tw_val first = tw_muls(b, 2.0), second = tw_mul(tw_add(b, first), h); /* h is read by the last of three */
    c.outputs[c.outputs_count++] = tw_matmul(second, w);
    c.outputs[c.outputs_count++] = tw_sum_axis(tw_mul(first, second), 1);
    c.outputs[c.outputs_count++] = tw_matmul(first, w);
    check_all_ways(&c);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain_lives_in_two_arrays),
                                       cmocka_unit_test(arguments_still_wanted_are_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
