/* Fourier kernels against the sums as defined (in long double), for every length up to 70 and some beyond; Parseval and
 * there-and-back for long ones; lines are the same bits wherever they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct array {
    tw_dtype dtype;
    void *data;
} array;

static array new_array(tw_dtype dtype, int64_t size)
{
    array a = {dtype, calloc((size_t)size + 1, tw_dtype_size(dtype))};
    assert_non_null(a.data);
    return a;
}

static double get(array a, int64_t i)
{
    return a.dtype == TW_DTYPE_F32 ? (double)((float *)a.data)[i] : ((double *)a.data)[i];
}

static void set(array a, int64_t i, double x)
{
    if (a.dtype == TW_DTYPE_F32)
        ((float *)a.data)[i] = (float)x;
    else
        ((double *)a.data)[i] = x;
}

static array random_values(tw_dtype dtype, int64_t size, uint64_t seed)
{
    array a = new_array(dtype, size);
    tw_random r = {.seed = seed};
    for (int64_t i = 0; i < size; i++) set(a, i, tw_random_normal(&r));
    return a;
}

static array transform(const tw_cpu *cpu, tw_fft_kind kind, bool inverse, int64_t outer, int64_t n, int64_t inner,
                       double scale, array src)
{
    bool real = kind != TW_FFT_COMPLEX;
    int64_t points = kind == TW_FFT_TO_REAL ? n : kind == TW_FFT_REAL ? 2 * (n / 2 + 1) : 2 * n;
    array dst = new_array(src.dtype, outer * points * inner);
    size_t bytes = (tw_fft_plan_bytes(n, real, src.dtype) + 63) / 64 * 64;
    void *plan = aligned_alloc(64, bytes), *work = malloc(tw_fft_work_bytes(n, real));
    void *scratch = aligned_alloc(64, tw_fft_scratch_bytes(n, real, src.dtype));
    assert_true(plan && work && scratch);
    memset(scratch, 0xff, tw_fft_scratch_bytes(n, real, src.dtype));
    tw_fft_plan_make(n, real, src.dtype, plan, work);
    cpu->fft[src.dtype](&(tw_fft_job){.plan = plan,
                                      .kind = kind,
                                      .inverse = inverse,
                                      .outer = outer,
                                      .n = n,
                                      .inner = inner,
                                      .scale = scale,
                                      .src = src.data,
                                      .dst = dst.data,
                                      .scratch = scratch});
    free(plan);
    free(work);
    free(scratch);
    return dst;
}

/* sum over a line of n complex points (or real ones), at point k */
static void naive(array x, bool real, double sign, int64_t first, int64_t step, int64_t n, int64_t k, double out[2])
{
    long double re = 0, im = 0;
    for (int64_t j = 0; j < n; j++) {
        long double angle =
            (long double)sign * 6.283185307179586476925286766559L * (long double)(j * k % n) / (long double)n;
        int64_t at = (first + j * step) * (real ? 1 : 2);
        long double a = (long double)get(x, at), b = real ? 0 : (long double)get(x, at + 1);
        re += a * cosl(angle) - b * sinl(angle);
        im += a * sinl(angle) + b * cosl(angle);
    }
    out[0] = (double)re;
    out[1] = (double)im;
}

/* Errors grow with sqrt(n) at most (Bluestein's somewhat more); values are of size sqrt(n). */
static void check_length(const tw_cpu *cpu, tw_dtype dtype, int64_t outer, int64_t n, int64_t inner)
{
    double unit = dtype == TW_DTYPE_F32 ? 0x1p-24 : 0x1p-53, worst = 0.0, limit = 24.0 * unit * sqrt((double)n);
    int64_t half = n / 2 + 1;
    array z = random_values(dtype, outer * n * inner * 2, 1), x = random_values(dtype, outer * n * inner, 2);
    array forward = transform(cpu, TW_FFT_COMPLEX, false, outer, n, inner, 1.0, z);
    array inverse = transform(cpu, TW_FFT_COMPLEX, true, outer, n, inner, 0.5, z);
    array spectrum = transform(cpu, TW_FFT_REAL, false, outer, n, inner, 1.0, x);
    array back = transform(cpu, TW_FFT_TO_REAL, true, outer, n, inner, 1.0 / (double)n, spectrum);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++)
            for (int64_t k = 0; k < n; k++) {
                double exact[2];
                int64_t first = o * n * inner + i, at = 2 * (first + k * inner);
                naive(z, false, -1.0, first, inner, n, k, exact);
                for (int c = 0; c < 2; c++) worst = fmax(worst, fabs(get(forward, at + c) - exact[c]));
                naive(z, false, 1.0, first, inner, n, k, exact);
                for (int c = 0; c < 2; c++) worst = fmax(worst, fabs(get(inverse, at + c) - 0.5 * exact[c]));
                worst = fmax(worst, fabs(get(back, first + k * inner) - get(x, first + k * inner)));
                if (k >= half) continue;
                naive(x, true, -1.0, first, inner, n, k, exact);
                at = 2 * ((o * half + k) * inner + i);
                for (int c = 0; c < 2; c++) worst = fmax(worst, fabs(get(spectrum, at + c) - exact[c]));
            }
    if (!(worst <= limit))
        fail_msg("%s, n %lld, inner %lld: error %.3g, more than %.3g", cpu->name, (long long)n, (long long)inner, worst,
                 limit);
    free(z.data), free(x.data), free(forward.data), free(inverse.data), free(spectrum.data), free(back.data);
}

static void lengths(void **state)
{
    (void)state;
    static const int64_t more[] = {77, 97, 100, 101, 121, 128, 143, 169, 211, 243, 256, 360};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    for (int v = 0; v < count; v++)
        for (int dtype = 0; dtype < 2; dtype++) {
            for (int64_t n = 1; n <= 70; n++) check_length(variants[v], (tw_dtype)dtype, 3, n, n % 3 == 0 ? 5 : 1);
            for (int i = 0; i < TW_COUNT(more); i++) check_length(variants[v], (tw_dtype)dtype, 1, more[i], 2);
        }
}

/* More lines than lanes, side by side and one behind another, a rest of each. */
static void layouts(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{37, 12, 1}, {2, 12, 37}, {5, 9, 16}, {4, 15, 7},
                                        {1, 8, 64},  {40, 1, 1},  {3, 2, 20}};
    const tw_cpu *cpu = tw_cpu_best();
    for (int i = 0; i < TW_COUNT(shapes); i++)
        for (int dtype = 0; dtype < 2; dtype++)
            check_length(cpu, (tw_dtype)dtype, shapes[i][0], shapes[i][1], shapes[i][2]);
}

/* Every line of a batch is the same bits alone, on any instruction set. */
static void lines_do_not_mix(void **state)
{
    (void)state;
    enum { LINES = 21 };
    static const int64_t sizes[] = {16, 30, 31, 49, 64};
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    for (int s = 0; s < TW_COUNT(sizes); s++)
        for (int dtype = 0; dtype < 2; dtype++) {
            int64_t n = sizes[s];
            size_t bytes = (size_t)(2 * n) * tw_dtype_size((tw_dtype)dtype);
            array z = random_values((tw_dtype)dtype, LINES * n * 2, 3);
            array all = transform(variants[0], TW_FFT_COMPLEX, false, LINES, n, 1, 1.0, z);
            for (int v = 0; v < count; v++)
                for (int line = 0; line < LINES; line += 7) {
                    array own = {(tw_dtype)dtype, (char *)z.data + (size_t)line * bytes};
                    array one = transform(variants[v], TW_FFT_COMPLEX, false, 1, n, 1, 1.0, own);
                    assert_memory_equal(one.data, (char *)all.data + (size_t)line * bytes, bytes);
                    free(one.data);
                }
            free(z.data), free(all.data);
        }
}

/* A NaN does not make the coefficients complex that are real. */
static void real_ends(void **state)
{
    (void)state;
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    for (int v = 0; v < count; v++)
        for (int64_t n = 1; n <= 40; n++)
            for (int64_t at = 0; at < n; at++) {
                array x = random_values(TW_DTYPE_F64, n, 4);
                set(x, at, (double)NAN);
                array made = transform(variants[v], TW_FFT_REAL, false, 1, n, 1, 0.5, x);
                assert_true(isnan(get(made, 0)) && get(made, 1) == 0.0);
                if (n % 2 == 0) assert_true(isnan(get(made, n)) && get(made, n + 1) == 0.0);
                free(x.data), free(made.data);
            }
}

/* sum |z|^2 = sum |Z|^2 / n, and back again */
static void long_lines(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1024, 1009, 3000, 4096, 10007, 65536, 30030};
    for (int s = 0; s < TW_COUNT(sizes); s++)
        for (int dtype = 0; dtype < 2; dtype++) {
            int64_t n = sizes[s];
            double tolerance = dtype ? 1e-14 : 3e-6, worst = 0.0;
            long double before = 0.0L, after = 0.0L; /* sums of many squares */
            array z = random_values((tw_dtype)dtype, 2 * n, 4);
            array there = transform(tw_cpu_best(), TW_FFT_COMPLEX, false, 1, n, 1, 1.0, z);
            array back = transform(tw_cpu_best(), TW_FFT_COMPLEX, true, 1, n, 1, 1.0 / (double)n, there);
            for (int64_t i = 0; i < 2 * n; i++) {
                before += (long double)get(z, i) * (long double)get(z, i);
                after += (long double)get(there, i) * (long double)get(there, i);
                worst = fmax(worst, fabs(get(z, i) - get(back, i)));
            }
            assert_true(fabsl(after / (long double)n - before) <= (long double)tolerance * before);
            if (!(worst <= 4.0 * tolerance)) fail_msg("n %lld: %.3g", (long long)n, worst);
            free(z.data), free(there.data), free(back.data);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths),   cmocka_unit_test(layouts),    cmocka_unit_test(lines_do_not_mix),
        cmocka_unit_test(real_ends), cmocka_unit_test(long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
