/* begin.c - see begin.h. */
#include "begin.h"

#include "files.h"
#include "observe.h"
#include "pictures.h"
#include "sequences.h"
#include "tokens.h"

#include <math.h>
#include <string.h>

enum { STANDARD_ROWS = 1000, STANDARD_PICTURES = 64, OF_A_CLASS = 8 };

/* How many are drawn when nobody says so. Pictures: as many as one looks at. */
static int64_t standard_rows(const model *m)
{
    int class = class_condition(m->about), classes = class < 0 ? 0 : m->about->conditions[class].classes;
    if (!shows_pictures(m)) return STANDARD_ROWS;
    if (classes == 0) return STANDARD_PICTURES;
    return classes * tw_max_i64(1, tw_min_i64(OF_A_CLASS, 2 * STANDARD_PICTURES / classes));
}

/* --- conditions -------------------------------------------------------------------------------------------------- */

typedef struct told_row {
    cli *c;
    const char *flag; /* of the option */
    const tw_flow_desc *about;
    double *row;
} told_row;

static tw_status class_of(const told_row *r, const tw_condition *condition, const char *text, double *out)
{
    for (int k = 0; k < condition->classes; k++)
        if (strcmp(condition->level[k], text) == 0) return *out = k, TW_OK;
    const char *near = tw_nearest_name(text, condition->level, condition->classes);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: '%s' has no class '%s'%s%s%s", r->flag, condition->name, text,
                   near ? "; there is '" : "", near ? near : "", near ? "'" : "");
}

static tw_status take_pair(void *user, const char *name, const char *value)
{
    const told_row *r = user;
    const tw_flow_desc *about = r->about;
    const char *names[64];
    int count = about->conditions_count < 64 ? about->conditions_count : 64;
    for (int i = 0; i < about->conditions_count; i++) {
        const tw_condition *condition = &about->conditions[i];
        if (strcmp(condition->name, name) != 0) continue;
        if (condition->classes > 0) return class_of(r, condition, value, &r->row[i]);
        if (tw_parse_double(value, strlen(value), &r->row[i])) return TW_OK;
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: %s=%s: expected a number", r->flag, name, value);
    }
    for (int i = 0; i < count; i++) names[i] = about->conditions[i].name;
    const char *near = tw_nearest_name(name, names, count);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--%s: the model is told nothing called '%s'; %s'%s'", r->flag, name,
                   near ? "the nearest is " : "it is told ", near ? near : names[0]);
}

/* "species=Adelie,year=2008"; what is not named is not told. */
static tw_status parse_told(cli *c, const tw_flow_desc *about, const char *flag, const char *text, double *row)
{
    for (int i = 0; i < about->conditions_count; i++) row[i] = (double)NAN;
    return pairs_parse(c, flag, text, take_pair, &(told_row){c, flag, about, row});
}

/* A table whose columns are conditions alone is read as data of their names. */
static tw_status read_told(cli *c, const tw_flow_desc *about, const char *path, int64_t n, double *out)
{
    tw_dataset *data = NULL;
    int told = about->conditions_count;
    double split[3];
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    desc.known_conditions = about->conditions;
    desc.known_conditions_count = told;
    tw_status status = tw_dataset_open_like(c->ctx, path, &desc, about->columns, about->names, &data);
    if (status == TW_OK) {
        show_notes(c, data);
        repeat_rows(n, told, tw_dataset_rows(data, TW_PART_ALL), tw_dataset_condition_values(data, TW_PART_ALL), out);
    }
    tw_dataset_destroy(data);
    return status;
}

/* Pictures nobody says anything about are of every class in turn, so that one sees them all. */
static bool takes_turns(cli *c, const model *m)
{
    if (!shows_pictures(m) || class_condition(m->about) < 0 || c->verb->letter == 'C') return false;
    return !opt_given(&c->set, OPT_FROM) && !(c->verb->letter == 'S' && opt_given(&c->set, OPT_OBSERVE));
}

static void take_turns(const tw_flow_desc *about, int64_t n, double *out)
{
    int class = class_condition(about), told = about->conditions_count;
    for (int64_t i = 0; i < n * told; i++)
        out[i] = i % told == class ? (double)(i / told % about->conditions[class].classes) : (double)NAN;
}

/* What an option of `sample` says all rows are told, or each; nothing: NULL. */
static tw_status open_told(cli *c, const tw_flow_desc *about, option_id which, int64_t n, double **out, bool *out_same)
{
    const char *text = c->verb->letter == 'S' ? opt_text(&c->set, which) : NULL, *flag = option_table[which].name;
    size_t told = (size_t)about->conditions_count;
    if (!text) return TW_OK;
    if (told == 0) return tw_fail(c->ctx, TW_ERR_INVALID, "--%s: the model was trained without conditions", flag);
    *out_same = !file_exists(text) && !folder_exists(text);
    *out = tw_alloc(c->ctx, *out_same ? 1 : (size_t)n, told * sizeof(double));
    if (!*out) return tw_fail_memory(c->ctx, (size_t)n * told * sizeof(double));
    return *out_same ? parse_told(c, about, flag, text, *out) : read_told(c, about, text, n, *out);
}

static tw_status open_conditions(cli *c, const model *m, const held_out *held, int64_t n, begin *b)
{
    const tw_flow_desc *about = m->about;
    int told = about->conditions_count;
    tw_status status = open_told(c, about, OPT_EDIT, n, &b->edited, &b->same_edited);
    if (status == TW_OK) status = open_told(c, about, OPT_TOLD, n, &b->conditions, &b->same);
    if (status != TW_OK || b->conditions || told == 0) return status;
    bool known = held && held->conditions;
    if (!known && !takes_turns(c, m)) return TW_OK;
    b->conditions = tw_alloc(c->ctx, (size_t)n, (size_t)told * sizeof(double));
    if (!b->conditions) return tw_fail_memory(c->ctx, (size_t)n * (size_t)told * sizeof(double));
    if (known)
        repeat_rows(n, told, held->rows, held->conditions, b->conditions);
    else
        take_turns(about, n, b->conditions);
    return TW_OK;
}

/* --- rows to begin at -------------------------------------------------------------------------------------------- */

static int64_t interpolated(const cli *c)
{
    return c->verb->letter == 'S' ? opt_int(&c->set, OPT_INTERPOLATE) : 0;
}

static tw_status open_from(cli *c, const model *m, begin *b)
{
    const tw_flow_desc *about = m->about;
    const char *path = opt_text(&c->set, OPT_FROM);
    tw_dataset *data = NULL;
    tw_part part = TW_PART_ALL;
    double *read = NULL;
    const double *values = NULL;
    tw_status status = TW_OK;
    if (!path && strcmp(about->source, "data") != 0) return TW_OK;
    int64_t rows = 0;
    bool text = path && is_sequences(m) && is_texts(m);
    if (text) {
        TW_TRY(model_read_lines(c, m, path, &rows, &read));
        values = read;
    } else if (path) {
        double split[3];
        tw_dataset_desc desc = dataset_desc_of(&c->set, split);
        desc.known_image = about->image;
        desc.bins = model_bins(m);
        TW_TRY(tw_dataset_open_like(c->ctx, path, &desc, about->columns, about->names, &data));
        show_notes(c, data);
    } else {
        TW_TRY(model_open_source(c, m, &data));
        part = tw_dataset_rows(data, TW_PART_TEST) > 0 ? TW_PART_TEST : TW_PART_ALL;
    }
    if (!text) rows = tw_dataset_rows(data, part);
    int64_t between = interpolated(c);
    if (between > 0) b->n = (rows - 1) * (between + 1) + 1;
    if (b->n == 0 && path) b->n = rows;
    if (b->n == 0) b->n = standard_rows(m);
    if (!text) TW_TRY(part_values(c, data, part, &read, &values));
    b->from = tw_alloc(c->ctx, (size_t)b->n, (size_t)about->columns * sizeof(double));
    if (!b->from) TW_TRY(tw_fail_memory(c->ctx, (size_t)b->n * (size_t)about->columns * sizeof(double)));
    if (between > 0)
        TW_TRY(tw_interpolate(m->flow, rows, values, between, b->from));
    else
        repeat_rows(b->n, about->columns, rows, values, b->from);
done:
    tw_free(c->ctx, read);
    tw_dataset_destroy(data);
    return status;
}

/* --- guidance ---------------------------------------------------------------------------------------------------- */

/* The strength is written in either way: W, or S = 1 + W. */
static tw_status open_guidance(cli *c, const model *m, begin *b)
{
    const settings *s = &c->set;
    if (c->verb->letter == 'C') return TW_OK; /* likelihoods are those of the flow itself */
    bool scale = opt_given(s, OPT_GUIDANCE_SCALE);
    if (scale && opt_given(s, OPT_GUIDANCE))
        return tw_fail(c->ctx, TW_ERR_INVALID, "--guidance W and --guidance-scale S = 1 + W say the same: give one");
    b->guidance = scale ? opt_number(s, OPT_GUIDANCE_SCALE) - 1 : opt_number(s, OPT_GUIDANCE);
    b->guidance_kind = opt_text(s, OPT_GUIDANCE_KIND);
    const char *run = opt_text(s, OPT_GUIDE);
    tw_status status = run ? model_open_at(c->ctx, run, &b->guide) : TW_OK;
    if (status != TW_OK) return status;
    if (b->guidance == 0 || b->guide.flow || m->about->conditions_count > 0) return TW_OK;
    return tw_fail(c->ctx, TW_ERR_INVALID,
                   "guidance needs a model trained with --condition, or a worse one to lead away from: --guide RUN");
}

/* --- all --------------------------------------------------------------------------------------------------------- */

tw_status begin_open(cli *c, const model *m, const held_out *held, int64_t n, begin *out_begin)
{
    begin b = {.n = n};
    tw_status status = open_from(c, m, &b);
    if (b.n == 0) b.n = standard_rows(m);
    if (status == TW_OK) status = open_conditions(c, m, held, b.n, &b);
    if (status == TW_OK) status = open_guidance(c, m, &b);
    if (status != TW_OK)
        begin_close(c, &b);
    else
        *out_begin = b;
    return status;
}

void begin_close(cli *c, begin *b)
{
    tw_free(c->ctx, b->from);
    tw_free(c->ctx, b->conditions);
    tw_free(c->ctx, b->edited);
    model_close(&b->guide);
    *b = (begin){0};
}

void begin_set(const begin *b, tw_sample_desc *desc)
{
    desc->from = b->from;
    desc->conditions = b->conditions;
    desc->same_conditions = b->same;
    desc->guidance = b->guidance;
    desc->guidance_kind = b->guidance_kind;
    desc->guide = b->guide.flow;
}
