/* eval/ranks.c - see ranks.h. */
#include "eval/ranks.h"

#include "base/order.h"

#include <math.h>
#include <stdlib.h>

int64_t tw_sorted_values(int64_t rows, const double *value, double *out)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(value[i])) out[count++] = value[i];
    qsort(out, (size_t)count, sizeof *out, tw_by_value);
    return count;
}

typedef struct place {
    double value; /* first: tw_by_value reads it */
    int64_t at;
} place;

tw_status tw_ranks(tw_context *ctx, int64_t count, const double *value, double *out)
{
    place *order = tw_alloc(ctx, (size_t)count, sizeof *order);
    if (!order) return tw_fail_memory(ctx, (size_t)count * sizeof *order);
    for (int64_t i = 0; i < count; i++) order[i] = (place){value[i], i};
    qsort(order, (size_t)count, sizeof *order, tw_by_value);
    for (int64_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && order[end].value == order[i].value;) end++;
        for (int64_t j = i; j < end; j++) out[order[j].at] = 0.5 * (double)(i + 1 + end);
    }
    tw_free(ctx, order);
    return TW_OK;
}

tw_status tw_area_under_curve(tw_context *ctx, int64_t count, const double *score, const bool *is, double *out_area)
{
    double *rank = tw_alloc(ctx, (size_t)count, sizeof *rank), sum = 0, n = 0;
    if (!rank) return tw_fail_memory(ctx, (size_t)count * sizeof *rank);
    tw_status status = tw_ranks(ctx, count, score, rank);
    for (int64_t i = 0; i < count && status == TW_OK; i++)
        if (is[i]) sum += rank[i], n++;
    double m = (double)count - n;
    if (status == TW_OK) *out_area = n > 0 && m > 0 ? (sum - n * (n + 1) / 2) / (n * m) : (double)NAN;
    tw_free(ctx, rank);
    return status;
}
