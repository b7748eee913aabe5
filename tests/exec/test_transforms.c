/* What transforms make, compiled: batched functions, Jacobians, divergences and their gradients against the reference
 * interpreter; estimates of a row do not change with the number of rows. */
#include "exec/check.h"

static check begin(int threads, double tolerance, tw_graph **out_graph)
{
    check c = {.tolerance = tolerance, .seed = 7};
    c.ctx = tw_context_create(&(tw_context_desc){.threads = threads});
    assert_non_null(c.ctx);
    assert_int_equal(tw_graph_create(c.ctx, out_graph), TW_OK);
    return c;
}

static void ok(check *c, tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(c->ctx));
}

/* One sample: a table looked up, scattered, reduced, multiplied; batched over every choice of inputs. */
static void batched(void **state)
{
    (void)state;
    for (unsigned choice = 1; choice < 8; choice++) {
        tw_graph *g;
        check c = begin(2, 1e-12, &g);
        tw_val x[3] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(9, 3)),
                       tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(5)),
                       tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(3, 4))};
        tw_val rows = tw_take_rows(x[0], x[1]), sums = tw_scatter_add_rows(tw_matmul(rows, x[2]), x[1], 7), jacobian;
        tw_val wide[3], listed[3], replacement[3], f[3], all[3];
        int count = 0;
        for (int i = 0; i < 3; i++) {
            tw_shape shape = tw_shape_at(x[i]),
                     many = {.rank = shape.rank + 1, .dim = {11, shape.dim[0], shape.dim[1]}};
            bool is_wide = choice >> i & 1;
            wide[i] = in(&c, g, tw_dtype_at(x[i]), is_wide ? many : shape);
            if (is_wide) {
                listed[count] = x[i];
                replacement[count++] = wide[i];
            }
        }
        f[0] = sums;
        f[1] = tw_softmax(tw_cumsum(rows, 0), 1);
        ok(&c, tw_jacobian(TW_MODE_AUTO, x[2], tw_reduce_max(sums, 1, (int[]){0}), &jacobian));
        f[2] = jacobian;
        ok(&c, tw_vmap(count, listed, replacement, 3, f, all));
        tw_val shared[3];
        for (int i = 0; i < 3; i++) shared[i] = choice >> i & 1 ? x[i] : wide[i];
        ok(&c, tw_substitute(3, x, shared, 3, all, all));
        for (int i = 0; i < 3; i++) out(&c, all[i]);
        end(&c, g);
    }
}

/* Divergences of a network, all three kinds, with the gradient in a weight. */
static void divergences(void **state)
{
    (void)state;
    for (int dtype = TW_DTYPE_F32; dtype <= TW_DTYPE_F64; dtype++)
        for (int trace = TW_TRACE_EXACT; trace <= TW_TRACE_HUTCHPP; trace++) {
            tw_graph *g;
            check c = begin(2, dtype == TW_DTYPE_F64 ? 1e-11 : 1e-4, &g);
            tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(37, 5)),
                   w = in(&c, g, (tw_dtype)dtype, tw_shape_of(5, 5));
            tw_divergence_desc desc = {.trace = (tw_trace)trace, .probe = TW_PROBE_GAUSSIAN, .probes = 6};
            desc.key = in(&c, g, TW_DTYPE_U32, tw_shape_of(2));
            desc.counter = in(&c, g, TW_DTYPE_U32, tw_shape_of(2));
            tw_val u = tw_matmul(tw_silu(tw_matmul(x, w)), w), divergence, gradient;
            ok(&c, tw_divergence(x, u, &desc, &divergence));
            ok(&c, tw_grad(tw_mean_all(divergence), 1, &w, &gradient));
            out(&c, divergence);
            out(&c, gradient);
            end(&c, g);
        }
}

static void second_derivatives(void **state)
{
    (void)state;
    tw_graph *g;
    check c = begin(2, 1e-11, &g);
    tw_val x = in(&c, g, TW_DTYPE_F64, tw_shape_of(23, 3)), w = in(&c, g, TW_DTYPE_F64, tw_shape_of(3, 8)), made;
    tw_val f = tw_sum_axis(tw_softplus(tw_matmul(x, w)), 1);
    ok(&c, tw_hessian_rows(f, x, &made));
    out(&c, made);
    ok(&c, tw_laplacian(TW_MODE_FORWARD, f, x, &made));
    out(&c, made);
    ok(&c, tw_laplacian(TW_MODE_REVERSE, f, x, &made));
    out(&c, made);
    ok(&c, tw_jacobian_rows(TW_MODE_REVERSE, x, tw_tanh(tw_matmul(x, w)), &made));
    out(&c, made);
    end(&c, g);
}

/* Compiled for many rows and run on few: the same probes, the same bits. */
static void fewer_rows(void **state)
{
    (void)state;
    enum { ROWS = 70, D = 4 };
    tw_graph *g;
    check c = begin(2, 0, &g);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(ROWS, D)),
           w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(D, D));
    tw_divergence_desc desc = {.trace = TW_TRACE_HUTCHPP, .probes = 6};
    desc.key = tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2));
    desc.counter = tw_input(g, "counter", TW_DTYPE_U32, tw_shape_of(2));
    tw_val u = tw_matmul(tw_tanh(tw_matmul(x, w)), w), inputs[4] = {x, w, desc.key, desc.counter}, divergence;
    ok(&c, tw_divergence(x, u, &desc, &divergence));
    tw_program *program = NULL;
    tw_state *run = NULL;
    ok(&c, tw_program_compile(c.ctx,
                              &(tw_program_desc){.inputs_count = 4,
                                                 .inputs = inputs,
                                                 .outputs_count = 1,
                                                 .outputs = &divergence,
                                                 .rows = ROWS,
                                                 .row_inputs = (bool[]){true, false, false, false}},
                              &program));
    ok(&c, tw_state_create(program, 0, &run));
    float xs[ROWS * D], ws[D * D], whole[ROWS], part[ROWS];
    uint32_t key[2] = {1, 2}, counter[2] = {3, 4};
    tw_random r = {.seed = 2};
    for (int i = 0; i < ROWS * D; i++) xs[i] = (float)tw_random_normal(&r);
    for (int i = 0; i < D * D; i++) ws[i] = (float)tw_random_normal(&r);
    const void *values[4] = {xs, ws, key, counter};
    ok(&c, tw_program_run(run, values, (void *[]){whole}, 0));
    for (int rows = 1; rows < ROWS; rows += 6) {
        ok(&c, tw_program_run(run, values, (void *[]){part}, rows));
        assert_memory_equal(whole, part, sizeof(float) * (size_t)rows);
    }
    tw_state_destroy(run);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batched),
        cmocka_unit_test(divergences),
        cmocka_unit_test(second_derivatives),
        cmocka_unit_test(fewer_rows),
    };
    return cmocka_run_group_tests_name("exec/transforms", tests, NULL, NULL);
}
