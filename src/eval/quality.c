/* eval/quality.c - see quality.h. */
#include "eval/quality.h"

#include "base/philox.h"
#include "base/streams.h"
#include "eval/associations.h"
#include "eval/closest.h"
#include "eval/marginals.h"
#include "eval/ranks.h"

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 20000, CLOSEST_ROWS = 2000, CLOSEST_AMONG = 50000, FOLDS = 5, FEW_ROWS = 2000, MOST_REPEATS = 10 };

/* Who draws rows: purposes of TW_STREAM_QUALITY, 0 being folds. */
enum {
    DRAW_HELD = 1,
    DRAW_TRAINING,
    DRAW_SAMPLES,
    DRAW_LEARNT_SAMPLES,
    DRAW_LEARNT_TRAINING,
    DRAW_ASKED,
    DRAW_CLOSEST
};

typedef struct work {
    tw_context *ctx;
    const tw_quality_desc *desc;
    tw_quality *out;
    int done, total;
} work;

static tw_status tell(work *w, const char *what)
{
    if (w->desc->on_progress && w->desc->on_progress(w->desc->user, w->done, w->total, what))
        return tw_fail(w->ctx, TW_ERR_CANCELLED, "stopped");
    w->done++;
    return TW_OK;
}

/* `count` different rows by chance; all, in their order, when there are no more. */
static tw_status draw(const work *w, const tw_records *from, int64_t count, unsigned purpose, int repeat,
                      tw_records *out)
{
    if (count >= from->rows) return tw_records_take(from, from->rows, NULL, out);
    tw_random random = {.seed = w->desc->seed, .stream = TW_STREAM_QUALITY + (purpose << 8)};
    random.index = (uint64_t)repeat << 40;
    int64_t *row = tw_alloc(w->ctx, (size_t)from->rows, sizeof *row);
    if (!row) return tw_fail_memory(w->ctx, (size_t)from->rows * sizeof *row);
    for (int64_t i = 0; i < from->rows; i++) row[i] = i;
    for (int64_t i = 0; i < count; i++) {
        int64_t j = i + tw_random_below(&random, from->rows - i), swap = row[i];
        row[i] = row[j];
        row[j] = swap;
    }
    tw_status status = tw_records_take(from, count, row, out);
    tw_free(w->ctx, row);
    return status;
}

/* --- comparisons of as many rows ------------------------------------------------------------------------------------
 */

static tw_status compare_marginals(work *w, const tw_records *held, const tw_records *samples,
                                   const tw_records *training)
{
    tw_quality *q = w->out;
    tw_status status = TW_OK;
    for (int c = 0; c < q->columns; c++) {
        tw_beside share, w1;
        TW_TRY(tw_marginal_distance(held, samples, c, &share.value, &w1.value));
        TW_TRY(tw_marginal_distance(held, training, c, &share.floor, &w1.floor));
        q->marginal[c].value += share.value / q->repeats;
        q->marginal[c].floor += share.floor / q->repeats;
        q->w1[c].value += w1.value / q->repeats;
        q->w1[c].floor += w1.floor / q->repeats;
    }
done:
    return status;
}

static tw_status compare_associations(work *w, const tw_records *held, const tw_records *samples,
                                      const tw_records *training)
{
    tw_quality *q = w->out;
    size_t size = (size_t)q->columns * (size_t)q->columns;
    double *sum[3] = {q->held, q->samples, q->training};
    const tw_records *of[3] = {held, samples, training};
    tw_records real = {0}, all = {0};
    tw_binning bins = {0};
    int worst[2];
    tw_status status = TW_OK;
    double *matrix = tw_alloc(w->ctx, 3 * size, sizeof *matrix);
    if (!matrix) return tw_fail_memory(w->ctx, 3 * size * sizeof *matrix);
    TW_TRY(tw_records_stack(held, training, &real));
    TW_TRY(tw_records_stack(&real, samples, &all));
    TW_TRY(tw_binning_fit(&all, &bins));
    for (int k = 0; k < 3; k++) {
        TW_TRY(tw_associations(of[k], &bins, matrix + (size_t)k * size));
        for (size_t i = 0; i < size; i++) sum[k][i] += matrix[(size_t)k * size + i] / q->repeats;
    }
    q->association.value += tw_associations_distance(q->columns, matrix, matrix + size, worst) / q->repeats;
    q->association.floor += tw_associations_distance(q->columns, matrix, matrix + 2 * size, worst) / q->repeats;
done:
    tw_records_free(&real);
    tw_records_free(&all);
    tw_binning_free(&bins);
    tw_free(w->ctx, matrix);
    return status;
}

static tw_status compare_detection(work *w, const tw_records *held, const tw_records *samples,
                                   const tw_records *training, uint64_t seed)
{
    tw_quality *q = w->out;
    tw_detection d, f;
    tw_status status = TW_OK;
    TW_TRY(tell(w, "telling synthetic from held-out rows"));
    TW_TRY(tw_detect(held, samples, FOLDS, seed, &d));
    TW_TRY(tell(w, "telling training from held-out rows"));
    TW_TRY(tw_detect(held, training, FOLDS, seed, &f));
    q->detection.value += d.trees / q->repeats, q->detection.floor += f.trees / q->repeats;
    q->detection_sd.value += d.trees_sd / q->repeats, q->detection_sd.floor += f.trees_sd / q->repeats;
    q->logistic.value += d.logistic / q->repeats, q->logistic.floor += f.logistic / q->repeats;
    q->logistic_sd.value += d.logistic_sd / q->repeats, q->logistic_sd.floor += f.logistic_sd / q->repeats;
done:
    return status;
}

static tw_status compare(work *w, int repeat)
{
    const tw_quality_desc *d = w->desc;
    tw_records held = {0}, samples = {0}, training = {0};
    tw_status status = TW_OK;
    TW_TRY(draw(w, d->held, w->out->rows, DRAW_HELD, repeat, &held));
    TW_TRY(draw(w, d->samples, w->out->rows, DRAW_SAMPLES, repeat, &samples));
    TW_TRY(draw(w, d->training, w->out->rows, DRAW_TRAINING, repeat, &training));
    TW_TRY(compare_marginals(w, &held, &samples, &training));
    TW_TRY(compare_associations(w, &held, &samples, &training));
    TW_TRY(compare_detection(w, &held, &samples, &training, d->seed + (uint64_t)repeat));
done:
    tw_records_free(&held);
    tw_records_free(&samples);
    tw_records_free(&training);
    return status;
}

static void find_worst(tw_quality *q)
{
    double columns = q->columns;
    for (int c = 0; c < q->columns; c++) {
        q->marginal_mean.value += q->marginal[c].value / columns;
        q->marginal_mean.floor += q->marginal[c].floor / columns;
        if (q->marginal[c].value > q->marginal[q->worst_column].value) q->worst_column = c;
    }
    (void)tw_associations_distance(q->columns, q->held, q->samples, q->worst_pair);
}

/* --- learning, and the closest rows ----------------------------------------------------------------------------------
 */

/* The mean over repeats, as comparisons are. */
static void add_utility(tw_utility *sum, const tw_utility *one, int repeats)
{
    sum->classes = one->classes;
    sum->area += one->area / repeats;
    sum->accuracy += one->accuracy / repeats;
    sum->r2 += one->r2 / repeats;
}

static tw_status learn(work *w, int64_t most, int repeat)
{
    const tw_quality_desc *d = w->desc;
    tw_quality *q = w->out;
    tw_records samples = {0}, training = {0}, asked = {0};
    tw_utility by_samples, by_training;
    tw_status status = TW_OK;
    q->learnt_rows = tw_min_i64(most, tw_min_i64(d->samples->rows, d->training->rows));
    TW_TRY(draw(w, d->samples, q->learnt_rows, DRAW_LEARNT_SAMPLES, repeat, &samples));
    TW_TRY(draw(w, d->training, q->learnt_rows, DRAW_LEARNT_TRAINING, repeat, &training));
    TW_TRY(draw(w, d->held, most, DRAW_ASKED, 0, &asked));
    TW_TRY(tell(w, "learning from synthetic rows"));
    TW_TRY(tw_learn_from(&samples, &asked, d->target, &by_samples));
    TW_TRY(tell(w, "learning from training rows"));
    TW_TRY(tw_learn_from(&training, &asked, d->target, &by_training));
    add_utility(&q->by_samples, &by_samples, q->repeats);
    add_utility(&q->by_training, &by_training, q->repeats);
done:
    tw_records_free(&samples);
    tw_records_free(&training);
    tw_records_free(&asked);
    return status;
}

static double median_of(int64_t n, const double *sorted)
{
    return 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
}

static double share_of_copies(int64_t n, const double *distance)
{
    int64_t copies = 0;
    for (int64_t i = 0; i < n; i++) copies += distance[i] == 0;
    return (double)copies / (double)n;
}

/* The distances of held-out rows, then of synthetic ones, to training rows. */
static tw_status judge_closest(work *w, int64_t n, int64_t m, double *distance)
{
    tw_quality *q = w->out;
    double closer = (double)NAN;
    bool *is = tw_alloc(w->ctx, (size_t)(n + m), sizeof *is);
    if (!is) return tw_fail_memory(w->ctx, (size_t)(n + m) * sizeof *is);
    for (int64_t i = 0; i < n; i++) is[i] = true;
    /* the area under the curve of a score is just that: how often held-out distances are the larger ones */
    tw_status status = tw_area_under_curve(w->ctx, n + m, distance, is, &closer);
    tw_free(w->ctx, is);
    if (status != TW_OK) return status;
    double *spare = tw_alloc(w->ctx, (size_t)tw_max_i64(n, m), sizeof *spare);
    if (!spare) return tw_fail_memory(w->ctx, (size_t)tw_max_i64(n, m) * sizeof *spare);
    (void)tw_sorted_values(n, distance, spare);
    q->closest.floor = median_of(n, spare);
    (void)tw_sorted_values(m, distance + n, spare);
    q->closest.value = median_of(m, spare);
    q->copies = (tw_beside){share_of_copies(m, distance + n), share_of_copies(n, distance)};
    q->closer = closer;
    tw_free(w->ctx, spare);
    return TW_OK;
}

static tw_status look_for_copies(work *w)
{
    const tw_quality_desc *d = w->desc;
    tw_records held = {0}, samples = {0}, among = {0};
    double *distance = NULL;
    tw_status status = TW_OK;
    TW_TRY(tell(w, "closest training rows"));
    TW_TRY(draw(w, d->held, CLOSEST_ROWS, DRAW_CLOSEST, 0, &held));
    TW_TRY(draw(w, d->samples, CLOSEST_ROWS, DRAW_CLOSEST, 1, &samples));
    TW_TRY(draw(w, d->training, CLOSEST_AMONG, DRAW_CLOSEST, 2, &among));
    distance = tw_alloc(w->ctx, (size_t)(held.rows + samples.rows), sizeof *distance);
    if (!distance) TW_TRY(tw_fail_memory(w->ctx, (size_t)(held.rows + samples.rows) * sizeof *distance));
    TW_TRY(tw_closest_records(&held, &among, distance));
    TW_TRY(tw_closest_records(&samples, &among, distance + held.rows));
    TW_TRY(judge_closest(w, held.rows, samples.rows, distance));
done:
    tw_free(w->ctx, distance);
    tw_records_free(&held);
    tw_records_free(&samples);
    tw_records_free(&among);
    return status;
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static tw_status check(tw_context *ctx, const tw_quality_desc *d)
{
    tw_status status = TW_OK;
    TW_TRY(tw_records_check(ctx, "held-out", d->held));
    TW_TRY(tw_records_check(ctx, "training", d->training));
    TW_TRY(tw_records_check(ctx, "synthetic", d->samples));
    TW_TRY(tw_records_check_alike(ctx, d->held, d->training));
    TW_TRY(tw_records_check_alike(ctx, d->held, d->samples));
    int64_t least = tw_min_i64(d->held->rows, tw_min_i64(d->training->rows, d->samples->rows));
    if (least < FOLDS)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID,
                       "%lld held-out, %lld training and %lld synthetic rows: expected at least %d of each",
                       (long long)d->held->rows, (long long)d->training->rows, (long long)d->samples->rows, FOLDS));
done:
    return status;
}

static tw_status make(tw_context *ctx, int columns, tw_quality *out)
{
    size_t n = (size_t)columns;
    *out = (tw_quality){.columns = columns};
    out->marginal = tw_alloc(ctx, 2 * n, sizeof *out->marginal);
    out->held = tw_alloc(ctx, 3 * n * n, sizeof *out->held);
    if (!out->marginal || !out->held) {
        tw_quality_free(ctx, out);
        return tw_fail_memory(ctx, 3 * n * n * sizeof *out->held);
    }
    out->w1 = out->marginal + n;
    out->samples = out->held + n * n;
    out->training = out->samples + n * n;
    return TW_OK;
}

void tw_quality_free(tw_context *ctx, tw_quality *quality)
{
    tw_free(ctx, quality->marginal);
    tw_free(ctx, quality->held);
    *quality = (tw_quality){0};
}

tw_status tw_quality_measure(tw_context *ctx, const tw_quality_desc *desc, tw_quality *out)
{
    tw_quality q = {0};
    work w = {.ctx = ctx, .desc = desc, .out = &q};
    int64_t most = desc->most_rows > 0 ? desc->most_rows : MOST_ROWS;
    tw_status status = check(ctx, desc);
    if (status != TW_OK) return status;
    TW_TRY(make(ctx, desc->held->columns, &q));
    q.rows = tw_min_i64(tw_min_i64(most, desc->held->rows), tw_min_i64(desc->training->rows, desc->samples->rows));
    q.repeats = (int)tw_max_i64(1, tw_min_i64(FEW_ROWS / q.rows, MOST_REPEATS));
    w.total = q.repeats * (desc->target >= 0 ? 4 : 2) + 1;
    for (int k = 0; k < q.repeats; k++) {
        TW_TRY(compare(&w, k));
        if (desc->target >= 0) TW_TRY(learn(&w, most, k));
    }
    find_worst(&q);
    TW_TRY(look_for_copies(&w));
    *out = q;
done:
    if (status != TW_OK) tw_quality_free(ctx, &q);
    return status;
}
