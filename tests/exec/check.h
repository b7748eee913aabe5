/* tests/exec/check.h - compiles a function, runs it every way a program can run, and compares with the reference
 * interpreter. */
#ifndef TW_TESTS_EXEC_CHECK_H
#define TW_TESTS_EXEC_CHECK_H

#include "exec/program.h"
#include "graph/reference.h"

#include "base/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CHECK_MAX = 40 };

typedef struct check {
    tw_context *ctx;
    int inputs_count, outputs_count;
    tw_val inputs[CHECK_MAX], outputs[CHECK_MAX];
    double *reference_in[CHECK_MAX], *reference_out[CHECK_MAX];
    void *in[CHECK_MAX];
    double tolerance; /* relative to the largest magnitude of the output; f32: rounding of a few hundred operations */
    uint64_t seed;
} check;

static inline double check_get(const void *data, tw_dtype dtype, int64_t i)
{
    switch (dtype) {
    case TW_DTYPE_F32:
        return (double)((const float *)data)[i];
    case TW_DTYPE_F64:
        return ((const double *)data)[i];
    case TW_DTYPE_I32:
        return ((const int32_t *)data)[i];
    case TW_DTYPE_U32:
        return ((const uint32_t *)data)[i];
    case TW_DTYPE_BF16:
        return tw_load_element(data, dtype, i);
    default:
        return ((const uint8_t *)data)[i];
    }
}

static inline void check_set(void *data, tw_dtype dtype, int64_t i, double v)
{
    switch (dtype) {
    case TW_DTYPE_F32:
        ((float *)data)[i] = (float)v;
        break;
    case TW_DTYPE_F64:
        ((double *)data)[i] = v;
        break;
    case TW_DTYPE_I32:
        ((int32_t *)data)[i] = (int32_t)v;
        break;
    case TW_DTYPE_U32:
        ((uint32_t *)data)[i] = (uint32_t)v;
        break;
    case TW_DTYPE_BF16:
        tw_store_element(data, dtype, i, v);
        break;
    default:
        ((uint8_t *)data)[i] = v != 0.0;
        break;
    }
}

/* Inputs: normal numbers, small whole numbers for integers. */
static inline void check_fill(check *c)
{
    tw_random r = {.seed = c->seed, .stream = 99};
    for (int i = 0; i < c->inputs_count; i++) {
        int64_t n = tw_shape_size(tw_shape_at(c->inputs[i]));
        tw_dtype dtype = tw_dtype_at(c->inputs[i]);
        c->in[i] = calloc((size_t)n + 1, tw_dtype_size(dtype));
        c->reference_in[i] = calloc((size_t)n + 1, sizeof(double));
        for (int64_t k = 0; k < n; k++) {
            double v = dtype <= TW_DTYPE_F64 ? tw_random_normal(&r)
                                             : (double)tw_random_below(&r, dtype == TW_DTYPE_BOOL ? 2 : 7);
            check_set(c->in[i], dtype, k, v);
            c->reference_in[i][k] = check_get(c->in[i], dtype, k);
        }
    }
    for (int i = 0; i < c->outputs_count; i++)
        c->reference_out[i] = calloc((size_t)tw_shape_size(tw_shape_at(c->outputs[i])) + 1, sizeof(double));
    tw_status status = tw_reference_run(c->ctx, c->inputs_count, c->inputs, (const double *const *)c->reference_in,
                                        c->outputs_count, c->outputs, c->reference_out);
    if (status != TW_OK) fail_msg("reference: %s", tw_context_error(c->ctx));
}

static inline void check_free(check *c)
{
    for (int i = 0; i < c->inputs_count; i++) {
        free(c->in[i]);
        free(c->reference_in[i]);
    }
    for (int i = 0; i < c->outputs_count; i++) free(c->reference_out[i]);
}

/* One way of running; returns the outputs' bytes one behind another. */
static inline unsigned char *check_run(check *c, const tw_program_desc *desc, int threads, bool poison,
                                       size_t *out_size)
{
    tw_program *program = NULL;
    tw_state *state = NULL;
    void *out[CHECK_MAX];
    size_t total = 0, offset[CHECK_MAX];
    if (tw_program_compile(c->ctx, desc, &program) != TW_OK) fail_msg("compile: %s", tw_context_error(c->ctx));
    if (tw_state_create(program, threads, &state) != TW_OK) fail_msg("state: %s", tw_context_error(c->ctx));
    for (int i = 0; i < c->outputs_count; i++) {
        offset[i] = total;
        total += ((size_t)tw_shape_size(tw_shape_at(c->outputs[i])) * tw_dtype_size(tw_dtype_at(c->outputs[i])) + 63) /
                     64 * 64 +
                 64;
    }
    unsigned char *bytes = aligned_alloc(64, total);
    memset(bytes, 0xAA, total);
    for (int i = 0; i < c->outputs_count; i++) out[i] = bytes + offset[i];
    for (int round = 0; round < 2; round++) { /* the second run must not see the first one's leftovers */
        if (poison) tw_state_poison(state);
        assert_int_equal(tw_program_run(state, (const void *const *)c->in, out, 0), TW_OK);
    }
    tw_state_destroy(state);
    tw_program_destroy(program);
    *out_size = total;
    return bytes;
}

static inline void check_compare(const check *c, const unsigned char *bytes)
{
    size_t at = 0;
    for (int i = 0; i < c->outputs_count; i++) {
        int64_t n = tw_shape_size(tw_shape_at(c->outputs[i]));
        tw_dtype dtype = tw_dtype_at(c->outputs[i]);
        double scale = 1e-3, worst = 0.0;
        int64_t where = 0;
        for (int64_t k = 0; k < n; k++)
            if (isfinite(c->reference_out[i][k])) scale = fmax(scale, fabs(c->reference_out[i][k]));
        for (int64_t k = 0; k < n; k++) {
            double want = c->reference_out[i][k], have = check_get(bytes + at, dtype, k);
            double error = isfinite(want) ? fabs(have - want) / scale : (isnan(want) == isnan(have) ? 0.0 : 1.0);
            if (!(error <= worst)) {
                worst = error;
                where = k;
            }
        }
        if (!(worst <= c->tolerance))
            fail_msg("output %d, element %lld: %.9g where the reference has %.9g (relative %.3g)", i, (long long)where,
                     check_get(bytes + at, dtype, where), c->reference_out[i][where], worst);
        at += ((size_t)n * tw_dtype_size(dtype) + 63) / 64 * 64 + 64;
    }
}

/* Planned, unplanned, poisoned, one thread, the pool, odd blocks: all agree with the reference, and with each other to
 * the bit where blocks are the same. */
static inline void check_all_ways(check *c)
{
    check_fill(c);
    tw_program_desc desc = {
        .inputs_count = c->inputs_count, .inputs = c->inputs, .outputs_count = c->outputs_count, .outputs = c->outputs};
    size_t size = 0;
    unsigned char *first = check_run(c, &desc, 1, true, &size);
    check_compare(c, first);
    unsigned char *pooled = check_run(c, &desc, 0, true, &size);
    assert_memory_equal(first, pooled, size);
    desc.unplanned = true;
    unsigned char *unplanned = check_run(c, &desc, 0, true, &size);
    assert_memory_equal(first, unplanned, size);
    desc.unplanned = false;
    desc.block_rows = 3;
    unsigned char *odd = check_run(c, &desc, 0, true, &size);
    check_compare(c, odd);
    free(first);
    free(pooled);
    free(unplanned);
    free(odd);
    check_free(c);
}

/* What most tests say: an input, an output, and that is all - check it. */
static inline tw_val in(check *c, tw_graph *g, tw_dtype dtype, tw_shape shape)
{
    tw_val v = tw_input(g, "x", dtype, shape);
    c->inputs[c->inputs_count++] = v;
    return v;
}

static inline void out(check *c, tw_val v)
{
    assert_false(tw_is_none(v));
    assert_true(c->outputs_count < CHECK_MAX);
    c->outputs[c->outputs_count++] = v;
}

static inline void end(check *c, tw_graph *g)
{
    if (tw_graph_check(g) != TW_OK) fail_msg("graph: %s", tw_context_error(c->ctx));
    check_all_ways(c);
    tw_graph_destroy(g);
    tw_context_destroy(c->ctx);
}

#endif
