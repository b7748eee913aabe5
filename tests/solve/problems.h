/* Fields with known solutions that the tests of solvers share. */
#ifndef TESTS_SOLVE_PROBLEMS_H
#define TESTS_SOLVE_PROBLEMS_H

#include <thalweg/solve.h>

#include <math.h>

/* x' = x cos t with the solution exp(sin t). */
static inline tw_status cosine_growth(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = x[i] * cos(t[i]);
    return TW_OK;
}

/* Nonlinear, coupled, non-autonomous: x' = 2 t x log y, y' = -2 t y log x with the solution x = exp(sin t^2),
 * y = exp(cos t^2). */
static inline tw_status coupled(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) {
        out_dx[2 * i] = 2 * t[i] * x[2 * i] * log(x[2 * i + 1]);
        out_dx[2 * i + 1] = -2 * t[i] * x[2 * i + 1] * log(x[2 * i]);
    }
    return TW_OK;
}

static inline double coupled_error(const double *x, double t)
{
    return hypot(x[0] - exp(sin(t * t)), x[1] - exp(cos(t * t)));
}

#endif
