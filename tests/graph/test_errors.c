/* Sentences of errors, poisoned graphs, and every allocation failing in turn. */
#include "graph/support.h"
#include "support/context.h"

/* The graph has failed with this sentence; a new graph follows. */
static void expect_error(tw_graph **g, tw_status status, const char *sentence)
{
    tw_context *ctx = (*g)->ctx;
    assert_int_equal(tw_graph_check(*g), status);
    assert_string_equal(tw_context_error(ctx), sentence);
    tw_graph_destroy(*g);
    *g = new_graph(ctx);
}

static tw_val in(tw_graph *g, tw_shape shape)
{
    return tw_input(g, "x", TW_DTYPE_F32, shape);
}

static void shape_sentences(void **state)
{
    tw_graph *g = new_graph(*state);
    (void)tw_matmul(in(g, tw_shape_of(64, 128)), in(g, tw_shape_of(256, 3)));
    expect_error(&g, TW_ERR_SHAPE, "matmul: (64,128) does not fit (256,3): inner sizes 128 and 256 differ");
    (void)tw_matmul(in(g, tw_shape_of(5, 2, 3)), in(g, tw_shape_of(4, 3, 2)));
    expect_error(&g, TW_ERR_SHAPE, "matmul: (5,2,3) does not fit (4,3,2): batch sizes 5 and 4 differ");
    (void)tw_add(in(g, tw_shape_of(2, 3)), in(g, tw_shape_of(4)));
    expect_error(&g, TW_ERR_SHAPE, "add: (2,3) does not fit (4): sizes must be equal or 1, from the right");
    (void)tw_reshape(in(g, tw_shape_of(2, 3)), tw_shape_of(4, 2));
    expect_error(&g, TW_ERR_SHAPE, "reshape: (2,3) has 6 elements, (4,2) has 8");
    (void)tw_reshape(in(g, tw_shape_of(2, 3)), tw_shape_of(4, -1));
    expect_error(&g, TW_ERR_SHAPE, "reshape: (2,3) cannot become (4,-1)");
    (void)tw_slice(in(g, tw_shape_of(2, 3)), 1, 1, 5);
    expect_error(&g, TW_ERR_SHAPE, "slice: [1, 5) in steps of 1 is not within axis 1 of (2,3)");
    (void)tw_sum_axis(in(g, tw_shape_of(2, 3)), 2);
    expect_error(&g, TW_ERR_SHAPE, "sum: axis 2 is not one of (2,3)");
    (void)tw_reduce_max(in(g, tw_shape_of(2, 0)), 1, (int[]){1});
    expect_error(&g, TW_ERR_SHAPE, "reduce_max: axis 1 of (2,0) is empty");
    (void)tw_transpose(in(g, tw_shape_of(2, 3)), (int[]){1, 1});
    expect_error(&g, TW_ERR_SHAPE, "transpose: axis 1 of (2,3) is named twice");
    (void)tw_concat2(0, in(g, tw_shape_of(2, 3)), in(g, tw_shape_of(2, 4)));
    expect_error(&g, TW_ERR_SHAPE, "concat: f32(2,3) and f32(2,4) cannot be joined along axis 0");
    (void)tw_broadcast_to(in(g, tw_shape_of(2, 3)), tw_shape_of(2, 6));
    expect_error(&g, TW_ERR_SHAPE, "broadcast: (2,3) does not stretch to (2,6)");
    (void)tw_pad(in(g, tw_shape_of(2)), 0.0, (int64_t[]){-3}, NULL, NULL);
    expect_error(&g, TW_ERR_SHAPE, "pad: axis 0 of (2) cannot take -3 below, 0 above, 0 between");
    (void)tw_expand_dim(in(g, tw_shape_of(1, 1, 1, 1, 1, 1, 1, 1)), 0);
    expect_error(&g, TW_ERR_SHAPE, "expand_dim: (1,1,1,1,1,1,1,1) cannot take a new axis 0");
    (void)tw_scatter_add_rows(in(g, tw_shape_of(2, 3)), tw_iota(g, TW_DTYPE_I32, tw_shape_of(5), 0), 4);
    expect_error(&g, TW_ERR_SHAPE, "scatter_add_rows: (2,3) with an index (5) into 4 rows does not fit");
    tw_graph_destroy(g);
}

static void dtype_sentences(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val i = tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(3));
    (void)tw_add(in(g, tw_shape_of(3)), i);
    expect_error(&g, TW_ERR_DTYPE, "add: f32(3) and i32(3) are of different number types");
    (void)tw_exp(tw_input(g, "i", TW_DTYPE_I32, tw_shape_of(3)));
    expect_error(&g, TW_ERR_DTYPE, "exp: argument 1 is i32(3), which is not f32 or f64");
    (void)tw_select(in(g, TW_SCALAR), in(g, TW_SCALAR), in(g, TW_SCALAR));
    expect_error(&g, TW_ERR_DTYPE, "select: argument 1 is f32(), which is not bool");
    (void)tw_take_rows(in(g, tw_shape_of(3)), in(g, tw_shape_of(3)));
    expect_error(&g, TW_ERR_DTYPE, "take_rows: argument 2 is f32(3), which is not a list of i32 or u32");
    (void)tw_random_bits(in(g, tw_shape_of(2)), in(g, tw_shape_of(2)), 0, TW_SCALAR);
    expect_error(&g, TW_ERR_DTYPE, "random_bits: argument 1 is f32(2), which is not u32(2)");
    tw_graph_destroy(g);
}

/* The first error stays, whatever follows it, and every transform reports it. */
static void first_error_stays(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = in(g, tw_shape_of(2, 3)), bad = tw_matmul(x, x);
    tw_val later = tw_sum_all(tw_add(tw_silu(bad), tw_exp(x)));
    assert_true(tw_is_none(bad));
    assert_true(tw_is_none(later));
    assert_int_equal(tw_dim(later, 5), 1);
    (void)tw_graph_fail(g, TW_ERR_INVALID, "another one");
    tw_val out = TW_NONE;
    assert_int_equal(tw_grad(later, 1, &x, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "matmul: (2,3) does not fit (2,3): inner sizes 3 and 2 differ");
    assert_true(tw_is_none(out));
    assert_true(tw_is_none(tw_input(g, "y", TW_DTYPE_F32, TW_SCALAR)));
    assert_true(tw_is_none(tw_const(g, TW_DTYPE_F32, 1.0)));
    tw_graph_destroy(g);
}

static void wrong_values(void **state)
{
    tw_graph *g = new_graph(*state), *other = new_graph(*state);
    tw_val x = in(g, tw_shape_of(3)), y = in(other, tw_shape_of(3)), out = TW_NONE, ones = tw_ones_like(x);
    assert_true(tw_is_none(tw_exp(TW_NONE)));
    assert_true(tw_is_none(tw_add(TW_NONE, TW_NONE)));
    assert_int_equal(tw_jvp(1, &x, &ones, 1, &y, &out), TW_ERR_INVALID);
    assert_int_equal(tw_jvp(1, &x, &y, 1, &x, &out), TW_ERR_INVALID);
    assert_int_equal(tw_substitute(1, &x, &y, 1, &x, &out), TW_ERR_INVALID);
    assert_int_equal(tw_grad(tw_exp(x), 1, &x, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "grad: the value to differentiate is f32(3), not one real number");
    tw_val scalar = tw_sum_all(x);
    assert_int_equal(tw_jvp(1, &x, &scalar, 1, &x, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "jvp: input 1 is f32(3), its tangent f32()");
    assert_int_equal(tw_graph_check(g), TW_OK);
    (void)tw_add(x, y);
    assert_int_equal(tw_graph_check(g), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "add: argument 2 is a value of another graph");
    tw_graph_destroy(g);
    g = new_graph(*state);
    (void)tw_add(in(g, TW_SCALAR), TW_NONE);
    assert_int_equal(tw_graph_check(g), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "add: argument 2 is none");
    tw_graph_destroy(g);
    tw_graph_destroy(other);
}

static void not_linear(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val x = in(g, tw_shape_of(3)), y = tw_exp(x), ct = tw_ones_like(y), out = TW_NONE;
    assert_int_equal(tw_linear_transpose(1, &x, 1, &y, &ct, &out), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "linear_transpose: exp is not linear");
    tw_graph_destroy(g);
    g = new_graph(*state);
    x = in(g, tw_shape_of(3));
    y = tw_square(x);
    ct = tw_ones_like(y);
    assert_int_equal(tw_linear_transpose(1, &x, 1, &y, &ct, &out), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "linear_transpose: both arguments of mul depend on the inputs");
    tw_graph_destroy(g);
}

/* --- memory --- */

typedef struct failing_heap {
    int64_t calls, fail_at, live;
} failing_heap;

static void *failing_alloc(void *user, void *ptr, size_t size)
{
    failing_heap *heap = user;
    if (size == 0) {
        if (ptr) heap->live--;
        free(ptr);
        return NULL;
    }
    if (heap->calls++ == heap->fail_at) return NULL;
    void *out = realloc(ptr, size);
    if (out && !ptr) heap->live++;
    return out;
}

/* Whole derivatives and batches of a row-wise function. */
static tw_status transforms(tw_val x, tw_val h)
{
    tw_graph *g = x.graph;
    tw_status status = TW_OK;
    tw_val sample = tw_input(g, "sample", TW_DTYPE_F32, tw_shape_of(3)),
           table = tw_input(g, "t", TW_DTYPE_F32, tw_shape_of(4, 3));
    tw_val key = tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)),
           keys = tw_input(g, "keys", TW_DTYPE_U32, tw_shape_of(3, 2));
    tw_val noise = tw_bits_to_normal(tw_random_bits(key, key, 1, tw_shape_of(3)), TW_DTYPE_F32), made;
    tw_val picked = tw_take_rows(table, tw_cast(tw_abs(sample), TW_DTYPE_I32)), both[2] = {sample, key},
           many[2] = {table, keys};
    tw_val f = tw_add(noise, tw_sum_axis(picked, 0)), narrow = tw_tanh(tw_slice(h, 1, 0, 3));
    tw_divergence_desc desc = {.trace = TW_TRACE_HUTCHPP, .probes = 6, .key = key, .counter = key};
    TW_TRY(tw_graph_check(g));
    many[0] = tw_slice(table, 0, 0, 3);
    TW_TRY(tw_vmap(2, both, many, 1, &f, &made));
    TW_TRY(tw_jacobian(TW_MODE_REVERSE, sample, f, &made));
    TW_TRY(tw_jacobian_rows(TW_MODE_FORWARD, x, narrow, &made));
    TW_TRY(tw_hessian_rows(tw_sum_axis(narrow, 1), x, &made));
    TW_TRY(tw_laplacian(TW_MODE_FORWARD, tw_sum_axis(narrow, 1), x, &made));
    TW_TRY(tw_divergence(x, narrow, &desc, &made));
done:
    return status;
}

/* A small network with a concat of many parts: gradient, Hessian product, text, parse, vmap. */
static tw_status scenario(tw_context *ctx)
{
    tw_graph *g = NULL, *again = NULL;
    char *text = NULL;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(4, 3)), w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(3, 5));
    tw_val b = tw_input(g, "b", TW_DTYPE_F32, tw_shape_of(5)),
           many = tw_input(g, "many", TW_DTYPE_F32, tw_shape_of(4, 2, 3));
    tw_val h = tw_silu(tw_add(tw_matmul(x, w), b)), parts[6], in3[3] = {x, w, b}, gradients[3], products[3], batched;
    for (int i = 0; i < 6; i++) parts[i] = tw_pows(h, 1.0 + 0.3 * i);
    tw_val loss = tw_mean_all(tw_concat(1, 6, parts));
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_grad(loss, 3, in3, gradients));
    TW_TRY(tw_hvp(loss, 3, in3, gradients, products));
    TW_TRY(tw_vmap_rows(1, &x, &many, 1, &h, &batched));
    TW_TRY(transforms(x, h));
    TW_TRY(tw_graph_print(ctx, 3, in3, 3, products, &text));
    TW_TRY(tw_graph_create(ctx, &again));
    int inputs_count, outputs_count;
    const tw_val *inputs, *outputs;
    TW_TRY(tw_graph_parse(again, text, &inputs_count, &inputs, &outputs_count, &outputs));
    TW_TRY(tw_graph_verify(again));
    double xs[15] = {0.1, -0.2, 0.3}, out = 0.0, *result = &out;
    const double *values[3] = {xs, xs, xs};
    TW_TRY(tw_reference_run(ctx, 3, in3, values, 1, &loss, &result));
done:
    tw_string_free(ctx, text);
    tw_graph_destroy(again);
    tw_graph_destroy(g);
    return status;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    int64_t total = INT64_MAX, failures = 0;
    for (int64_t n = 0; n <= total; n++) {
        failing_heap heap = {.fail_at = INT64_MAX};
        tw_context *ctx =
            tw_context_create(&(tw_context_desc){.alloc = failing_alloc, .alloc_user = &heap, .threads = 1});
        assert_non_null(ctx);
        int64_t before = heap.live, start = heap.calls;
        heap.fail_at = n == 0 ? INT64_MAX : start + n - 1; /* the first round counts */
        tw_status status = scenario(ctx);
        if (n == 0) {
            assert_int_equal(status, TW_OK);
            total = heap.calls - start;
        } else {
            assert_int_equal(status, TW_ERR_MEMORY);
            assert_non_null(strstr(tw_context_error(ctx), "memory"));
            failures++;
        }
        assert_int_equal(heap.live, before);
        tw_context_destroy(ctx);
        assert_int_equal(heap.live, 0);
    }
    print_message("%lld allocations failed in turn\n", (long long)failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_sentences),   cmocka_unit_test(dtype_sentences),
        cmocka_unit_test(first_error_stays), cmocka_unit_test(wrong_values),
        cmocka_unit_test(not_linear),        cmocka_unit_test(every_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("graph/errors", tests, open_context, close_context);
}
