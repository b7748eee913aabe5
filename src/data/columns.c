/* data/columns.c - names of columns: made unique when a file repeats them, found again when the user asks for some.
 *
 * A choice is a list "a,b,c"; an item is a name, a name in double quotes (when it holds a comma), a number from 1, or a
 * range of numbers "3-5". A name wins over a number of the same spelling. */
#include "data/table.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTED_REPEATS 5

const char **tw_table_names(const tw_table *table)
{
    const char **names = tw_alloc(table->ctx, (size_t)table->columns, sizeof(char *));
    for (int i = 0; names && i < table->columns; i++) names[i] = table->column[i].name;
    return names;
}

int tw_table_column_of(const tw_table *table, const char *name)
{
    for (int i = 0; i < table->columns; i++)
        if (strcmp(table->column[i].name, name) == 0) return i;
    return -1;
}

tw_status tw_table_fail_no_column(const tw_table *table, const char *name, const char *why)
{
    const char **names = tw_table_names(table);
    if (!names) return tw_fail_memory(table->ctx, (size_t)table->columns * sizeof(char *));
    const char *near = tw_nearest_name(name, names, table->columns);
    tw_status status = tw_fail(table->ctx, TW_ERR_INVALID, "%s: no column '%s'%s%s%s%s", table->path, name, why,
                               near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
    tw_free(table->ctx, names);
    return status;
}

/* --- naming ----------------------------------------------------------------------------------------------- */

static char *copy_name(tw_context *ctx, const char *text, int index)
{
    char fallback[32];
    while (*text == ' ' || *text == '\t') text++;
    if (!*text) {
        snprintf(fallback, sizeof fallback, "x%d", index + 1);
        text = fallback;
    }
    char *name = tw_strdup(ctx, text);
    if (!name) return NULL;
    for (char *c = name; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = ' ';
    for (size_t n = strlen(name); n > 1 && name[n - 1] == ' '; n--) name[n - 1] = 0;
    return name;
}

/* By name, then by place: the first column of a name leads its repeats. */
static int compare_columns(const void *a, const void *b)
{
    const tw_table_column *x = *(const tw_table_column *const *)a, *y = *(const tw_table_column *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* base_2, base_3 ...: the next that is no name of the file. Two bases never make the same name, so that only the names
 * of the file need to be looked at. */
static char *next_name(tw_context *ctx, const char *base, int *number, const char **file_names, int count)
{
    size_t room = strlen(base) + 16;
    char *name = tw_alloc(ctx, room, 1);
    const char *key = name;
    if (!name) return NULL;
    do snprintf(name, room, "%s_%d", base, ++*number);
    while (bsearch(&key, file_names, (size_t)count, sizeof(char *), compare_names));
    return name;
}

static tw_status rename_repeats(tw_table *table)
{
    tw_context *ctx = table->ctx;
    tw_status status = TW_OK;
    size_t count = (size_t)table->columns;
    int leaders = 0, lead = 0, number = 1;
    int64_t repeats = 0;
    tw_table_column **sorted = tw_alloc(ctx, count, sizeof(void *));
    const char **names = tw_alloc(ctx, count, sizeof(void *));
    if (!sorted || !names) {
        status = tw_fail_memory(ctx, count * sizeof(void *));
        goto done;
    }
    for (size_t i = 0; i < count; i++) sorted[i] = &table->column[i];
    qsort(sorted, count, sizeof(void *), compare_columns);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(sorted[i]->name, names[leaders - 1]) != 0) names[leaders++] = sorted[i]->name;
    lead = -1;
    for (size_t i = 0; i < count; i++) {
        if (lead < 0 || strcmp(sorted[i]->name, names[lead]) != 0) {
            lead++;
            number = 1;
            continue;
        }
        char *name = next_name(ctx, names[lead], &number, names, leaders);
        if (!name) {
            status = tw_fail_memory(ctx, strlen(names[lead]) + 16);
            goto done;
        }
        tw_free(ctx, sorted[i]->name);
        sorted[i]->name = name;
        if (repeats++ < NOTED_REPEATS)
            TW_TRY(tw_note(ctx, &table->notes, "column %d repeats the name '%s': called '%s'",
                           (int)(sorted[i] - table->column) + 1, names[lead], name));
    }
    if (repeats > NOTED_REPEATS)
        TW_TRY(tw_note(ctx, &table->notes, "%lld more columns repeat a name", (long long)(repeats - NOTED_REPEATS)));
done:
    tw_free(ctx, sorted);
    tw_free(ctx, names);
    return status;
}

tw_status tw_columns_name(tw_table *table, const char *const *texts)
{
    int nameless = 0;
    for (int i = 0; i < table->columns; i++) {
        char *name = copy_name(table->ctx, texts ? texts[i] : "", i);
        if (!name) return tw_fail_memory(table->ctx, 32);
        tw_free(table->ctx, table->column[i].name);
        table->column[i].name = name;
        if (!texts || texts[i][strspn(texts[i], " \t")]) continue;
        tw_status status = TW_OK;
        if (nameless++ == 0)
            status = tw_note(table->ctx, &table->notes, "column %d has no name: called '%s'", i + 1, name);
        if (status != TW_OK) return status;
    }
    return texts ? rename_repeats(table) : TW_OK;
}

/* --- choosing --------------------------------------------------------------------------------------------- */

typedef struct choice {
    tw_context *ctx;
    const char *path;
    const char *option; /* "--columns" or "--drop", for errors */
    int count;
    const char *const *names;
    int *list;
    bool *taken;
    int taken_count;
} choice;

static tw_status take(choice *c, int index)
{
    if (c->taken[index])
        return tw_fail(c->ctx, TW_ERR_INVALID, "%s: column '%s' is named twice in %s", c->path, c->names[index],
                       c->option);
    c->taken[index] = true;
    c->list[c->taken_count++] = index;
    return TW_OK;
}

static tw_status fail_unknown(const choice *c, const char *word)
{
    const char *near = tw_nearest_name(word, c->names, c->count);
    if (near) return tw_fail(c->ctx, TW_ERR_INVALID, "%s: no column '%s': did you mean '%s'?", c->path, word, near);
    tw_text text = tw_text_new(c->ctx);
    int shown = c->count < 12 ? c->count : 12;
    for (int i = 0; i < shown; i++) tw_text_add(&text, "%s'%.40s'", i ? ", " : "", c->names[i]);
    if (shown < c->count) tw_text_add(&text, ", ... (%d columns)", c->count);
    tw_status status = tw_text_check(&text);
    if (status == TW_OK)
        status = tw_fail(c->ctx, TW_ERR_INVALID, "%s: no column '%s'; there are %s", c->path, word, text.data);
    tw_text_free(&text);
    return status;
}

/* "3" or "3-5". False when it is neither. */
static bool parse_range(const char *word, int64_t *low, int64_t *high)
{
    size_t digits = strspn(word, "0123456789");
    if (digits == 0 || digits > 9) return false;
    *low = *high = strtol(word, NULL, 10);
    if (!word[digits]) return true;
    const char *rest = word + digits + strspn(word + digits, " ");
    if (*rest != '-') return false;
    rest++;
    rest += strspn(rest, " ");
    size_t more = strspn(rest, "0123456789");
    if (more == 0 || more > 9 || rest[more]) return false;
    *high = strtol(rest, NULL, 10);
    return true;
}

static tw_status take_word(choice *c, const char *word, bool quoted)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->names[i], word) == 0) return take(c, i);
    int64_t low, high;
    if (quoted || !parse_range(word, &low, &high)) return fail_unknown(c, word);
    if (low < 1 || high > c->count)
        return tw_fail(c->ctx, TW_ERR_INVALID, "%s: no column %lld: there are %d, counted from 1", c->path,
                       (long long)(low < 1 ? low : high), c->count);
    if (low > high)
        return tw_fail(c->ctx, TW_ERR_INVALID, "%s: the range '%s' in %s runs backwards", c->path, word, c->option);
    for (int64_t i = low; i <= high; i++) {
        tw_status status = take(c, (int)i - 1);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status take_list(choice *c, const char *text)
{
    tw_status status = TW_OK;
    char *word = tw_alloc(c->ctx, strlen(text) + 1, 1);
    if (!word) return tw_fail_memory(c->ctx, strlen(text) + 1);
    for (const char *p = text;; p++) {
        while (*p == ' ' || *p == '\t') p++;
        bool quoted = *p == '"' && strchr(p + 1, '"');
        size_t length = 0;
        if (quoted) {
            for (p++; *p != '"'; p++) word[length++] = *p;
            for (p++; *p && *p != ',';) p++;
        } else {
            while (*p && *p != ',') word[length++] = *p++;
            while (length > 0 && (word[length - 1] == ' ' || word[length - 1] == '\t')) length--;
        }
        word[length] = 0;
        if (length == 0)
            status = tw_fail(c->ctx, TW_ERR_INVALID, "%s: an empty name in %s '%s'", c->path, c->option, text);
        else
            status = take_word(c, word, quoted);
        if (status != TW_OK || !*p) break;
    }
    tw_free(c->ctx, word);
    return status;
}

tw_status tw_columns_find(tw_context *ctx, const char *path, const char *option, const char *text, int count,
                          const char *const *names, int **out_list, int *out_count)
{
    tw_status status = TW_OK;
    size_t places = (size_t)tw_max_i64(count, 1);
    choice c = {.ctx = ctx, .path = path, .option = option, .count = count, .names = names};
    c.list = tw_alloc(ctx, places, sizeof(int));
    c.taken = tw_alloc(ctx, places, sizeof(bool));
    if (!c.list || !c.taken) TW_TRY(tw_fail_memory(ctx, places * sizeof(int)));
    TW_TRY(take_list(&c, text));
    *out_list = c.list;
    *out_count = c.taken_count;
    c.list = NULL;
done:
    tw_free(ctx, c.list);
    tw_free(ctx, c.taken);
    return status;
}

tw_status tw_columns_choose(tw_context *ctx, const char *path, const char *columns, const char *drop, int count,
                            const char *const *names, int **out_list, int *out_count)
{
    tw_status status = TW_OK;
    size_t places = (size_t)tw_max_i64(count, 1);
    int *kept = NULL;
    int kept_count = 0;
    choice c = {.ctx = ctx, .path = path, .count = count, .names = names};
    c.list = tw_alloc(ctx, places, sizeof(int));
    c.taken = tw_alloc(ctx, places, sizeof(bool));
    kept = tw_alloc(ctx, places, sizeof(int));
    if (!c.list || !c.taken || !kept) {
        status = tw_fail_memory(ctx, places * sizeof(int));
        goto done;
    }
    c.option = "--columns";
    if (columns)
        TW_TRY(take_list(&c, columns));
    else
        for (int i = 0; i < count; i++) c.list[c.taken_count++] = i;
    kept_count = c.taken_count;
    memcpy(kept, c.list, places * sizeof(int));
    if (drop) {
        memset(c.taken, 0, places * sizeof(bool));
        c.taken_count = 0;
        c.option = "--drop";
        TW_TRY(take_list(&c, drop));
        int left = 0;
        for (int i = 0; i < kept_count; i++)
            if (!c.taken[kept[i]]) kept[left++] = kept[i];
        kept_count = left;
    }
    if (kept_count == 0) {
        status = tw_fail(ctx, TW_ERR_INVALID, "%s: no column is left to read", path);
        goto done;
    }
    *out_list = kept;
    *out_count = kept_count;
    kept = NULL;
done:
    tw_free(ctx, c.list);
    tw_free(ctx, c.taken);
    tw_free(ctx, kept);
    return status;
}
