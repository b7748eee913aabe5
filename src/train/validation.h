/* train/validation.h - the loss on held-out rows with draws fixed once: two sets of weights are compared on the same
 * rows, times and noise, so that small differences show. */
#ifndef TW_TRAIN_VALIDATION_H
#define TW_TRAIN_VALIDATION_H

#include "train/producer.h"
#include "train/tables.h"

typedef struct tw_validation {
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
    tw_program *program;
    tw_state *state;
    int64_t draws, rows; /* all; of a block */
    int columns, noise, conditions;
    float *x0, *x1, *u, *z, *loss; /* u: uniform numbers that times are made from; z: NULL unless the method draws it */
    float *condition, *width;      /* NULL: none */
    const void **inputs;
} tw_validation;

/* Copies what it needs of the held-out rows, of which there is at least one. `batch` describes the batches of the
 * training, whose coupling pairs the held-out rows too. */
TW_NODISCARD tw_status tw_validation_create(tw_flow *flow, const tw_table_set *held, const tw_batch_desc *batch,
                                            uint64_t seed, tw_validation *out_validation);
void tw_validation_destroy(tw_validation *v);
/* Asked after every block, with the share that is done; false: stop. */
typedef bool (*tw_validation_watch)(void *user, double share);
/* The mean loss with the weights of a flat array over the first `draws` of the draws; TW_ERR_CANCELLED, without a
 * sentence, when `watch` says so. */
TW_NODISCARD tw_status tw_validation_run(tw_validation *v, const float *weights, int64_t draws,
                                         tw_validation_watch watch, void *user, double *out_loss);

#endif
