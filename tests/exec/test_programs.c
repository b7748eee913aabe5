/* Programs against the reference interpreter: single ops, a training step, random graphs; memory plans, threads, rows.
 */
#include "check.h"

#include "support/limited_memory.h"

static tw_context *context(int threads)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = threads});
    assert_non_null(ctx);
    return ctx;
}

static tw_graph *begin(check *c, int threads, double tolerance)
{
    tw_graph *g = NULL;
    *c = (check){.ctx = context(threads), .tolerance = tolerance, .seed = 7};
    assert_int_equal(tw_graph_create(c->ctx, &g), TW_OK);
    return g;
}

static void shapes(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, 2, dtype ? 1e-14 : 1e-6);
        tw_val x = in(&c, g, (tw_dtype)dtype, tw_shape_of(70, 5, 6)),
               y = in(&c, g, (tw_dtype)dtype, tw_shape_of(70, 5, 6));
        int axes[] = {1}, both[] = {0, 2}, lead[] = {0, 1}, perm[] = {0, 2, 1}, turn[] = {2, 0, 1};
        out(&c, tw_slice(x, 1, 1, 4));
        out(&c, tw_slice(x, 0, 3, 50));
        out(&c, tw_transpose(tw_exp(x), perm));
        out(&c, tw_transpose(x, turn));
        out(&c, tw_concat2(2, x, tw_mul(x, y)));
        out(&c, tw_concat2(0, x, y));
        out(&c, tw_pad(x, 2.5, (int64_t[]){0, 1, -2}, (int64_t[]){0, 0, 3}, (int64_t[]){0, 2, 0}));
        out(&c, tw_pad(x, 0.0, (int64_t[]){2, 0, 0}, (int64_t[]){1, 0, 0}, (int64_t[]){1, 0, 0}));
        out(&c, tw_reverse(x, 2));
        out(&c, tw_reverse(x, 0));
        out(&c, tw_sum(x, 1, axes));
        out(&c, tw_sum(tw_mul(x, y), 2, both));
        out(&c, tw_sum(x, 2, lead));
        out(&c, tw_sum_all(tw_square(x)));
        out(&c, tw_reduce_max(x, 1, axes));
        out(&c, tw_reduce_max(x, 2, both));
        out(&c, tw_argmax(x, 1));
        out(&c, tw_argmax(x, 0));
        out(&c, tw_cumsum(x, 1));
        out(&c, tw_cumsum(x, 0));
        out(&c, tw_softmax(x, 2));
        out(&c, tw_mul(x, tw_slice(y, 2, 0, 1)));
        out(&c, tw_broadcast_to(tw_slice(y, 1, 0, 1), tw_shape_of(70, 5, 6)));
        out(&c, tw_reshape(tw_add(x, y), tw_shape_of(350, 6)));
        out(&c, tw_add(tw_reshape(tw_tanh(x), tw_shape_of(350, 6)), tw_reshape(tw_exp(y), tw_shape_of(350, 6))));
        out(&c, x);
        out(&c, tw_neg(tw_neg(x)));
        end(&c, g);
    }
}

static void products(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, 3, dtype ? 1e-13 : 2e-6);
        tw_dtype t = (tw_dtype)dtype;
        tw_val x = in(&c, g, t, tw_shape_of(131, 17)), w = in(&c, g, t, tw_shape_of(17, 29)),
               b = in(&c, g, t, tw_shape_of(29));
        tw_val h = in(&c, g, t, tw_shape_of(131, 4, 17)), q = in(&c, g, t, tw_shape_of(131, 4, 17));
        tw_val y = tw_silu(tw_add(tw_matmul(x, w), b));
        int zero[] = {0}, one[] = {1}, two[] = {2}, zero_one[] = {0, 1};
        out(&c, y);
        out(&c, tw_dot_general(x, y, 0, NULL, NULL, 1, zero, zero));
        out(&c, tw_dot_general(y, w, 0, NULL, NULL, 1, one, one));
        out(&c, tw_dot_general(w, y, 0, NULL, NULL, 1, one, one));
        out(&c, tw_matmul(h, w));
        out(&c, tw_dot_general(h, q, 1, zero, zero, 1, two, two));
        out(&c, tw_dot_general(h, q, 0, NULL, NULL, 2, zero_one, zero_one));
        out(&c, tw_dot_general(h, q, 1, zero, zero, 1, one, one));
        out(&c, tw_dot_general(h, q, 1, one, one, 1, zero, zero));
        out(&c, tw_dot_general(h, q, 2, zero_one, zero_one, 1, two, two));
        out(&c, tw_dot_general(b, b, 0, NULL, NULL, 1, zero, zero));
        out(&c, tw_dot_general(b, b, 0, NULL, NULL, 0, NULL, NULL));
        end(&c, g);
    }
}

static void random_and_rows(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 2, 2e-6);
    tw_val key = in(&c, g, TW_DTYPE_U32, tw_shape_of(2)), counter = in(&c, g, TW_DTYPE_U32, tw_shape_of(2));
    tw_val table = in(&c, g, TW_DTYPE_F32, tw_shape_of(37, 3)), rows = in(&c, g, TW_DTYPE_F32, tw_shape_of(101, 3));
    tw_val bits = tw_random_bits(key, counter, 4, tw_shape_of(101));
    tw_val index = tw_cast(tw_floor(tw_muls(tw_bits_to_uniform(bits, TW_DTYPE_F32), 37.0)), TW_DTYPE_I32);
    out(&c, bits);
    out(&c, index);
    out(&c, tw_take_rows(table, index));
    out(&c, tw_scatter_add_rows(rows, index, 37));
    out(&c, tw_bits_to_normal(tw_random_bits(key, counter, 5, tw_shape_of(101, 3)), TW_DTYPE_F32));
    out(&c, tw_iota(g, TW_DTYPE_F32, tw_shape_of(101, 3), 0));
    out(&c, tw_iota(g, TW_DTYPE_I32, tw_shape_of(101, 3), 1));
    for (int axis = 0; axis < 3; axis++) out(&c, tw_iota(g, TW_DTYPE_F32, tw_shape_of(101, 5, 7), axis));
    out(&c, tw_select(tw_lt(rows, tw_const(g, TW_DTYPE_F32, 0.0)), tw_neg(rows), tw_exp(rows)));
    out(&c, tw_cast(rows, TW_DTYPE_F64));
    out(&c, tw_is_finite(tw_div(rows, tw_sub(rows, rows))));
    end(&c, g);
}

/* A small network with a loss, its gradient and an optimiser step, as training does it. */
static void training_step(void **state)
{
    (void)state;
    for (int dtype = 0; dtype < 2; dtype++) {
        check c;
        tw_graph *g = begin(&c, 2, dtype ? 1e-12 : 2e-5);
        tw_dtype t = (tw_dtype)dtype;
        tw_val x = in(&c, g, t, tw_shape_of(300, 3)), y = in(&c, g, t, tw_shape_of(300, 2));
        tw_val w0 = in(&c, g, t, tw_shape_of(3, 33)), b0 = in(&c, g, t, tw_shape_of(33));
        tw_val w1 = in(&c, g, t, tw_shape_of(33, 33)), b1 = in(&c, g, t, tw_shape_of(33)),
               w2 = in(&c, g, t, tw_shape_of(33, 2));
        tw_val h = tw_add(tw_matmul(x, w0), b0);
        h = tw_add(h, tw_add(tw_matmul(tw_silu(h), w1), b1));
        h = tw_add(h, tw_add(tw_matmul(tw_gelu(h), w1), b1));
        tw_val error = tw_sub(tw_matmul(tw_silu(h), w2), y);
        tw_val loss = tw_mean_all(tw_sum_axis(tw_square(error), 1));
        tw_val params[] = {w0, b0, w1, b1, w2}, grad[5];
        assert_int_equal(tw_grad(loss, 5, params, grad), TW_OK);
        tw_val norm = tw_const(g, t, 0.0);
        for (int i = 0; i < 5; i++) norm = tw_add(norm, tw_sum_all(tw_square(grad[i])));
        tw_val scale = tw_min(tw_const(g, t, 1.0), tw_rsqrt(norm));
        out(&c, loss);
        out(&c, norm);
        for (int i = 0; i < 5; i++) out(&c, tw_sub(params[i], tw_mul(tw_muls(grad[i], 0.1), scale)));
        tw_val vectors[5], product[5];
        for (int i = 0; i < 5; i++) vectors[i] = params[i];
        assert_int_equal(tw_hvp(loss, 5, params, vectors, product), TW_OK);
        for (int i = 0; i < 5; i++) out(&c, product[i]);
        end(&c, g);
    }
}

/* All tangents of a row in one sweep: the divergence of a network. */
static void divergence(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 2, 1e-12);
    tw_val x = in(&c, g, TW_DTYPE_F64, tw_shape_of(50, 3)), w = in(&c, g, TW_DTYPE_F64, tw_shape_of(3, 3));
    tw_val u = tw_matmul(tw_silu(tw_matmul(x, w)), w), tangent = tw_input(g, "v", TW_DTYPE_F64, tw_shape_of(50, 3)), du;
    assert_int_equal(tw_jvp(1, &x, &tangent, 1, &u, &du), TW_OK);
    double eye[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    tw_val basis = tw_const_data(g, TW_DTYPE_F64, tw_shape_of(1, 3, 3), eye);
    tw_val wide = tw_broadcast_to(basis, tw_shape_of(50, 3, 3)), all;
    if (tw_vmap_rows(1, &tangent, &wide, 1, &du, &all) != TW_OK) fail_msg("%s", tw_context_error(c.ctx));
    int axes[] = {1, 2};
    tw_val div = tw_sum(tw_mul(all, wide), 2, axes);
    out(&c, u);
    out(&c, div);
    end(&c, g);
}

/* Fewer rows than compiled for: the rows are the same bits whatever their number, the rest is untouched. */
static void fewer_rows_of(tw_context *ctx, int width, int columns, int capacity)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(capacity, columns));
    tw_val w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(columns, width));
    tw_val v = tw_input(g, "v", TW_DTYPE_F32, tw_shape_of(width, width));
    /* the scaled weight has as many rows as the batch when width == capacity */
    tw_val y = tw_silu(tw_matmul(tw_tanh(tw_matmul(x, w)), tw_muls(v, 0.5)));
    y = tw_dot_general(y, w, 0, NULL, NULL, 1, (int[]){1}, (int[]){1});
    bool by_rows[] = {true, false, false};
    tw_val ins[] = {x, w, v};
    tw_program *p = NULL;
    tw_state *s = NULL;
    tw_program_desc desc = {
        .inputs_count = 3, .inputs = ins, .outputs_count = 1, .outputs = &y, .rows = capacity, .row_inputs = by_rows};
    if (tw_program_compile(ctx, &desc, &p) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    assert_int_equal(tw_state_create(p, 1, &s), TW_OK);
    size_t bytes = sizeof(float) * (size_t)(capacity * columns);
    float *a = malloc(bytes), *full = malloc(bytes), *part = malloc(bytes);
    float *b = malloc(sizeof(float) * (size_t)(columns * width)), *c = malloc(sizeof(float) * (size_t)(width * width));
    tw_random r = {.seed = 3};
    for (int i = 0; i < capacity * columns; i++) a[i] = (float)tw_random_normal(&r);
    for (int i = 0; i < columns * width; i++) b[i] = (float)tw_random_normal(&r);
    for (int i = 0; i < width * width; i++) c[i] = (float)tw_random_normal(&r);
    const void *inputs[] = {a, b, c};
    assert_int_equal(tw_program_run(s, inputs, (void *[]){full}, 0), TW_OK);
    for (int rows = 1; rows <= capacity; rows++) {
        for (int i = 0; i < capacity * columns; i++) part[i] = -77.0f;
        assert_int_equal(tw_program_run(s, inputs, (void *[]){part}, rows), TW_OK);
        if (memcmp(part, full, sizeof(float) * (size_t)(rows * columns)) != 0)
            fail_msg("width %d, columns %d, capacity %d: other bits with %d rows", width, columns, capacity, rows);
        for (int i = rows * columns; i < capacity * columns; i++) assert_true(part[i] == -77.0f);
    }
    tw_state_destroy(s);
    tw_program_destroy(p);
    tw_graph_destroy(g);
    free(a);
    free(b);
    free(c);
    free(full);
    free(part);
}

static void fewer_rows(void **state)
{
    (void)state;
    tw_context *ctx = context(2);
    static const int cases[][3] = {{64, 64, 64}, {256, 2, 64}, {33, 1, 70}, {7, 9, 130}, {65, 3, 65}, {5, 5, 5}};
    for (int i = 0; i < TW_COUNT(cases); i++) fewer_rows_of(ctx, cases[i][0], cases[i][1], cases[i][2]);
    tw_context_destroy(ctx);
}

/* Every allocation of compiling and preparing a run fails in turn: a status, no leak, no crash. */
static tw_status compile_gradient(tw_context *ctx, void *user)
{
    (void)user;
    tw_graph *g = NULL;
    tw_program *p = NULL;
    tw_state *s = NULL;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(40, 3)), grad;
    tw_val w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(3, 3));
    tw_val loss = tw_mean_all(tw_square(tw_silu(tw_matmul(x, w))));
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_grad(loss, 1, &w, &grad));
    tw_val ins[] = {x, w}, outs[] = {loss, grad};
    TW_TRY(tw_program_compile(
        ctx, &(tw_program_desc){.inputs_count = 2, .inputs = ins, .outputs_count = 2, .outputs = outs}, &p));
    TW_TRY(tw_state_create(p, 0, &s));
done:
    if (status != TW_OK) assert_true(tw_context_error(ctx)[0] != 0);
    tw_state_destroy(s);
    tw_program_destroy(p);
    tw_graph_destroy(g);
    return status;
}

static void failing_allocations(void **state)
{
    (void)state;
    run_with_limited_memory(compile_gradient, NULL);
}

static void running_does_not_allocate(void **state)
{
    (void)state;
    limited_memory memory = {0};
    tw_context *ctx =
        tw_context_create(&(tw_context_desc){.threads = 2, .alloc = limited_alloc, .alloc_user = &memory});
    tw_graph *g = NULL;
    tw_program *p = NULL;
    tw_state *s = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(300, 40)),
           w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(40, 40)), grad;
    assert_int_equal(tw_grad(tw_mean_all(tw_square(tw_silu(tw_matmul(x, w)))), 1, &w, &grad), TW_OK);
    tw_val ins[] = {x, w};
    tw_program_desc desc = {.inputs_count = 2, .inputs = ins, .outputs_count = 1, .outputs = &grad};
    assert_int_equal(tw_program_compile(ctx, &desc, &p), TW_OK);
    assert_int_equal(tw_state_create(p, 0, &s), TW_OK);
    float *a = calloc(300 * 40, sizeof *a), *b = calloc(40 * 40, sizeof *b), *c = calloc(40 * 40, sizeof *c);
    int64_t made = memory.made;
    for (int i = 0; i < 20; i++) assert_int_equal(tw_program_run(s, (const void *[]){a, b}, (void *[]){c}, 0), TW_OK);
    assert_int_equal(memory.made, made);
    free(a), free(b), free(c);
    tw_state_destroy(s);
    tw_program_destroy(p);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
    assert_int_equal(memory.alive, 0);
}

/* Outputs written over inputs give what separate buffers give, whoever else reads the old values. */
static void overwrites(void **state)
{
    (void)state;
    tw_context *ctx = context(2);
    for (int late = 0; late < 2; late++) {
        tw_graph *g = NULL;
        assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
        enum { N = 1000, M = 40 };
        tw_val p = tw_input(g, "p", TW_DTYPE_F32, tw_shape_of(N, M)),
               m = tw_input(g, "m", TW_DTYPE_F32, tw_shape_of(N, M));
        tw_val mean = tw_mul(tw_mean_axis(p, 0), tw_const(g, TW_DTYPE_F32, 0.5));
        tw_val m2 = tw_add(tw_muls(m, 0.9), tw_sub(p, mean)), p2 = tw_sub(p, tw_mul(m2, tw_tanh(p)));
        tw_val extra = late ? tw_sum_all(tw_mul(p, tw_broadcast_to(tw_sum_all(m2), tw_shape_of(N, M))))
                            : tw_sum_all(tw_mul(m2, p2));
        tw_val ins[] = {p, m}, outs[] = {p2, m2, extra};
        float *buffer[2][3];
        for (int way = 0; way < 2; way++) {
            tw_program *program = NULL;
            tw_state *s = NULL;
            int over[] = {0, 1, -1};
            tw_program_desc desc = {
                .inputs_count = 2, .inputs = ins, .outputs_count = 3, .outputs = outs, .overwrites = way ? over : NULL};
            if (tw_program_compile(ctx, &desc, &program) != TW_OK) fail_msg("%s", tw_context_error(ctx));
            assert_int_equal(tw_state_create(program, 0, &s), TW_OK);
            float *ip[2];
            tw_random r = {.seed = 11};
            for (int i = 0; i < 2; i++) {
                ip[i] = malloc(sizeof(float) * N * M);
                for (int k = 0; k < N * M; k++) ip[i][k] = (float)tw_random_normal(&r);
                buffer[way][i] = way ? ip[i] : malloc(sizeof(float) * N * M);
            }
            buffer[way][2] = malloc(sizeof(float));
            assert_int_equal(tw_program_run(s, (const void *[]){ip[0], ip[1]},
                                            (void *[]){buffer[way][0], buffer[way][1], buffer[way][2]}, 0),
                             TW_OK);
            if (!way)
                for (int i = 0; i < 2; i++) free(ip[i]);
            tw_state_destroy(s);
            tw_program_destroy(program);
        }
        for (int i = 0; i < 2; i++) assert_memory_equal(buffer[0][i], buffer[1][i], sizeof(float) * N * M);
        assert_memory_equal(buffer[0][2], buffer[1][2], sizeof(float));
        for (int w = 0; w < 2; w++)
            for (int i = 0; i < 3; i++) free(buffer[w][i]);
        tw_graph_destroy(g);
    }
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(products),
        cmocka_unit_test(random_and_rows),
        cmocka_unit_test(training_step),
        cmocka_unit_test(divergence),
        cmocka_unit_test(fewer_rows),
        cmocka_unit_test(overwrites),
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(running_does_not_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
