/* cpu/gemm.h - the matrix product behind everything: oneDNN, CBLAS or our own kernel, always one thread a call.
 *
 * Which one was chosen when the library was configured (TW_GEMM=auto|onednn|cblas|own) and can be narrowed at run time
 * with the environment variable TW_GEMM=own. Callers split the work over threads themselves. */
#ifndef TW_CPU_GEMM_H
#define TW_CPU_GEMM_H

#include "cpu/cpu.h"

typedef struct tw_gemm {
    const char *name; /* e.g. "oneDNN 2.6.3", "own x86-64-v3" */
    void (*f32)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                int64_t ldb, bool accumulate, float *c, int64_t ldc, void *workspace);
    void (*f64)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b,
                int64_t ldb, bool accumulate, double *c, int64_t ldc, void *workspace);
    bool packs;       /* our own product of operands packed beforehand (tw_product) is at least as fast */
    size_t workspace; /* bytes each calling thread must bring, 64-byte aligned */
    /* Must run once on every thread that will call the product (keeps a library from starting threads of its own). */
    void (*enter_thread)(void);
} tw_gemm;

const tw_gemm *tw_gemm_best(void);

/* A product in which the bits of a row of C depend on that row of A and on B alone, not on how many rows are
 * computed with it: ours. A library picks other code for other m. Programs that run on fewer rows need it. */
const tw_gemm *tw_gemm_rowwise(void);

#endif
