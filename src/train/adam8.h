/* train/adam8.h - AdamW with its moments in eight bits: two bytes of state a weight instead of eight.
 *
 * Each block of moments is brought to f32, updated, used and put back in codes (code_book.h). Blocks are the same
 * whatever the number of threads, so the result is too. */
#ifndef TW_TRAIN_ADAM8_H
#define TW_TRAIN_ADAM8_H

#include "base/pool.h"
#include "train/code_book.h"

typedef enum tw_moment_code {
    TW_MOMENTS_DYNAMIC, /* eight bits, dynamic books */
    TW_MOMENTS_LINEAR,  /* eight bits, equal distances: for comparison */
    TW_MOMENTS_F32      /* as they are: for comparison */
} tw_moment_code;

enum { TW_ADAM8_MOST = 4096 };

typedef struct tw_adam8_desc {
    tw_moment_code code;
    int64_t block;                              /* weights a scale, 1 to TW_ADAM8_MOST [2048] */
    double beta1, beta2, epsilon, weight_decay; /* [0.9, 0.999, 1e-8, 0] */
} tw_adam8_desc;

typedef struct tw_adam8 tw_adam8;

/* State for `size` weights, zero. */
TW_NODISCARD tw_status tw_adam8_create(tw_context *ctx, const tw_adam8_desc *desc, int64_t size, tw_adam8 **out_adam);
void tw_adam8_destroy(tw_adam8 *adam);
/* Update number `update` (from 1): moves weights (size) along finite gradients (size). pool may be NULL. */
void tw_adam8_step(tw_adam8 *adam, tw_pool *pool, double rate, int64_t update, float *weights, const float *gradients);
/* Bytes of state: codes and scales, or moments. */
size_t tw_adam8_bytes(const tw_adam8 *adam);

#endif
