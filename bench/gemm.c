/* bench/gemm.c - matrix products of the shapes a residual MLP has: our kernel, the library's, and the choice between
 * them.
 *
 * One thread. Samples of a fraction of a millisecond are taken in turns and the fastest tenth is reported, so that
 * neighbours on the machine count little. The peak is a measured burst of independent fused multiply-adds. */
#include "peak.h"

#include "base/file.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef TW_BENCH_DNNL
#include <dnnl.h>
#endif

enum { REPEATS = 60, LARGEST = 1024 * 1024 };

typedef struct shape {
    char form; /* n: Y = X W; t: dX = dY W'; w: dW = X' dY */
    int m, n, k;
} shape;

static const shape shapes[] = {
    {'n', 128, 64, 64},   {'n', 128, 128, 128}, {'n', 128, 256, 256}, {'n', 128, 512, 512}, {'n', 256, 64, 64},
    {'n', 256, 128, 128}, {'n', 256, 256, 256}, {'n', 256, 512, 512}, {'n', 512, 256, 256}, {'n', 512, 512, 512},
    {'t', 128, 64, 64},   {'t', 128, 128, 128}, {'t', 128, 256, 256}, {'t', 128, 512, 512}, {'t', 256, 256, 256},
    {'t', 512, 512, 512}, {'w', 64, 64, 256},   {'w', 128, 128, 256}, {'w', 256, 256, 128}, {'w', 256, 256, 256},
    {'w', 512, 512, 256}, {'w', 512, 512, 512}, {'n', 256, 2, 512},   {'n', 256, 256, 2},   {'n', 256, 512, 2},
    {'n', 256, 512, 3},   {'n', 256, 512, 66},  {'t', 256, 2, 512},   {'t', 256, 512, 2},   {'w', 512, 2, 256},
    {'w', 2, 512, 256},   {'w', 3, 512, 256},   {'n', 1, 512, 512},   {'t', 1, 512, 512},   {'n', 4, 256, 256},
    {'n', 256, 8, 256},   {'n', 8, 256, 256},   {'t', 8, 256, 256},   {'w', 256, 8, 256},   {'n', 256, 16, 256},
};

static float *a32, *b32, *c32;
static double *a64, *b64, *c64;
static void *workspace, *packed;
static volatile float sink;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef enum column { OWN, PACKED, LIBRARY, CHOICE, BF16, F64, COLUMNS } column;
static const char *const titles[COLUMNS] = {"own", "packed before", "library", "choice", "bf16, packed", "own f64"};

static void product_once(column what, const tw_cpu *cpu, const tw_gemm *best, const shape *s, const void *ready)
{
    bool ta = s->form == 'w', tb = s->form == 't';
    int64_t lda = ta ? s->m : s->k, ldb = tb ? s->k : s->n;
    switch (what) {
    case F64:
        cpu->product[TW_PRODUCT_F64]->run(ta, tb, s->m, s->n, s->k, a64, lda, b64, ldb, NULL, false, c64, s->n,
                                          workspace, NULL);
        break;
    case CHOICE:
        best->f32(ta, tb, s->m, s->n, s->k, a32, lda, b32, ldb, false, c32, s->n, workspace);
        break;
    case LIBRARY:
#ifdef TW_BENCH_DNNL
        (void)dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', s->m, s->n, s->k, 1.0f, a32, lda, b32, ldb, 0.0f, c32, s->n);
        break;
#endif
    default:
        (what == BF16 ? tw_cpu_product(TW_PRODUCT_BF16) : cpu->product[TW_PRODUCT_F32])
            ->run(ta, tb, s->m, s->n, s->k, a32, lda, b32, ldb, ta ? NULL : ready, false, c32, s->n, workspace, NULL);
    }
}

static double time_of(column what, const tw_cpu *cpu, const tw_gemm *best, const shape *s, int rounds)
{
    const tw_product *product = what == BF16 ? tw_cpu_product(TW_PRODUCT_BF16) : cpu->product[TW_PRODUCT_F32];
    double begin = 0;
    bool pack = (what == PACKED || what == BF16) && product->packed_bytes(s->n, s->k) > 0;
    if (pack) product->pack(s->form == 't', s->n, s->k, b32, s->form == 't' ? s->k : s->n, packed, 0, s->form == 't' ? s->n : s->k);
    for (int i = -1; i < rounds; i++) { /* the first brings the operands into the caches */
        if (i == 0) begin = tw_clock();
        product_once(what, cpu, best, s, pack ? packed : NULL);
    }
    return (tw_clock() - begin) / rounds;
}

static double rate(double *times, double work)
{
    qsort(times, REPEATS, sizeof *times, by_value);
    return work / times[REPEATS / 10] * 1e-9;
}

static void print_shape(const shape *s, const tw_cpu *cpu, const tw_gemm *best, double peak)
{
    double work = 2.0 * s->m * s->n * s->k, times[COLUMNS][REPEATS];
    int rounds = 1 + (int)(2e-4 / (work / 60e9 + 1e-6));
    for (int r = -1; r < REPEATS; r++)
        for (int c = 0; c < COLUMNS; c++) /* the first round warms up */
            times[c][r < 0 ? 0 : r] = time_of((column)c, cpu, best, s, rounds);
    printf("%c %4d %4d %4d ", s->form, s->m, s->n, s->k);
    for (int c = 0; c < COLUMNS; c++) {
        double speed = rate(times[c], work);
        printf("  %7.1f %4.0f%%", speed, 100 * speed / peak * (c == F64 ? 2 : c == BF16 ? 0.5 : 1));
    }
    printf("\n");
    fflush(stdout);
}

int main(void)
{
    a32 = aligned_alloc(64, LARGEST * 4), b32 = aligned_alloc(64, LARGEST * 4), c32 = aligned_alloc(64, LARGEST * 4);
    a64 = aligned_alloc(64, LARGEST * 8), b64 = aligned_alloc(64, LARGEST * 8), c64 = aligned_alloc(64, LARGEST * 8);
    workspace = aligned_alloc(64, TW_GEMM_WORKSPACE);
    packed = aligned_alloc(64, LARGEST * 4);
    if (!packed || !a32 || !b32 || !c32 || !a64 || !b64 || !c64 || !workspace) return 1;
    for (int i = 0; i < LARGEST; i++) {
        a32[i] = (float)((uint32_t)i * 2654435761u >> 20) / 4096 - 0.5f;
        b32[i] = (float)((uint32_t)i * 40503u >> 12 & 255) / 256 - 0.5f;
        a64[i] = (double)a32[i], b64[i] = (double)b32[i];
        c32[i] = 0, c64[i] = 0;
    }
    const tw_cpu *cpu = tw_cpu_best();
    const tw_gemm *best = tw_gemm_best();
    best->enter_thread();
    double peak = measured_peak();
    printf("GFLOP/s, one thread; f32 peak %.1f; own %s; choice: %s\n", peak, cpu->name, best->name);
    printf("form  m    n    k  ");
    for (int i = 0; i < COLUMNS; i++) printf("%15s", titles[i]);
    printf("\n");
    for (int i = 0; i < TW_COUNT(shapes); i++) print_shape(&shapes[i], cpu, best, peak);
    printf("f32 peak again: %.1f\n", measured_peak());
    sink = c32[1] + (float)c64[1];
    return 0;
}
