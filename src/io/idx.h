/* io/idx.h - IDX files of bytes, as MNIST and its kin come in: two zero bytes, the type 8, the rank, sizes as
 * big-endian 32-bit numbers, then the bytes, last axis fastest. Format: Y. LeCun, C. Cortes, The MNIST database, "The
 * IDX file format". */
#ifndef TW_IO_IDX_H
#define TW_IO_IDX_H

#include "base/base.h"

enum { TW_IDX_MAX_RANK = 4 };

typedef struct tw_idx {
    int rank;
    int64_t dim[TW_IDX_MAX_RANK];
    const uint8_t *bytes; /* inside what was parsed */
} tw_idx;

/* Whether the first `size` bytes of a file can be the beginning of one. */
bool tw_idx_is(const void *bytes, size_t size);
/* Looks into a file's bytes; `label` names it in errors. Other types of numbers than bytes, sizes that do not match and
 * ranks above 4 are refused with a sentence. */
TW_NODISCARD tw_status tw_idx_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                    tw_idx *out_array);

#endif
