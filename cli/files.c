/* files.c - see files.h. */
#include "files.h"

#include "signals.h"

#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096, FLUSH_BYTES = 1 << 16 };

bool file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
}

bool folder_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool folder_is_empty(const char *path)
{
    DIR *folder = opendir(path);
    int entries = 0;
    while (folder && entries < 3 && readdir(folder)) entries++; /* itself and its parent */
    if (folder) closedir(folder);
    return entries < 3;
}

bool path_join(char *out, size_t size, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    return (size_t)snprintf(out, size, "%s%s%s", folder, slash, name) < size;
}

bool has_ending(const char *path, const char *ending)
{
    size_t length = strlen(path), wanted = strlen(ending);
    return length > wanted && strcmp(path + length - wanted, ending) == 0;
}

void path_name(char *out, size_t size, const char *path)
{
    size_t end = strlen(path), begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0 && path[begin - 1] != '/';) begin--;
    snprintf(out, size, "%.*s", (int)(end - begin), path + begin);
}

void path_stem(char *out, size_t size, const char *path)
{
    path_name(out, size, path);
    if (has_ending(out, ".gz")) out[strlen(out) - 3] = 0;
    char *dot = strrchr(out, '.');
    if (dot && dot != out) *dot = 0;
    if (!*out) snprintf(out, size, "data");
}

const char *shell_word(char *out, size_t size, const char *word)
{
    size_t used = 0;
    if (*word && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+:,=@%")]) {
        snprintf(out, size, "%s", word);
        return out;
    }
    for (out[used++] = '\''; *word && used + 6 < size; word++) {
        if (*word == '\'') {
            memcpy(out + used, "'\\'", 3);
            used += 3;
        }
        out[used++] = *word;
    }
    out[used++] = '\'';
    out[used] = 0;
    return out;
}

/* The folder a path lies in. */
static void parent_of(char *out, size_t size, const char *path)
{
    snprintf(out, size, "%s", path);
    size_t length = strlen(out);
    while (length > 1 && out[length - 1] == '/') out[--length] = 0;
    char *slash = strrchr(out, '/');
    if (!slash)
        snprintf(out, size, ".");
    else if (slash == out)
        out[1] = 0;
    else
        *slash = 0;
}

static tw_status fail_writing(tw_context *ctx, const char *path, const char *where, int error)
{
    const char *why = error == EROFS     ? "the file system is read-only"
                      : error == EACCES  ? "permission denied"
                      : error == ENOTDIR ? "it is not a folder"
                      : error == ENOENT  ? "no such folder"
                                         : strerror(error);
    return tw_fail(ctx, TW_ERR_IO, "cannot write '%s': '%s': %s", path, where, why);
}

/* The folder must be there and let us make files in it. */
static tw_status check_folder(tw_context *ctx, const char *path, const char *folder)
{
    if (!folder_exists(folder)) return fail_writing(ctx, path, folder, file_exists(folder) ? ENOTDIR : ENOENT);
    if (access(folder, W_OK | X_OK) != 0) return fail_writing(ctx, path, folder, errno);
    return TW_OK;
}

tw_status check_writable_file(tw_context *ctx, const char *path)
{
    char folder[MAX_PATH];
    if (strcmp(path, "-") == 0) return TW_OK;
    if (folder_exists(path)) return tw_fail(ctx, TW_ERR_IO, "cannot write '%s': it is a folder", path);
    struct stat about;
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode)) return TW_OK; /* a pipe or a device */
    parent_of(folder, sizeof folder, path);
    return check_folder(ctx, path, folder);
}

tw_status check_writable_folder(tw_context *ctx, const char *path)
{
    char folder[MAX_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    while (!folder_exists(folder) && !file_exists(folder)) {
        char parent[MAX_PATH];
        parent_of(parent, sizeof parent, folder);
        if (strcmp(parent, folder) == 0) break;
        snprintf(folder, sizeof folder, "%s", parent);
    }
    return check_folder(ctx, path, folder);
}

static void add_name(tw_text *text, const char *name)
{
    if (!name[strcspn(name, ",\"\n\r")] && name[0] != ' ' && name[0] != '#') {
        tw_text_add(text, "%s", name);
        return;
    }
    tw_text_add(text, "\"");
    for (; *name; name++) {
        if (*name == '"') tw_text_add(text, "\"");
        tw_text_add_bytes(text, name, 1);
    }
    tw_text_add(text, "\"");
}

static void add_value(tw_text *text, double value, int decimals)
{
    char digits[400];
    if (decimals < 0 || !isfinite(value)) {
        tw_text_add_double(text, value, false);
        return;
    }
    int length = snprintf(digits, sizeof digits, "%.*f", decimals, value);
    const char *from = digits;
    if (digits[0] == '-' && strspn(digits + 1, "0.") == (size_t)length - 1) from++; /* no -0.00 */
    tw_text_add_bytes(text, from, strlen(from));
}

static tw_status write_rows(tw_writer *writer, tw_text *text, int columns, const int *decimals, int64_t rows,
                            const double *values)
{
    tw_status status = TW_OK;
    for (int64_t i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            if (j) tw_text_add_bytes(text, ",", 1);
            add_value(text, values[i * columns + j], decimals ? decimals[j] : -1);
        }
        tw_text_add_bytes(text, "\n", 1);
        if (text->length < FLUSH_BYTES && i + 1 < rows) continue;
        TW_TRY(tw_text_check(text));
        TW_TRY(tw_writer_write(writer, text->data, text->length));
        text->length = 0;
        if (signals_caught()) TW_TRY(tw_fail(writer->ctx, TW_ERR_CANCELLED, "stopped"));
    }
done:
    return status;
}

tw_status write_csv(tw_context *ctx, const char *path, int columns, const char *const *names, const int *decimals,
                    int64_t rows, const double *values)
{
    tw_status status = TW_OK;
    tw_writer writer = {0};
    tw_text text = tw_text_new(ctx);
    TW_TRY(tw_writer_open(ctx, path, &writer));
    for (int j = 0; j < columns; j++) {
        if (j) tw_text_add(&text, ",");
        add_name(&text, names[j]);
    }
    tw_text_add(&text, "\n");
    TW_TRY(tw_text_check(&text));
    TW_TRY(tw_writer_write(&writer, text.data, text.length));
    text.length = 0;
    TW_TRY(write_rows(&writer, &text, columns, decimals, rows, values));
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    tw_text_free(&text);
    return status;
}

tw_status write_text(tw_context *ctx, const char *path, const char *text)
{
    tw_writer writer = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_writer_open(ctx, path, &writer));
    TW_TRY(tw_writer_write(&writer, text, strlen(text)));
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    return status;
}
