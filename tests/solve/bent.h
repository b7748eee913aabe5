/* A field that is not linear, depends on time, couples its columns and has parameters, with its transposed derivative;
 * user is theta. */
#ifndef TESTS_SOLVE_BENT_H
#define TESTS_SOLVE_BENT_H

#include <thalweg/adjoint.h>

#include <math.h>

enum { COLUMNS = 2, PARAMS = 3 };

static inline void bent_parameters(double theta[PARAMS])
{
    theta[0] = 1.4, theta[1] = 0.9, theta[2] = 0.6;
}

/* x' = theta0 tanh(theta1 y + sin 3t) - theta2 x, y' = cos(x) y - x^2 / 4 + t */
static inline tw_status bent(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const double *theta = user;
    for (int64_t i = 0; i < rows; i++) {
        double u = x[2 * i], v = x[2 * i + 1];
        out[2 * i] = theta[0] * tanh(theta[1] * v + sin(3 * t[i])) - theta[2] * u;
        out[2 * i + 1] = cos(u) * v - u * u / 4 + t[i];
    }
    return TW_OK;
}

static inline tw_status bent_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w,
                                 double *out_dx, double *dparams)
{
    const double *theta = user;
    for (int64_t i = 0; i < rows; i++) {
        double u = x[2 * i], v = x[2 * i + 1], p = w[2 * i], q = w[2 * i + 1];
        double y = tanh(theta[1] * v + sin(3 * t[i])), slope = theta[0] * (1 - y * y);
        out_dx[2 * i] = -theta[2] * p + (-sin(u) * v - u / 2) * q;
        out_dx[2 * i + 1] = slope * theta[1] * p + cos(u) * q;
        if (!dparams) continue;
        dparams[0] += y * p;
        dparams[1] += slope * v * p;
        dparams[2] += -u * p;
    }
    return TW_OK;
}

#endif
