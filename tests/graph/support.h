/* tests/graph/support.h - what the tests of this room share: contexts, random arrays, evaluation by the reference
 * interpreter, and a case (inputs, output) for every op of the table. */
#ifndef TESTS_GRAPH_SUPPORT_H
#define TESTS_GRAPH_SUPPORT_H

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
#include "graph/reference.h"

enum { CASE_INPUTS = 8 };

/* A function under test and the interval each input is drawn from; whole numbers for integer inputs. */
typedef struct test_case {
    int count;
    tw_val inputs[CASE_INPUTS];
    double low[CASE_INPUTS], high[CASE_INPUTS];
    tw_val output;
} test_case;

static inline tw_graph *new_graph(tw_context *ctx)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    return g;
}

static inline void check_ok(tw_graph *g)
{
    if (tw_graph_check(g) != TW_OK) fail_msg("%s", tw_context_error(g->ctx));
}

static inline void check_status(tw_graph *g, tw_status status)
{
    if (status != TW_OK) fail_msg("status %d: %s", (int)status, tw_context_error(g->ctx));
}

static inline int64_t size_at(tw_val v)
{
    return tw_shape_size(tw_shape_at(v));
}

static inline double *new_array(int64_t size)
{
    double *x = calloc((size_t)size + 1, sizeof *x);
    assert_non_null(x);
    return x;
}

static inline double *random_array(tw_random *r, tw_dtype dtype, int64_t size, double low, double high)
{
    double *x = new_array(size);
    for (int64_t i = 0; i < size; i++) {
        x[i] = low + (high - low) * tw_random_uniform(r);
        if (!tw_dtype_is_real(dtype)) x[i] = floor(x[i]);
    }
    return x;
}

static inline double dot(int64_t size, const double *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < size; i++) sum += a[i] * b[i];
    return sum;
}

/* The value of one output, to be freed. */
static inline double *evaluate(int count, const tw_val *inputs, double *const *values, tw_val output)
{
    double *out = new_array(size_at(output));
    tw_graph *g = output.graph;
    check_status(g, tw_reference_run(g->ctx, count, inputs, (const double *const *)values, 1, &output, &out));
    return out;
}

static inline void assert_near(double a, double b, double tolerance, const char *what)
{
    if (a == b || (isnan(a) && isnan(b))) return;
    if (!(fabs(a - b) <= tolerance)) fail_msg("%s: %.17g and %.17g differ by %.3g", what, a, b, a - b);
}

#endif
