/* Kernels of composites: the same bits on all instruction sets, in place and with a result of its own, for lines and
 * images of awkward sizes. That they are right is tested where they run (exec/composites). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 40000 };

static double x[MOST], t[MOST], third[MOST], first[MOST], other[MOST];
static _Alignas(64) double scratch[TW_FUSED_CHANNEL_NUMBERS * MOST];

static void fill(void *out, int wide, tw_random *r)
{
    for (int i = 0; i < MOST; i++) {
        double v = 3.0 * tw_random_normal(r) + 1.0;
        if (wide)
            ((double *)out)[i] = v;
        else
            ((float *)out)[i] = (float)v;
    }
}

static bool is_loss(int op)
{
    return op == TW_FUSED_CROSS_ENTROPY || op == TW_FUSED_CROSS_ENTROPY_GRADIENT;
}

/* Every kernel reads of this what it needs. */
static tw_fused shape_of(int64_t pixels, int64_t channels, int64_t groups)
{
    int64_t n = pixels * channels;
    tw_fused f = {.lines = 3,
                  .n = n,
                  .period = channels,
                  .pixels = pixels,
                  .channels = channels,
                  .groups = groups,
                  .centred = groups != 2,
                  .epsilon = 1e-5,
                  .ignored = -1.0,
                  .positions = 2,
                  .inner = 1,
                  .interleaved = groups == 1};
    return f;
}

static void check(int op, int wide, tw_fused f)
{
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    size_t size = wide ? 8 : 4, bytes = (size_t)(f.lines * f.n) * size;
    tw_random r = {.seed = 3};
    fill(x, wide, &r);
    fill(t, wide, &r);
    fill(third, wide, &r);
    if (is_loss(op)) memcpy(t, (int32_t[]){0, -1, (int32_t)(f.n - 1)}, 3 * sizeof(int32_t));
    const void *arg[3] = {x, t, third};
    memset(first, 0, sizeof first);
    variants[0]->fused[op][wide](&f, arg, first, scratch);
    for (int v = 0; v < count; v++) {
        memset(other, 0, sizeof other);
        variants[v]->fused[op][wide](&f, arg, other, scratch);
        if (memcmp(first, other, bytes) != 0)
            fail_msg("kernel %d, wide %d, %lld x %lld: %s and %s differ", op, wide, (long long)f.pixels,
                     (long long)f.channels, variants[0]->name, variants[v]->name);
    }
    if (op == TW_FUSED_LOGSUMEXP || op == TW_FUSED_CROSS_ENTROPY || op == TW_FUSED_NORMALISE_SCALE ||
        op == TW_FUSED_GROUP_NORMALISE_SCALE)
        return; /* results of another shape */
    variants[count - 1]->fused[op][wide](&f, arg, x, scratch);
    if (memcmp(first, x, bytes) != 0) fail_msg("kernel %d, wide %d: differs in place", op, wide);
}

static void same_bits(void **state)
{
    static const struct {
        int64_t pixels, channels, groups;
    } shapes[] = {{1, 2, 1}, {1, 30, 2}, {7, 16, 16}, {33, 48, 3}, {1030, 6, 2}, {5, 1000, 1}, {129, 38, 19}};
    (void)state;
    for (int op = 0; op < TW_FUSED_COUNT; op++)
        for (int wide = 0; wide < 2; wide++)
            for (int s = 0; s < TW_COUNT(shapes); s++)
                check(op, wide, shape_of(shapes[s].pixels, shapes[s].channels, shapes[s].groups));
}

/* What is not finite stays so: a line with NaN, with infinity, of nothing but minus infinity. */
static void not_finite(void **state)
{
    const tw_cpu *cpu = tw_cpu_best();
    enum { N = 20 };
    float lines[3 * N], out[3 * N];
    tw_fused f = {.lines = 3, .n = N};
    const void *arg[3] = {lines};
    (void)state;
    for (int i = 0; i < 3 * N; i++) lines[i] = i < 2 * N ? (float)(i % 7) : -INFINITY;
    uint32_t payload = 0x7fc0012fu;
    memcpy(&lines[5], &payload, sizeof payload);
    lines[N + 3] = INFINITY;
    cpu->fused[TW_FUSED_SOFTMAX][0](&f, arg, out, NULL);
    for (int i = 0; i < 3 * N; i++) assert_true(isnan(out[i]));
    for (int i = 0; i < N; i++) lines[i] = i == 4 ? 1.5f : -INFINITY;
    f.lines = 1;
    cpu->fused[TW_FUSED_SOFTMAX][0](&f, arg, out, NULL);
    for (int i = 0; i < N; i++) assert_true(out[i] == (i == 4 ? 1.0f : 0.0f));
    cpu->fused[TW_FUSED_LOG_SOFTMAX][0](&f, arg, out, NULL);
    for (int i = 0; i < N; i++) assert_true(out[i] == (i == 4 ? 0.0f : -INFINITY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(not_finite)};
    return cmocka_run_group_tests_name("cpu/fused", tests, NULL, NULL);
}
