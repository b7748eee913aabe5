/* data/pictures_npy.c - pictures of NumPy arrays of bytes: (N,H,W), (N,H,W,C) or, as PyTorch has them, (N,C,H,W). In an
 * archive the member "labels" (or "label", "y", "targets") holds their classes as whole numbers; an
 * archive is one set. Arrays of other types or ranks are tables. */
#include "data/pictures.h"

#include "base/file.h"
#include "data/folder.h"
#include "io/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the axes mean; height 0: these are no pictures. */
static tw_image image_of(const tw_npy_bytes *a, bool *out_planes)
{
    const int64_t *d = a->shape.dim;
    *out_planes = false;
    if (a->shape.rank != 3 && a->shape.rank != 4) return (tw_image){0};
    for (int i = 1; i < a->shape.rank; i++)
        if (d[i] < 1 || d[i] > 65535) return (tw_image){0};
    if (a->shape.rank == 3) return (tw_image){(int)d[1], (int)d[2], 1};
    if (d[3] == 1 || d[3] == 3) return (tw_image){(int)d[1], (int)d[2], (int)d[3]};
    *out_planes = d[1] == 1 || d[1] == 3;
    return *out_planes ? (tw_image){(int)d[2], (int)d[3], (int)d[1]} : (tw_image){0};
}

bool tw_is_numpy_file(const char *path)
{
    unsigned char head[6] = {0};
    FILE *file = tw_is_file(path) ? fopen(path, "rbe") : NULL;
    size_t got = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    return got == sizeof head && (memcmp(head, "\x93NUMPY", 6) == 0 || memcmp(head, "PK\3\4", 4) == 0);
}

static tw_status read_labels(tw_context *ctx, const char *path, const char *file, size_t size, int64_t rows,
                             tw_npy *out_labels)
{
    static const char *const names[] = {"labels", "label", "y", "targets"};
    tw_status status = TW_OK;
    if (memcmp(file, "PK", 2) != 0) return TW_OK;
    for (int i = 0; i < TW_COUNT(names) && !out_labels->value; i++)
        if (tw_npz_has(ctx, path, file, size, names[i]))
            TW_TRY(tw_npz_parse(ctx, path, file, size, names[i], out_labels));
    if (!out_labels->value) return TW_OK;
    int64_t count = out_labels->shape.rank > 0 ? tw_shape_size(out_labels->shape) : 0;
    if (count != rows)
        TW_TRY(
            tw_fail(ctx, TW_ERR_SHAPE, "%s: %lld labels for %lld pictures", path, (long long)count, (long long)rows));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(out_labels->value[i]) <= 0x1p53) || out_labels->value[i] != floor(out_labels->value[i]))
            TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: label %lld is %g, expected whole numbers", path, (long long)i,
                           out_labels->value[i]));
done:
    return status;
}

static tw_status add_all(tw_pictures *p, const char *path, const tw_dataset_desc *desc, const tw_npy_bytes *a,
                         const tw_npy *labels)
{
    bool planes;
    tw_image image = image_of(a, &planes);
    int64_t size = tw_image_size(image), plane = (int64_t)image.height * image.width;
    tw_status status = TW_OK;
    uint8_t *turned = tw_alloc(p->ctx, (size_t)size, 1);
    if (!turned) return tw_fail_memory(p->ctx, (size_t)size);
    TW_TRY(tw_pictures_expect(p, desc, path, image, a->shape.dim[0]));
    for (int64_t i = 0; i < a->shape.dim[0]; i++) {
        const uint8_t *pixels = a->bytes + i * size;
        char label[32];
        for (int64_t j = 0; planes && j < size; j++)
            turned[j] = pixels[j % image.channels * plane + j / image.channels];
        if (labels->value) snprintf(label, sizeof label, "%.0f", labels->value[i]);
        TW_TRY(tw_pictures_add(p, image, planes ? turned : pixels, labels->value ? label : NULL));
    }
done:
    tw_free(p->ctx, turned);
    return status;
}

tw_status tw_pictures_open_npy(tw_pictures *p, const char *path, const tw_dataset_desc *desc, bool *out_found)
{
    tw_context *ctx = p->ctx;
    char *file = NULL;
    size_t size;
    tw_npy_bytes array = {0};
    tw_npy labels = {0};
    bool planes, found = false;
    tw_status status = TW_OK;
    if (!tw_is_numpy_file(path)) return TW_OK;
    TW_TRY(tw_file_read(ctx, path, true, 0, &file, &size));
    TW_TRY(tw_npy_find_bytes(ctx, path, file, size, desc->array, 3, &array, &found));
    if (!found || image_of(&array, &planes).height == 0 || array.shape.dim[0] < 1) goto done;
    *out_found = true;
    TW_TRY(read_labels(ctx, path, file, size, array.shape.dim[0], &labels));
    TW_TRY(add_all(p, path, desc, &array, &labels));
done:
    tw_npy_free(ctx, &labels);
    tw_npy_bytes_free(ctx, &array);
    tw_free(ctx, file);
    return status;
}
