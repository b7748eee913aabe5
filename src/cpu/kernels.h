/* cpu/kernels.h - the tables of kernels, one an instruction set, and what their product needs. */
#ifndef TW_CPU_KERNELS_H
#define TW_CPU_KERNELS_H

#include "cpu/cpu.h"

/* Bytes for packed panels of the two operands; together TW_GEMM_WORKSPACE. */
#define TW_PACK_B ((size_t)1048576)
#define TW_PACK_A (TW_GEMM_WORKSPACE - TW_PACK_B)

/* Where the next `lines` lines to fetch are; NULL when nothing is left. */
static inline const char *tw_ahead_take(tw_ahead *ahead, int64_t lines)
{
    if (ahead && ahead->count > 0) {
        int32_t last = ahead->count - 1;
        const char *at = ahead->range[last].at;
        ahead->range[last].at += lines * TW_LINE;
        ahead->range[last].bytes -= lines * TW_LINE;
        if (ahead->range[last].bytes <= 0) ahead->count--;
        return at;
    }
    return NULL;
}

extern const tw_cpu tw_cpu_generic;
#if defined(__x86_64__)
extern const tw_cpu tw_cpu_v3;
extern const tw_cpu tw_cpu_v4;
extern const tw_product tw_product_bf16; /* for AVX512_BF16 */
#endif

/* Every table this processor can run, best first; returns their number (at most 3). For tests and benchmarks. */
int tw_cpu_variants(const tw_cpu *out_variants[3]);

#endif
