/* data/bins.c - numbers as whole ones: which of many bins of equal width they lie in, and how likely each bin is under
 * the density of a built-in set: the integral over the cell, by Gauss and Legendre's rule of four points a side, which
 * is exact to 1e-6 where a density changes little within a bin, as it must for bins to tell anything of it. */
#include "data/dataset.h"

#include <math.h>

enum { MOST_BINS = 1 << 16 };

int tw_bin_of(const tw_bins *bins, double value)
{
    if (!(bins->high > bins->low)) return 0;
    double bin = floor((value - bins->low) / (bins->high - bins->low) * bins->count);
    return (int)fmax(0, fmin(bin, bins->count - 1));
}

double tw_bin_middle(const tw_bins *bins, int bin)
{
    return bins->low + (bins->high - bins->low) * (bin + 0.5) / bins->count;
}

static void find_range(const tw_table *table, int columns, tw_bins *bins)
{
    if (bins->low != 0 || bins->high != 0) return;
    bins->low = (double)INFINITY;
    bins->high = -(double)INFINITY;
    for (int64_t r = 0; r < table->rows; r++)
        for (int c = 0; c < columns; c++) { /* gaps are NaN, which these pass by */
            bins->low = fmin(bins->low, table->values[r * table->stride + c]);
            bins->high = fmax(bins->high, table->values[r * table->stride + c]);
        }
}

tw_status tw_table_bin(tw_table *table, int columns, tw_bins *bins)
{
    if (bins->count < 2 || bins->count > MOST_BINS)
        return tw_fail(table->ctx, TW_ERR_INVALID, "%s: %d levels, expected 2 to %d", table->path, bins->count,
                       MOST_BINS);
    find_range(table, columns, bins);
    if (!(bins->low < bins->high) || !isfinite(bins->high - bins->low))
        return tw_fail(table->ctx, TW_ERR_INVALID, "%s: levels from %g to %g: expected a range of numbers", table->path,
                       bins->low, bins->high);
    for (int c = 0; c < columns; c++) table->column[c].decimals = -1; /* of the middles of bins */
    for (int64_t r = 0; r < table->rows; r++)
        for (int c = 0; c < columns; c++) {
            double *value = &table->values[r * table->stride + c];
            if (!isnan(*value)) *value = tw_bin_of(bins, *value);
        }
    return TW_OK;
}

double tw_bin_log_mass(const tw_bins *bins, const tw_builtin *builtin, const double bin[2])
{
    static const double node[4] = {-0.861136311594052575, -0.339981043584856265, 0.339981043584856265,
                                   0.861136311594052575};
    static const double weight[4] = {0.347854845137453857, 0.652145154862546143, 0.652145154862546143,
                                     0.347854845137453857};
    double half = (bins->high - bins->low) / bins->count / 2, sum = 0;
    for (int i = 0; i < 2; i++)
        if (!(bin[i] >= 0 && bin[i] < bins->count)) return (double)-INFINITY;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++) {
            const double x[2] = {tw_bin_middle(bins, (int)bin[0]) + half * node[i],
                                 tw_bin_middle(bins, (int)bin[1]) + half * node[j]};
            sum += weight[i] * weight[j] * exp(builtin->log_density(x));
        }
    return log(sum * half * half);
}
