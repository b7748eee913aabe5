/* base/file.c - whole files in, whole files out.
 *
 * Files are read into memory first and told to be gzip by their two first bytes, so that a name never decides. Output
 * goes to a neighbour of the target that is renamed in the end; targets that are no regular files (a terminal, a pipe,
 * /dev/null) are written directly, since a rename would replace the device. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* What errno means, as the end of a sentence. */
static const char *reason(int error, char *buffer, size_t size)
{
    switch (error) {
    case ENOENT:
        return "no such file or folder";
    case ENOTDIR:
        return "a part of the path is not a folder";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOSPC:
        return "no space left on the device";
    case EFBIG:
        return "the file grew beyond the allowed size";
    case EROFS:
        return "the file system is read-only";
    default:
        return strerror_r(error, buffer, size);
    }
}

static tw_status fail_errno(tw_context *ctx, int error, const char *what, const char *path)
{
    char buffer[128];
    return tw_fail(ctx, TW_ERR_IO, "cannot %s '%s': %s", what, path, reason(error, buffer, sizeof buffer));
}

typedef struct bytes {
    char *data;
    size_t size, capacity;
} bytes;

/* Room for at least one more byte behind the data, and the final zero. */
static bool bytes_grow(tw_context *ctx, bytes *b, size_t first)
{
    if (b->size + 1 < b->capacity) return true;
    size_t capacity = b->capacity ? 2 * b->capacity : first;
    char *data = tw_resize(ctx, b->data, capacity, 1);
    if (!data) return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

static tw_status fail_large(tw_context *ctx, const char *path, size_t limit)
{
    return tw_fail(ctx, TW_ERR_FORMAT, "'%s' is larger than %zu bytes", path, limit);
}

static tw_status read_all(tw_context *ctx, int fd, const char *path, size_t limit, size_t guess, bytes *b)
{
    for (;;) {
        if (!bytes_grow(ctx, b, guess + 2)) return tw_fail_memory(ctx, b->capacity ? 2 * b->capacity : guess + 2);
        ssize_t got = read(fd, b->data + b->size, b->capacity - b->size - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(ctx, errno, "read", path);
        if (got == 0) return TW_OK;
        b->size += (size_t)got;
        if (limit && b->size > limit) return fail_large(ctx, path, limit);
    }
}

/* Feeds z up to 1 GiB (its counters are 32 bits wide) and inflates into the free part of `out`. */
static int inflate_some(z_stream *z, const bytes *in, size_t *used, bytes *out)
{
    size_t left = in->size - *used, space = out->capacity - out->size - 1;
    uInt give = (uInt)(left < 1u << 30 ? left : 1u << 30), take = (uInt)(space < 1u << 30 ? space : 1u << 30);
    z->next_in = (Bytef *)in->data + *used;
    z->avail_in = give;
    z->next_out = (Bytef *)out->data + out->size;
    z->avail_out = take;
    int result = inflate(z, Z_NO_FLUSH);
    *used += give - z->avail_in;
    out->size += take - z->avail_out;
    return result;
}

static bool is_gzip(const bytes *b, size_t at)
{
    return b->size - at >= 2 && (unsigned char)b->data[at] == 0x1f && (unsigned char)b->data[at + 1] == 0x8b;
}

/* Inflates all members of a gzip file. Bytes after the last member that start no other are ignored, as gzip does. */
static tw_status gunzip_all(tw_context *ctx, const char *path, size_t limit, const bytes *in, bytes *out)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK) return tw_fail_memory(ctx, 1 << 16);
    tw_status status = TW_OK;
    size_t used = 0;
    for (bool done = false; !done && status == TW_OK;) {
        if (!bytes_grow(ctx, out, 4 * in->size + 64)) {
            status = tw_fail_memory(ctx, 2 * out->capacity + 64);
            break;
        }
        size_t used_before = used, size_before = out->size;
        int result = inflate_some(&z, in, &used, out);
        if (result == Z_STREAM_END) {
            done = !is_gzip(in, used);
            if (!done) inflateReset(&z);
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            status = tw_fail(ctx, result == Z_MEM_ERROR ? TW_ERR_MEMORY : TW_ERR_FORMAT,
                             "'%s' is not a sound gzip file: %s", path, z.msg ? z.msg : "damaged");
        } else if (used == used_before && out->size == size_before && used == in->size) {
            status = tw_fail(ctx, TW_ERR_FORMAT, "'%s' is cut short: the gzip data end early", path);
        }
        if (status == TW_OK && limit && out->size > limit) status = fail_large(ctx, path, limit);
    }
    inflateEnd(&z);
    return status;
}

tw_status tw_file_read(tw_context *ctx, const char *path, bool gunzip, size_t limit, char **out_data, size_t *out_size)
{
    bytes raw = {0}, plain = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(ctx, errno, "open", path);
    struct stat info;
    tw_status status = TW_OK;
    if (fstat(fd, &info) != 0)
        status = fail_errno(ctx, errno, "open", path);
    else if (S_ISDIR(info.st_mode))
        status = tw_fail(ctx, TW_ERR_IO, "'%s' is a directory", path);
    else if (limit && S_ISREG(info.st_mode) && (uint64_t)info.st_size > limit)
        status = fail_large(ctx, path, limit);
    if (status == TW_OK) {
        size_t guess = S_ISREG(info.st_mode) && info.st_size > 0 ? (size_t)info.st_size : 1 << 16;
        status = read_all(ctx, fd, path, limit, guess, &raw);
    }
    close(fd);
    if (status == TW_OK && gunzip && is_gzip(&raw, 0)) {
        status = gunzip_all(ctx, path, limit, &raw, &plain);
        tw_free(ctx, raw.data);
        raw = plain;
    }
    if (status != TW_OK) {
        tw_free(ctx, raw.data);
        return status;
    }
    raw.data[raw.size] = 0;
    *out_data = raw.data;
    *out_size = raw.size;
    return TW_OK;
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static void writer_release(tw_writer *writer)
{
    if (writer->ctx) {
        tw_free(writer->ctx, writer->path);
        tw_free(writer->ctx, writer->temporary);
    }
    *writer = (tw_writer){0};
}

/* The path with symbolic links followed, so that a rename replaces the file a link names and not the link. */
static char *resolved_path(tw_context *ctx, const char *path)
{
    char *real = realpath(path, NULL);
    char *copy = tw_strdup(ctx, real ? real : path);
    free(real);
    return copy;
}

/* Creates PATH.tmp-PID, or PATH.tmp-PID-2 ... when a neighbour of that name is there already. */
static FILE *create_temporary(tw_writer *w, mode_t mode)
{
    size_t size = strlen(w->path) + 48;
    w->temporary = tw_alloc(w->ctx, size, 1);
    if (!w->temporary) {
        (void)tw_fail_memory(w->ctx, size);
        return NULL;
    }
    int fd = -1;
    for (int number = 1; number < 100 && fd < 0; number++) {
        int length = snprintf(w->temporary, size, "%s.tmp-%ld", w->path, (long)getpid());
        if (number > 1) snprintf(w->temporary + length, size - (size_t)length, "-%d", number);
        fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) break;
    }
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (file) {
        if (mode && fchmod(fd, mode & 07777) != 0) errno = 0; /* keeping the old permissions is a courtesy */
        return file;
    }
    (void)fail_errno(w->ctx, errno, "write", w->path);
    if (fd >= 0) {
        close(fd);
        unlink(w->temporary);
    }
    return NULL;
}

tw_status tw_writer_open(tw_context *ctx, const char *path, tw_writer *out_writer)
{
    bool to_stdout = strcmp(path, "-") == 0;
    tw_writer w = {.ctx = ctx, .path = to_stdout ? tw_strdup(ctx, "standard output") : resolved_path(ctx, path)};
    if (!w.path) return tw_fail_memory(ctx, strlen(path) + 1);
    struct stat info;
    tw_status status = TW_OK;
    if (to_stdout) {
        w.file = stdout;
    } else if (stat(w.path, &info) != 0) {
        w.file = create_temporary(&w, 0);
    } else if (S_ISDIR(info.st_mode)) {
        status = tw_fail(ctx, TW_ERR_IO, "cannot write '%s': it is a directory", path);
    } else if (S_ISREG(info.st_mode)) {
        w.file = create_temporary(&w, info.st_mode);
    } else {
        w.file = fopen(w.path, "wbe");
        if (!w.file) status = fail_errno(ctx, errno, "write", path);
    }
    if (!w.file) {
        if (status == TW_OK) status = w.temporary ? TW_ERR_IO : TW_ERR_MEMORY;
        writer_release(&w);
        return status;
    }
    *out_writer = w;
    return TW_OK;
}

tw_status tw_writer_write(tw_writer *writer, const void *data, size_t size)
{
    if (size == 0 || fwrite(data, 1, size, writer->file) == size) return TW_OK;
    return fail_errno(writer->ctx, errno, "write", writer->path);
}

tw_status tw_writer_print(tw_writer *writer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vfprintf(writer->file, format, args);
    va_end(args);
    return length >= 0 ? TW_OK : fail_errno(writer->ctx, errno, "write", writer->path);
}

/* Flushes and closes; 0, or the errno of the first failure. */
static int close_file(FILE *file, bool sync)
{
    int error = 0;
    errno = 0;
    if (fflush(file) != 0 || ferror(file)) error = errno ? errno : EIO;
    if (sync && !error && fsync(fileno(file)) != 0 && errno != EINVAL && errno != ENOSYS) error = errno;
    if (file != stdout && fclose(file) != 0 && !error) error = errno;
    return error;
}

/* Makes the rename itself survive a power cut; a file system that cannot is no failure. */
static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path] = 0;
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

tw_status tw_writer_commit(tw_writer *writer)
{
    tw_context *ctx = writer->ctx;
    tw_status status = TW_OK;
    int error = close_file(writer->file, writer->temporary != NULL);
    if (!error && writer->temporary && rename(writer->temporary, writer->path) != 0) error = errno;
    if (error) {
        status = fail_errno(ctx, error, "write", writer->path);
        if (writer->temporary) unlink(writer->temporary);
    } else if (writer->temporary) {
        sync_folder(writer->path);
    }
    writer_release(writer);
    return status;
}

void tw_writer_abandon(tw_writer *writer)
{
    if (!writer->file) return;
    if (writer->file != stdout) fclose(writer->file);
    if (writer->temporary) unlink(writer->temporary);
    writer_release(writer);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

tw_status tw_make_folder(tw_context *ctx, const char *path)
{
    char *part = tw_strdup(ctx, path);
    if (!part) return tw_fail_memory(ctx, strlen(path) + 1);
    tw_status status = TW_OK;
    for (char *at = part; status == TW_OK; at++) {
        if (*at && *at != '/') continue;
        char kept = *at;
        *at = 0;
        if (*part && mkdir(part, 0777) != 0) {
            int error = errno; /* an existing folder may also answer EROFS or EACCES */
            if (error == EEXIST && !is_folder(part))
                status = tw_fail(ctx, TW_ERR_IO, "cannot make folder '%s': '%s' is not a folder", path, part);
            else if (!is_folder(part))
                status = fail_errno(ctx, error, "make folder", path);
        }
        *at = kept;
        if (!kept) break;
    }
    tw_free(ctx, part);
    return status;
}
