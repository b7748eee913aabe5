/* train/adam8.c - see adam8.h. */
#include "train/adam8.h"

#include <math.h>

struct tw_adam8 {
    tw_context *ctx;
    tw_adam8_desc desc;
    int64_t size, blocks;
    tw_code_book book[2]; /* of the first moment, of the second */
    uint8_t *codes[2];
    float *scales[2];
    float *plain[2]; /* TW_MOMENTS_F32 */
    /* of the step under way */
    float *weights;
    const float *gradients;
    float rate, correction1, correction2;
};

static tw_status check(tw_context *ctx, const tw_adam8_desc *d, int64_t size)
{
    if (size < 0 || d->block < 1 || d->block > TW_ADAM8_MOST)
        return tw_fail(ctx, TW_ERR_INVALID, "adam8: %lld weights in blocks of %lld: expected blocks of 1 to %d",
                       (long long)size, (long long)d->block, TW_ADAM8_MOST);
    if (!(d->beta1 >= 0 && d->beta1 < 1 && d->beta2 >= 0 && d->beta2 < 1 && d->epsilon > 0))
        return tw_fail(ctx, TW_ERR_INVALID, "adam8: beta1 %g, beta2 %g, epsilon %g: expected [0,1), [0,1), above 0",
                       d->beta1, d->beta2, d->epsilon);
    return TW_OK;
}

tw_status tw_adam8_create(tw_context *ctx, const tw_adam8_desc *desc, int64_t size, tw_adam8 **out_adam)
{
    tw_adam8_desc d = *desc;
    if (d.block == 0) d.block = 2048;
    if (d.beta1 == 0) d.beta1 = 0.9;
    if (d.beta2 == 0) d.beta2 = 0.999;
    if (d.epsilon == 0) d.epsilon = 1e-8;
    tw_status status = check(ctx, &d, size);
    if (status != TW_OK) return status;
    tw_adam8 *a = tw_alloc(ctx, 1, sizeof *a);
    if (!a) return tw_fail_memory(ctx, sizeof *a);
    *a = (tw_adam8){.ctx = ctx, .desc = d, .size = size, .blocks = (size + d.block - 1) / d.block};
    for (int k = 0; k < 2; k++) {
        if (d.code == TW_MOMENTS_F32) {
            a->plain[k] = tw_alloc(ctx, (size_t)size, sizeof(float));
            if (!a->plain[k]) TW_TRY(tw_fail_memory(ctx, (size_t)size * sizeof(float)));
            continue;
        }
        (d.code == TW_MOMENTS_LINEAR ? tw_code_book_linear : tw_code_book_dynamic)(k == 0, &a->book[k]);
        a->codes[k] = tw_alloc(ctx, (size_t)size, 1);
        a->scales[k] = tw_alloc(ctx, (size_t)a->blocks, sizeof(float)); /* zero: whatever the codes, the moments are */
        if (!a->codes[k] || !a->scales[k]) TW_TRY(tw_fail_memory(ctx, (size_t)size));
    }
    *out_adam = a;
    a = NULL;
done:
    tw_adam8_destroy(a);
    return status;
}

void tw_adam8_destroy(tw_adam8 *a)
{
    if (!a) return;
    for (int k = 0; k < 2; k++) {
        tw_free(a->ctx, a->codes[k]);
        tw_free(a->ctx, a->scales[k]);
        tw_free(a->ctx, a->plain[k]);
    }
    tw_free(a->ctx, a);
}

size_t tw_adam8_bytes(const tw_adam8 *a)
{
    if (a->desc.code == TW_MOMENTS_F32) return 2 * (size_t)a->size * sizeof(float);
    return 2 * ((size_t)a->size + (size_t)a->blocks * sizeof(float));
}

static void update(const tw_adam8 *a, int64_t n, float *w, const float *g, float *first, float *second)
{
    float beta1 = (float)a->desc.beta1, beta2 = (float)a->desc.beta2, epsilon = (float)a->desc.epsilon;
    float decay = a->rate * (float)a->desc.weight_decay;
    for (int64_t i = 0; i < n; i++) {
        first[i] += (g[i] - first[i]) * (1.0f - beta1);
        second[i] += (g[i] * g[i] - second[i]) * (1.0f - beta2);
        float direction = first[i] * a->correction1 / (sqrtf(second[i] * a->correction2) + epsilon);
        w[i] -= decay * w[i] + a->rate * direction;
    }
}

static void step_block(void *user, int64_t item, int thread)
{
    tw_adam8 *a = user;
    float moments[2][TW_ADAM8_MOST];
    int64_t begin = item * a->desc.block, n = tw_min_i64(a->desc.block, a->size - begin);
    (void)thread;
    if (a->desc.code == TW_MOMENTS_F32) {
        update(a, n, a->weights + begin, a->gradients + begin, a->plain[0] + begin, a->plain[1] + begin);
        return;
    }
    for (int k = 0; k < 2; k++) tw_dequantise(&a->book[k], n, a->codes[k] + begin, a->scales[k][item], moments[k]);
    update(a, n, a->weights + begin, a->gradients + begin, moments[0], moments[1]);
    for (int k = 0; k < 2; k++) a->scales[k][item] = tw_quantise(&a->book[k], n, moments[k], a->codes[k] + begin);
}

void tw_adam8_step(tw_adam8 *a, tw_pool *pool, double rate, int64_t number, float *weights, const float *gradients)
{
    a->weights = weights;
    a->gradients = gradients;
    a->rate = (float)rate;
    a->correction1 = (float)(1 / -expm1((double)number * log(a->desc.beta1)));
    a->correction2 = (float)(1 / -expm1((double)number * log(a->desc.beta2)));
    tw_pool_run(pool, a->blocks, step_block, a);
}
