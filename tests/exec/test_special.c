/* Programs of the special functions against the reference interpreter. */
#include "check.h"

static void special(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        /* f32: a few units in the last place of functions of order one */
        check c = {.tolerance = dtype ? 1e-13 : 1e-6, .seed = 5};
        tw_graph *g = NULL;
        c.ctx = tw_context_create(&(tw_context_desc){.threads = 2});
        assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
        tw_val x = tw_input(g, "x", (tw_dtype)dtype, tw_shape_of(97, 11)),
               y = tw_input(g, "y", (tw_dtype)dtype, tw_shape_of(11));
        c.inputs[c.inputs_count++] = x;
        c.inputs[c.inputs_count++] = y;
        tw_val inner = tw_tanh(x), up = tw_adds(tw_abs(x), 0.3), wide = tw_broadcast_to(y, tw_shape_at(x)), grad;
        tw_val values[] = {
            tw_sinh(x),          tw_cosh(x),
            tw_asin(inner),      tw_acos(inner),
            tw_atan(x),          tw_exp2(x),
            tw_log2(up),         tw_erfinv(tw_muls(inner, 0.9)),
            tw_lgamma(up),       tw_digamma(up),
            tw_polygamma(2, up), tw_round(tw_muls(x, 3.0)),
            tw_atan2(x, y),      tw_rem(up, wide),
            tw_clamp(x, -1, 1),  tw_tan(tw_muls(inner, 1.4)),
            tw_le(x, wide),      tw_bitcast(tw_iota(g, TW_DTYPE_U32, tw_shape_of(97, 11), 1), TW_DTYPE_F32)};
        for (int i = 0; i < TW_COUNT(values); i++) c.outputs[c.outputs_count++] = values[i];
        tw_val sum = tw_sum_all(tw_mul(tw_erfinv(tw_muls(inner, 0.9)), tw_atan2(x, y)));
        assert_int_equal(tw_grad(sum, 1, &x, &grad), TW_OK);
        c.outputs[c.outputs_count++] = grad;
        if (tw_graph_check(g) != TW_OK) fail_msg("%s", tw_context_error(c.ctx));
        check_all_ways(&c);
        tw_graph_destroy(g);
        tw_context_destroy(c.ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(special)};
    return cmocka_run_group_tests_name("exec/special", tests, NULL, NULL);
}
