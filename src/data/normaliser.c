/* data/normaliser.c - means and standard deviations by Welford's recurrence (B. P. Welford, Technometrics 4(3), 1962):
 * one pass, no cancellation, and exactly zero spread for a constant column. The deviation divides by the number of
 * rows. */
#include "data/normaliser.h"

#include <float.h>
#include <math.h>

tw_status tw_normaliser_fit(tw_context *ctx, int64_t rows, int columns, const double *values,
                            tw_normaliser *out_normaliser)
{
    if (rows < 1 || columns < 1) return tw_fail(ctx, TW_ERR_INVALID, "normaliser: there are no rows to fit it on");
    tw_normaliser n = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_normaliser_make(ctx, columns, 0, 0, &n));
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            double x = values[r * columns + c] - values[c], delta = x - n.shift[c];
            n.shift[c] += delta / (double)(r + 1);
            n.scale[c] += delta * (x - n.shift[c]); /* the sum of squares until the end */
        }
    for (int c = 0; c < columns; c++) {
        double scale = sqrt(n.scale[c] / (double)rows);
        n.shift[c] += values[c];
        if (!isfinite(n.shift[c]) || !isfinite(scale)) {
            status = tw_fail(ctx, TW_ERR_NUMERIC,
                             "column %d: its values are too large or not finite: it cannot be standardised", c + 1);
            goto done;
        }
        n.scale[c] = scale > DBL_MIN ? scale : 1.0;
    }
    *out_normaliser = n;
    n = (tw_normaliser){0};
done:
    tw_normaliser_free(ctx, &n);
    return status;
}

tw_status tw_normaliser_make(tw_context *ctx, int columns, double shift, double scale, tw_normaliser *out_normaliser)
{
    tw_normaliser n = {.columns = columns};
    n.shift = tw_alloc(ctx, (size_t)columns, sizeof(double));
    n.scale = tw_alloc(ctx, (size_t)columns, sizeof(double));
    if (!n.shift || !n.scale) {
        tw_normaliser_free(ctx, &n);
        return tw_fail_memory(ctx, (size_t)columns * sizeof(double));
    }
    for (int j = 0; j < columns; j++) {
        n.shift[j] = shift;
        n.scale[j] = scale;
    }
    *out_normaliser = n;
    return TW_OK;
}

void tw_normaliser_free(tw_context *ctx, tw_normaliser *normaliser)
{
    tw_free(ctx, normaliser->shift);
    tw_free(ctx, normaliser->scale);
    *normaliser = (tw_normaliser){0};
}

void tw_normaliser_apply(const tw_normaliser *normaliser, int64_t rows, const double *x, double *out)
{
    int columns = normaliser->columns;
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            out[r * columns + c] = (x[r * columns + c] - normaliser->shift[c]) / normaliser->scale[c];
}

void tw_normaliser_undo(const tw_normaliser *normaliser, int64_t rows, const double *z, double *out)
{
    int columns = normaliser->columns;
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            out[r * columns + c] = z[r * columns + c] * normaliser->scale[c] + normaliser->shift[c];
}

double tw_normaliser_log_jacobian(const tw_normaliser *normaliser)
{
    double sum = 0;
    for (int c = 0; c < normaliser->columns; c++) sum -= log(normaliser->scale[c]);
    return sum;
}
