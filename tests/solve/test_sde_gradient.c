/* Gradients through SDE solvers: the discrete one against central differences of the scheme itself, the stochastic
 * adjoint against closed forms as steps shrink, reversible Heun's without kept states. */
#include "solve/sde_problems.h"

#include "base/base.h"
#include "solve/sde.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <string.h>

#include <cmocka.h>

/* ---- an equation that depends on everything: tanh drift, diffusions that bend; three parameters ---- */

enum { ROWS = 3, COLUMNS = 2, NOISES = 3, SIZE = ROWS * COLUMNS };
static double theta[3];
static tw_sde_noise kind;

static tw_status bent_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < COLUMNS; c++)
            out[COLUMNS * i + c] =
                tanh(theta[0] * x[COLUMNS * i + (c + 1) % COLUMNS] + t[i]) - 0.3 * x[COLUMNS * i + c];
    return TW_OK;
}

/* Entry (c,k) of the diffusion and its derivatives; v is the coordinate it bends with. */
static double entry(int c, int k, double t, double v, double *out_dv, double d[3])
{
    double s = kind == TW_SDE_ADDITIVE ? 0 : sin(v + k), ds = kind == TW_SDE_ADDITIVE ? 0 : cos(v + k);
    *out_dv = theta[1] * ds;
    d[0] = 0;
    d[1] = s;
    d[2] = cos(t + c + k);
    return theta[1] * s + theta[2] * d[2] + 0.5;
}

static int motions(void)
{
    return kind == TW_SDE_ADDITIVE || kind == TW_SDE_GENERAL ? NOISES : 1;
}

static tw_status bent_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    double dv, d[3];
    (void)user;
    for (int64_t i = 0; i < rows * COLUMNS; i++)
        for (int k = 0; k < motions(); k++) *out++ = entry((int)(i % COLUMNS), k, t[i / COLUMNS], x[i], &dv, d);
    return TW_OK;
}

static tw_status bent_vjp(void *user, int64_t rows, const double *t, const double *x, const double *df,
                          const double *dg, double *out_dx, double *dparams)
{
    double dv, d[3];
    (void)user;
    for (int64_t i = 0; i < rows * COLUMNS; i++) out_dx[i] = -0.3 * df[i];
    for (int64_t i = 0; i < rows * COLUMNS; i++) {
        int64_t other = i / COLUMNS * COLUMNS + (i + 1) % COLUMNS;
        double y = tanh(theta[0] * x[other] + t[i / COLUMNS]), slope = (1 - y * y) * df[i];
        out_dx[other] += theta[0] * slope;
        dparams[0] += x[other] * slope;
        for (int k = 0; k < motions(); k++, dg++) {
            entry((int)(i % COLUMNS), k, t[i / COLUMNS], x[i], &dv, d);
            out_dx[i] += dv * *dg;
            for (int p = 0; p < 3; p++) dparams[p] += d[p] * *dg;
        }
    }
    return TW_OK;
}

static tw_sde_equation bent(tw_sde_sense sense, tw_sde_noise noise)
{
    kind = noise;
    theta[0] = 0.8, theta[1] = 0.4, theta[2] = 0.3;
    return (tw_sde_equation){.sense = sense,
                             .noise = noise,
                             .columns = COLUMNS,
                             .noises = motions() > 1 ? NOISES : 0,
                             .drift = bent_drift,
                             .diffusion = bent_diffusion,
                             .vjp = bent_vjp,
                             .params = 3};
}

static void start(double *x)
{
    for (int i = 0; i < SIZE; i++) x[i] = 0.4 * sin(2.0 * i + 1);
}

/* A loss that weighs every coordinate: sum_i w_i x_i^2 / 2. */
static double weight(int i)
{
    return 0.5 + 0.3 * i;
}

static double loss_at_end(const tw_sde_equation *e, const tw_sde_desc *desc, const double *x0)
{
    double x[SIZE], sum = 0;
    memcpy(x, x0, sizeof x);
    assert_int_equal(tw_sde_solve(ctx, e, desc, ROWS, x, NULL, NULL), TW_OK);
    for (int i = 0; i < SIZE; i++) sum += weight(i) * x[i] * x[i] / 2;
    return sum;
}

static void gradient(const tw_sde_equation *e, const tw_sde_desc *desc, tw_sde_gradient_kind which, double *a,
                     double *d)
{
    double x0[SIZE], x[SIZE];
    start(x0);
    memcpy(x, x0, sizeof x);
    assert_int_equal(tw_sde_solve(ctx, e, desc, ROWS, x, NULL, NULL), TW_OK);
    for (int i = 0; i < SIZE; i++) a[i] = weight(i) * x[i];
    memset(d, 0, 3 * sizeof *d);
    tw_status status = tw_sde_gradient(ctx, e, desc, which, ROWS, which == TW_SDE_ADJOINT ? x : x0, a, d);
    if (status != TW_OK) print_error("%s\n", tw_context_error(ctx));
    assert_int_equal(status, TW_OK);
}

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * (1 + fabs(b));
}

static void discrete_gradients_are_those_of_the_scheme(void **state)
{
    (void)state;
    const tw_sde_method_info *m;
    const double d = 1e-5;
    for (int i = 0; (m = tw_sde_method_list(i)); i++)
        for (int noise = 0; noise <= TW_SDE_GENERAL; noise++)
            for (int sense = 0; sense < 2; sense++) {
                if (!m->noise[noise] || !(sense == TW_SDE_ITO ? m->ito : m->stratonovich)) continue;
                tw_sde_equation e = bent((tw_sde_sense)sense, (tw_sde_noise)noise);
                tw_sde_desc desc = {.method = m->name, .steps = 6, .seed = 4};
                double x[SIZE], a[SIZE], dp[3];
                gradient(&e, &desc, TW_SDE_DISCRETE, a, dp);
                for (int k = 0; k < SIZE + 3; k++) {
                    double *at = k < SIZE ? &x[k] : &theta[k - SIZE];
                    start(x);
                    double keep = *at;
                    *at = keep + d;
                    double up = loss_at_end(&e, &desc, x);
                    *at = keep - d;
                    double slope = (up - loss_at_end(&e, &desc, x)) / (2 * d), seen = k < SIZE ? a[k] : dp[k - SIZE];
                    *at = keep;
                    /* central differences: rounding 1e-16 / d and d^2 times third derivatives, each some 1e-10 */
                    if (!near(seen, slope, 1e-8)) print_error("%s noise %d: %g, %g\n", m->name, noise, seen, slope);
                    assert_true(near(seen, slope, 1e-8));
                }
            }
}

/* Of a step by hand: reversible Heun keeps no states, yet over 1000 steps its gradient is the discrete one. */
static void reversible_gradients_stay_exact_over_many_steps(void **state)
{
    (void)state;
    const double d = 1e-5;
    tw_sde_equation e = bent(TW_SDE_STRATONOVICH, TW_SDE_GENERAL);
    tw_sde_desc desc = {.method = "reversible_heun", .steps = 1000, .seed = 5};
    double x[SIZE], a[SIZE], dp[3];
    gradient(&e, &desc, TW_SDE_DISCRETE, a, dp);
    for (int k = 0; k < SIZE; k++) {
        start(x);
        x[k] += d;
        double up = loss_at_end(&e, &desc, x);
        x[k] -= 2 * d;
        assert_true(near(a[k], (up - loss_at_end(&e, &desc, x)) / (2 * d), 1e-8));
    }
}

/* Root mean square over paths of the largest distance of both gradients. */
static double apart(tw_sde_sense sense, tw_sde_noise noise, int64_t steps, int paths)
{
    double sum = 0;
    for (int path = 0; path < paths; path++) {
        tw_sde_equation e = bent(sense, noise);
        tw_sde_desc desc = {.steps = steps, .seed = 6 + (uint64_t)path}; /* midpoint; srk, or euler for general noise */
        double exact[SIZE], a[SIZE], dp[3], da[3], error = 0;
        gradient(&e, &desc, TW_SDE_DISCRETE, exact, dp);
        gradient(&e, &desc, TW_SDE_ADJOINT, a, da);
        for (int i = 0; i < SIZE; i++) error = fmax(error, fabs(a[i] - exact[i]));
        for (int i = 0; i < 3; i++) error = fmax(error, fabs(da[i] - dp[i]));
        sum += error * error / paths;
    }
    return sqrt(sum);
}

static void adjoint_agrees_as_steps_shrink(void **state)
{
    (void)state;
    for (int noise = 0; noise <= TW_SDE_GENERAL; noise++)
        for (int sense = 0; sense < 2; sense++) {
            /* Euler's error of order 1/2 differs much from path to path */
            bool rough = noise == TW_SDE_GENERAL && sense == TW_SDE_ITO;
            double coarse = apart((tw_sde_sense)sense, (tw_sde_noise)noise, rough ? 16 : 64, rough ? 40 : 1);
            double fine = apart((tw_sde_sense)sense, (tw_sde_noise)noise, rough ? 1024 : 4096, rough ? 40 : 1);
            if (!(fine < coarse / 6)) print_error("sense %d, noise %d: %g, then %g\n", sense, noise, coarse, fine);
            /* order 1/2 at least: 64 times the steps, an eighth of the error */
            assert_true(fine < coarse / 6);
            assert_true(fine < (rough ? 0.2 : 2e-2));
        }
}

/* dz = p0 z dt + p1 z o dW: dL/dp0 = L' z T, dL/dp1 = L' z W (Li et al. 2020), in Ito's sense L' z (W - p1 T); error of
 * order 1 in the step. */
static void closed_forms(tw_sde_sense sense, const char *method)
{
    enum { PATHS = 200, SIZE_OF_ALL = 2 * PATHS };
    static double x[SIZE_OF_ALL], a[SIZE_OF_ALL], w[SIZE_OF_ALL];
    problem p = problem_of(TW_SDE_DIAGONAL, sense);
    tw_brownian *b = NULL;
    double errors[4], less = sense == TW_SDE_ITO ? gbm_p[1] : 0;
    assert_int_equal(tw_brownian_create(ctx, &(tw_brownian_desc){.cells = 256, .columns = 2, .seed = 7}, PATHS, &b),
                     TW_OK);
    tw_brownian_at(b, 0, PATHS, 1, w, NULL);
    for (int k = 0; k < 4; k++) {
        double want[2] = {0}, seen[2] = {0};
        tw_sde_desc desc = {.method = method, .steps = 32 << k, .brownian = b};
        for (int i = 0; i < SIZE_OF_ALL; i++) x[i] = 1;
        assert_int_equal(tw_sde_solve(ctx, &p.equation, &desc, PATHS, x, NULL, NULL), TW_OK);
        for (int i = 0; i < SIZE_OF_ALL; i++) {
            double z = exp(gbm_p[0] - less * less / 2 + gbm_p[1] * w[i]);
            a[i] = 1; /* L = sum of z */
            want[0] += z;
            want[1] += z * (w[i] - less);
        }
        assert_int_equal(tw_sde_gradient(ctx, &p.equation, &desc, TW_SDE_ADJOINT, PATHS, x, a, seen), TW_OK);
        errors[k] = hypot(seen[0] / want[0] - 1, seen[1] / want[1] - 1);
        double worst = 0;
        for (int i = 0; i < SIZE_OF_ALL; i++)
            worst = fmax(worst, fabs(a[i] / exp(gbm_p[0] - less * less / 2 + gbm_p[1] * w[i]) - 1));
        assert_true(worst < (sense == TW_SDE_ITO ? 3.0 : 2.0) / (double)desc.steps);
    }
    double slope = 0;
    for (int k = 0; k < 4; k++) slope -= (k - 1.5) / 5 * log2(errors[k]);
    assert_true(slope > 0.9);
    tw_brownian_destroy(b);
}

static void adjoint_against_closed_forms(void **state)
{
    (void)state;
    closed_forms(TW_SDE_STRATONOVICH, "heun");
    closed_forms(TW_SDE_ITO, "milstein");
}

/* Rows are taken block by block, parameters summed over all of them. */
static void blocks_add_up(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    static double x[2 * MANY], a[2 * MANY], part[2 * MANY];
    double all[2] = {0}, sum[2] = {0};
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    for (int i = 0; i < 2 * MANY; i++) x[i] = 1 + 0.1 * sin(i);
    for (int i = 0; i < 2 * MANY; i++) a[i] = part[i] = 1;
    tw_sde_desc desc = {.method = "srk", .steps = 3};
    assert_int_equal(tw_sde_gradient(ctx, &p.equation, &desc, TW_SDE_DISCRETE, MANY, x, a, all), TW_OK);
    for (int64_t first = 0; first < MANY; first += 1000) {
        desc.first_row = first;
        assert_int_equal(
            tw_sde_gradient(ctx, &p.equation, &desc, TW_SDE_DISCRETE, 1000, x + 2 * first, part + 2 * first, sum),
            TW_OK);
    }
    assert_memory_equal(a, part, sizeof a);
    for (int i = 0; i < 2; i++) assert_true(near(all[i], sum[i], 1e-10));
}

static void refusals(void **state)
{
    (void)state;
    double x[2] = {1, 1}, a[2] = {1, 1}, d[2] = {0};
    tw_sde_equation e = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO).equation;
    e.derivative = gbm_derivative;
    assert_int_equal(tw_sde_gradient(ctx, &e, &(tw_sde_desc){.method = "milstein"}, TW_SDE_DISCRETE, 1, x, a, d),
                     TW_ERR_UNSUPPORTED);
    e = problem_of(TW_SDE_SCALAR, TW_SDE_ITO).equation;
    assert_int_equal(tw_sde_gradient(ctx, &e, NULL, TW_SDE_DISCRETE, 1, x, a, d), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "vjp"));
}

static tw_status all_kinds(tw_context *c, void *user)
{
    double x[2] = {1, 1}, a[2] = {1, 1}, d[2] = {0};
    const tw_sde_equation *e = user;
    tw_status status = TW_OK;
    const char *const methods[] = {"midpoint", "reversible_heun"};
    for (int i = 0; i < 4 && status == TW_OK; i++)
        status = tw_sde_gradient(c, e, &(tw_sde_desc){.method = methods[i / 2], .steps = 2},
                                 (tw_sde_gradient_kind)(i % 2), 1, x, a, d);
    return status;
}

static tw_status itos_adjoint(tw_context *c, void *user)
{
    double x[2] = {1, 1}, a[2] = {1, 1}, d[2] = {0};
    return tw_sde_gradient(c, user, &(tw_sde_desc){.steps = 2}, TW_SDE_ADJOINT, 1, x, a, d);
}

static void memory_running_out(void **state)
{
    (void)state;
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_STRATONOVICH), q = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    run_with_limited_memory(all_kinds, &p.equation);
    run_with_limited_memory(itos_adjoint, &q.equation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discrete_gradients_are_those_of_the_scheme),
        cmocka_unit_test(reversible_gradients_stay_exact_over_many_steps),
        cmocka_unit_test(adjoint_agrees_as_steps_shrink),
        cmocka_unit_test(adjoint_against_closed_forms),
        cmocka_unit_test(blocks_add_up),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
