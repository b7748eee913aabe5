/* data/conditions.c - see conditions.h. A column of texts is one of classes, in alphabetical order; so is a column of
 * at most FEW_CLASSES different whole numbers; any other column of numbers is a number. */
#include "data/table.h"

#include "base/order.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_CLASSES = 64 };

tw_status tw_conditions_choose(const tw_table *table, const tw_dataset_desc *desc, int **out_list, int *out_count)
{
    tw_context *ctx = table->ctx;
    *out_list = NULL;
    *out_count = 0;
    if (!desc->conditions || strcmp(desc->conditions, "none") == 0) return TW_OK;
    const char **names = tw_table_names(table);
    if (!names) return tw_fail_memory(ctx, (size_t)table->columns * sizeof(char *));
    tw_status status =
        tw_columns_find(ctx, table->path, "--condition", desc->conditions, table->columns, names, out_list, out_count);
    tw_free(ctx, names);
    return status;
}

tw_status tw_conditions_check(const tw_table *table, tw_missing missing, const int *list, int count)
{
    for (int i = 0; i < count; i++) {
        const tw_table_column *c = &table->column[list[i]];
        if (c->gaps > 0 && missing == TW_MISSING_MEDIAN)
            return tw_fail(table->ctx, TW_ERR_FORMAT,
                           "%s: the condition '%s' has no value, and no median stands for one",
                           tw_table_place(table, c->gap_at).text, c->name);
        if (c->numbers == 0 && c->texts == 0)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: the condition '%s' is empty", table->path, c->name);
        if (c->numbers > 0 && c->texts > 0)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: condition '%s': '%s' among numbers",
                           tw_table_place(table, c->text_at).text, c->name, c->text);
        if (c->infinite_at > 0)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: condition '%s': '%s' is not finite",
                           tw_table_place(table, c->infinite_at).text, c->name, c->infinite);
        if (c->levels.count == TW_LEVELS_MAX)
            return tw_fail(table->ctx, TW_ERR_FORMAT, "%s: the condition '%s' has %d different texts or more",
                           table->path, c->name, TW_LEVELS_MAX);
    }
    return TW_OK;
}

/* --- classes ------------------------------------------------------------------------------------------------------ */

/* The different values when there are few and all are whole; else none. */
static int few_whole(const double *value, int64_t rows, int64_t stride, double *out)
{
    int count = 0;
    for (int64_t r = 0; r < rows; r++) {
        double v = value[r * stride];
        if (isnan(v)) continue;
        if (v != floor(v)) return 0;
        int at = 0;
        while (at < count && out[at] != v) at++;
        if (at == count && count == FEW_CLASSES) return 0;
        if (at == count) out[count++] = v;
    }
    qsort(out, (size_t)count, sizeof *out, tw_by_value);
    return count;
}

/* Whole numbers become texts, so that every class has one. */
static tw_status numbers_to_levels(tw_table *table, int column, double *value)
{
    tw_context *ctx = table->ctx;
    double kinds[FEW_CLASSES];
    tw_status status = TW_OK;
    int count = few_whole(value, table->rows, table->stride, kinds), number;
    for (int i = 0; i < count; i++) {
        char text[40];
        snprintf(text, sizeof text, "%.0f", kinds[i]);
        TW_TRY(tw_levels_take(ctx, &table->column[column].levels, text, &number));
    }
    for (int64_t r = 0; count > 0 && r < table->rows; r++)
        for (int i = 0; i < count; i++)
            if (value[r * table->stride] == kinds[i]) {
                value[r * table->stride] = i;
                break;
            }
done:
    return status;
}

static tw_status sort_levels(tw_table *table, int column, double *value)
{
    tw_levels *levels = &table->column[column].levels;
    int *now = tw_alloc(table->ctx, (size_t)levels->count, sizeof *now);
    if (!now) return tw_fail_memory(table->ctx, (size_t)levels->count * sizeof *now);
    tw_status status = tw_levels_sort(table->ctx, levels, now);
    for (int64_t r = 0; status == TW_OK && r < table->rows; r++)
        if (!isnan(value[r * table->stride])) value[r * table->stride] = now[(int)value[r * table->stride]];
    tw_free(table->ctx, now);
    return status;
}

/* Classes as a model has them. */
static tw_status match_levels(tw_table *table, int column, const tw_condition *like, double *value)
{
    const tw_table_column *c = &table->column[column];
    for (int64_t r = 0; r < table->rows; r++) {
        double *v = &value[r * table->stride];
        char number[40];
        const char *text = number;
        if (isnan(*v)) continue;
        if (c->texts > 0)
            text = c->levels.item[(int)*v];
        else
            snprintf(number, sizeof number, "%.17g", *v);
        int at = 0;
        while (at < like->classes && strcmp(like->level[at], text) != 0) at++;
        if (at == like->classes) {
            const char *near = tw_nearest_name(text, like->level, like->classes);
            return tw_fail(table->ctx, TW_ERR_INVALID, "%s: condition '%s': the model has no class '%s'%s%s%s",
                           table->path, c->name, text, near ? "; there is '" : "", near ? near : "", near ? "'" : "");
        }
        *v = at;
    }
    return TW_OK;
}

/* --- one condition ------------------------------------------------------------------------------------------------ */

void tw_conditions_release(tw_context *ctx, int count, tw_condition *conditions)
{
    for (int i = 0; conditions && i < count; i++) {
        tw_condition *c = &conditions[i];
        for (int k = 0; c->level && k < c->classes; k++) tw_free(ctx, (char *)(uintptr_t)c->level[k]);
        tw_free(ctx, (void *)(uintptr_t)c->level);
        tw_free(ctx, (char *)(uintptr_t)c->name);
    }
    tw_free(ctx, conditions);
}

static tw_status copy_levels(tw_context *ctx, int classes, const char *const *levels, tw_condition *out)
{
    char **copy = tw_alloc(ctx, (size_t)classes, sizeof *copy);
    out->level = (const char *const *)copy;
    out->classes = classes;
    if (!copy) return tw_fail_memory(ctx, (size_t)classes * sizeof *copy);
    for (int i = 0; i < classes; i++)
        if (!(copy[i] = tw_strdup(ctx, levels[i]))) return tw_fail_memory(ctx, strlen(levels[i]) + 1);
    return TW_OK;
}

tw_status tw_conditions_copy(tw_context *ctx, int count, const tw_condition *from, tw_condition **out_conditions)
{
    if (count == 0) return TW_OK;
    tw_status status = TW_OK;
    tw_condition *copy = tw_alloc(ctx, (size_t)count, sizeof *copy);
    if (!copy) return tw_fail_memory(ctx, (size_t)count * sizeof *copy);
    for (int i = 0; i < count; i++) {
        copy[i] = (tw_condition){.mean = from[i].mean, .scale = from[i].scale};
        if (!(copy[i].name = tw_strdup(ctx, from[i].name))) TW_TRY(tw_fail_memory(ctx, strlen(from[i].name) + 1));
        if (from[i].classes > 0) TW_TRY(copy_levels(ctx, from[i].classes, from[i].level, &copy[i]));
    }
    *out_conditions = copy;
    copy = NULL;
done:
    tw_conditions_release(ctx, count, copy);
    return status;
}

static void standardise(const tw_table *table, const double *value, int64_t train, tw_condition *out)
{
    double mean = 0, squares = 0;
    for (int64_t r = 0; r < train; r++) mean += value[r * table->stride] / (double)train;
    for (int64_t r = 0; r < train; r++)
        squares += (value[r * table->stride] - mean) * (value[r * table->stride] - mean);
    double sd = sqrt(squares / (double)train);
    out->mean = mean;
    out->scale = sd > 0 ? sd : 1;
}

static tw_status make_condition(tw_table *table, int column, int64_t train, const tw_condition *like, tw_condition *out)
{
    tw_context *ctx = table->ctx;
    tw_table_column *c = &table->column[column];
    double *value = table->values + c->slot;
    tw_status status = TW_OK;
    out->name = tw_strdup(ctx, c->name);
    if (!out->name) return tw_fail_memory(ctx, strlen(c->name) + 1);
    if (like && like->classes > 0) {
        TW_TRY(match_levels(table, column, like, value));
        return copy_levels(ctx, like->classes, like->level, out);
    }
    if (like && c->texts > 0)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: condition '%s': '%s' is not a number", table->path, c->name, c->text);
    if (like) {
        out->mean = like->mean;
        out->scale = like->scale;
        return TW_OK;
    }
    if (c->texts == 0) TW_TRY(numbers_to_levels(table, column, value));
    if (c->levels.count > 0) {
        TW_TRY(sort_levels(table, column, value));
        return copy_levels(ctx, (int)c->levels.count, (const char *const *)c->levels.item, out);
    }
    standardise(table, value, train, out);
done:
    return status;
}

/* --- all of them -------------------------------------------------------------------------------------------------- */

static tw_status drop_columns(tw_table *table, int keep)
{
    int *list = tw_alloc(table->ctx, (size_t)keep, sizeof *list);
    if (!list) return tw_fail_memory(table->ctx, (size_t)keep * sizeof *list);
    for (int i = 0; i < keep; i++) list[i] = i;
    tw_status status = tw_table_keep(table, list, keep);
    tw_free(table->ctx, list);
    return status;
}

tw_status tw_conditions_split(tw_table *table, int count, int64_t train, const tw_condition *like,
                              tw_conditions *out_conditions)
{
    if (count == 0) return TW_OK;
    tw_context *ctx = table->ctx;
    tw_conditions *c = out_conditions;
    int first = table->columns - count;
    tw_status status = TW_OK;
    c->item = tw_alloc(ctx, (size_t)count, sizeof *c->item);
    c->values = tw_alloc(ctx, (size_t)tw_max_i64(table->rows, 1), (size_t)count * sizeof(double));
    if (!c->item || !c->values) return tw_fail_memory(ctx, (size_t)table->rows * (size_t)count * sizeof(double));
    c->count = count;
    for (int i = 0; i < count; i++)
        TW_TRY(make_condition(table, first + i, train, like ? &like[i] : NULL, &c->item[i]));
    for (int64_t r = 0; r < table->rows; r++)
        memcpy(c->values + r * count, table->values + r * table->stride + first, (size_t)count * sizeof(double));
    TW_TRY(drop_columns(table, first));
done:
    return status;
}

void tw_conditions_free(tw_context *ctx, tw_conditions *conditions)
{
    tw_conditions_release(ctx, conditions->count, conditions->item);
    tw_free(ctx, conditions->values);
    *conditions = (tw_conditions){0};
}
