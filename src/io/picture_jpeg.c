/* io/picture_jpeg.c - JPEG by libjpeg (libjpeg-turbo, as a rule). Its errors jump; its warnings tell of data that is
 * missing or damaged, which it would paint grey: here they are errors. So are more scans than any program writes, each
 * of which goes over the whole picture again ("Two issues with the JPEG standard", libjpeg-turbo.org, 2015). */
#include "io/picture.h"

#ifdef TW_HAVE_JPEG

#include <stdio.h>

#include <jpeglib.h>
#include <setjmp.h>

enum { MOST_SCANS = 500 };

#define TEXT_OF(x)  #x
#define TEXT_OF_(x) TEXT_OF(x)
#ifdef LIBJPEG_TURBO_VERSION
#define LIBRARY "libjpeg-turbo " TEXT_OF_(LIBJPEG_TURBO_VERSION)
#else
#define LIBRARY "libjpeg " TEXT_OF_(JPEG_LIB_VERSION)
#endif

const char *tw_picture_jpeg_library(void)
{
    return LIBRARY;
}

typedef struct decoder {
    struct jpeg_error_mgr errors;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char message[JMSG_LENGTH_MAX];
} decoder;

static void escape(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    jpeg->err->format_message(jpeg, d->message);
    longjmp(d->escape, 1);
}

/* Level -1 is damage, the others are talk. */
static void hear(j_common_ptr jpeg, int level)
{
    if (level < 0) escape(jpeg);
}

static void count_scans(j_common_ptr jpeg)
{
    decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number <= MOST_SCANS) return;
    snprintf(d->message, sizeof d->message, "more than %d scans", MOST_SCANS);
    longjmp(d->escape, 1);
}

static void decode_lines(decoder *d, tw_picture *picture)
{
    size_t stride = (size_t)picture->image.width * (size_t)picture->image.channels;
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW line = picture->pixels + (size_t)d->jpeg.output_scanline * stride;
        jpeg_read_scanlines(&d->jpeg, &line, 1);
    }
    jpeg_finish_decompress(&d->jpeg);
}

/* What changes between setjmp and longjmp lives in *d and *picture, not in registers. */
static tw_status decode(tw_context *ctx, const char *label, const void *bytes, size_t size, decoder *d,
                        tw_picture *picture)
{
    if (setjmp(d->escape)) return tw_fail(ctx, TW_ERR_FORMAT, "%s: not a sound JPEG file: %s", label, d->message);
    jpeg_create_decompress(&d->jpeg);
    d->progress.progress_monitor = count_scans;
    d->jpeg.progress = &d->progress;
    jpeg_mem_src(&d->jpeg, bytes, (unsigned long)size);
    jpeg_read_header(&d->jpeg, TRUE);
    bool grey = d->jpeg.num_components == 1;
    if (d->jpeg.num_components != 1 && d->jpeg.num_components != 3)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: a JPEG file of %d components (1 and 3 are read)", label,
                       d->jpeg.num_components);
    d->jpeg.out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
    tw_status status = tw_picture_make(ctx, label, d->jpeg.image_height, d->jpeg.image_width, grey ? 1 : 3, picture);
    if (status != TW_OK) return status;
    jpeg_start_decompress(&d->jpeg);
    decode_lines(d, picture);
    return TW_OK;
}

tw_status tw_picture_decode_jpeg(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                 tw_picture *out_picture)
{
    tw_picture picture = {0};
    decoder *d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) return tw_fail_memory(ctx, sizeof *d);
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->jpeg.client_data = d;
    d->errors.error_exit = escape;
    d->errors.emit_message = hear;
    tw_status status = decode(ctx, label, bytes, size, d, &picture);
    jpeg_destroy_decompress(&d->jpeg); /* fit for one that was never made: its memory manager is NULL */
    tw_free(ctx, d);
    if (status == TW_OK)
        *out_picture = picture;
    else
        tw_free(ctx, picture.pixels);
    return status;
}

#else

const char *tw_picture_jpeg_library(void)
{
    return NULL;
}

tw_status tw_picture_decode_jpeg(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                 tw_picture *out_picture)
{
    (void)bytes, (void)size, (void)out_picture;
    return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: no libjpeg", label);
}

#endif
