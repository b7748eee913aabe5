/* io/npy.h - NumPy arrays: NPY versions 1-3 and NPZ (stored or deflated zip members, by zlib). */
#ifndef TW_IO_NPY_H
#define TW_IO_NPY_H

#include "base/base.h"

#include <thalweg/graph.h>

typedef struct tw_npy {
    tw_shape shape;
    char type[8];  /* NumPy type string as in the file, e.g. "<f8" */
    double *value; /* every element as a double, row-major (Fortran order is turned); owned */
} tw_npy;

/* Reads PATH (.npy), or member `name` of PATH (.npz; NULL: the only or first one); which of the two is told by the
 * first bytes. Types: bool, signed and unsigned integers, f2 f4 f8, either byte order. Truncated, oversized,
 * overflowing or unknown content is refused with a sentence; so are arrays of more than 4 GiB as doubles. */
TW_NODISCARD tw_status tw_npy_read(tw_context *ctx, const char *path, const char *name, tw_npy *out_array);
/* The same from memory; `label` names it in errors. */
TW_NODISCARD tw_status tw_npy_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                    tw_npy *out_array);
TW_NODISCARD tw_status tw_npz_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                    const char *name, tw_npy *out_array);
void tw_npy_free(tw_context *ctx, tw_npy *array);

/* An array of bytes as it lies in the file, for those who want no doubles. */
typedef struct tw_npy_bytes {
    tw_shape shape;
    const uint8_t *bytes; /* row-major; inside what was parsed, or owned */
    void *owned;
} tw_npy_bytes;
/* The first array of type u1 in C order and of at least `rank` axes: of an NPY file the only one, of an archive member
 * `name` (NULL: any). *out_found is false, and nothing made, where there is none, so that other readers may try. */
TW_NODISCARD tw_status tw_npy_find_bytes(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                         const char *name, int rank, tw_npy_bytes *out_array, bool *out_found);
void tw_npy_bytes_free(tw_context *ctx, tw_npy_bytes *array);
/* Whether an archive has a member of this name; false, too, when it is damaged. */
bool tw_npz_has(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name);
/* The NPY file inside an archive that tw_npy_find_bytes wants, of those with a header of at most 1014 bytes (NumPy's
 * have 118): *out_bytes NULL: there is none; *out_owned when it had
 * to be unpacked. */
tw_status tw_npz_find_bytes(tw_context *ctx, const char *label, const void *bytes, size_t size, const char *name,
                            int rank, const uint8_t **out_bytes, size_t *out_size, void **out_owned);
/* Whether the beginning of an NPY file, which holds all of its header, tells of such an array, and its shape. */
bool tw_npy_is_bytes(tw_context *ctx, const void *bytes, size_t size, int rank, tw_shape *out_shape,
                     size_t *out_header);
/* Writes an array as '<f8' NPY (version 1), whole or not at all. */
TW_NODISCARD tw_status tw_npy_write(tw_context *ctx, const char *path, tw_shape shape, const double *value);
/* The same of whole numbers from 0 to 255, as '|u1'. */
TW_NODISCARD tw_status tw_npy_write_bytes(tw_context *ctx, const char *path, tw_shape shape, const uint8_t *value);

#endif
