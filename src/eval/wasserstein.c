/* eval/wasserstein.c - exact optimal transport between two sets of points, each weighing the same within its set.
 *
 * Sets of equal size by assignment, others by the network simplex with masses m of n points and n of m, in whole
 * numbers. The costs are a matrix while that is small; beyond, a row is computed from the points when it is looked at.
 */
#include <thalweg/eval.h>

#include "base/pool.h"
#include "coupling/assignment.h"
#include "coupling/network_simplex.h"
#include "coupling/scan.h"
#include "eval/sets.h"

#include <math.h>

enum { MOST_POINTS = 4096, MOST_UNEQUAL = 1 << 15, BLOCK = 16 };

/* What is asked for, and the larger set's points as rows, the smaller one's by columns. */
typedef struct sets {
    int power, columns;
    int64_t n, m;
    const double *rows;
    double *turned; /* (columns, m) */
    double *cost;   /* (n, m), NULL when rows are made as they are wanted */
} sets;

static void make_row(void *user, int64_t i, double *out_row)
{
    const sets *s = user;
    tw_scan_best()->squares(s->m, s->columns, s->turned, s->rows + i * s->columns, out_row);
    for (int64_t j = 0; s->power == 1 && j < s->m; j++) out_row[j] = sqrt(out_row[j]);
}

static void make_rows(void *user, int64_t item, int thread)
{
    const sets *s = user;
    (void)thread;
    for (int64_t i = item * BLOCK; i < tw_min_i64(s->n, (item + 1) * BLOCK); i++) make_row(user, i, s->cost + i * s->m);
}

static tw_status open_sets(tw_context *ctx, sets *s, const double *smaller, bool matrix)
{
    s->turned = tw_alloc(ctx, (size_t)s->m * (size_t)s->columns, sizeof *s->turned);
    if (!s->turned) return tw_fail_memory(ctx, (size_t)s->m * (size_t)s->columns * sizeof *s->turned);
    for (int64_t j = 0; j < s->m; j++)
        for (int c = 0; c < s->columns; c++) s->turned[c * s->m + j] = smaller[j * s->columns + c];
    if (!matrix) return TW_OK;
    s->cost = tw_alloc(ctx, (size_t)(s->n * s->m), sizeof *s->cost);
    if (!s->cost) return tw_fail_memory(ctx, (size_t)(s->n * s->m) * sizeof *s->cost);
    tw_pool_run(ctx->pool, (s->n + BLOCK - 1) / BLOCK, make_rows, s);
    return TW_OK;
}

static void close_sets(tw_context *ctx, sets *s)
{
    tw_free(ctx, s->turned);
    tw_free(ctx, s->cost);
}

tw_status tw_wasserstein2(tw_context *ctx, int columns, int64_t n, const double *a, const double *b,
                          int64_t *out_assignment, double *out_distance)
{
    tw_status status = TW_OK;
    sets s = {.power = 2, .columns = columns, .n = n, .m = n, .rows = a};
    int64_t *pairs = NULL;
    double sum = 0;
    if (n > MOST_POINTS)
        return tw_fail(ctx, TW_ERR_INVALID, "the exact Wasserstein distance takes at most %d points a set, not %lld",
                       MOST_POINTS, (long long)n);
    TW_TRY(tw_check_sets(ctx, columns, n, a, n, b));
    TW_TRY(open_sets(ctx, &s, b, true));
    pairs = tw_alloc(ctx, (size_t)n, sizeof *pairs);
    if (!pairs) {
        status = tw_fail_memory(ctx, (size_t)n * sizeof *pairs);
        goto done;
    }
    TW_TRY(tw_assignment_solve(ctx, n, s.cost, pairs, NULL, NULL));
    for (int64_t i = 0; i < n; i++) sum += s.cost[i * n + pairs[i]];
    for (int64_t i = 0; i < n && out_assignment; i++) out_assignment[i] = pairs[i];
    *out_distance = sqrt(sum / (double)n);
done:
    close_sets(ctx, &s);
    tw_free(ctx, pairs);
    return status;
}

static double cost_of(const sets *s, int64_t i, int64_t j)
{
    double sum = 0;
    for (int c = 0; c < s->columns; c++) {
        double difference = s->turned[c * s->m + j] - s->rows[i * s->columns + c];
        sum += difference * difference;
    }
    return s->power == 1 ? sqrt(sum) : sum;
}

/* The cheapest plan's cost for masses m of every row and n of every column, over n m. */
static tw_status transport(tw_context *ctx, sets *s, double *out_mean)
{
    tw_status status = TW_OK;
    int64_t *masses = tw_alloc(ctx, (size_t)(s->n + s->m), sizeof *masses), count = 0;
    tw_move *moves = tw_alloc(ctx, (size_t)(s->n + s->m), sizeof *moves);
    double sum = 0;
    if (!masses || !moves) {
        status = tw_fail_memory(ctx, (size_t)(s->n + s->m) * sizeof *moves);
        goto done;
    }
    for (int64_t i = 0; i < s->n; i++) masses[i] = s->m;
    for (int64_t j = 0; j < s->m; j++) masses[s->n + j] = s->n;
    tw_transport t = {
        .n = s->n, .m = s->m, .supply = masses, .demand = masses + s->n, .cost = s->cost, .row = make_row, .user = s};
    TW_TRY(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count));
    for (int64_t k = 0; k < count; k++) sum += (double)moves[k].amount * cost_of(s, moves[k].row, moves[k].column);
    *out_mean = sum / ((double)s->n * (double)s->m);
done:
    tw_free(ctx, masses);
    tw_free(ctx, moves);
    return status;
}

tw_status tw_wasserstein(tw_context *ctx, int power, int columns, int64_t n, const double *a, int64_t m,
                         const double *b, double *out_distance)
{
    tw_status status = TW_OK;
    bool first_is_larger = n >= m;
    sets s = {.power = power, .columns = columns, .n = tw_max_i64(n, m), .m = tw_min_i64(n, m)};
    double mean = 0;
    s.rows = first_is_larger ? a : b;
    if (power != 1 && power != 2)
        return tw_fail(ctx, TW_ERR_INVALID, "the Wasserstein distance of power %d: expected 1 or 2", power);
    if (s.n > MOST_UNEQUAL)
        return tw_fail(ctx, TW_ERR_INVALID, "the exact Wasserstein distance takes at most %d points a set, not %lld",
                       MOST_UNEQUAL, (long long)s.n);
    TW_TRY(tw_check_sets(ctx, columns, n, a, m, b));
    TW_TRY(open_sets(ctx, &s, first_is_larger ? b : a, s.n * s.m <= (int64_t)MOST_POINTS * MOST_POINTS));
    TW_TRY(transport(ctx, &s, &mean));
    *out_distance = power == 1 ? mean : sqrt(mean);
done:
    close_sets(ctx, &s);
    return status;
}
