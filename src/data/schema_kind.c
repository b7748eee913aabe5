/* data/schema_kind.c - which kind a column is, by its different texts: dates and numbers when all are, levels when they
 * come again and again, angles and places by their name and range; what would only name rows is left out. */
#include "data/schema_find.h"

#include "base/text.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { MOST_LEVELS = 1000 };

static const double pi = 3.14159265358979323846;

tw_status tw_seen_gather(const tw_table *table, int index, tw_seen *out_seen)
{
    tw_context *ctx = table->ctx;
    const tw_table_column *column = &table->column[index];
    int64_t from = table->values - table->storage;
    tw_seen seen = {.table = table, .index = index, .count = column->cells.count};
    seen.text = tw_alloc(ctx, (size_t)tw_max_i64(seen.count, 1), sizeof *seen.text);
    if (!seen.text) return tw_fail_memory(ctx, (size_t)seen.count * sizeof *seen.text);
    for (int64_t i = 0; i < seen.count; i++) {
        tw_seen_text *t = &seen.text[i];
        const char *text = column->cells.item[i];
        tw_csv_field field = {.text = text, .length = strlen(text)};
        *t = (tw_seen_text){.text = text, .sort = tw_field_sort(&field, &t->value)};
        double number = (double)NAN;
        if (t->sort == TW_SORT_NUMBER) (void)tw_field_sort(&field, &number);
        if (t->sort == TW_SORT_TEXT) t->date = tw_date_parse(text, &number, &t->form, &t->between);
        t->value = number;
    }
    for (int64_t r = 0; r < table->rows; r++) {
        int32_t cell = table->cell_storage[from + r * table->stride + index];
        seen.many = seen.many || cell < 0;
        if (cell < 0) continue;
        tw_seen_text *t = &seen.text[cell];
        if (t->count++ == 0) t->line = table->line_storage[from / table->stride + r];
    }
    for (int64_t i = 0; i < seen.count; i++) {
        const tw_seen_text *t = &seen.text[i];
        bool text = t->sort == TW_SORT_TEXT && t->count > 0;
        seen.dates += t->date ? t->count : 0;
        seen.distinct_texts += text;
    }
    seen.numbers = column->numbers;
    seen.texts = column->texts;
    seen.gaps = column->gaps;
    *out_seen = seen;
    return TW_OK;
}

static int64_t distinct_values(const tw_seen *seen)
{
    int64_t count = 0;
    for (int64_t i = 0; i < seen->count; i++) count += seen->text[i].count > 0 && seen->text[i].sort != TW_SORT_GAP;
    return count;
}

/* --- by name ---------------------------------------------------------------------------------------------------------
 */

/* Whether the name is one of the words, or has it as a part between other signs: "wind_direction". */
static bool named(const char *name, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        size_t length = strlen(words[i]);
        for (const char *at = name; (at = strcasestr(at, words[i])); at++) {
            char before = at == name ? 0 : at[-1], after = at[length];
            bool begins = !((before | 32) >= 'a' && (before | 32) <= 'z');
            bool ends = !((after | 32) >= 'a' && (after | 32) <= 'z');
            if (begins && ends) return true;
        }
    }
    return false;
}
#define NAMED(name, ...) named(name, (const char *const[]){__VA_ARGS__}, TW_COUNT(((const char *const[]){__VA_ARGS__})))

static void range_of(const tw_seen *seen, double *low, double *high, bool *whole, bool *rising)
{
    const tw_table *t = seen->table;
    *low = (double)INFINITY, *high = -(double)INFINITY, *whole = *rising = true;
    double last = -(double)INFINITY;
    for (int64_t r = 0; r < t->rows; r++) {
        double v = t->values[r * t->stride + seen->index];
        if (isnan(v)) continue;
        *low = fmin(*low, v), *high = fmax(*high, v);
        *whole = *whole && v == floor(v);
        *rising = *rising && (v == last + 1 || isinf(last));
        last = v;
    }
}

/* A circle is only worth it where values reach around it. */
static tw_column_kind by_name(const char *name, double low, double high)
{
    double span = high - low;
    if (NAMED(name, "lat", "latitude") && low >= -90 && high <= 90) return TW_KIND_latitude;
    if (NAMED(name, "lon", "lng", "long", "longitude") && low >= -180 && high <= 360) return TW_KIND_longitude;
    bool angle = NAMED(name, "angle", "azimuth", "bearing", "heading", "direction", "dir", "phi", "psi", "theta",
                       "dihedral", "torsion", "deg", "degrees", "rad", "radians", "phase", "hue");
    if (!angle || span <= pi) return TW_KIND_number;
    if (low >= -pi - 1e-4 && high <= 2 * pi + 1e-4) return TW_KIND_radians;
    if (span > 180 && low >= -180 && high <= 360) return TW_KIND_degrees;
    return TW_KIND_number;
}

/* --- the kind --------------------------------------------------------------------------------------------------------
 */

static tw_status leave_out(const tw_seen *seen, const char *why, tw_column_kind *out_kind, char **out_why)
{
    *out_kind = TW_KIND_skip;
    *out_why = tw_strdup(seen->table->ctx, why);
    return *out_why ? TW_OK : tw_fail_memory(seen->table->ctx, strlen(why) + 1);
}

tw_status tw_seen_kind(const tw_seen *seen, tw_column_kind *out_kind, char **out_why)
{
    const char *name = seen->table->column[seen->index].name;
    int64_t distinct = distinct_values(seen), known = seen->numbers + seen->texts;
    *out_why = NULL;
    if (known == 0) return leave_out(seen, "empty", out_kind, out_why);
    if (seen->texts > 0 && seen->dates == known && !seen->many) {
        *out_kind = TW_KIND_date;
        return TW_OK;
    }
    if (seen->texts > 0) {
        if (seen->many || distinct > MOST_LEVELS) return leave_out(seen, "too many different texts", out_kind, out_why);
        if (distinct > 20 && 2 * distinct > known)
            return leave_out(seen, "nearly every row has a text of its own", out_kind, out_why);
        *out_kind = distinct == 2 ? TW_KIND_yesno : TW_KIND_category;
        return TW_OK;
    }
    double low, high;
    bool whole, rising;
    range_of(seen, &low, &high, &whole, &rising);
    if (rising && whole && known > 20 && seen->gaps == 0) return leave_out(seen, "numbers the rows", out_kind, out_why);
    *out_kind = distinct == 2 && !seen->many ? TW_KIND_yesno : by_name(name, low, high);
    if (*out_kind == TW_KIND_number && whole) *out_kind = TW_KIND_integer;
    return TW_OK;
}

tw_status tw_seen_check(const tw_seen *seen, tw_column_kind kind)
{
    const tw_table *table = seen->table;
    const tw_table_column *column = &table->column[seen->index];
    tw_kind_sort sort = tw_kind_list((int)kind)->sort;
    if (sort == TW_SORT_OF_NOTHING) return TW_OK;
    if (seen->numbers + seen->texts == 0)
        return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s' is empty", table->path, column->name);
    if (sort == TW_SORT_OF_LEVELS) {
        if (!seen->many && distinct_values(seen) <= MOST_LEVELS) return TW_OK;
        return tw_fail(table->ctx, TW_ERR_FORMAT,
                       "%s: column '%s' has more than %d different texts: too many for a "
                       "category (leave it out: --column %s=skip)",
                       table->path, column->name, MOST_LEVELS, column->name);
    }
    if (column->infinite_at > 0)
        return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s': '%s' is not finite",
                       tw_table_place(table, column->infinite_at).text, column->name, column->infinite);
    const tw_seen_text *first = NULL;
    for (int64_t i = 0; i < seen->count; i++) {
        const tw_seen_text *t = &seen->text[i];
        bool fits = t->sort == TW_SORT_GAP || (kind == TW_KIND_date ? t->date : t->sort == TW_SORT_NUMBER);
        if (t->count > 0 && !fits && (!first || t->line < first->line)) first = t;
    }
    if (first)
        return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: column '%s': '%.60s' is not %s",
                       tw_table_place(table, first->line).text, column->name, first->text,
                       kind == TW_KIND_date ? "a date such as 2024-02-29" : "a number");
    if (seen->many && seen->texts > 0)
        return tw_fail(table->ctx, TW_ERR_FORMAT, "%s:%lld: column '%s': '%s' is not a number", table->path,
                       (long long)column->text_at, column->name, column->text);
    return TW_OK;
}
