/* A flow whose network is exactly linear, so that everything about it is known: silu(z) - silu(-z) = z, hence the
 * residual MLP with in = [I, -I], blocks of zero and out = [A; -A] is u(x) = A x + b. With A upper triangular 2 x 2,
 *
 *   A = [p q; 0 r]:  x_1(1) = e^p x_1 + q (e^p - e^r)/(p - r) x_2 + c_1,  x_2(1) = e^r x_2 + c_2
 *
 * (rows of x times the transpose), div u = p + r, and a standard normal source becomes a normal distribution. */
#ifndef TW_TESTS_LINEAR_FLOW_H
#define TW_TESTS_LINEAR_FLOW_H

#include "flow/flow.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LINEAR_WIDTH = 4 };

static const double linear_p = 0.8, linear_q = -0.5, linear_r = -0.6, linear_b[2] = {0.3, -0.7};
static const double linear_shift[2] = {10, -3}, linear_scale[2] = {2, 0.25};

static inline float *linear_piece(tw_flow *flow, const char *name)
{
    for (int i = 0; i < tw_params_count(flow->params); i++)
        if (strcmp(tw_params_name(flow->params, i), name) == 0)
            return flow->weights + tw_params_offset(flow->params, i);
    fail_msg("no parameter %s", name);
    return NULL;
}

static inline void linear_fill(tw_flow *flow)
{
    memset(flow->weights, 0, (size_t)tw_params_size(flow->params) * sizeof(float));
    float *in = linear_piece(flow, "network.in.weight"), *out = linear_piece(flow, "network.out.weight");
    float *bias = linear_piece(flow, "network.out.bias");
    /* in (2,4): h = (x1, x2, -x1, -x2); out (4,2): columns are the outputs */
    in[0] = in[LINEAR_WIDTH + 1] = 1;
    in[2] = in[LINEAR_WIDTH + 3] = -1;
    const double a[2][2] = {{linear_p, 0}, {linear_q, linear_r}}; /* a[input][output] */
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            out[2 * i + j] = (float)a[i][j];
            out[2 * (i + 2) + j] = -(float)a[i][j];
        }
        bias[i] = (float)linear_b[i];
        flow->normaliser.shift[i] = linear_shift[i];
        flow->normaliser.scale[i] = linear_scale[i];
    }
    tw_flow_programs_drop(flow);
}

static inline tw_status linear_flow(tw_context *ctx, tw_flow **out_flow)
{
    const char *names[2] = {"first", "second \"quoted\""};
    const int decimals[2] = {3, -1};
    tw_status status =
        tw_flow_create(ctx,
                       &(tw_flow_desc){.columns = 2,
                                       .names = names,
                                       .decimals = decimals,
                                       .seed = 0xFFFFFFFFFFFFFFF1u,
                                       .network = {.width = LINEAR_WIDTH, .depth = 1, .time_features = 2}},
                       out_flow);
    if (status == TW_OK) linear_fill(*out_flow);
    return status;
}

/* The numbers the weights really are: floats. */
static inline double linear_float(double x)
{
    return (double)(float)x;
}

/* x(1) from x(0), normalised units. x(t) = e^{At} x0 + int_0^t e^{As} b ds, written for each coordinate. */
static inline void linear_map(const double *x0, double *x1)
{
    double p = linear_float(linear_p), q = linear_float(linear_q), r = linear_float(linear_r);
    double b0 = linear_float(linear_b[0]), b1 = linear_float(linear_b[1]);
    double ep = exp(p), er = exp(r), mix = q * (ep - er) / (p - r);
    /* int_0^1 q (e^{ps} - e^{rs})/(p - r) ds */
    double drift = q * ((ep - 1) / p - (er - 1) / r) / (p - r);
    x1[0] = ep * x0[0] + mix * x0[1] + b0 * (ep - 1) / p + b1 * drift;
    x1[1] = er * x0[1] + b1 * (er - 1) / r;
}

/* log p_1 at data units y, by inverting the map and its constant determinant. */
static inline double linear_log_density(const double *y)
{
    const double origin[2] = {0, 0}, e0[2] = {1, 0}, e1[2] = {0, 1};
    double c[2], m0[2], m1[2], z[2], x[2];
    linear_map(origin, c);
    linear_map(e0, m0);
    linear_map(e1, m1);
    for (int i = 0; i < 2; i++) z[i] = (y[i] - linear_shift[i]) / linear_scale[i] - c[i];
    x[1] = z[1] / (m1[1] - c[1]);
    x[0] = (z[0] - (m1[0] - c[0]) * x[1]) / (m0[0] - c[0]);
    return -log(2 * 3.14159265358979323846) - 0.5 * (x[0] * x[0] + x[1] * x[1]) -
           (linear_float(linear_p) + linear_float(linear_r)) - log(linear_scale[0] * linear_scale[1]);
}

#endif
