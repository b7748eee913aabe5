/* eval/ranks.h - what is told by the order of numbers: sorted values, ranks, the area under the curve of a score. */
#ifndef TW_EVAL_RANKS_H
#define TW_EVAL_RANKS_H

#include "base/base.h"

/* The values that are not missing, in order, into out (rows); how many they are. */
int64_t tw_sorted_values(int64_t rows, const double *value, double *out);

/* Ranks from 1 to count, ties shared in the middle (none of the values is NaN), into out (count). */
TW_NODISCARD tw_status tw_ranks(tw_context *ctx, int64_t count, const double *value, double *out);

/* Area under the receiver operating characteristic: the probability that a score of a row with `is` is above that of a
 * row without, ties counting half (Mann, Whitney 1947). NaN unless there are rows of both sorts. */
TW_NODISCARD tw_status tw_area_under_curve(tw_context *ctx, int64_t count, const double *score, const bool *is,
                                           double *out_area);

#endif
