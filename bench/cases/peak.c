/* bench/cases/peak.c - what the machine can do: f32 products of a size that stays in a core's second cache, on every
 * thread at once, each thread its own operands. */
#include "bench.h"

#include "base/pool.h"
#include "cpu/gemm.h"

enum { M = 256, N = 256, K = 256, ROUNDS = 40 };

typedef struct corner {
    float *a, *b, *c;
    void *workspace;
} corner;

static void burst(void *user, int64_t item, int thread)
{
    corner *own = (corner *)user + item;
    const tw_gemm *gemm = tw_gemm_best();
    (void)thread;
    gemm->enter_thread();
    for (int i = 0; i < ROUNDS; i++)
        gemm->f32(false, false, M, N, K, own->a, K, own->b, N, false, own->c, N, own->workspace);
}

static void run(bench *b)
{
    tw_pool_run(b->ctx->pool, tw_context_threads(b->ctx), burst, b->state);
}

static float *numbers(bench *b, size_t bytes)
{
    float *block = tw_alloc_aligned(b->ctx, bytes);
    if (!block) bench_check(b->ctx, tw_fail_memory(b->ctx, bytes));
    return block;
}

void bench_peak(bench *b, const bench_case *c)
{
    int threads = tw_context_threads(b->ctx);
    corner *corners = tw_alloc(b->ctx, (size_t)threads, sizeof *corners);
    (void)c;
    if (!corners) bench_check(b->ctx, tw_fail_memory(b->ctx, sizeof *corners));
    for (int i = 0; i < threads; i++) {
        corners[i] = (corner){numbers(b, sizeof(float) * M * K), numbers(b, sizeof(float) * K * N),
                              numbers(b, sizeof(float) * M * N), numbers(b, tw_gemm_best()->workspace + 64)};
        for (uint32_t k = 0; k < M * K; k++) corners[i].a[k] = bench_number(0, k);
        for (uint32_t k = 0; k < K * N; k++) corners[i].b[k] = bench_number(1, k);
    }
    b->flops = 2.0 * M * N * K * ROUNDS * threads;
    b->state = corners;
    b->run = run;
}
