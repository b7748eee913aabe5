/* cpu/fft.h - discrete Fourier transforms along one axis of an array; complex numbers are neighbours (re, im).
 *
 * Lines are transformed a vector's width at a time, one line in each lane, so that every line is computed alike
 * wherever it lies and a pass is nothing but loads, butterflies and stores (Stockham's autosort form; C. Van Loan,
 * Computational Frameworks for the FFT, 1992). Lengths with prime factors beyond 13 go through a convolution
 * (L. Bluestein, 1970). A plan holds twiddles and factors, made in double precision once; running allocates nothing. */
#ifndef TW_CPU_FFT_H
#define TW_CPU_FFT_H

#include "base/base.h"

#include <thalweg/graph.h>

enum { TW_FFT_PASSES = 48, TW_FFT_LANES = 16 };

typedef enum tw_fft_kind {
    TW_FFT_COMPLEX, /* (outer, n, inner, 2) -> the same */
    TW_FFT_REAL,    /* (outer, n, inner) -> (outer, n/2 + 1, inner, 2) */
    TW_FFT_TO_REAL  /* the other way; imaginary parts of the first and, n even, last coefficient are not read */
} tw_fft_kind;

/* Offsets are in bytes from the plan, which can be copied or moved as a whole. */
typedef struct tw_fft_plan {
    int64_t length; /* of the complex transform: n, or n/2 of an even real one */
    int64_t inner;  /* plan of the convolution's transform, 0: none is needed */
    int64_t chirp;  /* e^(-pi i j^2/length), j < length */
    int64_t kernel; /* transform of the conjugate chirp, divided by its length */
    int64_t halves; /* e^(-2 pi i k/n), k <= n/2, of an even real transform */
    int64_t bytes;
    int32_t passes;
    int32_t radix[TW_FFT_PASSES];
    int64_t twiddle[TW_FFT_PASSES];
} tw_fft_plan;

/* Bytes of the plan of an n-point transform of f32 or f64, and of the memory making it needs. */
size_t tw_fft_plan_bytes(int64_t n, bool real, tw_dtype dtype);
size_t tw_fft_work_bytes(int64_t n, bool real);
/* Makes it at `plan` (16-byte aligned); `work` may be forgotten afterwards. */
void tw_fft_plan_make(int64_t n, bool real, tw_dtype dtype, void *plan, void *work);

typedef struct tw_fft_job {
    const tw_fft_plan *plan;
    tw_fft_kind kind;
    bool inverse; /* e^(+...); TW_FFT_REAL is always forward, TW_FFT_TO_REAL inverse */
    int64_t outer, n, inner;
    double scale; /* factor of the result */
    const void *src;
    void *dst;     /* may be src when the kind is complex */
    void *scratch; /* tw_fft_scratch_bytes, 64-byte aligned */
} tw_fft_job;

size_t tw_fft_scratch_bytes(int64_t n, bool real, tw_dtype dtype);

#endif
