/* Transforms on whole functions: gradients of a network in the form the compiler expects, substitution, batching behind
 * the rows, derivatives of derivatives. */
#include "graph/support.h"
#include "support/context.h"

typedef struct network {
    tw_graph *g;
    tw_val x, w1, b1, w2, b2, out;
    tw_val params[4];
} network;

/* (R,D) -> (R,D), two layers, row-wise in x. */
static network make_network(tw_context *ctx, int64_t rows, int64_t dim, int64_t width)
{
    network n = {.g = new_graph(ctx)};
    n.x = tw_input(n.g, "x", TW_DTYPE_F64, tw_shape_of(rows, dim));
    n.w1 = n.params[0] = tw_input(n.g, "w1", TW_DTYPE_F64, tw_shape_of(dim, width));
    n.b1 = n.params[1] = tw_input(n.g, "b1", TW_DTYPE_F64, tw_shape_of(width));
    n.w2 = n.params[2] = tw_input(n.g, "w2", TW_DTYPE_F64, tw_shape_of(width, dim));
    n.b2 = n.params[3] = tw_input(n.g, "b2", TW_DTYPE_F64, tw_shape_of(dim));
    tw_val h = tw_silu(tw_add(tw_matmul(n.x, n.w1), n.b1));
    h = tw_add(h, tw_tanh(h));
    n.out = tw_add(tw_matmul(h, n.w2), n.b2);
    check_ok(n.g);
    return n;
}

enum { NETWORK_INPUTS = 5 };

static void network_values(const network *n, tw_val *inputs, double **values)
{
    const tw_val all[NETWORK_INPUTS] = {n->x, n->w1, n->b1, n->w2, n->b2};
    tw_random r = {.seed = 11};
    for (int i = 0; i < NETWORK_INPUTS; i++) {
        inputs[i] = all[i];
        values[i] = random_array(&r, TW_DTYPE_F64, size_at(all[i]), -0.7, 0.7);
    }
}

static void free_all(int count, double **values)
{
    for (int i = 0; i < count; i++) free(values[i]);
}

static bool is_op(tw_val v, tw_op op)
{
    return tw_node_at(v)->op == op;
}

static tw_val arg(tw_val v, int k)
{
    return tw_val_of(v.graph, tw_node_args(v.graph, tw_node_at(v))[k]);
}

/* dW = dot(X, dY) over the rows of both, dX = dot(dY, W), bias gradients one sum: no transposes anywhere. */
static void gradient_form(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(6, 3)), w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(3, 4));
    tw_val b = tw_input(g, "b", TW_DTYPE_F32, tw_shape_of(4)), y = tw_add(tw_matmul(x, w), b);
    tw_val ct = tw_input(g, "ct", TW_DTYPE_F32, tw_shape_of(6, 4)), inputs[3] = {x, w, b}, out[3];
    check_status(g, tw_vjp(3, inputs, 1, &y, &ct, out));
    assert_true(is_op(out[0], TW_OP_dot_general) && arg(out[0], 0).id == ct.id && arg(out[0], 1).id == w.id);
    assert_true(is_op(out[1], TW_OP_dot_general) && arg(out[1], 0).id == x.id && arg(out[1], 1).id == ct.id);
    assert_true(is_op(out[2], TW_OP_sum) && arg(out[2], 0).id == ct.id);
    const tw_attr *dx = tw_node_attr(g, tw_node_at(out[0])), *dw = tw_node_attr(g, tw_node_at(out[1]));
    assert_true(dx->axis[0] == 1 && dx->axis_b[0] == 1 && dx->batch_count == 0 && dx->contract_count == 1);
    assert_true(dw->axis[0] == 0 && dw->axis_b[0] == 0 && dw->batch_count == 0 && dw->contract_count == 1);
    tw_val bias = arg(y, 0).id == tw_matmul(x, w).id ? arg(y, 1) : arg(y, 0);
    assert_true(is_op(bias, TW_OP_broadcast) && is_op(arg(bias, 0), TW_OP_reshape) && arg(arg(bias, 0), 0).id == b.id);
    tw_graph_destroy(g);
}

static int count_op(const tw_graph *g, int count, const tw_val *outputs, tw_op op)
{
    int found = 0;
    bool *need = calloc((size_t)g->count, 1);
    tw_mark_needed(g, count, outputs, need);
    for (int64_t id = 0; id < g->count; id++) found += need[id] && g->nodes[id].op == op;
    free(need);
    return found;
}

/* A whole training gradient: two products forward, three back (no dX for the data), no transposes, no placeholders. */
static void gradient_is_small(void **state)
{
    network n = make_network(*state, 8, 2, 5);
    tw_val loss = tw_mean_all(tw_square(n.out)), gradients[4];
    check_status(n.g, tw_grad(loss, 4, n.params, gradients));
    assert_int_equal(count_op(n.g, 4, gradients, TW_OP_dot_general), 5);
    assert_int_equal(count_op(n.g, 4, gradients, TW_OP_transpose), 0);
    assert_int_equal(count_op(n.g, 4, gradients, TW_OP_input), 5);
    check_status(n.g, tw_graph_verify(n.g));
    /* asked again, nothing but the placeholders and what hangs on them is new */
    tw_val again[4];
    check_status(n.g, tw_grad(loss, 4, n.params, again));
    for (int i = 0; i < 4; i++) assert_int_equal(again[i].id, gradients[i].id);
    tw_graph_destroy(n.g);
}

/* Splitting a value and using its parts is undone by one concat, not by padding and adding. */
static void gradient_of_a_split(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(5, 6)), parts[3], gradient;
    for (int i = 0; i < 3; i++) parts[i] = tw_slice(x, 1, 2 * i, 2 * i + 2);
    tw_val y = tw_sum_all(tw_mul(tw_mul(parts[2], tw_exp(parts[0])), tw_silu(parts[1])));
    check_status(g, tw_grad(y, 1, &x, &gradient));
    assert_int_equal(count_op(g, 1, &gradient, TW_OP_pad), 0);
    assert_int_equal(count_op(g, 1, &gradient, TW_OP_concat), 1);
    tw_graph_destroy(g);
}

static void substitution(void **state)
{
    network n = make_network(*state, 3, 2, 4);
    tw_val inputs[NETWORK_INPUTS], moved = tw_adds(tw_muls(n.x, 2.0), 0.25), out;
    double *values[NETWORK_INPUTS];
    network_values(&n, inputs, values);
    check_status(n.g, tw_substitute(1, &n.x, &moved, 1, &n.out, &out));
    double *found = evaluate(NETWORK_INPUTS, inputs, values, out);
    for (int64_t i = 0; i < size_at(n.x); i++) values[0][i] = 2.0 * values[0][i] + 0.25;
    double *expected = evaluate(NETWORK_INPUTS, inputs, values, n.out);
    for (int64_t i = 0; i < size_at(out); i++) assert_near(found[i], expected[i], 1e-14, "substitution");
    tw_val same;
    check_status(n.g, tw_substitute(1, &n.x, &n.x, 1, &n.out, &same));
    assert_int_equal(same.id, n.out.id);
    check_status(n.g, tw_substitute(1, &n.out, &n.x, 1, &n.out, &same));
    assert_int_equal(same.id, n.x.id);
    free(found);
    free(expected);
    free_all(NETWORK_INPUTS, values);
    tw_graph_destroy(n.g);
}

/* Outputs that are inputs, inputs named twice, inputs in the middle of a function. */
static void unusual_inputs(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR), t = tw_input(g, "t", TW_DTYPE_F64, TW_SCALAR);
    tw_val two[2] = {x, tw_exp(x)}, tangents[2], none = TW_NONE;
    check_status(g, tw_jvp(1, &x, &t, 2, two, tangents));
    assert_int_equal(tangents[0].id, t.id);
    check_status(g, tw_jvp(1, &x, &none, 2, two, tangents));
    assert_true(tw_is_none(tangents[0]) && tw_is_none(tangents[1]));
    tw_val twice[2] = {x, x}, moves[2] = {t, t}, out[2];
    check_status(g, tw_jvp(2, twice, moves, 1, &x, out));
    double at = 0.3, by = 0.5, *values[2] = {&at, &by};
    double *found = evaluate(2, (tw_val[]){x, t}, values, out[0]);
    assert_near(found[0], 1.0, 1e-15, "two tangents of one input");
    free(found);
    /* d(y^2)/dy with y = exp(x) held as an input: x itself contributes nothing */
    tw_val y = two[1], z = tw_mul(tw_square(y), x), cut[2] = {y, x};
    check_status(g, tw_grad(z, 2, cut, out));
    double *dy = evaluate(1, &x, values, out[0]), *dx = evaluate(1, &x, values, out[1]);
    assert_near(dy[0], 2.0 * exp(0.3) * 0.3, 1e-15, "with respect to an inner value");
    assert_near(dx[0], exp(0.6), 1e-15, "beside an inner value");
    free(dy);
    free(dx);
    /* an output that does not depend on the input has gradient zero, an integer input too */
    tw_val i = tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(2)), other = tw_input(g, "o", TW_DTYPE_F64, tw_shape_of(3));
    tw_val mixed[3] = {x, i, other}, zeros[3];
    check_status(g, tw_grad(two[1], 3, mixed, zeros));
    assert_int_equal(tw_dtype_at(zeros[1]), TW_DTYPE_I32);
    assert_true(tw_node_is_full_of(g, zeros[1].id, 0.0) && tw_node_is_full_of(g, zeros[2].id, 0.0));
    tw_graph_destroy(g);
}

/* sin^(k)(x) by k nested forward modes, and by k nested gradients, up to k = 8. */
static void high_derivatives(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR), one = tw_ones_like(x), forward = tw_sin(x), reverse = forward;
    double at = 0.7, *values[1] = {&at};
    const double cycle[4] = {sin(0.7), cos(0.7), -sin(0.7), -cos(0.7)};
    for (int k = 1; k <= 8; k++) {
        tw_val next;
        check_status(g, tw_jvp(1, &x, &one, 1, &forward, &next));
        forward = next;
        check_status(g, tw_grad(reverse, 1, &x, &next));
        reverse = next;
        double *f = evaluate(1, &x, values, forward), *r = evaluate(1, &x, values, reverse);
        assert_near(f[0], cycle[k % 4], 1e-15, "forward");
        assert_near(r[0], cycle[k % 4], 1e-15, "reverse");
        free(f);
        free(r);
    }
    tw_graph_destroy(g);
}

/* --- batching --- */

/* All columns of the Jacobian of every row in one sweep, against one column at a time; the trace against differences.
 */
static void basis_vectors(void **state)
{
    enum { R = 3, D = 4 };
    network n = make_network(*state, R, D, 6);
    tw_val inputs[NETWORK_INPUTS + 2], tangent, v = tw_input(n.g, "v", TW_DTYPE_F64, tw_shape_of(R, D));
    tw_val many = tw_input(n.g, "basis", TW_DTYPE_F64, tw_shape_of(R, D, D)), columns;
    double *values[NETWORK_INPUTS + 2];
    network_values(&n, inputs, values);
    check_status(n.g, tw_jvp(1, &n.x, &v, 1, &n.out, &tangent));
    check_status(n.g, tw_vmap_rows(1, &v, &many, 1, &tangent, &columns));
    assert_true(tw_shape_equal(tw_shape_at(columns), tw_shape_of(R, D, D)));
    inputs[NETWORK_INPUTS] = many;
    values[NETWORK_INPUTS] = new_array(R * D * D);
    for (int r = 0; r < R; r++)
        for (int k = 0; k < D; k++) values[NETWORK_INPUTS][(r * D + k) * D + k] = 1.0;
    double *all = evaluate(NETWORK_INPUTS + 1, inputs, values, columns);
    inputs[NETWORK_INPUTS + 1] = v;
    values[NETWORK_INPUTS + 1] = new_array(R * D);
    const double h = 1e-4;
    for (int k = 0; k < D; k++) {
        for (int i = 0; i < R * D; i++) values[NETWORK_INPUTS + 1][i] = i % D == k;
        double *one = evaluate(NETWORK_INPUTS + 2, inputs, values, tangent);
        for (int r = 0; r < R; r++) values[0][r * D + k] += h;
        double *up = evaluate(NETWORK_INPUTS, inputs, values, n.out);
        for (int r = 0; r < R; r++) values[0][r * D + k] -= 2 * h;
        double *down = evaluate(NETWORK_INPUTS, inputs, values, n.out);
        for (int r = 0; r < R; r++) values[0][r * D + k] += h;
        for (int r = 0; r < R; r++)
            for (int i = 0; i < D; i++) {
                assert_near(all[(r * D + k) * D + i], one[r * D + i], 1e-14, "batched column");
                assert_near(one[r * D + i], (up[r * D + i] - down[r * D + i]) / (2 * h), 1e-7, "column");
            }
        free(one);
        free(up);
        free(down);
    }
    check_status(n.g, tw_graph_verify(n.g));
    free(all);
    free_all(NETWORK_INPUTS + 2, values);
    tw_graph_destroy(n.g);
}

/* Row-wise functions of one input, by every op that can be batched. Unbatched companions: y (R,D), m (D,5), s a scalar.
 */
static tw_val rowwise(int number, tw_val x, tw_val y, tw_val m, tw_val s)
{
    const int turned[] = {0, 2, 1};
    int64_t rows = tw_dim(x, 0);
    tw_val cube = tw_reshape(x, tw_shape_of(rows, 2, 3));
    tw_val other = tw_reshape(y, tw_shape_of(rows, 2, 3));
    switch (number) {
    case 0:
        return tw_select(tw_lt(x, y), tw_silu(x), tw_mul(x, tw_adds(y, 1.0)));
    case 1:
        return tw_add(tw_matmul(x, m), tw_slice(m, 0, 0, 1));
    case 2:
        return tw_transpose(cube, turned);
    case 3:
        return tw_concat2(1, tw_slice(x, 1, 1, 3), tw_slice(y, 1, 0, 2));
    case 4:
        return tw_pad(tw_slice_strided(cube, (int64_t[]){0, 0, 0}, (int64_t[]){rows, 2, 3}, (int64_t[]){1, 1, 2}), 0.5,
                      (int64_t[]){0, 1, -1}, (int64_t[]){0, 0, 2}, (int64_t[]){0, 0, 1});
    case 5:
        return tw_mul(x, tw_expand_dim(tw_sum_axis(x, 1), 1));
    case 6:
        return tw_softmax(tw_mul(cube, other), 1);
    case 7: /* rows as a batch axis, both sides batched */
        return tw_dot_general(cube, tw_sin(cube), 1, (int[]){0}, (int[]){0}, 1, (int[]){2}, (int[]){2});
    case 8: /* one side batched */
        return tw_dot_general(cube, other, 1, (int[]){0}, (int[]){0}, 1, (int[]){1}, (int[]){1});
    case 9:
        return tw_dot_general(other, cube, 1, (int[]){0}, (int[]){0}, 1, (int[]){2}, (int[]){2});
    case 10: /* two batch axes */
        return tw_dot_general(cube, other, 2, (int[]){0, 1}, (int[]){0, 1}, 0, NULL, NULL);
    case 11:
        return tw_dot_general(other, cube, 2, (int[]){0, 2}, (int[]){0, 2}, 1, (int[]){1}, (int[]){1});
    case 12:
        return tw_cumsum(tw_reverse(x, 1), 1);
    case 13:
        return tw_mul(tw_reduce_max(cube, 1, (int[]){2}), tw_cast(tw_argmax(cube, 2), TW_DTYPE_F64));
    case 14:
        return tw_take_rows(m, tw_cast(tw_muls(tw_abs(tw_sum_axis(x, 1)), 2.0), TW_DTYPE_I32));
    case 15:
        return tw_broadcast_to(tw_reshape(tw_sum_axis(x, 1), tw_shape_of(rows, 1, 1)), tw_shape_of(rows, 2, 3));
    case 16:
        return tw_add(x, tw_broadcast_to(s, tw_shape_at(x)));
    case 17:
        return y;
    default:
        return TW_NONE;
    }
}

static void batched_ops(void **state)
{
    enum { R = 3, K = 4, D = 6 };
    tw_random r = {.seed = 5};
    double *xs = random_array(&r, TW_DTYPE_F64, R * K * D, -1, 1), *ys = random_array(&r, TW_DTYPE_F64, R * D, -1, 1);
    double *ms = random_array(&r, TW_DTYPE_F64, D * 5, -1, 1), *slice = new_array(R * D), scalar = 0.3;
    for (int number = 0; number < 18; number++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(R, D)),
               y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(R, D));
        tw_val m = tw_input(g, "m", TW_DTYPE_F64, tw_shape_of(D, 5)), s = tw_input(g, "s", TW_DTYPE_F64, TW_SCALAR);
        tw_val many = tw_input(g, "many", TW_DTYPE_F64, tw_shape_of(R, K, D)), f = rowwise(number, x, y, m, s), out;
        check_ok(g);
        check_status(g, tw_vmap_rows(1, &x, &many, 1, &f, &out));
        check_status(g, tw_graph_verify(g));
        double *all = evaluate(4, (tw_val[]){many, y, m, s}, (double *[]){xs, ys, ms, &scalar}, out);
        int64_t row = size_at(f) / R;
        for (int k = 0; k < K; k++) {
            for (int i = 0; i < R; i++) memcpy(slice + i * D, xs + (i * K + k) * D, D * sizeof *xs);
            double *one = evaluate(4, (tw_val[]){x, y, m, s}, (double *[]){slice, ys, ms, &scalar}, f);
            char what[32];
            snprintf(what, sizeof what, "row-wise function %d", number);
            for (int i = 0; i < R; i++)
                for (int64_t j = 0; j < row; j++)
                    assert_near(all[(i * K + k) * row + j], one[i * row + j], 1e-14, what);
            free(one);
        }
        free(all);
        tw_graph_destroy(g);
    }
    free(xs);
    free(ys);
    free(ms);
    free(slice);
}

static void expect_refused(tw_graph *g, tw_val x, tw_val f, const char *part)
{
    tw_val many = tw_input(g, "many", TW_DTYPE_F64, tw_shape_of(3, 2, 6)), out = TW_NONE;
    assert_int_equal(tw_vmap_rows(1, &x, &many, 1, &f, &out), TW_ERR_UNSUPPORTED);
    if (!strstr(tw_context_error(g->ctx), part)) fail_msg("%s", tw_context_error(g->ctx));
    tw_graph_destroy(g);
}

static void batching_refused(void **state)
{
    for (int number = 0; number < 7; number++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, 6));
        if (number == 0) expect_refused(g, x, tw_sum_axis(x, 0), "vmap_rows: sum makes (6)");
        if (number == 1) expect_refused(g, x, tw_transpose(x, (int[]){1, 0}), "vmap_rows: transpose makes (6,3)");
        if (number == 2) expect_refused(g, x, tw_matmul(x, tw_transpose(x, (int[]){1, 0})), "dot_general mixes");
        if (number == 3) expect_refused(g, x, tw_reverse(x, 0), "vmap_rows: reverse works along the rows");
        if (number == 4) expect_refused(g, x, tw_slice(x, 0, 0, 2), "vmap_rows: slice makes (2,6)");
        if (number == 5)
            expect_refused(g, x, tw_dot_general(x, x, 0, NULL, NULL, 1, (int[]){1}, (int[]){1}),
                           "vmap_rows: dot_general mixes the rows");
        if (number == 6) expect_refused(g, x, tw_reshape(x, tw_shape_of(18)), "vmap_rows: reshape makes (18)");
    }
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, 6)), out = TW_NONE;
    assert_int_equal(tw_vmap_rows(1, &x, &x, 1, &x, &out), TW_ERR_SHAPE);
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_form), cmocka_unit_test(gradient_is_small), cmocka_unit_test(gradient_of_a_split),
        cmocka_unit_test(substitution),  cmocka_unit_test(unusual_inputs),    cmocka_unit_test(high_derivatives),
        cmocka_unit_test(basis_vectors), cmocka_unit_test(batched_ops),       cmocka_unit_test(batching_refused),
    };
    return cmocka_run_group_tests_name("graph/transforms", tests, open_context, close_context);
}
