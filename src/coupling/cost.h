/* coupling/cost.h - matrices of squared Euclidean distances that are exact where it matters. */
#ifndef TW_COUPLING_COST_H
#define TW_COUPLING_COST_H

#include "base/base.h"

/* Bytes of work memory (64-byte aligned) for up to n points. */
size_t tw_cost_bytes(int64_t n, int64_t columns);

/* cost (n,n) = weight * |data_i - source_j|^2 in row i, column j, or += that when `add`; data and source (n,columns).
 */
void tw_cost_squares(int64_t n, int64_t columns, const float *source, const float *data, double weight, bool add,
                     void *work, double *cost);

#endif
