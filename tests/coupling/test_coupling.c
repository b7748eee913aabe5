/* Couplings: what each promises about its pairs, against definitions (no blocking pairs, no pair worth exchanging),
 * totals of scipy's assignment and plans of POT (tests/golden/coupling.py); blocks of labels, conditions, bad input. */
#include <thalweg/coupling.h>

#include "base/philox.h"
#include "coupling/cost.h"
#include "coupling/network_simplex.h"
#include "coupling/sinkhorn.h"
#include "support/limited_memory.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden/coupling.inc"
#include "support/own_context.h"

/* ---- points ---- */

/* The points of tests/golden/coupling.py. */
static void make_points(int64_t n, int64_t columns, uint64_t seed, float *source, float *data)
{
    static const float ring[8][2] = {{4, 0}, {4, 4}, {0, 4}, {-4, 4}, {-4, 0}, {-4, -4}, {0, -4}, {4, -4}};
    for (int side = 0; side < 2; side++) {
        uint64_t word = seed + (uint64_t)side;
        for (int64_t k = 0; k < n * columns; k++) {
            word = word * 6364136223846793005u + 1442695040888963407u;
            float value = (float)(word >> 48) * 0x1p-15f - 1;
            int64_t c = k % columns, i = k / columns;
            if (side == 0)
                source[k] = value;
            else
                data[k] = value / 2 + (c < 2 ? ring[i % 8][c] : 1);
        }
    }
}

static double square_distance(int64_t columns, const float *a, const float *b)
{
    double sum = 0;
    for (int64_t c = 0; c < columns; c++) sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sum;
}

static double total_of(int64_t n, int64_t columns, const float *source, const float *data, const int64_t *pairs)
{
    double total = 0;
    for (int64_t i = 0; i < n; i++) total += square_distance(columns, source + pairs[i] * columns, data + i * columns);
    return total;
}

static void assert_permutation(int64_t n, const int64_t *pairs)
{
    char *seen = calloc((size_t)n + 1, 1);
    for (int64_t i = 0; i < n; i++) {
        assert_true(pairs[i] >= 0 && pairs[i] < n);
        assert_false(seen[pairs[i]]);
        seen[pairs[i]] = 1;
    }
    free(seen);
}

/* Pairs one batch with a coupler made for it. */
static tw_status pair(tw_coupling_desc desc, tw_coupling_batch batch, int64_t *source, int64_t *data)
{
    tw_coupler *coupler;
    if (desc.most_points == 0) desc.most_points = batch.points > 0 ? batch.points : 1;
    tw_status status = tw_coupler_create(ctx, &desc, &coupler);
    if (status != TW_OK) return status;
    status = tw_coupler_pair(coupler, &batch, source, data);
    tw_coupler_destroy(coupler);
    return status;
}

static bool is_permutation_kind(const char *kind)
{
    return strcmp(kind, "sinkhorn") != 0 && strcmp(kind, "unbalanced") != 0 && !strstr(kind, "partial");
}

/* ---- costs ---- */

static void costs_are_exact_where_it_matters(void **state)
{
    (void)state;
    static const int64_t columns[] = {1, 2, 16, 17, 64};
    enum { N = 70 };
    for (int k = 0; k < TW_COUNT(columns); k++)
        for (int far = 0; far < 2; far++) {
            int64_t d = columns[k];
            size_t bytes = (size_t)(N * d) * sizeof(float);
            float *source = malloc(bytes), *data = malloc(bytes);
            double *cost = malloc(N * N * sizeof *cost);
            void *work = aligned_alloc(64, (tw_cost_bytes(N, d) + 63) & ~(size_t)63);
            make_points(N, d, 5, source, data);
            for (int64_t i = 0; i < N * d; i++) source[i] += far ? 3e6f : 0, data[i] += far ? 3e6f : 0;
            memcpy(source, data, bytes / 2); /* equal points: distance nought, not a rounding error */
            tw_cost_squares(N, d, source, data, 1, false, work, cost);
            for (int64_t i = 0; i < N; i++)
                for (int64_t j = 0; j < N; j++) {
                    double exact = square_distance(d, source + j * d, data + i * d);
                    assert_true(fabs(cost[i * N + j] - exact) <= 1e-11 * exact);
                }
            tw_cost_squares(N, d, source, data, 0.5, true, work, cost);
            double twice = 1.5 * square_distance(d, source + 3 * d, data + 60 * d);
            assert_true(fabs(cost[60 * N + 3] - twice) <= 1e-11 * twice);
            free(source), free(data), free(cost), free(work);
        }
}

/* ---- exact ---- */

static void ot_costs_what_scipy_says(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(golden_assignments); k++) {
        int64_t n = golden_assignments[k].n, d = golden_assignments[k].columns;
        float *source = malloc((size_t)(n * d) * sizeof *source), *data = malloc((size_t)(n * d) * sizeof *data);
        int64_t *pairs = malloc((size_t)n * sizeof *pairs);
        make_points(n, d, (uint64_t)(n + 1000 * d), source, data);
        tw_coupling_batch batch = {.points = n, .source = source, .data = data};
        assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = d}, batch, pairs, NULL), TW_OK);
        assert_permutation(n, pairs);
        double total = total_of(n, d, source, data, pairs), golden = golden_assignments[k].total;
        assert_true(fabs(total - golden) <= 1e-12 * golden);
        free(source), free(data), free(pairs);
    }
}

/* ---- stable and heuristic ---- */

static void stable_pairs_have_no_better_pair_between_them(void **state)
{
    (void)state;
    enum { N = 120, D = 2 };
    float source[N * D], data[N * D];
    int64_t stable[N], heuristic[N], ot[N];
    make_points(N, D, 9, source, data);
    tw_coupling_batch batch = {.points = N, .source = source, .data = data};
    assert_int_equal(pair((tw_coupling_desc){.kind = "stable", .columns = D}, batch, stable, NULL), TW_OK);
    assert_int_equal(pair((tw_coupling_desc){.kind = "heuristic", .columns = D}, batch, heuristic, NULL), TW_OK);
    assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = D}, batch, ot, NULL), TW_OK);
    double own[N], holder[N];
    for (int i = 0; i < N; i++) {
        own[i] = square_distance(D, source + stable[i] * D, data + i * D);
        holder[stable[i]] = own[i];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double between = square_distance(D, source + j * D, data + i * D);
            assert_false(between < own[i] && between < holder[j]);
        }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++) {
            const float *a = source + heuristic[i] * D, *b = source + heuristic[k] * D;
            double now = square_distance(D, a, data + i * D) + square_distance(D, b, data + k * D);
            double then = square_distance(D, b, data + i * D) + square_distance(D, a, data + k * D);
            assert_true(now <= then * (1 + 1e-12));
        }
    double totals[3] = {total_of(N, D, source, data, ot), total_of(N, D, source, data, heuristic),
                        total_of(N, D, source, data, stable)};
    assert_true(totals[0] <= totals[1] && totals[1] < totals[2]);
}

/* ---- entropic ---- */

typedef struct plan_case {
    int64_t n;
    double *cost, *plan;
    float *source, *data;
    void *work;
    double iterations;
} plan_case;

static plan_case make_plan(int64_t n, const tw_coupling_desc *desc, tw_entropic_kind kind)
{
    plan_case c = {.n = n};
    size_t square = (size_t)(n * n) * sizeof(double);
    size_t bytes = tw_couple_sinkhorn_bytes(n), costs = tw_cost_bytes(n, 2);
    c.source = malloc((size_t)n * 2 * sizeof(float)), c.data = malloc((size_t)n * 2 * sizeof(float));
    c.cost = malloc(square), c.plan = malloc(square);
    c.work = aligned_alloc(64, ((bytes > costs ? bytes : costs) + 63) & ~(size_t)63);
    make_points(n, 2, (uint64_t)n, c.source, c.data);
    tw_cost_squares(n, 2, c.source, c.data, 1, false, c.work, c.cost);
    tw_block block = {.n = n, .cost = c.cost, .desc = desc, .work = c.work};
    tw_entropic_plan p = tw_entropic_plan_make(&block, kind);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) c.plan[i * n + j] = p.u[i] * p.kernel[i * n + j] * p.v[j] / (double)(n * n);
    c.iterations = p.iterations;
    return c;
}

static void free_plan(plan_case *c)
{
    free(c->source), free(c->data), free(c->cost), free(c->plan), free(c->work);
}

static double marginal_error(const plan_case *c)
{
    double error = 0, uniform = 1 / (double)c->n;
    for (int64_t i = 0; i < c->n; i++) {
        double row = 0, column = 0;
        for (int64_t j = 0; j < c->n; j++) row += c->plan[i * c->n + j], column += c->plan[j * c->n + i];
        error += fabs(row - uniform) + fabs(column - uniform);
    }
    return error;
}

static void entropic_plans_are_those_of_pot(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(golden_plans); k++) {
        tw_coupling_desc desc = {
            .epsilon = golden_plans[k].epsilon, .tau = golden_plans[k].tau, .tolerance = 1e-11, .iterations = 1e6};
        int64_t n = golden_plans[k].n;
        plan_case c = make_plan(n, &desc, golden_plans[k].tau == 0 ? TW_ENTROPIC_BALANCED : TW_ENTROPIC_UNBALANCED);
        double total = 0, mass = 0;
        for (int64_t i = 0; i < n * n; i++) total += c.plan[i] * c.cost[i], mass += c.plan[i];
        assert_true(fabs(total - golden_plans[k].total) <= 1e-8 * golden_plans[k].total);
        assert_true(fabs(mass - golden_plans[k].mass) <= 1e-8);
        assert_true(fabs(c.plan[0] - golden_plans[k].first) <= 1e-9);
        assert_true(fabs(c.plan[n * n - 1] - golden_plans[k].last) <= 1e-9);
        free_plan(&c);
    }
}

static void entropic_partial_plans_are_those_of_pot(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(golden_entropic_partials); k++) {
        tw_coupling_desc desc = {.epsilon = golden_entropic_partials[k].epsilon,
                                 .mass = golden_entropic_partials[k].mass,
                                 .tolerance = 1e-12,
                                 .iterations = 1e6};
        int64_t n = golden_entropic_partials[k].n;
        plan_case c = make_plan(n, &desc, TW_ENTROPIC_PARTIAL);
        double total = 0, mass = 0;
        for (int64_t i = 0; i < n; i++) {
            double row = 0, column = 0;
            for (int64_t j = 0; j < n; j++) {
                total += c.plan[i * n + j] * c.cost[i * n + j];
                row += c.plan[i * n + j], column += c.plan[j * n + i];
            }
            assert_true(row * (double)n <= 1 + 1e-9 && column * (double)n <= 1 + 1e-9);
            mass += row;
        }
        assert_true(fabs(total - golden_entropic_partials[k].total) <= 1e-8 * golden_entropic_partials[k].total);
        assert_true(fabs(mass - desc.mass) <= 1e-10);
        assert_true(fabs(c.plan[0] - golden_entropic_partials[k].first) <= 1e-9);
        assert_true(fabs(c.plan[n * n - 1] - golden_entropic_partials[k].last) <= 1e-9);
        free_plan(&c);
    }
}

/* A fifth of the data far away: a plan of four fifths draws none of it, nor does it of nearly all but that fifth. */
static void entropic_partial_leaves_far_points_out(void **state)
{
    (void)state;
    enum { N = 100 };
    float source[2 * N], data[2 * N];
    int64_t pairs[N], rows[N];
    make_points(N, 2, 1, source, data);
    for (int i = 0; i < N; i += 5) data[2 * i] += 500;
    tw_coupling_batch batch = {.points = N, .source = source, .data = data};
    for (int k = 0; k < 3; k++) {
        tw_coupling_desc desc = {.kind = "entropic_partial", .columns = 2, .epsilon = 0.5};
        int far = 0;
        desc.mass = k == 0 ? 0.3 : k == 1 ? 0.8 : 1;
        assert_int_equal(pair(desc, batch, pairs, rows), TW_OK);
        for (int p = 0; p < N; p++) far += data[2 * rows[p]] > 100;
        assert_int_equal(far, k < 2 ? 0 : N / 5);
    }
    assert_int_equal(pair((tw_coupling_desc){.kind = "entropic_partial:1.5", .columns = 2}, batch, pairs, rows),
                     TW_ERR_INVALID);
}

static void marginals_are_uniform_however_small_the_regularisation(void **state)
{
    (void)state;
    static const double regs[] = {1e3, 1, 0.05, 0.01, 0.002};
    for (int k = 0; k < TW_COUNT(regs); k++) {
        tw_coupling_desc desc = {.reg = regs[k], .tolerance = 1e-8, .iterations = 1e5};
        plan_case c = make_plan(150, &desc, TW_ENTROPIC_BALANCED);
        assert_true(marginal_error(&c) <= 1e-8);
        free_plan(&c);
    }
}

/* For many steps of the same batch, each source of a data row comes as often as the plan says (chi-square, 99.99 %). */
static void draws_follow_the_plan(void **state)
{
    (void)state;
    enum { N = 8, STEPS = 4000 };
    tw_coupling_desc desc = {.kind = "sinkhorn",
                             .most_points = N,
                             .columns = 2,
                             .seed = 3,
                             .reg = 0.5,
                             .tolerance = 1e-9,
                             .iterations = 1e4};
    plan_case c = make_plan(N, &desc, TW_ENTROPIC_BALANCED);
    tw_coupler *coupler;
    int64_t source[N], count[N][N] = {{0}}, degrees = 0;
    double chi = 0;
    assert_int_equal(tw_coupler_create(ctx, &desc, &coupler), TW_OK);
    for (uint64_t step = 0; step < STEPS; step++) {
        tw_coupling_batch batch = {.points = N, .step = step, .source = c.source, .data = c.data};
        assert_int_equal(tw_coupler_pair(coupler, &batch, source, NULL), TW_OK);
        for (int i = 0; i < N; i++) count[i][source[i]]++;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double expected = STEPS * N * c.plan[i * N + j];
            if (expected < 5) continue;
            chi += ((double)count[i][j] - expected) * ((double)count[i][j] - expected) / expected;
            degrees++;
        }
    assert_true(degrees > 30);
    assert_true(chi < (double)degrees + 4 * sqrt(2 * (double)degrees));
    tw_coupler_destroy(coupler);
    free_plan(&c);
}

static void unbalanced_leaves_outliers_out(void **state)
{
    (void)state;
    enum { N = 100 };
    float source[2 * N], data[2 * N];
    int64_t pairs[N], rows[N];
    int far = 0, used[N] = {0};
    make_points(N, 2, 1, source, data);
    for (int i = 0; i < 5; i++) data[20 * i] += 500;
    tw_coupling_batch batch = {.points = N, .source = source, .data = data};
    tw_coupling_desc desc = {.kind = "unbalanced", .columns = 2, .epsilon = 1, .tau = 50};
    assert_int_equal(pair(desc, batch, pairs, rows), TW_OK);
    for (int k = 0; k < N; k++) {
        assert_true(rows[k] >= 0 && rows[k] < N && pairs[k] >= 0 && pairs[k] < N);
        far += data[2 * rows[k]] > 100;
    }
    assert_int_equal(far, 0);
    /* with a large tau the plan is balanced again: every row exactly once */
    desc.tau = 1e9;
    desc.iterations = 1e5;
    desc.tolerance = 1e-10;
    assert_int_equal(pair(desc, batch, pairs, rows), TW_OK);
    for (int k = 0; k < N; k++) used[rows[k]]++;
    for (int i = 0; i < N; i++) assert_in_range(used[i], 0, 2);
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "data rows"));
    /* costs that nothing can be moved for */
    for (int i = 0; i < 2 * N; i++) data[i] += 1e5f;
    desc = (tw_coupling_desc){.kind = "unbalanced", .columns = 2, .epsilon = 1, .tau = 1};
    assert_int_equal(pair(desc, batch, pairs, rows), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "no mass"));
}

/* ---- partial ---- */

static double best_by_trying(int n, const double *cost, int row, int left, unsigned used)
{
    if (left == 0) return 0;
    double best = n - row > left ? best_by_trying(n, cost, row + 1, left, used) : HUGE_VAL;
    for (int j = 0; j < n; j++)
        if (!(used >> j & 1))
            best = fmin(best, cost[row * n + j] + best_by_trying(n, cost, row + 1, left - 1, used | 1u << j));
    return best;
}

static void partial_pairs_are_the_cheapest_of_their_number(void **state)
{
    (void)state;
    enum { N = 7 };
    float source[2 * N], data[2 * N];
    double cost[N * N];
    int64_t pairs[N], rows[N];
    for (uint64_t seed = 0; seed < 5; seed++)
        for (int k = 1; k <= N; k++) {
            int times[N][N] = {{0}}, found = 0, source_used = 0, data_used = 0;
            double total = 0;
            make_points(N, 2, seed, source, data);
            for (int i = 0; i < N * N; i++) cost[i] = square_distance(2, source + 2 * (i % N), data + 2 * (i / N));
            tw_coupling_batch batch = {.points = N, .step = seed, .source = source, .data = data};
            tw_coupling_desc desc = {.kind = "partial", .columns = 2, .mass = (double)k / N};
            assert_int_equal(pair(desc, batch, pairs, rows), TW_OK);
            for (int p = 0; p < N; p++) times[rows[p]][pairs[p]]++;
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) {
                    if (times[i][j] == 0) continue;
                    assert_in_range(times[i][j], N / k, (N + k - 1) / k);
                    total += cost[i * N + j];
                    source_used |= 1 << j, data_used |= 1 << i, found++;
                }
            assert_int_equal(found, k);
            assert_int_equal(__builtin_popcount((unsigned)source_used), k);
            assert_int_equal(__builtin_popcount((unsigned)data_used), k);
            double best = best_by_trying(N, cost, 0, k, 0);
            assert_true(fabs(total - best) <= 1e-12 * best);
        }
}

static void partial_totals_are_those_of_pot(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(golden_partials); k++) {
        int64_t n = golden_partials[k].n, pairs[200], rows[200];
        float source[400], data[400];
        double total = 0;
        make_points(n, 2, (uint64_t)n, source, data);
        tw_coupling_batch batch = {.points = n, .source = source, .data = data};
        tw_coupling_desc desc = {.kind = "partial", .columns = 2, .mass = golden_partials[k].mass};
        assert_int_equal(pair(desc, batch, pairs, rows), TW_OK);
        bool seen[200] = {false};
        for (int64_t p = 0; p < n; p++) {
            if (!seen[rows[p]]) total += square_distance(2, source + 2 * pairs[p], data + 2 * rows[p]);
            seen[rows[p]] = true;
        }
        assert_true(fabs(total - golden_partials[k].total) <= 1e-12 * golden_partials[k].total);
    }
}

static void unequal_transports_are_those_of_pot(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(golden_transports); k++) {
        int64_t n = golden_transports[k].n, m = golden_transports[k].m, size = tw_max_i64(n, m);
        int64_t supply[300], demand[300], sum = 0, count;
        float source[600], data[600];
        static double cost[300 * 300];
        tw_move moves[600];
        double total = 0;
        make_points(size, 2, (uint64_t)size, source, data);
        for (int64_t i = 0; i < n; i++) sum += supply[i] = 1 + i % 5;
        for (int64_t j = 0; j < m; j++) demand[j] = (j + 1) * sum / m - j * sum / m;
        for (int64_t i = 0; i < n * m; i++) cost[i] = square_distance(2, source + 2 * (i % m), data + 2 * (i / m));
        tw_transport t = {.n = n, .m = m, .supply = supply, .demand = demand, .cost = cost};
        assert_int_equal(tw_transport_solve(ctx, &t, moves, NULL, NULL, &count), TW_OK);
        for (int64_t p = 0; p < count; p++) total += (double)moves[p].amount * cost[moves[p].row * m + moves[p].column];
        assert_true(fabs(total - golden_transports[k].total) <= 1e-12 * total);
    }
}

/* ---- all kinds ---- */

static void all_kinds_take_all_batches(void **state)
{
    (void)state;
    enum { MOST = 60 };
    static const int64_t sizes[] = {0, 1, 2, 3, 59, MOST};
    static const float scales[] = {1, 0, 1e-30f, 1e15f, 3e37f};
    float source[3 * MOST], data[3 * MOST];
    for (int kind = 0; tw_coupling_list(kind); kind++)
        for (int64_t d = 1; d <= 3; d += 2) {
            const char *name = tw_coupling_list(kind)->name;
            tw_coupler *coupler;
            tw_coupling_desc desc = {.kind = name, .most_points = MOST, .columns = d, .seed = 1};
            assert_int_equal(tw_coupler_create(ctx, &desc, &coupler), TW_OK);
            for (int k = 0; k < TW_COUNT(sizes) * TW_COUNT(scales); k++) {
                int64_t n = sizes[k / TW_COUNT(scales)], pairs[MOST], again[MOST], rows[MOST], rows_again[MOST];
                float scale = scales[k % TW_COUNT(scales)];
                make_points(n, d, 3, source, data);
                for (int64_t i = 0; i < n * d; i++) source[i] *= scale, data[i] *= scale;
                for (int64_t i = 0; i < n * d / 2; i++) source[i] = data[i] = data[0]; /* duplicates */
                tw_coupling_batch batch = {.points = n, .step = 7, .source = source, .data = data};
                assert_int_equal(tw_coupler_pair(coupler, &batch, pairs, rows), TW_OK);
                assert_int_equal(tw_coupler_pair(coupler, &batch, again, rows_again), TW_OK);
                for (int64_t i = 0; i < n; i++) {
                    assert_true(pairs[i] >= 0 && pairs[i] < n && rows[i] >= 0 && rows[i] < n);
                    if (tw_coupling_keeps_data(coupler)) assert_int_equal(rows[i], i);
                    assert_int_equal(pairs[i], again[i]);
                    assert_int_equal(rows[i], rows_again[i]);
                }
                if (is_permutation_kind(name)) assert_permutation(n, pairs);
            }
            tw_coupler_destroy(coupler);
        }
}

/* torchcfm draws pairs from the exact plan with replacement: about a third of the points of a batch is left out and
 * others come twice (atong01/conditional-flow-matching, issue 142). */
static void torchcfm_142_no_point_is_left_out_or_comes_twice(void **state)
{
    (void)state;
    enum { N = 128, STEPS = 20 };
    float source[2 * N], data[2 * N];
    int64_t pairs[N];
    for (int kind = 0; tw_coupling_list(kind); kind++) {
        tw_coupler *coupler;
        tw_coupling_desc desc = {.kind = tw_coupling_list(kind)->name, .most_points = N, .columns = 2};
        if (!is_permutation_kind(desc.kind)) continue;
        assert_int_equal(tw_coupler_create(ctx, &desc, &coupler), TW_OK);
        for (uint64_t step = 0; step < STEPS; step++) {
            make_points(N, 2, 100 + 2 * step, source, data);
            tw_coupling_batch batch = {.points = N, .step = step, .source = source, .data = data};
            assert_int_equal(tw_coupler_pair(coupler, &batch, pairs, NULL), TW_OK);
            assert_permutation(N, pairs);
        }
        tw_coupler_destroy(coupler);
    }
}

/* Pairing within a batch without regard to conditions makes the source tell the condition, and sampling then starts
 * from the wrong place (atong01/conditional-flow-matching, issues 117, 120, 132). */
static void torchcfm_117_sources_do_not_tell_the_label(void **state)
{
    (void)state;
    enum { N = 200 };
    float source[2 * N], data[2 * N];
    int64_t label[N], pairs[2][N];
    double told[2] = {0, 0}, drawn = 0;
    make_points(N, 2, 55, source, data);
    for (int i = 0; i < N; i++) label[i] = data[2 * i] > 0;
    tw_coupling_batch batch = {.points = N, .source = source, .data = data};
    assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = 2}, batch, pairs[0], NULL), TW_OK);
    batch.data_label = label;
    assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = 2}, batch, pairs[1], NULL), TW_OK);
    for (int i = 0; i < N; i++) {
        double sign = label[i] ? 1.0 / N : -1.0 / N;
        for (int k = 0; k < 2; k++) told[k] += sign * (double)source[2 * pairs[k][i]];
        drawn += sign * (double)source[2 * i];
    }
    assert_true(told[0] > 0.3);                  /* sources on the side of their label */
    assert_true(fabs(told[1] - drawn) <= 1e-12); /* exactly those that were drawn with it */
}

typedef struct thread_job {
    int64_t pairs[64];
    tw_status status;
} thread_job;

static void *pair_elsewhere(void *user)
{
    thread_job *job = user;
    float source[128], data[128];
    tw_context *own = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_coupler *coupler = NULL;
    job->status = TW_ERR_INTERNAL;
    if (!own) return NULL;
    make_points(64, 2, 8, source, data);
    tw_coupling_batch batch = {.points = 64, .step = 9, .source = source, .data = data};
    job->status =
        tw_coupler_create(own, &(tw_coupling_desc){.kind = "sinkhorn", .most_points = 64, .columns = 2}, &coupler);
    if (job->status == TW_OK) job->status = tw_coupler_pair(coupler, &batch, job->pairs, NULL);
    tw_coupler_destroy(coupler);
    tw_context_destroy(own);
    return NULL;
}

static void threads_pair_alike(void **state)
{
    (void)state;
    thread_job jobs[3];
    pthread_t threads[2];
    for (int k = 0; k < 2; k++) assert_int_equal(pthread_create(&threads[k], NULL, pair_elsewhere, &jobs[k]), 0);
    pair_elsewhere(&jobs[2]);
    for (int k = 0; k < 2; k++) assert_int_equal(pthread_join(threads[k], NULL), 0);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(jobs[k].status, TW_OK);
        assert_memory_equal(jobs[k].pairs, jobs[2].pairs, sizeof jobs[k].pairs);
    }
}

/* Multisample flow matching's order of the couplings by what their pairs cost. */
static void couplings_are_ordered_by_their_cost(void **state)
{
    (void)state;
    enum { N = 128 };
    static const char *const kinds[] = {"ot", "sinkhorn", "independent"};
    float source[2 * N], data[2 * N];
    int64_t pairs[N];
    double before = 0;
    make_points(N, 2, 77, source, data);
    for (int k = 0; k < TW_COUNT(kinds); k++) {
        tw_coupling_batch batch = {.points = N, .source = source, .data = data};
        assert_int_equal(pair((tw_coupling_desc){.kind = kinds[k], .columns = 2}, batch, pairs, NULL), TW_OK);
        double total = total_of(N, 2, source, data, pairs);
        assert_true(total > before);
        before = total;
    }
}

/* ---- labels, conditions, other costs ---- */

static void labels_keep_to_themselves(void **state)
{
    (void)state;
    enum { N = 90 };
    float source[2 * N], data[2 * N], part_source[2 * N], part_data[2 * N];
    int64_t label[N], source_label[N], pairs[N], part[N];
    make_points(N, 2, 21, source, data);
    for (int i = 0; i < N; i++) label[i] = i * 7 % 10 < 3 ? -5 : i * 7 % 10 < 9 ? 2 : 1000;
    for (int i = 0; i < N; i++) source_label[i] = label[(i + 4) % N];
    for (int own = 0; own < 2; own++)
        for (int kind = 0; tw_coupling_list(kind); kind++) {
            int64_t rows[N];
            const char *name = tw_coupling_list(kind)->name;
            const int64_t *sources = own ? source_label : label;
            tw_coupling_batch batch = {.points = N,
                                       .source = source,
                                       .data = data,
                                       .data_label = label,
                                       .source_label = own ? source_label : NULL};
            assert_int_equal(pair((tw_coupling_desc){.kind = name, .columns = 2}, batch, pairs, rows), TW_OK);
            for (int i = 0; i < N; i++) assert_int_equal(sources[pairs[i]], label[rows[i]]);
            if (is_permutation_kind(name)) assert_permutation(N, pairs);
            if (strcmp(name, "ot") != 0) continue;
            double total = total_of(N, 2, source, data, pairs), sum = 0;
            for (int v = 0; v < 3; v++) {
                int64_t value = v == 0 ? -5 : v == 1 ? 2 : 1000, n = 0, m = 0;
                for (int i = 0; i < N; i++) {
                    if (label[i] == value) memcpy(part_data + 2 * n++, data + 2 * i, 2 * sizeof(float));
                    if (sources[i] == value) memcpy(part_source + 2 * m++, source + 2 * i, 2 * sizeof(float));
                }
                assert_int_equal(n, m);
                batch = (tw_coupling_batch){.points = n, .source = part_source, .data = part_data};
                assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = 2}, batch, part, NULL), TW_OK);
                sum += total_of(n, 2, part_source, part_data, part);
            }
            assert_true(fabs(total - sum) <= 1e-12 * sum);
        }
    source_label[3] = 77;
    tw_coupling_batch batch = {
        .points = N, .source = source, .data = data, .data_label = label, .source_label = source_label};
    assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = 2}, batch, pairs, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "equally often"));
}

static void conditions_weigh_in(void **state)
{
    (void)state;
    enum { N = 80 };
    float source[2 * N], data[2 * N], condition[N];
    int64_t plain[N], pairs[N], label[N];
    make_points(N, 2, 31, source, data);
    for (int i = 0; i < N; i++) label[i] = i % 4, condition[i] = (float)label[i];
    tw_coupling_batch batch = {.points = N, .source = source, .data = data, .data_condition = condition};
    assert_int_equal(pair((tw_coupling_desc){.kind = "ot", .columns = 2}, batch, plain, NULL), TW_OK);
    tw_coupling_desc desc = {.kind = "ot", .columns = 2, .condition_columns = 1};
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_OK);
    assert_memory_equal(plain, pairs, sizeof plain);
    desc.condition_weight = 1e6;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_OK);
    for (int i = 0; i < N; i++) assert_int_equal(label[pairs[i]], label[i]);
    double apart = total_of(N, 2, source, data, pairs), together = total_of(N, 2, source, data, plain);
    desc.condition_weight = 1;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_OK);
    double between = total_of(N, 2, source, data, pairs);
    assert_true(together < between && between < apart);
    batch.data_condition = NULL;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
}

static void manhattan(void *user, int64_t n, int64_t columns, const float *source, const float *data, double *out_cost)
{
    for (int64_t i = 0; i < n * n; i++) {
        out_cost[i] = 0;
        for (int64_t c = 0; c < columns; c++)
            out_cost[i] += fabs((double)data[i / n * columns + c] - (double)source[i % n * columns + c]);
    }
    if (user) out_cost[n + 2] = *(const double *)user;
}

static void other_costs_are_asked_for(void **state)
{
    (void)state;
    enum { N = 6 };
    /* on a line every convex cost pairs by rank */
    float source[N] = {5, 1, 3, 2, 4, 0}, data[N] = {10, 20, 30, 60, 50, 40};
    int64_t pairs[N], nearest[N] = {5, 1, 3, 0, 4, 2};
    double bad = (double)NAN;
    tw_coupling_batch batch = {.points = N, .source = source, .data = data};
    tw_coupling_desc desc = {.kind = "ot", .columns = 1};
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_OK);
    assert_memory_equal(pairs, nearest, sizeof pairs);
    desc.cost = manhattan;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_OK);
    double total = 0;
    for (int i = 0; i < N; i++) total += fabs((double)data[i] - (double)source[pairs[i]]);
    assert_true(fabs(total - 195) < 1e-12);
    desc.cost_user = &bad;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "data row 1 with source row 2"));
}

/* ---- refusals and memory ---- */

static void bad_input_is_refused_with_a_sentence(void **state)
{
    (void)state;
    float source[8] = {0, 1, 2, 3, 4, 5, 6, 7}, data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int64_t pairs[4] = {-9, -9, -9, -9};
    tw_coupling_batch batch = {.points = 4, .source = source, .data = data};
    tw_coupling_desc desc = {.kind = "ot", .columns = 2, .most_points = 4};
    data[5] = (float)NAN;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "data row 2 is nan in column 1"));
    data[5] = 0, source[6] = -HUGE_VALF;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(ctx), "source row 3 is -inf in column 0"));
    assert_int_equal(pairs[0], -9);
    source[6] = 0, batch.points = 5;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    desc.kind = "sinkhron";
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "did you mean 'sinkhorn'?"));
    desc.kind = "sinkhorn", desc.reg = -1;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "reg is -1"));
    desc.reg = (double)NAN;
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    desc = (tw_coupling_desc){.kind = "ot", .columns = 2, .most_points = INT64_MAX / 2};
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "1048576"));
    desc = (tw_coupling_desc){.kind = "ot", .columns = INT64_MAX / 2, .most_points = 4};
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
    desc = (tw_coupling_desc){.kind = "ot", .columns = 0, .most_points = 4};
    assert_int_equal(pair(desc, batch, pairs, NULL), TW_ERR_INVALID);
}

/* A parameter in the name is the field of that name; a field that is set wins. */
static void parameters_have_names_and_ranges(void **state)
{
    (void)state;
    float source[40], data[40];
    int64_t by_name[20], by_field[20], both[20];
    make_points(20, 2, 1, source, data);
    tw_coupling_batch batch = {.points = 20, .source = source, .data = data};
    tw_coupling_desc desc = {.kind = "sinkhorn:reg=3", .most_points = 20, .columns = 2};
    assert_int_equal(pair(desc, batch, by_name, NULL), TW_OK);
    desc = (tw_coupling_desc){.kind = "sinkhorn", .most_points = 20, .columns = 2, .reg = 3};
    assert_int_equal(pair(desc, batch, by_field, NULL), TW_OK);
    assert_memory_equal(by_name, by_field, sizeof by_name);
    desc.kind = "sinkhorn:reg=0.01";
    assert_int_equal(pair(desc, batch, both, NULL), TW_OK);
    assert_memory_equal(both, by_field, sizeof both);
    desc.kind = "sinkhorn:rag=0.01";
    assert_int_equal(pair(desc, batch, both, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "reg"));
    desc.kind = "partial:mass=2";
    assert_int_equal(pair(desc, batch, both, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "mass"));
    for (int k = 0; tw_coupling_list(k); k++)
        for (const tw_piece_parameter *p = tw_coupling_list(k)->parameters; p->name; p++)
            assert_true(p->low <= p->standard && p->standard <= p->high);
}

static tw_status make_and_pair(tw_context *own, void *user)
{
    float source[40], data[40];
    int64_t pairs[20], rows[20];
    tw_coupler *coupler = NULL;
    limited_memory *memory = own->alloc_user;
    (void)user;
    make_points(20, 2, 1, source, data);
    tw_status status = TW_OK;
    for (int kind = 0; tw_coupling_list(kind) && status == TW_OK; kind++) {
        tw_coupling_desc desc = {.kind = tw_coupling_list(kind)->name, .most_points = 20, .columns = 2};
        status = tw_coupler_create(own, &desc, &coupler);
        if (status != TW_OK) return status;
        int64_t made = memory->made; /* pairing allocates nothing */
        tw_coupling_batch batch = {.points = 20, .source = source, .data = data};
        status = tw_coupler_pair(coupler, &batch, pairs, rows);
        assert_int_equal(memory->made, made);
        tw_coupler_destroy(coupler);
    }
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    run_with_limited_memory(make_and_pair, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_exact_where_it_matters),
        cmocka_unit_test(ot_costs_what_scipy_says),
        cmocka_unit_test(stable_pairs_have_no_better_pair_between_them),
        cmocka_unit_test(entropic_plans_are_those_of_pot),
        cmocka_unit_test(entropic_partial_plans_are_those_of_pot),
        cmocka_unit_test(entropic_partial_leaves_far_points_out),
        cmocka_unit_test(marginals_are_uniform_however_small_the_regularisation),
        cmocka_unit_test(draws_follow_the_plan),
        cmocka_unit_test(unbalanced_leaves_outliers_out),
        cmocka_unit_test(partial_pairs_are_the_cheapest_of_their_number),
        cmocka_unit_test(partial_totals_are_those_of_pot),
        cmocka_unit_test(unequal_transports_are_those_of_pot),
        cmocka_unit_test(all_kinds_take_all_batches),
        cmocka_unit_test(torchcfm_142_no_point_is_left_out_or_comes_twice),
        cmocka_unit_test(torchcfm_117_sources_do_not_tell_the_label),
        cmocka_unit_test(threads_pair_alike),
        cmocka_unit_test(couplings_are_ordered_by_their_cost),
        cmocka_unit_test(labels_keep_to_themselves),
        cmocka_unit_test(conditions_weigh_in),
        cmocka_unit_test(other_costs_are_asked_for),
        cmocka_unit_test(bad_input_is_refused_with_a_sentence),
        cmocka_unit_test(parameters_have_names_and_ranges),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
