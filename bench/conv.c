/* bench/conv.c - convolutions of the shapes UNets have: ours and the library's, each pass, one image at a time as
 * blocks of rows are worked on.
 *
 * One thread. Samples are taken in turns and the fastest tenth is reported, so that neighbours on the machine count
 * little. The peak is a measured burst of independent fused multiply-adds. Flops are 2 N H W K C O, padding included as
 * everyone counts: small images can exceed their share. */
#include "peak.h"

#include "base/file.h"
#include "cpu/conv.h"
#include "cpu/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEATS = 40, KINDS = 3 };

typedef struct shape {
    int side, c, o, kernel, stride, images;
} shape;

/* torchcfm's MNIST UNet (28, 14, 7 pixels; 32 to 64 channels), then its CIFAR UNet (32 to 4 pixels; 128 to 512). */
static const shape shapes[] = {
    {28, 1, 32, 3, 1, 1},    {28, 96, 32, 3, 1, 1},   {28, 32, 32, 3, 1, 1},   {28, 64, 32, 3, 1, 1},
    {28, 32, 1, 3, 1, 1},    {28, 32, 32, 3, 2, 1},   {14, 32, 64, 3, 1, 1},   {14, 64, 64, 3, 1, 1},
    {14, 128, 64, 3, 1, 1},  {14, 64, 64, 3, 2, 1},   {7, 64, 64, 3, 1, 1},    {7, 128, 64, 3, 1, 1},
    {7, 128, 128, 3, 1, 1},  {32, 3, 128, 3, 1, 1},   {32, 128, 128, 3, 1, 1}, {32, 256, 128, 3, 1, 1},
    {32, 128, 3, 3, 1, 1},   {32, 128, 128, 3, 2, 1}, {16, 128, 256, 3, 1, 1}, {16, 256, 256, 3, 1, 1},
    {16, 512, 256, 3, 1, 1}, {8, 256, 256, 3, 1, 1},  {8, 512, 256, 3, 1, 1},  {4, 256, 256, 3, 1, 1},
    {4, 256, 256, 3, 1, 8},
};
static const char *const passes[] = {"forward", "input", "weights"};

static volatile float sink;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static tw_conv_sizes sizes_of(const shape *s)
{
    int pad = s->kernel / 2, result = (s->side + 2 * pad - s->kernel) / s->stride + 1;
    return (tw_conv_sizes){.n = s->images,
                           .c = s->c,
                           .o = s->o,
                           .groups = 1,
                           .image = {1, s->side, s->side},
                           .kernel = {1, s->kernel, s->kernel},
                           .result = {1, result, result},
                           .stride = {1, s->stride, s->stride},
                           .dilation = {1, 1, 1},
                           .low = {0, pad, pad},
                           .high = {0, pad, pad}};
}

static double seconds_of(const tw_conv_plan *plan, int64_t images, float *const *arrays, int pass, void *scratch,
                         int rounds)
{
    const float *a = pass == TW_CONV_BACK ? arrays[2] : arrays[0], *b = pass == TW_CONV_WEIGHTS ? arrays[2] : arrays[1];
    double begin = 0;
    for (int i = -1; i < rounds; i++) {
        if (i == 0) begin = tw_clock();
        plan->run(plan, images, a, b, NULL, false, arrays[3], scratch);
    }
    return (tw_clock() - begin) / rounds;
}

static void print_shape(tw_context *ctx, const shape *s, float *const *arrays, void *scratch, size_t scratch_bytes,
                        double peak)
{
    tw_conv_sizes z = sizes_of(s);
    double work = 2.0 * s->images * (double)(z.result[1] * z.result[2]) * s->kernel * s->kernel * s->c * s->o;
    for (int pass = 0; pass < 3; pass++) {
        static const struct {
            const tw_conv_kind *kind;
            tw_product_kind product;
        } made[KINDS] = {
            {&tw_conv_own, TW_PRODUCT_F32}, {&tw_conv_library, TW_PRODUCT_F32}, {&tw_conv_library, TW_PRODUCT_BF16}};
        tw_conv_plan *plan[KINDS] = {NULL};
        double times[KINDS][REPEATS], rate[KINDS] = {0};
        for (int k = 0; k < KINDS; k++)
            if (made[k].kind->create(ctx, (tw_conv_pass)pass, made[k].product, &z, z.n, &plan[k]) != TW_OK ||
                (plan[k] && plan[k]->scratch_bytes > scratch_bytes))
                return;
        int rounds = 1 + (int)(3e-4 / (work / 60e9));
        for (int r = 0; r < REPEATS; r++)
            for (int k = 0; k < KINDS; k++)
                times[k][r] = plan[k] ? seconds_of(plan[k], z.n, arrays, pass, scratch, rounds) : 1e9;
        for (int k = 0; k < KINDS; k++) {
            qsort(times[k], REPEATS, sizeof *times[k], by_value);
            rate[k] = plan[k] ? work / times[k][REPEATS / 10] * 1e-9 : 0;
        }
        printf("%2dx%-2d %3d->%-3d %dx%d /%d x%d | %-7s | %6.1f %4.0f%% | %6.1f %4.0f%% | %6.1f %4.0f%% | %4zu KB\n",
               s->side, s->side, s->c, s->o, s->kernel, s->kernel, s->stride, s->images, passes[pass], rate[0],
               100 * rate[0] / peak, rate[1], 100 * rate[1] / peak, rate[2], 100 * rate[2] / peak,
               plan[0]->scratch_bytes / 1024);
        for (int k = 0; k < KINDS; k++) tw_conv_plan_destroy(ctx, plan[k]);
    }
    fflush(stdout);
}

/* bench_conv [FIRST [LAST]]: numbers of shapes */
int main(int argc, char **argv)
{
    enum { ELEMENTS = 1 << 20 };
    size_t scratch_bytes = (size_t)16 << 20;
    float *arrays[4];
    void *scratch = aligned_alloc(64, scratch_bytes);
    int first = argc > 1 ? atoi(argv[1]) : 0, last = argc > 2 ? atoi(argv[2]) : TW_COUNT(shapes) - 1;
    for (int k = 0; k < 4; k++) {
        arrays[k] = aligned_alloc(64, 2 * ELEMENTS * sizeof(float));
        if (!arrays[k] || !scratch) return 1;
        for (int i = 0; i < 2 * ELEMENTS; i++) arrays[k][i] = (float)((uint32_t)i * 2654435761u >> 20) / 4096 - 0.5f;
    }
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (!ctx) return 1;
    tw_gemm_best()->enter_thread();
    double peak = measured_peak();
    printf("GFLOP/s, one thread; f32 peak %.1f; library: %s\n", peak, tw_conv_library.name);
    printf("image, channels, kernel /stride xN | pass | ours, of peak | library, of peak | library in bf16, of f32's "
           "peak | scratch of ours\n");
    for (int i = first; i <= last && i < TW_COUNT(shapes); i++)
        print_shape(ctx, &shapes[i], arrays, scratch, scratch_bytes, peak);
    printf("f32 peak again: %.1f\n", measured_peak());
    sink = arrays[3][1];
    tw_context_destroy(ctx);
    return 0;
}
