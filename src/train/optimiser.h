/* train/optimiser.h - the update of the weights as a graph: clipping, a choice of optimisers, averaging. */
#ifndef TW_TRAIN_OPTIMISER_H
#define TW_TRAIN_OPTIMISER_H

#include "train/moment8.h"

typedef struct tw_update {
    double beta1, beta2, epsilon, weight_decay;
    /* scalars that change from step to step */
    tw_val rate;                     /* learning rate */
    tw_val correction1, correction2; /* 1 / (1 - beta^n) of update number n */
    tw_val average;                  /* decay of the averaged weights */
    tw_val scale;                    /* of every gradient: clipping */
    tw_val go;                       /* bool: false leaves everything as it is */
    const tw_moment8 *coded;         /* of the first and the second moment, for optimisers that keep them in 8 bits */
} tw_update;

/* The bias correction of a moment at update number `number` (from 1). */
float tw_update_correction(double beta, int64_t number);

/* What belongs to one parameter, of its shape or, moments only, in codes (moment8.h). Moments an optimiser does not
 * keep are none. */
typedef struct tw_moments {
    tw_val weight, first, second, average;
} tw_moments;

typedef struct tw_optimiser {
    const char *name, *about, *source;
    int moments;                           /* of first and second */
    int bits;                              /* of a number of a moment: 32 or 8 */
    double lr, beta1, beta2, weight_decay; /* defaults */
    /* What the weight is moved against, times the rate; fills in the new moments. */
    tw_val (*direction)(const tw_update *u, const tw_moments *old, tw_val gradient, tw_moments *new);
} tw_optimiser;

/* NULL past the end. */
const tw_optimiser *tw_optimiser_at(int index);
/* NULL or "" is the first; fails naming the nearest. */
TW_NODISCARD tw_status tw_optimiser_find(tw_context *ctx, const char *name, const tw_optimiser **out_optimiser);

/* sum over all gradients of the sum of squares: the square of the global norm */
tw_val tw_square_of_all(int count, const tw_val *gradients);
/* The scale that bounds the global norm by `clip` (negative: 1). */
tw_val tw_clip_scale(tw_val square, double clip);

/* An input for a moment of a weight. */
tw_val tw_optimiser_state(const tw_optimiser *optimiser, const char *name, tw_val weight);

/* One update of a parameter: weight -= rate (direction + decay weight), and the exponential average of the weights.
 * Weights decay apart from the gradient whatever the optimiser (Loshchilov, Hutter 2019, Decoupled weight decay
 * regularization); vectors (biases) do not. */
tw_moments tw_optimiser_update(const tw_optimiser *optimiser, const tw_update *update, tw_moments old, tw_val gradient);

#endif
