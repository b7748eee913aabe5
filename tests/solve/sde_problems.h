/* Stochastic equations with closed forms (Rackauckas, Nie 2017, and their Stratonovich forms), for tests of solvers and
 * of gradients. Parameters are file variables, so that gradients can move them. */
#ifndef TW_TESTS_SOLVE_SDE_PROBLEMS_H
#define TW_TESTS_SOLVE_SDE_PROBLEMS_H

#include <thalweg/sde.h>

#include <math.h>

/* ---- geometric motion: dx = p0 x dt + p1 x dW, a motion for each of two columns ---- */

static double gbm_p[2] = {0.7, 0.8};

static inline tw_status gbm_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = gbm_p[0] * x[i];
    return TW_OK;
}
static inline tw_status gbm_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = gbm_p[1] * x[i];
    return TW_OK;
}
static inline tw_status gbm_derivative(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = gbm_p[1] * gbm_p[1] * x[i];
    return TW_OK;
}
static inline tw_status gbm_vjp(void *user, int64_t rows, const double *t, const double *x, const double *df,
                                const double *dg, double *out_dx, double *dparams)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) {
        out_dx[i] = gbm_p[0] * df[i] + gbm_p[1] * dg[i];
        dparams[0] += df[i] * x[i];
        dparams[1] += dg[i] * x[i];
    }
    return TW_OK;
}
static inline void gbm_exact(tw_sde_sense sense, double t, const double *x0, const double *w, double *out)
{
    double drift = sense == TW_SDE_ITO ? gbm_p[0] - gbm_p[1] * gbm_p[1] / 2 : gbm_p[0];
    for (int i = 0; i < 2; i++) out[i] = x0[i] * exp(drift * t + gbm_p[1] * w[i]);
}

/* ---- x = arctan(p w + tan x_0), one motion for two columns with p of their own. Ito: dx = -p^2 sin x cos^3 x dt +
 * p cos^2 x dW; Stratonovich: without the drift ---- */

static const double arc_p[2] = {0.4, 0.7};
static tw_sde_sense arc_sense;

static inline tw_status arc_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) {
        double p = arc_p[i % 2], s = sin(x[i]), c = cos(x[i]);
        out[i] = arc_sense == TW_SDE_ITO ? -p * p * s * c * c * c : 0;
    }
    return TW_OK;
}
static inline tw_status arc_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = arc_p[i % 2] * cos(x[i]) * cos(x[i]);
    return TW_OK;
}
static inline tw_status arc_derivative(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) {
        double c = cos(x[i]), p = arc_p[i % 2];
        out[i] = -2 * p * p * c * c * c * sin(x[i]);
    }
    return TW_OK;
}
static inline void arc_exact(tw_sde_sense sense, double t, const double *x0, const double *w, double *out)
{
    (void)sense, (void)t;
    for (int i = 0; i < 2; i++) out[i] = atan(arc_p[i] * w[0] + tan(x0[i]));
}

/* ---- additive, three motions for two columns: dx = (b/sqrt(1+t) - x/(2+2t)) dt + b sum_k a_k dW_k / sqrt(1+t) ---- */

static const double additive_a[2][3] = {{0.4, -0.2, 0.3}, {0.1, 0.5, -0.3}};
static const double additive_b = 0.9;

static inline tw_status additive_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = additive_b / sqrt(1 + t[i / 2]) - x[i] / (2 + 2 * t[i / 2]);
    return TW_OK;
}
static inline tw_status additive_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)x;
    for (int64_t i = 0; i < 2 * rows; i++)
        for (int k = 0; k < 3; k++) out[3 * i + k] = additive_b * additive_a[i % 2][k] / sqrt(1 + t[i / 2]);
    return TW_OK;
}
static inline void additive_exact(tw_sde_sense sense, double t, const double *x0, const double *w, double *out)
{
    (void)sense;
    for (int i = 0; i < 2; i++) {
        double noise = 0;
        for (int k = 0; k < 3; k++) noise += additive_a[i][k] * w[k];
        out[i] = (x0[i] + additive_b * (t + noise)) / sqrt(1 + t);
    }
}

/* ---- general with matrices that commute: in complex numbers dz = p0 z dt + p1 z dW_1 + i p2 z dW_2 ---- */

static double spiral_p[3] = {-0.3, 0.5, 0.7};

static inline tw_status spiral_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = spiral_p[0] * x[i];
    return TW_OK;
}
static inline tw_status spiral_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t r = 0; r < rows; r++, x += 2, out += 4) {
        out[0] = spiral_p[1] * x[0];
        out[1] = -spiral_p[2] * x[1];
        out[2] = spiral_p[1] * x[1];
        out[3] = spiral_p[2] * x[0];
    }
    return TW_OK;
}
static inline tw_status spiral_vjp(void *user, int64_t rows, const double *t, const double *x, const double *df,
                                   const double *dg, double *out_dx, double *dparams)
{
    (void)user, (void)t;
    for (int64_t r = 0; r < rows; r++, x += 2, out_dx += 2, df += 2, dg += 4) {
        out_dx[0] = spiral_p[0] * df[0] + spiral_p[1] * dg[0] + spiral_p[2] * dg[3];
        out_dx[1] = spiral_p[0] * df[1] - spiral_p[2] * dg[1] + spiral_p[1] * dg[2];
        dparams[0] += df[0] * x[0] + df[1] * x[1];
        dparams[1] += dg[0] * x[0] + dg[2] * x[1];
        dparams[2] += dg[3] * x[0] - dg[1] * x[1];
    }
    return TW_OK;
}
static inline void spiral_exact(tw_sde_sense sense, double t, const double *x0, const double *w, double *out)
{
    const double *p = spiral_p;
    double drift = sense == TW_SDE_ITO ? p[0] - (p[1] * p[1] - p[2] * p[2]) / 2 : p[0];
    double size = exp(drift * t + p[1] * w[0]), c = cos(p[2] * w[1]), s = sin(p[2] * w[1]);
    out[0] = size * (c * x0[0] - s * x0[1]);
    out[1] = size * (s * x0[0] + c * x0[1]);
}

/* ---- the equations ---- */

typedef void (*exact_fn)(tw_sde_sense sense, double t, const double *x0, const double *w, double *out);

typedef struct problem {
    const char *name;
    tw_sde_equation equation;
    exact_fn exact;
} problem;

static inline problem problem_of(tw_sde_noise noise, tw_sde_sense sense)
{
    const problem all[] = {
        [TW_SDE_DIAGONAL] =
            {"geometric",
             {.columns = 2, .drift = gbm_drift, .diffusion = gbm_diffusion, .vjp = gbm_vjp, .params = 2},
             gbm_exact},
        [TW_SDE_SCALAR] = {"arctan", {.columns = 2, .drift = arc_drift, .diffusion = arc_diffusion}, arc_exact},
        [TW_SDE_ADDITIVE] = {"additive",
                             {.columns = 2, .noises = 3, .drift = additive_drift, .diffusion = additive_diffusion},
                             additive_exact},
        [TW_SDE_GENERAL] = {"spiral",
                            {.columns = 2,
                             .noises = 2,
                             .drift = spiral_drift,
                             .diffusion = spiral_diffusion,
                             .vjp = spiral_vjp,
                             .params = 3},
                            spiral_exact},
    };
    problem p = all[noise];
    p.equation.noise = noise;
    p.equation.sense = arc_sense = sense;
    return p;
}

#endif
