/* measure_adjoint.c - what the seminorm saves of the adjoint equation (Kidger, Chen, Lyons 2021), where the integrals of
 * the parameters swing faster than all else: a damped oscillator in the family of all cubic fields of the plane, as one
 * learns dynamics from data. The tolerance is --rtol, and a hundredth of it absolutely. */
#include "measures.h"

#include <thalweg/adjoint.h>

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
    double params[COEFFICIENTS], other[COEFFICIENTS], calls, change = 0, size = 0;
    tw_status status = TW_OK;
    TW_TRY(gradient(s, false, params, &calls));
    TW_TRY(gradient(s, true, other, &calls));
    for (int k = 0; k < COEFFICIENTS; k++) {
        change += (params[k] - other[k]) * (params[k] - other[k]);
        size += params[k] * params[k];
    }
    *out = (measured){sqrt(change / size), 0};
done:
    return status;
}
