/* bench/adam8.c - AdamW with moments in eight bits (Dettmers et al., 2021) beside f32: trainings of a flow of
 * 8gaussians, three seeds each. Exits with 1 when eight bits cost more than 1 % of the loss. */
#include "base/file.h"
#include "train/step.h"

#include <thalweg/data.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3000, LAST = 500, BATCH = 256, SEEDS = 3 };

typedef struct table {
    int64_t rows;
    float *values;
} table;

static void must(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    fprintf(stderr, "%s\n", tw_context_error(ctx));
    exit(1);
}

static table make_data(tw_context *ctx)
{
    tw_dataset *set = NULL;
    must(ctx, tw_dataset_open(ctx, "8gaussians", &(tw_dataset_desc){.rows = 20000}, &set));
    table t = {.rows = tw_dataset_rows(set, TW_PART_TRAIN)};
    const double *values = tw_dataset_values(set, TW_PART_TRAIN);
    t.values = malloc((size_t)t.rows * 2 * sizeof *t.values);
    if (!t.values) exit(1);
    for (int64_t i = 0; i < 2 * t.rows; i++) t.values[i] = (float)(values[i] / 3.5);
    tw_dataset_destroy(set);
    return t;
}

/* Mean loss of the last steps. */
static double train(tw_context *ctx, tw_flow *flow, const table *data, const char *optimiser, uint64_t seed,
                    double *out_seconds, size_t *out_bytes)
{
    tw_step step;
    tw_step_desc desc = {.rows = data->rows,
                         .batch = BATCH,
                         .beta1 = 0.9,
                         .beta2 = 0.999,
                         .epsilon = 1e-8,
                         .clip = 1,
                         .dtype = TW_DTYPE_F32};
    double sum = 0.0;
    must(ctx, tw_optimiser_find(ctx, optimiser, &desc.optimiser));
    must(ctx, tw_step_create(flow, &desc, (const void *const[TW_FEEDS]){data->values}, seed, &step));
    tw_params_init(step.graph.params, seed, step.flat[TW_WEIGHTS]);
    double begin = tw_clock();
    for (int n = 0; n < STEPS; n++) {
        double rate = 2e-3 * 0.5 * (1.0 + cos(3.14159265358979 * n / STEPS));
        must(ctx, tw_step_run(&step, n, n + 1, rate, 0.999));
        if (n >= STEPS - LAST) sum += (double)step.loss;
    }
    *out_seconds = (tw_clock() - begin) / STEPS;
    *out_bytes = tw_step_moment_bytes(&step);
    tw_step_destroy(&step);
    return sum / LAST;
}

int main(void)
{
    static const char *const optimisers[] = {"adamw", "adam8"};
    tw_context *ctx = tw_context_create(NULL);
    tw_flow *flow = NULL;
    double mean[2] = {0};
    if (!ctx) return 1;
    must(ctx, tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .network = {.kind = "selu", .width = 128, .depth = 3}},
                             &flow));
    table data = make_data(ctx);
    printf("flow of 8gaussians, %lld weights, %d steps: mean loss of the last %d\n",
           (long long)tw_flow_parameters(flow), STEPS, LAST);
    printf("  %-8s %10s %10s %10s %10s   %9s %9s\n", "", "seed 1", "seed 2", "seed 3", "mean", "bytes", "us/step");
    for (int k = 0; k < 2; k++) {
        double seconds = 0.0;
        size_t bytes = 0;
        printf("  %-8s", optimisers[k]);
        for (int seed = 1; seed <= SEEDS; seed++) {
            double loss = train(ctx, flow, &data, optimisers[k], (uint64_t)seed, &seconds, &bytes);
            mean[k] += loss / SEEDS;
            printf(" %10.5f", loss);
            fflush(stdout);
        }
        printf(" %10.5f   %9zu %9.0f\n", mean[k], bytes, 1e6 * seconds);
    }
    double worse = mean[1] / mean[0] - 1.0;
    printf("eight bits: %+.2f %% (at most +1 %%)\n", 100.0 * worse);
    tw_flow_destroy(flow);
    free(data.values);
    tw_context_destroy(ctx);
    return worse > 0.01;
}
