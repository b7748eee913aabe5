/* impute.c - `thalweg impute`: a file again, with nothing missing. It is read twice: once as cells, from which the gaps
 * are drawn, and once as text, of which everything but the gaps is written as it stands. */
#include "files.h"
#include "model.h"
#include "signals.h"
#include "tables.h"

#include "base/file.h"
#include "io/csv.h"

#include <math.h>
#include <string.h>

typedef struct filling {
    cli *c;
    model m;
    tw_schema schema;
    tw_cells cells;
    int64_t draws, gaps;
    double *known, *codes, *filled; /* (rows, codes), twice, and (rows, columns), of one draw */
    int *never;                     /* (tokens) that which says that a value is missing */
    /* while writing */
    tw_writer writer;
    tw_text text;
    char separator;
    int64_t draw, row; /* the next row */
    int *column;       /* (fields) of the schema, -1: none */
    int fields;
} filling;

/* --- drawing ----------------------------------------------------------------------------------------------------- */

static bool is_gap(const filling *f, int64_t row, int column)
{
    return f->schema.column[column].kind != TW_KIND_skip && isnan(f->cells.value[row * f->cells.columns + column]);
}

static tw_status know(filling *f)
{
    const tw_schema *s = &f->schema;
    size_t rows = (size_t)f->cells.rows, codes = (size_t)s->codes;
    f->known = tw_alloc(f->c->ctx, rows * codes, sizeof(double));
    f->codes = tw_alloc(f->c->ctx, rows * codes, sizeof(double));
    f->filled = tw_alloc(f->c->ctx, rows * (size_t)s->columns, sizeof(double));
    f->never = tw_alloc(f->c->ctx, codes, sizeof(int));
    if (!f->known || !f->codes || !f->filled || !f->never)
        return tw_fail_memory(f->c->ctx, rows * codes * sizeof(double));
    for (int64_t r = 0; r < f->cells.rows; r++) {
        tw_schema_encode(s, f->cells.value + r * f->cells.columns, opt_seed(&f->c->set, OPT_SEED), r, true,
                         f->known + r * s->codes);
        for (int i = 0; i < s->columns; i++) f->gaps += is_gap(f, r, i);
    }
    for (int i = 0; i < s->columns; i++) {
        const tw_schema_column *c = &s->column[i];
        if (c->token < 0) continue;
        bool gaps = c->symbols > c->levels + c->spikes + c->open;
        f->never[c->token - s->numbers] = gaps ? c->symbols - 1 : -1;
    }
    return TW_OK;
}

static tw_status draw(filling *f)
{
    const settings *set = &f->c->set;
    row_bar bar = {.c = f->c, .label = "impute"};
    tw_token_options tokens = {.temperature = opt_number(set, OPT_TEMPERATURE), .known = f->known, .never = f->never};
    tw_sample_desc desc = {.solver = {.steps = (int)opt_int(set, OPT_SOLVER_STEPS), .t1 = 1},
                           .seed = opt_seed(set, OPT_SEED) + (uint64_t)f->draw * UINT64_C(0x9E3779B97F4A7C15),
                           .tokens = &tokens,
                           .on_progress = on_rows,
                           .user = &bar};
    tw_status status = tw_sample(f->m.flow, f->cells.rows, &desc, f->codes, NULL, NULL);
    for (int64_t r = 0; status == TW_OK && r < f->cells.rows; r++) {
        double *filled = f->filled + r * f->schema.columns;
        tw_schema_decode(&f->schema, f->codes + r * f->schema.codes, filled);
        tw_schema_agree(&f->schema, f->cells.value + r * f->schema.columns, filled);
    }
    return status;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static tw_status flush(filling *f)
{
    tw_status status = tw_text_check(&f->text);
    if (status == TW_OK && f->text.length > 0) status = tw_writer_write(&f->writer, f->text.data, f->text.length);
    f->text.length = 0;
    return status;
}

/* The columns of a file without a header go by their place; with one their names were found when it was read. */
static tw_status find_columns(filling *f, int count, const tw_csv_field *fields, bool names)
{
    const tw_schema *s = &f->schema;
    bool whole = count == s->columns;
    int next = 0;
    tw_free(f->c->ctx, f->column);
    f->column = tw_alloc(f->c->ctx, (size_t)count, sizeof(int));
    if (!f->column) return tw_fail_memory(f->c->ctx, (size_t)count * sizeof(int));
    f->fields = count;
    for (int i = 0; i < count; i++) {
        while (!names && !whole && next < s->columns && s->column[next].kind == TW_KIND_skip) next++;
        f->column[i] = names ? tw_schema_column_of(s, fields[i].text) : next < s->columns ? next++ : -1;
    }
    return TW_OK;
}

static void add_label(filling *f, const char *label)
{
    if (f->draws > 1) tw_text_add(&f->text, "%s%c", label, f->separator);
}

static tw_status take_row(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    filling *f = user;
    bool data = f->row < f->cells.rows && f->cells.line[f->row] == line;
    char label[24];
    tw_status status = TW_OK;
    (void)row;
    if (!data && f->row > 0) return TW_OK;
    if (!f->column || (!data && count == f->fields) || f->fields != count)
        status = find_columns(f, count, fields, !data);
    if (status != TW_OK || (!data && f->draw > 0)) return status;
    snprintf(label, sizeof label, "%lld", (long long)f->draw + 1);
    add_label(f, data ? label : "draw");
    for (int i = 0; i < count; i++) {
        int column = data ? f->column[i] : -1;
        if (i > 0) tw_text_add_bytes(&f->text, &f->separator, 1);
        if (column >= 0 && is_gap(f, f->row, column))
            tw_schema_write_cell(&f->schema, column, f->filled[f->row * f->schema.columns + column], &f->text);
        else if (fields[i].length > 0 || fields[i].quoted)
            tw_csv_add_field(&f->text, fields[i].text, f->separator);
    }
    tw_text_add(&f->text, "\n");
    f->row += data;
    return f->text.length > 1 << 16 ? flush(f) : TW_OK;
}

static tw_status write_draw(filling *f, const char *path)
{
    tw_csv_desc csv = {.separator = f->separator};
    f->row = 0;
    tw_status status = tw_csv_read(f->c->ctx, path, &csv, take_row, f, NULL);
    return status == TW_OK ? flush(f) : status;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static tw_status open_all(filling *f, const char *path, const char *out)
{
    cli *c = f->c;
    double split[3];
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    tw_status status = TW_OK;
    TW_TRY(table_schema(c, &f->m, &f->schema));
    if (f->schema.codes == f->schema.numbers)
        TW_TRY(tw_fail(c->ctx, TW_ERR_UNSUPPORTED,
                       "the model's table has no column but numbers: fill in such rows by "
                       "thalweg sample --observe FILE"));
    TW_TRY(tw_schema_read(&f->schema, path, &desc, false, &f->cells));
    f->separator = f->schema.separator;
    if (strcmp(out, "-") != 0) TW_TRY(check_writable_file(c->ctx, out));
    TW_TRY(know(f));
    TW_TRY(tw_writer_open(c->ctx, out, &f->writer));
done:
    return status;
}

static int tell(filling *f, const char *out)
{
    cli *c = f->c;
    char rows[32], gaps[32];
    cli_say(c, "%s gaps in %s rows filled in%s -> %s", human_count((double)f->gaps, gaps, sizeof gaps),
            human_count((double)f->cells.rows, rows, sizeof rows), f->draws > 1 ? ", several times" : "",
            strcmp(out, "-") == 0 ? "standard output" : out);
    if (!c->json) return EXIT_DONE;
    cJSON *object = cJSON_CreateObject();
    json_int(object, "rows", f->cells.rows);
    json_int(object, "gaps", f->gaps);
    json_int(object, "draws", f->draws);
    json_seed(object, "seed", opt_seed(&c->set, OPT_SEED));
    json_text(object, "model", f->m.path);
    json_text(object, "out", out);
    return json_print(object);
}

int run_impute(cli *c)
{
    const char *out = opt_text(&c->set, OPT_OUT_FILLED), *path = opt_text(&c->set, OPT_DATA);
    filling f = {.c = c, .draws = opt_int(&c->set, OPT_N_FILLED)};
    tw_status status = TW_OK;
    bool piped = strcmp(out, "-") == 0;
    if (piped && c->json) return cli_usage("--json and --out -: both want standard output");
    if (!path) return cli_usage("impute needs a file whose gaps are to be filled: thalweg impute MODEL FILE");
    if (piped) c->say = stderr;
    TW_TRY(cli_start(c));
    f.text = tw_text_new(c->ctx);
    int result = model_open(c, &f.m);
    if (result != EXIT_DONE) goto done;
    if (!is_table(&f.m)) {
        result = cli_usage("impute is for models of tables; of others thalweg sample --observe FILE fills in gaps");
        goto done;
    }
    TW_TRY(open_all(&f, path, out));
    signals_watch();
    progress_begin(&c->progress);
    for (f.draw = 0; f.draw < f.draws; f.draw++) {
        TW_TRY(draw(&f));
        TW_TRY(write_draw(&f, path));
    }
    TW_TRY(tw_writer_commit(&f.writer));
    signals_release();
    progress_clear(&c->progress);
    result = tell(&f, out);
done:
    progress_clear(&c->progress);
    if (status != TW_OK) result = cli_exit(c, status);
    tw_writer_abandon(&f.writer);
    tw_text_free(&f.text);
    tw_free(c->ctx, f.known);
    tw_free(c->ctx, f.codes);
    tw_free(c->ctx, f.filled);
    tw_free(c->ctx, f.never);
    tw_free(c->ctx, f.column);
    tw_cells_free(&f.cells);
    tw_schema_free(&f.schema);
    model_close(&f.m);
    return result;
}
