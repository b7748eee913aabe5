/* data/pictures_cifar.c - pictures of CIFAR's binary format (A. Krizhevsky, Learning multiple layers of features from
 * tiny images, 2009): records of a label byte (CIFAR-100: a coarse one and a fine one, which is the class), then 1024
 * red, 1024 green and 1024 blue bytes of 32 x 32 pixels. Files are called *.bin, packed or not; of a folder, those with
 * "test" in their names are for testing. There is no magic: sizes and labels decide, of what is no
 * other kind of file. */
#include "data/pictures.h"

#include "base/file.h"
#include "data/folder.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE };

static const tw_image cifar_image = {SIDE, SIDE, 3};

static bool can_be_cifar(const char *path)
{
    return (tw_name_ends(path, ".bin") || tw_name_ends(path, ".bin.gz")) && tw_is_file(path) && !tw_is_numpy_file(path);
}

/* Label bytes of a record, 0: it is none of CIFAR's. */
static int labels_of(const uint8_t *bytes, size_t size)
{
    static const int classes[3] = {0, 10, 100};
    for (int labels = 1; labels <= 2; labels++) {
        size_t record = (size_t)labels + PIXELS;
        bool fits = size > 0 && size % record == 0;
        for (size_t at = 0; fits && at < size; at += record) fits = bytes[at + (size_t)labels - 1] < classes[labels];
        if (fits) return labels;
    }
    return 0;
}

static tw_status add_file(tw_pictures *p, const char *path, const tw_dataset_desc *desc)
{
    uint8_t pixels[PIXELS];
    char *file = NULL;
    size_t size = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_file_read(p->ctx, path, true, 2 * TW_PICTURES_LIMIT, &file, &size));
    int labels = labels_of((const uint8_t *)file, size);
    if (labels == 0)
        TW_TRY(tw_fail(p->ctx, TW_ERR_FORMAT,
                       "%s: %zu bytes are no CIFAR file: expected records of %d bytes with a label below 10 (or of %d "
                       "with two, CIFAR-100)",
                       path, size, 1 + PIXELS, 2 + PIXELS));
    size_t record = (size_t)labels + PIXELS;
    TW_TRY(tw_pictures_expect(p, desc, path, cifar_image, (int64_t)(size / record)));
    for (size_t at = 0; at < size; at += record) {
        const uint8_t *bytes = (const uint8_t *)file + at, *plane = bytes + labels;
        char label[8];
        snprintf(label, sizeof label, "%d", bytes[labels - 1]);
        for (int i = 0; i < PIXELS; i++) pixels[i] = plane[i % 3 * PLANE + i / 3];
        TW_TRY(tw_pictures_add(p, cifar_image, pixels, label));
    }
done:
    tw_free(p->ctx, file);
    return status;
}

static tw_status add_folder(tw_pictures *p, const tw_folder *folder, const tw_dataset_desc *desc, bool *out_found)
{
    tw_status status = TW_OK;
    for (int test = 0; test < 2; test++) {
        int64_t before = p->rows;
        for (int64_t i = 0; i < folder->count; i++) {
            const char *name = folder->name[i];
            if (!can_be_cifar(folder->path[i]) || (strstr(name, "test") != NULL) != (test == 1)) continue;
            *out_found = true;
            TW_TRY(add_file(p, folder->path[i], desc));
        }
        if (test == 1 && before > 0) p->test_rows = p->rows - before;
    }
done:
    return status;
}

tw_status tw_pictures_open_cifar(tw_pictures *p, const char *path, const tw_dataset_desc *desc, bool *out_found)
{
    if (can_be_cifar(path)) {
        *out_found = true;
        return add_file(p, path, desc);
    }
    tw_folder folder = {0};
    if (!tw_is_folder(path)) return TW_OK;
    tw_status status = tw_folder_read(p->ctx, path, &folder);
    if (status == TW_OK) status = add_folder(p, &folder, desc, out_found);
    tw_folder_free(p->ctx, &folder);
    return status;
}
