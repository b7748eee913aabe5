/* io/png.h - pictures of 8-bit pixels into PNG files, moving ones as animated PNG (the APNG extension, which browsers
 * and image viewers show; others show the first frame). Drawings go the same way (plot/canvas.h). */
#ifndef TW_IO_PNG_H
#define TW_IO_PNG_H

#include "base/file.h"

typedef struct tw_png {
    tw_context *ctx;
    tw_writer writer;
    int width, height, channels; /* channels 1: grey, 3: red, green, blue */
    int frames;                  /* 1: a still */
    int written;
    uint32_t sequence;    /* of the chunks of an animation */
    unsigned char *lines; /* a frame as filtered lines, then one line of each filter */
    unsigned char *packed;
    size_t packed_size;
} tw_png;

/* A picture of `frames` frames under construction at `path`, written whole or not at all. */
TW_NODISCARD tw_status tw_png_open(tw_context *ctx, const char *path, int width, int height, int channels, int frames,
                                   tw_png *out_png);
/* The next frame: `height` lines of width x channels bytes, `stride` bytes apart; shown for so many milliseconds. */
TW_NODISCARD tw_status tw_png_add(tw_png *png, const unsigned char *pixels, int64_t stride, int milliseconds);
/* All frames must have been added. The picture is closed either way. */
TW_NODISCARD tw_status tw_png_commit(tw_png *png);
/* Removes what was written; does nothing after a commit or on a zeroed picture. */
void tw_png_abandon(tw_png *png);

/* A still in one go, lines without gaps. */
TW_NODISCARD tw_status tw_png_write(tw_context *ctx, const char *path, int width, int height, int channels,
                                    const unsigned char *pixels);

#endif
