/* data/folder.c - see folder.h. */
#include "data/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

bool tw_is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

bool tw_is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool tw_name_ends(const char *name, const char *ending)
{
    size_t length = strlen(name), wanted = strlen(ending);
    return length > wanted && strcasecmp(name + length - wanted, ending) == 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static tw_status add(tw_context *ctx, tw_folder *folder, const char *path, const char *name)
{
    size_t length = strlen(path), slash = length > 0 && path[length - 1] != '/';
    size_t size = length + slash + strlen(name) + 1;
    tw_status status = tw_grow(ctx, &folder->path, &folder->capacity, folder->count + 1, sizeof(char *));
    if (status != TW_OK) return status;
    char *full = tw_alloc(ctx, size, 1);
    if (!full) return tw_fail_memory(ctx, size);
    snprintf(full, size, "%s%s%s", path, slash ? "/" : "", name);
    folder->path[folder->count++] = full;
    return TW_OK;
}

tw_status tw_folder_read(tw_context *ctx, const char *path, tw_folder *out_folder)
{
    tw_folder folder = {0};
    tw_status status = TW_OK;
    DIR *dir = opendir(path);
    if (!dir) return tw_fail(ctx, TW_ERR_IO, "cannot read the folder '%s': %s", path, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') TW_TRY(add(ctx, &folder, path, entry->d_name));
    if (folder.count > 1) qsort(folder.path, (size_t)folder.count, sizeof *folder.path, compare);
    folder.name = tw_alloc(ctx, (size_t)folder.count, sizeof *folder.name);
    if (!folder.name) TW_TRY(tw_fail_memory(ctx, (size_t)folder.count * sizeof *folder.name));
    for (int64_t i = 0; i < folder.count; i++) folder.name[i] = strrchr(folder.path[i], '/') + 1;
    *out_folder = folder;
    folder = (tw_folder){0};
done:
    closedir(dir);
    tw_folder_free(ctx, &folder);
    return status;
}

void tw_folder_free(tw_context *ctx, tw_folder *folder)
{
    for (int64_t i = 0; i < folder->count; i++) tw_free(ctx, folder->path[i]);
    tw_free(ctx, folder->path);
    tw_free(ctx, folder->name);
    *folder = (tw_folder){0};
}
