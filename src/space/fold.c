/* space/fold.c - see fold.h. */
#include "space/fold.h"

#include "graph/node.h"

#include <math.h>

enum { IMAGES = 8 }; /* either way: sigma is at most 3, a period 4 */

void tw_fold_point(tw_fold fold, int n, const double *x, double *out)
{
    for (int i = 0; i < n; i++) {
        double z = x[i];
        if (fold == TW_FOLD_POSITIVE) z = fabs(z);
        if (fold == TW_FOLD_BETWEEN) z = fabs(z + 1 - 4 * floor((z + 3) / 4)) - 1;
        out[i] = z;
    }
}

tw_val tw_fold_rows(tw_fold fold, tw_val x)
{
    if (fold == TW_FOLD_POSITIVE) return tw_abs(x);
    if (fold == TW_FOLD_NONE) return x;
    tw_val turns = tw_floor(tw_muls(tw_adds(x, 3), 0.25));
    return tw_adds(tw_abs(tw_adds(tw_sub(x, tw_muls(turns, 4)), 1)), -1);
}

static double normal_at(double sigma, double x)
{
    return exp(-0.5 * x * x / (sigma * sigma)) / (sigma * sqrt(8 * atan(1)));
}

double tw_fold_normal(tw_fold fold, int n, double sigma, const double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (fold != TW_FOLD_BETWEEN) {
            double z = x[i] / sigma; /* far away, too */
            sum += (fold == TW_FOLD_POSITIVE ? log(2) : 0) - 0.5 * z * z - log(sigma) - 0.5 * log(8 * atan(1));
            continue;
        }
        double all = 0;
        for (int k = -IMAGES; k <= IMAGES; k++)
            all += normal_at(sigma, x[i] + 4 * k) + normal_at(sigma, 2 - x[i] + 4 * k);
        sum += log(all);
    }
    return sum;
}
