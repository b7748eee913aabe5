/* Programs of indexing, sorting, Fourier transforms and linear algebra, and reductions of whole numbers, against the
 * reference interpreter. */
#include "check.h"

static tw_graph *begin(check *c, double tolerance)
{
    tw_graph *g = NULL;
    *c = (check){.ctx = tw_context_create(&(tw_context_desc){.threads = 3}), .tolerance = tolerance, .seed = 11};
    assert_int_equal(tw_graph_create(c->ctx, &g), TW_OK);
    return g;
}

static void whole_numbers(void **state)
{
    (void)state;
    for (int dtype = TW_DTYPE_I32; dtype <= TW_DTYPE_U32; dtype++) {
        check c;
        tw_graph *g = begin(&c, 0.0);
        tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(40, 5, 3)), index = in(&c, g, TW_DTYPE_U32, tw_shape_of(40));
        tw_val y = tw_muls(tw_adds(x, -3.0), 1e9); /* of both signs, sums wrap */
        int one[] = {1}, last[] = {2}, rows[] = {0}, lead[] = {0, 1}, all[] = {0, 1, 2};
        out(&c, tw_sum(y, 1, one));
        out(&c, tw_sum(y, 1, last));
        out(&c, tw_sum(y, 1, rows));
        out(&c, tw_sum(y, 2, lead));
        out(&c, tw_sum(y, 3, all));
        out(&c, tw_reduce_max(y, 1, one));
        out(&c, tw_reduce_max(y, 1, last));
        out(&c, tw_reduce_min(y, 2, lead));
        for (int axis = 0; axis < 3; axis++) {
            out(&c, tw_argmax(y, axis));
            out(&c, tw_cumsum(y, axis));
            out(&c, tw_argsort(y, axis, axis == 1));
        }
        out(&c, tw_scatter_add_rows(y, index, 5));
        out(&c, tw_any(tw_eq(x, tw_zeros_like(x)), 2, (int[]){1, 2}));
        out(&c, tw_all(tw_lt(x, tw_full_like(x, 6.0)), 2, (int[]){1, 2}));
        out(&c, tw_reduce_prod(x, 1, last));
        end(&c, g);
    }
}

static void windows(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, 1e-6);
        tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(70, 5, 6)), s = in(&c, g, TW_DTYPE_I32, tw_shape_of(3));
        tw_val part = in(&c, g, (tw_dtype)dtype, tw_shape_of(70, 2, 3)),
               few = in(&c, g, (tw_dtype)dtype, tw_shape_of(9, 5, 2));
        tw_val y = tw_exp(x), start = tw_adds(s, -2.0);
        out(&c, tw_dynamic_slice(y, start, tw_shape_of(70, 2, 3)));
        out(&c, tw_dynamic_slice(y, start, tw_shape_of(8, 5, 6)));
        out(&c, tw_dynamic_slice(x, tw_muls(start, 40.0), tw_shape_of(31, 1, 4)));
        out(&c, tw_dynamic_update_slice(y, part, start));
        out(&c, tw_dynamic_update_slice(x, tw_sin(few), start));
        out(&c, tw_dynamic_update_slice(tw_zeros_like(x), part, start));
        out(&c, tw_mul(tw_dynamic_update_slice(y, part, start), y));
        end(&c, g);
    }
}

static void along_axes(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, dtype ? 1e-14 : 1e-6);
        tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(60, 5, 4)), values, index;
        tw_val i = in(&c, g, TW_DTYPE_I32, tw_shape_of(60, 7, 4)), u = in(&c, g, TW_DTYPE_U32, tw_shape_of(60, 5, 4));
        tw_val y = tw_tanh(x);
        out(&c, tw_take_along_axis(y, tw_adds(i, -1.0), 1));
        out(&c, tw_take_along_axis(y, tw_muls(u, 9.0), 0));
        out(&c, tw_take_along_axis(x, u, 2));
        out(&c, tw_take_along_axis(x, tw_slice(u, 2, 0, 1), 2));
        for (int axis = 0; axis < 3; axis++) {
            out(&c, tw_scatter_add_along_axis(y, u, axis, 6));
            out(&c, tw_argsort(x, axis, false));
            out(&c, tw_argsort(tw_floor(x), axis, true));
            out(&c, tw_sort(x, axis, axis == 1));
            tw_top_k(y, axis, 3, &values, &index);
            out(&c, values);
            out(&c, index);
        }
        out(&c, tw_argmax(tw_log(x), 1)); /* NaN among them */
        out(&c, tw_argmax(tw_log(x), 2));
        end(&c, g);
    }
}

static void transforms(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, dtype ? 1e-14 : 2e-6);
        tw_val z = in(&c, g, (tw_dtype)dtype, tw_shape_of(40, 6, 5, 2)),
               x = in(&c, g, (tw_dtype)dtype, tw_shape_of(40, 6, 5));
        int both[] = {1, 2}, one[] = {1}, rows[] = {0}, all[] = {0, 1, 2}, last[] = {2};
        out(&c, tw_fft(z, 2, both));
        out(&c, tw_ifft(tw_tanh(z), 1, one));
        out(&c, tw_fft(z, 1, rows));
        out(&c, tw_fft(z, 3, all));
        out(&c, tw_rfft(tw_exp(x), 2, both));
        out(&c, tw_rfft(x, 1, one));
        out(&c, tw_rfft(x, 1, rows));
        out(&c, tw_irfft(z, 1, last, 9));
        out(&c, tw_irfft(z, 1, last, 8));
        out(&c, tw_irfft(z, 1, one, 10));
        out(&c, tw_irfft(z, 2, both, 0));
        tw_val grad, y = tw_complex_mul(tw_rfft(x, 2, both), tw_rfft(tw_sin(x), 2, both));
        assert_int_equal(tw_grad(tw_sum_all(tw_square(tw_irfft(y, 2, both, 5))), 1, &x, &grad), TW_OK);
        out(&c, tw_muls(grad, 1e-3));
        end(&c, g);
    }
}

/* Sizes on both sides of a block of 64. */
static void matrices(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 5, 17, 70, 150};
    for (int s = 0; s < TW_COUNT(sizes); s++)
        for (int dtype = 0; dtype < 2; dtype++) {
            check c;
            int64_t n = sizes[s], batch = n > 20 ? 2 : 19;
            tw_graph *g = begin(&c, dtype ? 1e-12 : 1e-3); /* condition numbers reach a hundred */
            tw_dtype t = (tw_dtype)dtype;
            tw_val x = in(&c, g, t, tw_shape_of(batch, n, n)), y = in(&c, g, t, tw_shape_of(batch, n, 9));
            tw_val one = tw_cast(tw_eq(tw_iota(g, t, tw_shape_of(n, n), 0), tw_iota(g, t, tw_shape_of(n, n), 1)), t);
            tw_val a = tw_add(tw_muls(x, 0.3 / sqrt((double)n)), one), turned = tw_reverse(a, 1), factors, order;
            tw_val definite = tw_add(tw_dot_general(a, a, 1, (int[]){0}, (int[]){0}, 1, (int[]){2}, (int[]){2}), one);
            tw_val wide = tw_transpose(y, (int[]){0, 2, 1}), sign, log;
            out(&c, tw_cholesky(definite));
            tw_lu(turned, &factors, &order);
            out(&c, factors);
            out(&c, order);
            for (int form = 0; form < 16; form++)
                out(&c, tw_triangular_solve(a, form & 1 ? wide : y, form & 1, form & 2, form & 4, form & 8));
            out(&c, tw_triangular_solve(a, tw_slice(y, 2, 0, 1), false, false, false, false));
            out(&c, tw_triangular_solve(a, tw_slice(y, 2, 0, 1), false, true, false, false));
            tw_slogdet(turned, &sign, &log);
            out(&c, sign);
            out(&c, log);
            out(&c, tw_solve(turned, y));
            out(&c, tw_inverse(turned));
            out(&c, tw_cholesky(tw_reshape(tw_slice(definite, 0, 0, 1), tw_shape_of(n, n))));
            end(&c, g);
        }
}

static void failing_matrices(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 1e-14);
    tw_val x = in(&c, g, TW_DTYPE_F64, tw_shape_of(9, 4, 4)), factors, order, sign, log;
    tw_val rows = tw_iota(g, TW_DTYPE_F64, tw_shape_of(9, 4, 4), 0);
    out(&c, tw_cholesky(tw_sub(rows, tw_full_like(x, 4.0))));
    tw_lu(tw_zeros_like(x), &factors, &order);
    out(&c, factors);
    tw_slogdet(tw_broadcast_to(tw_slice(x, 1, 0, 1), tw_shape_of(9, 4, 4)), &sign, &log);
    out(&c, sign);
    out(&c, log);
    out(&c, tw_triangular_solve(tw_tril(x, -1), x, false, false, false, false));
    end(&c, g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers), cmocka_unit_test(windows),  cmocka_unit_test(along_axes),
        cmocka_unit_test(transforms),    cmocka_unit_test(matrices), cmocka_unit_test(failing_matrices),
    };
    return cmocka_run_group_tests_name("exec/arrays", tests, NULL, NULL);
}
