/* base/new_folder.c - folders that appear whole; see base/file.h.
 *
 * A new folder is one rename. One that is there is not replaced, as it may be where somebody stands or where a disk is
 * mounted: its files move up from a folder inside. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tw_status fail_making(const tw_new_folder *f, int error)
{
    return tw_fail(f->ctx, TW_ERR_IO, "cannot make folder '%s': %s", f->path, strerror(error));
}

static void release(tw_new_folder *f)
{
    if (f->ctx) {
        tw_free(f->ctx, f->path);
        tw_free(f->ctx, f->temporary);
    }
    *f = (tw_new_folder){0};
}

/* The parents of f->path; it itself is made and removed again, which also tells whether it can be. */
static tw_status make_parents(const tw_new_folder *f)
{
    tw_status status = tw_make_folder(f->ctx, f->path);
    if (status == TW_OK && rmdir(f->path) != 0) status = fail_making(f, errno);
    return status;
}

tw_status tw_new_folder_open(tw_context *ctx, const char *path, tw_new_folder *out_folder)
{
    struct stat info;
    tw_status status = TW_OK;
    size_t length = strlen(path), room = length + 48;
    tw_new_folder f = {.ctx = ctx, .path = tw_strdup(ctx, path), .temporary = tw_alloc(ctx, room, 1)};
    if (!f.path || !f.temporary) TW_TRY(tw_fail_memory(ctx, room));
    while (length > 1 && f.path[length - 1] == '/') f.path[--length] = 0;
    f.there = stat(f.path, &info) == 0 && S_ISDIR(info.st_mode);
    if (!f.there) TW_TRY(make_parents(&f));
    for (int number = 1, error = EEXIST; error; number++) {
        int end = snprintf(f.temporary, room, f.there ? "%s/tmp-%ld" : "%s.tmp-%ld", f.path, (long)getpid());
        if (number > 1) snprintf(f.temporary + end, room - (size_t)end, "-%d", number);
        error = mkdir(f.temporary, 0777) == 0 ? 0 : errno;
        if (error && (error != EEXIST || number == 100)) TW_TRY(fail_making(&f, error));
    }
    *out_folder = f;
    f = (tw_new_folder){0};
done:
    release(&f);
    return status;
}

/* Calls `what` for every file of `folder`, until it answers with an error. */
static int each_file(const char *folder, int (*what)(const tw_new_folder *f, const char *name), const tw_new_folder *f)
{
    DIR *names = opendir(folder);
    int error = names ? 0 : errno;
    for (struct dirent *entry; names && !error && (entry = readdir(names));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) error = what(f, entry->d_name);
    if (names) closedir(names);
    return error;
}

enum { PATH_ROOM = 4096 };

static bool join(char *out, const char *folder, const char *name)
{
    return snprintf(out, PATH_ROOM, "%s/%s", folder, name) < PATH_ROOM;
}

static int remove_file(const tw_new_folder *f, const char *name)
{
    char path[PATH_ROOM];
    if (join(path, f->temporary, name)) unlink(path);
    return 0;
}

static int move_up(const tw_new_folder *f, const char *name)
{
    char from[PATH_ROOM], to[PATH_ROOM];
    if (!join(from, f->temporary, name) || !join(to, f->path, name)) return ENAMETOOLONG;
    return rename(from, to) == 0 ? 0 : errno;
}

void tw_new_folder_abandon(tw_new_folder *folder)
{
    if (!folder->temporary) return;
    (void)each_file(folder->temporary, remove_file, folder);
    rmdir(folder->temporary);
    release(folder);
}

tw_status tw_new_folder_commit(tw_new_folder *folder)
{
    tw_status status = TW_OK;
    int error;
    if (!folder->there)
        error = rename(folder->temporary, folder->path) == 0 ? 0 : errno;
    else if (!(error = each_file(folder->temporary, move_up, folder)))
        rmdir(folder->temporary);
    if (error) {
        status = fail_making(folder, error);
        tw_new_folder_abandon(folder);
    }
    release(folder);
    return status;
}
