/* cpu/eigen.c - see eigen.h. */
#include "cpu/eigen.h"

#include <math.h>

/* Turns rows and columns p, q of a so that a[p][q] is 0, and the vectors with them. */
static void rotate(int n, int p, int q, double *a, double *vectors)
{
    double off = a[p * n + q];
    if (off == 0) return;
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * off);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        x = vectors[k * n + p], y = vectors[k * n + q];
        vectors[k * n + p] = c * x - s * y;
        vectors[k * n + q] = s * x + c * y;
    }
}

void tw_eigen_symmetric(int n, double *a, double *values, double *vectors)
{
    enum { SWEEPS = 30 }; /* convergence is quadratic: ten are many */
    double total = 0;
    for (int i = 0; i < n * n; i++) {
        vectors[i] = i % (n + 1) == 0;
        total += a[i] * a[i];
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double off = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) off += a[p * n + q] * a[p * n + q];
        if (off <= 1e-30 * total) break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) rotate(n, p, q, a, vectors);
    }
    for (int i = 0; i < n; i++) values[i] = a[i * n + i];
}
