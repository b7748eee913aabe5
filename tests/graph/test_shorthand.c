/* Functions that are a few nodes of others: comparisons with NaN, clamping, products with zero factors and their
 * derivatives, triangles, complex arithmetic. */
#include "graph/support.h"
#include "support/context.h"

#include <complex.h>

static double *of1(tw_val output, tw_val x, const double *values)
{
    double *copy = new_array(size_at(x));
    memcpy(copy, values, (size_t)size_at(x) * sizeof *copy);
    double *out = evaluate(1, &x, &copy, output);
    free(copy);
    return out;
}

static void expect(tw_val output, tw_val x, const double *values, const double *expected, double tolerance)
{
    check_ok(output.graph);
    double *found = of1(output, x, values);
    for (int64_t i = 0; i < size_at(output); i++) assert_near(expected[i], found[i], tolerance, "value");
    free(found);
}

static void comparisons(void **state)
{
    tw_graph *g = new_graph(*state);
    const double nan = (double)NAN, at[] = {1.0, 2.0, 3.0, nan};
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(4)), two = tw_const(g, TW_DTYPE_F64, 2.0);
    expect(tw_gt(x, two), x, at, (double[]){0, 0, 1, 0}, 0.0);
    expect(tw_le(x, two), x, at, (double[]){1, 1, 0, 0}, 0.0);
    expect(tw_ge(x, two), x, at, (double[]){0, 1, 1, 0}, 0.0);
    expect(tw_ne(x, two), x, at, (double[]){1, 0, 1, 1}, 0.0);
    expect(tw_or(tw_lt(x, two), tw_gt(x, two)), x, at, (double[]){1, 0, 1, 0}, 0.0);
    expect(tw_any(tw_gt(x, two), 1, (int[]){0}), x, at, (double[]){1}, 0.0);
    expect(tw_all(tw_gt(x, two), 1, (int[]){0}), x, at, (double[]){0}, 0.0);
    expect(tw_all(tw_ne(x, two), 1, (int[]){0}), x, (double[]){1, 3, 4, 5}, (double[]){1}, 0.0);
    expect(tw_clamp(x, 1.5, 2.5), x, at, (double[]){1.5, 2.0, 2.5, nan}, 0.0);
    tw_val none = tw_slice(tw_gt(x, two), 0, 0, 0);
    expect(tw_any(none, 1, (int[]){0}), x, at, (double[]){0}, 0.0);
    expect(tw_all(none, 1, (int[]){0}), x, at, (double[]){1}, 0.0);
    tw_graph_destroy(g);
}

static void rounding(void **state)
{
    tw_graph *g = new_graph(*state);
    const double at[] = {-2.5, -1.2, 0.5, 1.5, 2.7, -0.0};
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(6));
    expect(tw_round(x), x, at, (double[]){-2, -1, 0, 2, 3, 0}, 0.0);
    expect(tw_ceil(x), x, at, (double[]){-2, -1, 1, 2, 3, 0}, 0.0);
    expect(tw_trunc(x), x, at, (double[]){-2, -1, 0, 1, 2, 0}, 0.0);
    expect(tw_rem(x, tw_const(g, TW_DTYPE_F64, 2.0)), x, at, (double[]){-0.5, -1.2, 0.5, 1.5, 0.7, 0}, 1e-15);
    tw_val bits = tw_bitcast(tw_cast(x, TW_DTYPE_F32), TW_DTYPE_U32);
    expect(bits, x, at, (double[]){0xC0200000u, 0xBF99999Au, 0x3F000000u, 0x3FC00000u, 0x402CCCCDu, 0x80000000u}, 0.0);
    expect(tw_bitcast(bits, TW_DTYPE_F32), x, at, (double[]){-2.5, (double)-1.2f, 0.5, 1.5, (double)2.7f, 0}, 0.0);
    tw_graph_destroy(g);
}

static void whole_minima(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val i = tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(4)), u = tw_input(g, "u", TW_DTYPE_U32, tw_shape_of(4));
    expect(tw_reduce_min(i, 1, (int[]){0}), i, (double[]){3, -2147483648.0, 2147483647.0, 0}, (double[]){-2147483648.0},
           0.0);
    expect(tw_reduce_min(u, 1, (int[]){0}), u, (double[]){3, 4294967295.0, 0, 7}, (double[]){0}, 0.0);
    tw_graph_destroy(g);
}

/* The derivative in each factor is the product of the others, with none, one and two zeros; the second one, too. */
static void products(void **state)
{
    static const double at[3][5] = {{2, -3, 0.5, 4, 1.5}, {2, 0, 0.5, 4, 1.5}, {2, 0, 0.5, 0, 1.5}};
    for (int n = 1; n <= 5; n++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(n)), grad, h;
        tw_val y = tw_reduce_prod(x, 1, (int[]){0}), one = tw_ones_like(x);
        check_ok(g);
        check_status(g, tw_grad(y, 1, &x, &grad));
        check_status(g, tw_hvp(y, 1, &x, &one, &h));
        for (int c = 0; c < 3; c++) {
            double prod = 1.0, first[5], second[5] = {0};
            for (int i = 0; i < n; i++) {
                prod *= at[c][i];
                first[i] = 1.0;
                for (int j = 0; j < n; j++)
                    if (j != i) first[i] *= at[c][j];
                for (int j = 0; j < n; j++) {
                    double rest = 1.0;
                    for (int k = 0; k < n; k++)
                        if (k != i && k != j) rest *= at[c][k];
                    if (j != i) second[i] += rest;
                }
            }
            expect(y, x, at[c], &prod, 1e-14);
            expect(grad, x, at[c], first, 1e-14);
            expect(h, x, at[c], second, 1e-13);
        }
        tw_graph_destroy(g);
    }
}

static void products_of_axes(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2, 3));
    const double at[] = {1, 2, 3, 4, 5, 6};
    expect(tw_reduce_prod(x, 1, (int[]){-1}), x, at, (double[]){6, 120}, 0.0);
    expect(tw_reduce_prod(x, 2, (int[]){0, 1}), x, at, (double[]){720}, 0.0);
    expect(tw_reduce_prod(tw_slice(x, 1, 0, 0), 1, (int[]){1}), x, at, (double[]){1, 1}, 0.0);
    assert_true(tw_is_none(tw_reduce_prod(x, 1, (int[]){2})));
    assert_int_equal(tw_graph_check(g), TW_ERR_SHAPE);
    tw_graph_destroy(g);
}

static void triangles(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(1, 2, 3));
    const double at[] = {1, 2, 3, 4, 5, 6};
    expect(tw_tril(x, 0), x, at, (double[]){1, 0, 0, 4, 5, 0}, 0.0);
    expect(tw_tril(x, 1), x, at, (double[]){1, 2, 0, 4, 5, 6}, 0.0);
    expect(tw_tril(x, -1), x, at, (double[]){0, 0, 0, 4, 0, 0}, 0.0);
    expect(tw_triu(x, 0), x, at, (double[]){1, 2, 3, 0, 5, 6}, 0.0);
    expect(tw_triu(x, 1), x, at, (double[]){0, 2, 3, 0, 0, 6}, 0.0);
    tw_graph_destroy(g);
}

static void complex_numbers(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2, 2));
    tw_val a = tw_slice(x, 0, 0, 1), b = tw_slice(x, 0, 1, 2);
    const double at[] = {1.5, -2.0, 0.25, 3.0};
    const double complex i = (double complex)I, product = (1.5 - 2.0 * i) * (0.25 + 3.0 * i);
    expect(tw_complex_mul(a, b), x, at, (double[]){creal(product), cimag(product)}, 1e-15);
    expect(tw_complex_conj(a), x, at, (double[]){1.5, 2.0}, 0.0);
    expect(tw_complex_abs2(x), x, at, (double[]){6.25, 9.0625}, 0.0);
    expect(tw_imag(b), x, at, (double[]){3.0}, 0.0);
    tw_graph_destroy(g);
}

/* Values of constants are folded with the reference kernels: they must be as good as the kernels. */
static void special_identities(void **state)
{
    tw_graph *g = new_graph(*state);
    enum { N = 7 };
    const double at[N] = {0.05, 0.3, 0.9, 1.7, 3.4, 8.0, 20.0};
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(N)), one = tw_ones_like(x);
    double zero[N] = {0}, ones[N];
    for (int i = 0; i < N; i++) ones[i] = 1.0;
    expect(tw_sub(tw_square(tw_cosh(tw_muls(x, 0.1))), tw_square(tw_sinh(tw_muls(x, 0.1)))), x, at, ones, 1e-14);
    expect(tw_sub(tw_sub(tw_digamma(tw_add(x, one)), tw_digamma(x)), tw_div(one, x)), x, at, zero, 1e-13);
    expect(tw_sub(tw_erfinv(tw_erf(tw_muls(x, 0.05))), tw_muls(x, 0.05)), x, at, zero, 1e-15);
    expect(tw_sub(tw_atan2(x, one), tw_atan(x)), x, at, zero, 1e-15);
    expect(
        tw_sub(tw_add(tw_asin(tw_muls(x, 0.05)), tw_acos(tw_muls(x, 0.05))), tw_full_like(x, 1.57079632679489661923)),
        x, at, zero, 1e-15);
    expect(tw_sub(tw_exp2(tw_log2(x)), x), x, at, zero, 1e-13);
    expect(tw_sub(tw_sub(tw_lgamma(tw_add(x, one)), tw_lgamma(x)), tw_log(x)), x, at, zero, 1e-13);
    expect(tw_sub(tw_tan(x), tw_div(tw_sin(x), tw_cos(x))), x, at, zero, 0.0);
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparisons),      cmocka_unit_test(rounding),           cmocka_unit_test(whole_minima),
        cmocka_unit_test(products),         cmocka_unit_test(triangles),          cmocka_unit_test(complex_numbers),
        cmocka_unit_test(products_of_axes), cmocka_unit_test(special_identities),
    };
    return cmocka_run_group_tests_name("graph/shorthand", tests, open_context, close_context);
}
