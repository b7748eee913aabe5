/* Distances with known answers: closed forms, metric laws, statistics of normal samples, and the same bits from any
 * number of threads. */
#include <thalweg/eval.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/limited_memory.h"
#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double *normals(int64_t count, uint64_t seed, double mean, double deviation)
{
    tw_random r = {.seed = seed, .stream = 1};
    double *x = malloc((size_t)count * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = mean + deviation * tw_random_normal(&r);
    return x;
}

static double energy(int columns, int64_t n, const double *a, int64_t m, const double *b)
{
    double d = -1;
    assert_int_equal(tw_energy_distance(ctx, columns, n, a, m, b, &d), TW_OK);
    return d;
}

static double exact(int columns, int64_t n, const double *a, const double *b)
{
    double d = -1;
    assert_int_equal(tw_wasserstein2(ctx, columns, n, a, b, NULL, &d), TW_OK);
    return d;
}

static double sliced(int columns, int64_t n, const double *a, int64_t m, const double *b, int projections,
                     uint64_t seed)
{
    double d = -1;
    assert_int_equal(tw_sliced_wasserstein2(ctx, columns, n, a, m, b, projections, seed, &d), TW_OK);
    return d;
}

static void two_points(void **state)
{
    (void)state;
    const double a[2] = {1, 2}, b[2] = {4, 6};
    assert_true(energy(2, 1, a, 1, b) == 10); /* 2 * 5 */
    assert_true(exact(2, 1, a, b) == 5);
    /* One against two on a line: half the mass goes 1, half goes 3. */
    const double one[1] = {0}, two[2] = {3, -1};
    assert_true(fabs(sliced(1, 1, one, 2, two, 3, 0) - sqrt(5)) < 1e-15);
    /* 2 (1 + 3)/2 - 0 - 4/2 */
    assert_true(fabs(energy(1, 1, one, 2, two) - 2) < 1e-15);
}

static double naive_mean(int columns, int64_t n, const double *a, int64_t m, const double *b)
{
    long double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            double square = 0;
            for (int c = 0; c < columns; c++) {
                double difference = a[i * columns + c] - b[j * columns + c];
                square += difference * difference;
            }
            sum += sqrt(square);
        }
    return (double)(sum / (long double)(n * m));
}

static void energy_equals_the_plain_sum(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {{1, 1, 1},     {3, 5, 2},     {128, 127, 3},
                                       {129, 300, 1}, {260, 131, 7}, {50, 60, 100}};
    for (int k = 0; k < TW_COUNT(sizes); k++) {
        int64_t n = sizes[k][0], m = sizes[k][1];
        int columns = (int)sizes[k][2];
        double *a = normals(n * columns, 1, 0, 1), *b = normals(m * columns, 2, 0.5, 2);
        double plain =
            2 * naive_mean(columns, n, a, m, b) - naive_mean(columns, n, a, n, a) - naive_mean(columns, m, b, m, b);
        assert_true(fabs(energy(columns, n, a, m, b) - plain) < 1e-13 * (1 + naive_mean(columns, n, a, m, b)));
        assert_true(fabs(energy(columns, n, a, m, b) - energy(columns, m, b, n, a)) < 1e-12);
        assert_true(energy(columns, n, a, n, a) < 1e-13);
        free(a), free(b);
    }
}

static void shifts_are_measured(void **state)
{
    (void)state;
    enum { N = 300, D = 5 };
    double *a = normals(N * D, 3, 0, 1), b[N * D], shift[D] = {0.3, -2, 0.7, 0, 1.1}, length = 0;
    for (int c = 0; c < D; c++) length += shift[c] * shift[c];
    length = sqrt(length);
    /* Reversed order: the assignment has to find the pairs. */
    for (int i = 0; i < N; i++)
        for (int c = 0; c < D; c++) b[(N - 1 - i) * D + c] = a[i * D + c] + shift[c];
    int64_t pairs[N];
    double distance = 0;
    assert_int_equal(tw_wasserstein2(ctx, D, N, a, b, pairs, &distance), TW_OK);
    assert_true(fabs(distance - length) < 1e-12);
    /* For a shift any matching of rows gives at least |shift|; the identity is optimal. */
    for (int i = 0; i < N; i++) assert_int_equal(pairs[i], N - 1 - i);
    /* Mean of <shift, u>^2 over directions is |shift|^2 / d; 4000 directions leave 1.6 % (relative deviation of u_1^2
     * is sqrt(2 (d-1) / (d+2))), 4 deviations are allowed. */
    double s = sliced(D, N, a, N, b, 4000, 9);
    double tolerance = 4 * sqrt(2.0 * (D - 1) / (D + 2)) / sqrt(4000.0);
    assert_true(fabs(s * s * D / (length * length) - 1) < tolerance);
    /* In one dimension every direction is the same. */
    for (int i = 0; i < N; i++) b[i] = a[i] + 0.3;
    assert_true(fabs(sliced(1, N, a, N, b, 2, 5) - 0.3) < 1e-13);
    assert_true(fabs(exact(1, N, a, b) - 0.3) < 1e-13);
    free(a);
}

static void identity_symmetry_triangle(void **state)
{
    (void)state;
    enum { N = 120, D = 3 };
    double *x[3] = {normals(N * D, 4, 0, 1), normals(N * D, 5, 1, 0.5), normals(N * D, 6, -0.5, 2)}, e[3][3], w[3][3],
           s[3][3];
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            e[i][j] = sqrt(energy(D, N, x[i], N, x[j]));
            w[i][j] = exact(D, N, x[i], x[j]);
            s[i][j] = sliced(D, N, x[i], N, x[j], 50, 1);
        }
    for (int i = 0; i < 3; i++) {
        assert_true(w[i][i] == 0 && s[i][i] == 0 && e[i][i] < 1e-6);
        for (int j = 0; j < 3; j++) {
            assert_true(fabs(w[i][j] - w[j][i]) < 1e-12 && fabs(s[i][j] - s[j][i]) < 1e-12);
            assert_true(s[i][j] <= w[i][j] + 1e-12); /* projections do not lengthen */
            if (i != j) assert_true(e[i][j] > 0.1 && w[i][j] > 0.1 && s[i][j] > 0.1);
            for (int k = 0; k < 3; k++) {
                assert_true(e[i][k] <= e[i][j] + e[j][k] + 1e-6);
                assert_true(w[i][k] <= w[i][j] + w[j][k] + 1e-12);
                assert_true(s[i][k] <= s[i][j] + s[j][k] + 1e-12);
            }
        }
    }
    for (int i = 0; i < 3; i++) free(x[i]);
}

static void repeated_points_change_no_distance(void **state)
{
    (void)state;
    /* The same measure with every point of the second set three times: n != m must not matter. */
    enum { N = 41, D = 2 };
    double *a = normals(N * D, 7, 0, 1), *b = normals(N * D, 8, 1, 2), b3[3 * N * D];
    for (int i = 0; i < 3 * N; i++) memcpy(b3 + i * D, b + (i % N) * D, sizeof(double) * D);
    assert_true(fabs(sliced(D, N, a, N, b, 30, 2) - sliced(D, N, a, 3 * N, b3, 30, 2)) < 1e-13);
    assert_true(fabs(energy(D, N, a, N, b) - energy(D, N, a, 3 * N, b3)) < 1e-12);
    assert_true(sliced(D, N, b, 3 * N, b3, 30, 2) == 0);
    free(a), free(b);
}

static void normal_samples_have_their_distances(void **state)
{
    (void)state;
    enum { N = 4000, M = 3000 };
    /* W2 of N(0,1) and N(m, s^2) is sqrt(m^2 + (s-1)^2). The deviation of the estimate is about that of the means
     * and deviations, sqrt((1 + s^2)/N) = 0.035; 4 of them allowed. */
    double *a = normals(N, 21, 0, 1), *b = normals(M, 22, 1.5, 2);
    assert_true(fabs(sliced(1, N, a, M, b, 1, 0) - sqrt(1.5 * 1.5 + 1)) < 0.15);
    assert_true(fabs(exact(1, 2000, a, b) - sqrt(1.5 * 1.5 + 1)) < 0.2);
    /* Energy distance of N(0,1) and N(m, s^2): E|N(m, v)| = sqrt(2v/pi) exp(-m^2/(2v)) + m erf(m/sqrt(2v)). */
    double v = 5, m = 1.5, mean = sqrt(2 * v / M_PI) * exp(-m * m / (2 * v)) + m * erf(m / sqrt(2 * v));
    double truth = 2 * mean - 2 / sqrt(M_PI) - 2 * 2 / sqrt(M_PI);
    assert_true(fabs(energy(1, N, a, M, b) - truth) < 0.1);
    /* Two samples of one normal: n m/(n+m) times the distance has mean E|X-X'| = 1.128 under equality. */
    double *c = normals(M, 23, 0, 1);
    double statistic = energy(1, N, a, M, c) * N * M / (N + M);
    assert_true(statistic > 0.2 && statistic < 6);
    free(a), free(b), free(c);
}

static void threads_and_seeds(void **state)
{
    (void)state;
    enum { N = 500, M = 333, D = 4 };
    double *a = normals(N * D, 31, 0, 1), *b = normals(N * D, 32, 1, 1);
    double first[3] = {0};
    for (int threads = 1; threads <= 4; threads++) {
        tw_context *own = tw_context_create(&(tw_context_desc){.threads = threads});
        double now[3];
        assert_non_null(own);
        assert_int_equal(tw_energy_distance(own, D, N, a, M, b, &now[0]), TW_OK);
        assert_int_equal(tw_wasserstein2(own, D, N, a, b, NULL, &now[1]), TW_OK);
        assert_int_equal(tw_sliced_wasserstein2(own, D, N, a, M, b, 64, 3, &now[2]), TW_OK);
        if (threads == 1) memcpy(first, now, sizeof now);
        assert_memory_equal(first, now, sizeof now);
        tw_context_destroy(own);
    }
    assert_true(sliced(D, N, a, M, b, 64, 4) != first[2]);
    assert_true(fabs(sliced(D, N, a, M, b, 64, 4) / first[2] - 1) < 0.3);
    free(a), free(b);
}

static double of_any_size(int power, int columns, int64_t n, const double *a, int64_t m, const double *b)
{
    double d = -1;
    assert_int_equal(tw_wasserstein(ctx, power, columns, n, a, m, b, &d), TW_OK);
    return d;
}

/* |x - y|^power of sorted sets, quantile by quantile: what transport on a line costs. */
static double by_quantiles(int power, int64_t n, const double *x, int64_t m, const double *y)
{
    double sum = 0;
    for (int64_t k = 0; k < n * m; k++) sum += pow(fabs(x[k / m] - y[k / n]), power);
    return pow(sum / (double)(n * m), 1.0 / power);
}

static int by_size(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static void sets_of_any_sizes_are_compared_exactly(void **state)
{
    (void)state;
    enum { N = 70, M = 45, D = 3 };
    double *a = normals(N * D, 3, 0, 1), *b = normals(M * D, 4, 1, 2), thrice[3 * M * D];
    for (int i = 0; i < 3 * M; i++) memcpy(thrice + i * D, b + i % M * D, D * sizeof *b);
    for (int power = 1; power <= 2; power++) {
        double d = of_any_size(power, D, N, a, M, b);
        assert_true(fabs(of_any_size(power, D, M, b, N, a) - d) <= 1e-12 * d);
        /* repeating every point changes nothing */
        assert_true(fabs(of_any_size(power, D, N, a, 3 * M, thrice) - d) <= 1e-12 * d);
        assert_true(of_any_size(power, D, M, b, 3 * M, thrice) <= 1e-7);
    }
    assert_true(fabs(of_any_size(2, D, M, a, M, b) - exact(D, M, a, b)) <= 1e-12 * exact(D, M, a, b));
    assert_true(of_any_size(1, D, N, a, M, b) <= of_any_size(2, D, N, a, M, b));
    qsort(a, N, sizeof *a, by_size);
    qsort(b, M, sizeof *b, by_size);
    for (int power = 1; power <= 2; power++) {
        double d = by_quantiles(power, N, a, M, b);
        assert_true(fabs(of_any_size(power, 1, N, a, M, b) - d) <= 1e-12 * d);
    }
    free(a), free(b);
    double d;
    assert_int_equal(tw_wasserstein(ctx, 3, 1, 1, thrice, 1, thrice, &d), TW_ERR_INVALID);
    assert_int_equal(tw_wasserstein(ctx, 2, 1, 1 << 20, thrice, 1, thrice, &d), TW_ERR_INVALID);
}

/* More points than a matrix of costs is made for: a shift measures its length whatever the points. */
static void large_sets_need_no_matrix(void **state)
{
    (void)state;
    enum { N = 4200 };
    double *a = normals(N * 2, 3, 0, 1), *b = malloc(sizeof *b * N * 2);
    for (int i = 0; i < 2 * N; i++) b[2 * N - 2 - i / 2 * 2 + i % 2] = a[i] + (i % 2 ? 1e-4 : -2e-4);
    assert_true(fabs(of_any_size(2, 2, N, a, N, b) - sqrt(5) * 1e-4) <= 1e-12);
    free(a), free(b);
}

static void wrong_sets_are_refused(void **state)
{
    (void)state;
    double a[4] = {1, 2, 3, 4}, bad[4] = {1, 2, (double)NAN, 4}, d = -5;
    assert_int_equal(tw_energy_distance(ctx, 2, 0, a, 2, a, &d), TW_ERR_INVALID);
    assert_int_equal(tw_energy_distance(ctx, 0, 2, a, 2, a, &d), TW_ERR_INVALID);
    assert_int_equal(tw_wasserstein2(ctx, 2, 5000, a, a, NULL, &d), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "4096"));
    assert_int_equal(tw_sliced_wasserstein2(ctx, 2, 2, a, 2, a, 0, 1, &d), TW_ERR_INVALID);
    assert_int_equal(tw_energy_distance(ctx, 2, 2, a, 2, bad, &d), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "row 1, column 0 of the second set"));
    assert_int_equal(tw_wasserstein2(ctx, 2, 2, bad, a, NULL, &d), TW_ERR_NUMERIC);
    assert_int_equal(tw_sliced_wasserstein2(ctx, 2, 2, bad, 2, a, 3, 1, &d), TW_ERR_NUMERIC);
    assert_true(d == -5);
}

typedef struct two_sets {
    const double *a, *b;
} two_sets;

static tw_status all_distances(tw_context *own, void *user)
{
    const two_sets *sets = user;
    double d;
    tw_status status = tw_energy_distance(own, 3, 20, sets->a, 20, sets->b, &d);
    if (status == TW_OK) status = tw_wasserstein2(own, 3, 20, sets->a, sets->b, NULL, &d);
    if (status == TW_OK) status = tw_wasserstein(own, 1, 3, 20, sets->a, 15, sets->b, &d);
    if (status == TW_OK) status = tw_sliced_wasserstein2(own, 3, 20, sets->a, 20, sets->b, 10, 1, &d);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    double *a = normals(60, 1, 0, 1), *b = normals(60, 2, 0, 1);
    run_with_limited_memory(all_distances, &(two_sets){a, b});
    free(a), free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_points),
        cmocka_unit_test(energy_equals_the_plain_sum),
        cmocka_unit_test(shifts_are_measured),
        cmocka_unit_test(identity_symmetry_triangle),
        cmocka_unit_test(repeated_points_change_no_distance),
        cmocka_unit_test(normal_samples_have_their_distances),
        cmocka_unit_test(threads_and_seeds),
        cmocka_unit_test(sets_of_any_sizes_are_compared_exactly),
        cmocka_unit_test(large_sets_need_no_matrix),
        cmocka_unit_test(wrong_sets_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
