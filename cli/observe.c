/* observe.c - see observe.h. */
#include "observe.h"

#include "files.h"
#include "pictures.h"
#include "tokens.h"

#include <thalweg/steer.h>

#include <limits.h>
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
                        : tw_fail(c->ctx, TW_ERR_INVALID, "--%s: '%s' given, expected NAME=VALUE%s", flag, pair,
                                  strcmp(flag, "reward") == 0 ? "" : ", or a file of them");
    }
    tw_free(c->ctx, words);
    return status;
}

void repeat_rows(int64_t count, int columns, int64_t rows, const double *values, double *out)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(out + i * columns, values + i % rows * columns, (size_t)columns * sizeof *out);
}

bool observe_check(const cli *c, const model *m, tw_ode_desc *out_solver)
{
    const option_id of_observe[] = {OPT_NOISE, OPT_INVERSE, OPT_MATRIX, OPT_MASK, OPT_OPERATOR, OPT_DEGRADE};
    const option_id without[] = {OPT_SOLVER,  OPT_STEP_SIZE,   OPT_RTOL, OPT_ATOL,        OPT_GRID,
                                 OPT_SDE,     OPT_LOG_DENSITY, OPT_FROM, OPT_FRAMES_PLOT, OPT_ANIMATE,
                                 OPT_REVERSE, OPT_PROBES,      OPT_UNTIL};
    const settings *s = &c->set;
    bool rewarded = opt_given(s, OPT_REWARD);
    if (rewarded && opt_given(s, OPT_OBSERVE)) return cli_usage("--observe and --reward: give one of them"), false;
    for (int i = 0; i < TW_COUNT(of_observe) && !opt_given(s, OPT_OBSERVE); i++)
        if (opt_given(s, of_observe[i]))
            return cli_usage("--%s is about what was observed: give --observe", option_table[of_observe[i]].name),
                   false;
    if (is_tokens(m) || (!rewarded && !opt_given(s, OPT_OBSERVE))) return true;
    for (int i = 0; i < TW_COUNT(without); i++)
        if (opt_given(s, without[i]))
            return cli_usage("--%s has no meaning with --%s, which takes --steps of its own kind",
                             option_table[without[i]].name, rewarded ? "reward" : "observe"),
                   false;
    *out_solver = (tw_ode_desc){.method = "euler", .steps = (int)opt_int(s, OPT_SOLVER_STEPS)};
    return true;
}

/* Numbers by name: those of columns, or of measures; NaN: not given. */
typedef struct named_row {
    cli *c;
    const char *flag;
    const char *what; /* "the model has no column" */
    int count;
    const char *const *names;
    double *row;
} named_row;

static tw_status take_number(void *user, const char *name, const char *value)
{
    const named_row *r = user;
    for (int j = 0; j < r->count; j++) {
        if (strcmp(r->names[j], name) != 0) continue;
        if (!isnan(r->row[j])) return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: %s is given twice", r->flag, name);
        if (!tw_parse_double(value, strlen(value), &r->row[j]))
            return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: %s=%s: expected a number", r->flag, name, value);
        if (isfinite(r->row[j])) return TW_OK;
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: %s=%s: expected a finite number", r->flag, name, value);
    }
    const char *near = tw_nearest_name(name, r->names, r->count);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: %s '%s'; %s'%s'", r->flag, r->what, name,
                   near ? "the nearest is " : "the first is ", near ? near : r->names[0]);
}

static const char no_column[] = "the model has no column";

/* Rows of a file with these columns, all there are. */
static tw_status read_rows(cli *c, const char *path, tw_missing missing, int columns, const char *const *names,
                           int64_t *out_rows, double **out_values)
{
    tw_dataset *data = NULL;
    double split[3], *values;
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    tw_status status = TW_OK;
    desc.missing = missing;
    TW_TRY(tw_dataset_open_like(c->ctx, path, &desc, columns, names, &data));
    show_notes(c, data);
    int64_t rows = tw_dataset_rows(data, TW_PART_ALL);
    values = tw_alloc(c->ctx, (size_t)rows, (size_t)columns * sizeof *values);
    if (!values) TW_TRY(tw_fail_memory(c->ctx, (size_t)rows * (size_t)columns * sizeof *values));
    TW_TRY(tw_dataset_read(data, TW_PART_ALL, 0, rows, values));
    *out_values = values;
    *out_rows = rows;
done:
    tw_dataset_destroy(data);
    return status;
}

/* --observe as NAME=VALUE or a file of columns of these names. */
static tw_status read_observed(cli *c, const char *text, tw_missing missing, const named_row *form, int64_t *n,
                               observed *o)
{
    int64_t rows;
    double *read = NULL;
    tw_status status = TW_OK;
    o->same = !file_exists(text);
    if (o->same) {
        o->values = tw_alloc(c->ctx, (size_t)form->count, sizeof(double));
        if (!o->values) return tw_fail_memory(c->ctx, (size_t)form->count * sizeof(double));
        for (int j = 0; j < form->count; j++) o->values[j] = (double)NAN;
        named_row named = *form;
        named.row = o->values;
        return pairs_parse(c, "observe", text, take_number, &named);
    }
    TW_TRY(read_rows(c, text, missing, form->count, form->names, &rows, &read));
    if (*n == 0) *n = rows;
    o->values = tw_alloc(c->ctx, (size_t)*n, (size_t)form->count * sizeof(double));
    if (!o->values) TW_TRY(tw_fail_memory(c->ctx, (size_t)*n * (size_t)form->count * sizeof(double)));
    repeat_rows(*n, form->count, rows, read, o->values);
done:
    tw_free(c->ctx, read);
    return status;
}

/* `a` less its parts along the orthonormal rows of `basis`; y loses theirs. */
static void subtract(int64_t columns, int count, const double *basis, const double *of_basis, double *a, double *y)
{
    for (int l = 0; l < count; l++) {
        double along = 0;
        for (int64_t j = 0; j < columns; j++) along += a[j] * basis[l * columns + j];
        for (int64_t j = 0; j < columns; j++) a[j] -= along * basis[l * columns + j];
        *y -= along * of_basis[l];
    }
}

static double length_of(int64_t columns, const double *a)
{
    double squares = 0;
    for (int64_t j = 0; j < columns; j++) squares += a[j] * a[j];
    return sqrt(squares);
}

/* Whether measures that follow from others agree with them, by Gram and Schmidt's process; all agree where there is
 * noise. `work`: a row and y more than the matrix. */
static tw_status check_row(cli *c, int64_t columns, int measures, const double *matrix, const double *y, double *work)
{
    double *basis = work, *of_basis = work + measures * columns;
    int count = 0;
    for (int k = 0; k < measures; k++) {
        double *a = basis + count * columns, length = length_of(columns, matrix + k * columns), rest = y[k];
        memcpy(a, matrix + k * columns, (size_t)columns * sizeof *a);
        subtract(columns, count, basis, of_basis, a, &rest);
        subtract(columns, count, basis, of_basis, a, &rest); /* once more: rounding */
        double left = length_of(columns, a);
        if (left <= 1e-9 * length) {
            if (fabs(rest) <= 1e-6 * (1 + fabs(y[k]))) continue;
            return tw_fail(c->ctx, TW_ERR_INVALID,
                           "--observe: y%d follows from the measures before it, and %g contradicts them by %g; say how "
                           "uncertain they are by --noise",
                           k + 1, y[k], rest);
        }
        for (int64_t j = 0; j < columns; j++) a[j] /= left;
        of_basis[count++] = rest / left;
    }
    return TW_OK;
}

static tw_status check_measures(cli *c, int64_t columns, int64_t n, const observed *o)
{
    enum { MOST_CHECKED = 256 }; /* measures by which it is quick */
    tw_status status = TW_OK;
    for (int k = 0; k < o->measures; k++)
        if (length_of(columns, o->matrix + k * columns) == 0)
            return tw_fail(c->ctx, TW_ERR_INVALID, "--matrix: row %d is all zeros and measures nothing", k + 1);
    if (o->measures > MOST_CHECKED || opt_number(&c->set, OPT_NOISE) > 0) return TW_OK;
    size_t numbers = (size_t)o->measures * (size_t)(columns + 1);
    double *work = tw_alloc(c->ctx, numbers, sizeof *work);
    if (!work) return tw_fail_memory(c->ctx, numbers * sizeof *work);
    for (int64_t i = 0; status == TW_OK && i < (o->same ? 1 : n); i++)
        status = check_row(c, columns, o->measures, o->matrix, o->values + i * o->measures, work);
    tw_free(c->ctx, work);
    return status;
}

/* --matrix: its rows, and what was measured by them, y1 to the last. */
static tw_status read_measured(cli *c, const tw_flow_desc *about, const char *text, int64_t *n, observed *o)
{
    enum { NAME = 16 };
    int64_t measures;
    char *memory = NULL;
    const char **names = NULL;
    tw_status status = TW_OK;
    TW_TRY(read_rows(c, opt_text(&c->set, OPT_MATRIX), TW_MISSING_ERROR, about->columns, about->names, &measures,
                     &o->matrix));
    o->measures = (int)tw_min_i64(measures, INT_MAX); /* the library says how many it takes */
    memory = tw_alloc(c->ctx, (size_t)measures, NAME);
    names = tw_alloc(c->ctx, (size_t)measures, sizeof *names);
    if (!memory || !names) TW_TRY(tw_fail_memory(c->ctx, (size_t)measures * (NAME + sizeof *names)));
    for (int j = 0; j < o->measures; j++) {
        snprintf(memory + j * NAME, NAME, "y%d", j + 1);
        names[j] = memory + j * NAME;
    }
    const named_row form = {c, "observe", "the matrix has no measure", o->measures, names, NULL};
    TW_TRY(read_observed(c, text, TW_MISSING_ERROR, &form, n, o));
    for (int j = 0; o->same && j < o->measures; j++)
        if (isnan(o->values[j]))
            TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--observe: %s is not given: --matrix has %d rows, a measure each",
                           names[j], o->measures));
    TW_TRY(check_measures(c, about->columns, *n, o));
done:
    tw_free(c->ctx, memory);
    tw_free(c->ctx, names);
    return status;
}

/* Something must be left to draw. */
static tw_status check_gaps(cli *c, const model *m, int64_t n, const observed *o)
{
    int64_t numbers = (o->same ? 1 : n) * m->about->columns;
    if (o->measures > 0 || opt_number(&c->set, OPT_NOISE) > 0) return TW_OK;
    for (int64_t i = 0; i < numbers; i++)
        if (isnan(o->values[i])) return TW_OK;
    return tw_fail(c->ctx, TW_ERR_INVALID, "--observe: nothing is missing, so there is nothing to draw: %s",
                   is_pictures(m) ? "give --mask, --operator or --noise"
                   : is_tokens(m) ? "leave gaps"
                                  : "leave gaps, or say how uncertain the numbers are by --noise");
}

tw_status observe_open(cli *c, const model *m, int64_t *n, observed *out)
{
    const char *text = opt_text(&c->set, OPT_OBSERVE);
    *out = (observed){0};
    if (!text) return TW_OK;
    const option_id of_pictures[] = {OPT_MASK, OPT_OPERATOR, OPT_DEGRADE};
    bool named = strchr(text, '=') && !file_exists(text) && !folder_exists(text);
    bool matrix = opt_given(&c->set, OPT_MATRIX);
    for (int i = 0; i < TW_COUNT(of_pictures); i++)
        if (opt_given(&c->set, of_pictures[i]) && (!is_pictures(m) || named || matrix))
            return tw_fail(c->ctx, TW_ERR_INVALID, "--%s is for pictures in a file or folder, given by --observe",
                           option_table[of_pictures[i]].name);
    if (matrix) return read_measured(c, m->about, text, n, out);
    const named_row form = {c, "observe", no_column, m->about->columns, m->about->names, NULL};
    tw_status status = is_pictures(m) && !named ? observe_pictures(c, m, n, out)
                                                : read_observed(c, text, TW_MISSING_KEEP, &form, n, out);
    return status == TW_OK ? check_gaps(c, m, *n, out) : status;
}

/* A linear reward's gradient is its weights. */
static int reward_gradient(void *user, int64_t first, int64_t rows, double t, const double *x1, double *out)
{
    const named_row *weights = user;
    (void)first, (void)t, (void)x1;
    repeat_rows(rows, weights->count, 1, weights->row, out);
    return 0;
}

static tw_status sample_rewarded(cli *c, const model *m, int64_t n, const tw_sample_desc *desc, double *out,
                                 tw_ode_stats *out_stats)
{
    tw_status status = TW_OK;
    named_row weights = {c,
                         "reward",
                         no_column,
                         m->about->columns,
                         m->about->names,
                         tw_alloc(c->ctx, (size_t)m->about->columns, sizeof(double))};
    const tw_reward_desc reward = {.gradient = reward_gradient, .user = &weights, .strength = 1};
    if (!weights.row) TW_TRY(tw_fail_memory(c->ctx, (size_t)m->about->columns * sizeof(double)));
    for (int j = 0; j < weights.count; j++) weights.row[j] = (double)NAN;
    TW_TRY(pairs_parse(c, "reward", opt_text(&c->set, OPT_REWARD), take_number, &weights));
    for (int j = 0; j < weights.count; j++)
        if (isnan(weights.row[j])) weights.row[j] = 0;
    TW_TRY(tw_sample_rewarded(m->flow, n, desc, &reward, out, out_stats));
done:
    tw_free(c->ctx, weights.row);
    return status;
}

tw_status sample_steered(cli *c, const model *m, const observed *o, int64_t n, const tw_sample_desc *desc, double *out,
                         tw_ode_stats *out_stats)
{
    const tw_inverse_desc inverse = {.method = opt_text(&c->set, OPT_INVERSE),
                                     .observed = o->values,
                                     .same_observed = o->same,
                                     .measures = o->measures,
                                     .matrix = o->matrix,
                                     .noise = opt_number(&c->set, OPT_NOISE)};
    if (o->values) return tw_flow_inverse(m->flow, n, desc, &inverse, out, out_stats);
    return sample_rewarded(c, m, n, desc, out, out_stats);
}

void observe_close(cli *c, observed *o)
{
    tw_free(c->ctx, o->values);
    tw_free(c->ctx, o->matrix);
    tw_free(c->ctx, o->seen);
    tw_free(c->ctx, o->truth);
    *o = (observed){0};
}
