/* data/text_stream.h - a text file (gzip too) in blocks that end where every tokeniser begins a new piece, so that what
 * is made of a large file is made without holding it. */
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
    bool ended;
} tw_text_stream;

/* Opens a file; `path` must live as long as the stream. Errors: missing, a folder, not readable. */
TW_NODISCARD tw_status tw_text_stream_open(tw_context *ctx, const char *path, tw_text_stream *out_stream);
/* The next block, at least a mebibyte or all that is left; size 0 at the end. */
TW_NODISCARD tw_status tw_text_stream_next(tw_text_stream *stream);
/* Twice is allowed. */
void tw_text_stream_close(tw_text_stream *stream);

#endif
