/* bench/composites.c - softmax, layer and group normalisation (with SiLU), cross-entropy: microseconds of the forward
 * pass and of forward and backward together, one thread, f32. bench/peers/composites.py does the same in PyTorch. */
#include "base/file.h"

#include <thalweg/exec.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 41, INPUTS = 4, OUTPUTS = 4 };

typedef struct job {
    tw_context *ctx;
    tw_graph *g;
    int inputs_count, outputs_count;
    tw_val inputs[INPUTS + 1], outputs[OUTPUTS];
    void *in[INPUTS + 1], *out[OUTPUTS];
} job;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void must(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    fprintf(stderr, "%s\n", tw_context_error(ctx));
    exit(1);
}

static tw_val add_input(job *j, tw_dtype dtype, tw_shape shape)
{
    int64_t n = tw_shape_size(shape);
    tw_val x = tw_input(j->g, "", dtype, shape);
    void *data = aligned_alloc(64, ((size_t)n * 4 + 63) / 64 * 64);
    for (int64_t i = 0; data && i < n; i++) {
        float v = (float)sin(0.7 * (double)i) * 2.0f;
        if (dtype == TW_DTYPE_F32)
            ((float *)data)[i] = v;
        else
            ((int32_t *)data)[i] = (int32_t)(i * 7 % 100);
    }
    j->in[j->inputs_count] = data;
    j->inputs[j->inputs_count++] = x;
    return x;
}

static void add_output(job *j, tw_val v)
{
    j->out[j->outputs_count] = aligned_alloc(64, ((size_t)tw_shape_size(tw_shape_at(v)) * 4 + 63) / 64 * 64);
    j->outputs[j->outputs_count++] = v;
}

/* Lower quartile of the times of a run. */
static double run(job *j)
{
    tw_program *program = NULL;
    tw_state *state = NULL;
    double times[REPEATS];
    tw_program_desc desc = {
        .inputs_count = j->inputs_count, .inputs = j->inputs, .outputs_count = j->outputs_count, .outputs = j->outputs};
    must(j->ctx, tw_program_compile(j->ctx, &desc, &program));
    must(j->ctx, tw_state_create(program, 1, &state));
    for (int r = -2; r < REPEATS; r++) {
        double begin = tw_clock();
        must(j->ctx, tw_program_run(state, (const void *const *)j->in, j->out, 0));
        if (r >= 0) times[r] = tw_clock() - begin;
    }
    qsort(times, REPEATS, sizeof *times, by_value);
    tw_state_destroy(state);
    tw_program_destroy(program);
    for (int i = 0; i < j->outputs_count; i++) free(j->out[i]);
    j->outputs_count = 0;
    return times[REPEATS / 4] * 1e6;
}

/* Forward alone, then with the gradients of <w, y> in the real inputs. */
static void measure(job *j, const char *name, tw_val y)
{
    tw_val real[INPUTS], gradients[INPUTS];
    int count = 0;
    for (int i = 0; i < j->inputs_count; i++)
        if (tw_dtype_at(j->inputs[i]) == TW_DTYPE_F32) real[count++] = j->inputs[i];
    add_output(j, y);
    double forward = run(j);
    tw_val w = add_input(j, TW_DTYPE_F32, tw_shape_at(y));
    must(j->ctx, tw_vjp(count, real, 1, &y, &w, gradients));
    add_output(j, y);
    for (int k = 0; k < count; k++) add_output(j, gradients[k]);
    double both = run(j);
    printf("%-24s %10.1f %10.1f\n", name, forward, both);
    for (int i = 0; i < j->inputs_count; i++) free(j->in[i]);
    j->inputs_count = 0;
}

static void rows(job *j, int64_t count, int64_t width)
{
    char name[64];
    snprintf(name, sizeof name, "softmax %dx%d", (int)count, (int)width);
    measure(j, name, tw_softmax(add_input(j, TW_DTYPE_F32, tw_shape_of(count, width)), -1));
    snprintf(name, sizeof name, "layernorm %dx%d", (int)count, (int)width);
    tw_val x = add_input(j, TW_DTYPE_F32, tw_shape_of(count, width)),
           s = add_input(j, TW_DTYPE_F32, tw_shape_of(width));
    measure(j, name, tw_layernorm(x, s, add_input(j, TW_DTYPE_F32, tw_shape_of(width)), 1e-5));
    snprintf(name, sizeof name, "cross-entropy %dx%d", (int)count, (int)width);
    x = add_input(j, TW_DTYPE_F32, tw_shape_of(count, width));
    measure(j, name, tw_cross_entropy(x, add_input(j, TW_DTYPE_I32, tw_shape_of(count)), -1));
    snprintf(name, sizeof name, "gelu %dx%d", (int)count, (int)width);
    measure(j, name, tw_gelu(add_input(j, TW_DTYPE_F32, tw_shape_of(count, width))));
}

static void images(job *j, int64_t count, int64_t side, int64_t channels, int64_t groups)
{
    char name[64];
    snprintf(name, sizeof name, "groupnorm+silu %dx%dx%dx%d", (int)count, (int)side, (int)side, (int)channels);
    tw_val x = add_input(j, TW_DTYPE_F32, tw_shape_of(count, side, side, channels));
    tw_val s = add_input(j, TW_DTYPE_F32, tw_shape_of(channels)), b = add_input(j, TW_DTYPE_F32, tw_shape_of(channels));
    measure(j, name, tw_silu(tw_groupnorm(x, groups, s, b, 1e-5)));
}

int main(void)
{
    job j = {.ctx = tw_context_create(&(tw_context_desc){.threads = 1})};
    if (!j.ctx) return 1;
    must(j.ctx, tw_graph_create(j.ctx, &j.g));
    printf("%-24s %10s %10s  us\n", "ours", "forward", "both");
    images(&j, 8, 28, 32, 32);
    images(&j, 8, 14, 64, 32);
    rows(&j, 1024, 256);
    rows(&j, 1024, 784);
    rows(&j, 1024, 1024);
    tw_graph_destroy(j.g);
    tw_context_destroy(j.ctx);
    return 0;
}
