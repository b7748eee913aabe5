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
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                         18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even));
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

/* Rows of words become columns of `out`, whose rows are `width` words apart. */
static void turn(int64_t rows, int64_t words, const uint32_t *in, int64_t ld, uint32_t *out, int64_t width)
{
    for (int64_t p = 0; p < words; p++)
        for (int64_t r = 0; r < rows; r++) out[p * width + r] = in[r * ld + p];
}

/* 16 rows of 32 numbers as 16 rows of 16 pairs, turned: pair p of row r at out[p * width + r]. Squares of 2, 4, 8 and 16
 * are turned one after another. */
static inline void turn_pairs(const float *in, int64_t ld, uint32_t *out, int64_t width)
{
    __m512i x[16], y[16];
    for (int r = 0; r < 16; r++, in += ld)
        x[r] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(in + 16), _mm512_loadu_ps(in));
    for (int r = 0; r < 16; r += 2) {
        y[r] = _mm512_unpacklo_epi32(x[r], x[r + 1]);
        y[r + 1] = _mm512_unpackhi_epi32(x[r], x[r + 1]);
    }
    for (int r = 0; r < 16; r += 4) /* x[r+i]: word 4b+i of rows r..r+3, b the part of 128 bits */
        for (int h = 0; h < 2; h++) {
            x[r + 2 * h] = _mm512_unpacklo_epi64(y[r + h], y[r + 2 + h]);
            x[r + 2 * h + 1] = _mm512_unpackhi_epi64(y[r + h], y[r + 2 + h]);
        }
    for (int i = 0; i < 4; i++) {
        __m512i low = _mm512_shuffle_i32x4(x[i], x[4 + i], 0x88), high = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0x88);
        __m512i low2 = _mm512_shuffle_i32x4(x[i], x[4 + i], 0xdd), high2 = _mm512_shuffle_i32x4(x[8 + i], x[12 + i], 0xdd);
        y[i] = _mm512_shuffle_i32x4(low, high, 0x88);
        y[8 + i] = _mm512_shuffle_i32x4(low, high, 0xdd);
        y[4 + i] = _mm512_shuffle_i32x4(low2, high2, 0x88);
        y[12 + i] = _mm512_shuffle_i32x4(low2, high2, 0xdd);
    }
    for (int p = 0; p < 16; p++) _mm512_storeu_si512(out + p * width, y[p]);
}

/* 16 columns of op(B) stored as rows, `depth` of each. */
static void turn_rows(int64_t depth, const float *in, int64_t ld, uint32_t *out, int64_t width)
{
    int64_t p = 0;
    for (; p + 32 <= depth; p += 32) {
        for (int r = 0; r < 16; r++) {
            __builtin_prefetch(in + r * ld + p + 64);
            __builtin_prefetch(in + r * ld + p + 80);
        }
        turn_pairs(in + p, ld, out + p / 2 * width, width);
    }
    if (p == depth) return;
    uint32_t pairs[16][16];
    for (int r = 0; r < 16; r++) pair_row(depth - p, in + r * ld + p, pairs[r]);
    turn(16, (depth - p + 1) / 2, pairs[0], 16, out + p / 2 * width, width);
}

static void pack_b_bf16(bool transposed, int64_t depth, int64_t n, const float *b, int64_t ldb, uint32_t *out,
                        int64_t panel)
{
    enum { WIDTH = 2 * W, RUN = 16 };
    int64_t steps = (depth + 1) / 2;
    if (n % WIDTH) memset(out + n / WIDTH * panel, 0, (size_t)(WIDTH * steps) * sizeof *out);
    if (!transposed) {
        for (int64_t p = 0; p < depth; p += RUN)
            for (int64_t j = 0; j < n; j += WIDTH) {
                uint32_t *to = out + j / WIDTH * panel + p / 2 * WIDTH;
                for (int64_t q = p + RUN; q < p + 2 * RUN; q++) {
                    __builtin_prefetch(b + q * ldb + j);
                    __builtin_prefetch(b + q * ldb + j + WIDTH - 1);
                }
                pair_rows(tw_min_i64(depth - p, RUN), tw_min_i64(n - j, WIDTH), WIDTH, b + p * ldb + j, ldb, to);
            }
        return;
    }
    for (int64_t j = 0; j < n; j += 16) {
        uint32_t *to = out + j / WIDTH * panel + j % WIDTH;
        if (j + 16 <= n) {
            turn_rows(depth, b + j * ldb, ldb, to, WIDTH);
            continue;
        }
        for (int64_t p = 0; p < depth; p += 32)
            for (int64_t q = j; q < n; q++) {
                uint32_t pairs[16];
                int64_t run = tw_min_i64(depth - p, 32);
                pair_row(run, b + q * ldb + p, pairs);
                turn(1, (run + 1) / 2, pairs, 16, to + p / 2 * WIDTH + q - j, WIDTH);
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
