/* eval.c - `thalweg eval`: a flow against held-out data: likelihood, distances, columns, pictures. */
#include "begin.h"
#include "density_map.h"
#include "files.h"
#include "kinds.h"
#include "pictures.h"
#include "quality.h"
#include "report.h"
#include "signals.h"
#include "sequences.h"
#include "tables.h"
#include "tokens.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

enum { DRAW_SCORE = 0, FLOW_ROWS = 2000, PICTURE_ROWS = 20000, STANDARD_FRAMES = 6 };
enum { REPORTED = 1 << DISTANCE_ENERGY | 1 << DISTANCE_W2 | 1 << DISTANCE_SLICED, MOST_PAIRS = 4096 };
enum { FLOW_PICTURES = 10, PICTURES = 100 };

typedef struct evaluation {
    cli *c;
    model m;
    held_out held;
    tw_ode_desc solver;
    report report;
    comparison compared;
    judgement judged;
    fid fid;
    lines lines;
    column_summary *summaries; /* of samples, then of data */
    char folder[MODEL_PATH], text_path[MODEL_PATH], json_path[MODEL_PATH], clouds_path[MODEL_PATH],
        density_path[MODEL_PATH], flow_path[MODEL_PATH], samples_path[MODEL_PATH];
} evaluation;

/* --- likelihood -------------------------------------------------------------------------------------------------- */

/* What a model of texts must beat: n-grams of the training part, on the rows that were scored. */
static tw_status count_ngrams(evaluation *e, int64_t n, const double *rows)
{
    const tw_dataset *training = e->held.training;
    tw_context *ctx = e->c->ctx;
    tw_ngram *counts = NULL;
    int columns = e->held.columns;
    tw_status status = TW_OK;
    tw_tokeniser *tokeniser = NULL;
    if (!training) return TW_OK;
    TW_TRY(model_tokeniser(e->c, &e->m, &tokeniser));
    if (!tokeniser) goto done;
    TW_TRY(tw_ngram_create(ctx, COUNTED_ORDER, tw_tokeniser_size(tokeniser), tw_dataset_rows(training, TW_PART_TRAIN),
                           columns, tw_dataset_values(training, TW_PART_TRAIN), &counts));
    e->report.counted = 0;
    for (int64_t i = 0; i < n; i++) e->report.counted += tw_ngram_nll(counts, columns, rows + i * columns) / (double)n;
done:
    tw_tokeniser_destroy(tokeniser);
    tw_ngram_destroy(counts);
    return status;
}

static tw_status score_held_out(evaluation *e)
{
    cli *c = e->c;
    int64_t most = opt_given(&c->set, OPT_N_EVAL) ? opt_int(&c->set, OPT_N_EVAL) : scored_rows(&e->m);
    int64_t n = tw_min_i64(most, e->held.rows);
    tw_ode_desc plain = solver_without_noise(c, &e->solver);
    tw_status status = TW_OK;
    double *rows = random_rows(c, DRAW_SCORE, e->held.columns, e->held.rows, e->held.values, n);
    double *conditions = random_conditions(c, DRAW_SCORE, &e->held, e->m.about, n);
    double *log_density = tw_alloc(c->ctx, (size_t)n, sizeof *log_density);
    if (!rows || !log_density || (e->held.conditions && !conditions))
        TW_TRY(tw_fail_memory(c->ctx, (size_t)n * sizeof *rows));
    TW_TRY(score_rows(c, &e->m, &plain, n, rows, conditions, log_density, &e->report.score));
    e->report.exact = exact_nll(e->held.data, n, e->held.columns, rows);
    TW_TRY(count_ngrams(e, n, rows));
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, conditions);
    tw_free(c->ctx, log_density);
    return status;
}

/* --- columns and pictures ---------------------------------------------------------------------------------------- */

static tw_status compare_columns(evaluation *e)
{
    int columns = e->held.columns;
    tw_status status = TW_OK;
    e->summaries = tw_alloc(e->c->ctx, 2 * (size_t)columns, sizeof *e->summaries);
    if (!e->summaries) return tw_fail_memory(e->c->ctx, 2 * (size_t)columns * sizeof *e->summaries);
    TW_TRY(summarise(e->c->ctx, columns, e->compared.samples_count, e->compared.samples, e->summaries));
    TW_TRY(summarise(e->c->ctx, columns, e->held.rows, e->held.values, e->summaries + columns));
    e->report.of_samples = e->summaries;
    e->report.of_data = e->summaries + columns;
done:
    return status;
}

static tw_status draw_flow(evaluation *e)
{
    cli *c = e->c;
    int frames = opt_given(&c->set, OPT_FRAMES) ? (int)opt_int(&c->set, OPT_FRAMES) : STANDARD_FRAMES;
    row_bar bar = {.c = c, .label = "flow", .rounds = frames - 1};
    tw_sample_desc desc = {.solver = solver_without_noise(c, &e->solver),
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .frames = frames,
                           .on_progress = on_rows,
                           .user = &bar};
    size_t row = (size_t)e->held.columns * sizeof(double);
    begin b = {0};
    tw_status status = TW_OK;
    int64_t n = shows_pictures(&e->m) ? FLOW_PICTURES : FLOW_ROWS;
    double *rows = tw_alloc(c->ctx, (size_t)n, row), *states = tw_alloc(c->ctx, (size_t)(n * frames), row);
    if (!rows || !states) TW_TRY(tw_fail_memory(c->ctx, (size_t)(n * frames) * row));
    TW_TRY(begin_open(c, &e->m, &e->held, n, &b));
    begin_set(&b, &desc);
    progress_begin(&c->progress);
    signals_watch();
    TW_TRY(tw_sample(e->m.flow, n, &desc, rows, states, NULL));
    model_from_bins(&e->m, n * frames * e->held.columns, states);
    progress_clear(&c->progress);
    const drawn d = {.m = &e->m, .n = n, .rows = states, .conditions = b.conditions, .same = b.same};
    TW_TRY(plot_flow(c->ctx, e->flow_path, &d, frames, false));
done:
    signals_release();
    begin_close(c, &b);
    tw_free(c->ctx, rows);
    tw_free(c->ctx, states);
    return status;
}

static tw_status draw_pictures(evaluation *e)
{
    int64_t shown = tw_min_i64(e->held.rows, e->compared.samples_count);
    shown = tw_min_i64(shown, shows_pictures(&e->m) ? PICTURES : PICTURE_ROWS);
    drawn held = {.m = &e->m, .n = shown, .rows = e->held.values, .conditions = e->held.conditions}, samples = held;
    tw_status status = TW_OK;
    double *copies = NULL;
    samples.rows = e->compared.samples;
    if (model_bins(&e->m).count > 0) { /* as the data has them */
        int64_t count = shown * e->held.columns;
        if (!(copies = tw_alloc(e->c->ctx, 2 * (size_t)count, sizeof *copies)))
            TW_TRY(tw_fail_memory(e->c->ctx, 2 * (size_t)count * sizeof *copies));
        memcpy(copies, held.rows, (size_t)count * sizeof *copies);
        memcpy(copies + count, samples.rows, (size_t)count * sizeof *copies);
        model_from_bins(&e->m, 2 * count, copies);
        held.rows = copies;
        samples.rows = copies + count;
    }
    e->report.clouds_path = e->clouds_path;
    e->report.flow_path = e->flow_path;
    TW_TRY(plot_both(e->c->ctx, e->clouds_path, "held-out data", &held, "samples", &samples));
    TW_TRY(draw_flow(e));
    if (has_density_map(&e->m)) {
        tw_ode_desc plain = solver_without_noise(e->c, &e->solver);
        TW_TRY(draw_density_map(e->c, &e->m, &plain, &e->held, e->compared.samples_count, e->compared.samples,
                                e->density_path));
        e->report.density_path = e->density_path;
    }
done:
    tw_free(e->c->ctx, copies);
    return status;
}

/* Of texts, whose samples are to be read; those of a file are there. */
static tw_status write_samples(evaluation *e)
{
    if (opt_given(&e->c->set, OPT_SAMPLES)) return TW_OK;
    e->report.samples_path = e->samples_path;
    return write_texts(e->c, &e->m, e->samples_path, e->compared.samples_count, e->compared.samples);
}

/* --- the verb ---------------------------------------------------------------------------------------------------- */

static bool name_outputs(evaluation *e)
{
    const char *out = opt_text(&e->c->set, OPT_OUT_REPORT);
    snprintf(e->folder, sizeof e->folder, "%s", out ? out : e->m.folder);
    e->report.report_path = e->text_path;
    return path_join(e->text_path, MODEL_PATH, e->folder, "report.txt") &&
           path_join(e->json_path, MODEL_PATH, e->folder, "report.json") &&
           path_join(e->clouds_path, MODEL_PATH, e->folder, shows_pictures(&e->m) ? "grid.png" : "clouds.png") &&
           path_join(e->flow_path, MODEL_PATH, e->folder, "flow.png") &&
           path_join(e->density_path, MODEL_PATH, e->folder, "density.png") &&
           path_join(e->samples_path, MODEL_PATH, e->folder, "samples.txt");
}

/* Both files; the text is shown as well. */
static tw_status write_report(evaluation *e)
{
    cli *c = e->c;
    tw_status status = TW_OK;
    tw_text text = tw_text_new(c->ctx);
    report_text(&e->report, &text);
    cJSON *object = report_json(&e->report);
    char *json = object ? cJSON_Print(object) : NULL;
    TW_TRY(tw_text_check(&text));
    if (!json) TW_TRY(tw_fail(c->ctx, TW_ERR_MEMORY, "out of memory while writing the report"));
    TW_TRY(write_text(c->ctx, e->text_path, text.data));
    TW_TRY(write_text(c->ctx, e->json_path, json));
    cli_say(c, "%s", text.data);
    cli_say(c, "report    %s, %s", e->text_path, e->json_path);
    const char *density = e->report.density_path;
    if (e->report.samples_path) cli_say(c, "samples   %s", e->report.samples_path);
    if (e->report.clouds_path)
        cli_say(c, "pictures  %s, %s%s%s%s%s", e->clouds_path, e->flow_path, e->judged.neighbours[0] ? ", " : "",
                e->judged.neighbours, density ? ", " : "", density ? density : "");
done:
    tw_text_free(&text);
    cJSON_Delete(object);
    cJSON_free(json);
    return status;
}

static tw_status evaluate(evaluation *e)
{
    tw_status status = TW_OK;
    TW_TRY(held_out_open(e->c, &e->m, true, &e->held));
    e->report.exact = e->report.counted = e->report.score.bits_per_dim = (double)NAN;
    if (strcmp(e->m.about->source, "data") != 0) TW_TRY(score_held_out(e));
    e->compared = (comparison){.c = e->c, .m = &e->m, .held = &e->held, .solver = e->solver};
    TW_TRY(comparison_draw(&e->compared));
    TW_TRY(comparison_measure(&e->compared, is_tokens(&e->m)     ? 0 /* symbols have no distance */
                                            : is_pictures(&e->m) ? 1 << DISTANCE_SLICED
                                                                 : REPORTED));
    TW_TRY(tw_make_folder(e->c->ctx, e->folder));
    if (is_pictures(&e->m)) {
        TW_TRY(judge_pictures(&e->compared, e->folder, &e->judged));
        TW_TRY(fid_measure(&e->compared, &e->fid));
        e->report.judged = &e->judged;
        e->report.fid = &e->fid;
    } else if (is_tokens(&e->m)) {
        TW_TRY(lines_compare(e->c, &e->m, &e->held, e->compared.samples_count, e->compared.samples, &e->lines));
        e->report.lines = &e->lines;
    } else {
        TW_TRY(compare_columns(e));
    }
    if (is_texts(&e->m))
        TW_TRY(write_samples(e));
    else if (!is_sequences(&e->m)) /* rows of different lengths make no picture */
        TW_TRY(draw_pictures(e));
    e->report.seconds = tw_clock() - e->c->started;
    TW_TRY(write_report(e));
done:
    return status;
}

int run_eval(cli *c)
{
    evaluation e = {.c = c};
    tw_status status = TW_OK;
    int result;
    if (opt_given(&c->set, OPT_SAMPLES) && is_file_of_rows(opt_text(&c->set, OPT_MODEL))) return eval_files(c);
    static const option_id of_files[] = {OPT_COLUMN, OPT_TRAINING_ROWS};
    for (int i = 0; i < TW_COUNT(of_files); i++)
        if (opt_given(&c->set, of_files[i]))
            return cli_usage("--%s is for eval FILE --samples FILE: a run knows its own",
                             option_table[of_files[i]].name);
    if (!solver_of(c, &e.solver)) return EXIT_USAGE;
    TW_TRY(cli_start(c));
    result = model_open(c, &e.m);
    if (result != EXIT_DONE) goto done;
    if (opt_given(&c->set, OPT_INCEPTION) && !is_pictures(&e.m)) {
        result = cli_usage("--inception is for flows of pictures");
        goto done;
    }
    if (is_table(&e.m)) {
        result = eval_table(c, &e.m);
        goto done;
    }
    if (!options_suit(c, &e.m)) {
        result = EXIT_USAGE;
        goto done;
    }
    TW_TRY(solver_suit(c, &e.m, &e.solver));
    e.report.m = &e.m;
    e.report.held = &e.held;
    e.report.compared = &e.compared;
    e.report.units = opt_text(&c->set, OPT_UNITS);
    if (!is_pictures(&e.m) && opt_int(&c->set, OPT_PAIRS) > MOST_PAIRS) {
        result = cli_usage("--pairs: %lld given, expected at most %d for rows that are no pictures",
                           (long long)opt_int(&c->set, OPT_PAIRS), MOST_PAIRS);
        goto done;
    }
    if (!name_outputs(&e)) TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "'%s': the path is too long", e.folder));
    TW_TRY(check_writable_folder(c->ctx, e.folder));
    TW_TRY(fid_open(c, &e.m, &e.fid));
    TW_TRY(evaluate(&e));
    result = c->json ? json_print(report_json(&e.report)) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    comparison_free(&e.compared);
    fid_close(&e.fid);
    tw_free(c->ctx, e.summaries);
    held_out_close(&e.held);
    model_close(&e.m);
    return result;
}
