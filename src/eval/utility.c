/* eval/utility.c - what can be learnt from records: see detection.h. */
#include "eval/detection.h"

#include "eval/ranks.h"

#include <math.h>

/* Rows that have the target; NULL: no memory. */
static int64_t *rows_with(const tw_records *records, int target, int64_t *out_count)
{
    int64_t *row = tw_alloc(records->ctx, (size_t)records->rows, sizeof *row);
    *out_count = 0;
    for (int64_t i = 0; row && i < records->rows; i++)
        if (!isnan(records->column[target].value[i])) row[(*out_count)++] = i;
    return row;
}

typedef struct asked {
    tw_context *ctx;
    const double *target;
    int64_t count;
    const int64_t *row;
    int outputs;
    const double *answer; /* (count, outputs) */
} asked;

static double r2_of(const asked *q)
{
    double mean = 0, error = 0, variance = 0, n = (double)q->count;
    for (int64_t i = 0; i < q->count; i++) mean += q->target[q->row[i]] / n;
    for (int64_t i = 0; i < q->count; i++) {
        double y = q->target[q->row[i]];
        error += (y - q->answer[i]) * (y - q->answer[i]);
        variance += (y - mean) * (y - mean);
    }
    return variance > 0 ? 1 - error / variance : (double)NAN;
}

static int answer_of(const asked *q, int64_t i)
{
    int best = 0;
    if (q->outputs == 1) return q->answer[i] > 0.5;
    for (int k = 1; k < q->outputs; k++)
        if (q->answer[i * q->outputs + k] > q->answer[i * q->outputs + best]) best = k;
    return best;
}

static tw_status judge_classes(const asked *q, tw_utility *out)
{
    double sum = 0, area, right = 0;
    int seen = 0, first = q->outputs == 1 ? 1 : 0, end = q->outputs == 1 ? 2 : q->outputs; /* of two one says all */
    tw_status status = TW_OK;
    double *score = tw_alloc(q->ctx, (size_t)q->count, sizeof *score);
    bool *is = tw_alloc(q->ctx, (size_t)q->count, sizeof *is);
    if (!score || !is) TW_TRY(tw_fail_memory(q->ctx, (size_t)q->count * sizeof *score));
    for (int k = first; k < end; k++) {
        for (int64_t i = 0; i < q->count; i++) {
            score[i] = q->answer[i * q->outputs + (q->outputs == 1 ? 0 : k)];
            is[i] = (int)q->target[q->row[i]] == k;
        }
        TW_TRY(tw_area_under_curve(q->ctx, q->count, score, is, &area));
        if (!isnan(area)) sum += area, seen++;
    }
    for (int64_t i = 0; i < q->count; i++) right += answer_of(q, i) == (int)q->target[q->row[i]];
    out->area = seen > 0 ? sum / seen : (double)NAN;
    out->accuracy = right / (double)q->count;
done:
    tw_free(q->ctx, score);
    tw_free(q->ctx, is);
    return status;
}

static tw_status check(tw_context *ctx, const tw_records *train, const tw_records *test, int target)
{
    tw_status status = tw_records_check_alike(ctx, train, test);
    if (status != TW_OK) return status;
    if (target < 0 || target >= train->columns || train->columns < 2)
        return tw_fail(ctx, TW_ERR_INVALID, "column %d of %d as what is predicted: expected one of several", target + 1,
                       train->columns);
    int levels = train->column[target].levels;
    if (levels == 1 || levels > TW_UTILITY_CLASSES)
        return tw_fail(ctx, TW_ERR_INVALID, "'%s' has %d categories, and what is predicted has 2 to %d or is a number",
                       train->column[target].name, levels, TW_UTILITY_CLASSES);
    return TW_OK;
}

tw_status tw_learn_from(const tw_records *train, const tw_records *test, int target, tw_utility *out)
{
    tw_context *ctx = train->ctx;
    tw_records given = {0}, questions = {0};
    tw_binning bins = {0};
    uint8_t *codes = NULL, *asked_codes = NULL;
    int64_t *row = NULL, *asked_row = NULL, count = 0, asked_count = 0;
    double *answer = NULL;
    tw_boost *boost = NULL;
    tw_status status = check(ctx, train, test, target);
    if (status != TW_OK) return status;
    tw_boost_desc desc = {.classes = train->column[target].levels};
    tw_utility result = {desc.classes, (double)NAN, (double)NAN, (double)NAN};
    row = rows_with(train, target, &count);
    asked_row = rows_with(test, target, &asked_count);
    if (!row || !asked_row) TW_TRY(tw_fail_memory(ctx, (size_t)(train->rows + test->rows) * sizeof *row));
    if (count == 0 || asked_count == 0)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "'%s' is missing in every row of one of the tables",
                       train->column[target].name));
    TW_TRY(tw_records_without(train, target, &given));
    TW_TRY(tw_records_without(test, target, &questions));
    TW_TRY(tw_binning_fit(&given, &bins));
    TW_TRY(tw_binning_codes(&bins, &given, &codes));
    TW_TRY(tw_binning_codes(&bins, &questions, &asked_codes));
    TW_TRY(tw_boost_train(ctx, &desc, &bins, train->rows, codes, count, row, train->column[target].value, &boost));
    int outputs = tw_boost_outputs(boost);
    answer = tw_alloc(ctx, (size_t)asked_count, (size_t)outputs * sizeof *answer);
    if (!answer) TW_TRY(tw_fail_memory(ctx, (size_t)asked_count * (size_t)outputs * sizeof *answer));
    tw_boost_predict(boost, test->rows, asked_codes, asked_count, asked_row, answer);
    const asked q = {ctx, test->column[target].value, asked_count, asked_row, outputs, answer};
    if (desc.classes)
        TW_TRY(judge_classes(&q, &result));
    else
        result.r2 = r2_of(&q);
    *out = result;
done:
    tw_boost_destroy(boost);
    tw_records_free(&given);
    tw_records_free(&questions);
    tw_binning_free(&bins);
    tw_free(ctx, codes);
    tw_free(ctx, asked_codes);
    tw_free(ctx, row);
    tw_free(ctx, asked_row);
    tw_free(ctx, answer);
    return status;
}
