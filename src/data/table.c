/* data/table.c - what every table needs whatever it came from: columns, counts, notes, places, limits, and the in-place
 * choice of columns. */
#include "data/table.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)4 << 30)

tw_status tw_note(tw_context *ctx, tw_notes *notes, const char *format, ...)
{
    char sentence[600];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (length < 0) return TW_OK;
    tw_status status = tw_grow(ctx, &notes->item, &notes->capacity, notes->count + 1, sizeof(char *));
    if (status != TW_OK) return status;
    char *copy = tw_strdup(ctx, sentence);
    if (!copy) return tw_fail_memory(ctx, (size_t)length + 1);
    notes->item[notes->count++] = copy;
    return TW_OK;
}

void tw_notes_free(tw_context *ctx, tw_notes *notes)
{
    for (int64_t i = 0; i < notes->count; i++) tw_free(ctx, notes->item[i]);
    tw_free(ctx, notes->item);
    *notes = (tw_notes){0};
}

tw_status tw_table_init(tw_table *table, tw_context *ctx, const char *path, int columns)
{
    *table = (tw_table){.ctx = ctx, .columns = columns, .stride = columns};
    table->path = tw_strdup(ctx, path);
    table->column = tw_alloc(ctx, (size_t)columns, sizeof(tw_table_column));
    if (!table->path || !table->column) {
        tw_table_free(table);
        return tw_fail_memory(ctx, (size_t)columns * sizeof(tw_table_column));
    }
    for (int i = 0; i < columns; i++) table->column[i].slot = i;
    return TW_OK;
}

void tw_table_free(tw_table *table)
{
    if (!table->ctx) return;
    for (int i = 0; table->column && i < table->columns; i++) {
        tw_free(table->ctx, table->column[i].name);
        tw_levels_free(table->ctx, &table->column[i].levels);
        tw_levels_free(table->ctx, &table->column[i].cells);
    }
    tw_notes_free(table->ctx, &table->notes);
    tw_free(table->ctx, table->column);
    tw_free(table->ctx, table->path);
    tw_free(table->ctx, table->storage);
    tw_free(table->ctx, table->cell_storage);
    tw_free(table->ctx, table->line_storage);
    *table = (tw_table){0};
}

void tw_table_count(tw_table_column *column, double value, int64_t at)
{
    if (isnan(value)) {
        if (column->gaps++ == 0 || at < column->gap_at) column->gap_at = at;
        return;
    }
    column->numbers++;
    if (isinf(value) && (column->infinite_at == 0 || at < column->infinite_at)) {
        column->infinite_at = at;
        snprintf(column->infinite, sizeof column->infinite, value > 0 ? "inf" : "-inf");
    }
}

tw_place tw_table_place(const tw_table *table, int64_t at)
{
    tw_place place;
    if (table->has_lines)
        snprintf(place.text, sizeof place.text, "%.480s:%lld", table->path, (long long)at);
    else
        snprintf(place.text, sizeof place.text, "%.480s: row %lld", table->path, (long long)at);
    return place;
}

/* Memory that could be had without swapping, as Linux estimates it; SIZE_MAX where it does not say. */
static size_t memory_available(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long kib = 0;
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) found = sscanf(line, "MemAvailable: %llu kB", &kib) == 1;
    if (file) fclose(file);
    return found ? (size_t)kib * 1024 : SIZE_MAX;
}

size_t tw_table_limit(void)
{
    size_t available = memory_available();
    return available < LIMIT_BYTES ? available : LIMIT_BYTES;
}

tw_status tw_table_fail_size(tw_context *ctx, const char *path, double bytes, size_t limit)
{
    double unit = limit >= (1u << 30) ? 0x1p30 : 0x1p20;
    const char *name = limit >= (1u << 30) ? "GiB" : "MiB";
    return tw_fail(ctx, TW_ERR_MEMORY,
                   "%s: the table needs %.1f %s of memory and %.1f %s is the limit: choose fewer columns "
                   "(--columns) or fewer rows",
                   path, bytes / unit, name, (double)limit / unit, name);
}

tw_status tw_table_take_array(tw_context *ctx, const char *label, int64_t rows, int columns, double *values,
                              const char *const *names, tw_table *out_table)
{
    tw_table table;
    tw_status status = tw_table_init(&table, ctx, label, columns);
    if (status != TW_OK) {
        tw_free(ctx, values);
        return status;
    }
    table.storage = table.values = values;
    table.rows = rows;
    table.has_header = names != NULL;
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) tw_table_count(&table.column[c], values[r * columns + c], r + 1);
    for (int c = 0; c < columns; c++) table.column[c].decimals = -1;
    status = tw_columns_name(&table, names);
    if (status != TW_OK)
        tw_table_free(&table);
    else
        *out_table = table;
    return status;
}

tw_status tw_table_keep(tw_table *table, const int *list, int count)
{
    tw_context *ctx = table->ctx;
    tw_status status = TW_OK;
    double *row = tw_alloc(ctx, (size_t)table->stride, sizeof(double));
    tw_table_column *kept = tw_alloc(ctx, (size_t)count, sizeof(tw_table_column));
    if (!row || !kept) {
        status = tw_fail_memory(ctx, (size_t)count * sizeof(tw_table_column));
        goto done;
    }
    /* rows only get shorter: writing row r never reaches row r + 1, which is still to be read */
    for (int64_t r = 0; r < table->rows; r++) {
        memcpy(row, table->values + r * table->stride, (size_t)table->stride * sizeof(double));
        double *out = table->storage + r * count;
        for (int k = 0; k < count; k++) out[k] = row[table->column[list[k]].slot];
    }
    for (int k = 0; k < count; k++) {
        kept[k] = table->column[list[k]];
        kept[k].slot = k;
        table->column[list[k]].name = NULL;
        table->column[list[k]].levels = (tw_levels){0};
    }
    for (int c = 0; c < table->columns; c++) {
        tw_free(ctx, table->column[c].name);
        tw_levels_free(ctx, &table->column[c].levels);
    }
    tw_free(ctx, table->column);
    table->column = kept;
    kept = NULL;
    table->values = table->storage;
    table->columns = table->stride = count;
done:
    tw_free(ctx, row);
    tw_free(ctx, kept);
    return status;
}
