/* cpu/sort.h - the order of numbers along an axis, stable. */
#ifndef TW_CPU_SORT_H
#define TW_CPU_SORT_H

#include "base/base.h"

#include <thalweg/graph.h>

/* Scratch memory of tw_sort_order for lines of n. */
size_t tw_sort_scratch_bytes(int64_t n);
/* x (outer, n, inner) of any dtype -> out (outer, count, inner): positions along the middle axis of the first `count`
 * in rising (or falling) order; equals keep their order. NaN counts as the largest, -0 equals 0. */
void tw_sort_order(tw_dtype dtype, const void *x, int64_t outer, int64_t n, int64_t inner, int64_t count, bool falling,
                   int32_t *out, void *scratch);

#endif
