/* What a stochastic interpolant learns between two mixtures of Gaussians in the plane, against velocity and score in
 * closed form; and that the flow and the equation with noise both end at the data.
 *
 * Given components i and j, x_t is normal with mean m = (1-t) a_i + t b_j and per column variance
 * V = (1-t)^2 s_0^2 + t^2 s_1^2 + gamma^2, so that over the weights w_ij(x) ~ N(x; m, V)
 *
 *   b = sum w (m' + V' / 2V (x - m)),   s = -sum w (x - m) / V           (Albergo et al. 2023, appendix A) */
#include "flow/flow.h"

#include "base/philox.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 40000, FROM = 2, TO = 3, N = 2000 };

static const double from[FROM][2] = {{-2, 0}, {2, 1}}, to[TO][2] = {{0, 3}, {-3, -2}, {3, -2}};
static const double from_size = 0.7, to_size = 0.6;
static double source_rows[2 * ROWS], data_rows[2 * ROWS];

static tw_context *ctx;
static tw_dataset *source, *data;
static tw_flow *flow;

static void draw(int count, const double centre[][2], double size, uint32_t stream, double *out)
{
    tw_random random = {.seed = 9, .stream = stream};
    for (int i = 0; i < ROWS; i++) {
        const double *c = centre[tw_random_below(&random, count)];
        for (int j = 0; j < 2; j++) out[2 * i + j] = c[j] + size * tw_random_normal(&random);
    }
}

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(NULL);
    draw(FROM, from, from_size, 1, source_rows);
    draw(TO, to, to_size, 2, data_rows);
    tw_flow_desc desc = {.method = "si",
                         .source = "data",
                         .columns = 2,
                         .seed = 1,
                         .network = {.width = 64, .depth = 2, .time_features = 16}};
    return !ctx || tw_dataset_from_memory(ctx, ROWS, 2, source_rows, NULL, NULL, &source) != TW_OK ||
           tw_dataset_from_memory(ctx, ROWS, 2, data_rows, NULL, NULL, &data) != TW_OK ||
           tw_flow_create(ctx, &desc, &flow) != TW_OK ||
           tw_train(flow, data, &(tw_train_desc){.steps = 2000, .batch = 384, .lr = 1e-2, .source = source}, NULL) !=
               TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_flow_destroy(flow);
    tw_dataset_destroy(source);
    tw_dataset_destroy(data);
    tw_context_destroy(ctx);
    return 0;
}

/* In the flow's normalised units, as everything below. */
static double unit(double x, int column)
{
    return (x - flow->normaliser.shift[column]) / flow->normaliser.scale[column];
}

static void exact(double t, const double x[2], double b[2], double s[2])
{
    double weight[FROM * TO], largest = -INFINITY, sum = 0, v[2], dv[2];
    for (int c = 0; c < 2; c++) {
        double s0 = from_size / flow->normaliser.scale[c], s1 = to_size / flow->normaliser.scale[c];
        v[c] = (1 - t) * (1 - t) * s0 * s0 + t * t * s1 * s1 + t * (1 - t);
        dv[c] = -2 * (1 - t) * s0 * s0 + 2 * t * s1 * s1 + 1 - 2 * t;
        b[c] = s[c] = 0;
    }
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < FROM * TO; k++) {
            double exponent = 0;
            for (int c = 0; c < 2; c++) {
                double a0 = unit(from[k / TO][c], c), a1 = unit(to[k % TO][c], c), off = x[c] - (1 - t) * a0 - t * a1;
                exponent -= off * off / (2 * v[c]);
                if (pass == 0) continue;
                b[c] += weight[k] * (a1 - a0 + dv[c] / (2 * v[c]) * off);
                s[c] -= weight[k] * off / v[c];
            }
            if (pass == 0) weight[k] = exponent;
            if (pass == 0 && k + 1 == FROM * TO) {
                for (int i = 0; i < FROM * TO; i++) largest = fmax(largest, weight[i]);
                for (int i = 0; i < FROM * TO; i++) sum += weight[i] = exp(weight[i] - largest);
                for (int i = 0; i < FROM * TO; i++) weight[i] /= sum;
            }
        }
}

/* Points of the path itself, at times spread over (0.05, 0.95). */
static void points(double *t, double *x)
{
    tw_random random = {.seed = 5, .stream = 3};
    for (int i = 0; i < N; i++) {
        t[i] = 0.05 + 0.9 * (i + 0.5) / N;
        const double *a = source_rows + 2 * tw_random_below(&random, ROWS),
                     *b = data_rows + 2 * tw_random_below(&random, ROWS);
        for (int c = 0; c < 2; c++)
            x[2 * i + c] =
                (1 - t[i]) * unit(a[c], c) + t[i] * unit(b[c], c) + sqrt(t[i] * (1 - t[i])) * tw_random_normal(&random);
    }
}

static void test_velocity_and_score(void **state)
{
    (void)state;
    static double t[N], x[2 * N], u[2 * N];
    double off[2] = {0}, size[2] = {0};
    points(t, x);
    assert_int_equal(tw_velocity(flow, N, t, x, NULL, u), TW_OK);
    tw_flow_program *program = NULL;
    assert_int_equal(tw_flow_program_get(flow, TW_FLOW_SCORE, true, &program), TW_OK);
    static double score[2 * N], beside[2 * N];
    tw_state *run = NULL;
    assert_int_equal(tw_state_create(program->program, 1, &run), TW_OK);
    for (int64_t begin = 0; begin < N; begin += program->rows) {
        int64_t rows = tw_min_i64(program->rows, N - begin);
        const void *inputs[64];
        int count = program->inputs_count - 2;
        memcpy(inputs, program->inputs, (size_t)count * sizeof *inputs);
        inputs[count] = x + 2 * begin;
        inputs[count + 1] = t + begin;
        assert_int_equal(tw_program_run(run, inputs, (void *[]){beside + 2 * begin, score + 2 * begin}, rows), TW_OK);
    }
    tw_state_destroy(run);
    for (int i = 0; i < N; i++) {
        double b[2], s[2];
        exact(t[i], x + 2 * i, b, s);
        for (int c = 0; c < 2; c++) {
            off[0] += pow(u[2 * i + c] - b[c], 2);
            size[0] += b[c] * b[c];
            off[1] += pow(score[2 * i + c] - s[c], 2);
            size[1] += s[c] * s[c];
        }
    }
    print_message("relative errors: velocity %.4f, score %.4f\n", sqrt(off[0] / size[0]), sqrt(off[1] / size[1]));
    /* a short training; a wrong sign or factor anywhere gives 1 or so */
    assert_true(sqrt(off[0] / size[0]) < 0.1);
    assert_true(sqrt(off[1] / size[1]) < 0.1);
}

static double mean_distance(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) sum += hypot(a[2 * i] - b[2 * j], a[2 * i + 1] - b[2 * j + 1]);
    return sum / N / N;
}

static void test_flow_and_noise_end_at_the_data(void **state)
{
    (void)state;
    static double x[2 * N];
    const double *fresh = data_rows + 2 * N;
    const char *const diffusion[] = {NULL, "constant:0.2", "constant:1", "constant:4"};
    for (int k = 0; k < TW_COUNT(diffusion); k++) {
        tw_sample_desc how = {.from = source_rows, .diffusion = diffusion[k], .seed = 3};
        if (diffusion[k]) how.solver.steps = 300;
        if (tw_sample(flow, N, &how, x, NULL, NULL) != TW_OK) fail_msg("%s", tw_context_error(ctx));
        double energy = 2 * mean_distance(x, fresh) - mean_distance(x, x) - mean_distance(fresh, fresh);
        print_message("%s: energy distance %.5f\n", diffusion[k] ? diffusion[k] : "flow", energy);
        assert_true(energy < 0.02); /* of rows three wide; as many fresh rows are 0.004 apart */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_velocity_and_score),
                                       cmocka_unit_test(test_flow_and_noise_end_at_the_data)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
