/* eval/classifier.h - a small network that tells what class a picture is of, trained on the spot: what generated
 * pictures are judged by.
 *
 * Its answer says whether a picture is of the class that was asked for; its last hidden layer gives features in which
 * sets of pictures are compared (eval/features.h). Trained on the data the flow was trained on, with its own fixed
 * seed: the same data give the same judge. */
#ifndef TW_EVAL_CLASSIFIER_H
#define TW_EVAL_CLASSIFIER_H

#include "base/base.h"

#include <thalweg/data.h>

enum { TW_CLASSIFIER_FEATURES = 128 };

typedef struct tw_classifier tw_classifier;

/* Learns the training part of `data`, rows of H W C numbers from 0 to 255; the class of a row is its condition number
 * `condition`, 0 to classes - 1, and rows without one are left out. on_progress is told steps; non-zero stops with
 * TW_ERR_CANCELLED. */
typedef struct tw_classifier_desc {
    tw_image image;
    int classes, condition;
    const tw_dataset *data;
    int64_t steps; /* 0: five times through the rows, at least 1500 */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} tw_classifier_desc;

TW_NODISCARD tw_status tw_classifier_train(tw_context *ctx, const tw_classifier_desc *desc,
                                           tw_classifier **out_classifier);
void tw_classifier_destroy(tw_classifier *classifier);

/* What it takes pictures (rows, H W C) for: out_class (rows), and their features (rows, TW_CLASSIFIER_FEATURES); NULL:
 * not wanted. */
TW_NODISCARD tw_status tw_classifier_run(tw_classifier *classifier, int64_t rows, const double *pictures,
                                         int32_t *out_class, double *out_features);

/* One file, whole or not at all, with a word about the data it was trained on. Loading fails with TW_ERR_INVALID when
 * that word, the pictures or the number of classes is another: it is then the judge of other data. */
TW_NODISCARD tw_status tw_classifier_save(const tw_classifier *classifier, const char *path, const char *data);
TW_NODISCARD tw_status tw_classifier_load(tw_context *ctx, const char *path, tw_image image, int classes,
                                          const char *data, tw_classifier **out_classifier);

#endif
