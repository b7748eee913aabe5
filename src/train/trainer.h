/* train/trainer.h - the inside of a training under way. */
#ifndef TW_TRAIN_TRAINER_H
#define TW_TRAIN_TRAINER_H

#include "train/curve.h"
#include "train/plan.h"
#include "train/producer.h"
#include "train/step.h"
#include "train/tables.h"
#include "train/validation.h"

#include <thalweg/train.h>

enum { TW_CHECKPOINT_FORMAT_VERSION = 4 };

typedef struct tw_trainer {
    tw_context *ctx;
    tw_flow *flow;
    tw_train_desc options; /* every default filled in */
    tw_tables tables;
    tw_producer *producer; /* NULL: the step draws its batches itself */
    tw_step step;
    tw_validation validation;
    bool validates;
    uint64_t initial_hash; /* of the weights at the start */

    /* what a checkpoint holds, beside the step's flat arrays */
    tw_plan plan;
    tw_curve *curve;
    int64_t done, updates, skipped;
    int64_t validations, validated_step; /* points of validation passed; step of the last one */
    int64_t validation_draws;            /* 0 before the first one, which settles it */
    double seconds_before;               /* of earlier runs */
    double last_validation, best_validation;
    int64_t best_step;
    float *best; /* averaged weights of the lowest validation loss, NULL when nothing validates */

    double started; /* clock */
    int64_t skipped_in_a_row;
} tw_trainer;

double tw_trainer_seconds(const tw_trainer *trainer);

/* Fills in the defaults, for so many rows of what the flow is of, and checks ranges. */
TW_NODISCARD tw_status tw_train_complete(tw_context *ctx, const tw_train_desc *desc, int64_t rows,
                                         const tw_flow_desc *flow, tw_train_desc *out_desc);

/* Writes the checkpoint; the one before is kept as FILE.prev. */
TW_NODISCARD tw_status tw_checkpoint_write(tw_trainer *trainer);
/* Takes up the checkpoint where there is one; *out_found tells. A damaged one falls back to FILE.prev; one of other
 * data or settings is refused naming what differs. */
TW_NODISCARD tw_status tw_checkpoint_read(tw_trainer *trainer, bool *out_found);

#endif
