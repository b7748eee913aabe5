/* bench/adam8.c - Adam with moments in eight bits (Dettmers et al., 2021) beside f32: the error of coding normal
 * numbers, then trainings of a small flow on 8gaussians with f32, dynamic and linear codes, three seeds each. Exits
 * with 1 when dynamic codes cost more than 1 % of the loss. */
#include "base/file.h"
#include "base/philox.h"
#include "train/adam8.h"
#include "train/step.h"

#include <thalweg/data.h>
#include <thalweg/exec.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NORMALS = 1 << 20, STEPS = 3000, LAST = 500, BATCH = 256, SEEDS = 3 };

/* --- the error of coding ----------------------------------------------------------------------------------------- */

static double error_of(const tw_code_book *book, int64_t block, const float *x, bool relative)
{
    float *back = malloc((size_t)block * sizeof *back);
    uint8_t *codes = malloc((size_t)block);
    double sum = 0.0;
    if (!back || !codes) exit(1);
    for (int64_t at = 0; at < NORMALS; at += block) {
        float scale = tw_quantise(book, block, x + at, codes);
        tw_dequantise(book, block, codes, scale, back);
        for (int64_t i = 0; i < block; i++) {
            double error = fabs((double)x[at + i] - (double)back[i]);
            sum += relative ? error / fabs((double)x[at + i]) : error;
        }
    }
    free(back);
    free(codes);
    return sum / NORMALS;
}

static void print_errors(void)
{
    float *x = malloc(NORMALS * sizeof *x);
    tw_random r = {.seed = 1};
    tw_code_book books[2];
    if (!x) exit(1);
    for (int64_t i = 0; i < NORMALS; i++) x[i] = (float)tw_random_normal(&r);
    tw_code_book_linear(true, &books[0]);
    tw_code_book_dynamic(true, &books[1]);
    printf("mean error of 2^20 normal numbers    whole   blocks of 2048   relative (blocks)\n");
    for (int outliers = 0; outliers < 2; outliers++) {
        for (int k = 0; outliers && k < 20; k++) x[tw_random_below(&r, NORMALS)] *= 50.0f;
        for (int b = 0; b < 2; b++)
            printf("  %-8s %-24s %9.4f %16.4f %19.4f\n", b ? "dynamic" : "linear",
                   outliers ? "with 20 outliers x 50" : "", error_of(&books[b], NORMALS, x, false),
                   error_of(&books[b], 2048, x, false), error_of(&books[b], 2048, x, true));
    }
    free(x);
}

/* --- training ---------------------------------------------------------------------------------------------------- */

typedef struct trainer {
    tw_context *ctx;
    tw_flow *flow;
    tw_step_graph graph;
    tw_program *program;
    tw_state *state;
    float *data;
    int64_t rows, size;
    float *weights, *gradients, loss;
    const void **in;
    void **out;
} trainer;

static void must(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    fprintf(stderr, "%s\n", tw_context_error(ctx));
    exit(1);
}

static void make_data(trainer *t)
{
    tw_dataset *set = NULL;
    must(t->ctx, tw_dataset_open(t->ctx, "8gaussians", &(tw_dataset_desc){.rows = 20000}, &set));
    t->rows = tw_dataset_rows(set, TW_PART_TRAIN);
    const double *values = tw_dataset_values(set, TW_PART_TRAIN);
    t->data = malloc((size_t)t->rows * 2 * sizeof *t->data);
    if (!t->data) exit(1);
    for (int64_t i = 0; i < 2 * t->rows; i++) t->data[i] = (float)(values[i] / 3.5);
    tw_dataset_destroy(set);
}

/* The gradients of the training step as a program; the update is this file's. */
static void make_program(trainer *t)
{
    tw_step_desc desc = {.rows = t->rows,
                         .batch = BATCH,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .epsilon = 1e-8,
                         .clip = -1,
                         .dtype = TW_DTYPE_F32};
    must(t->ctx, tw_step_graph_build(t->flow, &desc, &t->graph));
    int n = t->graph.params_count;
    tw_val *inputs = malloc((size_t)(n + 3) * sizeof *inputs), *outputs = malloc((size_t)(n + 1) * sizeof *outputs);
    t->in = malloc((size_t)(n + 3) * sizeof *t->in);
    t->out = malloc((size_t)(n + 1) * sizeof *t->out);
    t->size = tw_params_size(t->graph.params);
    t->weights = aligned_alloc(64, (size_t)t->size * sizeof(float));
    t->gradients = aligned_alloc(64, (size_t)t->size * sizeof(float));
    if (!inputs || !outputs || !t->in || !t->out || !t->weights || !t->gradients) exit(1);
    memset(t->gradients, 0, (size_t)t->size * sizeof(float));
    inputs[0] = t->graph.data;
    inputs[1] = t->graph.key;
    inputs[2] = t->graph.counter;
    outputs[0] = t->graph.loss;
    t->in[0] = t->data;
    t->out[0] = &t->loss;
    for (int i = 0; i < n; i++) {
        inputs[3 + i] = t->graph.old[i].weight;
        outputs[1 + i] = t->graph.gradients[i];
        t->in[3 + i] = t->weights + tw_params_offset(t->graph.params, i);
        t->out[1 + i] = t->gradients + tw_params_offset(t->graph.params, i);
    }
    tw_program_desc program = {.inputs_count = n + 3, .inputs = inputs, .outputs_count = n + 1, .outputs = outputs};
    must(t->ctx, tw_program_compile(t->ctx, &program, &t->program));
    must(t->ctx, tw_state_create(t->program, 0, &t->state));
    free(inputs);
    free(outputs);
}

/* Mean loss of the last steps. */
static double train(trainer *t, tw_moment_code code, uint64_t seed, double *out_seconds, size_t *out_bytes)
{
    tw_adam8 *adam = NULL;
    double sum = 0.0, begin, seconds = 0.0;
    memset(t->weights, 0, (size_t)t->size * sizeof(float));
    tw_params_init(t->graph.params, seed, t->weights);
    must(t->ctx, tw_adam8_create(t->ctx, &(tw_adam8_desc){.code = code}, t->size, &adam));
    for (int n = 0; n < STEPS; n++) {
        uint32_t key[2] = {(uint32_t)seed, 77}, counter[2] = {(uint32_t)n, 0};
        t->in[1] = key;
        t->in[2] = counter;
        must(t->ctx, tw_program_run(t->state, t->in, t->out, 0));
        double rate = 2e-3 * 0.5 * (1.0 + cos(3.14159265358979 * n / STEPS));
        begin = tw_clock();
        tw_adam8_step(adam, NULL, rate, n + 1, t->weights, t->gradients);
        seconds += tw_clock() - begin;
        if (n >= STEPS - LAST) sum += (double)t->loss;
    }
    *out_bytes = tw_adam8_bytes(adam);
    *out_seconds = seconds / STEPS;
    tw_adam8_destroy(adam);
    return sum / LAST;
}

int main(void)
{
    static const char *const names[] = {
        [TW_MOMENTS_F32] = "f32", [TW_MOMENTS_DYNAMIC] = "8 bits, dynamic", [TW_MOMENTS_LINEAR] = "8 bits, linear"};
    static const tw_moment_code codes[] = {TW_MOMENTS_F32, TW_MOMENTS_DYNAMIC, TW_MOMENTS_LINEAR};
    trainer t = {.ctx = tw_context_create(NULL)};
    double mean[3] = {0};
    if (!t.ctx) return 1;
    print_errors();
    must(t.ctx,
         tw_flow_create(t.ctx, &(tw_flow_desc){.columns = 2, .network = {.kind = "selu", .width = 128, .depth = 3}},
                        &t.flow));
    make_data(&t);
    make_program(&t);
    printf("\nflow of 8gaussians, %d weights, %d steps: mean loss of the last %d\n", (int)t.size, STEPS, LAST);
    printf("  %-16s %10s %10s %10s %10s   %9s %9s\n", "moments", "seed 1", "seed 2", "seed 3", "mean", "bytes",
           "us/step");
    for (int k = 0; k < 3; k++) {
        double seconds = 0.0;
        size_t bytes = 0;
        printf("  %-16s", names[codes[k]]);
        for (int seed = 1; seed <= SEEDS; seed++) {
            double loss = train(&t, codes[k], (uint64_t)seed, &seconds, &bytes);
            mean[codes[k]] += loss / SEEDS;
            printf(" %10.5f", loss);
            fflush(stdout);
        }
        printf(" %10.5f   %9zu %9.0f\n", mean[codes[k]], bytes, 1e6 * seconds);
    }
    double worse = mean[TW_MOMENTS_DYNAMIC] / mean[TW_MOMENTS_F32] - 1.0;
    printf("dynamic codes: %+.2f %% (at most +1 %%), linear: %+.2f %%\n", 100.0 * worse,
           100.0 * (mean[TW_MOMENTS_LINEAR] / mean[TW_MOMENTS_F32] - 1.0));
    tw_state_destroy(t.state);
    tw_program_destroy(t.program);
    tw_step_graph_free(t.ctx, &t.graph);
    tw_flow_destroy(t.flow);
    free(t.in);
    free(t.out);
    free(t.weights);
    free(t.gradients);
    free(t.data);
    tw_context_destroy(t.ctx);
    return worse > 0.01;
}
