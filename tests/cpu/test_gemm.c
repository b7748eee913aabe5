/* Matrix products against a plain triple loop in long double: every flag, awkward shapes, leading dimensions, NaN in C;
 * the same bits for every instruction set and for a row wherever the rows are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct problem {
    bool ta, tb, accumulate;
    int64_t m, n, k, lda, ldb, ldc, size_a, size_b, size_c;
} problem;

static problem problem_of(bool ta, bool tb, bool accumulate, int64_t m, int64_t n, int64_t k, int64_t pad)
{
    problem p = {.ta = ta, .tb = tb, .accumulate = accumulate, .m = m, .n = n, .k = k};
    p.lda = (ta ? m : k) + pad;
    p.ldb = (tb ? k : n) + 2 * pad;
    p.ldc = n + 3 * pad;
    p.size_a = (ta ? k : m) * p.lda + 1;
    p.size_b = (tb ? n : k) * p.ldb + 1;
    p.size_c = m * p.ldc + 1;
    return p;
}

static void *workspace(void)
{
    void *block = aligned_alloc(64, TW_GEMM_WORKSPACE);
    assert_non_null(block);
    memset(block, 0xFF, TW_GEMM_WORKSPACE); /* NaN: what a product does not write it must not read */
    return block;
}

static double element_a(const problem *p, const double *a, int64_t i, int64_t q)
{
    return p->ta ? a[q * p->lda + i] : a[i * p->lda + q];
}
static double element_b(const problem *p, const double *b, int64_t q, int64_t j)
{
    return p->tb ? b[j * p->ldb + q] : b[q * p->ldb + j];
}

/* The exact product and, for the error bound, the sum of the magnitudes. */
static void exact_element(const problem *p, const double *a, const double *b, double before, int64_t i, int64_t j,
                          long double *out_value, long double *out_size)
{
    long double sum = p->accumulate ? (long double)before : 0, size = fabsl(sum);
    for (int64_t q = 0; q < p->k; q++) {
        long double product = (long double)element_a(p, a, i, q) * (long double)element_b(p, b, q, j);
        sum += product;
        size += fabsl(product);
    }
    *out_value = sum;
    *out_size = size;
}

typedef struct data {
    double *a, *b, *c;
    float *fa, *fb, *fc;
} data;

static data data_of(const problem *p, tw_random *random)
{
    data d = {.a = malloc((size_t)p->size_a * 8),
              .b = malloc((size_t)p->size_b * 8),
              .c = malloc((size_t)p->size_c * 8),
              .fa = malloc((size_t)p->size_a * 4),
              .fb = malloc((size_t)p->size_b * 4),
              .fc = malloc((size_t)p->size_c * 4)};
    for (int64_t i = 0; i < p->size_a; i++) d.fa[i] = (float)tw_random_normal(random), d.a[i] = (double)d.fa[i];
    for (int64_t i = 0; i < p->size_b; i++) d.fb[i] = (float)tw_random_normal(random), d.b[i] = (double)d.fb[i];
    for (int64_t i = 0; i < p->size_c; i++) {
        d.fc[i] = p->accumulate ? (float)tw_random_normal(random) : NAN; /* not read unless accumulating */
        d.c[i] = (double)d.fc[i];
    }
    return d;
}

static void data_free(data *d)
{
    free(d->a), free(d->b), free(d->c), free(d->fa), free(d->fb), free(d->fc);
}

static void run_product(const tw_product *product, const problem *p, const void *a, const void *b, const void *packed,
                        void *c, void *scratch)
{
    product->run(p->ta, p->tb, p->m, p->n, p->k, a, p->lda, b, p->ldb, packed, p->accumulate, c, p->ldc, scratch, NULL);
}

/* A chain of k roundings: |error| <= (k+2) eps sum |a b| is certain; the lanes of every kernel only shorten the chain.
 */
static void check_problem(const tw_cpu *cpu, const tw_gemm *gemm, const problem *p, tw_random *random, void *scratch)
{
    data d = data_of(p, random);
    float *f = malloc((size_t)p->size_c * 4);
    double *g = malloc((size_t)p->size_c * 8);
    memcpy(f, d.fc, (size_t)p->size_c * 4);
    memcpy(g, d.c, (size_t)p->size_c * 8);
    if (gemm) {
        gemm->f32(p->ta, p->tb, p->m, p->n, p->k, d.fa, p->lda, d.fb, p->ldb, p->accumulate, f, p->ldc, scratch);
        gemm->f64(p->ta, p->tb, p->m, p->n, p->k, d.a, p->lda, d.b, p->ldb, p->accumulate, g, p->ldc, scratch);
    } else {
        run_product(cpu->product[TW_PRODUCT_F32], p, d.fa, d.fb, NULL, f, scratch);
        run_product(cpu->product[TW_PRODUCT_F64], p, d.a, d.b, NULL, g, scratch);
    }
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->ldc; j++) {
            int64_t at = i * p->ldc + j;
            if (j >= p->n) { /* between the rows nothing is written */
                assert_memory_equal(&f[at], &d.fc[at], 4);
                assert_memory_equal(&g[at], &d.c[at], 8);
                continue;
            }
            long double exact, size;
            exact_element(p, d.a, d.b, d.c[at], i, j, &exact, &size);
            long double steps = (long double)p->k + 2;
            if (!(fabsl((long double)f[at] - exact) <= steps * 0x1p-24L * size) ||
                !(fabsl((long double)g[at] - exact) <= steps * 0x1p-53L * size))
                fail_msg("ta %d tb %d acc %d m %d n %d k %d at (%d,%d): %g and %g, not %Lg", p->ta, p->tb,
                         p->accumulate, (int)p->m, (int)p->n, (int)p->k, (int)i, (int)j, (double)f[at], g[at], exact);
        }
    free(f), free(g), data_free(&d);
}

static void check_flags(const tw_cpu *cpu, const tw_gemm *gemm, int64_t m, int64_t n, int64_t k, int64_t pad,
                        tw_random *random, void *scratch)
{
    for (int flags = 0; flags < 8; flags++) {
        problem p = problem_of(flags & 1, flags >> 1 & 1, flags >> 2, m, n, k, pad);
        check_problem(cpu, gemm, &p, random, scratch);
    }
}

static void test_shapes(void **state)
{
    (void)state;
    static const int64_t sides[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 49};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random random = {.seed = 3};
    void *scratch = workspace();
    for (int v = 0; v < count; v++)
        for (int i = 0; i < TW_COUNT(sides); i++)
            for (int j = 0; j < TW_COUNT(sides); j++) {
                int64_t k = sides[(i * 5 + j * 3) % TW_COUNT(sides)];
                check_flags(variants[v], NULL, sides[i], sides[j], k, (i + j) % 3, &random, scratch);
            }
    free(scratch);
}

/* Across the borders of blocks: k beyond 384, n beyond the packed columns, m beyond the packed rows. */
static void test_blocks(void **state)
{
    (void)state;
    const tw_cpu *cpu = tw_cpu_best();
    tw_random random = {.seed = 4};
    void *scratch = workspace();
    check_flags(cpu, NULL, 9, 17, 0, 1, &random, scratch);
    check_flags(cpu, NULL, 11, 20, 801, 1, &random, scratch);
    check_flags(cpu, NULL, 2, 150, 801, 0, &random, scratch);
    check_flags(cpu, NULL, 150, 3, 801, 1, &random, scratch);
    check_flags(cpu, NULL, 1, 70, 390, 0, &random, scratch);
    check_flags(cpu, NULL, 10, 530, 40, 0, &random, scratch);
    check_flags(cpu, NULL, 300, 20, 40, 1, &random, scratch);
    check_flags(cpu, NULL, 150, 530, 400, 0, &random, scratch);
    check_flags(cpu, NULL, 2, 3, 60000, 0, &random, scratch); /* too deep for the copy of a narrow operand */
    free(scratch);
}

static void test_chosen_product(void **state)
{
    (void)state;
    const tw_gemm *gemm = tw_gemm_best();
    gemm->enter_thread();
    tw_random random = {.seed = 5};
    void *scratch = aligned_alloc(64, (gemm->workspace + 63) / 64 * 64);
    print_message("%s\n", gemm->name);
    check_flags(NULL, gemm, 40, 24, 36, 0, &random, scratch);
    check_flags(NULL, gemm, 40, 24, 36, 3, &random, scratch);
    check_flags(NULL, gemm, 129, 65, 100, 1, &random, scratch);
    check_flags(NULL, gemm, 128, 64, 256, 0, &random, scratch);
    check_flags(NULL, gemm, 100, 2, 64, 0, &random, scratch);
    check_flags(NULL, gemm, 64, 64, 2, 0, &random, scratch);
    check_flags(NULL, gemm, 33, 300, 300, 0, &random, scratch);
    check_flags(NULL, gemm, 20, 30, 0, 0, &random, scratch);
    free(scratch);
}

/* The same bits on every instruction set, and in a row that is computed with fewer neighbours. */
static void test_bits(void **state)
{
    (void)state;
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random random = {.seed = 6};
    void *scratch = workspace();
    static const int64_t shapes[][3] = {{40, 33, 70}, {70, 2, 100}, {5, 64, 33},  {1, 90, 33},
                                        {3, 90, 450}, {64, 7, 50},  {30, 40, 500}};
    for (int s = 0; s < TW_COUNT(shapes); s++)
        for (int flags = 0; flags < 8; flags++) {
            problem p = problem_of(flags & 1, flags >> 1 & 1, flags >> 2, shapes[s][0], shapes[s][1], shapes[s][2], 1);
            data d = data_of(&p, &random);
            size_t size32 = (size_t)p.size_c * 4, size64 = (size_t)p.size_c * 8;
            float *first32 = malloc(size32), *other32 = malloc(size32);
            double *first64 = malloc(size64), *other64 = malloc(size64);
            for (int v = 0; v < count; v++) {
                float *to32 = v ? other32 : first32;
                double *to64 = v ? other64 : first64;
                memcpy(to32, d.fc, size32);
                memcpy(to64, d.c, size64);
                run_product(variants[v]->product[TW_PRODUCT_F32], &p, d.fa, d.fb, NULL, to32, scratch);
                run_product(variants[v]->product[TW_PRODUCT_F64], &p, d.a, d.b, NULL, to64, scratch);
                assert_memory_equal(to32, first32, size32);
                assert_memory_equal(to64, first64, size64);
            }
            if (p.m > 20) { /* rows 9..m-1 alone (still more than the few-rows kernels take) */
                memcpy(other32, d.fc, size32);
                problem rest = p;
                rest.m -= 9;
                run_product(variants[0]->product[TW_PRODUCT_F32], &rest, d.fa + (p.ta ? 9 : 9 * p.lda), d.fb, NULL,
                            other32 + 9 * p.ldc, scratch);
                assert_memory_equal(other32 + 9 * p.ldc, first32 + 9 * p.ldc, (size_t)((p.m - 9) * p.ldc) * 4);
            }
            free(first32), free(other32), free(first64), free(other64), data_free(&d);
        }
    free(scratch);
}

/* What `pack` made beforehand gives the bits of a product that packs for itself; it fits the bytes asked for. */
static void test_packed_before(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 9, 1},   {3, 33, 40},  {8, 64, 600},  {15, 70, 31},
                                        {40, 31, 9}, {150, 65, 7}, {64, 90, 1030}};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random random = {.seed = 8};
    void *scratch = workspace();
    for (int v = 0; v <= count; v++)
        for (int kind = 0; kind < TW_PRODUCTS; kind++)
            for (int s = 0; s < TW_COUNT(shapes) * 8; s++) {
                const int64_t *shape = shapes[s / 8];
                const tw_product *product =
                    v < count ? variants[v]->product[kind] : tw_cpu_product((tw_product_kind)kind);
                problem p = problem_of(s & 1, s >> 1 & 1, s >> 2 & 1, shape[0], shape[1], shape[2], s % 3);
                data d = data_of(&p, &random);
                bool wide = kind == TW_PRODUCT_F64;
                size_t size = (size_t)p.size_c * (wide ? 8 : 4), bytes = product->packed_bytes(p.n, p.k);
                const void *a = wide ? (void *)d.a : d.fa, *b = wide ? (void *)d.b : d.fb;
                void *alone = malloc(size), *before = malloc(size), *packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
                assert_true(bytes > 0);
                memset(packed, 0xFF, bytes);
                memcpy(alone, wide ? (void *)d.c : d.fc, size);
                memcpy(before, alone, size);
                product->pack(p.tb, p.n, p.k, b, p.ldb, packed, 0, p.tb ? p.n : p.k);
                run_product(product, &p, a, b, NULL, alone, scratch);
                run_product(product, &p, a, b, packed, before, scratch);
                assert_memory_equal(alone, before, size);
                /* in pieces of rows as they are stored; fetching other memory meanwhile */
                memset(packed, 0xFF, bytes);
                for (int64_t j = 0; j < (p.tb ? p.n : p.k); j += TW_PACK_ROWS)
                    product->pack(p.tb, p.n, p.k, b, p.ldb, packed, j, j + TW_PACK_ROWS);
                memcpy(before, wide ? (void *)d.c : d.fc, size);
                tw_ahead ahead = {.count = 2, .range = {{(char *)d.a, p.size_a * 8}, {(char *)d.b, p.size_b * 8}}};
                product->run(p.ta, p.tb, p.m, p.n, p.k, a, p.lda, b, p.ldb, packed, p.accumulate, before, p.ldc,
                             scratch, &ahead);
                assert_memory_equal(alone, before, size);
                free(alone), free(before), free(packed), data_free(&d);
            }
    free(scratch);
}

/* To 8 significant bits, ties to even, by the C library's rounding. */
static double to_bf16(double x)
{
    int exponent;
    double fraction = frexp(x, &exponent);
    return ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

/* bf16: the exact product of rounded operands, up to a chain of k roundings in f32. */
static void test_bf16(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},    {5, 2, 33},  {33, 2, 70},   {2, 40, 33},   {70, 4, 9000},
                                        {9000, 3, 3}, {30, 5, 64}, {17, 33, 129}, {150, 70, 801}};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random random = {.seed = 9};
    void *scratch = workspace();
    print_message("%s\n", tw_cpu_product(TW_PRODUCT_BF16)->name);
    for (int v = 0; v <= count; v++)
        for (int s = 0; s < TW_COUNT(shapes) * 8; s++) {
            const int64_t *shape = shapes[s / 8];
            const tw_product *product =
                v < count ? variants[v]->product[TW_PRODUCT_BF16] : tw_cpu_product(TW_PRODUCT_BF16);
            problem p = problem_of(s & 1, s >> 1 & 1, s >> 2 & 1, shape[0], shape[1], shape[2], s % 2);
            data d = data_of(&p, &random);
            float *c = malloc((size_t)p.size_c * 4);
            memcpy(c, d.fc, (size_t)p.size_c * 4);
            run_product(product, &p, d.fa, d.fb, NULL, c, scratch);
            for (int64_t i = 0; i < p.size_a; i++) d.a[i] = to_bf16((double)d.fa[i]);
            for (int64_t i = 0; i < p.size_b; i++) d.b[i] = to_bf16((double)d.fb[i]);
            for (int64_t at = 0; at < p.m * p.n; at++) {
                long double exact, size;
                int64_t i = at / p.n, j = at % p.n;
                exact_element(&p, d.a, d.b, (double)d.fc[i * p.ldc + j], i, j, &exact, &size);
                if (!(fabsl((long double)c[i * p.ldc + j] - exact) <= ((long double)p.k + 2) * 0x1p-24L * size))
                    fail_msg("%s ta %d tb %d m %d n %d k %d at (%d,%d): %g, not %Lg", product->name, p.ta, p.tb,
                             (int)p.m, (int)p.n, (int)p.k, (int)i, (int)j, (double)c[i * p.ldc + j], exact);
            }
            free(c), data_free(&d);
        }
    free(scratch);
}

/* tw_gemm_rowwise: the last rows alone, however few, have the bits they have among 30. */
static void test_rows_alone(void **state)
{
    (void)state;
    static const int64_t few[] = {1, 2, 3, 4, 5, 7, 8, 9, 15}, columns[] = {1, 2, 4, 5, 8, 9, 16, 40, 70},
                         inner[] = {1, 9, 100, 500};
    const tw_gemm *gemm = tw_gemm_rowwise();
    tw_random random = {.seed = 11};
    void *scratch = workspace();
    for (int s = 0; s < TW_COUNT(columns) * TW_COUNT(inner) * 8; s++) {
        int flags = s % 8;
        problem p = problem_of(flags & 1, flags >> 1 & 1, flags >> 2, 30, columns[s / 8 % TW_COUNT(columns)],
                               inner[s / 8 / TW_COUNT(columns)], 1);
        data d = data_of(&p, &random);
        size_t size = (size_t)p.size_c * 4;
        float *all = malloc(size), *some = malloc(size);
        memcpy(all, d.fc, size);
        gemm->f32(p.ta, p.tb, p.m, p.n, p.k, d.fa, p.lda, d.fb, p.ldb, p.accumulate, all, p.ldc, scratch);
        for (int i = 0; i < TW_COUNT(few); i++) {
            int64_t first = p.m - few[i];
            memcpy(some, d.fc, size);
            gemm->f32(p.ta, p.tb, few[i], p.n, p.k, d.fa + (p.ta ? first : first * p.lda), p.lda, d.fb, p.ldb,
                      p.accumulate, some + first * p.ldc, p.ldc, scratch);
            assert_memory_equal(some + first * p.ldc, all + first * p.ldc, (size_t)(few[i] * p.ldc) * 4);
        }
        free(all), free(some), data_free(&d);
    }
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_blocks),     cmocka_unit_test(test_chosen_product),
        cmocka_unit_test(test_bits),   cmocka_unit_test(test_rows_alone), cmocka_unit_test(test_packed_before),
        cmocka_unit_test(test_bf16)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
