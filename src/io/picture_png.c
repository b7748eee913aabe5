/* io/picture_png.c - PNG by libpng's simplified interface, which bounds and checks everything itself. */
#include "io/picture.h"

#ifdef TW_HAVE_PNG

#include <png.h>

const char *tw_picture_png_library(void)
{
    return "libpng " PNG_LIBPNG_VER_STRING;
}

tw_status tw_picture_decode_png(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                tw_picture *out_picture)
{
    png_image png = {.version = PNG_IMAGE_VERSION};
    tw_picture picture = {0};
    const png_color white = {255, 255, 255};
    tw_status status = TW_OK;
    if (!png_image_begin_read_from_memory(&png, bytes, size)) goto damaged;
    bool colour = png.format & PNG_FORMAT_FLAG_COLOR;
    TW_TRY(tw_picture_make(ctx, label, png.height, png.width, colour ? 3 : 1, &picture));
    png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB; /* not linear light, as it takes files of 16 bits for */
    png.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    if (!png_image_finish_read(&png, &white, picture.pixels, 0, NULL) || png.warning_or_error > 1) goto damaged;
    png_image_free(&png);
    *out_picture = picture;
    return TW_OK;
damaged:
    status = tw_fail(ctx, TW_ERR_FORMAT, "%s: not a sound PNG file: %s", label, png.message);
done:
    png_image_free(&png);
    tw_free(ctx, picture.pixels);
    return status;
}

#else

const char *tw_picture_png_library(void)
{
    return NULL;
}

tw_status tw_picture_decode_png(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                tw_picture *out_picture)
{
    (void)bytes, (void)size, (void)out_picture;
    return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: no libpng", label);
}

#endif
