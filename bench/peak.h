/* bench/peak.h - what one thread could do at most: f32 multiply-adds in registers. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "base/file.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__x86_64__)
/* Twelve chains of fused multiply-adds on 256-bit vectors: enough to fill two units of latency up to 6. */
__attribute__((target("avx2,fma"))) static double fma_burst(int rounds)
{
    __m256 sum[12];
    __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(1e-3f);
    for (int i = 0; i < 12; i++) sum[i] = _mm256_set1_ps((float)i);
    double begin = tw_clock();
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < 12; i++) sum[i] = _mm256_fmadd_ps(sum[i], x, y);
    double seconds = tw_clock() - begin;
    for (int i = 1; i < 12; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    volatile float sink = _mm256_cvtss_f32(sum[0]); /* or the loop would go */
    (void)sink;
    return rounds * 12.0 * 16 / seconds * 1e-9;
}
#endif

/* GFLOP/s of f32 multiply-adds on one thread, the best of many bursts; 1 where it cannot be measured. */
static inline double measured_peak(void)
{
    double best = 0;
#if defined(__x86_64__)
    for (int r = 0; r < 200 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); r++) {
        double rate = fma_burst(20000);
        if (rate > best) best = rate;
    }
#endif
    return best > 0 ? best : 1;
}

#endif
