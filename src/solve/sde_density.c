/* solve/sde_density.c - densities that need the inverse of the diffusion.
 *
 * A step of Euler-Maruyama is a Gaussian transition N(x + f h, h g g^T); the divergence between the measures of two
 * equations with one diffusion is the mean of int 1/2 |g^-1 (f - other)|^2 dt (Girsanov; Li et al. 2020, eq. 10). Both
 * are squares of L^-1 v with L L^T = g g^T, which also serves for more noises than columns. */
#include "solve/sde.h"

#include <math.h>

/* The lower Cholesky factor of g g^T (n,n) with g (n,m); false when it is not positive. */
static bool factor(const double *g, int n, int m, double *out)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = 0;
            for (int k = 0; k < m; k++) sum += g[i * m + k] * g[j * m + k];
            double whole = sum;
            for (int k = 0; k < j; k++) sum -= out[i * n + k] * out[j * n + k];
            /* what is left of a dependent row is rounding */
            if (i == j && !(sum > 1e-14 * whole)) return false;
            out[i * n + j] = i == j ? sqrt(sum) : sum / out[j * n + j];
        }
    return true;
}

/* |L^-1 v|^2 and log det L of one row; NaN where g g^T has no inverse. v is overwritten. */
static double square_of(tw_sde *sde, const double *g, double *v, double *out_log_det)
{
    int n = sde->columns, m = sde->noises;
    double square = 0, log_det = 0;
    if (sde->equation.noise == TW_SDE_DIAGONAL || sde->equation.noise == TW_SDE_SCALAR) {
        for (int i = 0; i < n; i++) {
            square += v[i] / g[i] * (v[i] / g[i]);
            log_det += log(fabs(g[i]));
        }
    } else if (factor(g, n, m, sde->matrix)) {
        for (int i = 0; i < n; i++) {
            for (int k = 0; k < i; k++) v[i] -= sde->matrix[i * n + k] * v[k];
            v[i] /= sde->matrix[i * n + i];
            square += v[i] * v[i];
            log_det += log(sde->matrix[i * n + i]);
        }
    } else {
        square = (double)NAN;
    }
    *out_log_det = log_det;
    return square;
}

static double checked(tw_sde *sde, int64_t r, double t, double square)
{
    if (!isfinite(square)) tw_sde_break(sde, r, t, "g g^T has no inverse there");
    return square;
}

void tw_sde_log_prob(tw_sde *sde, double t, double h, const double *x, const double *f, const double *g,
                     const double *y, double *out)
{
    int n = sde->columns;
    double spread = 0.5 * n * log(6.283185307179586476925 * h), log_det;
    for (int64_t r = 0; r < sde->rows; r++) {
        double *v = sde->v + r * n;
        for (int i = 0; i < n; i++) v[i] = y[r * n + i] - x[r * n + i] - h * f[r * n + i];
        double square = checked(sde, r, t, square_of(sde, g + r * sde->width, v, &log_det));
        out[r] += -0.5 * square / h - log_det - spread;
    }
}

void tw_sde_kl_rate(tw_sde *sde, double t, const double *f, const double *other, const double *g, double *out)
{
    int n = sde->columns;
    double log_det;
    for (int64_t r = 0; r < sde->rows; r++) {
        double *v = sde->v + r * n;
        for (int i = 0; i < n; i++) v[i] = f[r * n + i] - other[r * n + i];
        out[r] = 0.5 * checked(sde, r, t, square_of(sde, g + r * sde->width, v, &log_det));
    }
}

tw_status tw_sde_check_invertible(tw_context *ctx, const tw_sde_equation *e, const char *what)
{
    bool enough = e->noise == TW_SDE_DIAGONAL || (e->noise == TW_SDE_SCALAR ? 1 : e->noises) >= e->columns;
    if (enough) return TW_OK;
    return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                   "%s needs a diffusion that reaches every direction: at least as many motions as the %d columns", what,
                   e->columns);
}
