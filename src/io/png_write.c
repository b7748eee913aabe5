/* io/png_write.c - see png.h. The format is a signature and chunks: length, name, bytes, checksum (W3C, Portable
 * Network Graphics, second edition 2003; third edition 2025, which takes animation in). Every line is filtered by
 * whichever of none, sub and up leaves the smallest bytes, as the standard suggests; zlib does the rest. */
#include "io/png.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MOST_SIDE = 1 << 16, FILTERS = 3 };

static void put_u32(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A chunk of `head` bytes and then `size` more. */
static tw_status put_chunk(tw_png *png, const char *name, const unsigned char *head, size_t head_size,
                           const unsigned char *data, size_t size)
{
    unsigned char frame[8], check[4];
    tw_status status = TW_OK;
    put_u32(frame, (uint32_t)(head_size + size));
    memcpy(frame + 4, name, 4);
    uLong sum = crc32(crc32(0, NULL, 0), frame + 4, 4);
    if (head_size > 0) sum = crc32(sum, head, (uInt)head_size);
    if (size > 0) sum = crc32(sum, data, (uInt)size);
    put_u32(check, (uint32_t)sum);
    TW_TRY(tw_writer_write(&png->writer, frame, sizeof frame));
    if (head_size > 0) TW_TRY(tw_writer_write(&png->writer, head, head_size));
    if (size > 0) TW_TRY(tw_writer_write(&png->writer, data, size));
    TW_TRY(tw_writer_write(&png->writer, check, sizeof check));
done:
    return status;
}

static tw_status put_head(tw_png *png)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char head[13] = {0}, count[8] = {0}; /* plays: 0, again and again */
    tw_status status = TW_OK;
    TW_TRY(tw_writer_write(&png->writer, signature, sizeof signature));
    put_u32(head, (uint32_t)png->width);
    put_u32(head + 4, (uint32_t)png->height);
    head[8] = 8;
    head[9] = png->channels == 3 ? 2 : 0;
    TW_TRY(put_chunk(png, "IHDR", head, sizeof head, NULL, 0));
    put_u32(count, (uint32_t)png->frames);
    if (png->frames > 1) TW_TRY(put_chunk(png, "acTL", count, sizeof count, NULL, 0));
done:
    return status;
}

tw_status tw_png_open(tw_context *ctx, const char *path, int width, int height, int channels, int frames,
                      tw_png *out_png)
{
    tw_png png = {.ctx = ctx, .width = width, .height = height, .channels = channels, .frames = frames};
    tw_status status = TW_OK;
    if (width < 1 || height < 1 || width > MOST_SIDE || height > MOST_SIDE || (channels != 1 && channels != 3) ||
        frames < 1 || (int64_t)width * height * channels > INT_MAX / 2)
        return tw_fail(ctx, TW_ERR_INVALID, "'%s': a picture of %d x %d pixels, %d channels and %d frames", path, width,
                       height, channels, frames);
    size_t line = (size_t)width * (size_t)channels + 1;
    TW_TRY(tw_writer_open(ctx, path, &png.writer));
    png.packed_size = compressBound((uLong)(line * (size_t)height));
    png.lines = tw_alloc(ctx, (size_t)height + FILTERS, line);
    png.packed = tw_alloc(ctx, png.packed_size, 1);
    if (!png.lines || !png.packed) TW_TRY(tw_fail_memory(ctx, line * (size_t)height));
    TW_TRY(put_head(&png));
    *out_png = png;
    png = (tw_png){0};
done:
    tw_png_abandon(&png);
    return status;
}

/* The line filtered in every way there is, a byte that names the filter in front; returns the one whose bytes, as
 * signed numbers, are smallest. */
static const unsigned char *filter_line(const tw_png *png, const unsigned char *line, const unsigned char *above,
                                        unsigned char *spare)
{
    int size = png->width * png->channels, best = 0;
    int64_t cost[FILTERS] = {0};
    for (int f = 0; f < FILTERS; f++) spare[f * (size + 1)] = (unsigned char)f;
    for (int i = 0; i < size; i++) {
        unsigned char left = i >= png->channels ? line[i - png->channels] : 0, up = above ? above[i] : 0;
        unsigned char as[FILTERS] = {line[i], (unsigned char)(line[i] - left), (unsigned char)(line[i] - up)};
        for (int f = 0; f < FILTERS; f++) {
            spare[f * (size + 1) + 1 + i] = as[f];
            cost[f] += abs((signed char)as[f]);
        }
    }
    for (int f = 1; f < FILTERS; f++)
        if (cost[f] < cost[best]) best = f;
    return spare + (int64_t)best * (size + 1);
}

/* fcTL: the frame covers the whole picture and replaces what was there. */
static tw_status put_frame_head(tw_png *png, int milliseconds)
{
    unsigned char control[26] = {0};
    put_u32(control, png->sequence++);
    put_u32(control + 4, (uint32_t)png->width);
    put_u32(control + 8, (uint32_t)png->height);
    control[20] = (unsigned char)(milliseconds >> 8);
    control[21] = (unsigned char)milliseconds;
    control[22] = 1000 >> 8;
    control[23] = 1000 & 255;
    return put_chunk(png, "fcTL", control, sizeof control, NULL, 0);
}

tw_status tw_png_add(tw_png *png, const unsigned char *pixels, int64_t stride, int milliseconds)
{
    tw_context *ctx = png->ctx;
    size_t line = (size_t)png->width * (size_t)png->channels + 1, height = (size_t)png->height;
    unsigned char number[4];
    uLongf size = (uLongf)png->packed_size;
    tw_status status = TW_OK;
    if (png->written == png->frames)
        return tw_fail(ctx, TW_ERR_INVALID, "a picture of %d frames is given one more", png->frames);
    for (size_t y = 0; y < height; y++) {
        const unsigned char *now = pixels + (int64_t)y * stride, *above = y > 0 ? now - stride : NULL;
        memcpy(png->lines + y * line, filter_line(png, now, above, png->lines + height * line), line);
    }
    if (compress2(png->packed, &size, png->lines, (uLong)(height * line), 6) != Z_OK)
        return tw_fail(ctx, TW_ERR_MEMORY, "out of memory while a picture is compressed");
    if (png->frames > 1)
        TW_TRY(put_frame_head(png, milliseconds < 0 ? 0 : milliseconds > 65535 ? 65535 : milliseconds));
    if (png->written > 0) put_u32(number, png->sequence++);
    TW_TRY(put_chunk(png, png->written > 0 ? "fdAT" : "IDAT", number, png->written > 0 ? 4 : 0, png->packed, size));
    png->written++;
done:
    return status;
}

tw_status tw_png_commit(tw_png *png)
{
    tw_status status = TW_OK;
    if (png->written != png->frames)
        TW_TRY(tw_fail(png->ctx, TW_ERR_INVALID, "a picture of %d frames was given %d", png->frames, png->written));
    TW_TRY(put_chunk(png, "IEND", NULL, 0, NULL, 0));
    TW_TRY(tw_writer_commit(&png->writer));
done:
    tw_png_abandon(png);
    return status;
}

void tw_png_abandon(tw_png *png)
{
    if (!png->ctx) return;
    tw_writer_abandon(&png->writer);
    tw_free(png->ctx, png->lines);
    tw_free(png->ctx, png->packed);
    *png = (tw_png){0};
}

tw_status tw_png_write(tw_context *ctx, const char *path, int width, int height, int channels,
                       const unsigned char *pixels)
{
    tw_png png = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_png_open(ctx, path, width, height, channels, 1, &png));
    TW_TRY(tw_png_add(&png, pixels, (int64_t)width * channels, 0));
    TW_TRY(tw_png_commit(&png));
done:
    tw_png_abandon(&png);
    return status;
}
