/* Chains of tokens: the law simulated is that of the matrix exponential, order by order; with exact posteriors that of
 * the path at any t; correctors leave it alone; clamped tokens, shaped draws, threads of rows; the defects of another
 * library as tests of their own. */
#include "solve/jump_inside.h"

#include "base/philox.h"
#include "path/schedule_of.h"
#include "solve/token_problems.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, expected %.17g", got, want);
}

/* Runs rows of `tokens` from the source at t = 0 in one leg; x is the caller's. */
static void run(const tw_jump_desc *desc, double until, int64_t steps, tw_logits_fn model, void *user, int64_t rows,
                int tokens, int32_t *x, const unsigned char *held, tw_jump_stats *stats)
{
    tw_jump *jump = NULL;
    tw_jump_stats own = {0};
    tw_jump_leg leg = {.t1 = until, .steps = steps};
    if (!held) tw_token_source(desc->path, desc->seed, 0, rows, tokens, x);
    tw_status status = tw_jump_create(ctx, desc, 512, tokens, &jump);
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
    assert_int_equal(tw_jump_run(jump, &leg, model, user, rows, x, held, stats ? stats : &own), TW_OK);
    tw_jump_destroy(jump);
}

/* --- against the matrix exponential ------------------------------------------------------------------------------ */

/* A model that is no posterior of anything: two tokens, what is said of each depends on the other one, not on t. */
typedef struct made_up {
    int symbols, states;
    double says[2][6][5]; /* of the token, by the other one */
    float logits[2][6][5];
} made_up;

/* bend: how much the other token matters. */
static made_up make_up(int symbols, bool masked, double bend)
{
    made_up m = {.symbols = symbols, .states = symbols + masked};
    for (int i = 0; i < 2; i++)
        for (int other = 0; other < m.states; other++) {
            double sum = 0;
            for (int a = 0; a < symbols; a++)
                sum += m.says[i][other][a] = exp(0.5 * sin(1.3 * a + i) + bend * cos(1.7 * (other + 1) * (a + 1)));
            for (int a = 0; a < symbols; a++) {
                m.says[i][other][a] /= sum;
                m.logits[i][other][a] = (float)log(m.says[i][other][a]);
            }
        }
    return m;
}

static tw_status made_up_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                float *out)
{
    const made_up *m = user;
    (void)t, (void)row;
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < 2; i++)
            memcpy(out + (2 * r + i) * m->symbols, m->logits[i][x[2 * r + 1 - i]], (size_t)m->symbols * sizeof(float));
    return TW_OK;
}

/* Its chain per unit of clock: a token goes to a at the rate that is said of a; a mask's tokens move once. */
static void made_up_law(const made_up *m, double clock, double *law)
{
    int S = m->states, n = S * S;
    bool masks = S > m->symbols;
    double Q[36 * 36] = {0};
    for (int x = 0; x < n; x++)
        for (int i = 0; i < 2; i++) {
            int own = i ? x % S : x / S, other = i ? x / S : x % S;
            for (int a = 0; a < m->symbols; a++) {
                int y = i ? x / S * S + a : a * S + x % S;
                if (y == x || (masks && own < m->symbols)) continue;
                Q[x * n + y] += m->says[i][other][a];
                Q[x * n + x] -= m->says[i][other][a];
            }
        }
    for (int x = 0; x < n; x++) law[x] = masks ? x == n - 1 : 1.0 / n;
    follow_rates(n, Q, clock, law);
}

enum { MANY = 1 << 18 };
static int32_t rows_of_two[2 * MANY];

/* TV from the law at t = 0.6; *out_noise: what draws alone would leave of it, sqrt(2 / (pi rows)) sum sqrt(p) / 2. */
static double error_of(const made_up *m, const char *method, const char *schedule_name, int64_t rows, int steps,
                       bool stratified, double *out_noise)
{
    int n = m->states * m->states;
    double law[64], got[64], roots = 0;
    tw_schedule schedule = schedule_of(schedule_name);
    tw_token_path path = {.symbols = m->symbols, .states = m->states, .schedule = &schedule};
    tw_jump_desc desc = {.method = method, .path = &path, .seed = 5, .stratified = stratified};
    const double until = 0.6;
    made_up_law(m, tw_token_clock(&path, until), law);
    run(&desc, until, steps, made_up_logits, (void *)(uintptr_t)m, rows, 2, rows_of_two, NULL, NULL);
    pair_histogram(m->states, rows, rows_of_two, got);
    tw_piece_free(ctx, &schedule);
    for (int i = 0; i < n; i++) roots += sqrt(law[i]);
    if (out_noise) *out_noise = 0.4 * roots / sqrt((double)rows);
    return total_variation(n, got, law);
}

/* Vocabularies of 2 to 5: what is left is noise of draws, 40 % more of it at most, and 1/48 of the way's error. */
static void test_law_is_the_matrix_exponential(void **state)
{
    (void)state;
    enum { ROWS = 1 << 13 };
    for (int symbols = 2; symbols <= 5; symbols++)
        for (int masked = 0; masked < 2; masked++) {
            made_up m = make_up(symbols, masked, 1);
            double noise, error = error_of(&m, "euler", "condot", ROWS, 48, false, &noise);
            if (!(error < 1.4 * noise + 0.003)) fail_msg("euler, %d symbols, mask %d: TV %g", symbols, masked, error);
            if (!masked) continue;
            error = error_of(&m, "first_hitting", "polynomial:2", ROWS, 0, false, &noise);
            if (!(error < 1.4 * noise)) fail_msg("first_hitting, %d symbols: TV %g", symbols, error);
        }
}

/* Stratified draws leave about 0.002 of TV. */
static void test_orders(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++) {
        made_up m = make_up(2, masked, 0.5);
        const char *const first[] = {"euler", "tau_leaping"};
        double errors[2];
        for (int i = 0; i < 2; i++) {
            double coarse = error_of(&m, first[i], "condot", MANY, 1, true, NULL);
            double fine = errors[i] = error_of(&m, first[i], "condot", MANY, 4, true, NULL);
            if (!(coarse / fine > 2.6 && coarse / fine < 5)) fail_msg("%s: %g and %g", first[i], coarse, fine);
        }
        double one = error_of(&m, "trapezoidal", "condot", MANY, 1, true, NULL);
        double two = error_of(&m, "trapezoidal", "condot", MANY, 2, true, NULL);
        if (!(two < errors[0] / 2) || (!masked && !(one / two > 2.6))) fail_msg("trapezoidal: %g and %g", one, two);
    }
}

/* --- with exact posteriors --------------------------------------------------------------------------------------- */

enum { K = 4, ROWS = 10000 };

/* Correlated. */
static void world_of(double p[K * K])
{
    double sum = 0;
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) sum += p[a * K + b] = (a / 2 + b / 2) % 2 ? 0.5 : 2 + a + 2 * b;
    for (int i = 0; i < K * K; i++) p[i] /= sum;
}

/* Runs the world of pairs; the chi-square of the law at `until` as a normal number. */
static double law_off(tw_jump_desc *desc, double until, int64_t steps, double *out_tv)
{
    double p[K * K], want[64], got[64];
    int n = desc->path->states * desc->path->states;
    world_of(p);
    pair_world world = {.path = desc->path, .p = p};
    run(desc, until, steps, pair_logits, &world, ROWS, 2, rows_of_two, NULL, NULL);
    pair_histogram(desc->path->states, ROWS, rows_of_two, got);
    pair_law(desc->path, p, until, want);
    if (out_tv) *out_tv = total_variation(n, got, want);
    return chi_square_normal(n, ROWS, got, want);
}

/* D5 of flow_matching: stopped at t < 1 it returns draws of the posterior p(x_1 | x_t). Here rows have the law p_t. */
static void test_d5_stops_at_any_t_with_the_law_of_the_path(void **state)
{
    (void)state;
    static double ordinal[K * K];
    tw_schedule condot = schedule_of("condot"), square = schedule_of("polynomial:2");
    tw_token_distances(K, 0, NULL, 1, ordinal);
    const tw_token_path paths[] = {{.symbols = K, .states = K + 1, .schedule = &condot},
                                   {.symbols = K, .states = K, .schedule = &square},
                                   {.symbols = K, .states = K, .schedule = &condot, .noise = 0.5},
                                   {.symbols = K, .states = K + 1, .schedule = &square, .noise = 1},
                                   {.symbols = K, .states = K, .distance = ordinal, .scale = 1, .power = 1}};
    for (int i = 0; i < TW_COUNT(paths); i++)
        for (double t = 0.25; t < 0.8; t += 0.25) {
            tw_jump_desc desc = {.path = &paths[i], .seed = 11};
            /* a metric path's steps have an error of their own, of order h */
            double off = law_off(&desc, t, 128, NULL);
            if (!(off < 3.5)) fail_msg("path %d at t=%g: chi-square is %g deviations off", i, t, off);
        }
    tw_piece_free(ctx, &condot);
    tw_piece_free(ctx, &square);
}

/* At t = 1 only data is left, by every method, and the law is the data's up to what the steps leave. */
static void test_ends_with_data(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    for (int i = 0; tw_jump_list(i); i++)
        for (int masked = 0; masked < 2; masked++) {
            const char *name = tw_jump_list(i)->name;
            tw_token_path path = {.symbols = K, .states = K + masked, .schedule = &condot};
            tw_jump_desc desc = {.method = name, .path = &path, .seed = 3};
            double tv;
            bool exact =
                strcmp(name, "first_hitting") == 0 || strcmp(name, "left_to_right") == 0 || strcmp(name, "margin") == 0;
            if (!masked && exact) continue;
            double off = law_off(&desc, 1, 64, &tv);
            if (!(tv < 0.03)) fail_msg("%s, mask %d: TV %g", name, masked, tv);
            if (exact) assert_true(off < 3.5);
        }
    tw_piece_free(ctx, &condot);
}

/* Of three tokens the last is certain, the first nearly so. */
static tw_status plain_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                              float *out)
{
    static const float logits[3][3] = {{2, 1, -1e30f}, {0, 0, 0}, {-1e30f, -1e30f, 0}};
    int *worst = user;
    (void)row, (void)t;
    for (int64_t r = 0; r < rows; r++, x += 3) {
        memcpy(out + r * 9, logits, sizeof logits);
        bool in_order = (x[0] == 3 || x[2] == 2) && (x[1] == 3 || x[0] < 2);
        if (!in_order) *worst = (int)r;
    }
    return TW_OK;
}

static void test_margins_choose_what_is_plain(void **state)
{
    (void)state;
    enum { SOME = 64 };
    static int32_t x[SOME * 3];
    int worst = -1, ones = 0;
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = 3, .states = 4, .schedule = &condot};
    tw_jump_desc desc = {.method = "margin", .path = &path, .seed = 3};
    run(&desc, 1, 0, plain_logits, &worst, SOME, 3, x, NULL, NULL);
    assert_int_equal(worst, -1);
    for (int r = 0; r < SOME; r++) {
        assert_true(x[3 * r] < 2 && x[3 * r + 1] < 3 && x[3 * r + 2] == 2);
        ones += x[3 * r + 1] == 1;
    }
    assert_in_range(ones, 5, 40); /* a third of them */
    tw_piece_free(ctx, &condot);
}

/* One token and its exact posterior: no step is too long. */
static tw_status one_token_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                  float *out)
{
    const tw_token_path *path = user;
    token_likelihoods at;
    (void)row;
    for (int64_t r = 0; r < rows; r++) {
        if (r == 0 || t[r] != t[r - 1]) likelihoods(path, t[r], at);
        for (int a = 0; a < path->symbols; a++) {
            double p = (a + 1) * at[x[r]][a];
            out[r * path->symbols + a] = p > 0 ? (float)log(p) : -1e30f;
        }
    }
    return TW_OK;
}

static void one_token_law(const tw_token_path *path, double t, double *out)
{
    int n = path->symbols;
    double law[64];
    memset(out, 0, (size_t)path->states * sizeof(double));
    for (int a = 0; a < n; a++) {
        tw_token_law(path, t, -1, a, law, NULL);
        for (int x = 0; x < path->states; x++) out[x] += 2.0 * (a + 1) / (n * (n + 1)) * law[x];
    }
}

static double one_token_off(const tw_jump_desc *desc, double until, int64_t steps, tw_jump_stats *stats)
{
    double want[64], got[64] = {0};
    run(desc, until, steps, one_token_logits, (void *)(uintptr_t)desc->path, ROWS, 1, rows_of_two, NULL, stats);
    for (int r = 0; r < ROWS; r++) got[rows_of_two[r]] += 1.0 / ROWS;
    one_token_law(desc->path, until, want);
    return chi_square_normal(desc->path->states, ROWS, got, want);
}

/* D7 of flow_matching: div_free from t = 0 is an infinite rate with n = 1 and NaN with n = 2. Here the corrector begins
 * at t = 0 with what the path has there, and leaves every p_t as it is. */
static void test_d7_corrector_from_the_start(void **state)
{
    (void)state;
    static const char *const names[] = {"polynomial:1", "polynomial:2"};
    for (int n = 0; n < 2; n++)
        for (int masked = 0; masked < 2; masked++)
            for (int kind = 0; kind < 3; kind++) {
                tw_schedule schedule = schedule_of(names[n]);
                tw_token_path path = {.symbols = K, .states = K + masked, .schedule = &schedule};
                tw_jump_desc desc = {.path = &path, .seed = 19, .refresh = {2, kind * 2.0, kind * 0.25}};
                for (double t = 0.25; t <= 1; t += 0.25) {
                    double off = one_token_off(&desc, t, 3, NULL);
                    if (!(off < 3.5)) fail_msg("n=%d, mask %d, t=%g: %g deviations", n + 1, masked, t, off);
                }
                tw_piece_free(ctx, &schedule);
            }
}

/* Clocks whose exponential is no number any more, such as late ones of a metric path, renew nearly everything. */
static void test_corrector_of_large_clocks(void **state)
{
    (void)state;
    static double ordinal[K * K];
    tw_token_distances(K, 0, NULL, 1, ordinal);
    for (double scale = 1; scale < 1e5; scale *= 1000) {
        tw_token_path path = {.symbols = K, .states = K, .distance = ordinal, .scale = scale, .power = 1};
        tw_jump_desc desc = {.path = &path, .refresh = {2, 1, 0.5}};
        tw_jump *jump = NULL;
        assert_int_equal(tw_jump_create(ctx, &desc, 1, 1, &jump), TW_OK);
        /* tau = scale t / (1 - t), the power of the refresh rate in the middle of the step */
        double weight = 2 * 0.55 * sqrt(0.45), from = scale, to = scale * 1.5, want = 1;
        if (scale < 100) want = 1 - pow(expm1(from) / expm1(to), weight);
        near(tw_jump_renewal(jump, 0.5, 0.6), want, 1e-12);
        near(tw_jump_renewal(jump, 0, 0.6), 1, 0);
        tw_jump_destroy(jump);
    }
}

/* Remasking, too; and it masks what was known. */
static void test_remasking(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = K, .states = K + 1, .schedule = &condot};
    tw_jump_desc desc = {.path = &path, .seed = 23, .remask = 0.1};
    for (double t = 0.25; t <= 1; t += 0.25) {
        double off = one_token_off(&desc, t, 5, NULL);
        if (!(off < 3.5)) fail_msg("t=%g: %g deviations", t, off);
    }
    double p[K * K];
    world_of(p);
    pair_world world = {.path = &path, .p = p};
    tw_jump *jump = NULL;
    tw_jump_stats stats = {0};
    tw_jump_leg leg = {.t0 = 0.5, .t1 = 0.6, .steps = 1};
    int masks = 0;
    for (int i = 0; i < 2000; i++) rows_of_two[i] = 1;
    assert_int_equal(tw_jump_create(ctx, &desc, 100, 2, &jump), TW_OK);
    assert_int_equal(tw_jump_run(jump, &leg, pair_logits, &world, 1000, rows_of_two, NULL, &stats), TW_OK);
    for (int i = 0; i < 2000; i++) masks += rows_of_two[i] == K;
    near(masks / 2000.0, 0.1, 0.03);
    tw_jump_destroy(jump);
    tw_piece_free(ctx, &condot);
}

/* The tolerance is the order's h: TV falls with it, and evaluations grow. */
static void test_tolerance(void **state)
{
    (void)state;
    tw_schedule square = schedule_of("polynomial:2");
    for (int masked = 0; masked < 2; masked++) {
        tw_token_path path = {.symbols = K, .states = K + masked, .schedule = &square};
        double p[K * K], tv[2];
        world_of(p);
        tw_jump_stats stats[2] = {{0}};
        for (int i = 0; i < 2; i++) {
            tw_jump_desc desc = {.path = &path, .seed = 29, .tolerance = i ? 0.05 : 0.5};
            pair_world world = {.path = &path, .p = p};
            double want[64], got[64];
            run(&desc, 1, 0, pair_logits, &world, ROWS, 2, rows_of_two, NULL, &stats[i]);
            pair_histogram(path.states, ROWS, rows_of_two, got);
            pair_law(&path, p, 1, want);
            tv[i] = total_variation(path.states * path.states, got, want);
        }
        if (!(tv[1] < 0.02 && tv[0] > 2 * tv[1])) fail_msg("mask %d: TV %g and %g", masked, tv[0], tv[1]);
        assert_true(stats[1].evaluations > 3 * stats[0].evaluations && stats[1].nfe < 300);
    }
    tw_piece_free(ctx, &square);
}

/* --- what is asked of draws -------------------------------------------------------------------------------------- */

/* A token that is known stays, and the other one has its law given that. */
static void test_clamped_tokens(void **state)
{
    (void)state;
    static unsigned char held[2 * ROWS];
    tw_schedule condot = schedule_of("condot");
    double p[K * K], got[K] = {0}, want[K] = {0}, sum = 0;
    world_of(p);
    for (int masked = 0; masked < 2; masked++) {
        tw_token_path path = {.symbols = K, .states = K + masked, .schedule = &condot};
        tw_jump_desc desc = {.path = &path, .seed = 31};
        pair_world world = {.path = &path, .p = p};
        tw_token_source(&path, 31, 0, ROWS, 2, rows_of_two);
        for (int r = 0; r < ROWS; r++) rows_of_two[2 * r] = 3, held[2 * r] = 1;
        run(&desc, 1, 64, pair_logits, &world, ROWS, 2, rows_of_two, held, NULL);
        for (int r = 0; r < ROWS; r++) {
            assert_int_equal(rows_of_two[2 * r], 3);
            assert_in_range(rows_of_two[2 * r + 1], 0, K - 1);
            if (masked) got[rows_of_two[2 * r + 1]] += 1.0 / ROWS;
        }
    }
    for (int b = 0; b < K; b++) sum += want[b] = p[3 * K + b];
    for (int b = 0; b < K; b++) want[b] /= sum;
    assert_true(chi_square_normal(K, ROWS, got, want) < 3.5);
    tw_piece_free(ctx, &condot);
}

static tw_status fixed_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                              float *out)
{
    (void)t, (void)x, (void)row;
    for (int64_t r = 0; r < rows; r++) memcpy(out + r * K, user, K * sizeof(float));
    return TW_OK;
}

static void shaped(tw_jump_desc desc, double got[K])
{
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = K, .states = K + 1, .schedule = &condot};
    float logits[K] = {0, 1, 2, 1.5f};
    desc.path = &path;
    desc.seed = 37;
    for (int k = 0; k < K; k++) got[k] = 0;
    run(&desc, 1, 4, fixed_logits, logits, ROWS, 1, rows_of_two, NULL, NULL);
    for (int r = 0; r < ROWS; r++) got[rows_of_two[r]] += 1.0 / ROWS;
    tw_piece_free(ctx, &condot);
}

static void test_shaped_draws(void **state)
{
    (void)state;
    static const double logits[K] = {0, 1, 2, 1.5};
    double got[K], want[K], sum = 0;
    shaped((tw_jump_desc){.temperature = 0.5}, got);
    for (int k = 0; k < K; k++) sum += want[k] = exp(2 * logits[k]);
    for (int k = 0; k < K; k++) want[k] /= sum;
    assert_true(chi_square_normal(K, ROWS, got, want) < 3.5);
    shaped((tw_jump_desc){.top_k = 2}, got);
    sum = exp(2) + exp(1.5);
    for (int k = 0; k < K; k++) want[k] = k > 1 ? exp(logits[k]) / sum : 0;
    assert_true(chi_square_normal(K, ROWS, got, want) < 3.5);
    /* 0.47, 0.28, 0.17 of all: together 0.94 */
    shaped((tw_jump_desc){.top_p = 0.8}, got);
    sum = exp(2) + exp(1.5) + exp(1);
    for (int k = 0; k < K; k++) want[k] = k > 0 ? exp(logits[k]) / sum : 0;
    assert_true(chi_square_normal(K, ROWS, got, want) < 3.5);
    shaped((tw_jump_desc){.argmax = true}, got); /* the last of four steps draws a quarter of them */
    assert_true(got[2] > 0.25 + 0.75 * 0.45 && got[2] < 0.25 + 0.75 * 0.5);
}

/* Of 2^k rows each symbol has its share to within one: a law of one draw is met exactly. */
static void test_stratified_draws(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = K, .states = K + 1, .schedule = &condot};
    float logits[K] = {0, 1, 2, 1.5f};
    double sum = 0;
    for (int k = 0; k < K; k++) sum += exp((double)logits[k]);
    for (int power = 6; power <= 12; power += 3) {
        tw_jump_desc desc = {.path = &path, .seed = 41, .stratified = true};
        int rows = 1 << power, count[K] = {0};
        run(&desc, 1, 1, fixed_logits, logits, rows, 1, rows_of_two, NULL, NULL);
        for (int r = 0; r < rows; r++) count[rows_of_two[r]]++;
        for (int k = 0; k < K; k++) near(count[k], rows * exp((double)logits[k]) / sum, 2);
    }
    tw_piece_free(ctx, &condot);
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* A row is the same among others, alone, and in blocks of any size. */
static void test_rows_are_independent(void **state)
{
    (void)state;
    enum { FEW = 50 };
    double p[K * K];
    world_of(p);
    tw_schedule condot = schedule_of("condot");
    for (int i = 0; tw_jump_list(i); i++) {
        tw_token_path path = {.symbols = K, .states = K + 1, .schedule = &condot};
        tw_jump_desc desc = {.method = tw_jump_list(i)->name, .path = &path, .seed = 43};
        pair_world world = {.path = &path, .p = p};
        int32_t all[2 * FEW], some[2 * FEW];
        tw_jump *jump = NULL;
        tw_jump_stats stats = {0};
        run(&desc, 1, 9, pair_logits, &world, FEW, 2, all, NULL, NULL);
        assert_int_equal(tw_jump_create(ctx, &desc, 7, 2, &jump), TW_OK);
        tw_jump_leg leg = {.t1 = 1, .steps = 9, .first_row = 20};
        tw_token_source(&path, 43, 20, FEW - 20, 2, some);
        assert_int_equal(tw_jump_run(jump, &leg, pair_logits, &world, FEW - 20, some, NULL, &stats), TW_OK);
        assert_memory_equal(some, all + 40, sizeof(int32_t) * 2 * (FEW - 20));
        tw_jump_destroy(jump);
    }
    tw_piece_free(ctx, &condot);
}

/* Masked tokens that do not jump need no model: far more steps than tokens cost no more evaluations than tokens. */
static void test_waiting_costs_nothing(void **state)
{
    (void)state;
    double p[K * K];
    world_of(p);
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = K, .states = K + 1, .schedule = &condot};
    pair_world world = {.path = &path, .p = p};
    tw_jump_desc desc = {.path = &path, .seed = 47};
    tw_jump_stats stats = {0};
    run(&desc, 1, 4000, pair_logits, &world, 100, 2, rows_of_two, NULL, &stats);
    assert_true(stats.nfe == 2 && stats.evaluations <= 200);
    tw_piece_free(ctx, &condot);
}

/* D8 of flow_matching: more times asked for than steps. A way in legs, the steps of each of its own, ends with the law
 * of the path at every time. */
static void test_d8_more_stops_than_steps(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    tw_token_path path = {.symbols = K, .states = K, .schedule = &condot};
    tw_jump_desc desc = {.path = &path, .seed = 53};
    tw_jump *jump = NULL;
    tw_jump_stats stats = {0};
    assert_int_equal(tw_jump_create(ctx, &desc, 1000, 1, &jump), TW_OK);
    tw_token_source(&path, 53, 0, ROWS, 1, rows_of_two);
    for (int i = 0; i < 17; i++) {
        tw_jump_leg leg = {.t0 = i / 17.0, .t1 = i == 16 ? 1 : (i + 1) / 17.0, .steps = 1, .number = i};
        assert_int_equal(tw_jump_run(jump, &leg, one_token_logits, &path, ROWS, rows_of_two, NULL, &stats), TW_OK);
        double got[64] = {0}, want[64];
        for (int r = 0; r < ROWS; r++) got[rows_of_two[r]] += 1.0 / ROWS;
        one_token_law(&path, leg.t1, want);
        assert_true(chi_square_normal(K, ROWS, got, want) < 3.5);
    }
    tw_jump_destroy(jump);
    tw_piece_free(ctx, &condot);
}

/* --- the checkerboard of 128 x 128, 4 x 4 fields ----------------------------------------------------------------- */

enum { BOARD = 128, FIELD = 32, SIDE = 4 };

/* Sums over the fields of the other token: the posterior of each symbol is exact. */
static tw_status board_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                              float *out)
{
    const tw_token_path *path = user;
    (void)row;
    for (int64_t r = 0; r < rows; r++) {
        double kappa = tw_schedule_at(path->schedule, t[r]).alpha, rest = 1 - kappa;
        for (int i = 0; i < 2; i++) {
            int own = x[2 * r + i], other = x[2 * r + 1 - i];
            /* likelihood of a symbol: rest times the source, and kappa where it is the token */
            double blank_own = own == BOARD ? rest : path->states > BOARD ? 0 : rest / BOARD;
            double blank = other == BOARD ? rest : path->states > BOARD ? 0 : rest / BOARD;
            double sum[2] = {blank * SIDE / 2 * FIELD, blank * SIDE / 2 * FIELD};
            if (other < BOARD) sum[other / FIELD % 2] += kappa;
            float says[2], *to = out + (2 * r + i) * BOARD;
            for (int f = 0; f < 2; f++) says[f] = blank_own * sum[f] > 0 ? (float)log(blank_own * sum[f]) : -1e30f;
            for (int a = 0; a < BOARD; a++) to[a] = says[a / FIELD % 2];
            if (own < BOARD) to[own] = (float)log((blank_own + kappa) * sum[own / FIELD % 2]);
        }
    }
    return TW_OK;
}

/* Symbols of a field are exchangeable, so TV to the data is that of the fields. */
static double board_error(const tw_token_path *path, int steps)
{
    enum { DRAWS = 1 << 15 };
    double got[SIDE * SIDE] = {0}, want[SIDE * SIDE];
    tw_jump_desc desc = {.path = path, .seed = 59, .stratified = true};
    run(&desc, 1, steps, board_logits, (void *)(uintptr_t)path, DRAWS, 2, rows_of_two, NULL, NULL);
    for (int r = 0; r < DRAWS; r++)
        got[rows_of_two[2 * r] / FIELD * SIDE + rows_of_two[2 * r + 1] / FIELD] += 1.0 / DRAWS;
    for (int f = 0; f < SIDE * SIDE; f++) want[f] = (f / SIDE + f % SIDE) % 2 ? 0 : 2.0 / (SIDE * SIDE);
    return total_variation(SIDE * SIDE, got, want);
}

static void test_checkerboard_at_order_1(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    for (int masked = 0; masked < 2; masked++) {
        tw_token_path path = {.symbols = BOARD, .states = BOARD + masked, .schedule = &condot};
        double tv[3];
        for (int i = 0; i < 3; i++) tv[i] = board_error(&path, 4 << i);
        for (int i = 0; i < 2; i++)
            if (!(tv[i] / tv[i + 1] > 1.7 && tv[i] / tv[i + 1] < 2.5))
                fail_msg("mask %d: TV %g, %g, %g", masked, tv[0], tv[1], tv[2]);
    }
    tw_piece_free(ctx, &condot);
}

/* --- the bound --------------------------------------------------------------------------------------------------- */

/* The same integral for one token with probabilities 2 (x + 1) / (K (K + 1)), by the midpoint rule in q = e^-tau. */
static double integral_of(const tw_token_path *path, int x1)
{
    enum { CELLS = 4000 };
    double sum = 0, least = tw_token_least_distance(path);
    for (int c = 0; c < CELLS; c++) {
        double q = (c + 0.5) / CELLS, t = tw_token_time(path, -log(q) / least), law[8], scratch[24], log_p[K];
        float logits[K];
        tw_token_law(path, t, -1, x1, law, NULL);
        for (int x = 0; x < path->states; x++) {
            double all = 0;
            int32_t at = x;
            one_token_logits((void *)(uintptr_t)path, 1, NULL, &t, &at, logits);
            for (int k = 0; k < K; k++) all += exp((double)logits[k]);
            for (int k = 0; k < K; k++) log_p[k] = (double)logits[k] - log(all);
            if (law[x] > 0) sum += law[x] * tw_token_divergence(path, t, x, x1, log_p, scratch) / (q * least * CELLS);
        }
    }
    return sum;
}

static void bound_of(const tw_bound_desc *desc, tw_logits_fn model, void *user, int64_t rows, int tokens,
                     const int32_t *x1, double *out)
{
    void *memory = malloc(tw_token_bound_bytes(desc, tokens));
    assert_non_null(memory);
    assert_int_equal(tw_token_bound(desc, model, user, rows, tokens, x1, memory, out), TW_OK);
    free(memory);
}

/* Exact posteriors of masked tokens make it tight, pair by pair. On other paths the chain given x_1 takes no detours
 * and the marginal one does: it stays above, by what the integral says. */
static void test_bound(void **state)
{
    (void)state;
    static double ordinal[K * K];
    tw_schedule condot = schedule_of("condot"), square = schedule_of("polynomial:2");
    tw_token_distances(K, 0, NULL, 1, ordinal);
    const tw_token_path paths[] = {{.symbols = K, .states = K + 1, .schedule = &square},
                                   {.symbols = K, .states = K, .schedule = &condot},
                                   {.symbols = K, .states = K + 1, .schedule = &condot, .noise = 0.5},
                                   {.symbols = K, .states = K, .distance = ordinal, .scale = 1, .power = 1}};
    double p[K * K], bound[K * K], alone;
    int32_t x1[2 * K * K];
    world_of(p);
    pair_world world = {.path = &paths[0], .p = p};
    for (int k = 0; k < K * K; k++) x1[2 * k] = k / K, x1[2 * k + 1] = k % K;
    tw_bound_desc desc = {.path = &paths[0], .draws = 4000, .block = 100, .seed = 61};
    bound_of(&desc, pair_logits, &world, K * K, 2, x1, bound);
    for (int k = 0; k < K * K; k++) near(bound[k], -log(p[k]), 0.05);
    desc.first_row = 5; /* rows are scored by themselves */
    bound_of(&desc, pair_logits, &world, 1, 2, x1 + 10, &alone);
    near(alone, bound[5], 0);
    for (int i = 0; i < TW_COUNT(paths); i++) {
        int32_t symbol[K] = {0, 1, 2, 3};
        desc = (tw_bound_desc){.path = &paths[i], .draws = 100000, .block = 1000, .seed = 67};
        void *user = (void *)(uintptr_t)&paths[i];
        bound_of(&desc, one_token_logits, user, K, 1, symbol, bound);
        double mean = 0, entropy = 0;
        for (int k = 0; k < K; k++) {
            double each = 2.0 * (k + 1) / (K * (K + 1));
            near(bound[k], integral_of(&paths[i], k), 0.06); /* 4 deviations */
            mean += each * bound[k];
            entropy -= each * log(each);
        }
        if (i == 0)
            near(mean, entropy, 0.01);
        else
            assert_true(mean > entropy);
    }
    tw_piece_free(ctx, &condot);
    tw_piece_free(ctx, &square);
}

/* Three tokens of 2, 3 and 4 symbols. */
enum { EACH = 3, WORLD = 2 * 3 * 4 };
static const int alphabet[EACH] = {2, 3, 4};

static int symbol_of(int cell, int token)
{
    return token == 0 ? cell / 12 : token == 1 ? cell / 4 % 3 : cell % 4;
}

/* What masks leave open, exactly: p (WORLD) over the cells that agree with the tokens that are known. */
static tw_status each_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                             float *out)
{
    const double *p = user;
    (void)row, (void)t;
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < EACH; i++) {
            double sum[4] = {0};
            for (int cell = 0; cell < WORLD; cell++) {
                bool agrees = true;
                for (int j = 0; j < EACH; j++)
                    agrees =
                        agrees && (j == i || x[r * EACH + j] == alphabet[j] || x[r * EACH + j] == symbol_of(cell, j));
                if (agrees) sum[symbol_of(cell, i)] += p[cell];
            }
            for (int k = 0; k < alphabet[i]; k++) *out++ = logf((float)sum[k]);
        }
    return TW_OK;
}

/* Tokens that know nothing of each other: what each says of itself, beside a law of its own. */
typedef struct lone_tokens {
    int count;
    const tw_token_path *path;
    const double *law[EACH];
} lone_tokens;

static tw_status lone_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                             float *out)
{
    const lone_tokens *lone = user;
    double at[8];
    (void)row;
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < lone->count; i++, x++)
            for (int k = 0; k < lone->path[i].symbols; k++) {
                tw_token_law(&lone->path[i], t[r], -1, k, at, NULL);
                *out++ = at[*x] > 0 ? logf((float)(lone->law[i][k] * at[*x])) : -1e30f;
            }
    return TW_OK;
}

/* Tight for masks, cell by cell; and of tokens that know nothing of each other the sum of what each costs alone. */
static void test_bound_of_different_alphabets(void **state)
{
    (void)state;
    static const double law[EACH][4] = {{0.7, 0.3}, {0.2, 0.5, 0.3}, {0.1, 0.4, 0.3, 0.2}};
    tw_schedule square = schedule_of("polynomial:2");
    double p[WORLD], sum = 0, bound[WORLD], alone, together;
    int32_t x1[WORLD * EACH];
    tw_token_path masks[EACH], uniform[EACH];
    tw_random r = {.seed = 11, .stream = 3};
    for (int i = 0; i < EACH; i++) {
        masks[i] = (tw_token_path){.symbols = alphabet[i], .states = alphabet[i] + 1, .schedule = &square};
        uniform[i] =
            (tw_token_path){.symbols = alphabet[i], .states = alphabet[i], .schedule = &square, .uniform = true};
    }
    for (int k = 0; k < WORLD; k++) sum += p[k] = 0.05 + tw_random_uniform(&r);
    for (int k = 0; k < WORLD; k++) p[k] /= sum;
    for (int k = 0; k < WORLD * EACH; k++) x1[k] = symbol_of(k / EACH, k % EACH);
    tw_bound_desc desc = {.each = masks, .draws = 6000, .block = 100, .seed = 61};
    bound_of(&desc, each_logits, p, WORLD, EACH, x1, bound);
    for (int k = 0; k < WORLD; k++) near(bound[k], -log(p[k]), 0.05);
    lone_tokens lone = {EACH, uniform, {law[0], law[1], law[2]}};
    desc = (tw_bound_desc){.each = uniform, .draws = 40000, .block = 1000, .seed = 67};
    bound_of(&desc, lone_logits, &lone, 1, EACH, x1 + 15, &together);
    for (int i = 0; i < EACH; i++) {
        lone = (lone_tokens){1, &uniform[i], {law[i]}};
        desc = (tw_bound_desc){.path = &uniform[i], .draws = 40000, .block = 1000, .seed = 71};
        bound_of(&desc, lone_logits, &lone, 1, 1, x1 + 15 + i, &alone);
        together -= alone;
    }
    near(together, 0, 0.15); /* 4 deviations of both */
    tw_piece_free(ctx, &square);
}

/* --- what cannot be ---------------------------------------------------------------------------------------------- */

static void test_bad_input(void **state)
{
    (void)state;
    tw_schedule condot = schedule_of("condot");
    tw_token_path masks = {.symbols = K, .states = K + 1, .schedule = &condot};
    tw_token_path uniform = {.symbols = K, .states = K, .schedule = &condot};
    tw_token_path noisy = {.symbols = K, .states = K + 1, .schedule = &condot, .noise = 0.5};
    const struct {
        tw_jump_desc desc;
        const char *says;
    } bad[] = {{{.path = &masks, .method = "eulr"}, "euler"},
               {{.path = &masks, .temperature = -1}, "temperature is -1"},
               {{.path = &masks, .top_p = 2}, "top_p is 2"},
               {{.path = &masks, .tolerance = 1}, "the tolerance of jumps is 1"},
               {{.path = &masks, .method = "midpoint", .tolerance = 0.1}, "takes steps"},
               {{.path = &masks, .method = "tau_leaping", .remask = 0.1}, "no corrector"},
               {{.path = &noisy, .method = "first_hitting"}, "no noise"},
               {{.path = &uniform, .method = "first_hitting"}, "a source that masks"},
               {{.path = &uniform, .remask = 0.1}, "remasking needs a source that masks"},
               {{.path = &masks, .remask = 1.5}, "the probability of remasking is 1.5"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_jump *jump = NULL;
        assert_int_not_equal(tw_jump_create(ctx, &bad[i].desc, 4, 2, &jump), TW_OK);
        assert_null(jump);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("%d: %s", i, tw_context_error(ctx));
    }
    /* a model that says no numbers */
    for (int i = 0; tw_jump_list(i); i++) {
        float logits[K] = {0, (float)NAN, (float)NAN, (float)NAN};
        tw_jump_desc desc = {.path = &masks, .method = tw_jump_list(i)->name};
        tw_jump *jump = NULL;
        tw_jump_stats stats = {0};
        tw_jump_leg leg = {.t1 = 1, .steps = 3};
        int32_t x[2] = {K, K};
        assert_int_equal(tw_jump_create(ctx, &desc, 4, 1, &jump), TW_OK);
        assert_int_equal(tw_jump_run(jump, &leg, fixed_logits, logits, 2, x, NULL, &stats), TW_ERR_NUMERIC);
        tw_jump_destroy(jump);
    }
    float logits[K] = {0, (float)NAN};
    const tw_bound_desc bound = {.path = &masks, .draws = 3, .block = 2};
    int32_t x[1] = {0};
    double out[1];
    void *work = malloc(tw_token_bound_bytes(&bound, 1));
    assert_non_null(work);
    assert_int_equal(tw_token_bound(&bound, fixed_logits, logits, 1, 1, x, work, out), TW_ERR_NUMERIC);
    free(work);
    /* a tolerance that takes more steps than their random numbers can be told apart */
    logits[1] = 0;
    tw_jump *jump = NULL;
    tw_jump_stats stats = {0};
    assert_int_equal(tw_jump_create(ctx, &(tw_jump_desc){.path = &masks, .tolerance = 1e-9}, 1, 1, &jump), TW_OK);
    x[0] = K;
    assert_int_equal(tw_jump_run(jump, &(tw_jump_leg){.t1 = 1}, fixed_logits, logits, 1, x, NULL, &stats),
                     TW_ERR_UNSUPPORTED);
    assert_int_equal(stats.nfe, TW_JUMP_STEPS);
    tw_jump_destroy(jump);
    tw_piece_free(ctx, &condot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_law_is_the_matrix_exponential),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_d5_stops_at_any_t_with_the_law_of_the_path),
        cmocka_unit_test(test_ends_with_data),
        cmocka_unit_test(test_margins_choose_what_is_plain),
        cmocka_unit_test(test_d7_corrector_from_the_start),
        cmocka_unit_test(test_corrector_of_large_clocks),
        cmocka_unit_test(test_remasking),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_clamped_tokens),
        cmocka_unit_test(test_shaped_draws),
        cmocka_unit_test(test_stratified_draws),
        cmocka_unit_test(test_rows_are_independent),
        cmocka_unit_test(test_waiting_costs_nothing),
        cmocka_unit_test(test_d8_more_stops_than_steps),
        cmocka_unit_test(test_checkerboard_at_order_1),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_bound_of_different_alphabets),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
