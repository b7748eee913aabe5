/* coupling/couple.h - what a kind of coupling is: a function that pairs the rows of one block (the points of one label)
 * by a matrix of costs, in memory it was given. Labels, conditions and distances are coupling.c's business. */
#ifndef TW_COUPLING_COUPLE_H
#define TW_COUPLING_COUPLE_H

#include "base/base.h"
#include "base/philox.h"

#include <thalweg/coupling.h>

typedef struct tw_block {
    tw_context *ctx;
    int64_t n; /* at least 1 */
    int64_t columns;
    const double *cost; /* (n,n): rows are data points, columns sources */
    const tw_coupling_desc *desc;
    tw_random *random;
    void *work;             /* the kind's bytes for the largest n, 64-byte aligned, not zeroed */
    int64_t *source, *data; /* to be filled, n each; data comes as 0, 1, ... n-1 */
} tw_block;

enum {
    TW_COUPLING_COSTS = 1, /* wants costs; otherwise they are not computed */
    TW_COUPLING_DATA = 2,  /* every data row is in one pair: out_data[k] is k */
};

typedef struct tw_coupling {
    tw_piece_info info;
    unsigned flags;
    size_t (*bytes)(int64_t n);
    tw_status (*pair)(const tw_block *block);
} tw_coupling;

#define TW_COUPLING(name, flags, about, source, parameters)                                                            \
    size_t tw_couple_##name##_bytes(int64_t n);                                                                        \
    tw_status tw_couple_##name(const tw_block *block);
#include "coupling/couplings.def"

/* The next 64-byte aligned piece of a work memory. */
static inline void *tw_work_take(char **at, size_t bytes)
{
    void *piece = *at;
    *at += (bytes + 63) & ~(size_t)63;
    return piece;
}

#endif
