/* sample.c - `thalweg sample`: new rows as CSV or NPY, with pictures when asked for. */
#include "begin.h"
#include "files.h"
#include "model.h"
#include "observe.h"
#include "pictures.h"
#include "signals.h"

#include "base/file.h"
#include "io/npy.h"
#include "plot/plot.h"

#include <string.h>

typedef struct job {
    int64_t n;
    int frames;                              /* 0: no picture of the flow */
    double *rows, *frame_rows, *log_density; /* log_density: NULL unless asked for */
    tw_ode_stats stats;
    double seconds;
} job;

static tw_status check_outputs(cli *c)
{
    tw_status status = TW_OK;
    const option_id outputs[] = {OPT_OUT_FILE, OPT_PLOT, OPT_FRAMES_PLOT};
    for (int i = 0; i < TW_COUNT(outputs); i++) {
        const char *path = opt_text(&c->set, outputs[i]);
        if (path) TW_TRY(check_writable_file(c->ctx, path));
    }
done:
    return status;
}

static tw_status draw_rows(cli *c, model *m, const tw_ode_desc *solver, job *j)
{
    tw_status status = TW_OK;
    begin b = {0};
    observed seen = {0};
    row_bar bar = {.c = c, .label = "sample", .rounds = j->frames - 1};
    tw_sample_desc desc = {.solver = *solver,
                           .diffusion = opt_flag(&c->set, OPT_SDE) ? opt_text(&c->set, OPT_DIFFUSION) : NULL,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .frames = j->frames,
                           .grid = opt_text(&c->set, OPT_GRID),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .probes = (int)opt_int(&c->set, OPT_PROBES),
                           .on_progress = on_rows,
                           .user = &bar};
    size_t row = (size_t)m->about->columns * sizeof(double);
    TW_TRY(observe_open(c, m, &j->n, &seen));
    TW_TRY(begin_open(c, m, NULL, j->n, &b));
    j->n = b.n;
    if (!(j->rows = tw_alloc(c->ctx, (size_t)j->n, row))) TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * row));
    if (j->frames && !(j->frame_rows = tw_alloc(c->ctx, (size_t)j->n * (size_t)j->frames, row)))
        TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * (size_t)j->frames * row));
    if (opt_flag(&c->set, OPT_LOG_DENSITY)) {
        j->log_density = tw_alloc(c->ctx, (size_t)j->n, sizeof(double));
        if (!j->log_density) TW_TRY(tw_fail_memory(c->ctx, (size_t)j->n * sizeof(double)));
        desc.log_density = j->log_density;
    }
    begin_set(&b, &desc);
    progress_begin(&c->progress);
    double begun = tw_clock();
    const tw_inverse_desc inverse = {.method = opt_text(&c->set, OPT_INVERSE),
                                     .observed = seen.values,
                                     .same_observed = seen.same,
                                     .noise = opt_number(&c->set, OPT_NOISE)};
    TW_TRY(seen.values ? tw_flow_inverse(m->flow, j->n, &desc, &inverse, j->rows, &j->stats)
                       : tw_sample(m->flow, j->n, &desc, j->rows, j->frame_rows, &j->stats));
    j->seconds = tw_clock() - begun;
    progress_clear(&c->progress);
done:
    observe_close(c, &seen);
    begin_close(c, &b);
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

static tw_status write_rows_to(cli *c, const model *m, const job *j, const char *path)
{
    if (j->log_density) return write_scored(c, m, j, path);
    return write_table(c, m->about->columns, m->about->names, m->about->decimals, j->n, j->rows, path);
}

static tw_status draw_pictures(cli *c, const model *m, const job *j)
{
    tw_status status = TW_OK;
    const char *plot = opt_text(&c->set, OPT_PLOT), *flow = opt_text(&c->set, OPT_FRAMES_PLOT);
    int columns = m->about->columns;
    if (plot) {
        tw_cloud cloud = {"samples", j->n, j->rows};
        TW_TRY(tw_plot_clouds(c->ctx, plot, columns, m->about->names, 1, &cloud));
    }
    if (flow) TW_TRY(plot_flow(c->ctx, flow, m, j->frames, j->n, j->frame_rows));
done:
    return status;
}

static void tell(cli *c, const model *m, const job *j, const char *out)
{
    char rows[32], time[32];
    bool piped = strcmp(out, "-") == 0;
    cli_say(c, "%s rows of %d columns in %s, %lld network evaluations a row at most -> %s",
            human_count((double)j->n, rows, sizeof rows), m->about->columns, human_time(j->seconds, time, sizeof time),
            (long long)j->stats.nfe, piped ? "standard output" : out);
    const char *plot = opt_text(&c->set, OPT_PLOT), *flow = opt_text(&c->set, OPT_FRAMES_PLOT);
    if (plot) cli_say(c, "picture of them -> %s", plot);
    if (flow) cli_say(c, "picture of the flow -> %s", flow);
}

static int print_json(cli *c, const model *m, const job *j, const char *solver, const char *out)
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
    json_text(object, "inverse", opt_given(&c->set, OPT_OBSERVE) ? opt_text(&c->set, OPT_INVERSE) : NULL);
    json_seed(object, "seed", opt_seed(&c->set, OPT_SEED));
    json_int(object, "threads", tw_context_threads(c->ctx));
    json_text(object, "model", m->path);
    json_text(object, "out", out);
    json_text(object, "plot", opt_text(&c->set, OPT_PLOT));
    json_text(object, "frames_plot", opt_text(&c->set, OPT_FRAMES_PLOT));
    return json_print(object);
}

int run_sample(cli *c)
{
    model m = {0};
    job j = {.n = opt_int(&c->set, OPT_N_SAMPLES)};
    const char *out = opt_text(&c->set, OPT_OUT_FILE);
    tw_ode_desc solver;
    tw_status status = TW_OK;
    int result = EXIT_USAGE;
    bool piped = strcmp(out, "-") == 0;
    if (piped && c->json) return cli_usage("--json and --out -: both want standard output");
    if (!piped && !has_ending(out, ".csv") && !has_ending(out, ".npy") && !has_ending(out, ".txt"))
        return cli_usage("--out: '%s' given, expected a name that ends in .csv or .npy, or - for standard output", out);
    if (!solver_of(c, &solver) || !observe_check(c, &solver)) return EXIT_USAGE;
    if (opt_flag(&c->set, OPT_REVERSE)) {
        if (opt_flag(&c->set, OPT_SDE)) return cli_usage("--reverse and --sde: noise cannot be undone");
        if (!opt_given(&c->set, OPT_FROM))
            return cli_usage("--reverse needs rows of data to go back from: --from FILE");
        solver.t0 = 1;
        if (!opt_given(&c->set, OPT_UNTIL)) solver.t1 = 0;
    }
    if (opt_given(&c->set, OPT_INTERPOLATE)) {
        if (opt_flag(&c->set, OPT_REVERSE))
            return cli_usage("--interpolate and --reverse: go back first, then between");
        if (!opt_given(&c->set, OPT_FROM)) return cli_usage("--interpolate needs rows to go between: --from FILE");
        if (opt_given(&c->set, OPT_N_SAMPLES)) return cli_usage("-n and --interpolate: give one of them");
    }
    if (opt_text(&c->set, OPT_FRAMES_PLOT)) j.frames = (int)opt_int(&c->set, OPT_FRAMES);
    if (piped) c->say = stderr;
    TW_TRY(cli_start(c));
    TW_TRY(check_outputs(c));
    result = model_open(c, &m);
    if (result != EXIT_DONE) goto done;
    signals_watch();
    TW_TRY(draw_rows(c, &m, &solver, &j));
    TW_TRY(write_rows_to(c, &m, &j, out));
    signals_release();
    TW_TRY(draw_pictures(c, &m, &j));
    tell(c, &m, &j, out);
    result = c->json ? print_json(c, &m, &j, solver.method, out) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    tw_free(c->ctx, j.rows);
    tw_free(c->ctx, j.frame_rows);
    tw_free(c->ctx, j.log_density);
    model_close(&m);
    return result;
}
