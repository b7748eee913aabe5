/* thalweg/train.h - training: draws, path, network, loss, gradient, clipping, optimiser and EMA as one compiled
 * program. */
#ifndef THALWEG_TRAIN_H
#define THALWEG_TRAIN_H

#include <thalweg/data.h>
#include <thalweg/exec.h>
#include <thalweg/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_train_progress {
    int64_t step, steps; /* done and planned; 0 planned while a time budget has not been turned into steps yet */
    double loss;         /* mean over the last steps */
    double validation;   /* last validation loss, NaN before the first */
    double validating;   /* share done of the validation under way, 0: none is */
    double making;       /* before the first step: share done of a teacher's pairs, or of how far rows are smoothed */
    double steps_per_second, seconds, seconds_left;
} tw_train_progress;

/* Called a few times a second, after every block of a validation, and at the end; non-zero asks to stop: training
 * writes a checkpoint at the step boundary and returns TW_ERR_CANCELLED. A validation that was stopped is made anew by
 * who goes on from there. */
typedef int (*tw_progress_fn)(void *user, const tw_train_progress *progress);

/* The optimisers there are: name, one line about it, where it was published; NULL past the end. */
typedef struct tw_optimiser_info {
    const char *name, *about, *source;
} tw_optimiser_info;
TW_API const tw_optimiser_info *tw_optimiser_list(int index);

/* Zeros mean the defaults in brackets; those of the optimiser differ: src/train/optimisers.def has them. */
typedef struct tw_train_desc {
    int64_t steps;         /* optimiser steps [20000 unless minutes is given] */
    double minutes;        /* instead: train for about so long */
    int batch;             /* rows a step, drawn with replacement [the training rows, at least 256, at most 512; of
                              pictures 32; by a transformer of tokens no more than have 4096 tokens, or 16] */
    int accumulate;        /* the batch is worked off in so many equal pieces, whose gradients are summed [1] */
    const char *optimiser; /* ["adamw"] */
    double lr;             /* peak learning rate, reached after the warm-up, then half a cosine to 0 [adamw: 3e-3, of
                              pictures 2e-3, of a transformer of tokens at most 0.2 / width] */
    int64_t warmup;        /* steps of linear warm-up [5 % of the steps, at most 500] */
    double weight_decay;   /* on matrices only [adamw: 0.01; negative: none] */
    double beta1, beta2, epsilon; /* [adamw: 0.9, 0.999, 1e-8]; beta1 is the momentum of sgd and nesterov */
    double clip;                  /* bound on the global gradient norm [1; negative: none] */
    double patience;          /* it ends when so much of it has gone by, 0 to 1, since the least validation loss, whose
                                 weights are kept [0: never] */
    double ema;               /* decay of the averaged weights [0.999] */
    tw_products products;     /* what products multiply, forward and backward; weights and sums stay f32 [f32] */
    bool recompute;           /* networks of pictures: less memory for about a fifth more time [no] */
    bool independent_times;   /* of the rows of a batch; [stratified: one in each of `batch` shares of their density] */
    const tw_dataset *source; /* rows the flow begins at (source "data"); same columns */
    /* Reflow: trained instead on pairs of a source point and where this flow takes it, in its normalised units;
     * coupling "given" and the teacher's source. Its weights are the first ones where they mean the same here. It must
     * outlive the training and be of the same context. The data's rows are not read then: whether some are held out is.
     */
    tw_flow *teacher;
    int64_t pairs;   /* it makes [40000], and a tenth more to validate on */
    bool dequantise; /* rows are whole numbers, and trained on with uniform noise in [-1/2, 1/2) by seed and step: then
                        they have a density, whose bits bound those of the numbers. Samples are to be rounded */
    double smooth;   /* rows are drawn around those of the data, by normal vectors of this share of the distance to the
                        six nearest, a geometric mean: few rows (at most 50,000) are not learned by heart, as kernel
                        estimates smooth them; ppd and exfm widen them by their own kernels. Not for pictures, tokens,
                        meshes, pairs of a teacher [0: none] */
    bool flip;       /* half of the pictures of a batch, by seed and step, are mirrored left to right */
    int shift;       /* and all are moved by up to so many pixels either way, edges repeated: random crops */
    double condition_dropout; /* share of rows that are told nothing, so that guidance works [0.1; negative: none] */
    uint64_t seed;
    const char *checkpoint;    /* file; NULL: none. The one before is kept as FILE.prev */
    double checkpoint_seconds; /* between checkpoints [30] */
    int64_t checkpoint_steps;  /* instead: every so many steps */
    /* continue from `checkpoint`, bit for bit; a damaged one falls back to FILE.prev and says so in the log; one of
     * other data or settings is refused naming what differs; without any, training starts from the beginning and says
     * so */
    bool resume;
    tw_progress_fn on_progress;
    void *user;
} tw_train_desc;

typedef struct tw_train_result {
    int64_t steps;
    double seconds;           /* of training, all runs of a resumed training together */
    double loss;              /* mean training loss over the last 100 steps */
    double validation;        /* validation loss of the weights kept, NaN without validation rows */
    int64_t validation_draws; /* rows, each with its time and noise, that it is the mean of */
    double steps_per_second;
    int64_t optimiser_bytes; /* of the moments the optimiser keeps */
    /* the loss curve, at most 2000 points; owned by the flow, valid until it is trained again or destroyed */
    int64_t curve_count;
    const double *curve_step, *curve_loss;
} tw_train_result;

/* Fits the normaliser on the training part, then the network, from the weights the flow has. Afterwards the flow holds
 * the averaged weights: those of the last step, unless the validation loss (taken about 40 times; of pictures, tokens
 * and sequences over so few draws that all together cost about a twentieth of the training) was lower before by more
 * than 0.2 %, as it is on small tables once the network learns rows by heart; then those of its lowest value
 * (not of a path of densities, method ppd: that of held-out rows is another). Facts
 * kept in the flow: "steps", "batch", "lr", "loss", "train_rows", "skipped_steps", and with validation rows
 * "validation" and "best_step". The flow is changed only when training ends or is stopped by on_progress
 * (TW_ERR_CANCELLED), not on failure; but a schedule that is
 * fitted to the data ("kinetic") is when training begins. */
TW_NODISCARD TW_API tw_status tw_train(tw_flow *flow, const tw_dataset *data, const tw_train_desc *desc,
                                       tw_train_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
