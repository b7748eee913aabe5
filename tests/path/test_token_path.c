/* Token paths: the continuity equation, the least kinetic energy, exact moves of mixtures, other libraries' values of
 * the loss, graph and host, and what happens at both ends. */
#include "path/token_path.h"

#include "base/philox.h"
#include "graph/reference.h"
#include "path/schedule_of.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static tw_random dice = {.seed = 7, .stream = 1};

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, expected %.17g", got, want);
}

enum { K = 5, MOST = K + 1, PATHS = 7 };

/* Mixtures with and without mask and noise, metric paths of ordinal and of random distances. */
static const char *const schedules[PATHS] = {"condot", "polynomial", "geodesic:0.2", "cubic:1,2", "condot", NULL, NULL};
static const int masks[PATHS] = {1, 0, 0, 1, 0, 0, 0};
static const double noises[PATHS] = {0, 0, 0, 0.7, 1, 0, 0};

static double ordinal[K * K], any[K * K];

static tw_token_path path_of(int index, tw_schedule *schedule)
{
    tw_token_path path = {.symbols = K, .states = K + masks[index], .noise = noises[index], .scale = 0.7, .power = 0.9};
    if (schedules[index]) {
        *schedule = schedule_of(schedules[index]);
        path.schedule = schedule;
        return path;
    }
    tw_token_distances(K, 0, NULL, 2, ordinal);
    for (int i = 0; i < K * K; i++) any[i] = i % (K + 1) ? 0.1 + 3 * tw_random_uniform(&dice) : 0;
    path.distance = index == PATHS - 1 ? any : ordinal;
    *schedule = (tw_schedule){0};
    return path;
}

/* What flows into y minus what flows out of it. */
static double divergence(int states, double rates[MOST][MOST], const double *p, int y)
{
    double sum = 0;
    for (int x = 0; x < states; x++) sum += p[x] * rates[x][y] - p[y] * rates[y][x];
    return sum;
}

static void test_continuity(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        for (int trial = 0; trial < 200; trial++) {
            double t = tw_random_uniform(&dice), p[MOST], slope[MOST], rates[MOST][MOST], sum = 0;
            int x1 = (int)tw_random_below(&dice, K), x0 = (int)tw_random_below(&dice, path.states + 1) - 1;
            tw_token_law(&path, t, x0, x1, p, slope);
            for (int x = 0; x < path.states; x++) tw_token_rates(&path, t, x, x1, rates[x]);
            for (int y = 0; y < path.states; y++) {
                near(divergence(path.states, rates, p, y), slope[y], 1e-12);
                assert_true(p[y] >= 0);
                sum += p[y];
            }
            near(sum, 1, 1e-14);
        }
        tw_piece_free(ctx, &schedule);
    }
}

/* The slope in t is the pace times that in the clock, and the clock's slope is the pace. */
static void test_clock(void **state)
{
    (void)state;
    const double h = 1e-6;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        near(tw_token_clock(&path, 0), 0, 1e-15);
        assert_true(isinf(tw_token_clock(&path, 1)));
        for (double t = 0.03; t < 0.98; t += 0.041) {
            double pace = tw_token_pace(&path, t), before[MOST], after[MOST], slope[MOST];
            near((tw_token_clock(&path, t + h) - tw_token_clock(&path, t - h)) / (2 * h), pace,
                 1e-7 * (1 + pace * pace));
            tw_token_law(&path, t - h, 2, 1, before, NULL);
            tw_token_law(&path, t + h, 2, 1, after, NULL);
            tw_token_law(&path, t, 2, 1, NULL, slope);
            for (int y = 0; y < path.states; y++)
                near((after[y] - before[y]) / (2 * h), pace * slope[y], 1e-7 * (1 + pace * pace));
            near(tw_token_time(&path, tw_token_clock(&path, t)), t, 1e-12);
        }
        assert_true(tw_token_time(&path, (double)INFINITY) == 1);
        tw_piece_free(ctx, &schedule);
    }
}

static void random_law(double *p, double *dp)
{
    double sum = 0, rise = 0;
    for (int x = 0; x < K; x++) sum += p[x] = -log(tw_random_uniform(&dice));
    for (int x = 0; x < K; x++) p[x] /= sum;
    for (int x = 0; x < K; x++) rise += dp[x] = tw_random_normal(&dice);
    for (int x = 0; x < K; x++) dp[x] -= rise / K;
}

static double energy(double flux[K][K], const double *p)
{
    double sum = 0;
    for (int x = 0; x < K; x++)
        for (int y = 0; y < K; y++)
            if (x != y) sum += flux[x][y] * flux[x][y] / (p[x] * p[y]);
    return sum;
}

/* Another flux with the same divergence: any circulation added to the net flow, and the same both ways on top. */
static void another_flux(double flux[K][K], double size, double out[K][K])
{
    double net[K][K];
    for (int x = 0; x < K; x++)
        for (int y = 0; y < K; y++) net[x][y] = flux[x][y] - flux[y][x];
    for (int c = 0; c < 10; c++) {
        int a = (int)tw_random_below(&dice, K), b = (int)tw_random_below(&dice, K), d = (int)tw_random_below(&dice, K);
        double w = size * tw_random_normal(&dice);
        if (a == b || b == d || a == d) continue;
        net[a][b] += w, net[b][a] -= w;
        net[b][d] += w, net[d][b] -= w;
        net[d][a] += w, net[a][d] -= w;
    }
    for (int x = 0; x < K; x++)
        for (int y = 0; y < x; y++) {
            double both = size * tw_random_uniform(&dice) * (tw_random_uniform(&dice) < 0.3);
            out[x][y] = fmax(net[x][y], 0) + both;
            out[y][x] = fmax(net[y][x], 0) + both;
        }
}

static void test_least_kinetic_energy(void **state)
{
    (void)state;
    for (int law = 0; law < 20; law++) {
        double p[K], dp[K], flux[K][K] = {{0}}, rates[MOST][MOST] = {{0}};
        random_law(p, dp);
        for (int x = 0; x < K; x++) {
            tw_kinetic_rates(K, p, dp, x, rates[x]);
            for (int y = 0; y < K; y++) flux[x][y] = p[x] * rates[x][y];
        }
        for (int y = 0; y < K; y++) near(divergence(K, rates, p, y), dp[y], 1e-12);
        double least = energy(flux, p);
        for (int trial = 0; trial < 100; trial++) {
            double other[K][K] = {{0}};
            another_flux(flux, trial % 2 ? 0.01 : 0.3, other);
            assert_true(energy(other, p) >= least * (1 - 1e-12));
        }
    }
}

/* Rates of paths without noise are those of least energy of their law, given x_1 and a source. */
static void test_paths_are_kinetic_optimal(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        for (int trial = 0; path.noise == 0 && trial < 50; trial++) {
            double t = tw_random_uniform(&dice), p[MOST], slope[MOST], own[MOST], best[MOST];
            int x1 = (int)tw_random_below(&dice, K), x = path.states > K ? K : (int)tw_random_below(&dice, K);
            tw_token_law(&path, t, -1, x1, p, slope);
            tw_token_rates(&path, t, x, x1, own);
            tw_kinetic_rates(path.states, p, slope, x, best);
            for (int y = 0; y < path.states; y++) near(own[y], best[y], 1e-12);
        }
        tw_piece_free(ctx, &schedule);
    }
    /* a state without probability sends nothing */
    double p[3] = {0, 0.5, 0.5}, dp[3] = {1, -1, 0}, out[3];
    tw_kinetic_rates(3, p, dp, 0, out);
    assert_true(out[0] == 0 && out[1] == 0 && out[2] == 0);
}

/* Theorem 3 of Discrete flow matching: rates not below 0 that satisfy the continuity equation, also with a component
 * that is only there on the way; and the paths with noise are its case of three. */
static void test_mixture_of_many(void **state)
{
    (void)state;
    enum { M = 4 };
    for (int trial = 0; trial < 100; trial++) {
        double w[M][K], kappa[M], slope[M], a[M], b, p[K] = {0}, dp[K] = {0}, rates[MOST][MOST] = {{0}}, scrap[K];
        double sum = 0, rise = 0, part[M], share[M];
        for (int j = 0; j < M; j++) {
            random_law(w[j], scrap);
            sum += part[j] = tw_random_uniform(&dice);
            rise += share[j] = tw_random_normal(&dice);
        }
        for (int j = 0; j < M; j++) {
            kappa[j] = part[j] / sum;
            slope[j] = share[j] - rise / M;
            for (int x = 0; x < K; x++) p[x] += kappa[j] * w[j][x], dp[x] += slope[j] * w[j][x];
        }
        tw_components_velocity(M, kappa, slope, a, &b);
        for (int x = 0; x < K; x++)
            for (int y = 0; y < K; y++)
                for (int j = 0; j < M && x != y; j++) rates[x][y] += a[j] * w[j][y];
        for (int j = 0; j < M; j++) assert_true(a[j] >= 0);
        for (int y = 0; y < K; y++) near(divergence(K, rates, p, y), dp[y], 1e-12);
    }
    tw_schedule schedule;
    tw_token_path path = path_of(3, &schedule);
    for (double t = 0.1; t < 1; t += 0.1) {
        tw_schedule_point at = tw_schedule_at(&schedule, t);
        double c = path.noise, k = at.alpha, dk = at.d_alpha, a[3], b, rates[MOST], pace = tw_token_pace(&path, t);
        double kappa[3] = {(1 - k) * (1 - c * k), c * k * (1 - k), k};
        double slope[3] = {-dk * (1 - c * k) - c * dk * (1 - k), c * dk * (1 - 2 * k), dk};
        tw_components_velocity(3, kappa, slope, a, &b);
        tw_token_rates(&path, t, K, 1, rates);
        near(pace, -b, 1e-12 * -b);
        for (int y = 0; y < K; y++) near(pace * rates[y], a[1] / K + (y == 1 ? a[2] : 0), 1e-11 * -b);
    }
    tw_piece_free(ctx, &schedule);
}

/* Draws at t, moved to s, have the law at s; in one step, however long. Metric paths in many. */
static void test_moves(void **state)
{
    (void)state;
    enum { N = 40000 };
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        const double t = 0.3, s = 0.7;
        int steps = path.distance ? 64 : 1, x1 = 3;
        double want[MOST], count[MOST] = {0};
        tw_token_law(&path, s, -1, x1, want, NULL);
        for (int n = 0; n < N; n++) {
            int x = tw_token_draw(&path, t, -1, x1, (n + 0.5) / N);
            for (int k = 0; k < steps; k++)
                x = tw_token_move(&path, t + (s - t) * k / steps, t + (s - t) * (k + 1) / steps, 1, x, x1,
                                  tw_random_uniform(&dice), tw_random_uniform(&dice));
            count[x] += 1.0 / N;
            assert_int_equal(tw_token_move(&path, s, 1, 1, x, x1, 0.999999, 0.5), x1);
        }
        for (int y = 0; y < path.states; y++) near(count[y], want[y], 0.012); /* 4 deviations; 2 % of a step's length */
        tw_piece_free(ctx, &schedule);
    }
}

/* flow_matching 1.0.10, MixturePathGeneralizedKL in float64; at t = 1 it is infinite there. */
static void test_generalised_kl_of_flow_matching(void **state)
{
    (void)state;
    static const double logits[2][4] = {{0, 1, 2, -1}, {0.5, 0, 0, 0}};
    static const int x1[2] = {2, 1}, xt[2] = {2, 3};
    static const double golden[2][2] = {{0.5086939144, 1.8878275253}, {0.2347818067, 0.8713050117}};
    for (int n = 1; n <= 2; n++) {
        tw_schedule schedule = schedule_of(n == 1 ? "polynomial:1" : "polynomial:2");
        tw_token_path path = {.symbols = 4, .states = 4, .schedule = &schedule};
        for (int i = 0; i < 2; i++) {
            double log_p[4], sum = 0, scratch[12];
            for (int k = 0; k < 4; k++) sum += exp(logits[i][k]);
            for (int k = 0; k < 4; k++) log_p[k] = logits[i][k] - log(sum);
            double loss = tw_token_divergence(&path, 0.3, xt[i], x1[i], log_p, scratch);
            near(tw_token_pace(&path, 0.3) * loss, golden[n - 1][i], 1e-9);
            assert_true(isfinite(tw_token_divergence(&path, 1, xt[i], x1[i], log_p, scratch)));
        }
        tw_piece_free(ctx, &schedule);
    }
}

/* The divergence is 0 for the posterior that gives x_1 for sure, and above it for others. */
static void test_divergence(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        for (int trial = 0; trial < 50; trial++) {
            double p[K], dp[K], log_p[K], sure[K], scratch[3 * MOST], t = tw_random_uniform(&dice);
            int x = (int)tw_random_below(&dice, path.states), x1 = (int)tw_random_below(&dice, K);
            random_law(p, dp);
            for (int y = 0; y < K; y++) log_p[y] = log(p[y]), sure[y] = y == x1 ? 0 : (double)-INFINITY;
            near(tw_token_divergence(&path, t, x, x1, sure, scratch), 0, 1e-14);
            double loss = tw_token_divergence(&path, t, x, x1, log_p, scratch), r[MOST], q[MOST], want = 0;
            tw_token_rates(&path, t, x, x1, r);
            tw_token_rates_mean(&path, t, x, p, q);
            for (int y = 0; y < path.states; y++)
                if (y != x) want += q[y] - r[y] + (r[y] > 0 ? r[y] * log(r[y] / q[y]) : 0);
            near(loss, want, 1e-12);
            assert_true(loss >= 0);
        }
        tw_piece_free(ctx, &schedule);
    }
}

/* Evidence is log p_t(x | x_1) less what does not depend on x_1; of metric paths less the norm, too. */
static void test_evidence(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        tw_graph *graph = NULL;
        path.uniform = path.states == K;
        double x[2] = {1, path.states - 1}, t = 0.37, got[2 * K], law[K][MOST];
        for (int x1 = 0; x1 < K; x1++) tw_token_law(&path, t, -1, x1, law[x1], NULL);
        assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
        tw_val in[2] = {tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(1, 2)),
                        tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(1))};
        tw_val evidence = tw_token_evidence(&path, in[0], in[1]);
        if (path.states > K && path.noise == 0) {
            assert_true(tw_is_none(evidence));
        } else {
            assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x, &t}, 1, &evidence, (double *[]){got}),
                             TW_OK);
            for (int k = 0; k < 2 * K; k++) {
                int own = (int)x[k / K], x1 = k % K, norm = path.distance != NULL;
                double want = log(law[x1][own]) - log(law[0][own]);
                if (norm) want -= log(law[x1][x1]) - log(law[0][0]);
                near(got[k] - got[k - k % K], want, 1e-10);
            }
        }
        tw_graph_destroy(graph);
        tw_piece_free(ctx, &schedule);
    }
}

static void test_graph_and_host_agree(void **state)
{
    (void)state;
    enum { B = 60, T = 40 };
    static double x0[B * T], x1[B * T], t[B], u[B * T], point[B * T], pace[B];
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        for (int k = 0; k < B * T; k++) {
            x0[k] = path.states > K ? K : (double)tw_random_below(&dice, K);
            x1[k] = (double)tw_random_below(&dice, K);
            u[k] = tw_random_uniform(&dice);
            t[k / T] = (double)(k / T) / B;
        }
        tw_graph *graph = NULL;
        assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
        tw_shape points = tw_shape_of(B, T);
        tw_val in[4] = {tw_input(graph, "x0", TW_DTYPE_F64, points), tw_input(graph, "x1", TW_DTYPE_F64, points),
                        tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B)), tw_input(graph, "u", TW_DTYPE_F64, points)};
        tw_val out[2] = {tw_token_point(&path, in[0], in[1], in[2], in[3]), tw_token_pace_at(&path, in[2])};
        assert_int_equal(tw_graph_check(graph), TW_OK);
        assert_int_equal(
            tw_reference_run(ctx, 4, in, (const double *[]){x0, x1, t, u}, 2, out, (double *[]){point, pace}), TW_OK);
        for (int k = 0; k < B * T; k++)
            assert_int_equal((int)point[k], tw_token_draw(&path, t[k / T], (int)x0[k], (int)x1[k], u[k]));
        for (int k = 1; k < B; k++) near(pace[k], tw_token_pace(&path, t[k]), 1e-10 * (1 + pace[k]));
        tw_graph_destroy(graph);
        tw_piece_free(ctx, &schedule);
    }
}

/* At both ends everything is what it should be, and finite. */
static void test_ends(void **state)
{
    (void)state;
    for (int i = 0; i < PATHS; i++) {
        tw_schedule schedule;
        tw_token_path path = path_of(i, &schedule);
        for (int end = 0; end < 2; end++)
            for (int x = 0; x < path.states; x++) {
                double p[MOST], slope[MOST], rates[MOST];
                tw_token_law(&path, end, -1, 2, p, slope);
                tw_token_rates(&path, end, x, 2, rates);
                double even = path.states > K ? x == K : 1.0 / K;
                near(p[x], end ? x == 2 : even, 1e-15);
                for (int y = 0; y < path.states; y++) assert_true(isfinite(slope[y]) && isfinite(rates[y]));
                int moved = tw_token_move(&path, 0, 1e-9, 1, x, 2, 0.5, 0.5);
                assert_int_equal(moved, x);
            }
        for (double u = 0.05; u < 1; u += 0.1) assert_int_equal(tw_token_draw(&path, 1, -1, 2, u), 2);
        tw_piece_free(ctx, &schedule);
    }
}

static void test_convex(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool convex;
    } cases[] = {{"condot", true},      {"polynomial:3", true}, {"cubic:1,0", true},
                 {"mask_cosine", true}, {"geodesic:0.5", true}, {"cosine", false},
                 {"vp", false},         {"edm", false},         {"rectified", false}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_schedule schedule = schedule_of(cases[i].name);
        assert_int_equal(tw_schedule_is_convex(&schedule), cases[i].convex);
        tw_piece_free(ctx, &schedule);
    }
    /* kinetic-optimal for a mask: sin^2(pi t / 2) */
    tw_schedule mask = schedule_of("geodesic");
    for (double t = 0; t <= 1; t += 0.125)
        near(tw_schedule_at(&mask, t).alpha, pow(sin(1.5707963267948966 * t), 2), 1e-15);
    tw_piece_free(ctx, &mask);
}

/* Levels a distance of ten apart on some line are levels; of a square in the plane sides are 1 and the diagonal is
 * longer. */
static void test_places(void **state)
{
    (void)state;
    enum { LEVELS = 6 };
    double line[2 * LEVELS], levels[LEVELS * LEVELS], placed[LEVELS * LEVELS], square[16];
    for (int i = 0; i < LEVELS; i++) line[2 * i] = 6 * i - 3, line[2 * i + 1] = 100 - 8 * i;
    tw_token_distances(LEVELS, 0, NULL, 1.7, levels);
    tw_token_distances(LEVELS, 2, line, 1.7, placed);
    for (int i = 0; i < LEVELS * LEVELS; i++) {
        assert_true(fabs(levels[i] - pow(fabs((double)(i / LEVELS - i % LEVELS)), 1.7)) < 1e-12);
        assert_true(fabs(placed[i] - levels[i]) < 1e-12);
    }
    const double corner[] = {0, 0, 7, 0, 7, 7, 0, 7};
    tw_token_distances(4, 2, corner, 2, square);
    for (int i = 0; i < 16; i++)
        assert_true(fabs(square[i] - (i / 4 == i % 4 ? 0 : (i / 4 + i % 4) % 2 ? 1 : 2)) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_continuity),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_least_kinetic_energy),
        cmocka_unit_test(test_paths_are_kinetic_optimal),
        cmocka_unit_test(test_mixture_of_many),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_generalised_kl_of_flow_matching),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_graph_and_host_agree),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_convex),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
