/* train/producer.h - batches whose points a coupling has paired, or whose sequences are aligned, made by a thread of
 * their own one step ahead of the training.
 *
 * A batch is a pure function of seed and step: stopping, going on and asking for any step give the same pairs. */
#ifndef TW_TRAIN_PRODUCER_H
#define TW_TRAIN_PRODUCER_H

#include "flow/flow.h"
#include "train/batch.h"

typedef struct tw_producer tw_producer;

typedef struct tw_producer_desc {
    tw_batch_desc batch;
    const void *table[TW_FEEDS]; /* what rows are drawn from; must outlive the producer */
    uint64_t seed;
} tw_producer_desc;

/* Whether the flow's coupling has to see the points, or its path to align them (otherwise the step draws them itself). */
bool tw_producer_needed(const tw_flow *flow);

/* Makes the program, the coupler and the thread. */
TW_NODISCARD tw_status tw_producer_create(tw_flow *flow, const tw_producer_desc *desc, tw_producer **out_producer);
void tw_producer_destroy(tw_producer *producer);

/* The batch of a step, and the next one is begun: out_feed points at x1, x0 and the conditions until the next call. */
TW_NODISCARD tw_status tw_producer_take(tw_producer *producer, int64_t step, const float *out_feed[TW_FEEDS]);

/* Seconds spent pairing so far, and seconds of them that the training waited. */
void tw_producer_times(tw_producer *producer, double *out_worked, double *out_waited);

/* Pairs points by the flow's coupling: row i of x0, x1 (and condition, NULL without) is pair i afterwards. Blocks of
 * `batch` rows are paired each by itself. For draws made outside, as validation's. */
TW_NODISCARD tw_status tw_producer_pair_blocks(tw_flow *flow, const tw_batch_desc *desc, uint64_t seed, int64_t rows,
                                               float *x0, float *x1, float *condition);

#endif
