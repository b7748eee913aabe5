/* data/schema_values.c - what the values of a column are like: its levels, or how its numbers are written, the steps
 * they lie on, values that stand out, tails. */
#include "data/schema_find.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A column of at most so many values, each coming so often, is a choice among them. */
enum { FEW_VALUES = 20, OFTEN = 5 };
/* A spike has at least this share, is so many times as frequent as its neighbours, and is seen so often. */
#define SPIKE_SHARE 0.02
enum { SPIKE_TIMES = 4, SPIKE_LEAST = 10, SPIKE_NEAR = 4, SPIKES = 32 };
/* A tail is heavy that reaches so many times the middle half beyond the middle. */
enum { HEAVY_TIMES = 8 };

/* --- levels ------------------------------------------------------------------------------------------------------ */

tw_status tw_seen_levels(const tw_seen *seen, tw_schema_column *column)
{
    tw_context *ctx = seen->table->ctx;
    tw_levels levels = {0};
    int *place = NULL, number;
    tw_status status = TW_OK;
    for (int64_t i = 0; i < seen->count; i++)
        if (seen->text[i].count > 0 && seen->text[i].sort != TW_SORT_GAP)
            TW_TRY(tw_levels_take(ctx, &levels, seen->text[i].text, &number));
    place = tw_alloc(ctx, (size_t)tw_max_i64(levels.count, 1), sizeof *place);
    column->share = tw_alloc(ctx, (size_t)tw_max_i64(levels.count, 1), sizeof(double));
    if (!place || !column->share) TW_TRY(tw_fail_memory(ctx, (size_t)levels.count * sizeof(double)));
    TW_TRY(tw_levels_sort(ctx, &levels, place));
    for (int64_t i = 0; i < seen->count; i++) {
        if (seen->text[i].count == 0 || seen->text[i].sort == TW_SORT_GAP) continue;
        TW_TRY(tw_levels_take(ctx, &levels, seen->text[i].text, &number));
        column->share[number] = (double)seen->text[i].count / (double)column->values;
    }
    column->level = levels.item;
    column->levels = (int)levels.count;
    levels.item = NULL;
    levels.count = 0;
done:
    tw_levels_free(ctx, &levels);
    tw_free(ctx, place);
    return status;
}

/* --- how numbers are written ------------------------------------------------------------------------------------- */

static void find_digits(const tw_seen *seen, tw_schema_column *column)
{
    enum { MOST = 12 };
    column->decimals = 0;
    column->padded = true;
    int last = -1;
    for (int64_t i = 0; i < seen->count; i++) {
        const tw_seen_text *t = &seen->text[i];
        if (t->count == 0 || t->sort != TW_SORT_NUMBER) continue;
        const char *point = strchr(t->text, '.');
        int digits = point ? (int)strspn(point + 1, "0123456789") : 0;
        if (strpbrk(t->text, "eE") || digits > MOST || !isfinite(t->value)) column->decimals = -1;
        column->padded = column->padded && (last < 0 || digits == last);
        last = digits;
        if (column->decimals >= 0 && digits > column->decimals) column->decimals = digits;
    }
    if (seen->many) column->decimals = seen->table->column[seen->index].decimals;
    column->padded = column->padded && column->decimals > 0;
}

static void find_date_form(const tw_seen *seen, tw_schema_column *column)
{
    for (int64_t i = 0; i < seen->count; i++) {
        const tw_seen_text *t = &seen->text[i];
        if (!t->date || t->form <= column->date) continue;
        column->date = t->form;
        column->between = t->between;
    }
}

/* --- values that stand out --------------------------------------------------------------------------------------- */

typedef struct value_count {
    double value;
    int64_t count;
} value_count;

static int compare_values(const void *a, const void *b)
{
    double x = ((const value_count *)a)->value, y = ((const value_count *)b)->value;
    return (x > y) - (x < y);
}

/* The different values of a column, rising, with how often they come. */
static tw_status count_values(const tw_seen *seen, bool dates, value_count **out_list, int64_t *out_count)
{
    const tw_table *table = seen->table;
    int64_t rows = table->rows, count = 0;
    bool by_text = dates && !seen->many;
    value_count *list = tw_alloc(table->ctx, (size_t)tw_max_i64(by_text ? seen->count : rows, 1), sizeof *list);
    if (!list) return tw_fail_memory(table->ctx, (size_t)rows * sizeof *list);
    for (int64_t i = 0; by_text && i < seen->count; i++)
        if (seen->text[i].date && seen->text[i].count > 0)
            list[count++] = (value_count){seen->text[i].value, seen->text[i].count};
    for (int64_t r = 0; !by_text && r < rows; r++) {
        double v = table->values[r * table->stride + seen->index];
        if (isfinite(v)) list[count++] = (value_count){v, 1};
    }
    qsort(list, (size_t)count, sizeof *list, compare_values);
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        if (kept > 0 && list[kept - 1].value == list[i].value)
            list[kept - 1].count += list[i].count;
        else
            list[kept++] = list[i];
    }
    *out_list = list;
    *out_count = kept;
    return TW_OK;
}

/* Much more frequent than the values around it. */
static bool stands_out(const value_count *list, int64_t count, int64_t i, int64_t values)
{
    if (list[i].count < SPIKE_LEAST || (double)list[i].count < SPIKE_SHARE * (double)values) return false;
    int64_t near = 0, sum = 0;
    for (int64_t k = tw_max_i64(i - SPIKE_NEAR, 0); k <= tw_min_i64(i + SPIKE_NEAR, count - 1); k++)
        if (k != i) near++, sum += list[k].count;
    return near == 0 || list[i].count * near >= SPIKE_TIMES * sum;
}

static tw_status find_spikes(tw_context *ctx, tw_schema_column *column, value_count *list, int64_t count, bool line)
{
    bool few = line && (count == 1 || (count <= FEW_VALUES && column->values >= OFTEN * count));
    column->spike = tw_alloc(ctx, (size_t)SPIKES, sizeof(double));
    column->share = tw_alloc(ctx, (size_t)SPIKES, sizeof(double));
    if (!column->spike || !column->share) return tw_fail_memory(ctx, SPIKES * sizeof(double));
    column->open = !few;
    for (int64_t i = 0; line && i < count && column->spikes < SPIKES; i++) {
        if (!few && !stands_out(list, count, i, column->values)) continue;
        column->share[column->spikes] = (double)list[i].count / (double)column->values;
        column->spike[column->spikes++] = list[i].value;
    }
    return TW_OK;
}

static bool is_spike(const tw_schema_column *column, double value)
{
    for (int i = 0; i < column->spikes; i++)
        if (column->spike[i] == value) return true;
    return false;
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

/* The largest step that all values beside the spikes are whole multiples apart. */
static double step_of(const tw_schema_column *column, const value_count *list, int64_t count, double unit)
{
    uint64_t step = 0;
    for (int64_t i = 0; i < count; i++) {
        if (is_spike(column, list[i].value)) continue;
        double place = floor((list[i].value - column->low_open) / unit + 0.5);
        if (!(place < 0x1p53)) return 0;
        step = tw_gcd((uint64_t)place, step);
    }
    return (double)step * unit;
}

static bool has_heavy_tails(const value_count *list, int64_t count, int64_t values)
{
    double quarter[3] = {0};
    int64_t before = 0;
    for (int64_t i = 0; i < count; i++)
        for (int k = 0; k < list[i].count; k++, before++)
            for (int q = 0; q < 3; q++)
                if (before == (q + 1) * values / 4) quarter[q] = list[i].value;
    double half = quarter[2] - quarter[0], reach = fmax(list[count - 1].value - quarter[1], quarter[1] - list[0].value);
    return half > 0 && reach > HEAVY_TIMES * half;
}

tw_status tw_seen_numbers(const tw_seen *seen, tw_schema_column *column)
{
    tw_context *ctx = seen->table->ctx;
    bool date = column->kind == TW_KIND_date, line = tw_kind_list((int)column->kind)->sort == TW_SORT_OF_NUMBERS;
    value_count *list = NULL;
    int64_t count = 0;
    tw_status status = TW_OK;
    if (date)
        find_date_form(seen, column);
    else
        find_digits(seen, column);
    TW_TRY(count_values(seen, date, &list, &count));
    column->low = list[0].value;
    column->high = list[count - 1].value;
    column->distinct = (double)count;
    column->heavy = line && !date && has_heavy_tails(list, count, column->values);
    TW_TRY(find_spikes(ctx, column, list, count, line));
    int64_t first = 0, last = count - 1;
    while (first < last && is_spike(column, list[first].value)) first++;
    while (last > first && is_spike(column, list[last].value)) last--;
    column->low_open = list[first].value;
    column->high_open = list[last].value;
    double unit = date ? (double[]){1, 1 / 1440.0, 1 / 86400.0}[column->date] : pow(10, -column->decimals);
    if (column->open && line && (date || column->decimals >= 0)) column->step = step_of(column, list, count, unit);
    if (column->open && column->low_open == column->high_open) column->step = 0;
done:
    tw_free(ctx, list);
    return status;
}
