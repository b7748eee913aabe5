/* Every composite of the table: its own rules against those of its body written out in primitives - value, forward and
 * reverse derivative, Hessian-vector product - and the ways of using it that rules get wrong most easily. */
#include "graph/op_cases.h"

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

static int setup(void **state)
{
    *state = tw_context_create(&(tw_context_desc){.threads = 1});
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    tw_context_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_rules_equal_derived_rules),
        cmocka_unit_test(arguments_that_meet),
        cmocka_unit_test(transposes_only_what_is_linear),
    };
    return cmocka_run_group_tests_name("graph/composites", tests, setup, teardown);
}
