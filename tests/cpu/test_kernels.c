/* Everything in the kernel table but elementary functions and products: the same bits on all instruction sets for every
 * kernel, short and unaligned arrays, in-place use, plain operations, casts, reductions, Philox, uniform and normal
 * numbers, strided copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 3000 };

static const size_t sizes[] = {4, 8, 4, 4, 1};
static const char *const op_names[] = {
#define NAME(name, arity) #name,
    TW_TILE_OPS(NAME)
#undef NAME
};

/* Bit patterns of every kind: small numbers, any pattern, special values. */
static void fill_argument(void *out, tw_dtype dtype, int64_t n, tw_random *random)
{
    static const double special[] = {0.0,   -0.0,   1.0,   -1.0, 0.5,           1e-310,
                                     1e300, -1e300, 1e-40, 3e38, -2147483648.0, 4294967295.5};
    for (int64_t i = 0; i < n; i++) {
        uint32_t choice = tw_random_u32(random) % 4;
        uint64_t bits = (uint64_t)tw_random_u32(random) << 32 | tw_random_u32(random);
        double number = choice == 0   ? special[bits % TW_COUNT(special)]
                        : choice == 1 ? (bits & 1 ? (double)NAN : -(double)INFINITY)
                                      : 5 * tw_random_normal(random);
        float single = (float)number;
        if (dtype == TW_DTYPE_F32 && choice == 3)
            memcpy((float *)out + i, &bits, 4);
        else if (dtype == TW_DTYPE_F32)
            memcpy((float *)out + i, &single, 4);
        else if (dtype == TW_DTYPE_F64 && choice == 3)
            memcpy((double *)out + i, &bits, 8);
        else if (dtype == TW_DTYPE_F64)
            memcpy((double *)out + i, &number, 8);
        else if (dtype == TW_DTYPE_BOOL)
            ((uint8_t *)out)[i] = bits & 1;
        else
            ((uint32_t *)out)[i] = choice == 0 ? (uint32_t)(int32_t)(bits % 7) - 3 : (uint32_t)bits;
    }
}

/* Equal, where any NaN equals any other: which of two NaN arguments is passed on is not part of the contract. */
static bool same_numbers(const void *a, const void *b, tw_dtype dtype, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const char *x = (const char *)a + (size_t)i * sizes[dtype], *y = (const char *)b + (size_t)i * sizes[dtype];
        if (memcmp(x, y, sizes[dtype]) == 0) continue;
        if (dtype == TW_DTYPE_F32 && isnan(*(const float *)x) && isnan(*(const float *)y)) continue;
        if (dtype == TW_DTYPE_F64 && isnan(*(const double *)x) && isnan(*(const double *)y)) continue;
        return false;
    }
    return true;
}

static bool gives_bool(int op)
{
    return op == TW_TILE_LT || op == TW_TILE_EQ || op == TW_TILE_IS_FINITE;
}

static void test_same_bits_everywhere(void **state)
{
    (void)state;
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    static double a[MANY], b[MANY], c[MANY], first[MANY], other[MANY];
    tw_random random = {.seed = 7};
    for (int op = 0; op < TW_TILE_OP_COUNT; op++)
        for (int dtype = 0; dtype < 5; dtype++) {
            if (!variants[0]->tile[op][dtype]) continue;
            fill_argument(a, op == TW_TILE_SELECT ? TW_DTYPE_BOOL : (tw_dtype)dtype, MANY, &random);
            fill_argument(b, (tw_dtype)dtype, MANY, &random);
            fill_argument(c, (tw_dtype)dtype, MANY, &random);
            variants[0]->tile[op][dtype](first, a, b, c, MANY);
            for (int v = 1; v < count; v++) {
                variants[v]->tile[op][dtype](other, a, b, c, MANY);
                if (!same_numbers(first, other, gives_bool(op) ? TW_DTYPE_BOOL : (tw_dtype)dtype, MANY))
                    fail_msg("%s of dtype %d differs between %s and %s", op_names[op], dtype, variants[0]->name,
                             variants[v]->name);
            }
        }
    for (int from = 0; from < 5; from++)
        for (int to = 0; to < 5; to++) {
            fill_argument(a, (tw_dtype)from, MANY, &random);
            variants[0]->cast[from][to](first, a, NULL, NULL, MANY);
            for (int v = 1; v < count; v++) {
                variants[v]->cast[from][to](other, a, NULL, NULL, MANY);
                if (!same_numbers(first, other, (tw_dtype)to, MANY)) fail_msg("cast %d to %d differs", from, to);
            }
        }
}

/* Any length, any alignment of elements, in place, and not one element too many. */
static void test_lengths_and_offsets(void **state)
{
    (void)state;
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    static double a[200], b[200], c[200], all[200], out[200];
    tw_random random = {.seed = 8};
    for (int v = 0; v < count; v++)
        for (int op = 0; op < TW_TILE_OP_COUNT; op++)
            for (int dtype = 0; dtype < 2; dtype++) {
                size_t size = sizes[dtype], to_size = gives_bool(op) ? 1 : size,
                       from_size = op == TW_TILE_SELECT ? 1 : size;
                tw_tile_fn f = variants[v]->tile[op][dtype];
                if (!f) continue;
                fill_argument(a, op == TW_TILE_SELECT ? TW_DTYPE_BOOL : (tw_dtype)dtype, 200, &random);
                fill_argument(b, (tw_dtype)dtype, 200, &random);
                fill_argument(c, (tw_dtype)dtype, 200, &random);
                f(all, a, b, c, 200);
                for (size_t offset = 0; offset < 5; offset++)
                    for (size_t n = 0; n < 70; n += n < 20 ? 1 : 7) {
                        memset(out, 0xA5, sizeof out);
                        char *to = (char *)out + offset * to_size;
                        f(to, (char *)a + offset * from_size, (char *)b + offset * size, (char *)c + offset * size,
                          (int64_t)n);
                        tw_dtype kind = gives_bool(op) ? TW_DTYPE_BOOL : (tw_dtype)dtype;
                        assert_true(same_numbers(to, (char *)all + offset * to_size, kind, (int64_t)n));
                        assert_true((unsigned char)to[n * to_size] == 0xA5);
                    }
                if (op == TW_TILE_SELECT || gives_bool(op)) continue;
                memcpy(out, a, sizeof out);
                f(out, out, b, c, 200);
                assert_true(same_numbers(out, all, (tw_dtype)dtype, 200));
            }
}

static void test_plain_operations(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    const float x[] = {1.5f, -2.5f, NAN, 0.0f}, y[] = {-1.0f, NAN, 1.0f, -0.0f}, z[] = {10, 20, 30, 40};
    float out[4];
    uint8_t flags[4];
    cpu->tile[TW_TILE_MAX][0](out, x, y, NULL, 4);
    assert_true(out[0] == 1.5f && isnan(out[1]) && isnan(out[2]) && out[3] == 0);
    cpu->tile[TW_TILE_MIN][0](out, x, y, NULL, 4);
    assert_true(out[0] == -1 && isnan(out[1]) && isnan(out[2]));
    cpu->tile[TW_TILE_MUL_ADD][0](out, x, x, z, 2);
    assert_true(out[0] == 12.25f && out[1] == 26.25f);
    cpu->tile[TW_TILE_MUL_SUB][0](out, x, x, z, 2);
    assert_true(out[0] == -7.75f && out[1] == -13.75f);
    cpu->tile[TW_TILE_NEG_MUL_ADD][0](out, x, x, z, 2);
    assert_true(out[0] == 7.75f && out[1] == 13.75f);
    cpu->tile[TW_TILE_FLOOR][0](out, x, NULL, NULL, 2);
    assert_true(out[0] == 1 && out[1] == -3);
    cpu->tile[TW_TILE_IS_FINITE][0](flags, y, NULL, NULL, 4);
    assert_true(flags[0] && !flags[1] && flags[2] && flags[3]);
    cpu->tile[TW_TILE_LT][0](flags, y, x, NULL, 4);
    assert_true(flags[0] && !flags[1] && !flags[2] && !flags[3]);
    cpu->tile[TW_TILE_EQ][0](flags, x, y, NULL, 4);
    assert_true(!flags[0] && !flags[1] && !flags[2] && flags[3]);
    const int32_t i[] = {INT32_MIN, -5, 7}, j[] = {-1, 3, 7};
    int32_t whole[3];
    cpu->tile[TW_TILE_ADD][2](whole, i, j, NULL, 3);
    assert_true(whole[0] == INT32_MAX && whole[1] == -2 && whole[2] == 14);
    cpu->tile[TW_TILE_ABS][2](whole, i, NULL, NULL, 3);
    assert_true(whole[0] == INT32_MIN && whole[1] == 5 && whole[2] == 7);
    const double real[] = {2.9, -2.9, 1e20, -1e20, (double)NAN, 4294967295.0, -0.5, 0.0};
    uint32_t u[8];
    int32_t s[8];
    uint8_t truth[8];
    cpu->cast[TW_DTYPE_F64][TW_DTYPE_I32](s, real, NULL, NULL, 8);
    assert_true(s[0] == 2 && s[1] == -2 && s[2] == INT32_MAX && s[3] == INT32_MIN && s[4] == 0 && s[6] == 0);
    cpu->cast[TW_DTYPE_F64][TW_DTYPE_U32](u, real, NULL, NULL, 8);
    assert_true(u[0] == 2 && u[1] == 0 && u[2] == UINT32_MAX && u[3] == 0 && u[4] == 0 && u[5] == UINT32_MAX &&
                u[6] == 0);
    cpu->cast[TW_DTYPE_F64][TW_DTYPE_BOOL](truth, real, NULL, NULL, 8);
    assert_true(truth[0] == 1 && truth[4] == 1 && truth[7] == 0);
}

/* The documented tree, written the slow way. */
static float sum_by_the_book(const float *x, int64_t n)
{
    float lane[16] = {0};
    for (int64_t begin = 0; begin < n; begin += 2048) {
        float block[16] = {0};
        for (int64_t i = begin; i < n && i < begin + 2048; i++) block[(i - begin) % 16] += x[i];
        for (int l = 0; l < 16; l++) lane[l] += block[l];
    }
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    return lane[0];
}

static void test_reductions(void **state)
{
    (void)state;
    enum { N = 9000 };
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    static float x[N], y[N];
    static double dx[N], dy[N];
    tw_random random = {.seed = 9};
    for (int i = 0; i < N; i++) {
        x[i] = (float)tw_random_normal(&random), y[i] = (float)tw_random_normal(&random);
        dx[i] = (double)x[i], dy[i] = (double)y[i];
    }
    for (int v = 0; v < count; v++)
        for (int64_t n = 0; n <= N; n = n < 70 ? n + 1 : n * 3 / 2) {
            float sum, dot;
            double wide, wide_dot;
            long double exact = 0, exact_dot = 0, size = 0, size_dot = 0;
            for (int64_t i = 0; i < n; i++) {
                exact += (long double)x[i], exact_dot += (long double)x[i] * (long double)y[i];
                size += fabsl((long double)x[i]), size_dot += fabsl((long double)x[i] * (long double)y[i]);
            }
            variants[v]->sum_inner[0](x, 1, n, &sum);
            variants[v]->sum_inner[1](dx, 1, n, &wide);
            variants[v]->dot[0](x, y, n, &dot);
            variants[v]->dot[1](dx, dy, n, &wide_dot);
            /* at most 128 additions in a lane, n/2048 of blocks, 4 of the tree */
            long double steps = 128 + (long double)n / 2048 + 6;
            assert_true(sum == sum_by_the_book(x, n));
            assert_true(fabsl((long double)sum - exact) <= steps * 0x1p-24L * size);
            assert_true(fabsl((long double)wide - exact) <= steps * 0x1p-53L * size);
            assert_true(fabsl((long double)dot - exact_dot) <= steps * 0x1p-24L * size_dot);
            assert_true(fabsl((long double)wide_dot - exact_dot) <= steps * 0x1p-53L * size_dot);
        }
}

static void test_rows_and_columns(void **state)
{
    (void)state;
    enum { N = 6000 };
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    static float x[N], out[N], rows[N], expected[N];
    static int32_t where[N];
    tw_random random = {.seed = 10};
    for (int i = 0; i < N; i++) x[i] = (float)(int)tw_random_below(&random, 50) - 25;
    x[77] = NAN;
    for (int v = 0; v < count; v++)
        for (int64_t n = 1; n < 100; n = n < 40 ? n + 1 : n + 19) {
            const tw_cpu *cpu = variants[v];
            int64_t m = N / n / 3;
            const float *from = x + (n % 2 ? 100 : 0); /* with and without the NaN */
            cpu->max_inner[0](from, m, n, rows);
            cpu->argmax_inner[0](from, m, n, where);
            cpu->sum_outer[0](from, m, n, false, out);
            for (int64_t i = 0; i < m; i++) {
                int64_t best = 0;
                for (int64_t j = 1; j < n; j++)
                    if (!isnan(from[i * n + best]) && (isnan(from[i * n + j]) || from[i * n + j] > from[i * n + best]))
                        best = j;
                assert_int_equal(where[i], best);
                assert_true(same_numbers(&rows[i], &from[i * n + best], TW_DTYPE_F32, 1));
            }
            for (int64_t j = 0; j < n; j++) {
                expected[j] = 0;
                for (int64_t i = 0; i < m; i++) expected[j] += from[i * n + j];
            }
            assert_true(same_numbers(out, expected, TW_DTYPE_F32, n));
            cpu->sum_outer[0](from, m, n, true, out);
            cpu->cumsum_outer[0](from, m, n, rows);
            cpu->sum_outer[0](from, m, n, false, expected);
            assert_true(same_numbers(rows + (m - 1) * n, expected, TW_DTYPE_F32, n));
            for (int64_t j = 0; j < n; j++) assert_true(isnan(expected[j]) || out[j] == 2 * expected[j]);
            cpu->max_outer[0](from, m, n, out);
            for (int64_t j = 0; j < n; j++) {
                float most = -INFINITY;
                for (int64_t i = 0; i < m; i++)
                    if (!(most >= from[i * n + j])) most = isnan(most) ? most : from[i * n + j];
                assert_true(same_numbers(&out[j], &most, TW_DTYPE_F32, 1));
            }
        }
}

static void test_philox(void **state)
{
    (void)state;
    /* known answers of the Random123 library, Philox4x32-10 */
    static const uint32_t known[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1}};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        tw_philox_block block = tw_philox((tw_philox_block){{k[0], k[1], k[2], k[3]}}, k[4], k[5]);
        assert_memory_equal(block.word, k + 6, 16);
        for (int v = 0; v < count; v++) {
            uint32_t out[4];
            variants[v]->philox(k + 4, k + 2, k[1], (int64_t)k[0] * 4, 4, out);
            assert_memory_equal(out, k + 6, 16);
        }
    }
    enum { N = 1000 };
    const uint32_t key[2] = {11, 12}, counter[2] = {13, 14};
    static uint32_t all[N], some[N];
    for (uint32_t i = 0; i < N; i++) all[i] = tw_philox((tw_philox_block){{i / 4, 5, 13, 14}}, 11, 12).word[i % 4];
    for (int v = 0; v < count; v++)
        for (int64_t begin = 0; begin < 200; begin += 7)
            for (int64_t n = 0; n < N - 200; n = n * 2 + 1) {
                some[n] = 0xA5A5A5A5u;
                variants[v]->philox(key, counter, 5, begin, n, some);
                assert_memory_equal(some, all + begin, (size_t)n * 4);
                assert_true(some[n] == 0xA5A5A5A5u);
            }
}

static double normal_cdf(double z)
{
    return 0.5 * erfc(-z * M_SQRT1_2);
}

static void test_uniform(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    const uint32_t ends[] = {0, ~0u, 0x80000000u, 0x7FFFFFFFu};
    float f[4];
    double d[4];
    cpu->bits_to_uniform[0](f, ends, NULL, NULL, 4);
    cpu->bits_to_uniform[1](d, ends, NULL, NULL, 4);
    assert_true(f[0] > 0 && f[1] < 1 && f[0] == 0x1p-24f && 1 - f[1] == 0x1p-24f);
    assert_true(d[0] == 0x1p-33 && 1 - d[1] == 0x1p-33 && d[2] == 0.5 + 0x1p-33 && d[3] == 0.5 - 0x1p-33);
    /* chi-square of 256 cells over 2^20 draws: 255 degrees of freedom, 99.99 % below 352 */
    enum { N = 1 << 20 };
    static uint32_t bits[N];
    static float u[N];
    int cells[256] = {0};
    cpu->philox((uint32_t[]){1, 2}, (uint32_t[]){3, 4}, 5, 0, N, bits);
    cpu->bits_to_uniform[0](u, bits, NULL, NULL, N);
    for (int i = 0; i < N; i++) cells[(int)(u[i] * 256)]++;
    double chi = 0, each = N / 256.0;
    for (int i = 0; i < 256; i++) chi += (cells[i] - each) * (cells[i] - each) / each;
    assert_true(chi < 352);
}

/* Against the exact quantile of the documented cell: its distribution function is inverted by one Newton step from the
 * answer, whose own error is the second order of what is measured. */
static void test_normal_quantiles(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    double worst32 = 0, worst64 = 0;
    for (uint64_t at = 0; at < (uint64_t)1 << 31; at += at < 2000 || at > (1u << 31) - 2000u ? 1 : 9973) {
        uint32_t bits[2] = {(uint32_t)at, (uint32_t)at | 0x80000000u};
        float f[2];
        double d[2];
        cpu->bits_to_normal[0](f, bits, NULL, NULL, 2);
        cpu->bits_to_normal[1](d, bits, NULL, NULL, 2);
        assert_true(f[0] == -f[1] && d[0] == -d[1] && f[0] > 0 && d[0] > 0 && f[0] < 6.5f && d[0] < 6.5);
        long double center = ((long double)at + 0.5L) * 0x1p-32L, z = (long double)d[0];
        long double density = 0.398942280401432677939946L * expl(-0.5L * z * z);
        long double error = z < 1 ? 0.5L * erfl(z * 0.70710678118654752440L) - center
                                  : (0.5L - center) - 0.5L * erfcl(z * 0.70710678118654752440L);
        long double exact = z - error / density;
        worst64 = fmax(worst64, (double)fabsl(z / exact - 1));
        worst32 = fmax(worst32, (double)fabsl((long double)f[0] / exact - 1));
    }
    print_message("relative error of the normal quantile: f32 %.2e, f64 %.2e\n", worst32, worst64);
    assert_true(worst32 < 1e-6);
    assert_true(worst64 < 1e-11);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void test_normal_statistics(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    const tw_cpu *cpu = tw_cpu_best();
    static uint32_t bits[N];
    static double z[N];
    cpu->philox((uint32_t[]){6, 7}, (uint32_t[]){8, 9}, 10, 0, N, bits);
    cpu->bits_to_normal[1](z, bits, NULL, NULL, N);
    double moment[5] = {0};
    for (int i = 0; i < N; i++)
        for (int p = 1; p <= 4; p++) moment[p] += pow(z[i], p) / N;
    /* standard errors sqrt(1, 2, 15, 96)/sqrt(N); five of them are allowed */
    double unit = 5 / sqrt(N);
    assert_true(fabs(moment[1]) < unit && fabs(moment[2] - 1) < sqrt(2) * unit);
    assert_true(fabs(moment[3]) < sqrt(15) * unit && fabs(moment[4] - 3) < sqrt(96) * unit);
    qsort(z, N, sizeof *z, by_value);
    double distance = 0;
    for (int i = 0; i < N; i++) {
        double cdf = normal_cdf(z[i]);
        distance = fmax(distance, fmax(fabs(cdf - i / (double)N), fabs(cdf - (i + 1) / (double)N)));
    }
    assert_true(distance * sqrt(N) < 1.95); /* Kolmogorov: 0.1 % of samples exceed 1.95 */
}

static void test_copy(void **state)
{
    (void)state;
    tw_random random = {.seed = 12};
    static uint8_t src[40000], dst[40000], expected[40000];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (uint8_t)(i * 31 >> 3);
    for (int trial = 0; trial < 600; trial++) {
        static const size_t elements[] = {1, 2, 4, 8, 16};
        size_t element = elements[tw_random_below(&random, 5)];
        int rank = (int)tw_random_below(&random, 5), order[8] = {0, 1, 2, 3, 4, 5, 6, 7};
        int64_t dim[8], from[8], to[8], total = 1;
        for (int a = 0; a < rank; a++) {
            dim[a] = tw_random_below(&random, trial % 10 == 0 ? 40 : 7);
            if (total * (dim[a] ? dim[a] : 1) > 1500) dim[a] = 1;
            total *= dim[a] ? dim[a] : 1;
            int other = (int)tw_random_below(&random, a + 1), kept = order[a];
            order[a] = order[other], order[other] = kept;
        }
        int64_t stride = 1;
        for (int a = rank - 1; a >= 0; a--) to[a] = stride, stride *= dim[a] ? dim[a] : 1;
        stride = 1;
        for (int a = rank - 1; a >= 0; a--) { /* a permuted source; sometimes broadcast */
            from[order[a]] = stride;
            stride *= dim[order[a]] ? dim[order[a]] : 1;
        }
        if (rank > 0 && trial % 3 == 0) from[tw_random_below(&random, rank)] = 0;
        memset(dst, 0, sizeof dst);
        memset(expected, 0, sizeof expected);
        int64_t index[8] = {0}, items = 1;
        for (int a = 0; a < rank; a++) items *= dim[a];
        for (int64_t i = 0; i < items; i++) {
            int64_t rest = i, at_from = 0, at_to = 0;
            for (int a = rank - 1; a >= 0; a--) index[a] = rest % dim[a], rest /= dim[a];
            for (int a = 0; a < rank; a++) at_from += index[a] * from[a], at_to += index[a] * to[a];
            memcpy(expected + (size_t)at_to * element, src + (size_t)at_from * element, element);
        }
        tw_cpu_copy(element, rank, dim, src, from, dst, to);
        assert_memory_equal(dst, expected, sizeof dst);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_everywhere),
        cmocka_unit_test(test_lengths_and_offsets),
        cmocka_unit_test(test_plain_operations),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_rows_and_columns),
        cmocka_unit_test(test_philox),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_normal_quantiles),
        cmocka_unit_test(test_normal_statistics),
        cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
