/* bf16 as a way of keeping numbers: rounding, moving, products that add up in f32, derivatives that see through it. */
#include "check.h"

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Against the definition: no other bf16 is nearer, and of two equally near the even one is taken. */
static void rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t half = 0; half <= 0xFFFF; half++) {
        float x = from_bits(half << 16);
        if (isnan(x)) {
            uint32_t kept = tw_bf16_round(x);
            assert_true(isnan(from_bits(kept << 16)));
        } else {
            assert_int_equal(tw_bf16_round(x), half);
        }
    }
    tw_random r = {.seed = 5, .stream = 1};
    for (int i = 0; i < 200000; i++) {
        float x = from_bits(tw_random_u32(&r));
        if (i % 4 == 0) x = from_bits((tw_random_u32(&r) & 0xFFFF0000u) | 0x8000u); /* a tie */
        if (!isfinite(x) || fabsf(x) > 3e38f) continue;
        uint32_t half = tw_bf16_round(x);
        double error = fabs((double)from_bits(half << 16) - (double)x);
        double above = fabs((double)from_bits((half + 1) << 16) - (double)x),
               below = fabs((double)from_bits((half - 1) << 16) - (double)x);
        assert_true((half & 0x7FFF) == 0x7FFF || error <= above);
        assert_true((half & 0x7FFF) == 0 || error <= below);
        if ((half & 0x7FFF) != 0 && (error == above || error == below)) assert_int_equal(half & 1, 0);
    }
    assert_int_equal(tw_bf16_round(3.4e38f), 0x7F80); /* beyond the largest: infinity */
}

static void moves_and_products(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c = {.ctx = tw_context_create(&(tw_context_desc){.threads = 2}), .tolerance = 1e-6, .seed = 8};
        tw_graph *g = NULL;
        assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
        tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(70, 40)), w = in(&c, g, (tw_dtype)dtype, tw_shape_of(40, 24));
        tw_val rows = in(&c, g, TW_DTYPE_I32, tw_shape_of(9)), odd = in(&c, g, TW_DTYPE_BOOL, tw_shape_of(70, 40));
        tw_val h = tw_cast(x, TW_DTYPE_BF16), u = tw_cast(w, TW_DTYPE_BF16);
        int swap[] = {1, 0};
        tw_val moved[] = {h,
                          tw_transpose(h, swap),
                          tw_concat2(1, h, tw_reverse(h, 1)),
                          tw_slice(h, 1, 3, 17),
                          tw_pad(h, 1.0 / 3.0, (int64_t[]){0, 2}, (int64_t[]){0, 1}, (int64_t[]){0, 1}),
                          tw_take_rows(h, rows),
                          tw_select(odd, h, tw_cast(tw_neg(x), TW_DTYPE_BF16)),
                          tw_broadcast_to(tw_slice(h, 1, 0, 1), tw_shape_of(70, 5)),
                          tw_reshape(h, tw_shape_of(2800))};
        for (int i = 0; i < TW_COUNT(moved); i++)
            c.outputs[c.outputs_count++] = i % 2 ? moved[i] : tw_cast(moved[i], (tw_dtype)dtype);
        c.outputs[c.outputs_count++] = tw_matmul(h, u);
        c.outputs[c.outputs_count++] = tw_cast(tw_cast(tw_muls(x, 50.0), TW_DTYPE_BF16), TW_DTYPE_I32);
        c.outputs[c.outputs_count++] = tw_cast(odd, TW_DTYPE_BF16);
        assert_int_equal(tw_dtype_at(tw_matmul(h, u)), TW_DTYPE_F32);
        if (tw_graph_check(g) != TW_OK) fail_msg("graph: %s", tw_context_error(c.ctx));
        check_all_ways(&c);
        tw_graph_destroy(g);
        tw_context_destroy(c.ctx);
    }
}

/* d/dx of sum(cast(cast(x, bf16), f32) w) is w rounded: rounding itself has slope 1. Gradients come in f32. */
static void derivatives_see_through(void **state)
{
    (void)state;
    check c = {.ctx = tw_context_create(&(tw_context_desc){.threads = 1})};
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(c.ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(2, 3)),
           w = tw_input(g, "w", TW_DTYPE_BF16, tw_shape_of(3, 1));
    tw_val both[] = {x, w}, grad[2];
    tw_val loss = tw_sum_all(tw_square(tw_matmul(tw_cast(x, TW_DTYPE_BF16), w)));
    assert_int_equal(tw_grad(loss, 2, both, grad), TW_OK);
    assert_int_equal(tw_dtype_at(grad[0]), TW_DTYPE_F32);
    assert_int_equal(tw_dtype_at(grad[1]), TW_DTYPE_F32);
    double xs[6] = {1.0, 2.0, -3.0, 0.5, 1.0009765625 /* rounds to 1 */, 4.0}, ws[3] = {0.5, -1.0, 2.0}, gx[6], gw[3];
    double *results[] = {gx, gw};
    assert_int_equal(tw_reference_run(c.ctx, 2, both, (const double *[]){xs, ws}, 2, grad, results), TW_OK);
    double y[2] = {0.5 - 2.0 - 6.0, 0.25 - 1.0 + 8.0}, seen[6] = {1.0, 2.0, -3.0, 0.5, 1.0, 4.0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) assert_true(gx[i * 3 + j] == 2 * y[i] * ws[j]);
    for (int j = 0; j < 3; j++) assert_true(gw[j] == 2 * y[0] * seen[j] + 2 * y[1] * seen[3 + j]);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
}

static void arithmetic_wants_a_cast(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    for (int i = 0; i < 5; i++) {
        tw_graph *g = NULL;
        assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
        tw_val x = tw_input(g, "x", TW_DTYPE_BF16, tw_shape_of(3)), f = tw_input(g, "f", TW_DTYPE_F32, tw_shape_of(3));
        int zero[] = {0};
        tw_val v = i == 0   ? tw_add(x, x)
                   : i == 1 ? tw_exp(x)
                   : i == 2 ? tw_sum_all(x)
                   : i == 3 ? tw_lt(x, x)
                            : tw_dot_general(x, f, 0, NULL, NULL, 1, zero, zero);
        assert_true(tw_is_none(v));
        assert_int_equal(tw_graph_check(g), TW_ERR_DTYPE);
        assert_non_null(strstr(tw_context_error(ctx), "bf16"));
        tw_graph_destroy(g);
    }
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounds_to_nearest_even), cmocka_unit_test(moves_and_products),
                                       cmocka_unit_test(derivatives_see_through),
                                       cmocka_unit_test(arithmetic_wants_a_cast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
