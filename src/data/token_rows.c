/* data/token_rows.c - rows of tokens as a data set, and beside them what other columns of their file tell. */
#include "data/dataset.h"
#include "data/token_table.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* --- columns that are told ---------------------------------------------------------------------------------------- */

/* Those of a model, by their names. */
static tw_status keep_known(tw_table *table, const tw_dataset_desc *desc)
{
    int count = desc->known_conditions_count;
    const char **names = tw_alloc(table->ctx, (size_t)count, sizeof *names);
    if (!names) return tw_fail_memory(table->ctx, (size_t)count * sizeof *names);
    for (int i = 0; i < count; i++) names[i] = desc->known_conditions[i].name;
    tw_status status = tw_table_choose_like(table, count, count, names, desc->missing);
    tw_free(table->ctx, names);
    return status;
}

static tw_status keep_chosen(tw_table *table, const tw_dataset_desc *desc)
{
    int *list = NULL, count;
    tw_status status = TW_OK;
    TW_TRY(tw_conditions_choose(table, desc, &list, &count));
    TW_TRY(tw_conditions_check(table, desc->missing, list, count));
    status = tw_table_keep(table, list, count);
done:
    tw_free(table->ctx, list);
    return status;
}

/* The conditions of every record of the file, and nothing else. */
static tw_status read_told(tw_context *ctx, const char *path, const tw_dataset_desc *desc, int64_t records,
                           tw_table *out_table)
{
    tw_dataset_desc wishes = *desc;
    wishes.header = TW_HEADER_YES;
    wishes.columns = wishes.drop = NULL;
    tw_status status = tw_table_read(ctx, path, &wishes, out_table);
    if (status == TW_OK && out_table->rows != records)
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: %lld rows, and %lld texts", path, (long long)out_table->rows,
                         (long long)records);
    if (status != TW_OK) return status;
    return desc->for_testing ? keep_known(out_table, desc) : keep_chosen(out_table, desc);
}

/* What was seen of a column goes with it: its levels, and where the first gap is. */
static void hand_over(tw_table_column *from, tw_table_column *to)
{
    int slot = to->slot;
    char *name = to->name;
    *to = *from;
    to->slot = slot;
    *from = (tw_table_column){.name = name, .slot = -1};
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static int by_record(const void *a, const void *b)
{
    const tw_token_row *x = *(const tw_token_row *const *)a, *y = *(const tw_token_row *const *)b;
    return (x->record > y->record) - (x->record < y->record);
}

static tw_status fill(const tw_tokens *tokens, int columns, int32_t padding, const tw_table *told, bool in_order,
                      double *out)
{
    tw_context *ctx = tokens->ctx;
    tw_status status = TW_OK;
    int32_t *token = tw_alloc(ctx, (size_t)columns, sizeof *token);
    const tw_token_row **row = tw_alloc(ctx, (size_t)tokens->rows, sizeof *row);
    if (!token || !row) TW_TRY(tw_fail_memory(ctx, (size_t)tokens->rows * sizeof *row));
    for (int64_t i = 0; i < tokens->rows; i++) row[i] = &tokens->row[i];
    if (in_order) qsort(row, (size_t)tokens->rows, sizeof *row, by_record);
    for (int64_t i = 0; i < tokens->rows; i++, out += columns + told->columns) {
        int64_t at = row[i] - tokens->row;
        tw_tokens_gather(tokens, TW_PART_ALL, 1, &at, columns, padding, token, NULL);
        for (int k = 0; k < columns; k++) out[k] = token[k];
        if (told->columns)
            memcpy(out + columns, told->values + row[i]->record * told->stride, (size_t)told->columns * sizeof *out);
    }
done:
    tw_free(ctx, token);
    tw_free(ctx, row);
    return status;
}

tw_status tw_dataset_from_tokens(tw_context *ctx, const tw_tokens *tokens, int columns, int32_t padding,
                                 const char *told_path, const tw_dataset_desc *desc, tw_dataset **out_dataset)
{
    static const tw_dataset_desc no_wishes;
    tw_table told = {0}, table = {0};
    double *values = NULL;
    tw_status status = TW_OK;
    if (!desc) desc = &no_wishes;
    if (columns < 1) return tw_fail(ctx, TW_ERR_INVALID, "tokens: rows of %d of them hold nothing", columns);
    if (told_path) TW_TRY(read_told(ctx, told_path, desc, tokens->records, &told));
    size_t width = (size_t)(columns + told.columns) * sizeof *values, limit = tw_table_limit();
    const char *label = told_path ? told_path : "tokens";
    if ((uint64_t)tokens->rows > limit / width)
        TW_TRY(tw_table_fail_size(ctx, label, (double)tokens->rows * (double)width, limit));
    values = tw_alloc(ctx, (size_t)tokens->rows, width);
    if (!values) TW_TRY(tw_fail_memory(ctx, (size_t)tokens->rows * width));
    TW_TRY(fill(tokens, columns, padding, &told, desc->for_testing, values));
    status = tw_table_take_array(ctx, label, tokens->rows, columns + told.columns, values, NULL, &table);
    values = NULL;
    if (status != TW_OK) goto done;
    table.has_lines = told.has_lines;
    for (int i = 0; i < told.columns; i++) hand_over(&told.column[i], &table.column[columns + i]);
    for (int64_t i = 0; i < tokens->notes.count; i++) TW_TRY(tw_note(ctx, &table.notes, "%s", tokens->notes.item[i]));
    status = tw_dataset_of_tokens(ctx, &table, told.columns, desc, out_dataset);
done:
    tw_free(ctx, values);
    tw_table_free(&told);
    tw_table_free(&table);
    return status;
}
