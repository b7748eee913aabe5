/* data/schema_shares.c - columns that are parts of a whole: side by side, none below 0, and with the same sum in every
 * row that has them all, 1 or 100 up to the rounding of what is written; of columns that were asked for, any sum. */
#include "data/schema_find.h"

#include <math.h>

enum { FEWEST_ROWS = 20 };

static double cell_at(const tw_table *table, int64_t row, int column)
{
    return table->values[row * table->stride + column];
}

/* How far rounding may put a sum off: a half of the last digit each, at most; of many columns 3.5 of its deviations. */
static double slack_of(const tw_schema *schema, int from, int count, double total)
{
    double unit = 0;
    for (int k = from; k < from + count; k++)
        unit = fmax(unit, schema->column[k].decimals < 0 ? 1e-6 * total : pow(10, -schema->column[k].decimals));
    return 1e-9 * total + unit * fmin(0.5 * count, sqrt(count));
}

/* The first row whose parts do not have the sum, -1: all do. Adds up the rows that have them all. */
static int64_t first_wrong(const tw_schema *schema, const tw_table *table, int from, int count, double total,
                           int64_t *out_rows)
{
    double slack = slack_of(schema, from, count, total);
    *out_rows = 0;
    for (int64_t r = 0; r < table->rows; r++) {
        double sum = 0;
        for (int k = from; k < from + count; k++) sum += cell_at(table, r, k);
        if (isnan(sum)) continue;
        ++*out_rows;
        if (!(fabs(sum - total) <= slack)) return r;
    }
    return -1;
}

/* Numbers that nobody has asked to be something, and could be parts. */
static bool could_be(const tw_schema_column *c, int asked)
{
    return asked < 0 && (c->kind == TW_KIND_number || c->kind == TW_KIND_integer) && c->low >= 0 && c->high <= 100 &&
           c->low < c->high;
}

static tw_status make(tw_schema *schema, const tw_table *table, int from, int count, double total,
                      tw_schema_again_fn again)
{
    int decimals = 0;
    for (int k = from; k < from + count; k++) {
        tw_status status = again(schema, table, k, TW_KIND_share);
        if (status != TW_OK) return status;
        int own = schema->column[k].decimals;
        decimals = own < 0 || decimals < 0 ? -1 : own > decimals ? own : decimals;
    }
    for (int k = from; k < from + count; k++) {
        tw_schema_column *c = &schema->column[k];
        c->group = from;
        c->rank = k - from;
        c->total = total;
        c->decimals = decimals;
    }
    return TW_OK;
}

static const double totals[] = {1, 100};

/* Columns from one on that add up to one of these; 0: they do not, however many. */
static int parts_from(const tw_schema *schema, const tw_table *table, const int *asked, int from, double *out_total)
{
    const double coarse = 0.04; /* what is rounded like this may add up by chance */
    for (int count = 1;
         from + count <= schema->columns && could_be(&schema->column[from + count - 1], asked[from + count - 1]);
         count++)
        for (int i = 0; count > 1 && i < TW_COUNT(totals); i++) {
            int64_t rows;
            *out_total = totals[i];
            if (slack_of(schema, from, count, totals[i]) > coarse * totals[i]) continue;
            if (first_wrong(schema, table, from, count, totals[i], &rows) < 0 && rows >= FEWEST_ROWS) return count;
        }
    return 0;
}

/* Those that were asked for: all that stand side by side, with the sum of the first row, or what that is of rounding.
 */
static tw_status take_asked(tw_schema *schema, const tw_table *table, int from, int count, tw_schema_again_fn again)
{
    double total = (double)NAN;
    int64_t rows;
    const char *name = schema->column[from].name;
    for (int k = from; k < from + count; k++)
        if (schema->column[k].low < 0)
            return tw_fail(schema->ctx, TW_ERR_FORMAT, "%s: column '%s': shares are not below 0, and there is %g",
                           table->path, schema->column[k].name, schema->column[k].low);
    if (count < 2)
        return tw_fail(schema->ctx, TW_ERR_INVALID, "%s: column '%s' is a share, and none stands beside it",
                       table->path, name);
    for (int64_t r = 0; r < table->rows && isnan(total); r++) {
        total = 0;
        for (int k = from; k < from + count; k++) total += cell_at(table, r, k);
    }
    for (int i = 0; i < TW_COUNT(totals); i++)
        if (fabs(total - totals[i]) <= slack_of(schema, from, count, totals[i])) total = totals[i];
    int64_t wrong = total > 0 ? first_wrong(schema, table, from, count, total, &rows) : 0;
    if (wrong >= 0) {
        int64_t shift = (table->values - table->storage) / table->stride;
        return tw_fail(schema->ctx, TW_ERR_FORMAT, "%s: shares '%s' to '%s' do not add up to %.9g",
                       tw_table_place(table, table->line_storage[shift + wrong]).text, name,
                       schema->column[from + count - 1].name, total);
    }
    return make(schema, table, from, count, total, again);
}

tw_status tw_schema_find_shares(tw_schema *schema, const tw_table *table, const int *asked, tw_schema_again_fn again)
{
    for (int i = 0, count; i < schema->columns; i += count) {
        double total;
        tw_status status = TW_OK;
        count = 0;
        while (i + count < schema->columns && asked[i + count] == TW_KIND_share) count++;
        if (count > 0)
            status = take_asked(schema, table, i, count, again);
        else if ((count = parts_from(schema, table, asked, i, &total)) > 0)
            status = make(schema, table, i, count, total, again);
        if (status != TW_OK) return status;
        if (count == 0) count = 1;
    }
    return TW_OK;
}
