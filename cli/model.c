/* model.c - see model.h. */
#include "model.h"

#include "files.h"
#include "kinds.h"
#include "pictures.h"
#include "sequences.h"
#include "signals.h"
#include "surface.h"
#include "tables.h"
#include "texts.h"
#include "tokens.h"

#include "base/file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the model file ------------------------------------------------------------------------------------------ */

static tw_status find_model(tw_context *ctx, const char *given, model *m)
{
    char checkpoint[MODEL_PATH];
    snprintf(m->shown, sizeof m->shown, "%s", given);
    if (!folder_exists(given)) {
        snprintf(m->path, sizeof m->path, "%s", given);
        const char *slash = strrchr(given, '/');
        snprintf(m->folder, sizeof m->folder, "%.*s", slash ? (int)(slash - given) : 1, slash ? given : ".");
        if (slash == given) snprintf(m->folder, sizeof m->folder, "/");
        return TW_OK;
    }
    snprintf(m->folder, sizeof m->folder, "%s", given);
    if (!path_join(m->path, sizeof m->path, given, MODEL_FILE) ||
        !path_join(checkpoint, sizeof checkpoint, given, CHECKPOINT_FILE))
        return tw_fail(ctx, TW_ERR_IO, "'%s': the path is too long", given);
    if (file_exists(m->path)) return TW_OK;
    if (file_exists(checkpoint))
        return tw_fail(
            ctx, TW_ERR_IO,
            "'%s' holds no model yet, its training was stopped; continue it with: thalweg train --resume --out %s",
            given, given);
    return tw_fail(ctx, TW_ERR_IO, "'%s' holds no model: there is no %s in it", given, MODEL_FILE);
}

tw_status model_open_at(tw_context *ctx, const char *given, model *out_model)
{
    model m = {0};
    tw_status status = find_model(ctx, given, &m);
    if (status == TW_OK) status = tw_flow_load(ctx, m.path, &m.flow);
    if (status != TW_OK) return status;
    m.about = tw_flow_about(m.flow);
    *out_model = m;
    return TW_OK;
}

int model_open(cli *c, model *out_model)
{
    const char *given = opt_text(&c->set, OPT_MODEL);
    if (given) return cli_exit(c, model_open_at(c->ctx, given, out_model));
    return cli_usage("%s needs a MODEL: a run's folder or a .safetensors file (thalweg %s --help)", c->verb->name,
                     c->verb->name);
}

void model_close(model *m)
{
    tw_flow_destroy(m->flow);
    *m = (model){0};
}

/* --- its data ------------------------------------------------------------------------------------------------ */

bool is_builtin(const char *name)
{
    const tw_builtin_info *info;
    for (int i = 0; (info = tw_builtin_list(i)); i++)
        if (strcmp(info->name, name) == 0) return true;
    return is_builtin_text(name);
}

static int word_index(const char *text, const char *words)
{
    int index = 0;
    for (const char *at = words; text && *at; at += strcspn(at, "|"), at += *at == '|', index++)
        if (strcspn(at, "|") == strlen(text) && strncmp(at, text, strlen(text)) == 0) return index;
    return 0;
}

/* Whether columns of all kinds may be learned together: nothing that was asked for is of another kind of flow. */
static tw_mixed mixed_of(const settings *s)
{
    static const option_id others[] = {OPT_METHOD,    OPT_SPACE,       OPT_SOURCE,    OPT_PATH,   OPT_COUPLING,
                                       OPT_PREDICT,   OPT_GAMMA,       OPT_LOSS,      OPT_WEIGHT, OPT_TEACHER,
                                       OPT_CONDITION, OPT_SOURCE_DATA, OPT_TOKENISER, OPT_LEVELS, OPT_MESH};
    int asked = s->verb == 'T' ? word_index(opt_text(s, OPT_TABLE), "no|auto|yes") : 0;
    if (asked != TW_MIXED_AUTO) return (tw_mixed)asked;
    if (opt_given(s, OPT_COLUMN)) return TW_MIXED_YES;
    for (int i = 0; i < TW_COUNT(others); i++)
        if (opt_given(s, others[i])) return TW_MIXED_NO;
    bool plain = opt_flag(s, OPT_DEQUANTISED) || strcmp(opt_text(s, OPT_MISSING), "auto") != 0;
    return plain ? TW_MIXED_NO : TW_MIXED_AUTO;
}

tw_dataset_desc dataset_desc_of(const settings *s, double split[3])
{
    tw_dataset_desc desc = {.columns = opt_text(s, OPT_COLUMNS),
                            .drop = opt_text(s, OPT_DROP),
                            .header = (tw_header)word_index(opt_text(s, OPT_HEADER), "auto|yes|no"),
                            .separator = separator_of(opt_text(s, OPT_SEPARATOR)),
                            .conditions = opt_text(s, OPT_CONDITION),
                            .missing = (tw_missing)word_index(opt_text(s, OPT_MISSING), "auto|error|drop|median"),
                            .seed = opt_seed(s, OPT_SEED),
                            .rows = opt_int(s, OPT_ROWS),
                            .array = opt_text(s, OPT_ARRAY),
                            .size = (int)opt_int(s, OPT_SIZE),
                            .labels = opt_text(s, OPT_LABELS),
                            .strict = opt_flag(s, OPT_STRICT),
                            .mixed = mixed_of(s),
                            .kinds = opt_text(s, OPT_COLUMN)};
    if (opt_text(s, OPT_SPLIT) && split_parse(opt_text(s, OPT_SPLIT), split))
        memcpy(desc.split, split, sizeof desc.split);
    if (opt_text(s, OPT_LEVELS)) levels_parse(opt_text(s, OPT_LEVELS), &desc.bins);
    return desc;
}

tw_status model_settings(tw_context *ctx, const model *m, settings *out)
{
    const char *kept = tw_flow_fact(m->flow, FACT_SETTINGS);
    *out = (settings){.verb = 'T'};
    if (kept && config_parse(out, m->path, kept, ORIGIN_RUN) == EXIT_DONE) return TW_OK;
    return tw_fail(ctx, TW_ERR_FORMAT, "the settings inside '%s' cannot be read", m->path);
}

tw_bins model_bins(const model *m)
{
    tw_bins bins = {0};
    const char *text = tw_flow_fact(m->flow, FACT_LEVELS);
    if (text && !levels_parse(text, &bins)) bins = (tw_bins){0};
    return bins;
}

void model_to_bins(const model *m, int64_t count, double *values)
{
    const tw_bins bins = model_bins(m);
    for (int64_t i = 0; bins.count && values && i < count; i++)
        if (!isnan(values[i])) values[i] = tw_bin_of(&bins, values[i]);
}

void model_from_bins(const model *m, int64_t count, double *values)
{
    const tw_bins bins = model_bins(m);
    for (int64_t i = 0; bins.count && values && i < count; i++)
        values[i] = values[i] < bins.count ? tw_bin_middle(&bins, (int)values[i]) : (double)NAN;
}

void show_notes(cli *c, const tw_dataset *data)
{
    for (int i = 0; i < tw_dataset_notes_count(data); i++) cli_note(c, "%s", tw_dataset_note(data, i));
}

static bool is_there(const char *path)
{
    return file_exists(path) || folder_exists(path);
}

/* Where the training data lies now: where the run's config.yaml says, or under its name in this folder. */
static bool find_data(const model *m, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s", name);
    if (is_builtin(name)) return true;
    char path[MODEL_PATH];
    settings s = {.verb = 'T'};
    bool found = path_join(path, sizeof path, m->folder, CONFIG_FILE) && file_exists(path) &&
                 config_read(&s, path, ORIGIN_RUN) == EXIT_DONE && opt_given(&s, OPT_DATA);
    if (found && is_there(opt_text(&s, OPT_DATA))) snprintf(out, size, "%s", opt_text(&s, OPT_DATA));
    settings_free(&s);
    return is_there(out);
}

static tw_status check_same(cli *c, const model *m, const char *path, const tw_dataset *data)
{
    const char *rows = tw_flow_fact(m->flow, FACT_ROWS);
    int64_t now = tw_dataset_rows(data, TW_PART_ALL);
    if (tw_dataset_columns(data) != m->about->columns)
        return tw_fail(c->ctx, TW_ERR_IO, "'%s' has changed since training: %d columns, the model has %d", path,
                       tw_dataset_columns(data), m->about->columns);
    if (rows && strtoll(rows, NULL, 10) != now)
        return tw_fail(c->ctx, TW_ERR_IO, "'%s' has changed since training: %" PRId64 " rows, then %s", path, now,
                       rows);
    return TW_OK;
}

tw_status part_values(cli *c, const tw_dataset *data, tw_part part, double **out_read, const double **out_values)
{
    int64_t rows = tw_dataset_rows(data, part);
    size_t bytes = (size_t)rows * (size_t)tw_dataset_columns(data) * sizeof(double);
    *out_read = NULL;
    if ((*out_values = tw_dataset_values(data, part))) return TW_OK;
    *out_values = *out_read = tw_alloc(c->ctx, bytes, 1);
    return *out_read ? tw_dataset_read(data, part, 0, rows, *out_read) : tw_fail_memory(c->ctx, bytes);
}

tw_status open_rows(tw_context *ctx, const settings *s, const char *path, const tw_dataset_desc *desc,
                    tw_dataset **out_data)
{
    if (is_mesh_file(path)) return surface_open(ctx, s, path, desc, out_data);
    if (opt_given(s, OPT_EIGENFUNCTION))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "--eigenfunction is of points drawn on a mesh: '%s' is none (.obj, .off, .ply)", path);
    return tw_dataset_open(ctx, path, desc, out_data);
}

tw_status model_open_data(cli *c, const model *m, tw_dataset **out_data)
{
    const char *name = tw_flow_fact(m->flow, FACT_DATA), *kept = tw_flow_fact(m->flow, FACT_SETTINGS);
    char path[MODEL_PATH];
    double split[3];
    tw_status status = TW_OK;
    tw_dataset *data = NULL;
    tw_tokeniser *tokeniser = NULL;
    settings s = {.verb = 'T'};
    if (!name || !kept) TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "the model does not say what data it was trained on"));
    if (!find_data(m, name, path, sizeof path))
        TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "the data it was trained on, '%s', is not there", name));
    TW_TRY(model_settings(c->ctx, m, &s));
    tw_dataset_desc desc = dataset_desc_of(&s, split);
    TW_TRY(model_tokeniser(c, m, &tokeniser));
    TW_TRY(tokeniser ? open_text(c, &s, path, m->about->columns, &tokeniser, &desc, &data)
                     : open_rows(c->ctx, &s, path, &desc, &data));
    TW_TRY(check_same(c, m, path, data));
    *out_data = data;
    data = NULL;
done:
    tw_tokeniser_destroy(tokeniser);
    tw_dataset_destroy(data);
    settings_free(&s);
    return status;
}

tw_status open_source(tw_context *ctx, const settings *s, tw_dataset **out_source)
{
    double split[3];
    tw_dataset_desc desc = dataset_desc_of(s, split);
    desc.conditions = NULL;
    return opt_given(s, OPT_SOURCE_DATA) ? tw_dataset_open(ctx, opt_text(s, OPT_SOURCE_DATA), &desc, out_source)
                                         : TW_OK;
}

/* Texts as rows of the model. */
static tw_status open_source_text(cli *c, const model *m, const settings *s, tw_dataset **out_source)
{
    double split[3];
    tw_dataset_desc desc = dataset_desc_of(s, split);
    tw_tokeniser *tokeniser = NULL;
    tw_status status = model_tokeniser(c, m, &tokeniser);
    desc.conditions = NULL;
    if (status == TW_OK)
        status = open_text(c, s, opt_text(s, OPT_SOURCE_DATA), m->about->columns, &tokeniser, &desc, out_source);
    tw_tokeniser_destroy(tokeniser);
    return status;
}

tw_status model_open_source(cli *c, const model *m, tw_dataset **out_source)
{
    const char *kept = tw_flow_fact(m->flow, FACT_SETTINGS);
    settings s = {.verb = 'T'};
    tw_status status = TW_OK;
    if (!kept || config_parse(&s, m->path, kept, ORIGIN_RUN) != EXIT_DONE || !opt_given(&s, OPT_SOURCE_DATA))
        TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "the model does not say at which rows it begins; name them: --from FILE"));
    status = is_texts(m) ? open_source_text(c, m, &s, out_source) : open_source(c->ctx, &s, out_source);
    if (status != TW_OK)
        status = tw_fail(c->ctx, TW_ERR_IO, "the rows to begin at cannot be had (--from FILE names others): %s",
                         tw_context_error(c->ctx));
done:
    settings_free(&s);
    return status;
}

/* --- held-out rows --------------------------------------------------------------------------------------------- */

/* Rows of a built-in set that the model cannot have seen: another seed, unless one is given. */
static tw_status open_builtin(cli *c, const model *m, const char *name, held_out *h)
{
    enum { FRESH_ROWS = 100000 };
    uint64_t seed = opt_given(&c->set, OPT_SEED) ? opt_seed(&c->set, OPT_SEED) : FRESH_SEED;
    tw_dataset_desc desc = {.seed = seed,
                            .rows = FRESH_ROWS,
                            .known_conditions = m->about->conditions,
                            .known_conditions_count = m->about->conditions_count};
    desc.bins = model_bins(m);
    tw_status status = tw_dataset_open_like(c->ctx, name, &desc, m->about->columns, m->about->names, &h->data);
    if (status == TW_OK) snprintf(h->label, sizeof h->label, "fresh rows of %s (seed %" PRIu64 ")", name, seed);
    return status;
}

static tw_status open_given(cli *c, const model *m, const char *path, held_out *h)
{
    double split[3];
    tw_status status = TW_OK;
    if (is_builtin(path) && !is_builtin_text(path)) {
        TW_TRY(open_builtin(c, m, path, h));
    } else if (is_texts(m)) {
        TW_TRY(open_text_like(c, m, path, true, &h->data));
        snprintf(h->label, sizeof h->label, "%s", path);
    } else if (is_table(m)) {
        TW_TRY(table_rows(c, m, path, &h->data));
        snprintf(h->label, sizeof h->label, "%s", path);
    } else {
        tw_dataset_desc desc = dataset_desc_of(&c->set, split);
        desc.columns = desc.drop = desc.conditions = NULL;
        desc.known_conditions = m->about->conditions;
        desc.known_conditions_count = m->about->conditions_count;
        desc.known_image = m->about->image;
        desc.bins = model_bins(m);
        TW_TRY(tw_dataset_open_like(c->ctx, path, &desc, m->about->columns, m->about->names, &h->data));
        snprintf(h->label, sizeof h->label, "%s", path);
    }
    show_notes(c, h->data);
    TW_TRY(data_options_suit(c, &c->set, h->data));
    TW_TRY(part_values(c, h->data, TW_PART_ALL, &h->read, &h->values));
    h->conditions = tw_dataset_condition_values(h->data, TW_PART_ALL);
    h->rows = tw_dataset_rows(h->data, TW_PART_ALL);
done:
    return status;
}

static tw_status open_test_part(cli *c, const model *m, held_out *h)
{
    tw_status status = TW_OK;
    if (model_open_data(c, m, &h->data) != TW_OK)
        TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "nothing to compare with: %s; name a FILE: thalweg %s %s FILE",
                       tw_context_error(c->ctx), c->verb->name, m->shown));
    h->training = h->data;
    TW_TRY(part_values(c, h->data, TW_PART_TEST, &h->read, &h->values));
    h->conditions = tw_dataset_condition_values(h->data, TW_PART_TEST);
    h->rows = tw_dataset_rows(h->data, TW_PART_TEST);
    snprintf(h->label, sizeof h->label, "test part of %s", tw_flow_fact(m->flow, FACT_DATA));
    if (h->rows == 0)
        TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID,
                       "the model was trained without a test part; name a FILE: thalweg %s %s FILE", c->verb->name,
                       m->shown));
done:
    return status;
}

tw_status held_out_open(cli *c, const model *m, bool need_training, held_out *out_held)
{
    held_out h = {.ctx = c->ctx, .columns = m->about->columns};
    tw_status status = TW_OK;
    const char *path = opt_text(&c->set, OPT_DATA);
    if (path)
        TW_TRY(open_given(c, m, path, &h));
    else
        TW_TRY(open_test_part(c, m, &h));
    if (tw_dataset_columns(h.data) != h.columns)
        TW_TRY(tw_fail(c->ctx, TW_ERR_SHAPE, "'%s' has %d columns, the model has %d", path, tw_dataset_columns(h.data),
                       h.columns));
    if (need_training && !h.training && model_open_data(c, m, &h.training) != TW_OK)
        cli_note(c, "no floors: %s", tw_context_error(c->ctx));
    *out_held = h;
    h = (held_out){0};
done:
    held_out_close(&h);
    return status;
}

void held_out_close(held_out *h)
{
    if (h->ctx) tw_free(h->ctx, h->read);
    if (h->training != h->data) tw_dataset_destroy(h->training);
    tw_dataset_destroy(h->data);
    *h = (held_out){0};
}

/* --- solving --------------------------------------------------------------------------------------------------- */

const tw_ode_method_info *ode_method(const char *name)
{
    const tw_ode_method_info *info;
    for (int i = 0; (info = tw_ode_method_list(i)); i++)
        if (strcmp(info->name, name) == 0) return info;
    for (int i = 0; (info = tw_sampler_list(i)); i++)
        if (strcmp(info->name, name) == 0) return info;
    return NULL;
}

const tw_sde_method_info *sde_method(const char *name)
{
    const tw_sde_method_info *info;
    for (int i = 0; (info = tw_sde_method_list(i)); i++)
        if (strcmp(info->name, name) == 0) return info;
    return NULL;
}

/* Such steps are counted. */
static bool jumps(const settings *s)
{
    return opt_number(s, OPT_JUMPS) > 0;
}

/* --solver, unless the kind of equation is another. */
static const char *solver_name(const settings *s, bool noisy)
{
    const char *name = opt_text(s, OPT_SOLVER);
    if (noisy && !opt_given(s, OPT_SOLVER)) return "heun";
    if (jumps(s) && !opt_given(s, OPT_SOLVER)) return "euler";
    if (noisy && !sde_method(name))
        return cli_usage("--solver: %s cannot solve stochastic equations (--sde); euler, heun, srk and others can",
                         name),
               NULL;
    for (int i = 0; !noisy && tw_token_solver_list(i);
         i++) /* whether the model has tokens is seen later: solver_suit */
        if (strcmp(tw_token_solver_list(i)->name, name) == 0) return name;
    if (!noisy && !ode_method(name))
        return cli_usage("--solver: %s is for stochastic equations: sample with --sde", name), NULL;
    return name;
}

bool solver_of(const cli *c, tw_ode_desc *out_solver)
{
    const settings *s = &c->set;
    bool noisy = opt_flag(s, OPT_SDE);
    const char *name = solver_name(s, noisy);
    if (!name) return false;
    if (!noisy && opt_given(s, OPT_DIFFUSION)) return cli_usage("--diffusion is for sampling with --sde"), false;
    bool tolerance = opt_given(s, OPT_RTOL) || opt_given(s, OPT_ATOL);
    bool steps = opt_given(s, OPT_SOLVER_STEPS), size = opt_given(s, OPT_STEP_SIZE);
    if (steps && size) return cli_usage("--steps and --step-size: give one of them"), false;
    if (tolerance && !noisy && !(ode_method(name) && ode_method(name)->adaptive))
        return cli_usage("--rtol and --atol are for adaptive solvers; %s takes --steps", name), false;
    if (tolerance && (steps || size))
        return cli_usage("--rtol and --atol have no meaning with --steps or --step-size"), false;
    *out_solver = (tw_ode_desc){.method = name,
                                .t1 = opt_number(s, OPT_UNTIL),
                                .steps = (int)opt_int(s, OPT_SOLVER_STEPS),
                                .step_size = opt_number(s, OPT_STEP_SIZE)};
    if ((noisy || jumps(s)) && !tolerance) return true;
    out_solver->rtol = opt_number(s, OPT_RTOL);
    out_solver->atol = opt_number(s, OPT_ATOL);
    return true;
}

static tw_status suit_tokens(const cli *c, const model *m, tw_ode_desc *solver)
{
    const settings *s = &c->set;
    if (is_tokens(m)) {
        if (!opt_given(s, OPT_SOLVER)) solver->method = NULL;
        if (!opt_given(s, OPT_RTOL)) solver->rtol = 0;
        if (!opt_given(s, OPT_ATOL)) solver->atol = 0;
    } else if (!ode_method(opt_text(s, OPT_SOLVER)) && !opt_flag(s, OPT_SDE)) {
        return tw_fail(c->ctx, TW_ERR_INVALID, "--solver: %s is for flows of tokens", opt_text(s, OPT_SOLVER));
    }
    return TW_OK;
}

tw_status solver_suit(const cli *c, const model *m, tw_ode_desc *solver)
{
    const double picture_tolerance = 1e-3;
    const settings *s = &c->set;
    bool there_and_back = c->verb->letter != 'C' && opt_given(s, OPT_FROM);
    if (!is_pictures(m) || there_and_back || opt_flag(s, OPT_SDE) || jumps(s)) return suit_tokens(c, m, solver);
    if (!opt_given(s, OPT_RTOL)) solver->rtol = picture_tolerance;
    if (!opt_given(s, OPT_ATOL)) solver->atol = picture_tolerance;
    return TW_OK;
}

tw_ode_desc solver_without_noise(const cli *c, const tw_ode_desc *solver)
{
    return opt_flag(&c->set, OPT_SDE) ? (tw_ode_desc){0} : *solver;
}

int on_rows(void *user, int64_t done, int64_t total)
{
    row_bar *bar = user;
    progress *p = &bar->c->progress;
    char detail[160], rate[48], left[32], count[32], all[32];
    if (done <= bar->last) bar->round++;
    bar->last = done;
    double share = total > 0 ? (double)done / (double)total : 0;
    if (bar->rounds > 1) share = (bar->round + share) / bar->rounds;
    double seconds = tw_clock() - p->begun, rows = share * (double)total, speed = seconds > 0 ? rows / seconds : 0;
    human_rate(speed, "rows", rate, sizeof rate);
    human_time(speed > 0 ? ((double)total - rows) / speed : -1, left, sizeof left);
    snprintf(detail, sizeof detail, "%s of %s rows\t%s left\t%s", human_count(rows, count, sizeof count),
             human_count((double)total, all, sizeof all), left, rate);
    progress_show(p, bar->label, share, detail, false);
    return signals_caught() != 0;
}
