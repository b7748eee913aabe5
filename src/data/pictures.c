/* data/pictures.c - see pictures.h: the store that readers fill, and who reads what. */
#include "data/pictures.h"

#include "data/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <fcntl.h>
#include <unistd.h>

enum { MOST_SIDE = 1024, MOST_NUMBERS = 100000 };

static const struct {
    tw_status (*open)(tw_pictures *pictures, const char *path, const tw_dataset_desc *desc, bool *out_found);
    bool takes_labels; /* from a table (desc.labels) */
} readers[] = {{tw_pictures_open_idx, false},
               {tw_pictures_open_cifar, false},
               {tw_pictures_open_npy, false},
               {tw_pictures_open_folder, true}};

tw_status tw_pictures_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc, tw_pictures *out_pictures,
                           bool *out_found)
{
    bool found = false;
    tw_status status = TW_OK;
    tw_pictures p = {.ctx = ctx, .path = tw_strdup(ctx, path), .limit = TW_PICTURES_LIMIT};
    if (!p.path) TW_TRY(tw_fail_memory(ctx, strlen(path) + 1));
    for (int i = 0; !found && i < TW_COUNT(readers); i++) {
        TW_TRY(readers[i].open(&p, path, desc, &found));
        if (found && desc->labels && !readers[i].takes_labels)
            TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "%s: a table of labels is for PNG and JPEG files, these have their own",
                           path));
    }
    *out_found = found;
    if (!found && tw_is_folder(path))
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT,
                       "%s: a folder without pictures: expected IDX or CIFAR (.bin) files, or PNG and JPEG files, "
                       "perhaps in a folder for each class",
                       path));
    if (!found) goto done;
    if (p.rows < 1) TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: there are no pictures in it", path));
    *out_pictures = p;
    p = (tw_pictures){.ctx = ctx};
done:
    tw_pictures_free(&p);
    return status;
}

static void free_bytes(tw_pictures *p)
{
    if (p->mapped > 0)
        munmap(p->bytes, p->mapped);
    else
        tw_free_aligned(p->ctx, p->bytes);
}

void tw_pictures_free(tw_pictures *p)
{
    if (!p->ctx) return;
    tw_free(p->ctx, p->path);
    free_bytes(p);
    tw_free(p->ctx, p->label);
    tw_levels_free(p->ctx, &p->levels);
    tw_notes_free(p->ctx, &p->notes);
    *p = (tw_pictures){0};
}

/* What every file must have, whatever its pictures become. */
static tw_status check_image(tw_pictures *p, const char *from, tw_image image)
{
    if (image.height < 1 || image.width < 1)
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: pictures of %d x %d pixels", from, image.height, image.width);
    if (image.channels != 1 && image.channels != 3)
        return tw_fail(p->ctx, TW_ERR_UNSUPPORTED, "%s: pictures of %d channels are not read (1 and 3 are)", from,
                       image.channels);
    return TW_OK;
}

static tw_status settle(tw_pictures *p, const tw_dataset_desc *desc, const char *from, tw_image image)
{
    tw_image to = image;
    if (desc->size > 0) to.height = to.width = desc->size;
    if (desc->known_image.height > 0) to = desc->known_image;
    if (to.channels != 1 && to.channels != 3)
        return tw_fail(p->ctx, TW_ERR_UNSUPPORTED,
                       "%s: pictures cannot be brought to the %d channels of the model's (to 1 and 3 they can)", from,
                       to.channels);
    if (to.height < 1 || to.width < 1 || to.height > MOST_SIDE || to.width > MOST_SIDE ||
        tw_image_size(to) > MOST_NUMBERS)
        return tw_fail(p->ctx, TW_ERR_UNSUPPORTED,
                       "%s: pictures of %d x %d pixels and %d channels: expected at most %d numbers and %d pixels a "
                       "side (--size N makes them N x N)",
                       from, image.height, image.width, image.channels, MOST_NUMBERS, MOST_SIDE);
    p->image = to;
    p->stride = (size_t)(tw_image_size(to) + 3) / 4 * 4;
    return TW_OK;
}

/* Bytes in a file without a name, in the folder for such files (TMPDIR): the system keeps in memory what is read often
 * and fetches the rest. Its room is taken at once, so that a full disk is told here. */
static tw_status map_file(tw_pictures *p, size_t size, uint8_t **out_bytes)
{
    const char *folder = getenv("TMPDIR");
    char path[1024];
    snprintf(path, sizeof path, "%s/thalweg-pictures-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkostemp(path, O_CLOEXEC), error;
    if (file < 0) return tw_fail(p->ctx, TW_ERR_IO, "cannot write '%s': %s", path, strerror(errno));
    unlink(path);
    while ((error = posix_fallocate(file, 0, (off_t)size)) == EINTR) continue;
    void *bytes = error ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (!error && bytes == MAP_FAILED) error = errno;
    close(file); /* the mapping holds it */
    if (error)
        return tw_fail(p->ctx, TW_ERR_IO, "%s: %.1f GiB of pictures are kept in a file in '%s' (TMPDIR): %s", p->path,
                       (double)size / 0x1p30, folder && *folder ? folder : "/tmp", strerror(error));
    *out_bytes = bytes;
    return TW_OK;
}

/* Readers say how many pictures a file has, so this grows to what is needed and no further. */
static tw_status reserve(tw_pictures *p, int64_t rows)
{
    size_t size;
    uint8_t *bytes = NULL;
    if (rows <= p->capacity) return TW_OK;
    if (__builtin_mul_overflow((size_t)rows, p->stride, &size) || size > PTRDIFF_MAX)
        return tw_fail(p->ctx, TW_ERR_MEMORY, "%s: %lld pictures are too many", p->path, (long long)rows);
    bool large = size > p->limit;
    if (large) {
        tw_status status = map_file(p, size, &bytes);
        if (status != TW_OK) return status;
    } else if (!(bytes = tw_alloc_aligned(p->ctx, size))) {
        return tw_fail_memory(p->ctx, size);
    }
    if (p->rows > 0) memcpy(bytes, p->bytes, (size_t)p->rows * p->stride);
    free_bytes(p);
    p->bytes = bytes;
    p->mapped = large ? size : 0;
    p->capacity = rows;
    return TW_OK;
}

tw_status tw_pictures_expect(tw_pictures *p, const tw_dataset_desc *desc, const char *from, tw_image image,
                             int64_t rows)
{
    tw_status status = check_image(p, from, image);
    if (status == TW_OK && p->image.height == 0) status = settle(p, desc, from, image);
    if (status != TW_OK) return status;
    bool resized = desc->size > 0 || desc->known_image.height > 0;
    if (!resized && !tw_image_equal(image, p->image))
        return tw_fail(p->ctx, TW_ERR_SHAPE,
                       "%s: pictures of %d x %d x %d among those of %d x %d x %d: --size N makes all N x N", from,
                       image.height, image.width, image.channels, p->image.height, p->image.width, p->image.channels);
    return reserve(p, p->rows + rows);
}

static tw_status add_label(tw_pictures *p, const char *text)
{
    int number = -1;
    tw_status status = TW_OK;
    TW_TRY(tw_grow(p->ctx, &p->label, &p->label_capacity, p->rows + 1, sizeof(double)));
    TW_TRY(tw_levels_take(p->ctx, &p->levels, text, &number));
    if (number < 0) TW_TRY(tw_fail(p->ctx, TW_ERR_FORMAT, "%s: more than %d classes", p->path, TW_LEVELS_MAX));
    p->label[p->rows] = number;
done:
    return status;
}

/* The label of the next row. */
static tw_status add_label_or_none(tw_pictures *p, const char *label)
{
    if (p->rows > 0 && (p->label != NULL) != (label != NULL))
        return tw_fail(p->ctx, TW_ERR_FORMAT, "%s: some of the pictures have labels and others none", p->path);
    return label ? add_label(p, label) : TW_OK;
}

tw_status tw_pictures_keep(tw_pictures *p, const uint8_t *row, const char *label)
{
    uint8_t *place = p->bytes + (size_t)p->rows * p->stride;
    tw_status status = add_label_or_none(p, label);
    if (status != TW_OK) return status;
    if (row != place) memcpy(place, row, p->stride);
    p->rows++;
    return TW_OK;
}

tw_status tw_pictures_add(tw_pictures *p, tw_image image, const uint8_t *pixels, const char *label)
{
    tw_status status = TW_OK;
    TW_TRY(add_label_or_none(p, label));
    TW_TRY(tw_picture_fit(p->ctx, image, pixels, p->image, p->bytes + (size_t)p->rows * p->stride));
    p->rows++;
done:
    return status;
}
