/* The reference kernels against small results worked out by hand and against mathematics they do not use. */
#include "graph/support.h"
#include "support/context.h"

/* Evaluates a value without inputs and compares it with what it should be. */
static void expect(tw_val v, tw_shape shape, const double *expected, double tolerance)
{
    check_ok(v.graph);
    assert_true(tw_shape_equal(tw_shape_at(v), shape));
    double *found = evaluate(0, NULL, NULL, v);
    for (int64_t i = 0; i < tw_shape_size(shape); i++) assert_near(found[i], expected[i], tolerance, "element");
    free(found);
}

#define EXPECT(v, shape, ...) expect(v, shape, (const double[]){__VA_ARGS__}, 0.0)

/* 0 1 2 / 3 4 5, as an input-like value that is not folded away */
static tw_val counting(tw_graph *g, tw_shape shape)
{
    return tw_reshape(tw_iota(g, TW_DTYPE_F64, tw_shape_of(tw_shape_size(shape)), 0), shape);
}

static void shape_ops(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = counting(g, tw_shape_of(2, 3));
    EXPECT(x, tw_shape_of(2, 3), 0, 1, 2, 3, 4, 5);
    EXPECT(tw_transpose(x, (int[]){1, 0}), tw_shape_of(3, 2), 0, 3, 1, 4, 2, 5);
    EXPECT(tw_reshape(x, tw_shape_of(3, -1)), tw_shape_of(3, 2), 0, 1, 2, 3, 4, 5);
    EXPECT(tw_slice(x, 1, 1, 3), tw_shape_of(2, 2), 1, 2, 4, 5);
    EXPECT(tw_slice(x, -1, -2, -1), tw_shape_of(2, 1), 1, 4);
    EXPECT(tw_slice_strided(x, (int64_t[]){0, 0}, (int64_t[]){2, 3}, (int64_t[]){1, 2}), tw_shape_of(2, 2), 0, 2, 3, 5);
    EXPECT(tw_pad(x, 9, (int64_t[]){0, -1}, (int64_t[]){1, 1}, (int64_t[]){0, 1}), tw_shape_of(3, 5), /* */
           9, 1, 9, 2, 9, 9, 4, 9, 5, 9, 9, 9, 9, 9, 9);
    EXPECT(tw_reverse(x, 1), tw_shape_of(2, 3), 2, 1, 0, 5, 4, 3);
    EXPECT(tw_concat2(1, x, tw_slice(x, 1, 0, 1)), tw_shape_of(2, 4), 0, 1, 2, 0, 3, 4, 5, 3);
    EXPECT(tw_concat2(0, x, tw_slice(x, 0, 1, 2)), tw_shape_of(3, 3), 0, 1, 2, 3, 4, 5, 3, 4, 5);
    EXPECT(tw_broadcast_to(tw_slice(x, 1, 0, 1), tw_shape_of(2, 2, 2)), tw_shape_of(2, 2, 2), 0, 0, 3, 3, 0, 0, 3, 3);
    EXPECT(tw_iota(g, TW_DTYPE_I32, tw_shape_of(2, 3), 0), tw_shape_of(2, 3), 0, 0, 0, 1, 1, 1);
    tw_graph_destroy(g);
}

static void reductions(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = counting(g, tw_shape_of(2, 3)), y = tw_sub(tw_mul(x, tw_adds(x, -4.0)), tw_ones_like(x));
    EXPECT(y, tw_shape_of(2, 3), -1, -4, -5, -4, -1, 4);
    EXPECT(tw_sum_axis(y, 0), tw_shape_of(3), -5, -5, -1);
    EXPECT(tw_sum_axis(y, -1), tw_shape_of(2), -10, -1);
    EXPECT(tw_sum_all(y), TW_SCALAR, -11);
    EXPECT(tw_mean_axis(y, 0), tw_shape_of(3), -2.5, -2.5, -0.5);
    EXPECT(tw_reduce_max(y, 1, (int[]){1}), tw_shape_of(2), -1, 4);
    EXPECT(tw_argmax(y, 0), tw_shape_of(3), 0, 1, 1);
    EXPECT(tw_argmax(tw_zeros_like(y), 1), tw_shape_of(2), 0, 0);
    EXPECT(tw_cumsum(y, 1), tw_shape_of(2, 3), -1, -5, -10, -4, -5, -1);
    EXPECT(tw_cumsum(y, 0), tw_shape_of(2, 3), -1, -4, -5, -5, -5, -1);
    EXPECT(tw_sum_all(tw_zeros_like(tw_slice(x, 1, 0, 0))), TW_SCALAR, 0);
    tw_graph_destroy(g);
}

static void indexing(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val table = counting(g, tw_shape_of(3, 2));
    tw_val index = tw_const_data(g, TW_DTYPE_I32, tw_shape_of(4), (int32_t[]){2, -1, 0, 7});
    EXPECT(tw_take_rows(table, index), tw_shape_of(4, 2), 4, 5, 0, 1, 0, 1, 4, 5);
    EXPECT(tw_scatter_add_rows(tw_take_rows(table, index), index, 3), tw_shape_of(3, 2), 0, 2, 0, 0, 8, 10);
    tw_graph_destroy(g);
}

static void integers(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val a = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(3), (uint32_t[]){0xFFFFFFFFu, 0x80000001u, 12});
    tw_val b = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(3), (uint32_t[]){2, 0xF0F0F0F0u, 10});
    EXPECT(tw_add(a, b), tw_shape_of(3), 1, 0x70F0F0F1u, 22);
    EXPECT(tw_mul(a, b), tw_shape_of(3), 0xFFFFFFFEu, 0xF0F0F0F0u, 120);
    EXPECT(tw_sub(b, a), tw_shape_of(3), 3, 0x70F0F0EFu, 0xFFFFFFFEu);
    EXPECT(tw_and(a, b), tw_shape_of(3), 2, 0x80000000u, 8);
    EXPECT(tw_xor(a, b), tw_shape_of(3), 0xFFFFFFFDu, 0x70F0F0F1u, 6);
    EXPECT(tw_not(a), tw_shape_of(3), 0, 0x7FFFFFFEu, 0xFFFFFFF3u);
    EXPECT(tw_not(tw_lt(a, b)), tw_shape_of(3), 1, 0, 1);
    EXPECT(tw_cast(tw_const(g, TW_DTYPE_F64, -2.9), TW_DTYPE_I32), TW_SCALAR, -2);
    EXPECT(tw_cast(tw_const(g, TW_DTYPE_U32, 4294967295.0), TW_DTYPE_I32), TW_SCALAR, -1);
    EXPECT(tw_mul(tw_const(g, TW_DTYPE_I32, -3), tw_const(g, TW_DTYPE_I32, 7)), TW_SCALAR, -21);
    EXPECT(tw_neg(tw_const(g, TW_DTYPE_I32, 5)), TW_SCALAR, -5);
    tw_graph_destroy(g);
}

/* Values of tables (Abramowitz & Stegun; DLMF), to all digits printed there. */
static void functions(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val half = tw_cast(tw_const(g, TW_DTYPE_F64, 0.5), TW_DTYPE_F64);
    const struct {
        tw_val value;
        double expected;
    } rows[] = {
        {tw_exp(half), 1.6487212707001281},       {tw_expm1(half), 0.6487212707001281},
        {tw_log(half), -0.6931471805599453},      {tw_log1p(half), 0.4054651081081644},
        {tw_sin(half), 0.4794255386042030},       {tw_cos(half), 0.8775825618903728},
        {tw_tanh(half), 0.4621171572600098},      {tw_erf(half), 0.5204998778130465},
        {tw_sqrt(half), 0.7071067811865476},      {tw_rsqrt(half), 1.4142135623730951},
        {tw_sigmoid(half), 0.6224593312018546},   {tw_silu(half), 0.3112296656009273},
        {tw_gelu(half), 0.3457312306370066},      {tw_softplus(half), 0.9740769841801067},
        {tw_pows(half, 1.5), 0.3535533905932738},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(rows[i].value, TW_SCALAR, &rows[i].expected, 2e-15);
    tw_graph_destroy(g);
}

/* softmax and logsumexp of large numbers: log-sum-exp of (1000, 1000 + log 3) is 1000 + log 4. */
static void softmax(void **state)
{
    tw_graph *g = new_graph(*state);
    const double x[] = {1000.0, 1000.0 + 1.0986122886681098, -5.0, -5.0};
    tw_val v = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(2, 2), x);
    expect(tw_softmax(v, -1), tw_shape_of(2, 2), (const double[]){0.25, 0.75, 0.5, 0.5}, 1e-13);
    expect(tw_logsumexp(v, 1), tw_shape_of(2), (const double[]){1000.0 + 1.3862943611198906, -5.0 + 0.6931471805599453},
           1e-12);
    tw_graph_destroy(g);
}

/* Every element of a product, by a sum over all index combinations named by letters. */
static void dot_by_letters(tw_context *ctx, const char *a, const char *b, const char *out, int batches,
                           const int *batch_a, const int *batch_b, int contractions, const int *contract_a,
                           const int *contract_b)
{
    static const int64_t size_of_letter[] = {2, 3, 4, 5, 2}; /* a..e */
    tw_graph *g = new_graph(ctx);
    tw_random r = {.seed = 3};
    const char *names[3] = {a, b, out};
    tw_shape shapes[3] = {{0}};
    double *values[3];
    for (int k = 0; k < 3; k++) {
        shapes[k].rank = (int32_t)strlen(names[k]);
        for (int i = 0; i < shapes[k].rank; i++) shapes[k].dim[i] = size_of_letter[names[k][i] - 'a'];
        values[k] = random_array(&r, TW_DTYPE_F64, tw_shape_size(shapes[k]), -1.0, k < 2 ? 1.0 : -1.0);
        for (int64_t i = 0; k == 2 && i < tw_shape_size(shapes[k]); i++) values[k][i] = 0.0;
    }
    for (int64_t all = 0; all < 2 * 3 * 4 * 5 * 2; all++) {
        int64_t letter[5], rest = all, at[3] = {0};
        bool used = true;
        for (int l = 0; l < 5; l++) {
            letter[l] = rest % size_of_letter[l];
            rest /= size_of_letter[l];
            if (!strchr(a, 'a' + l) && !strchr(b, 'a' + l) && letter[l] > 0) used = false;
        }
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < shapes[k].rank; i++) at[k] = at[k] * shapes[k].dim[i] + letter[names[k][i] - 'a'];
        if (used) values[2][at[2]] += values[0][at[0]] * values[1][at[1]];
    }
    tw_val x = tw_const_data(g, TW_DTYPE_F64, shapes[0], values[0]),
           y = tw_const_data(g, TW_DTYPE_F64, shapes[1], values[1]);
    expect(tw_dot_general(x, y, batches, batch_a, batch_b, contractions, contract_a, contract_b), shapes[2], values[2],
           1e-13);
    for (int k = 0; k < 3; k++) free(values[k]);
    tw_graph_destroy(g);
}

static void products(void **state)
{
    static const int zero[] = {0}, one[] = {1}, two[] = {2}, both[] = {0, 1}, turned[] = {2, 0};
    dot_by_letters(*state, "ab", "bc", "ac", 0, NULL, NULL, 1, one, zero);
    dot_by_letters(*state, "ba", "cb", "ac", 0, NULL, NULL, 1, zero, one);
    dot_by_letters(*state, "dab", "bc", "dac", 0, NULL, NULL, 1, two, zero);
    dot_by_letters(*state, "dab", "dbc", "dac", 1, zero, zero, 1, two, one);
    dot_by_letters(*state, "adb", "cbd", "dac", 1, one, two, 1, two, one);
    dot_by_letters(*state, "deab", "decb", "deac", 2, both, both, 1, (int[]){3}, (int[]){3});
    dot_by_letters(*state, "cab", "bac", "aa" + 2, 0, NULL, NULL, 3, (int[]){0, 1, 2}, (int[]){2, 1, 0});
    dot_by_letters(*state, "eab", "bce", "ac", 0, NULL, NULL, 2, turned, (int[]){0, 2});
    dot_by_letters(*state, "a", "c", "ac", 0, NULL, NULL, 0, NULL, NULL);
}

/* Known answers of Random123 for Philox4x32-10: counter and key zero, and all ones. */
static void random_bits(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val zero = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(2), (uint32_t[]){0, 0});
    EXPECT(tw_random_bits(zero, zero, 0, tw_shape_of(4)), tw_shape_of(4), 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu,
           0x9b00dbd8u);
    tw_val key = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(2), (uint32_t[]){0xa4093822u, 0x299f31d0u});
    tw_val counter = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(2), (uint32_t[]){0x13198a2eu, 0x03707344u});
    tw_val bits = tw_random_bits(key, counter, 0x85a308d3u, tw_shape_of(3, 5));
    double *found = evaluate(0, NULL, NULL, bits);
    tw_philox_block block =
        tw_philox((tw_philox_block){{3, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
    for (int i = 12; i < 15; i++) assert_true(found[i] == block.word[i % 4]);
    free(found);
    tw_graph_destroy(g);
}

static void uniform_ends(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val bits = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(3), (uint32_t[]){0, 0x80000000u, 0xFFFFFFFFu});
    EXPECT(tw_bits_to_uniform(bits, TW_DTYPE_F32), tw_shape_of(3), 0x1p-24, 0.5 + 0x1p-24, 1.0 - 0x1p-24);
    EXPECT(tw_bits_to_uniform(bits, TW_DTYPE_F64), tw_shape_of(3), 0x1p-33, 0.5 + 0x1p-33, 1.0 - 0x1p-33);
    assert_true((float)(1.0 - 0x1p-24) < 1.0f);
    tw_graph_destroy(g);
}

/* The top bit is the sign, the others count cells of 2^-32 from the median. The integral of the density from 0 to z is
 * u - 1/2: Simpson's rule with 2000 intervals, error below 1e-13. */
static void normal_quantiles(void **state)
{
    tw_graph *g = new_graph(*state);
    const uint32_t bits[] = {0xFFFFFFFFu, 0xFFFFFFF0u, 0xE0000000u, 0x80000001u, 0x80000000u,
                             0,           1,           0x10000000u, 0x60000000u, 0x7FFFFFFFu};
    enum { N = sizeof bits / sizeof bits[0] };
    tw_val normal = tw_bits_to_normal(tw_const_data(g, TW_DTYPE_U32, tw_shape_of(N), bits), TW_DTYPE_F64);
    double *z = evaluate(0, NULL, NULL, normal);
    for (int i = 0; i < N; i++) {
        const int intervals = 2000;
        double h = z[i] / intervals, sum = 0.0;
        for (int k = 0; k <= intervals; k++) {
            double weight = k == 0 || k == intervals ? 1.0 : k % 2 ? 4.0 : 2.0, at = h * k;
            sum += weight * exp(-0.5 * at * at) * 0.39894228040143267794;
        }
        double distance = ((bits[i] & 0x7FFFFFFFu) + 0.5) * 0x1p-32;
        assert_near(sum * h / 3.0, bits[i] >> 31 ? -distance : distance, 1e-12, "normal distribution function");
        assert_true(fabs(z[i]) < 6.5);
    }
    for (int i = 1; i < N; i++) assert_true(z[i] > z[i - 1]);
    free(z);
    tw_graph_destroy(g);
}

static void missing_input(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "pressure", TW_DTYPE_F64, TW_SCALAR), y = tw_exp(x);
    double out = 7.0, *result = &out;
    assert_int_equal(tw_reference_run(*state, 0, NULL, NULL, 1, &y, &result), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "pressure"));
    assert_true(out == 7.0);
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_ops),     cmocka_unit_test(reductions),       cmocka_unit_test(indexing),
        cmocka_unit_test(integers),      cmocka_unit_test(functions),        cmocka_unit_test(softmax),
        cmocka_unit_test(products),      cmocka_unit_test(random_bits),      cmocka_unit_test(uniform_ends),
        cmocka_unit_test(missing_input), cmocka_unit_test(normal_quantiles),
    };
    return cmocka_run_group_tests_name("graph/reference", tests, open_context, close_context);
}
