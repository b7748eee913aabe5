/* data/text_stream.h - a text file (gzip too) in blocks, so that what is made of a large file is made without holding
 * it. */
#ifndef TW_DATA_TEXT_STREAM_H
#define TW_DATA_TEXT_STREAM_H

#include "base/base.h"

/* Start from {0}; `text` and `size` are the block, `line` the number of its first line. */
typedef struct tw_text_stream {
    tw_context *ctx;
    const char *path, *text;
    size_t size;
    int64_t line;
    void *file; /* gzFile */
    char *buffer;
    int64_t held, capacity;
    size_t used; /* of the buffer, by blocks before */
    bool lines, ended;
} tw_text_stream;

/* Opens a file whose blocks end behind a line end (`lines`), or in front of one, where every tokeniser begins a new
 * piece of the whole text (data/cut.h): pieces of blocks are those of the file. `path` must live as long as the stream.
 * Errors: missing, a folder, not readable. */
TW_NODISCARD tw_status tw_text_stream_open(tw_context *ctx, const char *path, bool lines, tw_text_stream *out_stream);
/* The next block, at least a mebibyte or all that is left; size 0 at the end. */
TW_NODISCARD tw_status tw_text_stream_next(tw_text_stream *stream);
/* Twice is allowed. */
void tw_text_stream_close(tw_text_stream *stream);

#endif
