/* data/quantile.c - see quantile.h. */
#include "data/quantile.h"

#include "base/order.h"

#include <math.h>
#include <stdlib.h>

static const double root_half = 0.70710678118654752440, root_two_pi = 2.50662827463100050242;

/* Hastings' rational start (Abramowitz, Stegun 1964, 26.2.23: 4.5e-4), then Halley's steps, each of which triples the
 * digits. */
double tw_normal_quantile(double p)
{
    double tail = p < 0.5 ? p : 1 - p, r = sqrt(-2 * log(tail));
    double z = r - (2.515517 + r * (0.802853 + r * 0.010328)) / (1 + r * (1.432788 + r * (0.189269 + r * 0.001308)));
    for (int i = 0; i < 3; i++) {
        double off = (0.5 * erfc(z * root_half) - tail) * root_two_pi * exp(0.5 * z * z);
        z += off / (1 + 0.5 * z * off);
    }
    return p < 0.5 ? -z : z;
}

/* The sorted value at a share of the way; the i-th of n stands at (i + 1/2) / n. */
static double at_share(int64_t count, const double *sorted, double share)
{
    double place = share * (double)count - 0.5;
    if (place <= 0) return sorted[0];
    if (place >= (double)(count - 1)) return sorted[count - 1];
    int64_t low = (int64_t)place;
    double part = place - (double)low;
    return sorted[low] + part * (sorted[low + 1] - sorted[low]);
}

tw_status tw_quantiles_fit(tw_context *ctx, int64_t count, double *values, tw_quantiles *out_quantiles)
{
    tw_quantiles q = {.count = TW_QUANTILE_KNOTS};
    q.knot = tw_alloc(ctx, TW_QUANTILE_KNOTS, sizeof *q.knot);
    if (!q.knot) return tw_fail_memory(ctx, TW_QUANTILE_KNOTS * sizeof *q.knot);
    qsort(values, (size_t)count, sizeof *values, tw_by_value);
    q.top = tw_normal_quantile(1 - 0.5 / (double)tw_max_i64(count, 2));
    for (int i = 0; i < q.count; i++) {
        double score = q.top * (2.0 * i / (q.count - 1) - 1);
        q.knot[i] = at_share(count, values, 0.5 * erfc(-score * root_half));
    }
    *out_quantiles = q;
    return TW_OK;
}

void tw_quantiles_free(tw_context *ctx, tw_quantiles *q)
{
    tw_free(ctx, q->knot);
    *q = (tw_quantiles){0};
}

/* The first knot that is not below the value (or, with `above`, the first above it), as a place among them. */
static double place_of(const tw_quantiles *q, double value, bool above)
{
    int low = 0, high = q->count;
    while (low < high) {
        int middle = (low + high) / 2;
        bool before = above ? q->knot[middle] <= value : q->knot[middle] < value;
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    if (above) low--; /* the last that is not above */
    if (low < 0 || low >= q->count || q->knot[low] == value) return low < 0 ? 0 : low >= q->count ? q->count - 1 : low;
    int left = above ? low : low - 1;
    if (left < 0) return 0;
    if (left + 1 >= q->count) return q->count - 1;
    return left + (value - q->knot[left]) / (q->knot[left + 1] - q->knot[left]);
}

double tw_quantiles_score(const tw_quantiles *q, double value)
{
    if (q->count == 0) return value;
    double place = 0.5 * (place_of(q, value, false) + place_of(q, value, true));
    return q->top * (2 * place / (q->count - 1) - 1);
}

double tw_quantiles_value(const tw_quantiles *q, double score)
{
    if (q->count == 0) return score;
    double place = (score / q->top + 1) * 0.5 * (q->count - 1);
    if (!(place > 0)) return q->knot[0];
    if (place >= q->count - 1) return q->knot[q->count - 1];
    int low = (int)place;
    return q->knot[low] + (place - low) * (q->knot[low + 1] - q->knot[low]);
}
