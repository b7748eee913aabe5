/* eval/logistic.h - logistic regression over columns of numbers and categories: the plainest classifier. */
#ifndef TW_EVAL_LOGISTIC_H
#define TW_EVAL_LOGISTIC_H

#include "eval/boost.h"

/* Learns is[row[i]] from rows row[0..count-1] of the records, whose categories have the codes (columns, rows) under
 * some bins, and tells the probability of it for rows asked[0..asked_count-1], into out. Numbers are standardised over
 * all rows, a missing one has a weight of its own, categories a weight each; half the sum of squared weights (but that
 * of the intercept) is added to the negative log-likelihood. By L-BFGS. */
TW_NODISCARD tw_status tw_logistic(const tw_records *records, const uint8_t *codes, const bool *is, int64_t count,
                                   const int64_t *row, int64_t asked_count, const int64_t *asked, double *out);

#endif
