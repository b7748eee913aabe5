/* The Kolmogorov-Smirnov test of numbers against the standard normal law (Kolmogorov 1933; the series of p converges at
 * once for the p of interest). */
#ifndef TW_TESTS_SUPPORT_NORMALITY_H
#define TW_TESTS_SUPPORT_NORMALITY_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static inline int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x; the probability of a distance as large as theirs. */
static inline double normality(double *x, int64_t n)
{
    double most = 0, p = 0;
    qsort(x, (size_t)n, sizeof *x, by_size);
    for (int64_t i = 0; i < n; i++) {
        double law = 0.5 * erfc(-x[i] * 0.70710678118654752440);
        most = fmax(most, fmax(law - (double)i / (double)n, (double)(i + 1) / (double)n - law));
    }
    double root = sqrt((double)n), l = (root + 0.12 + 0.11 / root) * most;
    if (l < 0.2) return 1;
    for (int k = 1; k < 100; k++) p += (k % 2 ? 2 : -2) * exp(-2 * k * k * l * l);
    return p;
}

#endif
