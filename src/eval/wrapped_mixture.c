/* eval/wrapped_mixture.c - see wrapped_mixture.h. How often an angle went round is one more thing that is not seen:
 * each column of a component is a sum over turns, and expectations of the angle unrolled give its mean and variance. */
#include "eval/wrapped_mixture.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

enum { TURNS = 2 /* either way: beyond them lie 5 deviations at least */, ATTEMPTS = 2, ROUNDS = 150 };
static const double whole = 6.28318530717958647693, least_variance = 4e-4, most_variance = 9.869604401089358;
static const double settled = 1e-5; /* nats a row in a round */

/* The density of one angle, and what it is expected to be unrolled: its mean and square from the component's mean. */
static double unroll(double x, double mean, double variance, double *out_off, double *out_square)
{
    double off = remainder(x - mean, whole), sum = 0, first = 0, second = 0;
    bool narrow = variance < 1; /* then the nearest turn and the next one are all: 9.4 deviations to the third */
    int begin = !narrow ? -TURNS : off > 0 ? -1 : 0, end = !narrow ? TURNS : begin + 1;
    for (int turn = begin; turn <= end; turn++) {
        double at = off + whole * turn, density = exp(-at * at / (2 * variance));
        sum += density;
        first += density * at;
        second += density * at * at;
    }
    *out_off = sum > 0 ? first / sum : off;
    *out_square = sum > 0 ? second / sum : off * off;
    return sum > 0 ? log(sum) - 0.5 * log(whole * variance) : -off * off / (2 * variance) - 0.5 * log(whole * variance);
}

/* Log-density of a row; the share of every component in it, and its columns unrolled, (components, columns) each. */
static double explain(const tw_wrapped_mixture *m, const double *x, double *share, double *off, double *square)
{
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < m->components; k++) {
        share[k] = log(m->weight[k]);
        for (int d = 0; d < m->columns; d++) {
            int i = k * m->columns + d;
            share[k] += unroll(x[d], m->mean[i], m->variance[i], off + i, square + i);
        }
        most = fmax(most, share[k]);
    }
    for (int k = 0; k < m->components; k++) sum += share[k] = exp(share[k] - most);
    for (int k = 0; k < m->components; k++) share[k] /= sum;
    return most + log(sum);
}

/* Sums over rows of what a component explains. */
typedef struct work {
    double *share, *off, *square;     /* of a row */
    double *count, *offset, *squares; /* of all */
} work;

static double round_of(tw_wrapped_mixture *m, int64_t n, const double *rows, const work *w)
{
    int cells = m->components * m->columns;
    double log_density = 0;
    memset(w->count, 0, (size_t)m->components * sizeof(double));
    memset(w->offset, 0, (size_t)cells * sizeof(double));
    memset(w->squares, 0, (size_t)cells * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        log_density += explain(m, rows + i * m->columns, w->share, w->off, w->square);
        for (int c = 0; c < cells; c++) {
            double share = w->share[c / m->columns];
            w->offset[c] += share * w->off[c];
            w->squares[c] += share * w->square[c];
        }
        for (int k = 0; k < m->components; k++) w->count[k] += w->share[k];
    }
    for (int k = 0; k < m->components; k++) m->weight[k] = fmax(w->count[k] / (double)n, 1e-12);
    for (int c = 0; c < cells; c++) {
        double count = w->count[c / m->columns];
        if (count < 1e-6) continue; /* explains nothing: stays where it is */
        double moved = w->offset[c] / count;
        m->mean[c] = remainder(m->mean[c] + moved, whole);
        m->variance[c] = fmin(most_variance, fmax(least_variance, w->squares[c] / count - moved * moved));
    }
    return log_density / (double)n;
}

static double distance2(int columns, const double *a, const double *b)
{
    double sum = 0;
    for (int d = 0; d < columns; d++) sum += pow(remainder(a[d] - b[d], whole), 2);
    return sum;
}

/* Means at rows, each drawn by its squared distance from those before (k-means++: Arthur, Vassilvitskii 2007). */
static void begin_at_rows(tw_wrapped_mixture *m, int64_t n, const double *rows, tw_random *random, double *far)
{
    double all = 0;
    for (int64_t i = 0; i < n; i++) far[i] = 1, all += 1;
    for (int k = 0; k < m->components; k++) {
        double left = all * tw_random_uniform(random);
        int64_t chosen = 0;
        while (chosen + 1 < n && (left -= far[chosen]) >= 0) chosen++;
        const double *row = rows + chosen * m->columns;
        memcpy(m->mean + k * m->columns, row, (size_t)m->columns * sizeof *row);
        m->weight[k] = 1.0 / m->components;
        for (int d = 0; d < m->columns; d++) m->variance[k * m->columns + d] = 0.25;
        all = 0;
        for (int64_t i = 0; i < n; i++) {
            double to_row = distance2(m->columns, rows + i * m->columns, row);
            far[i] = k == 0 ? to_row : fmin(far[i], to_row);
            all += far[i];
        }
    }
}

static tw_status create(tw_context *ctx, int columns, int components, tw_wrapped_mixture *out)
{
    size_t k = (size_t)components, cells = k * (size_t)columns;
    *out = (tw_wrapped_mixture){.ctx = ctx, .columns = columns, .components = components};
    out->weight = tw_alloc(ctx, k + 2 * cells, sizeof(double));
    if (!out->weight) return tw_fail_memory(ctx, (k + 2 * cells) * sizeof(double));
    out->mean = out->weight + k;
    out->variance = out->mean + cells;
    return TW_OK;
}

void tw_wrapped_mixture_free(tw_wrapped_mixture *mixture)
{
    if (mixture->ctx) tw_free(mixture->ctx, mixture->weight);
    *mixture = (tw_wrapped_mixture){0};
}

tw_status tw_wrapped_mixture_fit(tw_context *ctx, int columns, int64_t n, const double *rows, int components,
                                 uint64_t seed, tw_wrapped_mixture *out_mixture)
{
    if (columns < 1 || columns > TW_WRAPPED_COLUMNS || n < 2 || components < 1 || components > TW_WRAPPED_MOST)
        return tw_fail(ctx, TW_ERR_INVALID, "%d wrapped normals in %d columns: expected 1 to %d in 1 to %d, and 2 rows",
                       components, columns, TW_WRAPPED_MOST, TW_WRAPPED_COLUMNS);
    size_t k = (size_t)components, cells = k * (size_t)columns;
    tw_random random = {.seed = seed, .stream = TW_STREAM_EVAL};
    tw_wrapped_mixture best = {0}, tried = {0};
    double best_score = -INFINITY;
    tw_status status = TW_OK;
    double *memory = tw_alloc(ctx, 2 * k + 4 * cells + (size_t)n, sizeof *memory);
    if (!memory) return tw_fail_memory(ctx, (2 * k + 4 * cells + (size_t)n) * sizeof *memory);
    work w = {.share = memory, .count = memory + k, .off = memory + 2 * k};
    w.square = w.off + cells;
    w.offset = w.square + cells;
    w.squares = w.offset + cells;
    TW_TRY(create(ctx, columns, components, &best));
    TW_TRY(create(ctx, columns, components, &tried));
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        double before = -INFINITY, now = -INFINITY;
        begin_at_rows(&tried, n, rows, &random, w.squares + cells);
        for (int i = 0; i < ROUNDS && !(now - before < settled); i++) {
            before = now;
            now = round_of(&tried, n, rows, &w);
        }
        if (now <= best_score) continue;
        best_score = now;
        memcpy(best.weight, tried.weight, (k + 2 * cells) * sizeof(double));
    }
    *out_mixture = best;
    best = (tw_wrapped_mixture){0};
done:
    tw_wrapped_mixture_free(&best);
    tw_wrapped_mixture_free(&tried);
    tw_free(ctx, memory);
    return status;
}

double tw_wrapped_mixture_score(const tw_wrapped_mixture *m, int64_t n, const double *rows)
{
    double sum = 0, spare[3 * TW_WRAPPED_MOST * TW_WRAPPED_COLUMNS];
    size_t cells = (size_t)(m->components * m->columns);
    for (int64_t i = 0; i < n; i++)
        sum += explain(m, rows + i * m->columns, spare, spare + m->components, spare + (size_t)m->components + cells);
    return sum / (double)n;
}
