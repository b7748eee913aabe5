/* data/pictures_files.c - see pictures_files.h. */
#include "data/pictures_files.h"

#include "data/folder.h"
#include "io/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 8 };

/* --- the list ----------------------------------------------------------------------------------------------------- */

static bool has_picture_name(const char *name)
{
    static const char *const endings[] = {".png", ".jpg", ".jpeg"};
    for (int i = 0; i < TW_COUNT(endings); i++)
        if (tw_name_ends(name, endings[i])) return true;
    return false;
}

static tw_status add(tw_picture_files *files, const char *path, const char *class, bool test)
{
    tw_status status = tw_grow(files->ctx, &files->item, &files->capacity, files->count + 1, sizeof *files->item);
    if (status != TW_OK) return status;
    tw_picture_file *file = &files->item[files->count++];
    *file = (tw_picture_file){.path = tw_strdup(files->ctx, path), .test = test};
    if (class) file->class = tw_strdup(files->ctx, class);
    bool made = file->path && (!class || file->class);
    return made ? TW_OK : tw_fail_memory(files->ctx, strlen(path) + 1);
}

/* A folder and those it lies in: a link back to one of them is not gone along. */
typedef struct nest {
    dev_t device;
    ino_t number;
    const struct nest *outer;
} nest;

static bool is_within(const nest *inner, const struct stat *about)
{
    for (; inner; inner = inner->outer)
        if (inner->device == about->st_dev && inner->number == about->st_ino) return true;
    return false;
}

static tw_status gather(tw_picture_files *files, const char *path, const char *class, bool test, int depth,
                        const nest *outer)
{
    tw_folder folder = {0};
    struct stat about = {0};
    if (stat(path, &about) == 0 && is_within(outer, &about)) return TW_OK;
    const nest here = {about.st_dev, about.st_ino, outer};
    tw_status status = tw_folder_read(files->ctx, path, &folder);
    for (int64_t i = 0; status == TW_OK && i < folder.count; i++) {
        const char *name = folder.name[i];
        if (tw_is_folder(folder.path[i])) {
            if (depth < DEEPEST) status = gather(files, folder.path[i], class ? class : name, test, depth + 1, &here);
        } else if (has_picture_name(name)) {
            status = add(files, folder.path[i], class, test);
        }
    }
    tw_folder_free(files->ctx, &folder);
    return status;
}

tw_status tw_picture_files_list(tw_picture_files *files, const char *path)
{
    tw_folder folder = {0};
    const char *part[2] = {NULL, NULL};
    tw_status status = TW_OK;
    if (tw_is_file(path)) return add(files, path, NULL, false);
    TW_TRY(tw_folder_read(files->ctx, path, &folder));
    for (int64_t i = 0; i < folder.count; i++)
        for (int k = 0; k < 2; k++)
            if (strcmp(folder.name[i], k == 0 ? "train" : "test") == 0 && tw_is_folder(folder.path[i]))
                part[k] = folder.path[i];
    if (!part[0]) {
        status = gather(files, path, NULL, false, 0, NULL);
        goto done;
    }
    TW_TRY(gather(files, part[0], NULL, false, 0, NULL));
    if (part[1]) TW_TRY(gather(files, part[1], NULL, true, 0, NULL));
done:
    tw_folder_free(files->ctx, &folder);
    return status;
}

void tw_picture_files_free(tw_picture_files *files)
{
    for (int64_t i = 0; i < files->count; i++) {
        tw_free(files->ctx, files->item[i].path);
        tw_free(files->ctx, files->item[i].class);
    }
    tw_free(files->ctx, files->item);
    files->item = NULL;
    files->count = files->capacity = 0;
}

/* --- classes from a table ----------------------------------------------------------------------------------------- */

/* What a table calls a file: its path from some folder on, with its ending or without. */
typedef struct row {
    char *name, *class;
} row;

typedef struct labels {
    tw_context *ctx;
    const char *path;
    row *item;
    int64_t count, capacity;
} labels;

static tw_status take_row(void *user, int64_t number, int64_t line, int count, const tw_csv_field *field)
{
    labels *l = user;
    (void)number;
    if (count < 2)
        return tw_fail(l->ctx, TW_ERR_FORMAT, "%s:%lld: expected the name of a file and its class", l->path,
                       (long long)line);
    tw_status status = tw_grow(l->ctx, &l->item, &l->capacity, l->count + 1, sizeof *l->item);
    if (status != TW_OK) return status;
    row *r = &l->item[l->count++];
    *r = (row){tw_strdup(l->ctx, field[0].text), tw_strdup(l->ctx, field[1].text)};
    return r->name && r->class ? TW_OK : tw_fail_memory(l->ctx, field[0].length + field[1].length + 2);
}

static int compare_rows(const void *a, const void *b)
{
    return strcmp(((const row *)a)->name, ((const row *)b)->name);
}

/* The row of a file: under its path from any folder on, with its ending or without. */
static const row *find_row(const labels *l, const char *path)
{
    char stem[4096];
    const char *dot = strrchr(path, '.');
    snprintf(stem, sizeof stem, "%.*s", dot ? (int)(dot - path) : (int)strlen(path), path);
    for (int short_name = 0; short_name < 2; short_name++)
        for (const char *name = short_name ? stem : path; name; name = strchr(name, '/')) {
            name += *name == '/';
            row key = {.name = (char *)(uintptr_t)name};
            const row *found = bsearch(&key, l->item, (size_t)l->count, sizeof *l->item, compare_rows);
            if (found) return found;
        }
    return NULL;
}

static tw_status give_class(tw_picture_files *files, tw_picture_file *file, const labels *l)
{
    const row *r = find_row(l, file->path);
    if (!r) return tw_fail(files->ctx, TW_ERR_FORMAT, "%s: no class for '%s'", l->path, file->path);
    tw_free(files->ctx, file->class);
    file->class = tw_strdup(files->ctx, r->class);
    return file->class ? TW_OK : tw_fail_memory(files->ctx, strlen(r->class) + 1);
}

tw_status tw_picture_files_label(tw_picture_files *files, const char *csv)
{
    labels l = {.ctx = files->ctx, .path = csv};
    tw_status status = TW_OK;
    TW_TRY(tw_csv_read(files->ctx, csv, NULL, take_row, &l, NULL));
    if (l.count > 0) qsort(l.item, (size_t)l.count, sizeof *l.item, compare_rows);
    for (int64_t i = 0; i < files->count; i++) TW_TRY(give_class(files, &files->item[i], &l));
done:
    for (int64_t i = 0; i < l.count; i++) {
        tw_free(l.ctx, l.item[i].name);
        tw_free(l.ctx, l.item[i].class);
    }
    tw_free(l.ctx, l.item);
    return status;
}
