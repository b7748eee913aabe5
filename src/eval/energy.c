/* eval/energy.c - the energy distance over all pairs (Szekely, Rizzo: Energy statistics, J. Stat. Planning and
 * Inference 143, 2013).
 *
 * Pairs are taken in tiles of 128 by 128 that the pool shares out; a tile leaves its sum in its own place and the sums
 * are added in the order of the tiles, so that the number of threads does not show. Both sets are transposed first: the
 * inner loop runs over points, which vectorises for any number of columns. */
#include <thalweg/eval.h>

#include "base/pool.h"
#include "eval/sets.h"

#include <math.h>

enum { TILE = 128 };

typedef struct pairs {
    int columns;
    int64_t n, m;
    const double *a;  /* (n, columns) */
    const double *bt; /* (columns, m) */
    bool within;      /* both sets are the same: only tiles on and above the diagonal, these count twice */
    int64_t tiles_across;
    double *sums; /* one per tile */
} pairs;

static double root_sum(const double *squares, int64_t count)
{
    double sum[4] = {0};
    int64_t j = 0;
    for (; j + 4 <= count; j += 4)
        for (int l = 0; l < 4; l++) sum[l] += sqrt(squares[j + l]);
    for (; j < count; j++) sum[0] += sqrt(squares[j]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void sum_tile(void *user, int64_t item, int thread)
{
    const pairs *p = user;
    int64_t i0 = item / p->tiles_across * TILE, j0 = item % p->tiles_across * TILE;
    int64_t rows = tw_min_i64(TILE, p->n - i0), count = tw_min_i64(TILE, p->m - j0);
    double total = 0, squares[TILE];
    (void)thread;
    if (p->within && j0 < i0) return;
    for (int64_t i = i0; i < i0 + rows; i++) {
        for (int64_t j = 0; j < count; j++) squares[j] = 0;
        for (int c = 0; c < p->columns; c++) {
            double value = p->a[i * p->columns + c];
            const double *others = p->bt + c * p->m + j0;
            for (int64_t j = 0; j < count; j++) {
                double difference = value - others[j];
                squares[j] += difference * difference;
            }
        }
        total += root_sum(squares, count);
    }
    p->sums[item] = p->within && j0 > i0 ? 2 * total : total;
}

/* Mean distance between a point of a and one of b. */
static tw_status mean_distance(tw_context *ctx, pairs p, double *out_mean)
{
    int64_t down = (p.n + TILE - 1) / TILE;
    p.tiles_across = (p.m + TILE - 1) / TILE;
    int64_t tiles = down * p.tiles_across;
    p.sums = tw_alloc(ctx, (size_t)tiles, sizeof *p.sums);
    if (!p.sums) return tw_fail_memory(ctx, (size_t)tiles * sizeof *p.sums);
    tw_pool_run(ctx->pool, tiles, sum_tile, &p);
    double total = 0;
    for (int64_t i = 0; i < tiles; i++) total += p.sums[i];
    tw_free(ctx, p.sums);
    *out_mean = total / ((double)p.n * (double)p.m);
    return TW_OK;
}

static tw_status transpose(tw_context *ctx, int columns, int64_t rows, const double *values, double **out)
{
    double *t = tw_alloc(ctx, (size_t)rows, (size_t)columns * sizeof *t);
    if (!t) return tw_fail_memory(ctx, (size_t)rows * (size_t)columns * sizeof *t);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < columns; c++) t[c * rows + i] = values[i * columns + c];
    *out = t;
    return TW_OK;
}

tw_status tw_energy_distance(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b,
                             double *out_distance)
{
    tw_status status = TW_OK;
    double *at = NULL, *bt = NULL, between = 0, within_a = 0, within_b = 0;
    TW_TRY(tw_check_sets(ctx, columns, n, a, m, b));
    TW_TRY(transpose(ctx, columns, n, a, &at));
    TW_TRY(transpose(ctx, columns, m, b, &bt));
    TW_TRY(mean_distance(ctx, (pairs){.columns = columns, .n = n, .m = m, .a = a, .bt = bt}, &between));
    TW_TRY(
        mean_distance(ctx, (pairs){.columns = columns, .n = n, .m = n, .a = a, .bt = at, .within = true}, &within_a));
    TW_TRY(
        mean_distance(ctx, (pairs){.columns = columns, .n = m, .m = m, .a = b, .bt = bt, .within = true}, &within_b));
    /* Never negative but for rounding. */
    *out_distance = fmax(0, 2 * between - within_a - within_b);
done:
    tw_free(ctx, at);
    tw_free(ctx, bt);
    return status;
}
