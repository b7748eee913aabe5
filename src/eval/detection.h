/* eval/detection.h - can a classifier tell two sets of records apart? And what does one learn from them? */
#ifndef TW_EVAL_DETECTION_H
#define TW_EVAL_DETECTION_H

#include "eval/boost.h"

/* Area under the curve of boosted trees and of a logistic regression that tell rows of a from rows of b,
 * cross-validated: 0.5 when they cannot, 1 when they always can. */
typedef struct tw_detection {
    double trees, trees_sd; /* mean over the folds, and its spread among them */
    double logistic, logistic_sd;
} tw_detection;

/* `folds` from 2 to 64, with as many rows on each side at least; which row belongs to which fold is drawn by seed. */
TW_NODISCARD tw_status tw_detect(const tw_records *a, const tw_records *b, int folds, uint64_t seed, tw_detection *out);

/* Column `target` predicted from the others by boosted trees: learnt from `train`, asked of `test`. */
typedef struct tw_utility {
    int classes; /* 0: the target is a number */
    double area; /* of categories: area under the curve of each class against the rest, mean over those seen in test */
    double accuracy; /* of categories: share of test rows that are right */
    double r2;       /* of numbers: 1 - mean squared error / variance in test */
} tw_utility;

enum { TW_UTILITY_CLASSES = 64 };
/* Rows without the target are left out. Fails when it has one category or more than TW_UTILITY_CLASSES, or none of the
 * rows has it. */
TW_NODISCARD tw_status tw_learn_from(const tw_records *train, const tw_records *test, int target, tw_utility *out);

#endif
