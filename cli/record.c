/* record.c - see record.h. */
#include "record.h"

#include "files.h"

#include "base/file.h"

#include <math.h>
#include <string.h>

void record_open(record *r, tw_context *ctx, const char *folder, bool resume)
{
    enum { LIMIT = 1 << 24 };
    char *text = NULL;
    size_t size = 0;
    *r = (record){.ctx = ctx};
    bool named = path_join(r->path, sizeof r->path, folder, "measured.json");
    if (named && resume && tw_file_read(ctx, r->path, false, LIMIT, &text, &size) == TW_OK)
        r->entries = cJSON_ParseWithLength(text, size);
    tw_free(ctx, text);
    if (cJSON_IsArray(r->entries)) return;
    cJSON_Delete(r->entries);
    r->entries = cJSON_CreateArray();
}

void record_close(record *r)
{
    cJSON_Delete(r->entries);
    r->entries = NULL;
}

static const char *text_of(const cJSON *entry, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, key));
    return text ? text : "";
}

/* null, which stands for a number that is not finite, is NAN. */
static double number_of(const cJSON *entry, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static bool is_of(const cJSON *entry, int seed, const char *name)
{
    return number_of(entry, "seed") == seed && (!name || strcmp(text_of(entry, "measure"), name) == 0);
}

bool record_find(const record *r, int seed, const char *name, const char *how, measured *out, double *out_seconds)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, r->entries)
    {
        if (!is_of(entry, seed, name) || strcmp(text_of(entry, "settings"), how) != 0) continue;
        *out = (measured){number_of(entry, "value"), number_of(entry, "floor")};
        *out_seconds = number_of(entry, "seconds");
        return true;
    }
    return false;
}

/* Those of a seed, or of one measure of it, are dropped; whether there were any. */
static bool drop(record *r, int seed, const char *name)
{
    int before = cJSON_GetArraySize(r->entries);
    for (int i = cJSON_GetArraySize(r->entries) - 1; i >= 0; i--)
        if (is_of(cJSON_GetArrayItem(r->entries, i), seed, name)) cJSON_DeleteItemFromArray(r->entries, i);
    return cJSON_GetArraySize(r->entries) < before;
}

static int save(const record *r)
{
    char folder[MODEL_PATH], *text = cJSON_Print(r->entries);
    tw_status status = text ? TW_OK : tw_fail(r->ctx, TW_ERR_MEMORY, "out of memory");
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(r->path, '/') - r->path), r->path);
    if (status == TW_OK) status = tw_make_folder(r->ctx, folder); /* measures of algorithms leave no run there */
    if (status == TW_OK) status = write_text(r->ctx, r->path, text);
    cJSON_free(text);
    if (status == TW_OK) return EXIT_DONE;
    cli_complain("%s", tw_context_error(r->ctx));
    return EXIT_FAILED;
}

int record_forget(record *r, int seed)
{
    return drop(r, seed, NULL) ? save(r) : EXIT_DONE;
}

int record_keep(record *r, int seed, const char *name, const char *how, measured value, double seconds)
{
    cJSON *entry = cJSON_CreateObject();
    drop(r, seed, name);
    json_int(entry, "seed", seed);
    json_text(entry, "measure", name);
    json_text(entry, "settings", how);
    json_number(entry, "value", value.value);
    json_number(entry, "floor", value.floor);
    json_number(entry, "seconds", seconds);
    cJSON_AddItemToArray(r->entries, entry);
    return save(r);
}
