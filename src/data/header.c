/* data/header.c - is the first line a header? It is when one of its fields is text while the other values of that
 * column are numbers (or when it is in quotes and the numbers are not); a first line of numbers is a row. Lines before
 * it with fewer fields are a preamble, lines with # are comments; either may still hold the names. */
#include "data/reading.h"

#include <string.h>

typedef struct field_counts {
    int numbers, texts, gaps, quoted;
} field_counts;

static field_counts count_fields(const tw_text_row *row)
{
    field_counts n = {0};
    for (int i = 0; i < row->count; i++) {
        double value;
        tw_sort sort = tw_field_sort(&row->field[i], &value);
        n.numbers += sort == TW_SORT_NUMBER;
        n.texts += sort == TW_SORT_TEXT;
        n.gaps += sort == TW_SORT_GAP;
        n.quoted += row->field[i].quoted;
    }
    return n;
}

int tw_header_early(const tw_reading *reading)
{
    if (reading->desc->header != TW_HEADER_AUTO) return reading->desc->header == TW_HEADER_YES;
    field_counts n = count_fields(&reading->first);
    if (n.texts > 0 && n.numbers == 0) return 1; /* in a file with no header, every column would be text */
    if (n.texts == 0 && n.quoted == 0 && !reading->preamble.field && !reading->comment.field) return 0;
    return -1;
}

static bool guess_header(const tw_reading *r)
{
    int early = tw_header_early(r);
    if (early >= 0) return early == 1;
    for (int i = 0; i < r->first.count; i++) {
        const tw_table_column *column = &r->table.column[i];
        const tw_csv_field *field = &r->first.field[i];
        if (column->numbers == 0 || 2 * column->numbers < column->numbers + column->texts) continue;
        double value;
        tw_sort sort = tw_field_sort(field, &value);
        if (sort == TW_SORT_TEXT || (sort == TW_SORT_NUMBER && field->quoted && column->quoted == 0)) return true;
    }
    return false;
}

static tw_status name_from(tw_table *table, const tw_csv_field *field, int count, int shift)
{
    tw_context *ctx = table->ctx;
    const char **texts = tw_alloc(ctx, (size_t)table->columns, sizeof(char *));
    if (!texts) return tw_fail_memory(ctx, (size_t)table->columns * sizeof(char *));
    for (int i = 0; i < table->columns; i++) {
        int from = i - shift;
        texts[i] = from >= 0 && from < count ? field[from].text : "";
    }
    if (shift) texts[0] = "row";
    tw_status status = tw_columns_name(table, texts);
    tw_free(ctx, texts);
    table->has_header = true;
    return status;
}

/* "# a,b,c" in front of the table, as numpy.savetxt writes it: the names when there are as many and none is a number.
 */
static tw_status name_from_comment(tw_reading *r, bool *out_done)
{
    tw_text_row *row = &r->comment;
    tw_csv_field *field = row->field;
    int count = row->count;
    size_t skip = strspn(field[0].text, "# \t");
    field[0].text += skip;
    field[0].length -= skip;
    if (!field[0].length && count == r->table.columns + 1) {
        field++;
        count--;
    }
    field_counts n = count_fields(&(tw_text_row){.count = count, .field = field});
    *out_done = count == r->table.columns && n.numbers == 0 && n.texts > 0;
    return *out_done ? name_from(&r->table, field, count, 0) : TW_OK;
}

/* A line one name short in front of the rows. R writes row names without a name above them; a spreadsheet may end each
 * row with a separator: then the last column is empty. */
static tw_status name_from_preamble(tw_reading *r, bool *out_done)
{
    tw_table *table = &r->table;
    const tw_text_row *row = &r->preamble;
    field_counts n = count_fields(row);
    *out_done = row->count == table->columns - 1 && n.numbers == 0 && n.texts > 0;
    if (!*out_done) return TW_OK;
    const tw_table_column *last = &table->column[table->columns - 1];
    bool trailing = last->numbers == 0 && last->texts == 0;
    tw_status status = name_from(table, row->field, row->count, trailing ? 0 : 1);
    if (status == TW_OK && !trailing)
        status = tw_note(r->ctx, &table->notes,
                         "the header has one name less than the rows have fields: the first column is "
                         "taken for row names and called '%s'",
                         table->column[0].name);
    return status;
}

/* A first line that turns out to be a row takes the place reserved for it. */
static tw_status take_first(tw_reading *r)
{
    r->table.values = r->table.storage;
    r->table.rows++;
    return tw_reading_take(&r->table, r->first.field, r->first.line, r->table.storage);
}

static tw_status note_skipped(tw_reading *r, bool named_by_preamble, bool named_by_comment)
{
    tw_status status = TW_OK;
    if (r->preamble.field && !named_by_preamble)
        TW_TRY(tw_note(r->ctx, &r->table.notes,
                       "line %lld ('%.40s', ...) has %d fields where the rows have %d: skipped",
                       (long long)r->preamble.line, r->preamble.field[0].text, r->preamble.count, r->table.columns));
    int64_t skipped = r->comments - named_by_comment;
    if (skipped > 0)
        TW_TRY(tw_note(r->ctx, &r->table.notes, "%lld comment line%s in front of the table skipped", (long long)skipped,
                       skipped > 1 ? "s" : ""));
done:
    return status;
}

tw_status tw_header_settle(tw_reading *r)
{
    tw_table *table = &r->table;
    tw_status status = TW_OK;
    bool by_preamble = false, by_comment = false;
    table->values = table->storage + table->stride;
    if (guess_header(r)) {
        if (table->rows == 0) return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: a header but no rows", r->path);
        TW_TRY(name_from(table, r->first.field, r->first.count, 0));
    } else {
        TW_TRY(take_first(r));
        if (r->preamble.field && r->desc->header != TW_HEADER_NO) TW_TRY(name_from_preamble(r, &by_preamble));
        if (r->comment.field && !by_preamble && r->desc->header != TW_HEADER_NO)
            TW_TRY(name_from_comment(r, &by_comment));
        if (!by_preamble && !by_comment) TW_TRY(tw_columns_name(table, NULL));
    }
    status = note_skipped(r, by_preamble, by_comment);
done:
    return status;
}
