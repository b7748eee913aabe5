/* A flow of two columns whose small network is as it was made, told two conditions, and what gradients through it are
 * held to: differences. */
#ifndef TW_TESTS_SMALL_FLOW_H
#define TW_TESTS_SMALL_FLOW_H

#include "base/philox.h"
#include "flow/flow.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { D = 2, ROWS = 5 };

static inline void draw(int64_t n, double *x)
{
    tw_random random = {.seed = 3, .stream = 50};
    for (int64_t i = 0; i < D * n; i++) x[i] = tw_random_normal(&random);
}

static inline tw_flow *small_flow(tw_context *ctx)
{
    static const char *const levels[] = {"a", "b", "c"};
    static const tw_condition told[] = {{.name = "kind", .classes = 3, .level = levels},
                                        {.name = "size", .mean = 1, .scale = 2}};
    tw_flow_desc desc = {.columns = D,
                         .network = {.width = 16, .depth = 2, .time_features = 4},
                         .seed = 5,
                         .conditions = told,
                         .conditions_count = 2};
    tw_flow *flow = NULL;
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    tw_random random = {.seed = 7, .stream = 51}; /* the last layer begins at zero */
    for (int64_t i = 0; i < tw_params_size(flow->params); i++)
        if (flow->weights[i] == 0) flow->weights[i] = (float)(0.3 * tw_random_normal(&random));
    tw_flow_programs_drop(flow);
    return flow;
}

/* `steps` of a method, or tolerances of 1e-9 for 0. */
static inline tw_sample_desc told(const char *method, int steps)
{
    static const double conditions[2 * ROWS] = {0, 1.5, 2, -1, NAN, 3, 1, NAN, 2, 0};
    return (tw_sample_desc){
        .double_precision = true,
        .conditions = conditions,
        .guidance = 0.5,
        .solver = {.method = method, .steps = steps, .rtol = steps ? 0 : 1e-9, .atol = steps ? 0 : 1e-9}};
}

/* One number of ROWS rows x. */
typedef double (*number_fn)(tw_flow *flow, void *user, const double *x);

static inline void check_differences(tw_flow *flow, number_fn value, void *user, double *x, const double *dx,
                                     double tolerance)
{
    const double d = 1e-5;
    for (int i = 0; i < D * ROWS; i++) {
        double keep = x[i];
        x[i] = keep + d;
        double up = value(flow, user, x);
        x[i] = keep - d;
        double slope = (up - value(flow, user, x)) / (2 * d);
        x[i] = keep;
        assert_true(fabs(dx[i] - slope) <= tolerance * (1 + fabs(slope)));
    }
}

/* Every 13th weight; those are floats, so the step is what it came out as. */
static inline void check_weights(tw_flow *flow, number_fn value, void *user, const double *x, const double *dweights,
                                 double tolerance)
{
    int64_t at = 0;
    for (int p = 0; p < tw_params_count(flow->params); p++) {
        int64_t size = tw_shape_size(tw_shape_at(tw_params_value(flow->params, p)));
        for (int64_t k = at % 13; k < size; k += 13) {
            float *w = flow->weights + tw_params_offset(flow->params, p) + k, keep = *w, up = keep + 1e-3f,
                  down = keep - 1e-3f;
            *w = up;
            tw_flow_programs_drop(flow);
            double high = value(flow, user, x);
            *w = down;
            tw_flow_programs_drop(flow);
            double slope = (high - value(flow, user, x)) / ((double)up - (double)down);
            *w = keep;
            tw_flow_programs_drop(flow);
            assert_true(fabs(dweights[at + k] - slope) <= tolerance * (1 + fabs(slope)));
        }
        at += size;
    }
    assert_int_equal(at, tw_flow_parameters(flow));
}

#endif
