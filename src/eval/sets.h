/* eval/sets.h - what every distance asks of its two sets of points before it starts. */
#ifndef TW_EVAL_SETS_H
#define TW_EVAL_SETS_H

#include "base/base.h"

/* Fails unless there is a column, a point in each, and every number of a (n, columns) and b (m, columns) is finite. */
TW_NODISCARD tw_status tw_check_sets(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m,
                                     const double *b);

#endif
