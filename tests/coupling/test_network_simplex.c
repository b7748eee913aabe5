/* Plans are proved by feasibility and dual prices that are nowhere too high and tight where mass moves; for equal
 * masses the total is that of the assignment, for others that of POT (tests/golden/coupling.py). */
#include "coupling/network_simplex.h"

#include "base/philox.h"
#include "coupling/assignment.h"
#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNIFORM, INTEGERS, EQUAL, CLUSTERS, LINE, NEGATIVE, PRODUCT, TINY, KINDS };

static double *make_costs(int kind, int64_t n, int64_t m, uint64_t seed)
{
    tw_random r = {.seed = seed, .stream = 1};
    double *cost = malloc((size_t)(n * m) * sizeof *cost), *x = malloc((size_t)(2 * (n + m)) * sizeof *x);
    for (int64_t i = 0; i < 2 * (n + m); i++)
        x[i] = i < 2 * n ? tw_random_normal(&r) : 5 * (double)tw_random_below(&r, 2) + 0.2 * tw_random_normal(&r);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++) {
            double dx = x[2 * i] - x[2 * (n + j)], dy = x[2 * i + 1] - x[2 * (n + j) + 1], *c = &cost[i * m + j];
            switch (kind) {
            case UNIFORM:
                *c = tw_random_uniform(&r);
                break;
            case INTEGERS:
                *c = (double)tw_random_below(&r, 4);
                break;
            case EQUAL:
                *c = 7.25;
                break;
            case CLUSTERS:
                *c = dx * dx + dy * dy;
                break;
            case LINE:
                *c = dx * dx;
                break;
            case NEGATIVE:
                *c = -fabs(dx) - 3;
                break;
            case PRODUCT:
                *c = (double)((i + 1) * (j + 1));
                break;
            default:
                *c = 1e-200 * tw_random_uniform(&r);
            }
        }
    free(x);
    return cost;
}

enum { ONES, SMALL, SOME_NONE, HUGE, MASSES };

/* Masses of two sides with equal sums. */
static void make_masses(int kind, int64_t n, int64_t m, uint64_t seed, int64_t *supply, int64_t *demand)
{
    tw_random r = {.seed = seed, .stream = 2};
    for (int64_t i = 0; i < n; i++) supply[i] = m;
    for (int64_t j = 0; j < m; j++) demand[j] = n;
    if (kind == ONES) return;
    int64_t most = kind == HUGE ? (int64_t)1 << 50 : 4, left = 0;
    for (int64_t i = 0; i < n; i++) left += supply[i] = tw_random_below(&r, most) + (kind == SMALL);
    memset(demand, 0, (size_t)m * sizeof *demand);
    for (int64_t j = 0; j < m - 1 && left > 0; j++) {
        demand[j] = kind == SOME_NONE && j % 3 == 0 ? 0 : tw_min_i64(left, tw_random_below(&r, 2 * left / (m - j) + 1));
        left -= demand[j];
    }
    demand[m - 1] += left;
}

static double total_of(const tw_transport *t, const tw_move *moves, int64_t count)
{
    double total = 0;
    for (int64_t k = 0; k < count; k++)
        total += (double)moves[k].amount * t->cost[moves[k].row * t->m + moves[k].column];
    return total;
}

/* Moves the masses, and the prices prove that it cannot be done for less. */
static void assert_optimal(const tw_transport *t, const tw_move *moves, int64_t count, const double *u, const double *v)
{
    int64_t *left = malloc((size_t)(t->n + t->m) * sizeof *left);
    double greatest = 0;
    for (int64_t i = 0; i < t->n; i++) left[i] = t->supply[i];
    for (int64_t j = 0; j < t->m; j++) left[t->n + j] = t->demand[j];
    for (int64_t i = 0; i < t->n * t->m; i++) greatest = fmax(greatest, fabs(t->cost[i]));
    double tolerance = 1e-13 * greatest;
    assert_true(count <= t->n + t->m - 1);
    for (int64_t k = 0; k < count; k++) {
        int64_t i = moves[k].row, j = moves[k].column;
        assert_true(i >= 0 && i < t->n && j >= 0 && j < t->m && moves[k].amount > 0);
        left[i] -= moves[k].amount;
        left[t->n + j] -= moves[k].amount;
        assert_true(fabs(u[i] + v[j] - t->cost[i * t->m + j]) <= tolerance);
    }
    for (int64_t i = 0; i < t->n + t->m; i++) assert_int_equal(left[i], 0);
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t j = 0; j < t->m; j++) assert_true(u[i] + v[j] <= t->cost[i * t->m + j] + tolerance);
    free(left);
}

static void plans_carry_a_certificate(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1},   {1, 9},   {9, 1},   {2, 2},    {5, 8},
                                       {17, 17}, {40, 23}, {31, 90}, {120, 120}};
    for (int kind = 0; kind < KINDS; kind++)
        for (int masses = 0; masses < MASSES; masses++)
            for (int k = 0; k < TW_COUNT(sizes); k++) {
                int64_t n = sizes[k][0], m = sizes[k][1], supply[120], demand[120], count;
                double u[120], v[120], *cost = make_costs(kind, n, m, 7 + (uint64_t)k);
                tw_move moves[240];
                make_masses(masses, n, m, (uint64_t)k, supply, demand);
                tw_transport t = {.n = n, .m = m, .supply = supply, .demand = demand, .cost = cost};
                assert_int_equal(tw_transport_solve(ctx, &t, moves, u, v, &count), TW_OK);
                assert_optimal(&t, moves, count, u, v);
                free(cost);
            }
}

static void equal_masses_are_an_assignment(void **state)
{
    (void)state;
    enum { N = 300 };
    static int64_t ones[N], column[N];
    static tw_move moves[2 * N];
    for (int i = 0; i < N; i++) ones[i] = 1;
    for (int kind = 0; kind < KINDS; kind++) {
        double *cost = make_costs(kind, N, N, 3), total = 0;
        int64_t count;
        tw_transport t = {.n = N, .m = N, .supply = ones, .demand = ones, .cost = cost};
        assert_int_equal(tw_assignment_solve(ctx, N, cost, column, NULL, NULL), TW_OK);
        assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_OK);
        assert_int_equal(count, N);
        for (int i = 0; i < N; i++) total += cost[i * N + column[i]];
        assert_true(fabs(total_of(&t, moves, count) - total) <= 1e-12 * fabs(total));
        free(cost);
    }
}

typedef struct lazy {
    const double *cost;
    int64_t m, asked;
} lazy;

static void give_row(void *user, int64_t i, double *out_row)
{
    lazy *l = user;
    memcpy(out_row, l->cost + i * l->m, (size_t)l->m * sizeof *out_row);
    l->asked++;
}

static void rows_made_when_wanted_give_the_same(void **state)
{
    (void)state;
    enum { N = 60, M = 45 };
    int64_t supply[N], demand[M], count, lazily;
    double *cost = make_costs(CLUSTERS, N, M, 5), u[2][N], v[2][M];
    tw_move moves[2][N + M];
    make_masses(SMALL, N, M, 1, supply, demand);
    lazy l = {.cost = cost, .m = M};
    tw_transport t = {.n = N, .m = M, .supply = supply, .demand = demand, .cost = cost};
    assert_int_equal(tw_transport_solve(ctx, &t, moves[0], u[0], v[0], &count), TW_OK);
    t.cost = NULL, t.row = give_row, t.user = &l;
    assert_int_equal(tw_transport_solve(ctx, &t, moves[1], u[1], v[1], &lazily), TW_OK);
    assert_int_equal(count, lazily);
    assert_memory_equal(moves[0], moves[1], (size_t)count * sizeof **moves);
    assert_memory_equal(u[0], u[1], sizeof u[0]);
    assert_memory_equal(v[0], v[1], sizeof v[0]);
    assert_true(l.asked > N);
    free(cost);
}

static void masses_become_whole_numbers(void **state)
{
    (void)state;
    double mass[5] = {0.1, 0, 0.2, 0.7, 0}, bad[2] = {1, -1};
    int64_t whole[5], sum = 0;
    assert_int_equal(tw_transport_masses(ctx, 5, mass, 1000, whole), TW_OK);
    assert_memory_equal(whole, ((int64_t[]){100, 0, 200, 700, 0}), sizeof whole);
    assert_int_equal(tw_transport_masses(ctx, 5, mass, 7, whole), TW_OK);
    for (int i = 0; i < 5; i++) sum += whole[i];
    assert_int_equal(sum, 7);
    assert_int_equal(tw_transport_masses(ctx, 2, bad, 7, whole), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "mass 1 is -1"));
    assert_int_equal(tw_transport_masses(ctx, 1, bad + 1, 7, whole), TW_ERR_NUMERIC);
    assert_int_equal(tw_transport_masses(ctx, 1, mass + 4, 7, whole), TW_ERR_NUMERIC);
}

static void bad_problems_are_refused(void **state)
{
    (void)state;
    int64_t supply[2] = {1, 2}, demand[2] = {2, 2}, count = -1;
    double cost[4] = {1, 2, 3, 4};
    tw_move moves[3];
    tw_transport t = {.n = 2, .m = 2, .supply = supply, .demand = demand, .cost = cost};
    assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "3 to 4"));
    demand[1] = 1, cost[2] = (double)NAN;
    assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "row 1 with column 0"));
    cost[2] = 3, supply[0] = -1;
    assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_ERR_INVALID);
    supply[0] = INT64_MAX, supply[1] = INT64_MAX;
    assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_ERR_INVALID);
    t.n = 0;
    assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_ERR_INVALID);
    assert_int_equal(count, -1);
}

static tw_status solve(tw_context *own, void *cost)
{
    int64_t ones[20], count;
    tw_move moves[39];
    for (int i = 0; i < 20; i++) ones[i] = 1;
    tw_transport t = {.n = 20, .m = 20, .supply = ones, .demand = ones, .cost = cost};
    return tw_transport_solve(own, &t, moves, NULL, NULL, &count);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    double *cost = make_costs(UNIFORM, 20, 20, 1);
    run_with_limited_memory(solve, cost);
    free(cost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_carry_a_certificate),
        cmocka_unit_test(equal_masses_are_an_assignment),
        cmocka_unit_test(rows_made_when_wanted_give_the_same),
        cmocka_unit_test(masses_become_whole_numbers),
        cmocka_unit_test(bad_problems_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
