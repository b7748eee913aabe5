/* data/dataset.c - from a name to a data set: find out what it names, read it, choose columns, treat gaps, split,
 * report. */
#include "data/dataset.h"

#include "base/text.h"
#include "io/npy.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUILTIN_ROWS 500000
#define MAX_COLUMNS  100000

static const tw_dataset_desc no_wishes;

/* --- columns ---------------------------------------------------------------------------------------------- */

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

static const char **names_of(const tw_table *table)
{
    const char **names = tw_alloc(table->ctx, (size_t)table->columns, sizeof(char *));
    for (int i = 0; names && i < table->columns; i++) names[i] = table->column[i].name;
    return names;
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

/* Keeps the data columns and, behind them, the conditions. */
static tw_status choose_columns(tw_table *table, const tw_dataset_desc *desc, int *out_conditions)
{
    int *list = NULL, *told = NULL, *both = NULL, count = 0, told_count = 0;
    tw_status status = TW_OK;
    const char **names = names_of(table);
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

static int find_column(const tw_table *table, const char *name)
{
    for (int i = 0; i < table->columns; i++)
        if (strcmp(table->column[i].name, name) == 0) return i;
    return -1;
}

static tw_status fail_no_column(const tw_table *table, const char *name)
{
    const char **names = names_of(table);
    if (!names) return tw_fail_memory(table->ctx, (size_t)table->columns * sizeof(char *));
    const char *near = tw_nearest_name(name, names, table->columns);
    tw_status status = tw_fail(table->ctx, TW_ERR_INVALID, "%s: no column '%s', which the model needs%s%s%s",
                               table->path, name, near ? "; there is '" : "", near ? near : "", near ? "'" : "");
    tw_free(table->ctx, names);
    return status;
}

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

/* The last `conditions` of the columns are told, not drawn. */
static tw_status choose_like(tw_table *table, int columns, int conditions, const char *const *names, tw_missing missing)
{
    int *list = tw_alloc(table->ctx, (size_t)columns, sizeof(int));
    if (!list) return tw_fail_memory(table->ctx, (size_t)columns * sizeof(int));
    tw_status status = TW_OK;
    const char *lacking = NULL;
    for (int i = 0; i < columns; i++) {
        list[i] = find_column(table, names[i]);
        if (list[i] < 0 && !lacking) lacking = names[i];
    }
    if (lacking && table->has_header) {
        status = fail_no_column(table, lacking);
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

/* Takes the table over; with `names` the columns are a model's and all rows are for testing, in their order. */
static tw_status make_dataset(tw_context *ctx, tw_table *table, const tw_builtin *builtin, const tw_dataset_desc *desc,
                              int columns, const char *const *names, tw_dataset **out_dataset)
{
    tw_status status = TW_OK;
    tw_dataset *d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) {
        tw_table_free(table);
        return tw_fail_memory(ctx, sizeof *d);
    }
    d->ctx = ctx;
    d->table = *table;
    d->builtin = builtin;
    *table = (tw_table){0};
    int conditions = names ? desc->known_conditions_count : 0;
    if (names)
        TW_TRY(choose_like(&d->table, columns, conditions, names, desc->missing));
    else
        TW_TRY(choose_columns(&d->table, desc, &conditions));
    if (names && desc->missing == TW_MISSING_MEDIAN) {
        status =
            tw_fail(ctx, TW_ERR_INVALID, "%s: medians come from training rows, and there are none here", d->table.path);
        goto done;
    }
    if (!names && desc->missing == TW_MISSING_KEEP)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "%s: data to train on must have no gaps", d->table.path));
    TW_TRY(tw_table_treat_gaps(&d->table, desc->missing));
    if (names) {
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
                               names ? desc->known_conditions : NULL, &d->conditions));
    if (!names) TW_TRY(note_constants(&d->table));
    *out_dataset = d;
    d = NULL;
done:
    tw_dataset_destroy(d);
    return status;
}

/* --- reading by kind -------------------------------------------------------------------------------------- */

tw_status tw_file_kind_tell(tw_context *ctx, const char *path, tw_file_kind *out_kind)
{
    static const struct {
        const char *magic;
        size_t length;
        const char *what;
    } others[] = {{"PAR1", 4, "a Parquet file"},
                  {"\x89HDF\r\n\x1a\n", 8, "an HDF5 file"},
                  {"SQLite format 3", 15, "an SQLite database"},
                  {"ARROW1", 6, "an Arrow file"},
                  {"\xD0\xCF\x11\xE0", 4, "an old Excel or Word file"},
                  {"%PDF", 4, "a PDF"},
                  {"\x89PNG", 4, "a PNG picture"}};
    char head[32] = {0};
    struct stat info;
    ssize_t got = 0;
    *out_kind = TW_FILE_TEXT;
    /* a pipe is not opened twice: what is lost between could not be had again */
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return TW_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return TW_OK; /* the reader says what is wrong */
    got = read(fd, head, sizeof head);
    close(fd);
    if (got >= 6 && memcmp(head, "\x93NUMPY", 6) == 0) *out_kind = TW_FILE_NPY;
    if (got >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0)) *out_kind = TW_FILE_NPZ;
    for (int i = 0; i < TW_COUNT(others); i++)
        if (got >= (ssize_t)others[i].length && memcmp(head, others[i].magic, others[i].length) == 0)
            return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: %s is not read here: save the table as CSV or NPY", path,
                           others[i].what);
    return TW_OK;
}

static tw_status read_npy(tw_context *ctx, const char *path, tw_file_kind kind, const char *name, tw_table *out_table)
{
    tw_npy array = {0};
    tw_status status = tw_npy_read(ctx, path, kind == TW_FILE_NPZ ? name : NULL, &array);
    if (status != TW_OK) return status;
    int64_t rows = array.shape.rank > 0 ? array.shape.dim[0] : 1, columns = 1;
    for (int i = 1; i < array.shape.rank; i++) columns *= array.shape.dim[i];
    bool whole = strchr("iub", array.type[1]) != NULL, folded = array.shape.rank > 2;
    if (rows < 1 || columns < 1 || columns > MAX_COLUMNS) {
        tw_npy_free(ctx, &array);
        if (rows < 1 || columns < 1) return tw_fail(ctx, TW_ERR_FORMAT, "%s: the array is empty", path);
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: rows of %lld numbers: at most %d are read as columns", path,
                       (long long)columns, MAX_COLUMNS);
    }
    double *values = array.value;
    array.value = NULL;
    tw_npy_free(ctx, &array);
    status = tw_table_take_array(ctx, path, rows, (int)columns, values, NULL, out_table);
    if (status != TW_OK) return status;
    for (int c = 0; whole && c < (int)columns; c++) out_table->column[c].decimals = 0;
    if (folded)
        status = tw_note(ctx, &out_table->notes, "each of the %lld rows of the array is read as %lld columns",
                         (long long)rows, (long long)columns);
    if (status != TW_OK) tw_table_free(out_table);
    return status;
}

static tw_status draw_builtin(tw_context *ctx, const tw_builtin *builtin, const tw_dataset_desc *desc,
                              tw_table *out_table)
{
    int64_t rows = desc->rows ? desc->rows : BUILTIN_ROWS;
    size_t limit = tw_table_limit();
    if (rows < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "%s: %lld rows cannot be drawn", builtin->info.name, (long long)rows);
    bool classes = desc->conditions || desc->known_conditions_count > 0;
    int own = tw_builtin_columns(builtin), columns = own + classes;
    size_t row = (size_t)columns * sizeof(double);
    if ((desc->columns || desc->drop) && !builtin->separable)
        return tw_fail(ctx, TW_ERR_INVALID, "%s: a built-in set keeps all its columns: no --columns, no --drop",
                       builtin->info.name);
    if ((uint64_t)rows > limit / row)
        return tw_table_fail_size(ctx, builtin->info.name, (double)rows * (double)row, limit);
    double *values = tw_alloc(ctx, (size_t)rows, row);
    if (!values) return tw_fail_memory(ctx, (size_t)rows * row);
    for (int64_t r = 0; r < rows; r++) {
        int class = tw_builtin_draw(builtin, desc->seed, r, values + columns * r);
        if (classes) values[columns * r + own] = class;
    }
    const char *names[TW_ANGLES + 1];
    char number[TW_ANGLES][16];
    for (int c = 0; c < own; c++) {
        snprintf(number[c], sizeof number[c], "x%d", c + 1);
        names[c] = builtin->names ? builtin->names[c] : number[c];
    }
    names[own] = "class";
    bool named = classes || builtin->names;
    tw_status status =
        tw_table_take_array(ctx, builtin->info.name, rows, columns, values, named ? names : NULL, out_table);
    if (status == TW_OK) out_table->has_header = named;
    return status;
}

/* A word that is neither a file nor a set is perhaps a misspelt set. */
static tw_status fail_unknown_name(tw_context *ctx, const char *path)
{
    const char *names[16];
    int count = 0;
    for (const tw_builtin_info *info; count < TW_COUNT(names) && (info = tw_builtin_list(count)); count++)
        names[count] = info->name;
    const char *near = tw_nearest_name(path, names, count);
    if (near)
        return tw_fail(ctx, TW_ERR_IO, "'%s' is neither a file nor a built-in set: did you mean '%s'?", path, near);
    return tw_fail(ctx, TW_ERR_IO, "'%s' is neither a file nor a built-in set", path);
}

static tw_status read_table(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_table *out_table)
{
    tw_file_kind kind;
    if (!strpbrk(path, "/.") && access(path, F_OK) != 0) return fail_unknown_name(ctx, path);
    tw_status status = tw_file_kind_tell(ctx, path, &kind);
    if (status != TW_OK) return status;
    if (kind == TW_FILE_TEXT) return tw_table_read_csv(ctx, path, desc, out_table);
    return read_npy(ctx, path, kind, desc->array, out_table);
}

tw_status tw_table_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_table *out_table)
{
    tw_table table = {0};
    int conditions;
    tw_status status = read_table(ctx, path, desc, &table);
    if (status == TW_OK) status = choose_columns(&table, desc, &conditions);
    if (status == TW_OK) status = tw_table_treat_gaps(&table, TW_MISSING_ERROR);
    if (status == TW_OK)
        *out_table = table;
    else
        tw_table_free(&table);
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
    status = builtin ? draw_builtin(ctx, builtin, desc, &table) : read_table(ctx, path, desc, &table);
    return status == TW_OK ? make_dataset(ctx, &table, builtin, desc, 0, NULL, out_dataset) : status;
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
    return make_dataset(ctx, &table, NULL, desc ? desc : &no_wishes, 0, NULL, out_dataset);
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
    TW_TRY(builtin ? draw_builtin(ctx, builtin, &wishes, &table) : read_table(ctx, path, &wishes, &table));
    status = make_dataset(ctx, &table, builtin, &wishes, columns + told, all, out_dataset);
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
