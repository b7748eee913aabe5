/* train/train.c - the loop: steps, validation, checkpoints, progress; then the weights go to the flow.
 *
 * The flow receives the averaged weights of the lowest validation loss: on large tables those are the last ones, on
 * small tables the ones before the network began to learn single rows by heart; those that match a path of densities
 * are the last ones, as that of held-out rows is another. The flow is untouched until then. */
#include "train/trainer.h"

#include "base/file.h"
#include "flow/checksum.h"
#include "path/kinetic.h"

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

/* --- making ------------------------------------------------------------------------------------------------------ */

static tw_step_desc step_desc(const tw_trainer *r)
{
    const tw_train_desc *d = &r->options;
    const uint8_t *const *packed = r->tables.train.packed;
    return (tw_step_desc){.rows = r->tables.train.rows,
                          .source_rows = r->tables.train.source_rows,
                          .batch = d->batch,
                          .pieces = d->accumulate,
                          .fed = tw_producer_needed(r->flow),
                          .packed = {packed[0] != NULL, packed[1] != NULL, packed[2] != NULL},
                          .flip = d->flip,
                          .shift = d->shift,
                          .runs_on = r->tables.train.runs_on,
                          .noise = r->tables.noise,
                          .smooth = d->smooth > 0,
                          .dropout = d->condition_dropout,
                          .beta1 = d->beta1,
                          .beta2 = d->beta2,
                          .epsilon = d->epsilon,
                          .weight_decay = d->weight_decay,
                          .clip = d->clip,
                          .products = d->products,
                          .recompute = d->recompute,
                          .independent_times = d->independent_times,
                          .dtype = TW_DTYPE_F32};
}

/* lambda of path/kinetic.h from the training rows; of pictures from the first of them, whose order is random. */
static tw_status separation(const tw_trainer *r, double *out_lambda)
{
    enum { MOST_PICTURES = 4096 };
    const tw_table_set *train = &r->tables.train;
    int columns = r->flow->desc.columns;
    const float *rows = train->feed[TW_FEED_DATA];
    if (rows) return tw_kinetic_separation(r->ctx, train->rows, columns, rows, r->options.seed, out_lambda);
    int64_t count = tw_min_i64(train->rows, MOST_PICTURES);
    float *some = tw_alloc(r->ctx, (size_t)(count * columns), sizeof *some);
    if (!some) return tw_fail_memory(r->ctx, (size_t)(count * columns) * sizeof *some);
    for (int64_t i = 0; i < count; i++) tw_table_set_point(train, TW_FEED_DATA, i, columns, some + i * columns);
    tw_status status = tw_kinetic_separation(r->ctx, count, columns, some, r->options.seed, out_lambda);
    tw_free(r->ctx, some);
    return status;
}

/* A schedule that is to be fitted is, to the rows that are trained on; the flow then goes along its table. */
static tw_status fit_schedule(tw_trainer *r)
{
    tw_flow *flow = r->flow;
    tw_piece *schedule = &flow->piece[TW_PIECE_schedule], fitted = {0};
    double lambda[TW_KINETIC_ANGLES];
    bool degenerate = false;
    tw_status status = TW_OK;
    if (strcmp(schedule->info->name, "kinetic") != 0 || schedule->count > 0) return TW_OK;
    TW_TRY(separation(r, lambda));
    TW_TRY(tw_kinetic_schedule(r->ctx, lambda, &fitted, &degenerate));
    if (degenerate)
        tw_report(r->ctx, TW_LOG_WARNING,
                  "schedule 'kinetic': the data is so close to one Gaussian that every pace costs next to nothing; the "
                  "cosine schedule is used");
    tw_piece_free(r->ctx, schedule);
    *schedule = fitted;
    flow->desc.schedule = fitted.text;
    tw_flow_programs_drop(flow);
done:
    return status;
}

static tw_status make_validation(tw_trainer *r)
{
    tw_table_set *held = &r->tables.held;
    if (held->rows < 1) return TW_OK;
    tw_step_desc desc = step_desc(r);
    tw_batch_desc batch = tw_step_batch(r->flow, &desc);
    tw_status status = TW_OK;
    r->best = tw_alloc_aligned(r->ctx, (size_t)tw_params_size(r->flow->params) * sizeof(float));
    if (!r->best) return tw_fail_memory(r->ctx, (size_t)tw_params_size(r->flow->params) * sizeof(float));
    TW_TRY(tw_validation_create(r->flow, held, &batch, r->options.seed, &r->validation));
    tw_table_set_free(r->ctx, held);
    r->validates = true;
done:
    return status;
}

/* What the numbers of a network mean. */
static bool same_meaning(const tw_flow *a, const tw_flow *b)
{
    static const tw_flow_piece piece[] = {TW_PIECE_method, TW_PIECE_path, TW_PIECE_schedule, TW_PIECE_predict,
                                          TW_PIECE_gamma};
    bool same = strcmp(a->desc.network.kind, b->desc.network.kind) == 0;
    for (int i = 0; i < TW_COUNT(piece); i++)
        same = same && strcmp(a->piece[piece[i]].text, b->piece[piece[i]].text) == 0;
    return same;
}

/* A teacher's weights where they mean the same to the flow, else its own: what was learned is a good beginning. */
static const float *first_weights(const tw_flow *flow, const tw_flow *teacher)
{
    bool same = teacher && same_meaning(flow, teacher) &&
                tw_params_count(flow->params) == tw_params_count(teacher->params) &&
                tw_params_size(flow->params) == tw_params_size(teacher->params);
    for (int i = 0; same && i < tw_params_count(flow->params); i++)
        same = strcmp(tw_params_name(flow->params, i), tw_params_name(teacher->params, i)) == 0 &&
               tw_shape_equal(tw_shape_at(tw_params_value(flow->params, i)),
                              tw_shape_at(tw_params_value(teacher->params, i)));
    return same ? teacher->weights : flow->weights;
}

static tw_status make_step(tw_trainer *r)
{
    const tw_train_desc *d = &r->options;
    const void *tables[TW_FEEDS];
    const float *weights = first_weights(r->flow, d->teacher);
    tw_step_desc desc = step_desc(r);
    tw_status status = tw_optimiser_find(r->ctx, d->optimiser, &desc.optimiser);
    if (status != TW_OK) return status;
    tw_table_set_feeds(&r->tables.train, tables);
    status = tw_step_create(r->flow, &desc, tables, d->seed, &r->step);
    if (status != TW_OK) return status;
    memcpy(r->step.flat[TW_WEIGHTS], weights, r->step.flat_bytes[TW_WEIGHTS]);
    memcpy(r->step.flat[TW_AVERAGE], weights, r->step.flat_bytes[TW_WEIGHTS]);
    r->initial_hash = tw_checksum(0, weights, r->step.flat_bytes[TW_WEIGHTS]);
    if (!desc.fed) return TW_OK;
    tw_producer_desc producer = {.batch = tw_step_batch(r->flow, &desc), .seed = d->seed};
    memcpy(producer.table, tables, sizeof(producer.table));
    return tw_producer_create(r->flow, &producer, &r->producer);
}

static tw_status trainer_create(tw_flow *flow, const tw_dataset *data, const tw_train_desc *desc, tw_trainer *r)
{
    tw_context *ctx = flow->ctx;
    tw_status status = TW_OK;
    *r = (tw_trainer){.ctx = ctx,
                      .flow = flow,
                      .last_validation = (double)NAN,
                      .best_validation = (double)INFINITY,
                      .started = tw_clock()};
    TW_TRY(tw_train_complete(ctx, desc, tw_dataset_rows(data, TW_PART_TRAIN), &flow->desc, &r->options));
    r->plan = tw_plan_make(r->options.steps, r->options.minutes * 60, r->options.warmup, r->options.lr);
    r->curve = tw_alloc(ctx, 1, sizeof(tw_curve));
    if (!r->curve) TW_TRY(tw_fail_memory(ctx, sizeof(tw_curve)));
    TW_TRY(tw_tables_make(flow, data, &r->options, &r->tables));
    TW_TRY(fit_schedule(r));
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
    tw_report(r->ctx, TW_LOG_DEBUG,
              "coupling %s: %.2f s of pairing beside the steps, which waited %.2f s (%.0f %% hidden)",
              r->flow->desc.coupling, worked, waited, worked > 0 ? 100 * fmax(0, 1 - waited / worked) : 100.0);
}

static void trainer_free(tw_trainer *r)
{
    tell_producer(r);
    tw_producer_destroy(r->producer);
    tw_step_destroy(&r->step);
    tw_validation_destroy(&r->validation);
    tw_tables_free(r->ctx, &r->tables);
    tw_free_aligned(r->ctx, r->best);
    tw_free(r->ctx, r->curve);
}

/* --- going ------------------------------------------------------------------------------------------------------- */

static tw_status one_step(tw_trainer *r)
{
    tw_status status = TW_OK;
    if (r->producer) {
        const float *feed[TW_FEEDS];
        status = tw_producer_take(r->producer, r->done, feed);
        if (status != TW_OK) return status;
        const void *feeds[TW_FEEDS];
        for (int f = 0; f < TW_FEEDS; f++) feeds[f] = feed[f];
        tw_step_feed(&r->step, feeds);
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
    return TW_OK;
}

/* Speed over the last reports, for the eye. */
typedef struct pace {
    double clock, checkpoint_clock, speed;
    int64_t step, checkpoint_step;
} pace;

static bool report(tw_trainer *r, pace *p, bool now, double validating)
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
                                  .validating = validating,
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

/* --- validating --------------------------------------------------------------------------------------------------- */

/* The last weights are kept unless earlier ones were better by more than this share of the loss. The averaged weights
 * of the high learning rates in mid-training have a validation loss that wanders by a few hundredths of a percent, and
 * the smallest of forty such values is a lucky one: kept, it cost the checkerboard 0.01 nats of likelihood. Learning by
 * heart costs far more. */
static const double LUCK = 0.002;

/* All there are, but where networks see a row as many places - of pictures, tokens, sequences - what the length of the
 * training, known by now, bears. */
static int64_t draws_of(const tw_trainer *r)
{
    int64_t all = r->validation.draws;
    if (r->flow->desc.image.height == 0 && r->flow->space.symbols == 0) return all;
    return tw_validation_draws(r->plan.total, r->options.batch, STEPS_BETWEEN_VALIDATIONS, all);
}

static bool validation_due(const tw_trainer *r, bool last)
{
    int due = tw_validations_due(tw_plan_fraction(&r->plan, r->done));
    return r->validates && due > r->validations && (last || r->done >= r->validated_step + STEPS_BETWEEN_VALIDATIONS);
}

typedef struct watch {
    tw_trainer *trainer;
    pace *pace;
} watch;

static bool on_validation(void *user, double share)
{
    watch *w = user;
    return report(w->trainer, w->pace, true, share);
}

/* Nothing is settled before it is done: who stops it meanwhile finds it due again. */
static tw_status validate(tw_trainer *r, pace *p)
{
    bool last = r->done >= r->plan.total;
    watch w = {r, p};
    double loss;
    if (!validation_due(r, last)) return TW_OK;
    bool settled = r->validation_draws > 0 && r->validation_draws <= r->validation.draws; /* a file may say anything */
    if (!settled) r->validation_draws = draws_of(r);
    tw_status status =
        tw_validation_run(&r->validation, r->step.flat[TW_AVERAGE], r->validation_draws, on_validation, &w, &loss);
    if (status != TW_OK) return status;
    r->validations = tw_validations_due(tw_plan_fraction(&r->plan, r->done));
    r->validated_step = r->done;
    r->last_validation = loss;
    const bool judges = last || !r->flow->method->rules->own_path;
    if (!judges || !(loss < r->best_validation * (last ? 1 + LUCK : 1))) return TW_OK;
    r->best_validation = loss;
    r->best_step = r->done;
    memcpy(r->best, r->step.flat[TW_AVERAGE], r->step.flat_bytes[TW_WEIGHTS]);
    return TW_OK;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

/* Whether it has gone on for longer than its patience since it was at its best. */
static bool is_past_its_best(const tw_trainer *r)
{
    double since = tw_plan_fraction(&r->plan, r->done) - tw_plan_fraction(&r->plan, r->best_step);
    return r->options.patience > 0 && r->best_step > 0 && r->best_step < r->validated_step &&
           since > r->options.patience;
}

static tw_status train_loop(tw_trainer *r)
{
    double clock = tw_clock();
    pace p = {.clock = clock, .checkpoint_clock = clock, .step = r->done, .checkpoint_step = r->done};
    bool go = true;
    tw_status status = TW_OK;
    while (go) {
        status = validate(r, &p);
        if (status == TW_ERR_CANCELLED)
            go = false;
        else
            TW_TRY(status);
        if (!go || r->done >= r->plan.total || is_past_its_best(r)) break;
        TW_TRY(one_step(r));
        TW_TRY(checkpoint_if_due(r, &p, false));
        if (r->done < r->plan.total) go = report(r, &p, false, 0);
    }
    status = TW_OK;
    if (r->done > p.checkpoint_step) TW_TRY(checkpoint_if_due(r, &p, true));
    if (!go)
        TW_TRY(tw_fail(r->ctx, TW_ERR_CANCELLED, "training was stopped after step %lld of %lld", (long long)r->done,
                       (long long)r->plan.total));
    report(r, &p, true, 0);
done:
    return status;
}

/* --- handing over ------------------------------------------------------------------------------------------------ */

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
    TW_TRY(set_int(flow, "train_rows", r->tables.train.rows));
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
    flow->normaliser = r->tables.normaliser;
    r->tables.normaliser = (tw_normaliser){0};
    memcpy(flow->constant, r->tables.constant, (size_t)flow->desc.columns * sizeof(int));
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
                                        .validation_draws = r.best_step > 0 ? r.validation_draws : 0,
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
