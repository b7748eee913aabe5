/* data/table_csv.c - from rows of text to rows of numbers, in one pass, so that pipes work too. Every column is read as
 * numbers while its texts are counted; which columns are used is decided when the whole file was seen - unless the user
 * named them and the first line settles which they are, then the others are not stored. */
#include "data/reading.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FIRST_BYTES 65536
#define MADE_NAME   24

static bool is_marker(const char *text, size_t length)
{
    static const char *const markers[] = {"", "NA", "N/A", "NaN", "null", "?", "-"};
    for (int i = 0; i < TW_COUNT(markers); i++)
        if (strlen(markers[i]) == length && strncasecmp(text, markers[i], length) == 0) return true;
    return false;
}

tw_sort tw_field_sort(const tw_csv_field *field, double *out_value)
{
    const char *text = field->text;
    size_t length = field->length;
    while (length > 0 && (*text == ' ' || *text == '\t')) text++, length--;
    while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t')) length--;
    *out_value = (double)NAN;
    if (is_marker(text, length)) return TW_SORT_GAP;
    if (!tw_parse_double(text, length, out_value)) return TW_SORT_TEXT;
    return isnan(*out_value) ? TW_SORT_GAP : TW_SORT_NUMBER;
}

/* Cuts a text to fit, not inside a UTF-8 character. */
static void copy_cut(char *out, size_t room, const char *text)
{
    size_t length = strlen(text);
    if (length >= room) {
        length = room - 4;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
        snprintf(out, room, "%.*s...", (int)length, text);
    } else {
        memcpy(out, text, length + 1);
    }
    for (char *c = out; *c; c++)
        if ((unsigned char)*c < 0x20) *c = ' ';
}

static void note_decimals(tw_table_column *column, const char *text)
{
    if (column->decimals < 0) return;
    const char *point = strchr(text, '.');
    if (strpbrk(text, "eE")) {
        column->decimals = -1;
    } else if (point) {
        int digits = (int)strspn(point + 1, "0123456789");
        if (digits > 17) digits = 17;
        if (digits > column->decimals) column->decimals = digits;
    }
}

/* The number of a text among the column's; NaN when there are too many. */
static tw_status take_text(tw_table *table, tw_table_column *column, const char *text, double *out_value)
{
    int number;
    if (!table->keeps_texts || column->slot < 0) return TW_OK;
    tw_status status = tw_levels_take(table->ctx, &column->levels, text, &number);
    if (status == TW_OK && number >= 0) *out_value = number;
    return status;
}

/* The texts of a row, whose numbers are at `out`. */
static tw_status take_cells(tw_table *table, const tw_csv_field *fields, int64_t line, const double *out)
{
    int32_t *cell = table->cell_storage + (out - table->storage);
    table->line_storage[(out - table->storage) / table->stride] = line;
    for (int c = 0; c < table->columns; c++) {
        int number;
        tw_status status = tw_levels_take(table->ctx, &table->column[c].cells, fields[c].text, &number);
        if (status != TW_OK) return status;
        cell[c] = number;
    }
    return TW_OK;
}

tw_status tw_reading_take(tw_table *table, const tw_csv_field *fields, int64_t line, double *out)
{
    for (int c = 0; c < table->columns; c++) {
        tw_table_column *column = &table->column[c];
        double value;
        tw_sort sort = tw_field_sort(&fields[c], &value);
        if (sort == TW_SORT_TEXT) {
            tw_status status = take_text(table, column, fields[c].text, &value);
            if (status != TW_OK) return status;
            if (column->texts++ == 0 || line < column->text_at) {
                column->text_at = line;
                copy_cut(column->text, sizeof column->text, fields[c].text);
            }
        } else {
            bool first_infinite = isinf(value) && (column->infinite_at == 0 || line < column->infinite_at);
            tw_table_count(column, value, line);
            if (first_infinite) copy_cut(column->infinite, sizeof column->infinite, fields[c].text);
            if (sort == TW_SORT_NUMBER) {
                column->quoted += fields[c].quoted;
                note_decimals(column, fields[c].text);
            }
        }
        if (column->slot >= 0) out[column->slot] = value;
    }
    return table->keeps_cells ? take_cells(table, fields, line, out) : TW_OK;
}

tw_status tw_text_row_keep(tw_context *ctx, tw_text_row *row, int64_t line, int count, const tw_csv_field *fields)
{
    size_t bytes = 0, at = 0;
    for (int i = 0; i < count; i++) bytes += fields[i].length + 1;
    tw_text_row_free(ctx, row);
    row->bytes = tw_alloc(ctx, bytes, 1);
    row->field = tw_alloc(ctx, (size_t)count, sizeof(tw_csv_field));
    if (!row->bytes || !row->field) {
        tw_text_row_free(ctx, row);
        return tw_fail_memory(ctx, bytes);
    }
    for (int i = 0; i < count; i++) {
        memcpy(row->bytes + at, fields[i].text, fields[i].length + 1);
        row->field[i] = (tw_csv_field){row->bytes + at, fields[i].length, fields[i].quoted};
        at += fields[i].length + 1;
    }
    row->line = line;
    row->count = count;
    return TW_OK;
}

void tw_text_row_free(tw_context *ctx, tw_text_row *row)
{
    tw_free(ctx, row->bytes);
    tw_free(ctx, row->field);
    *row = (tw_text_row){0};
}

/* When the columns were named and the first line settles what they are called, only those are stored. A choice that
 * does not work out is not reported here: the end of the file may still show that the first line is no header. */
static tw_status choose_early(tw_reading *r)
{
    const tw_text_row *first = &r->first;
    int header = r->desc->columns && !r->desc->conditions ? tw_header_early(r) : -1;
    if (header < 0) return TW_OK;
    tw_status status = TW_OK;
    char kept_error[sizeof r->ctx->error];
    memcpy(kept_error, r->ctx->error, sizeof kept_error);
    size_t count = (size_t)first->count;
    int *list = NULL, chosen = 0;
    const char **names = tw_alloc(r->ctx, count, sizeof(char *));
    char *made = tw_alloc(r->ctx, count, MADE_NAME);
    if (!names || !made) {
        status = tw_fail_memory(r->ctx, count * MADE_NAME);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(made + MADE_NAME * i, MADE_NAME, "x%zu", i + 1);
        names[i] = header ? first->field[i].text : made + MADE_NAME * i;
    }
    if (tw_columns_choose(r->ctx, r->path, r->desc->columns, r->desc->drop, first->count, names, &list, &chosen) ==
        TW_OK) {
        for (size_t i = 0; i < count; i++) r->table.column[i].slot = -1;
        for (int k = 0; k < chosen; k++) r->table.column[list[k]].slot = k;
        r->table.stride = chosen;
    } else {
        memcpy(r->ctx->error, kept_error, sizeof kept_error);
    }
done:
    tw_free(r->ctx, names);
    tw_free(r->ctx, made);
    tw_free(r->ctx, list);
    return status;
}

static tw_status start_table(tw_reading *r)
{
    tw_status status = tw_table_init(&r->table, r->ctx, r->path, r->first.count);
    if (status != TW_OK) return status;
    r->table.has_lines = true;
    r->table.keeps_texts = r->desc->conditions || r->desc->known_conditions;
    r->table.keeps_cells = r->cells;
    return r->cells ? TW_OK : choose_early(r);
}

/* Room for `rows` rows and the reserved one. Grows by half, so that reading needs at most 1.5 times the table; says how
 * much the whole file would need when that is too much. */
static tw_status reserve_rows(tw_reading *r, int64_t rows)
{
    if (rows + 1 <= r->capacity) return TW_OK;
    size_t numbers = (size_t)r->table.stride * sizeof(double), cells = (size_t)r->table.stride * sizeof(int32_t);
    size_t width = numbers + (r->cells ? cells + sizeof(int64_t) : 0);
    int64_t target = tw_max_i64(r->capacity + r->capacity / 2, tw_max_i64(rows + 1, (int64_t)(FIRST_BYTES / width)));
    if ((size_t)target > r->limit / width) target = (int64_t)(r->limit / width);
    if (target < rows + 1) {
        double need = (double)(rows + 1) * (double)width;
        if (r->fraction > 0) need /= r->fraction;
        return tw_table_fail_size(r->ctx, r->path, need, r->limit);
    }
    double *grown = tw_resize(r->ctx, r->table.storage, (size_t)target, numbers);
    if (!grown) return tw_fail_memory(r->ctx, (size_t)target * width);
    r->table.storage = grown;
    if (r->cells) {
        int32_t *cell = tw_resize(r->ctx, r->table.cell_storage, (size_t)target, cells);
        if (!cell) return tw_fail_memory(r->ctx, (size_t)target * width);
        r->table.cell_storage = cell;
        int64_t *line = tw_resize(r->ctx, r->table.line_storage, (size_t)target, sizeof(int64_t));
        if (!line) return tw_fail_memory(r->ctx, (size_t)target * width);
        r->table.line_storage = line;
    }
    r->capacity = target;
    return TW_OK;
}

static tw_status fail_width(const tw_reading *r, int64_t line, int count)
{
    const tw_text_row *first = &r->first;
    if (r->preamble.field && count == r->preamble.count) { /* then it was the line in between that is odd */
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: %d fields where the other rows have %d", r->path,
                       (long long)first->line, first->count, count);
    }
    bool alone = r->table.rows == 0 && !r->preamble.field;
    return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: %d fields where %s %d", r->path, (long long)line, count,
                   alone ? "the first row has" : "the other rows have", first->count);
}

static tw_status take_row(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    tw_reading *r = user;
    (void)row;
    if (!r->first.field) {
        if (fields[0].text[0] != '#' || fields[0].quoted)
            return tw_text_row_keep(r->ctx, &r->first, line, count, fields);
        r->comments++;
        return tw_text_row_keep(r->ctx, &r->comment, line, count, fields);
    }
    if (count != r->first.count) {
        if (count < r->first.count || r->preamble.field || r->table.column) return fail_width(r, line, count);
        r->preamble = r->first;
        r->first = (tw_text_row){0};
        return tw_text_row_keep(r->ctx, &r->first, line, count, fields);
    }
    tw_status status = r->table.column ? TW_OK : start_table(r);
    if (status == TW_OK) status = reserve_rows(r, r->table.rows + 1);
    if (status != TW_OK) return status;
    r->table.rows++;
    return tw_reading_take(&r->table, fields, line, r->table.storage + r->table.rows * r->table.stride);
}

static tw_status finish(tw_reading *r)
{
    if (!r->first.field) return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: nothing but comments", r->path);
    /* a shorter line in front of one single row is no preamble but a fault: there are no "others" to tell which is odd
     */
    if (r->preamble.field && r->table.rows == 0)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: %d fields where the first row has %d", r->path,
                       (long long)r->first.line, r->first.count, r->preamble.count);
    tw_status status = r->table.column ? TW_OK : start_table(r);
    if (status == TW_OK) status = reserve_rows(r, r->table.rows);
    return status == TW_OK ? tw_header_settle(r) : status;
}

/* From a file, or from memory when `bytes` is given. */
static tw_status read_csv(tw_context *ctx, const char *path, const void *bytes, size_t size,
                          const tw_dataset_desc *desc, size_t limit, bool cells, tw_table *out_table)
{
    tw_status status = TW_OK;
    tw_reading r = {.ctx = ctx, .path = path, .desc = desc, .limit = limit, .cells = cells};
    tw_csv_desc csv = {.separator = desc->separator, .fraction = &r.fraction}, used;
    if (bytes)
        TW_TRY(tw_csv_parse(ctx, path, bytes, size, &csv, take_row, &r, &used));
    else
        TW_TRY(tw_csv_read(ctx, path, &csv, take_row, &r, &used));
    TW_TRY(finish(&r));
    r.table.separator = used.separator;
    *out_table = r.table;
    r.table = (tw_table){0};
done:
    tw_text_row_free(ctx, &r.comment);
    tw_text_row_free(ctx, &r.preamble);
    tw_text_row_free(ctx, &r.first);
    tw_table_free(&r.table);
    return status;
}

tw_status tw_table_read_csv(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_table *out_table)
{
    return read_csv(ctx, path, NULL, 0, desc, tw_table_limit(), false, out_table);
}

tw_status tw_table_read_cells(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_table *out_table)
{
    return read_csv(ctx, path, NULL, 0, desc, tw_table_limit(), true, out_table);
}

tw_status tw_table_parse_csv(tw_context *ctx, const char *label, const void *bytes, size_t size,
                             const tw_dataset_desc *desc, size_t limit, tw_table *out_table)
{
    return read_csv(ctx, label, bytes ? bytes : "", size, desc, limit ? limit : tw_table_limit(), false, out_table);
}
