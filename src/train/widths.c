/* train/widths.c - see widths.h. */
#include "train/widths.h"

#include "base/pool.h"

#include <math.h>

typedef struct search {
    const tw_space *space;
    const int *ignored;
    int64_t rows;
    int numbers;
    const double *x;
    double share;
    float *width;
    int64_t first; /* row of those that are looked around now */
} search;

static double distance(const search *s, const double *a, const double *b)
{
    double sum = 0;
    if (!s->space->flat) return tw_space_distance(s->space, a, b);
    for (int j = 0; j < s->numbers; j++)
        if (!s->ignored || !s->ignored[j]) sum += (a[j] - b[j]) * (a[j] - b[j]);
    return sqrt(sum);
}

/* Rows at the same place are no neighbours: their width would be 0. */
static void look_around(void *user, int64_t item, int thread)
{
    const search *s = user;
    const int64_t row = s->first + item;
    double near[TW_WIDTHS_NEIGHBOURS];
    int found = 0;
    (void)thread;
    for (int64_t i = 0; i < s->rows; i++) {
        double d = distance(s, s->x + row * s->numbers, s->x + i * s->numbers);
        if (!(d > 0) || (found == TW_WIDTHS_NEIGHBOURS && d >= near[found - 1])) continue;
        int at = found < TW_WIDTHS_NEIGHBOURS ? found++ : found - 1;
        for (; at > 0 && near[at - 1] > d; at--) near[at] = near[at - 1];
        near[at] = d;
    }
    double logs = 0;
    for (int i = 0; i < found; i++) logs += log(near[i]) / found;
    s->width[row] = found > 0 ? (float)(s->share * exp(logs)) : 0;
}

tw_status tw_widths_make(tw_context *ctx, const tw_space *space, const int *ignored, int64_t rows, int numbers,
                         const float *x, double share, tw_widths_fn on_progress, void *user, float **out_width)
{
    enum { LOT = 256 };
    search s = {.space = space, .ignored = ignored, .rows = rows, .numbers = numbers, .share = share};
    tw_status status = TW_OK;
    double *wide = NULL;
    if (!tw_space_spreads(space))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "smooth: rows of tokens and points of a mesh are not spread");
    if (rows > TW_WIDTHS_ROWS)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "smooth is for few rows: %lld are more than %d", (long long)rows,
                       TW_WIDTHS_ROWS);
    s.x = wide = tw_alloc(ctx, (size_t)rows, (size_t)numbers * sizeof *wide);
    s.width = *out_width = tw_alloc_aligned(ctx, (size_t)rows * sizeof(float));
    if (!wide || !s.width) TW_TRY(tw_fail_memory(ctx, (size_t)rows * (size_t)numbers * sizeof *wide));
    for (int64_t i = 0; i < rows * numbers; i++) wide[i] = (double)x[i];
    for (; s.first < rows; s.first += LOT) {
        tw_pool_run(ctx->pool, tw_min_i64(LOT, rows - s.first), look_around, &s);
        int64_t done = tw_min_i64(s.first + LOT, rows);
        if (on_progress && on_progress(user, done, rows) != 0)
            TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED,
                           "stopped before the first step: neighbours of %lld of %lld rows were found", (long long)done,
                           (long long)rows));
    }
done:
    tw_free(ctx, wide);
    return status;
}
