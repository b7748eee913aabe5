/* What random functions (test_random_graphs) found, one small function for each mistake. */
#include "exec/check.h"

static tw_context *context(void)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 3});
    assert_non_null(ctx);
    return ctx;
}

static void check_text(const char *text)
{
    check c = {.ctx = context(), .tolerance = 1e-12, .seed = 3};
    tw_graph *g = NULL;
    const tw_val *inputs, *outputs;
    assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
    if (tw_graph_parse(g, text, &c.inputs_count, &inputs, &c.outputs_count, &outputs) != TW_OK)
        fail_msg("%s", tw_context_error(c.ctx));
    for (int i = 0; i < c.inputs_count; i++) c.inputs[i] = inputs[i];
    for (int k = 0; k < c.outputs_count; k++) c.outputs[k] = outputs[k];
    check_all_ways(&c);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
}

static void functions(void **state)
{
    (void)state;
    /* a broadcast of 3 rows read, reshaped, by 16 */
    check_text("%0 = input(\"x\") f64[16,1]\n%1 = reshape(%0) f64[1,16]\n%2 = broadcast(%1) f64[3,16]\n"
               "%3 = reshape(%2) f64[16,3]\n%4 = exp(%3) f64[16,3]\n%5 = concat(%4, %4) {axis=1} f64[16,6]\n"
               "return %5\n");
    /* one row stretched to 16 and read as 16 */
    check_text("%0 = input(\"x\") f64[3]\n%1 = reshape(%0) f64[1,1,3]\n%2 = broadcast(%1) f64[1,16,3]\n"
               "%3 = reshape(%2) f64[16,3]\n%4 = exp(%3) f64[16,3]\n%5 = cumsum(%4) {axis=1} f64[16,3]\nreturn %5\n");
    /* rows of a constant, block by block */
    check_text("%0 = input(\"x\") f64[7,2]\n%1 = const(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14) f64[7,2]\n"
               "%2 = add(%0, %1) f64[7,2]\n%3 = reduce_max(%2) {axes=[1]} f64[7]\nreturn %3\n");
    /* a maximum over no axes, and over one of a single element */
    check_text("%0 = input(\"x\") f64[5,1]\n%1 = reduce_max(%0) {axes=[]} f64[5,1]\n"
               "%2 = reduce_max(%0) {axes=[1]} f64[5]\nreturn %1, %2\n");
    /* a factor made in the stage of the product that needs it whole */
    check_text("%0 = input(\"x\") f64[50,1]\n%1 = reverse(%0) {axis=0} f64[50,1]\n%2 = reshape(%0) f64[1,50,1]\n"
               "%3 = dot_general(%2, %1) {batch_a=[], batch_b=[], contract_a=[2], contract_b=[1]} f64[1,50,50]\n"
               "return %3\n");
}

/* Runs with outputs over inputs and apart; returns whether they agree. */
static void check_overwriting(tw_context *ctx, int count, const tw_val *inputs, int outputs_count,
                              const tw_val *outputs, const int *overwrites)
{
    enum { SIZE = 30 };
    float at[2][4][SIZE], *result[2][4];
    for (int way = 0; way < 2; way++) {
        tw_program *program = NULL;
        tw_state *state = NULL;
        const void *in[4];
        tw_program_desc desc = {.inputs_count = count, .inputs = inputs, .outputs_count = outputs_count};
        desc.outputs = outputs;
        desc.overwrites = way ? overwrites : NULL;
        if (tw_program_compile(ctx, &desc, &program) != TW_OK) fail_msg("%s", tw_context_error(ctx));
        assert_int_equal(tw_state_create(program, 0, &state), TW_OK);
        for (int i = 0; i < count; i++) {
            for (int k = 0; k < SIZE; k++) at[way][i][k] = 0.1f * (float)(k + 7 * i) - 1.0f;
            in[i] = at[way][i];
        }
        for (int k = 0; k < outputs_count; k++)
            result[way][k] = way && overwrites[k] >= 0 ? at[way][overwrites[k]] : calloc(SIZE, sizeof(float));
        assert_int_equal(tw_program_run(state, in, (void *const *)result[way], 0), TW_OK);
        tw_state_destroy(state);
        tw_program_destroy(program);
    }
    for (int k = 0; k < outputs_count; k++) {
        assert_memory_equal(result[0][k], result[1][k], (size_t)tw_shape_size(tw_shape_at(outputs[k])) * sizeof(float));
        free(result[0][k]);
        if (overwrites[k] < 0) free(result[1][k]);
    }
}

static bool same_type(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    results[0] = (tw_array){.dtype = args[0].dtype, .shape = args[0].shape};
    return args_count == 1;
}

static void copy(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    (void)user;
    (void)args_count;
    memcpy(results[0].data, args[0].data, (size_t)tw_shape_size(args[0].shape) * tw_dtype_size(args[0].dtype));
}

static void overwriting(void **state)
{
    (void)state;
    tw_context *ctx = context();
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(10, 3)),
           y = tw_input(g, "y", TW_DTYPE_F32, tw_shape_of(10, 3));
    tw_val in[2] = {x, y}, next = tw_sin(x), flat = tw_reshape(x, tw_shape_of(30));
    /* an input handed on, also reshaped, while its buffer is taken; two inputs exchanged */
    check_overwriting(ctx, 2, in, 3, (tw_val[]){next, x, flat}, (int[]){0, -1, -1});
    check_overwriting(ctx, 2, in, 2, (tw_val[]){y, x}, (int[]){0, 1});
    check_overwriting(ctx, 2, in, 2, (tw_val[]){x, y}, (int[]){0, 1});
    /* read by a later instruction of the same loop; by a product that a later sum takes over */
    check_overwriting(ctx, 2, in, 2, (tw_val[]){next, tw_add(next, x)}, (int[]){0, -1});
    tw_val product = tw_mul(x, tw_cos(y)), written = tw_tanh(y);
    check_overwriting(ctx, 2, in, 2, (tw_val[]){written, tw_sub(tw_exp(written), product)}, (int[]){0, -1});
    /* a part is written when its producer runs, before others of its own depth */
    static const tw_custom copies = {
        .name = "copies", .results_count = 1, .infer = same_type, .evaluate = copy, .by_rows = true};
    tw_val copied;
    tw_custom_call(g, &copies, 1, &x, &copied);
    check_overwriting(ctx, 2, in, 2, (tw_val[]){copied, tw_exp(y)}, (int[]){1, -1});
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
}

/* As many rows as the batch by chance: a sum over all of them stays one over all when fewer rows are run. */
static void rows_by_chance(void **state)
{
    (void)state;
    enum { ROWS = 64 };
    tw_context *ctx = context();
    tw_graph *g = NULL;
    tw_program *program = NULL;
    tw_state *run = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, 2)),
           w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(8, 8));
    tw_val total = tw_sum_axis(tw_tanh(tw_reshape(w, tw_shape_of(ROWS))), 0), in[2] = {x, w};
    tw_val early = tw_sum_axis(tw_exp(x), 1), outputs[2] = {tw_add(early, total), early};
    tw_program_desc desc = {.inputs_count = 2, .inputs = in, .outputs_count = 2, .outputs = outputs, .rows = ROWS};
    desc.row_inputs = (bool[]){true, false};
    assert_int_equal(tw_program_compile(ctx, &desc, &program), TW_OK);
    assert_int_equal(tw_state_create(program, 0, &run), TW_OK);
    double xs[ROWS * 2], ws[64], whole[ROWS], part[ROWS], other[ROWS];
    for (int i = 0; i < ROWS * 2; i++) xs[i] = 0.01 * i;
    for (int i = 0; i < 64; i++) ws[i] = 0.1 * i - 2;
    const void *values[2] = {xs, ws};
    assert_int_equal(tw_program_run(run, values, (void *[]){whole, other}, 0), TW_OK);
    assert_int_equal(tw_program_run(run, values, (void *[]){part, other}, 5), TW_OK);
    assert_memory_equal(whole, part, 5 * sizeof *part);
    tw_state_destroy(run);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions),
        cmocka_unit_test(overwriting),
        cmocka_unit_test(rows_by_chance),
    };
    return cmocka_run_group_tests_name("exec/found", tests, NULL, NULL);
}
