/* Loops, branches, custom functions and checkpoints in programs: against the reference interpreter in every way of
 * running, memory known before, threads, overwritten inputs, failing allocations. */
#include "check.h"

#include "graph/bodies.h"
#include "support/limited_memory.h"

static tw_graph *begin(check *c, int threads, double tolerance)
{
    *c = (check){.ctx = tw_context_create(&(tw_context_desc){.threads = threads}), .tolerance = tolerance, .seed = 7};
    assert_non_null(c->ctx);
    return new_graph(c->ctx);
}

/* The scan of body_step: carries, ys, gradient, Hessian product; of some results only. */
static void scans(void **state)
{
    (void)state;
    for (int way = 0; way < 8; way++) {
        bool wide = way & 1, reversed = way & 2, few = way & 4;
        check c; /* second derivatives through five steps: some two thousand roundings */
        tw_graph *g = begin(&c, 2, wide ? 4e-13 : 2.4e-4);
        tw_dtype real = wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
        tw_shape shape = tw_shape_of(7, 3);
        tw_val w = in(&c, g, real, shape), a = in(&c, g, real, shape), x = in(&c, g, real, tw_shape_of(5, 7, 3));
        tw_val n = in(&c, g, TW_DTYPE_I32, TW_SCALAR), v = in(&c, g, real, shape), carries[3], ys[2];
        tw_scan(g,
                &(tw_scan_desc){.consts_count = 2,
                                .consts = (tw_val[]){w, n},
                                .carries_count = 3,
                                .init = (tw_val[]){tw_tanh(a), n, tw_muls(a, 0.3)},
                                .xs_count = 1,
                                .xs = &x,
                                .ys_count = 2,
                                .reversed = reversed,
                                .body = body_step},
                carries, ys);
        tw_val loss = tw_sum_all(few ? tw_sin(carries[0]) : tw_add(tw_sin(carries[2]), tw_sum(ys[0], 1, (int[]){0})));
        tw_val in3[3] = {w, a, x}, along[3] = {v, TW_NONE, TW_NONE}, gradient[3], product[3];
        check_status(g, tw_grad(loss, 3, in3, gradient));
        check_status(g, tw_hvp(loss, 3, in3, along, product));
        for (int i = 0; i < 3; i++) out(&c, gradient[i]);
        for (int i = 0; i < 3 && !few; i++) out(&c, product[i]);
        for (int i = 0; i < 3 && !few; i++) out(&c, carries[i]);
        out(&c, ys[1]);
        if (!few) out(&c, ys[0]);
        end(&c, g);
    }
}

/* A field v(x, t) = tanh(x W + t b) W', one Euler step; rows are independent. */
static void euler(void *user, tw_graph *g, const tw_val *in4, tw_val *out1)
{
    (void)user;
    (void)g;
    tw_val hidden = tw_tanh(tw_add(tw_matmul(in4[2], in4[0]), tw_mul(in4[1], in4[3])));
    out1[0] = tw_add(in4[2], tw_muls(tw_dot_general(hidden, in4[0], 0, NULL, NULL, 1, (int[]){1}, (int[]){1}), 0.1));
}

/* An ODE solved in the graph, its endpoint pulled back to weights and start; with rows enough for several blocks. */
static void solver(void **state)
{
    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        check c;
        tw_graph *g = begin(&c, 3, wide ? 1e-12 : 1e-4);
        tw_dtype real = wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
        tw_val w = in(&c, g, real, tw_shape_of(4, 16)), b = in(&c, g, real, tw_shape_of(16));
        tw_val x = in(&c, g, real, tw_shape_of(300, 4)), end_point;
        tw_val times = tw_muls(tw_iota(g, real, tw_shape_of(6), 0), 1.0 / 6.0);
        tw_scan(g,
                &(tw_scan_desc){.consts_count = 2,
                                .consts = (tw_val[]){w, b},
                                .carries_count = 1,
                                .init = &x,
                                .xs_count = 1,
                                .xs = &times,
                                .body = euler},
                &end_point, NULL);
        tw_val in3[3] = {w, b, x}, gradient[3];
        check_status(g, tw_grad(tw_mean_all(tw_square(end_point)), 3, in3, gradient));
        out(&c, end_point);
        for (int i = 0; i < 3; i++) out(&c, gradient[i]);
        end(&c, g);
    }
}

/* --- branches and loops within each other --- */

static void shrink(void *user, tw_graph *g, const tw_val *in2, tw_val *out2)
{
    (void)user;
    (void)g;
    out2[0] = tw_muls(in2[0], 0.25);
    out2[1] = in2[1];
}
static void scan_inside(void *user, tw_graph *g, const tw_val *in2, tw_val *out2)
{
    (void)user;
    tw_val n = tw_const(g, TW_DTYPE_I32, 1.0), carries[3], ys[2];
    tw_val x = tw_broadcast_to(tw_expand_dim(in2[1], 0), tw_shape_of(3, 6));
    tw_scan(g,
            &(tw_scan_desc){.consts_count = 2,
                            .consts = (tw_val[]){in2[0], n},
                            .carries_count = 3,
                            .init = (tw_val[]){in2[0], n, in2[1]},
                            .xs_count = 1,
                            .xs = &x,
                            .ys_count = 2,
                            .body = body_step},
            carries, ys);
    out2[0] = carries[0];
    out2[1] = carries[2];
}
static void branch_inside(void *user, tw_graph *g, const tw_val *in2, tw_val *out2)
{
    (void)user;
    tw_val large = tw_lt(tw_const(g, tw_dtype_at(in2[0]), 1.0), tw_sum_all(in2[0]));
    tw_cond(g, large, shrink, scan_inside, NULL, 2, in2, 2, out2);
}
static void few_rounds(void *user, tw_graph *g, const tw_val *in2, tw_val *out1)
{
    (void)user;
    out1[0] = tw_lt(in2[0], tw_const(g, TW_DTYPE_I32, 4.0));
}
static void a_round(void *user, tw_graph *g, const tw_val *in3, tw_val *out3)
{
    branch_inside(user, g, in3 + 1, out3 + 1);
    out3[0] = tw_add(in3[0], tw_const(g, TW_DTYPE_I32, 1.0));
}

static void nested(void **state)
{
    (void)state;
    check c;
    tw_graph *g = begin(&c, 2, 1e-13);
    tw_val x = in(&c, g, TW_DTYPE_F64, tw_shape_of(6)), y = in(&c, g, TW_DTYPE_F64, tw_shape_of(6));
    tw_val v = in(&c, g, TW_DTYPE_F64, tw_shape_of(6)), pair[2] = {x, y}, scanned[2], looped[3], gradient[2],
           tangent[2];
    tw_scan(g, &(tw_scan_desc){.carries_count = 2, .init = pair, .length = 5, .body = branch_inside}, scanned, NULL);
    check_status(g, tw_grad(tw_sum_all(tw_mul(scanned[0], tw_cos(scanned[1]))), 2, pair, gradient));
    tw_val init[3] = {tw_const(g, TW_DTYPE_I32, 0.0), x, y};
    tw_while(g, few_rounds, a_round, NULL, 0, NULL, 3, init, looped);
    check_status(g, tw_jvp(1, &x, &v, 2, looped + 1, tangent));
    for (int i = 0; i < 2; i++) {
        out(&c, scanned[i]);
        out(&c, gradient[i]);
        out(&c, tangent[i]);
    }
    out(&c, looped[0]);
    out(&c, looped[2]);
    end(&c, g);
}

/* Both branches, with results only one of which is read, and derivatives. */
static void branches(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        check c;
        tw_graph *g = begin(&c, 2, 1e-13);
        tw_val x = in(&c, g, TW_DTYPE_F64, tw_shape_of(40, 3)), y = in(&c, g, TW_DTYPE_F64, tw_shape_of(40, 3));
        tw_val limit = tw_const(g, TW_DTYPE_F64, way & 1 ? 1e9 : -1e9), both[2], gradient[2];
        tw_cond(g, tw_lt(tw_sum_all(x), limit), body_pair, body_other_pair, NULL, 2, (tw_val[]){x, y}, 2, both);
        tw_val scalar = tw_sum_all(way & 2 ? both[1] : tw_mul(both[0], tw_sin(both[1])));
        check_status(g, tw_grad(scalar, 2, (tw_val[]){x, y}, gradient));
        if (way & 2) out(&c, tw_exp(both[1]));
        out(&c, gradient[0]);
        out(&c, gradient[1]);
        end(&c, g);
    }
}

/* --- custom functions --- */

/* Row r of x (B,D) minus the mean of all of w (M), and the squared length of the row. */
static bool centre_infer(void *user, int count, const tw_array *args, tw_array *results)
{
    (void)user;
    if (count != 2 || args[0].shape.rank != 2 || args[1].shape.rank != 1) return false;
    results[0] = args[0];
    results[1] = (tw_array){.dtype = args[0].dtype, .shape = tw_shape_of(args[0].shape.dim[0])};
    return true;
}
static void centre_evaluate(void *user, int count, const tw_array *args, const tw_array *results)
{
    double mean = 0.0;
    (void)user;
    (void)count;
    int64_t rows = args[0].shape.dim[0], columns = args[0].shape.dim[1], terms = args[1].shape.dim[0];
    for (int64_t i = 0; i < terms; i++) mean += tw_load_element(args[1].data, args[1].dtype, i) / (double)terms;
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0.0;
        for (int64_t i = 0; i < columns; i++) {
            double x = tw_load_element(args[0].data, args[0].dtype, r * columns + i);
            tw_store_element(results[0].data, results[0].dtype, r * columns + i, x - mean);
            sum += x * x;
        }
        tw_store_element(results[1].data, results[1].dtype, r, sum);
    }
}

static void customs(void **state)
{
    (void)state;
    for (int way = 0; way < 8; way++) {
        bool wide = way & 1, by_rows = way & 2, one_result = way & 4;
        check c;
        tw_graph *g = begin(&c, 2, wide ? 1e-13 : 1e-5);
        tw_dtype real = wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
        tw_val x = in(&c, g, real, tw_shape_of(90, 5)), w = in(&c, g, real, tw_shape_of(11));
        tw_custom centre = {.name = "centre",
                            .results_count = 2,
                            .infer = centre_infer,
                            .evaluate = centre_evaluate,
                            .by_rows = by_rows};
        tw_custom cubed = cube(&right_scale);
        tw_val parts[2], y, gradient;
        tw_custom_call(g, &centre, 2, (tw_val[]){tw_sin(x), w}, parts);
        out(&c, tw_tanh(one_result ? parts[1] : parts[0]));
        if (!one_result) out(&c, tw_sum_axis(parts[1], 0));
        tw_custom_call(g, &cubed, 1, &x, &y);
        check_status(g, tw_grad(tw_sum_all(tw_sin(y)), 1, &x, &gradient));
        out(&c, gradient);
        end(&c, g);
    }
}

/* --- checkpoints: less memory, the same gradients; sums over rows are cut otherwise, so to rounding (bits are compared
 * by the reference interpreter, tests/graph) --- */

enum { LAYERS = 12, WIDTH = 32 };

static void layer(void *user, tw_graph *g, const tw_val *in2, tw_val *out1)
{
    const bool *normalised = user; /* over the batch: every layer needs the one before whole */
    (void)g;
    tw_val h = tw_tanh(tw_matmul(in2[0], in2[1]));
    if (*normalised) h = tw_sub(h, tw_mean_axis(h, 0));
    out1[0] = tw_mul(tw_sin(h), tw_cos(h));
}

/* Two layers a checkpoint. */
static void two_layers(void *user, tw_graph *g, const tw_val *in3, tw_val *out1)
{
    layer(user, g, in3, out1);
    layer(user, g, (tw_val[]){out1[0], in3[2]}, out1);
}

static size_t deep_gradient(int64_t batch, bool normalised, bool checkpointed, float *gradients)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    tw_graph *g = new_graph(ctx);
    tw_val inputs[LAYERS + 1], gradient[LAYERS + 1], h;
    inputs[0] = h = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(batch, WIDTH));
    for (int i = 1; i <= LAYERS; i++) inputs[i] = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(WIDTH, WIDTH));
    for (int i = 1; i <= LAYERS; i += 2)
        (checkpointed ? tw_checkpoint : tw_call)(g, two_layers, &normalised, 3, (tw_val[]){h, inputs[i], inputs[i + 1]},
                                                 1, &h);
    check_status(g, tw_grad(tw_mean_all(tw_square(h)), LAYERS, inputs + 1, gradient));
    tw_program *program = NULL;
    tw_state *s = NULL;
    tw_program_desc desc = {
        .inputs_count = LAYERS + 1, .inputs = inputs, .outputs_count = LAYERS, .outputs = gradient, .block_rows = 512};
    check_status(g, tw_program_compile(ctx, &desc, &program));
    check_status(g, tw_state_create(program, 0, &s));
    size_t bytes = tw_program_bytes(program, 2);
    float *values = malloc(sizeof *values * (size_t)(batch * WIDTH + LAYERS * WIDTH * WIDTH));
    const void *at[LAYERS + 1];
    void *to[LAYERS];
    tw_random r = {.seed = 4};
    for (int64_t k = 0; k < batch * WIDTH + LAYERS * WIDTH * WIDTH; k++)
        values[k] = (float)tw_random_normal(&r) / (k < batch * WIDTH ? 1.0f : 5.0f);
    for (int i = 0; i <= LAYERS; i++) at[i] = i == 0 ? values : values + batch * WIDTH + (i - 1) * WIDTH * WIDTH;
    for (int i = 0; i < LAYERS; i++) to[i] = gradients + i * WIDTH * WIDTH;
    tw_state_poison(s);
    check_status(g, tw_program_run(s, at, to, 0));
    free(values);
    tw_state_destroy(s);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
    return bytes;
}

/* --- segments of long scans: less memory, the same gradients --- */

enum { LONG = 1000, CARRY = 64 };

/* a' = sin(a w) + x */
static void long_step(void *user, tw_graph *g, const tw_val *in3, tw_val *out1)
{
    (void)user;
    (void)g;
    out1[0] = tw_add(tw_sin(tw_mul(in3[1], in3[0])), in3[2]);
}

static size_t long_gradient(int64_t segment, bool reversed, double *gradients)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    tw_graph *g = new_graph(ctx);
    tw_val w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(CARRY)),
           a = tw_input(g, "a", TW_DTYPE_F64, tw_shape_of(CARRY));
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(LONG)), in3[3] = {w, a, x}, gradient[3], last;
    tw_scan(g,
            &(tw_scan_desc){.consts_count = 1,
                            .consts = &w,
                            .carries_count = 1,
                            .init = &a,
                            .xs_count = 1,
                            .xs = &x,
                            .reversed = reversed,
                            .segment = segment,
                            .body = long_step},
            &last, NULL);
    check_status(g, tw_grad(tw_sum_all(tw_square(last)), 3, in3, gradient));
    tw_program *program = NULL;
    tw_state *s = NULL;
    tw_program_desc desc = {.inputs_count = 3, .inputs = in3, .outputs_count = 3, .outputs = gradient};
    check_status(g, tw_program_compile(ctx, &desc, &program));
    check_status(g, tw_state_create(program, 0, &s));
    size_t bytes = tw_program_bytes(program, 2);
    double values[2 * CARRY + LONG];
    tw_random r = {.seed = 12};
    for (int i = 0; i < 2 * CARRY + LONG; i++) values[i] = tw_random_normal(&r);
    tw_state_poison(s);
    check_status(g, tw_program_run(s, (const void *[]){values, values + CARRY, values + 2 * CARRY},
                                   (void *[]){gradients, gradients + CARRY, gradients + 2 * CARRY}, 0));
    tw_state_destroy(s);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
    return bytes;
}

/* 1000 carries of 512 bytes; in segments of 32 steps 31 and 32 of them, beside x, its cotangents and their parts. Sums
 * over steps are cut otherwise. */
static void segments(void **state)
{
    (void)state;
    enum { ALL = 2 * CARRY + LONG };
    double plain[ALL], cut[ALL];
    for (int reversed = 0; reversed < 2; reversed++) {
        size_t before = long_gradient(0, reversed, plain);
        for (int64_t segment = 7; segment <= LONG; segment = segment == 7 ? 32 : segment * LONG / 32) {
            size_t after = long_gradient(segment, reversed, cut);
            print_message("segments of %lld: %zu bytes, %zu without\n", (long long)segment, after, before);
            if (segment == 32) assert_true(after < before / 5);
            double largest = 0.0;
            for (int k = 0; k < ALL; k++) largest = fmax(largest, fabs(plain[k]));
            for (int k = 0; k < ALL; k++) assert_true(fabs(plain[k] - cut[k]) < 1e-12 * largest);
        }
    }
}

static void checkpoints(void **state)
{
    (void)state;
    float *plain = malloc(LAYERS * WIDTH * WIDTH * sizeof *plain),
          *again = malloc(LAYERS * WIDTH * WIDTH * sizeof *again);
    for (int normalised = 0; normalised < 2; normalised++) {
        size_t before = deep_gradient(512, normalised, false, plain),
               after = deep_gradient(512, normalised, true, again);
        print_message("%s: %zu bytes, %zu with checkpoints\n", normalised ? "whole layers" : "layers of rows", before,
                      after);
        for (int i = 0; i < LAYERS; i++) {
            const float *a = plain + i * WIDTH * WIDTH, *b = again + i * WIDTH * WIDTH;
            double largest = 0.0, error = 0.0;
            for (int k = 0; k < WIDTH * WIDTH; k++) {
                largest = fmax(largest, fabs((double)a[k]));
                error = fmax(error, fabs((double)a[k] - (double)b[k]));
            }
            assert_true(largest > 0.0);
            assert_true(error <= 1e-5 * largest); /* 512 terms in f32 in another order */
        }
        assert_true(3 * after < 2 * before);
    }
    free(plain);
    free(again);
}

/* --- the rest --- */

/* The result of a loop written over what it starts from and over what it reads in every step. */
static void overwrites(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_graph *g = new_graph(ctx);
    tw_val w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(6)), x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(6)), y[2];
    tw_val pair[2] = {x, w};
    tw_scan(g, &(tw_scan_desc){.carries_count = 2, .init = pair, .length = 3, .body = body_pair}, y, NULL);
    double results[2][2][6];
    for (int way = 0; way < 2; way++) {
        tw_program *program = NULL;
        tw_state *s = NULL;
        int over[2] = {0, 1};
        tw_program_desc desc = {
            .inputs_count = 2, .inputs = pair, .outputs_count = 2, .outputs = y, .overwrites = way ? over : NULL};
        check_status(g, tw_program_compile(ctx, &desc, &program));
        check_status(g, tw_state_create(program, 1, &s));
        double values[2][6] = {{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, {1, 2, 3, 4, 5, 6}};
        void *to[2] = {way ? values[0] : results[0][0], way ? values[1] : results[0][1]};
        check_status(g, tw_program_run(s, (const void *[]){values[0], values[1]}, to, 0));
        if (way) memcpy(results[1], values, sizeof values);
        tw_state_destroy(s);
        tw_program_destroy(program);
    }
    assert_memory_equal(results[0], results[1], sizeof results[0]);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
}

/* A group of three processes that all hold the same: sums are three times as large, gradients too. */
static void triple(void *user, void *data, int64_t count, size_t element_size)
{
    int *calls = user;
    (*calls)++;
    assert_int_equal(element_size, sizeof(double));
    for (int64_t i = 0; i < count; i++) ((double *)data)[i] *= 3.0;
}

static void groups(void **state)
{
    (void)state;
    for (int alone = 0; alone < 2; alone++) {
        int calls = 0;
        tw_context *ctx = tw_context_create(
            &(tw_context_desc){.threads = 2, .all_reduce = alone ? NULL : triple, .all_reduce_user = &calls});
        tw_graph *g = new_graph(ctx);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(50)), gradient;
        tw_val sum = tw_all_reduce_sum(tw_sum_all(tw_square(x)));
        check_status(g, tw_grad(tw_muls(sum, 0.5), 1, &x, &gradient));
        tw_val outputs[2] = {sum, gradient};
        tw_program *program = NULL;
        tw_state *s = NULL;
        tw_program_desc desc = {.inputs_count = 1, .inputs = &x, .outputs_count = 2, .outputs = outputs};
        check_status(g, tw_program_compile(ctx, &desc, &program));
        check_status(g, tw_state_create(program, 0, &s));
        double values[50], total = 0.0, slope[50];
        for (int i = 0; i < 50; i++) values[i] = i;
        check_status(g, tw_program_run(s, (const void *[]){values}, (void *[]){&total, slope}, 0));
        double factor = alone ? 1.0 : 3.0;
        assert_true(total == factor * 40425.0); /* 0 + 1 + 4 + ... + 49^2 */
        for (int i = 0; i < 50; i++) assert_true(slope[i] == factor * i);
        assert_int_equal(calls, alone ? 0 : 2);
        tw_state_destroy(s);
        tw_program_destroy(program);
        tw_graph_destroy(g);
        tw_context_destroy(ctx);
    }
}

/* One, two and seven threads: the same bits. */
static void threads(void **state)
{
    (void)state;
    static const int counts[] = {1, 2, 7};
    enum { B = 400, D = 6 };
    float *results[3];
    for (int n = 0; n < TW_COUNT(counts); n++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = counts[n]});
        tw_graph *g = new_graph(ctx);
        tw_val w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(D, 32)),
               b = tw_input(g, "b", TW_DTYPE_F32, tw_shape_of(32));
        tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(B, D)), end_point, gradient;
        tw_val times = tw_iota(g, TW_DTYPE_F32, tw_shape_of(9), 0);
        tw_scan(g,
                &(tw_scan_desc){.consts_count = 2,
                                .consts = (tw_val[]){w, b},
                                .carries_count = 1,
                                .init = &x,
                                .xs_count = 1,
                                .xs = &times,
                                .body = euler},
                &end_point, NULL);
        check_status(g, tw_grad(tw_mean_all(tw_square(end_point)), 1, &w, &gradient));
        tw_program *program = NULL;
        tw_state *s = NULL;
        tw_val inputs[3] = {w, b, x};
        tw_program_desc desc = {.inputs_count = 3, .inputs = inputs, .outputs_count = 1, .outputs = &gradient};
        check_status(g, tw_program_compile(ctx, &desc, &program));
        check_status(g, tw_state_create(program, 0, &s));
        float *values = malloc((B * D + D * 32 + 32) * sizeof *values);
        results[n] = malloc(D * 32 * sizeof *values);
        tw_random r = {.seed = 2};
        for (int i = 0; i < B * D + D * 32 + 32; i++) values[i] = (float)tw_random_normal(&r);
        const void *at[3] = {values + B * D, values + B * D + D * 32, values};
        check_status(g, tw_program_run(s, at, (void *[]){results[n]}, 0));
        if (n > 0) assert_memory_equal(results[0], results[n], D * 32 * sizeof *values);
        free(values);
        tw_state_destroy(s);
        tw_program_destroy(program);
        tw_graph_destroy(g);
        tw_context_destroy(ctx);
    }
    for (int n = 0; n < TW_COUNT(counts); n++) free(results[n]);
}

/* Compiling, preparing, running: every allocation fails in turn, and running makes none. */
static tw_status work(tw_context *ctx, void *user)
{
    const limited_memory *memory = user;
    tw_graph *g = NULL;
    tw_program *program = NULL;
    tw_state *s = NULL;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(6)), y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(6));
    tw_val pair[2] = {x, y}, gradient[2], looped[3], cubed;
    tw_custom made = cube(&right_scale);
    tw_val two = tw_const(g, TW_DTYPE_I32, 2.0);
    tw_scan(g, &(tw_scan_desc){.carries_count = 2, .init = pair, .length = 3, .body = branch_inside}, pair, NULL);
    tw_custom_call(g, &made, 1, pair, &cubed);
    tw_while(g, few_rounds, a_round, NULL, 0, NULL, 3, (tw_val[]){two, x, y}, looped);
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_grad(tw_sum_all(tw_mul(cubed, pair[1])), 2, (tw_val[]){x, y}, gradient));
    tw_val outputs[3] = {gradient[0], gradient[1], looped[1]};
    tw_program_desc desc = {.inputs_count = 2, .inputs = (tw_val[]){x, y}, .outputs_count = 3, .outputs = outputs};
    TW_TRY(tw_program_compile(ctx, &desc, &program));
    TW_TRY(tw_state_create(program, 0, &s));
    double a[6] = {0.1, 0.2, 0.3}, b[6] = {0.5, 0.4}, r[3][6];
    int64_t before = memory ? memory->made : 0;
    TW_TRY(tw_program_run(s, (const void *[]){a, b}, (void *[]){r[0], r[1], r[2]}, 0));
    if (memory) assert_int_equal(memory->made, before);
done:
    if (status != TW_OK && status != TW_ERR_MEMORY) fail_msg("%s", tw_context_error(ctx));
    tw_state_destroy(s);
    tw_program_destroy(program);
    tw_graph_destroy(g);
    return status;
}

static void allocations(void **state)
{
    (void)state;
    run_with_limited_memory(work, NULL);
    limited_memory memory = {0};
    tw_context *ctx =
        tw_context_create(&(tw_context_desc){.alloc = limited_alloc, .alloc_user = &memory, .threads = 1});
    assert_int_equal(work(ctx, &memory), TW_OK);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),    cmocka_unit_test(solver),      cmocka_unit_test(nested),
        cmocka_unit_test(branches), cmocka_unit_test(customs),     cmocka_unit_test(checkpoints),
        cmocka_unit_test(segments), cmocka_unit_test(overwrites),  cmocka_unit_test(groups),
        cmocka_unit_test(threads),  cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("exec/control", tests, NULL, NULL);
}
