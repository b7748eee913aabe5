/* cpu/linalg.h - factorisations and triangular solves of one dense matrix, row-major.
 *
 * Blocks of 64 columns; what is left of a block goes through the packed product. Elimination is written for one
 * canonical case, a lower triangle from the left, and everything else is copied into it. */
#ifndef TW_CPU_LINALG_H
#define TW_CPU_LINALG_H

#include "cpu/cpu.h"

typedef enum tw_triangle {
    TW_TRIANGLE_RIGHT = 1,      /* X op(A) = B instead of op(A) X = B */
    TW_TRIANGLE_UPPER = 2,      /* of A; the other half is not read */
    TW_TRIANGLE_TRANSPOSED = 4, /* op(A) = A^T */
    TW_TRIANGLE_UNIT = 8        /* the diagonal is taken as 1 and not read */
} tw_triangle;

/* Memory each of them needs for matrices of n rows (and k right-hand sides). */
static inline size_t tw_cholesky_scratch(int64_t n, size_t element)
{
    return TW_GEMM_WORKSPACE + (size_t)(64 * 64 + 2 * 64 * n) * element;
}
static inline size_t tw_lu_scratch(int64_t n, size_t element)
{
    return TW_GEMM_WORKSPACE + (size_t)(64 * 64 + 64 * n) * element;
}
static inline size_t tw_triangular_scratch(int64_t n, int64_t k, size_t element)
{
    return TW_GEMM_WORKSPACE + (size_t)(n * n + n * k) * element;
}

#endif
