/* data/text_stream.c - see text_stream.h. zlib reads plain files as they are. */
#include "data/text_stream.h"

#include "data/cut.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK_BYTES = 1 << 20 };

tw_status tw_text_stream_open(tw_context *ctx, const char *path, bool lines, tw_text_stream *out_stream)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool folder = fd >= 0 && fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    if (fd < 0 || folder) {
        int error = folder ? EISDIR : errno;
        char buffer[128];
        if (fd >= 0) close(fd);
        return tw_fail(ctx, TW_ERR_IO, "cannot open '%s': %s", path, strerror_r(error, buffer, sizeof buffer));
    }
    gzFile file = gzdopen(fd, "rb");
    if (!file) {
        close(fd);
        return tw_fail_memory(ctx, BLOCK_BYTES);
    }
    *out_stream = (tw_text_stream){.ctx = ctx, .path = path, .line = 1, .file = file, .lines = lines};
    return TW_OK;
}

/* Appends a block of the file to the buffer, or as much as there is: a text without a place to cut is then searched
 * again at twice the length, which costs no more in all. */
static tw_status read_more(tw_text_stream *s)
{
    int64_t want = tw_min_i64(tw_max_i64(s->held, BLOCK_BYTES), 1 << 30);
    tw_status status = tw_grow(s->ctx, &s->buffer, &s->capacity, s->held + want, 1);
    if (status != TW_OK) return status;
    int got = gzread(s->file, s->buffer + s->held, (unsigned)want), error = Z_OK;
    if (got < 0 || (got < want && (gzerror(s->file, &error), error != Z_OK)))
        return tw_fail(s->ctx, TW_ERR_FORMAT, "cannot read '%s': %s", s->path,
                       error == Z_BUF_ERROR ? "the gzip data end early" : gzerror(s->file, &error));
    s->held += got;
    s->ended = got == 0;
    return TW_OK;
}

tw_status tw_text_stream_next(tw_text_stream *stream)
{
    tw_text_stream *s = stream;
    for (size_t i = 0; i < s->size; i++) s->line += s->text[i] == '\n';
    s->held -= (int64_t)s->used;
    if (s->held) memmove(s->buffer, s->buffer + s->used, (size_t)s->held);
    s->used = 0;
    while (s->used == 0 && !s->ended) {
        tw_status status = read_more(s);
        if (status != TW_OK) return status;
        if (s->held >= BLOCK_BYTES) s->used = tw_cut_lines(s->buffer, (size_t)s->held);
        if (s->used && !s->lines) s->used--;
    }
    if (s->ended) s->used = (size_t)s->held;
    s->text = s->buffer ? s->buffer : "";
    s->size = s->used;
    return TW_OK;
}

void tw_text_stream_close(tw_text_stream *stream)
{
    if (stream->file) gzclose(stream->file);
    if (stream->ctx) tw_free(stream->ctx, stream->buffer);
    *stream = (tw_text_stream){0};
}
