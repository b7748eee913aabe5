/* Gradients through events: of the times of a bouncing ball against closed forms, of a bent field with jumps against
 * central differences of solutions at tight tolerances, the same bits in any memory. */
#include "solve/bent.h"
#include "solve/tape.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool near(double a, double b, double relative)
{
    return fabs(a - b) <= relative * (1 + fabs(b));
}

/* ---- a bouncing ball of radius 0.2: theta is gravity and what a bounce keeps of the speed ---- */

static tw_status fall(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const double *theta = user;
    (void)t;
    for (int64_t i = 0; i < rows; i++) out[2 * i] = x[2 * i + 1], out[2 * i + 1] = -theta[0];
    return TW_OK;
}

static tw_status fall_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                          double *dparams)
{
    (void)user, (void)t, (void)x;
    for (int64_t i = 0; i < rows; i++) {
        out_dx[2 * i] = 0;
        out_dx[2 * i + 1] = w[2 * i];
        dparams[0] -= w[2 * i + 1];
    }
    return TW_OK;
}

static tw_status ground(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - 0.2;
    return TW_OK;
}

static tw_status ground_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                            double *dparams)
{
    (void)user, (void)t, (void)x, (void)dparams;
    *out_dt = 0;
    out_dx[0] = w;
    out_dx[1] = 0;
    return TW_OK;
}

static tw_status bounce(void *user, int64_t row, double t, double *x)
{
    const double *theta = user;
    (void)row, (void)t;
    x[0] = 0.2;
    x[1] *= -theta[1];
    return TW_OK;
}

static tw_status bounce_vjp(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                            double *out_dx, double *dparams)
{
    const double *theta = user;
    (void)row, (void)t;
    *out_dt = out_dx[0] = 0;
    out_dx[1] = -theta[1] * w[1];
    if (dparams) dparams[1] -= x[1] * w[1];
    return TW_OK;
}

static double bounce_time(double from, const double theta[2], int number)
{
    double first = sqrt(2 * (from - 0.2) / theta[0]), t = first;
    for (int i = 1; i <= number; i++) t += 2 * first * pow(theta[1], i);
    return t;
}

/* The derivative of each time alone, in the height and both parameters, against those of the closed form. */
static void times_of_bounces(void **state)
{
    (void)state;
    enum { BOUNCES = 5 };
    double theta[2] = {9.8, 0.8}, x[2], a[2], params[2], d = 1e-6;
    char error[256] = "";
    const tw_ode_event event = {
        .g = ground, .direction = -1, .limit = BOUNCES, .jump = bounce, .g_vjp = ground_vjp, .jump_vjp = bounce_vjp};
    const tw_ode_equation ball = {.columns = 2, .params = 2, .field = fall, .vjp = fall_vjp, .user = theta};
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        if (info->order < 2 || tw_tableau_find(info->name)->kind != TW_TABLEAU_EXPLICIT) continue;
        tw_ode_desc desc = {.method = info->name, .t1 = 20, .events = &event, .events_count = 1};
        if (!info->adaptive) desc.steps = 100;
        tw_ode_tape *tape = NULL;
        tw_ode_occurrence events[BOUNCES];
        tw_ode_output output = {.events = events, .events_capacity = BOUNCES};
        assert_int_equal(tw_ode_tape_create(ctx, &desc, &ball, 1, 0, &tape), TW_OK);
        x[0] = 10, x[1] = 0;
        assert_int_equal(tw_ode_tape_run(tape, 1, x, &output, NULL, error, sizeof error), TW_OK);
        assert_int_equal(output.events_count, BOUNCES);
        for (int k = 0; k < BOUNCES; k++) {
            double of_time[BOUNCES] = {0}, first = sqrt(2);
            const double up[2] = {theta[0] + d, theta[1]}, down[2] = {theta[0] - d, theta[1]};
            of_time[k] = 1;
            memset(a, 0, sizeof a);
            memset(params, 0, sizeof params);
            tw_ode_cotangents of = {.event_t = of_time};
            assert_int_equal(tw_ode_tape_gradient(tape, &of, a, params, NULL, error, sizeof error), TW_OK);
            assert_true(fabs(events[k].t - bounce_time(10, theta, k)) < 1e-9);
            double by_height = (bounce_time(10 + d, theta, k) - bounce_time(10 - d, theta, k)) / (2 * d);
            double by_gravity = (bounce_time(10, up, k) - bounce_time(10, down, k)) / (2 * d), by_kept = 0;
            for (int i = 1; i <= k; i++) by_kept += 2 * first * i * pow(theta[1], i - 1);
            assert_true(near(a[0], by_height, 1e-8) && near(params[0], by_gravity, 1e-8));
            assert_true(near(params[1], by_kept, 1e-10));
            if (k == 0) assert_true(near(a[0], 1 / (9.8 * first), 1e-12));
        }
        tw_ode_tape_destroy(tape);
    }
}

/* ---- a bent field that meets bent events: user is theta ---- */

enum { ROWS = 4, SIZE = ROWS * COLUMNS, TIMES = 4, EVENTS = 64 };
static double theta[PARAMS];

/* x = 0.2 + theta1 sin(2t) / 4, jumps; y = theta2 t, passed over; x + y^2 / 4 = 5, ends the row */
static tw_status wall(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    const double *p = user;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - 0.2 - p[1] * sin(2 * t[i]) / 4;
    return TW_OK;
}

static tw_status wall_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                          double *dparams)
{
    const double *p = user;
    (void)x;
    *out_dt = -w * p[1] * cos(2 * t) / 2;
    out_dx[0] = w;
    out_dx[1] = 0;
    if (dparams) dparams[1] -= w * sin(2 * t) / 4;
    return TW_OK;
}

static tw_status off_the_wall(void *user, int64_t row, double t, double *x)
{
    const double *p = user;
    double u = x[0], v = x[1];
    x[0] = u + 0.3 + 0.1 * sin(v + p[0] * t);
    x[1] = -0.6 * v + 0.1 * (double)row * u * t;
    return TW_OK;
}

static tw_status off_the_wall_vjp(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                                  double *out_dx, double *dparams)
{
    const double *p = user;
    double bend = 0.1 * cos(x[1] + p[0] * t) * w[0];
    *out_dt = p[0] * bend + 0.1 * (double)row * x[0] * w[1];
    out_dx[0] = w[0] + 0.1 * (double)row * t * w[1];
    out_dx[1] = bend - 0.6 * w[1];
    if (dparams) dparams[0] += t * bend;
    return TW_OK;
}

static tw_status ramp(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    const double *p = user;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i + 1] - p[2] * t[i];
    return TW_OK;
}

static tw_status ramp_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                          double *dparams)
{
    const double *p = user;
    (void)x;
    *out_dt = -p[2] * w;
    out_dx[0] = 0;
    out_dx[1] = w;
    if (dparams) dparams[2] -= t * w;
    return TW_OK;
}

static tw_status rim(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] + x[2 * i + 1] * x[2 * i + 1] / 4 - 5.0;
    return TW_OK;
}

static tw_status rim_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                         double *dparams)
{
    (void)user, (void)t, (void)dparams;
    *out_dt = 0;
    out_dx[0] = w;
    out_dx[1] = w * x[1] / 2;
    return TW_OK;
}

static const tw_ode_event bent_events[] = {
    {.g = wall, .jump = off_the_wall, .g_vjp = wall_vjp, .jump_vjp = off_the_wall_vjp},
    {.g = ramp, .g_vjp = ramp_vjp},
    {.g = rim, .limit = 1, .g_vjp = rim_vjp},
};
static const tw_ode_equation equation = {
    .columns = COLUMNS, .params = PARAMS, .field = bent, .vjp = bent_vjp, .user = theta};

static void start(double *x)
{
    bent_parameters(theta);
    for (int i = 0; i < SIZE; i++) x[i] = 1.3 * sin(2.0 * i + 1);
}

typedef struct journey {
    double end[SIZE], states[TIMES * SIZE];
    double event_x[EVENTS * COLUMNS], event_t[EVENTS];
    tw_ode_occurrence events[EVENTS];
    int64_t count;
} journey;

static tw_ode_output room_in(journey *j)
{
    return (tw_ode_output){.states = j->states, .events = j->events, .event_x = j->event_x, .events_capacity = EVENTS};
}

static void come_home(journey *j, const tw_ode_output *output)
{
    j->count = output->events_count;
    assert_true(j->count <= EVENTS);
    for (int64_t i = 0; i < j->count; i++) j->event_t[i] = j->events[i].t;
}

static double weight(int64_t i)
{
    return sin(1.7 * (double)i + 0.4);
}

/* sum_i w_i v_i + v_i^2 / 4 over ends, states reached, times and states of events, and its derivatives. Events are
 * weighed by row, kind and how many of the row came before, as their order may depend on steps. */
static double loss(const journey *j, journey *d)
{
    double sum = 0;
    int64_t seen[ROWS] = {0};
    for (int i = 0; i < SIZE; i++) {
        sum += weight(i) * j->end[i] + j->end[i] * j->end[i] / 4;
        d->end[i] = weight(i) + j->end[i] / 2;
    }
    for (int i = 0; i < TIMES * SIZE; i++) {
        d->states[i] = isnan(j->states[i]) ? (double)NAN : weight(i) + j->states[i] / 2;
        if (!isnan(j->states[i])) sum += weight(i) * j->states[i] + j->states[i] * j->states[i] / 4;
    }
    for (int64_t i = 0; i < j->count; i++) {
        int64_t row = j->events[i].row, name = 100 * row + 10 * seen[row]++;
        sum += weight(name) * j->event_t[i];
        d->event_t[i] = weight(name);
        for (int c = 0; c < COLUMNS; c++) {
            sum += weight(name + c + 1) * j->event_x[i * COLUMNS + c];
            d->event_x[i * COLUMNS + c] = weight(name + c + 1);
        }
    }
    return sum;
}

static tw_ode_desc bent_desc(const char *method, bool back, double tolerance)
{
    static const double ahead[TIMES] = {0, 0.31, 1.2, 2.5}, behind[TIMES] = {2.5, 1.2, 0.31, 0};
    return (tw_ode_desc){.method = method,
                         .t0 = back ? 2.5 : 0,
                         .t1 = back ? 0 : 2.5,
                         .rtol = tolerance,
                         .atol = tolerance,
                         .times = back ? behind : ahead,
                         .times_count = TIMES,
                         .events = bent_events,
                         .events_count = TW_COUNT(bent_events)};
}

static double loss_from(const double *x0, const tw_ode_desc *desc, int64_t *out_count)
{
    static journey j, d;
    tw_ode_output output = room_in(&j);
    memcpy(j.end, x0, sizeof j.end);
    assert_int_equal(tw_ode_solve_output(ctx, desc, bent, theta, ROWS, COLUMNS, j.end, &output, NULL), TW_OK);
    come_home(&j, &output);
    *out_count = j.count;
    return loss(&j, &d);
}

typedef struct gradients {
    double x[SIZE], params[PARAMS];
    int64_t events, ended;
} gradients;

static gradients exact(const tw_ode_desc *desc, size_t memory)
{
    static journey j, d;
    char error[256] = "";
    double ends[ROWS];
    gradients g = {0};
    tw_ode_tape *tape = NULL;
    tw_ode_output output = room_in(&j);
    output.ends = ends;
    start(j.end);
    assert_int_equal(tw_ode_tape_create(ctx, desc, &equation, ROWS, memory, &tape), TW_OK);
    assert_int_equal(tw_ode_tape_run(tape, ROWS, j.end, &output, NULL, error, sizeof error), TW_OK);
    come_home(&j, &output);
    loss(&j, &d);
    memcpy(g.x, d.end, sizeof g.x);
    tw_ode_cotangents of = {.states = d.states, .event_t = d.event_t, .event_x = d.event_x};
    assert_int_equal(tw_ode_tape_gradient(tape, &of, g.x, g.params, NULL, error, sizeof error), TW_OK);
    for (int r = 0; r < ROWS; r++) g.ended += ends[r] != (desc->t1);
    g.events = j.count;
    tw_ode_tape_destroy(tape);
    return g;
}

static void chains_of_events(void **state)
{
    (void)state;
    const double d = 1e-5;
    for (int back = 0; back < 2; back++) {
        tw_ode_desc desc = bent_desc("dopri8", back, 1e-12);
        gradients g = exact(&desc, 0);
        assert_true(g.events >= (back ? 4 : 7) && g.ended > 0 && g.ended < ROWS);
        for (int k = 0; k < SIZE + PARAMS; k++) {
            double x[SIZE];
            int64_t more = 0, fewer = 0;
            start(x);
            double *at = k < SIZE ? &x[k] : &theta[k - SIZE], keep = *at;
            *at = keep + d;
            double up = loss_from(x, &desc, &more);
            *at = keep - d;
            double slope = (up - loss_from(x, &desc, &fewer)) / (2 * d), seen = k < SIZE ? g.x[k] : g.params[k - SIZE];
            *at = keep;
            assert_true(more == g.events && fewer == g.events);
            /* solutions are right to 1e-12 / d and d^2 times third derivatives, each times the growth of some jumps */
            if (!near(seen, slope, 1e-6)) print_error("back %d, number %d: %.12g, %.12g\n", back, k, seen, slope);
            assert_true(near(seen, slope, 1e-6));
        }
    }
}

/* With coarser steps the gradient comes near as the tolerance does. */
static void gradients_are_as_right_as_solutions(void **state)
{
    (void)state;
    const char *const methods[] = {"dopri5", "tsit5", "bosh3"};
    tw_ode_desc fine = bent_desc("dopri8", false, 1e-12);
    gradients want = exact(&fine, 0);
    for (int m = 0; m < TW_COUNT(methods); m++)
        for (double tolerance = 1e-5; tolerance > 1e-10; tolerance /= 1e2) {
            tw_ode_desc desc = bent_desc(methods[m], false, tolerance);
            gradients g = exact(&desc, 0);
            double worst = 0;
            for (int k = 0; k < SIZE; k++) worst = fmax(worst, fabs(g.x[k] - want.x[k]) / (1 + fabs(want.x[k])));
            for (int k = 0; k < PARAMS; k++)
                worst = fmax(worst, fabs(g.params[k] - want.params[k]) / (1 + fabs(want.params[k])));
            if (!(worst < 500 * tolerance)) print_error("%s at %g: %g\n", methods[m], tolerance, worst);
            /* a factor for the growth of errors, as in solve/adjoint, and through some jumps */
            assert_true(worst < 500 * tolerance);
        }
}

static void memory_changes_no_bit(void **state)
{
    (void)state;
    const char *const methods[] = {"dopri5", "rk4"};
    for (int m = 0; m < TW_COUNT(methods); m++) {
        tw_ode_desc desc = bent_desc(methods[m], false, 1e-6);
        if (!tw_tableau_find(methods[m])->info.adaptive) desc.steps = 40;
        gradients all = exact(&desc, 0);
        for (size_t kept = 1; kept <= 20; kept += kept < 4 ? 1 : 8) {
            gradients some = exact(&desc, kept * SIZE * sizeof(double));
            assert_memory_equal(some.x, all.x, sizeof all.x);
            assert_memory_equal(some.params, all.params, sizeof all.params);
        }
    }
}

/* ---- what has no gradient ---- */

static tw_status still(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)x;
    for (int64_t i = 0; i < rows; i++) out[2 * i] = 3 * pow(t[i] - 1, 2), out[2 * i + 1] = 0;
    return TW_OK;
}

static tw_status still_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                           double *dparams)
{
    (void)user, (void)t, (void)x, (void)w, (void)dparams;
    memset(out_dx, 0, (size_t)(2 * rows) * sizeof *out_dx);
    return TW_OK;
}

static void what_has_no_gradient_is_refused(void **state)
{
    (void)state;
    char error[256] = "";
    tw_ode_tape *tape = NULL;
    double x[2] = {-1 + 0.2, 0}, a[2] = {0}, of_time = 1;
    tw_ode_equation e = {.columns = 2, .field = still, .vjp = still_vjp};
    tw_ode_event event = {.g = ground, .limit = 1, .jump = bounce};
    tw_ode_desc desc = {.method = "rk4", .t1 = 2, .steps = 10, .events = &event, .events_count = 1};
    assert_int_equal(tw_ode_tape_create(ctx, &desc, &e, 1, 0, &tape), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "a gradient through event 0 needs its g_vjp");
    event.g_vjp = ground_vjp;
    assert_int_equal(tw_ode_tape_create(ctx, &desc, &e, 1, 0, &tape), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "a gradient through event 0 needs its jump_vjp");
    event.jump_vjp = bounce_vjp;
    /* x = (t - 1)^3 passes zero without a slope */
    assert_int_equal(tw_ode_tape_create(ctx, &desc, &e, 1, 0, &tape), TW_OK);
    assert_int_equal(tw_ode_tape_run(tape, 1, x, NULL, NULL, error, sizeof error), TW_OK);
    tw_ode_cotangents of = {.event_t = &of_time};
    assert_int_equal(tape->events, 1);
    tape->event[0].t = 1; /* to the last bit */
    assert_int_equal(tw_ode_tape_gradient(tape, &of, a, NULL, NULL, error, sizeof error), TW_ERR_NUMERIC);
    assert_non_null(strstr(error, "g has no slope"));
    tw_ode_tape_destroy(tape);
}

static tw_status a_chain(tw_context *c, void *user)
{
    char error[256] = "";
    double x[SIZE], a[SIZE] = {1}, params[PARAMS] = {0};
    tw_ode_tape *tape = NULL;
    tw_ode_desc desc = bent_desc("dopri5", false, 1e-4);
    (void)user;
    desc.times_count = 0;
    start(x);
    tw_status status = tw_ode_tape_create(c, &desc, &equation, ROWS, 0, &tape);
    if (status == TW_OK) status = tw_ode_tape_run(tape, ROWS, x, NULL, NULL, error, sizeof error);
    if (status == TW_OK) status = tw_ode_tape_gradient(tape, NULL, a, params, NULL, error, sizeof error);
    tw_ode_tape_destroy(tape);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(a_chain, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_of_bounces),
        cmocka_unit_test(chains_of_events),
        cmocka_unit_test(gradients_are_as_right_as_solutions),
        cmocka_unit_test(memory_changes_no_bit),
        cmocka_unit_test(what_has_no_gradient_is_refused),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
