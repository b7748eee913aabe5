/* Every op of the table over many shapes: forward derivative against central differences, reverse against forward,
 * second derivatives symmetric and equal to differences of the gradient, text and back. */
#include "graph/op_cases.h"
#include "support/context.h"

typedef struct op_test {
    tw_context *ctx;
    tw_graph *g;
    test_case c;
    double *values[CASE_INPUTS], *direction[CASE_INPUTS], *other[CASE_INPUTS];
    tw_val real[CASE_INPUTS]; /* the inputs that can have tangents */
    int real_at[CASE_INPUTS], real_count;
    tw_random random;
    char name[256];
} op_test;

static void begin(op_test *t)
{
    check_ok(t->g);
    for (int i = 0; i < t->c.count; i++) {
        tw_val x = t->c.inputs[i];
        t->values[i] = random_array(&t->random, tw_dtype_at(x), size_at(x), t->c.low[i], t->c.high[i]);
        t->direction[i] = random_array(&t->random, TW_DTYPE_F64, size_at(x), -1.0, 1.0);
        t->other[i] = random_array(&t->random, TW_DTYPE_F64, size_at(x), -1.0, 1.0);
        if (!tw_dtype_is_real(tw_dtype_at(x))) continue;
        t->real_at[t->real_count] = i;
        t->real[t->real_count++] = x;
    }
}

static void end(op_test *t)
{
    for (int i = 0; i < t->c.count; i++) {
        free(t->values[i]);
        free(t->direction[i]);
        free(t->other[i]);
    }
}

/* The value with the real inputs moved by h along the direction. */
static double *moved(op_test *t, tw_val output, double h)
{
    double *values[CASE_INPUTS];
    for (int i = 0; i < t->c.count; i++) {
        tw_val x = t->c.inputs[i];
        values[i] = new_array(size_at(x));
        double step = tw_dtype_is_real(tw_dtype_at(x)) ? h : 0.0;
        for (int64_t k = 0; k < size_at(x); k++) values[i][k] = t->values[i][k] + step * t->direction[i][k];
    }
    double *out = evaluate(t->c.count, t->c.inputs, values, output);
    for (int i = 0; i < t->c.count; i++) free(values[i]);
    return out;
}

/* Fourth-order central difference: error h^4 f^(5)/30 + 1e-16 |f|/h, about 1e-11 at h = 1e-3. */
static double *difference(op_test *t, tw_val output)
{
    const double h = 1e-3;
    double *p1 = moved(t, output, h), *m1 = moved(t, output, -h), *p2 = moved(t, output, 2 * h),
           *m2 = moved(t, output, -2 * h);
    for (int64_t i = 0; i < size_at(output); i++) p1[i] = (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * h);
    free(m1);
    free(p2);
    free(m2);
    return p1;
}

/* Evaluates a value that also depends on tangent inputs holding `tangents`. */
static double *evaluate_along(op_test *t, const tw_val *slots, double *const *tangents, tw_val output)
{
    tw_val inputs[2 * CASE_INPUTS];
    double *values[2 * CASE_INPUTS];
    for (int i = 0; i < t->c.count; i++) {
        inputs[i] = t->c.inputs[i];
        values[i] = t->values[i];
    }
    for (int k = 0; k < t->real_count; k++) {
        inputs[t->c.count + k] = slots[k];
        values[t->c.count + k] = tangents[t->real_at[k]];
    }
    return evaluate(t->c.count + t->real_count, inputs, values, output);
}

static void make_slots(op_test *t, tw_val *slots)
{
    for (int k = 0; k < t->real_count; k++)
        slots[k] = tw_input(t->g, "v", tw_dtype_at(t->real[k]), tw_shape_at(t->real[k]));
}

static void compare(int64_t size, const double *a, const double *b, double tolerance, const char *what)
{
    double scale = 1.0;
    for (int64_t i = 0; i < size; i++) scale = fmax(scale, fabs(a[i]));
    for (int64_t i = 0; i < size; i++) assert_near(a[i], b[i], tolerance * scale, what);
}

static void check_forward(op_test *t)
{
    tw_val slots[CASE_INPUTS], tangent = TW_NONE;
    make_slots(t, slots);
    check_status(t->g, tw_jvp(t->real_count, t->real, slots, 1, &t->c.output, &tangent));
    double *expected = difference(t, t->c.output);
    double *found =
        tw_is_none(tangent) ? new_array(size_at(t->c.output)) : evaluate_along(t, slots, t->direction, tangent);
    if (!tw_is_none(tangent)) assert_true(tw_shape_equal(tw_shape_at(tangent), tw_shape_at(t->c.output)));
    compare(size_at(t->c.output), expected, found, 1e-9, t->name);
    free(expected);
    free(found);
}

/* <w, J v> = <J' w, v>: the sums have a few hundred terms of order one, rounding stays below 1e-12. */
static void check_reverse(op_test *t)
{
    tw_val y = t->c.output, slots[CASE_INPUTS], tangent = TW_NONE, cotangents[CASE_INPUTS];
    double *weights = random_array(&t->random, TW_DTYPE_F64, size_at(y), -1.0, 1.0);
    tw_val w = tw_input(t->g, "w", tw_dtype_at(y), tw_shape_at(y));
    make_slots(t, slots);
    check_status(t->g, tw_jvp(t->real_count, t->real, slots, 1, &y, &tangent));
    check_status(t->g, tw_vjp(t->real_count, t->real, 1, &y, &w, cotangents));
    double forward = 0.0, reverse = 0.0;
    if (!tw_is_none(tangent)) {
        double *found = evaluate_along(t, slots, t->direction, tangent);
        forward = dot(size_at(y), weights, found);
        free(found);
    }
    for (int k = 0; k < t->real_count; k++) {
        assert_true(tw_shape_equal(tw_shape_at(cotangents[k]), tw_shape_at(t->real[k])));
        assert_int_equal(tw_dtype_at(cotangents[k]), tw_dtype_at(t->real[k]));
        tw_val inputs[CASE_INPUTS + 1];
        double *values[CASE_INPUTS + 1];
        memcpy(inputs, t->c.inputs, sizeof t->c.inputs);
        memcpy(values, t->values, sizeof t->values);
        inputs[t->c.count] = w;
        values[t->c.count] = weights;
        double *found = evaluate(t->c.count + 1, inputs, values, cotangents[k]);
        reverse += dot(size_at(t->real[k]), found, t->direction[t->real_at[k]]);
        free(found);
    }
    assert_near(forward, reverse, 1e-10 * (1.0 + fabs(forward)), t->name);
    free(weights);
}

/* A scalar whose second derivative is not that of the op alone: sum of sin(f). */
static void check_second(op_test *t)
{
    tw_val scalar = tw_sum_all(tw_sin(t->c.output)), slots[CASE_INPUTS], gradients[CASE_INPUTS], products[CASE_INPUTS];
    make_slots(t, slots);
    check_status(t->g, tw_grad(scalar, t->real_count, t->real, gradients));
    check_status(t->g, tw_hvp(scalar, t->real_count, t->real, slots, products));
    double u_h_v = 0.0, v_h_u = 0.0;
    for (int k = 0; k < t->real_count; k++) {
        int at = t->real_at[k];
        int64_t size = size_at(t->real[k]);
        double *along_v = evaluate_along(t, slots, t->direction, products[k]);
        double *along_u = evaluate_along(t, slots, t->other, products[k]);
        double *expected = difference(t, gradients[k]);
        compare(size, expected, along_v, 1e-8, t->name);
        u_h_v += dot(size, along_v, t->other[at]);
        v_h_u += dot(size, along_u, t->direction[at]);
        free(along_v);
        free(along_u);
        free(expected);
    }
    assert_near(u_h_v, v_h_u, 1e-10 * (1.0 + fabs(u_h_v)), t->name);
}

static void check_text(op_test *t, tw_val output)
{
    char *first = NULL, *second = NULL;
    tw_graph *g = new_graph(t->ctx);
    int inputs_count = 0, outputs_count = 0;
    const tw_val *inputs = NULL, *outputs = NULL;
    declare_customs(g);
    check_status(t->g, tw_graph_print(t->ctx, t->c.count, t->c.inputs, 1, &output, &first));
    check_status(g, tw_graph_parse(g, first, &inputs_count, &inputs, &outputs_count, &outputs));
    assert_int_equal(inputs_count, t->c.count);
    assert_int_equal(outputs_count, 1);
    check_status(g, tw_graph_verify(g));
    check_status(g, tw_graph_print(t->ctx, inputs_count, inputs, 1, outputs, &second));
    assert_string_equal(first, second);
    double *before = evaluate(t->c.count, t->c.inputs, t->values, output);
    double *after = evaluate(inputs_count, inputs, t->values, outputs[0]);
    for (int64_t i = 0; i < size_at(output); i++) assert_near(before[i], after[i], 0.0, t->name);
    free(before);
    free(after);
    tw_string_free(t->ctx, first);
    tw_string_free(t->ctx, second);
    tw_graph_destroy(g);
}

static void check_backward(op_test *t)
{
    tw_val gradient = TW_NONE;
    check_reverse(t);
    check_second(t);
    check_status(t->g, tw_grad(tw_sum_all(tw_square(t->c.output)), 1, t->real, &gradient));
    check_text(t, gradient);
}

/* The same numbers for an op whatever others there are. */
static uint64_t seed_of(tw_op op, int variant)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a of the name */
    for (const char *c = tw_op_table[op].name; *c; c++) hash = (hash ^ (uint64_t)*c) * 1099511628211u;
    return hash + (uint64_t)variant;
}

static bool run_case(tw_context *ctx, tw_op op, tw_shape shape, int variant)
{
    op_test t = {.ctx = ctx, .g = new_graph(ctx), .random = {.seed = seed_of(op, variant)}};
    snprintf(t.name, sizeof t.name, "%s %s variant %d", tw_op_table[op].name, tw_shape_show(shape).text, variant);
    bool there = build_case(t.g, op, TW_DTYPE_F64, shape, variant, &t.c);
    if (there) {
        begin(&t);
        check_text(&t, t.c.output);
        bool real = tw_dtype_is_real(tw_dtype_at(t.c.output));
        bool flat = (tw_op_table[op].flags & TW_OPF_NO_DERIVATIVE) != 0;
        if (real && !flat && t.real_count > 0) {
            check_forward(&t);
            if (op != TW_OP_while) check_backward(&t); /* a while loop has no reverse mode */
        }
        check_status(t.g, tw_graph_verify(t.g));
        end(&t);
    }
    tw_graph_destroy(t.g);
    return there;
}

static void every_op(void **state)
{
    tw_context *ctx = *state;
    tw_shape shapes[SHAPES_MAX];
    int shapes_count = shape_list(shapes), total = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        int cases = 0;
        for (int s = 0; s < shapes_count; s++)
            for (int variant = 0; variant < VARIANTS_MAX; variant++)
                cases += run_case(ctx, (tw_op)op, shapes[s], variant);
        if (cases == 0) fail_msg("no case for %s", tw_op_table[op].name);
        total += cases;
    }
    print_message("%d cases of %d ops\n", total, (int)TW_OP_COUNT);
}

/* An op without derivative, and anything computed from whole numbers, has no tangent. */
static void no_tangents(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(3)), t = tw_ones_like(x);
    tw_val outputs[] = {tw_sign(x),
                        tw_floor(x),
                        tw_is_finite(x),
                        tw_stop_gradient(x),
                        tw_cast(x, TW_DTYPE_I32),
                        tw_cast(tw_cast(x, TW_DTYPE_I32), TW_DTYPE_F32),
                        tw_lt(x, tw_zeros_like(x)),
                        tw_cast(tw_argmax(x, 0), TW_DTYPE_F32)};
    enum { COUNT = sizeof outputs / sizeof outputs[0] };
    tw_val tangents[COUNT];
    check_status(g, tw_jvp(1, &x, &t, COUNT, outputs, tangents));
    for (int k = 0; k < COUNT; k++) assert_true(tw_is_none(tangents[k]));
    tw_graph_destroy(g);
}

/* Third derivative of each composite by three nested forward modes, against differences of the second. */
static void composites_third_derivative(void **state)
{
    static const double at[] = {-40.0, -3.0, -0.5, 0.0, 0.7, 2.0, 40.0};
    enum { N = sizeof at / sizeof at[0] };
    for (int op = 0; op < TW_OP_COUNT; op++) {
        if (!(tw_op_table[op].flags & TW_OPF_COMPOSITE) || !(tw_op_table[op].flags & TW_OPF_ELEMENTWISE)) continue;
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(N)), one = tw_ones_like(x), d[4];
        tw_draft draft = {.op = (tw_op)op, .count = 1, .args = &x};
        d[0] = tw_graph_append(&draft);
        for (int k = 1; k < 4; k++) check_status(g, tw_jvp(1, &x, &one, 1, &d[k - 1], &d[k]));
        for (int k = 1; k < 4; k++) {
            const double h = 1e-3;
            double shifted[4][N], *values[4], *f[4];
            static const double steps[4] = {1, -1, 2, -2};
            for (int s = 0; s < 4; s++) {
                for (int i = 0; i < N; i++) shifted[s][i] = at[i] + steps[s] * h;
                values[s] = shifted[s];
                f[s] = evaluate(1, &x, &values[s], d[k - 1]);
            }
            double here[N], *point = here;
            memcpy(here, at, sizeof here);
            double *found = evaluate(1, &x, &point, d[k]);
            for (int i = 0; i < N; i++)
                assert_near((8.0 * (f[0][i] - f[1][i]) - (f[2][i] - f[3][i])) / (12.0 * h), found[i], 1e-9,
                            tw_op_table[op].name);
            for (int s = 0; s < 4; s++) free(f[s]);
            free(found);
        }
        tw_graph_destroy(g);
    }
}

/* The body of a composite computes what its formula says, to rounding, over the whole range. */
static void composites_equal_bodies(void **state)
{
    enum { N = 4001 };
    for (int op = 0; op < TW_OP_COUNT; op++) {
        if (!tw_op_table[op].body || !(tw_op_table[op].flags & TW_OPF_ELEMENTWISE)) continue;
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(N));
        tw_draft draft = {.op = (tw_op)op, .count = 1, .args = &x};
        tw_val whole = tw_graph_append(&draft), body = tw_op_table[op].body(&draft);
        double *values = new_array(N);
        for (int i = 0; i < N; i++) values[i] = -100.0 + 0.05 * i;
        double *a = evaluate(1, &x, &values, whole), *b = evaluate(1, &x, &values, body);
        for (int i = 0; i < N; i++) assert_near(a[i], b[i], 1e-14 * (1.0 + fabs(values[i])), tw_op_table[op].name);
        free(a);
        free(b);
        free(values);
        tw_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op),
        cmocka_unit_test(no_tangents),
        cmocka_unit_test(composites_third_derivative),
        cmocka_unit_test(composites_equal_bodies),
    };
    return cmocka_run_group_tests_name("graph/ops", tests, open_context, close_context);
}
