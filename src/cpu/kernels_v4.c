/* cpu/kernels_v4.c - the kernels for AVX-512 (compiled with -march=x86-64-v4). */
#if defined(__x86_64__)
#define TW_CPU_TABLE tw_cpu_v4
#define TW_CPU_NAME  "x86-64-v4"
#include "cpu/kernels.inc"
#endif
