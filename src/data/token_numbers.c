/* data/token_numbers.c - numbers as tokens: whole ones counted from the least, others by levels of equal width. */
#include "data/dataset.h"
#include "data/token_table.h"

#include <math.h>
#include <string.h>

enum { MOST_SYMBOLS = 1 << 16, ROWS_AT_ONCE = 256 };

/* Which numbers tokens stand for. */
typedef struct scale {
    tw_context *ctx;
    int levels;
    double low, high;
} scale;

static void widen(scale *s, int64_t count, const double *value)
{
    for (int64_t i = 0; i < count; i++) {
        if (value[i] < s->low) s->low = value[i];
        if (value[i] > s->high) s->high = value[i];
    }
}

/* Whether low and high are to be found first; then they are set to be widened. */
static bool start_scale(tw_context *ctx, const tw_tokens_desc *desc, scale *out_scale)
{
    bool given = desc->low != 0 || desc->high != 0;
    *out_scale = (scale){ctx, desc->levels, desc->low, desc->high};
    if (!given) {
        out_scale->low = (double)INFINITY;
        out_scale->high = -(double)INFINITY;
    }
    return !given;
}

/* An empty table of tokens on the scale. */
static tw_status make_table(const scale *s, const char *path, tw_tokens **out_tokens)
{
    tw_status status = TW_OK;
    tw_tokens *t = NULL;
    double low = s->low, high = s->high;
    if (s->levels < 0 || s->levels > MOST_SYMBOLS)
        return tw_fail(s->ctx, TW_ERR_INVALID, "tokens: %d levels, expected 0 to %d", s->levels, MOST_SYMBOLS);
    if (!(low <= high) || !isfinite(high - low))
        return tw_fail(s->ctx, TW_ERR_INVALID, "tokens: from %g to %g is no range of numbers", low, high);
    if (s->levels == 0 && low != floor(low))
        return tw_fail(s->ctx, TW_ERR_INVALID, "%s: numbers from %.17g on are not whole; levels make tokens of them",
                       path, low);
    if (s->levels == 0 && high - low + 1 > MOST_SYMBOLS)
        return tw_fail(s->ctx, TW_ERR_UNSUPPORTED, "%s: whole numbers from %.17g to %.17g are more than %d symbols",
                       path, low, high, MOST_SYMBOLS);
    int size = s->levels ? s->levels : (int)(floor(high) - low) + 1;
    TW_TRY(tw_tokens_new(s->ctx, size, &t));
    t->value = tw_alloc(s->ctx, (size_t)size, sizeof(double));
    if (!t->value) TW_TRY(tw_fail_memory(s->ctx, (size_t)size * sizeof(double)));
    for (int i = 0; i < size; i++) t->value[i] = s->levels ? low + (high - low) * (i + 0.5) / s->levels : low + i;
    *out_tokens = t;
    t = NULL;
done:
    tw_tokens_destroy(t);
    return status;
}

/* The token of a number, -1: it has none. */
static int32_t token_of(const scale *s, double value)
{
    if (!(value >= s->low && value <= s->high)) return -1;
    if (s->levels == 0) return value == floor(value) ? (int32_t)(value - s->low) : -1;
    return tw_bin_of(&(tw_bins){s->levels, s->low, s->high}, value);
}

/* Appends a row of numbers; `work` is as long. `row` counts from 0. */
static tw_status take_row(const scale *s, tw_tokens *tokens, const tw_table *table, int64_t row, const double *value,
                          int32_t *work)
{
    for (int c = 0; c < table->columns; c++) {
        work[c] = token_of(s, value[c]);
        if (work[c] >= 0) continue;
        bool fraction = s->levels == 0 && value[c] != floor(value[c]);
        return tw_fail(s->ctx, TW_ERR_INVALID, "%s: row %lld, column '%s': %.17g is not a %snumber from %.17g to %.17g",
                       table->path, (long long)row + 1, table->column[c].name, value[c], fraction ? "whole " : "",
                       s->low, s->high);
    }
    return tw_tokens_append(tokens, table->columns, work);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static tw_status take_table(const scale *s, const tw_tokens_desc *desc, tw_tokens *tokens, const tw_table *table)
{
    int32_t *work = tw_alloc(s->ctx, (size_t)table->columns, sizeof *work);
    if (!work) return tw_fail_memory(s->ctx, (size_t)table->columns * sizeof *work);
    tw_status status = TW_OK;
    int64_t begin = tokens->count;
    for (int64_t row = 0; row < table->rows && status == TW_OK; row++) {
        status = take_row(s, tokens, table, row, table->values + row * table->stride, work);
        if (status == TW_OK && !desc->chunk)
            status = tw_tokens_end_row(tokens, tokens->count - table->columns, table->columns);
    }
    if (status == TW_OK && desc->chunk) status = tw_tokens_chunk(tokens, desc, begin);
    tw_free(s->ctx, work);
    return status;
}

/* Without a range given the files are read twice: first for their least and greatest number. */
tw_status tw_tokens_read_numbers(tw_context *ctx, int count, const char *const *paths, const tw_tokens_desc *desc,
                                 tw_tokens **out_tokens)
{
    tw_status status = TW_OK;
    tw_table table = {0};
    tw_tokens *t = NULL;
    scale s;
    tw_dataset_desc wishes = {.columns = desc->column, .header = desc->header};
    if (start_scale(ctx, desc, &s))
        for (int i = 0; i < count; i++) {
            TW_TRY(tw_table_open(ctx, paths[i], &wishes, &table));
            for (int64_t row = 0; row < table.rows; row++) widen(&s, table.columns, table.values + row * table.stride);
            tw_table_free(&table);
        }
    TW_TRY(make_table(&s, paths[0], &t));
    for (int i = 0; i < count; i++) {
        TW_TRY(tw_table_open(ctx, paths[i], &wishes, &table));
        TW_TRY(take_table(&s, desc, t, &table));
        tw_table_free(&table);
    }
    *out_tokens = t;
    t = NULL;
done:
    tw_table_free(&table);
    tw_tokens_destroy(t);
    return status;
}

/* --- data sets ---------------------------------------------------------------------------------------------------- */

tw_status tw_tokens_from_dataset(tw_context *ctx, const tw_dataset *dataset, const tw_tokens_desc *desc,
                                 tw_tokens **out_tokens)
{
    tw_status status = TW_OK;
    tw_tokens *t = NULL;
    scale s;
    const tw_table *table = &dataset->table; /* of pictures it has the names */
    int64_t rows = tw_dataset_rows(dataset, TW_PART_ALL), columns = table->columns;
    double *block = tw_alloc(ctx, (size_t)columns, ROWS_AT_ONCE * sizeof(double));
    int32_t *work = tw_alloc(ctx, (size_t)columns, sizeof *work);
    if (!block || !work) TW_TRY(tw_fail_memory(ctx, (size_t)columns * ROWS_AT_ONCE * sizeof(double)));
    /* the first pass only looks for a range that was not given */
    for (int pass = start_scale(ctx, desc, &s) ? 0 : 1; pass < 2; pass++) {
        if (pass) TW_TRY(make_table(&s, table->path, &t));
        for (int64_t first = 0; first < rows; first += ROWS_AT_ONCE) {
            int64_t count = tw_min_i64(ROWS_AT_ONCE, rows - first);
            TW_TRY(tw_dataset_read(dataset, TW_PART_ALL, first, count, block));
            if (!pass) widen(&s, count * columns, block);
            for (int64_t i = 0; pass && i < count; i++) {
                TW_TRY(take_row(&s, t, table, first + i, block + i * columns, work));
                TW_TRY(tw_tokens_end_row(t, t->count - columns, columns));
            }
        }
    }
    memcpy(t->part_rows, dataset->part_rows, sizeof t->part_rows);
    TW_TRY(tw_tokens_settle(t, table->path, NULL));
    *out_tokens = t;
    t = NULL;
done:
    tw_free(ctx, block);
    tw_free(ctx, work);
    tw_tokens_destroy(t);
    return status;
}
