/* data/pictures_idx.c - pictures of IDX files. The labels lie beside them under the name they have in MNIST and its
 * kin: train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz. A folder that holds both pairs of such a set gives
 * both: t10k- (or test-) is what its authors test on. */
#include "data/pictures.h"

#include "base/file.h"
#include "data/folder.h"
#include "io/idx.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH_SIZE = 4096 };

static bool is_idx(const char *path)
{
    unsigned char head[4];
    if (!tw_is_file(path)) return false;
    gzFile file = gzopen(path, "rbe"); /* reads plain files, too */
    if (!file) return false;
    int got = gzread(file, head, sizeof head);
    gzclose(file);
    return got == sizeof head && tw_idx_is(head, sizeof head) && head[3] >= 3;
}

/* "a/train-images-idx3-ubyte.gz" -> "a/train-labels-idx1-ubyte.gz"; false when the name says nothing of images. */
static bool labels_name(const char *images, char *out, size_t size)
{
    const char *slash = strrchr(images, '/'), *name = slash ? slash + 1 : images, *word = strstr(name, "images");
    if (!word || snprintf(out, size, "%.*slabels%s", (int)(word - images), images, word + 6) >= (int)size) return false;
    char *rank = strstr(out + (word - images), "idx3");
    if (rank) rank[3] = '1';
    return true;
}

/* The labels' file as named or, packed or not, as it lies there. */
static bool find_labels(const char *images, char *out, size_t size)
{
    if (!labels_name(images, out, size)) return false;
    if (access(out, F_OK) == 0) return true;
    size_t length = strlen(out);
    bool packed = length > 3 && strcmp(out + length - 3, ".gz") == 0;
    if (packed)
        out[length - 3] = 0;
    else if (length + 4 > size)
        return false;
    else
        memcpy(out + length, ".gz", 4);
    return access(out, F_OK) == 0;
}

static tw_status read_labels(tw_context *ctx, const char *images, int64_t rows, char **out_file, tw_idx *out_labels)
{
    char path[PATH_SIZE];
    size_t size;
    tw_status status = TW_OK;
    if (!find_labels(images, path, sizeof path)) return TW_OK;
    TW_TRY(tw_file_read(ctx, path, true, TW_PICTURES_LIMIT, out_file, &size));
    TW_TRY(tw_idx_parse(ctx, path, *out_file, size, out_labels));
    if (out_labels->rank != 1)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: an IDX array of rank %d, expected labels of rank 1", path,
                       out_labels->rank));
    if (out_labels->dim[0] != rows)
        TW_TRY(tw_fail(ctx, TW_ERR_SHAPE, "%s: %lld labels for the %lld pictures of %s", path,
                       (long long)out_labels->dim[0], (long long)rows, images));
done:
    return status;
}

static tw_status add_file(tw_pictures *p, const char *path, const tw_dataset_desc *desc)
{
    tw_context *ctx = p->ctx;
    char *file = NULL, *labels_file = NULL;
    size_t size;
    tw_idx array = {0}, labels = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_file_read(ctx, path, true, 2 * TW_PICTURES_LIMIT, &file, &size));
    TW_TRY(tw_idx_parse(ctx, path, file, size, &array));
    for (int i = 1; i < array.rank; i++) /* no overflow below */
        if (array.dim[i] > 65535) TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s: pictures too large to read", path));
    tw_image image = {(int)array.dim[1], (int)array.dim[2], array.rank == 4 ? (int)array.dim[3] : 1};
    if (array.dim[0] < 1) TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: there are no pictures in it", path));
    TW_TRY(read_labels(ctx, path, array.dim[0], &labels_file, &labels));
    TW_TRY(tw_pictures_expect(p, desc, path, image, array.dim[0]));
    for (int64_t i = 0; i < array.dim[0]; i++) {
        char label[8];
        if (labels.bytes) snprintf(label, sizeof label, "%d", labels.bytes[i]);
        TW_TRY(tw_pictures_add(p, image, array.bytes + i * tw_image_size(image), labels.bytes ? label : NULL));
    }
done:
    tw_free(ctx, file);
    tw_free(ctx, labels_file);
    return status;
}

/* The file of images in a folder whose name begins so. */
static const char *find_images(const tw_folder *folder, const char *prefix)
{
    for (int64_t i = 0; i < folder->count; i++) {
        const char *name = folder->name[i];
        if (strncmp(name, prefix, strlen(prefix)) == 0 && strstr(name, "images") && is_idx(folder->path[i]))
            return folder->path[i];
    }
    return NULL;
}

tw_status tw_pictures_open_idx(tw_pictures *p, const char *path, const tw_dataset_desc *desc, bool *out_found)
{
    tw_folder folder = {0};
    tw_status status = TW_OK;
    if (is_idx(path)) {
        *out_found = true;
        return add_file(p, path, desc);
    }
    if (!tw_is_folder(path)) return TW_OK;
    TW_TRY(tw_folder_read(p->ctx, path, &folder));
    const char *train = find_images(&folder, "train"), *test = find_images(&folder, "t10k");
    if (!test) test = find_images(&folder, "test");
    *out_found = train || test;
    if (train) TW_TRY(add_file(p, train, desc));
    int64_t before = p->rows;
    if (test) TW_TRY(add_file(p, test, desc));
    if (train) p->test_rows = p->rows - before;
done:
    tw_folder_free(p->ctx, &folder);
    return status;
}
