/* eval/detection.c - see detection.h. Real and synthetic rows are told apart as in Lopez-Paz, Oquab, Revisiting
 * classifier two-sample tests, ICLR 2017; learning from synthetic rows and testing on real ones as in Esteban, Hyland,
 * Raetsch, 2017. */
#include "eval/detection.h"

#include "base/philox.h"
#include "base/streams.h"
#include "eval/logistic.h"
#include "eval/ranks.h"

#include <math.h>
#include <string.h>

enum { MOST_FOLDS = 64 };

/* --- telling apart -------------------------------------------------------------------------------------------------
 */

typedef struct folds {
    tw_context *ctx;
    tw_records both;
    tw_binning bins;
    uint8_t *codes;
    bool *is;            /* (rows) of a */
    double *target;      /* (rows) the same */
    int *fold;           /* (rows) */
    int64_t *row, *kept; /* (rows) those of the fold, those of the others */
    bool *is_kept;
    double *score;
} folds;

/* Rows first .. first + count - 1 shared out among the folds by chance. */
static void share_out(folds *f, int64_t first, int64_t count, int number, tw_random *random)
{
    for (int64_t i = 0; i < count; i++) f->fold[first + i] = (int)(i % number);
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = tw_random_below(random, i + 1);
        int swap = f->fold[first + i];
        f->fold[first + i] = f->fold[first + j];
        f->fold[first + j] = swap;
    }
}

static tw_status open_folds(const tw_records *a, const tw_records *b, int number, uint64_t seed, folds *f)
{
    tw_random random = {.seed = seed, .stream = TW_STREAM_QUALITY};
    tw_context *ctx = f->ctx;
    tw_status status = TW_OK;
    TW_TRY(tw_records_stack(a, b, &f->both));
    TW_TRY(tw_binning_fit(&f->both, &f->bins));
    TW_TRY(tw_binning_codes(&f->bins, &f->both, &f->codes));
    size_t rows = (size_t)f->both.rows;
    f->is = tw_alloc(ctx, rows, sizeof *f->is);
    f->target = tw_alloc(ctx, rows, sizeof *f->target);
    f->fold = tw_alloc(ctx, rows, sizeof *f->fold);
    f->row = tw_alloc(ctx, rows, sizeof *f->row);
    f->kept = tw_alloc(ctx, rows, sizeof *f->kept);
    f->is_kept = tw_alloc(ctx, rows, sizeof *f->is_kept);
    f->score = tw_alloc(ctx, rows, sizeof *f->score);
    if (!f->is || !f->target || !f->fold || !f->row || !f->kept || !f->is_kept || !f->score)
        TW_TRY(tw_fail_memory(ctx, rows * sizeof *f->row));
    for (int64_t i = 0; i < a->rows; i++) f->is[i] = true, f->target[i] = 1;
    share_out(f, 0, a->rows, number, &random);
    share_out(f, a->rows, b->rows, number, &random);
done:
    return status;
}

static void close_folds(folds *f)
{
    tw_records_free(&f->both);
    tw_binning_free(&f->bins);
    tw_free(f->ctx, f->codes);
    tw_free(f->ctx, f->is);
    tw_free(f->ctx, f->target);
    tw_free(f->ctx, f->fold);
    tw_free(f->ctx, f->row);
    tw_free(f->ctx, f->kept);
    tw_free(f->ctx, f->is_kept);
    tw_free(f->ctx, f->score);
}

/* Learns from all folds but one, which is then told apart. */
static tw_status one_fold(folds *f, int number, double *out_trees, double *out_logistic)
{
    const tw_boost_desc desc = {.classes = 2};
    int64_t rows = f->both.rows, asked = 0, kept = 0;
    tw_boost *boost = NULL;
    tw_status status = TW_OK;
    for (int64_t i = 0; i < rows; i++) {
        if (f->fold[i] == number)
            f->is_kept[asked] = f->is[i], f->row[asked++] = i;
        else
            f->kept[kept++] = i;
    }
    TW_TRY(tw_boost_train(f->ctx, &desc, &f->bins, rows, f->codes, kept, f->kept, f->target, &boost));
    tw_boost_predict(boost, rows, f->codes, asked, f->row, f->score);
    TW_TRY(tw_area_under_curve(f->ctx, asked, f->score, f->is_kept, out_trees));
    TW_TRY(tw_logistic(&f->both, f->codes, f->is, kept, f->kept, asked, f->row, f->score));
    TW_TRY(tw_area_under_curve(f->ctx, asked, f->score, f->is_kept, out_logistic));
done:
    tw_boost_destroy(boost);
    return status;
}

static void mean_and_spread(int n, const double *x, double *out_mean, double *out_sd)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    *out_mean = mean;
    *out_sd = sqrt(squares / (n - 1));
}

tw_status tw_detect(const tw_records *a, const tw_records *b, int number, uint64_t seed, tw_detection *out)
{
    double trees[MOST_FOLDS], logistic[MOST_FOLDS];
    folds f = {.ctx = a->ctx};
    tw_status status = TW_OK;
    TW_TRY(tw_records_check_alike(f.ctx, a, b));
    if (number < 2 || number > MOST_FOLDS || a->rows < number || b->rows < number)
        return tw_fail(
            f.ctx, TW_ERR_INVALID,
            "a classifier that tells %lld from %lld rows in %d folds: expected 2 to %d folds and a row in each",
            (long long)a->rows, (long long)b->rows, number, MOST_FOLDS);
    TW_TRY(open_folds(a, b, number, seed, &f));
    for (int k = 0; k < number; k++) TW_TRY(one_fold(&f, k, &trees[k], &logistic[k]));
    mean_and_spread(number, trees, &out->trees, &out->trees_sd);
    mean_and_spread(number, logistic, &out->logistic, &out->logistic_sd);
done:
    close_folds(&f);
    return status;
}
