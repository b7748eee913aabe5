/* data/mixed.c - a table of mixed columns as a data set: cells are split like the rows of other tables, normal scores
 * are fitted on the training part, and the rows are codes (data/schema.h). */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A pipe is not read twice, which finding out takes where the answer may be no. */
static bool can_be_looked_at(const char *path, const tw_dataset_desc *desc)
{
    struct stat info;
    return desc->mixed == TW_MIXED_YES || (stat(path, &info) == 0 && S_ISREG(info.st_mode));
}

/* Whether there is more than numbers of one sort: levels, dates, angles, places, gaps; or numbers beside choices among
 * a few of them. */
static bool is_mixed(const tw_schema *schema)
{
    bool more = false, choices = false, numbers = false;
    for (int i = 0; i < schema->columns; i++) {
        const tw_schema_column *c = &schema->column[i];
        tw_kind_sort sort = tw_kind_list((int)c->kind)->sort;
        if (c->number < 0 && c->token < 0) continue; /* left out, or never changing */
        more = more || sort != TW_SORT_OF_NUMBERS || c->kind == TW_KIND_date || c->gaps > 0;
        choices = choices || c->spikes > 0;
        numbers = numbers || c->open;
    }
    return schema->codes > 0 && (more || (choices && numbers));
}

/* "age", and "age:level" of the token beside its numbers. */
static tw_status name_code(const tw_dataset *d, int code, char **out)
{
    const tw_schema *schema = &d->schema;
    const char *name = tw_schema_code_name(schema, code);
    int column = tw_schema_column_of(schema, name);
    bool beside = code >= schema->numbers && schema->column[column].number >= 0;
    size_t room = strlen(name) + 8;
    *out = tw_alloc(d->ctx, room, 1);
    if (!*out) return tw_fail_memory(d->ctx, room);
    snprintf(*out, room, "%s%s", name, beside ? ":level" : "");
    return TW_OK;
}

/* The codes of all rows as a table. */
static tw_status encode(tw_dataset *d, const char *path, uint64_t seed)
{
    const tw_schema *schema = &d->schema;
    tw_cells *cells = &d->cells;
    tw_status status = TW_OK;
    size_t numbers = (size_t)cells->rows * (size_t)schema->codes;
    TW_TRY(tw_table_init(&d->table, d->ctx, path, schema->codes));
    d->table.storage = d->table.values = tw_alloc(d->ctx, numbers, sizeof(double));
    if (!d->table.storage) TW_TRY(tw_fail_memory(d->ctx, numbers * sizeof(double)));
    d->table.rows = cells->rows;
    d->table.has_lines = d->table.has_header = true;
    for (int i = 0; i < schema->codes; i++) {
        TW_TRY(name_code(d, i, &d->table.column[i].name));
        d->table.column[i].decimals = -1;
    }
    for (int64_t r = 0; r < cells->rows; r++)
        tw_schema_encode(schema, cells->value + r * cells->columns, seed, r, false,
                         d->table.values + r * schema->codes);
    d->table.notes = cells->notes;
    cells->notes = (tw_notes){0};
done:
    return status;
}

tw_status tw_dataset_open_mixed(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                tw_dataset **out_dataset)
{
    tw_file_kind kind;
    tw_dataset *d = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_file_kind_tell(ctx, path, &kind));
    if (kind != TW_FILE_TEXT && desc->mixed == TW_MIXED_YES)
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: an array of numbers has no mixed columns", path));
    if (kind != TW_FILE_TEXT || !can_be_looked_at(path, desc)) goto done;
    d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) TW_TRY(tw_fail_memory(ctx, sizeof *d));
    d->ctx = ctx;
    TW_TRY(tw_schema_find(ctx, path, desc, desc->kinds, &d->schema, &d->cells));
    if (desc->mixed == TW_MIXED_AUTO && !is_mixed(&d->schema)) goto done;
    if (d->schema.codes == 0) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "%s: nothing changes in any column", path));
    TW_TRY(tw_split_sizes(ctx, d->cells.rows, desc->split, d->part_rows));
    TW_TRY(tw_split_order(ctx, d->cells.value, d->cells.rows, (size_t)d->cells.columns * sizeof(double), desc->seed));
    TW_TRY(tw_schema_fit(&d->schema, &d->cells, d->part_rows[TW_PART_TRAIN], desc->seed));
    TW_TRY(encode(d, path, desc->seed));
    *out_dataset = d;
    d = NULL;
done:
    tw_dataset_destroy(d);
    return status;
}
