/* Composites as programs: every case of the table, its tangent, gradient and Hessian-vector product, in f32 and f64,
 * against the reference interpreter, which runs bodies; the same bits for any number of threads. */
#include "check.h"

#include "graph/op_cases.h"
#include "support/context.h"

static void add(check *c, tw_val v)
{
    if (!tw_is_none(v) && c->outputs_count < CHECK_MAX) c->outputs[c->outputs_count++] = v;
}

static void add_derivatives(check *c, tw_graph *g, const test_case *t, tw_dtype dtype)
{
    tw_val real[CASE_INPUTS], slots[CASE_INPUTS], gradients[CASE_INPUTS], products[CASE_INPUTS], tangent = TW_NONE;
    int count = 0;
    for (int i = 0; i < t->count; i++)
        if (tw_dtype_at(t->inputs[i]) == dtype) real[count++] = t->inputs[i];
    for (int k = 0; k < count; k++)
        c->inputs[c->inputs_count++] = slots[k] = tw_input(g, "v", dtype, tw_shape_at(real[k]));
    tw_val scalar = tw_sum_all(tw_square(t->output));
    assert_int_equal(tw_jvp(count, real, slots, 1, &t->output, &tangent), TW_OK);
    assert_int_equal(tw_grad(scalar, count, real, gradients), TW_OK);
    assert_int_equal(tw_hvp(scalar, count, real, slots, products), TW_OK);
    add(c, tangent);
    for (int k = 0; k < count; k++) add(c, gradients[k]);
    for (int k = 0; k < count; k++) add(c, products[k]);
}

/* f32: rounding of a few dozen operations; in second derivatives larger terms cancel. */
static bool run_case(tw_context *ctx, tw_op op, tw_dtype dtype, tw_shape shape, int variant)
{
    test_case t;
    tw_graph *g = new_graph(ctx);
    check c = {.ctx = ctx, .tolerance = dtype == TW_DTYPE_F64 ? 1e-12 : 2e-5, .seed = 5};
    bool there = build_case(g, op, dtype, shape, variant, &t);
    if (there) {
        check_ok(g);
        for (int i = 0; i < t.count; i++) c.inputs[c.inputs_count++] = t.inputs[i];
        add(&c, t.output);
        add_derivatives(&c, g, &t, dtype);
        check_ok(g);
        check_all_ways(&c);
    }
    tw_graph_destroy(g);
    return there;
}

/* Lines shorter and longer than a vector, a tile, a block of sums; images; many rows and one. */
static void every_composite(void **state)
{
    const tw_shape shapes[] = {tw_shape_of(70, 5),    tw_shape_of(3, 16),       tw_shape_of(2, 2311),  tw_shape_of(37),
                               tw_shape_of(9, 4, 18), tw_shape_of(5, 6, 7, 32), tw_shape_of(3, 41, 22)};
    int total = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        if (!(tw_op_table[op].flags & TW_OPF_COMPOSITE)) continue;
        int cases = 0;
        int last = tw_op_table[op].flags & TW_OPF_ELEMENTWISE ? 2 : TW_COUNT(shapes);
        for (int s = 0; s < last; s++)
            for (int variant = 0; variant < VARIANTS_MAX; variant++)
                for (int dtype = 0; dtype < 2; dtype++)
                    cases += run_case(*state, (tw_op)op, (tw_dtype)dtype, shapes[s], variant);
        if (cases == 0) fail_msg("no case for %s", tw_op_table[op].name);
        total += cases;
    }
    print_message("%d programs\n", total);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_composite)};
    return cmocka_run_group_tests_name("exec/composites", tests, open_pool, close_context);
}
