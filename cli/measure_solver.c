/* measure_solver.c - measures of the solvers alone, on equations whose answers are known.
 *
 *   event_times, event_gradient   a bouncing ball (Chen, Amos, Nickel 2021, Learning neural event functions): radius
 * 0.2, dropped from 10, g = 9.8, each bounce keeps 0.8 of the speed; it first meets the ground at the root of 2
 *   sde_gradient_order, ...       geometric motion dx = a x dt + b x o dW (Li et al. 2020, Scalable gradients for
 *                                 stochastic differential equations): dx_T/da = x_T T, dx_T/db = x_T W_T */
#include "measures.h"

#include <thalweg/sde.h>

#include <math.h>
#include <string.h>

/* --- a bouncing ball
 * --------------------------------------------------------------------------------------------------- */

enum { BOUNCES = 5 };
static const double GRAVITY = 9.8, KEPT = 0.8, RADIUS = 0.2, HEIGHT = 10;

static tw_status fall(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[2 * i] = x[2 * i + 1], out_dx[2 * i + 1] = -GRAVITY;
    return TW_OK;
}

static tw_status above_ground(void *user, int64_t rows, const double *t, const double *x, double *out_g)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_g[i] = x[2 * i] - RADIUS;
    return TW_OK;
}

static tw_status bounce(void *user, int64_t row, double t, double *x)
{
    (void)user, (void)row, (void)t;
    x[0] = RADIUS;
    x[1] *= -KEPT;
    return TW_OK;
}

typedef struct bounces {
    tw_ode_occurrence at[BOUNCES];
    double x[BOUNCES][2], dx[BOUNCES][2];
} bounces;

static tw_status let_fall(const subject *s, bounces *out)
{
    cli *c = s->c;
    const tw_ode_event ground = {.g = above_ground, .direction = -1, .limit = BOUNCES, .jump = bounce};
    tw_ode_output output = {
        .events = out->at, .event_x = out->x[0], .event_dx = out->dx[0], .events_capacity = BOUNCES};
    double x[2] = {HEIGHT, 0};
    tw_ode_desc desc;
    tw_status status = TW_OK;
    if (!solver_of(c, &desc)) return tw_fail(c->ctx, TW_ERR_INVALID, "the ball cannot be followed by this solver");
    desc.t1 = 20;
    desc.events = &ground;
    desc.events_count = 1;
    TW_TRY(tw_ode_solve_output(c->ctx, &desc, fall, NULL, 1, 2, x, &output, NULL));
    if (output.events_count < BOUNCES)
        TW_TRY(tw_fail(c->ctx, TW_ERR_NUMERIC, "%d bounces seen, expected %d", (int)output.events_count, BOUNCES));
done:
    return status;
}

tw_status measure_event_times(const subject *s, measured *out)
{
    bounces b;
    tw_status status = let_fall(s, &b);
    double first = sqrt(2 * (HEIGHT - RADIUS) / GRAVITY), t = first, worst = 0;
    for (int i = 0; status == TW_OK && i < BOUNCES; i++) {
        worst = fmax(worst, fabs(b.at[i].t - t));
        t += 2 * first * pow(KEPT, i + 1);
    }
    *out = (measured){worst, 0};
    return status;
}

/* By the implicit rule dt = -dg / slope, from what was recorded at the events: the first time in the height, and the
 * second in what a bounce keeps, whose speed rises by the speed v before it: g at the second event by v (t_2 - t_1). */
tw_status measure_event_gradient(const subject *s, measured *out)
{
    bounces b;
    tw_status status = let_fall(s, &b);
    if (status != TW_OK) return status;
    double first = sqrt(2 * (HEIGHT - RADIUS) / GRAVITY), speed = -b.x[0][1];
    double by_height = -1 / b.at[0].slope, by_kept = -speed * (b.at[1].t - b.at[0].t) / b.at[1].slope;
    *out = (measured){fmax(fabs(by_height - 1 / (GRAVITY * first)), fabs(by_kept - 2 * first)), 0};
    return TW_OK;
}

/* --- gradients through a stochastic equation
 * --------------------------------------------------------------------------- */

enum { PATHS = 400, LEVELS = 4, FEWEST = 16 /* steps, doubled a level */ };
static const double GROWTH = 0.5, NOISE = 0.8, BEGIN = 1;

static tw_status growth(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out[i] = GROWTH * x[i];
    return TW_OK;
}
static tw_status noise(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out[i] = NOISE * x[i];
    return TW_OK;
}
static tw_status transposed(void *user, int64_t rows, const double *t, const double *x, const double *df,
                            const double *dg, double *out_dx, double *dparams)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) {
        out_dx[i] = GROWTH * df[i] + NOISE * dg[i];
        dparams[0] += df[i] * x[i];
        dparams[1] += dg[i] * x[i];
    }
    return TW_OK;
}

static const tw_sde_equation geometric = {.sense = TW_SDE_STRATONOVICH,
                                          .noise = TW_SDE_DIAGONAL,
                                          .columns = 1,
                                          .drift = growth,
                                          .diffusion = noise,
                                          .vjp = transposed,
                                          .params = 2};

/* Squared error of one path's gradient in (a, b). */
static tw_status path_error(cli *c, const tw_sde_desc *desc, tw_sde_gradient_kind kind, double *out_square)
{
    double w, end = BEGIN, gradient[2] = {0}, a = 1;
    tw_status status = TW_OK;
    TW_TRY(tw_sde_solve(c->ctx, &geometric, desc, 1, &end, NULL, NULL));
    double at = kind == TW_SDE_DISCRETE ? BEGIN : end;
    TW_TRY(tw_sde_gradient(c->ctx, &geometric, desc, kind, 1, &at, &a, gradient));
    tw_brownian_at(desc->brownian, desc->first_row, 1, 1, &w, NULL);
    double exact = BEGIN * exp(GROWTH + NOISE * w);
    *out_square = pow(gradient[0] - exact, 2) + pow(gradient[1] - exact * w, 2);
done:
    return status;
}

/* Mean log-error over the paths for so many steps, by root mean square. */
static tw_status level_error(cli *c, tw_sde_desc desc, tw_sde_gradient_kind kind, bool integrals, double *out_log)
{
    const tw_brownian_desc motion = {.cells = desc.steps, .columns = 1, .seed = desc.seed, .integrals = integrals};
    double sum = 0, square;
    tw_status status = TW_OK;
    TW_TRY(tw_brownian_create(c->ctx, &motion, 1, &desc.brownian));
    for (desc.first_row = 0; desc.first_row < PATHS; desc.first_row++) {
        TW_TRY(path_error(c, &desc, kind, &square));
        sum += square / PATHS;
    }
    *out_log = log(sum) / 2;
done:
    tw_brownian_destroy(desc.brownian);
    return status;
}

/* The slope of log-error in log-step by least squares over equally spaced levels. */
static tw_status gradient_order(const subject *s, tw_sde_gradient_kind kind, measured *out)
{
    cli *c = s->c;
    const tw_sde_method_info *info = sde_method(opt_text(&c->set, OPT_SOLVER));
    double error, slope = 0, spread = 0, middle = (LEVELS - 1) / 2.0;
    tw_status status = TW_OK;
    if (!info || !info->stratonovich)
        return tw_fail(c->ctx, TW_ERR_INVALID, "solver: expected one of stochastic equations in Stratonovich's sense");
    tw_sde_desc desc = {.method = info->name, .steps = FEWEST, .seed = opt_seed(&c->set, OPT_SEED)};
    for (int i = 0; i < LEVELS; i++, desc.steps *= 2) {
        TW_TRY(level_error(c, desc, kind, info->needs_integrals, &error));
        slope -= (i - middle) * error;
        spread += (i - middle) * (i - middle);
    }
    *out = (measured){slope / spread / log(2), info->strong[TW_SDE_DIAGONAL]};
done:
    return status;
}

tw_status measure_sde_gradient_order(const subject *s, measured *out)
{
    return gradient_order(s, TW_SDE_DISCRETE, out);
}

tw_status measure_sde_adjoint_order(const subject *s, measured *out)
{
    return gradient_order(s, TW_SDE_ADJOINT, out);
}
