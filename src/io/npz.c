/* io/npz.c - NPZ is a zip (io/zip.h) of .npy members. */
#include "base/text.h"
#include "io/npy.h"
#include "io/zip.h"

#include <string.h>

/* Length of a member's name without ".npy". */
static size_t stem(const tw_zip_member *m)
{
    bool npy = m->name_length > 4 && memcmp(m->name + m->name_length - 4, ".npy", 4) == 0;
    return m->name_length - (npy ? 4 : 0);
}

static bool is_named(const tw_zip_member *m, const char *name)
{
    size_t length = strlen(name);
    return (length == m->name_length || length == stem(m)) && memcmp(m->name, name, length) == 0;
}

static tw_status fail_no_member(const tw_zip *a, const char *name)
{
    tw_text text = tw_text_new(a->ctx);
    size_t at = a->directory;
    tw_status status = TW_OK;
    for (int i = 0; i < a->count && i < 12; i++) {
        tw_zip_member m;
        TW_TRY(tw_zip_next(a, &at, &m));
        tw_text_add(&text, "%s'%.*s'", i ? ", " : "", (int)(stem(&m) < 40 ? stem(&m) : 40), m.name);
    }
    if (a->count > 12) tw_text_add(&text, ", ... (%d arrays)", a->count);
    TW_TRY(tw_text_check(&text));
    status = tw_fail(a->ctx, TW_ERR_INVALID, "%s: no array '%s'; it holds %s", a->label, name, text.data);
done:
    tw_text_free(&text);
    return status;
}

static tw_status find_member(const tw_zip *a, const char *name, tw_zip_member *out)
{
    size_t at = a->directory;
    for (int i = 0; i < a->count; i++) {
        tw_status status = tw_zip_next(a, &at, out);
        if (status != TW_OK || !name || is_named(out, name)) return status;
    }
    return fail_no_member(a, name);
}

static tw_status open_npz(tw_context *ctx, const char *label, const void *bytes, size_t size, tw_zip *out_zip)
{
    return tw_zip_open(ctx, label, "NPZ file", "array", bytes, size, out_zip);
}

tw_status tw_npz_find_bytes(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                            int rank, const uint8_t **out_bytes, size_t *out_size, void **out_owned)
{
    tw_zip zip = {0};
    unsigned char head[1024], *owned = NULL;
    tw_status status = open_npz(ctx, label, bytes, size, &zip);
    *out_bytes = NULL;
    size_t at = zip.directory;
    for (int i = 0; status == TW_OK && i < zip.count; i++) {
        tw_zip_member m;
        tw_shape shape;
        size_t length;
        status = tw_zip_next(&zip, &at, &m);
        if (status != TW_OK || (name && !is_named(&m, name))) continue;
        if (!tw_npy_is_bytes(ctx, head, tw_zip_peek(&zip, &m, head, sizeof head), rank, &shape, &length)) continue;
        *out_size = (size_t)m.size;
        status = tw_zip_unpack(&zip, &m, out_bytes, &owned);
        *out_owned = owned;
        return status;
    }
    return status;
}

bool tw_npz_has(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name)
{
    tw_zip zip;
    bool found = false;
    if (open_npz(ctx, label, bytes, size, &zip) != TW_OK) return false;
    size_t at = zip.directory;
    for (int i = 0; i < zip.count && !found; i++) {
        tw_zip_member m;
        if (tw_zip_next(&zip, &at, &m) != TW_OK) return false;
        found = is_named(&m, name);
    }
    return found;
}

tw_status tw_npz_parse(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                       tw_npy *out_array)
{
    tw_zip zip;
    tw_zip_member m = {0};
    const unsigned char *array = NULL;
    unsigned char *owned = NULL;
    tw_status status = open_npz(ctx, label, bytes, size, &zip);
    if (status == TW_OK) status = find_member(&zip, name, &m);
    if (status == TW_OK) status = tw_zip_unpack(&zip, &m, &array, &owned);
    if (status == TW_OK) status = tw_npy_parse(ctx, label, array, (size_t)m.size, out_array);
    tw_free(ctx, owned);
    return status;
}
