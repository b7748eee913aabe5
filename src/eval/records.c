/* eval/records.c - see records.h. */
#include "eval/records.h"

#include <math.h>
#include <string.h>

void tw_records_free(tw_records *records)
{
    if (!records->ctx) return;
    tw_free(records->ctx, records->column);
    tw_free(records->ctx, records->storage);
    *records = (tw_records){0};
}

tw_status tw_records_check(tw_context *ctx, const char *which, const tw_records *records)
{
    if (records->rows < 1 || records->columns < 1)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "the %s records have %lld rows of %d columns: expected at least one of each", which,
                       (long long)records->rows, records->columns);
    for (int c = 0; c < records->columns; c++) {
        const tw_record_column *column = &records->column[c];
        for (int64_t i = 0; i < records->rows; i++) {
            double v = column->value[i];
            bool fits = column->levels ? v >= 0 && v < column->levels && v == floor(v) : isfinite(v);
            if (!fits && !isnan(v))
                return tw_fail(ctx, TW_ERR_NUMERIC, "row %lld, column '%s' of the %s records is %g, not %s",
                               (long long)i + 1, column->name, which, v,
                               column->levels ? "the number of a category" : "a finite number");
        }
    }
    return TW_OK;
}

tw_status tw_records_check_alike(tw_context *ctx, const tw_records *a, const tw_records *b)
{
    if (a->columns != b->columns)
        return tw_fail(ctx, TW_ERR_SHAPE, "records of %d and of %d columns cannot be compared", a->columns, b->columns);
    for (int c = 0; c < a->columns; c++)
        if (a->column[c].levels != b->column[c].levels)
            return tw_fail(ctx, TW_ERR_SHAPE,
                           "column '%s' has %d categories on one side and %d on the other (0: numbers)",
                           a->column[c].name, a->column[c].levels, b->column[c].levels);
    return TW_OK;
}

/* Columns like those of `like` with memory for `rows` values each. */
static tw_status make(const tw_records *like, int64_t rows, tw_records *out)
{
    tw_records made = {.ctx = like->ctx, .rows = rows, .columns = like->columns};
    size_t columns = (size_t)like->columns, width = columns * sizeof *made.storage;
    made.column = tw_alloc(like->ctx, columns, sizeof *made.column);
    made.storage = tw_alloc(like->ctx, (size_t)rows, width);
    if (!made.column || !made.storage) {
        tw_records_free(&made);
        return tw_fail_memory(like->ctx, (size_t)rows * width);
    }
    memcpy(made.column, like->column, columns * sizeof *made.column);
    for (int c = 0; c < made.columns; c++) made.column[c].value = made.storage + c * rows;
    *out = made;
    return TW_OK;
}

static tw_record_column column_of(const tw_schema_column *from)
{
    bool levels = tw_kind_list((int)from->kind)->sort == TW_SORT_OF_LEVELS;
    return (tw_record_column){
        .name = from->name, .levels = levels ? from->levels : 0, .level = (const char *const *)from->level};
}

tw_status tw_records_of_cells(const tw_schema *schema, int64_t rows, const double *cells, tw_records *out)
{
    size_t width = (size_t)schema->columns * sizeof(double);
    tw_records made = {.ctx = schema->ctx, .rows = rows};
    made.column = tw_alloc(schema->ctx, (size_t)schema->columns, sizeof *made.column);
    made.storage = tw_alloc(schema->ctx, (size_t)rows, width);
    if (!made.column || !made.storage) {
        tw_records_free(&made);
        return tw_fail_memory(schema->ctx, (size_t)rows * width);
    }
    for (int c = 0; c < schema->columns; c++) {
        const tw_schema_column *from = &schema->column[c];
        if (tw_kind_list((int)from->kind)->sort == TW_SORT_OF_NOTHING) continue;
        double *value = made.storage + made.columns * rows;
        for (int64_t i = 0; i < rows; i++) value[i] = cells[i * schema->columns + c];
        made.column[made.columns] = column_of(from);
        made.column[made.columns++].value = value;
    }
    *out = made;
    return TW_OK;
}

tw_status tw_records_take(const tw_records *from, int64_t count, const int64_t *row, tw_records *out)
{
    tw_records made;
    tw_status status = make(from, count, &made);
    if (status != TW_OK) return status;
    for (int c = 0; c < made.columns; c++)
        for (int64_t i = 0; i < count; i++) made.storage[c * count + i] = from->column[c].value[row ? row[i] : i];
    *out = made;
    return TW_OK;
}

tw_status tw_records_stack(const tw_records *a, const tw_records *b, tw_records *out)
{
    tw_records made;
    tw_status status = make(a, a->rows + b->rows, &made);
    if (status != TW_OK) return status;
    for (int c = 0; c < made.columns; c++) {
        double *to = made.storage + c * made.rows;
        memcpy(to, a->column[c].value, (size_t)a->rows * sizeof *to);
        memcpy(to + a->rows, b->column[c].value, (size_t)b->rows * sizeof *to);
    }
    *out = made;
    return TW_OK;
}

tw_status tw_records_without(const tw_records *from, int column, tw_records *out)
{
    tw_records made = {.ctx = from->ctx, .rows = from->rows};
    made.column = tw_alloc(from->ctx, (size_t)from->columns, sizeof *made.column);
    if (!made.column) return tw_fail_memory(from->ctx, (size_t)from->columns * sizeof *made.column);
    for (int c = 0; c < from->columns; c++)
        if (c != column) made.column[made.columns++] = from->column[c];
    *out = made;
    return TW_OK;
}
