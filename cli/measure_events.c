/* measure_events.c - measures of events and of gradients through them (Chen, Amos, Nickel 2021, Learning neural event
 * functions for ordinary differential equations), on systems whose answers are known:
 *
 *   a ball     of radius 0.2, dropped from 10 under gravity 9.8, of whose speed each bounce keeps 0.8; it first meets
 *              the ground at the root of 2
 *   a heater   that goes on below one temperature and off above another, both unknown: guards of a switching system
 *   arrivals   of a Poisson process, where the integral of its rate passes sums of Exp(1) numbers: waiting times are
 *              Exp(rate), and the derivative of their mean in the rate is -1 / rate^2 */
#include "measures.h"

#include "base/order.h"
#include "base/philox.h"
#include "solve/lbfgs.h"

#include <thalweg/adjoint.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- a bouncing ball: user is gravity and what a bounce keeps ------------------------------------------------------
 */

enum { BOUNCES = 5, LEARNED_FROM = 3 };
static const double RADIUS = 0.2, HEIGHT = 10, GRAVITY = 9.8, KEPT = 0.8;

static tw_status fall(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    const double *law = user;
    (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[2 * i] = x[2 * i + 1], out_dx[2 * i + 1] = -law[0];
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

static tw_status above_ground(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - RADIUS;
    return TW_OK;
}

static tw_status above_ground_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                                  double *dparams)
{
    (void)user, (void)t, (void)x, (void)dparams;
    *out_dt = out_dx[1] = 0;
    out_dx[0] = w;
    return TW_OK;
}

static tw_status bounce(void *user, int64_t row, double t, double *x)
{
    const double *law = user;
    (void)row, (void)t;
    x[0] = RADIUS;
    x[1] *= -law[1];
    return TW_OK;
}

static tw_status bounce_vjp(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                            double *out_dx, double *dparams)
{
    const double *law = user;
    (void)row, (void)t;
    *out_dt = out_dx[0] = 0;
    out_dx[1] = -law[1] * w[1];
    dparams[1] -= x[1] * w[1];
    return TW_OK;
}

static double time_of_bounce(int number)
{
    double first = sqrt(2 * (HEIGHT - RADIUS) / GRAVITY), t = first;
    for (int i = 1; i <= number; i++) t += 2 * first * pow(KEPT, i);
    return t;
}

typedef struct ball {
    tw_context *ctx;
    double law[2];
    tw_ode_equation equation;
    tw_ode_event ground;
    tw_ode_desc desc;
    tw_ode_tape *tape;
    tw_ode_occurrence at[BOUNCES];
} ball;

static tw_status ball_open(const subject *s, int bounces, ball *b)
{
    *b = (ball){.ctx = s->c->ctx,
                .law = {GRAVITY, KEPT},
                .equation = {.columns = 2, .params = 2, .field = fall, .vjp = fall_vjp, .user = b->law},
                .ground = {.g = above_ground,
                           .direction = -1,
                           .limit = bounces,
                           .jump = bounce,
                           .g_vjp = above_ground_vjp,
                           .jump_vjp = bounce_vjp}};
    if (!solver_of(s->c, &b->desc)) return tw_fail(s->c->ctx, TW_ERR_INVALID, "this solver cannot follow a ball");
    b->desc.t1 = 20;
    b->desc.events = &b->ground;
    b->desc.events_count = 1;
    return TW_OK;
}

/* On the tape when there is one. */
static tw_status ball_fall(ball *b)
{
    char error[256] = "";
    double x[2] = {HEIGHT, 0};
    tw_ode_output output = {.events = b->at, .events_capacity = BOUNCES};
    tw_status status = TW_OK;
    if (b->tape)
        status = tw_ode_tape_run(b->tape, 1, x, &output, NULL, error, sizeof error);
    else
        status = tw_ode_solve_output(b->ctx, &b->desc, fall, b->law, 1, 2, x, &output, NULL);
    if (status != TW_OK) return b->tape ? tw_fail(b->ctx, status, "%s", error) : status;
    if (output.events_count < b->ground.limit)
        return tw_fail(b->ctx, TW_ERR_NUMERIC, "%lld bounces seen, expected %lld", (long long)output.events_count,
                       (long long)b->ground.limit);
    return TW_OK;
}

/* Of a loss with derivatives dt in the times of bounces: in where the ball begins and in its law. */
static tw_status ball_gradient(const ball *b, const double *dt, double dx[2], double dlaw[2])
{
    char error[256] = "";
    const tw_ode_cotangents of = {.event_t = dt};
    memset(dx, 0, 2 * sizeof *dx);
    memset(dlaw, 0, 2 * sizeof *dlaw);
    tw_status status = tw_ode_tape_gradient(b->tape, &of, dx, dlaw, NULL, error, sizeof error);
    return status == TW_OK ? TW_OK : tw_fail(b->ctx, status, "%s", error);
}

tw_status measure_event_times(const subject *s, measured *out)
{
    ball b;
    double worst = 0;
    tw_status status = TW_OK;
    TW_TRY(ball_open(s, BOUNCES, &b));
    TW_TRY(ball_fall(&b));
    for (int i = 0; i < BOUNCES; i++) worst = fmax(worst, fabs(b.at[i].t - time_of_bounce(i)));
    *out = (measured){worst, 0};
done:
    return status;
}

/* Of the first time in the height, and of the second in what a bounce keeps. */
tw_status measure_event_gradient(const subject *s, measured *out)
{
    ball b;
    double dx[2], dlaw[2], by_height;
    const double first = time_of_bounce(0), of_first[BOUNCES] = {1}, of_second[BOUNCES] = {0, 1};
    tw_status status = TW_OK;
    TW_TRY(ball_open(s, BOUNCES, &b));
    TW_TRY(tw_ode_tape_create(s->c->ctx, &b.desc, &b.equation, 1, 0, &b.tape));
    TW_TRY(ball_fall(&b));
    TW_TRY(ball_gradient(&b, of_first, dx, dlaw));
    by_height = dx[0];
    TW_TRY(ball_gradient(&b, of_second, dx, dlaw));
    *out = (measured){fmax(fabs(by_height - 1 / (GRAVITY * first)), fabs(dlaw[1] - 2 * first)), 0};
done:
    tw_ode_tape_destroy(b.tape);
    return status;
}

/* Half the squared misses of the times; the law in logarithms, so that it stays positive. */
static tw_status misses(void *user, const double *x, double *out_value, double *out_gradient)
{
    ball *b = user;
    double dt[BOUNCES] = {0}, dx[2], sum = 0;
    tw_status status = TW_OK;
    for (int i = 0; i < 2; i++) b->law[i] = exp(x[i]);
    status = ball_fall(b);
    if (status == TW_ERR_NUMERIC) { /* too weak a gravity for so many bounces */
        *out_value = (double)INFINITY;
        return TW_OK;
    }
    TW_TRY(status);
    for (int i = 0; i < LEARNED_FROM; i++) {
        dt[i] = b->at[i].t - time_of_bounce(i);
        sum += dt[i] * dt[i] / 2;
    }
    TW_TRY(ball_gradient(b, dt, dx, out_gradient));
    for (int i = 0; i < 2; i++) out_gradient[i] *= b->law[i];
    *out_value = sum;
done:
    return status;
}

/* From half of both. */
tw_status measure_bounces_learned(const subject *s, measured *out)
{
    ball b;
    double x[2] = {log(GRAVITY / 2), log(KEPT / 2)};
    tw_lbfgs_result result;
    tw_status status = TW_OK;
    TW_TRY(ball_open(s, LEARNED_FROM, &b));
    TW_TRY(tw_ode_tape_create(s->c->ctx, &b.desc, &b.equation, 1, 0, &b.tape));
    TW_TRY(tw_lbfgs(s->c->ctx, &(tw_lbfgs_desc){.size = 2}, misses, &b, x, &result));
    *out = (measured){fmax(fabs(exp(x[0]) / GRAVITY - 1), fabs(exp(x[1]) / KEPT - 1)), 0};
done:
    tw_ode_tape_destroy(b.tape);
    return status;
}

/* --- a heater: the state is the temperature, and whether it is on; user is where it goes on and where off -------- */

enum { READINGS = 40 };
static const double GUARD[2] = {18, 22}, COLD = 10, HOT = 30;

static tw_status warm(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++, x += 2, out_dx += 2) {
        out_dx[0] = (x[1] > 0.5 ? HOT : COLD) - x[0];
        out_dx[1] = 0;
    }
    return TW_OK;
}

static tw_status warm_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                          double *dparams)
{
    (void)user, (void)t, (void)x, (void)dparams;
    for (int64_t i = 0; i < rows; i++) {
        out_dx[2 * i] = -w[2 * i];
        out_dx[2 * i + 1] = 0;
    }
    return TW_OK;
}

static tw_status too_cold(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    const double *guard = user;
    (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - guard[0];
    return TW_OK;
}

static tw_status too_hot(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    const double *guard = user;
    (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - guard[1];
    return TW_OK;
}

static tw_status guard_vjp(int which, double w, double *out_dt, double *out_dx, double *dparams)
{
    *out_dt = out_dx[1] = 0;
    out_dx[0] = w;
    if (dparams) dparams[which] -= w;
    return TW_OK;
}

static tw_status too_cold_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                              double *dparams)
{
    (void)user, (void)t, (void)x;
    return guard_vjp(0, w, out_dt, out_dx, dparams);
}

static tw_status too_hot_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                             double *dparams)
{
    (void)user, (void)t, (void)x;
    return guard_vjp(1, w, out_dt, out_dx, dparams);
}

static tw_status turn(void *user, int64_t row, double t, double *x)
{
    (void)user, (void)row, (void)t;
    x[1] = x[1] > 0.5 ? 0 : 1;
    return TW_OK;
}

static tw_status turn_vjp(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                          double *out_dx, double *dparams)
{
    (void)user, (void)row, (void)t, (void)x, (void)dparams;
    *out_dt = out_dx[1] = 0;
    out_dx[0] = w[0];
    return TW_OK;
}

typedef struct heater {
    tw_context *ctx;
    tw_ode_tape *tape;
    double guard[2], times[READINGS], seen[READINGS][2];
} heater;

static tw_status heat(heater *h, double states[READINGS][2])
{
    char error[256] = "";
    double x[2] = {20, 1};
    tw_ode_output output = {.states = states[0]};
    tw_status status = tw_ode_tape_run(h->tape, 1, x, &output, NULL, error, sizeof error);
    return status == TW_OK ? TW_OK : tw_fail(h->ctx, status, "%s", error);
}

/* Half the mean squared miss of the readings, and its derivative in both guards. */
static tw_status misread(void *user, const double *guard, double *out_value, double *out_gradient)
{
    heater *h = user;
    char error[256] = "";
    double states[READINGS][2], dstates[READINGS][2] = {{0}}, x[2] = {0}, sum = 0;
    const tw_ode_cotangents of = {.states = dstates[0]};
    tw_status status = TW_OK;
    memcpy(h->guard, guard, sizeof h->guard);
    memset(out_gradient, 0, sizeof h->guard);
    TW_TRY(heat(h, states));
    for (int i = 0; i < READINGS; i++) {
        double miss = states[i][0] - h->seen[i][0];
        sum += miss * miss / (2 * READINGS);
        dstates[i][0] = miss / READINGS;
    }
    status = tw_ode_tape_gradient(h->tape, &of, x, out_gradient, NULL, error, sizeof error);
    if (status != TW_OK) TW_TRY(tw_fail(h->ctx, status, "%s", error));
    *out_value = sum;
done:
    return status;
}

/* From half a degree beside each. */
tw_status measure_guards_learned(const subject *s, measured *out)
{
    const tw_ode_event guards[] = {
        {.g = too_cold, .direction = -1, .jump = turn, .g_vjp = too_cold_vjp, .jump_vjp = turn_vjp},
        {.g = too_hot, .direction = 1, .jump = turn, .g_vjp = too_hot_vjp, .jump_vjp = turn_vjp}};
    heater h = {.ctx = s->c->ctx, .guard = {GUARD[0], GUARD[1]}};
    const tw_ode_equation equation = {.columns = 2, .params = 2, .field = warm, .vjp = warm_vjp, .user = h.guard};
    double guard[2] = {GUARD[0] - 0.5, GUARD[1] + 0.5};
    tw_lbfgs_result result;
    tw_ode_desc desc;
    tw_status status = TW_OK;
    if (!solver_of(s->c, &desc)) return tw_fail(s->c->ctx, TW_ERR_INVALID, "this solver cannot follow a heater");
    for (int i = 0; i < READINGS; i++) h.times[i] = 2.0 * (i + 1) / READINGS;
    desc.t1 = 2;
    desc.times = h.times;
    desc.times_count = READINGS;
    desc.events = guards;
    desc.events_count = TW_COUNT(guards);
    TW_TRY(tw_ode_tape_create(s->c->ctx, &desc, &equation, 1, 0, &h.tape));
    TW_TRY(heat(&h, h.seen));
    TW_TRY(tw_lbfgs(s->c->ctx, &(tw_lbfgs_desc){.size = 2}, misread, &h, guard, &result));
    *out = (measured){fmax(fabs(guard[0] / GUARD[0] - 1), fabs(guard[1] / GUARD[1] - 1)), 0};
done:
    tw_ode_tape_destroy(h.tape);
    return status;
}

/* --- arrivals: the state is the integral of the rate, the sum at which the next one comes, and how many came; user is
 * the rate and the numbers of Exp(1) ----------------------------------------------------------------------------- */

enum { ROWS = 4000, ARRIVALS = 3, STREAM = 61, WIDTH = 3 };
static const double RATE = 2.5;

typedef struct process {
    double rate;
    double waits[ROWS][ARRIVALS];
} process;

static tw_status gather(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    const process *p = user;
    (void)t, (void)x;
    memset(out_dx, 0, (size_t)(WIDTH * rows) * sizeof *out_dx);
    for (int64_t i = 0; i < rows; i++) out_dx[WIDTH * i] = p->rate;
    return TW_OK;
}

static tw_status gather_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                            double *dparams)
{
    (void)user, (void)t, (void)x;
    memset(out_dx, 0, (size_t)(WIDTH * rows) * sizeof *out_dx);
    for (int64_t i = 0; i < rows; i++) dparams[0] += w[WIDTH * i];
    return TW_OK;
}

static tw_status missing(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[WIDTH * i] - x[WIDTH * i + 1];
    return TW_OK;
}

static tw_status missing_vjp(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                             double *dparams)
{
    (void)user, (void)t, (void)x, (void)dparams;
    out_dx[0] = w;
    out_dx[1] = -w;
    *out_dt = out_dx[2] = 0;
    return TW_OK;
}

static tw_status arrive(void *user, int64_t row, double t, double *x)
{
    const process *p = user;
    (void)t;
    x[2] += 1;
    x[1] += p->waits[row][(int)x[2]];
    return TW_OK;
}

static tw_status arrive_vjp(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                            double *out_dx, double *dparams)
{
    (void)user, (void)row, (void)t, (void)x, (void)dparams;
    *out_dt = 0;
    memcpy(out_dx, w, WIDTH * sizeof *w);
    return TW_OK;
}

/* What happened in all rows. */
typedef struct arrivals {
    process process;
    double x[ROWS][WIDTH];
    tw_ode_occurrence at[ROWS * ARRIVALS];
    double before[ROWS * ARRIVALS][WIDTH];       /* states at arrivals */
    double wait[ROWS * ARRIVALS], last[ROWS];    /* times between them; of the last one in a row */
    double of_time[ROWS * ARRIVALS], mean_slope; /* of the mean waiting time in the rate */
} arrivals;

static void draw(uint64_t seed, arrivals *a)
{
    tw_random random = {.seed = seed, .stream = STREAM};
    a->process.rate = RATE;
    for (int i = 0; i < ROWS * ARRIVALS; i++)
        a->process.waits[i / ARRIVALS][i % ARRIVALS] = -log(tw_random_uniform(&random));
    for (int r = 0; r < ROWS; r++) a->x[r][1] = a->process.waits[r][0];
}

/* The process of all rows to its last arrivals and back; free the result. */
static tw_status watch(const subject *s, arrivals **out_arrivals)
{
    const tw_ode_event arrival = {
        .g = missing, .limit = ARRIVALS, .jump = arrive, .g_vjp = missing_vjp, .jump_vjp = arrive_vjp};
    tw_context *ctx = s->c->ctx;
    char error[256] = "";
    double rate_slope = 0;
    tw_ode_tape *tape = NULL;
    tw_ode_desc desc;
    tw_status status = TW_OK;
    arrivals *a = tw_alloc(ctx, 1, sizeof *a);
    if (!a) TW_TRY(tw_fail_memory(ctx, sizeof *a));
    draw(opt_seed(&s->c->set, OPT_SEED), a);
    if (!solver_of(s->c, &desc)) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "this solver cannot follow a process"));
    desc.t1 = 100 / RATE; /* passed by none of any number of rows */
    desc.events = &arrival;
    desc.events_count = 1;
    const tw_ode_equation equation = {
        .columns = WIDTH, .params = 1, .field = gather, .vjp = gather_vjp, .user = &a->process};
    tw_ode_output output = {.events = a->at, .event_x = a->before[0], .events_capacity = ROWS * ARRIVALS};
    TW_TRY(tw_ode_tape_create(ctx, &desc, &equation, ROWS, 0, &tape));
    status = tw_ode_tape_run(tape, ROWS, a->x[0], &output, NULL, error, sizeof error);
    for (int64_t i = 0; status == TW_OK && i < output.events_count; i++) {
        int64_t row = a->at[i].row;
        a->wait[i] = a->at[i].t - a->last[row];
        a->last[row] = a->at[i].t;
        if (a->before[i][2] == ARRIVALS - 1) a->of_time[i] = 1.0 / (ROWS * ARRIVALS);
    }
    memset(a->x, 0, sizeof a->x); /* the derivative in the end */
    const tw_ode_cotangents of = {.event_t = a->of_time};
    if (status == TW_OK) status = tw_ode_tape_gradient(tape, &of, a->x[0], &rate_slope, NULL, error, sizeof error);
    if (status != TW_OK) TW_TRY(tw_fail(ctx, status, "%s", error));
    if (output.events_count != ROWS * ARRIVALS)
        TW_TRY(tw_fail(ctx, TW_ERR_NUMERIC, "%lld arrivals seen, expected %d", (long long)output.events_count,
                       ROWS * ARRIVALS));
    a->mean_slope = rate_slope;
    *out_arrivals = a;
    a = NULL;
done:
    tw_free(ctx, a);
    tw_ode_tape_destroy(tape);
    return status;
}

tw_status measure_arrivals_ks(const subject *s, measured *out)
{
    enum { N = ROWS * ARRIVALS };
    arrivals *a = NULL;
    double worst = 0;
    tw_status status = watch(s, &a);
    if (status != TW_OK) return status;
    qsort(a->wait, N, sizeof *a->wait, tw_by_value);
    for (int i = 0; i < N; i++) {
        double below = -expm1(-RATE * a->wait[i]);
        worst = fmax(worst, fmax(below - (double)i / N, (i + 1.0) / N - below));
    }
    *out = (measured){worst * sqrt(N), (double)NAN};
    tw_free(s->c->ctx, a);
    return TW_OK;
}

tw_status measure_arrivals_gradient(const subject *s, measured *out)
{
    arrivals *a = NULL;
    tw_status status = watch(s, &a);
    if (status != TW_OK) return status;
    *out = (measured){fabs(a->mean_slope * RATE * RATE + 1), 1 / sqrt(ROWS * ARRIVALS)};
    tw_free(s->c->ctx, a);
    return TW_OK;
}
