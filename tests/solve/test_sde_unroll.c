/* SDE solutions as graphs: states, divergence and gradients are those of the solver on the same path. */
#include "graph/reference.h"
#include "support/own_context.h"

#include <thalweg/sde.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, COLUMNS = 2, SIZE = ROWS * COLUMNS, STEPS = 12, PARAMS = 3 };
static const double T0 = 0.2, T1 = 1.3;
static double theta[PARAMS] = {0.8, 0.4, 0.3};
/* A number a step and row; the C fields look it up by time, which tells steps apart within them only: where a method
 * evaluates at the ends of steps it is the same for all. */
static double told[STEPS][ROWS][1];

/* ---- drift tanh(theta0 y + t) - 0.3 x + told, diffusion theta1 sin x + theta2 cos t + 1, other drift -x ---- */

static int step_at(double t)
{
    int n = (int)floor((t - T0) / (T1 - T0) * STEPS + 1e-9);
    return n < STEPS ? n : STEPS - 1;
}

static tw_status drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows * COLUMNS; i++) {
        int64_t row = i / COLUMNS, other = row * COLUMNS + (i + 1) % COLUMNS;
        out[i] = tanh(theta[0] * x[other] + t[row]) - 0.3 * x[i] + told[step_at(t[row])][row][0];
    }
    return TW_OK;
}

static tw_status diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows * COLUMNS; i++) out[i] = theta[1] * sin(x[i]) + theta[2] * cos(t[i / COLUMNS]) + 1;
    return TW_OK;
}

static tw_status other_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows * COLUMNS; i++) out[i] = -x[i];
    return TW_OK;
}

static tw_status pull(void *user, int64_t rows, const double *t, const double *x, const double *df, const double *dg,
                      double *out_dx, double *dparams)
{
    (void)user;
    for (int64_t i = 0; i < rows * COLUMNS; i++) out_dx[i] = -0.3 * df[i] + theta[1] * cos(x[i]) * dg[i];
    for (int64_t i = 0; i < rows * COLUMNS; i++) {
        int64_t row = i / COLUMNS, other = row * COLUMNS + (i + 1) % COLUMNS;
        double y = tanh(theta[0] * x[other] + t[row]), slope = (1 - y * y) * df[i];
        out_dx[other] += theta[0] * slope;
        dparams[0] += x[other] * slope;
        dparams[1] += sin(x[i]) * dg[i];
        dparams[2] += cos(t[row]) * dg[i];
    }
    return TW_OK;
}

static void fields(void *user, tw_val t, tw_val x, const tw_val *given, tw_sde_fields *out)
{
    const tw_val *p = user;
    tw_val swapped = tw_concat2(1, tw_slice(x, 1, 1, 2), tw_slice(x, 1, 0, 1));
    tw_val bent = tw_tanh(tw_add(tw_mul(swapped, p[0]), t));
    out->drift = tw_add(tw_sub(bent, tw_muls(x, 0.3)), given[0]);
    out->diffusion = tw_adds(tw_add(tw_mul(tw_sin(x), p[1]), tw_mul(tw_cos(t), p[2])), 1);
    out->other_drift = tw_neg(x);
}

static const tw_sde_equation equation = {.columns = COLUMNS,
                                         .drift = drift,
                                         .diffusion = diffusion,
                                         .other_drift = other_drift,
                                         .vjp = pull,
                                         .params = PARAMS};

static void start(double *x, bool varies)
{
    for (int i = 0; i < SIZE; i++) x[i] = 0.4 * sin(2.0 * i + 1);
    for (int i = 0; i < STEPS * ROWS; i++) told[i / ROWS][i % ROWS][0] = 0.5 * cos(varies ? i : i % ROWS);
}

/* ---- the graph and its inputs ---- */

typedef struct problem {
    tw_graph *g;
    tw_val x, noise, given, params[PARAMS], states, kl, loss;
} problem;

static problem make(const char *method, tw_sde_sense sense, int64_t segment)
{
    problem p = {0};
    assert_int_equal(tw_graph_create(ctx, &p.g), TW_OK);
    p.x = tw_input(p.g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
    p.noise = tw_input(p.g, "noise", TW_DTYPE_F64, tw_shape_of(STEPS, ROWS, COLUMNS));
    p.given = tw_input(p.g, "given", TW_DTYPE_F64, tw_shape_of(STEPS, ROWS, 1));
    for (int i = 0; i < PARAMS; i++) p.params[i] = tw_input(p.g, "theta", TW_DTYPE_F64, TW_SCALAR);
    const tw_sde_unroll_desc desc = {.sense = sense,
                                     .method = method,
                                     .t0 = T0,
                                     .t1 = T1,
                                     .steps = STEPS,
                                     .segment = segment,
                                     .given_count = 1,
                                     .given = &p.given,
                                     .fields = fields,
                                     .user = p.params};
    tw_sde_unroll(p.g, &desc, p.x, p.noise, &p.states, &p.kl);
    p.loss = tw_muls(tw_sum_all(tw_square(tw_slice(p.states, 0, STEPS - 1, STEPS))), 0.5);
    return p;
}

static void run(const problem *p, const double *x, const double *noise, int count, const tw_val *outputs,
                double *const *results)
{
    tw_val inputs[] = {p->x, p->noise, p->given, p->params[0], p->params[1], p->params[2]};
    const double *values[] = {x, noise, told[0][0], &theta[0], &theta[1], &theta[2]};
    if (tw_reference_run(ctx, 6, inputs, values, count, outputs, results) != TW_OK)
        fail_msg("%s", tw_context_error(ctx));
}

static double worst(int count, const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs(a[i] - b[i]) / (1 + fabs(b[i])));
    return most;
}

static void unrolled_steps_are_those_of_the_solver(void **state)
{
    (void)state;
    const tw_sde_method_info *m;
    const double h = (T1 - T0) / STEPS;
    int seen = 0;
    for (int i = 0; (m = tw_sde_method_list(i)); i++)
        for (int sense = 0; sense < 2; sense++) {
            if (!(sense == TW_SDE_ITO ? m->ito : m->stratonovich)) continue;
            problem p = make(m->name, (tw_sde_sense)sense, i % 2 ? 4 : 0);
            if (m->needs_integrals || strcmp(m->name, "reversible_heun") == 0) {
                assert_int_equal(tw_graph_check(p.g), TW_ERR_UNSUPPORTED);
                tw_graph_destroy(p.g);
                continue;
            }
            if (tw_graph_check(p.g) != TW_OK) fail_msg("%s", tw_context_error(ctx));

            tw_brownian *b = NULL;
            double x0[SIZE], x[SIZE], noise[STEPS][SIZE], times[STEPS], states[STEPS * SIZE], kl[ROWS];
            const tw_brownian_desc motion = {.t0 = T0, .t1 = T1, .cells = STEPS, .columns = COLUMNS, .seed = 3};
            assert_int_equal(tw_brownian_create(ctx, &motion, ROWS, &b), TW_OK);
            for (int n = 0; n < STEPS; n++) {
                double from = T0 + n * h, to = n + 1 == STEPS ? T1 : T0 + (T1 - T0) * ((n + 1.0) / STEPS);
                if (n > 0) from = times[n - 1];
                times[n] = to;
                tw_brownian_increment(b, 0, ROWS, from, to, noise[n], NULL);
                for (int k = 0; k < SIZE; k++) noise[n][k] /= sqrt(h);
            }
            tw_sde_equation e = equation;
            e.sense = (tw_sde_sense)sense;
            const tw_sde_desc desc = {.method = m->name, .t0 = T0, .t1 = T1, .steps = STEPS, .brownian = b};
            const tw_sde_out out = {.times_count = STEPS, .times = times, .states = states, .kl = kl};
            start(x0, strcmp(m->name, "euler") == 0);
            memcpy(x, x0, sizeof x);
            assert_int_equal(tw_sde_solve(ctx, &e, &desc, ROWS, x, &out, NULL), TW_OK);
            double a[SIZE], dparams[PARAMS] = {0};
            memcpy(a, x, sizeof a);
            assert_int_equal(tw_sde_gradient(ctx, &e, &desc, TW_SDE_DISCRETE, ROWS, x0, a, dparams), TW_OK);

            double got[STEPS * SIZE], got_kl[ROWS], da[SIZE], dp[PARAMS];
            tw_val wrt[1 + PARAMS] = {p.x, p.params[0], p.params[1], p.params[2]}, slopes[1 + PARAMS];
            assert_int_equal(tw_grad(p.loss, 1 + PARAMS, wrt, slopes), TW_OK);
            run(&p, x0, noise[0], 2, (tw_val[]){p.states, p.kl}, (double *[]){got, got_kl});
            run(&p, x0, noise[0], 1 + PARAMS, slopes, (double *[]){da, &dp[0], &dp[1], &dp[2]});
            assert_true(worst(STEPS * SIZE, got, states) < 1e-12);
            assert_true(worst(SIZE, da, a) < 1e-12);
            assert_true(worst(PARAMS, dp, dparams) < 1e-12);
            if (strcmp(m->name, "euler") == 0) assert_true(worst(ROWS, got_kl, kl) < 1e-12);
            for (int r = 0; r < ROWS; r++) assert_true(got_kl[r] > 0);
            tw_brownian_destroy(b);
            tw_graph_destroy(p.g);
            seen++;
        }
    assert_true(seen >= 5);
}

/* ---- what is refused ---- */

static void refusals(void **state)
{
    (void)state;
    tw_graph *g = NULL;
    tw_sde_unroll_desc desc = {.steps = 5, .fields = fields};
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
    tw_val noise = tw_input(g, "noise", TW_DTYPE_F64, tw_shape_of(4, ROWS, COLUMNS)), states;
    tw_sde_unroll(g, &desc, x, noise, &states, NULL);
    assert_true(tw_is_none(states));
    assert_int_equal(tw_graph_check(g), TW_ERR_SHAPE);
    assert_non_null(strstr(tw_context_error(ctx), "noise (5, rows, columns)"));
    tw_graph_destroy(g);
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
    noise = tw_input(g, "noise", TW_DTYPE_F64, tw_shape_of(5, ROWS, COLUMNS));
    desc.method = "heun";
    tw_sde_unroll(g, &desc, x, noise, &states, NULL);
    assert_int_equal(tw_graph_check(g), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "'heun' is no method to unroll an SDE in Ito's sense with"));
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unrolled_steps_are_those_of_the_solver),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
