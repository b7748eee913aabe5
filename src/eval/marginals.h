/* eval/marginals.h - two sets of records compared one column at a time. */
#ifndef TW_EVAL_MARGINALS_H
#define TW_EVAL_MARGINALS_H

#include "eval/records.h"

/* Column c of a and b, whose sorts and levels are the same. *out_share is between 0 and 1: of categories the total
 * variation, of numbers Kolmogorov's and Smirnov's largest difference of the two distribution functions; what is
 * missing is a category, or a number below all others. *out_w1 is the 1-Wasserstein distance of the numbers that are
 * there, in units of a's standard deviation (as they are where that is 0); NaN of categories. */
TW_NODISCARD tw_status tw_marginal_distance(const tw_records *a, const tw_records *b, int c, double *out_share,
                                            double *out_w1);

#endif
