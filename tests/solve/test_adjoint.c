/* Gradients through ODE solvers: the exact one against central differences of the steps taken, the same bits in any
 * memory, the adjoint equation against it as tolerances shrink, and what the seminorm saves. */
#include "solve/bent.h"
#include "solve/tape.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 5, SIZE = ROWS * COLUMNS, TIMES = 5 };
static double theta[PARAMS];
static const tw_ode_equation equation = {
    .columns = COLUMNS, .params = PARAMS, .field = bent, .vjp = bent_vjp, .user = theta};
static const double asked[TIMES] = {0, 0.3, 0.71, 0.72, 1.5};

static void start(double *x)
{
    bent_parameters(theta);
    for (int i = 0; i < SIZE; i++) x[i] = 2 * sin(2.0 * i + 1); /* rows of different steps */
}

/* sum_i w_i x_i^2 / 2 of the end and half that of every state asked for */
static double weight(int i)
{
    return 0.5 + 0.3 * (i % SIZE) - 0.02 * i;
}

static double loss(const double *end, const double *states, double *dend, double *dstates)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        sum += weight(i) * end[i] * end[i] / 2;
        dend[i] = weight(i) * end[i];
    }
    for (int i = 0; i < TIMES * SIZE && states; i++) {
        sum += weight(i) * states[i] * states[i] / 4;
        dstates[i] = weight(i) * states[i] / 2;
    }
    return sum;
}

typedef struct gradients {
    double x[SIZE], params[PARAMS];
    tw_ode_stats there, back;
} gradients;

static gradients exact(const tw_ode_desc *desc, size_t memory, tw_ode_tape **out_tape)
{
    char error[256] = "";
    double x[SIZE], states[TIMES * SIZE], dstates[TIMES * SIZE];
    gradients g = {0};
    tw_ode_tape *tape = NULL;
    tw_ode_output output = {.states = states};
    start(x);
    assert_int_equal(tw_ode_tape_create(ctx, desc, &equation, ROWS, memory, &tape), TW_OK);
    assert_int_equal(tw_ode_tape_run(tape, ROWS, x, &output, &g.there, error, sizeof error), TW_OK);
    loss(x, desc->times ? states : NULL, g.x, dstates);
    tw_ode_cotangents d = {.states = dstates};
    assert_int_equal(tw_ode_tape_gradient(tape, &d, g.x, g.params, &g.back, error, sizeof error), TW_OK);
    if (out_tape)
        *out_tape = tape;
    else
        tw_ode_tape_destroy(tape);
    return g;
}

/* The loss when every row takes the steps on the tape. */
static double loss_of_steps(const tw_ode_tape *tape, const double *x0, double *dend, double *dstates)
{
    double x[SIZE], states[TIMES * SIZE], grid[4096];
    const tw_ode_desc *desc = &tape->forward->desc;
    memcpy(x, x0, sizeof x);
    for (int row = 0; row < ROWS; row++) {
        double some[TIMES * COLUMNS];
        tw_ode_output output = {.states = some};
        grid[0] = desc->t0;
        for (int64_t n = 0; n < tape->taken[row]; n++)
            grid[n + 1] = tape->times[n * tape->width + (tape->width > 1 ? row : 0)];
        tw_ode_desc fixed = {.method = desc->method,
                             .time_grid = grid,
                             .time_grid_count = tape->taken[row] + 1,
                             .times = desc->times,
                             .times_count = desc->times_count};
        assert_int_equal(tw_ode_solve_output(ctx, &fixed, bent, theta, 1, COLUMNS, x + COLUMNS * row, &output, NULL),
                         TW_OK);
        for (int i = 0; i < TIMES && desc->times; i++)
            memcpy(states + i * SIZE + row * COLUMNS, some + i * COLUMNS, COLUMNS * sizeof *some);
    }
    return loss(x, desc->times ? states : NULL, dend, dstates);
}

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * (1 + fabs(b));
}

static void against_differences(const tw_ode_desc *desc)
{
    const double d = 1e-5;
    tw_ode_tape *tape = NULL;
    double x[SIZE], end[SIZE], states[TIMES * SIZE];
    gradients g = exact(desc, 0, &tape);
    for (int k = 0; k < SIZE + PARAMS; k++) {
        start(x);
        double *at = k < SIZE ? &x[k] : &theta[k - SIZE], keep = *at;
        *at = keep + d;
        double up = loss_of_steps(tape, x, end, states);
        *at = keep - d;
        double slope = (up - loss_of_steps(tape, x, end, states)) / (2 * d),
               seen = k < SIZE ? g.x[k] : g.params[k - SIZE];
        *at = keep;
        /* rounding 1e-16 / d and d^2 times third derivatives: some 1e-9 */
        if (!near(seen, slope, 1e-7)) print_error("%s, number %d: %.12g, %.12g\n", desc->method, k, seen, slope);
        assert_true(near(seen, slope, 1e-7));
    }
    tw_ode_tape_destroy(tape);
}

static bool is_explicit(const tw_ode_method_info *m)
{
    return tw_tableau_find(m->name)->kind == TW_TABLEAU_EXPLICIT;
}

static void gradients_are_those_of_the_steps_taken(void **state)
{
    (void)state;
    const tw_ode_method_info *m;
    const double grid[] = {0, 0.1, 0.2, 0.5, 0.6, 1, 1.3, 1.5};
    for (int i = 0; (m = tw_ode_method_list(i)); i++) {
        if (!is_explicit(m)) continue;
        for (int with_times = 0; with_times < 2; with_times++) {
            const double *times = with_times ? asked : NULL;
            int64_t count = with_times ? TIMES : 0;
            against_differences(&(tw_ode_desc){.method = m->name,
                                               .t1 = 1.5,
                                               .times = times,
                                               .times_count = count,
                                               .steps = m->adaptive ? 0 : 9,
                                               .rtol = 1e-3,
                                               .atol = 1e-3});
            against_differences(&(tw_ode_desc){.method = m->name,
                                               .times = times,
                                               .times_count = count,
                                               .time_grid = grid,
                                               .time_grid_count = TW_COUNT(grid)});
        }
    }
}

static void gradients_of_solutions_backwards_in_time(void **state)
{
    (void)state;
    const double times[TIMES] = {1.5, 1.1, 0.9, 0.2, 0.1};
    against_differences(&(tw_ode_desc){
        .method = "tsit5", .t0 = 1.5, .t1 = 0.1, .rtol = 1e-4, .atol = 1e-4, .times = times, .times_count = TIMES});
}

/* The states of the replay are those of the solver, bit for bit: from 1 kept state to all. */
static void memory_changes_no_bit(void **state)
{
    (void)state;
    const char *const methods[] = {"dopri5", "bosh3", "fehlberg2", "rk4"};
    for (int m = 0; m < TW_COUNT(methods); m++) {
        bool adaptive = tw_tableau_find(methods[m])->info.adaptive;
        tw_ode_desc desc = {.method = methods[m],
                            .t1 = 1.5,
                            .steps = adaptive ? 0 : 37,
                            .rtol = 1e-6,
                            .atol = 1e-6,
                            .times = asked,
                            .times_count = TIMES};
        gradients all = exact(&desc, 0, NULL);
        for (size_t kept = 1; kept <= 40; kept += kept < 8 ? 1 : 8) {
            gradients some = exact(&desc, kept * SIZE * sizeof(double), NULL);
            assert_memory_equal(some.x, all.x, sizeof all.x);
            assert_memory_equal(some.params, all.params, sizeof all.params);
            assert_true(some.back.evaluations >= all.back.evaluations);
        }
    }
}

/* Revolve: l <= C(s + r, s) steps are made again at most r times each beside the one that is differentiated; of one
 * row, where nothing else is counted. */
static void states_are_found_again_in_few_steps(void **state)
{
    (void)state;
    enum { STEPS = 220 }; /* C(3 + 9, 3) */
    const size_t kept = 3;
    char error[256];
    double x[SIZE], a[SIZE] = {1, 1}, params[PARAMS] = {0};
    tw_ode_tape *tape = NULL;
    tw_ode_stats back;
    tw_ode_desc desc = {.method = "euler", .steps = STEPS};
    start(x);
    assert_int_equal(tw_ode_tape_create(ctx, &desc, &equation, 1, kept * COLUMNS * sizeof(double), &tape), TW_OK);
    assert_int_equal(tw_ode_tape_run(tape, 1, x, NULL, NULL, error, sizeof error), TW_OK);
    assert_int_equal(tw_ode_tape_gradient(tape, NULL, a, params, &back, error, sizeof error), TW_OK);
    assert_int_equal(back.jvps, STEPS);
    assert_true(back.evaluations <= (9 + 1) * STEPS);
    assert_int_equal(tape->most, kept);
    tw_ode_tape_destroy(tape);
}

/* A row's gradient does not depend on the rows beside it. */
static void rows_do_not_see_each_other(void **state)
{
    (void)state;
    char error[256];
    double x0[SIZE], x[COLUMNS], dstates[TIMES * SIZE], end[SIZE];
    tw_ode_desc desc = {.t1 = 1.5};
    gradients all = exact(&desc, 0, NULL);
    start(x0);
    for (int row = 0; row < ROWS; row++) {
        tw_ode_tape *tape = NULL;
        double a[COLUMNS], params[PARAMS] = {0};
        memcpy(x, x0 + COLUMNS * row, sizeof x);
        assert_int_equal(tw_ode_tape_create(ctx, &desc, &equation, 3, 0, &tape), TW_OK);
        assert_int_equal(tw_ode_tape_run(tape, 1, x, NULL, NULL, error, sizeof error), TW_OK);
        memset(end, 0, sizeof end);
        memcpy(end + COLUMNS * row, x, sizeof x);
        loss(end, NULL, end, dstates);
        memcpy(a, end + COLUMNS * row, sizeof a);
        assert_int_equal(tw_ode_tape_gradient(tape, NULL, a, params, NULL, error, sizeof error), TW_OK);
        assert_memory_equal(a, all.x + COLUMNS * row, sizeof a);
        tw_ode_tape_destroy(tape);
    }
}

/* ---- the adjoint equation ---- */

static gradients continuous(const tw_ode_desc *desc, bool seminorm)
{
    double x[SIZE], states[TIMES * SIZE], dstates[TIMES * SIZE];
    gradients g = {0};
    tw_ode_output output = {.states = states};
    start(x);
    assert_int_equal(tw_ode_solve_output(ctx, desc, bent, theta, ROWS, COLUMNS, x, &output, &g.there), TW_OK);
    loss(x, desc->times ? states : NULL, g.x, dstates);
    tw_ode_adjoint_desc way = {.solver = desc, .seminorm = seminorm, .states = states, .dstates = dstates};
    assert_int_equal(tw_ode_adjoint(ctx, &way, &equation, ROWS, x, g.x, g.params, &g.back), TW_OK);
    return g;
}

static double difference(const gradients *a, const gradients *b)
{
    double worst = 0;
    for (int i = 0; i < SIZE; i++) worst = fmax(worst, fabs(a->x[i] - b->x[i]) / (1 + fabs(b->x[i])));
    for (int i = 0; i < PARAMS; i++) worst = fmax(worst, fabs(a->params[i] - b->params[i]) / (1 + fabs(b->params[i])));
    return worst;
}

static void adjoint_agrees_as_tolerances_shrink(void **state)
{
    (void)state;
    for (int with_times = 0; with_times < 2; with_times++)
        for (int seminorm = 0; seminorm < 2; seminorm++)
            for (double tolerance = 1e-4; tolerance > 1e-11; tolerance /= 1e3) {
                tw_ode_desc desc = {.t1 = 1.5,
                                    .rtol = tolerance,
                                    .atol = tolerance,
                                    .times = with_times ? asked : NULL,
                                    .times_count = with_times ? TIMES : 0};
                gradients there = exact(&desc, 0, NULL), back = continuous(&desc, seminorm);
                /* a factor for the growth of errors on the way back and for states between steps */
                assert_true(difference(&back, &there) < 200 * tolerance);
            }
}

/* Without parameters every row has its own steps, and the bits it has alone. */
static void adjoint_of_rows_alone(void **state)
{
    (void)state;
    double x0[SIZE], x[SIZE], a[SIZE];
    tw_ode_equation e = equation;
    e.params = 0;
    tw_ode_adjoint_desc way = {.solver = &(tw_ode_desc){.t1 = 1.5}};
    start(x0);
    for (int i = 0; i < SIZE; i++) a[i] = weight(i);
    memcpy(x, x0, sizeof x);
    assert_int_equal(tw_ode_adjoint(ctx, &way, &e, ROWS, x, a, NULL, NULL), TW_OK);
    for (int row = 0; row < ROWS; row++) {
        double one[COLUMNS], da[COLUMNS] = {weight(COLUMNS * row), weight(COLUMNS * row + 1)};
        memcpy(one, x0 + COLUMNS * row, sizeof one);
        assert_int_equal(tw_ode_adjoint(ctx, &way, &e, 1, one, da, NULL, NULL), TW_OK);
        assert_memory_equal(one, x + COLUMNS * row, sizeof one);
        assert_memory_equal(da, a + COLUMNS * row, sizeof da);
    }
}

/* ---- a damped oscillator among all cubic fields: the integrals of the coefficients, of monomials times the adjoint,
 * swing up to four times as fast as the solution ---- */

enum { MONOMIALS = 10, COEFFICIENTS = 2 * MONOMIALS };
static const double oscillator[COEFFICIENTS] = {0, 0, -0.05, -1, 1, -0.05};

/* Monomials of degree 3 at most and their derivatives in u and v. */
static void monomials(double u, double v, double m[MONOMIALS], double du[MONOMIALS], double dv[MONOMIALS])
{
    for (int degree = 0, k = 0; degree <= 3; degree++)
        for (int j = 0; j <= degree; j++, k++) {
            int i = degree - j;
            m[k] = pow(u, i) * pow(v, j);
            du[k] = i ? i * pow(u, i - 1) * pow(v, j) : 0;
            dv[k] = j ? j * pow(u, i) * pow(v, j - 1) : 0;
        }
}

static tw_status cubic(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    double m[MONOMIALS], du[MONOMIALS], dv[MONOMIALS];
    (void)user;
    (void)t;
    for (int64_t i = 0; i < 2 * rows; i++) {
        monomials(x[i / 2 * 2], x[i / 2 * 2 + 1], m, du, dv);
        out[i] = 0;
        for (int k = 0; k < MONOMIALS; k++) out[i] += oscillator[2 * k + i % 2] * m[k];
    }
    return TW_OK;
}

static tw_status cubic_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                           double *dparams)
{
    double m[MONOMIALS], du[MONOMIALS], dv[MONOMIALS];
    (void)user;
    (void)t;
    for (int64_t i = 0; i < rows; i++) {
        monomials(x[2 * i], x[2 * i + 1], m, du, dv);
        out_dx[2 * i] = out_dx[2 * i + 1] = 0;
        for (int k = 0; k < COEFFICIENTS; k++) {
            out_dx[2 * i] += oscillator[k] * du[k / 2] * w[2 * i + k % 2];
            out_dx[2 * i + 1] += oscillator[k] * dv[k / 2] * w[2 * i + k % 2];
            dparams[k] += m[k / 2] * w[2 * i + k % 2];
        }
    }
    return TW_OK;
}

/* Gradient of half the square of the end; calls made on the way back. */
static int64_t cubic_gradient(const tw_ode_desc *solver, bool seminorm, double *params)
{
    const tw_ode_equation e = {.columns = 2, .params = COEFFICIENTS, .field = cubic, .vjp = cubic_vjp};
    double x[2] = {2, 0}, a[2];
    tw_ode_stats back;
    assert_int_equal(tw_ode_solve(ctx, solver, cubic, NULL, 1, 2, x, NULL), TW_OK);
    memcpy(a, x, sizeof x);
    memset(params, 0, COEFFICIENTS * sizeof *params);
    tw_ode_adjoint_desc way = {.solver = solver, .seminorm = seminorm};
    assert_int_equal(tw_ode_adjoint(ctx, &way, &e, 1, x, a, params, &back), TW_OK);
    return back.calls;
}

static void seminorm_saves_a_quarter(void **state)
{
    (void)state;
    for (double tolerance = 1e-4; tolerance > 1e-8; tolerance /= 10) {
        double all[COEFFICIENTS], fewer[COEFFICIENTS], change = 0, size = 0;
        tw_ode_desc solver = {.t1 = 6, .rtol = tolerance, .atol = tolerance / 100};
        int64_t calls = cubic_gradient(&solver, false, all), saved = calls - cubic_gradient(&solver, true, fewer);
        for (int k = 0; k < COEFFICIENTS; k++) {
            change += (all[k] - fewer[k]) * (all[k] - fewer[k]);
            size += all[k] * all[k];
        }
        assert_true((double)saved >= 0.25 * (double)calls);
        assert_true(sqrt(change / size) < 20 * tolerance);
    }
}

static void refusals(void **state)
{
    (void)state;
    tw_ode_tape *tape = NULL;
    tw_ode_equation e = equation;
    double x[SIZE], a[SIZE] = {0}, params[PARAMS];
    char error[256] = "";
    start(x);
    assert_int_equal(tw_ode_tape_create(ctx, &(tw_ode_desc){.method = "explicit_adams"}, &e, 1, 0, &tape),
                     TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "explicit_adams"));
    assert_int_equal(tw_ode_tape_create(ctx, NULL, &e, 1, 0, &tape), TW_OK);
    assert_int_equal(tw_ode_tape_gradient(tape, NULL, a, params, NULL, error, sizeof error), TW_ERR_INVALID);
    assert_non_null(strstr(error, "not found"));
    assert_int_equal(tw_ode_tape_run(tape, 2, x, NULL, NULL, error, sizeof error), TW_ERR_INVALID);
    assert_non_null(strstr(error, "made for 1"));
    tw_ode_tape_destroy(tape);
    e.vjp = NULL;
    assert_int_equal(tw_ode_tape_create(ctx, NULL, &e, 1, 0, &tape), TW_ERR_INVALID);
    assert_int_equal(tw_ode_adjoint(ctx, NULL, &e, 1, x, a, params, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "vjp"));
}

static tw_status all_kinds(tw_context *c, void *user)
{
    (void)user;
    tw_status status = TW_OK;
    tw_ode_tape *tape = NULL;
    double x[SIZE], a[SIZE], params[PARAMS] = {0};
    char error[256];
    start(x);
    memcpy(a, x, sizeof a);
    TW_TRY(tw_ode_tape_create(c, NULL, &equation, ROWS, 4 * sizeof x, &tape));
    status = tw_ode_tape_run(tape, ROWS, x, NULL, NULL, error, sizeof error);
    if (status == TW_OK) status = tw_ode_tape_gradient(tape, NULL, a, params, NULL, error, sizeof error);
    if (status != TW_OK) TW_TRY(tw_fail(c, status, "%s", error));
    TW_TRY(tw_ode_adjoint(c, NULL, &equation, ROWS, x, a, params, NULL));
done:
    tw_ode_tape_destroy(tape);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(all_kinds, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_steps_taken),
        cmocka_unit_test(gradients_of_solutions_backwards_in_time),
        cmocka_unit_test(memory_changes_no_bit),
        cmocka_unit_test(states_are_found_again_in_few_steps),
        cmocka_unit_test(rows_do_not_see_each_other),
        cmocka_unit_test(adjoint_agrees_as_tolerances_shrink),
        cmocka_unit_test(adjoint_of_rows_alone),
        cmocka_unit_test(seminorm_saves_a_quarter),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
