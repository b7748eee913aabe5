/* eval/associations.c - see associations.h. Numbers are replaced by their ranks once, so that no heavy tail decides and
 * both measures with numbers are correlations of the same ranks. */
#include "eval/associations.h"

#include "base/pool.h"
#include "eval/ranks.h"

#include <math.h>
#include <string.h>

typedef struct pairs {
    const tw_records *records;
    const tw_binning *bins;
    const double *rank; /* (columns, rows) of numbers, NaN where they are missing */
    const uint8_t *code;
    double *table; /* (threads, TW_BINS, TW_BINS + 2) */
    double *out;
} pairs;

/* --- one pair --------------------------------------------------------------------------------------------------------
 */

static double correlation(int64_t rows, const double *x, const double *y)
{
    double n = 0, mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(x[i]) && !isnan(y[i])) n++, mx += x[i], my += y[i];
    mx /= n, my /= n;
    for (int64_t i = 0; i < rows; i++) {
        if (isnan(x[i]) || isnan(y[i])) continue;
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

/* The root of the share of the variance of x that lies between the categories. */
static double correlation_ratio(int64_t rows, const double *x, const uint8_t *code)
{
    double count[TW_BINS] = {0}, sum[TW_BINS] = {0}, n = 0, mean = 0, between = 0, all = 0;
    for (int64_t i = 0; i < rows; i++) {
        if (isnan(x[i])) continue;
        count[code[i]]++;
        sum[code[i]] += x[i];
        n++, mean += x[i];
    }
    mean /= n;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(x[i])) all += (x[i] - mean) * (x[i] - mean);
    for (int k = 0; k < TW_BINS; k++)
        if (count[k] > 0) between += count[k] * (sum[k] / count[k] - mean) * (sum[k] / count[k] - mean);
    return all > 0 ? sqrt(fmin(1, between / all)) : 0;
}

/* Cramer, Mathematical methods of statistics, 1946, section 21.9: (chi^2 / n / (min(categories) - 1))^(1/2). */
static double cramers_v(int64_t rows, const uint8_t *a, const uint8_t *b, double *table)
{
    double *of_a = table + TW_BINS * TW_BINS, *of_b = of_a + TW_BINS, share = 0;
    int kinds_a = 0, kinds_b = 0;
    memset(table, 0, TW_BINS * (TW_BINS + 2) * sizeof *table);
    for (int64_t i = 0; i < rows; i++) {
        table[a[i] * TW_BINS + b[i]]++;
        of_a[a[i]]++;
        of_b[b[i]]++;
    }
    for (int j = 0; j < TW_BINS; j++) kinds_a += of_a[j] > 0, kinds_b += of_b[j] > 0;
    for (int j = 0; j < TW_BINS; j++)
        for (int k = 0; k < TW_BINS && of_a[j] > 0; k++)
            if (table[j * TW_BINS + k] > 0)
                share += table[j * TW_BINS + k] * table[j * TW_BINS + k] / (of_a[j] * of_b[k]);
    int least = (kinds_a < kinds_b ? kinds_a : kinds_b) - 1;
    return least > 0 ? sqrt(fmin(1, fmax(0, share - 1) / least)) : 0; /* chi^2 = n (share - 1) */
}

/* Column `item` with those after it. */
static void associate(void *user, int64_t item, int thread)
{
    const pairs *p = user;
    int64_t rows = p->records->rows;
    int columns = p->records->columns, i = (int)item;
    for (int j = i + 1; j < columns; j++) {
        bool a = p->records->column[i].levels > 0, b = p->records->column[j].levels > 0;
        const double *x = p->rank + i * rows, *y = p->rank + j * rows;
        const uint8_t *g = p->code + i * rows, *h = p->code + j * rows;
        p->out[i * columns + j] = p->out[j * columns + i] =
            a && b   ? cramers_v(rows, g, h, p->table + (int64_t)thread * TW_BINS * (TW_BINS + 2))
            : a || b ? correlation_ratio(rows, a ? y : x, a ? g : h)
                     : correlation(rows, x, y);
    }
    p->out[i * columns + i] = 1;
}

/* --- all of them -----------------------------------------------------------------------------------------------------
 */

/* Ranks of the values that are there; spare (2 rows). */
static tw_status rank_column(const tw_records *records, int c, double *spare, double *out)
{
    const double *value = records->column[c].value;
    int64_t rows = records->rows, there = 0;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(value[i])) spare[there++] = value[i];
    tw_status status = tw_ranks(records->ctx, there, spare, spare + rows);
    for (int64_t i = 0, k = 0; i < rows; i++) out[i] = isnan(value[i]) ? (double)NAN : spare[rows + k++];
    return status;
}

tw_status tw_associations(const tw_records *records, const tw_binning *bins, double *out_matrix)
{
    tw_context *ctx = records->ctx;
    size_t rows = (size_t)records->rows, threads = (size_t)tw_context_threads(ctx);
    uint8_t *code = NULL;
    tw_status status = TW_OK;
    double *rank = tw_alloc(ctx, rows * ((size_t)records->columns + 2), sizeof *rank);
    double *table = tw_alloc(ctx, threads * TW_BINS * (TW_BINS + 2), sizeof *table);
    if (!rank || !table) TW_TRY(tw_fail_memory(ctx, rows * ((size_t)records->columns + 2) * sizeof *rank));
    TW_TRY(tw_binning_codes(bins, records, &code));
    for (int c = 0; c < records->columns; c++)
        if (!records->column[c].levels)
            TW_TRY(rank_column(records, c, rank + rows * (size_t)records->columns, rank + rows * (size_t)c));
    pairs p = {records, bins, rank, code, table, out_matrix};
    tw_pool_run(ctx->pool, records->columns, associate, &p);
done:
    tw_free(ctx, rank);
    tw_free(ctx, table);
    tw_free(ctx, code);
    return status;
}

double tw_associations_distance(int columns, const double *a, const double *b, int out_worst[2])
{
    double sum = 0, most = -1, count = 0;
    out_worst[0] = out_worst[1] = 0;
    for (int i = 0; i < columns; i++)
        for (int j = i + 1; j < columns; j++) {
            double difference = fabs(a[i * columns + j] - b[i * columns + j]);
            sum += difference, count++;
            if (difference > most) most = difference, out_worst[0] = i, out_worst[1] = j;
        }
    return count > 0 ? sum / count : (double)NAN;
}
