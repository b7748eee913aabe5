/* eval/classifier.c - see classifier.h. 3 x 3 convolutions, halved by maxima until a picture is less than 8 pixels
 * across, one hidden layer of features, scores: LeNet's plan (LeCun et al. 1998) with today's activation and optimiser.
 * Halves of odd sides leave the last pixel out. */
#include "eval/classifier_inside.h"

#include "base/philox.h"
#include "base/streams.h"
#include "nn/blocks.h"
#include "train/learner.h"

#include <math.h>
#include <string.h>

enum {
    BATCH = 128,
    BLOCK = 128,
    EPOCHS = 5,
    FEWEST_STEPS = 1500,
    SMALL_SIDE = 8,
    SEED = 1,
    FIRST_CHANNELS = 16,
    MOST_CHANNELS = 64
};
static const double peak_rate = 0.002, warmup = 0.1;

/* --- the network ------------------------------------------------------------------------------------------------- */

/* (B,H,W,C) -> (B,H/2,W/2,C): the largest of each four. */
static tw_val halve(tw_val x)
{
    int64_t b = tw_dim(x, 0), h = tw_dim(x, 1) / 2, w = tw_dim(x, 2) / 2, c = tw_dim(x, 3);
    if (tw_dim(x, 1) % 2) x = tw_slice(x, 1, 0, 2 * h);
    if (tw_dim(x, 2) % 2) x = tw_slice(x, 2, 0, 2 * w);
    return tw_reduce_max(tw_reshape(x, tw_shape_of(b, h, 2, w, 2, c)), 2, (const int[]){2, 4});
}

/* x (B,H,W,C) of bytes -> scores (B,classes) and features (B,TW_CLASSIFIER_FEATURES). */
static tw_val judge(tw_scope root, int classes, tw_val x, tw_val *out_features)
{
    tw_val h = tw_muls(tw_adds(x, -127.5), 1 / 64.0); /* about standardised */
    int64_t channels = FIRST_CHANNELS;
    int stage = 0;
    for (;; stage++, channels = tw_min_i64(2 * channels, MOST_CHANNELS)) {
        h = tw_silu(tw_block_conv(tw_at(root, "conv", stage), h, channels, 3, 1, false));
        if (tw_min_i64(tw_dim(h, 1), tw_dim(h, 2)) < SMALL_SIDE) break;
        h = halve(h);
    }
    h = tw_reshape(h, tw_shape_of(tw_dim(h, 0), tw_dim(h, 1) * tw_dim(h, 2) * tw_dim(h, 3)));
    *out_features = tw_dense(tw_in(root, "features"), h, TW_CLASSIFIER_FEATURES, tw_silu);
    return tw_linear(tw_in(root, "scores"), *out_features, classes);
}

static tw_shape batch_shape(tw_image image, int64_t rows)
{
    return tw_shape_of(rows, image.height, image.width, image.channels);
}

/* --- one that answers ----------------------------------------------------------------------------------------------
 */

static tw_status build(tw_classifier *c)
{
    tw_context *ctx = c->ctx;
    tw_status status = TW_OK;
    tw_val *inputs = NULL, outputs[2];
    bool *constants = NULL;
    TW_TRY(tw_graph_create(ctx, &c->graph));
    TW_TRY(tw_params_create(ctx, c->graph, TW_DTYPE_F32, &c->params));
    tw_val x = tw_input(c->graph, "pictures", TW_DTYPE_F32, batch_shape(c->image, BLOCK));
    outputs[0] = tw_argmax(judge(tw_scope_root(c->params), c->classes, x, &outputs[1]), 1);
    TW_TRY(tw_graph_check(c->graph));
    int count = tw_params_count(c->params);
    inputs = tw_alloc(ctx, (size_t)count + 1, sizeof *inputs);
    constants = tw_alloc(ctx, (size_t)count + 1, sizeof *constants);
    if (!inputs || !constants) TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof *inputs));
    for (int i = 0; i < count; i++) inputs[i] = tw_params_value(c->params, i), constants[i] = true;
    inputs[count] = x;
    tw_program_desc desc = {.name = "the classifier",
                            .inputs_count = count + 1,
                            .inputs = inputs,
                            .outputs_count = 2,
                            .outputs = outputs,
                            .rows = BLOCK,
                            .constants = constants};
    TW_TRY(tw_program_compile(ctx, &desc, &c->program));
    TW_TRY(tw_state_create(c->program, 0, &c->state));
done:
    tw_free(ctx, inputs);
    tw_free(ctx, constants);
    return status;
}

tw_status tw_classifier_create(tw_context *ctx, tw_image image, int classes, tw_classifier **out_classifier)
{
    size_t numbers = (size_t)image.height * (size_t)image.width * (size_t)image.channels;
    tw_status status = TW_OK;
    if (image.height < 4 || image.width < 4 || image.channels < 1 || classes < 2)
        return tw_fail(ctx, TW_ERR_INVALID, "no classifier of %d classes for pictures of %d x %d pixels", classes,
                       image.height, image.width);
    tw_classifier *c = tw_alloc(ctx, 1, sizeof *c);
    if (!c) return tw_fail_memory(ctx, sizeof *c);
    *c = (tw_classifier){.ctx = ctx, .image = image, .classes = classes};
    TW_TRY(build(c));
    size_t count = (size_t)tw_params_count(c->params);
    c->weights = tw_alloc_aligned(ctx, (size_t)tw_params_size(c->params) * sizeof(float));
    c->inputs = tw_alloc(ctx, count + 1, sizeof *c->inputs);
    c->pictures = tw_alloc_aligned(ctx, BLOCK * numbers * sizeof(float));
    c->features = tw_alloc_aligned(ctx, (size_t)BLOCK * TW_CLASSIFIER_FEATURES * sizeof(float));
    c->class = tw_alloc_aligned(ctx, BLOCK * sizeof(int32_t));
    if (!c->weights || !c->inputs || !c->pictures || !c->features || !c->class)
        TW_TRY(tw_fail_memory(ctx, BLOCK * numbers * sizeof(float)));
    for (size_t i = 0; i < count; i++) c->inputs[i] = c->weights + tw_params_offset(c->params, (int)i);
    c->inputs[count] = c->pictures;
    *out_classifier = c;
    c = NULL;
done:
    tw_classifier_destroy(c);
    return status;
}

void tw_classifier_destroy(tw_classifier *c)
{
    if (!c) return;
    tw_context *ctx = c->ctx;
    tw_state_destroy(c->state);
    tw_program_destroy(c->program);
    tw_params_destroy(c->params);
    tw_graph_destroy(c->graph);
    tw_free_aligned(ctx, c->weights);
    tw_free_aligned(ctx, c->pictures);
    tw_free_aligned(ctx, c->features);
    tw_free_aligned(ctx, c->class);
    tw_free(ctx, c->inputs);
    tw_free(ctx, c);
}

/* Rows as the network sees them: what a picture file can hold, as floats. */
static void take(int64_t numbers, const double *values, float *out)
{
    for (int64_t i = 0; i < numbers; i++) out[i] = (float)fmin(255, fmax(0, values[i]));
}

tw_status tw_classifier_run(tw_classifier *c, int64_t rows, const double *pictures, int32_t *out_class,
                            double *out_features)
{
    int64_t numbers = (int64_t)c->image.height * c->image.width * c->image.channels;
    void *outputs[2] = {c->class, c->features};
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = tw_min_i64(BLOCK, rows - begin);
        take(count * numbers, pictures + begin * numbers, c->pictures);
        tw_status status = tw_program_run(c->state, c->inputs, outputs, count);
        if (status != TW_OK) return status;
        if (out_class) memcpy(out_class + begin, c->class, (size_t)count * sizeof *out_class);
        if (out_features)
            for (int64_t i = 0; i < count * TW_CLASSIFIER_FEATURES; i++)
                out_features[begin * TW_CLASSIFIER_FEATURES + i] = (double)c->features[i];
    }
    return TW_OK;
}

/* --- training ------------------------------------------------------------------------------------------------------
 */

typedef struct training {
    tw_context *ctx;
    const tw_classifier_desc *desc;
    tw_graph *graph;
    tw_params *params;
    tw_learner *learner;
    double *row;     /* a picture */
    float *pictures; /* a batch, and its classes */
    int32_t *class;
    int64_t *order; /* rows that have a class, shuffled anew each time through */
    int64_t rows;
} training;

static void training_free(training *t)
{
    tw_learner_destroy(t->learner);
    tw_params_destroy(t->params);
    tw_graph_destroy(t->graph);
    tw_free_aligned(t->ctx, t->pictures);
    tw_free(t->ctx, t->row);
    tw_free(t->ctx, t->class);
    tw_free(t->ctx, t->order);
}

static int32_t class_of(const tw_classifier_desc *desc, int64_t row)
{
    int told = tw_dataset_conditions_count(desc->data);
    double class = tw_dataset_condition_values(desc->data, TW_PART_TRAIN)[row * told + desc->condition];
    return isnan(class) ? -1 : (int32_t)class;
}

/* Rows that have a class, and memory for a batch of them. */
static tw_status take_rows(training *t)
{
    const tw_classifier_desc *desc = t->desc;
    int64_t rows = tw_dataset_rows(desc->data, TW_PART_TRAIN), numbers = tw_shape_size(batch_shape(desc->image, 1));
    if (desc->condition < 0 || desc->condition >= tw_dataset_conditions_count(desc->data) ||
        tw_dataset_columns(desc->data) != numbers)
        return tw_fail(t->ctx, TW_ERR_INVALID, "a classifier needs pictures and their classes: %d columns, condition %d",
                       tw_dataset_columns(desc->data), desc->condition);
    t->order = tw_alloc(t->ctx, (size_t)rows, sizeof *t->order);
    t->pictures = tw_alloc_aligned(t->ctx, (size_t)(BATCH * numbers) * sizeof(float));
    t->row = tw_alloc(t->ctx, (size_t)numbers, sizeof *t->row);
    t->class = tw_alloc(t->ctx, BATCH, sizeof *t->class);
    if (!t->order || !t->pictures || !t->row || !t->class)
        return tw_fail_memory(t->ctx, (size_t)(BATCH * numbers) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) {
        if (class_of(desc, i) >= desc->classes)
            return tw_fail(t->ctx, TW_ERR_INVALID, "row %lld is of class %d of %d", (long long)i + 1,
                           class_of(desc, i) + 1, desc->classes);
        if (class_of(desc, i) >= 0) t->order[t->rows++] = i;
    }
    return t->rows > 0 ? TW_OK
                       : tw_fail(t->ctx, TW_ERR_INVALID, "no row has a class: nothing to train a classifier on");
}

static tw_status make_learner(training *t)
{
    tw_status status = TW_OK;
    tw_val inputs[2], features;
    TW_TRY(tw_graph_create(t->ctx, &t->graph));
    TW_TRY(tw_params_create(t->ctx, t->graph, TW_DTYPE_F32, &t->params));
    inputs[0] = tw_input(t->graph, "pictures", TW_DTYPE_F32, batch_shape(t->desc->image, BATCH));
    inputs[1] = tw_input(t->graph, "class", TW_DTYPE_I32, tw_shape_of(BATCH));
    tw_val scores = judge(tw_scope_root(t->params), t->desc->classes, inputs[0], &features);
    tw_val loss = tw_mean_axis(tw_cross_entropy(scores, inputs[1], -1), 0);
    TW_TRY(tw_graph_check(t->graph));
    tw_learner_desc desc = {.params = t->params, .loss = loss, .inputs_count = 2, .inputs = inputs, .seed = SEED};
    TW_TRY(tw_learner_create(t->ctx, &desc, &t->learner));
done:
    return status;
}

/* Batch after batch of the shuffled rows, from the beginning again when there is no whole one left. */
static tw_status next_batch(training *t, int64_t step)
{
    int64_t numbers = tw_shape_size(batch_shape(t->desc->image, 1));
    int64_t batches = tw_max_i64(1, t->rows / BATCH), at = step % batches * BATCH;
    if (at == 0) {
        tw_random random = {.seed = SEED, .stream = TW_STREAM_EVAL, .index = (uint64_t)(step / batches) << 40};
        for (int64_t i = t->rows - 1; i > 0; i--) {
            int64_t j = tw_random_below(&random, i + 1), row = t->order[i];
            t->order[i] = t->order[j];
            t->order[j] = row;
        }
    }
    for (int64_t i = 0; i < BATCH; i++) {
        int64_t row = t->order[(at + i) % t->rows];
        tw_status status = tw_dataset_read(t->desc->data, TW_PART_TRAIN, row, 1, t->row);
        if (status != TW_OK) return status;
        take(numbers, t->row, t->pictures + i * numbers);
        t->class[i] = class_of(t->desc, row);
    }
    return TW_OK;
}

/* Up in a straight line, down along half a cosine (Loshchilov, Hutter 2017, SGDR). */
static double rate_at(int64_t step, int64_t steps)
{
    double s = ((double)step + 0.5) / (double)steps;
    return peak_rate * (s < warmup ? s / warmup : 0.5 + 0.5 * cos(M_PI * (s - warmup) / (1 - warmup)));
}

static tw_status fit(training *t)
{
    const tw_classifier_desc *desc = t->desc;
    int64_t steps = desc->steps > 0 ? desc->steps : tw_max_i64(FEWEST_STEPS, EPOCHS * t->rows / BATCH);
    float loss = 0;
    tw_status status = TW_OK;
    for (int64_t k = 0; k < steps; k++) {
        TW_TRY(next_batch(t, k));
        TW_TRY(tw_learner_step(t->learner, rate_at(k, steps), (const void *[]){t->pictures, t->class}, NULL, &loss));
        if (k % 16 == 0 && desc->on_progress && desc->on_progress(desc->user, k + 1, steps) != 0)
            TW_TRY(tw_fail(t->ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld steps of the classifier",
                           (long long)k + 1, (long long)steps));
    }
    if (!isfinite(loss)) TW_TRY(tw_fail(t->ctx, TW_ERR_NUMERIC, "the classifier's loss is no number any more"));
done:
    return status;
}

tw_status tw_classifier_train(tw_context *ctx, const tw_classifier_desc *desc, tw_classifier **out_classifier)
{
    tw_classifier *c = NULL;
    training t = {.ctx = ctx, .desc = desc};
    tw_status status = TW_OK;
    TW_TRY(tw_classifier_create(ctx, desc->image, desc->classes, &c));
    TW_TRY(take_rows(&t));
    TW_TRY(make_learner(&t));
    TW_TRY(fit(&t));
    memcpy(c->weights, tw_learner_weights(t.learner), (size_t)tw_params_size(c->params) * sizeof(float));
    *out_classifier = c;
    c = NULL;
done:
    training_free(&t);
    tw_classifier_destroy(c);
    return status;
}
