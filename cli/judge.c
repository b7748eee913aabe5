/* judge.c - see judge.h. */
#include "judge.h"

#include "files.h"
#include "score.h"
#include "signals.h"

#include "base/file.h"
#include "base/order.h"
#include "eval/classifier.h"
#include "flow/checksum.h"
#include "plot/plot.h"

#include <thalweg/eval.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DRAW_TRAINING = 3, NEIGHBOURHOOD = 3, SHOWN = 12, SHOWN_NEIGHBOURS = 5, ASKED_NEAREST = 100 };

typedef struct jury {
    comparison *d;
    judgement *j;
    tw_classifier *classifier;
    int class, told, classes; /* number of the condition that is the class, of conditions, of classes */
    double *training;         /* as many rows as there are pairs */
    int32_t *answers;
    double *features[3]; /* of samples, held-out and training pictures, (pairs, features) each */
} jury;

/* --- the classifier ------------------------------------------------------------------------------------------------
 */

static int on_step(void *user, int64_t done, int64_t total)
{
    cli *c = user;
    char detail[96];
    snprintf(detail, sizeof detail, "step %lld of %lld", (long long)done, (long long)total);
    progress_show(&c->progress, "classifier", (double)done / (double)total, detail, false);
    return signals_caught() != 0;
}

static tw_status train_classifier(jury *y, const char *word)
{
    cli *c = y->d->c;
    tw_classifier_desc desc = {.image = y->d->m->about->image,
                               .classes = y->classes,
                               .condition = y->class,
                               .data = y->d->held->training,
                               .on_progress = on_step,
                               .user = c};
    tw_status status = TW_OK;
    cli_note(c, "training the classifier that judges the pictures, once: it is kept in %s", y->j->file);
    progress_begin(&c->progress);
    signals_watch();
    TW_TRY(tw_classifier_train(c->ctx, &desc, &y->classifier));
    TW_TRY(tw_classifier_save(y->classifier, y->j->file, word));
done:
    signals_release();
    progress_clear(&c->progress);
    return status;
}

/* Takes the training pictures a chunk at a time. */
typedef tw_status (*chunk_fn)(void *user, int64_t first, int64_t rows, const double *pictures);

static tw_status each_chunk(const jury *y, chunk_fn take, void *user)
{
    enum { CHUNK = 1024 };
    tw_context *ctx = y->d->c->ctx;
    const tw_dataset *data = y->d->held->training;
    size_t columns = (size_t)y->d->held->columns;
    int64_t rows = tw_dataset_rows(data, TW_PART_TRAIN);
    tw_status status = TW_OK;
    double *pictures = tw_alloc(ctx, CHUNK * columns, sizeof *pictures);
    if (!pictures) return tw_fail_memory(ctx, CHUNK * columns * sizeof *pictures);
    for (int64_t first = 0; first < rows; first += CHUNK) {
        int64_t count = tw_min_i64(CHUNK, rows - first);
        TW_TRY(tw_dataset_read(data, TW_PART_TRAIN, first, count, pictures));
        TW_TRY(take(user, first, count, pictures));
        if (signals_caught()) TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED, "stopped"));
    }
done:
    tw_free(ctx, pictures);
    return status;
}

typedef struct sum {
    uint64_t value;
    int columns;
} sum;

static tw_status add_chunk(void *user, int64_t first, int64_t rows, const double *pictures)
{
    sum *s = user;
    (void)first;
    s->value = tw_checksum(s->value, pictures, (size_t)(rows * s->columns) * sizeof *pictures);
    return TW_OK;
}

static tw_status open_classifier(jury *y, const char *folder)
{
    cli *c = y->d->c;
    const char *given = opt_text(&c->set, OPT_CLASSIFIER);
    sum seen = {(uint64_t)y->classes, y->d->held->columns};
    tw_status status = each_chunk(y, add_chunk, &seen);
    tw_checksum_text word = tw_checksum_show(seen.value);
    if (status != TW_OK) return status;
    if (given)
        snprintf(y->j->file, sizeof y->j->file, "%s", given);
    else if (!path_join(y->j->file, sizeof y->j->file, folder, "classifier.safetensors"))
        return tw_fail(c->ctx, TW_ERR_IO, "'%s': the path is too long", folder);
    if (file_exists(y->j->file)) {
        status = tw_classifier_load(c->ctx, y->j->file, y->d->m->about->image, y->classes, word.text, &y->classifier);
        if (status == TW_OK || given) return status;
    }
    return train_classifier(y, word.text);
}

/* --- what it says --------------------------------------------------------------------------------------------------
 */

/* The share of rows that are taken for what the conditions (rows, told), repeated, say. */
static tw_status share_right(jury *y, int64_t rows, const double *pictures, int64_t conditions_rows,
                             const double *conditions, double *features, double *out)
{
    int64_t right = 0, known = 0;
    tw_status status = tw_classifier_run(y->classifier, rows, pictures, y->answers, features);
    for (int64_t i = 0; i < rows; i++) {
        double wanted = conditions[i % conditions_rows * y->told + y->class];
        if (isnan(wanted)) continue;
        known++;
        right += y->answers[i] == (int32_t)wanted;
    }
    *out = known > 0 ? (double)right / (double)known : (double)NAN;
    return status;
}

static tw_status compare_features(jury *y)
{
    tw_context *ctx = y->d->c->ctx;
    judgement *j = y->j;
    int64_t n = j->pairs;
    enum { F = TW_CLASSIFIER_FEATURES };
    tw_status status = TW_OK;
    TW_TRY(tw_frechet_distance(ctx, F, n, y->features[0], n, y->features[1], &j->frechet.value));
    TW_TRY(tw_frechet_distance(ctx, F, n, y->features[2], n, y->features[1], &j->frechet.floor));
    if (n <= NEIGHBOURHOOD) return TW_OK;
    TW_TRY(tw_precision_recall(ctx, F, n, y->features[0], n, y->features[1], NEIGHBOURHOOD, &j->precision.value,
                               &j->recall.value));
    TW_TRY(tw_precision_recall(ctx, F, n, y->features[2], n, y->features[1], NEIGHBOURHOOD, &j->precision.floor,
                               &j->recall.floor));
done:
    return status;
}

static tw_status judge(jury *y, const char *folder)
{
    cli *c = y->d->c;
    const held_out *h = y->d->held;
    int64_t n = y->j->pairs, rows = tw_max_i64(h->rows, y->d->samples_count);
    double *held = NULL, ignored;
    tw_status status = TW_OK;
    TW_TRY(open_classifier(y, folder));
    y->answers = tw_alloc(c->ctx, (size_t)rows, sizeof *y->answers);
    held = random_rows(c, 1, h->columns, h->rows, h->values, n);
    for (int k = 0; k < 3; k++)
        y->features[k] = tw_alloc(c->ctx, (size_t)n, TW_CLASSIFIER_FEATURES * sizeof *y->features[k]);
    if (!y->answers || !held || !y->features[0] || !y->features[1] || !y->features[2])
        TW_TRY(tw_fail_memory(c->ctx, (size_t)n * TW_CLASSIFIER_FEATURES * sizeof(double)));
    TW_TRY(share_right(y, h->rows, h->values, h->rows, h->conditions, NULL, &y->j->accuracy));
    y->j->right.floor = y->j->accuracy;
    TW_TRY(share_right(y, n, y->d->samples, h->rows, h->conditions, y->features[0], &y->j->right.value));
    TW_TRY(share_right(y, n, held, h->rows, h->conditions, y->features[1], &ignored));
    TW_TRY(share_right(y, n, y->training, h->rows, h->conditions, y->features[2], &ignored));
    y->j->judged = true;
    TW_TRY(compare_features(y));
done:
    tw_free(c->ctx, held);
    return status;
}

/* --- neighbours ----------------------------------------------------------------------------------------------------
 */

typedef struct search {
    const jury *y;
    int64_t rows;
    const double *pictures;
    int k;
    int64_t *index; /* (rows, k), -1: none yet */
    double *far;    /* (rows, k) */
    int64_t *found; /* (rows, k) of a chunk, and how far */
    double *found_far;
} search;

/* Merges what is nearest in a chunk of training pictures into what was nearest before. */
static tw_status search_chunk(void *user, int64_t first, int64_t rows, const double *training)
{
    search *s = user;
    int k = (int)tw_min_i64(s->k, rows);
    tw_status status = tw_nearest_rows(s->y->d->c->ctx, s->y->d->held->columns, s->rows, s->pictures, rows, training, k,
                                       s->found, s->found_far);
    for (int64_t i = 0; status == TW_OK && i < s->rows; i++)
        for (int f = 0; f < k; f++) {
            int at = s->k - 1;
            double far = s->found_far[i * k + f], *all = s->far + i * s->k;
            int64_t *index = s->index + i * s->k;
            if (!(far < all[at])) break;
            for (; at > 0 && far < all[at - 1]; at--) all[at] = all[at - 1], index[at] = index[at - 1];
            all[at] = far, index[at] = first + s->found[i * k + f];
        }
    return status;
}

/* The k training pictures nearest to each row, index (rows, k); the median of the nearest one's distance, root mean
 * square of the pixels. */
static tw_status nearest_of(const jury *y, int64_t rows, const double *pictures, int k, int64_t *index, double *out)
{
    tw_context *ctx = y->d->c->ctx;
    size_t count = (size_t)rows * (size_t)k;
    tw_status status = TW_OK;
    double *far = tw_alloc(ctx, 2 * count, sizeof *far);
    int64_t *found = tw_alloc(ctx, count, sizeof *found);
    if (!far || !found) TW_TRY(tw_fail_memory(ctx, 2 * count * sizeof *far));
    for (size_t i = 0; i < count; i++) far[i] = (double)INFINITY, index[i] = -1;
    search s = {y, rows, pictures, k, index, far, found, far + count};
    TW_TRY(each_chunk(y, search_chunk, &s));
    for (int64_t i = 0; i < rows; i++) far[i] = far[i * k];
    qsort(far, (size_t)rows, sizeof *far, tw_by_value);
    *out = far[rows / 2] / sqrt(y->d->held->columns);
done:
    tw_free(ctx, far);
    tw_free(ctx, found);
    return status;
}

/* A few samples, each beside the training pictures nearest to it. */
static tw_status draw_neighbours(const jury *y, int64_t shown, const int64_t *index)
{
    enum { K = SHOWN_NEIGHBOURS };
    tw_context *ctx = y->d->c->ctx;
    const tw_flow_desc *about = y->d->m->about;
    const double *conditions = y->d->held->conditions;
    const char *lines[SHOWN];
    bool words = y->class >= 0 && conditions;
    tw_status status = TW_OK;
    double *near = tw_alloc(ctx, (size_t)(shown * K), (size_t)about->columns * sizeof *near);
    if (!near) return tw_fail_memory(ctx, (size_t)(shown * K * about->columns) * sizeof *near);
    for (int64_t i = 0; i < shown * K; i++)
        TW_TRY(tw_dataset_read(y->d->held->training, TW_PART_TRAIN, index[i], 1, near + i * about->columns));
    for (int64_t i = 0; i < shown && words; i++) {
        double class = conditions[i % y->d->held->rows * y->told + y->class];
        lines[i] = isnan(class) ? NULL : about->conditions[y->class].level[(int)class];
    }
    tw_tiles groups[2] = {{.title = "sample",
                           .image = about->image,
                           .across = 1,
                           .down = shown,
                           .count = shown,
                           .values = y->d->samples,
                           .lines = words ? lines : NULL},
                          {.title = "the nearest training pictures",
                           .image = about->image,
                           .across = K,
                           .down = shown,
                           .count = shown * K,
                           .values = near}};
    TW_TRY(tw_plot_tiles(ctx, y->j->neighbours, 2, groups));
done:
    tw_free(ctx, near);
    return status;
}

static tw_status find_neighbours(jury *y, const char *folder)
{
    enum { K = SHOWN_NEIGHBOURS };
    cli *c = y->d->c;
    const held_out *h = y->d->held;
    int64_t samples = tw_min_i64(y->d->samples_count, ASKED_NEAREST), held = tw_min_i64(h->rows, ASKED_NEAREST);
    int64_t *index = tw_alloc(c->ctx, ASKED_NEAREST * K, sizeof *index);
    tw_status status = TW_OK;
    if (!index) return tw_fail_memory(c->ctx, ASKED_NEAREST * K * sizeof *index);
    if (tw_dataset_rows(h->training, TW_PART_TRAIN) < K) goto done;
    TW_TRY(nearest_of(y, held, h->values, 1, index, &y->j->nearest.floor));
    TW_TRY(nearest_of(y, samples, y->d->samples, K, index, &y->j->nearest.value));
    if (!path_join(y->j->neighbours, sizeof y->j->neighbours, folder, "neighbours.png"))
        TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "'%s': the path is too long", folder));
    TW_TRY(draw_neighbours(y, tw_min_i64(samples, SHOWN), index));
done:
    tw_free(c->ctx, index);
    return status;
}

/* --- all ------------------------------------------------------------------------------------------------------------
 */

tw_status judge_pictures(comparison *d, const char *folder, judgement *out)
{
    const double none = (double)NAN;
    const judged_pair unknown = {none, none};
    const tw_dataset *training = d->held->training;
    cli *c = d->c;
    jury y = {.d = d, .j = out, .class = class_condition(d->m->about), .told = d->m->about->conditions_count};
    tw_status status = TW_OK;
    *out = (judgement){.accuracy = none,
                       .right = unknown,
                       .frechet = unknown,
                       .precision = unknown,
                       .recall = unknown,
                       .nearest = unknown,
                       .pairs = d->pairs};
    if (!training || tw_dataset_rows(training, TW_PART_TRAIN) < d->pairs) return TW_OK;
    y.training = random_rows_of(c, DRAW_TRAINING, training, TW_PART_TRAIN, d->pairs);
    if (!y.training) TW_TRY(tw_fail_memory(c->ctx, (size_t)d->pairs * (size_t)d->held->columns * sizeof(double)));
    if (y.class >= 0 && d->held->conditions) {
        y.classes = d->m->about->conditions[y.class].classes;
        TW_TRY(judge(&y, folder));
    } else {
        cli_note(c, "no classifier judges these pictures: the model is told no class (train --condition)");
    }
    TW_TRY(find_neighbours(&y, folder));
done:
    tw_classifier_destroy(y.classifier);
    tw_free(c->ctx, y.training);
    tw_free(c->ctx, y.answers);
    for (int k = 0; k < 3; k++) tw_free(c->ctx, y.features[k]);
    return status;
}

/* --- written down ---------------------------------------------------------------------------------------------------
 */

void judged_pair_head(tw_text *out)
{
    tw_text_add(out, "  %-22s %-22s %-22s %s\n", "", "samples to held-out", "training to held-out", "ratio");
}

void judged_pair_text(tw_text *out, const char *name, judged_pair p, bool ratio)
{
    char floor_text[32];
    snprintf(floor_text, sizeof floor_text, isfinite(p.floor) ? "%.4f" : "not known", p.floor);
    tw_text_add(out, "  %-22s %-22.4f %-22s", name, p.value, floor_text);
    if (ratio && p.floor > 0) tw_text_add(out, " %.2f", p.value / p.floor);
    tw_text_add(out, "\n");
}

void judgement_text(const judgement *j, tw_text *out)
{
    if (j->judged) {
        tw_text_add(
            out,
            "\nJudged by a classifier of the training pictures, %.2f %% right on held-out ones (%lld on each side)\n",
            100 * j->accuracy, (long long)j->pairs);
        judged_pair_head(out);
        judged_pair_text(out, "feature-Frechet", j->frechet, true);
        judged_pair_text(out, "precision", j->precision, false);
        judged_pair_text(out, "recall", j->recall, false);
        tw_text_add(out, "  of the class asked for %.2f %% of samples, %.2f %% of held-out pictures\n",
                    100 * j->right.value, 100 * j->right.floor);
    }
    if (isfinite(j->nearest.value))
        tw_text_add(out,
                    "\nNearest training picture: %.2f a pixel from a sample, %.2f from a held-out picture (medians)\n",
                    j->nearest.value, j->nearest.floor);
}

void judged_pair_json(cJSON *object, const char *name, judged_pair p)
{
    char key[64];
    snprintf(key, sizeof key, "%s_floor", name);
    json_number(object, name, p.value);
    json_number(object, key, p.floor);
}

void judgement_json(const judgement *j, cJSON *object)
{
    json_number(object, "classifier_accuracy", j->accuracy);
    judged_pair_json(object, "class_accuracy", j->right);
    judged_pair_json(object, "feature_frechet", j->frechet);
    judged_pair_json(object, "precision", j->precision);
    judged_pair_json(object, "recall", j->recall);
    judged_pair_json(object, "nearest_training", j->nearest);
    json_text(object, "classifier", j->judged ? j->file : NULL);
    json_text(object, "neighbours", j->neighbours[0] ? j->neighbours : NULL);
}
