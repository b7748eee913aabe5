/* data/choose.c - which columns of a table are kept: those somebody asked for, else those of numbers; or those that a
 * model has. */
#include "data/table.h"

#include "base/text.h"

#include <string.h>

static bool holds_text(const tw_table_column *c)
{
    return 2 * c->numbers < c->numbers + c->texts;
}
static bool is_empty(const tw_table_column *c)
{
    return c->numbers == 0 && c->texts == 0;
}

/* Leaves out columns that nobody asked for by name and that hold text or nothing. */
static tw_status leave_out_texts(tw_table *table, int *list, int *count)
{
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        const tw_table_column *column = &table->column[list[i]];
        tw_status status = TW_OK;
        if (is_empty(column))
            status = tw_note(table->ctx, &table->notes, "column '%s' is empty: left out", column->name);
        else if (holds_text(column))
            status = tw_note(table->ctx, &table->notes, "column '%s' holds text: left out", column->name);
        else
            list[kept++] = list[i];
        if (status != TW_OK) return status;
    }
    if (kept == 0) return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: no column holds numbers", table->path);
    *count = kept;
    return TW_OK;
}

static bool is_decimal_comma(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t whole = strspn(text, "0123456789");
    if (text[whole] != ',') return false;
    size_t rest = strspn(text + whole + 1, "0123456789");
    return whole > 0 && rest > 0 && text[whole + 1 + rest] == 0;
}

/* Every value of the chosen columns is a finite number or a gap, or the first that is not is named. */
static tw_status check_columns(const tw_table *table, const int *list, int count, tw_missing missing)
{
    for (int i = 0; i < count; i++) {
        const tw_table_column *column = &table->column[list[i]];
        if (column->texts > 0)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s': '%s' is not a number%s",
                           tw_table_place(table, column->text_at).text, column->name, column->text,
                           is_decimal_comma(column->text) ? " (decimals are written with a point)" : "");
        if (column->infinite_at > 0)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s': '%s' is not finite",
                           tw_table_place(table, column->infinite_at).text, column->name, column->infinite);
        if (is_empty(column) && missing != TW_MISSING_KEEP)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s' is empty", table->path, column->name);
    }
    return TW_OK;
}

/* Takes the conditions out of the list of data columns; one that was asked for as data, too, is a mistake. */
static tw_status leave_out_conditions(const tw_table *table, const tw_dataset_desc *desc, const int *conditions,
                                      int conditions_count, int *list, int *count)
{
    int kept = 0;
    for (int i = 0; i < *count; i++) {
        bool taken = false;
        for (int k = 0; k < conditions_count; k++) taken = taken || conditions[k] == list[i];
        if (taken && desc->columns)
            return tw_fail(table->ctx, TW_ERR_INVALID, "%s: column '%s' is named in --columns and in --condition",
                           table->path, table->column[list[i]].name);
        if (!taken) list[kept++] = list[i];
    }
    if (kept == 0) return tw_fail(table->ctx, TW_ERR_INVALID, "%s: every column is a condition", table->path);
    *count = kept;
    return TW_OK;
}

tw_status tw_table_choose(tw_table *table, const tw_dataset_desc *desc, int *out_conditions)
{
    int *list = NULL, *told = NULL, *both = NULL, count = 0, told_count = 0;
    tw_status status = TW_OK;
    const char **names = tw_table_names(table);
    if (!names) return tw_fail_memory(table->ctx, (size_t)table->columns * sizeof(char *));
    TW_TRY(tw_columns_choose(table->ctx, table->path, desc->columns, desc->drop, table->columns, names, &list, &count));
    TW_TRY(tw_conditions_choose(table, desc, &told, &told_count));
    TW_TRY(leave_out_conditions(table, desc, told, told_count, list, &count));
    if (!desc->columns) TW_TRY(leave_out_texts(table, list, &count));
    TW_TRY(check_columns(table, list, count, desc->missing));
    TW_TRY(tw_conditions_check(table, desc->missing, told, told_count));
    both = tw_alloc(table->ctx, (size_t)(count + told_count), sizeof(int));
    if (!both) TW_TRY(tw_fail_memory(table->ctx, (size_t)(count + told_count) * sizeof(int)));
    for (int i = 0; i < count + told_count; i++) both[i] = i < count ? list[i] : told[i - count];
    status = tw_table_keep(table, both, count + told_count);
    *out_conditions = told_count;
done:
    tw_free(table->ctx, names);
    tw_free(table->ctx, list);
    tw_free(table->ctx, told);
    tw_free(table->ctx, both);
    return status;
}

/* --- columns as a model has them -------------------------------------------------------------------------- */

/* Without a header: all columns when there are as many as the model has, else those of numbers when they are. */
static tw_status find_by_place(const tw_table *table, int columns, int *list)
{
    int numeric = 0;
    for (int i = 0; i < table->columns; i++) {
        bool number = !holds_text(&table->column[i]) && !is_empty(&table->column[i]);
        if (number && numeric < columns) list[numeric] = i;
        numeric += number;
    }
    if (table->columns == columns)
        for (int i = 0; i < columns; i++) list[i] = i;
    else if (numeric != columns)
        return tw_fail(table->ctx, TW_ERR_SHAPE, "%s: %d columns and no header, where the model has %d columns",
                       table->path, table->columns, columns);
    return TW_OK;
}

tw_status tw_table_choose_like(tw_table *table, int columns, int conditions, const char *const *names,
                               tw_missing missing)
{
    int *list = tw_alloc(table->ctx, (size_t)columns, sizeof(int));
    if (!list) return tw_fail_memory(table->ctx, (size_t)columns * sizeof(int));
    tw_status status = TW_OK;
    const char *lacking = NULL;
    for (int i = 0; i < columns; i++) {
        list[i] = tw_table_column_of(table, names[i]);
        if (list[i] < 0 && !lacking) lacking = names[i];
    }
    if (lacking && table->has_header) {
        status = tw_table_fail_no_column(table, lacking, ", which the model needs");
        goto done;
    }
    if (lacking) TW_TRY(find_by_place(table, columns, list));
    /* names made up for a file without a header (x1, x2, ...) may be a model's by chance */
    if (!lacking && !table->has_header && table->columns != columns)
        TW_TRY(tw_note(table->ctx, &table->notes,
                       "no header, and %d columns where the model has %d: '%s' is taken as column %d and so on",
                       table->columns, columns, names[0], list[0] + 1));
    TW_TRY(check_columns(table, list, columns - conditions, missing));
    TW_TRY(tw_conditions_check(table, TW_MISSING_AUTO, list + columns - conditions, conditions));
    TW_TRY(tw_table_keep(table, list, columns));
    for (int i = 0; i < columns; i++) {
        char *name = tw_strdup(table->ctx, names[i]);
        if (!name) {
            status = tw_fail_memory(table->ctx, strlen(names[i]) + 1);
            goto done;
        }
        tw_free(table->ctx, table->column[i].name);
        table->column[i].name = name;
    }
done:
    tw_free(table->ctx, list);
    return status;
}
