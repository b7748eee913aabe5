/* Events: where a function of each row passes zero, against closed forms; jumps, ends, directions, what is recorded. */
#include <thalweg/solve.h>

#include "base/base.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a bouncing ball: height and velocity, gravity 9.81, each bounce keeps 0.8 of the velocity ---- */

static const double gravity = 9.81, kept = 0.8;

static tw_status fall(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[2 * i] = x[2 * i + 1], out_dx[2 * i + 1] = -gravity;
    return TW_OK;
}

static tw_status height(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i];
    return TW_OK;
}

static tw_status bounce(void *user, int64_t row, double t, double *x)
{
    (void)user, (void)row, (void)t;
    x[0] = 0;
    x[1] *= -kept;
    return TW_OK;
}

static double bounce_time(double from, int number)
{
    double velocity = sqrt(2 * gravity * from), t = velocity / gravity;
    for (int i = 0; i < number; i++) t += 2 * (velocity *= kept) / gravity;
    return t;
}

static void balls_bounce_when_they_should(void **state)
{
    (void)state;
    enum { ROWS = 3, BOUNCES = 12, ALL = ROWS * BOUNCES };
    static const double from[ROWS] = {10, 1, 3.7};
    const tw_ode_event ground = {.g = height, .direction = -1, .limit = BOUNCES, .jump = bounce};
    for (int m = 0; tw_ode_method_list(m); m++) {
        const tw_ode_method_info *info = tw_ode_method_list(m);
        if (info->order < 2) continue; /* parabolas are exact from order 2 on */
        tw_ode_occurrence events[ALL];
        double x[ROWS][2], at[ALL][2], slopes[ALL][2], ends[ROWS];
        int next[ROWS] = {0};
        tw_ode_desc desc = {.method = info->name, .t1 = 30, .events = &ground, .events_count = 1};
        tw_ode_output output = {
            .ends = ends, .events = events, .event_x = &at[0][0], .event_dx = &slopes[0][0], .events_capacity = ALL};
        if (!info->adaptive) desc.steps = 100;
        for (int r = 0; r < ROWS; r++) x[r][0] = from[r], x[r][1] = 0;
        assert_int_equal(tw_ode_solve_output(ctx, &desc, fall, NULL, ROWS, 2, &x[0][0], &output, NULL), TW_OK);
        assert_int_equal(output.events_count, ALL);
        for (int i = 0; i < ALL; i++) {
            int r = (int)events[i].row;
            double t = bounce_time(from[r], next[r]++), speed = sqrt(2 * gravity * from[r]) * pow(kept, next[r] - 1);
            if (!(fabs(events[i].t - t) < 1e-9))
                print_error("%s: row %d at %g, not %g\n", info->name, r, events[i].t, t);
            assert_true(fabs(events[i].t - t) < 1e-9);
            assert_true(fabs(at[i][0]) < 1e-9);
            assert_true(fabs(at[i][1] + speed) < 1e-8);
            assert_true(slopes[i][0] == at[i][1] && slopes[i][1] == -gravity);
            assert_true(fabs(events[i].slope - at[i][1]) < 1e-6);
        }
        for (int r = 0; r < ROWS; r++) {
            assert_int_equal(next[r], BOUNCES);
            assert_true(fabs(ends[r] - bounce_time(from[r], BOUNCES - 1)) < 1e-9);
            assert_true(fabs(x[r][0]) < 1e-9); /* the row ends at the ground, before a jump */
        }
    }
}

/* Rows end on their own; states asked for are those of the flight, NaN behind the end; the bits of a row do not depend
 * on the others. */
static void rows_end_by_themselves(void **state)
{
    (void)state;
    enum { ROWS = 5, TIMES = 4 };
    const tw_ode_event ground = {.g = height, .limit = 1};
    double x[ROWS][2], alone[2], times[TIMES] = {0, 0.3, 0.6, 1.2}, states[TIMES][ROWS][2], ends[ROWS];
    tw_ode_desc desc = {.t1 = 2, .events = &ground, .events_count = 1, .times = times, .times_count = TIMES};
    tw_ode_output output = {.states = &states[0][0][0], .ends = ends};
    for (int r = 0; r < ROWS; r++) x[r][0] = 0.5 + 2 * r, x[r][1] = 0;
    assert_int_equal(tw_ode_solve_output(ctx, &desc, fall, NULL, ROWS, 2, &x[0][0], &output, NULL), TW_OK);
    for (int r = 0; r < ROWS; r++) {
        double from = 0.5 + 2 * r, end = bounce_time(from, 0);
        assert_true(fabs(ends[r] - end) < 1e-12);
        for (int i = 0; i < TIMES; i++) {
            double t = times[i], exact = from - 0.5 * gravity * t * t;
            assert_true(t > end ? isnan(states[i][r][0]) : fabs(states[i][r][0] - exact) < 1e-12);
        }
        double one[TIMES][2], one_end;
        output = (tw_ode_output){.states = &one[0][0], .ends = &one_end};
        alone[0] = from, alone[1] = 0;
        assert_int_equal(tw_ode_solve_output(ctx, &desc, fall, NULL, 1, 2, alone, &output, NULL), TW_OK);
        assert_memory_equal(alone, x[r], sizeof alone);
        assert_true(one_end == ends[r]);
    }
}

/* ---- x'' = -x from (1, 0): x = cos t ---- */

static tw_status swing(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[2 * i] = x[2 * i + 1], out_dx[2 * i + 1] = -x[2 * i];
    return TW_OK;
}

static tw_status half(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - 0.5;
    return TW_OK;
}

static tw_status velocity(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i + 1];
    return TW_OK;
}

/* A narrow pair of zeros: x - 0.99 near every maximum. */
static tw_status top(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - 0.99;
    return TW_OK;
}

static tw_status clock_at(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)x;
    for (int64_t i = 0; i < rows; i++) out_g[i] = t[i] - 3;
    return TW_OK;
}

static const double pi = 3.14159265358979323846;

static int count_events(const tw_ode_event *events, int count, double t0, double t1, double *out_times)
{
    tw_ode_occurrence found[64];
    double x[2] = {cos(t0), -sin(t0)};
    tw_ode_desc desc = {
        .method = "dopri8", .t0 = t0, .t1 = t1, .rtol = 1e-11, .atol = 1e-11, .events = events, .events_count = count};
    tw_ode_output output = {.events = found, .events_capacity = 64};
    assert_int_equal(tw_ode_solve_output(ctx, &desc, swing, NULL, 1, 2, x, &output, NULL), TW_OK);
    assert_true(fabs(x[0] - cos(t1)) < 1e-8 || events->limit);
    for (int i = 0; i < output.events_count && i < 64; i++) out_times[i] = found[i].t;
    return (int)output.events_count;
}

static void directions_limits_and_starts_are_kept(void **state)
{
    (void)state;
    double t[64];
    assert_int_equal(count_events(&(tw_ode_event){.g = half}, 1, 0, 10, t), 3);
    static const double zeros[] = {1, 5, 7}; /* thirds of pi */
    for (int i = 0; i < 3; i++) assert_true(fabs(t[i] - zeros[i] * pi / 3) < 1e-9);
    assert_int_equal(count_events(&(tw_ode_event){.g = half, .direction = 1}, 1, 0, 10, t), 1);
    assert_true(fabs(t[0] - 5 * pi / 3) < 1e-9);
    assert_int_equal(count_events(&(tw_ode_event){.g = half, .direction = -1}, 1, 0, 10, t), 2);
    assert_int_equal(count_events(&(tw_ode_event){.g = half, .limit = 2}, 1, 0, 10, t), 2);
    /* backwards in time the same places */
    assert_int_equal(count_events(&(tw_ode_event){.g = half}, 1, 10, 0, t), 3);
    for (int i = 0; i < 3; i++) assert_true(fabs(t[i] - zeros[2 - i] * pi / 3) < 1e-9);
    /* g is zero at the start: not an event, and the next one is not missed */
    assert_int_equal(count_events(&(tw_ode_event){.g = velocity}, 1, 0, 10, t), 3);
    for (int i = 0; i < 3; i++) assert_true(fabs(t[i] - (i + 1) * pi) < 1e-9);
    assert_int_equal(count_events(&(tw_ode_event){.g = clock_at}, 1, 3, 10, t), 0);
    /* two events in order, and a pair of zeros 0.28 apart, whatever the step */
    const tw_ode_event both[] = {{.g = top}, {.g = clock_at}};
    assert_int_equal(count_events(both, 2, 0, 10, t), 1 + 1 + 2);
    assert_true(fabs(t[0] - acos(0.99)) < 1e-9 && t[1] == 3);
    assert_true(fabs(t[2] - (2 * pi - acos(0.99))) < 1e-9 && fabs(t[3] - (2 * pi + acos(0.99))) < 1e-9);
}

static tw_status sink(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t, (void)x;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = -1;
    return TW_OK;
}

static tw_status depth(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[i];
    return TW_OK;
}

static tw_status lift(void *user, int64_t row, double t, double *x)
{
    (void)user, (void)row, (void)t;
    x[0] += 0.25;
    return TW_OK;
}

/* A saw: behind a jump that leads away from zero the next event is where g comes back to it. */
static void jumps_may_lead_away_from_zero(void **state)
{
    (void)state;
    for (int back = 0; back < 2; back++) {
        tw_ode_occurrence found[8];
        const tw_ode_event event = {.g = depth, .jump = lift};
        double x = back ? -1.1 : 1.1;
        tw_ode_desc desc = {.t0 = back ? 2 : 0, .t1 = back ? 0 : 2, .events = &event, .events_count = 1};
        tw_ode_output output = {.events = found, .events_capacity = 8};
        assert_int_equal(tw_ode_solve_output(ctx, &desc, sink, NULL, 1, 1, &x, &output, NULL), TW_OK);
        assert_int_equal(output.events_count, back ? 1 : 4);
        for (int i = 0; i < output.events_count; i++)
            assert_true(fabs(found[i].t - (back ? 0.9 : 1.1 + 0.25 * i)) < 1e-12);
    }
}

static void more_events_than_room_are_counted(void **state)
{
    (void)state;
    tw_ode_occurrence found[2] = {{0}};
    const tw_ode_event event = {.g = half};
    double x[2] = {1, 0};
    tw_ode_desc desc = {.t1 = 100, .rtol = 1e-8, .atol = 1e-8, .events = &event, .events_count = 1};
    tw_ode_output output = {.events = found, .events_capacity = 2};
    assert_int_equal(tw_ode_solve_output(ctx, &desc, swing, NULL, 1, 2, x, &output, NULL), TW_OK);
    assert_int_equal(output.events_count, 32);
    assert_true(fabs(found[1].t - 5 * pi / 3) < 1e-6);
    /* a ball that bounces for ever in finite time meets max_steps */
    const tw_ode_event ground = {.g = height, .direction = -1, .jump = bounce};
    double ball[2] = {1, 0};
    desc = (tw_ode_desc){.t1 = 30, .max_steps = 500, .events = &ground, .events_count = 1};
    assert_int_equal(tw_ode_solve(ctx, &desc, fall, NULL, 1, 2, ball, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "max_steps"));
    assert_true(fabs(ball[0]) < 1e-6);
}

static tw_status broken(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)rows, (void)t, (void)x, (void)out_g;
    return tw_fail(ctx, TW_ERR_IO, "no river here");
}

static void wrong_events_are_refused(void **state)
{
    (void)state;
    double x[2] = {1, 0};
    const tw_ode_event none = {.limit = 1}, negative = {.g = half, .limit = -1}, fails = {.g = broken};
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.events = &none, .events_count = 1}, swing, NULL, 1, 2, x, NULL),
                     TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "event 0 needs a function g"));
    assert_int_equal(
        tw_ode_solve(ctx, &(tw_ode_desc){.events = &negative, .events_count = 1}, swing, NULL, 1, 2, x, NULL),
        TW_ERR_INVALID);
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.events_count = 1}, swing, NULL, 1, 2, x, NULL), TW_ERR_INVALID);
    assert_int_equal(tw_ode_solve(ctx, &(tw_ode_desc){.events = &fails, .events_count = 1}, swing, NULL, 1, 2, x, NULL),
                     TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx), "no river here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balls_bounce_when_they_should),         cmocka_unit_test(rows_end_by_themselves),
        cmocka_unit_test(directions_limits_and_starts_are_kept), cmocka_unit_test(jumps_may_lead_away_from_zero),
        cmocka_unit_test(more_events_than_room_are_counted),     cmocka_unit_test(wrong_events_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
