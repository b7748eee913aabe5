/* cpu/gemm.c - which matrix product: a library's, or our own where there is none or where ours is faster.
 *
 * oneDNN's dnnl_sgemm has the same C signature in 2.x and 3.x, so nothing else of its interface is used. It and
 * OpenBLAS are poor at products with two columns, the first and last layers of a flow in the plane, and oneDNN has no
 * double: those are ours. A library's own threads are kept out by enter_thread. */
#include "cpu/gemm.h"

#include "cpu/kernels.h"

#include <stdlib.h>
#include <string.h>

#if defined(TW_GEMM_ONEDNN)
#include <dlfcn.h>
#include <dnnl.h>
#define TW_STRING_OF(x) #x
#define TW_STRING(x)    TW_STRING_OF(x)
#define TW_LIBRARY_NAME                                                                                                \
    "oneDNN " TW_STRING(DNNL_VERSION_MAJOR) "." TW_STRING(DNNL_VERSION_MINOR) "." TW_STRING(DNNL_VERSION_PATCH)

/* oneDNN sizes its work by the OpenMP setting of the calling thread. The OpenMP runtime is whichever it was linked
 * with. */
static void enter_thread(void)
{
    void (*set_threads)(int);
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&set_threads, &symbol, sizeof symbol);
    if (symbol) set_threads(1);
}

static bool library_usable(void)
{
    return true;
}

static bool library_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                        int64_t ldb, bool accumulate, float *c, int64_t ldc)
{
    return dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, accumulate ? 1.0f : 0.0f, c,
                      ldc) == dnnl_success;
}

#elif defined(TW_GEMM_CBLAS)
#include <cblas.h>
#include <dlfcn.h>
#include <limits.h>
#define TW_LIBRARY_NAME "CBLAS"

static void *library_symbol(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

/* OpenBLAS and BLIS each have a call that keeps them on the calling thread. */
static void enter_thread(void)
{
    void (*openblas)(int), (*blis)(long);
    void *symbol = library_symbol("openblas_set_num_threads");
    memcpy(&openblas, &symbol, sizeof symbol);
    if (symbol) openblas(1);
    symbol = library_symbol("bli_thread_set_num_threads");
    memcpy(&blis, &symbol, sizeof symbol);
    if (symbol) blis(1);
}

/* An OpenBLAS built without threads (openblas_get_parallel() is 0) has no locks either and gives wrong products when
 * called from several threads at once (OpenBLAS issues 2126 and 4030). */
static bool library_usable(void)
{
    int (*parallel)(void);
    void *symbol = library_symbol("openblas_get_parallel");
    memcpy(&parallel, &symbol, sizeof symbol);
    return !symbol || parallel() != 0;
}

static bool fits_int(int64_t a, int64_t b, int64_t c)
{
    return a <= INT_MAX && b <= INT_MAX && c <= INT_MAX;
}

static bool library_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                        int64_t ldb, bool accumulate, float *c, int64_t ldc)
{
    if (!fits_int(m, n, k) || !fits_int(lda, ldb, ldc)) return false;
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k,
                1.0f, a, (int)lda, b, (int)ldb, accumulate ? 1.0f : 0.0f, c, (int)ldc);
    return true;
}

#else
#define TW_LIBRARY_NAME "none"
static void enter_thread(void) {}
static bool library_usable(void)
{
    return false;
}
static bool library_f32(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b,
                        int64_t ldb, bool accumulate, float *c, int64_t ldc)
{
    (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)a, (void)lda, (void)b, (void)ldb, (void)accumulate, (void)c;
    (void)ldc;
    return false;
}
#endif

/* Shapes our kernel does at least as well, by bench/gemm.c: few columns, weight gradients of few rows, and an inner
 * dimension too short to pay for a library's packing. With AVX2 everything but one to four rows of A: the two differ by a few per cent up to 256 x 256
 * weights; beyond, and for weight gradients, dnnl_sgemm falls to two thirds of ours. With AVX-512 it is the library
 * that is ahead. */
static bool narrow(bool ta, int64_t m, int64_t n, int64_t k)
{
    return n <= 4 || k <= 8 || (ta && m <= 8);
}
static bool better_own_v3(bool ta, int64_t m, int64_t n, int64_t k)
{
    return narrow(ta, m, n, k) || ta || m > 4;
}

static bool better_own_other(bool ta, int64_t m, int64_t n, int64_t k)
{
    return narrow(ta, m, n, k);
}

static void nothing(void) {}

#define ISA(name)      name##_generic
#define ISA_TABLE      tw_cpu_generic
#define ISA_NAME       "generic"
#define ISA_PACKS      false
#define ISA_BETTER_OWN better_own_other
#include "cpu/gemm_isa.inc"

#if defined(__x86_64__)
#define ISA(name)      name##_v3
#define ISA_TABLE      tw_cpu_v3
#define ISA_NAME       "x86-64-v3"
#define ISA_PACKS      true
#define ISA_BETTER_OWN better_own_v3
#include "cpu/gemm_isa.inc"

#define ISA(name)      name##_v4
#define ISA_TABLE      tw_cpu_v4
#define ISA_NAME       "x86-64-v4"
#define ISA_PACKS      true
#define ISA_BETTER_OWN better_own_other
#include "cpu/gemm_isa.inc"
#endif

static const tw_gemm *choose(bool own)
{
    const tw_cpu *cpu = tw_cpu_best();
#if defined(__x86_64__)
    if (cpu == &tw_cpu_v4) return own ? &own_v4 : &library_v4;
    if (cpu == &tw_cpu_v3) return own ? &own_v3 : &library_v3;
#endif
    (void)cpu;
    return own ? &own_generic : &library_generic;
}

const tw_gemm *tw_gemm_best(void)
{
    const char *wanted = getenv("TW_GEMM");
    return choose(!library_usable() || (wanted && strcmp(wanted, "own") == 0));
}

const tw_gemm *tw_gemm_rowwise(void)
{
    return choose(true);
}
