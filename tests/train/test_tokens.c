/* Flows of tokens, from training to samples: the law of small worlds is learned and scored, files keep everything, rows
 * are the same for any number of threads, tokens that are given stay, and what has no meaning is refused. */
#include "flow/flow.h"

#include "base/philox.h"

#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OWN_CONTEXT_THREADS 2
#include "support/own_context.h"
#include "support/flow_checks.h"

enum { K = 4, ROWS = 8000, DRAWS = 20000 };

/* Two tokens that know of each other: probabilities of K x K pairs. */
static double probability(int a, int b)
{
    return (a == b ? 0.16 : a == (b + 1) % K ? 0.07 : 0.01);
}

static int draw_pair(double u)
{
    for (int i = 0; i < K * K; i++)
        if ((u -= probability(i / K, i % K)) < 0) return i;
    return K * K - 1;
}

static tw_flow *trained_by(const tw_flow_desc *desc)
{
    static double values[ROWS * 2];
    tw_random random = {.seed = 3, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        int pair = draw_pair(tw_random_uniform(&random));
        values[2 * i] = pair / K;
        values[2 * i + 1] = pair % K;
    }
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    tw_dataset_desc data_desc = {.split = {1, 0, 0}};
    check(tw_dataset_from_memory(ctx, ROWS, 2, values, NULL, &data_desc, &data));
    check(tw_flow_create(ctx, desc, &flow));
    tw_train_desc train = {.steps = 700, .batch = 512, .lr = 5e-3, .ema = 0.99};
    check(tw_train(flow, data, &train, NULL));
    tw_dataset_destroy(data);
    return flow;
}

static tw_flow *trained(const char *source, const char *path, const char *loss)
{
    return trained_by(&(tw_flow_desc){
        .space = "tokens:4", .source = source, .path = path, .loss = loss, .columns = 2, .network = {.width = 48}});
}

static double entropy(void)
{
    double sum = 0;
    for (int i = 0; i < K * K; i++) sum -= probability(i / K, i % K) * log(probability(i / K, i % K));
    return sum;
}

static double distance(tw_flow *flow, const char *solver, const tw_token_options *tokens)
{
    static double rows[DRAWS * 2];
    double count[K * K] = {0}, sum = 0;
    tw_sample_desc desc = {.solver = {.method = solver, .steps = 40}, .seed = 5, .tokens = tokens};
    check(tw_sample(flow, DRAWS, &desc, rows, NULL, NULL));
    for (int i = 0; i < DRAWS; i++) {
        assert_true(rows[2 * i] >= 0 && rows[2 * i] < K && rows[2 * i + 1] >= 0 && rows[2 * i + 1] < K);
        count[(int)rows[2 * i] * K + (int)rows[2 * i + 1]] += 1.0 / DRAWS;
    }
    for (int i = 0; i < K * K; i++) sum += 0.5 * fabs(count[i] - probability(i / K, i % K));
    return sum;
}

static double score(tw_flow *flow)
{
    double rows[2 * K * K], out[K * K], sum = 0;
    for (int i = 0; i < K * K; i++) rows[2 * i] = i / K, rows[2 * i + 1] = i % K;
    tw_sample_desc desc = {.solver = {.steps = 2000}};
    check(tw_log_density(flow, K * K, rows, &desc, out, NULL));
    for (int i = 0; i < K * K; i++) sum -= probability(i / K, i % K) * out[i];
    return sum;
}

/* Draws and 8000 rows of data leave 0.02 of TV; the bound of masks is tight, others lie above. */
static void test_learns(void **state)
{
    (void)state;
    static const struct {
        const char *source, *path, *loss;
        double above; /* of the bound over the entropy, at most */
    } cases[] = {{NULL, NULL, NULL, 0.03},           {"mask", "mixture", "generalised_kl", 0.03},
                 {"uniform", "mixture", NULL, 0.9},  {"uniform", "mixture", "generalised_kl", 0.9},
                 {"mask", "mixture:0.5", NULL, 0.9}, {NULL, "metric:1,1,1", NULL, 0.9}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_flow *flow = trained(cases[i].source, cases[i].path, cases[i].loss);
        double tv = distance(flow, NULL, NULL), above = score(flow) - entropy();
        if (!(tv < 0.05)) fail_msg("case %d: TV %g", i, tv);
        if (!(above > -0.01 && above < cases[i].above)) fail_msg("case %d: the bound is %g above", i, above);
        tw_flow_destroy(flow);
    }
}

/* Columns of 3 and 5 symbols: each has its own alphabet, from training to samples and scores. */
static void test_different_alphabets(void **state)
{
    (void)state;
    enum { A = 3, B = 5, CELLS = A * B };
    static double values[2 * ROWS], drawn[2 * DRAWS];
    double p[CELLS], sum = 0, count[CELLS] = {0}, tv = 0, above = 0, all[2 * CELLS], scores[CELLS];
    static const char *const sources[] = {"mask", "uniform"};
    for (int k = 0; k < CELLS; k++) sum += p[k] = k % B == k / B ? 4 : k % B == 4 ? 1.5 : 0.5;
    for (int k = 0; k < CELLS; k++) p[k] /= sum, all[2 * k] = k / B, all[2 * k + 1] = k % B;
    tw_random random = {.seed = 4, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        double u = tw_random_uniform(&random);
        int cell = 0;
        while (cell < CELLS - 1 && (u -= p[cell]) >= 0) cell++;
        values[2 * i] = cell / B, values[2 * i + 1] = cell % B;
    }
    tw_dataset *data = NULL;
    tw_dataset_desc split = {.split = {1, 0, 0}};
    check(tw_dataset_from_memory(ctx, ROWS, 2, values, NULL, &split, &data));
    for (int s = 0; s < TW_COUNT(sources); s++, tv = above = 0) {
        tw_flow *flow = NULL;
        tw_flow_desc desc = {
            .space = "tokens:3 + tokens:5", .source = sources[s], .columns = 2, .network = {.width = 48, .depth = 2}};
        check(tw_flow_create(ctx, &desc, &flow));
        check(tw_train(flow, data, &(tw_train_desc){.steps = 700, .batch = 512, .lr = 5e-3, .ema = 0.99}, NULL));
        check(tw_sample(flow, DRAWS, &(tw_sample_desc){.solver = {.steps = 40}, .seed = 5}, drawn, NULL, NULL));
        memset(count, 0, sizeof count);
        for (int i = 0; i < DRAWS; i++) {
            assert_true(drawn[2 * i] >= 0 && drawn[2 * i] < A && drawn[2 * i + 1] >= 0 && drawn[2 * i + 1] < B);
            count[(int)drawn[2 * i] * B + (int)drawn[2 * i + 1]] += 1.0 / DRAWS;
        }
        check(tw_log_density(flow, CELLS, all, &(tw_sample_desc){.solver = {.steps = 2000}}, scores, NULL));
        for (int k = 0; k < CELLS; k++) tv += 0.5 * fabs(count[k] - p[k]), above += p[k] * (log(p[k]) - scores[k]);
        if (!(tv < 0.05)) fail_msg("%s: TV %g", sources[s], tv);
        if (!(above > -0.01 && above < (s ? 0.9 : 0.03))) fail_msg("%s: the bound is %g above", sources[s], above);
        double far[2] = {1, 5}, out;
        assert_int_equal(tw_log_density(flow, 1, (double[]){4, 1}, NULL, &out, NULL), TW_ERR_INVALID);
        assert_int_equal(tw_log_density(flow, 1, far, NULL, &out, NULL), TW_ERR_INVALID);
        assert_non_null(strstr(tw_context_error(ctx), "x2=5: expected"));
        tw_flow_destroy(flow);
    }
    tw_dataset_destroy(data);
}

static void test_samplers(void **state)
{
    (void)state;
    tw_flow *flow = trained(NULL, NULL, NULL);
    for (int i = 0; tw_token_solver_list(i); i++) {
        double tv = distance(flow, tw_token_solver_list(i)->name, NULL);
        if (!(tv < 0.05)) fail_msg("%s: TV %g", tw_token_solver_list(i)->name, tv);
    }
    const tw_token_options options[] = {
        {.tolerance = 0.1}, {.refresh = {1, 1, 0.5}}, {.remask = 0.05}, {.stratified = true}};
    for (int i = 0; i < TW_COUNT(options); i++) {
        double tv = distance(flow, NULL, &options[i]);
        if (!(tv < 0.05)) fail_msg("options %d: TV %g", i, tv);
    }
    /* tokens that are given stay; one row for all */
    double known[2] = {2, (double)NAN}, rows[400];
    tw_token_options given = {.known = known, .same_known = true};
    tw_sample_desc desc = {.tokens = &given};
    check(tw_sample(flow, 200, &desc, rows, NULL, NULL));
    for (int i = 0; i < 200; i++) assert_true(rows[2 * i] == 2);
    tw_flow_destroy(flow);
}

/* Frames begin with the source and end with the samples; D8 of flow_matching: more of them than steps. */
static void test_frames_files_and_threads(void **state)
{
    (void)state;
    enum { N = 300, FRAMES = 17 };
    static double rows[2 * N], again[2 * N], frames[FRAMES * 2 * N], few[20];
    tw_flow *flow = trained(NULL, NULL, NULL), *loaded = NULL;
    tw_sample_desc desc = {.solver = {.steps = 10}, .seed = 7, .frames = FRAMES};
    check(tw_sample(flow, N, &desc, rows, frames, NULL));
    for (int i = 0; i < 2 * N; i++) {
        assert_true(frames[i] == K);
        for (int f = 1; f < FRAMES; f++) /* a token that is there stays */
            assert_true(frames[(f - 1) * 2 * N + i] == K || frames[f * 2 * N + i] == frames[(f - 1) * 2 * N + i]);
    }
    assert_memory_equal(rows, frames + (FRAMES - 1) * 2 * N, sizeof rows);
    desc.frames = 0;
    check(tw_sample(flow, 10, &desc, few, NULL, NULL));
    check(tw_sample(flow, N, &desc, rows, NULL, NULL));
    assert_memory_equal(rows, few, sizeof few); /* whatever n */
    char file[] = "/tmp/thalweg-tokens-XXXXXX";
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    close(fd);
    check(tw_flow_save(flow, file));
    tw_context *one = tw_context_create(&(tw_context_desc){.threads = 1});
    assert_int_equal(tw_flow_load(one, file, &loaded), TW_OK);
    assert_int_equal(tw_sample(loaded, N, &desc, again, NULL, NULL), TW_OK);
    assert_memory_equal(rows, again, sizeof rows);
    tw_flow_destroy(loaded);
    tw_context_destroy(one);
    unlink(file);
    tw_flow_destroy(flow);
}

/* Rows that stopped on the way hold masks, and can be gone on with; a step's size is of the way that is left. */
static void test_goes_on_from_where_it_stopped(void **state)
{
    (void)state;
    enum { N = 400 };
    static double rows[2 * N], ends[2 * N];
    tw_flow *flow = NULL;
    tw_flow_desc plain = {.space = "tokens:4", .columns = 2, .network = {.width = 8, .depth = 1}};
    check(tw_flow_create(ctx, &plain, &flow));
    tw_sample_desc first = {.solver = {.t1 = 0.5, .steps = 8}},
                   second = {.solver = {.t0 = 0.5, .t1 = 1, .step_size = 0.1}, .from = rows};
    second.solver.method = "midpoint"; /* asks twice a step, of every row */
    tw_ode_stats stats;
    int masks = 0;
    check(tw_sample(flow, N, &first, rows, NULL, NULL));
    for (int i = 0; i < 2 * N; i++) masks += rows[i] == K;
    assert_true(masks > N * 0.8 && masks < N * 1.2); /* half of 2 N, 14 deviations */
    check(tw_sample(flow, N, &second, ends, NULL, &stats));
    assert_int_equal(stats.nfe, 2 * 5);
    for (int i = 0; i < 2 * N; i++) {
        assert_true(ends[i] < K);
        assert_true(rows[i] == K || rows[i] == ends[i]);
    }
    tw_flow_destroy(flow);
}

static void test_refused(void **state)
{
    (void)state;
    refused(&(tw_flow_desc){.space = "tokens", .columns = 2}, "how many there are");
    refused(&(tw_flow_desc){.space = "tokens:4", .method = "fm", .columns = 2}, "not of space 'tokens'");
    refused(&(tw_flow_desc){.method = "dfm", .columns = 2}, "of space 'tokens'");
    refused(&(tw_flow_desc){.source = "mask", .columns = 2}, "of space 'tokens'");
    refused(&(tw_flow_desc){.space = "tokens:4", .source = "normal", .columns = 2}, "source 'normal'");
    refused(&(tw_flow_desc){.space = "tokens:4", .path = "affine", .columns = 2}, "path 'affine'");
    refused(&(tw_flow_desc){.space = "tokens:4", .loss = "mse", .columns = 2}, "loss 'mse'");
    refused(&(tw_flow_desc){.space = "tokens:4", .schedule = "cosine", .columns = 2}, "alpha + sigma = 1");
    refused(&(tw_flow_desc){.space = "tokens:4", .source = "mask", .path = "metric", .columns = 2}, "source 'uniform'");
    refused(&(tw_flow_desc){.space = "tokens:4", .coupling = "ot", .columns = 2}, "coupling");
    refused(&(tw_flow_desc){.space = "tokens:4", .weight = "learned", .columns = 2}, "weight 'learned'");
    refused(&(tw_flow_desc){.space = "tokens:4", .network = {.kind = "mlp"}, .columns = 2}, "not for tokens");
    refused(&(tw_flow_desc){.network = {.kind = "ddit"}, .columns = 2}, "for tokens");
    tw_flow *flow = NULL;
    tw_flow_desc plain = {.space = "tokens:4", .columns = 2};
    check(tw_flow_create(ctx, &plain, &flow));
    double x[2] = {1, 5}, known[2] = {1, 4}, out[2], t = 0.5, times[2] = {0, 1};
    const tw_token_options given = {.known = known};
    const struct {
        tw_sample_desc desc;
        const char *says;
    } bad[] = {{{.solver = {.method = "dopri5"}}, "solver"},
               {{.diffusion = "sigma"}, "noise"},
               {{.solver = {.t0 = 1, .t1 = 0}}, "from a time to a later one"},
               {{.from = x}, "x2=5: expected a whole number from 0 to 4"},
               {{.tokens = &given}, "x2=4: expected a whole number from 0 to 3"},
               {{.log_prob = out}, "log-densities of steps"},
               {{.solver = {.time_grid = times, .time_grid_count = 2}}, "a grid"},
               {{.conditions = x}, "trained without any"},
               {{.solver = {.step_size = -0.1}}, "steps of size -0.1"},
               {{.solver = {.step_size = (double)NAN}}, "steps of size nan"},
               {{.solver = {.step_size = 1e-20}}, "1e+20 steps"},
               {{.solver = {.steps = 1 << 20}}, "steps: expected less"},
               {{.frames = 5000}, "5000 frames"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_not_equal(tw_sample(flow, 1, &bad[i].desc, out, NULL, NULL), TW_OK);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("%d: %s", i, tw_context_error(ctx));
    }
    assert_int_not_equal(tw_log_density(flow, 1, known, NULL, out, NULL), TW_OK);
    assert_int_equal(tw_interpolate(flow, 2, (double[]){0, 1, 2, 3}, 1, times), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "nothing between two tokens"));
    assert_int_equal(tw_velocity(flow, 1, &t, x, NULL, out), TW_ERR_UNSUPPORTED);
    tw_flow_destroy(flow);
}

/* Autoregression has exact probabilities, which add up to 1 only when no token is told itself or what comes after it;
 * drawn in order its rows follow them, and its beginning may be given. */
static void test_in_order(void **state)
{
    (void)state;
    tw_flow *flow = trained_by(&(tw_flow_desc){
        .method = "ar", .space = "tokens:4", .columns = 2, .network = {.width = 32, .depth = 1, .heads = 2}});
    double rows[2 * K * K], out[K * K], sum = 0, loss = 0;
    for (int i = 0; i < K * K; i++) rows[2 * i] = i / K, rows[2 * i + 1] = i % K;
    check(tw_log_density(flow, K * K, rows, NULL, out, NULL));
    for (int i = 0; i < K * K; i++) {
        sum += exp(out[i]);
        loss -= probability(i / K, i % K) * out[i];
    }
    assert_true(fabs(sum - 1) < 1e-5);
    if (!(loss > entropy() && loss < entropy() + 0.03)) fail_msg("%g, entropy %g", loss, entropy());
    double off = distance(flow, NULL, NULL);
    if (!(off < 0.05)) fail_msg("TV %g", off);
    const double begun[2] = {2, (double)NAN}, ended[2] = {(double)NAN, 2};
    double drawn[2 * 100];
    tw_token_options known = {.known = begun, .same_known = true};
    tw_sample_desc desc = {.tokens = &known};
    check(tw_sample(flow, 100, &desc, drawn, NULL, NULL));
    for (int i = 0; i < 100; i++) assert_true(drawn[2 * i] == 2);
    known.known = ended;
    assert_int_equal(tw_sample(flow, 100, &desc, drawn, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "goes on from the beginning"));
    desc = (tw_sample_desc){.solver = {.method = "euler"}};
    assert_int_equal(tw_sample(flow, 100, &desc, drawn, NULL, NULL), TW_ERR_INVALID);
    desc = (tw_sample_desc){.solver = {.t1 = 0.5}};
    check(tw_sample(flow, 100, &desc, drawn, NULL, NULL));
    for (int i = 0; i < 100; i++) assert_true(drawn[2 * i] < K && drawn[2 * i + 1] == K);
    tw_flow_destroy(flow);
    const tw_flow_desc bad[] = {{.method = "ar", .space = "tokens:4", .columns = 2, .source = "uniform"},
                                {.method = "ar", .space = "tokens:4", .columns = 2, .path = "metric"},
                                {.method = "ar", .space = "tokens:4", .columns = 2, .loss = "generalised_kl"},
                                {.method = "ar", .space = "tokens:4", .columns = 2, .network = {.kind = "token_mlp"}},
                                {.method = "ar", .space = "euclidean", .columns = 2}};
    for (int i = 0; i < TW_COUNT(bad); i++) assert_int_equal(tw_flow_create(ctx, &bad[i], &flow), TW_ERR_INVALID);
}

/* Symbols with places that a model file keeps: what is near becomes what it is nearer to, and the law is learned as of
 * levels. */
static void test_embedding(void **state)
{
    (void)state;
    static const double place[] = {0, 0, 5, 0, 5, 5, 0, 5};
    static double before[2 * 50], after[2 * 50];
    char path[64];
    tw_flow_desc desc = {.space = "tokens:4",
                         .path = "metric",
                         .columns = 2,
                         .network = {.width = 48},
                         .embedding = place,
                         .embedding_symbols = K,
                         .embedding_width = 2};
    tw_flow *flow = trained_by(&desc), *loaded = NULL;
    double tv = distance(flow, NULL, NULL);
    if (!(tv < 0.05)) fail_msg("TV %g", tv);
    tw_sample_desc sample = {.solver = {.steps = 8}, .seed = 2};
    snprintf(path, sizeof(path), "/tmp/thalweg-places-%d.safetensors", (int)getpid());
    check(tw_sample(flow, 50, &sample, before, NULL, NULL));
    check(tw_flow_save(flow, path));
    check(tw_flow_load(ctx, path, &loaded));
    unlink(path);
    assert_int_equal(tw_flow_about(loaded)->embedding_width, 2);
    assert_memory_equal(tw_flow_about(loaded)->embedding, place, sizeof place);
    check(tw_sample(loaded, 50, &sample, after, NULL, NULL));
    assert_memory_equal(before, after, sizeof before);
    tw_flow_destroy(flow);
    tw_flow_destroy(loaded);
    static const double twice[] = {0, 1, 1, 2};
    desc.embedding_width = 1;
    desc.embedding = twice;
    refused(&desc, "puts symbols 1 and 2 at one place");
    desc.embedding_symbols = 3;
    refused(&desc, "an embedding of 3 symbols as 1 numbers each, and there are 4 symbols");
    desc.path = "mixture";
    refused(&desc, "is for path 'metric'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_different_alphabets),
        cmocka_unit_test(test_samplers),
        cmocka_unit_test(test_frames_files_and_threads),
        cmocka_unit_test(test_goes_on_from_where_it_stopped),
        cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
