/* train.c - `thalweg train`: from a data file to a model in a run's folder.
 *
 * What can be wrong is found before the long part begins: options, the folder, the data. config.yaml is written first,
 * so that
 * --resume needs nothing but the folder; the checkpoint goes when the model is there. */
#include "begin.h"
#include "embedding.h"
#include "files.h"
#include "kinds.h"
#include "model.h"
#include "network.h"
#include "pictures.h"
#include "run.h"
#include "signals.h"
#include "surface.h"
#include "tables.h"
#include "texts.h"
#include "tokens.h"

#include "base/file.h"
#include "data/dataset.h"
#include "plot/plot.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct training {
    cli *c;
    run_files files;
    tw_dataset *data, *source; /* source: NULL unless --source-data */
    model teacher;             /* nothing unless --teacher */
    tw_tokeniser *tokeniser;   /* of texts, else NULL */
    tw_flow *flow;
    tw_train_result result;
    tw_train_progress seen;          /* the last progress */
    bool resumed, drawn;             /* drawn: there is a picture of samples */
    char last_word[MODEL_PATH + 16]; /* the folder as typed in a shell */
} training;

static int on_progress(void *user, const tw_train_progress *now)
{
    training *t = user;
    char detail[256], rate[48], time[32], done[32], all[32], validation[48] = "";
    double share = now->steps > 0 ? (double)now->step / (double)now->steps : 0, left = now->seconds_left;
    double budget = 60 * opt_number(&t->c->set, OPT_MINUTES);
    bool known = now->steps > 0, ended = known && now->step == now->steps && now->validating == 0;
    t->seen = *now;
    if (now->making > 0) {
        progress_show(&t->c->progress, "rows", now->making, t->teacher.flow ? "a teacher's pairs" : "how far to smooth",
                      false);
        return signals_caught() != 0;
    }
    if (budget > 0 && !ended) { /* by the clock, which runs evenly */
        share = fmin(now->seconds / budget, 0.99);
        left = fmax(budget - now->seconds, 0);
    }
    if (now->validating > 0)
        snprintf(validation, sizeof validation, "\tvalidating, %.0f %%", floor(100 * now->validating));
    else if (isfinite(now->validation))
        snprintf(validation, sizeof validation, "\tvalidation %.4f", now->validation);
    human_count((double)now->step, done, sizeof done);
    human_count((double)now->steps, all, sizeof all);
    snprintf(detail, sizeof detail, "step %s%s%s\tloss %.4f\t%s left\t%s%s", done, known ? " of " : "",
             known ? all : "", now->loss, human_time(left, time, sizeof time),
             human_rate(now->steps_per_second, "steps", rate, sizeof rate), validation);
    progress_show(&t->c->progress, "train", share, detail, ended);
    return signals_caught() != 0;
}

/* --- before ---------------------------------------------------------------------------------------------------- */

/* --steps and --minutes: the one that was said closer to the command line counts. */
static int settle_length(settings *s)
{
    if (!opt_given(s, OPT_STEPS) || !opt_given(s, OPT_MINUTES)) return EXIT_DONE;
    if (s->value[OPT_STEPS].from == s->value[OPT_MINUTES].from)
        return cli_usage("--steps and --minutes: give one of them");
    settings_forget(s, s->value[OPT_STEPS].from < s->value[OPT_MINUTES].from ? OPT_STEPS : OPT_MINUTES);
    return EXIT_DONE;
}

/* --levels with the range that was found, for whatever is read later. */
static tw_status settle_levels(training *t)
{
    char text[128], error[256];
    const tw_bins *bins = tw_dataset_bins(t->data);
    if (!bins) return TW_OK;
    snprintf(text, sizeof text, "%d,%.17g,%.17g", bins->count, bins->low, bins->high);
    return settings_set(&t->c->set, OPT_LEVELS, text, ORIGIN_COMMAND, error, sizeof error)
               ? TW_OK
               : tw_fail(t->c->ctx, TW_ERR_INVALID, "%s", error);
}

static tw_status open_data(training *t)
{
    cli *c = t->c;
    double split[3];
    char rows[32], part[3][32], kind[64];
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    const char *path = opt_text(&c->set, OPT_DATA);
    bool text = is_text_data(&c->set, path);
    tw_status status = text ? open_texts(c, &c->set, path, &desc, &t->tokeniser, &t->data, &t->source)
                            : open_rows(c->ctx, &c->set, path, &desc, &t->data);
    if (status != TW_OK) return status;
    show_notes(c, t->data);
    status = data_options_suit(c, &c->set, t->data);
    if (status == TW_OK) status = settle_levels(t);
    if (status != TW_OK) return status;
    if (!text) status = open_source(c->ctx, &c->set, &t->source);
    if (status != TW_OK) return status;
    for (int i = 0; i < 3; i++) human_count((double)tw_dataset_rows(t->data, (tw_part)i), part[i], sizeof part[i]);
    int64_t all = tw_dataset_rows(t->data, TW_PART_ALL), few = 10;
    const tw_image *image = tw_dataset_image(t->data);
    if (image)
        snprintf(kind, sizeof kind, "%s of %d x %d pixels%s", all == 1 ? "picture" : "pictures", image->height,
                 image->width, image->channels == 3 ? " in colour" : "");
    else
        snprintf(kind, sizeof kind, "%s of %d %s", all == 1 ? "row" : "rows", tw_dataset_columns(t->data),
                 tw_dataset_columns(t->data) == 1 ? "column" : "columns");
    const tw_schema *schema = tw_dataset_schema(t->data);
    if (schema)
        snprintf(kind, sizeof kind, "rows of %d columns, which are %d numbers and %d tokens", schema->columns,
                 schema->numbers, schema->codes - schema->numbers);
    cli_say(c, "%s: %s %s (%s to train, %s to validate, %s held out)", opt_text(&c->set, OPT_DATA),
            human_count((double)all, rows, sizeof rows), kind, part[0], part[1], part[2]);
    if (tw_dataset_rows(t->data, TW_PART_TRAIN) < few)
        cli_note(c, "with so few rows a flow can only learn them by heart");
    return schema ? say_reading(c, schema) : TW_OK;
}

/* Of a table the space of its codes, and what was found in it as a fact. */
static tw_status take_schema(training *t, char **out_space)
{
    const tw_schema *schema = tw_dataset_schema(t->data);
    tw_text space = tw_text_new(t->c->ctx);
    if (!schema) return TW_OK;
    tw_schema_space(schema, &space);
    tw_status status = tw_text_check(&space);
    if (status != TW_OK) tw_text_free(&space);
    *out_space = space.data;
    return status;
}

static tw_status create_flow(training *t)
{
    const settings *s = &t->c->set;
    tw_context *ctx = t->c->ctx;
    int columns = tw_dataset_columns(t->data);
    tw_status status = TW_OK;
    const char **names = tw_alloc(ctx, (size_t)columns, sizeof *names);
    int *decimals = tw_alloc(ctx, (size_t)columns, sizeof *decimals);
    char *product = NULL;
    tw_mesh *mesh = NULL;
    embedding places = {0};
    if (!names || !decimals) TW_TRY(tw_fail_memory(ctx, (size_t)columns * sizeof *names));
    for (int i = 0; i < columns; i++) {
        names[i] = tw_dataset_name(t->data, i);
        decimals[i] = tw_dataset_decimals(t->data, i);
    }
    char space[64];
    const char *space_name = NULL;
    TW_TRY(take_schema(t, &product));
    TW_TRY(embedding_open(t->c, t->tokeniser, &places));
    TW_TRY(space_text(t->c, t->data, t->tokeniser, space, &space_name));
    if (product) space_name = product;
    if (mesh_of(s)) {
        TW_TRY(tw_mesh_read(ctx, mesh_of(s), &mesh));
        if (!opt_given(s, OPT_SPACE)) space_name = "mesh";
    }
    tw_flow_desc desc = {.method = opt_text(s, OPT_METHOD),
                         .space = space_name,
                         .source = t->source ? "data" : opt_text(s, OPT_SOURCE),
                         .path = opt_text(s, OPT_PATH),
                         .schedule = opt_text(s, OPT_SCHEDULE),
                         .factor_schedules = opt_text(s, OPT_FACTOR_SCHEDULES),
                         .factor_weights = opt_text(s, OPT_FACTOR_WEIGHTS),
                         .coupling =
                             t->teacher.flow && !opt_given(s, OPT_COUPLING) ? "given" : opt_text(s, OPT_COUPLING),
                         .predict = opt_text(s, OPT_PREDICT),
                         .loss = opt_text(s, OPT_LOSS),
                         .weight = opt_text(s, OPT_WEIGHT),
                         .time_density = opt_text(s, OPT_TIME_DENSITY),
                         .gamma = opt_text(s, OPT_GAMMA),
                         .network = {.kind = opt_text(s, OPT_NETWORK)},
                         .conditions = tw_dataset_condition(t->data, 0),
                         .conditions_count = tw_dataset_conditions_count(t->data),
                         .columns = columns,
                         .mesh = mesh,
                         .embedding = places.place,
                         .embedding_symbols = places.symbols,
                         .embedding_width = places.width,
                         .image = tw_dataset_image(t->data) ? *tw_dataset_image(t->data) : (tw_image){0},
                         .names = names,
                         .decimals = decimals,
                         .seed = opt_seed(s, OPT_SEED)};
    TW_TRY(network_options(ctx, s, &desc.network));
    TW_TRY(tw_flow_create(ctx, &desc, &t->flow));
    char count[32], network[NETWORK_TEXT];
    cli_say(t->c, "network: %s, %s parameters; %d %s", network_text(&tw_flow_about(t->flow)->network, network),
            human_count((double)tw_flow_parameters(t->flow), count, sizeof count), tw_context_threads(ctx),
            tw_context_threads(ctx) == 1 ? "thread" : "threads");
done:
    tw_free(ctx, names);
    tw_free(ctx, decimals);
    tw_free(ctx, product);
    embedding_close(t->c, &places);
    tw_mesh_destroy(mesh); /* which the flow shares */
    return status;
}

/* What the model must know to find its held-out rows again: the data's name (not where it lay) and the settings. */
static tw_status set_facts(training *t)
{
    char data[MODEL_PATH];
    tw_status status = TW_OK;
    char rows[32], *tokeniser = NULL;
    tw_text text = tw_text_new(t->c->ctx), schema = tw_text_new(t->c->ctx);
    path_name(data, sizeof data, opt_text(&t->c->set, OPT_DATA));
    config_write(&t->c->set, data, &text);
    TW_TRY(tw_text_check(&text));
    snprintf(rows, sizeof rows, "%" PRId64, tw_dataset_rows(t->data, TW_PART_ALL));
    if (t->tokeniser) {
        TW_TRY(tw_tokeniser_to_text(t->c->ctx, t->tokeniser, &tokeniser));
        TW_TRY(tw_flow_set_fact(t->flow, FACT_TOKENISER, tokeniser));
    }
    if (opt_text(&t->c->set, OPT_LEVELS))
        TW_TRY(tw_flow_set_fact(t->flow, FACT_LEVELS, opt_text(&t->c->set, OPT_LEVELS)));
    if (tw_dataset_schema(t->data)) {
        tw_schema_save(tw_dataset_schema(t->data), &schema);
        TW_TRY(tw_text_check(&schema));
        TW_TRY(tw_flow_set_fact(t->flow, FACT_SCHEMA, schema.data));
    }
    TW_TRY(tw_flow_set_fact(t->flow, FACT_DATA, data));
    TW_TRY(tw_flow_set_fact(t->flow, FACT_ROWS, rows));
    TW_TRY(tw_flow_set_fact(t->flow, FACT_SETTINGS, text.data));
done:
    tw_string_free(t->c->ctx, tokeniser);
    tw_text_free(&text);
    tw_text_free(&schema);
    return status;
}

/* --- the long part ----------------------------------------------------------------------------------------------- */

/* For the library 0 means "the default"; a user who says 0 means none. */
static double or_none(double value, double none)
{
    return value > 0 ? value : none;
}

static tw_status fit(training *t)
{
    cli *c = t->c;
    const settings *s = &c->set;
    tw_train_desc desc = {
        .steps = opt_int(s, OPT_STEPS),
        .minutes = opt_number(s, OPT_MINUTES),
        .batch = (int)opt_int(s, OPT_BATCH),
        .optimiser = opt_text(s, OPT_OPTIMISER),
        .lr = opt_number(s, OPT_LR),
        .warmup = opt_int(s, OPT_WARMUP),
        .weight_decay = opt_given(s, OPT_WEIGHT_DECAY) ? or_none(opt_number(s, OPT_WEIGHT_DECAY), -1) : 0,
        .beta1 = opt_number(s, OPT_BETA1),
        .beta2 = opt_number(s, OPT_BETA2),
        .epsilon = opt_number(s, OPT_EPSILON),
        .clip = or_none(opt_number(s, OPT_CLIP), -1),
        .patience = opt_number(s, OPT_PATIENCE),
        .ema = or_none(opt_number(s, OPT_EMA), DBL_MIN),
        .products = strcmp(opt_text(s, OPT_PRECISION), "bf16") == 0 ? TW_PRODUCTS_BF16 : TW_PRODUCTS_F32,
        .recompute = opt_flag(s, OPT_RECOMPUTE),
        .independent_times = !opt_flag(s, OPT_STRATIFIED),
        .source = t->source,
        .teacher = t->teacher.flow,
        .pairs = opt_int(s, OPT_TEACHER_PAIRS),
        .accumulate = (int)opt_int(s, OPT_ACCUMULATE),
        .flip = opt_flag(s, OPT_FLIP),
        .shift = (int)opt_int(s, OPT_SHIFT),
        .dequantise = opt_flag(s, OPT_DEQUANTISED),
        .smooth = opt_number(s, OPT_SMOOTH),
        .condition_dropout = or_none(opt_number(s, OPT_CONDITION_DROPOUT), -1),
        .seed = opt_seed(s, OPT_SEED),
        .checkpoint = t->files.checkpoint,
        .checkpoint_seconds = opt_number(s, OPT_CHECKPOINT_SECONDS),
        .checkpoint_steps = opt_int(s, OPT_CHECKPOINT_STEPS),
        .resume = t->resumed,
        .on_progress = on_progress,
        .user = t};
    if (opt_given(s, OPT_WARMUP) && desc.warmup == 0) desc.warmup = 1;
    progress_begin(&c->progress);
    signals_watch();
    tw_status status = tw_train(t->flow, t->data, &desc, &t->result);
    if (status == TW_OK) status = tw_flow_save(t->flow, t->files.model);
    signals_release();
    progress_clear(&c->progress);
    return status;
}

/* --- after ------------------------------------------------------------------------------------------------------- */

/* The mean over the points at most `reach` before and after each point: single losses are noisy. */
static void smooth(int64_t n, int64_t reach, const double *x, double *out)
{
    double sum = 0;
    int64_t low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        while (high < tw_min_i64(i + reach + 1, n)) sum += x[high++];
        while (low < i - reach) sum -= x[low++];
        out[i] = sum / (double)(high - low);
    }
}

static tw_status plot_curve(training *t)
{
    const tw_train_result *r = &t->result;
    double *mean = tw_alloc(t->c->ctx, (size_t)r->curve_count, sizeof *mean);
    if (!mean) return tw_fail_memory(t->c->ctx, (size_t)r->curve_count * sizeof *mean);
    smooth(r->curve_count, r->curve_count / 60, r->curve_loss, mean);
    tw_curve curves[] = {{"loss", r->curve_count, r->curve_step, r->curve_loss},
                         {"smoothed", r->curve_count, r->curve_step, mean}};
    tw_status status = tw_plot_curves(t->c->ctx, t->files.loss_png, "training loss", "step", "loss", 2, curves);
    tw_free(t->c->ctx, mean);
    return status;
}

static tw_status write_curve(training *t)
{
    tw_status status = TW_OK;
    const tw_train_result *r = &t->result;
    tw_writer writer = {0};
    if (r->curve_count == 0) return TW_OK;
    TW_TRY(tw_writer_open(t->c->ctx, t->files.loss_csv, &writer));
    TW_TRY(tw_writer_print(&writer, "step,loss\n"));
    for (int64_t i = 0; i < r->curve_count; i++)
        TW_TRY(tw_writer_print(&writer, "%.0f,%.9g\n", r->curve_step[i], r->curve_loss[i]));
    TW_TRY(tw_writer_commit(&writer));
    TW_TRY(plot_curve(t));
done:
    tw_writer_abandon(&writer);
    return status;
}

/* Of a model of pictures a few samples, of every class, as `thalweg sample` would draw them. */
static tw_status draw_samples(training *t)
{
    cli *c = t->c;
    model m = {.flow = t->flow, .about = tw_flow_about(t->flow)};
    row_bar bar = {.c = c, .label = "sample"};
    tw_sample_desc desc = {
        .solver = {.t1 = 1}, .seed = opt_seed(&c->set, OPT_SEED), .on_progress = on_rows, .user = &bar};
    begin b = {0};
    double *rows = NULL;
    tw_status status = TW_OK;
    if (!shows_pictures(&m) || t->source) return TW_OK;
    TW_TRY(solver_suit(c, &m, &desc.solver));
    TW_TRY(begin_open(c, &m, NULL, 0, &b));
    begin_set(&b, &desc);
    rows = tw_alloc(c->ctx, (size_t)b.n, (size_t)m.about->columns * sizeof *rows);
    if (!rows) TW_TRY(tw_fail_memory(c->ctx, (size_t)b.n * (size_t)m.about->columns * sizeof *rows));
    progress_begin(&c->progress);
    TW_TRY(tw_sample(t->flow, b.n, &desc, rows, NULL, NULL));
    model_from_bins(&m, b.n * m.about->columns, rows);
    const drawn d = {.m = &m, .n = b.n, .rows = rows, .conditions = b.conditions, .same = b.same};
    TW_TRY(plot_samples(c->ctx, t->files.samples_png, &d));
    t->drawn = true;
done:
    progress_clear(&c->progress);
    tw_free(c->ctx, rows);
    begin_close(c, &b);
    return status;
}

static int64_t peak_bytes(void)
{
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) == 0 ? (int64_t)use.ru_maxrss * 1024 : 0;
}

/* Whose weights are kept: the last one's, where rows are not validated. */
static int64_t best_step(const training *t)
{
    double step = fact_number(t->flow, "best_step");
    return isnan(step) ? t->result.steps : (int64_t)step;
}

static void tell(training *t)
{
    const double by_heart = 0.8; /* rows are learned so when the best step is before this share of them */
    const tw_train_result *r = &t->result;
    char time[32], rate[48], steps[32], memory[32], moments[32], draws[32], validation[96] = "";
    if (isfinite(r->validation))
        snprintf(validation, sizeof validation, ", validation loss %.4f of %s draws", r->validation,
                 human_count((double)r->validation_draws, draws, sizeof draws));
    cli_say(t->c, "trained %s steps in %s (%s): loss %.4f%s; peak memory %s, of which %s optimiser state",
            human_count((double)r->steps, steps, sizeof steps), human_time(r->seconds, time, sizeof time),
            human_rate(r->steps_per_second, "steps", rate, sizeof rate), r->loss, validation,
            human_bytes((double)peak_bytes(), memory, sizeof memory),
            human_bytes((double)r->optimiser_bytes, moments, sizeof moments));
    if ((double)best_step(t) < by_heart * (double)r->steps)
        cli_say(t->c, "kept        the weights of step %s, when the validation loss was least%s",
                human_count((double)best_step(t), steps, sizeof steps),
                opt_number(&t->c->set, OPT_PATIENCE) > 0 ? "" : "; --patience 0.1 ends soon after it");
    cli_say(t->c, "model       %s", t->files.model);
    if (r->curve_count) cli_say(t->c, "loss curve  %s, %s", t->files.loss_png, t->files.loss_csv);
    if (t->drawn) cli_say(t->c, "samples     %s", t->files.samples_png);
    cli_say(t->c, "settings    %s", t->files.config);
    bool table = tw_dataset_schema(t->data) != NULL;
    cli_say(t->c, "\nNext: thalweg %s %s", table ? "sample" : "eval", t->last_word);
}

static int print_json(training *t)
{
    const tw_train_result *r = &t->result;
    const tw_flow_desc *about = tw_flow_about(t->flow);
    cJSON *object = cJSON_CreateObject();
    json_text(object, "model", t->files.model);
    json_int(object, "steps", r->steps);
    json_int(object, "best_step", best_step(t));
    json_number(object, "seconds", r->seconds);
    json_number(object, "loss", r->loss);
    json_number(object, "validation", r->validation);
    json_int(object, "validation_draws", r->validation_draws);
    json_number(object, "steps_per_second", r->steps_per_second);
    json_int(object, "peak_bytes", peak_bytes());
    json_int(object, "optimiser_bytes", r->optimiser_bytes);
    json_int(object, "parameters", tw_flow_parameters(t->flow));
    json_int(object, "rows", tw_dataset_rows(t->data, TW_PART_ALL));
    json_int(object, "columns", about->columns);
    json_text(object, "data", opt_text(&t->c->set, OPT_DATA));
    json_text(object, "out", t->files.folder);
    json_seed(object, "seed", about->seed);
    json_int(object, "threads", tw_context_threads(t->c->ctx));
    cJSON_AddBoolToObject(object, "resumed", t->resumed);
    return json_print(object);
}

static int stopped(training *t)
{
    progress_clear(&t->c->progress);
    if (file_exists(t->files.checkpoint))
        cli_complain("stopped after step %" PRId64 "; continue with: thalweg train --resume --out %s", t->seen.step,
                     t->last_word);
    else
        cli_complain("stopped before the first checkpoint");
    return 128 + signals_caught();
}

static tw_status prepare(training *t)
{
    cli *c = t->c;
    tw_status status = TW_OK;
    TW_TRY(check_writable_folder(c->ctx, t->files.folder));
    TW_TRY(run_check_earlier(c, &t->files));
    TW_TRY(open_data(t));
    TW_TRY(create_flow(t));
    TW_TRY(set_facts(t));
    TW_TRY(run_begin(c, &t->files, t->resumed));
done:
    return status;
}

int run_train(cli *c)
{
    training t = {.c = c};
    tw_status status = TW_OK;
    bool finished = false;
    int result = run_locate(c, &t.files, &t.resumed, &finished);
    if (result == EXIT_DONE) result = settle_length(&c->set);
    if (result != EXIT_DONE) return result;
    shell_word(t.last_word, sizeof t.last_word, t.files.folder);
    TW_TRY(cli_start(c));
    if (finished) return run_tell_finished(c, &t.files);
    if (opt_given(&c->set, OPT_TEACHER)) TW_TRY(model_open_at(c->ctx, opt_text(&c->set, OPT_TEACHER), &t.teacher));
    TW_TRY(prepare(&t));
    status = fit(&t);
    if (status == TW_ERR_CANCELLED && signals_caught()) {
        result = stopped(&t);
        status = TW_OK;
        goto done;
    }
    if (status == TW_ERR_NUMERIC) run_end(&t.files); /* going on from there would fail again */
    TW_TRY(status);
    TW_TRY(write_curve(&t));
    if (draw_samples(&t) != TW_OK) cli_note(c, "no picture of samples: %s", tw_context_error(c->ctx));
    run_end(&t.files);
    tell(&t);
    result = c->json ? print_json(&t) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    tw_flow_destroy(t.flow);
    model_close(&t.teacher);
    tw_dataset_destroy(t.data);
    tw_tokeniser_destroy(t.tokeniser);
    tw_dataset_destroy(t.source);
    return result;
}
