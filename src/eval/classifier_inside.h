/* eval/classifier_inside.h - what classifier.c and classifier_file.c share. */
#ifndef TW_EVAL_CLASSIFIER_INSIDE_H
#define TW_EVAL_CLASSIFIER_INSIDE_H

#include "eval/classifier.h"

#include <thalweg/exec.h>
#include <thalweg/nn.h>

struct tw_classifier {
    tw_context *ctx;
    tw_image image;
    int classes;
    /* classes and features of a block of pictures, compiled when first asked for */
    tw_graph *graph;
    tw_params *params;
    tw_program *program;
    tw_state *state;
    float *weights; /* as tw_params lays them out */
    const void **inputs;
    float *pictures, *features; /* a block */
    int32_t *class;
};

/* One without training: weights are there, and zero. */
TW_NODISCARD tw_status tw_classifier_create(tw_context *ctx, tw_image image, int classes,
                                            tw_classifier **out_classifier);

#endif
