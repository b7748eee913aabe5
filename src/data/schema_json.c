/* data/schema_json.c - a schema as JSON, for model files, and back. What is read is checked: a file may be damaged. */
#include "data/schema.h"

#include <cjson/cJSON.h>

#include <limits.h>
#include <math.h>
#include <string.h>

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void add_number(tw_text *t, const char *key, double value)
{
    tw_text_add(t, ", \"%s\": ", key);
    tw_text_add_double(t, value, true);
}

static void add_numbers(tw_text *t, const char *key, int count, const double *values)
{
    if (count == 0) return;
    tw_text_add(t, ", \"%s\": [", key);
    for (int i = 0; i < count; i++) {
        if (i > 0) tw_text_add(t, ", ");
        tw_text_add_double(t, values[i], true);
    }
    tw_text_add(t, "]");
}

static void add_text(tw_text *t, const char *key, const char *value)
{
    if (!value) return;
    tw_text_add(t, ", \"%s\": ", key);
    tw_text_add_json_string(t, value);
}

static void save_column(const tw_schema_column *c, tw_text *t)
{
    tw_text_add(t, "{\"name\": ");
    tw_text_add_json_string(t, c->name);
    add_text(t, "kind", tw_kind_list((int)c->kind)->name);
    add_text(t, "why", c->why);
    add_text(t, "gap", c->gap);
    add_number(t, "values", (double)c->values);
    add_number(t, "gaps", (double)c->gaps);
    if (c->levels > 0) {
        tw_text_add(t, ", \"levels\": [");
        for (int i = 0; i < c->levels; i++) {
            if (i > 0) tw_text_add(t, ", ");
            tw_text_add_json_string(t, c->level[i]);
        }
        tw_text_add(t, "]");
    }
    add_numbers(t, "shares", c->levels + c->spikes, c->share);
    add_numbers(t, "spikes", c->spikes, c->spike);
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"low", c->low},           {"high", c->high},     {"distinct", c->distinct}, {"heavy", c->heavy},
        {"open", c->open},         {"step", c->step},     {"low_open", c->low_open}, {"high_open", c->high_open},
        {"decimals", c->decimals}, {"padded", c->padded}, {"date", c->date},         {"between", c->between},
        {"group", c->group},       {"rank", c->rank},     {"total", c->total},       {"top", c->quantiles.top}};
    for (int i = 0; i < TW_COUNT(numbers); i++) add_number(t, numbers[i].key, numbers[i].value);
    add_numbers(t, "knots", c->quantiles.count, c->quantiles.knot);
    tw_text_add(t, "}");
}

void tw_schema_save(const tw_schema *schema, tw_text *text)
{
    char separator[2] = {schema->separator, 0};
    tw_text_add(text, "{\"header\": %s", schema->header ? "true" : "false");
    add_text(text, "separator", separator);
    tw_text_add(text, ", \"columns\": [");
    for (int i = 0; i < schema->columns; i++) {
        if (i > 0) tw_text_add(text, ", ");
        save_column(&schema->column[i], text);
    }
    tw_text_add(text, "]}");
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

typedef struct loading {
    tw_context *ctx;
    bool wrong; /* something is not as it was written */
    tw_status status;
} loading;

static double number(loading *l, const cJSON *object, const char *key, double low, double high)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsNumber(item) && item->valuedouble >= low && item->valuedouble <= high) return item->valuedouble;
    l->wrong = true;
    return low;
}

static char *copy_text(loading *l, const cJSON *item)
{
    if (!cJSON_IsString(item)) {
        l->wrong = true;
        return NULL;
    }
    char *copy = tw_strdup(l->ctx, item->valuestring);
    if (!copy) l->status = tw_fail_memory(l->ctx, strlen(item->valuestring) + 1);
    return copy;
}

static char *optional_text(loading *l, const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return item ? copy_text(l, item) : NULL;
}

/* An array of finite numbers, of `count` of them where that is not negative. */
static double *numbers(loading *l, const cJSON *object, const char *key, int count, int *out_count)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    int found = array ? cJSON_GetArraySize(array) : 0, i = 0;
    double *list = tw_alloc(l->ctx, (size_t)tw_max_i64(found, 1), sizeof *list);
    if (!list) l->status = tw_fail_memory(l->ctx, (size_t)found * sizeof *list);
    if (!list) return NULL;
    l->wrong = l->wrong || (count >= 0 && found != count);
    cJSON_ArrayForEach(item, array)
    {
        l->wrong = l->wrong || !cJSON_IsNumber(item) || !isfinite(item->valuedouble);
        list[i++] = item->valuedouble;
    }
    if (out_count) *out_count = found;
    return list;
}

static void load_levels(loading *l, const cJSON *object, tw_schema_column *c)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(object, "levels"), *item;
    int found = array ? cJSON_GetArraySize(array) : 0;
    if (found == 0) return;
    c->level = tw_alloc(l->ctx, (size_t)found, sizeof(char *));
    if (!c->level) l->status = tw_fail_memory(l->ctx, (size_t)found * sizeof(char *));
    if (!c->level) return;
    cJSON_ArrayForEach(item, array) c->level[c->levels++] = copy_text(l, item);
}

/* Files once knew places alone, by the column that is the other one's partner. */
static void load_group(loading *l, const cJSON *object, int columns, int index, tw_schema_column *c)
{
    if (cJSON_GetObjectItemCaseSensitive(object, "partner")) {
        c->group = (int)number(l, object, "partner", -1, columns - 1);
        if (c->group >= 0 && c->kind == TW_KIND_longitude) c->group = index;
        c->rank = c->kind == TW_KIND_latitude;
        return;
    }
    c->group = (int)number(l, object, "group", -1, columns - 1);
    c->rank = (int)number(l, object, "rank", 0, columns - 1);
    c->total = number(l, object, "total", 0, 1e300);
}

static void load_column(loading *l, const cJSON *object, int columns, int index, tw_schema_column *c)
{
    const double most = 1e300, many = 1e15;
    char *kind = optional_text(l, object, "kind");
    int found = TW_KIND_COUNT;
    for (int i = 0; kind && i < TW_KIND_COUNT; i++)
        if (strcmp(kind, tw_kind_list(i)->name) == 0) found = i;
    tw_free(l->ctx, kind);
    l->wrong = l->wrong || found == TW_KIND_COUNT;
    c->kind = found == TW_KIND_COUNT ? TW_KIND_skip : (tw_column_kind)found;
    c->name = copy_text(l, cJSON_GetObjectItemCaseSensitive(object, "name"));
    c->why = optional_text(l, object, "why");
    c->gap = optional_text(l, object, "gap");
    c->values = (int64_t)number(l, object, "values", 0, many);
    c->gaps = (int64_t)number(l, object, "gaps", 0, many);
    load_levels(l, object, c);
    c->spike = numbers(l, object, "spikes", -1, &c->spikes);
    c->share = numbers(l, object, "shares", c->levels + c->spikes, NULL);
    c->low = number(l, object, "low", -most, most);
    c->high = number(l, object, "high", -most, most);
    c->distinct = number(l, object, "distinct", 0, many);
    c->heavy = number(l, object, "heavy", 0, 1) != 0;
    c->open = number(l, object, "open", 0, 1) != 0;
    c->step = number(l, object, "step", 0, most);
    c->low_open = number(l, object, "low_open", -most, most);
    c->high_open = number(l, object, "high_open", c->low_open, most);
    c->decimals = (int)number(l, object, "decimals", -1, 17);
    c->padded = number(l, object, "padded", 0, 1) != 0;
    c->date = (tw_date_form)number(l, object, "date", 0, TW_DATE_SECOND);
    c->between = (char)number(l, object, "between", 0, 127);
    load_group(l, object, columns, index, c);
    c->quantiles.knot = numbers(l, object, "knots", -1, &c->quantiles.count);
    c->quantiles.top = number(l, object, "top", 0, 100);
    bool line = tw_kind_list((int)c->kind)->sort == TW_SORT_OF_NUMBERS;
    l->wrong = l->wrong || c->quantiles.count == 1 || (c->quantiles.count > 0 && !(c->quantiles.top > 0));
    l->wrong = l->wrong || (line && !c->open && c->spikes == 0);
}

/* A place is a longitude that speaks and a latitude; shares are shares of one sum; ranks are all there. */
static bool groups_agree(const tw_schema *s)
{
    for (int i = 0; i < s->columns; i++) {
        const tw_schema_column *c = &s->column[i];
        bool place = c->kind == TW_KIND_latitude || c->kind == TW_KIND_longitude, share = c->kind == TW_KIND_share;
        if ((place || share) != (c->group >= 0)) return false;
        if (c->group < 0) continue;
        const tw_schema_column *speaker = &s->column[c->group];
        int size = tw_schema_group_size(s, c->group), alike = 0;
        for (int k = 0; k < s->columns; k++) alike += s->column[k].group == c->group && s->column[k].rank == c->rank;
        if (speaker->group != c->group || speaker->rank != 0 || (c->group == i) != (c->rank == 0)) return false;
        if (c->rank >= size || alike != 1 || !c->open || size < 2) return false;
        if (place && (size != 2 || (c->kind == TW_KIND_longitude) != (c->rank == 0))) return false;
        if (share && (speaker->kind != TW_KIND_share || !(c->total > 0) || c->total != speaker->total)) return false;
    }
    return true;
}

tw_status tw_schema_load(tw_context *ctx, const char *json, tw_schema *out_schema)
{
    loading l = {.ctx = ctx, .status = TW_OK};
    tw_schema s = {.ctx = ctx};
    cJSON *root = cJSON_Parse(json);
    const cJSON *columns = cJSON_GetObjectItemCaseSensitive(root, "columns"), *item;
    const cJSON *separator = cJSON_GetObjectItemCaseSensitive(root, "separator");
    int count = cJSON_IsArray(columns) ? cJSON_GetArraySize(columns) : 0;
    l.wrong = count == 0 || !cJSON_IsString(separator) || strlen(separator->valuestring) != 1;
    s.column = tw_alloc(ctx, (size_t)tw_max_i64(count, 1), sizeof *s.column);
    if (!s.column) l.status = tw_fail_memory(ctx, (size_t)count * sizeof *s.column);
    if (s.column && !l.wrong) {
        s.header = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "header"));
        s.separator = separator->valuestring[0];
        cJSON_ArrayForEach(item, columns)
        {
            load_column(&l, item, count, s.columns, &s.column[s.columns]);
            s.columns++;
        }
    }
    cJSON_Delete(root);
    if (l.status == TW_OK && (l.wrong || !groups_agree(&s)))
        l.status = tw_fail(ctx, TW_ERR_FORMAT, "the reading of a table's columns is damaged");
    if (l.status == TW_OK) {
        tw_schema_lay_out(&s);
        *out_schema = s;
    } else {
        tw_schema_free(&s);
    }
    return l.status;
}
