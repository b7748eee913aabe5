/* cpu/kernels.h - the tables of kernels, one an instruction set, and what their product needs. */
#ifndef TW_CPU_KERNELS_H
#define TW_CPU_KERNELS_H

#include "cpu/cpu.h"

/* Bytes for packed panels of the two operands; together TW_GEMM_WORKSPACE. */
#define TW_PACK_B ((size_t)1048576)
#define TW_PACK_A (TW_GEMM_WORKSPACE - TW_PACK_B)

extern const tw_cpu tw_cpu_generic;
#if defined(__x86_64__)
extern const tw_cpu tw_cpu_v3;
extern const tw_cpu tw_cpu_v4;
extern const tw_product tw_product_bf16; /* for AVX512_BF16 */
#endif

/* Every table this processor can run, best first; returns their number (at most 3). For tests and benchmarks. */
int tw_cpu_variants(const tw_cpu *out_variants[3]);

#endif
