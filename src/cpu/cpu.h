/* cpu/cpu.h - numerical kernels of one CPU core: no allocation, no threads, no graph.
 *
 * The same source (kernels.inc) is built for several instruction sets; tw_cpu_best() picks once by cpuid. All sums
 * use 16 logical lanes and a fixed tree, exp/log/tanh/... are our own polynomials with explicit fma, so every
 * instruction set gives the same bits. */
#ifndef TW_CPU_CPU_H
#define TW_CPU_CPU_H

#include "base/base.h"
#include "cpu/fft.h"
#include "cpu/attention.h"
#include "cpu/fused.h"
#include "graph/conv.h"

#include <thalweg/graph.h>

/* Elements a tile holds: elementwise chains run tile by tile so that intermediate values stay in L1. */
#define TW_TILE 256

/* Bytes of scratch memory a call of a product needs. */
#define TW_GEMM_WORKSPACE ((size_t)1507328)

/* Elementwise kernels: X(NAME, arity). Every one exists for f32 and f64; AND, XOR, LT, EQ, SELECT, ADD, SUB, MUL
 * also for i32 and u32 where meaningful. `dtype` of a kernel is that of its (last) argument; LT, EQ, IS_FINITE write
 * bool (1 byte, 0 or 1), SELECT reads its first argument as bool. */
#define TW_TILE_OPS(X)                                                                             \
    X(NEG, 1) X(EXP, 1) X(EXPM1, 1) X(LOG, 1) X(LOG1P, 1) X(SIN, 1) X(COS, 1) X(TANH, 1) X(ERF, 1) \
    X(SQRT, 1) X(RSQRT, 1) X(ABS, 1) X(SIGMOID, 1) X(SIGN, 1) X(FLOOR, 1) X(IS_FINITE, 1) X(NOT, 1) \
    X(SINH, 1) X(COSH, 1) X(ASIN, 1) X(ACOS, 1) X(ATAN, 1) X(EXP2, 1) X(LOG2, 1) X(ERFINV, 1) X(LGAMMA, 1) \
    X(ROUND, 1) X(ATAN2, 2) X(REM, 2) X(POLYGAMMA, 2)                                              \
    X(ADD, 2) X(SUB, 2) X(MUL, 2) X(DIV, 2) X(POW, 2) X(MAX, 2) X(MIN, 2) X(LT, 2) X(EQ, 2) X(AND, 2) X(XOR, 2) \
    X(SELECT, 3) X(COPY, 1)                                                                        \
    X(MUL_ADD, 3)     /* a*b + c, one rounding */                                                  \
    X(MUL_SUB, 3)     /* a*b - c */                                                                \
    X(NEG_MUL_ADD, 3) /* c - a*b */                                                                \
    X(SILU, 1)        /* a * sigmoid(a) */                                                         \
    X(GELU, 1) X(GELU_SLOPE, 1)

typedef enum tw_tile_op {
#define TW_TILE_ENUM(name, arity) TW_TILE_##name,
    TW_TILE_OPS(TW_TILE_ENUM)
#undef TW_TILE_ENUM
        TW_TILE_OP_COUNT
} tw_tile_op;

/* dst[i] = op(a[i], b[i], c[i]) for i in [0, n). dst may equal an argument exactly; it may not overlap one
 * otherwise. No alignment beyond the element's is needed. */
typedef void (*tw_tile_fn)(void *dst, const void *a, const void *b, const void *c, int64_t n);

/* The three sides of a convolution (graph/conv.h): conv, conv_input, conv_weights. */
typedef enum tw_conv_pass { TW_CONV_FORWARD, TW_CONV_BACK, TW_CONV_WEIGHTS } tw_conv_pass;

/* The product of one thread, C (m,n) = op(A) op(B) (+ C when `accumulate`), row-major with leading dimensions: op(A) is
 * m x k: A is stored (m,k), or (k,m) when ta; op(B) is k x n, stored (n,k) when tb.
 * The bits of a row of C depend on that row of op(A) and on op(B) alone, not on how many rows are computed with it. */
typedef enum tw_product_kind {
    TW_PRODUCT_F32,
    TW_PRODUCT_F64,
    TW_PRODUCT_BF16, /* f32 arrays; what is multiplied is rounded to bf16 (nearest, ties to even) and summed in f32 */
    TW_PRODUCTS
} tw_product_kind;

/* Memory that the caller will want next: a product of packed operands has lines of it fetched into the second cache,
 * one a step, while it multiplies. */
enum { TW_LINE = 64, TW_AHEAD_RANGES = 8, TW_PACK_ROWS = 32 };
typedef struct tw_ahead {
    int32_t count;
    struct {
        const char *at;
        int64_t bytes;
    } range[TW_AHEAD_RANGES];
} tw_ahead;

typedef struct tw_product {
    const char *name; /* "f32", "f64", "bf16 rounded", "bf16" */
    /* Bytes of op(B) packed once for many products; 0: of no use for these shapes. */
    size_t (*packed_bytes)(int64_t n, int64_t k);
    /* Packs rows [first, last) of B as it is stored (of n or k); first is a multiple of TW_PACK_ROWS, and last too or at
     * least their number. */
    void (*pack)(bool tb, int64_t n, int64_t k, const void *b, int64_t ldb, void *packed, int64_t first, int64_t last);
    /* packed: what `pack` made of the same B, or NULL. workspace: TW_GEMM_WORKSPACE bytes. Both 64-byte aligned. ahead:
     * what to fetch meanwhile, changed on the way, or NULL. */
    void (*run)(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const void *a, int64_t lda, const void *b,
                int64_t ldb, const void *packed, bool accumulate, void *c, int64_t ldc, void *workspace,
                tw_ahead *ahead);
} tw_product;

typedef struct tw_cpu {
    const char *name;                                  /* "generic", "x86-64-v3", "x86-64-v4" */
    tw_tile_fn tile[TW_TILE_OP_COUNT][TW_DTYPE_COUNT]; /* by tw_dtype; NULL where it does not exist */
    tw_tile_fn cast[TW_DTYPE_COUNT][TW_DTYPE_COUNT];   /* [from][to] */
    /* u32 -> f32, f64 (by target dtype). Uniform: (b + 1/2) 2^-32, f32 of the upper 23 bits. Normal: bit 31 is the sign
     * (1: negative), the others k; |z| is the quantile of 1/2 + (k + 1/2) 2^-32. */
    tw_tile_fn bits_to_uniform[TW_DTYPE_COUNT];
    tw_tile_fn bits_to_normal[TW_DTYPE_COUNT];

    /* Reductions by dtype: f32, f64, i32, u32 (sums of whole numbers wrap).
     * inner: x (m,n) -> out (m), sums of rows: 16 lanes, fixed tree.
     * outer: x (m,n) -> out (n), sums of columns, rows added in order; `accumulate` adds to out. */
    void (*sum_inner[4])(const void *x, int64_t m, int64_t n, void *out);
    void (*sum_outer[4])(const void *x, int64_t m, int64_t n, bool accumulate, void *out);
    void (*max_inner[4])(const void *x, int64_t m, int64_t n, void *out); /* NaN wins */
    void (*max_outer[4])(const void *x, int64_t m, int64_t n, void *out);
    void (*argmax_inner[4])(const void *x, int64_t m, int64_t n, int32_t *out); /* the first of equals; NaN wins */
    void (*argmax_outer[4])(const void *x, int64_t m, int64_t n, int32_t *out);
    /* running sums down the columns; of one row: n = 1 */
    void (*cumsum_outer[4])(const void *x, int64_t m, int64_t n, void *out);
    /* sum of a[i]*b[i], the same lanes and tree as sum_inner */
    void (*dot[2])(const void *a, const void *b, int64_t n, void *out);

    /* Fourier transforms (cpu/fft.h), f32 and f64. */
    void (*fft[2])(const tw_fft_job *job);

    /* One matrix (n,n) of f32 or f64 (cpu/linalg.h): the lower Cholesky factor, all NaN when there is none; LU in the
     * first n rows of out (n+1,n), the last one telling which row of a each row is; x of op(a) x = b or x op(a) = b,
     * with k right-hand sides. `form` is of tw_triangle; scratch is 64-byte aligned. */
    void (*cholesky[2])(int64_t n, const void *a, void *out, void *scratch);
    void (*lu[2])(int64_t n, const void *a, void *out, void *scratch);
    void (*solve_triangular[2])(int form, int64_t n, int64_t k, const void *a, const void *b, void *x, void *scratch);

    /* out[i] = word (begin+i)%4 of Philox at counter ((begin+i)/4, stream, counter[0], counter[1]) */
    void (*philox)(const uint32_t key[2], const uint32_t counter[2], uint32_t stream, int64_t begin, int64_t n,
                   uint32_t *out);

    const tw_product *product[TW_PRODUCTS];

    /* Attention of one batch row (cpu/attention.h), f32 and f64. */
    tw_attention_fn attention[3][2];
    /* A convolution of `images` images, f32 (0) or f64 (1): out = or, for weights, += that of a and b. scratch:
     * tw_conv_job_bytes(pass, sizes, planned, bytes of an element), 64-byte aligned; planned >= images. packed: the
     * weights b as conv_prepare left them (tw_conv_packed_bytes), or NULL. */
    void (*conv[2])(tw_conv_pass pass, const tw_conv_sizes *sizes, int64_t planned, int64_t images, const void *a,
                    const void *b, const void *packed, bool accumulate, void *out, void *scratch);
    void (*conv_prepare[2])(tw_conv_pass pass, const tw_conv_sizes *sizes, const void *weights, void *out);

    /* Composites at once (cpu/fused.h), f32 and f64. */
    tw_fused_fn fused[TW_FUSED_COUNT][2];
} tw_cpu;

/* The best kernels this processor runs. TW_CPU=generic|x86-64-v3|x86-64-v4 in the environment asks for fewer. */
const tw_cpu *tw_cpu_best(void);

/* Whether the best kernels may use instructions that multiply bf16. */
bool tw_cpu_has_bf16(void);
/* The product of tw_cpu_best, or for bf16 one that uses this processor's instructions for it. */
const tw_product *tw_cpu_product(tw_product_kind kind);

/* Copies an n-d array element by element; strides in elements. Contiguous inner runs are moved with memcpy. */
void tw_cpu_copy(size_t element, int rank, const int64_t *dim, const void *src, const int64_t *src_stride, void *dst,
                 const int64_t *dst_stride);

#endif
