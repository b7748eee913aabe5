/* sample.c - `thalweg sample`: new rows as CSV or NPY, with pictures when asked for; rows that are pictures also as a
 * grid or as files. */
#include "begin.h"
#include "changes.h"
#include "files.h"
#include "kinds.h"
#include "model.h"
#include "observe.h"
#include "pictures.h"
#include "score.h"
#include "show.h"
#include "signals.h"
#include "tables.h"
#include "tokens.h"

#include "base/file.h"
#include "io/npy.h"

#include <string.h>

typedef enum form { FORM_CSV, FORM_NPY, FORM_GRID, FORM_FOLDER, FORM_TEXT, FORM_NONE } form;

typedef struct job {
    const char *out;
    form form;
    int64_t n;
    begin begin;
    observed seen;
    bool shown; /* on the terminal */
    show show;
    int frames;                              /* 0: no picture of the flow */
    double *rows, *frame_rows, *log_density; /* log_density: NULL unless asked for */
    tw_ode_stats stats;
    double seconds;
} job;

/* Pictures have their ending, and each file is written once; false after a complaint. */
static bool settle_pictures(const cli *c, const model *m, const job *j)
{
    const option_id outputs[] = {OPT_PLOT, OPT_FRAMES_PLOT, OPT_ANIMATE};
    for (int i = 0; i < TW_COUNT(outputs); i++) {
        const char *path = opt_text(&c->set, outputs[i]), *name = option_table[outputs[i]].name;
        if (!path) continue;
        bool film = outputs[i] == OPT_ANIMATE, page = film && has_ending(path, ".html");
        if (!has_ending(path, ".png") && !page && !(film && has_ending(path, ".apng")))
            return cli_usage("--%s: '%s' given, expected a name that ends in .png%s", name, path,
                             film ? ", .apng or .html" : ""),
                   false;
        if (page && (!is_tokens(m) || model_bins(m).count))
            return cli_usage("--animate: '%s': pages are of tokens, and not of levels", path), false;
        if (strcmp(path, j->out) == 0) return cli_usage("--%s and --out: both would write '%s'", name, path), false;
        for (int k = 0; k < i; k++)
            if (opt_text(&c->set, outputs[k]) && strcmp(path, opt_text(&c->set, outputs[k])) == 0)
                return cli_usage("--%s and --%s: both would write '%s'", option_table[outputs[k]].name, name, path),
                       false;
    }
    return true;
}

static tw_status check_outputs(cli *c, const job *j)
{
    tw_status status = TW_OK;
    const option_id outputs[] = {OPT_PLOT, OPT_FRAMES_PLOT, OPT_ANIMATE};
    for (int i = 0; i < TW_COUNT(outputs); i++) {
        const char *path = opt_text(&c->set, outputs[i]);
        if (path) TW_TRY(check_writable_file(c->ctx, path));
    }
    if (j->form != FORM_FOLDER) return check_writable_file(c->ctx, j->out);
    TW_TRY(check_writable_folder(c->ctx, j->out));
    if (folder_exists(j->out) && !folder_is_empty(j->out))
        TW_TRY(tw_fail(c->ctx, TW_ERR_IO,
                       "'%s' holds files already, which samples would be mixed with: name a new folder", j->out));
done:
    return status;
}

/* How samples are written, told by the ending of the name; -1: not known. */
static int form_of(const char *out)
{
    size_t length = strlen(out);
    if (folder_exists(out) || (length > 0 && out[length - 1] == '/')) return FORM_FOLDER;
    if (has_ending(out, ".png")) return FORM_GRID;
    if (has_ending(out, ".npy")) return FORM_NPY;
    if (has_ending(out, ".jsonl")) return FORM_TEXT;
    return strcmp(out, "-") == 0 || has_ending(out, ".csv") || has_ending(out, ".txt") ? FORM_CSV : -1;
}

/* Where the samples go, and how. False after a complaint. */
static bool settle_form(cli *c, const model *m, job *j)
{
    const char *given = opt_text(&c->set, OPT_OUT_FILE);
    bool scored = opt_flag(&c->set, OPT_LOG_DENSITY);
    bool texts = is_texts(m);
    j->shown = opt_flag(&c->set, OPT_SHOW);
    if (j->shown && !show_suits(c, m)) return false;
    bool back = opt_flag(&c->set, OPT_REVERSE); /* a picture would clip what is no picture */
    j->out = given                          ? given
             : texts                        ? "samples.txt"
             : !shows_pictures(m) || scored ? "samples.csv"
             : back                         ? "latents.npy"
                                            : "grid.png";
    j->form = (form)form_of(j->out);
    if (j->shown && (!given || strcmp(given, "-") == 0)) {
        j->out = "-";
        j->form = FORM_NONE;
        return true;
    }
    if (texts && (strcmp(j->out, "-") == 0 || has_ending(j->out, ".txt"))) j->form = FORM_TEXT;
    if (j->form == FORM_TEXT) return texts || (cli_usage("--out: '%s' is for models of texts", j->out), false);
    if (j->form < FORM_GRID) return true;
    if (!shows_pictures(m))
        return cli_usage("--out: '%s' is for models of pictures; rows of numbers go to a name that ends in .csv or "
                         ".npy, and --plot draws them",
                         j->out),
               false;
    return !scored || (cli_usage("--log-density is a column of a table: --out NAME.csv or .npy"), false);
}

/* Who is told of rows and frames: the bar first. */
typedef struct watching {
    row_bar bar;
    job *job;
} watching;

static void on_frame(void *user, int frame)
{
    watching *w = user;
    job *j = w->job;
    int64_t numbers = j->n * j->show.m->about->columns;
    const double *rows = j->frame_rows + frame * numbers;
    show_draw(&j->show, j->n, rows, frame > 0 ? rows - numbers : NULL);
}

/* Steered to what was seen, edited, or drawn. */
static tw_status draw_by(cli *c, model *m, const tw_sample_desc *desc, job *j)
{
    const tw_flow_edit_desc edit = {.conditions = j->begin.edited,
                                    .same_conditions = j->begin.same_edited,
                                    .share = opt_number(&c->set, OPT_SHARE),
                                    .share_layers = (int)opt_int(&c->set, OPT_SHARE_LAYERS)};
    if (!is_tokens(m) && (j->seen.values || opt_given(&c->set, OPT_REWARD)))
        return sample_steered(c, m, &j->seen, j->n, desc, j->rows, &j->stats);
    if (opt_given(&c->set, OPT_EDIT)) return tw_flow_edit(m->flow, j->n, desc, &edit, j->rows, &j->stats);
    return tw_sample(m->flow, j->n, desc, j->rows, j->frame_rows, &j->stats);
}

static tw_status draw_rows(cli *c, model *m, const tw_ode_desc *solver, job *j)
{
    tw_status status = TW_OK;
    jumping jumps = {0};
    int parts = 2 + (opt_number(&c->set, OPT_SHARE) > 0 && opt_number(&c->set, OPT_SHARE) < 1);
    watching w = {.bar = {.c = c, .label = "sample", .rounds = opt_given(&c->set, OPT_EDIT) ? parts : j->frames - 1},
                  .job = j};
    tw_sample_desc desc = {.solver = *solver,
                           .diffusion = opt_flag(&c->set, OPT_SDE) ? opt_text(&c->set, OPT_DIFFUSION) : NULL,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .jumps = opt_number(&c->set, OPT_JUMPS),
                           .frames = j->frames,
                           .grid = opt_text(&c->set, OPT_GRID),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .probes = probes_of(c, m),
                           .probe_kind = opt_text(&c->set, OPT_PROBE_KIND),
                           .on_frame = j->shown ? on_frame : NULL,
                           .on_progress = on_rows,
                           .user = &w};
    size_t row = (size_t)m->about->columns * sizeof(double);
    TW_TRY(observe_open(c, m, &j->n, &j->seen));
    TW_TRY(begin_open(c, m, NULL, j->n, &j->begin));
    j->n = j->begin.n;
    if (!(j->rows = tw_alloc(c->ctx, (size_t)j->n, row))) TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * row));
    if (j->frames && !(j->frame_rows = tw_alloc(c->ctx, (size_t)j->n * (size_t)j->frames, row)))
        TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * (size_t)j->frames * row));
    if (opt_flag(&c->set, OPT_LOG_DENSITY)) {
        j->log_density = tw_alloc(c->ctx, (size_t)j->n, sizeof(double));
        if (!j->log_density) TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * sizeof(double)));
        desc.log_density = j->log_density;
    }
    begin_set(&j->begin, &desc);
    if (is_tokens(m)) {
        model_to_bins(m, (j->seen.same ? 1 : j->n) * m->about->columns, j->seen.values);
        TW_TRY(jumping_open(c, m, j->seen.values, j->seen.same, &jumps));
        desc.tokens = &jumps.options;
    }
    progress_begin(&c->progress);
    double begun = tw_clock();
    TW_TRY(draw_by(c, m, &desc, j));
    j->seconds = tw_clock() - begun;
    model_from_bins(m, j->n * m->about->columns, j->rows);
    model_from_bins(m, j->n * j->frames * m->about->columns, j->frame_rows);
    progress_clear(&c->progress);
done:
    jumping_close(c, &jumps);
    return status;
}

static tw_status write_table(cli *c, int columns, const char *const *names, const int *decimals, int64_t n,
                             const double *rows, const char *path)
{
    if (has_ending(path, ".npy")) return tw_npy_write(c->ctx, path, tw_shape_of(n, columns), rows);
    bool all = opt_flag(&c->set, OPT_FULL_PRECISION) || opt_flag(&c->set, OPT_REVERSE);
    return write_csv(c->ctx, path, columns, names, all ? NULL : decimals, n, rows);
}

/* The samples, with their log-density as one more column. */
static tw_status write_scored(cli *c, const model *m, const job *j, const char *path)
{
    size_t columns = (size_t)m->about->columns, wide = columns + 1;
    tw_status status = TW_OK;
    double *rows = tw_alloc(c->ctx, (size_t)j->n, wide * sizeof *rows);
    const char **names = tw_alloc(c->ctx, wide, sizeof *names);
    int *decimals = tw_alloc(c->ctx, wide, sizeof *decimals);
    if (!rows || !names || !decimals) TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * wide * sizeof *rows));
    memcpy(names, m->about->names, columns * sizeof *names);
    memcpy(decimals, m->about->decimals, columns * sizeof *decimals);
    names[columns] = "log_density";
    decimals[columns] = 6;
    for (size_t i = 0; i < (size_t)j->n; i++) {
        memcpy(rows + i * wide, j->rows + i * columns, columns * sizeof *rows);
        rows[i * wide + columns] = j->log_density[i];
    }
    TW_TRY(write_table(c, (int)wide, names, decimals, j->n, rows, path));
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, names);
    tw_free(c->ctx, decimals);
    return status;
}

static drawn drawn_of(const cli *c, const model *m, const job *j, const double *rows)
{
    return (drawn){.m = m,
                   .n = j->n,
                   .rows = rows,
                   .conditions = j->begin.conditions,
                   .same = j->begin.same,
                   .seen = j->seen.seen,
                   .truth = j->seen.truth,
                   .between = opt_int(&c->set, OPT_INTERPOLATE)};
}

static tw_status write_samples(cli *c, const model *m, const job *j)
{
    const drawn d = drawn_of(c, m, j, j->rows);
    bool exact = opt_flag(&c->set, OPT_FULL_PRECISION) || opt_flag(&c->set, OPT_REVERSE);
    if (j->log_density) return write_scored(c, m, j, j->out);
    if (j->form == FORM_NONE) return TW_OK;
    if (j->form == FORM_TEXT) return write_texts(c, m, j->out, j->n, j->rows);
    if (j->form == FORM_GRID) return plot_samples(c->ctx, j->out, &d);
    if (j->form == FORM_FOLDER) return write_picture_folder(c->ctx, j->out, &d);
    if (j->form == FORM_NPY && shows_pictures(m) && !exact) return write_picture_array(c->ctx, j->out, &d);
    return write_table(c, m->about->columns, m->about->names, m->about->decimals, j->n, j->rows, j->out);
}

static tw_status draw_pictures(cli *c, const model *m, const job *j)
{
    tw_status status = TW_OK;
    const char *plot = opt_text(&c->set, OPT_PLOT), *flow = opt_text(&c->set, OPT_FRAMES_PLOT);
    const char *film = opt_text(&c->set, OPT_ANIMATE);
    const drawn samples = drawn_of(c, m, j, j->rows), states = drawn_of(c, m, j, j->frame_rows);
    if (plot) TW_TRY(plot_samples(c->ctx, plot, &samples));
    if (flow) TW_TRY(plot_flow(c->ctx, flow, &states, j->frames, false));
    if (film && has_ending(film, ".html"))
        TW_TRY(write_changes(c, m, film, j->n, j->frames, j->frame_rows));
    else if (film)
        TW_TRY(plot_flow(c->ctx, film, &states, j->frames, true));
done:
    return status;
}

static void tell(cli *c, const model *m, const job *j)
{
    char rows[32], time[32], what[64];
    const tw_image *image = &m->about->image;
    const char *out = strcmp(j->out, "-") == 0 ? "standard output" : j->out;
    if (shows_pictures(m))
        snprintf(what, sizeof what, "pictures of %d x %d pixels", image->height, image->width);
    else
        snprintf(what, sizeof what, "rows of %d columns", m->about->columns);
    cli_say(c, "%s %s in %s, %lld network evaluations %s at most -> %s", human_count((double)j->n, rows, sizeof rows),
            what, human_time(j->seconds, time, sizeof time), (long long)j->stats.nfe,
            shows_pictures(m) ? "each" : "a row", out);
    const char *plot = opt_text(&c->set, OPT_PLOT), *flow = opt_text(&c->set, OPT_FRAMES_PLOT);
    const char *film = opt_text(&c->set, OPT_ANIMATE);
    if (plot) cli_say(c, "picture of them -> %s", plot);
    if (flow) cli_say(c, "picture of the flow -> %s", flow);
    if (film) cli_say(c, "the flow as an animation -> %s", film);
}

static int print_json(cli *c, const model *m, const job *j, const char *solver)
{
    cJSON *object = cJSON_CreateObject();
    json_int(object, "n", j->n);
    json_int(object, "columns", m->about->columns);
    json_int(object, "nfe", j->stats.nfe);
    json_number(object, "nfe_mean", j->stats.nfe_mean);
    json_int(object, "accepted", j->stats.accepted);
    json_int(object, "rejected", j->stats.rejected);
    json_number(object, "seconds", j->seconds);
    json_number(object, "rows_per_second", j->seconds > 0 ? (double)j->n / j->seconds : 0);
    json_text(object, "solver", solver);
    json_text(object, "diffusion", opt_flag(&c->set, OPT_SDE) ? opt_text(&c->set, OPT_DIFFUSION) : NULL);
    json_text(object, "inverse",
              opt_given(&c->set, OPT_OBSERVE) && !is_tokens(m) ? opt_text(&c->set, OPT_INVERSE) : NULL);
    json_seed(object, "seed", opt_seed(&c->set, OPT_SEED));
    json_int(object, "threads", tw_context_threads(c->ctx));
    json_text(object, "model", m->path);
    json_text(object, "out", j->out);
    json_text(object, "plot", opt_text(&c->set, OPT_PLOT));
    json_text(object, "frames_plot", opt_text(&c->set, OPT_FRAMES_PLOT));
    json_text(object, "animate", opt_text(&c->set, OPT_ANIMATE));
    return json_print(object);
}

/* Options that do not go together; false after a complaint. */
static bool settle_journey(cli *c, tw_ode_desc *solver)
{
    const settings *s = &c->set;
    if (!solver_of(c, solver) || !edit_suits(s)) return false;
    if (opt_number(s, OPT_TOLERANCE) > 0 && (opt_given(s, OPT_SOLVER_STEPS) || opt_given(s, OPT_STEP_SIZE)))
        return cli_usage("--tolerance has no meaning with --steps or --step-size"), false;
    if (opt_flag(s, OPT_REVERSE)) {
        if (opt_flag(s, OPT_SDE)) return cli_usage("--reverse and --sde: noise cannot be undone"), false;
        if (!opt_given(s, OPT_FROM))
            return cli_usage("--reverse needs rows of data to go back from: --from FILE"), false;
        solver->t0 = 1;
        if (!opt_given(s, OPT_UNTIL)) solver->t1 = 0;
    }
    if (opt_given(s, OPT_INTERPOLATE)) {
        if (opt_flag(s, OPT_REVERSE))
            return cli_usage("--interpolate and --reverse: go back first, then between"), false;
        if (!opt_given(s, OPT_FROM)) return cli_usage("--interpolate needs rows to go between: --from FILE"), false;
        if (opt_given(s, OPT_N_SAMPLES)) return cli_usage("-n and --interpolate: give one of them"), false;
    }
    return true;
}

static int frames_of(const settings *s)
{
    enum { STILLS = 6, MOVING = 31 };
    bool shown = opt_flag(s, OPT_SHOW);
    if (!opt_text(s, OPT_FRAMES_PLOT) && !opt_text(s, OPT_ANIMATE) && !shown) return 0;
    if (opt_given(s, OPT_FRAMES)) return (int)opt_int(s, OPT_FRAMES);
    if (shown) return SHOW_FRAMES;
    return opt_text(s, OPT_ANIMATE) ? MOVING : STILLS;
}

/* Whether something says how many rows there are to be. */
static bool given_rows(const settings *s)
{
    return opt_given(s, OPT_N_SAMPLES) || opt_given(s, OPT_FROM) || opt_given(s, OPT_OBSERVE);
}

int run_sample(cli *c)
{
    model m = {0};
    job j = {.n = opt_int(&c->set, OPT_N_SAMPLES), .frames = frames_of(&c->set)};
    tw_ode_desc solver;
    tw_status status = TW_OK;
    int result = EXIT_USAGE;
    const char *given = opt_text(&c->set, OPT_OUT_FILE);
    bool piped = given && strcmp(given, "-") == 0;
    if (piped && c->json) return cli_usage("--json and --out -: both want standard output");
    if (given && form_of(given) < 0)
        return cli_usage(
            "--out: '%s' given, expected a name that ends in .csv or .npy, for pictures also in .png or /, or "
            "- for standard output",
            given);
    if (!settle_journey(c, &solver)) return EXIT_USAGE;
    if (piped || (opt_flag(&c->set, OPT_SHOW) && !c->json)) c->say = stderr;
    TW_TRY(cli_start(c));
    result = model_open(c, &m);
    if (result != EXIT_DONE) goto done;
    if (is_table(&m)) {
        result = sample_table(c, &m);
        goto done;
    }
    result = EXIT_USAGE;
    if (opt_given(&c->set, OPT_GIVEN)) {
        cli_usage("--given is for models of tables; of others --observe says what is known");
        goto done;
    }
    if (!options_suit(c, &m) || !observe_check(c, &m, &solver) || !settle_form(c, &m, &j) ||
        !settle_pictures(c, &m, &j))
        goto done;
    if (is_tokens(&m) || (!opt_given(&c->set, OPT_OBSERVE) && !opt_given(&c->set, OPT_REWARD)))
        TW_TRY(solver_suit(c, &m, &solver));
    TW_TRY(check_outputs(c, &j));
    if (j.shown) TW_TRY(show_open(c, &m, &j.show));
    if (j.shown && !given_rows(&c->set)) j.n = show_rows(&j.show);
    signals_watch();
    TW_TRY(draw_rows(c, &m, &solver, &j));
    if (j.shown) TW_TRY(show_end(&j.show, j.n, j.rows));
    TW_TRY(write_samples(c, &m, &j));
    signals_release();
    TW_TRY(draw_pictures(c, &m, &j));
    tell(c, &m, &j);
    result = c->json ? print_json(c, &m, &j, solver.method) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    observe_close(c, &j.seen);
    begin_close(c, &j.begin);
    tw_free(c->ctx, j.rows);
    tw_free(c->ctx, j.frame_rows);
    tw_free(c->ctx, j.log_density);
    show_close(&j.show);
    model_close(&m);
    return result;
}
