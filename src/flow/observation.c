/* flow/observation.c - see observation.h. */
#include "flow/observation.h"

#include "cpu/eigen.h"
#include "flow/flow.h"

#include <math.h>
#include <string.h>

enum { MOST_MEASURES = 1024 };

/* The columns themselves: y in normalised units, and noise likewise. Columns that never change say nothing. */
static tw_status observe_columns(tw_flow *flow, int64_t rows, const tw_inverse_desc *desc, tw_observation *o)
{
    const tw_normaliser *z = &flow->normaliser;
    for (int j = 0; j < o->width; j++) o->variance[j] = desc->noise * desc->noise / (z->scale[j] * z->scale[j]);
    for (int64_t i = 0; i < rows * o->width; i++) {
        int64_t j = i % o->width;
        if (isinf(desc->observed[i]))
            return tw_fail(flow->ctx, TW_ERR_INVALID, "row %lld: column '%s' was observed as %g: expected a number",
                           (long long)(i / o->width) + 1, flow->desc.names[j], desc->observed[i]);
        o->y[i] = flow->constant[j] ? (double)NAN : (desc->observed[i] - z->shift[j]) / z->scale[j];
    }
    return TW_OK;
}

/* Sums over eight lanes, added in one order. */
static double dot(int64_t n, const double *a, const double *b)
{
    double lane[8] = {0}, sum = 0;
    int64_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[j + k] * b[j + k];
    for (; j < n; j++) sum += a[j] * b[j];
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}

/* scaled = A diag(scale), and what the columns' shifts measure. */
static void scale_matrix(const tw_flow *flow, int measures, const double *matrix, double *scaled, double *offset)
{
    int columns = flow->desc.columns;
    for (int k = 0; k < measures; k++) {
        offset[k] = 0;
        for (int j = 0; j < columns; j++) {
            double a = matrix[(int64_t)k * columns + j];
            scaled[(int64_t)k * columns + j] = flow->constant[j] ? 0 : a * flow->normaliser.scale[j];
            offset[k] += a * flow->normaliser.shift[j];
        }
    }
}

/* Rows that are orthogonal but for rounding, as block averages are; length2 becomes the squares of their lengths. */
static bool is_orthogonal(int measures, int64_t columns, const double *a, double *length2)
{
    double most = 0;
    for (int k = 0; k < measures; k++)
        most = fmax(most, length2[k] = dot(columns, a + k * columns, a + k * columns));
    for (int k = 0; k < measures; k++)
        for (int l = 0; l < k; l++) {
            double both = sqrt(length2[k] * length2[l]);
            if (both > 1e-12 * most && fabs(dot(columns, a + k * columns, a + l * columns)) > 1e-7 * both) return false;
        }
    return true;
}

/* out (rows, columns) = U' a (rows of U', columns), for `rows` = all of U's columns. */
static void turn(int measures, int64_t columns, const double *vectors, const double *a, double *out)
{
    memset(out, 0, (size_t)measures * (size_t)columns * sizeof(double));
    for (int k = 0; k < measures; k++)
        for (int l = 0; l < measures; l++)
            for (int64_t j = 0; j < columns; j++)
                out[k * columns + j] += vectors[l * measures + k] * a[l * columns + j];
}

/* o->row, of orthogonal measures, with their lengths, from the rows of A as they are scaled; vectors (measures,
 * measures) turn what was observed likewise, NULL: it is right as it is. */
static tw_status make_orthogonal(tw_context *ctx, int m, double **scaled, tw_observation *o, double **vectors)
{
    if (is_orthogonal(m, o->columns, *scaled, o->length2)) {
        double *row = o->row;
        o->row = *scaled;
        *scaled = row;
        return TW_OK;
    }
    if (m > MOST_MEASURES)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "%d measures that are not orthogonal: at most %d can be made so in reasonable time", m,
                       MOST_MEASURES);
    size_t square = (size_t)m * (size_t)m;
    double *gram = tw_alloc(ctx, square * 2, sizeof *gram);
    if (!gram) return tw_fail_memory(ctx, square * 2 * sizeof *gram);
    for (int k = 0; k < m; k++)
        for (int l = 0; l <= k; l++)
            gram[k * m + l] = gram[l * m + k] =
                dot(o->columns, *scaled + (int64_t)k * o->columns, *scaled + (int64_t)l * o->columns);
    tw_eigen_symmetric(m, gram, o->length2, gram + square);
    turn(m, o->columns, gram + square, *scaled, o->row);
    memcpy(gram, gram + square, square * sizeof *gram);
    *vectors = gram;
    return TW_OK;
}

static tw_status observe_matrix(tw_flow *flow, int64_t rows, const tw_inverse_desc *desc, tw_observation *o)
{
    tw_context *ctx = flow->ctx;
    int m = desc->measures;
    tw_status status = TW_OK;
    double *vectors = NULL, *scaled = tw_alloc(ctx, (size_t)m * (size_t)o->columns, sizeof(double));
    double *offset = tw_alloc(ctx, (size_t)m, sizeof(double)), *off = tw_alloc(ctx, (size_t)m, sizeof(double)), most = 0;
    if (!scaled || !offset || !off) TW_TRY(tw_fail_memory(ctx, (size_t)m * (size_t)o->columns * sizeof(double)));
    for (int64_t i = 0; i < (int64_t)m * o->columns; i++)
        if (!isfinite(desc->matrix[i]))
            TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "a matrix of measures has an entry that is not finite"));
    scale_matrix(flow, m, desc->matrix, scaled, offset);
    TW_TRY(make_orthogonal(ctx, m, &scaled, o, &vectors));
    for (int64_t i = 0; i < rows; i++) {
        for (int k = 0; k < m; k++) {
            off[k] = desc->observed[i * m + k] - offset[k];
            if (!isfinite(off[k]))
                TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "row %lld: measure %d is %g: expected a finite number",
                               (long long)i + 1, k + 1, desc->observed[i * m + k]));
        }
        if (vectors)
            turn(m, 1, vectors, off, o->y + i * m);
        else
            memcpy(o->y + i * m, off, (size_t)m * sizeof *off);
    }
    for (int k = 0; k < m; k++) most = fmax(most, o->length2[k]);
    for (int k = 0; k < m; k++) {
        o->variance[k] = desc->noise * desc->noise;
        if (o->length2[k] <= 1e-12 * most) o->length2[k] = 0; /* measures that follow from others, but for rounding */
    }
done:
    tw_free(ctx, vectors);
    tw_free(ctx, scaled);
    tw_free(ctx, offset);
    tw_free(ctx, off);
    return status;
}

tw_status tw_observation_make(tw_flow *flow, int64_t n, const tw_inverse_desc *desc, tw_observation *out)
{
    tw_context *ctx = flow->ctx;
    bool matrix = desc->measures > 0;
    tw_observation o = {.columns = flow->desc.columns, .same = desc->same_observed};
    tw_status status = TW_OK;
    if (!desc->observed || matrix != (desc->matrix != NULL) || desc->measures < 0)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID,
                       "an inverse problem needs what was observed, by its columns or by a matrix of 1 or more measures"));
    if (!(desc->noise >= 0 && isfinite(desc->noise)))
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "noise of deviation %g: expected 0 or more", desc->noise));
    int64_t rows = o.same ? 1 : n;
    o.width = matrix ? desc->measures : o.columns;
    size_t width = (size_t)o.width;
    o.y = tw_alloc(ctx, (size_t)tw_max_i64(rows, 1) * width, sizeof(double));
    o.variance = tw_alloc(ctx, width, sizeof(double));
    if (matrix) o.row = tw_alloc(ctx, width * (size_t)o.columns, sizeof(double));
    if (matrix) o.length2 = tw_alloc(ctx, width, sizeof(double));
    if (!o.y || !o.variance || (matrix && (!o.row || !o.length2)))
        TW_TRY(tw_fail_memory(ctx, (size_t)rows * width * sizeof(double)));
    TW_TRY(matrix ? observe_matrix(flow, rows, desc, &o) : observe_columns(flow, rows, desc, &o));
    *out = o;
    o = (tw_observation){0};
done:
    tw_observation_free(ctx, &o);
    return status;
}

void tw_observation_free(tw_context *ctx, tw_observation *o)
{
    tw_free(ctx, o->y);
    tw_free(ctx, o->variance);
    tw_free(ctx, o->row);
    tw_free(ctx, o->length2);
    *o = (tw_observation){0};
}

double tw_observation_pull(const tw_observation *o, int64_t row, const double *x, double spread, const double *shake,
                           double *out)
{
    const double *y = o->y + (o->same ? 0 : row) * o->width;
    double residual2 = 0;
    memset(out, 0, (size_t)o->columns * sizeof(double));
    for (int k = 0; k < o->width; k++) {
        const double *a = o->row ? o->row + (int64_t)k * o->columns : NULL;
        double length2 = a ? o->length2[k] : 1, off = y[k] + (shake ? shake[k] : 0);
        if (isnan(off) || length2 == 0) continue;
        off -= a ? dot(o->columns, a, x) : x[k];
        residual2 += off * off;
        double weight = spread < 0 ? off : off / (o->variance[k] + spread * length2);
        for (int j = 0; a && j < o->columns; j++) out[j] += weight * a[j];
        if (!a) out[k] = weight;
    }
    return residual2;
}
