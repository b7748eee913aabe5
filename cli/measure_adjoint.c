/* measure_adjoint.c - what the seminorm saves of the adjoint equation (Kidger, Chen, Lyons 2021). Of a damped
 * oscillator in the family of all cubic fields of the plane, as one learns dynamics from data, where the integrals of
 * the parameters swing faster than all else: the tolerance is --rtol, and a hundredth of it absolutely. Of the
 * likelihood of a trained flow, with respect to its weights: the tolerances are --rtol and --atol. */
#include "measures.h"

#include <thalweg/adjoint.h>
#include <thalweg/gradient.h>

#include <math.h>
#include <string.h>

enum { DEGREE = 3, MONOMIALS = 10, COEFFICIENTS = 2 * MONOMIALS };

/* x' = y - x/20, y' = -x - y/20 */
static const double oscillator[COEFFICIENTS] = {0, 0, -0.05, -1, 1, -0.05};

/* Powers x^i y^j, i + j <= 3, and their derivatives. */
static void monomials(const double x[2], double m[MONOMIALS], double d[2][MONOMIALS])
{
    double power[2][DEGREE + 1] = {{1}, {1}};
    for (int j = 0; j < DEGREE; j++)
        for (int k = 0; k < 2; k++) power[k][j + 1] = power[k][j] * x[k];
    for (int degree = 0, k = 0; degree <= DEGREE; degree++)
        for (int j = 0; j <= degree; j++, k++) {
            int i = degree - j;
            m[k] = power[0][i] * power[1][j];
            d[0][k] = i ? i * power[0][i - 1] * power[1][j] : 0;
            d[1][k] = j ? j * power[0][i] * power[1][j - 1] : 0;
        }
}

static tw_status field(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    double m[MONOMIALS], d[2][MONOMIALS];
    (void)user;
    (void)t;
    memset(out, 0, (size_t)(2 * rows) * sizeof *out);
    for (int64_t i = 0; i < rows; i++) {
        monomials(x + 2 * i, m, d);
        for (int k = 0; k < COEFFICIENTS; k++) out[2 * i + k % 2] += oscillator[k] * m[k / 2];
    }
    return TW_OK;
}

static tw_status field_vjp(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                           double *dparams)
{
    double m[MONOMIALS], d[2][MONOMIALS];
    (void)user;
    (void)t;
    memset(out_dx, 0, (size_t)(2 * rows) * sizeof *out_dx);
    for (int64_t i = 0; i < rows; i++) {
        monomials(x + 2 * i, m, d);
        for (int k = 0; k < COEFFICIENTS; k++) {
            double by = w[2 * i + k % 2];
            for (int c = 0; c < 2; c++) out_dx[2 * i + c] += oscillator[k] * d[c][k / 2] * by;
            dparams[k] += m[k / 2] * by;
        }
    }
    return TW_OK;
}

/* The gradient of half the square of where (2, 0) is after six units of time; calls made on the way back. */
static tw_status gradient(const subject *s, bool seminorm, double *params, double *out_calls)
{
    const tw_ode_equation equation = {.columns = 2, .params = COEFFICIENTS, .field = field, .vjp = field_vjp};
    double rtol = opt_number(&s->c->set, OPT_RTOL), x[2] = {2, 0}, a[2];
    tw_ode_desc solver = {.t1 = 6, .rtol = rtol, .atol = rtol / 100};
    tw_ode_adjoint_desc back = {.solver = &solver, .seminorm = seminorm};
    tw_ode_stats stats = {0};
    tw_status status = TW_OK;
    memset(params, 0, COEFFICIENTS * sizeof *params);
    TW_TRY(tw_ode_solve(s->c->ctx, &solver, field, NULL, 1, 2, x, NULL));
    memcpy(a, x, sizeof x);
    TW_TRY(tw_ode_adjoint(s->c->ctx, &back, &equation, 1, x, a, params, &stats));
    *out_calls = (double)stats.calls;
done:
    return status;
}

/* |with - without| / |without| */
static double change(int64_t count, const double *without, const double *with)
{
    double off = 0, size = 0;
    for (int64_t k = 0; k < count; k++) {
        off += (with[k] - without[k]) * (with[k] - without[k]);
        size += without[k] * without[k];
    }
    return sqrt(off / size);
}

tw_status measure_seminorm_savings(const subject *s, measured *out)
{
    double params[COEFFICIENTS], calls, fewer;
    tw_status status = TW_OK;
    TW_TRY(gradient(s, false, params, &calls));
    TW_TRY(gradient(s, true, params, &fewer));
    *out = (measured){1 - fewer / calls, (double)NAN};
done:
    return status;
}

tw_status measure_seminorm_change(const subject *s, measured *out)
{
    double params[COEFFICIENTS], other[COEFFICIENTS], calls;
    tw_status status = TW_OK;
    TW_TRY(gradient(s, false, params, &calls));
    TW_TRY(gradient(s, true, other, &calls));
    *out = (measured){change(COEFFICIENTS, params, other), 0};
done:
    return status;
}

/* --- a flow's likelihood -------------------------------------------------------------------------------------------
 */

enum { BATCH = 256 };

/* The gradient of the negative log-likelihood of a batch, or of its mean over the batch, by the adjoint equation,
 * without and with the seminorm: weights (2, parameters), calls made on the way back. */
typedef struct likelihood {
    bool mean;
    int64_t parameters;
    double *weights, calls[2];
} likelihood;

static tw_status differentiate(const subject *s, likelihood *l)
{
    tw_context *ctx = s->c->ctx;
    tw_sample_desc sample = {.double_precision = true, .solver = solver_without_noise(s->c, &s->solver)};
    tw_density_gradient_desc desc = {.sample = &sample, .adjoint = true};
    tw_ode_stats there, both;
    double slopes[BATCH], log_density[BATCH];
    tw_status status = TW_OK;
    l->parameters = tw_flow_parameters(s->m.flow);
    int64_t n = tw_min_i64(BATCH, s->h.rows);
    double *x = random_rows(s->c, 0, s->h.columns, s->h.rows, s->h.values, n);
    double *dx = tw_alloc(ctx, (size_t)n * (size_t)s->h.columns, sizeof *dx);
    l->weights = tw_alloc(ctx, (size_t)l->parameters, 2 * sizeof *l->weights);
    if (!x || !dx || !l->weights) TW_TRY(tw_fail_memory(ctx, (size_t)l->parameters * 2 * sizeof *l->weights));
    for (int64_t i = 0; i < n; i++) slopes[i] = l->mean ? -1 / (double)n : -1;
    desc.slopes = slopes;
    TW_TRY(tw_log_density(s->m.flow, n, x, &sample, log_density, &there));
    for (int k = 0; k < 2; k++) {
        desc.seminorm = k;
        TW_TRY(tw_log_density_gradient(s->m.flow, &desc, n, x, NULL, dx, l->weights + k * l->parameters, &both));
        l->calls[k] = (double)(both.calls - there.calls);
    }
done:
    tw_free(ctx, x);
    tw_free(ctx, dx);
    return status;
}

static tw_status savings(const subject *s, bool mean, measured *out)
{
    likelihood l = {.mean = mean};
    tw_status status = differentiate(s, &l);
    if (status == TW_OK) *out = (measured){1 - l.calls[1] / l.calls[0], (double)NAN};
    tw_free(s->c->ctx, l.weights);
    return status;
}

tw_status measure_likelihood_savings(const subject *s, measured *out)
{
    return savings(s, false, out);
}

tw_status measure_mean_likelihood_savings(const subject *s, measured *out)
{
    return savings(s, true, out);
}

tw_status measure_likelihood_change(const subject *s, measured *out)
{
    likelihood l = {0};
    tw_status status = differentiate(s, &l);
    if (status == TW_OK) *out = (measured){change(l.parameters, l.weights, l.weights + l.parameters), 0};
    tw_free(s->c->ctx, l.weights);
    return status;
}
