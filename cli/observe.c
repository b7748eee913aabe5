/* observe.c - see observe.h. */
#include "observe.h"

#include "files.h"

#include <math.h>
#include <string.h>

tw_status pairs_parse(cli *c, const char *flag, const char *text, pair_fn take, void *user)
{
    tw_status status = TW_OK;
    char *words = tw_strdup(c->ctx, text);
    if (!words) return tw_fail_memory(c->ctx, strlen(text) + 1);
    for (char *rest = words, *pair; status == TW_OK && (pair = strsep(&rest, ","));) {
        char *equals = strchr(pair, '=');
        if (equals) *equals = 0;
        status = equals ? take(user, pair, equals + 1)
                        : tw_fail(c->ctx, TW_ERR_INVALID, "--%s: '%s' given, expected NAME=VALUE, or a file of them",
                                  flag, pair);
    }
    tw_free(c->ctx, words);
    return status;
}

void repeat_rows(int64_t count, int columns, int64_t rows, const double *values, double *out)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * columns, values + i % rows * columns, (size_t)columns * sizeof *out);
}

bool observe_check(const cli *c, tw_ode_desc *out_solver)
{
    const option_id without[] = {OPT_SOLVER,  OPT_STEP_SIZE,   OPT_RTOL, OPT_ATOL,        OPT_GRID,
                                 OPT_SDE,     OPT_LOG_DENSITY, OPT_FROM, OPT_FRAMES_PLOT, OPT_ANIMATE,
                                 OPT_REVERSE, OPT_PROBES,      OPT_UNTIL};
    const settings *s = &c->set;
    if (!opt_given(s, OPT_OBSERVE)) {
        if (opt_given(s, OPT_NOISE)) return cli_usage("--noise is that of what was observed: give --observe"), false;
        if (opt_given(s, OPT_INVERSE)) return cli_usage("--inverse needs what was observed: give --observe"), false;
        return true;
    }
    for (int i = 0; i < TW_COUNT(without); i++)
        if (opt_given(s, without[i]))
            return cli_usage("--%s has no meaning with --observe, which takes --steps of its own kind",
                             option_table[without[i]].name),
                   false;
    *out_solver = (tw_ode_desc){.method = "euler", .steps = (int)opt_int(s, OPT_SOLVER_STEPS)};
    return true;
}

typedef struct columns_row {
    cli *c;
    const tw_flow_desc *about;
    double *row;
} columns_row;

static tw_status take_column(void *user, const char *name, const char *value)
{
    columns_row *r = user;
    const tw_flow_desc *about = r->about;
    for (int j = 0; j < about->columns; j++) {
        if (strcmp(about->names[j], name) != 0) continue;
        if (tw_parse_double(value, strlen(value), &r->row[j])) return TW_OK;
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "--observe: %s=%s: expected a number", name, value);
    }
    const char *near = tw_nearest_name(name, about->names, about->columns);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--observe: the model has no column '%s'; %s'%s'", name,
                   near ? "the nearest is " : "the first is ", near ? near : about->names[0]);
}

static tw_status read_rows(cli *c, const tw_flow_desc *about, const char *path, int64_t *n, observed *o)
{
    tw_dataset *data = NULL;
    double split[3];
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    tw_status status = TW_OK;
    desc.missing = TW_MISSING_KEEP;
    TW_TRY(tw_dataset_open_like(c->ctx, path, &desc, about->columns, about->names, &data));
    int64_t rows = tw_dataset_rows(data, TW_PART_ALL);
    if (*n == 0) *n = rows;
    o->values = tw_alloc(c->ctx, (size_t)*n, (size_t)about->columns * sizeof(double));
    if (!o->values) TW_TRY(tw_fail_memory(c->ctx, (size_t)*n * (size_t)about->columns * sizeof(double)));
    repeat_rows(*n, about->columns, rows, tw_dataset_values(data, TW_PART_ALL), o->values);
done:
    tw_dataset_destroy(data);
    return status;
}

tw_status observe_open(cli *c, const model *m, int64_t *n, observed *out)
{
    const char *text = opt_text(&c->set, OPT_OBSERVE);
    *out = (observed){0};
    if (!text) return TW_OK;
    if (file_exists(text)) return read_rows(c, m->about, text, n, out);
    out->same = true;
    out->values = tw_alloc(c->ctx, (size_t)m->about->columns, sizeof(double));
    if (!out->values) return tw_fail_memory(c->ctx, (size_t)m->about->columns * sizeof(double));
    for (int j = 0; j < m->about->columns; j++) out->values[j] = (double)NAN;
    return pairs_parse(c, "observe", text, take_column, &(columns_row){c, m->about, out->values});
}

void observe_close(cli *c, observed *o)
{
    tw_free(c->ctx, o->values);
    *o = (observed){0};
}
