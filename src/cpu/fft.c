/* cpu/fft.c - plans of Fourier transforms: factors, twiddles, the chirp of Bluestein's convolution. */
#include "cpu/fft.h"

#include <math.h>
#include <string.h>

static const int radices[] = {16, 8, 4, 2, 3, 5, 7, 11, 13};

/* e^(-2 pi i k/n): the angle is brought into the first eighth in whole numbers, so that both parts are right to the
 * last digit. */
static void unit_root(int64_t k, int64_t n, double *out_re, double *out_im)
{
    k %= n;
    int64_t eighth = 8 * k / n, rest = eighth % 2 ? (eighth + 1) * n - 8 * k : 8 * k - eighth * n;
    double angle = 0.78539816339744830962 * (double)rest / (double)n, c = cos(angle), s = sin(angle);
    bool swap = eighth == 1 || eighth == 2 || eighth == 5 || eighth == 6;
    double re = swap ? s : c, im = swap ? c : s;
    *out_re = eighth >= 2 && eighth <= 5 ? -re : re;
    *out_im = eighth >= 4 ? im : -im;
}

/* Factors of n in the order of the passes; 0 when another prime remains. */
static int factor(int64_t n, int32_t *out_radix)
{
    int count = 0;
    for (int i = 0; i < TW_COUNT(radices); i++)
        for (; n % radices[i] == 0; n /= radices[i]) out_radix[count++] = radices[i];
    return n == 1 ? count : 0;
}

static bool is_smooth(int64_t n)
{
    for (int i = 3; i <= 5; i++) /* 2, 3, 5 */
        while (n % radices[i] == 0) n /= radices[i];
    return n == 1;
}

/* The least length of factors 2, 3 and 5 that holds a cyclic convolution of n points. */
static int64_t convolution_length(int64_t n)
{
    int64_t m = 2 * n - 1;
    while (!is_smooth(m)) m++;
    return m;
}

static bool needs_convolution(int64_t length)
{
    int32_t radix[TW_FFT_PASSES];
    return length > 1 && factor(length, radix) == 0;
}

static int64_t complex_length(int64_t n, bool real)
{
    return real && n % 2 == 0 ? n / 2 : n;
}

/* (radix - 1) factors for each point of the sub-transforms of each pass */
static int64_t twiddle_bytes(const tw_fft_plan *plan, int64_t element)
{
    int64_t left = plan->length, bytes = 0;
    for (int p = 0; p < plan->passes; p++) {
        left /= plan->radix[p];
        bytes += left * (plan->radix[p] - 1) * 2 * element;
    }
    return tw_aligned(bytes);
}

/* Sizes and offsets; nothing is written beyond the plan itself. */
static tw_fft_plan lay_out(int64_t length, bool halves, int64_t element)
{
    tw_fft_plan plan = {.length = length};
    int64_t at = tw_aligned(sizeof plan);
    if (needs_convolution(length)) {
        int64_t m = convolution_length(length);
        plan.chirp = at;
        plan.kernel = plan.chirp + tw_aligned(length * 2 * element);
        plan.inner = plan.kernel + tw_aligned(m * 2 * element);
        at = plan.inner + lay_out(m, false, element).bytes;
    } else {
        plan.passes = factor(length, plan.radix);
        plan.twiddle[0] = at;
        at += twiddle_bytes(&plan, element);
    }
    if (halves) {
        plan.halves = at;
        at += tw_aligned((length + 1) * 2 * element);
    }
    plan.bytes = at;
    return plan;
}

size_t tw_fft_plan_bytes(int64_t n, bool real, tw_dtype dtype)
{
    return (size_t)lay_out(complex_length(n, real), real && n % 2 == 0, (int64_t)tw_dtype_size(dtype)).bytes;
}

size_t tw_fft_work_bytes(int64_t n, bool real)
{
    int64_t length = complex_length(n, real);
    return needs_convolution(length) ? (size_t)convolution_length(length) * 4 * sizeof(double) : sizeof(double);
}

size_t tw_fft_scratch_bytes(int64_t n, bool real, tw_dtype dtype)
{
    int64_t length = complex_length(n, real), most = needs_convolution(length) ? convolution_length(length) : length;
    return (size_t)(most + 1) * 4 * TW_FFT_LANES * tw_dtype_size(dtype);
}

static void store(void *plan, int64_t offset, int64_t element, int64_t i, double re, double im)
{
    double wide[2] = {re, im};
    float narrow[2] = {(float)re, (float)im};
    memcpy((char *)plan + offset + 2 * element * i, element == 8 ? (const void *)wide : narrow, (size_t)(2 * element));
}

/* w_l^(j s) of the points j of a pass and s = 1 .. radix - 1 */
static void make_twiddles(tw_fft_plan *plan, int64_t element)
{
    int64_t left = plan->length, at = plan->twiddle[0];
    for (int p = 0; p < plan->passes; p++) {
        int64_t whole = left, i = 0;
        left /= plan->radix[p];
        plan->twiddle[p] = at;
        for (int64_t j = 0; j < left; j++)
            for (int s = 1; s < plan->radix[p]; s++) {
                double re, im;
                unit_root(j * s, whole, &re, &im);
                store(plan, at, element, i++, re, im);
            }
        at += i * 2 * element;
    }
}

/* One transform in double, plainly: the passes of cpu/fft.inc with sums over all terms of a butterfly. */
static double *plain_transform(const tw_fft_plan *plan, double *x, double *y)
{
    int64_t left = plan->length, m = 1;
    for (int p = 0; p < plan->passes; p++) {
        int64_t r = plan->radix[p], whole = left;
        left /= r;
        for (int64_t j = 0; j < left; j++)
            for (int64_t s = 0; s < r; s++)
                for (int64_t k = 0; k < m; k++) {
                    double re = 0.0, im = 0.0, a, b;
                    for (int64_t t = 0; t < r; t++) {
                        const double *z = x + 2 * ((j + left * t) * m + k);
                        unit_root(t * s * left + j * s, whole, &a, &b);
                        re += a * z[0] - b * z[1];
                        im += a * z[1] + b * z[0];
                    }
                    y[2 * ((r * j + s) * m + k)] = re;
                    y[2 * ((r * j + s) * m + k) + 1] = im;
                }
        m *= r;
        double *turn = x;
        x = y;
        y = turn;
    }
    return x;
}

static void make_convolution(tw_fft_plan *plan, int64_t element, double *work)
{
    int64_t n = plan->length, m = convolution_length(n);
    tw_fft_plan *inner = (tw_fft_plan *)(void *)((char *)plan + plan->inner);
    *inner = lay_out(m, false, element);
    make_twiddles(inner, element);
    memset(work, 0, (size_t)m * 2 * sizeof *work);
    for (int64_t j = 0; j < n; j++) {
        double re, im;
        unit_root(j * j % (2 * n), 2 * n, &re, &im);
        store(plan, plan->chirp, element, j, re, im);
        for (int side = 0; side < 2; side++) {
            int64_t at = side == 0 ? j : (m - j) % m;
            work[2 * at] = re;
            work[2 * at + 1] = -im;
        }
    }
    const double *made = plain_transform(inner, work, work + 2 * m);
    for (int64_t k = 0; k < m; k++)
        store(plan, plan->kernel, element, k, made[2 * k] / (double)m, made[2 * k + 1] / (double)m);
}

void tw_fft_plan_make(int64_t n, bool real, tw_dtype dtype, void *memory, void *work)
{
    tw_fft_plan *plan = memory;
    int64_t element = (int64_t)tw_dtype_size(dtype);
    *plan = lay_out(complex_length(n, real), real && n % 2 == 0, element);
    if (plan->inner)
        make_convolution(plan, element, work);
    else
        make_twiddles(plan, element);
    for (int64_t k = 0; plan->halves && k <= plan->length; k++) {
        double re, im;
        unit_root(k, n, &re, &im);
        store(plan, plan->halves, element, k, re, im);
    }
}
