/* bench/step.c - one training step of a residual MLP, everything planned: time, GFLOP/s and share of the processor's
 * product peak measured in the same run.
 *
 *   bench_step [BATCH WIDTH DEPTH THREADS [BLOCK_ROWS [bf16]]]     without arguments: a table of usual sizes */
#include "base/file.h"
#include "base/philox.h"
#include "exec/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 66, OUT = 2, MAX_VALUES = 400, REPEATS = 7 };

typedef struct step {
    tw_graph *graph;
    tw_val in[MAX_VALUES], out[MAX_VALUES], param[MAX_VALUES];
    int over[MAX_VALUES];
    int inputs, outputs, params;
} step;

static void die(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    fprintf(stderr, "bench_step: %s\n", tw_context_error(ctx));
    exit(1);
}

static tw_val parameter(step *s, tw_shape shape)
{
    s->param[s->params] = s->in[s->inputs++] = tw_input(s->graph, "p", TW_DTYPE_F32, shape);
    return s->param[s->params++];
}

static void result(step *s, tw_val v, int over)
{
    s->out[s->outputs] = v;
    s->over[s->outputs++] = over;
}

static tw_val loss_of(step *s, int batch, int width, int depth)
{
    tw_val x = s->in[s->inputs++] = tw_input(s->graph, "x", TW_DTYPE_F32, tw_shape_of(batch, FEATURES));
    tw_val y = s->in[s->inputs++] = tw_input(s->graph, "y", TW_DTYPE_F32, tw_shape_of(batch, OUT));
    tw_val h = tw_matmul(x, parameter(s, tw_shape_of(FEATURES, width)));
    h = tw_add(h, parameter(s, tw_shape_of(width)));
    for (int i = 0; i < depth; i++) {
        tw_val w = parameter(s, tw_shape_of(width, width)), b = parameter(s, tw_shape_of(width));
        h = tw_add(h, tw_add(tw_matmul(tw_silu(h), w), b));
    }
    tw_val u = tw_matmul(tw_silu(h), parameter(s, tw_shape_of(width, OUT)));
    return tw_mean_all(tw_sum_axis(tw_square(tw_sub(u, y)), 1));
}

/* Adam on every parameter, with a running average, all written in place. */
static void update(step *s, const tw_val *grad)
{
    for (int i = 0; i < s->params; i++) {
        int first = s->inputs;
        tw_shape shape = tw_shape_at(s->param[i]);
        for (int k = 0; k < 3; k++) s->in[s->inputs++] = tw_input(s->graph, "state", TW_DTYPE_F32, shape);
        tw_val m = tw_add(tw_muls(s->in[first], 0.9), tw_muls(grad[i], 0.1));
        tw_val v = tw_add(tw_muls(s->in[first + 1], 0.999), tw_muls(tw_square(grad[i]), 0.001));
        tw_val p = tw_sub(s->param[i], tw_muls(tw_div(m, tw_adds(tw_sqrt(v), 1e-8)), 1e-3));
        result(s, p, 2 + i);
        result(s, m, first);
        result(s, v, first + 1);
        result(s, tw_add(tw_muls(s->in[first + 2], 0.999), tw_muls(p, 0.001)), first + 2);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Peak of the product on one thread, GFLOP/s: the best of several runs of a shape that fits the caches. */
static double product_peak(void)
{
    enum { N = 256, ROUNDS = 60 };
    const tw_gemm *gemm = tw_gemm_best();
    float *a = aligned_alloc(64, sizeof(float) * N * N * 3), *b = a + N * N, *c = b + N * N;
    void *workspace = aligned_alloc(64, (gemm->workspace + 63) / 64 * 64 + 64);
    double best = 1e9;
    for (int i = 0; i < 2 * N * N; i++) a[i] = (float)(i % 7) * 0.1f;
    gemm->enter_thread();
    for (int i = 0; i < ROUNDS; i++) {
        double begin = tw_clock();
        gemm->f32(false, false, N, N, N, a, N, b, N, false, c, N, workspace);
        double seconds = tw_clock() - begin;
        if (seconds < best) best = seconds;
    }
    free(a);
    free(workspace);
    return 2.0 * N * N * N / best / 1e9;
}

static void measure(int batch, int width, int depth, int threads, int block_rows, tw_products products)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = threads});
    static step s;
    tw_val grad[MAX_VALUES];
    tw_program *program = NULL;
    tw_state *state = NULL;
    const void *in[MAX_VALUES];
    void *out[MAX_VALUES];
    float loss;
    double time[REPEATS], peak = product_peak() * tw_context_threads(ctx);
    s = (step){0};
    die(ctx, tw_graph_create(ctx, &s.graph));
    tw_val value = loss_of(&s, batch, width, depth);
    die(ctx, tw_grad(value, s.params, s.param, grad));
    result(&s, value, -1);
    update(&s, grad);
    tw_program_desc desc = {.inputs_count = s.inputs,
                            .inputs = s.in,
                            .outputs_count = s.outputs,
                            .outputs = s.out,
                            .overwrites = s.over,
                            .block_rows = block_rows,
                            .products = products};
    die(ctx, tw_program_compile(ctx, &desc, &program));
    die(ctx, tw_state_create(program, 0, &state));
    tw_random r = {.seed = 1};
    for (int i = 0; i < s.inputs; i++) {
        int64_t n = tw_shape_size(tw_shape_at(s.in[i]));
        float *values = aligned_alloc(64, ((size_t)n * sizeof(float) + 63) / 64 * 64);
        bool moment = i >= 2 + s.params;
        for (int64_t k = 0; k < n; k++) values[k] = moment ? 0.0f : (float)(tw_random_normal(&r) * 0.05);
        in[i] = values;
    }
    for (int i = 0; i < s.outputs; i++) out[i] = s.over[i] < 0 ? (void *)&loss : (void *)(uintptr_t)in[s.over[i]];
    for (int i = 0; i < REPEATS; i++) {
        int steps = 0;
        double begin = tw_clock();
        for (; tw_clock() - begin < 0.5; steps++) die(ctx, tw_program_run(state, in, out, 0));
        time[i] = (tw_clock() - begin) / steps;
    }
    qsort(time, REPEATS, sizeof *time, by_value);
    double flops = batch * (4.0 * FEATURES * width + 6.0 * ((double)depth * width * width + (double)OUT * width));
    printf("%6d %6d %6d %8d %10.3f %10.3f %10.1f %8.0f %% %9.1f\n", batch, width, depth, tw_context_threads(ctx),
           time[REPEATS / 2] * 1e3, time[0] * 1e3, flops / time[REPEATS / 2] / 1e9, flops / time[0] / 1e9 / peak * 100,
           (double)tw_program_bytes(program, tw_context_threads(ctx)) / 1048576);
    tw_state_destroy(state);
    tw_program_destroy(program);
    tw_graph_destroy(s.graph);
    for (int i = 0; i < s.inputs; i++) free((void *)(uintptr_t)in[i]);
    tw_context_destroy(ctx);
}

int main(int argc, char **argv)
{
    static const int cases[][3] = {{256, 64, 3}, {256, 256, 4}, {1024, 256, 4}, {256, 512, 4}, {4096, 512, 4}};
    printf("products: %s, %.1f GFLOP/s a thread\n", tw_gemm_best()->name, product_peak());
    printf("%6s %6s %6s %8s %10s %10s %10s %10s %9s\n", "batch", "width", "depth", "threads", "median ms", "best ms",
           "GFLOP/s", "best/peak", "MiB");
    if (argc >= 5)
        measure(atoi(argv[1]), atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argc > 5 ? atoi(argv[5]) : 0,
                argc > 6 && strcmp(argv[6], "bf16") == 0 ? TW_PRODUCTS_BF16 : TW_PRODUCTS_F32);
    for (int i = 0; argc < 5 && i < TW_COUNT(cases); i++)
        for (int threads = 1; threads <= 2; threads++)
            measure(cases[i][0], cases[i][1], cases[i][2], threads, 0, TW_PRODUCTS_F32);
    return 0;
}
