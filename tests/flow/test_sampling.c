/* Sampling and likelihood on a flow known in closed form (linear_flow.h), and what sampling promises about rows,
 * threads and frames. */
#include "flow/linear_flow.h"

#include "base/streams.h"
#include "support/limited_memory.h"

#include <stdlib.h>

static tw_context *ctx;
static tw_flow *flow;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    return linear_flow(ctx, &flow) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_flow_destroy(flow);
    tw_context_destroy(ctx);
    return 0;
}

static double largest_error(int64_t n, const double *got, const double *want, int64_t stride)
{
    double worst = 0;
    for (int64_t i = 0; i < n * stride; i++) worst = fmax(worst, fabs(got[i] - want[i]));
    return worst;
}

/* What sampling must give: the source row through the exact map, in data units. */
static void exact_samples(uint64_t seed, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        double x0[2];
        tw_source_row(flow->model.source, seed, TW_STREAM_SAMPLE, i, 2, x0);
        linear_map(x0, out + 2 * i);
        for (int j = 0; j < 2; j++) out[2 * i + j] = linear_shift[j] + linear_scale[j] * out[2 * i + j];
    }
}

static void test_samples_are_exact(void **state)
{
    (void)state;
    enum { N = 700 };
    static double got[2 * N], want[2 * N];
    tw_ode_stats stats;
    exact_samples(5, N, want);
    tw_sample_desc desc = {.seed = 5, .double_precision = true, .solver = {.rtol = 1e-10, .atol = 1e-10}};
    assert_int_equal(tw_sample(flow, N, &desc, got, NULL, &stats), TW_OK);
    assert_true(largest_error(N, got, want, 2) < 1e-8);
    assert_true(stats.nfe > 0 && stats.nfe_mean <= (double)stats.nfe && stats.failed == 0 && stats.rejected >= 0);
    desc.double_precision = false;
    assert_int_equal(tw_sample(flow, N, &desc, got, NULL, NULL), TW_OK);
    assert_true(largest_error(N, got, want, 2) < 3e-5); /* f32 field, data of size 20 */
    desc = (tw_sample_desc){.seed = 5, .double_precision = true, .solver = {.method = "rk4", .steps = 40}};
    assert_int_equal(tw_sample(flow, N, &desc, got, NULL, &stats), TW_OK);
    assert_true(largest_error(N, got, want, 2) < 1e-6);
    assert_int_equal(stats.nfe, 160);
}

/* Along another schedule the journey is another and its end the same, whatever the velocity; and so is the density.
 * Steps that evaluate at t = 1 stay finite (flow_matching's ScheduleTransformedModel: rk4 -1e5, heun2 -4e5). */
static void test_another_schedule_ends_the_same(void **state)
{
    (void)state;
    enum { N = 50 };
    static double got[2 * N], want[2 * N], density[N];
    exact_samples(5, N, want);
    static const char *const schedules[] = {"cosine", "polynomial:1.5", "table:0,0,1,0.4,0.3,0.8,1,1,0"};
    for (int i = 0; i < TW_COUNT(schedules); i++) {
        tw_sample_desc desc = {
            .seed = 5, .double_precision = true, .schedule = schedules[i], .solver = {.rtol = 1e-10, .atol = 1e-10}};
        assert_int_equal(tw_sample(flow, N, &desc, got, NULL, NULL), TW_OK);
        /* t^1.5 and the table have no second derivative somewhere, which an error estimate does not see */
        assert_true(largest_error(N, got, want, 2) < (i == 0 ? 2e-8 : 5e-7));
        assert_int_equal(tw_log_density(flow, N, got, &desc, density, NULL), TW_OK);
        for (int j = 0; j < N; j++) assert_true(fabs(density[j] - linear_log_density(got + 2 * j)) < 1e-6);
        desc = (tw_sample_desc){.seed = 5, .schedule = schedules[i], .solver = {.method = "rk4", .steps = 100}};
        assert_int_equal(tw_sample(flow, N, &desc, got, NULL, NULL), TW_OK);
        assert_true(largest_error(N, got, want, 2) < 1e-2); /* polynomial:1.5 and the table have kinks in slope */
    }
    tw_sample_desc bad = {.schedule = "cosien"};
    assert_int_equal(tw_sample(flow, N, &bad, got, NULL, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "'cosine'"));
}

/* A grid is its times: a uniform one the equal steps, `at` those given, and frames on the way only add stops. */
static void test_grids(void **state)
{
    (void)state;
    enum { N = 20, FRAMES = 3 };
    static double a[2 * N], b[2 * N], frames[FRAMES * 2 * N];
    tw_ode_stats stats;
    tw_sample_desc desc = {.seed = 5, .double_precision = true, .solver = {.method = "midpoint", .steps = 8}};
    assert_int_equal(tw_sample(flow, N, &desc, a, NULL, NULL), TW_OK);
    desc.grid = "uniform";
    assert_int_equal(tw_sample(flow, N, &desc, b, NULL, &stats), TW_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(stats.nfe, 16);
    desc.grid = "at:0,0.125,0.25,0.375,0.5,0.625,0.75,0.875,1";
    assert_int_equal(tw_sample(flow, N, &desc, b, NULL, NULL), TW_OK);
    assert_memory_equal(a, b, sizeof a);
    desc.frames = FRAMES;
    assert_int_equal(tw_sample(flow, N, &desc, b, frames, NULL), TW_OK);
    assert_memory_equal(a, b, sizeof a);
    desc.frames = 0;
    desc.grid = "shift:3";
    assert_int_equal(tw_sample(flow, N, &desc, b, NULL, &stats), TW_OK);
    assert_int_equal(stats.nfe, 16);
    assert_true(largest_error(N, a, b, 2) > 1e-6); /* other steps, other errors */
    exact_samples(5, N, a);
    assert_true(largest_error(N, a, b, 2) < 0.1);
    desc.grid = "at:0,2";
    assert_int_equal(tw_sample(flow, N, &desc, b, NULL, NULL), TW_ERR_INVALID);
    desc.grid = "edm";
    desc.solver = (tw_ode_desc){.method = "euler", .step_size = 0.1};
    assert_int_equal(tw_sample(flow, N, &desc, b, NULL, NULL), TW_ERR_INVALID);
}

static void test_log_density_is_exact(void **state)
{
    (void)state;
    enum { N = 300 };
    static double x[2 * N], got[N];
    exact_samples(9, N, x);
    double wide = 0, narrow = 0;
    tw_sample_desc desc = {.double_precision = true, .solver = {.rtol = 1e-11, .atol = 1e-11}};
    assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_OK);
    for (int i = 0; i < N; i++) wide = fmax(wide, fabs(got[i] - linear_log_density(x + 2 * i)));
    desc = (tw_sample_desc){.solver = {.rtol = 1e-7, .atol = 1e-7}};
    assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_OK);
    for (int i = 0; i < N; i++) narrow = fmax(narrow, fabs(got[i] - linear_log_density(x + 2 * i)));
    assert_true(wide < 1e-9);
    assert_true(narrow < 1e-5); /* f32 network: 1e-7 a call, magnified by |x| up to 4 in the source density */
    tw_ode_stats stats;
    assert_int_equal(tw_log_density(flow, N, x, NULL, got, &stats), TW_OK);
    assert_true(fabs(got[0] - linear_log_density(x)) < 1e-3); /* default tolerance */
}

/* A sample's log-density found on the way is that of the row scored afterwards, at the end and in between. */
static void test_samples_know_their_density(void **state)
{
    (void)state;
    enum { N = 300 };
    static double x[2 * N], plain[2 * N], on_the_way[N], afterwards[N];
    for (int half = 0; half < 2; half++) {
        tw_sample_desc desc = {.double_precision = true,
                               .seed = 7,
                               .solver = {.t1 = half ? 0.5 : 1, .rtol = 1e-11, .atol = 1e-11},
                               .log_density = on_the_way};
        assert_int_equal(tw_sample(flow, N, &desc, x, NULL, NULL), TW_OK);
        desc.log_density = NULL;
        assert_int_equal(tw_sample(flow, N, &desc, plain, NULL, NULL), TW_OK);
        assert_true(largest_error(N, x, plain, 2) < 1e-9);
        assert_int_equal(tw_log_density(flow, N, x, &desc, afterwards, NULL), TW_OK);
        for (int i = 0; i < N; i++) assert_true(fabs(on_the_way[i] - afterwards[i]) < 1e-9);
        for (int i = 0; i < N && !half; i++) assert_true(fabs(on_the_way[i] - linear_log_density(x + 2 * i)) < 1e-9);
    }
    tw_sample_desc noisy = {.diffusion = "sigma", .log_density = on_the_way};
    assert_int_equal(tw_sample(flow, N, &noisy, x, NULL, NULL), TW_ERR_INVALID);
}

/* v'Av of signs v is p + r + q v_1 v_2: each row's estimate is off by exactly q, up or down alike often; with many
 * probes the mean of so many coins. */
static void test_estimated_densities_are_unbiased(void **state)
{
    (void)state;
    enum { N = 4000 };
    static double x[2 * N], got[N], again[N];
    exact_samples(9, N, x);
    tw_sample_desc desc = {.double_precision = true, .probes = 1, .seed = 3, .solver = {.rtol = 1e-9, .atol = 1e-9}};
    assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_OK);
    double sum = 0;
    for (int i = 0; i < N; i++) {
        double error = got[i] - linear_log_density(x + 2 * i);
        assert_true(fabs(fabs(error) - fabs(linear_q)) < 1e-6);
        sum += error;
    }
    assert_true(fabs(sum / N) < 5 * fabs(linear_q) / sqrt(N));
    assert_int_equal(tw_log_density(flow, 10, x, &desc, again, NULL), TW_OK); /* a row's signs are its own */
    for (int i = 0; i < 10; i++) assert_true(fabs(again[i] - got[i]) < 1e-12);
    desc.probes = 64;
    assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_OK);
    sum = 0;
    for (int i = 0; i < N; i++) sum += pow(got[i] - linear_log_density(x + 2 * i), 2);
    assert_true(fabs(sqrt(sum / N) / (fabs(linear_q) / 8) - 1) < 0.1);
    desc.probes = -1;
    assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_ERR_INVALID);
}

/* v'Av has the variance q^2 of signs and 2 p^2 + 2 r^2 + q^2 of normal vectors. Held, they are the same at every time;
 * fresh ones are averaged by Euler's steps, of equal weight, and by the four stages of the classic method, of weights
 * 1/6, 1/3, 1/3, 1/6, whose two in the middle are at one time and of steps whose ends meet. */
static void test_kinds_of_probes(void **state)
{
    (void)state;
    enum { N = 4000, STEPS = 8 };
    static double x[2 * N], got[N];
    const double q2 = linear_q * linear_q, normal = 2 * linear_p * linear_p + 2 * linear_r * linear_r + q2;
    const struct {
        const char *kind, *method;
        double variance;
    } cases[] = {{"gaussian", "euler", normal},
                 {"signs:fresh=1", "euler", q2 / STEPS},
                 {"gaussian:fresh=1", "euler", normal / STEPS},
                 {"signs:fresh=1", "rk4", q2 * ((4.0 / 9 + 1.0 / 9) / STEPS - 2.0 / 36 / STEPS / STEPS)}};
    exact_samples(9, N, x);
    for (int k = 0; k < TW_COUNT(cases); k++) {
        tw_sample_desc desc = {
            .double_precision = true, .seed = 3, .solver = {.method = cases[k].method, .steps = STEPS}};
        double exact[N], mean = 0, square = 0;
        assert_int_equal(tw_log_density(flow, N, x, &desc, exact, NULL), TW_OK);
        desc.probes = 1;
        desc.probe_kind = cases[k].kind;
        assert_int_equal(tw_log_density(flow, N, x, &desc, got, NULL), TW_OK);
        for (int i = 0; i < N; i++) {
            mean += (got[i] - exact[i]) / N;
            square += (got[i] - exact[i]) * (got[i] - exact[i]) / N;
        }
        assert_true(fabs(mean) < 5 * sqrt(cases[k].variance / N));
        assert_true(fabs(square / cases[k].variance - 1) < 0.15);
    }
    tw_sample_desc adaptive = {.probes = 1, .probe_kind = "signs:fresh=1"};
    assert_int_equal(tw_log_density(flow, N, x, &adaptive, got, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "fixed steps"));
    adaptive.probe_kind = "sines";
    assert_int_equal(tw_log_density(flow, N, x, &adaptive, got, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "sines"));
}

static void test_velocity_is_linear(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double x[2 * N], t[N], got[2 * N];
    for (int i = 0; i < N; i++) {
        x[2 * i] = 3 * sin(i);
        x[2 * i + 1] = 3 * cos(2.0 * i);
        t[i] = (double)i / N;
    }
    assert_int_equal(tw_velocity(flow, N, t, x, NULL, got), TW_OK);
    for (int i = 0; i < N; i++) {
        assert_true(fabs(got[2 * i] - (linear_p * x[2 * i] + linear_q * x[2 * i + 1] + linear_b[0])) < 5e-6);
        assert_true(fabs(got[2 * i + 1] - (linear_r * x[2 * i + 1] + linear_b[1])) < 5e-6);
    }
}

/* A flow with real, curved weights: rows must not depend on their neighbours. */
static tw_flow *curved_flow(tw_context *c)
{
    tw_flow *f = NULL;
    assert_int_equal(
        tw_flow_create(c, &(tw_flow_desc){.columns = 3, .seed = 4, .network = {.width = 48, .depth = 2}}, &f), TW_OK);
    float *out = linear_piece(f, "network.out.weight");
    for (int i = 0; i < 48 * 3; i++) out[i] = (float)(0.3 * sin(i * i));
    tw_flow_programs_drop(f);
    return f;
}

static void test_rows_do_not_depend_on_how_many(void **state)
{
    (void)state;
    enum { N = 1000, FEW = 100 };
    static double many[3 * N], few[3 * N];
    tw_flow *f = curved_flow(ctx);
    tw_sample_desc desc = {.seed = 77};
    assert_int_equal(tw_sample(f, N, &desc, many, NULL, NULL), TW_OK);
    for (int n = FEW; n > 0; n = n * 2 / 3) {
        assert_int_equal(tw_sample(f, n, &desc, few, NULL, NULL), TW_OK);
        assert_memory_equal(few, many, (size_t)n * 3 * sizeof(double));
    }
    desc.seed = 78;
    assert_int_equal(tw_sample(f, FEW, &desc, few, NULL, NULL), TW_OK);
    assert_memory_not_equal(few, many, FEW * 3 * sizeof(double));
    tw_flow_destroy(f);
}

static void test_likelihood_rows_do_not_depend_on_how_many(void **state)
{
    (void)state;
    enum { N = 500 };
    static double x[3 * N], many[N], few[N];
    tw_flow *f = curved_flow(ctx);
    assert_int_equal(tw_sample(f, N, NULL, x, NULL, NULL), TW_OK);
    assert_int_equal(tw_log_density(f, N, x, NULL, many, NULL), TW_OK);
    for (int n = 333; n > 0; n = n * 2 / 5) {
        assert_int_equal(tw_log_density(f, n, x, NULL, few, NULL), TW_OK);
        assert_memory_equal(few, many, (size_t)n * sizeof(double));
    }
    tw_flow_destroy(f);
}

static void test_threads_give_the_same_bits(void **state)
{
    (void)state;
    enum { N = 1500 };
    static double x[3][3 * N], l[3][N];
    const int threads[3] = {1, 2, 3};
    for (int i = 0; i < 3; i++) {
        tw_context *c = tw_context_create(&(tw_context_desc){.threads = threads[i]});
        tw_flow *f = curved_flow(c);
        assert_int_equal(tw_sample(f, N, &(tw_sample_desc){.seed = 3}, x[i], NULL, NULL), TW_OK);
        assert_int_equal(tw_log_density(f, N, x[i], NULL, l[i], NULL), TW_OK);
        tw_flow_destroy(f);
        tw_context_destroy(c);
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(x[0], x[i], sizeof(x[0]));
        assert_memory_equal(l[0], l[i], sizeof(l[0]));
    }
}

static void test_frames(void **state)
{
    (void)state;
    enum { N = 50, FRAMES = 5 };
    static double out[2 * N], frames[FRAMES * 2 * N], source[2], plain[2 * N];
    tw_sample_desc desc = {
        .seed = 5, .frames = FRAMES, .double_precision = true, .solver = {.rtol = 1e-9, .atol = 1e-9}};
    tw_ode_stats stats, whole;
    assert_int_equal(tw_sample(flow, N, &desc, out, frames, &stats), TW_OK);
    assert_memory_equal(out, frames + (FRAMES - 1) * 2 * N, sizeof(out));
    for (int i = 0; i < N; i++) {
        tw_source_row(flow->model.source, 5, TW_STREAM_SAMPLE, i, 2, source);
        for (int j = 0; j < 2; j++)
            assert_true(fabs(frames[2 * i + j] - (linear_shift[j] + linear_scale[j] * source[j])) < 1e-12);
        /* the second coordinate alone: e^{r/2} x + b (e^{r/2} - 1)/r at half time */
        double r = linear_float(linear_r),
               half = exp(r / 2) * source[1] + linear_float(linear_b[1]) * (exp(r / 2) - 1) / r;
        assert_true(fabs(frames[2 * 2 * N + 2 * i + 1] - (linear_shift[1] + linear_scale[1] * half)) < 1e-7);
    }
    desc.frames = 0;
    assert_int_equal(tw_sample(flow, N, &desc, plain, NULL, &whole), TW_OK);
    assert_true(largest_error(N, out, plain, 2) < 1e-6);
    assert_true(stats.nfe > whole.nfe);
    desc = (tw_sample_desc){.frames = FRAMES, .solver = {.method = "euler", .steps = 20}};
    assert_int_equal(tw_sample(flow, N, &desc, out, frames, &stats), TW_OK);
    assert_int_equal(stats.nfe, 20);
    desc.solver.steps = 0;
    assert_int_equal(tw_sample(flow, N, &desc, out, frames, &stats), TW_OK);
    assert_true(stats.nfe >= 50 && stats.nfe < 50 + FRAMES); /* the default number, shared out */
}

static int stop_at_once(void *user, int64_t done, int64_t total)
{
    int64_t *seen = user;
    assert_true(done > 0 && done <= total);
    seen[0]++;
    seen[1] = done;
    return seen[2] != 0;
}

/* A held column is given back to the bit at every time, and the other one solves its equation with that number in it:
 * x_1' = p x_1 + q x_2 + b_1, or x_2' = r x_2 + b_2. */
static void test_columns_are_held(void **state)
{
    (void)state;
    enum { N = 40, FRAMES = 5 };
    static double from[2 * N], got[2 * N], frames[2 * N * FRAMES], want[2 * N], plain[2 * N];
    static const char *const methods[] = {"dopri5", "rk4", "radauIIA5"};
    double p = linear_float(linear_p), q = linear_float(linear_q), r = linear_float(linear_r);
    tw_sample_desc desc = {.from = from, .double_precision = true, .frames = FRAMES};
    exact_samples(8, N, from);
    for (int i = 0; i < 2 * TW_COUNT(methods); i++) {
        const int still = i % 2, moves = 1 - still;
        const bool held[2] = {!still, still};
        desc.held = held;
        desc.solver = (tw_ode_desc){.method = methods[i / 2], .steps = strcmp(methods[i / 2], "rk4") == 0 ? 80 : 0};
        if (desc.solver.steps == 0) desc.solver.rtol = desc.solver.atol = 1e-10;
        for (int k = 0; k < N; k++) {
            double x[2];
            for (int j = 0; j < 2; j++) x[j] = (from[2 * k + j] - linear_shift[j]) / linear_scale[j];
            double rate = moves == 0 ? p : r, push = linear_float(linear_b[moves]) + (moves == 0 ? q * x[1] : 0);
            want[2 * k + still] = from[2 * k + still];
            want[2 * k + moves] =
                linear_shift[moves] + linear_scale[moves] * (exp(rate) * x[moves] + push * (exp(rate) - 1) / rate);
        }
        assert_int_equal(tw_sample(flow, N, &desc, got, frames, NULL), TW_OK);
        assert_true(largest_error(N, got, want, 2) < 1e-7);
        for (int k = 0; k < N * FRAMES; k++)
            assert_true(frames[2 * k + still] == from[2 * (k % N) + still] &&
                        got[2 * (k % N) + still] == from[2 * (k % N) + still]);
    }
    /* and nothing is held any more afterwards */
    assert_int_equal(
        tw_sample(flow, N, &(tw_sample_desc){.seed = 5, .solver = {.rtol = 1e-8, .atol = 1e-8}}, plain, NULL, NULL),
        TW_OK);
    exact_samples(5, N, want);
    assert_true(largest_error(N, plain, want, 2) < 3e-5);
}

static void test_what_cannot_be_held(void **state)
{
    (void)state;
    static const bool held[2] = {true, false};
    double from[2] = {0, 0}, out[2], density;
    const tw_sample_desc bad[] = {
        {.held = held},
        {.held = held, .from = from, .solver = {.method = "ddim", .steps = 5}},
        {.held = held, .from = from, .schedule = "cosine"},
        {.held = held, .from = from, .diffusion = "sigma"},
        {.held = held, .from = from, .log_density = &density},
    };
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_not_equal(tw_sample(flow, 1, &bad[i], out, NULL, NULL), TW_OK);
        assert_non_null(strstr(tw_context_error(ctx), "held"));
    }
    assert_int_not_equal(tw_log_density(flow, 1, from, &(tw_sample_desc){.held = held}, out, NULL), TW_OK);
    assert_non_null(strstr(tw_context_error(ctx), "held"));
}

static void test_progress_and_stopping(void **state)
{
    (void)state;
    enum { N = 5000 };
    double *out = malloc(2 * N * sizeof(double));
    int64_t seen[3] = {0, 0, 0};
    tw_sample_desc desc = {.on_progress = stop_at_once, .user = seen};
    assert_int_equal(tw_sample(flow, N, &desc, out, NULL, NULL), TW_OK);
    assert_true(seen[0] > 1 && seen[1] == N);
    seen[2] = 1;
    assert_int_equal(tw_sample(flow, N, &desc, out, NULL, NULL), TW_ERR_CANCELLED);
    assert_true(seen[1] < N);
    free(out);
}

static void test_refusals(void **state)
{
    (void)state;
    double x[2] = {0, 0}, l;
    assert_int_equal(tw_sample(flow, -1, NULL, x, NULL, NULL), TW_ERR_INVALID);
    assert_int_equal(tw_sample(flow, 1, &(tw_sample_desc){.solver = {.t1 = 1.5}}, x, NULL, NULL), TW_ERR_INVALID);
    assert_int_equal(tw_sample(flow, 1, &(tw_sample_desc){.solver = {.t0 = (double)NAN, .t1 = 1}}, x, NULL, NULL),
                     TW_ERR_INVALID);
    assert_int_equal(tw_sample(flow, 1, &(tw_sample_desc){.solver = {.method = "dopri6"}}, x, NULL, NULL),
                     TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "dopri5"));
    assert_int_equal(tw_log_density(flow, 1, x, &(tw_sample_desc){.solver = {.t0 = 0.5, .t1 = 1}}, &l, NULL),
                     TW_ERR_INVALID);
    assert_int_equal(tw_sample(flow, 0, NULL, x, NULL, NULL), TW_OK);
    double broken[2] = {(double)NAN, 0};
    assert_int_equal(tw_log_density(flow, 1, broken, NULL, &l, NULL), TW_ERR_NUMERIC);
}

/* u = -200 x, so that the way back of all but the middle leads to e^200. */
static void rows_that_run_away_have_no_density(void **state)
{
    (void)state;
    double x[4] = {linear_shift[0], linear_shift[1], linear_shift[0] + 1, linear_shift[1]}, l[2];
    const float steep[] = {-200, 0, 0, -200, 200, 0, 0, 200};
    memcpy(linear_piece(flow, "network.out.weight"), steep, sizeof steep);
    memset(linear_piece(flow, "network.out.bias"), 0, 2 * sizeof(float));
    tw_flow_programs_drop(flow);
    assert_int_equal(tw_log_density(flow, 2, x, NULL, l, NULL), TW_OK);
    assert_true(fabs(l[0] - (400 - log(2 * acos(-1) * linear_scale[0] * linear_scale[1]))) < 1e-3);
    assert_true(l[1] == -(double)INFINITY);
    x[3] = (double)NAN;
    assert_int_equal(tw_log_density(flow, 2, x, NULL, l, NULL), TW_ERR_NUMERIC);
}

static tw_status sample_and_score(tw_context *c, void *user)
{
    tw_flow *f = NULL;
    double x[6], l[3];
    (void)user;
    tw_status status = linear_flow(c, &f);
    if (status == TW_OK) status = tw_sample(f, 3, NULL, x, NULL, NULL);
    if (status == TW_OK) status = tw_log_density(f, 3, x, &(tw_sample_desc){.double_precision = true}, l, NULL);
    tw_flow_destroy(f);
    return status;
}

static void test_memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(sample_and_score, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_are_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_schedule_ends_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_log_density_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(test_samples_know_their_density, setup, teardown),
        cmocka_unit_test_setup_teardown(test_estimated_densities_are_unbiased, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_of_probes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_velocity_is_linear, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_do_not_depend_on_how_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_likelihood_rows_do_not_depend_on_how_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads_give_the_same_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_are_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress_and_stopping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(rows_that_run_away_have_no_density, setup, teardown),
        cmocka_unit_test(test_memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
