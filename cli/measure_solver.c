/* measure_solver.c - measures of gradients through stochastic solvers, on an equation whose answers are known:
 * geometric motion dx = a x dt + b x o dW (Li et al. 2020, Scalable gradients for stochastic differential equations),
 * with dx_T/da = x_T T and dx_T/db = x_T W_T. */
#include "measures.h"

#include <thalweg/sde.h>

#include <math.h>
#include <string.h>

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
