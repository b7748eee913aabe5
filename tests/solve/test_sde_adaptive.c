/* Steps of stochastic solvers chosen by their error: orders on one path, where they are spent, what does not depend on
 * them. */
#include "solve/levy.h"
#include "solve/sde_problems.h"

#include "base/base.h"
#include "solve/sde.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <string.h>

#include <cmocka.h>

enum { PATHS = 200, CELLS = 4 };

static int motions(const tw_sde_equation *e)
{
    return e->noise == TW_SDE_DIAGONAL ? e->columns : e->noise == TW_SDE_SCALAR ? 1 : e->noises;
}

static void fill(int64_t rows, double *x)
{
    for (int64_t i = 0; i < 2 * rows; i++) x[i] = 0.5 + 0.4 * sin((double)i);
}

static tw_sde_stats solve(const tw_sde_equation *e, tw_sde_desc desc, int64_t rows, double *x, const tw_sde_out *out)
{
    tw_sde_stats stats;
    if (tw_sde_solve(ctx, e, &desc, rows, x, out, &stats) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return stats;
}

/* ---- orders: error against steps taken, on paths whose ends are known ---- */

typedef struct outcome {
    double error, steps; /* mean at the end of [0,1]; mean of those accepted */
} outcome;

static outcome against_closed_form(const problem *p, const char *method, tw_brownian *b, double tolerance)
{
    static double x0[2 * PATHS], x[2 * PATHS], w[3 * PATHS];
    const tw_sde_desc desc = {.method = method, .steps = CELLS, .brownian = b, .rtol = tolerance, .atol = tolerance};
    double sum = 0;
    fill(PATHS, x0);
    memcpy(x, x0, sizeof x);
    tw_sde_stats stats = solve(&p->equation, desc, PATHS, x, NULL);
    tw_brownian_at(b, 0, PATHS, 1, w, NULL);
    for (int64_t r = 0; r < PATHS; r++) {
        double exact[2];
        p->exact(p->equation.sense, 1, x0 + 2 * r, w + r * motions(&p->equation), exact);
        for (int i = 0; i < 2; i++) sum += fabs(x[2 * r + i] - exact[i]);
    }
    return (outcome){sum / PATHS, (double)stats.accepted / PATHS};
}

static void errors_fall_with_the_steps_taken(void **state)
{
    (void)state;
    const tw_sde_method_info *m;
    int seen = 0;
    for (int i = 0; (m = tw_sde_method_list(i)); i++)
        for (int noise = 0; noise < TW_SDE_ADDITIVE; noise++)
            for (int sense = 0; sense < 2; sense++) {
                if (!m->noise[noise] || !(sense == TW_SDE_ITO ? m->ito : m->stratonovich)) continue;
                if (strcmp(m->name, "euler") == 0 || strcmp(m->name, "reversible_heun") == 0) continue;
                const problem p = problem_of((tw_sde_noise)noise, (tw_sde_sense)sense);
                tw_brownian *b = NULL;
                tw_brownian_desc motion = {
                    .cells = CELLS, .columns = motions(&p.equation), .seed = 3, .integrals = true};
                double slope = 0, squares = 0, mean = 0;
                outcome all[4];
                assert_int_equal(tw_brownian_create(ctx, &motion, PATHS, &b), TW_OK);
                for (int k = 0; k < 4; k++) {
                    all[k] = against_closed_form(&p, m->name, b, (m->needs_integrals ? 1e-3 : 4e-3) * pow(4, -k));
                    mean += log(all[k].steps) / 4;
                }
                for (int k = 0; k < 4; k++) {
                    slope -= (log(all[k].steps) - mean) * log(all[k].error);
                    squares += pow(log(all[k].steps) - mean, 2);
                }
                slope /= squares;
                if (fabs(slope - m->strong[noise]) > 0.2)
                    print_error("%s, %s in sense %d: order %.3f\n", m->name, p.name, sense, slope);
                assert_true(fabs(slope - m->strong[noise]) <= 0.2);
                tw_brownian_destroy(b);
                seen++;
            }
    assert_true(seen >= 10);
}

/* ---- a burst: volatility and pull are large for a fiftieth of the time ---- */

static double burst(double t)
{
    double u = (t - 0.45) / 0.02;
    return exp(-u * u);
}
static tw_status burst_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = sin(x[i]) - 20 * burst(t[i / 2]) * x[i];
    return TW_OK;
}
static tw_status burst_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = 0.2 + 5 * burst(t[i / 2]) * cos(x[i]);
    return TW_OK;
}

static double distance(int count, const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (a[i] - b[i]) * (a[i] - b[i]) / count;
    return sqrt(sum);
}

static void steps_are_spent_where_they_are_needed(void **state)
{
    (void)state;
    enum { FINE = 1 << 13 };
    const char *const methods[] = {"srk", "midpoint"};
    for (int m = 0; m < 2; m++) {
        static double x[2 * PATHS], even[2 * PATHS], fine[2 * PATHS];
        tw_brownian *b = NULL;
        const tw_sde_equation e = {.sense = m ? TW_SDE_STRATONOVICH : TW_SDE_ITO,
                                   .columns = 2,
                                   .drift = burst_drift,
                                   .diffusion = burst_diffusion};
        const tw_brownian_desc motion = {.cells = CELLS, .columns = 2, .seed = 8, .integrals = true};
        assert_int_equal(tw_brownian_create(ctx, &motion, PATHS, &b), TW_OK);
        tw_sde_desc desc = {.method = methods[m], .steps = CELLS, .brownian = b, .rtol = 1e-3, .atol = 1e-3};
        fill(PATHS, x);
        memcpy(even, x, sizeof x);
        memcpy(fine, x, sizeof x);
        tw_sde_stats stats = solve(&e, desc, PATHS, x, NULL);
        desc.rtol = desc.atol = 0;
        desc.steps = FINE;
        solve(&e, desc, PATHS, fine, NULL);
        /* the same work, whole and half steps and those rejected counted, in equal steps */
        desc.steps = 3 * (stats.accepted + stats.rejected) / PATHS;
        solve(&e, desc, PATHS, even, NULL);
        double chosen = distance(2 * PATHS, x, fine), equal = distance(2 * PATHS, even, fine);
        assert_true(chosen < equal / 4);
        assert_true(stats.rejected < stats.accepted / 4);
        tw_brownian_destroy(b);
    }
}

/* Steps that see the path ahead, and motions that do not commute: still the same solution, at half an order. */
static void motions_that_do_not_commute(void **state)
{
    (void)state;
    enum { FINE = 1 << 14 };
    static double x[2 * PATHS], fine[2 * PATHS];
    const tw_sde_equation e = {.sense = TW_SDE_STRATONOVICH,
                               .noise = TW_SDE_GENERAL,
                               .columns = 2,
                               .noises = 2,
                               .drift = no_drift,
                               .diffusion = levy_diffusion};
    tw_brownian *b = NULL;
    const tw_brownian_desc motion = {.cells = CELLS, .columns = 2, .seed = 8};
    assert_int_equal(tw_brownian_create(ctx, &motion, PATHS, &b), TW_OK);
    tw_sde_desc desc = {.method = "heun", .steps = FINE, .brownian = b};
    memset(fine, 0, sizeof fine);
    solve(&e, desc, PATHS, fine, NULL);
    double error[2], steps[2];
    desc.steps = CELLS;
    for (int k = 0; k < 2; k++) {
        desc.rtol = desc.atol = k ? 2e-3 : 2e-2;
        memset(x, 0, sizeof x);
        steps[k] = (double)solve(&e, desc, PATHS, x, NULL).accepted;
        error[k] = distance(2 * PATHS, x, fine);
    }
    double order = log(error[0] / error[1]) / log(steps[1] / steps[0]);
    if (!(fabs(order - 0.5) < 0.1)) print_error("%g, then %g: order %g\n", error[0], error[1], order);
    assert_true(fabs(order - 0.5) < 0.1);
    tw_brownian_destroy(b);
}

/* ---- what does not depend on the steps of others ---- */

static void rows_and_motions_are_their_own(void **state)
{
    (void)state;
    enum { ROWS = 7, TIMES = 5 };
    const double times[TIMES] = {0, 0.11, 0.25, 0.26, 1};
    double all[2 * ROWS], states[TIMES][2 * ROWS], one[2], path[TIMES][2], w[2], exact[2];
    const problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    tw_sde_desc desc = {.method = "srk", .seed = 5, .rtol = 1e-6, .atol = 1e-6};
    const tw_sde_out out = {.times_count = TIMES, .times = times, .states = states[0]};
    const tw_sde_out out_one = {.times_count = TIMES, .times = times, .states = path[0]};
    fill(ROWS, all);
    solve(&p.equation, desc, ROWS, all, &out);
    for (desc.first_row = 0; desc.first_row < ROWS; desc.first_row++) {
        double start[2 * ROWS];
        int64_t r = desc.first_row;
        fill(ROWS, start);
        memcpy(one, start + 2 * r, sizeof one);
        solve(&p.equation, desc, 1, one, &out_one);
        assert_memory_equal(one, all + 2 * r, sizeof one);
        assert_memory_equal(path[TIMES - 1], one, sizeof one);
        for (int i = 0; i < TIMES; i++) assert_memory_equal(path[i], states[i] + 2 * r, sizeof path[i]);
        /* the path is that of a motion over the given steps, whatever was asked of it */
        tw_brownian *b = NULL;
        const tw_brownian_desc motion = {.cells = 10, .columns = 2, .seed = 5, .integrals = true};
        assert_int_equal(tw_brownian_create(ctx, &motion, 1, &b), TW_OK);
        for (int i = 0; i < TIMES; i++) {
            tw_brownian_at(b, r, 1, times[i], w, NULL);
            gbm_exact(TW_SDE_ITO, times[i], start + 2 * r, w, exact);
            for (int c = 0; c < 2; c++) assert_true(fabs(path[i][c] - exact[c]) < 2e-4);
        }
        tw_brownian_destroy(b);
    }
}

static void backwards_on_the_same_path(void **state)
{
    (void)state;
    double x[2] = {1, 0.7}, start[2] = {1, 0.7};
    const problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_STRATONOVICH);
    tw_sde_desc desc = {.seed = 2, .rtol = 1e-6, .atol = 1e-6};
    solve(&p.equation, desc, 1, x, NULL);
    desc.t0 = 1, desc.t1 = 0;
    solve(&p.equation, desc, 1, x, NULL);
    assert_true(distance(2, x, start) < 1e-3);
}

/* A column that is 0 and stays 0 has no size an error could be measured by, and no error. */
static void relative_tolerance_of_nothing(void **state)
{
    (void)state;
    double x[2] = {1, 0};
    const problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    solve(&p.equation, (tw_sde_desc){.method = "srk", .seed = 5, .rtol = 1e-3}, 1, x, NULL);
    assert_true(isfinite(x[0]) && x[0] != 1 && x[1] == 0);
}

/* ---- what is refused, and what fails ---- */

static tw_status wall(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < 2 * rows; i++) out[i] = x[i] > 0 && t[i / 2] > 0.3 ? (double)NAN : 0;
    return TW_OK;
}

static void refused(tw_sde_equation e, tw_sde_desc desc, const tw_sde_out *out, tw_status want, const char *words)
{
    double x[2] = {1, 1};
    assert_int_equal(tw_sde_solve(ctx, &e, &desc, 1, x, out, NULL), want);
    if (!strstr(tw_context_error(ctx), words)) fail_msg("%s", tw_context_error(ctx));
}

static void refusals_and_failures(void **state)
{
    (void)state;
    double kl[1], a[2] = {1, 1}, x[4] = {1, 1, 1, 1}, d[2] = {0};
    tw_sde_equation ito = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO).equation;
    tw_sde_equation e = problem_of(TW_SDE_DIAGONAL, TW_SDE_STRATONOVICH).equation;
    const tw_sde_out of_kl = {.kl = kl};
    const tw_sde_desc fine = {.rtol = 1e-3};
    refused(ito, (tw_sde_desc){.method = "euler", .rtol = 1e-3}, NULL, TW_ERR_UNSUPPORTED, "another solution");
    refused(e, (tw_sde_desc){.method = "reversible_heun", .rtol = 1e-3}, NULL, TW_ERR_UNSUPPORTED, "reversible_heun");
    refused(e, (tw_sde_desc){.rtol = -1}, NULL, TW_ERR_INVALID, "rtol -1");
    refused(e, (tw_sde_desc){.rtol = 1e-9, .max_steps = 20}, NULL, TW_ERR_NUMERIC, "max_steps reached");
    e.other_drift = gbm_drift;
    refused(e, fine, &of_kl, TW_ERR_INVALID, "steps that are given");
    assert_int_equal(tw_sde_gradient(ctx, &e, &fine, TW_SDE_DISCRETE, 1, x, a, d), TW_ERR_UNSUPPORTED);
    /* euler of additive noise leaves nothing out that has an area */
    tw_sde_equation additive = problem_of(TW_SDE_ADDITIVE, TW_SDE_ITO).equation;
    assert_int_equal(
        tw_sde_solve(ctx, &additive, &(tw_sde_desc){.method = "euler", .rtol = 1e-2, .atol = 1e-2}, 1, x, NULL, NULL),
        TW_OK);
    /* the first row meets no number, the other goes on */
    tw_sde_stats stats;
    x[0] = x[1] = 1;
    x[2] = x[3] = -1;
    e.drift = wall;
    assert_int_equal(tw_sde_solve(ctx, &e, &fine, 2, x, NULL, &stats), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "step too small"));
    assert_int_equal(stats.failed, 1);
    assert_true(isfinite(x[0]) && isfinite(x[2]) && x[2] != -1);
}

static tw_status chosen_steps(tw_context *c, void *user)
{
    double x[4] = {1, 1, 1, 1};
    return tw_sde_solve(c, user, &(tw_sde_desc){.rtol = 1e-2, .atol = 1e-2}, 2, x, NULL, NULL);
}

static void memory_running_out(void **state)
{
    (void)state;
    problem p = problem_of(TW_SDE_DIAGONAL, TW_SDE_ITO);
    run_with_limited_memory(chosen_steps, &p.equation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_fall_with_the_steps_taken),
        cmocka_unit_test(steps_are_spent_where_they_are_needed),
        cmocka_unit_test(motions_that_do_not_commute),
        cmocka_unit_test(rows_and_motions_are_their_own),
        cmocka_unit_test(backwards_on_the_same_path),
        cmocka_unit_test(relative_tolerance_of_nothing),
        cmocka_unit_test(refusals_and_failures),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
