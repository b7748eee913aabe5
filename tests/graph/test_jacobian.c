/* Jacobians, Hessians, Laplacians against formulas written down by hand, forward against reverse, rows against wholes;
 * stop_gradient in every mode. */
#include "graph/support.h"
#include "support/context.h"

static void free_values(int count, double **values)
{
    for (int i = 0; i < count; i++) free(values[i]);
}

/* f(x) = A sin(B x): J = A diag(cos(B x)) B. */
static void vector_function(void **state)
{
    enum { D = 3, M = 5, E = 4 };
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(D)), a = tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(E, M));
    tw_val b = tw_input(g, "b", TW_DTYPE_F64, tw_shape_of(M, D)), in[3] = {x, a, b};
    tw_val bx = tw_dot_general(b, x, 0, NULL, NULL, 1, (int[]){1}, (int[]){0});
    tw_val y = tw_dot_general(a, tw_sin(bx), 0, NULL, NULL, 1, (int[]){1}, (int[]){0});
    tw_random r = {.seed = 3};
    double *values[3];
    for (int i = 0; i < 3; i++) values[i] = random_array(&r, TW_DTYPE_F64, size_at(in[i]), -1, 1);
    for (int mode = TW_MODE_AUTO; mode <= TW_MODE_REVERSE; mode++) {
        tw_val jacobian;
        check_status(g, tw_jacobian((tw_mode)mode, x, y, &jacobian));
        assert_true(tw_shape_equal(tw_shape_at(jacobian), tw_shape_of(E, D)));
        double *found = evaluate(3, in, values, jacobian);
        for (int e = 0; e < E; e++)
            for (int d = 0; d < D; d++) {
                double expected = 0.0;
                for (int m = 0; m < M; m++) {
                    double inner = 0.0;
                    for (int k = 0; k < D; k++) inner += values[2][m * D + k] * values[0][k];
                    expected += values[1][e * M + m] * cos(inner) * values[2][m * D + d];
                }
                assert_near(found[e * D + d], expected, 1e-14, "A diag(cos Bx) B");
            }
        free(found);
    }
    free_values(3, values);
    tw_graph_destroy(g);
}

/* Arrays in and out: d (X Y)_ij / d X_kl = [i = k] Y_lj, and inputs of rank 0. */
static void array_function(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2, 3)), y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(3, 4));
    tw_val s = tw_input(g, "s", TW_DTYPE_F64, TW_SCALAR), xy = tw_matmul(x, y), in[2] = {x, y};
    tw_random r = {.seed = 8};
    double *values[2] = {random_array(&r, TW_DTYPE_F64, 6, -1, 1), random_array(&r, TW_DTYPE_F64, 12, -1, 1)};
    for (int mode = TW_MODE_FORWARD; mode <= TW_MODE_REVERSE; mode++) {
        tw_val jacobian, scalar, constant;
        check_status(g, tw_jacobian((tw_mode)mode, x, xy, &jacobian));
        assert_true(tw_shape_equal(tw_shape_at(jacobian), tw_shape_of(2, 4, 2, 3)));
        double *found = evaluate(2, in, values, jacobian), at = 0.4, *one = &at;
        for (int n = 0; n < 48; n++) {
            int i = n / 24, j = n / 6 % 4, k = n / 3 % 2, l = n % 3;
            assert_near(found[n], i == k ? values[1][l * 4 + j] : 0.0, 1e-15, "d XY / dX");
        }
        free(found);
        check_status(g, tw_jacobian((tw_mode)mode, s, tw_exp(s), &scalar));
        found = evaluate(1, &s, &one, scalar);
        assert_near(found[0], exp(0.4), 1e-15, "scalar");
        free(found);
        check_status(g, tw_jacobian((tw_mode)mode, x, y, &constant));
        assert_true(tw_shape_equal(tw_shape_at(constant), tw_shape_of(3, 4, 2, 3)));
        assert_true(tw_node_is_full_of(g, constant.id, 0.0));
    }
    free_values(2, values);
    tw_graph_destroy(g);
}

/* (R,D) -> (R,E), a network; rows alone against the whole Jacobian, which is zero between rows. */
static void rows_of_a_network(void **state)
{
    enum { R = 3, D = 2, E = 4, H = 5 };
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(R, D)), w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(D, H));
    tw_val v = tw_input(g, "v", TW_DTYPE_F64, tw_shape_of(H, E)), in[3] = {x, w, v}, whole;
    tw_val y = tw_mul(tw_matmul(tw_silu(tw_matmul(x, w)), v), tw_expand_dim(tw_sum_axis(x, 1), 1));
    tw_random r = {.seed = 4};
    double *values[3];
    for (int i = 0; i < 3; i++) values[i] = random_array(&r, TW_DTYPE_F64, size_at(in[i]), -1, 1);
    check_status(g, tw_jacobian(TW_MODE_REVERSE, x, y, &whole));
    double *all = evaluate(3, in, values, whole);
    for (int mode = TW_MODE_AUTO; mode <= TW_MODE_REVERSE; mode++) {
        tw_val rows, none;
        check_status(g, tw_jacobian_rows((tw_mode)mode, x, y, &rows));
        assert_true(tw_shape_equal(tw_shape_at(rows), tw_shape_of(R, E, D)));
        double *found = evaluate(3, in, values, rows);
        for (int i = 0; i < R * E; i++)
            for (int j = 0; j < R * D; j++) {
                double expected = i / E == j / D ? found[i * D + j % D] : 0.0;
                assert_near(all[i * R * D + j], expected, 1e-14, "rows of the whole Jacobian");
            }
        free(found);
        check_status(g, tw_jacobian_rows((tw_mode)mode, x, tw_ones_like(y), &none));
        assert_true(tw_node_is_full_of(g, none.id, 0.0));
    }
    free(all);
    free_values(3, values);
    tw_graph_destroy(g);
}

/* f = exp(-|x|^2 / 2): H = (x x' - 1) f, Laplacian (|x|^2 - D) f. */
static void bell(void **state)
{
    enum { R = 4, D = 3 };
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(R, D)), hessian, whole, laplacian;
    tw_val f = tw_exp(tw_muls(tw_sum_axis(tw_square(x), 1), -0.5));
    tw_random r = {.seed = 6};
    double *at = random_array(&r, TW_DTYPE_F64, R * D, -1.5, 1.5);
    check_status(g, tw_hessian_rows(f, x, &hessian));
    check_status(g, tw_hessian(tw_sum_all(f), x, &whole));
    assert_true(tw_shape_equal(tw_shape_at(hessian), tw_shape_of(R, D, D)));
    assert_true(tw_shape_equal(tw_shape_at(whole), tw_shape_of(R, D, R, D)));
    double *h = evaluate(1, &x, &at, hessian), *all = evaluate(1, &x, &at, whole), square[R], value[R];
    for (int i = 0; i < R; i++) {
        square[i] = dot(D, at + i * D, at + i * D);
        value[i] = exp(-0.5 * square[i]);
        for (int j = 0; j < D; j++)
            for (int k = 0; k < D; k++) {
                double expected = (at[i * D + j] * at[i * D + k] - (j == k)) * value[i];
                assert_near(h[(i * D + j) * D + k], expected, 1e-14, "Hessian of a row");
                assert_near(all[((i * D + j) * R + i) * D + k], expected, 1e-14, "Hessian of the sum");
                assert_near(all[((i * D + j) * R + (i + 1) % R) * D + k], 0.0, 0.0, "between rows");
            }
    }
    for (int mode = TW_MODE_AUTO; mode <= TW_MODE_REVERSE; mode++) {
        check_status(g, tw_laplacian((tw_mode)mode, f, x, &laplacian));
        double *found = evaluate(1, &x, &at, laplacian);
        for (int i = 0; i < R; i++) assert_near(found[i], (square[i] - D) * value[i], 1e-14, "Laplacian");
        free(found);
        check_status(g, tw_laplacian((tw_mode)mode, tw_sum_axis(x, 1), x, &laplacian));
        assert_true(tw_node_is_full_of(g, laplacian.id, 0.0));
    }
    free(h);
    free(all);
    free(at);
    tw_graph_destroy(g);
}

/* y = x sg(x): tangents, cotangents, second derivatives and batches see sg(x) as a number. */
static void stop_gradient(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2)), v = tw_input(g, "v", TW_DTYPE_F64, tw_shape_of(2));
    tw_val many = tw_input(g, "many", TW_DTYPE_F64, tw_shape_of(2, 2)),
           wide = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(2, 3));
    tw_val cut = tw_stop_gradient(x), y = tw_mul(x, cut), scalar = tw_sum_all(tw_mul(tw_square(x), tw_square(cut)));
    tw_val tangent, cotangent, product, gradient, out;
    double xs[2] = {3, -2}, vs[2] = {0.5, 7}, ms[4] = {1, 2, 3, 4}, ws[6] = {1, 2, 3, 4, 5, 6}, *values[2] = {xs, vs};
    check_status(g, tw_jvp(1, &x, &v, 1, &y, &tangent));
    check_status(g, tw_vjp(1, &x, 1, &y, &v, &cotangent));
    check_status(g, tw_grad(scalar, 1, &x, &gradient));
    check_status(g, tw_hvp(scalar, 1, &x, &v, &product));
    double *t = evaluate(2, (tw_val[]){x, v}, values, tangent), *c = evaluate(2, (tw_val[]){x, v}, values, cotangent);
    double *d = evaluate(1, &x, values, gradient), *h = evaluate(2, (tw_val[]){x, v}, values, product);
    for (int i = 0; i < 2; i++) {
        assert_near(t[i], xs[i] * vs[i], 0.0, "jvp");
        assert_near(c[i], xs[i] * vs[i], 0.0, "vjp");
        assert_near(d[i], 2 * xs[i] * xs[i] * xs[i], 0.0, "grad");
        assert_near(h[i], 2 * xs[i] * xs[i] * vs[i], 0.0, "hvp");
    }
    free(t), free(c), free(d), free(h);
    /* batched: the value goes through, the derivative of the batch is still cut */
    double *batch = ms;
    check_status(g, tw_vmap(1, &x, &many, 1, &gradient, &out));
    double *each = evaluate(1, &many, &batch, out);
    for (int i = 0; i < 4; i++) assert_near(each[i], 2 * ms[i] * ms[i] * ms[i], 0.0, "vmap of grad");
    free(each);
    check_status(g, tw_vmap(1, &x, &many, 1, &y, &out));
    check_status(g, tw_grad(tw_sum_all(out), 1, &many, &gradient));
    each = evaluate(1, &many, &batch, gradient);
    for (int i = 0; i < 4; i++) assert_near(each[i], ms[i], 0.0, "grad of vmap");
    free(each);
    batch = ws;
    check_status(g, tw_vmap_rows(1, &x, &wide, 1, &y, &out));
    check_status(g, tw_grad(tw_sum_all(out), 1, &wide, &gradient));
    each = evaluate(1, &wide, &batch, gradient);
    for (int i = 0; i < 6; i++) assert_near(each[i], ws[i], 0.0, "grad of vmap_rows");
    free(each);
    /* whole values cut off: no tangent at all, gradient zero */
    check_status(g, tw_jvp(1, &x, &v, 1, &cut, &tangent));
    assert_true(tw_is_none(tangent));
    check_status(g, tw_grad(tw_sum_all(tw_exp(cut)), 1, &x, &gradient));
    assert_true(tw_node_is_full_of(g, gradient.id, 0.0));
    tw_graph_destroy(g);
}

static void sentences(void **state)
{
    tw_graph *g = new_graph(*state), *other = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2, 3)), i = tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(2));
    tw_val y = tw_input(other, "y", TW_DTYPE_F64, tw_shape_of(2, 3)), out = TW_NONE;
    assert_int_equal(tw_jacobian(TW_MODE_AUTO, i, tw_exp(x), &out), TW_ERR_DTYPE);
    assert_string_equal(tw_context_error(*state), "jacobian: f64(2,3) of i32(2): only f32 and f64 have derivatives");
    assert_int_equal(tw_jacobian(TW_MODE_AUTO, x, y, &out), TW_ERR_INVALID);
    assert_int_equal(tw_jacobian_rows(TW_MODE_AUTO, x, tw_sum_axis(x, 1), &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "jacobian_rows: (2) of (2,3) is not a function (R,D) -> (R,E)");
    assert_int_equal(tw_hessian_rows(x, x, &out), TW_ERR_SHAPE);
    assert_int_equal(tw_laplacian(TW_MODE_FORWARD, x, x, &out), TW_ERR_SHAPE);
    assert_int_equal(tw_hessian(x, x, &out), TW_ERR_SHAPE);
    tw_val deep = tw_reshape(x, tw_shape_of(1, 1, 1, 2, 3));
    assert_int_equal(tw_jacobian(TW_MODE_AUTO, deep, deep, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "jacobian: (1,1,1,2,3) by (1,1,1,2,3) has more than 8 axes");
    /* rows that see each other are refused, not guessed */
    tw_val mixed = tw_matmul(tw_matmul(x, tw_transpose(x, (int[]){1, 0})), x);
    assert_int_equal(tw_jacobian_rows(TW_MODE_FORWARD, x, mixed, &out), TW_ERR_UNSUPPORTED);
    assert_true(tw_is_none(out));
    tw_graph_destroy(g);
    tw_graph_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_function),   cmocka_unit_test(array_function),
        cmocka_unit_test(rows_of_a_network), cmocka_unit_test(bell),
        cmocka_unit_test(stop_gradient),     cmocka_unit_test(sentences),
    };
    return cmocka_run_group_tests_name("graph/jacobian", tests, open_context, close_context);
}
