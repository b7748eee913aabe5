/* data/missing.c - gaps in a table: refused, their rows left out, or filled by the column's median over the training
 * part (the test part must not tell the training anything). */
#include "data/table.h"

#include "base/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_SHARE 0.05

static bool has_gap(const double *row, int columns)
{
    for (int c = 0; c < columns; c++)
        if (isnan(row[c])) return true;
    return false;
}

/* The column whose gap comes first in the file. */
static const tw_table_column *first_gap(const tw_table *table)
{
    const tw_table_column *first = NULL;
    for (int c = 0; c < table->columns; c++) {
        const tw_table_column *column = &table->column[c];
        if (column->gaps > 0 && (!first || column->gap_at < first->gap_at)) first = column;
    }
    return first;
}

static tw_status fail_gaps(const tw_table *table, const tw_table_column *first, int64_t gaps)
{
    return tw_fail(
        table->ctx, TW_ERR_FORMAT,
        "%s: column '%s' has no value; %lld of %lld rows have gaps: leave them out (--missing drop), fill them "
        "(--missing median) or leave the column out (--drop %s)",
        tw_table_place(table, first->gap_at).text, first->name, (long long)gaps, (long long)table->rows, first->name);
}

static void drop_rows(tw_table *table)
{
    size_t width = (size_t)table->stride;
    int64_t kept = 0;
    for (int64_t r = 0; r < table->rows; r++) {
        const double *row = table->values + (size_t)r * width;
        if (has_gap(row, table->stride)) continue;
        if (kept != r) memcpy(table->values + (size_t)kept * width, row, width * sizeof(double));
        kept++;
    }
    table->rows = kept;
}

tw_status tw_table_treat_gaps(tw_table *table, tw_missing policy)
{
    const tw_table_column *first = first_gap(table);
    if (!first || policy == TW_MISSING_KEEP) return TW_OK;
    int64_t gaps = 0, rows = table->rows;
    for (int64_t r = 0; r < rows; r++) gaps += has_gap(table->values + r * table->stride, table->stride);
    if (gaps == 0) return TW_OK; /* they were of rows left out before */
    bool few = (double)gaps <= AUTO_SHARE * (double)rows;
    if (policy == TW_MISSING_MEDIAN)
        return tw_note(
            table->ctx, &table->notes,
            "%lld of %lld rows have gaps (the first at %s, column '%s'): filled with medians of the training part",
            (long long)gaps, (long long)rows, tw_table_place(table, first->gap_at).text, first->name);
    if (policy == TW_MISSING_ERROR || (policy == TW_MISSING_AUTO && !few)) return fail_gaps(table, first, gaps);
    if (gaps == rows)
        return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: every row has a gap (the first at %s, column '%s')", table->path,
                       tw_table_place(table, first->gap_at).text, first->name);
    drop_rows(table);
    return tw_note(table->ctx, &table->notes, "%lld of %lld rows left out for gaps (the first at %s, column '%s')",
                   (long long)gaps, (long long)rows, tw_table_place(table, first->gap_at).text, first->name);
}

static double median_of(double *sorted, int64_t count)
{
    qsort(sorted, (size_t)count, sizeof(double), tw_by_value);
    double low = sorted[(count - 1) / 2], high = sorted[count / 2];
    return low + (high - low) / 2;
}

tw_status tw_table_fill(tw_table *table, int64_t train)
{
    tw_context *ctx = table->ctx;
    tw_status status = TW_OK;
    double *known = tw_alloc(ctx, (size_t)train, sizeof(double));
    if (!known) return tw_fail_memory(ctx, (size_t)train * sizeof(double));
    for (int c = 0; c < table->columns && status == TW_OK; c++) {
        if (table->column[c].gaps == 0) continue;
        double *value = table->values + c;
        int64_t count = 0;
        for (int64_t r = 0; r < train; r++)
            if (!isnan(value[r * table->stride])) known[count++] = value[r * table->stride];
        if (count == 0) {
            status = tw_fail(ctx, TW_ERR_FORMAT,
                             "%s: column '%s' has no value in the training part: leave it out (--drop %s)", table->path,
                             table->column[c].name, table->column[c].name);
            break;
        }
        double median = median_of(known, count);
        for (int64_t r = 0; r < table->rows; r++)
            if (isnan(value[r * table->stride])) value[r * table->stride] = median;
    }
    tw_free(ctx, known);
    return status;
}
