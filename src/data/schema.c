/* data/schema.c - a file's schema and its cells: found, read again by a schema that is known; and freed. */
#include "data/schema.h"

#include "base/text.h"
#include "data/schema_find.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const tw_kind_info kinds[] = {
#define TW_KIND(name, sort, about) {#name, TW_SORT_OF_##sort, about},
#include "data/kinds.def"
};

const tw_kind_info *tw_kind_list(int index)
{
    return index >= 0 && index < TW_COUNT(kinds) ? &kinds[index] : NULL;
}

static const tw_dataset_desc no_wishes;

static void free_column(tw_context *ctx, tw_schema_column *c)
{
    for (int k = 0; c->level && k < c->levels; k++) tw_free(ctx, c->level[k]);
    tw_free(ctx, c->level);
    tw_free(ctx, c->share);
    tw_free(ctx, c->spike);
    tw_free(ctx, c->name);
    tw_free(ctx, c->why);
    tw_free(ctx, c->gap);
    tw_quantiles_free(ctx, &c->quantiles);
}

void tw_schema_free(tw_schema *schema)
{
    tw_context *ctx = schema->ctx;
    for (int i = 0; schema->column && i < schema->columns; i++) free_column(ctx, &schema->column[i]);
    if (ctx) tw_free(ctx, schema->column);
    *schema = (tw_schema){0};
}

void tw_cells_free(tw_cells *cells)
{
    if (!cells->ctx) return;
    tw_free(cells->ctx, cells->value);
    tw_free(cells->ctx, cells->line);
    tw_notes_free(cells->ctx, &cells->notes);
    *cells = (tw_cells){0};
}

int tw_schema_column_of(const tw_schema *schema, const char *name)
{
    for (int i = 0; i < schema->columns; i++)
        if (strcmp(schema->column[i].name, name) == 0) return i;
    return -1;
}

/* --- what was asked for ------------------------------------------------------------------------------------------ */

typedef struct wishes {
    tw_context *ctx;
    const tw_table *table;
    int *kind; /* (columns), -1: none */
} wishes;

static tw_status find_kind(tw_context *ctx, const char *word, int *out_kind)
{
    const char *names[TW_KIND_COUNT];
    for (int i = 0; i < TW_KIND_COUNT; i++) {
        names[i] = kinds[i].name;
        if (strcmp(word, names[i]) == 0 || (i == TW_KIND_yesno && strcmp(word, "yes/no") == 0)) {
            *out_kind = i;
            return TW_OK;
        }
    }
    const char *near = tw_nearest_name(word, names, TW_KIND_COUNT);
    if (near) return tw_fail(ctx, TW_ERR_INVALID, "column: no kind '%s': did you mean '%s'?", word, near);
    tw_text list = tw_text_new(ctx);
    for (int i = 0; i < TW_KIND_COUNT; i++) tw_text_add(&list, "%s%s", i ? ", " : "", names[i]);
    tw_status status = tw_text_check(&list);
    if (status == TW_OK) status = tw_fail(ctx, TW_ERR_INVALID, "column: no kind '%s': there are %s", word, list.data);
    tw_text_free(&list);
    return status;
}

/* "age=integer, city=category": a name may hold a comma. */
static tw_status read_wishes(const wishes *w, const char *text)
{
    tw_status status = TW_OK;
    char *copy = tw_strdup(w->ctx, text);
    if (!copy) return tw_fail_memory(w->ctx, strlen(text) + 1);
    for (char *at = copy; at && *at;) {
        char *name = at + strspn(at, " "), *sign = strchr(name, '=');
        if (!sign)
            TW_TRY(tw_fail(w->ctx, TW_ERR_INVALID, "column: '%s': expected NAME=KIND, such as age=integer", name));
        char *end = sign;
        while (end > name && end[-1] == ' ') end--;
        *end = 0;
        char *word = sign + 1 + strspn(sign + 1, " ");
        at = strchr(word, ',');
        if (at) *at++ = 0;
        for (size_t n = strlen(word); n > 0 && word[n - 1] == ' '; n--) word[n - 1] = 0;
        int column = tw_table_column_of(w->table, name);
        if (column < 0) TW_TRY(tw_table_fail_no_column(w->table, name, ""));
        TW_TRY(find_kind(w->ctx, word, &w->kind[column]));
    }
done:
    tw_free(w->ctx, copy);
    return status;
}

/* Columns that --columns and --drop leave out. */
static tw_status skip_unchosen(const wishes *w, const tw_dataset_desc *desc)
{
    const tw_table *table = w->table;
    int *list = NULL, count = 0;
    if (!desc->columns && !desc->drop) return TW_OK;
    const char **names = tw_table_names(table);
    if (!names) return tw_fail_memory(w->ctx, (size_t)table->columns * sizeof(char *));
    tw_status status =
        tw_columns_choose(w->ctx, table->path, desc->columns, desc->drop, table->columns, names, &list, &count);
    for (int i = 0; status == TW_OK && i < table->columns; i++) {
        bool chosen = false;
        for (int k = 0; k < count; k++) chosen = chosen || list[k] == i;
        if (!chosen) w->kind[i] = TW_KIND_skip;
    }
    tw_free(w->ctx, names);
    tw_free(w->ctx, list);
    return status;
}

/* --- places on the globe ----------------------------------------------------------------------------------------- */

static int find_partner(const tw_schema *schema, int latitude)
{
    int best = -1;
    for (int i = 0; i < schema->columns; i++) {
        const tw_schema_column *c = &schema->column[i];
        if (c->kind != TW_KIND_longitude || c->group >= 0) continue;
        if (best < 0 || abs(i - latitude) < abs(best - latitude)) best = i;
    }
    return best;
}

/* --- finding ----------------------------------------------------------------------------------------------------- */

/* How the file writes a gap: as it does most often. */
static tw_status find_gap(const tw_seen *seen, tw_schema_column *c)
{
    const tw_seen_text *most = NULL;
    for (int64_t i = 0; i < seen->count; i++) {
        const tw_seen_text *t = &seen->text[i];
        if (t->sort == TW_SORT_GAP && t->count > 0 && (!most || t->count > most->count)) most = t;
    }
    c->gap = tw_strdup(seen->table->ctx, most ? most->text : "");
    return c->gap ? TW_OK : tw_fail_memory(seen->table->ctx, 1);
}

static tw_status describe_values(const tw_seen *seen, tw_schema_column *c)
{
    tw_status status = TW_OK;
    tw_kind_sort sort = kinds[c->kind].sort;
    if (sort == TW_SORT_OF_NOTHING) return TW_OK;
    TW_TRY(tw_seen_check(seen, c->kind));
    c->values = seen->numbers + seen->texts;
    c->gaps = seen->gaps;
    TW_TRY(find_gap(seen, c));
    status = sort == TW_SORT_OF_LEVELS ? tw_seen_levels(seen, c) : tw_seen_numbers(seen, c);
done:
    return status;
}

static tw_status find_column(tw_schema *schema, const tw_table *table, int index, int asked)
{
    tw_schema_column *c = &schema->column[index];
    tw_seen seen = {0};
    tw_status status = TW_OK;
    free_column(schema->ctx, c);
    *c = (tw_schema_column){.group = -1, .number = -1, .token = -1};
    c->name = tw_strdup(schema->ctx, table->column[index].name);
    if (!c->name) return tw_fail_memory(schema->ctx, 1);
    TW_TRY(tw_seen_gather(table, index, &seen));
    if (asked >= 0)
        c->kind = (tw_column_kind)asked;
    else
        TW_TRY(tw_seen_kind(&seen, &c->kind, &c->why));
    TW_TRY(describe_values(&seen, c));
done:
    tw_free(schema->ctx, seen.text);
    return status;
}

/* A place needs both columns; a small region is flat, where numbers tell it better. */
static tw_status pair_places(tw_schema *schema, const tw_table *table, const int *asked)
{
    const double region = 60; /* degrees */
    for (int i = 0; i < schema->columns; i++) {
        tw_schema_column *c = &schema->column[i];
        if (c->kind != TW_KIND_latitude) continue;
        int partner = find_partner(schema, i);
        if (partner < 0 && asked[i] >= 0)
            return tw_fail(schema->ctx, TW_ERR_INVALID, "%s: column '%s' is a latitude, and there is no longitude",
                           table->path, c->name);
        if (partner < 0) continue;
        tw_schema_column *p = &schema->column[partner];
        bool wide = p->high - p->low > region || c->high - c->low > region;
        if (!wide && asked[i] < 0 && asked[partner] < 0) continue;
        c->group = p->group = partner; /* the longitude speaks */
        c->rank = 1;
    }
    for (int i = 0; i < schema->columns; i++) {
        tw_schema_column *c = &schema->column[i];
        bool place = c->kind == TW_KIND_latitude || c->kind == TW_KIND_longitude;
        if (place && c->group < 0 && asked[i] >= 0)
            return tw_fail(schema->ctx, TW_ERR_INVALID, "%s: column '%s' is a longitude, and there is no latitude",
                           table->path, c->name);
        if (!place || c->group >= 0) continue;
        tw_status status = find_column(schema, table, i, TW_KIND_number);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

bool tw_schema_parse(const tw_schema_column *c, const char *text, double *out_cell)
{
    tw_csv_field field = {.text = text, .length = strlen(text)};
    double value;
    tw_sort sort = tw_field_sort(&field, &value);
    *out_cell = (double)NAN;
    if (sort == TW_SORT_GAP || c->kind == TW_KIND_skip) return true;
    if (kinds[c->kind].sort == TW_SORT_OF_LEVELS) {
        for (int k = 0; k < c->levels; k++)
            if (strcmp(c->level[k], text) == 0) {
                *out_cell = k;
                return true;
            }
        return false;
    }
    tw_date_form form;
    char between;
    if (c->kind == TW_KIND_date) return tw_date_parse(text, out_cell, &form, &between);
    if (sort == TW_SORT_NUMBER && isfinite(value)) *out_cell = value;
    return sort == TW_SORT_NUMBER && isfinite(value);
}

/* --- cells ------------------------------------------------------------------------------------------------------- */

static tw_status fail_cell(const tw_table *table, const tw_schema_column *c, int64_t line, const char *text)
{
    bool level = kinds[c->kind].sort == TW_SORT_OF_LEVELS;
    return tw_fail(table->ctx, TW_ERR_FORMAT, "%s:%lld: column '%s': '%.60s' is %s", table->path, (long long)line,
                   c->name, text,
                   level                     ? "none of its levels"
                   : c->kind == TW_KIND_date ? "not a date such as 2024-02-29"
                                             : "not a finite number");
}

/* One column of the cells from column `from` of the table. Each text is parsed once. */
static tw_status take_column(const tw_schema_column *c, const tw_table *table, int from, int to, bool lenient,
                             tw_cells *cells)
{
    tw_context *ctx = table->ctx;
    const tw_levels *texts = &table->column[from].cells;
    int64_t shift = table->values - table->storage, unknown = 0;
    tw_status status = TW_OK;
    double *value = tw_alloc(ctx, (size_t)tw_max_i64(texts->count, 1), sizeof *value);
    bool *fits = tw_alloc(ctx, (size_t)tw_max_i64(texts->count, 1), sizeof *fits);
    if (!value || !fits) TW_TRY(tw_fail_memory(ctx, (size_t)texts->count * sizeof *value));
    for (int64_t i = 0; i < texts->count; i++) fits[i] = tw_schema_parse(c, texts->item[i], &value[i]);
    for (int64_t r = 0; r < table->rows; r++) {
        int32_t text = table->cell_storage[shift + r * table->stride + from];
        double cell = text >= 0 ? value[text] : table->values[r * table->stride + from];
        bool known = text >= 0 ? fits[text] : isfinite(cell) && kinds[c->kind].sort != TW_SORT_OF_LEVELS;
        if (c->kind == TW_KIND_skip) cell = (double)NAN, known = true;
        if (!known && !lenient)
            TW_TRY(fail_cell(table, c, cells->line[r], text >= 0 ? texts->item[text] : "(one of very many texts)"));
        unknown += !known;
        cells->value[r * cells->columns + to] = known ? cell : (double)NAN;
    }
    if (unknown > 0)
        status = tw_note(ctx, &cells->notes, "column '%s': %lld cells are none of its values: taken as missing",
                         c->name, (long long)unknown);
done:
    tw_free(ctx, value);
    tw_free(ctx, fits);
    return status;
}

static tw_status take_cells(const tw_schema *schema, const tw_table *table, const int *from, bool lenient,
                            tw_cells *out)
{
    tw_cells cells = {.ctx = schema->ctx, .rows = table->rows, .columns = schema->columns};
    size_t numbers = (size_t)table->rows * (size_t)schema->columns;
    int64_t shift = (table->values - table->storage) / table->stride;
    tw_status status = TW_OK;
    cells.value = tw_alloc(schema->ctx, numbers, sizeof(double));
    cells.line = tw_alloc(schema->ctx, (size_t)tw_max_i64(table->rows, 1), sizeof(int64_t));
    if (!cells.value || !cells.line) TW_TRY(tw_fail_memory(schema->ctx, numbers * sizeof(double)));
    memcpy(cells.line, table->line_storage + shift, (size_t)table->rows * sizeof(int64_t));
    for (int c = 0; c < schema->columns; c++)
        TW_TRY(take_column(&schema->column[c], table, from[c], c, lenient, &cells));
    *out = cells;
    cells = (tw_cells){0};
done:
    tw_cells_free(&cells);
    return status;
}

/* Notes of the reading go over to the cells. */
static void hand_over_notes(tw_table *table, tw_cells *cells)
{
    if (cells->notes.count > 0) return; /* those of lenient reading matter more */
    cells->notes = table->notes;
    table->notes = (tw_notes){0};
}

tw_status tw_schema_find(tw_context *ctx, const char *path, const tw_dataset_desc *desc, const char *text,
                         tw_schema *out_schema, tw_cells *out_cells)
{
    tw_table table = {0};
    tw_schema schema = {.ctx = ctx};
    tw_cells cells = {0};
    int *asked = NULL, *from = NULL, kept = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_table_read_cells(ctx, path, desc ? desc : &no_wishes, &table));
    asked = tw_alloc(ctx, (size_t)table.columns, sizeof(int));
    from = tw_alloc(ctx, (size_t)table.columns, sizeof(int));
    schema.column = tw_alloc(ctx, (size_t)table.columns, sizeof(tw_schema_column));
    if (!asked || !from || !schema.column)
        TW_TRY(tw_fail_memory(ctx, (size_t)table.columns * sizeof(tw_schema_column)));
    for (int i = 0; i < table.columns; i++) asked[i] = -1, from[i] = i;
    if (desc) TW_TRY(skip_unchosen(&(wishes){ctx, &table, asked}, desc));
    if (text) TW_TRY(read_wishes(&(wishes){ctx, &table, asked}, text));
    schema.header = table.has_header;
    schema.separator = table.separator;
    for (int i = 0; i < table.columns; i++) {
        schema.columns = i + 1;
        TW_TRY(find_column(&schema, &table, i, asked[i]));
        kept += schema.column[i].kind != TW_KIND_skip;
    }
    if (kept == 0) TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: no column is left to learn from", path));
    TW_TRY(pair_places(&schema, &table, asked));
    TW_TRY(tw_schema_find_shares(&schema, &table, asked, find_column));
    TW_TRY(take_cells(&schema, &table, from, false, &cells));
    tw_schema_lay_out(&schema);
    hand_over_notes(&table, &cells);
    *out_schema = schema;
    *out_cells = cells;
    schema = (tw_schema){0};
    cells = (tw_cells){0};
done:
    tw_free(ctx, asked);
    tw_free(ctx, from);
    tw_cells_free(&cells);
    tw_schema_free(&schema);
    tw_table_free(&table);
    return status;
}

tw_status tw_schema_read(const tw_schema *schema, const char *path, const tw_dataset_desc *desc, bool lenient,
                         tw_cells *out_cells)
{
    tw_context *ctx = schema->ctx;
    tw_table table = {0};
    int *from = NULL, next = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_table_read_cells(ctx, path, desc ? desc : &no_wishes, &table));
    from = tw_alloc(ctx, (size_t)schema->columns, sizeof(int));
    if (!from) TW_TRY(tw_fail_memory(ctx, (size_t)schema->columns * sizeof(int)));
    int kept = 0;
    for (int i = 0; i < schema->columns; i++) kept += schema->column[i].kind != TW_KIND_skip;
    bool whole = table.columns == schema->columns;
    for (int i = 0; i < schema->columns; i++) {
        bool skipped = schema->column[i].kind == TW_KIND_skip;
        from[i] = table.has_header    ? tw_table_column_of(&table, schema->column[i].name)
                  : skipped && !whole ? 0
                                      : next++;
        if (from[i] < 0 && skipped) from[i] = 0;
        if (from[i] < 0) TW_TRY(tw_table_fail_no_column(&table, schema->column[i].name, ", which the model needs"));
    }
    if (!table.has_header && !whole && table.columns != kept)
        TW_TRY(tw_fail(ctx, TW_ERR_SHAPE, "%s: %d columns and no header, where the model has %d", path, table.columns,
                       schema->columns));
    TW_TRY(take_cells(schema, &table, from, lenient, out_cells));
    hand_over_notes(&table, out_cells);
done:
    tw_free(ctx, from);
    tw_table_free(&table);
    return status;
}
