/* data/table_open.c - from a name to a table: a file of some kind, told by its first bytes, or a built-in set. */
#include "data/dataset.h"

#include "base/text.h"
#include "io/npy.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUILTIN_ROWS 500000
#define MAX_COLUMNS  100000

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

tw_status tw_builtin_table(tw_context *ctx, const tw_builtin *builtin, const tw_dataset_desc *desc, tw_table *out_table)
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

tw_status tw_table_read(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_table *out_table)
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
    tw_status status = tw_table_read(ctx, path, desc, &table);
    if (status == TW_OK) status = tw_table_choose(&table, desc, &conditions);
    if (status == TW_OK) status = tw_table_treat_gaps(&table, TW_MISSING_ERROR);
    if (status == TW_OK)
        *out_table = table;
    else
        tw_table_free(&table);
    return status;
}
