/* cpu/kernels_generic.c - the kernels for any processor of the target architecture. */
#define TW_CPU_TABLE tw_cpu_generic
#define TW_CPU_NAME  "generic"
#include "cpu/kernels.inc"
