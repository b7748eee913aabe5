/* Every composite of the table: its own rules against those of its body written out in primitives - value, forward and
 * reverse derivative, Hessian-vector product - and the ways of using it that rules get wrong most easily. */
#include "graph/op_cases.h"
#include "support/context.h"

typedef struct pair {
    tw_graph *g;
    tw_context *ctx;
    test_case c;
    tw_val body; /* the output in primitives */
    tw_val real[CASE_INPUTS], slots[CASE_INPUTS], weight;
    int real_count;
    tw_val inputs[2 * CASE_INPUTS + 1];
    double *values[2 * CASE_INPUTS + 1];
    int count;
    const char *name;
} pair;

static void add_value(pair *p, tw_random *r, tw_val x, double low, double high)
{
    p->inputs[p->count] = x;
    p->values[p->count++] = random_array(r, tw_dtype_at(x), size_at(x), low, high);
}

static void begin(pair *p)
{
    tw_random r = {.seed = 11};
    check_ok(p->g);
    check_status(p->g, tw_rewrite(tw_write_out, p->c.count, p->c.inputs, 1, &p->c.output, &p->body));
    for (int i = 0; i < p->c.count; i++) {
        tw_val x = p->c.inputs[i];
        add_value(p, &r, x, p->c.low[i], p->c.high[i]);
        if (tw_dtype_is_real(tw_dtype_at(x))) p->real[p->real_count++] = x;
    }
    for (int k = 0; k < p->real_count; k++) {
        p->slots[k] = tw_input(p->g, "v", tw_dtype_at(p->real[k]), tw_shape_at(p->real[k]));
        add_value(p, &r, p->slots[k], -1.0, 1.0);
    }
    p->weight = tw_input(p->g, "w", tw_dtype_at(p->c.output), tw_shape_at(p->c.output));
    add_value(p, &r, p->weight, -1.0, 1.0);
}

/* Both are sums of a few dozen terms of order one in f64. */
static void same(pair *p, tw_val own, tw_val derived, const char *what)
{
    assert_int_equal(tw_is_none(own), tw_is_none(derived));
    if (tw_is_none(own)) return;
    assert_true(tw_shape_equal(tw_shape_at(own), tw_shape_at(derived)));
    assert_int_equal(tw_dtype_at(own), tw_dtype_at(derived));
    double *a = evaluate(p->count, p->inputs, p->values, own), *b = evaluate(p->count, p->inputs, p->values, derived);
    char text[160];
    snprintf(text, sizeof text, "%s, %s", p->name, what);
    for (int64_t i = 0; i < size_at(own); i++) assert_near(a[i], b[i], 1e-11 * (1.0 + fabs(b[i])), text);
    free(a);
    free(b);
}

static void compare_derivatives(pair *p)
{
    tw_val tangent[2], cotangents[2][CASE_INPUTS], products[2][CASE_INPUTS], outputs[2] = {p->c.output, p->body};
    same(p, p->c.output, p->body, "value");
    if (p->real_count == 0 || !tw_dtype_is_real(tw_dtype_at(p->body))) return;
    for (int k = 0; k < 2; k++) {
        check_status(p->g, tw_jvp(p->real_count, p->real, p->slots, 1, &outputs[k], &tangent[k]));
        check_status(p->g, tw_vjp(p->real_count, p->real, 1, &outputs[k], &p->weight, cotangents[k]));
        tw_val scalar = tw_sum_all(tw_mul(p->weight, tw_sin(outputs[k])));
        check_status(p->g, tw_hvp(scalar, p->real_count, p->real, p->slots, products[k]));
    }
    same(p, tangent[0], tangent[1], "tangent");
    for (int k = 0; k < p->real_count; k++) same(p, cotangents[0][k], cotangents[1][k], "cotangent");
    for (int k = 0; k < p->real_count; k++) same(p, products[0][k], products[1][k], "Hessian-vector product");
}

static bool run_case(tw_context *ctx, tw_op op, tw_shape shape, int variant)
{
    pair p = {.ctx = ctx, .g = new_graph(ctx), .name = tw_op_table[op].name};
    bool there = build_case(p.g, op, TW_DTYPE_F64, shape, variant, &p.c);
    if (there) {
        begin(&p);
        compare_derivatives(&p);
        for (int i = 0; i < p.count; i++) free(p.values[i]);
        check_status(p.g, tw_graph_verify(p.g));
    }
    tw_graph_destroy(p.g);
    return there;
}

static void own_rules_equal_derived_rules(void **state)
{
    tw_shape shapes[SHAPES_MAX];
    int shapes_count = shape_list(shapes), total = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        int cases = 0;
        if (!(tw_op_table[op].flags & TW_OPF_COMPOSITE)) continue;
        for (int s = 0; s < shapes_count; s++)
            for (int variant = 0; variant < VARIANTS_MAX; variant++)
                cases += run_case(*state, (tw_op)op, shapes[s], variant);
        if (cases == 0) fail_msg("no case for %s", tw_op_table[op].name);
        total += cases;
    }
    print_message("%d cases\n", total);
}

/* The same value as two arguments, and one argument computed from another by what the body does too: each counts once.
 */
static void arguments_that_meet(void **state)
{
    tw_graph *g = new_graph(*state);
    pair p = {.ctx = *state, .g = g, .name = "softmax_tangent of equal arguments"};
    tw_val x = add_input(g, &p.c, TW_DTYPE_F64, tw_shape_of(3, 5), -1.0, 1.0);
    tw_draft twice = {.op = TW_OP_softmax_tangent, .count = 2, .args = (tw_val[]){x, x}};
    twice.attr.axis[0] = 1;
    tw_val inner = tw_mul(x, x);
    tw_draft nested = {.op = TW_OP_softmax_tangent, .count = 2, .args = (tw_val[]){x, inner}};
    nested.attr.axis[0] = 0;
    p.c.output = tw_mul(tw_graph_append(&twice), tw_graph_append(&nested));
    begin(&p);
    compare_derivatives(&p);
    for (int i = 0; i < p.count; i++) free(p.values[i]);
    tw_graph_destroy(g);
}

/* A composite is a linear map in some arguments only. */
static void transposes_only_what_is_linear(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(4)), out = TW_NONE;
    tw_draft d = {.op = TW_OP_softmax_tangent, .count = 2, .args = (tw_val[]){y, tw_ones_like(y)}};
    tw_val v = tw_graph_append(&d);
    assert_int_equal(tw_linear_transpose(1, &y, 1, &v, &y, &out), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "not linear in argument 1"));
    tw_graph_destroy(g);
}

/* --- values, by loops of their own or worked out with PyTorch 2.15 in f64 (the call stands beside them) --- */

static void expect(tw_val v, int64_t size, const double *expected, const char *what)
{
    check_ok(v.graph);
    assert_int_equal(size_at(v), size);
    double *found = evaluate(0, NULL, NULL, v);
    for (int64_t i = 0; i < size; i++) assert_near(found[i], expected[i], 1e-12, what);
    free(found);
}

static const double layer_norm[] = {-0.4123921516977265, -1.80426663154454, -0.5773490123768171, -0.3814117724534103,
                                    0.2490669496134849,  3.49066949613485,  1.544215087603607,   -0.9750933050386515};
static const double rms_norm[] = {0.2649060996152351, -1.059624398460941, -1.059624398460941, 0.7947182988457054,
                                  0.1990068075263787, 2.388081690316545,  1.59205446021103,   0};
static const double log_softmax[] = {-2.88409170128869,  -4.38409170128869,   -1.38409170128869,  -0.3840917012886902,
                                     -1.681673540648746, -0.4316735406487456, -3.931673540648746, -1.931673540648746};
static const double group_norm[] = {0.2105573942547294,   -1.947803519566212, -0.6509436722692299, -0.4141506949576931,
                                    -0.07018579808490982, 3.667060327226573,  1.432076078992306,   -1.195283101680769};
static const double gelu_tanh[] = {0.3457140098251439, -0.1588080093917232, 1.954597694087775,    2.996362607918227,
                                   0.149675350701685,  1.399571576980233,   -0.04540230591222494, 0};
static const double cross_entropy_3 = 0.3840917012886902, cross_entropy_1 = 0.4316735406487456;

static void values(void **state)
{
    tw_graph *g = new_graph(*state);
    const double data[] = {0.5, -1.0, 2.0, 3.0, 0.25, 1.5, -2.0, 0.0};
    tw_val x = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(2, 4), data);
    tw_val scale = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(4), (const double[]){1.0, 2.0, -1.0, 0.5});
    tw_val shift = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(4), (const double[]){0.0, 1.0, 0.0, -1.0});
    /* F.layer_norm(x, (4,), s, b, 1e-5), F.rms_norm(x, (4,), s, 1e-5), F.log_softmax(x, 1) */
    expect(tw_layernorm(x, scale, shift, 1e-5), 8, layer_norm, "layernorm");
    expect(tw_rmsnorm(x, scale, 1e-5), 8, rms_norm, "rmsnorm");
    expect(tw_log_softmax(x, 1), 8, log_softmax, "log_softmax");
    /* F.group_norm(x.view(1, 2, 4).permute(0, 2, 1), 2, s, b, 1e-5).permute(0, 2, 1): two pixels of four channels */
    expect(tw_groupnorm(tw_reshape(x, tw_shape_of(1, 2, 4)), 2, scale, shift, 1e-5), 8, group_norm, "groupnorm");
    expect(tw_gelu_tanh(x), 8, gelu_tanh, "gelu_tanh"); /* F.gelu(x, approximate="tanh") */
    /* F.cross_entropy(x, t, reduction="none"), with ignore_index=3 in the second */
    tw_val classes = tw_const_data(g, TW_DTYPE_I32, tw_shape_of(2), (const int32_t[]){3, 1});
    expect(tw_cross_entropy(x, classes, -1), 2, (const double[]){cross_entropy_3, cross_entropy_1}, "cross_entropy");
    expect(tw_cross_entropy(x, classes, 3), 2, (const double[]){0.0, cross_entropy_1}, "ignored class");
    tw_graph_destroy(g);
}

/* Pairs as complex numbers turned by position * base^(-2i/D); scores of rotated vectors depend on distances only. */
static void rotary(void **state)
{
    enum { T = 3, D = 6 };
    const double base = 100.0, positions[T] = {0.0, 2.0, 5.0};
    for (int layout = 0; layout < 2; layout++) {
        tw_graph *g = new_graph(*state);
        double data[T * D], expected[T * D];
        for (int i = 0; i < T * D; i++) data[i] = sin(1.0 + i);
        tw_val x = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(1, T, 1, D), data);
        tw_val at = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(T), positions);
        for (int t = 0; t < T; t++)
            for (int i = 0; i < D / 2; i++) {
                double angle = positions[t] * pow(base, -2.0 * i / D);
                int a = t * D + (layout == TW_ROTARY_HALF ? i : 2 * i), b = a + (layout == TW_ROTARY_HALF ? D / 2 : 1);
                expected[a] = data[a] * cos(angle) - data[b] * sin(angle);
                expected[b] = data[a] * sin(angle) + data[b] * cos(angle);
            }
        expect(tw_rotary(x, at, 1, base, (tw_rotary_layout)layout), T * D, expected, "rotary");
        tw_val turned = tw_rotary(x, TW_NONE, 1, base, (tw_rotary_layout)layout);
        tw_val later =
            tw_rotary(x, tw_adds(tw_iota(g, TW_DTYPE_F64, tw_shape_of(T), 0), 7.0), -3, base, (tw_rotary_layout)layout);
        int axes[] = {0, 2}, last[] = {3};
        tw_val score = tw_dot_general(turned, turned, 2, axes, axes, 1, last, last);
        double *here = evaluate(0, NULL, NULL, score);
        expect(tw_dot_general(later, later, 2, axes, axes, 1, last, last), T * T, here, "scores");
        free(here);
        tw_graph_destroy(g);
    }
}

/* A share p is zero - within five standard deviations -, the rest scaled; the tangent is masked alike; p = 0 is x. */
static void dropout(void **state)
{
    enum { N = 20000 };
    tw_graph *g = new_graph(*state);
    tw_val x = tw_full(g, TW_DTYPE_F64, tw_shape_of(N), 3.0), y, t = TW_NONE, input;
    tw_val key = tw_const_data(g, TW_DTYPE_U32, tw_shape_of(2), (const uint32_t[]){1, 2});
    input = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(N));
    y = tw_dropout(input, 0.3, key, key, 9);
    check_status(g, tw_jvp(1, &input, &x, 1, &y, &t));
    assert_int_equal(tw_dropout(x, 0.0, key, key, 9).id, x.id);
    double *ones = new_array(N);
    for (int i = 0; i < N; i++) ones[i] = 1.0;
    double *value = evaluate(1, &input, &ones, y), *tangent = evaluate(1, &input, &ones, t);
    int zeros = 0;
    for (int i = 0; i < N; i++) {
        zeros += value[i] == 0.0;
        assert_near(value[i], value[i] == 0.0 ? 0.0 : 1.0 / 0.7, 1e-15, "dropout");
        assert_near(tangent[i], 3.0 * value[i], 1e-15, "its tangent");
    }
    assert_true(fabs(zeros - 0.3 * N) < 5.0 * sqrt(0.3 * 0.7 * N));
    free(ones);
    free(value);
    free(tangent);
    tw_dropout(x, 1.0, key, key, 9);
    assert_int_equal(tw_graph_check(g), TW_ERR_INVALID);
    tw_graph_destroy(g);
}

/* What does not fit is told with the shapes. */
static void sentences(void **state)
{
    for (int k = 0; k < 7; k++) {
        static const char *const says[] = {"axis 2", "(4)", "3 groups", "classes", "rotary", "scale", "epsilon"};
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(2, 5)),
               s = tw_input(g, "s", TW_DTYPE_F32, tw_shape_of(4));
        if (k == 0) tw_softmax(x, 2);
        if (k == 1) tw_layernorm(x, s, TW_NONE, 1e-5);
        if (k == 2) tw_groupnorm(x, 3, TW_NONE, TW_NONE, 1e-5);
        if (k == 3) tw_cross_entropy(x, x, -1);
        if (k == 4) tw_rotary(x, TW_NONE, 0, 1e4, TW_ROTARY_HALF);
        if (k == 5) tw_rmsnorm(x, s, 1e-5);
        if (k == 6) tw_rmsnorm(x, TW_NONE, -1.0);
        assert_true(tw_graph_check(g) != TW_OK);
        if (!strstr(tw_context_error(*state), says[k])) fail_msg("%s: %s", says[k], tw_context_error(*state));
        tw_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_rules_equal_derived_rules),
        cmocka_unit_test(arguments_that_meet),
        cmocka_unit_test(transposes_only_what_is_linear),
        cmocka_unit_test(values),
        cmocka_unit_test(rotary),
        cmocka_unit_test(dropout),
        cmocka_unit_test(sentences),
    };
    return cmocka_run_group_tests_name("graph/composites", tests, open_context, close_context);
}
