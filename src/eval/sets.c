/* eval/sets.c - a distance to a NaN is no distance: such points are refused with their place, as a silent NaN in a
 * table of results costs more time than an error. */
#include "eval/sets.h"

#include <math.h>

static tw_status check_set(tw_context *ctx, const char *which, int columns, int64_t rows, const double *values)
{
    if (columns < 1 || rows < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "a distance needs points: the %s set has %lld rows of %d columns", which,
                       (long long)rows, columns);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < columns; c++)
            if (!isfinite(values[i * columns + c]))
                return tw_fail(ctx, TW_ERR_NUMERIC, "row %lld, column %d of the %s set is %g, not a finite number",
                               (long long)i, c, which, values[i * columns + c]);
    return TW_OK;
}

tw_status tw_check_sets(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b)
{
    tw_status status = check_set(ctx, "first", columns, n, a);
    return status == TW_OK ? check_set(ctx, "second", columns, m, b) : status;
}
