/* solve/chart.c - explicit Runge-Kutta methods on a manifold: the derivatives of a step's stages are brought to the
 * tangent space at its start, where the method is what it is among vectors (Munthe-Kaas 1999, High order Runge-Kutta
 * methods on manifolds; with the exponential map as the chart). At the start of a step both are the same, so that only
 * a derivative at its end, which begins the next one, is kept as the field gave it, too. */
#include "solve/ode.h"

#include <string.h>

void tw_chart_go(tw_ode *ode, const tw_ode_terms *terms)
{
    int64_t count = ode->active * ode->columns;
    for (int64_t begin = 0; terms && begin < count; begin += TW_ODE_TILE) {
        int n = (int)tw_min_i64(TW_ODE_TILE, count - begin);
        double sum[TW_ODE_TILE];
        const double *step = ode->step + begin;
        double *restrict way = ode->way + begin;
        tw_ode_weigh(ode, terms, begin, n, sum);
        for (int i = 0; i < n; i++) way[i] = step[i] * sum[i];
    }
    ode->chart.go(ode->chart.user, ode->active, ode->y, ode->way, ode->z);
}

void tw_chart_pull(tw_ode *ode, int slot)
{
    double *k = ode->k[slot];
    if (ode->ends_known && slot == ode->end) memcpy(ode->raw, k, (size_t)(ode->active * ode->columns) * sizeof(double));
    ode->chart.pull(ode->chart.user, ode->active, ode->y, ode->way, ode->z, k);
}

void tw_chart_restore(tw_ode *ode)
{
    double *pulled = ode->k[ode->end];
    if (!ode->ends_known) return;
    ode->k[ode->end] = ode->raw;
    ode->raw = pulled;
}
