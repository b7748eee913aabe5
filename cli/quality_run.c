/* quality_run.c - `thalweg eval RUN` of a table: rows drawn from the model, or those of --samples, beside rows that its
 * training never saw. */
#include "quality.h"

#include "files.h"
#include "signals.h"
#include "tables.h"

#include "data/dataset.h"

enum { MOST_DRAWN = 20000 };

typedef struct table_run {
    cli *c;
    model *m;
    tw_dataset *data;
    const tw_schema *schema; /* of the data */
    tw_dataset_desc desc;
    tw_cells held, samples; /* of files */
} table_run;

/* As many rows as the model learnt from, up to so many as classifiers see. */
static tw_status draw_samples(table_run *t, tw_records *out)
{
    const settings *s = &t->c->set;
    int64_t n = tw_min_i64(MOST_DRAWN, tw_dataset_rows(t->data, TW_PART_TRAIN));
    row_bar bar = {.c = t->c, .label = "sample"};
    tw_token_options tokens = {.temperature = 1};
    tw_sample_desc desc = {.solver = {.steps = (int)opt_int(s, OPT_SOLVER_STEPS), .t1 = 1},
                           .seed = opt_seed(s, OPT_SEED),
                           .on_progress = on_rows,
                           .user = &bar};
    size_t rows = (size_t)n, columns = (size_t)t->schema->columns;
    tw_status status = TW_OK;
    double *codes = tw_alloc(t->c->ctx, rows, (size_t)t->schema->codes * sizeof *codes);
    double *cells = tw_alloc(t->c->ctx, rows, columns * sizeof *cells);
    if (!codes || !cells) TW_TRY(tw_fail_memory(t->c->ctx, rows * columns * sizeof *cells));
    if (t->schema->codes > t->schema->numbers) desc.tokens = &tokens;
    progress_begin(&t->c->progress);
    signals_watch();
    status = tw_sample(t->m->flow, n, &desc, codes, NULL, NULL);
    signals_release();
    progress_clear(&t->c->progress);
    if (status != TW_OK) goto done;
    for (int64_t i = 0; i < n; i++)
        tw_schema_decode(t->schema, codes + i * t->schema->codes, cells + i * t->schema->columns);
    TW_TRY(tw_records_of_cells(t->schema, n, cells, out));
done:
    tw_free(t->c->ctx, codes);
    tw_free(t->c->ctx, cells);
    return status;
}

static tw_status read_file(table_run *t, const char *path, tw_cells *cells, tw_records *out)
{
    tw_status status = TW_OK;
    TW_TRY(tw_schema_read(t->schema, path, &t->desc, true, cells));
    for (int64_t i = 0; i < cells->notes.count; i++) cli_note(t->c, "%s", cells->notes.item[i]);
    TW_TRY(tw_records_of_cells(t->schema, cells->rows, cells->value, out));
done:
    return status;
}

static tw_status part_records(table_run *t, tw_part part, tw_records *out)
{
    return tw_records_of_cells(t->schema, tw_dataset_rows(t->data, part), tw_dataset_cells(t->data, part), out);
}

static tw_status take_all(table_run *t, quality_report *q)
{
    cli *c = t->c;
    const char *held = opt_text(&c->set, OPT_DATA), *samples = opt_text(&c->set, OPT_SAMPLES);
    const char *trained = tw_flow_fact(t->m->flow, FACT_DATA);
    char name[512], samples_name[512];
    tw_status status = TW_OK;
    path_name(name, sizeof name, held ? held : trained ? trained : "data");
    path_name(samples_name, sizeof samples_name, samples ? samples : t->m->shown);
    snprintf(q->title, sizeof q->title, "%s against %s%s", samples_name, held ? "" : "test part of ", name);
    snprintf(q->floor_words, sizeof q->floor_words, "Floors: training rows against the same rows");
    TW_TRY(part_records(t, TW_PART_TRAIN, &q->training));
    TW_TRY(held ? read_file(t, held, &t->held, &q->held) : part_records(t, TW_PART_TEST, &q->held));
    TW_TRY(samples ? read_file(t, samples, &t->samples, &q->samples) : draw_samples(t, &q->samples));
done:
    return status;
}

int eval_table(cli *c, model *m)
{
    double split[3];
    table_run t = {.c = c, .m = m, .desc = dataset_desc_of(&c->set, split)};
    const char *out = opt_text(&c->set, OPT_OUT_REPORT);
    int result = EXIT_FAILED;
    tw_status status = TW_OK;
    quality_report *q = tw_alloc(c->ctx, 1, sizeof *q);
    if (!q) TW_TRY(tw_fail_memory(c->ctx, sizeof *q));
    TW_TRY(model_open_data(c, m, &t.data));
    t.schema = tw_dataset_schema(t.data);
    if (!t.schema) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "%s: its data are no table of mixed columns", m->shown));
    q->schema = t.schema;
    TW_TRY(take_all(&t, q));
    TW_TRY(quality_make(c, q, out ? out : m->folder));
    result = c->json ? json_print(quality_json(q)) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    if (q) quality_free(c, q);
    tw_free(c->ctx, q);
    tw_cells_free(&t.held);
    tw_cells_free(&t.samples);
    tw_dataset_destroy(t.data);
    return result;
}
