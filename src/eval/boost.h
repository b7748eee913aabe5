/* eval/boost.h - gradient-boosted trees over columns of numbers and categories, gaps included: the classifier and the
 * regression that tables are judged by.
 *
 * Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 29, 2001; second-order
 * gains as in Chen, Guestrin, XGBoost, KDD 2016; histograms of at most 255 bins and leaf-wise growth as in Ke et al.,
 * LightGBM, NeurIPS 2017. Sizes, rates and tie-breaking are those of scikit-learn's HistGradientBoosting, so that
 * numbers can be compared with what others report. Nothing is random: the same rows give the same trees for any number
 * of threads. */
#ifndef TW_EVAL_BOOST_H
#define TW_EVAL_BOOST_H

#include "eval/records.h"

enum { TW_BINS = 256, TW_BIN_MISSING = TW_BINS - 1 };

/* Which values of a column share a bin: numbers between two edges, or the categories of a level. Missing values have a
 * bin of their own, TW_BIN_MISSING; of many categories the rarest share the last one. */
typedef struct tw_bin_column {
    int bins;          /* beside that of missing values */
    int levels;        /* 0: numbers */
    double *edge;      /* (bins - 1) of numbers: a bin ends where its edge does, edge included */
    uint8_t *of_level; /* (levels) of categories; those that were not seen count as missing */
} tw_bin_column;

typedef struct tw_binning {
    tw_context *ctx;
    int columns;
    tw_bin_column *column;
} tw_binning;

/* Bins that suit the records: a bin a value where they have at most 255, else quantiles. */
TW_NODISCARD tw_status tw_binning_fit(const tw_records *records, tw_binning *out);
void tw_binning_free(tw_binning *bins);
/* The bins of all values, (columns, rows), to be freed with tw_free. */
TW_NODISCARD tw_status tw_binning_codes(const tw_binning *bins, const tw_records *records, uint8_t **out_codes);

typedef struct tw_boost_desc {
    int classes;    /* of the target: 0 a number (squared error), 2 (logistic loss), more (softmax) */
    int rounds;     /* 0: 100 */
    int leaves;     /* of a tree at most, 0: 31 */
    int64_t fewest; /* rows in a leaf, 0: 20 */
    double rate;    /* 0: 0.1 */
} tw_boost_desc;

typedef struct tw_boost tw_boost;

/* Learns target[row[i]] (the number of a class, or a number; none missing) from the codes of rows row[0..count-1]; row
 * NULL: all of 0..count-1. codes (columns, rows) under `bins`, which only have to last for the call. */
TW_NODISCARD tw_status tw_boost_train(tw_context *ctx, const tw_boost_desc *desc, const tw_binning *bins, int64_t rows,
                                      const uint8_t *codes, int64_t count, const int64_t *row, const double *target,
                                      tw_boost **out_boost);
/* Predictions (count, outputs) for those rows of codes (columns, rows): the number; the probability of class 1; or of
 * more classes the probability of each. */
void tw_boost_predict(const tw_boost *boost, int64_t rows, const uint8_t *codes, int64_t count, const int64_t *row,
                      double *out);
/* Numbers a prediction has: 1, or the classes when they are more than two. */
int tw_boost_outputs(const tw_boost *boost);
void tw_boost_destroy(tw_boost *boost);

#endif
