/* Identities of linear algebra, Fourier transforms, sorting and windows on the reference interpreter: what holds
 * whatever the kernels do; bad input by its sentence; batching equals doing it sample by sample. */
#include "graph/support.h"
#include "support/context.h"

static tw_graph *begin(void **state, tw_random *r)
{
    *r = (tw_random){.seed = 17};
    return new_graph(*state);
}

static double *values_of(tw_val output, int count, const tw_val *inputs, double *const *values)
{
    check_ok(output.graph);
    return evaluate(count, inputs, values, output);
}

static void expect_same(tw_val a, tw_val b, int count, const tw_val *inputs, double *const *values, double tolerance,
                        const char *what)
{
    double *x = values_of(a, count, inputs, values), *y = values_of(b, count, inputs, values);
    assert_true(tw_shape_equal(tw_shape_at(a), tw_shape_at(b)));
    for (int64_t i = 0; i < size_at(a); i++) assert_near(x[i], y[i], tolerance, what);
    free(x);
    free(y);
}

static tw_val product(tw_val a, tw_val b, bool tb)
{
    int last = tb ? 2 : 1, two = 2, zero = 0;
    return tw_dot_general(a, b, 1, &zero, &zero, 1, &two, &last);
}

static void factorisations(void **state)
{
    tw_random r;
    tw_graph *g = begin(state, &r);
    enum { N = 6 };
    tw_val in[2] = {tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(3, N, N)),
                    tw_input(g, "b", TW_DTYPE_F64, tw_shape_of(3, N, N))};
    double *at[2] = {random_array(&r, TW_DTYPE_F64, 3 * N * N, -1.0, 1.0),
                     random_array(&r, TW_DTYPE_F64, 3 * N * N, -1.0, 1.0)};
    tw_val one = tw_cast(
        tw_eq(tw_iota(g, TW_DTYPE_I32, tw_shape_of(3, N, N), 1), tw_iota(g, TW_DTYPE_I32, tw_shape_of(3, N, N), 2)),
        TW_DTYPE_F64);
    tw_val definite = tw_add(product(in[0], in[0], true), tw_muls(one, 0.1)), l = tw_cholesky(definite), factors, order;
    expect_same(product(l, l, true), definite, 2, in, at, 1e-13, "L L^T");
    expect_same(tw_triu(l, 1), tw_muls(l, 0.0), 2, in, at, 0.0, "zeros above");
    tw_lu(in[0], &factors, &order);
    tw_val lower = tw_add(tw_tril(factors, -1), one), upper = tw_triu(factors, 0);
    expect_same(product(lower, upper, false), tw_take_along_axis(in[0], tw_expand_dim(order, -1), 1), 2, in, at, 1e-13,
                "L U");
    tw_val beyond = tw_lt(tw_full(g, TW_DTYPE_F64, TW_SCALAR, 1.0), tw_abs(tw_tril(factors, -1)));
    expect_same(tw_cast(beyond, TW_DTYPE_F64), tw_muls(one, 0.0), 2, in, at, 0.0, "pivots are the largest");
    expect_same(product(in[0], tw_inverse(in[0]), false), one, 2, in, at, 1e-12, "A A^-1");
    expect_same(product(in[0], tw_solve(in[0], in[1]), false), in[1], 2, in, at, 1e-12, "A X = B");
    tw_val sign[3], log[3];
    tw_slogdet(in[0], &sign[0], &log[0]);
    tw_slogdet(in[1], &sign[1], &log[1]);
    tw_slogdet(product(in[0], in[1], false), &sign[2], &log[2]);
    expect_same(tw_add(log[0], log[1]), log[2], 2, in, at, 1e-12, "log det AB");
    expect_same(tw_mul(sign[0], sign[1]), sign[2], 2, in, at, 0.0, "sign det AB");
    /* det of a permutation: (0 2 1) is odd, (1 2 0) even */
    double p[] = {1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0};
    tw_slogdet(tw_const_data(g, TW_DTYPE_F64, tw_shape_of(2, 3, 3), p), &sign[0], &log[0]);
    double *found = values_of(sign[0], 0, NULL, NULL);
    assert_true(found[0] == -1.0 && found[1] == 1.0);
    free(found);
    free(at[0]), free(at[1]);
    tw_graph_destroy(g);
}

/* d log|det A| = trace(A^-1 dA), also for a determinant below zero; d A^-1 = -A^-1 dA A^-1. */
static void derivatives(void **state)
{
    tw_random r;
    tw_graph *g = begin(state, &r);
    tw_val in[2] = {tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(2, 4, 4)),
                    tw_input(g, "v", TW_DTYPE_F64, tw_shape_of(2, 4, 4))};
    double *at[2] = {random_array(&r, TW_DTYPE_F64, 32, -1.0, 1.0), random_array(&r, TW_DTYPE_F64, 32, -1.0, 1.0)};
    tw_val sign, log, grad, inverse = tw_inverse(in[0]), tangent;
    tw_slogdet(in[0], &sign, &log);
    check_ok(g);
    check_status(g, tw_grad(tw_sum_all(log), 1, in, &grad));
    expect_same(grad, tw_transpose(inverse, (int[]){0, 2, 1}), 2, in, at, 1e-11, "gradient of log det");
    check_status(g, tw_jvp(1, in, &in[1], 1, &inverse, &tangent));
    expect_same(tangent, tw_neg(product(product(inverse, in[1], false), inverse, false)), 2, in, at, 1e-9,
                "derivative of A^-1");
    free(at[0]), free(at[1]);
    tw_graph_destroy(g);
}

static void failures(void **state)
{
    tw_random r;
    tw_graph *g = begin(state, &r);
    double a[] = {1, 2, 2, 1}, zero[4] = {0};
    tw_val bad = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(2, 2), a),
           none = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(2, 2), zero);
    tw_val sign, log, parts[2];
    double *l = values_of(tw_cholesky(bad), 0, NULL, NULL);
    assert_true(isnan(l[0]) && l[1] == 0.0 && isnan(l[2]) && isnan(l[3]));
    free(l);
    tw_slogdet(none, &sign, &log);
    parts[0] = sign, parts[1] = log;
    double *s = values_of(parts[0], 0, NULL, NULL), *d = values_of(parts[1], 0, NULL, NULL);
    assert_true(s[0] == 0.0 && d[0] == -HUGE_VAL);
    free(s), free(d);
    tw_val empty = tw_input(g, "e", TW_DTYPE_F64, tw_shape_of(0, 0));
    double *nothing = new_array(0);
    tw_slogdet(empty, &sign, &log);
    s = values_of(sign, 1, &empty, &nothing), d = values_of(log, 1, &empty, &nothing);
    assert_true(s[0] == 1.0 && d[0] == 0.0);
    free(s), free(d), free(nothing);
    tw_graph_destroy(g);
}

static void fourier(void **state)
{
    static const int64_t sizes[] = {1, 2, 7, 8, 15};
    for (int s = 0; s < (int)(sizeof sizes / sizeof sizes[0]); s++) {
        tw_random r;
        tw_graph *g = begin(state, &r);
        int64_t n = sizes[s];
        int both[] = {0, 1}, first[] = {0};
        tw_val in[2] = {tw_input(g, "z", TW_DTYPE_F64, tw_shape_of(3, n, 2)),
                        tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, n))};
        double *at[2] = {random_array(&r, TW_DTYPE_F64, 6 * n, -1.0, 1.0),
                         random_array(&r, TW_DTYPE_F64, 3 * n, -1.0, 1.0)};
        tw_val z = tw_fft(in[0], 2, both), real = tw_complex(in[1], tw_zeros_like(in[1]));
        expect_same(tw_ifft(z, 2, both), in[0], 2, in, at, 1e-13, "there and back");
        expect_same(tw_fft(tw_fft(in[0], 1, first), 1, (int[]){1}), z, 2, in, at, 1e-12, "axis after axis");
        expect_same(tw_muls(tw_sum_all(tw_square(in[0])), (double)(3 * n)), tw_sum_all(tw_square(z)), 2, in, at, 1e-10,
                    "Parseval");
        tw_val half = tw_slice(tw_fft(real, 2, both), 1, 0, n / 2 + 1);
        expect_same(tw_rfft(in[1], 2, both), half, 2, in, at, 1e-12, "half the spectrum");
        expect_same(tw_irfft(tw_rfft(in[1], 2, both), 2, both, n), in[1], 2, in, at, 1e-13, "real, there and back");
        /* product of spectra: cyclic convolution with one shifted point moves the line */
        tw_val shift = tw_cast(
            tw_eq(tw_iota(g, TW_DTYPE_I32, tw_shape_of(3, n), 1), tw_full(g, TW_DTYPE_I32, TW_SCALAR, (double)(1 % n))),
            TW_DTYPE_F64);
        tw_val moved =
            tw_irfft(tw_complex_mul(tw_rfft(in[1], 1, (int[]){1}), tw_rfft(shift, 1, (int[]){1})), 1, (int[]){1}, n);
        tw_val turned = n == 1 ? in[1] : tw_concat2(1, tw_slice(in[1], 1, n - 1, n), tw_slice(in[1], 1, 0, n - 1));
        expect_same(moved, turned, 2, in, at, 1e-12, "convolution");
        free(at[0]), free(at[1]);
        tw_graph_destroy(g);
    }
}

static void sorting(void **state)
{
    tw_random r;
    tw_graph *g = begin(state, &r);
    const double nan = (double)NAN;
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(7)), values, index, grad;
    double data[] = {2, nan, -1, 2, 0, -1, 5}, *at = data;
    static const double rising[] = {2, 5, 4, 0, 3, 6, 1}, falling[] = {1, 6, 0, 3, 4, 2, 5};
    double *found = values_of(tw_argsort(x, 0, false), 1, &x, &at);
    for (int i = 0; i < 7; i++) assert_true(found[i] == rising[i]);
    free(found);
    found = values_of(tw_argsort(x, 0, true), 1, &x, &at);
    for (int i = 0; i < 7; i++) assert_true(found[i] == falling[i]);
    free(found);
    tw_top_k(x, -1, 3, &values, &index);
    found = values_of(index, 1, &x, &at);
    assert_true(found[0] == 1 && found[1] == 6 && found[2] == 0);
    free(found);
    /* weights by rank come back to where the elements were */
    tw_val weights = tw_iota(g, TW_DTYPE_F64, tw_shape_of(7), 0);
    check_status(g, tw_grad(tw_sum_all(tw_mul(tw_sort(x, 0, false), weights)), 1, &x, &grad));
    found = values_of(grad, 1, &x, &at);
    for (int i = 0; i < 7; i++) assert_true(found[(int)rising[i]] == i);
    free(found);
    tw_graph_destroy(g);
}

/* A window taken out and put back changes nothing; starts are clamped alike. */
static void windows(void **state)
{
    tw_random r;
    tw_graph *g = begin(state, &r);
    tw_val in[2] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(4, 5)), tw_input(g, "s", TW_DTYPE_I32, tw_shape_of(2))};
    static const double starts[][2] = {{0, 0}, {2, 1}, {-3, 100}, {1, -1}};
    double *x = random_array(&r, TW_DTYPE_F64, 20, -1.0, 1.0);
    tw_val part = tw_dynamic_slice(in[0], in[1], tw_shape_of(2, 3));
    for (int i = 0; i < 4; i++) {
        double start[2] = {starts[i][0], starts[i][1]}, *at[2] = {x, start};
        expect_same(tw_dynamic_update_slice(in[0], part, in[1]), in[0], 2, in, at, 0.0, "out and in");
        int64_t row = (int64_t)fmin(fmax(start[0], 0.0), 2.0), column = (int64_t)fmin(fmax(start[1], 0.0), 2.0);
        expect_same(part, tw_slice(tw_slice(in[0], 0, row, row + 2), 1, column, column + 3), 2, in, at, 0.0, "clamped");
    }
    free(x);
    tw_graph_destroy(g);
}

/* --- batching --- */

typedef tw_val (*function)(tw_val x, tw_val i);

static tw_val f_fft(tw_val x, tw_val i)
{
    (void)i;
    return tw_irfft(tw_muls(tw_rfft(x, 2, (int[]){1, 2}), 0.5), 2, (int[]){1, 2}, 4);
}
static tw_val f_solve(tw_val x, tw_val i)
{
    tw_val a = tw_add(product(x, x, true), tw_cast(tw_eq(i, i), TW_DTYPE_F64));
    return tw_add(tw_solve(a, x), tw_cholesky(tw_add(a, tw_muls(a, 0.1))));
}
static tw_val f_sort(tw_val x, tw_val i)
{
    return tw_mul(tw_sort(x, 2, true), tw_take_along_axis(x, i, 1));
}
static tw_val f_scatter(tw_val x, tw_val i)
{
    return tw_scatter_add_along_axis(x, i, 2, 4);
}
static tw_val f_window(tw_val x, tw_val i)
{
    tw_val start = tw_const_data(x.graph, TW_DTYPE_I32, tw_shape_of(3), (int32_t[]){0, 1, 2});
    (void)i;
    return tw_dynamic_update_slice(tw_sin(x), tw_dynamic_slice(x, start, tw_shape_of(2, 3, 2)), start);
}

/* Rows of K samples each against every sample alone. */
static void batching(void **state)
{
    static const function functions[] = {f_fft, f_solve, f_sort, f_scatter, f_window};
    enum { R = 2, K = 3, N = 4 };
    for (int f = 0; f < (int)(sizeof functions / sizeof functions[0]); f++) {
        tw_random r;
        tw_graph *g = begin(state, &r);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(R, N, N)),
               wide = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(R, K, N, N));
        tw_val i = tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(R, N, N)), y = functions[f](x, i), all;
        double *index = random_array(&r, TW_DTYPE_I32, R * N * N, 0.0, 4.0);
        double *at = random_array(&r, TW_DTYPE_F64, R * K * N * N, -1.0, 1.0), *one = new_array(R * N * N);
        check_ok(g);
        check_status(g, tw_vmap_rows(1, &x, &wide, 1, &y, &all));
        double *found = values_of(all, 2, (tw_val[]){wide, i}, (double *[]){at, index});
        for (int k = 0; k < K; k++) {
            for (int row = 0; row < R; row++)
                memcpy(one + row * N * N, at + (row * K + k) * N * N, N * N * sizeof *one);
            double *alone = values_of(y, 2, (tw_val[]){x, i}, (double *[]){one, index});
            for (int row = 0; row < R; row++)
                for (int e = 0; e < N * N; e++)
                    assert_near(alone[row * N * N + e], found[(row * K + k) * N * N + e], 1e-12, "sample");
            free(alone);
        }
        free(found), free(index), free(at), free(one);
        tw_graph_destroy(g);
    }
}

/* --- errors --- */

static void refused(void **state, tw_val (*make)(tw_graph *g), const char *part)
{
    tw_graph *g = new_graph(*state);
    tw_val made = make(g);
    assert_true(tw_is_none(made));
    assert_int_not_equal(tw_graph_check(g), TW_OK);
    if (!strstr(tw_context_error(g->ctx), part)) fail_msg("%s does not say %s", tw_context_error(g->ctx), part);
    tw_graph_destroy(g);
}

static tw_val real_input(tw_graph *g, tw_shape shape)
{
    return tw_input(g, "x", TW_DTYPE_F64, shape);
}
static tw_val not_square(tw_graph *g)
{
    return tw_cholesky(real_input(g, tw_shape_of(2, 3)));
}
static tw_val no_pair(tw_graph *g)
{
    return tw_fft(real_input(g, tw_shape_of(4, 3)), 0, NULL);
}
static tw_val no_points(tw_graph *g)
{
    return tw_rfft(real_input(g, tw_shape_of(4, 0)), 1, (int[]){1});
}
static tw_val axis_twice(tw_graph *g)
{
    return tw_fft(real_input(g, tw_shape_of(4, 3, 2)), 2, (int[]){0, -2});
}
static tw_val wrong_half(tw_graph *g)
{
    return tw_irfft(real_input(g, tw_shape_of(4, 2)), 1, (int[]){0}, 9);
}
static tw_val large_window(tw_graph *g)
{
    return tw_dynamic_slice(real_input(g, tw_shape_of(4)), tw_input(g, "s", TW_DTYPE_I32, tw_shape_of(1)),
                            tw_shape_of(5));
}
static tw_val real_start(tw_graph *g)
{
    return tw_dynamic_slice(real_input(g, tw_shape_of(4)), real_input(g, tw_shape_of(1)), tw_shape_of(2));
}
static tw_val too_many(tw_graph *g)
{
    tw_val values, index;
    tw_top_k(real_input(g, tw_shape_of(4)), 0, 5, &values, &index);
    return values;
}
static tw_val unlike(tw_graph *g)
{
    return tw_take_along_axis(real_input(g, tw_shape_of(4, 3)), tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(2, 2)), 0);
}
static tw_val wrong_side(tw_graph *g)
{
    return tw_triangular_solve(real_input(g, tw_shape_of(3, 3)), real_input(g, tw_shape_of(2, 3)), false, false, false,
                               false);
}
static tw_val wrong_order(tw_graph *g)
{
    return tw_polygamma(31, real_input(g, tw_shape_of(3)));
}

static void bad_input(void **state)
{
    refused(state, not_square, "cholesky: argument 1 is f64(2,3), which is not a square matrix");
    refused(state, no_pair, "its last axis is not 2");
    refused(state, no_points, "no such axis with points");
    refused(state, axis_twice, "fft: axis -2");
    refused(state, wrong_half, "half the spectrum");
    refused(state, large_window, "a window of (5) does not fit into (4)");
    refused(state, real_start, "one start for each axis");
    refused(state, too_many, "does not have 5 elements");
    refused(state, unlike, "beside axis 0");
    refused(state, wrong_side, "size of the triangle");
    refused(state, wrong_order, "order 31");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factorisations), cmocka_unit_test(derivatives), cmocka_unit_test(failures),
        cmocka_unit_test(fourier),        cmocka_unit_test(sorting),     cmocka_unit_test(windows),
        cmocka_unit_test(batching),       cmocka_unit_test(bad_input),
    };
    return cmocka_run_group_tests_name("graph/arrays", tests, open_context, close_context);
}
