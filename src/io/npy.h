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
/* Writes an array as '<f8' NPY (version 1), whole or not at all. */
TW_NODISCARD tw_status tw_npy_write(tw_context *ctx, const char *path, tw_shape shape, const double *value);
/* The same of whole numbers from 0 to 255, as '|u1'. */
TW_NODISCARD tw_status tw_npy_write_bytes(tw_context *ctx, const char *path, tw_shape shape, const uint8_t *value);

#endif
