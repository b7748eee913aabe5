/* Matrix products in programs: operands packed beforehand, gradients of weights of few and of many rows, strips within
 * blocks, bf16; the same bits for any number of threads. */
#include "check.h"

static tw_val in_f32(check *c, tw_graph *g, tw_shape shape)
{
    return c->inputs[c->inputs_count++] = tw_input(g, "x", TW_DTYPE_F32, shape);
}

static tw_graph *begin(check *c, int threads, double tolerance)
{
    tw_graph *g = NULL;
    *c = (check){.tolerance = tolerance, .seed = 21};
    c->ctx = tw_context_create(&(tw_context_desc){.threads = threads});
    assert_non_null(c->ctx);
    assert_int_equal(tw_graph_create(c->ctx, &g), TW_OK);
    return g;
}

static void finish(check *c, tw_graph *g)
{
    tw_graph_destroy(g);
    tw_context_destroy(c->ctx);
}

enum { WIDTH = 72 };

/* A step of training: the gradients of the wide weights are shared out by rows of the result for 140 rows, summed block
 * by block for 2,300, which are several strips and blocks. */
static void network(check *c, tw_graph *g, int64_t batch)
{
    tw_val x = in_f32(c, g, tw_shape_of(batch, 3)), y = in_f32(c, g, tw_shape_of(batch, 2)), h = x;
    const int64_t sides[] = {3, WIDTH, WIDTH, WIDTH, 2};
    tw_val params[8], gradient[8];
    for (int i = 0; i < 4; i++) {
        params[2 * i] = in_f32(c, g, tw_shape_of(sides[i], sides[i + 1]));
        params[2 * i + 1] = in_f32(c, g, tw_shape_of(sides[i + 1]));
        h = tw_add(tw_matmul(tw_muls(i ? tw_silu(h) : h, 0.2), params[2 * i]), params[2 * i + 1]);
    }
    tw_val loss = tw_mean_all(tw_sum_axis(tw_square(tw_sub(h, y)), 1));
    assert_int_equal(tw_grad(loss, 8, params, gradient), TW_OK);
    out(c, loss);
    out(c, h);
    for (int i = 0; i < 8; i++) out(c, tw_sub(params[i], tw_muls(gradient[i], 0.1)));
}

static void steps_follow_the_reference(void **state)
{
    (void)state;
    const int64_t batches[] = {1, 33, 140, 2300};
    for (int i = 0; i < TW_COUNT(batches); i++) {
        check c;
        tw_graph *g = begin(&c, 3, 2e-5);
        network(&c, g, batches[i]);
        check_all_ways(&c);
        finish(&c, g);
    }
}

static void same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 3, 7};
    for (int kind = 0; kind < 4; kind++) {
        unsigned char *first = NULL;
        size_t size = 0;
        for (int i = 0; i < TW_COUNT(threads); i++) {
            check c;
            tw_graph *g = begin(&c, threads[i], 0);
            network(&c, g, kind & 1 ? 140 : 2300);
            check_fill(&c);
            tw_program_desc desc = {.inputs_count = c.inputs_count,
                                    .inputs = c.inputs,
                                    .outputs_count = c.outputs_count,
                                    .outputs = c.outputs,
                                    .products = kind & 2 ? TW_PRODUCTS_BF16 : TW_PRODUCTS_F32};
            unsigned char *bytes = check_run(&c, &desc, 0, true, &size);
            if (first) {
                assert_memory_equal(first, bytes, size);
                free(bytes);
            } else {
                first = bytes;
            }
            check_free(&c);
            finish(&c, g);
        }
        free(first);
    }
}

/* Rounding operands as the program does it, written into the graph instead. */
static tw_val rounded(tw_val v)
{
    return tw_cast(tw_cast(v, TW_DTYPE_BF16), TW_DTYPE_F32);
}

/* bf16 products are products of rounded operands: both sides are chains of at most k + 2 roundings in f32, whose error
 * is bounded by that many half units times sum |a b| <= |a| |b|; operands are normal numbers of norm below 3 sqrt(k).
 */
static void bf16_rounds_operands(void **state)
{
    (void)state;
    const int64_t batches[] = {5, 60, 1500};
    for (int b = 0; b < TW_COUNT(batches); b++) {
        int64_t rows = batches[b], k = 50, n = 40;
        unsigned char *bytes[2];
        size_t size = 0;
        double worst[5] = {0};
        for (int way = 0; way < 2; way++) {
            check c;
            tw_graph *g = begin(&c, 2, 0);
            tw_val x = in_f32(&c, g, tw_shape_of(rows, k)), w = in_f32(&c, g, tw_shape_of(k, n)),
                   narrow = in_f32(&c, g, tw_shape_of(k, 2)), y = in_f32(&c, g, tw_shape_of(rows, n));
            if (way) x = rounded(x), w = rounded(w), narrow = rounded(narrow), y = rounded(y);
            int zero[] = {0}, one[] = {1};
            out(&c, tw_matmul(x, w));
            out(&c, tw_matmul(x, narrow));
            out(&c, tw_dot_general(y, w, 0, NULL, NULL, 1, one, one));
            out(&c, tw_dot_general(x, y, 0, NULL, NULL, 1, zero, zero));
            check_fill(&c);
            tw_program_desc desc = {.inputs_count = c.inputs_count,
                                    .inputs = c.inputs,
                                    .outputs_count = c.outputs_count,
                                    .outputs = c.outputs,
                                    .products = way ? TW_PRODUCTS_F32 : TW_PRODUCTS_BF16};
            bytes[way] = check_run(&c, &desc, 0, false, &size);
            if (way) {
                const double depth[] = {(double)k, (double)k, (double)n, (double)rows};
                size_t at = 0;
                for (int o = 0; o < c.outputs_count; o++) {
                    int64_t count = tw_shape_size(tw_shape_at(c.outputs[o]));
                    const float *have = (const float *)(void *)(bytes[0] + at),
                                *want = (const float *)(void *)(bytes[1] + at);
                    double bound = 2 * (depth[o] + 2) * 0x1p-24 * 9 * depth[o];
                    for (int64_t i = 0; i < count; i++)
                        worst[o] = fmax(worst[o], fabs((double)have[i] - (double)want[i]) / bound);
                    assert_true(worst[o] <= 1);
                    at += ((size_t)count * 4 + 63) / 64 * 64 + 64;
                }
            }
            check_free(&c);
            finish(&c, g);
        }
        free(bytes[0]), free(bytes[1]);
    }
}

/* Rounding is there at all: 1 + 2^-9 is no bf16, and f64 products are left alone. */
static void bf16_is_of_f32_only(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 1, 0);
    tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(64, 64)),
           w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(64, 64));
    tw_val ins[] = {x, w}, outs[] = {tw_matmul(x, w), tw_matmul(tw_cast(x, TW_DTYPE_F64), tw_cast(w, TW_DTYPE_F64))};
    tw_program_desc desc = {
        .inputs_count = 2, .inputs = ins, .outputs_count = 2, .outputs = outs, .products = TW_PRODUCTS_BF16};
    tw_program *program = NULL;
    tw_state *s = NULL;
    static float a[64 * 64], b[64 * 64], narrow[64 * 64];
    static double wide[64 * 64];
    for (int i = 0; i < 64 * 64; i++) a[i] = 1 + 0x1p-9f, b[i] = i % 65 == 0;
    assert_int_equal(tw_program_compile(c.ctx, &desc, &program), TW_OK);
    assert_int_equal(tw_state_create(program, 1, &s), TW_OK);
    assert_int_equal(tw_program_run(s, (const void *[]){a, b}, (void *[]){narrow, wide}, 0), TW_OK);
    for (int i = 0; i < 64 * 64; i++) {
        assert_true(narrow[i] == 1);
        assert_true(wide[i] == 1 + 0x1p-9);
    }
    tw_state_destroy(s);
    tw_program_destroy(program);
    finish(&c, g);
}

/* Constant inputs are packed once a state; everything else is read anew. */
static void constants_are_prepared_once(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 2, 0);
    tw_val x = in_f32(&c, g, tw_shape_of(100, 40)), w = in_f32(&c, g, tw_shape_of(40, 50)),
           v = in_f32(&c, g, tw_shape_of(50, 40));
    out(&c, tw_matmul(tw_tanh(tw_matmul(x, w)), v));
    check_fill(&c);
    const bool constants[] = {false, true, false};
    static float result[2][3][100 * 40];
    ((float *)c.in[0])[7] = ((float *)c.in[2])[7] = 0.5f;
    for (int way = 0; way < 2; way++) {
        tw_program_desc desc = {.inputs_count = 3,
                                .inputs = c.inputs,
                                .outputs_count = 1,
                                .outputs = c.outputs,
                                .rows = 100,
                                .constants = way ? constants : NULL};
        tw_program *program = NULL;
        tw_state *s = NULL;
        assert_int_equal(tw_program_compile(c.ctx, &desc, &program), TW_OK);
        assert_int_equal(tw_state_create(program, 0, &s), TW_OK);
        float *moving[] = {c.in[0], c.in[2]};
        for (int run = 0; run < 3; run++) {
            memset(result[way][run], 0, sizeof result[way][run]);
            assert_int_equal(
                tw_program_run(s, (const void *const *)c.in, (void *[]){result[way][run]}, run == 1 ? 37 : 100), TW_OK);
            for (int k = 0; k < 2; k++) moving[k][7] = (float)run; /* x and v change from run to run */
        }
        for (int k = 0; k < 2; k++) moving[k][7] = 0.5f; /* as at the start */
        tw_state_destroy(s);
        tw_program_destroy(program);
    }
    for (int run = 0; run < 3; run++) {
        assert_memory_equal(result[0][run], result[1][run], sizeof result[0][run]);
        if (run) assert_true(memcmp(result[0][run], result[0][0], 40 * sizeof(float)) != 0);
    }
    check_free(&c);
    finish(&c, g);
}

/* Gradient descent written over the weights, `runs` steps of it; way 1: the program knows that nobody else changes
 * them. After two steps somebody does, and says so. */
static void descend(const check *c, int batch, tw_products products, int way, float **arrays, float **results)
{
    bool constants[10] = {false};
    int overwrites[10] = {-1, -1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (int i = 2; i < 10; i++) constants[i] = way == 1;
    tw_program_desc desc = {.inputs_count = 10,
                            .inputs = c->inputs,
                            .outputs_count = 10,
                            .outputs = c->outputs,
                            .overwrites = overwrites,
                            .products = products,
                            .constants = constants};
    tw_program *program = NULL;
    tw_state *s = NULL;
    for (int i = 0; i < 10; i++) {
        size_t bytes = (size_t)tw_shape_size(tw_shape_at(c->inputs[i])) * sizeof(float);
        arrays[i] = malloc(bytes);
        memcpy(arrays[i], c->in[i], bytes);
    }
    for (int i = 0; i < 10; i++) results[i] = i < 2 ? calloc((size_t)batch, 2 * sizeof(float)) : arrays[i];
    assert_int_equal(tw_program_compile(c->ctx, &desc, &program), TW_OK);
    assert_int_equal(tw_state_create(program, 0, &s), TW_OK);
    for (int run = 0; run < 4; run++) {
        assert_int_equal(tw_program_run(s, (const void *const *)arrays, (void *const *)results, 0), TW_OK);
        if (run != 1) continue;
        for (int i = 2; i < 10; i++) arrays[i][1] += 0.5f;
        tw_state_forget(s);
    }
    tw_state_destroy(s);
    tw_program_destroy(program);
}

static void weights_stay_packed(void **state)
{
    (void)state;
    const int batches[] = {140, 2300};
    for (int i = 0; i < 2 * TW_COUNT(batches); i++) {
        check c;
        tw_graph *g = begin(&c, 3, 0);
        float *arrays[2][10], *results[2][10];
        network(&c, g, batches[i / 2]);
        check_fill(&c);
        for (int way = 0; way < 2; way++)
            descend(&c, batches[i / 2], i % 2 ? TW_PRODUCTS_BF16 : TW_PRODUCTS_F32, way, arrays[way], results[way]);
        for (int k = 0; k < 10; k++) {
            size_t bytes = (size_t)tw_shape_size(tw_shape_at(c.outputs[k])) * sizeof(float);
            assert_memory_equal(results[0][k], results[1][k], bytes);
            if (k >= 2) assert_true(memcmp(results[0][k], c.in[k], bytes) != 0);
        }
        for (int way = 0; way < 2; way++)
            for (int k = 0; k < 10; k++) {
                free(arrays[way][k]);
                if (k < 2) free(results[way][k]);
            }
        check_free(&c);
        finish(&c, g);
    }
}

/* A tile program that one product makes ready must wait for the other product when it replaces what that one reads. */
static void replaced_after_the_last_reader(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 2, 0);
    tw_val x = in_f32(&c, g, tw_shape_of(100, 40)), a = in_f32(&c, g, tw_shape_of(100, 40)),
           w = in_f32(&c, g, tw_shape_of(40, 40)), v = in_f32(&c, g, tw_shape_of(40, 24));
    out(&c, tw_add(tw_muls(a, 0.5), tw_matmul(x, w)));
    out(&c, tw_matmul(a, v));
    check_fill(&c);
    static float result[2][2][100 * 40], held[100 * 40];
    for (int way = 0; way < 2; way++) {
        const int over[] = {way ? 1 : -1, -1};
        tw_program_desc desc = {
            .inputs_count = 4, .inputs = c.inputs, .outputs_count = 2, .outputs = c.outputs, .overwrites = over};
        tw_program *program = NULL;
        tw_state *s = NULL;
        assert_int_equal(tw_program_compile(c.ctx, &desc, &program), TW_OK);
        assert_int_equal(tw_state_create(program, 0, &s), TW_OK);
        memcpy(held, c.in[1], sizeof held);
        const void *in[] = {c.in[0], way ? held : c.in[1], c.in[2], c.in[3]};
        void *to[] = {way ? held : result[0][0], result[way][1]};
        assert_int_equal(tw_program_run(s, in, to, 0), TW_OK);
        if (way) memcpy(result[1][0], held, sizeof held);
        tw_state_destroy(s);
        tw_program_destroy(program);
    }
    assert_memory_equal(result[0], result[1], sizeof result[0]);
    check_free(&c);
    finish(&c, g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_follow_the_reference),     cmocka_unit_test(same_bits_for_any_number_of_threads),
        cmocka_unit_test(bf16_rounds_operands),           cmocka_unit_test(bf16_is_of_f32_only),
        cmocka_unit_test(constants_are_prepared_once),    cmocka_unit_test(weights_stay_packed),
        cmocka_unit_test(replaced_after_the_last_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
