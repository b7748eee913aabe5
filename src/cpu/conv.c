/* cpu/conv.c - which convolution: a library's, or our own where there is none or where ours is faster. */
#include "cpu/conv.h"

#include "cpu/conv_job.h"

#include <stdlib.h>
#include <string.h>

/* --- ours --- */

typedef struct own_plan {
    tw_conv_plan head;
    const tw_cpu *cpu;
    tw_conv_pass pass;
    tw_conv_sizes sizes;
    int64_t images;
    int wide; /* f64 */
} own_plan;

static void own_run(const tw_conv_plan *plan, int64_t images, const void *a, const void *b, const void *packed,
                    bool accumulate, void *out, void *scratch)
{
    const own_plan *p = (const own_plan *)plan;
    p->cpu->conv[p->wide](p->pass, &p->sizes, p->images, images, a, b, packed, accumulate, out, scratch);
}

static void own_prepare(const tw_conv_plan *plan, const void *weights, void *packed)
{
    const own_plan *p = (const own_plan *)plan;
    p->cpu->conv_prepare[p->wide](p->pass, &p->sizes, weights, packed);
}

static void own_destroy(tw_context *ctx, tw_conv_plan *plan)
{
    tw_free(ctx, plan);
}

static tw_status own_create(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind, const tw_conv_sizes *sizes,
                            int64_t images, tw_conv_plan **out_plan)
{
    own_plan *p = tw_alloc(ctx, 1, sizeof *p);
    if (!p) return tw_fail_memory(ctx, sizeof *p);
    size_t size = kind == TW_PRODUCT_F64 ? sizeof(double) : sizeof(float);
    *p = (own_plan){.head = {.name = "own", .run = own_run, .prepare = own_prepare, .destroy = own_destroy},
                    .cpu = tw_cpu_best(),
                    .pass = pass,
                    .sizes = *sizes,
                    .images = images,
                    .wide = kind == TW_PRODUCT_F64};
    p->head.scratch_bytes = (size_t)tw_conv_job_bytes(pass, sizes, images, size);
    p->head.packed_bytes = (size_t)tw_conv_packed_bytes(pass, sizes, size);
    *out_plan = &p->head;
    return TW_OK;
}

const tw_conv_kind tw_conv_own = {.name = "own", .create = own_create};

/* --- the choice --- */

/* Where ours is ahead, by bench/conv.c: results of few channels, for which oneDNN is ten times slower, and gradients of
 * weights from few pixels, since it reorders the weights after every image. */
static bool better_own(tw_conv_pass pass, tw_product_kind kind, const tw_conv_sizes *z)
{
    int64_t pixels = z->result[0] * z->result[1] * z->result[2];
    if (z->groups == 1 && (pass == TW_CONV_BACK ? z->c : z->o) <= TW_CONV_FEW) return true;
    return pass == TW_CONV_WEIGHTS && pixels <= 64 && !(kind == TW_PRODUCT_BF16 && tw_cpu_has_bf16());
}

tw_status tw_conv_plan_create(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind, const tw_conv_sizes *sizes,
                              int64_t images, bool rowwise, tw_conv_plan **out_plan)
{
    const char *wanted = getenv("TW_CONV");
    tw_conv_plan *plan = NULL;
    if (!rowwise && !better_own(pass, kind, sizes) && !(wanted && strcmp(wanted, "own") == 0)) {
        tw_status status = tw_conv_library.create(ctx, pass, kind, sizes, images, &plan);
        if (status != TW_OK) return status;
    }
    *out_plan = plan;
    return plan ? TW_OK : tw_conv_own.create(ctx, pass, kind, sizes, images, out_plan);
}

void tw_conv_plan_destroy(tw_context *ctx, tw_conv_plan *plan)
{
    if (plan) plan->destroy(ctx, plan);
}
