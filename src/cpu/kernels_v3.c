/* cpu/kernels_v3.c - the kernels for AVX2 and FMA (compiled with -march=x86-64-v3). */
#if defined(__x86_64__)
#define TW_CPU_TABLE tw_cpu_v3
#define TW_CPU_NAME  "x86-64-v3"
#include "cpu/kernels.inc"
#endif
