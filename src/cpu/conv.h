/* cpu/conv.h - convolutions on one core: oneDNN's or our own, images (N, H, W, C), weights (H, W, C/groups, O).
 *
 * The three passes are the three ops of the graph: forward (x, w) -> y, back (y, w) -> x, weights (x, y) -> w. A plan
 * is made once for a shape; running it allocates nothing and any number of threads may run it at the same time.
 * TW_PRODUCT_BF16 allows what is multiplied to be rounded to bf16, where that is faster; f32 is as good an answer. */
#ifndef TW_CPU_CONV_H
#define TW_CPU_CONV_H

#include "cpu/cpu.h"

typedef struct tw_conv_plan tw_conv_plan;

/* An implementation. `images` is how many a call works on at most; scratch memory is 64-byte aligned. */
typedef struct tw_conv_kind {
    const char *name;
    /* *out_plan stays NULL when it cannot do this one (or cannot do it well) and another is to be asked. */
    TW_NODISCARD tw_status (*create)(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind,
                                     const tw_conv_sizes *sizes, int64_t images, tw_conv_plan **out_plan);
} tw_conv_kind;

/* What every plan begins with. */
struct tw_conv_plan {
    const char *name;
    size_t scratch_bytes;
    /* Weights may be brought to the form the pass wants once, ahead of many calls: into so many bytes; 0: may not. */
    size_t packed_bytes;
    void (*prepare)(const tw_conv_plan *plan, const void *weights, void *packed);
    /* out = (accumulate: +=, gradient of the weights only) the pass of `images` images, at most those planned for.
     * packed: what prepare made of the weights b, or NULL. */
    void (*run)(const tw_conv_plan *plan, int64_t images, const void *a, const void *b, const void *packed,
                bool accumulate, void *out, void *scratch);
    void (*destroy)(tw_context *ctx, tw_conv_plan *plan);
};

extern const tw_conv_kind tw_conv_own;
extern const tw_conv_kind tw_conv_library; /* creates nothing when the library was not built in */

/* A plan by whichever implementation is better; ours when `rowwise`: the bits of an image then do not depend on how
 * many are computed with it. TW_CONV=own in the environment asks for ours always. */
TW_NODISCARD tw_status tw_conv_plan_create(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind,
                                           const tw_conv_sizes *sizes, int64_t images, bool rowwise,
                                           tw_conv_plan **out_plan);
void tw_conv_plan_destroy(tw_context *ctx, tw_conv_plan *plan);

#endif
