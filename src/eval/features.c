/* eval/features.c - sets of points compared as generated pictures are, by features of them: the precision and recall of
 * neighbourhoods, and which points of another set are nearest. Their Frechet distance: eval/frechet.c.
 *
 * Distances between points are sums over eight lanes, added in one order: the same for any number of threads. */
#include <thalweg/eval.h>

#include "base/pool.h"
#include "eval/sets.h"

#include <math.h>
#include <string.h>

/* --- neighbours -------------------------------------------------------------------------------------------------- */

static double distance2(int columns, const double *a, const double *b)
{
    double lane[8] = {0}, sum = 0;
    int j = 0;
    for (; j + 8 <= columns; j += 8)
        for (int k = 0; k < 8; k++) lane[k] += (a[j + k] - b[j + k]) * (a[j + k] - b[j + k]);
    for (; j < columns; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}

enum { ROWS = 16, MOST_NEIGHBOURS = 64 };

/* For each of a's rows its k nearest of b: which, and squares of how far; or, with b's radii, whether it lies within
 * any of them. */
typedef struct search {
    int columns, k;
    int64_t n, m;
    const double *a, *b;
    bool same;            /* a is b: a row is no neighbour of its own */
    const double *radii2; /* (m), NULL: neighbours are wanted */
    int64_t *index;       /* (n, k), with how far they are; NULL: not wanted */
    double *far;
    double *far2; /* (n), of the k-th; or 1 and 0 */
} search;

static void nearest(const search *s, int64_t i)
{
    double far[MOST_NEIGHBOURS];
    int64_t which[MOST_NEIGHBOURS];
    int found = 0;
    for (int64_t j = 0; j < s->m; j++) {
        if (s->same && i == j) continue;
        double d = distance2(s->columns, s->a + i * s->columns, s->b + j * s->columns);
        if (found == s->k && !(d < far[found - 1])) continue;
        int at = found < s->k ? found++ : found - 1;
        for (; at > 0 && d < far[at - 1]; at--) far[at] = far[at - 1], which[at] = which[at - 1];
        far[at] = d, which[at] = j;
    }
    for (int k = 0; s->index && k < found; k++) {
        s->index[i * s->k + k] = which[k];
        s->far[i * s->k + k] = sqrt(far[k]);
    }
    s->far2[i] = found > 0 ? far[found - 1] : (double)INFINITY;
}

static bool is_within(const search *s, int64_t i)
{
    for (int64_t j = 0; j < s->m; j++)
        if (distance2(s->columns, s->a + i * s->columns, s->b + j * s->columns) <= s->radii2[j]) return true;
    return false;
}

static void search_rows(void *user, int64_t item, int thread)
{
    const search *s = user;
    (void)thread;
    for (int64_t i = item * ROWS; i < tw_min_i64(s->n, (item + 1) * ROWS); i++)
        if (s->radii2)
            s->far2[i] = is_within(s, i);
        else
            nearest(s, i);
}

static void run_search(tw_context *ctx, search *s)
{
    tw_pool_run(ctx->pool, (s->n + ROWS - 1) / ROWS, search_rows, s);
}

tw_status tw_nearest_rows(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b, int k,
                          int64_t *out_index, double *out_distance)
{
    tw_status status = tw_check_sets(ctx, columns, n, a, m, b);
    if (status != TW_OK) return status;
    if (k < 1 || k > MOST_NEIGHBOURS || k > m)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "%d neighbours among %lld rows: expected 1 to %d, and no more than there are", k, (long long)m,
                       MOST_NEIGHBOURS);
    double *far2 = tw_alloc(ctx, (size_t)n, sizeof *far2);
    if (!far2) return tw_fail_memory(ctx, (size_t)n * sizeof *far2);
    search s = {.columns = columns,
                .k = k,
                .n = n,
                .m = m,
                .a = a,
                .b = b,
                .index = out_index,
                .far = out_distance,
                .far2 = far2};
    run_search(ctx, &s);
    tw_free(ctx, far2);
    return TW_OK;
}

tw_status tw_precision_recall(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b,
                              int k, double *out_precision, double *out_recall)
{
    tw_status status = tw_check_sets(ctx, columns, n, a, m, b);
    if (status != TW_OK) return status;
    if (k < 1 || k > MOST_NEIGHBOURS || k >= n || k >= m)
        return tw_fail(ctx, TW_ERR_INVALID, "neighbourhoods of %d points: expected 1 to %d, fewer than there are", k,
                       MOST_NEIGHBOURS);
    double *radii = tw_alloc(ctx, 2 * (size_t)(n + m), sizeof *radii), inside_b = 0, inside_a = 0;
    if (!radii) return tw_fail_memory(ctx, 2 * (size_t)(n + m) * sizeof *radii);
    double *of_b = radii + n, *within_b = of_b + m, *within_a = within_b + n;
    search own_a = {.columns = columns, .k = k, .n = n, .m = n, .a = a, .b = a, .same = true, .far2 = radii};
    search own_b = {.columns = columns, .k = k, .n = m, .m = m, .a = b, .b = b, .same = true, .far2 = of_b};
    search of_all = {.columns = columns, .n = n, .m = m, .a = a, .b = b, .radii2 = of_b, .far2 = within_b};
    search back = {.columns = columns, .n = m, .m = n, .a = b, .b = a, .radii2 = radii, .far2 = within_a};
    run_search(ctx, &own_a);
    run_search(ctx, &own_b);
    run_search(ctx, &of_all);
    run_search(ctx, &back);
    for (int64_t i = 0; i < n; i++) inside_b += within_b[i];
    for (int64_t i = 0; i < m; i++) inside_a += within_a[i];
    *out_precision = inside_b / (double)n;
    *out_recall = inside_a / (double)m;
    tw_free(ctx, radii);
    return TW_OK;
}
