/* eval.c - `thalweg eval`: a flow against held-out data.
 *
 * A distance alone says little: between two finite sets it is never 0. So each stands beside its floor, the distance of
 * as many training rows to the same held-out rows; both are averaged over fresh draws because one draw is noisy. */
#include "files.h"
#include "pictures.h"
#include "report.h"
#include "signals.h"

#include "base/file.h"
#include "data/normaliser.h"
#include "plot/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAW_SCORE = 0, DRAW_PAIRS = 1 /* and up, three a repeat */, FLOW_ROWS = 2000, PICTURE_ROWS = 20000 };

typedef struct evaluation {
    cli *c;
    model m;
    held_out held;
    tw_ode_desc solver;
    report report;
    int64_t samples_count;
    double *samples;
    tw_normaliser scale;
    column_summary *summaries; /* of samples, then of data */
    char folder[MODEL_PATH], text_path[MODEL_PATH], json_path[MODEL_PATH], clouds_path[MODEL_PATH],
        flow_path[MODEL_PATH];
} evaluation;

/* --- likelihood -------------------------------------------------------------------------------------------------- */

static tw_status score_held_out(evaluation *e)
{
    cli *c = e->c;
    int64_t n = tw_min_i64(opt_int(&c->set, OPT_N_EVAL), e->held.rows);
    tw_status status = TW_OK;
    double *rows = random_rows(c, DRAW_SCORE, e->held.columns, e->held.rows, e->held.values, n);
    double *log_density = tw_alloc(c->ctx, (size_t)n, sizeof *log_density);
    if (!rows || !log_density) TW_TRY(tw_fail_memory(c->ctx, (size_t)n * sizeof *rows));
    TW_TRY(score_rows(c, &e->m, &e->solver, n, rows, log_density, &e->report.score));
    e->report.exact = exact_nll(e->held.data, n, e->held.columns, rows);
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, log_density);
    return status;
}

/* --- distances -----------------------------------------------------------------------------------------------------
 */

static int64_t training_rows(const evaluation *e)
{
    return e->held.training ? tw_dataset_rows(e->held.training, TW_PART_TRAIN) : 0;
}

/* Distances between few rows are noisy and cheap: averaged over more draws. */
static int repeats_for(int64_t pairs)
{
    int64_t wanted = 6000 / pairs;
    return wanted < 3 ? 3 : wanted > 30 ? 30 : (int)wanted;
}

/* Pairs a side, and the samples they need. */
static tw_status draw_samples(evaluation *e)
{
    cli *c = e->c;
    report *r = &e->report;
    r->pairs = tw_min_i64(opt_int(&c->set, OPT_PAIRS), e->held.rows);
    if (training_rows(e) > 0) r->pairs = tw_min_i64(r->pairs, training_rows(e));
    r->repeats = (int)opt_int(&c->set, OPT_REPEATS);
    if (r->repeats == 0) r->repeats = repeats_for(r->pairs);
    e->samples_count = tw_max_i64(r->pairs * r->repeats, 1000);
    row_bar bar = {.c = c, .label = "sample"};
    tw_sample_desc desc = {
        .solver = e->solver, .seed = opt_seed(&c->set, OPT_SEED), .on_progress = on_rows, .user = &bar};
    size_t row = (size_t)e->held.columns * sizeof(double);
    e->samples = tw_alloc(c->ctx, (size_t)e->samples_count, row);
    if (!e->samples) return tw_fail_memory(c->ctx, (size_t)e->samples_count * row);
    progress_begin(&c->progress);
    signals_watch();
    tw_status status = tw_sample(e->m.flow, e->samples_count, &desc, e->samples, NULL, &r->sampling);
    signals_release();
    progress_clear(&c->progress);
    return status;
}

/* Columns divided by their standard deviation over the training rows (held-out rows when those are not at hand). */
static tw_status fit_scale(evaluation *e)
{
    const held_out *h = &e->held;
    if (strcmp(opt_text(&e->c->set, OPT_UNITS), "data") == 0) return TW_OK;
    if (training_rows(e) > 0)
        return tw_normaliser_fit(e->c->ctx, training_rows(e), h->columns, tw_dataset_values(h->training, TW_PART_TRAIN),
                                 &e->scale);
    return tw_normaliser_fit(e->c->ctx, h->rows, h->columns, h->values, &e->scale);
}

/* A draw of `count` rows in the units of the distances. NULL: no memory. */
static double *scaled_rows(evaluation *e, uint64_t draw, int64_t rows, const double *values)
{
    double *out = random_rows(e->c, draw, e->held.columns, rows, values, e->report.pairs);
    if (out && e->scale.columns) tw_normaliser_apply(&e->scale, e->report.pairs, out, out);
    return out;
}

/* The three distances between a and b, kept as running sums and sums of squares in value, value_sd. */
static tw_status measure(evaluation *e, const double *a, const double *b, double out[3])
{
    tw_context *ctx = e->c->ctx;
    int columns = e->held.columns, projections = (int)opt_int(&e->c->set, OPT_PROJECTIONS);
    int64_t n = e->report.pairs;
    uint64_t seed = opt_seed(&e->c->set, OPT_SEED);
    tw_status status = TW_OK;
    TW_TRY(tw_energy_distance(ctx, columns, n, a, n, b, &out[0]));
    TW_TRY(tw_wasserstein2(ctx, columns, n, a, b, NULL, &out[1]));
    TW_TRY(tw_sliced_wasserstein2(ctx, columns, n, a, n, b, projections, seed, &out[2]));
done:
    return status;
}

static double mean_of(int n, const double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[3 * i];
    return sum / n;
}

static double sd_of(int n, const double *x)
{
    double mean = mean_of(n, x), squares = 0;
    for (int i = 0; i < n; i++) squares += (x[3 * i] - mean) * (x[3 * i] - mean);
    return n > 1 ? sqrt(squares / (n - 1)) : (double)NAN;
}

static tw_status one_repeat(evaluation *e, int k, double *value, double *floor_value)
{
    tw_context *ctx = e->c->ctx;
    report *r = &e->report;
    uint64_t draw = DRAW_PAIRS + 3 * (uint64_t)k;
    tw_status status = TW_OK;
    double *held = scaled_rows(e, draw, e->held.rows, e->held.values);
    double *samples = scaled_rows(e, draw + 1, r->pairs, e->samples + (int64_t)k * r->pairs * e->held.columns);
    double *training = NULL;
    if (training_rows(e) > 0)
        training = scaled_rows(e, draw + 2, training_rows(e), tw_dataset_values(e->held.training, TW_PART_TRAIN));
    if (!held || !samples || (training_rows(e) > 0 && !training))
        TW_TRY(tw_fail_memory(ctx, (size_t)(r->pairs * e->held.columns) * sizeof *held));
    TW_TRY(measure(e, samples, held, value));
    if (training) TW_TRY(measure(e, training, held, floor_value));
done:
    tw_free(ctx, held);
    tw_free(ctx, samples);
    tw_free(ctx, training);
    return status;
}

static tw_status measure_distances(evaluation *e)
{
    report *r = &e->report;
    tw_status status = TW_OK;
    distance *const all[3] = {&r->energy, &r->w2, &r->sliced};
    double *values = tw_alloc(e->c->ctx, 6 * (size_t)r->repeats, sizeof *values);
    if (!values) return tw_fail_memory(e->c->ctx, 6 * (size_t)r->repeats * sizeof *values);
    double *floors = values + 3 * r->repeats;
    for (int i = 0; i < 3 * r->repeats; i++) floors[i] = (double)NAN;
    progress_begin(&e->c->progress);
    for (int k = 0; k < r->repeats; k++) {
        progress_show(&e->c->progress, "distances", (double)k / r->repeats, "energy, 2-Wasserstein, sliced", true);
        TW_TRY(one_repeat(e, k, values + 3 * k, floors + 3 * k));
    }
    progress_clear(&e->c->progress);
    for (int i = 0; i < 3; i++)
        *all[i] = (distance){mean_of(r->repeats, values + i), sd_of(r->repeats, values + i),
                             mean_of(r->repeats, floors + i), sd_of(r->repeats, floors + i)};
done:
    tw_free(e->c->ctx, values);
    return status;
}

/* --- columns and pictures --------------------------------------------------------------------------------------------
 */

static tw_status compare_columns(evaluation *e)
{
    int columns = e->held.columns;
    tw_status status = TW_OK;
    e->summaries = tw_alloc(e->c->ctx, 2 * (size_t)columns, sizeof *e->summaries);
    if (!e->summaries) return tw_fail_memory(e->c->ctx, 2 * (size_t)columns * sizeof *e->summaries);
    TW_TRY(summarise(e->c->ctx, columns, e->samples_count, e->samples, e->summaries));
    TW_TRY(summarise(e->c->ctx, columns, e->held.rows, e->held.values, e->summaries + columns));
    e->report.of_samples = e->summaries;
    e->report.of_data = e->summaries + columns;
done:
    return status;
}

static tw_status draw_flow(evaluation *e)
{
    cli *c = e->c;
    int frames = (int)opt_int(&c->set, OPT_FRAMES);
    row_bar bar = {.c = c, .label = "flow", .rounds = frames - 1};
    tw_sample_desc desc = {.solver = e->solver,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .frames = frames,
                           .on_progress = on_rows,
                           .user = &bar};
    size_t row = (size_t)e->held.columns * sizeof(double);
    tw_status status = TW_OK;
    double *rows = tw_alloc(c->ctx, FLOW_ROWS, row), *states = tw_alloc(c->ctx, FLOW_ROWS * (size_t)frames, row);
    if (!rows || !states) TW_TRY(tw_fail_memory(c->ctx, FLOW_ROWS * (size_t)frames * row));
    progress_begin(&c->progress);
    signals_watch();
    TW_TRY(tw_sample(e->m.flow, FLOW_ROWS, &desc, rows, states, NULL));
    progress_clear(&c->progress);
    TW_TRY(plot_flow(c->ctx, e->flow_path, &e->m, frames, FLOW_ROWS, states));
done:
    signals_release();
    tw_free(c->ctx, rows);
    tw_free(c->ctx, states);
    return status;
}

static tw_status draw_pictures(evaluation *e)
{
    int64_t shown = tw_min_i64(tw_min_i64(e->held.rows, e->samples_count), PICTURE_ROWS);
    tw_cloud clouds[] = {{"held-out data", shown, e->held.values}, {"samples", shown, e->samples}};
    tw_status status = TW_OK;
    TW_TRY(tw_plot_clouds(e->c->ctx, e->clouds_path, e->held.columns, e->m.about->names, 2, clouds));
    TW_TRY(draw_flow(e));
done:
    return status;
}

/* --- the verb
 * ---------------------------------------------------------------------------------------------------------- */

static bool name_outputs(evaluation *e)
{
    const char *out = opt_text(&e->c->set, OPT_OUT_REPORT);
    snprintf(e->folder, sizeof e->folder, "%s", out ? out : e->m.folder);
    e->report.report_path = e->text_path;
    e->report.clouds_path = e->clouds_path;
    e->report.flow_path = e->flow_path;
    return path_join(e->text_path, MODEL_PATH, e->folder, "report.txt") &&
           path_join(e->json_path, MODEL_PATH, e->folder, "report.json") &&
           path_join(e->clouds_path, MODEL_PATH, e->folder, "clouds.png") &&
           path_join(e->flow_path, MODEL_PATH, e->folder, "flow.png");
}

static tw_status write_text(tw_context *ctx, const char *path, const char *text)
{
    tw_writer writer = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_writer_open(ctx, path, &writer));
    TW_TRY(tw_writer_write(&writer, text, strlen(text)));
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    return status;
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
    cli_say(c, "pictures  %s, %s", e->clouds_path, e->flow_path);
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
    TW_TRY(fit_scale(e));
    TW_TRY(score_held_out(e));
    TW_TRY(draw_samples(e));
    TW_TRY(measure_distances(e));
    TW_TRY(compare_columns(e));
    TW_TRY(tw_make_folder(e->c->ctx, e->folder));
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
    if (!solver_of(c, &e.solver)) return EXIT_USAGE;
    TW_TRY(cli_start(c));
    result = model_open(c, &e.m);
    if (result != EXIT_DONE) goto done;
    e.report.m = &e.m;
    e.report.held = &e.held;
    e.report.units = opt_text(&c->set, OPT_UNITS);
    if (!name_outputs(&e)) TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "'%s': the path is too long", e.folder));
    TW_TRY(check_writable_folder(c->ctx, e.folder));
    TW_TRY(evaluate(&e));
    result = c->json ? json_print(report_json(&e.report)) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    tw_normaliser_free(c->ctx, &e.scale);
    tw_free(c->ctx, e.samples);
    tw_free(c->ctx, e.summaries);
    held_out_close(&e.held);
    model_close(&e.m);
    return result;
}
