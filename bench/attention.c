/* bench/attention.c - programs of scaled dot-product attention: forward, forward and backward, forward derivative.
 *
 * bench_attention [CASE...]: milliseconds (median of 7) and GFLOP/s on all threads; cases are numbers from 0. The peer's
 * figures come from torch.nn.functional.scaled_dot_product_attention and torch.func.jvp on the same shapes. */
#include "base/file.h"

#include <thalweg/exec.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 7 };

static const struct {
    int64_t batch, tokens, heads, depth;
} cases[] = {{16, 256, 4, 64}, {128, 784, 1, 32}, {128, 784, 4, 8}, {8, 256, 4, 64}, {2, 1024, 8, 64}, {1, 4096, 8, 64}};

static void check(tw_context *ctx, tw_status status)
{
    if (status == TW_OK) return;
    fprintf(stderr, "%s\n", tw_context_error(ctx));
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of a program of four inputs of one size: q, k, v and what multiplies the derivative. */
static double seconds(tw_context *ctx, const tw_val *in, int outputs_count, const tw_val *outputs)
{
    tw_program *program;
    tw_state *state;
    size_t size = (size_t)tw_shape_size(tw_shape_at(in[0]));
    const void *from[4];
    void *to[4];
    double times[REPEATS];
    tw_program_desc desc = {.inputs_count = 4, .inputs = in, .outputs_count = outputs_count, .outputs = outputs};
    check(ctx, tw_program_compile(ctx, &desc, &program));
    check(ctx, tw_state_create(program, 0, &state));
    for (int k = 0; k < 4; k++) {
        float *x = malloc(size * sizeof *x);
        to[k] = malloc(size * sizeof *x);
        if (!x || !to[k]) exit(1);
        for (size_t i = 0; i < size; i++) x[i] = (float)((i * 2654435761u + (size_t)k) % 2003) / 577.0f - 1.73f;
        from[k] = x;
    }
    check(ctx, tw_program_run(state, from, to, 0));
    for (int r = 0; r < REPEATS; r++) {
        double begin = tw_clock();
        check(ctx, tw_program_run(state, from, to, 0));
        times[r] = tw_clock() - begin;
    }
    for (int k = 0; k < 4; k++) free((void *)(uintptr_t)from[k]), free(to[k]);
    tw_state_destroy(state);
    tw_program_destroy(program);
    qsort(times, REPEATS, sizeof *times, by_value);
    return times[REPEATS / 2];
}

static void run(tw_context *ctx, int number)
{
    tw_graph *g;
    tw_val in[4], out[4];
    int64_t b = cases[number].batch, t = cases[number].tokens, h = cases[number].heads, d = cases[number].depth;
    check(ctx, tw_graph_create(ctx, &g));
    for (int k = 0; k < 4; k++) in[k] = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(b, t, h, d));
    tw_val tangents[4] = {in[3], in[3], in[3]}, y = tw_attention(in[0], in[1], in[2], NULL);
    check(ctx, tw_graph_check(g));
    double flops = 4.0 * (double)(b * h) * (double)(t * t) * (double)d, forward = seconds(ctx, in, 1, &y);
    out[0] = y;
    check(ctx, tw_vjp(3, in, 1, &y, &in[3], out + 1));
    double train = seconds(ctx, in, 4, out);
    check(ctx, tw_jvp(3, in, tangents, 1, &y, out + 1));
    double jvp = seconds(ctx, in, 2, out);
    printf("(%lld,%lld,%lld,%lld)  forward %8.2f ms %4.0f GFLOP/s   training %8.2f ms %4.0f   jvp %8.2f ms %4.0f\n",
           (long long)b, (long long)t, (long long)h, (long long)d, forward * 1e3, flops / forward * 1e-9, train * 1e3,
           3.5 * flops / train * 1e-9, jvp * 1e3, 3.5 * flops / jvp * 1e-9);
    fflush(stdout);
    tw_graph_destroy(g);
}

int main(int argc, char **argv)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){0});
    if (!ctx) return 1;
    for (int i = 0; i < TW_COUNT(cases); i++)
        if (argc < 2) run(ctx, i);
    for (int a = 1; a < argc; a++)
        if (atoi(argv[a]) >= 0 && atoi(argv[a]) < TW_COUNT(cases)) run(ctx, atoi(argv[a]));
    tw_context_destroy(ctx);
    return 0;
}
