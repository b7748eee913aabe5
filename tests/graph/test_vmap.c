/* Batching over a leading axis: for every op of the table, K samples at once against one at a time - the op, its
 * forward derivative, its gradient, the gradient of the batched function - with each choice of batched inputs. */
#include "graph/op_cases.h"
#include "graph/vmap.h"
#include "support/context.h"

/* Ops that may be refused: their rule is missing. Everything else must have one. */
static const tw_op without_rule[] = {TW_OP_input, TW_OP_const, TW_OP_iota};

static bool may_lack_rule(tw_op op)
{
    for (int i = 0; i < TW_COUNT(without_rule); i++)
        if (without_rule[i] == op) return true;
    return false;
}

typedef struct vmap_test {
    tw_graph *g;
    int count;    /* inputs of the function: those of the case and, for derivatives, their tangents */
    int64_t size; /* K */
    unsigned batched;
    tw_val inputs[2 * CASE_INPUTS + 1], wide[2 * CASE_INPUTS + 1];
    double *values[2 * CASE_INPUTS + 1];
    char name[256];
} vmap_test;

static tw_shape shape_of_many(tw_shape shape, int64_t size)
{
    tw_shape out = {.rank = shape.rank + 1, .dim = {size}};
    memcpy(out.dim + 1, shape.dim, (size_t)shape.rank * sizeof *shape.dim);
    return out;
}

/* Inputs, wide inputs for those that are batched, and their values: K samples or one. */
static void fill(vmap_test *t, const test_case *c, tw_random *r)
{
    for (int i = 0; i < t->count; i++) {
        tw_val x = t->inputs[i];
        bool many = t->batched >> i & 1;
        int at = i < c->count ? i : -1;
        t->wide[i] = many ? tw_input(t->g, "wide", tw_dtype_at(x), shape_of_many(tw_shape_at(x), t->size)) : x;
        t->values[i] = random_array(r, tw_dtype_at(x), size_at(t->wide[i]), at < 0 ? -1.0 : c->low[at],
                                    at < 0 ? 1.0 : c->high[at]);
    }
    check_ok(t->g);
}

static void free_values(vmap_test *t)
{
    for (int i = 0; i < t->count; i++) free(t->values[i]);
}

static void batched_inputs(const vmap_test *t, int *count, tw_val *inputs, tw_val *wide)
{
    *count = 0;
    for (int i = 0; i < t->count; i++) {
        if (!(t->batched >> i & 1)) continue;
        inputs[*count] = t->inputs[i];
        wide[(*count)++] = t->wide[i];
    }
}

/* The value of `output` for sample k. */
static double *evaluate_sample(const vmap_test *t, tw_val output, int64_t k)
{
    double *values[2 * CASE_INPUTS + 1];
    for (int i = 0; i < t->count; i++) values[i] = t->values[i] + (t->batched >> i & 1 ? k * size_at(t->inputs[i]) : 0);
    return evaluate(t->count, t->inputs, values, output);
}

/* vmap(f) = f of each sample. Sums may be taken in another order: rounding of a few hundred terms of order one. */
static void check_vmap(vmap_test *t, tw_val f, const char *what)
{
    tw_val inputs[2 * CASE_INPUTS + 1], wide[2 * CASE_INPUTS + 1], all = TW_NONE;
    int count;
    char name[300];
    snprintf(name, sizeof name, "%s of %s", what, t->name);
    batched_inputs(t, &count, inputs, wide);
    if (tw_vmap(count, inputs, wide, 1, &f, &all) != TW_OK) fail_msg("%s: %s", name, tw_context_error(t->g->ctx));
    check_status(t->g, tw_graph_verify(t->g));
    assert_true(tw_shape_equal(tw_shape_at(all), shape_of_many(tw_shape_at(f), t->size)));
    assert_int_equal(tw_dtype_at(all), tw_dtype_at(f));
    double *found = evaluate(t->count, t->wide, t->values, all);
    for (int64_t k = 0; k < t->size; k++) {
        double *expected = evaluate_sample(t, f, k);
        for (int64_t i = 0; i < size_at(f); i++)
            assert_near(found[k * size_at(f) + i], expected[i], 1e-13 * (1.0 + fabs(expected[i])), name);
        free(expected);
    }
    free(found);
}

/* Gradient in input `at` of sum sin(vmap f): for a batched input the gradients of the samples side by side, for a
 * shared one their sum. */
static void check_gradient_of_vmap(vmap_test *t, tw_val f, tw_val sample_gradient, int at)
{
    tw_val inputs[2 * CASE_INPUTS + 1], wide[2 * CASE_INPUTS + 1], all = TW_NONE, gradient = TW_NONE;
    int count;
    batched_inputs(t, &count, inputs, wide);
    check_status(t->g, tw_vmap(count, inputs, wide, 1, &f, &all));
    check_status(t->g, tw_grad(tw_sum_all(tw_sin(all)), 1, &t->wide[at], &gradient));
    double *found = evaluate(t->count, t->wide, t->values, gradient);
    int64_t size = size_at(t->inputs[at]);
    bool many = t->batched >> at & 1;
    double *expected = new_array(size_at(t->wide[at]));
    for (int64_t k = 0; k < t->size; k++) {
        double *one = evaluate_sample(t, sample_gradient, k);
        for (int64_t i = 0; i < size; i++) expected[(many ? k * size : 0) + i] += one[i];
        free(one);
    }
    for (int64_t i = 0; i < size_at(t->wide[at]); i++)
        assert_near(found[i], expected[i], 1e-13 * (1.0 + fabs(expected[i])), t->name);
    free(expected);
    free(found);
}

/* Forward derivative with tangents batched or not, per-sample gradients, gradient of the batched function. */
static void check_derivatives(vmap_test *t, const test_case *c, bool reverse, tw_random *r)
{
    tw_val tangent = TW_NONE, gradient = TW_NONE, real[CASE_INPUTS], slots[CASE_INPUTS];
    int count = 0, cases = t->count, first = -1;
    for (int i = 0; i < cases; i++) {
        if (!tw_dtype_is_real(tw_dtype_at(t->inputs[i]))) continue;
        if (first < 0) first = i;
        real[count] = t->inputs[i];
        slots[count] = tw_input(t->g, "v", tw_dtype_at(real[count]), tw_shape_at(real[count]));
        t->inputs[cases + count] = slots[count];
        count++;
    }
    if (count == 0 || !tw_dtype_is_real(tw_dtype_at(c->output))) return;
    if (tw_op_table[tw_node_at(c->output)->op].flags & TW_OPF_NO_DERIVATIVE) return;
    check_status(t->g, tw_jvp(count, real, slots, 1, &c->output, &tangent));
    if (reverse) check_status(t->g, tw_grad(tw_sum_all(tw_sin(c->output)), 1, &t->inputs[first], &gradient));
    unsigned primal = t->batched;
    for (int with_primal = 0; with_primal < 2 && !tw_is_none(tangent); with_primal++) {
        t->count = cases + count;
        t->batched = ((1u << count) - 1) << cases | (with_primal ? primal : 0);
        fill(t, c, r);
        check_vmap(t, tangent, "tangent");
        free_values(t);
    }
    t->count = cases;
    t->batched = primal;
    if (!reverse) return;
    fill(t, c, r);
    check_vmap(t, gradient, "gradient");
    check_gradient_of_vmap(t, c->output, gradient, first);
    free_values(t);
}

static int run_case(tw_context *ctx, tw_op op, tw_shape shape, int variant)
{
    tw_graph *g = new_graph(ctx);
    test_case c;
    tw_random r = {.seed = (uint64_t)op << 8 | (uint64_t)variant};
    int done = 0;
    if (build_case(g, op, TW_DTYPE_F64, shape, variant, &c)) {
        check_ok(g);
        unsigned step = c.count > 4 ? 61 : 1; /* some of the choices where there are many */
        for (unsigned batched = 1; batched < 1u << c.count; batched += step) {
            vmap_test t = {
                .g = g, .count = c.count, .size = 1 + (int64_t)(batched + (unsigned)variant) % 3, .batched = batched};
            snprintf(t.name, sizeof t.name, "%s %s variant %d, inputs %#x of K %d", tw_op_table[op].name,
                     tw_shape_show(shape).text, variant, batched, (int)t.size);
            memcpy(t.inputs, c.inputs, sizeof c.inputs);
            fill(&t, &c, &r);
            check_vmap(&t, c.output, "vmap");
            free_values(&t);
            check_derivatives(&t, &c, op != TW_OP_while, &r); /* no reverse mode */
            done++;
        }
    }
    tw_graph_destroy(g);
    return done;
}

static void every_op(void **state)
{
    tw_shape shapes[SHAPES_MAX];
    int shapes_count = shape_list(shapes), total = 0, covered = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        if (!tw_vmap_rule((tw_op)op) && !(tw_op_table[op].flags & TW_OPF_COMPOSITE)) { /* those: by their bodies */
            if (!may_lack_rule((tw_op)op))
                fail_msg("no batching rule for %s (graph/vmap_rules.c)", tw_op_table[op].name);
            continue;
        }
        int cases = 0;
        for (int s = 0; s < shapes_count; s++)
            for (int variant = 0; variant < VARIANTS_MAX; variant++)
                cases += run_case(*state, (tw_op)op, shapes[s], variant);
        if (cases == 0) fail_msg("no case for %s", tw_op_table[op].name);
        covered++;
        total += cases;
    }
    print_message("%d cases of %d ops, %d ops without a rule\n", total, covered, (int)TW_OP_COUNT - covered);
}

/* K of 0: outputs of no samples. */
static void no_samples(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3)), none = tw_input(g, "n", TW_DTYPE_F64, tw_shape_of(0, 3));
    tw_val f[3] = {tw_sum_all(tw_exp(x)), tw_concat2(0, x, tw_ones_like(x)),
                   tw_iota(g, TW_DTYPE_I32, tw_shape_of(2), 0)};
    tw_val all[3];
    check_status(g, tw_vmap(1, &x, &none, 3, f, all));
    assert_true(tw_shape_equal(tw_shape_at(all[0]), tw_shape_of(0)));
    assert_true(tw_shape_equal(tw_shape_at(all[1]), tw_shape_of(0, 6)));
    assert_true(tw_shape_equal(tw_shape_at(all[2]), tw_shape_of(0, 2)));
    tw_graph_destroy(g);
}

/* Samples of samples: pairwise distances by batching one argument, then the other. */
static void nested(void **state)
{
    enum { M = 3, N = 4, D = 2 };
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(D)), y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(D));
    tw_val xs = tw_input(g, "xs", TW_DTYPE_F64, tw_shape_of(M, D)),
           ys = tw_input(g, "ys", TW_DTYPE_F64, tw_shape_of(N, D));
    tw_val distance = tw_sqrt(tw_sum_all(tw_square(tw_sub(x, y)))), row, table;
    check_status(g, tw_vmap(1, &y, &ys, 1, &distance, &row));
    check_status(g, tw_vmap(1, &x, &xs, 1, &row, &table));
    assert_true(tw_shape_equal(tw_shape_at(table), tw_shape_of(M, N)));
    double a[M * D] = {0, 0, 1, 2, -3, 0.5}, b[N * D] = {3, 4, 1, 2, 0, 0, -1, 7}, *values[2] = {a, b};
    double *found = evaluate(2, (tw_val[]){xs, ys}, values, table);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            assert_near(found[i * N + j], hypot(a[2 * i] - b[2 * j], a[2 * i + 1] - b[2 * j + 1]), 1e-15, "distance");
    free(found);
    tw_graph_destroy(g);
}

/* Samples that share key and counter draw the same bits; under counters of their own, what each would draw alone. */
static void random_bits(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val key = tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)), at = tw_input(g, "at", TW_DTYPE_U32, tw_shape_of(2));
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR), xs = tw_input(g, "xs", TW_DTYPE_F64, tw_shape_of(2));
    tw_val many = tw_input(g, "many", TW_DTYPE_U32, tw_shape_of(2, 2)), shared, own;
    tw_val f = tw_add(x, tw_bits_to_uniform(tw_random_bits(key, at, 5, tw_shape_of(6)), TW_DTYPE_F64));
    check_status(g, tw_vmap(1, &x, &xs, 1, &f, &shared));
    check_status(g, tw_vmap(1, &at, &many, 1, &f, &own));
    double k[2] = {1, 2}, counters[4] = {7, 8, 7, 9}, zeros[2] = {0, 0}, zero = 0;
    double *same = evaluate(3, (tw_val[]){key, at, xs}, (double *[]){k, counters, zeros}, shared);
    double *each = evaluate(3, (tw_val[]){key, many, x}, (double *[]){k, counters, &zero}, own);
    for (int i = 0; i < 6; i++) {
        assert_true(same[i] == same[6 + i] && same[i] == each[i]);
        assert_true(each[i] != each[6 + i]);
    }
    free(same);
    free(each);
    tw_graph_destroy(g);
}

static void halve(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    out[0] = tw_muls(in[1], 0.5);
    out[1] = tw_add(in[2], tw_const(g, TW_DTYPE_F64, 1.0));
}

static void above(void *user, tw_graph *g, const tw_val *in, tw_val *out)
{
    (void)user;
    (void)g;
    out[0] = tw_lt(in[0], in[1]);
}

/* Loops of different length side by side: samples that are done keep what they have. */
static void loops_of_different_length(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val limit = tw_input(g, "limit", TW_DTYPE_F64, TW_SCALAR), x = tw_input(g, "x", TW_DTYPE_F64, TW_SCALAR);
    tw_val init[2] = {x, tw_const(g, TW_DTYPE_F64, 0.0)}, last[2], all[2];
    tw_val limits = tw_input(g, "l", TW_DTYPE_F64, tw_shape_of(4)),
           xs = tw_input(g, "xs", TW_DTYPE_F64, tw_shape_of(4));
    tw_while(g, above, halve, NULL, 1, &limit, 2, init, last);
    check_ok(g);
    double starts[4] = {100, 3, 0.5, 1}, ends[4] = {1, 1, 1, 0.01}, one = 1, *values[2] = {ends, starts};
    const double counts[4] = {7, 2, 0, 7}, shared[4] = {7, 2, 0, 0};
    check_status(g, tw_vmap(2, (tw_val[]){limit, x}, (tw_val[]){limits, xs}, 2, last, all));
    double *carry = evaluate(2, (tw_val[]){limits, xs}, values, all[0]);
    double *steps = evaluate(2, (tw_val[]){limits, xs}, values, all[1]);
    for (int i = 0; i < 4; i++) {
        assert_near(steps[i], counts[i], 0.0, "steps");
        assert_near(carry[i], starts[i] / exp2(counts[i]), 0.0, "carry");
    }
    free(carry), free(steps);
    check_status(g, tw_vmap(1, &x, &xs, 1, &last[1], all));
    values[0] = &one;
    steps = evaluate(2, (tw_val[]){limit, xs}, values, all[0]);
    for (int i = 0; i < 4; i++) assert_near(steps[i], shared[i], 0.0, "steps with one limit");
    free(steps);
    tw_graph_destroy(g);
}

/* A condition for every sample selects; a row-wise function may hold calls. */
static void functions(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val flag = tw_input(g, "f", TW_DTYPE_BOOL, TW_SCALAR), flags = tw_input(g, "fs", TW_DTYPE_BOOL, tw_shape_of(3));
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, 2)),
           wide = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(3, 4, 2));
    tw_val out[2], all[2], both[2] = {x, x};
    tw_cond(g, flag, body_pair, body_other_pair, NULL, 2, both, 2, out);
    check_status(g, tw_vmap(1, &flag, &flags, 2, out, all));
    assert_true(tw_shape_equal(tw_shape_at(all[0]), tw_shape_of(3, 3, 2)));
    double on[3] = {1, 0, 1}, at[6] = {.1, .2, .3, .4, .5, .6}, *values[2] = {on, at};
    double *found = evaluate(2, (tw_val[]){flags, x}, values, all[1]);
    for (int k = 0; k < 3; k++) {
        double *single = &on[k], *one[2] = {single, at}, *expected = evaluate(2, (tw_val[]){flag, x}, one, out[1]);
        assert_memory_equal(found + 6 * k, expected, 6 * sizeof *expected);
        free(expected);
    }
    free(found);
    tw_checkpoint(g, body_pair, NULL, 2, both, 2, out);
    check_status(g, tw_vmap_rows(1, &x, &wide, 2, out, all));
    assert_true(tw_shape_equal(tw_shape_at(all[0]), tw_shape_of(3, 4, 2)));
    check_status(g, tw_graph_verify(g));
    tw_graph_destroy(g);
}

static void sentences(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2)),
           wrong = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(3, 4));
    tw_val out = TW_NONE;
    assert_int_equal(tw_vmap(1, &x, &wrong, 1, &x, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "vmap: input 1 is f64(2), its replacement f64(3,4)");
    assert_int_equal(tw_vmap(1, &x, &x, 1, &x, &out), TW_ERR_SHAPE);
    tw_val deep = tw_reshape(x, tw_shape_of(1, 1, 1, 1, 1, 1, 1, 2)),
           many = tw_input(g, "m", TW_DTYPE_F64, tw_shape_of(3, 2));
    assert_int_equal(tw_vmap(1, &x, &many, 1, &deep, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "reshape: a result of more than 8 axes");
    assert_true(tw_is_none(out));
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op),    cmocka_unit_test(no_samples), cmocka_unit_test(nested),
        cmocka_unit_test(random_bits), cmocka_unit_test(sentences),  cmocka_unit_test(loops_of_different_length),
        cmocka_unit_test(functions),
    };
    return cmocka_run_group_tests_name("graph/vmap", tests, open_context, close_context);
}
