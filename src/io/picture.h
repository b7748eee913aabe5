/* io/picture.h - PNG and JPEG files as pixels, 8 bits a channel, grey or colour; by libpng and libjpeg where the build
 * found them. */
#ifndef TW_IO_PICTURE_H
#define TW_IO_PICTURE_H

#include "base/base.h"

typedef struct tw_picture {
    tw_image image;  /* channels 1 or 3 */
    uint8_t *pixels; /* (H,W,C), tw_free */
} tw_picture;

/* Files of more pixels than this are refused before anything is unpacked. */
#define TW_PICTURE_MOST_PIXELS ((int64_t)1 << 26)

/* Kinds of files: their name (NULL past the end), and the library that reads them, with its version; NULL where the
 * build has none. */
typedef struct tw_picture_kind {
    const char *name, *library;
} tw_picture_kind;
tw_picture_kind tw_picture_kind_at(int index);

/* Whether the first bytes of a file are a PNG's or a JPEG's. */
bool tw_picture_is(const void *bytes, size_t size);
/* Decodes a file in memory; `label` names it in errors. More than 8 bits become 8, transparency is laid on white. A
 * file that is damaged where its pixels are, or of other components (CMYK) is refused as TW_ERR_FORMAT; what comes
 * behind the last pixel may be lacking. Where the library of its kind is: TW_ERR_UNSUPPORTED. */
TW_NODISCARD tw_status tw_picture_decode(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                         tw_picture *out_picture);

/* By kind (io/picture_png.c, io/picture_jpeg.c). */
tw_status tw_picture_decode_png(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                tw_picture *out_picture);
tw_status tw_picture_decode_jpeg(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                 tw_picture *out_picture);
const char *tw_picture_png_library(void);
const char *tw_picture_jpeg_library(void);
/* Checks the size a header promises and makes room for the pixels. */
TW_NODISCARD tw_status tw_picture_make(tw_context *ctx, const char *label, uint64_t height, uint64_t width,
                                       int channels, tw_picture *out_picture);

#endif
