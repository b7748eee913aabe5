/* eval/marginals.c - see marginals.h. */
#include "eval/marginals.h"

#include "eval/ranks.h"

#include <math.h>

/* --- categories --------------------------------------------------------------------------------------------------- */

static tw_status total_variation(const tw_records *a, const tw_records *b, int c, double *out_share)
{
    int levels = a->column[c].levels;
    double *share = tw_alloc(a->ctx, (size_t)levels + 1, sizeof *share), sum = 0; /* the last one: missing */
    if (!share) return tw_fail_memory(a->ctx, ((size_t)levels + 1) * sizeof *share);
    for (int side = 0; side < 2; side++) {
        const tw_records *r = side ? b : a;
        const double *value = r->column[c].value, each = (side ? -1.0 : 1.0) / (double)r->rows;
        for (int64_t i = 0; i < r->rows; i++) share[isnan(value[i]) ? levels : (int)value[i]] += each;
    }
    for (int k = 0; k <= levels; k++) sum += fabs(share[k]);
    tw_free(a->ctx, share);
    *out_share = 0.5 * sum;
    return TW_OK;
}

/* --- numbers -------------------------------------------------------------------------------------------------------
 */

/* The largest difference of the shares of values up to x; `there` values of `rows` are not missing, and sorted. */
static double largest_difference(int64_t rows_a, int64_t there_a, const double *a, int64_t rows_b, int64_t there_b,
                                 const double *b)
{
    double gone_a = (double)(rows_a - there_a), gone_b = (double)(rows_b - there_b);
    double most = fabs(gone_a / (double)rows_a - gone_b / (double)rows_b);
    for (int64_t i = 0, j = 0; i < there_a || j < there_b;) {
        double x = j == there_b || (i < there_a && a[i] < b[j]) ? a[i] : b[j];
        while (i < there_a && a[i] == x) i++;
        while (j < there_b && b[j] == x) j++;
        most = fmax(most, fabs((gone_a + (double)i) / (double)rows_a - (gone_b + (double)j) / (double)rows_b));
    }
    return most;
}

/* The area between the two distribution functions. */
static double area_between(int64_t n, const double *a, int64_t m, const double *b)
{
    double area = 0, last = 0;
    for (int64_t i = 0, j = 0; i < n || j < m;) {
        double x = j == m || (i < n && a[i] < b[j]) ? a[i] : b[j];
        if (i + j > 0) area += (x - last) * fabs((double)i / (double)n - (double)j / (double)m);
        while (i < n && a[i] == x) i++;
        while (j < m && b[j] == x) j++;
        last = x;
    }
    return area;
}

static double deviation(int64_t n, const double *x)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
    return sqrt(squares / (double)n);
}

tw_status tw_marginal_distance(const tw_records *a, const tw_records *b, int c, double *out_share, double *out_w1)
{
    if (a->column[c].levels) {
        *out_w1 = (double)NAN;
        return total_variation(a, b, c, out_share);
    }
    double *x = tw_alloc(a->ctx, (size_t)(a->rows + b->rows), sizeof *x), *y = x + a->rows;
    if (!x) return tw_fail_memory(a->ctx, (size_t)(a->rows + b->rows) * sizeof *x);
    int64_t n = tw_sorted_values(a->rows, a->column[c].value, x), m = tw_sorted_values(b->rows, b->column[c].value, y);
    double unit = deviation(n, x);
    *out_share = largest_difference(a->rows, n, x, b->rows, m, y);
    *out_w1 = n > 0 && m > 0 ? area_between(n, x, m, y) / (unit > 0 ? unit : 1) : (double)NAN;
    tw_free(a->ctx, x);
    return TW_OK;
}
