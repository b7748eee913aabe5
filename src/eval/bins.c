/* eval/bins.c - values into bins for boosted trees: see boost.h. */
#include "eval/boost.h"

#include "eval/ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BINS = TW_BINS - 1, MOST_LEVELS = MOST_BINS - 1 };

/* --- numbers ------------------------------------------------------------------------------------------------------ */

static double middle(double a, double b)
{
    return 0.5 * a + 0.5 * b;
}

/* Edges between neighbouring values where there are few, else at the quantiles of equal shares; sorted (count). */
static int edges_of(int64_t count, const double *sorted, double *edge)
{
    int64_t different = count > 0;
    int edges = 0;
    for (int64_t i = 1; i < count; i++) different += sorted[i] != sorted[i - 1];
    if (different <= MOST_BINS) {
        for (int64_t i = 1; i < count; i++)
            if (sorted[i] != sorted[i - 1]) edge[edges++] = middle(sorted[i - 1], sorted[i]);
        return edges;
    }
    for (int k = 1; k < MOST_BINS; k++) {
        double place = (double)k / MOST_BINS * (double)(count - 1);
        double at = middle(sorted[(int64_t)floor(place)], sorted[(int64_t)ceil(place)]);
        if (edges == 0 || at > edge[edges - 1]) edge[edges++] = at;
    }
    return edges;
}

static tw_status fit_numbers(tw_context *ctx, int64_t rows, const double *value, double *spare, tw_bin_column *out)
{
    double edge[MOST_BINS];
    int64_t count = tw_sorted_values(rows, value, spare);
    int edges = edges_of(count, spare, edge);
    out->edge = tw_alloc(ctx, (size_t)edges, sizeof *edge);
    if (!out->edge) return tw_fail_memory(ctx, (size_t)edges * sizeof *edge);
    memcpy(out->edge, edge, (size_t)edges * sizeof *edge);
    out->bins = edges + 1;
    return TW_OK;
}

static uint8_t bin_of_number(const tw_bin_column *column, double v)
{
    int low = 0, high = column->bins - 1;
    if (isnan(v)) return TW_BIN_MISSING;
    while (low < high) {
        int at = (low + high) / 2;
        if (v <= column->edge[at])
            high = at;
        else
            low = at + 1;
    }
    return (uint8_t)low;
}

/* --- categories --------------------------------------------------------------------------------------------------- */

typedef struct tally {
    int64_t rows;
    int level;
} tally;

/* The most frequent first. */
static int by_rows(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    return x->rows != y->rows ? (x->rows < y->rows) - (x->rows > y->rows)
                              : (x->level > y->level) - (x->level < y->level);
}

static tw_status fit_levels(tw_context *ctx, int64_t rows, const tw_record_column *from, tw_bin_column *out)
{
    tally *seen = tw_alloc(ctx, (size_t)from->levels, sizeof *seen);
    out->of_level = tw_alloc(ctx, (size_t)from->levels, sizeof *out->of_level);
    if (!seen || !out->of_level) {
        tw_free(ctx, seen);
        return tw_fail_memory(ctx, (size_t)from->levels * sizeof *seen);
    }
    for (int k = 0; k < from->levels; k++) seen[k].level = k;
    for (int64_t i = 0; i < rows; i++)
        if (!isnan(from->value[i])) seen[(int)from->value[i]].rows++;
    qsort(seen, (size_t)from->levels, sizeof *seen, by_rows);
    out->bins = 1;
    for (int k = 0; k < from->levels; k++) {
        int bin = seen[k].rows == 0 ? TW_BIN_MISSING : k < MOST_LEVELS ? k : MOST_LEVELS;
        out->of_level[seen[k].level] = (uint8_t)bin;
        if (bin != TW_BIN_MISSING) out->bins = bin + 1;
    }
    tw_free(ctx, seen);
    return TW_OK;
}

/* --- both ----------------------------------------------------------------------------------------------------------
 */

tw_status tw_binning_fit(const tw_records *records, tw_binning *out)
{
    tw_context *ctx = records->ctx;
    tw_binning bins = {.ctx = ctx, .columns = records->columns};
    tw_status status = TW_OK;
    double *spare = tw_alloc(ctx, (size_t)records->rows, sizeof *spare);
    bins.column = tw_alloc(ctx, (size_t)records->columns, sizeof *bins.column);
    if (!spare || !bins.column) TW_TRY(tw_fail_memory(ctx, (size_t)records->rows * sizeof *spare));
    for (int c = 0; c < records->columns; c++) {
        const tw_record_column *from = &records->column[c];
        bins.column[c].levels = from->levels;
        if (from->levels)
            TW_TRY(fit_levels(ctx, records->rows, from, &bins.column[c]));
        else
            TW_TRY(fit_numbers(ctx, records->rows, from->value, spare, &bins.column[c]));
    }
    *out = bins;
done:
    tw_free(ctx, spare);
    if (status != TW_OK) tw_binning_free(&bins);
    return status;
}

void tw_binning_free(tw_binning *bins)
{
    for (int c = 0; bins->column && c < bins->columns; c++) {
        tw_free(bins->ctx, bins->column[c].edge);
        tw_free(bins->ctx, bins->column[c].of_level);
    }
    if (bins->ctx) tw_free(bins->ctx, bins->column);
    *bins = (tw_binning){0};
}

tw_status tw_binning_codes(const tw_binning *bins, const tw_records *records, uint8_t **out_codes)
{
    int64_t rows = records->rows;
    uint8_t *codes = tw_alloc(bins->ctx, (size_t)rows, (size_t)bins->columns);
    if (!codes) return tw_fail_memory(bins->ctx, (size_t)rows * (size_t)bins->columns);
    for (int c = 0; c < bins->columns; c++) {
        const tw_bin_column *column = &bins->column[c];
        const double *value = records->column[c].value;
        for (int64_t i = 0; i < rows; i++)
            codes[c * rows + i] = !column->levels   ? bin_of_number(column, value[i])
                                  : isnan(value[i]) ? TW_BIN_MISSING
                                                    : column->of_level[(int)value[i]];
    }
    *out_codes = codes;
    return TW_OK;
}
