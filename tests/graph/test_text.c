/* Functions as text: what it looks like, that it reads back, and where it says an error is. */
#include "graph/support.h"
#include "support/context.h"

static const char golden[] =
    "%0 = input(\"x\") f32[64,2]\n"
    "%1 = input(\"w \\\"1\\\"\") f32[2,3]\n"
    "%2 = dot_general(%0, %1) {batch_a=[], batch_b=[], contract_a=[1], contract_b=[0]} f32[64,3]\n"
    "%3 = silu(%2) f32[64,3]\n"
    "%4 = const(0.1) f32[]\n"
    "%5 = reshape(%4) f32[1,1]\n"
    "%6 = broadcast(%5) f32[64,3]\n"
    "%7 = mul(%3, %6) f32[64,3]\n"
    "%8 = sum(%7) {axes=[0,1]} f32[]\n"
    "%9 = slice(%0) {begin=[0,1], stride=[2,1]} f32[32,1]\n"
    "%10 = pad(%9) {low=[0,-1], high=[1,2], interior=[0,0], value=0.25} f32[33,2]\n"
    "return %8, %10\n";

static void golden_text(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val unused = tw_input(g, "unused", TW_DTYPE_F32, TW_SCALAR);
    tw_val w = tw_input(g, "w \"1\"", TW_DTYPE_F32, tw_shape_of(2, 3)),
           x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(64, 2));
    tw_val y = tw_muls(tw_silu(tw_matmul(x, w)), 0.1), dead = tw_exp(unused);
    (void)dead;
    tw_val total = tw_sum_all(y), part = tw_slice_strided(x, (int64_t[]){0, 1}, (int64_t[]){64, 2}, (int64_t[]){2, 1});
    tw_val outputs[2] = {total, tw_pad(part, 0.25, (int64_t[]){0, -1}, (int64_t[]){1, 2}, NULL)};
    char *text = NULL;
    check_status(g, tw_graph_print(*state, 2, (tw_val[]){x, w}, 2, outputs, &text));
    assert_string_equal(text, golden);
    tw_string_free(*state, text);
    tw_graph_destroy(g);
}

/* Blanks, comments, a node given twice; the numbers of a constant in any notation. */
static void free_form(void **state)
{
    tw_graph *g = new_graph(*state);
    const char *text = "# a function\n\n  %0 = input(\"x\") f64[ 3 ]  # three\r\n"
                       "%1=const(1e0,+.5, -Inf)f64[3]\n"
                       "%2 = add(%1, %0) f64[3]\n%3 = add(%0, %1) f64[3]\n"
                       "%4 = const() i32[0]\n%5 = const(7, -7) i32[2]\n"
                       "return %2 , %3, %4, %5 \n\n# end\n";
    int inputs_count = 0, outputs_count = 0;
    const tw_val *inputs = NULL, *outputs = NULL;
    check_status(g, tw_graph_parse(g, text, &inputs_count, &inputs, &outputs_count, &outputs));
    assert_int_equal(inputs_count, 1);
    assert_int_equal(outputs_count, 4);
    assert_int_equal(outputs[0].id, outputs[1].id);
    double xs[3] = {1, 2, 3}, *values[1] = {xs};
    double *found = evaluate(1, inputs, values, outputs[0]), *whole = evaluate(0, NULL, NULL, outputs[3]);
    assert_true(found[0] == 2.0 && found[1] == 2.5 && found[2] == (double)-INFINITY);
    assert_true(whole[0] == 7.0 && whole[1] == -7.0);
    free(found);
    free(whole);
    check_status(g, tw_graph_verify(g));
    assert_int_equal(tw_graph_parse(g, text, &inputs_count, &inputs, &outputs_count, &outputs), TW_ERR_INVALID);
    tw_graph_destroy(g);
}

static void errors(void **state)
{
    const struct {
        const char *text, *sentence;
    } rows[] = {
        {"", "graph text, line 1, column 1: expected a name"},
        {"%0 = input(\"x\") f32[2]\n", "graph text, line 2, column 1: expected a name"},
        {"%0 = input(\"x\") f32[2]\nreturn %1\n", "graph text, line 2, column 8: %1 is not defined yet"},
        {"%0 = input(\"x\") f32[2]\nreturn %0\n%1 = exp(%0) f32[2]\n",
         "graph text, line 3, column 1: text after return"},
        {"%0 = input(\"x) f32[2]\n", "graph text, line 1, column 12: a string without end"},
        {"%1 = input(\"x\") f32[2]\n", "graph text, line 1, column 1: expected %0: nodes are numbered in order"},
        {"%0 = input(\"x\") f32[2]\n%1 = tahn(%0) f32[2]\n",
         "graph text, line 2, column 6: no op is called tahn (tanh?)"},
        {"%0 = input(\"x\") f23[2]\n", "graph text, line 1, column 17: no number type is called f23"},
        {"%0 = input(\"x\") f32[2]\n%1 = sum(%0) f32[]\n", "graph text, line 2, column 13: sum needs {axes=...}"},
        {"%0 = input(\"x\") f32[2]\n%1 = sum(%0) {axis=[0]} f32[]\n",
         "graph text, line 2, column 15: sum has no attribute axis"},
        {"%0 = input(\"x\") f32[2]\n%1 = sum(%0) {axes=[0], axes=[0]} f32[]\n",
         "graph text, line 2, column 25: axes is given twice"},
        {"%0 = input(\"x\") f32[2]\n%1 = exp(%0) f32[3]\n",
         "graph text, line 2, column 14: exp makes f32(2), not f32(3)"},
        {"%0 = input(\"x\") f32[2]\n%1 = exp(%0) f32[2] f32\n",
         "graph text, line 2, column 21: expected the end of the line"},
        {"%0 = const(1, 2) f32[3]\n", "graph text, line 1, column 1: 2 numbers for a constant of shape (3)"},
        {"%0 = const(1, x) f32[2]\n", "graph text, line 1, column 15: expected a number"},
        {"%0 = const(1) f32[1,1,1,1,1,1,1,1,1]\n", "graph text, line 1, column 35: more than 8 numbers in a list"},
        {"%0 = input(\"x\") f32[2]\n%1 = sum(%0) {axes=[9]} f32[]\n",
         "graph text, line 2, column 1: the attributes of sum do not fit its 0 axes or are out of range"},
        {"%0 = input(\"x\") f32[2,3]\n%1 = dot_general(%0, %0) {batch_a=[], batch_b=[], contract_a=[1], "
         "contract_b=[0]} f32[2,3]\n",
         "graph text, line 2: dot_general: (2,3) does not fit (2,3): inner sizes 3 and 2 differ"},
        {"%0 = input(\"x\") f32[2]\n%1 = add(%0) f32[2]\n", "graph text, line 2: add: takes 2 arguments, not 1"},
        {"%0 = input(\"x\") f32[-2]\n",
         "graph text, line 1: input: a result of shape (-2) has a negative size or too many elements"},
        {"%0 = input(\"x\") f32[2]\nretrun %0\n", "graph text, line 2, column 1: expected % or return"},
        {"%0 = exp(%0) f32[2]\n", "graph text, line 1, column 10: %0 is not defined yet"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        tw_graph *g = new_graph(*state);
        int inputs_count = -5, outputs_count = -5;
        const tw_val *inputs = NULL, *outputs = NULL;
        assert_int_not_equal(tw_graph_parse(g, rows[i].text, &inputs_count, &inputs, &outputs_count, &outputs), TW_OK);
        assert_string_equal(tw_context_error(*state), rows[i].sentence);
        assert_int_equal(inputs_count, -5);
        assert_null(outputs);
        tw_graph_destroy(g);
    }
}

/* Bits survive: floats at random over the whole range, every dtype. */
static void numbers_survive(void **state)
{
    enum { N = 4000 };
    tw_random r = {.seed = 21};
    float *f = calloc(N, sizeof *f);
    double *d = calloc(N, sizeof *d);
    uint32_t *u = calloc(N, sizeof *u);
    for (int i = 0; i < N; i++) {
        uint64_t bits = (uint64_t)tw_random_u32(&r) << 32 | tw_random_u32(&r);
        u[i] = tw_random_u32(&r);
        memcpy(&f[i], &u[i], sizeof f[i]);
        memcpy(&d[i], &bits, sizeof d[i]);
        if (isnan(f[i])) f[i] = -0.0f;
        if (isnan(d[i])) d[i] = 5e-324;
    }
    tw_graph *g = new_graph(*state), *h = new_graph(*state);
    tw_val outputs[4] = {
        tw_const_data(g, TW_DTYPE_F32, tw_shape_of(N), f), tw_const_data(g, TW_DTYPE_F64, tw_shape_of(N), d),
        tw_const_data(g, TW_DTYPE_U32, tw_shape_of(N), u), tw_const_data(g, TW_DTYPE_I32, tw_shape_of(N), u)};
    char *text = NULL;
    int inputs_count, outputs_count;
    const tw_val *inputs, *back;
    check_status(g, tw_graph_print(*state, 0, NULL, 4, outputs, &text));
    check_status(h, tw_graph_parse(h, text, &inputs_count, &inputs, &outputs_count, &back));
    const void *data[4] = {f, d, u, u};
    for (int k = 0; k < 4; k++)
        assert_memory_equal(tw_node_data(h, tw_node_at(back[k])), data[k], N * tw_dtype_size(tw_dtype_at(outputs[k])));
    tw_string_free(*state, text);
    tw_graph_destroy(g);
    tw_graph_destroy(h);
    free(f);
    free(d);
    free(u);
}

static void inner_values_as_inputs(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(2)), y = tw_exp(x), z = tw_sin(y);
    char *text = NULL;
    check_status(g, tw_graph_print(*state, 1, &y, 1, &z, &text));
    assert_string_equal(text, "%0 = input(\"\") f32[2]\n%1 = sin(%0) f32[2]\nreturn %1\n");
    tw_string_free(*state, text);
    assert_int_equal(tw_graph_print(*state, 0, NULL, 1, &z, &text), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "graph_print: input x is needed but not among the inputs");
    assert_int_equal(tw_graph_print(*state, 2, (tw_val[]){x, x}, 1, &z, &text), TW_ERR_INVALID);
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_text),
        cmocka_unit_test(free_form),
        cmocka_unit_test(errors),
        cmocka_unit_test(numbers_survive),
        cmocka_unit_test(inner_values_as_inputs),
    };
    return cmocka_run_group_tests_name("graph/text", tests, open_context, close_context);
}
