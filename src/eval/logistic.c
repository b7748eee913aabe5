/* eval/logistic.c - see logistic.h. A row touches one weight a column: numbers their slope or the weight of a missing
 * one, categories that of their code, so no row is ever written out as zeros and ones. */
#include "eval/logistic.h"

#include "solve/lbfgs.h"

#include <math.h>
#include <string.h>

enum { ITERATIONS = 200 };
static const double tolerance = 1e-6; /* of the mean slope; areas under curves then keep four digits */

typedef struct fit {
    const tw_records *records;
    const uint8_t *codes;
    const bool *is;
    int64_t count;
    const int64_t *row;
    double *mean, *scale; /* (columns) */
} fit;

/* Which weight column c of a row has, and by what it counts; the intercept stands behind all. */
static int64_t weight_of(const fit *f, int c, int64_t row, double *out_factor)
{
    double v = f->records->column[c].value[row];
    bool number = !f->records->column[c].levels, there = !isnan(v);
    *out_factor = number && there ? (v - f->mean[c]) * f->scale[c] : 1;
    return (int64_t)c * TW_BINS + (!number ? f->codes[c * f->records->rows + row] : there ? 0 : TW_BIN_MISSING);
}

static double score_of(const fit *f, const double *weight, int64_t row)
{
    double sum = weight[f->records->columns * TW_BINS], factor;
    for (int c = 0; c < f->records->columns; c++) {
        int64_t at = weight_of(f, c, row, &factor);
        sum += factor * weight[at];
    }
    return sum;
}

/* Mean negative log-likelihood with the penalty. */
static tw_status objective(void *user, const double *weight, double *out_value, double *out_gradient)
{
    const fit *f = user;
    int64_t weights = (int64_t)f->records->columns * TW_BINS;
    double n = (double)f->count, value = 0, factor;
    for (int64_t k = 0; k < weights; k++) {
        value += 0.5 * weight[k] * weight[k];
        out_gradient[k] = weight[k] / n;
    }
    out_gradient[weights] = 0;
    for (int64_t i = 0; i < f->count; i++) {
        int64_t row = f->row[i];
        double s = score_of(f, weight, row), toward = f->is[row] ? -s : s, e = exp(-fabs(s));
        value += fmax(toward, 0) + log1p(e);
        double p = s >= 0 ? 1 / (1 + e) : e / (1 + e), slope = (p - f->is[row]) / n;
        for (int c = 0; c < f->records->columns; c++) {
            int64_t at = weight_of(f, c, row, &factor);
            out_gradient[at] += slope * factor;
        }
        out_gradient[weights] += slope;
    }
    *out_value = value / n;
    return TW_OK;
}

static void standardise(const fit *f, int c)
{
    const double *value = f->records->column[c].value;
    double n = 0, mean = 0, squares = 0;
    for (int64_t i = 0; i < f->records->rows; i++)
        if (!isnan(value[i])) n++, mean += value[i];
    mean /= fmax(n, 1);
    for (int64_t i = 0; i < f->records->rows; i++)
        if (!isnan(value[i])) squares += (value[i] - mean) * (value[i] - mean);
    f->mean[c] = mean;
    f->scale[c] = squares > 0 ? 1 / sqrt(squares / n) : 0;
}

tw_status tw_logistic(const tw_records *records, const uint8_t *codes, const bool *is, int64_t count,
                      const int64_t *row, int64_t asked_count, const int64_t *asked, double *out)
{
    tw_context *ctx = records->ctx;
    size_t columns = (size_t)records->columns, weights = columns * TW_BINS + 1;
    tw_status status = TW_OK;
    fit f = {.records = records, .codes = codes, .is = is, .count = count, .row = row};
    tw_lbfgs_result result;
    double *weight = tw_alloc(ctx, weights + 2 * columns, sizeof *weight);
    if (!weight) return tw_fail_memory(ctx, (weights + 2 * columns) * sizeof *weight);
    f.mean = weight + weights;
    f.scale = f.mean + columns;
    for (int c = 0; c < records->columns; c++)
        if (!records->column[c].levels) standardise(&f, c);
    tw_lbfgs_desc desc = {.size = (int64_t)weights, .iterations = ITERATIONS, .tolerance = tolerance};
    TW_TRY(tw_lbfgs(ctx, &desc, objective, &f, weight, &result));
    for (int64_t i = 0; i < asked_count; i++) out[i] = 1 / (1 + exp(-score_of(&f, weight, asked[i])));
done:
    tw_free(ctx, weight);
    return status;
}
