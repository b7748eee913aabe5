/* Convolutions of every instruction set and of the library against the reference kernel of the graph: strides,
 * paddings, dilations, groups, odd and tiny sizes, one to three axes, several images, accumulation; and the bits of an
 * image among others and alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/philox.h"
#include "cpu/conv.h"
#include "cpu/conv_job.h"
#include "cpu/gemm.h"
#include "cpu/kernels.h"
#include "graph/reference.h"
#include "support/context.h"

enum { F32_BITS = 23, BF16_BITS = 7 };

typedef struct conv_case {
    int rank;
    int64_t x[5], w[5];
    tw_conv_desc desc;
} conv_case;

static const conv_case cases[] = {
    {4, {3, 7, 7, 32}, {3, 3, 32, 32}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {2, 14, 13, 5}, {3, 3, 5, 40}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {2, 9, 8, 6}, {3, 3, 6, 7}, {.groups = 1}},
    {4, {2, 9, 11, 6}, {3, 3, 6, 34}, {.stride = {2, 2}, .low = {1, 1}, .high = {1, 1}}},
    {4, {2, 10, 11, 4}, {3, 2, 4, 9}, {.stride = {3, 2}, .low = {0, 2}, .high = {1, 0}}},
    {4, {1, 12, 9, 4}, {3, 3, 4, 6}, {.dilation = {2, 2}, .low = {2, 1}, .high = {1, 2}}},
    {4, {2, 11, 12, 4}, {2, 3, 4, 5}, {.stride = {2, 3}, .dilation = {3, 2}, .low = {3, 0}, .high = {0, 4}}},
    {4, {2, 11, 12, 4}, {3, 3, 4, 5}, {.stride = {2, 4}, .dilation = {4, 2}, .low = {3, 1}, .high = {2, 4}}},
    {4, {2, 8, 8, 12}, {3, 3, 6, 10}, {.low = {1, 1}, .high = {1, 1}, .groups = 2}},
    {4, {2, 8, 7, 37}, {3, 3, 1, 37}, {.low = {1, 1}, .high = {1, 1}, .groups = 37}},
    {4, {2, 8, 7, 6}, {3, 3, 1, 6}, {.stride = {2, 2}, .low = {1, 0}, .high = {1, 1}, .groups = 6}},
    {4, {2, 8, 7, 3}, {3, 3, 1, 6}, {.stride = {2, 1}, .low = {1, 1}, .high = {1, 1}, .groups = 3}},
    {4, {2, 28, 28, 1}, {3, 3, 1, 32}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {2, 12, 11, 20}, {3, 3, 20, 1}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {2, 12, 11, 3}, {3, 3, 3, 3}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {2, 6, 5, 16}, {1, 1, 16, 24}, {.groups = 1}},
    {4, {2, 6, 5, 16}, {1, 1, 16, 24}, {.stride = {2, 2}}},
    {4, {1, 2, 3, 8}, {5, 7, 8, 8}, {.low = {2, 3}, .high = {3, 3}}},
    {4, {1, 5, 4, 8}, {2, 2, 8, 8}, {.stride = {5, 6}, .low = {1, 0}}},
    {4, {0, 5, 4, 8}, {3, 3, 8, 8}, {.low = {1, 1}, .high = {1, 1}}},
    {4, {1, 90, 60, 48}, {3, 3, 48, 8}, {.low = {1, 1}, .high = {1, 1}}}, /* more than a window holds */
    {3, {2, 23, 6}, {5, 6, 9}, {.stride = {2}, .low = {4}, .dilation = {2}}},
    {5, {2, 4, 5, 6, 3}, {2, 3, 3, 3, 8}, {.stride = {1, 2, 1}, .low = {1, 0, 1}, .high = {1, 1, 1}}},
    {5, {1, 5, 4, 4, 2}, {3, 2, 2, 2, 5}, {.stride = {2, 1, 2}, .dilation = {2, 1, 1}, .high = {1, 0, 1}}},
};

/* One pass of one case with its arrays, in double: a, b and what the reference makes of them. */
typedef struct pass_test {
    tw_conv_pass pass;
    tw_conv_sizes sizes;
    int64_t a_size, b_size, out_size;
    double *a, *b, *expected;
} pass_test;

/* In [-1,1], of `bits` bits behind the point. */
static double *random_values(tw_random *r, int bits, int64_t size)
{
    double *x = calloc((size_t)size + 1, sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < size; i++) x[i] = ldexp(nearbyint(ldexp(2.0 * tw_random_uniform(r) - 1.0, bits)), -bits);
    return x;
}

static pass_test make_test(tw_context *ctx, const conv_case *c, tw_conv_pass pass, int bits, tw_random *r)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_make(c->rank, c->x)),
           w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_make(c->rank, c->w)), made = tw_conv(x, w, &c->desc);
    if (tw_graph_check(g) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    tw_val y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_at(made)), in[2] = {pass == TW_CONV_BACK ? y : x, w};
    if (pass == TW_CONV_BACK) made = tw_conv_input(y, w, &c->desc, tw_shape_at(x));
    if (pass == TW_CONV_WEIGHTS) made = tw_conv_weights(x, y, &c->desc, tw_shape_at(w));
    if (pass == TW_CONV_WEIGHTS) in[1] = y;
    pass_test t = {.pass = pass,
                   .sizes = tw_conv_sizes_of(g, tw_node_at(made)),
                   .a_size = tw_shape_size(tw_shape_at(in[0])),
                   .b_size = tw_shape_size(tw_shape_at(in[1])),
                   .out_size = tw_shape_size(tw_shape_at(made))};
    t.a = random_values(r, bits, t.a_size);
    t.b = random_values(r, bits, t.b_size);
    t.expected = random_values(r, bits, t.out_size);
    const double *values[2] = {t.a, t.b};
    assert_int_equal(tw_reference_run(ctx, 2, in, values, 1, &made, &t.expected), TW_OK);
    tw_graph_destroy(g);
    return t;
}

static void free_test(pass_test *t)
{
    free(t->a);
    free(t->b);
    free(t->expected);
}

static void *narrowed(const double *x, int64_t size, bool wide)
{
    void *out = aligned_alloc(64, (size_t)(size * 8 + 128) / 64 * 64);
    assert_non_null(out);
    for (int64_t i = 0; i < size; i++)
        if (wide)
            ((double *)out)[i] = x[i];
        else
            ((float *)out)[i] = (float)x[i];
    return out;
}

static double element(const void *x, int64_t i, bool wide)
{
    return wide ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

typedef void (*convolve)(const void *user, const pass_test *t, bool wide, int64_t images, const void *a, const void *b,
                         bool accumulate, void *out);

/* Sums of n products of numbers up to 1: n roundings, each of a partial sum that grows as the square root of n and is
 * above it by a factor of two at times. */
static double allowed(const pass_test *t, bool wide)
{
    const tw_conv_sizes *z = &t->sizes;
    double terms = t->pass == TW_CONV_WEIGHTS
                       ? (double)(z->n * z->result[0] * z->result[1] * z->result[2])
                       : (double)(z->kernel[0] * z->kernel[1] * z->kernel[2] * tw_max_i64(z->c, z->o));
    return (wide ? 0x1p-52 : 0x1p-23) * (8.0 + terms);
}

static void compare(const pass_test *t, const void *found, bool wide, double factor, const char *name, int number)
{
    for (int64_t i = 0; i < t->out_size; i++) {
        double wanted = factor * t->expected[i], got = element(found, i, wide);
        if (!(fabs(got - wanted) <= factor * allowed(t, wide)))
            fail_msg("%s, case %d, pass %d, %s: element %lld is %.9g, not %.9g", name, number, (int)t->pass,
                     wide ? "f64" : "f32", (long long)i, got, wanted);
    }
}

static void check(const pass_test *t, bool wide, convolve f, const void *user, const char *name, int number)
{
    void *a = narrowed(t->a, t->a_size, wide), *b = narrowed(t->b, t->b_size, wide);
    void *out = narrowed(t->expected, t->out_size, wide);
    memset(out, 0xff, (size_t)t->out_size * (wide ? 8 : 4));
    f(user, t, wide, t->sizes.n, a, b, false, out);
    compare(t, out, wide, 1.0, name, number);
    if (t->pass == TW_CONV_WEIGHTS) {
        f(user, t, wide, t->sizes.n, a, b, true, out);
        compare(t, out, wide, 2.0, name, number);
    }
    free(a);
    free(b);
    free(out);
}

static void convolve_isa(const void *user, const pass_test *t, bool wide, int64_t images, const void *a, const void *b,
                         bool accumulate, void *out)
{
    const tw_cpu *cpu = user;
    int64_t bytes = tw_conv_job_bytes(t->pass, &t->sizes, t->sizes.n, wide ? 8 : 4);
    void *scratch = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    assert_non_null(scratch);
    memset(scratch, 0xff, (size_t)bytes);
    size_t packed_bytes = (size_t)tw_conv_packed_bytes(t->pass, &t->sizes, wide ? 8 : 4);
    void *packed = NULL;
    if (packed_bytes && images > 1) { /* both ways: an image alone packs for itself */
        packed = aligned_alloc(64, (packed_bytes + 63) / 64 * 64);
        assert_non_null(packed);
        cpu->conv_prepare[wide](t->pass, &t->sizes, b, packed);
    }
    cpu->conv[wide](t->pass, &t->sizes, t->sizes.n, images, a, b, packed, accumulate, out, scratch);
    free(packed);
    free(scratch);
}

static void every_instruction_set(void **state)
{
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random r = {.seed = 1};
    for (int i = 0; i < TW_COUNT(cases); i++)
        for (int pass = TW_CONV_FORWARD; pass <= TW_CONV_WEIGHTS; pass++) {
            pass_test t = make_test(*state, &cases[i], (tw_conv_pass)pass, F32_BITS, &r);
            for (int v = 0; v < count; v++)
                for (int wide = 0; wide < 2; wide++) check(&t, wide, convolve_isa, variants[v], variants[v]->name, i);
            free_test(&t);
        }
}

/* Images one by one give the bits they have among others, on every instruction set the same. */
static void same_bits(void **state)
{
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    tw_random r = {.seed = 2};
    for (int i = 0; i < TW_COUNT(cases); i++)
        for (int pass = TW_CONV_FORWARD; pass <= TW_CONV_BACK; pass++) {
            pass_test t = make_test(*state, &cases[i], (tw_conv_pass)pass, F32_BITS, &r);
            size_t bytes = (size_t)t.out_size * 4;
            void *a = narrowed(t.a, t.a_size, false), *b = narrowed(t.b, t.b_size, false), *out[2];
            for (int k = 0; k < 2; k++) out[k] = narrowed(t.expected, t.out_size, false);
            convolve_isa(variants[0], &t, false, t.sizes.n, a, b, false, out[0]);
            for (int v = 0; v < count; v++) {
                memset(out[1], 0, bytes);
                for (int64_t n = 0; n < t.sizes.n; n++)
                    convolve_isa(variants[v], &t, false, 1, (float *)a + n * (t.a_size / t.sizes.n), b, false,
                                 (float *)out[1] + n * (t.out_size / t.sizes.n));
                if (memcmp(out[0], out[1], bytes) != 0)
                    fail_msg("case %d, pass %d, %s: other bits", i, pass, variants[v]->name);
            }
            for (int k = 0; k < 2; k++) free(out[k]);
            free(a);
            free(b);
            free_test(&t);
        }
}

static void convolve_planned(const void *user, const pass_test *t, bool wide, int64_t images, const void *a,
                             const void *b, bool accumulate, void *out)
{
    const tw_conv_plan *plan = user;
    void *scratch = aligned_alloc(64, (plan->scratch_bytes + 127) / 64 * 64);
    (void)t;
    (void)wide;
    assert_non_null(scratch);
    memset(scratch, 0xff, plan->scratch_bytes);
    plan->run(plan, images, a, b, NULL, accumulate, out, scratch);
    if (plan->packed_bytes) {
        void *packed = aligned_alloc(64, (plan->packed_bytes + 63) / 64 * 64), *again = malloc((size_t)t->out_size * 4);
        assert_non_null(packed);
        assert_non_null(again);
        plan->prepare(plan, b, packed);
        plan->run(plan, images, a, b, packed, accumulate, again, scratch);
        assert_memory_equal(out, again, (size_t)t->out_size * 4);
        free(packed);
        free(again);
    }
    free(scratch);
}

/* What the library does, it does right; what it leaves is ours. Numbers of few bits are the same in bf16. */
static void library(void **state)
{
    static const struct {
        tw_product_kind kind;
        int bits;
    } kinds[] = {{TW_PRODUCT_F32, F32_BITS}, {TW_PRODUCT_BF16, BF16_BITS}};
    tw_random r = {.seed = 3};
    int planned = 0;
    tw_gemm_best()->enter_thread();
    for (int i = 0; i < TW_COUNT(cases); i++)
        for (int k = 0; k < 3 * TW_COUNT(kinds); k++) {
            tw_conv_pass pass = (tw_conv_pass)(TW_CONV_FORWARD + k % 3);
            pass_test t = make_test(*state, &cases[i], pass, kinds[k / 3].bits, &r);
            tw_conv_plan *plan = NULL;
            tw_status status = tw_conv_library.create(*state, pass, kinds[k / 3].kind, &t.sizes, t.sizes.n, &plan);
            if (status != TW_OK) fail_msg("%s", tw_context_error(*state));
            if (plan) {
                planned++;
                check(&t, false, convolve_planned, plan, plan->name, i);
            }
            tw_conv_plan_destroy(*state, plan);
            free_test(&t);
        }
    print_message("%d passes by %s\n", planned, tw_conv_library.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(library),
    };
    return cmocka_run_group_tests_name("cpu/conv", tests, open_context, close_context);
}
