/* given.c - see given.h. A value is held while the row is drawn, by which the others follow its conditional law; a
 * range is met by drawing again. */
#include "given.h"

#include "observe.h"

#include <math.h>
#include <string.h>

typedef struct reading {
    cli *c;
    const tw_schema *schema;
    given *g;
    double *cells;
} reading;

static tw_status fail_column(const reading *r, const char *name)
{
    const char *names[256];
    int count = 0;
    for (int i = 0; i < r->schema->columns && count < TW_COUNT(names); i++)
        if (r->schema->column[i].kind != TW_KIND_skip) names[count++] = r->schema->column[i].name;
    const char *near = tw_nearest_name(name, names, count);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--given: the model has no column '%s'%s%s%s", name,
                   near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static tw_status fail_value(const reading *r, const tw_schema_column *c, const char *text)
{
    if (tw_kind_list((int)c->kind)->sort != TW_SORT_OF_LEVELS)
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "--given: %s=%s: expected %s, or a range such as %s", c->name, text,
                       c->kind == TW_KIND_date ? "a date" : "a number",
                       c->kind == TW_KIND_date ? "2024-01-01..2024-06-30" : "30..40");
    const char *near = tw_nearest_name(text, (const char *const *)c->level, c->levels);
    return tw_fail(r->c->ctx, TW_ERR_INVALID, "--given: column '%s' has no level '%s': %s '%s'", c->name, text,
                   near ? "did you mean" : "one it has is", near ? near : c->level[0]);
}

/* "30..40", "30..", "..40". */
static tw_status take_range(const reading *r, int column, const char *text, const char *dots)
{
    const tw_schema_column *c = &r->schema->column[column];
    char low[64];
    double least = -(double)INFINITY, most = (double)INFINITY;
    snprintf(low, sizeof low, "%.*s", (int)(dots - text < 60 ? dots - text : 60), text);
    bool fits = (!*low || tw_schema_parse(c, low, &least)) && (!dots[2] || tw_schema_parse(c, dots + 2, &most));
    if (!fits || isnan(least) || isnan(most) || tw_kind_list((int)c->kind)->sort == TW_SORT_OF_LEVELS)
        return fail_value(r, c, text);
    if (!(least <= most))
        return tw_fail(r->c->ctx, TW_ERR_INVALID, "--given: %s=%s: the range is empty", c->name, text);
    r->g->low[column] = least;
    r->g->high[column] = most;
    r->g->ranges = true;
    return TW_OK;
}

static tw_status take_pair(void *user, const char *name, const char *value)
{
    const reading *r = user;
    int column = tw_schema_column_of(r->schema, name);
    if (column < 0 || r->schema->column[column].kind == TW_KIND_skip) return fail_column(r, name);
    const tw_schema_column *c = &r->schema->column[column];
    const char *dots = strstr(value, "..");
    if (dots && tw_kind_list((int)c->kind)->sort != TW_SORT_OF_LEVELS) return take_range(r, column, value, dots);
    if (!tw_schema_parse(c, value, &r->cells[column]) || isnan(r->cells[column])) return fail_value(r, c, value);
    if (c->number < 0 && c->token < 0) return TW_OK; /* it is always so */
    r->g->known = true;
    return TW_OK;
}

/* A point is held whole. */
static tw_status check_groups(cli *c, const tw_schema *schema, const double *cells)
{
    for (int i = 0; i < schema->columns; i++)
        for (int k = 0; k < schema->columns; k++) {
            const tw_schema_column *a = &schema->column[i], *b = &schema->column[k];
            if (a->group >= 0 && a->group == b->group && !isnan(cells[i]) && isnan(cells[k]))
                return tw_fail(c->ctx, TW_ERR_INVALID,
                               "--given: '%s' makes one point with '%s': give both, or a range such as "
                               "%s=LOW..HIGH",
                               a->name, b->name, a->name);
        }
    return TW_OK;
}

tw_status given_open(cli *c, const tw_schema *schema, const char *text, given *out_given)
{
    given g = {.ctx = c->ctx, .columns = schema->columns};
    size_t columns = (size_t)schema->columns;
    tw_status status = TW_OK;
    double *cells = tw_alloc(c->ctx, columns, sizeof(double));
    g.low = tw_alloc(c->ctx, columns, sizeof(double));
    g.high = tw_alloc(c->ctx, columns, sizeof(double));
    g.codes = tw_alloc(c->ctx, (size_t)schema->codes, sizeof(double));
    if (!cells || !g.low || !g.high || !g.codes) TW_TRY(tw_fail_memory(c->ctx, columns * sizeof(double)));
    for (size_t i = 0; i < columns; i++) cells[i] = g.low[i] = g.high[i] = (double)NAN;
    if (text) TW_TRY(pairs_parse(c, "given", text, take_pair, &(reading){c, schema, &g, cells}));
    TW_TRY(check_groups(c, schema, cells));
    tw_schema_encode(schema, cells, 0, 0, true, g.codes);
    *out_given = g;
    g = (given){0};
done:
    tw_free(c->ctx, cells);
    given_close(&g);
    return status;
}

void given_close(given *g)
{
    if (!g->ctx) return;
    tw_free(g->ctx, g->low);
    tw_free(g->ctx, g->high);
    tw_free(g->ctx, g->codes);
    *g = (given){0};
}

bool given_holds(const given *g, const double *cells)
{
    for (int i = 0; i < g->columns; i++)
        if (!isnan(g->low[i]) && !(cells[i] >= g->low[i] && cells[i] <= g->high[i])) return false;
    return true;
}
