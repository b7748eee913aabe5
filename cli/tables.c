/* tables.c - see tables.h: `thalweg sample` of a table, and what its schema says. */
#include "tables.h"

#include "files.h"
#include "given.h"
#include "signals.h"

#include "base/file.h"

#include <string.h>

enum { STANDARD_ROWS = 1000, SMALLEST_LOT = 64, LARGEST_LOT = 4096, MOST_TRIES = 500 };

bool is_table(const model *m)
{
    return tw_flow_fact(m->flow, FACT_SCHEMA) != NULL;
}

tw_status table_schema(cli *c, const model *m, tw_schema *out_schema)
{
    tw_status status = tw_schema_load(c->ctx, tw_flow_fact(m->flow, FACT_SCHEMA), out_schema);
    if (status == TW_OK && out_schema->codes != m->about->columns) {
        tw_schema_free(out_schema);
        status = tw_fail(c->ctx, TW_ERR_FORMAT, "%s: the reading of its table is of another model", m->path);
    }
    return status;
}

tw_status say_reading(cli *c, const tw_schema *schema)
{
    tw_text text = tw_text_new(c->ctx);
    tw_schema_describe(schema, &text);
    tw_status status = tw_text_check(&text);
    for (char *line = text.data, *rest = line; status == TW_OK && (line = strsep(&rest, "\n"));)
        if (*line) cli_say(c, "  %s", line);
    tw_text_free(&text);
    return status;
}

tw_status table_rows(cli *c, const model *m, const char *path, tw_dataset **out_data)
{
    double split[3], *codes = NULL;
    tw_schema schema = {0};
    tw_cells cells = {0};
    tw_dataset_desc desc = dataset_desc_of(&c->set, split), all = {.split = {1, 0, 0}};
    tw_status status = TW_OK;
    TW_TRY(table_schema(c, m, &schema));
    TW_TRY(tw_schema_read(&schema, path, &desc, false, &cells));
    for (int64_t i = 0; i < cells.notes.count; i++) cli_note(c, "%s", cells.notes.item[i]);
    codes = tw_alloc(c->ctx, (size_t)tw_max_i64(cells.rows, 1), (size_t)schema.codes * sizeof *codes);
    if (!codes) TW_TRY(tw_fail_memory(c->ctx, (size_t)cells.rows * (size_t)schema.codes * sizeof *codes));
    for (int64_t r = 0; r < cells.rows; r++)
        tw_schema_encode(&schema, cells.value + r * cells.columns, opt_seed(&c->set, OPT_SEED), r, false,
                         codes + r * schema.codes);
    TW_TRY(tw_dataset_from_memory(c->ctx, cells.rows, schema.codes, codes, m->about->names, &all, out_data));
done:
    tw_free(c->ctx, codes);
    tw_cells_free(&cells);
    tw_schema_free(&schema);
    return status;
}

/* --- sampling ---------------------------------------------------------------------------------------------------- */

typedef struct table_job {
    cli *c;
    model *m;
    tw_schema schema;
    given given;
    int64_t n, drawn, kept;
    double *codes, *cells; /* of a lot; of the rows kept */
    double seconds;
} table_job;

/* What `sample` knows that has no meaning for a table. */
static bool options_of_table(const cli *c)
{
    static const option_id fine[] = {OPT_SOLVER_STEPS, OPT_TEMPERATURE, OPT_GIVEN};
    for (int i = 0; i < OPT_COUNT; i++) {
        bool own = option_table[i].group != GROUP_SOLVING && i != OPT_LOG_DENSITY && i != OPT_PLOT &&
                   i != OPT_FRAMES_PLOT && i != OPT_ANIMATE && i != OPT_FULL_PRECISION && i != OPT_FRAMES &&
                   i != OPT_SHOW;
        for (int k = 0; k < TW_COUNT(fine); k++) own = own || (option_id)i == fine[k];
        if (!own && strchr(option_table[i].verbs, c->verb->letter) && opt_given(&c->set, (option_id)i))
            return cli_usage("--%s is not for models of tables", option_table[i].name), false;
    }
    return true;
}

static tw_status draw_lot(table_job *j, int64_t count, int64_t round, double *out)
{
    const settings *s = &j->c->set;
    row_bar bar = {.c = j->c, .label = "sample"};
    tw_token_options tokens = {
        .temperature = opt_number(s, OPT_TEMPERATURE), .known = j->given.codes, .same_known = true};
    tw_sample_desc desc = {.solver = {.steps = (int)opt_int(s, OPT_SOLVER_STEPS), .t1 = 1},
                           .seed = opt_seed(s, OPT_SEED) + (uint64_t)round * UINT64_C(0x9E3779B97F4A7C15),
                           .on_progress = on_rows,
                           .user = &bar};
    bool mixed = j->schema.codes > j->schema.numbers;
    if (mixed) desc.tokens = &tokens;
    if (!mixed && j->given.known)
        return tw_fail(j->c->ctx, TW_ERR_UNSUPPORTED,
                       "--given: the table has no column but numbers: use --observe, or a "
                       "range");
    return tw_sample(j->m->flow, count, &desc, out, NULL, NULL);
}

/* How many to draw next: with ranges as many as are likely to hold what is still wanted. */
static int64_t next_lot(const table_job *j)
{
    if (!j->given.ranges) return j->n;
    double likely = j->drawn > 0 ? ((double)j->kept + 1) / ((double)j->drawn + 2) : 0.5;
    double wanted = 1.2 * (double)(j->n - j->kept) / likely;
    return wanted < SMALLEST_LOT ? SMALLEST_LOT : wanted > LARGEST_LOT ? LARGEST_LOT : (int64_t)wanted;
}

/* Rows until there are enough in the ranges, or clearly too few. */
static tw_status draw_rows(table_job *j)
{
    const tw_schema *schema = &j->schema;
    tw_status status = TW_OK;
    int64_t most = j->given.ranges ? LARGEST_LOT : j->n;
    size_t width = (size_t)schema->columns * sizeof(double);
    j->codes = tw_alloc(j->c->ctx, (size_t)most, (size_t)schema->codes * sizeof(double));
    j->cells = tw_alloc(j->c->ctx, (size_t)j->n + 1, width);
    if (!j->codes || !j->cells) TW_TRY(tw_fail_memory(j->c->ctx, (size_t)j->n * width));
    for (int64_t round = 0; j->kept < j->n; round++) {
        if (round > 0 && j->drawn >= MOST_TRIES * tw_max_i64(j->kept + 1, 40))
            TW_TRY(tw_fail(j->c->ctx, TW_ERR_INVALID,
                           "--given: of %lld rows drawn only %lld lie in the ranges: widen them, or ask for fewer rows",
                           (long long)j->drawn, (long long)j->kept));
        int64_t lot = next_lot(j), used = 0;
        TW_TRY(draw_lot(j, lot, round, j->codes));
        for (; used < lot && j->kept < j->n; used++) {
            double *cells = j->cells + j->kept * schema->columns;
            tw_schema_decode(schema, j->codes + used * schema->codes, cells);
            j->kept += given_holds(&j->given, cells);
        }
        j->drawn += used;
    }
done:
    return status;
}

static tw_status write_rows(table_job *j, const char *path)
{
    tw_writer writer = {0};
    tw_status status = TW_OK;
    tw_text text = tw_text_new(j->c->ctx);
    TW_TRY(tw_writer_open(j->c->ctx, path, &writer));
    if (j->schema.header) tw_schema_write_header(&j->schema, &text);
    for (int64_t i = 0; i < j->n; i++) {
        tw_schema_write_row(&j->schema, j->cells + i * j->schema.columns, &text);
        if (text.length < 1 << 16 && i + 1 < j->n) continue;
        TW_TRY(tw_text_check(&text));
        TW_TRY(tw_writer_write(&writer, text.data, text.length));
        text.length = 0;
    }
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    tw_text_free(&text);
    return status;
}

static int tell(table_job *j, const char *out)
{
    cli *c = j->c;
    char rows[32], time[32];
    cli_say(c, "%s rows in %s -> %s", human_count((double)j->n, rows, sizeof rows),
            human_time(j->seconds, time, sizeof time), strcmp(out, "-") == 0 ? "standard output" : out);
    if (j->given.ranges)
        cli_say(c, "ranges are met by drawing again: %.3g %% of the rows drawn lie in them",
                100.0 * (double)j->kept / (double)j->drawn);
    if (!c->json) return EXIT_DONE;
    cJSON *object = cJSON_CreateObject();
    json_int(object, "n", j->n);
    json_int(object, "drawn", j->drawn);
    json_int(object, "columns", j->schema.columns);
    json_number(object, "seconds", j->seconds);
    json_seed(object, "seed", opt_seed(&c->set, OPT_SEED));
    json_text(object, "model", j->m->path);
    json_text(object, "out", out);
    return json_print(object);
}

int sample_table(cli *c, model *m)
{
    const char *asked = opt_text(&c->set, OPT_OUT_FILE), *out = asked ? asked : "samples.csv";
    table_job j = {.c = c, .m = m, .n = opt_int(&c->set, OPT_N_SAMPLES)};
    int result = EXIT_USAGE;
    tw_status status = TW_OK;
    if (!options_of_table(c)) return EXIT_USAGE;
    if (strcmp(out, "-") != 0 && !has_ending(out, ".csv") && !has_ending(out, ".txt") && !has_ending(out, ".tsv"))
        return cli_usage("--out: '%s' given; rows of a table go to a name that ends in .csv, or to -", out);
    if (j.n == 0) j.n = STANDARD_ROWS;
    TW_TRY(table_schema(c, m, &j.schema));
    TW_TRY(given_open(c, &j.schema, opt_text(&c->set, OPT_GIVEN), &j.given));
    if (strcmp(out, "-") != 0) TW_TRY(check_writable_file(c->ctx, out));
    signals_watch();
    progress_begin(&c->progress);
    double begun = tw_clock();
    status = draw_rows(&j);
    j.seconds = tw_clock() - begun;
    progress_clear(&c->progress);
    TW_TRY(status);
    TW_TRY(write_rows(&j, out));
    signals_release();
    result = tell(&j, out);
done:
    if (status != TW_OK) result = cli_exit(c, status);
    given_close(&j.given);
    tw_free(c->ctx, j.codes);
    tw_free(c->ctx, j.cells);
    tw_schema_free(&j.schema);
    return result;
}
