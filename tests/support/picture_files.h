/* Small picture files that tests write. Pictures tell what they are: tests/data/test_pictures.c. */
#ifndef TW_TESTS_SUPPORT_PICTURE_FILES_H
#define TW_TESTS_SUPPORT_PICTURE_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

/* Writes bytes, packed when the name ends with .gz. */
static inline void write_bytes(const char *name, const void *bytes, size_t size)
{
    size_t length = strlen(name);
    if (length > 3 && strcmp(name + length - 3, ".gz") == 0) {
        gzFile file = gzopen(name, "wb");
        assert_non_null(file);
        assert_int_equal(gzwrite(file, bytes, (unsigned)size), size);
        assert_int_equal(gzclose(file), Z_OK);
        return;
    }
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* An IDX file of bytes; returns its size. */
static inline size_t make_idx(uint8_t *out, int rank, const int *dim, const uint8_t *bytes)
{
    size_t at = 4, count = 1;
    memcpy(out, (uint8_t[]){0, 0, 8, (uint8_t)rank}, 4);
    for (int i = 0; i < rank; i++, at += 4) {
        memcpy(out + at, (uint8_t[]){0, 0, (uint8_t)(dim[i] >> 8), (uint8_t)dim[i]}, 4);
        count *= (size_t)dim[i];
    }
    memcpy(out + at, bytes, count);
    return at + count;
}

/* Pixel `j` of picture `number` in a file that `start` names; its class. */
static inline uint8_t pixel_of(int start, int number, int j)
{
    return (uint8_t)(j == 0 ? number : start + 7 * number + 13 * j);
}
static inline uint8_t class_of(int number)
{
    return (uint8_t)(number * 5 % 3);
}

/* `count` pictures of height x width and, unless NULL, their labels. */
static inline void write_idx_pictures(const char *images, const char *labels, int start, int count, int height,
                                      int width)
{
    static uint8_t bytes[1 << 16], file[1 << 16];
    int size = height * width;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < size; j++) bytes[i * size + j] = pixel_of(start, i, j);
    write_bytes(images, file, make_idx(file, 3, (int[]){count, height, width}, bytes));
    for (int i = 0; i < count; i++) bytes[i] = class_of(i);
    if (labels) write_bytes(labels, file, make_idx(file, 1, &count, bytes));
}

#endif
