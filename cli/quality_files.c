/* quality_files.c - `thalweg eval REAL.csv --samples FILE`: tables that anybody made, read as the real one is. */
#include "quality.h"

#include "files.h"

#include <string.h>

bool is_file_of_rows(const char *path)
{
    unsigned char begin[9] = {0};
    FILE *file = path && !folder_exists(path) ? fopen(path, "rbe") : NULL;
    if (!file) return false;
    bool is_model = fread(begin, 1, sizeof begin, file) == sizeof begin && begin[7] == 0 && begin[8] == '{';
    fclose(file); /* safetensors: the length of its header, then the header */
    return !is_model;
}

/* What a comparison of files does not ask for. */
static int refuse_others(const cli *c)
{
    static const option_id of_runs[] = {OPT_DATA,        OPT_CLASSIFIER, OPT_INCEPTION, OPT_PAIRS, OPT_REPEATS,
                                        OPT_PROJECTIONS, OPT_UNITS,      OPT_N_EVAL,    OPT_FRAMES};
    for (int i = 0; i < OPT_COUNT; i++) {
        bool other = option_table[i].group == GROUP_SOLVING;
        for (int k = 0; k < TW_COUNT(of_runs); k++) other = other || (option_id)i == of_runs[k];
        if (other && strchr(option_table[i].verbs, 'E') && opt_given(&c->set, (option_id)i))
            return cli_usage("--%s is for a trained flow, and '%s' is a file of rows", option_table[i].name,
                             opt_text(&c->set, OPT_MODEL));
    }
    return EXIT_DONE;
}

typedef struct reading {
    tw_dataset_desc desc;
    tw_schema schema;
    tw_cells real, training, samples;
} reading;

static void tell_notes(cli *c, const tw_cells *cells)
{
    for (int64_t i = 0; i < cells->notes.count; i++) cli_note(c, "%s", cells->notes.item[i]);
}

/* Rows of the real file, half of them as training rows when none are given. */
static tw_status take_rows(cli *c, reading *r, quality_report *q)
{
    tw_cells *real = &r->real;
    size_t width = (size_t)real->columns * sizeof *real->value;
    tw_status status = TW_OK;
    TW_TRY(tw_records_of_cells(&r->schema, r->samples.rows, r->samples.value, &q->samples));
    if (opt_given(&c->set, OPT_TRAINING_ROWS)) {
        TW_TRY(tw_records_of_cells(&r->schema, real->rows, real->value, &q->held));
        TW_TRY(tw_records_of_cells(&r->schema, r->training.rows, r->training.value, &q->training));
        return TW_OK;
    }
    int64_t half = real->rows / 2;
    TW_TRY(tw_split_order(c->ctx, real->value, real->rows, width, opt_seed(&c->set, OPT_SEED)));
    TW_TRY(tw_records_of_cells(&r->schema, half, real->value, &q->held));
    TW_TRY(tw_records_of_cells(&r->schema, real->rows - half, real->value + half * real->columns, &q->training));
done:
    return status;
}

static tw_status read_all(cli *c, reading *r, quality_report *q)
{
    const char *real = opt_text(&c->set, OPT_MODEL), *samples = opt_text(&c->set, OPT_SAMPLES);
    const char *training = opt_text(&c->set, OPT_TRAINING_ROWS);
    char real_name[512], samples_name[512], training_name[512];
    tw_status status = TW_OK;
    path_name(real_name, sizeof real_name, real);
    path_name(samples_name, sizeof samples_name, samples);
    snprintf(q->title, sizeof q->title, "%s against %s", samples_name, real_name);
    if (training) {
        path_name(training_name, sizeof training_name, training);
        TW_TRY(tw_schema_find(c->ctx, training, &r->desc, r->desc.kinds, &r->schema, &r->training));
        TW_TRY(tw_schema_read(&r->schema, real, &r->desc, true, &r->real));
        tell_notes(c, &r->training);
        snprintf(q->floor_words, sizeof q->floor_words, "Floors: rows of %s against %s", training_name, real_name);
    } else {
        TW_TRY(tw_schema_find(c->ctx, real, &r->desc, r->desc.kinds, &r->schema, &r->real));
        snprintf(q->floor_words, sizeof q->floor_words, "Floors: one half of %s against the other", real_name);
    }
    tell_notes(c, &r->real);
    TW_TRY(tw_schema_read(&r->schema, samples, &r->desc, true, &r->samples));
    tell_notes(c, &r->samples);
    TW_TRY(take_rows(c, r, q));
done:
    return status;
}

int eval_files(cli *c)
{
    double split[3];
    reading r = {.desc = dataset_desc_of(&c->set, split)};
    quality_report *q = NULL;
    const char *out = opt_text(&c->set, OPT_OUT_REPORT);
    tw_status status = TW_OK;
    int result = refuse_others(c);
    if (result != EXIT_DONE) return result;
    TW_TRY(cli_start(c));
    q = tw_alloc(c->ctx, 1, sizeof *q);
    if (!q) TW_TRY(tw_fail_memory(c->ctx, sizeof *q));
    q->schema = &r.schema;
    TW_TRY(read_all(c, &r, q));
    TW_TRY(quality_make(c, q, out ? out : "quality"));
    result = c->json ? json_print(quality_json(q)) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    if (q) quality_free(c, q);
    if (c->ctx) tw_free(c->ctx, q);
    tw_cells_free(&r.real);
    tw_cells_free(&r.training);
    tw_cells_free(&r.samples);
    tw_schema_free(&r.schema);
    return result;
}
