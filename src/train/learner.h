/* train/learner.h - makes any loss of a graph small by its parameters: AdamW (the first of the optimisers) as one program
 * a step, for models that are no flows. */
#ifndef TW_TRAIN_LEARNER_H
#define TW_TRAIN_LEARNER_H

#include "base/base.h"

#include <thalweg/exec.h>
#include <thalweg/nn.h>

enum { TW_LEARNER_VALUES = 16 };

typedef struct tw_learner_desc {
    tw_params *params; /* of f32, with their graph: the caller's, for as long as the learner */
    tw_val loss;       /* one number of the same graph */
    int inputs_count, watched_count; /* at most TW_LEARNER_VALUES */
    const tw_val *inputs;  /* what a step is fed beside the parameters */
    const tw_val *watched; /* what is read after it, of the parameters before it */
    uint64_t seed;         /* of the first parameters */
    double clip;           /* bound on the gradient's norm; 0: 1, negative: none */
} tw_learner_desc;

typedef struct tw_learner tw_learner;

TW_NODISCARD tw_status tw_learner_create(tw_context *ctx, const tw_learner_desc *desc, tw_learner **out_learner);
void tw_learner_destroy(tw_learner *learner);
/* One step at a learning rate: inputs and watched as arrays in the order of the description. A gradient that is not
 * finite changes nothing. out_loss: before the step. */
TW_NODISCARD tw_status tw_learner_step(tw_learner *learner, double rate, const void *const *inputs,
                                       void *const *watched, float *out_loss);
/* The parameters now, each at its tw_params_offset. */
const float *tw_learner_weights(const tw_learner *learner);

#endif
