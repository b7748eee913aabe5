/* cpu/kernels_bf16.c - the product of numbers rounded to bf16 with the instruction for it (AVX512_BF16; compiled with
 * -march=x86-64-v4 -mavx512bf16): vdpbf16ps adds two products to each of 16 sums, so an element of an operand is a pair
 * of numbers that follow each other along k, in 32 bits. */
#if defined(__x86_64__)
#include "cpu/kernels.h"

#include <immintrin.h>
#include <string.h>

#define PRODUCT_NAME "bf16"
#define REAL         float
#define VEC          __m512
#define EVEC         __m512i
#define ELEM         uint32_t
#define PER          2
#define W            16
#define MR           14
#define FN(name)     name##_bf16

static inline __m512 load_bf16(const float *at) { return _mm512_loadu_ps(at); }
static inline void store_bf16(float *at, __m512 v) { _mm512_storeu_ps(at, v); }
static inline __m512i spread_bf16(uint32_t pair) { return _mm512_set1_epi32((int)pair); }
static inline __m512i fetch_bf16(const uint32_t *at) { return _mm512_loadu_si512(at); }
static inline __m512 mad_bf16(__m512i a, __m512i b, __m512 sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

static inline __mmask16 first_lanes(int64_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFF : (1u << n) - 1);
}

/* 16 pairs of which the lower halves come from `even`, the upper from `odd`. */
static inline __m512i pair_up(__m512 even, __m512 odd)
{
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Columns [0, n) of rows 0..depth-1 in pairs of rows: out[p/2 * width + q], n <= width. */
static void pair_rows(int64_t depth, int64_t n, int64_t width, const float *in, int64_t ld, uint32_t *out)
{
    for (int64_t p = 0; p < depth; p += 2, in += 2 * ld, out += width)
        for (int64_t q = 0; q < n; q += 16) {
            __mmask16 lanes = first_lanes(n - q);
            __m512 even = _mm512_maskz_loadu_ps(lanes, in + q);
            __m512 odd = p + 1 < depth ? _mm512_maskz_loadu_ps(lanes, in + ld + q) : _mm512_setzero_ps();
            _mm512_mask_storeu_epi32(out + q, lanes, pair_up(even, odd));
        }
}

/* A row of `depth` numbers as pairs. */
static void pair_row(int64_t depth, const float *in, uint32_t *out)
{
    int64_t p = 0;
    for (; p + 32 <= depth; p += 32)
        _mm512_storeu_si512(out + p / 2,
                            (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(in + p + 16), _mm512_loadu_ps(in + p)));
    for (; p < depth; p += 16) {
        __m512 some = _mm512_maskz_loadu_ps(first_lanes(depth - p), in + p);
        _mm256_mask_storeu_epi32(out + p / 2, (__mmask8)((1u << tw_min_i64(8, (depth - p + 1) / 2)) - 1),
                                 (__m256i)_mm512_cvtneps_pbh(some));
    }
}

/* Rows 0..15 of 16 words each become columns of `out`, whose rows are NR words apart. */
static void turn(int64_t rows, int64_t words, const uint32_t *in, int64_t ld, uint32_t *out, int64_t width)
{
    for (int64_t p = 0; p < words; p++)
        for (int64_t r = 0; r < rows; r++) out[p * width + r] = in[r * ld + p];
}

static void pack_b_bf16(bool transposed, int64_t depth, int64_t n, const float *b, int64_t ldb, uint32_t *out)
{
    enum { WIDTH = 2 * W, RUN = 128 };
    int64_t steps = (depth + 1) / 2;
    for (int64_t j = 0; j < n; j += WIDTH, out += WIDTH * steps) {
        int64_t columns = tw_min_i64(n - j, WIDTH);
        if (columns < WIDTH) memset(out, 0, (size_t)(WIDTH * steps) * sizeof *out);
        if (!transposed) {
            pair_rows(depth, columns, WIDTH, b + j, ldb, out);
            continue;
        }
        for (int64_t p = 0; p < depth; p += RUN) {
            uint32_t pairs[WIDTH][RUN / 2];
            int64_t run = tw_min_i64(depth - p, RUN);
            for (int64_t q = 0; q < columns; q++) pair_row(run, b + (j + q) * ldb + p, pairs[q]);
            turn(columns, (run + 1) / 2, pairs[0], RUN / 2, out + p / 2 * WIDTH, WIDTH);
        }
    }
}

static void pack_a_bf16(int64_t depth, int64_t m, const float *a, int64_t lda, uint32_t *out)
{
    for (int64_t i = 0; i < m; i += MR, out += MR * ((depth + 1) / 2))
        pair_rows(depth, tw_min_i64(m - i, MR), MR, a + i, lda, out);
}

/* Rows of pairs, apart by an odd number of cache lines. */
static const uint32_t *rows_a_bf16(int64_t m, int64_t depth, const float *a, int64_t *lda, uint32_t *out)
{
    int64_t lines = ((depth + 1) / 2 + 15) / 16, apart = (lines + (lines % 2 == 0)) * 16;
    for (int64_t i = 0; i < m; i++) pair_row(depth, a + i * *lda, out + i * apart);
    *lda = apart;
    return out;
}

#include "cpu/product.inc"

/* Narrow products are few: they take the way of processors without the instruction. */
static void gemm_bf16(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const void *a, int64_t lda, const void *b,
                      int64_t ldb, const void *packed, bool accumulate, void *c, int64_t ldc, void *workspace,
                      tw_ahead *ahead)
{
    target_bf16 out = {.c = c, .row = ldc, .column = 1, .accumulate = accumulate, .ahead = ahead};
    if (k <= 0 || n <= NARROW)
        tw_cpu_v4.product[TW_PRODUCT_BF16]->run(ta, tb, m, n, k, a, lda, b, ldb, NULL, accumulate, c, ldc, workspace, NULL);
    else
        product_blocked_bf16(ta, tb, m, n, k, a, lda, b, ldb, packed, out, workspace);
}

const tw_product tw_product_bf16 = {
    .name = PRODUCT_NAME, .packed_bytes = packed_bytes_bf16, .pack = pack_bf16, .run = gemm_bf16};
#endif
