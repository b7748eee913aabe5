/* cpu/eigen.c - see eigen.h. */
#include "cpu/eigen.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* --- with vectors ------------------------------------------------------------------------------------------------ */

/* (x, y) becomes (c x - s y, s x + c y). */
static void turn_rows(int n, double c, double s, double *restrict x, double *restrict y)
{
    for (int k = 0; k < n; k++) {
        double was = x[k];
        x[k] = c * was - s * y[k];
        y[k] = s * was + c * y[k];
    }
}

/* Turns rows and columns p, q of a so that a[p][q] is 0, and the vectors, which are rows here, with them. */
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
    turn_rows(n, c, s, a + p * n, a + q * n);
    turn_rows(n, c, s, vectors + p * n, vectors + q * n);
}

static void transpose(int n, double *a)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) {
            double above = a[j * n + i];
            a[j * n + i] = a[i * n + j];
            a[i * n + j] = above;
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
    transpose(n, vectors);
}

/* --- alone ------------------------------------------------------------------------------------------------------- */

static double dot(int n, const double *a, const double *b)
{
    double lane[8] = {0}, sum = 0;
    int j = 0;
    for (; j + 8 <= n; j += 8)
        for (int k = 0; k < 8; k++) lane[k] += a[j + k] * b[j + k];
    for (; j < n; j++) sum += a[j] * b[j];
    for (int k = 0; k < 8; k++) sum += lane[k];
    return sum;
}

/* y += s x */
static void add(int n, double s, const double *x, double *y)
{
    for (int j = 0; j < n; j++) y[j] += s * x[j];
}

/* Row i loses all but its last number left of the diagonal, by a reflection I - u u' / h of the i rows above: those
 * become A - u w' - w u'. Returns that number. */
static double reflect(int n, int i, double *a, double *w)
{
    double *u = a + (int64_t)i * n, last = u[i - 1], length = sqrt(dot(i, u, u));
    if (length == fabs(last)) return last;
    double off = last > 0 ? -length : length, h = length * (length + fabs(last));
    u[i - 1] -= off;
    for (int j = 0; j < i; j++) {
        const double *row = a + (int64_t)j * n;
        w[j] = dot(j + 1, row, u);
        add(j, u[j], row, w);
    }
    for (int j = 0; j < i; j++) w[j] /= h;
    add(i, -dot(i, u, w) / (2 * h), u, w);
    for (int j = 0; j < i; j++) {
        double *row = a + (int64_t)j * n;
        for (int k = 0; k <= j; k++) row[k] -= u[j] * w[k] + w[j] * u[k];
    }
    return off;
}

/* A step of QR with Wilkinson's shift on rows l to m of a tridiagonal matrix, d its diagonal, e[i] between i and i + 1:
 * rotations chase what the first one leaves off the three diagonals down and out. e[m - 1] shrinks, cubically at the
 * end.
 */
static void qr_step(int l, int m, double *d, double *e)
{
    double half = (d[m - 1] - d[m]) / 2, off = e[m - 1];
    double x = d[l] - (d[m] - off * (off / (half + copysign(hypot(half, off), half)))), z = e[l];
    for (int k = l; k < m; k++) {
        double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
        double upper = d[k], lower = d[k + 1], between = e[k], turn = 2 * c * s * between;
        if (k > l) e[k - 1] = r;
        d[k] = c * c * upper + turn + s * s * lower;
        d[k + 1] = s * s * upper - turn + c * c * lower;
        x = e[k] = c * s * (lower - upper) + (c * c - s * s) * between;
        if (k + 1 == m) break;
        z = s * e[k + 1];
        e[k + 1] *= c;
    }
}

static bool apart(int i, const double *d, const double *e)
{
    return fabs(e[i]) <= DBL_EPSILON * (fabs(d[i]) + fabs(d[i + 1]));
}

static void qr(int n, double *d, double *e)
{
    int steps = 0, m = n - 1;
    while (m > 0 && steps < 30 * n) { /* two a value are usual */
        int l = m;
        while (l > 0 && !apart(l - 1, d, e)) l--;
        if (l == m)
            m--;
        else
            qr_step(l, m, d, e), steps++;
    }
}

void tw_eigenvalues_symmetric(int n, double *a, double *values, double *spare)
{
    double largest = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) largest = fmax(largest, fabs(a[(int64_t)i * n + j]));
    double scale = largest > 0 ? largest : 1; /* so that squares neither overflow nor vanish */
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) a[(int64_t)i * n + j] /= scale;
    for (int i = n - 1; i > 0; i--) {
        spare[i - 1] = reflect(n, i, a, spare);
        values[i] = a[(int64_t)i * n + i];
    }
    values[0] = a[0];
    qr(n, values, spare);
    for (int i = 0; i < n; i++) values[i] *= scale;
}
