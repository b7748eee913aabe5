/* eval/sliced.c - the sliced Wasserstein distance: optimal transport in random directions, by sorting.
 *
 * In one dimension the optimal plan couples quantiles; for sets of different size the masses 1/n and 1/m are walked
 * through together in units of 1/(n m), in integers, so that no mass is lost to rounding. Bonneel, Rabin, Peyre,
 * Pfister: Sliced and Radon Wasserstein barycenters of measures, JMIV 51, 2015. */
#include <thalweg/eval.h>

#include "base/order.h"
#include "base/philox.h"
#include "base/pool.h"
#include "base/streams.h"
#include "eval/sets.h"

#include <math.h>
#include <stdlib.h>

typedef struct slices {
    int columns;
    int64_t n, m;
    const double *a, *b;
    uint64_t seed;
    double *scratch; /* per thread: columns + n + m */
    double *squares; /* per projection */
} slices;

static void project(const double *values, int64_t rows, int columns, const double *direction, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int c = 0; c < columns; c++) sum += values[i * columns + c] * direction[c];
        out[i] = sum;
    }
    qsort(out, (size_t)rows, sizeof *out, tw_by_value);
}

/* Squared 1-D distance between sorted x (n) and y (m), each with total mass one. */
static double couple_quantiles(const double *x, int64_t n, const double *y, int64_t m)
{
    double sum = 0;
    int64_t at = 0; /* mass already coupled, of n * m */
    for (int64_t i = 0, j = 0; i < n && j < m;) {
        int64_t x_ends = (i + 1) * m, y_ends = (j + 1) * n, end = tw_min_i64(x_ends, y_ends);
        sum += (x[i] - y[j]) * (x[i] - y[j]) * (double)(end - at);
        at = end;
        i += x_ends == end;
        j += y_ends == end;
    }
    return sum / ((double)n * (double)m);
}

static void slice(void *user, int64_t item, int thread)
{
    const slices *s = user;
    double *direction = s->scratch + thread * (s->columns + s->n + s->m);
    double *x = direction + s->columns, *y = x + s->n, norm = 0;
    /* A normal takes four words: every projection has a stretch of the stream to itself. */
    tw_random random = {.seed = s->seed, .stream = TW_STREAM_EVAL, .index = (uint64_t)item * 4 * (uint64_t)s->columns};
    for (int c = 0; c < s->columns; c++) {
        direction[c] = tw_random_normal(&random);
        norm += direction[c] * direction[c];
    }
    norm = sqrt(norm);
    for (int c = 0; c < s->columns; c++) direction[c] /= norm;
    project(s->a, s->n, s->columns, direction, x);
    project(s->b, s->m, s->columns, direction, y);
    s->squares[item] = couple_quantiles(x, s->n, y, s->m);
}

tw_status tw_sliced_wasserstein2(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b,
                                 int projections, uint64_t seed, double *out_distance)
{
    tw_status status = TW_OK;
    slices s = {.columns = columns, .n = n, .m = m, .a = a, .b = b, .seed = seed};
    size_t per_thread = 0, threads = (size_t)tw_context_threads(ctx);
    double sum = 0;
    int64_t mass;
    if (projections < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "the sliced Wasserstein distance needs at least 1 projection, not %d",
                       projections);
    TW_TRY(tw_check_sets(ctx, columns, n, a, m, b));
    if (__builtin_mul_overflow(n, m, &mass))
        return tw_fail(ctx, TW_ERR_INVALID, "sets of %lld and %lld points are too large", (long long)n, (long long)m);
    per_thread = (size_t)columns + (size_t)n + (size_t)m;
    s.scratch = tw_alloc(ctx, threads, per_thread * sizeof *s.scratch);
    s.squares = tw_alloc(ctx, (size_t)projections, sizeof *s.squares);
    if (!s.scratch || !s.squares) {
        status = tw_fail_memory(ctx, threads * per_thread * sizeof *s.scratch);
        goto done;
    }
    tw_pool_run(ctx->pool, projections, slice, &s);
    for (int i = 0; i < projections; i++) sum += s.squares[i];
    *out_distance = sqrt(sum / projections);
done:
    tw_free(ctx, s.scratch);
    tw_free(ctx, s.squares);
    return status;
}
