/* eval/closest.h - how far records lie from the nearest of others: do synthetic rows repeat the training rows? */
#ifndef TW_EVAL_CLOSEST_H
#define TW_EVAL_CLOSEST_H

#include "eval/records.h"

/* For each row of `records` the distance to the nearest row of `among`, into out (rows): Gower's (A general coefficient
 * of similarity and some of its properties, Biometrics 27, 1971), the mean over columns of what two values differ by:
 * of numbers their difference over the range of that column among the middle 98 % of `among` (all of it where that is
 * nothing), at most 1; of categories 1 when they differ; missing is a value like others. */
TW_NODISCARD tw_status tw_closest_records(const tw_records *records, const tw_records *among, double *out_distance);

#endif
