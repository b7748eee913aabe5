/* data/pictures.h - sets of pictures in memory: bytes, one row a picture, and their labels beside them.
 *
 * Readers of formats (data/pictures_*.c) find out what a path names and add picture by picture; data/picture_set.c
 * makes a data set of them. A row is a multiple of four bytes long, so that a training step can read it as words. */
#ifndef TW_DATA_PICTURES_H
#define TW_DATA_PICTURES_H

#include "data/table.h"

typedef struct tw_pictures {
    tw_context *ctx;
    char *path;     /* what errors call the set; owned */
    tw_image image; /* of every picture; height 0 before the first */
    int64_t rows;
    int64_t test_rows; /* the last of them, which the files set apart for testing */
    size_t stride;     /* bytes from a picture to the next */
    uint8_t *bytes;    /* (rows, stride), owned; what lies behind a picture is zero */
    int64_t capacity, label_capacity;
    size_t limit;     /* bytes that lie in memory; more are kept in a file that has no name, mapped */
    size_t mapped;    /* bytes of that file, 0: there is none */
    double *label;    /* (rows), owned: the number of its class among `levels`; NULL without labels */
    tw_levels levels; /* texts of the classes */
    tw_notes notes;
} tw_pictures;

/* Bytes of a set that lie in memory; a larger one lies in a file, mapped (limit). A file is read up to twice that size,
 * unpacked. */
#define TW_PICTURES_LIMIT ((size_t)1 << 30)

/* Reads what `path` names when it is pictures; *out_found is false, and nothing made, when it is not. */
TW_NODISCARD tw_status tw_pictures_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                        tw_pictures *out_pictures, bool *out_found);
void tw_pictures_free(tw_pictures *pictures);

/* --- for readers --- */
/* Room for so many more pictures of this kind as a file has them; the first call settles what pictures become, by desc
 * (size, known_image); `from` names the file in errors. */
TW_NODISCARD tw_status tw_pictures_expect(tw_pictures *pictures, const tw_dataset_desc *desc, const char *from,
                                          tw_image image, int64_t rows);
/* Adds one picture of those that were expected: pixels (H,W,C) of that kind; the text of its class, or NULL. */
TW_NODISCARD tw_status tw_pictures_add(tw_pictures *pictures, tw_image image, const uint8_t *pixels, const char *label);

/* The same where its bytes lie in the room already, at this place or one behind it. */
TW_NODISCARD tw_status tw_pictures_keep(tw_pictures *pictures, const uint8_t *row, const char *label);

/* Readers by kind. `found` as above. */
tw_status tw_pictures_open_idx(tw_pictures *pictures, const char *path, const tw_dataset_desc *desc, bool *out_found);
tw_status tw_pictures_open_cifar(tw_pictures *pictures, const char *path, const tw_dataset_desc *desc, bool *out_found);
tw_status tw_pictures_open_npy(tw_pictures *pictures, const char *path, const tw_dataset_desc *desc, bool *out_found);
tw_status tw_pictures_open_folder(tw_pictures *pictures, const char *path, const tw_dataset_desc *desc,
                                  bool *out_found);

/* Whether a file is NumPy's by its first bytes, whatever its name. */
bool tw_is_numpy_file(const char *path);

/* Centre of a picture in the shape of another, resized to it: averages of areas downwards, bilinear upwards; grey
 * becomes colour by repeating and colour grey by luma (ITU-R BT.601). */
TW_NODISCARD tw_status tw_picture_fit(tw_context *ctx, tw_image from, const uint8_t *pixels, tw_image to,
                                      uint8_t *out_pixels);

static inline int64_t tw_image_size(tw_image image)
{
    return (int64_t)image.height * image.width * image.channels;
}
static inline bool tw_image_equal(tw_image a, tw_image b)
{
    return a.height == b.height && a.width == b.width && a.channels == b.channels;
}

#endif
