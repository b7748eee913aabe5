/* eval/quality.h - how good a synthetic table is: each measure of synthetic against held-out rows stands beside its
 * floor, the same measure of as many training rows against the same held-out rows. */
#ifndef TW_EVAL_QUALITY_H
#define TW_EVAL_QUALITY_H

#include "eval/detection.h"

typedef struct tw_beside {
    double value, floor;
} tw_beside;

typedef struct tw_quality_desc {
    const tw_records *held, *training, *samples; /* of the same columns */
    int target;                                  /* column to be predicted, -1: none */
    int64_t most_rows;                           /* of each set that classifiers see, 0: 20000 */
    uint64_t seed;                               /* of the rows drawn and of the folds */
    /* told which of `total` pieces of work comes next; non-zero stops with TW_ERR_CANCELLED. NULL: nobody is */
    int (*on_progress)(void *user, int done, int total, const char *what);
    void *user;
} tw_quality_desc;

typedef struct tw_quality {
    int columns;
    int64_t rows; /* on each side of a comparison */
    int repeats;  /* draws of rows that comparisons are averaged over: more where rows are few */
    /* (columns), see eval/marginals.h; means over the columns; the column that differs most */
    tw_beside *marginal, *w1;
    tw_beside marginal_mean;
    int worst_column;
    /* (columns, columns) of held-out, synthetic and training rows; mean difference to held-out ones; the worst pair */
    double *held, *samples, *training;
    tw_beside association;
    int worst_pair[2];
    tw_beside detection, detection_sd, logistic, logistic_sd; /* areas under curves: 0.5 is best */
    tw_utility by_samples, by_training;                       /* learnt from synthetic and from as many training rows */
    int64_t learnt_rows;                                      /* 0: no target */
    /* Of distances to the closest training row: the median among synthetic (floor: held-out) rows, the probability that
     * a synthetic row is closer than a held-out one (0.5 where training rows are not repeated), the share at no
     * distance */
    tw_beside closest, copies;
    double closer;
} tw_quality;

TW_NODISCARD tw_status tw_quality_measure(tw_context *ctx, const tw_quality_desc *desc, tw_quality *out);
void tw_quality_free(tw_context *ctx, tw_quality *quality);

#endif
