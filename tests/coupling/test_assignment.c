/* Optimality is checked without trusting the solver: all permutations for small n, dual prices as a certificate for
 * larger n (feasible everywhere, tight on the pairs), on kinds of costs that are hard in different ways. */
#include "coupling/assignment.h"

#include "base/philox.h"
#include "coupling/scan.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNIFORM, INTEGERS, EQUAL, CLUSTERS, LINE, OFFSETS, OUTLIER, DUPLICATES, NEGATIVE, PRODUCT, TINY, KINDS };

static double draw_cost(int kind, tw_random *r, int64_t i, int64_t j, const double *a, const double *b)
{
    double dx = a[2 * i] - b[2 * j], dy = a[2 * i + 1] - b[2 * j + 1];
    switch (kind) {
    case UNIFORM:
        return tw_random_uniform(r);
    case INTEGERS:
        return (double)tw_random_below(r, 4);
    case EQUAL:
        return 7.25;
    case CLUSTERS:
        return dx * dx + dy * dy;
    case LINE:
        return dx * dx;
    case OFFSETS:
        return 1e6 * (double)i + 1e7 * (double)j + tw_random_uniform(r);
    case OUTLIER:
        return i == 0 || j == 1 ? 1e9 + tw_random_uniform(r) : dx * dx + dy * dy;
    case DUPLICATES:
        return fabs(floor(2 * a[2 * i]) - floor(2 * b[2 * j]));
    case NEGATIVE:
        return -fabs(dx) - 3;
    case PRODUCT:
        return (double)((i + 1) * (j + 1)); /* the classic hard case: rows all want the same */
    default:
        return 1e-200 * tw_random_uniform(r);
    }
}

static double *make_costs(int kind, int64_t n, uint64_t seed)
{
    tw_random r = {.seed = seed, .stream = 1};
    size_t count = (size_t)(n > 0 ? n : 1);
    double *cost = malloc(count * count * sizeof *cost);
    double *a = malloc(2 * count * sizeof *a), *b = malloc(2 * count * sizeof *b);
    for (int64_t i = 0; i < 2 * n; i++) a[i] = tw_random_normal(&r);
    for (int64_t j = 0; j < n; j++) {
        double angle = 1.5707963 * (double)tw_random_below(&r, 4);
        b[2 * j] = 5 * cos(angle) + 0.1 * tw_random_normal(&r);
        b[2 * j + 1] = 5 * sin(angle) + 0.1 * tw_random_normal(&r);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) cost[i * n + j] = draw_cost(kind, &r, i, j, a, b);
    free(a);
    free(b);
    return cost;
}

static double total_of(int64_t n, const double *cost, const int64_t *column)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += cost[i * n + column[i]];
    return total;
}

static void assert_permutation(int64_t n, const int64_t *column)
{
    char *seen = calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < n; i++) {
        assert_true(column[i] >= 0 && column[i] < n);
        assert_false(seen[column[i]]);
        seen[column[i]] = 1;
    }
    free(seen);
}

static double best_by_trying(int n, const double *cost, int row, unsigned used)
{
    if (row == n) return 0;
    double best = HUGE_VAL;
    for (int j = 0; j < n; j++)
        if (!(used >> j & 1)) best = fmin(best, cost[row * n + j] + best_by_trying(n, cost, row + 1, used | 1u << j));
    return best;
}

static void small_ones_equal_the_best_permutation(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int n = 1; n <= 8; n++)
            for (uint64_t seed = 0; seed < (n < 8 ? 20 : 3); seed++) {
                int64_t column[8];
                double *cost = make_costs(kind, n, seed);
                assert_int_equal(tw_assignment_solve(ctx, n, cost, column, NULL, NULL), TW_OK);
                assert_permutation(n, column);
                double best = best_by_trying(n, cost, 0, 0);
                assert_true(fabs(total_of(n, cost, column) - best) <= 1e-13 * fabs(best));
                free(cost);
            }
}

static void larger_ones_carry_a_certificate(void **state)
{
    (void)state;
    static const int64_t sizes[] = {9, 31, 64, 150, 333};
    for (int kind = 0; kind < KINDS; kind++)
        for (int s = 0; s < TW_COUNT(sizes); s++) {
            int64_t n = sizes[s];
            size_t count = (size_t)n;
            double *cost = make_costs(kind, n, 40 + (uint64_t)s), greatest = 0, dual = 0;
            double *u = malloc(count * sizeof *u), *v = malloc(count * sizeof *v);
            int64_t *column = malloc(count * sizeof *column);
            assert_int_equal(tw_assignment_solve(ctx, n, cost, column, u, v), TW_OK);
            assert_permutation(n, column);
            for (int64_t i = 0; i < n * n; i++) greatest = fmax(greatest, fabs(cost[i]));
            /* Prices are sums of some dozens of costs: a few hundred roundings. */
            double tolerance = 1e-13 * greatest;
            for (int64_t i = 0; i < n; i++) {
                for (int64_t j = 0; j < n; j++) assert_true(u[i] + v[j] <= cost[i * n + j] + tolerance);
                assert_true(fabs(u[i] + v[column[i]] - cost[i * n + column[i]]) <= tolerance);
                dual += u[i] + v[i];
            }
            assert_true(fabs(dual - total_of(n, cost, column)) <= (double)n * tolerance);
            free(cost), free(u), free(v), free(column);
        }
}

static void costs_on_a_line_pair_by_rank(void **state)
{
    (void)state;
    enum { N = 200 };
    double x[N], y[N], *cost = malloc(sizeof(double) * N * N);
    int64_t column[N];
    tw_random r = {.seed = 5, .stream = 1};
    for (int i = 0; i < N; i++) x[i] = tw_random_normal(&r), y[i] = exp(tw_random_normal(&r));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) cost[i * N + j] = (x[i] - y[j]) * (x[i] - y[j]);
    assert_int_equal(tw_assignment_solve(ctx, N, cost, column, NULL, NULL), TW_OK);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            if (x[i] < x[k]) assert_true(y[column[i]] < y[column[k]]);
    free(cost);
}

static void constants_do_not_change_the_pairs(void **state)
{
    (void)state;
    enum { N = 100 };
    double *cost = make_costs(CLUSTERS, N, 3);
    int64_t before[N], after[N];
    assert_int_equal(tw_assignment_solve(ctx, N, cost, before, NULL, NULL), TW_OK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) cost[i * N + j] += 3 * i - 50 * j + 1000;
    assert_int_equal(tw_assignment_solve(ctx, N, cost, after, NULL, NULL), TW_OK);
    assert_memory_equal(before, after, sizeof before);
    free(cost);
}

static void edges_and_refusals(void **state)
{
    (void)state;
    int64_t column = 5;
    double u = 9, v = 9, cost = -3.5;
    assert_int_equal(tw_assignment_solve(ctx, 0, NULL, NULL, NULL, NULL), TW_OK);
    assert_int_equal(tw_assignment_solve(ctx, 1, &cost, &column, &u, &v), TW_OK);
    assert_int_equal(column, 0);
    assert_true(u + v == -3.5);
    double bad[4] = {1, 2, (double)NAN, 4};
    int64_t columns[2] = {-7, -7};
    assert_int_equal(tw_assignment_solve(ctx, 2, bad, columns, NULL, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "row 1 with column 0"));
    bad[2] = HUGE_VAL;
    assert_int_equal(tw_assignment_solve(ctx, 2, bad, columns, NULL, NULL), TW_ERR_NUMERIC);
    assert_true(columns[0] == -7 && columns[1] == -7);
    assert_int_equal(tw_assignment_solve(ctx, -1, bad, columns, NULL, NULL), TW_ERR_INVALID);
}

/* ---- the two loops, against plain ones ---- */

static void scans_agree_with_plain_loops(void **state)
{
    (void)state;
    enum { MOST = 41 };
    tw_random r = {.seed = 11, .stream = 1};
    assert_non_null(tw_scan_best());
    for (int version = 0; tw_scan_at(version); version++)
        for (int trial = 0; trial < 400; trial++) {
            const tw_scan_loops *scan = tw_scan_at(version);
            int64_t n = 1 + trial % MOST, parent[MOST], parent_before[MOST], row_of[MOST], at = -1;
            double row[MOST], price[MOST], key[MOST], key_before[MOST], least = HUGE_VAL;
            for (int64_t j = 0; j < n; j++) {
                bool ties = trial % 3 == 0;
                row[j] = ties ? (double)tw_random_below(&r, 3) : tw_random_normal(&r);
                price[j] = ties ? 0 : tw_random_normal(&r);
                key[j] = key_before[j] = ties ? (double)tw_random_below(&r, 3) : tw_random_normal(&r);
                if (tw_random_below(&r, 5) == 0) price[j] = -HUGE_VAL, key[j] = key_before[j] = HUGE_VAL;
                row_of[j] = tw_random_below(&r, 4) == 0 ? -1 : j;
                parent[j] = parent_before[j] = 100 + j;
            }
            int64_t got = scan->relax(n, row, price, 0.25, 7, key, parent, row_of);
            for (int64_t j = 0; j < n; j++) {
                double value = row[j] - price[j] - 0.25;
                bool less = value < key_before[j];
                assert_true(key[j] == (less ? value : key_before[j]));
                assert_int_equal(parent[j], less ? 7 : parent_before[j]);
                if (key[j] < least || (key[j] == least && at >= 0 && row_of[at] >= 0 && row_of[j] < 0))
                    least = key[j], at = j;
            }
            if (at >= 0) assert_int_equal(got, at);
            for (int64_t j = 0; j < n; j++)
                if (price[j] == -HUGE_VAL) price[j] = 0;
            tw_least two = scan->two_least(n, row, price), plain = tw_scan_at(0)->two_least(n, row, price);
            assert_memory_equal(&two, &plain, sizeof two);
            double first = HUGE_VAL, second = HUGE_VAL;
            for (int64_t j = 0; j < n; j++) {
                double value = row[j] - price[j];
                second = fmin(second, fmax(first, value));
                first = fmin(first, value);
            }
            assert_true(two.least == first && two.next == second);
            assert_true(row[two.first] - price[two.first] == first);
            assert_true(n == 1 ? two.second == -1 : row[two.second] - price[two.second] == second);
            assert_int_not_equal(two.first, two.second);
        }
}

static void other_scans_agree_with_plain_loops(void **state)
{
    (void)state;
    enum { MOST = 77, D = 3 };
    tw_random r = {.seed = 12, .stream = 1};
    const tw_scan_loops *plain = tw_scan_at(0), *scan;
    for (int version = 0; (scan = tw_scan_at(version)); version++)
        for (int64_t n = 0; n <= MOST; n++) {
            double a[D * MOST], b[MOST], sums[2][MOST], rows[2][MOST], point[D], least = HUGE_VAL, dot = 0;
            int64_t below = -1;
            for (int64_t k = 0; k < D * n; k++) a[k] = tw_random_normal(&r);
            for (int c = 0; c < D; c++) point[c] = tw_random_normal(&r);
            for (int64_t j = 0; j < n; j++) {
                b[j] = tw_random_below(&r, 9) == 0 ? -HUGE_VAL : tw_random_normal(&r) + (double)(n % 2);
                sums[0][j] = sums[1][j] = tw_random_normal(&r);
                least = fmin(least, a[j] - b[j]);
                if (a[j] < b[j] && (below < 0 || a[j] < a[below])) below = j;
            }
            assert_true(scan->least(n, a, b) == least);
            assert_int_equal(scan->least_below(n, a, b), below);
            for (int64_t j = 0; j < n; j++) b[j] = fmax(b[j], -5), dot += a[j] * b[j];
            assert_true(fabs(scan->dot(n, a, b) - dot) <= 1e-14 * (double)(n + 1) * 25);
            assert_true(scan->dot(n, a, b) == plain->dot(n, a, b));
            scan->add_scaled(n, 0.5, a, sums[0]);
            for (int64_t j = 0; j < n; j++) assert_true(sums[0][j] == sums[1][j] + 0.5 * a[j]);
            scan->squares(n, D, a, point, rows[0]);
            plain->squares(n, D, a, point, rows[1]);
            assert_memory_equal(rows[0], rows[1], (size_t)n * sizeof(double));
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t c = 0; c < D; c++) sum += (a[c * n + j] - point[c]) * (a[c * n + j] - point[c]);
                assert_true(rows[0][j] == sum);
            }
        }
}

static tw_status solve(tw_context *own, void *cost)
{
    int64_t column[20];
    return tw_assignment_solve(own, 20, cost, column, NULL, NULL);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    double *cost = make_costs(UNIFORM, 20, 1);
    run_with_limited_memory(solve, cost);
    free(cost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_ones_equal_the_best_permutation),
        cmocka_unit_test(larger_ones_carry_a_certificate),
        cmocka_unit_test(costs_on_a_line_pair_by_rank),
        cmocka_unit_test(constants_do_not_change_the_pairs),
        cmocka_unit_test(edges_and_refusals),
        cmocka_unit_test(scans_agree_with_plain_loops),
        cmocka_unit_test(other_scans_agree_with_plain_loops),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
