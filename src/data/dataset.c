/* data/dataset.c - a table as a data set: columns chosen, gaps treated, split, conditions parted; and what is asked of
 * it. */
#include "data/dataset.h"

#include <string.h>

static const tw_dataset_desc no_wishes;

/* --- making a data set of a table ------------------------------------------------------------------------- */

static bool is_constant(const tw_table *table, int column)
{
    const double *value = table->values + column;
    int64_t r = 1;
    while (r < table->rows && value[r * table->stride] == value[0]) r++;
    return r == table->rows && r > 1;
}

static tw_status note_constants(tw_table *table)
{
    enum { MOST_NAMED = 3 };
    int count = 0, first = 0;
    tw_text names = tw_text_new(table->ctx);
    for (int c = 0; c < table->columns; c++) {
        if (!is_constant(table, c)) continue;
        if (count++ == 0) first = c;
        if (count <= MOST_NAMED) tw_text_add(&names, "%s'%s'", count > 1 ? ", " : "", table->column[c].name);
    }
    tw_status status = tw_text_check(&names);
    if (status == TW_OK && count == 1)
        status = tw_note(table->ctx, &table->notes, "column %s is constant (%g): kept, with nothing to learn in it",
                         names.data, table->values[first]);
    if (status == TW_OK && count > 1)
        status =
            tw_note(table->ctx, &table->notes, "%d columns are constant (%s%s): kept, with nothing to learn in them",
                    count, names.data, count > MOST_NAMED ? ", ..." : "");
    tw_text_free(&names);
    return status;
}

/* What a table becomes: with `names` its columns are a model's and all rows are for testing, in their order; as tokens it
 * has the columns that it is to have, and nobody looks at those of one symbol. */
typedef struct making {
    const tw_builtin *builtin;
    int columns;
    const char *const *names;
    bool tokens;
    int told; /* of tokens: so many conditions stand behind them */
} making;

/* Takes the table over. */
static tw_status make_dataset(tw_context *ctx, tw_table *table, const tw_dataset_desc *desc, making m,
                              tw_dataset **out_dataset)
{
    bool testing = m.names || desc->for_testing;
    tw_status status = TW_OK;
    tw_dataset *d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) {
        tw_table_free(table);
        return tw_fail_memory(ctx, sizeof *d);
    }
    d->ctx = ctx;
    d->table = *table;
    d->builtin = m.builtin;
    *table = (tw_table){0};
    int conditions = m.names ? desc->known_conditions_count : m.told;
    if (m.names)
        TW_TRY(tw_table_choose_like(&d->table, m.columns, conditions, m.names, desc->missing));
    else if (!m.tokens)
        TW_TRY(tw_table_choose(&d->table, desc, &conditions));
    if (testing && desc->missing == TW_MISSING_MEDIAN) {
        status =
            tw_fail(ctx, TW_ERR_INVALID, "%s: medians come from training rows, and there are none here", d->table.path);
        goto done;
    }
    if (!testing && desc->missing == TW_MISSING_KEEP)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "%s: data to train on must have no gaps", d->table.path));
    TW_TRY(tw_table_treat_gaps(&d->table, desc->missing));
    if (testing) {
        d->part_rows[TW_PART_TEST] = d->table.rows;
    } else {
        d->runs_on = desc->runs_on;
        TW_TRY(d->runs_on ? tw_split_sizes(ctx, d->table.rows, desc->split, d->part_rows)
                          : tw_table_split(&d->table, desc->split, desc->seed, d->part_rows));
        TW_TRY(tw_table_fill(&d->table, d->part_rows[TW_PART_TRAIN]));
    }
    d->bins = desc->bins;
    if (d->bins.count != 0) TW_TRY(tw_table_bin(&d->table, d->table.columns - conditions, &d->bins));
    TW_TRY(tw_conditions_split(&d->table, conditions, d->part_rows[TW_PART_TRAIN],
                               testing ? desc->known_conditions : NULL, &d->conditions));
    if (!testing && !m.tokens) TW_TRY(note_constants(&d->table));
    *out_dataset = d;
    d = NULL;
done:
    tw_dataset_destroy(d);
    return status;
}

/* --- the public functions --------------------------------------------------------------------------------- */

tw_status tw_dataset_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_dataset **out_dataset)
{
    if (!path || !*path) return tw_fail(ctx, TW_ERR_INVALID, "data: no file was named");
    if (!desc) desc = &no_wishes;
    tw_table table = {0};
    tw_pictures pictures = {0};
    bool shows = false;
    const tw_builtin *builtin = tw_builtin_find(path);
    tw_status status = builtin ? TW_OK : tw_pictures_open(ctx, path, desc, &pictures, &shows);
    if (status != TW_OK) return status;
    if (shows) return tw_picture_set_make(ctx, &pictures, desc, 0, NULL, out_dataset);
    if (!builtin && desc->mixed != TW_MIXED_NO) {
        tw_dataset *mixed = NULL;
        status = tw_dataset_open_mixed(ctx, path, desc, &mixed);
        if (status != TW_OK) return status;
        if (mixed) {
            *out_dataset = mixed;
            return TW_OK;
        }
    }
    status = builtin ? tw_builtin_table(ctx, builtin, desc, &table) : tw_table_read(ctx, path, desc, &table);
    return status == TW_OK ? make_dataset(ctx, &table, desc, (making){.builtin = builtin}, out_dataset) : status;
}

tw_status tw_dataset_from_memory(tw_context *ctx, int64_t rows, int columns, const double *values,
                                 const char *const *names, const tw_dataset_desc *desc, tw_dataset **out_dataset)
{
    size_t size;
    if (rows < 1 || columns < 1 || !values)
        return tw_fail(ctx, TW_ERR_INVALID, "data: %lld rows of %d columns hold nothing", (long long)rows, columns);
    if (__builtin_mul_overflow((size_t)rows, (size_t)columns * sizeof(double), &size))
        return tw_fail(ctx, TW_ERR_INVALID, "data: %lld rows of %d columns are too many", (long long)rows, columns);
    double *copy = tw_alloc(ctx, size, 1);
    if (!copy) return tw_fail_memory(ctx, size);
    memcpy(copy, values, size);
    tw_table table = {0};
    tw_status status = tw_table_take_array(ctx, "data", rows, columns, copy, names, &table);
    if (status != TW_OK) return status;
    return make_dataset(ctx, &table, desc ? desc : &no_wishes, (making){0}, out_dataset);
}

tw_status tw_dataset_of_tokens(tw_context *ctx, tw_table *table, int told, const tw_dataset_desc *desc,
                               tw_dataset **out_dataset)
{
    return make_dataset(ctx, table, desc, (making){.tokens = true, .told = told}, out_dataset);
}

tw_status tw_dataset_open_like(tw_context *ctx, const char *path, const tw_dataset_desc *desc, int columns,
                               const char *const *names, tw_dataset **out_dataset)
{
    if (!path || !*path) return tw_fail(ctx, TW_ERR_INVALID, "data: no file was named");
    if (columns < 1 || !names) return tw_fail(ctx, TW_ERR_INVALID, "%s: the model's columns are not given", path);
    tw_dataset_desc wishes = desc ? *desc : no_wishes;
    wishes.columns = wishes.drop = wishes.conditions = NULL;
    tw_table table = {0};
    tw_pictures pictures = {0};
    bool shows = false;
    const tw_builtin *builtin = tw_builtin_find(path);
    int told = wishes.known_conditions_count;
    const char **all = tw_alloc(ctx, (size_t)(columns + told), sizeof(char *));
    if (!all) return tw_fail_memory(ctx, (size_t)(columns + told) * sizeof(char *));
    for (int i = 0; i < columns + told; i++)
        all[i] = i < columns ? names[i] : wishes.known_conditions[i - columns].name;
    tw_status status = TW_OK;
    if (!builtin) TW_TRY(tw_pictures_open(ctx, path, &wishes, &pictures, &shows));
    if (shows) {
        status = tw_picture_set_make(ctx, &pictures, &wishes, columns + told, all, out_dataset);
        goto done;
    }
    TW_TRY(builtin ? tw_builtin_table(ctx, builtin, &wishes, &table) : tw_table_read(ctx, path, &wishes, &table));
    status = make_dataset(ctx, &table, &wishes, (making){.builtin = builtin, .columns = columns + told, .names = all},
                          out_dataset);
done:
    tw_free(ctx, all);
    return status;
}

void tw_dataset_destroy(tw_dataset *dataset)
{
    if (!dataset) return;
    if (dataset->known.free) dataset->known.free(dataset->ctx, dataset->known.user);
    tw_table_free(&dataset->table);
    tw_pictures_free(&dataset->pictures);
    tw_schema_free(&dataset->schema);
    tw_cells_free(&dataset->cells);
    tw_conditions_free(dataset->ctx, &dataset->conditions);
    tw_free(dataset->ctx, dataset);
}

int tw_dataset_columns(const tw_dataset *dataset)
{
    return dataset->table.columns;
}

const char *tw_dataset_name(const tw_dataset *dataset, int column)
{
    return column >= 0 && column < dataset->table.columns ? dataset->table.column[column].name : NULL;
}

int64_t tw_dataset_rows(const tw_dataset *dataset, tw_part part)
{
    return part == TW_PART_ALL ? dataset->table.rows : dataset->part_rows[part];
}

static int64_t rows_before(const tw_dataset *dataset, tw_part part)
{
    int64_t before = 0;
    for (int i = 0; part != TW_PART_ALL && i < (int)part; i++) before += dataset->part_rows[i];
    return before;
}

const double *tw_dataset_values(const tw_dataset *dataset, tw_part part)
{
    if (!dataset->table.values) return NULL;
    return dataset->table.values + rows_before(dataset, part) * dataset->table.stride;
}

const tw_schema *tw_dataset_schema(const tw_dataset *dataset)
{
    return dataset->schema.columns > 0 ? &dataset->schema : NULL;
}

const double *tw_dataset_cells(const tw_dataset *dataset, tw_part part)
{
    return dataset->cells.value ? dataset->cells.value + rows_before(dataset, part) * dataset->cells.columns : NULL;
}

const uint8_t *tw_dataset_bytes(const tw_dataset *dataset, tw_part part, size_t *out_stride)
{
    const tw_pictures *p = &dataset->pictures;
    *out_stride = p->stride;
    return p->bytes ? p->bytes + (size_t)rows_before(dataset, part) * p->stride : NULL;
}

tw_status tw_dataset_read(const tw_dataset *dataset, tw_part part, int64_t first, int64_t count, double *out)
{
    int64_t rows = tw_dataset_rows(dataset, part), columns = dataset->table.columns;
    size_t stride;
    const uint8_t *bytes = tw_dataset_bytes(dataset, part, &stride);
    if (first < 0 || count < 0 || first > rows - count)
        return tw_fail(dataset->ctx, TW_ERR_INVALID, "data: %lld rows from %lld on were asked for, there are %lld",
                       (long long)count, (long long)first, (long long)rows);
    if (!bytes) {
        memcpy(out, tw_dataset_values(dataset, part) + first * columns, (size_t)(count * columns) * sizeof *out);
        return TW_OK;
    }
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < columns; j++) out[i * columns + j] = bytes[(size_t)(first + i) * stride + (size_t)j];
    return TW_OK;
}

const tw_image *tw_dataset_image(const tw_dataset *dataset)
{
    return dataset->pictures.image.height > 0 ? &dataset->pictures.image : NULL;
}

const tw_bins *tw_dataset_bins(const tw_dataset *dataset)
{
    return dataset->bins.count ? &dataset->bins : NULL;
}

int tw_dataset_conditions_count(const tw_dataset *dataset)
{
    return dataset->conditions.count;
}

const tw_condition *tw_dataset_condition(const tw_dataset *dataset, int index)
{
    return index >= 0 && index < dataset->conditions.count ? &dataset->conditions.item[index] : NULL;
}

const double *tw_dataset_condition_values(const tw_dataset *dataset, tw_part part)
{
    int count = dataset->conditions.count;
    return count ? dataset->conditions.values + rows_before(dataset, part) * count : NULL;
}

int tw_dataset_notes_count(const tw_dataset *dataset)
{
    return (int)dataset->table.notes.count;
}

const char *tw_dataset_note(const tw_dataset *dataset, int index)
{
    return index >= 0 && index < dataset->table.notes.count ? dataset->table.notes.item[index] : NULL;
}

int tw_dataset_decimals(const tw_dataset *dataset, int column)
{
    return column >= 0 && column < dataset->table.columns ? dataset->table.column[column].decimals : -1;
}

void tw_dataset_know_density(tw_dataset *dataset, const tw_known_density *known)
{
    dataset->known = *known;
}

bool tw_dataset_log_density(const tw_dataset *dataset, const double *x, double *out_log_density)
{
    const tw_builtin *builtin = dataset->builtin;
    if (dataset->known.log_density) {
        *out_log_density = dataset->known.log_density(dataset->known.user, x);
        return true;
    }
    if (!builtin || !builtin->log_density) return false;
    if (dataset->bins.count && tw_builtin_columns(builtin) != 2) return false;
    if (builtin->separable) {
        *out_log_density = 0;
        for (int c = 0; c < tw_dataset_columns(dataset); c++) *out_log_density += builtin->log_density(x + c);
        return true;
    }
    *out_log_density = dataset->bins.count ? tw_bin_log_mass(&dataset->bins, builtin, x) : builtin->log_density(x);
    return true;
}

bool tw_dataset_entropy(const tw_dataset *dataset, double *out_entropy)
{
    const tw_builtin *builtin = dataset->builtin;
    if (!builtin || dataset->bins.count || !builtin->log_density) return false;
    *out_entropy = builtin->entropy * (builtin->separable ? tw_dataset_columns(dataset) : 1);
    return true;
}
