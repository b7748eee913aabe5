/* train/optimiser.h - the update of the weights as a graph: clipping, AdamW, averaging. */
#ifndef TW_TRAIN_OPTIMISER_H
#define TW_TRAIN_OPTIMISER_H

#include "base/base.h"

#include <thalweg/graph.h>

typedef struct tw_adamw {
    double beta1, beta2, epsilon, weight_decay;
    /* scalars that change from step to step */
    tw_val rate;                     /* learning rate */
    tw_val correction1, correction2; /* 1 / (1 - beta^n) of update number n */
    tw_val average;                  /* decay of the averaged weights */
    tw_val scale;                    /* of every gradient: clipping */
    tw_val go;                       /* bool: false leaves everything as it is */
} tw_adamw;

/* What belongs to one parameter; all of its shape. */
typedef struct tw_moments {
    tw_val weight, first, second, average;
} tw_moments;

/* sum over all gradients of the sum of squares: the square of the global norm */
tw_val tw_square_of_all(int count, const tw_val *gradients);
/* The scale that bounds the global norm by `clip` (negative: 1). */
tw_val tw_clip_scale(tw_val square, double clip);

/* One update (Loshchilov, Hutter 2019, Decoupled weight decay regularization, algorithm 2) and the exponential average
 * of the weights. Vectors (biases) are not decayed. */
tw_moments tw_adamw_update(const tw_adamw *adamw, tw_moments old, tw_val gradient);

#endif
