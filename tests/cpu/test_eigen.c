/* Eigenvalues of symmetric matrices: closed forms turned by reflections, sums over powers, both methods against each
 * other, values that coincide, vanish or differ by many orders. */
#include "cpu/eigen.h"

#include "base/base.h"
#include "base/philox.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* a becomes H a H with H = I - 2 u u' / u'u for a random u: the same eigenvalues. */
static void turn(int n, double *a, tw_random *r)
{
    double *u = malloc((size_t)n * sizeof *u), *row = malloc((size_t)n * sizeof *row), uu = 0, all = 0;
    for (int i = 0; i < n; i++) u[i] = tw_random_normal(r), uu += u[i] * u[i];
    for (int i = 0; i < n; i++) {
        row[i] = 0;
        for (int j = 0; j < n; j++) row[i] += a[i * n + j] * u[j];
        all += row[i] * u[i];
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] += -2 / uu * (u[i] * row[j] + row[i] * u[j]) + 4 * all / uu / uu * u[i] * u[j];
    free(u), free(row);
}

/* Sorted eigenvalues of a, of which the upper triangle is spoiled. */
static void values_of(int n, const double *a, double *values)
{
    double *copy = malloc((size_t)(n * n) * sizeof *copy), *spare = malloc((size_t)n * sizeof *spare);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) copy[i * n + j] = j > i ? (double)NAN : a[i * n + j];
    tw_eigenvalues_symmetric(n, copy, values, spare);
    qsort(values, (size_t)n, sizeof *values, by_value);
    free(copy), free(spare);
}

static void diagonals_turned(void **state)
{
    enum { MOST = 90 };
    (void)state;
    for (int kind = 0; kind < 5; kind++)
        for (int n = 1; n <= MOST; n = n < 8 ? n + 1 : n * 2 + 5) {
            tw_random r = {.seed = (uint64_t)(kind * 100 + n), .stream = 1};
            double a[MOST * MOST] = {0}, want[MOST], got[MOST], largest = 0;
            for (int i = 0; i < n; i++) {
                want[i] = kind == 0   ? tw_random_normal(&r)
                          : kind == 1 ? (double)(i % 3) /* each many times, a third of them 0 */
                          : kind == 2 ? 1e-150 * (i + 1)
                          : kind == 3 ? 1e150 * (i - n / 2)
                                      : (i == 0 ? 1e6 : 1e-6);
                a[i * n + i] = want[i];
                largest = fmax(largest, fabs(want[i]));
            }
            for (int k = 0; k < 4; k++) turn(n, a, &r);
            values_of(n, a, got);
            qsort(want, (size_t)n, sizeof *want, by_value);
            for (int i = 0; i < n; i++) assert_true(fabs(got[i] - want[i]) <= 1e-13 * largest);
        }
}

/* Second differences: 2 - 2 cos(k pi / (n + 1)). */
static void differences(void **state)
{
    enum { N = 200 };
    double *a = calloc(N * N, sizeof *a), got[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i > 0) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    values_of(N, a, got);
    for (int k = 0; k < N; k++) assert_true(fabs(got[k] - (2 - 2 * cos((k + 1) * M_PI / (N + 1)))) < 1e-13);
    free(a);
}

/* Against Jacobi rotations; sums of values and of squares against what the matrix says. */
static void both_methods_agree(void **state)
{
    enum { N = 60 };
    double a[N * N], copy[N * N], vectors[N * N], got[N], other[N], trace = 0, squares = 0;
    tw_random r = {.seed = 5, .stream = 1};
    (void)state;
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) a[i * N + j] = a[j * N + i] = tw_random_normal(&r);
    memcpy(copy, a, sizeof copy);
    values_of(N, a, got);
    tw_eigen_symmetric(N, copy, other, vectors);
    qsort(other, N, sizeof *other, by_value);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(got[i] - other[i]) < 1e-12);
        trace += a[i * N + i] - got[i];
        for (int j = 0; j < N; j++) squares += a[i * N + j] * a[i * N + j];
        squares -= got[i] * got[i];
    }
    assert_true(fabs(trace) < 1e-12 && fabs(squares) < 1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(diagonals_turned), cmocka_unit_test(differences),
                                       cmocka_unit_test(both_methods_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
