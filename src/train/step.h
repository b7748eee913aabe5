/* train/step.h - one training step as one program: draws, path, network, loss, gradient, clipping, optimiser, average.
 *
 * Everything random is a function of (seed, step), everything else of the arrays handed in: a step is a pure function,
 * which is what makes stopping and going on exact. */
#ifndef TW_TRAIN_STEP_H
#define TW_TRAIN_STEP_H

#include "flow/flow.h"
#include "train/batch.h"
#include "train/optimiser.h"

typedef struct tw_step_desc {
    int64_t rows;        /* of the data table */
    int64_t source_rows; /* of a table of source points, 0: the flow's source draws them */
    int batch;
    int pieces;     /* gradients are summed over so many equal pieces of the batch, one after another; 0: 1 */
    bool fed;       /* batches are drawn elsewhere and fed: x1, x0 and conditions in place of tables */
    double dropout; /* share of rows that are told nothing */
    const tw_optimiser *optimiser; /* NULL: the first */
    double beta1, beta2, epsilon, weight_decay, clip;
    tw_products products;
    bool packed[TW_FEEDS];  /* tables of pictures as bytes */
    bool runs_on;           /* rows of data go on in the next ones */
    const float *noise;     /* (columns) width of uniform noise around the data's rows, NULL: none */
    bool smooth;            /* rows are drawn around those of the data */
    bool flip;              /* pictures are mirrored by chance */
    int shift;              /* and moved by up to so many pixels */
    bool recompute;         /* activations of networks of pictures on the way back */
    bool independent_times; /* else one in each of `batch` equal shares of their density */
    tw_dtype dtype;         /* of data, weights and arithmetic: f32, or f64 in tests */
} tw_step_desc;

/* The step as a graph, for compiling or for the reference interpreter. */
typedef struct tw_step_graph {
    tw_graph *graph;
    tw_params *params;
    tw_val feed[TW_FEEDS];                                        /* inputs, those there are; then */
    tw_val key, counter, rate, average, correction1, correction2; /* then a block of parameters a flat */
    tw_val loss, norm, finite;                                    /* outputs; likewise */
    const tw_optimiser *optimiser;
    int params_count;
    tw_val *gradients;
    tw_moments *old, *new;
    tw_moment8 *coded; /* codes of the two moments */
} tw_step_graph;

/* What a step's batches are made of. */
tw_batch_desc tw_step_batch(const tw_flow *flow, const tw_step_desc *desc);

TW_NODISCARD tw_status tw_step_graph_build(tw_flow *flow, const tw_step_desc *desc, tw_step_graph *out_graph);
void tw_step_graph_free(tw_context *ctx, tw_step_graph *s);

/* Weights, moments and average, each one flat array, parameter after parameter; an optimiser may lack moments or keep
 * them in codes. */
enum { TW_WEIGHTS, TW_AVERAGE, TW_FIRST, TW_SECOND, TW_FLATS };
static inline int tw_flats_of(const tw_optimiser *optimiser)
{
    return TW_FIRST + optimiser->moments;
}

typedef struct tw_step {
    tw_context *ctx;
    tw_step_graph graph;
    tw_program *program;
    tw_state *state;
    float *flat[TW_FLATS]; /* NULL where the optimiser has none. Whoever writes to them between two steps tells the
                            * state: tw_state_forget. */
    size_t flat_bytes[TW_FLATS];
    const void **inputs;
    void **outputs;
    uint32_t key[2], counter[2];
    float rate, average, correction1, correction2;
    float loss, norm, finite; /* of the last run */
    double beta1, beta2;
} tw_step;

/* `feed`: data (rows, columns), source points (source_rows, columns) and conditions (rows, conditions), floats or
 * packed bytes, NULL where there are none; unless fed, they must outlive the step. Flat arrays start as zeros. */
TW_NODISCARD tw_status tw_step_create(tw_flow *flow, const tw_step_desc *desc, const void *const feed[TW_FEEDS],
                                      uint64_t seed, tw_step *out_step);
void tw_step_destroy(tw_step *step);
/* Points a fed step at its batch. */
void tw_step_feed(tw_step *step, const void *const feed[TW_FEEDS]);
size_t tw_step_moment_bytes(const tw_step *step);
/* Step number `number` (from 0) as update number `update` (from 1). step->finite is 0 when the gradient was not finite
 * and nothing was changed. */
TW_NODISCARD tw_status tw_step_run(tw_step *step, int64_t number, int64_t update, double rate, double average);

#endif
