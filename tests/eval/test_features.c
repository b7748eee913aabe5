/* Sets of points by their features: the Frechet distance against closed forms and SciPy, neighbours and neighbourhoods
 * against what can be counted by hand, and statistics of normal samples. */
#include <thalweg/eval.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/context.h"
#include "support/golden.h"
#include "support/limited_memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Four points with mean (x, y) and covariance of axes a, b turned by an angle: 2/3 of their squares. */
static void cross(double x, double y, double a, double b, double angle, double *out)
{
    double c = cos(angle), s = sin(angle);
    const double p[8] = {a * c, a * s, -a * c, -a * s, -b * s, b * c, b * s, -b * c};
    for (int i = 0; i < 8; i++) out[i] = p[i] + (i % 2 ? y : x);
}

static void frechet_of_ellipses(void **state)
{
    static const double case_of[][6] = {/* shift, axes of the first, of the second, angle between them */
                                        {0, 1, 1, 1, 1, 0},     {2, 1, 1, 1, 1, 0},     {0.5, 3, 0.2, 1, 1, 0.7},
                                        {0, 2, 0.5, 2, 0.5, 1}, {1, 1, 0, 0.3, 2, 0.4}, {0, 0, 0, 2, 1, 0}};
    for (int k = 0; k < TW_COUNT(case_of); k++) {
        const double *v = case_of[k];
        double a[8], b[8], got = (double)NAN;
        cross(1, 2, v[1], v[2], 0.3, a);
        cross(1 + v[0], 2, v[3], v[4], 0.3 + v[5], b);
        assert_int_equal(tw_frechet_distance(*state, 2, 4, a, 4, b, &got), TW_OK);
        /* of 2 x 2 matrices tr M^(1/2) = (tr M + 2 (det M)^(1/2))^(1/2), M = A B */
        double s = 2.0 / 3, a1 = s * v[1] * v[1], a2 = s * v[2] * v[2], b1 = s * v[3] * v[3], b2 = s * v[4] * v[4];
        double c2 = cos(v[5]) * cos(v[5]), s2 = 1 - c2;
        double trace = a1 * (b1 * c2 + b2 * s2) + a2 * (b1 * s2 + b2 * c2);
        double want = v[0] * v[0] + a1 + a2 + b1 + b2 - 2 * sqrt(trace + 2 * sqrt(a1 * a2 * b1 * b2));
        assert_true(fabs(got - want) < 1e-7); /* roots of eigenvalues that are 0 but for rounding */
    }
}

static double *normals(uint64_t seed, int64_t rows, int columns, double shift, double scale)
{
    tw_random r = {.seed = seed, .stream = 1};
    double *x = malloc((size_t)(rows * columns) * sizeof *x);
    for (int64_t i = 0; i < rows * columns; i++) x[i] = shift + scale * tw_random_normal(&r);
    return x;
}

static void frechet_of_normal_samples(void **state)
{
    enum { ROWS = 4000, COLUMNS = 10 };
    double *a = normals(1, ROWS, COLUMNS, 0, 1), *b = normals(2, ROWS, COLUMNS, 0.5, 2), got, back, none;
    assert_int_equal(tw_frechet_distance(*state, COLUMNS, ROWS, a, ROWS, b, &got), TW_OK);
    assert_int_equal(tw_frechet_distance(*state, COLUMNS, ROWS, b, ROWS, a, &back), TW_OK);
    assert_int_equal(tw_frechet_distance(*state, COLUMNS, ROWS, a, ROWS, a, &none), TW_OK);
    /* D (0.5^2 + (2 - 1)^2) = 12.5, and about D (D + 1) / ROWS of estimation; five of its deviations */
    assert_true(fabs(got - 12.5) < 0.6);
    assert_true(fabs(got - back) < 1e-9 && fabs(none) < 1e-9);
    free(a), free(b);
    for (uint64_t seed = 3; seed < 23; seed++) { /* of a set to itself rounding leaves a little, on one side only */
        a = normals(seed, 40, COLUMNS, 100, 1);
        assert_int_equal(tw_frechet_distance(*state, COLUMNS, 40, a, 40, a, &none), TW_OK);
        assert_true(none >= 0 && none < 1e-9);
        free(a);
    }
}

/* As tests/golden/frechet.py makes them. */
static double *golden_rows(const char *name, char set, int64_t n, int columns)
{
    double *x = malloc((size_t)(n * columns) * sizeof *x), *row = malloc((size_t)columns * sizeof *row);
    char full[32];
    snprintf(full, sizeof full, "%s_%c", name, set);
    for (int64_t i = 0; i < n; i++) {
        for (int j = 0; j < columns; j++) row[j] = golden_number(full, i * columns + j) * pow(0.8, j % 11);
        for (int j = 0; j < columns; j++)
            x[i * columns + j] = row[j] + 0.7 * row[(j + columns - 1) % columns] + (set == 'b' ? 0.3 : 0);
        if (strcmp(name, "dead") == 0) x[i * columns + 2] = x[(i + 1) * columns - 1] = 0.25;
    }
    free(row);
    return x;
}

/* More points than columns and fewer, on one side or both; constant columns. Also in units far from 1. */
static void frechet_as_scipy(void **state)
{
    static const struct {
        const char *name;
        int n, m, columns;
        double want;
    } golden[] = {
#include "golden/frechet.inc"
    };
    for (int k = 0; k < TW_COUNT(golden); k++)
        for (double unit = 1e-50; unit < 1e51; unit *= 1e50) {
            int n = golden[k].n, m = golden[k].m, columns = golden[k].columns;
            double *a = golden_rows(golden[k].name, 'a', n, columns), *b = golden_rows(golden[k].name, 'b', m, columns);
            double got = (double)NAN, back = (double)NAN, want = golden[k].want * unit * unit;
            for (int i = 0; i < n * columns; i++) a[i] *= unit;
            for (int i = 0; i < m * columns; i++) b[i] *= unit;
            assert_int_equal(tw_frechet_distance(*state, columns, n, a, m, b, &got), TW_OK);
            assert_int_equal(tw_frechet_distance(*state, columns, m, b, n, a, &back), TW_OK);
            assert_true(fabs(got - want) < 1e-7 * want); /* roots of eigenvalues that are 0 but for rounding */
            assert_true(fabs(back - want) < 1e-7 * want);
            free(a), free(b);
        }
}

static void neighbours_by_hand(void **state)
{
    const double a[] = {0, 10, 4.9}, b[] = {1, 9, 5, 100, -2};
    int64_t index[6];
    double far[6];
    assert_int_equal(tw_nearest_rows(*state, 1, 3, a, 5, b, 2, index, far), TW_OK);
    const int64_t want[] = {0, 4, 1, 2, 2, 0};
    for (int k = 0; k < 6; k++) assert_int_equal(index[k], want[k]);
    for (int k = 0; k < 6; k++) assert_true(fabs(far[k] - fabs(a[k / 2] - b[want[k]])) < 1e-14);
    assert_int_equal(tw_nearest_rows(*state, 1, 3, a, 5, b, 6, index, far), TW_ERR_INVALID);
    assert_int_equal(tw_nearest_rows(*state, 1, 3, a, 5, b, 0, index, far), TW_ERR_INVALID);
}

static void precision_and_recall_by_hand(void **state)
{
    double precision, recall;
    /* radii of b to the first neighbour: 1 1 1 1 20; of a: 0.5 0.5 39.5 39 */
    const double a[] = {0, 0.5, 40, 79}, b[] = {1, 2, 3, 4, 24};
    assert_int_equal(tw_precision_recall(*state, 1, 4, a, 5, b, 1, &precision, &recall), TW_OK);
    assert_true(precision == 0.75); /* 0 and 0.5 near 1; 40 near 24; 79 near none */
    assert_true(recall == 1);       /* all within 39.5 of 40, but 1 near 0.5 too */
    assert_int_equal(tw_precision_recall(*state, 1, 4, a, 5, b, 4, &precision, &recall), TW_ERR_INVALID);
    assert_int_equal(tw_precision_recall(*state, 1, 4, (double[]){1, 2, (double)NAN, 3}, 5, b, 1, &precision, &recall),
                     TW_ERR_NUMERIC);
}

/* What the pair was made for: few modes keep the precision and lose the recall, noise the reverse. */
static void precision_and_recall_tell_apart(void **state)
{
    enum { ROWS = 600, COLUMNS = 19 };
    double *data = normals(1, ROWS, COLUMNS, 0, 1), *same = normals(2, ROWS, COLUMNS, 0, 1);
    double *narrow = normals(3, ROWS, COLUMNS, 0, 0.5), *wide = normals(4, ROWS, COLUMNS, 0, 1.6), p, r;
    assert_int_equal(tw_precision_recall(*state, COLUMNS, ROWS, same, ROWS, data, 3, &p, &r), TW_OK);
    assert_true(p > 0.6 && r > 0.6 && fabs(p - r) < 0.12);
    double p_same = p, r_same = r;
    assert_int_equal(tw_precision_recall(*state, COLUMNS, ROWS, narrow, ROWS, data, 3, &p, &r), TW_OK);
    assert_true(p > 0.95 && r < 0.1);
    assert_int_equal(tw_precision_recall(*state, COLUMNS, ROWS, wide, ROWS, data, 3, &p, &r), TW_OK);
    assert_true(p < 0.5 * p_same && r > r_same);
    free(data), free(same), free(narrow), free(wide);
}

static void any_number_of_threads(void **state)
{
    enum { ROWS = 200, COLUMNS = 13, WIDE = 10 * COLUMNS };
    double *a = normals(1, ROWS, COLUMNS, 0, 1), *b = normals(2, ROWS, COLUMNS, 0, 1), p[2], r[2], d[2], wide[2];
    int64_t index[2][ROWS * 3];
    double far[2][ROWS * 3];
    (void)state;
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        assert_int_equal(tw_precision_recall(ctx, COLUMNS, ROWS, a, ROWS, b, 3, &p[k], &r[k]), TW_OK);
        assert_int_equal(tw_nearest_rows(ctx, COLUMNS, ROWS, a, ROWS, b, 3, index[k], far[k]), TW_OK);
        assert_int_equal(tw_frechet_distance(ctx, COLUMNS, ROWS, a, ROWS, b, &d[k]), TW_OK);
        assert_int_equal(tw_frechet_distance(ctx, WIDE, ROWS / 10, a, ROWS / 10, b, &wide[k]), TW_OK);
        tw_context_destroy(ctx);
    }
    assert_true(p[0] == p[1] && r[0] == r[1] && d[0] == d[1] && wide[0] == wide[1]);
    assert_memory_equal(index[0], index[1], sizeof index[0]);
    assert_memory_equal(far[0], far[1], sizeof far[0]);
    free(a), free(b);
}

static tw_status all(tw_context *ctx, void *user)
{
    const double a[] = {0, 1, 5, 3}, b[] = {1, 2, 3, 9};
    double d, p, r, far[4];
    int64_t index[4];
    tw_status status = TW_OK;
    (void)user;
    TW_TRY(tw_frechet_distance(ctx, 2, 2, a, 2, b, &d));
    TW_TRY(tw_precision_recall(ctx, 1, 4, a, 4, b, 1, &p, &r));
    TW_TRY(tw_nearest_rows(ctx, 1, 4, a, 4, b, 1, index, far));
done:
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    run_with_limited_memory(all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(frechet_of_ellipses),
                                       cmocka_unit_test(frechet_of_normal_samples),
                                       cmocka_unit_test(frechet_as_scipy),
                                       cmocka_unit_test(neighbours_by_hand),
                                       cmocka_unit_test(precision_and_recall_by_hand),
                                       cmocka_unit_test(precision_and_recall_tell_apart),
                                       cmocka_unit_test(any_number_of_threads),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, open_pool, close_context);
}
