/* cpu/fused.h - composites done at once, line by line while a line is in the first caches: what their kernels are told.
 *
 * Sums have 16 lanes and a fixed tree, those over pixels four partial sums a channel: the same bits on every
 * instruction set. The result may be one of the arguments. */
#ifndef TW_CPU_FUSED_H
#define TW_CPU_FUSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tw_fused {
    int64_t lines, n; /* lines of n elements */
    int64_t period;   /* normalise: elements of scale and shift, divides n */
    int64_t pixels;   /* normalise by groups: a line is pixels x channels */
    int64_t channels, groups;
    bool centred;
    bool scale_first; /* tangents: the scale is of the argument, not of the result */
    bool start;       /* sums over lines begin here */
    double epsilon;
    double ignored;           /* cross-entropy */
    int64_t positions, inner; /* rotary: lines are (outer, positions, inner) */
    bool interleaved;
} tw_fused;

/* Arguments as the op's, NULL where absent; scratch as tw_fused_scratch() says, 64-byte aligned. */
typedef void (*tw_fused_fn)(const tw_fused *f, const void *const *arg, void *out, void *scratch);

typedef enum tw_fused_op {
    TW_FUSED_SOFTMAX,
    TW_FUSED_SOFTMAX_TANGENT,
    TW_FUSED_LOG_SOFTMAX,
    TW_FUSED_LOG_SOFTMAX_TANGENT,
    TW_FUSED_LOG_SOFTMAX_COTANGENT,
    TW_FUSED_LOGSUMEXP,
    TW_FUSED_CROSS_ENTROPY,
    TW_FUSED_CROSS_ENTROPY_GRADIENT,
    TW_FUSED_NORMALISE,
    TW_FUSED_NORMALISE_TANGENT,
    TW_FUSED_NORMALISE_SCALE,
    TW_FUSED_GROUP_NORMALISE,
    TW_FUSED_GROUP_NORMALISE_TANGENT,
    TW_FUSED_GROUP_NORMALISE_SCALE,
    TW_FUSED_ROTARY,
    TW_FUSED_COUNT
} tw_fused_op;

/* Elements of scratch memory: numbers of each channel. */
enum { TW_FUSED_CHANNEL_NUMBERS = 6 };

#endif
