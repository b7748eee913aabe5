/* Attention programs against the reference interpreter, which stores all scores: values, tangents, gradients, Hessian
 * products, masks, one projection read in place; the same bits for any number of threads; memory that grows with the
 * number of tokens. */
#include "check.h"

static check begin(int threads, double tolerance, tw_graph **out_graph)
{
    check c = {.tolerance = tolerance, .seed = 21};
    c.ctx = tw_context_create(&(tw_context_desc){.threads = threads});
    assert_non_null(c.ctx);
    assert_int_equal(tw_graph_create(c.ctx, out_graph), TW_OK);
    return c;
}

/* y and its derivatives in q, k, v: tangent, cotangents and, when asked for, the product with the Hessian of a
 * scalar. */
static void derivatives(check *c, tw_graph *g, tw_val y, int count, const tw_val *inputs, bool second)
{
    tw_val moved[3], tangent, cotangents[3], products[3], w = in(c, g, tw_dtype_at(y), tw_shape_at(y));
    for (int i = 0; i < count; i++) moved[i] = in(c, g, tw_dtype_at(inputs[i]), tw_shape_at(inputs[i]));
    assert_int_equal(tw_jvp(count, inputs, moved, 1, &y, &tangent), TW_OK);
    assert_int_equal(tw_vjp(count, inputs, 1, &y, &w, cotangents), TW_OK);
    c->outputs[c->outputs_count++] = y;
    c->outputs[c->outputs_count++] = tangent;
    for (int i = 0; i < count; i++) c->outputs[c->outputs_count++] = cotangents[i];
    if (!second) return;
    assert_int_equal(tw_hvp(tw_sum_all(tw_mul(w, tw_square(y))), count, inputs, moved, products), TW_OK);
    for (int i = 0; i < count; i++) c->outputs[c->outputs_count++] = products[i];
}

static const struct {
    int64_t batch, queries, keys, heads, depth, width;
} shapes[] = {
    {3, 1, 1, 1, 1, 1}, {2, 5, 9, 2, 3, 7}, {5, 13, 13, 1, 16, 16}, {4, 37, 53, 3, 8, 8}, {1, 70, 130, 2, 32, 5}};

static void separate(void **state)
{
    (void)state;
    for (int s = 0; s < (int)(sizeof shapes / sizeof *shapes); s++)
        for (int dtype = 0; dtype < 2; dtype++)
            for (int mask = 0; mask < 4; mask++) {
                tw_graph *g;
                check c = begin(2, dtype ? 1e-13 : 3e-6, &g);
                tw_val x[3];
                for (int k = 0; k < 3; k++)
                    x[k] = in(&c, g, (tw_dtype)dtype,
                              tw_shape_of(shapes[s].batch, k ? shapes[s].keys : shapes[s].queries, shapes[s].heads,
                                          k == 2 ? shapes[s].width : shapes[s].depth));
                tw_attention_options o = {.causal = mask == 1 || mask == 3, .scale = mask == 2 ? 0.25 : 0.0};
                if (mask == 2) o.mask = in(&c, g, TW_DTYPE_I32, tw_shape_of(shapes[s].batch));
                if (mask == 3) o.mask = in(&c, g, TW_DTYPE_BOOL, tw_shape_of(shapes[s].batch, shapes[s].keys));
                derivatives(&c, g, tw_attention(x[0], x[1], x[2], mask ? &o : NULL), 3, x, true);
                end(&c, g);
            }
}

static void biased(void **state)
{
    tw_graph *g;
    check c = begin(2, 3e-6, &g);
    tw_val x[3], bias = in(&c, g, TW_DTYPE_F32, tw_shape_of(2, 6, 9));
    (void)state;
    for (int k = 0; k < 3; k++) x[k] = in(&c, g, TW_DTYPE_F32, tw_shape_of(4, k ? 9 : 6, 2, 5));
    tw_attention_options o = {.causal = true, .bias = bias};
    tw_val y = tw_attention(x[0], x[1], x[2], &o), gradient;
    derivatives(&c, g, y, 3, x, false);
    assert_int_equal(tw_grad(tw_sum_all(tw_square(y)), 1, &bias, &gradient), TW_OK);
    c.outputs[c.outputs_count++] = gradient;
    end(&c, g);
}

/* A bias of zeros is no bias: two ways to the same numbers. */
static void no_bias(void **state)
{
    tw_graph *g;
    check c = begin(1, 1e-13, &g);
    tw_val x[3];
    (void)state;
    for (int k = 0; k < 3; k++) x[k] = in(&c, g, TW_DTYPE_F64, tw_shape_of(2, 7, 3, 4));
    tw_val zero = tw_full(g, TW_DTYPE_F64, tw_shape_of(7, 7), 0.0);
    tw_attention_options o = {.bias = zero};
    tw_val difference = tw_sub(tw_attention(x[0], x[1], x[2], NULL), tw_attention(x[0], x[1], x[2], &o));
    c.outputs[c.outputs_count++] = tw_adds(difference, 1.0);
    end(&c, g);
}

/* Attention of one projection: nothing is copied on the way in. */
static void projected(void **state)
{
    (void)state;
    for (int by_head = 0; by_head < 2; by_head++)
        for (int64_t heads = 1; heads < 4; heads += 2) {
            tw_graph *g;
            check c = begin(2, 3e-6, &g);
            tw_val x = in(&c, g, TW_DTYPE_F32, tw_shape_of(6, 19, 12)),
                   w = in(&c, g, TW_DTYPE_F32, tw_shape_of(12, 36));
            tw_val part[3], both[2] = {x, w};
            tw_qkv_split(tw_matmul(x, tw_muls(w, 0.3)), heads, by_head, part); /* scores of order one */
            tw_val y = tw_attention(part[0], part[1], part[2], NULL);
            y = tw_matmul(tw_reshape(y, tw_shape_of(6, 19, 12)), tw_slice(w, 1, 3, 8)); /* reads a part of wider rows */
            derivatives(&c, g, y, 2, both, true);
            tw_program *program;
            tw_program_desc desc = {
                .inputs_count = c.inputs_count, .inputs = c.inputs, .outputs_count = 1, .outputs = &y};
            char *text;
            assert_int_equal(tw_program_compile(c.ctx, &desc, &program), TW_OK);
            assert_int_equal(tw_program_print(program, &text), TW_OK);
            const char *at = strstr(text, "attention");
            assert_non_null(at);
            const char *weights = strstr(text, "copy"); /* the slice of w alone */
            assert_true(!weights || !strstr(weights + 1, "copy"));
            tw_string_free(c.ctx, text);
            tw_program_destroy(program);
            end(&c, g);
        }
}

/* Rows, heads as pieces, and threads: the same bits. */
static void check_threads(int64_t batch)
{
    static const int counts[] = {1, 2, 3, 7};
    unsigned char *first = NULL;
    size_t size = 0;
    for (int t = 0; t < 4; t++) {
        tw_graph *g;
        check c = begin(counts[t], 3e-6, &g);
        tw_val x[3];
        for (int k = 0; k < 3; k++) x[k] = in(&c, g, TW_DTYPE_F32, tw_shape_of(batch, 23, 5, 8));
        derivatives(&c, g, tw_attention(x[0], x[1], x[2], NULL), 3, x, false);
        check_fill(&c);
        tw_program_desc desc = {
            .inputs_count = c.inputs_count, .inputs = c.inputs, .outputs_count = c.outputs_count, .outputs = c.outputs};
        unsigned char *bytes = check_run(&c, &desc, 0, true, &size);
        if (first)
            assert_memory_equal(bytes, first, size);
        else
            first = bytes;
        if (first != bytes) free(bytes);
        check_free(&c);
        tw_graph_destroy(g);
        tw_context_destroy(c.ctx);
    }
    free(first);
}

static void threads(void **state)
{
    (void)state;
    check_threads(9);
    check_threads(1);
}

/* Bytes of a state for a training step on T tokens: twice the tokens may take twice the memory, never four times. */
static size_t bytes_for(int64_t tokens, bool forward_mode)
{
    tw_graph *g;
    check c = begin(1, 0, &g);
    tw_val x[3], results[3], w = in(&c, g, TW_DTYPE_F32, tw_shape_of(2, tokens, 4, 32));
    for (int k = 0; k < 3; k++) x[k] = in(&c, g, TW_DTYPE_F32, tw_shape_of(2, tokens, 4, 32));
    tw_val y = tw_attention(x[0], x[1], x[2], NULL);
    if (forward_mode)
        assert_int_equal(tw_jvp(3, x, (tw_val[]){w, w, w}, 1, &y, results), TW_OK);
    else
        assert_int_equal(tw_vjp(3, x, 1, &y, &w, results), TW_OK);
    tw_program_desc desc = {
        .inputs_count = c.inputs_count, .inputs = c.inputs, .outputs_count = forward_mode ? 1 : 3, .outputs = results};
    tw_program *program;
    assert_int_equal(tw_program_compile(c.ctx, &desc, &program), TW_OK);
    size_t bytes = tw_program_bytes(program, 1);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    tw_context_destroy(c.ctx);
    return bytes;
}

static void memory(void **state)
{
    (void)state;
    for (int forward_mode = 0; forward_mode < 2; forward_mode++) {
        size_t once = bytes_for(4096, forward_mode), twice = bytes_for(8192, forward_mode);
        assert_true(twice < 2 * once + 4096);
        /* one head's scores alone would be 64 MiB */
        assert_true(once < (size_t)4096 * 4 * 32 * 4 * 14);
    }
}

static void sentence(tw_context *ctx, tw_graph *g, const char *part)
{
    assert_int_not_equal(tw_graph_check(g), TW_OK);
    if (!strstr(tw_context_error(ctx), part)) fail_msg("'%s' lacks '%s'", tw_context_error(ctx), part);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
}

static void errors(void **state)
{
    static const char *const parts[] = {"expected (B,T,H,D)", "k is (2,5,1,4), expected (2,5,2,4)",
                                        "k is f64",           "the mask is bool(2,4)",
                                        "the scale is -1",    "is not (B,T,3*H*D) with H = 5"};
    (void)state;
    for (int i = 0; i < 6; i++) {
        tw_graph *g;
        check c = begin(1, 0, &g);
        tw_shape shape = tw_shape_of(2, 5, 2, 4);
        tw_val q = in(&c, g, TW_DTYPE_F32, i == 0 ? tw_shape_of(2, 5, 8) : shape);
        tw_val k = in(&c, g, i == 2 ? TW_DTYPE_F64 : TW_DTYPE_F32, i == 1 ? tw_shape_of(2, 5, 1, 4) : shape);
        tw_val v = in(&c, g, TW_DTYPE_F32, shape), split[3];
        tw_attention_options o = {.scale = i == 4 ? -1.0 : 0.0};
        if (i == 3) o.mask = in(&c, g, TW_DTYPE_BOOL, tw_shape_of(2, 4));
        if (i == 5)
            tw_qkv_split(tw_reshape(q, tw_shape_of(2, 5, 8)), 5, false, split);
        else
            (void)tw_attention(q, k, v, &o);
        sentence(c.ctx, g, parts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separate), cmocka_unit_test(biased), cmocka_unit_test(no_bias), cmocka_unit_test(projected),
        cmocka_unit_test(threads),  cmocka_unit_test(memory), cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
