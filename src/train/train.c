/* train/train.c - the loop: steps, validation, checkpoints, progress; then the weights go to the flow.
 *
 * The flow receives the averaged weights of the lowest validation loss: on large tables those are the last ones, on
 * small tables the ones before the network began to learn single rows by heart. The flow is untouched until then. */
#include "train/trainer.h"

#include "base/file.h"
#include "base/philox.h"
#include "base/streams.h"
#include "flow/checksum.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    SKIPS_ALLOWED = 100,           /* steps in a row whose gradient is not finite */
    STEPS_BETWEEN_VALIDATIONS = 25 /* at least: a validation costs as much as a few steps */
};

double tw_trainer_seconds(const tw_trainer *r)
{
    return r->seconds_before + (tw_clock() - r->started);
}

/* --- making
 * -------------------------------------------------------------------------------------------------------------- */

static tw_status check_data(tw_flow *flow, const tw_dataset *data)
{
    int64_t rows = tw_dataset_rows(data, TW_PART_TRAIN);
    if (tw_dataset_columns(data) != flow->desc.columns)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the data has %d columns and the flow %d", tw_dataset_columns(data),
                       flow->desc.columns);
    if (rows < 1) return tw_fail(flow->ctx, TW_ERR_INVALID, "the training part of the data has no rows");
    if (tw_dataset_conditions_count(data) != flow->desc.conditions_count)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the data has %d conditions and the flow %d",
                       tw_dataset_conditions_count(data), flow->desc.conditions_count);
    if (rows > INT32_MAX)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "%lld training rows: at most %d can be drawn from",
                       (long long)rows, INT32_MAX);
    return TW_OK;
}

/* A flow begins at rows of a data set when its source says so. */
static tw_status check_source(const tw_flow *flow, const tw_dataset *data, const tw_dataset *source)
{
    bool wants = !flow->model.source->rules->draw;
    bool given = strcmp(flow->piece[TW_PIECE_coupling].info->name, "given") == 0;
    if (wants != (source != NULL))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "the flow's source is '%s', and %s rows to begin at are given",
                       flow->desc.source, source ? "" : "no");
    if (given && !source)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "the coupling 'given' needs a data set of source points");
    if (!source) return TW_OK;
    if (tw_dataset_columns(source) != flow->desc.columns)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the source data has %d columns and the flow %d",
                       tw_dataset_columns(source), flow->desc.columns);
    if (given && tw_dataset_rows(source, TW_PART_ALL) != tw_dataset_rows(data, TW_PART_ALL))
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the source data has %lld rows and the data %lld: given pairs go row by row",
                       (long long)tw_dataset_rows(source, TW_PART_ALL), (long long)tw_dataset_rows(data, TW_PART_ALL));
    return TW_OK;
}

static void find_constants(tw_trainer *r, int64_t rows, const double *values)
{
    int columns = r->flow->desc.columns;
    for (int j = 0; j < columns; j++) {
        r->constant[j] = 1;
        for (int64_t i = 1; i < rows && r->constant[j]; i++)
            if (values[i * columns + j] != values[j]) r->constant[j] = 0;
    }
}

/* Rows in normalised units. A column that never changes would be a point to squeeze all noise into, ever faster towards
 * t = 1: the network gets noise there instead, which is no work at all, and the flow puts the value back. `first`
 * counts rows over parts. */
static void normalise(const tw_trainer *r, int64_t first, int64_t rows, const double *values, double *out)
{
    int columns = r->flow->desc.columns;
    tw_normaliser_apply(&r->normaliser, rows, values, out);
    for (int j = 0; j < columns; j++) {
        tw_random random = {.seed = r->options.seed, .stream = TW_STREAM_STAND_IN + ((uint32_t)j << 8)};
        random.index = (uint64_t)first * 4; /* words a normal takes */
        for (int64_t i = 0; r->constant[j] && i < rows; i++) out[i * columns + j] = tw_random_normal(&random);
    }
}

/* Rows of a part, normalised, as floats; NULL: no memory. `first` counts rows over parts and data sets. */
static float *normalised_rows(const tw_trainer *r, const tw_dataset *data, tw_part part, int64_t first)
{
    int64_t rows = tw_dataset_rows(data, part);
    int columns = r->flow->desc.columns;
    const double *values = tw_dataset_values(data, part);
    float *out = tw_alloc_aligned(r->ctx, (size_t)rows * (size_t)columns * sizeof(float));
    double *row = tw_alloc(r->ctx, (size_t)columns, sizeof(double));
    for (int64_t i = 0; out && row && i < rows; i++) {
        normalise(r, first + i, 1, values + i * columns, row);
        for (int j = 0; j < columns; j++) out[i * columns + j] = (float)row[j];
    }
    if (!row) {
        tw_free_aligned(r->ctx, out);
        out = NULL;
    }
    tw_free(r->ctx, row);
    if (!out) (void)tw_fail_memory(r->ctx, (size_t)rows * (size_t)columns * sizeof(float));
    return out;
}

/* Conditions of a part as the network takes them, NULL when there are none; *status tells. */
static float *condition_rows(const tw_trainer *r, tw_part part, tw_status *status)
{
    int64_t rows = tw_dataset_rows(r->data, part);
    int count = r->flow->desc.conditions_count;
    const double *values = tw_dataset_condition_values(r->data, part);
    if (count == 0) return NULL;
    float *out = tw_alloc_aligned(r->ctx, (size_t)tw_max_i64(rows, 1) * (size_t)count * sizeof(float));
    double *row = tw_alloc(r->ctx, (size_t)count, sizeof(double));
    if (!out || !row) *status = tw_fail_memory(r->ctx, (size_t)rows * (size_t)count * sizeof(float));
    for (int64_t i = 0; *status == TW_OK && i < rows; i++) {
        *status = tw_conditions_take(r->ctx, count, r->flow->desc.conditions, i, values + i * count, row);
        for (int j = 0; j < count; j++) out[i * count + j] = (float)row[j];
    }
    tw_free(r->ctx, row);
    return out;
}

static uint64_t hash_rows(uint64_t hash, const float *table, int64_t rows, int columns)
{
    return table ? tw_checksum(hash, table, (size_t)rows * (size_t)columns * sizeof(float)) : hash;
}

/* What batches are drawn from, and the fingerprint of all that training reads. */
static tw_status make_tables(tw_trainer *r)
{
    const tw_dataset *source = r->options.source;
    int64_t rows = tw_dataset_rows(r->data, TW_PART_TRAIN), held = tw_dataset_rows(r->data, TW_PART_VALIDATION);
    int columns = r->flow->desc.columns;
    const double *values = tw_dataset_values(r->data, TW_PART_TRAIN);
    tw_status status = tw_normaliser_fit(r->ctx, rows, columns, values, &r->normaliser);
    if (status != TW_OK) return status;
    r->constant = tw_alloc(r->ctx, (size_t)columns, sizeof(int));
    if (!r->constant) return tw_fail_memory(r->ctx, (size_t)columns * sizeof(int));
    find_constants(r, rows, values);
    if (!(r->table[TW_FEED_DATA] = normalised_rows(r, r->data, TW_PART_TRAIN, 0))) return TW_ERR_MEMORY;
    if (source) {
        r->source_rows = tw_dataset_rows(source, TW_PART_TRAIN);
        r->table[TW_FEED_SOURCE] = normalised_rows(r, source, TW_PART_TRAIN, tw_dataset_rows(r->data, TW_PART_ALL));
        if (!r->table[TW_FEED_SOURCE]) return TW_ERR_MEMORY;
    }
    r->table[TW_FEED_CONDITION] = condition_rows(r, TW_PART_TRAIN, &status);
    r->data_hash = hash_rows((uint64_t)columns, r->table[TW_FEED_DATA], rows, columns);
    r->data_hash = hash_rows(r->data_hash, r->table[TW_FEED_SOURCE], r->source_rows, columns);
    r->data_hash = hash_rows(r->data_hash, r->table[TW_FEED_CONDITION], rows, r->flow->desc.conditions_count);
    if (held > 0)
        r->data_hash = tw_checksum(r->data_hash, tw_dataset_values(r->data, TW_PART_VALIDATION),
                                   (size_t)held * (size_t)columns * sizeof(double));
    return status;
}

static tw_step_desc step_desc(const tw_trainer *r)
{
    const tw_train_desc *d = &r->options;
    return (tw_step_desc){.rows = tw_dataset_rows(r->data, TW_PART_TRAIN),
                          .source_rows = r->source_rows,
                          .batch = d->batch,
                          .fed = tw_producer_needed(r->flow),
                          .dropout = d->condition_dropout,
                          .beta1 = d->beta1,
                          .beta2 = d->beta2,
                          .epsilon = d->epsilon,
                          .weight_decay = d->weight_decay,
                          .clip = d->clip,
                          .products = d->products,
                          .independent_times = d->independent_times,
                          .dtype = TW_DTYPE_F32};
}

static tw_status make_validation(tw_trainer *r)
{
    int64_t rows = tw_dataset_rows(r->data, TW_PART_VALIDATION), train = tw_dataset_rows(r->data, TW_PART_TRAIN);
    if (rows < 1) return TW_OK;
    const tw_dataset *source = r->options.source;
    float *held[TW_FEEDS] = {0};
    tw_validation_data data = {.rows = rows};
    tw_step_desc desc = step_desc(r);
    tw_batch_desc batch = tw_step_batch(r->flow, &desc);
    tw_status status = TW_OK;
    r->best = tw_alloc_aligned(r->ctx, (size_t)tw_params_size(r->flow->params) * sizeof(float));
    if (!r->best) return tw_fail_memory(r->ctx, (size_t)tw_params_size(r->flow->params) * sizeof(float));
    if (!(held[TW_FEED_DATA] = normalised_rows(r, r->data, TW_PART_VALIDATION, train))) return TW_ERR_MEMORY;
    held[TW_FEED_CONDITION] = condition_rows(r, TW_PART_VALIDATION, &status);
    TW_TRY(status);
    if (source) { /* its own held-out rows, or the training ones when it has none */
        tw_part part = tw_dataset_rows(source, TW_PART_VALIDATION) > 0 ? TW_PART_VALIDATION : TW_PART_TRAIN;
        data.source_rows = tw_dataset_rows(source, part);
        held[TW_FEED_SOURCE] = normalised_rows(r, source, part, tw_dataset_rows(r->data, TW_PART_ALL));
        if (!held[TW_FEED_SOURCE]) TW_TRY(TW_ERR_MEMORY);
    }
    for (int f = 0; f < TW_FEEDS; f++) data.table[f] = held[f];
    TW_TRY(tw_validation_create(r->flow, &data, &batch, r->options.seed, &r->validation));
    r->validates = true;
done:
    for (int f = 0; f < TW_FEEDS; f++) tw_free_aligned(r->ctx, held[f]);
    return status;
}

static tw_status make_step(tw_trainer *r)
{
    const tw_train_desc *d = &r->options;
    const float *const *tables = (const float *const *)r->table;
    tw_step_desc desc = step_desc(r);
    tw_status status = tw_optimiser_find(r->ctx, d->optimiser, &desc.optimiser);
    if (status != TW_OK) return status;
    status = tw_step_create(r->flow, &desc, tables, d->seed, &r->step);
    if (status != TW_OK) return status;
    memcpy(r->step.flat[TW_WEIGHTS], r->flow->weights, r->step.flat_bytes[TW_WEIGHTS]);
    memcpy(r->step.flat[TW_AVERAGE], r->flow->weights, r->step.flat_bytes[TW_WEIGHTS]);
    r->initial_hash = tw_checksum(0, r->flow->weights, r->step.flat_bytes[TW_WEIGHTS]);
    if (!desc.fed) return TW_OK;
    tw_producer_desc producer = {.batch = tw_step_batch(r->flow, &desc), .seed = d->seed};
    memcpy(producer.table, r->table, sizeof(producer.table));
    return tw_producer_create(r->flow, &producer, &r->producer);
}

static tw_status trainer_create(tw_flow *flow, const tw_dataset *data, const tw_train_desc *desc, tw_trainer *r)
{
    tw_context *ctx = flow->ctx;
    tw_status status = TW_OK;
    *r = (tw_trainer){.ctx = ctx,
                      .flow = flow,
                      .data = data,
                      .last_validation = (double)NAN,
                      .best_validation = (double)INFINITY,
                      .started = tw_clock()};
    TW_TRY(check_data(flow, data));
    TW_TRY(check_source(flow, data, desc ? desc->source : NULL));
    TW_TRY(tw_train_complete(ctx, desc, tw_dataset_rows(data, TW_PART_TRAIN), &r->options));
    r->plan = tw_plan_make(r->options.steps, r->options.minutes * 60, r->options.warmup, r->options.lr);
    r->curve = tw_alloc(ctx, 1, sizeof(tw_curve));
    if (!r->curve) TW_TRY(tw_fail_memory(ctx, sizeof(tw_curve)));
    TW_TRY(make_tables(r));
    TW_TRY(make_validation(r));
    TW_TRY(make_step(r));
done:
    return status;
}

/* How much of the pairing the steps hid, for --profile. */
static void tell_producer(const tw_trainer *r)
{
    double worked, waited;
    if (!r->producer || !r->ctx->profile) return;
    tw_producer_times(r->producer, &worked, &waited);
    tw_report(r->ctx, TW_LOG_DEBUG, "coupling %s: %.2f s of pairing beside the steps, which waited %.2f s (%.0f %% hidden)",
              r->flow->desc.coupling, worked, waited, worked > 0 ? 100 * fmax(0, 1 - waited / worked) : 100.0);
}

static void trainer_free(tw_trainer *r)
{
    tell_producer(r);
    tw_producer_destroy(r->producer);
    tw_step_destroy(&r->step);
    tw_validation_destroy(&r->validation);
    tw_normaliser_free(r->ctx, &r->normaliser);
    for (int f = 0; f < TW_FEEDS; f++) tw_free_aligned(r->ctx, r->table[f]);
    tw_free(r->ctx, r->constant);
    tw_free_aligned(r->ctx, r->best);
    tw_free(r->ctx, r->curve);
}

/* --- going
 * ------------------------------------------------------------------------------------------------------------------ */

/* The last weights are kept unless earlier ones were better by more than this share of the loss. The averaged weights
 * of the high learning rates in mid-training have a validation loss that wanders by a few hundredths of a percent, and
 * the smallest of forty such values is a lucky one: kept, it cost the checkerboard 0.01 nats of likelihood. Learning by
 * heart costs far more. */
static const double LUCK = 0.002;

static tw_status validate(tw_trainer *r)
{
    if (!r->validates) return TW_OK;
    int due = tw_validations_due(tw_plan_fraction(&r->plan, r->done));
    bool last = r->done >= r->plan.total;
    if (due <= r->validations || (!last && r->done < r->validated_step + STEPS_BETWEEN_VALIDATIONS)) return TW_OK;
    r->validations = due;
    r->validated_step = r->done;
    tw_status status = tw_validation_run(&r->validation, r->step.flat[TW_AVERAGE], &r->last_validation);
    double bound = r->best_validation * (last ? 1 + LUCK : 1);
    if (status != TW_OK || !(r->last_validation < bound)) return status;
    r->best_validation = r->last_validation;
    r->best_step = r->done;
    memcpy(r->best, r->step.flat[TW_AVERAGE], r->step.flat_bytes[TW_WEIGHTS]);
    return TW_OK;
}

static tw_status one_step(tw_trainer *r)
{
    tw_status status = TW_OK;
    if (r->producer) {
        const float *feed[TW_FEEDS];
        status = tw_producer_take(r->producer, r->done, feed);
        if (status != TW_OK) return status;
        tw_step_feed(&r->step, feed);
    }
    status = tw_step_run(&r->step, r->done, r->updates + 1, tw_plan_rate(&r->plan, r->done),
                                   tw_average_decay(r->options.ema, r->updates + 1));
    if (status != TW_OK) return status;
    r->done++;
    if (r->step.finite > 0) {
        r->updates++;
        r->skipped_in_a_row = 0;
        tw_curve_add(r->curve, (double)r->step.loss);
    } else {
        r->skipped++;
        if (++r->skipped_in_a_row >= SKIPS_ALLOWED)
            return tw_fail(r->ctx, TW_ERR_NUMERIC,
                           "training failed: %d gradients in a row were not finite, up to step %lld; try a smaller lr",
                           SKIPS_ALLOWED, (long long)r->done);
    }
    tw_plan_revise(&r->plan, r->done, tw_trainer_seconds(r));
    return validate(r);
}

/* Speed over the last reports, for the eye. */
typedef struct pace {
    double clock, checkpoint_clock, speed;
    int64_t step, checkpoint_step;
} pace;

static bool report(tw_trainer *r, pace *p, bool now)
{
    const double between_reports = 0.2;
    double clock = tw_clock();
    if (!now && clock - p->clock < between_reports) return true;
    if (r->done > p->step) {
        double speed = (double)(r->done - p->step) / fmax(clock - p->clock, 1e-9);
        p->speed = p->speed > 0 ? 0.8 * p->speed + 0.2 * speed : speed;
    }
    p->clock = clock;
    p->step = r->done;
    if (!r->options.on_progress) return true;
    double seconds = tw_trainer_seconds(r), left = (double)(r->plan.total - r->done) / fmax(p->speed, 1e-9);
    if (r->plan.budget > 0 && r->plan.decisions == 0) left = r->plan.budget - seconds;
    tw_train_progress progress = {.step = r->done,
                                  .steps = r->plan.total,
                                  .loss = tw_curve_recent(r->curve),
                                  .validation = r->last_validation,
                                  .steps_per_second = p->speed,
                                  .seconds = seconds,
                                  .seconds_left = fmax(left, 0)};
    if (r->plan.budget > 0 && r->plan.decisions == 0) progress.steps = 0; /* not known yet */
    return r->options.on_progress(r->options.user, &progress) == 0;
}

static tw_status checkpoint_if_due(tw_trainer *r, pace *p, bool now)
{
    const tw_train_desc *d = &r->options;
    if (!d->checkpoint) return TW_OK;
    bool due = d->checkpoint_steps > 0 ? r->done - p->checkpoint_step >= d->checkpoint_steps
                                       : tw_clock() - p->checkpoint_clock >= d->checkpoint_seconds;
    if (!due && !now) return TW_OK;
    tw_status status = tw_checkpoint_write(r);
    p->checkpoint_clock = tw_clock();
    p->checkpoint_step = r->done;
    return status;
}

static tw_status train_loop(tw_trainer *r)
{
    double clock = tw_clock();
    pace p = {.clock = clock, .checkpoint_clock = clock, .step = r->done, .checkpoint_step = r->done};
    bool go = true;
    tw_status status = TW_OK;
    while (go && r->done < r->plan.total) {
        TW_TRY(one_step(r));
        TW_TRY(checkpoint_if_due(r, &p, false));
        go = report(r, &p, false);
    }
    if (r->done > p.checkpoint_step) TW_TRY(checkpoint_if_due(r, &p, true));
    if (!go)
        TW_TRY(tw_fail(r->ctx, TW_ERR_CANCELLED, "training was stopped after step %lld of %lld", (long long)r->done,
                       (long long)r->plan.total));
    report(r, &p, true);
done:
    return status;
}

/* --- handing over
 * ---------------------------------------------------------------------------------------------------------- */

static tw_status set_int(tw_flow *flow, const char *name, int64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return tw_flow_set_fact(flow, name, text);
}

static tw_status set_real(tw_flow *flow, const char *name, double value)
{
    char text[32];
    snprintf(text, sizeof(text), "%.6g", value);
    return tw_flow_set_fact(flow, name, text);
}

/* Facts depend on data, settings and seed only, never on the clock: the same training writes the same file. */
static tw_status set_facts(tw_trainer *r)
{
    tw_flow *flow = r->flow;
    tw_status status = TW_OK;
    TW_TRY(set_int(flow, "steps", r->done));
    TW_TRY(set_int(flow, "batch", r->options.batch));
    TW_TRY(set_real(flow, "lr", r->options.lr));
    TW_TRY(set_real(flow, "loss", tw_curve_recent(r->curve)));
    TW_TRY(set_int(flow, "train_rows", tw_dataset_rows(r->data, TW_PART_TRAIN)));
    TW_TRY(set_int(flow, "skipped_steps", r->skipped));
    if (r->validates && r->best_step > 0) {
        TW_TRY(set_real(flow, "validation", r->best_validation));
        TW_TRY(set_int(flow, "best_step", r->best_step));
    }
done:
    return status;
}

static tw_status hand_over(tw_trainer *r)
{
    tw_flow *flow = r->flow;
    tw_context *ctx = r->ctx;
    tw_status status = TW_OK;
    size_t points = (size_t)tw_max_i64(r->curve->count, 1) * sizeof(double);
    double *step = tw_alloc(ctx, points, 1), *loss = tw_alloc(ctx, points, 1);
    if (!step || !loss) TW_TRY(tw_fail_memory(ctx, points));
    TW_TRY(set_facts(r));
    memcpy(step, r->curve->step, (size_t)r->curve->count * sizeof(double));
    memcpy(loss, r->curve->loss, (size_t)r->curve->count * sizeof(double));
    tw_free(ctx, flow->curve_step);
    tw_free(ctx, flow->curve_loss);
    flow->curve_step = step;
    flow->curve_loss = loss;
    flow->curve_count = r->curve->count;
    step = loss = NULL;
    tw_normaliser_free(ctx, &flow->normaliser);
    flow->normaliser = r->normaliser;
    r->normaliser = (tw_normaliser){0};
    memcpy(flow->constant, r->constant, (size_t)flow->desc.columns * sizeof(int));
    memcpy(flow->weights, r->best_step > 0 ? r->best : r->step.flat[TW_AVERAGE], r->step.flat_bytes[TW_WEIGHTS]);
    tw_flow_programs_drop(flow);
done:
    tw_free(ctx, step);
    tw_free(ctx, loss);
    return status;
}

tw_status tw_train(tw_flow *flow, const tw_dataset *data, const tw_train_desc *desc, tw_train_result *out_result)
{
    tw_trainer r;
    bool found = false;
    char why[sizeof(flow->ctx->error)];
    tw_status status = trainer_create(flow, data, desc, &r);
    if (status != TW_OK) goto done;
    if (r.options.checkpoint && r.options.resume) TW_TRY(tw_checkpoint_read(&r, &found));
    r.started = tw_clock();
    status = train_loop(&r);
    if (status != TW_OK && status != TW_ERR_CANCELLED) goto done;
    snprintf(why, sizeof(why), "%s", tw_context_error(flow->ctx));
    tw_status stopped = status;
    TW_TRY(hand_over(&r));
    double seconds = tw_trainer_seconds(&r);
    if (stopped == TW_OK && out_result)
        *out_result = (tw_train_result){.steps = r.done,
                                        .seconds = seconds,
                                        .loss = tw_curve_recent(r.curve),
                                        .validation = r.best_step > 0 ? r.best_validation : (double)NAN,
                                        .steps_per_second = (double)r.done / fmax(seconds, 1e-9),
                                        .optimiser_bytes = (int64_t)tw_step_moment_bytes(&r.step),
                                        .curve_count = flow->curve_count,
                                        .curve_step = flow->curve_step,
                                        .curve_loss = flow->curve_loss};
    if (stopped != TW_OK) status = tw_fail(flow->ctx, stopped, "%s", why);
done:
    trainer_free(&r);
    return status;
}
