/* Simplification: the rules one by one, folding in f32, and random expressions against direct arithmetic. */
#include "graph/support.h"
#include "support/context.h"

static void rules(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(2, 3)), y = tw_input(g, "y", TW_DTYPE_F32, tw_shape_of(2, 3));
    tw_val zero = tw_zeros_like(x), one = tw_ones_like(x);
    const struct {
        tw_val made, expected;
    } rows[] = {
        {tw_add(x, y), tw_add(y, x)},
        {tw_add(x, zero), x},
        {tw_add(zero, x), x},
        {tw_add(x, tw_const(g, TW_DTYPE_F32, 0.0)), x},
        {tw_add(x, tw_neg(y)), tw_sub(x, y)},
        {tw_sub(x, zero), x},
        {tw_sub(zero, x), tw_neg(x)},
        {tw_sub(x, tw_neg(y)), tw_add(x, y)},
        {tw_add(x, x), tw_muls(x, 2.0)},
        {tw_mul(x, one), x},
        {tw_mul(zero, x), zero},
        {tw_muls(x, -1.0), tw_neg(x)},
        {tw_mul(tw_neg(x), tw_neg(y)), tw_mul(x, y)},
        {tw_div(x, one), x},
        {tw_div(zero, x), zero},
        {tw_neg(tw_neg(x)), x},
        {tw_neg(tw_sub(x, y)), tw_sub(y, x)},
        {tw_pows(x, 0.0), one},
        {tw_pows(x, 1.0), x},
        {tw_pows(x, 2.0), tw_square(x)},
        {tw_pows(x, 0.5), tw_sqrt(x)},
        {tw_pows(x, -0.5), tw_rsqrt(x)},
        {tw_max(x, x), x},
        {tw_select(tw_lt(x, y), x, x), x},
        {tw_select(tw_lt(zero, one), x, y), x},
        {tw_select(tw_lt(one, zero), x, y), y},
        {tw_not(tw_not(tw_lt(x, y))), tw_lt(x, y)},
        {tw_and(tw_lt(x, y), tw_eq(zero, zero)), tw_lt(x, y)},
        {tw_xor(tw_lt(x, y), tw_lt(x, y)), tw_full(g, TW_DTYPE_BOOL, tw_shape_of(2, 3), 0.0)},
        {tw_cast(x, TW_DTYPE_F32), x},
        {tw_reshape(x, tw_shape_of(2, 3)), x},
        {tw_reshape(tw_reshape(x, tw_shape_of(6)), tw_shape_of(3, 2)), tw_reshape(x, tw_shape_of(3, 2))},
        {tw_reshape(tw_reshape(x, tw_shape_of(6)), tw_shape_of(2, 3)), x},
        {tw_broadcast_to(x, tw_shape_of(2, 3)), x},
        {tw_transpose(x, (int[]){0, 1}), x},
        {tw_transpose(tw_transpose(x, (int[]){1, 0}), (int[]){1, 0}), x},
        {tw_slice(x, 1, 0, 3), x},
        {tw_slice(tw_concat2(1, x, y), 1, 3, 6), y},
        {tw_pad(x, 7.0, NULL, NULL, NULL), x},
        {tw_reverse(tw_reverse(x, 1), 1), x},
        {tw_concat(0, 1, &x), x},
        {tw_concat2(1, tw_slice(x, 1, 0, 1), tw_slice(x, 1, 1, 3)), x},
        {tw_concat(1, 3, (tw_val[]){tw_slice(y, 1, 0, 1), tw_slice(y, 1, 1, 2), tw_slice(y, 1, 2, 3)}), y},
        {tw_concat2(0, tw_concat2(0, x, y), x), tw_concat(0, 3, (tw_val[]){x, y, x})},
        {tw_concat2(0, tw_concat2(1, x, y), tw_concat2(1, y, x)),
         tw_concat2(0, tw_concat2(1, x, y), tw_concat2(1, y, x))},
        {tw_add(tw_pad(x, 0.0, (int64_t[]){0, 3}, NULL, NULL), tw_pad(y, 0.0, NULL, (int64_t[]){0, 3}, NULL)),
         tw_concat2(1, y, x)},
        {tw_add(tw_pad(x, 0.0, (int64_t[]){1, 0}, (int64_t[]){4, 0}, NULL),
                tw_pad(y, 0.0, (int64_t[]){3, 0}, (int64_t[]){2, 0}, NULL)),
         tw_pad(tw_concat2(0, x, y), 0.0, (int64_t[]){1, 0}, (int64_t[]){2, 0}, NULL)},
        {tw_matmul(x, tw_transpose(y, (int[]){1, 0})), tw_dot_general(x, y, 0, NULL, NULL, 1, (int[]){1}, (int[]){1})},
        {tw_sum(x, 0, NULL), x},
        {tw_sum_axis(zero, 0), tw_full(g, TW_DTYPE_F32, tw_shape_of(3), 0.0)},
        {tw_matmul(zero, tw_transpose(x, (int[]){1, 0})), tw_full(g, TW_DTYPE_F32, tw_shape_of(2, 2), 0.0)},
        {tw_exp(zero), one},
        {tw_transpose(one, (int[]){1, 0}), tw_full(g, TW_DTYPE_F32, tw_shape_of(3, 2), 1.0)},
        {tw_stop_gradient(tw_stop_gradient(x)), tw_stop_gradient(x)},
    };
    check_ok(g);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].made.id != rows[i].expected.id) fail_msg("rule %d", (int)i);
    assert_int_not_equal(tw_sub(x, y).id, tw_sub(y, x).id);
    check_status(g, tw_graph_verify(g));
    tw_graph_destroy(g);
}

/* Constants are rounded to their dtype at every step, as the compiled program would. */
static void folding_rounds(void **state)
{
    tw_graph *g = new_graph(*state);
    const float a = 0.1f, b = 0.2f;
    tw_val sum = tw_add(tw_const(g, TW_DTYPE_F32, 0.1), tw_const(g, TW_DTYPE_F32, 0.2));
    assert_int_equal(tw_node_at(sum)->op, TW_OP_const);
    assert_true(tw_const_element(g, tw_node_at(sum), 0) == (double)(a + b));
    tw_val tiny = tw_muls(tw_muls(tw_const(g, TW_DTYPE_F32, 1e-30), 1e-30), 1e30);
    assert_true(tw_const_element(g, tw_node_at(tiny), 0) == 0.0);
    tw_val list = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(3), (double[]){1.0, 4.0, 9.0}),
           root = tw_sqrt(tw_adds(list, 0.0));
    assert_int_equal(tw_node_at(root)->op, TW_OP_const);
    assert_true(tw_const_element(g, tw_node_at(root), 2) == 3.0);
    tw_val whole = tw_mul(tw_const(g, TW_DTYPE_U32, 4e9), tw_const(g, TW_DTYPE_U32, 3.0));
    assert_true(tw_const_element(g, tw_node_at(whole), 0) == (double)(uint32_t)(4000000000u * 3u));
    tw_graph_destroy(g);
}

/* A second copy of a network costs no node but its inputs. */
static void nothing_twice(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(4, 3)), last = TW_NONE;
    int64_t count = 0;
    for (int round = 0; round < 2; round++) {
        tw_val h = x;
        for (int i = 0; i < 5; i++) h = tw_softmax(tw_gelu(tw_adds(tw_muls(h, 0.1 * i + 0.2), 1.5)), 1);
        h = tw_concat(0, 5, (tw_val[]){h, x, h, tw_iota(g, TW_DTYPE_F32, tw_shape_of(2, 3), 1), x});
        if (round == 1) assert_true(h.id == last.id && g->count == count);
        last = h;
        count = g->count;
    }
    tw_graph_destroy(g);
}

/* --- random expressions --- */

enum { VALUES = 24, ROWS = 3, COLS = 4, SIZE = ROWS * COLS };

/* One expression built twice: as nodes and as arrays. Every value is (ROWS, COLS) and of moderate size. */
typedef struct recipe {
    tw_graph *g;
    tw_random r;
    tw_val node[VALUES];
    double array[VALUES][SIZE];
    int count;
} recipe;

static void put(recipe *e, tw_val node, const double *array)
{
    double largest = 0.0;
    for (int i = 0; i < SIZE; i++) largest = fmax(largest, fabs(array[i]));
    bool tame = largest < 50.0; /* keeps overflow and cancellation out of the comparison */
    e->node[e->count] = tame ? node : tw_tanh(node);
    for (int i = 0; i < SIZE; i++) e->array[e->count][i] = tame ? array[i] : tanh(array[i]);
    e->count++;
}

static void put_leaf(recipe *e)
{
    static const double common[] = {0.0, 1.0, -1.0, 2.0, 0.5, -0.5};
    double array[SIZE], value = common[tw_random_below(&e->r, 6)];
    bool varied = tw_random_below(&e->r, 4) == 0;
    for (int i = 0; i < SIZE; i++) array[i] = varied ? 2.0 * tw_random_uniform(&e->r) - 1.0 : value;
    put(e,
        varied ? tw_const_data(e->g, TW_DTYPE_F64, tw_shape_of(ROWS, COLS), array)
               : tw_full(e->g, TW_DTYPE_F64, tw_shape_of(ROWS, COLS), value),
        array);
}

static double apply1(int which, double x)
{
    switch (which) {
    case 0:
        return -x;
    case 1:
        return sin(x);
    case 2:
        return tanh(x);
    case 3:
        return x * x;
    case 4:
        return 1.0 / (1.0 + exp(-x));
    case 5:
        return 2.0 * x;
    case 6:
        return x / (1.0 + exp(-x));
    default:
        return sqrt(x * x + 0.5);
    }
}

static tw_val node1(int which, tw_val x)
{
    switch (which) {
    case 0:
        return tw_neg(x);
    case 1:
        return tw_sin(x);
    case 2:
        return tw_tanh(x);
    case 3:
        return tw_pows(x, 2.0);
    case 4:
        return tw_sigmoid(x);
    case 5:
        return tw_add(x, x);
    case 6:
        return tw_silu(x);
    default:
        return tw_sqrt(tw_adds(tw_square(x), 0.5));
    }
}

static double apply2(int which, double x, double y)
{
    switch (which) {
    case 0:
        return x + y;
    case 1:
        return x - y;
    case 2:
        return x * y;
    case 3:
        return x / (y * y + 1.0);
    case 4:
        return x > y ? x : y;
    default:
        return x < y ? 2.0 * x : y;
    }
}

static tw_val node2(int which, tw_val x, tw_val y)
{
    switch (which) {
    case 0:
        return tw_add(x, y);
    case 1:
        return tw_sub(x, y);
    case 2:
        return tw_mul(x, y);
    case 3:
        return tw_div(x, tw_adds(tw_square(y), 1.0));
    case 4:
        return tw_max(x, y);
    default:
        return tw_select(tw_lt(x, y), tw_muls(x, 2.0), y);
    }
}

/* Functions that move or sum elements, written with shape ops and with loops. */
static void put_moved(recipe *e, int which, int from)
{
    tw_val x = e->node[from], y = TW_NONE;
    double out[SIZE], *a = e->array[from];
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLS; c++) {
            double sum = 0.0, *to = &out[r * COLS + c];
            for (int k = 0; k < COLS; k++) sum += a[r * COLS + k];
            if (which == 0) *to = a[r * COLS + COLS - 1 - c];
            if (which == 1) *to = sum;
            if (which == 2) *to = a[r * COLS + (c + 1) % COLS];
            if (which == 3) *to = a[((r * COLS + c) % ROWS) * COLS + (r * COLS + c) / ROWS];
            if (which == 4) *to = c < COLS - 1 ? a[r * COLS + c + 1] : 0.0;
            if (which == 5) *to = a[r * COLS];
        }
    if (which == 0) y = tw_reverse(x, 1);
    if (which == 1) y = tw_broadcast_to(tw_expand_dim(tw_sum_axis(x, 1), 1), tw_shape_of(ROWS, COLS));
    if (which == 2) y = tw_concat2(1, tw_slice(x, 1, 1, COLS), tw_slice(x, 1, 0, 1));
    if (which == 3) y = tw_reshape(tw_transpose(x, (int[]){1, 0}), tw_shape_of(ROWS, COLS));
    if (which == 4) y = tw_pad(x, 0.0, (int64_t[]){0, -1}, (int64_t[]){0, 1}, NULL);
    if (which == 5) y = tw_broadcast_to(tw_slice(x, 1, 0, 1), tw_shape_of(ROWS, COLS));
    put(e, y, out);
}

static void put_random(recipe *e)
{
    int kind = (int)tw_random_below(&e->r, 10), a = (int)tw_random_below(&e->r, e->count);
    int b = (int)tw_random_below(&e->r, e->count), which = (int)tw_random_below(&e->r, 8);
    double out[SIZE];
    if (kind < 2) {
        put_leaf(e);
    } else if (kind < 4) {
        for (int i = 0; i < SIZE; i++) out[i] = apply1(which, e->array[a][i]);
        put(e, node1(which, e->node[a]), out);
    } else if (kind < 8) {
        which %= 6;
        for (int i = 0; i < SIZE; i++) out[i] = apply2(which, e->array[a][i], e->array[b][i]);
        put(e, node2(which, e->node[a], e->node[b]), out);
    } else {
        put_moved(e, which % 6, a);
    }
}

/* <w, J v> = <J' w, v> on the whole expression. */
static void check_adjoint(recipe *e, tw_val x, tw_val y)
{
    double v[SIZE], w[SIZE];
    for (int i = 0; i < SIZE; i++) {
        v[i] = tw_random_normal(&e->r);
        w[i] = tw_random_normal(&e->r);
    }
    tw_val slots[2] = {tw_input(e->g, "v", TW_DTYPE_F64, tw_shape_at(x)),
                       tw_input(e->g, "w", TW_DTYPE_F64, tw_shape_at(x))};
    tw_val tangent = TW_NONE, cotangent = TW_NONE;
    check_status(e->g, tw_jvp(1, &x, &slots[0], 1, &y, &tangent));
    check_status(e->g, tw_vjp(1, &x, 1, &y, &slots[1], &cotangent));
    tw_val inputs[3] = {x, slots[0], slots[1]};
    double *values[3] = {e->array[0], v, w}, forward = 0.0, scale = 1.0;
    if (!tw_is_none(tangent)) {
        double *found = evaluate(3, inputs, values, tangent);
        for (int i = 0; i < SIZE; i++) {
            forward += w[i] * found[i];
            scale += fabs(w[i] * found[i]);
        }
        free(found);
    }
    double *found = evaluate(3, inputs, values, cotangent);
    assert_near(forward, dot(SIZE, found, v), 1e-10 * scale, "adjoint of a random expression");
    free(found);
}

static void random_expressions(void **state)
{
    enum { GRAPHS = 2000 };
    int64_t nodes = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        recipe e = {.g = new_graph(*state), .r = {.seed = seed}};
        double xs[SIZE];
        for (int i = 0; i < SIZE; i++) xs[i] = 4.0 * tw_random_uniform(&e.r) - 2.0;
        put(&e, tw_input(e.g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLS)), xs);
        while (e.count < VALUES) put_random(&e);
        check_ok(e.g);
        for (int k = 1; k < VALUES; k++) {
            double *values[1] = {e.array[0]}, *found = evaluate(1, e.node, values, e.node[k]);
            for (int i = 0; i < SIZE; i++)
                /* values are below 50 and 24 steps deep; a sign test near a tie may not flip, both sides agree there */
                assert_near(found[i], e.array[k][i], 1e-9, "random expression");
            free(found);
        }
        check_adjoint(&e, e.node[0], e.node[VALUES - 1]);
        check_status(e.g, tw_graph_verify(e.g));
        nodes += e.g->count;
        tw_graph_destroy(e.g);
    }
    print_message("%d random graphs, %lld nodes\n", (int)GRAPHS, (long long)nodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(folding_rounds),
        cmocka_unit_test(nothing_twice),
        cmocka_unit_test(random_expressions),
    };
    return cmocka_run_group_tests_name("graph/simplify", tests, open_context, close_context);
}
