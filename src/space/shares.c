/* space/shares.c - the source that has every point of a simplex as likely, a Dirichlet law of ones: exponential numbers
 * over their sum. The uniform source is uniform on the sphere of roots instead, a Dirichlet law of halves. */
#include "graph/node.h"
#include "space/space.h"

#include <math.h>

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    (void)p;
    for (int i = 0; i < f->numbers; i++) out[i] = sqrt(-log(tw_normal_share(z[i])));
    tw_manifold_project(f->manifold, f->numbers, out, out);
}

tw_val tw_exponential_rows(tw_val z)
{
    const double least = 1.0 / (1 << 24); /* an f32 knows no more of 0 and 1: no number is infinite, none 0 */
    return tw_neg(tw_log(tw_clamp(tw_normal_share_rows(z), least, 1 - least)));
}

static tw_val place_rows(const double *p, const tw_factor *f, tw_val z)
{
    (void)p;
    return tw_manifold_project_rows(f->manifold, tw_sqrt(tw_exponential_rows(z)));
}

/* (n - 1)! of the shares, times 2^(n-1) prod x, which volumes of shares are over those of roots. */
static double factor_log_density(const double *p, const tw_factor *f, const double *x)
{
    (void)p;
    double sum = lgamma(f->numbers) + (f->numbers - 1) * log(2);
    for (int i = 0; i < f->numbers; i++) sum += log(x[i]);
    return sum;
}

const tw_source_rules tw_source_shares = {
    .place = place, .place_rows = place_rows, .factor_log_density = factor_log_density, .simplex = true};
