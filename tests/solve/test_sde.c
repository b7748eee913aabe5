/* What SDE solvers promise: strong orders on one path, weak moments, every kind of noise against closed forms,
 * reversibility, log-densities and divergences against their formulas, and clean refusals. */
#include "solve/levy.h"
#include "solve/sde_problems.h"

#include "base/base.h"
#include "solve/sde.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void solve(const tw_sde_equation *e, tw_sde_desc desc, int64_t rows, double *x, const tw_sde_out *out)
{
    tw_status status = tw_sde_solve(ctx, e, &desc, rows, x, out, NULL);
    if (status != TW_OK) print_error("%s\n", tw_context_error(ctx));
    assert_int_equal(status, TW_OK);
}

static void fill(int64_t rows, double *x)
{
    for (int64_t i = 0; i < 2 * rows; i++) x[i] = 0.5 + 0.4 * sin((double)i);
}

static int motions(const tw_sde_equation *e)
{
    return e->noise == TW_SDE_DIAGONAL ? e->columns : e->noise == TW_SDE_SCALAR ? 1 : e->noises;
}

/* ---- strong orders ---- */

enum { PATHS = 2000, FINEST = 128 };

/* Root mean square over the paths of the distance at the end of [0,1]. */
static double strong_error(const problem *p, const char *method, tw_brownian *b, int64_t steps)
{
    static double x0[2 * PATHS], x[2 * PATHS], w[3 * PATHS];
    double sum = 0;
    fill(PATHS, x0);
    memcpy(x, x0, sizeof x);
    solve(&p->equation, (tw_sde_desc){.method = method, .steps = steps, .brownian = b}, PATHS, x, NULL);
    tw_brownian_at(b, 0, PATHS, 1, w, NULL);
    for (int64_t r = 0; r < PATHS; r++) {
        double exact[2];
        p->exact(p->equation.sense, 1, x0 + 2 * r, w + r * motions(&p->equation), exact);
        for (int i = 0; i < 2; i++) sum += (x[2 * r + i] - exact[i]) * (x[2 * r + i] - exact[i]);
    }
    return sqrt(sum / PATHS);
}

/* The slope of log error against log step over 2^-4 ... 2^-7. */
static double strong_order(const problem *p, const char *method)
{
    tw_brownian *b = NULL;
    tw_brownian_desc desc = {.cells = FINEST, .columns = motions(&p->equation), .seed = 3, .integrals = true};
    double slope = 0;
    assert_int_equal(tw_brownian_create(ctx, &desc, PATHS, &b), TW_OK);
    for (int k = 0; k < 4; k++) slope -= (k - 1.5) / 5 * log2(strong_error(p, method, b, FINEST >> (3 - k)));
    tw_brownian_destroy(b);
    return slope;
}

static void strong_orders_are_those_stated(void **state)
{
    (void)state;
    const tw_sde_method_info *m;
    for (int i = 0; (m = tw_sde_method_list(i)); i++)
        for (int noise = 0; noise <= TW_SDE_GENERAL; noise++)
            for (int sense = 0; sense < 2; sense++) {
                if (!m->noise[noise] || !(sense == TW_SDE_ITO ? m->ito : m->stratonovich)) continue;
                const problem p = problem_of((tw_sde_noise)noise, (tw_sde_sense)sense);
                /* the spiral's motions commute: methods of Stratonovich's sense have order 1 there */
                double order = noise == TW_SDE_GENERAL && sense ? 1 : m->strong[noise];
                double seen = strong_order(&p, m->name);
                /* the additive equation is linear, which srk profits from; bent_drift holds it to its order */
                bool better = noise == TW_SDE_ADDITIVE && seen > order;
                if (fabs(seen - order) > 0.1 && !better)
                    print_error("%s, %s noise %d: order %.3f, not %.1f\n", m->name, p.name, noise, seen, order);
                assert_true(fabs(seen - order) <= 0.1 || better);
            }
}

static void milstein_by_a_derivative_has_order_one(void **state)
{
    (void)state;
    for (int sense = 0; sense < 2; sense++) {
        problem p = problem_of(TW_SDE_DIAGONAL, (tw_sde_sense)sense);
        p.equation.derivative = gbm_derivative;
        assert_true(fabs(strong_order(&p, "milstein") - 1) <= 0.1);
        p = problem_of(TW_SDE_SCALAR, (tw_sde_sense)sense);
        p.equation.derivative = arc_derivative;
        assert_true(fabs(strong_order(&p, "milstein") - 1) <= 0.1);
    }
}

/* A slope against the finest solution on the same path. */
static double order_against_finest(const tw_sde_equation *e, const char *method)
{
    enum { FINE = 2048 };
    static double x[2 * PATHS], fine[2 * PATHS];
    tw_brownian *b = NULL;
    tw_brownian_desc desc = {.cells = FINE, .columns = motions(e), .integrals = true};
    double slope = 0;
    assert_int_equal(tw_brownian_create(ctx, &desc, PATHS, &b), TW_OK);
    memset(fine, 0, sizeof fine);
    solve(e, (tw_sde_desc){.method = method, .steps = FINE, .brownian = b}, PATHS, fine, NULL);
    for (int k = 0; k < 4; k++) {
        double sum = 0;
        memset(x, 0, sizeof x);
        solve(e, (tw_sde_desc){.method = method, .steps = 16 << k, .brownian = b}, PATHS, x, NULL);
        for (int i = 0; i < 2 * PATHS; i++) sum += (x[i] - fine[i]) * (x[i] - fine[i]);
        slope -= (k - 1.5) / 5 * log2(sqrt(sum / PATHS));
    }
    tw_brownian_destroy(b);
    return slope;
}

static tw_status bent_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = 0.4 * sin(6 * x[i] + t[i / 2]);
    return TW_OK;
}

static void orders_at_additive_noise_with_a_bent_drift(void **state)
{
    (void)state;
    problem p = problem_of(TW_SDE_ADDITIVE, TW_SDE_ITO);
    p.equation.drift = bent_drift;
    double euler = order_against_finest(&p.equation, "euler"), srk = order_against_finest(&p.equation, "srk");
    if (fabs(euler - 1) > 0.1 || fabs(srk - 1.5) > 0.1) print_error("orders %.3f, %.3f\n", euler, srk);
    assert_true(fabs(euler - 1) <= 0.1);
    assert_true(fabs(srk - 1.5) <= 0.1);
}

/* No method without areas between motions has an order above 1/2. */
static void motions_that_do_not_commute_have_order_one_half(void **state)
{
    (void)state;
    const char *const methods[] = {"euler", "heun", "midpoint", "euler_heun", "reversible_heun"};
    for (int m = 0; m < TW_COUNT(methods); m++) {
        tw_sde_equation e = {.noise = TW_SDE_GENERAL, .columns = 2, .noises = 2, .drift = no_drift};
        e.sense = m ? TW_SDE_STRATONOVICH : TW_SDE_ITO;
        e.diffusion = levy_diffusion;
        assert_true(fabs(order_against_finest(&e, methods[m]) - 0.5) <= 0.1);
    }
}

/* torchsde evaluates stages again: 10 drifts and 10 diffusions a step of its srk. */
static void torchsde_srk_evaluates_stages_again(void **state)
{
    (void)state;
    const struct {
        tw_sde_noise noise;
        int drifts, diffusions;
    } want[] = {{TW_SDE_DIAGONAL, 2, 4}, {TW_SDE_SCALAR, 2, 4}, {TW_SDE_ADDITIVE, 2, 2}};
    for (int i = 0; i < TW_COUNT(want); i++) {
        double x[2] = {0.3, 0.4};
        tw_sde_stats stats;
        problem p = problem_of(want[i].noise, TW_SDE_ITO);
        assert_int_equal(
            tw_sde_solve(ctx, &p.equation, &(tw_sde_desc){.method = "srk", .steps = 8}, 1, x, NULL, &stats), TW_OK);
        assert_int_equal(stats.steps, 8);
        assert_int_equal(stats.drift_evaluations, 8 * want[i].drifts);
        assert_int_equal(stats.diffusion_evaluations, 8 * want[i].diffusions);
    }
}

/* ---- weak: Ornstein and Uhlenbeck's dx = -a x dt + s dW, mean x0 e^-aT, variance s^2 (1 - e^-2aT) / 2a ---- */

static const double ou_a = 1.5, ou_s = 0.8;

static tw_status ou_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const int *columns = user;
    (void)t;
    for (int64_t i = 0; i < rows * *columns; i++) out[i] = -ou_a * x[i];
    return TW_OK;
}
static tw_status ou_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const int *columns = user;
    (void)t, (void)x;
    for (int64_t i = 0; i < rows * *columns; i++) out[i] = ou_s;
    return TW_OK;
}

enum { SAMPLES = 100000 };
static double sample[SAMPLES];

static void assert_moments(double mean, double variance)
{
    double m = 0, v = 0;
    for (int i = 0; i < SAMPLES; i++) m += sample[i] / SAMPLES;
    for (int i = 0; i < SAMPLES; i++) v += (sample[i] - m) * (sample[i] - m) / (SAMPLES - 1);
    assert_true(fabs(m - mean) < 5 * sqrt(variance / SAMPLES));
    assert_true(fabs(v - variance) < 5 * variance * sqrt(2.0 / SAMPLES));
}

static void moments_of_ornstein_uhlenbeck(void **state)
{
    (void)state;
    int one = 1;
    tw_sde_equation e = {.columns = 1, .drift = ou_drift, .diffusion = ou_diffusion, .user = &one};
    const double x0 = 2, T = 1.2;
    /* Euler's chain is Gaussian with known moments, which differ from the equation's by O(h) */
    enum { STEPS = 12 };
    double q = 1 - ou_a * T / STEPS, mean = x0, variance = 0;
    for (int i = 0; i < STEPS; i++) {
        mean *= q;
        variance = q * q * variance + ou_s * ou_s * T / STEPS;
    }
    for (int i = 0; i < SAMPLES; i++) sample[i] = x0;
    solve(&e, (tw_sde_desc){.method = "euler", .steps = STEPS, .t1 = T}, SAMPLES, sample, NULL);
    assert_moments(mean, variance);
    for (int i = 0; i < SAMPLES; i++) sample[i] = x0;
    solve(&e, (tw_sde_desc){.method = "srk", .steps = 40, .t1 = T}, SAMPLES, sample, NULL);
    assert_moments(x0 * exp(-ou_a * T), ou_s * ou_s * (1 - exp(-2 * ou_a * T)) / (2 * ou_a));
    e.sense = TW_SDE_STRATONOVICH;
    for (int i = 0; i < SAMPLES; i++) sample[i] = x0;
    solve(&e, (tw_sde_desc){.method = "heun", .steps = 40, .t1 = T}, SAMPLES, sample, NULL);
    assert_moments(x0 * exp(-ou_a * T), ou_s * ou_s * (1 - exp(-2 * ou_a * T)) / (2 * ou_a));
}

/* ---- backwards ---- */

static void reversible_heun_is_undone_exactly(void **state)
{
    (void)state;
    enum { ROWS = 50, STEPS = 100 };
    for (int noise = 0; noise <= TW_SDE_GENERAL; noise++) {
        problem p = problem_of((tw_sde_noise)noise, TW_SDE_STRATONOVICH);
        double x0[2 * ROWS], x[2 * ROWS];
        tw_sde *sde = NULL;
        assert_int_equal(
            tw_sde_create(ctx, &p.equation, &(tw_sde_desc){.method = "reversible_heun", .steps = STEPS}, ROWS, &sde),
            TW_OK);
        sde->rows = ROWS;
        fill(ROWS, x0);
        memcpy(x, x0, sizeof x);
        assert_int_equal(tw_sde_start_reversible(sde, 0, x), TW_OK);
        for (int n = 0; n < 2 * STEPS; n++) {
            int from = n < STEPS ? n : 2 * STEPS - n, to = n < STEPS ? n + 1 : from - 1;
            assert_int_equal(tw_sde_step_reversible(sde, sde->times[from], sde->times[to], x), TW_OK);
            memcpy(x, sde->z, sizeof x);
            if (n == STEPS - 1) assert_true(fabs(x[0] - x0[0]) > 1e-3);
        }
        for (int i = 0; i < 2 * ROWS; i++)
            assert_true(fabs(x[i] - x0[i]) < 1e-10 && fabs(sde->mate[i] - x0[i]) < 1e-10);
        tw_sde_destroy(sde);
    }
}

/* In Stratonovich's sense the same equation leads back along the same path. */
static void backwards_is_the_same_path(void **state)
{
    (void)state;
    enum { ROWS = 50 };
    problem p = problem_of(TW_SDE_SCALAR, TW_SDE_STRATONOVICH);
    double x0[2 * ROWS], x[2 * ROWS];
    fill(ROWS, x0);
    memcpy(x, x0, sizeof x);
    solve(&p.equation, (tw_sde_desc){.method = "heun", .steps = 1000, .seed = 4}, ROWS, x, NULL);
    solve(&p.equation, (tw_sde_desc){.method = "heun", .steps = 1000, .seed = 4, .t0 = 1}, ROWS, x, NULL);
    for (int i = 0; i < 2 * ROWS; i++) assert_true(fabs(x[i] - x0[i]) < 5e-3);
}

/* ---- output, blocks, motions ---- */

static void states_at_times_are_landed_on(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    const double times[] = {0, 0.1, 0.25, 0.333, 0.75, 1};
    double x[2 * ROWS], whole[2 * ROWS], states[6][2 * ROWS], x0[2 * ROWS];
    fill(ROWS, x0);
    memcpy(x, x0, sizeof x);
    memcpy(whole, x0, sizeof x);
    const tw_sde_out out = {.times_count = 6, .times = times, .states = states[0]};
    const tw_sde_desc desc = {.method = "srk", .steps = 512, .seed = 8};
    solve(&p.equation, desc, ROWS, x, &out);
    assert_memory_equal(states[0], x0, sizeof x0);
    assert_memory_equal(states[5], x, sizeof x);
    solve(&p.equation, desc, ROWS, whole, NULL);
    for (int i = 0; i < 2 * ROWS; i++) assert_true(fabs(x[i] - whole[i]) < 1e-3); /* another step was cut, no more */
    /* the states lie on the path: against the closed form along the motion of the same name */
    tw_brownian *b = NULL;
    tw_brownian_desc motion = {.cells = 512, .columns = 2, .seed = 8, .integrals = true};
    assert_int_equal(tw_brownian_create(ctx, &motion, ROWS, &b), TW_OK);
    for (int k = 0; k < 6; k++) {
        double w[2 * ROWS], exact[2];
        tw_brownian_at(b, 0, ROWS, times[k], w, NULL);
        for (int r = 0; r < ROWS; r++) {
            gbm_exact(TW_SDE_ITO, times[k], x0 + 2 * r, w + 2 * r, exact);
            for (int i = 0; i < 2; i++) assert_true(fabs(states[k][2 * r + i] - exact[i]) < 1e-3);
        }
    }
    tw_brownian_destroy(b);
}

static void rows_do_not_depend_on_their_neighbours(void **state)
{
    (void)state;
    enum { ROWS = 9000 };
    static double x[2 * ROWS], part[2 * ROWS];
    for (int noise = 0; noise <= TW_SDE_GENERAL; noise++) {
        problem p = problem_of((tw_sde_noise)noise, TW_SDE_ITO);
        tw_sde_desc desc = {.method = "euler", .steps = 9, .seed = 1};
        fill(ROWS, x);
        memcpy(part, x, sizeof x);
        solve(&p.equation, desc, ROWS, x, NULL);
        desc.first_row = 4321;
        solve(&p.equation, desc, 77, part + 2 * 4321, NULL);
        assert_memory_equal(x + 2 * 4321, part + 2 * 4321, 77 * 2 * sizeof(double));
    }
}

static void uneven_steps_and_motions_of_the_caller(void **state)
{
    (void)state;
    enum { ROWS = 200, STEPS = 40 };
    static double x0[2 * ROWS], x[2 * ROWS], y[2 * ROWS], w[2 * ROWS];
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    double times[STEPS + 1], exact[2], sum = 0, mean = 0;
    for (int i = 0; i <= STEPS; i++) times[i] = pow((double)i / STEPS, 1.5);
    fill(ROWS, x0);
    memcpy(x, x0, sizeof x);
    memcpy(y, x0, sizeof y);
    solve(&p.equation, (tw_sde_desc){.method = "srk", .steps = STEPS, .times = times, .seed = 2}, ROWS, x, NULL);
    tw_brownian_desc desc = {.cells = STEPS, .times = times, .columns = 2, .seed = 2, .integrals = true};
    tw_brownian *b = NULL;
    assert_int_equal(tw_brownian_create(ctx, &desc, ROWS, &b), TW_OK);
    solve(&p.equation, (tw_sde_desc){.method = "srk", .steps = STEPS, .times = times, .brownian = b}, ROWS, y, NULL);
    assert_memory_equal(x, y, sizeof x);
    tw_brownian_at(b, 0, ROWS, 1, w, NULL);
    for (int r = 0; r < ROWS; r++) {
        gbm_exact(TW_SDE_ITO, 1, x0 + 2 * r, w + 2 * r, exact);
        for (int i = 0; i < 2; i++) {
            sum += (x[2 * r + i] - exact[i]) * (x[2 * r + i] - exact[i]);
            mean += exact[i] * exact[i];
        }
    }
    if (sqrt(sum / mean) >= 5e-3) print_error("%g\n", sqrt(sum / mean));
    assert_true(sqrt(sum / mean) < 5e-3); /* the longest step is 0.037: 0.037^1.5 = 7e-3 times a constant below 1 */
    tw_brownian_destroy(b);
}

/* ---- densities ---- */

static double direct_log_density(double x, double mean, double variance)
{
    return -0.5 * (x - mean) * (x - mean) / variance - 0.5 * log(6.283185307179586476925 * variance);
}

static void log_densities_of_transitions(void **state)
{
    (void)state;
    enum { ROWS = 40, STEPS = 10 };
    double x[2 * ROWS], log_prob[STEPS][ROWS], states[STEPS + 1][2 * ROWS], times[STEPS + 1], again[ROWS];
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    for (int i = 0; i <= STEPS; i++) times[i] = (double)i / STEPS;
    fill(ROWS, x);
    const tw_sde_out out = {.times_count = STEPS + 1, .times = times, .states = states[0], .log_prob = log_prob[0]};
    solve(&p.equation, (tw_sde_desc){.method = "euler", .steps = STEPS}, ROWS, x, &out);
    for (int n = 0; n < STEPS; n++) {
        double h = times[n + 1] - times[n];
        for (int r = 0; r < ROWS; r++) {
            double sum = 0;
            for (int i = 2 * r; i < 2 * r + 2; i++) {
                double s = gbm_p[1] * states[n][i];
                sum += direct_log_density(states[n + 1][i], states[n][i] * (1 + h * gbm_p[0]), h * s * s);
            }
            assert_true(fabs(log_prob[n][r] - sum) < 1e-10);
        }
        assert_int_equal(
            tw_sde_transition_log_prob(ctx, &p.equation, times[n], h, ROWS, states[n], states[n + 1], again), TW_OK);
        for (int r = 0; r < ROWS; r++) assert_true(fabs(log_prob[n][r] - again[r]) < 1e-10);
    }
}

/* Three motions for two columns: the density with covariance h g g^T, by hand. */
static void log_densities_of_additive_noise(void **state)
{
    (void)state;
    double x[2] = {0.3, -0.2}, y[2] = {0.5, 0.1}, log_prob, f[2], g[6], t = 0.5;
    problem p = problem_of(TW_SDE_ADDITIVE, TW_SDE_ITO);
    const double h = 0.05;
    assert_int_equal(tw_sde_transition_log_prob(ctx, &p.equation, t, h, 1, x, y, &log_prob), TW_OK);
    assert_int_equal(additive_drift(NULL, 1, &t, x, f), TW_OK);
    assert_int_equal(additive_diffusion(NULL, 1, &t, x, g), TW_OK);
    double a = 0, b = 0, c = 0;
    for (int k = 0; k < 3; k++) {
        a += h * g[k] * g[k];
        b += h * g[k] * g[3 + k];
        c += h * g[3 + k] * g[3 + k];
    }
    double d = a * c - b * b, u = y[0] - x[0] - h * f[0], v = y[1] - x[1] - h * f[1];
    double want = -0.5 * (c * u * u - 2 * b * u * v + a * v * v) / d - 0.5 * log(d) - log(6.283185307179586476925);
    assert_true(fabs(log_prob - want) < 1e-12);
}

static tw_status gbm_other(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = (gbm_p[0] - 0.5 * gbm_p[1]) * x[i];
    return TW_OK;
}

static void divergence_of_paths(void **state)
{
    (void)state;
    enum { ROWS = 30 };
    const char *const methods[2][3] = {{"euler", "milstein", "srk"}, {"midpoint", "heun", "reversible_heun"}};
    double x[2 * ROWS], kl[ROWS];
    for (int sense = 0; sense < 2; sense++)
        for (int m = 0; m < 3; m++) {
            problem p = problem_of(TW_SDE_DIAGONAL, (tw_sde_sense)sense);
            /* g^-1 (f - other) = 1/2 in both columns, everywhere: 1/2 (1/4 + 1/4) T; and 0 when both drifts are one */
            p.equation.other_drift = gbm_other;
            fill(ROWS, x);
            solve(&p.equation, (tw_sde_desc){.method = methods[sense][m], .steps = 7, .t1 = 2}, ROWS, x,
                  &(tw_sde_out){.kl = kl});
            for (int r = 0; r < ROWS; r++) assert_true(fabs(kl[r] - 0.5) < 1e-12);
            p.equation.other_drift = gbm_drift;
            solve(&p.equation, (tw_sde_desc){.method = methods[sense][m], .steps = 7}, ROWS, x,
                  &(tw_sde_out){.kl = kl});
            for (int r = 0; r < ROWS; r++) assert_true(kl[r] == 0);
        }
}

static tw_status still(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const int *columns = user;
    (void)t, (void)x;
    memset(out, 0, (size_t)(rows * *columns) * sizeof *out);
    return TW_OK;
}

/* Of Ornstein-Uhlenbeck's motion against a motion without drift: E int 1/2 (a x / s)^2 dt in closed form, by the
 * trapezoidal rule along srk, and for Euler's chain the sum over its own second moments. */
static void mean_divergence_is_that_of_the_processes(void **state)
{
    (void)state;
    static double kl[SAMPLES];
    int one = 1;
    const double T = 1;
    tw_sde_equation e = {
        .columns = 1, .drift = ou_drift, .diffusion = ou_diffusion, .other_drift = still, .user = &one};
    double stationary = ou_s * ou_s / (2 * ou_a), c = ou_a * ou_a / (2 * ou_s * ou_s);
    double second = stationary * T + (1 - stationary) * (1 - exp(-2 * ou_a * T)) / (2 * ou_a); /* x_0 = 1 */
    enum { STEPS = 8 };
    double chain = 0, moment = 1, q = 1 - ou_a * T / STEPS;
    for (int i = 0; i < STEPS; i++) {
        chain += moment * T / STEPS;
        moment = q * q * moment + ou_s * ou_s * T / STEPS;
    }
    const double want[2] = {c * chain, c * second};
    for (int m = 0; m < 2; m++) {
        double mean = 0, square = 0;
        for (int i = 0; i < SAMPLES; i++) sample[i] = 1;
        solve(&e, (tw_sde_desc){.method = m ? "srk" : "euler", .steps = m ? 64 : STEPS}, SAMPLES, sample,
              &(tw_sde_out){.kl = kl});
        for (int i = 0; i < SAMPLES; i++) mean += kl[i] / SAMPLES;
        for (int i = 0; i < SAMPLES; i++) square += (kl[i] - mean) * (kl[i] - mean) / SAMPLES;
        assert_true(fabs(mean - want[m]) < 5 * sqrt(square / SAMPLES) + m * 1e-4);
    }
}

/* ---- refusals ---- */

static void expect(tw_status want, const char *word, const tw_sde_equation *e, tw_sde_desc desc, const tw_sde_out *out)
{
    double x[2] = {1, 1};
    tw_status status = tw_sde_solve(ctx, e, &desc, 1, x, out, NULL);
    if (status != want || !strstr(tw_context_error(ctx), word))
        print_error("%d '%s', not '%s'\n", status, tw_context_error(ctx), word);
    assert_int_equal(status, want);
    assert_non_null(strstr(tw_context_error(ctx), word));
}

static void refusals(void **state)
{
    (void)state;
    double kl, log_prob[200], states[2];
    const double disorder[] = {0, 2, 1}, late[] = {2};
    tw_sde_equation ito = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO).equation, e = ito;
    tw_sde_equation general = problem_of(TW_SDE_GENERAL, TW_SDE_ITO).equation;
    expect(TW_ERR_INVALID, "milstein", &ito, (tw_sde_desc){.method = "milstien"}, NULL);
    expect(TW_ERR_UNSUPPORTED, "these can: euler", &general, (tw_sde_desc){.method = "milstein"}, NULL);
    expect(TW_ERR_UNSUPPORTED, "Ito", &ito, (tw_sde_desc){.method = "heun"}, NULL);
    expect(TW_ERR_UNSUPPORTED, "forwards", &ito, (tw_sde_desc){.t0 = 1}, NULL);
    expect(TW_ERR_INVALID, "order", &ito, (tw_sde_desc){.steps = 2, .times = disorder}, NULL);
    expect(TW_ERR_INVALID, "order", &ito, (tw_sde_desc){.t1 = (double)INFINITY}, NULL);
    expect(TW_ERR_INVALID, "how many", &ito, (tw_sde_desc){.times = disorder}, NULL);
    expect(TW_ERR_INVALID, "steps", &ito, (tw_sde_desc){.steps = -1}, NULL);
    expect(TW_ERR_INVALID, "euler", &ito, (tw_sde_desc){.method = "srk"}, &(tw_sde_out){.log_prob = log_prob});
    expect(TW_ERR_INVALID, "other drift", &ito, (tw_sde_desc){0}, &(tw_sde_out){.kl = &kl});
    expect(TW_ERR_INVALID, "beyond", &ito, (tw_sde_desc){0},
           &(tw_sde_out){.times_count = 1, .times = late, .states = states});
    e.noise = TW_SDE_SCALAR;
    expect(TW_ERR_UNSUPPORTED, "direction", &e, (tw_sde_desc){.method = "euler"}, &(tw_sde_out){.log_prob = log_prob});
    e = ito;
    e.noises = 3;
    expect(TW_ERR_INVALID, "noises", &e, (tw_sde_desc){0}, NULL);
    e = ito;
    e.diffusion = NULL;
    expect(TW_ERR_INVALID, "diffusion", &e, (tw_sde_desc){0}, NULL);
    tw_brownian *b = NULL;
    assert_int_equal(tw_brownian_create(ctx, &(tw_brownian_desc){.columns = 2}, 1, &b), TW_OK);
    expect(TW_ERR_INVALID, "integrals", &ito, (tw_sde_desc){.method = "srk", .brownian = b}, NULL);
    expect(TW_ERR_INVALID, "known from", &ito, (tw_sde_desc){.method = "euler", .t1 = 2, .brownian = b}, NULL);
    e.noise = TW_SDE_SCALAR;
    e.diffusion = gbm_diffusion;
    expect(TW_ERR_SHAPE, "columns", &e, (tw_sde_desc){.method = "euler", .brownian = b}, NULL);
    tw_brownian_destroy(b);
}

static tw_status explosive(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = i == 7 ? exp(900 * x[i]) : 0;
    return TW_OK;
}
static tw_status unwilling(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)rows, (void)x, (void)out;
    return t[0] > 0.5 ? TW_ERR_IO : TW_OK;
}

static void failures(void **state)
{
    (void)state;
    double x[10];
    tw_sde_stats stats;
    tw_sde_equation e = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO).equation;
    e.drift = explosive;
    fill(5, x);
    x[7] = 1;
    assert_int_equal(tw_sde_solve(ctx, &e, &(tw_sde_desc){.method = "euler"}, 5, x, NULL, &stats), TW_ERR_NUMERIC);
    assert_int_equal(stats.failed, 1);
    assert_non_null(strstr(tw_context_error(ctx), "1 of 5 rows; the first is row 3 at t=0.01"));
    for (int i = 0; i < 6; i++) assert_true(isfinite(x[i]));
    e.drift = unwilling;
    assert_int_equal(tw_sde_solve(ctx, &e, NULL, 5, x, NULL, &stats), TW_ERR_IO);
}

static tw_status solve_all(tw_context *c, void *user)
{
    double x[4] = {1, 1, 1, 1}, states[8];
    const double times[] = {0.5, 0.7};
    const tw_sde_equation *e = user;
    return tw_sde_solve(c, e, NULL, 2, x, &(tw_sde_out){.times_count = 2, .times = times, .states = states}, NULL);
}

static void memory_running_out(void **state)
{
    (void)state;
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    run_with_limited_memory(solve_all, &p.equation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strong_orders_are_those_stated),
        cmocka_unit_test(milstein_by_a_derivative_has_order_one),
        cmocka_unit_test(orders_at_additive_noise_with_a_bent_drift),
        cmocka_unit_test(motions_that_do_not_commute_have_order_one_half),
        cmocka_unit_test(torchsde_srk_evaluates_stages_again),
        cmocka_unit_test(moments_of_ornstein_uhlenbeck),
        cmocka_unit_test(reversible_heun_is_undone_exactly),
        cmocka_unit_test(backwards_is_the_same_path),
        cmocka_unit_test(states_at_times_are_landed_on),
        cmocka_unit_test(rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(uneven_steps_and_motions_of_the_caller),
        cmocka_unit_test(log_densities_of_transitions),
        cmocka_unit_test(log_densities_of_additive_noise),
        cmocka_unit_test(divergence_of_paths),
        cmocka_unit_test(mean_divergence_is_that_of_the_processes),
        cmocka_unit_test(refusals),
        cmocka_unit_test(failures),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
