/* io/picture.c - see picture.h: kinds by their first bytes. */
#include "io/picture.h"

#include <string.h>

typedef struct kind {
    const char *name;
    const char *magic;
    size_t length;
    const char *(*library)(void);
    tw_status (*decode)(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_picture *out);
} kind;

static const kind kinds[] = {{"PNG", "\x89PNG\r\n\x1a\n", 8, tw_picture_png_library, tw_picture_decode_png},
                             {"JPEG", "\xFF\xD8\xFF", 3, tw_picture_jpeg_library, tw_picture_decode_jpeg}};

static const kind *kind_of(const void *bytes, size_t size)
{
    for (int i = 0; i < TW_COUNT(kinds); i++)
        if (size >= kinds[i].length && memcmp(bytes, kinds[i].magic, kinds[i].length) == 0) return &kinds[i];
    return NULL;
}

tw_picture_kind tw_picture_kind_at(int index)
{
    if (index < 0 || index >= TW_COUNT(kinds)) return (tw_picture_kind){0};
    return (tw_picture_kind){kinds[index].name, kinds[index].library()};
}

bool tw_picture_is(const void *bytes, size_t size)
{
    return kind_of(bytes, size) != NULL;
}

tw_status tw_picture_decode(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_picture *out_picture)
{
    const kind *k = kind_of(bytes, size);
    if (!k) return tw_fail(ctx, TW_ERR_FORMAT, "%s: neither a PNG nor a JPEG file", label);
    if (!k->library())
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: this thalweg was built without %s files (thalweg info)", label,
                       k->name);
    return k->decode(ctx, label, bytes, size, out_picture);
}

tw_status tw_picture_make(tw_context *ctx, const char *label, uint64_t height, uint64_t width, int channels,
                          tw_picture *out_picture)
{
    const uint64_t most = (uint64_t)TW_PICTURE_MOST_PIXELS;
    if (height < 1 || width < 1 || height > most || width > most || height * width > most)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: a picture of %llu x %llu pixels", label, (unsigned long long)height,
                       (unsigned long long)width);
    size_t size = (size_t)(height * width) * (size_t)channels;
    uint8_t *pixels = tw_alloc(ctx, size, 1);
    if (!pixels) return tw_fail_memory(ctx, size);
    *out_picture = (tw_picture){{(int)height, (int)width, channels}, pixels};
    return TW_OK;
}
