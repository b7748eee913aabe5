/* eval/closest.c - see closest.h. Every pair of rows is looked at: a block of rows of one column at a time, so that the
 * loops are those of vectors. */
#include "eval/closest.h"

#include "base/pool.h"
#include "eval/ranks.h"

#include <math.h>

enum { BLOCK = 1024, ROWS = 8 };
static const float gap = 1e30f; /* in place of a missing value: far from every number, equal to itself */

typedef struct search {
    int columns;
    int64_t n, m;
    const float *a, *b; /* (columns, n), (columns, m), numbers in units of their ranges */
    const bool *category;
    double *out;
} search;

/* Over a block of rows of b: the sum of differences to row i of a. */
static float nearest_of_block(const search *s, int64_t i, int64_t first, int64_t count)
{
    float sum[BLOCK] = {0}, least = INFINITY;
    for (int c = 0; c < s->columns; c++) {
        const float *b = s->b + c * s->m + first, a = s->a[c * s->n + i];
        if (s->category[c])
            for (int64_t k = 0; k < count; k++) sum[k] += b[k] != a ? 1.0f : 0.0f;
        else
            for (int64_t k = 0; k < count; k++) {
                float d = fabsf(b[k] - a);
                sum[k] += d < 1 ? d : 1;
            }
    }
    for (int64_t k = 0; k < count; k++) least = sum[k] < least ? sum[k] : least;
    return least;
}

static void search_rows(void *user, int64_t item, int thread)
{
    const search *s = user;
    (void)thread;
    for (int64_t i = item * ROWS; i < tw_min_i64(s->n, (item + 1) * ROWS); i++) {
        float least = INFINITY;
        for (int64_t first = 0; first < s->m; first += BLOCK)
            least = fminf(least, nearest_of_block(s, i, first, tw_min_i64(BLOCK, s->m - first)));
        s->out[i] = (double)least / s->columns;
    }
}

/* What numbers of a column are divided by. */
static double range_of(const tw_records *among, int c, double *spare)
{
    int64_t n = tw_sorted_values(among->rows, among->column[c].value, spare), cut = n / 100;
    if (n == 0) return 1;
    double range = spare[n - 1 - cut] - spare[cut];
    if (!(range > 0)) range = spare[n - 1] - spare[0];
    return range > 0 ? range : 1;
}

static void encode(const tw_records *records, int c, double range, float *out)
{
    const double *value = records->column[c].value;
    for (int64_t i = 0; i < records->rows; i++) out[i] = isnan(value[i]) ? gap : (float)(value[i] / range);
}

tw_status tw_closest_records(const tw_records *records, const tw_records *among, double *out_distance)
{
    tw_context *ctx = records->ctx;
    int columns = records->columns;
    int64_t n = records->rows, m = among->rows;
    tw_status status = TW_OK;
    float *a = tw_alloc(ctx, (size_t)n, (size_t)columns * sizeof *a);
    float *b = tw_alloc(ctx, (size_t)m, (size_t)columns * sizeof *b);
    double *spare = tw_alloc(ctx, (size_t)m, sizeof *spare);
    bool *category = tw_alloc(ctx, (size_t)columns, sizeof *category);
    if (!a || !b || !spare || !category) TW_TRY(tw_fail_memory(ctx, (size_t)(n + m) * (size_t)columns * sizeof *a));
    for (int c = 0; c < columns; c++) {
        category[c] = among->column[c].levels > 0;
        double range = category[c] ? 1 : range_of(among, c, spare);
        encode(records, c, range, a + c * n);
        encode(among, c, range, b + c * m);
    }
    search s = {columns, n, m, a, b, category, out_distance};
    tw_pool_run(ctx->pool, (n + ROWS - 1) / ROWS, search_rows, &s);
done:
    tw_free(ctx, a);
    tw_free(ctx, b);
    tw_free(ctx, spare);
    tw_free(ctx, category);
    return status;
}
