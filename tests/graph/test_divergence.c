/* Divergences: exact against the diagonal of the Jacobian; estimates by their mean and variance over many rows, against
 * the formulas of the papers. Seeds are fixed; bounds are four standard errors. */
#include "graph/support.h"
#include "support/context.h"

enum { D = 6 };

typedef struct field {
    tw_graph *g;
    tw_val x, a, key, counter, u;
    int64_t rows;
    double *at, matrix[D * D], words[2], count[2];
} field;

/* x -> x A' in every row (linear), or tanh of it. */
static field make_field(tw_context *ctx, int64_t rows, bool linear)
{
    field f = {.g = new_graph(ctx), .rows = rows, .words = {11, 22}};
    f.x = tw_input(f.g, "x", TW_DTYPE_F64, tw_shape_of(rows, D));
    f.a = tw_input(f.g, "a", TW_DTYPE_F64, tw_shape_of(D, D));
    f.key = tw_input(f.g, "key", TW_DTYPE_U32, tw_shape_of(2));
    f.counter = tw_input(f.g, "counter", TW_DTYPE_U32, tw_shape_of(2));
    f.u = tw_dot_general(f.x, f.a, 0, NULL, NULL, 1, (int[]){1}, (int[]){1});
    if (!linear) f.u = tw_tanh(f.u);
    tw_random r = {.seed = 5};
    f.at = random_array(&r, TW_DTYPE_F64, rows * D, -1, 1);
    for (int i = 0; i < D * D; i++) f.matrix[i] = 2 * tw_random_uniform(&r) - 1;
    return f;
}

static void free_field(field *f)
{
    free(f->at);
    tw_graph_destroy(f->g);
}

static double *values_of(const field *f, tw_val output)
{
    return evaluate(4, (tw_val[]){f->x, f->a, f->key, f->counter},
                    (double *[]){f->at, (double *)f->matrix, (double *)f->words, (double *)f->count}, output);
}

static tw_val divergence(const field *f, tw_trace trace, tw_probe probe, int probes)
{
    tw_divergence_desc desc = {
        .trace = trace, .probe = probe, .probes = probes, .stream = 9, .key = f->key, .counter = f->counter};
    tw_val out = TW_NONE;
    check_status(f->g, tw_divergence(f->x, f->u, &desc, &out));
    assert_true(tw_shape_equal(tw_shape_at(out), tw_shape_of(f->rows)));
    return out;
}

static double trace_of(const field *f)
{
    double sum = 0.0;
    for (int i = 0; i < D; i++) sum += f->matrix[i * D + i];
    return sum;
}

static void exact(void **state)
{
    for (int linear = 0; linear < 2; linear++) {
        field f = make_field(*state, 7, linear);
        tw_val out, jacobian;
        check_status(f.g, tw_divergence(f.x, f.u, NULL, &out));
        check_status(f.g, tw_jacobian_rows(TW_MODE_REVERSE, f.x, f.u, &jacobian));
        double *found = values_of(&f, out), *whole = values_of(&f, jacobian);
        for (int r = 0; r < 7; r++) {
            double expected = 0.0;
            for (int d = 0; d < D; d++) expected += whole[(r * D + d) * D + d];
            assert_near(found[r], expected, 1e-14, "trace of the Jacobian");
            if (linear) assert_near(found[r], trace_of(&f), 1e-14, "trace of the matrix");
        }
        free(found);
        free(whole);
        check_status(f.g, tw_divergence(f.x, tw_zeros_like(f.x), NULL, &out));
        assert_true(tw_node_is_full_of(f.g, out.id, 0.0));
        free_field(&f);
    }
}

static void mean_and_variance(const double *x, int64_t n, double *mean, double *variance)
{
    *mean = *variance = 0.0;
    for (int64_t i = 0; i < n; i++) *mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) *variance += (x[i] - *mean) * (x[i] - *mean) / (double)(n - 1);
}

/* Of K probes and S = (A + A')/2: variance 2 |S|^2 / K for normal ones, 2 (|S|^2 - sum S_ii^2) / K for signs. */
static void hutchinson(void **state)
{
    enum { ROWS = 8000 };
    field f = make_field(*state, ROWS, true);
    double square = 0.0, diagonal = 0.0;
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) {
            double s = 0.5 * (f.matrix[i * D + j] + f.matrix[j * D + i]);
            square += s * s;
            if (i == j) diagonal += s * s;
        }
    for (int probe = TW_PROBE_RADEMACHER; probe <= TW_PROBE_GAUSSIAN; probe++)
        for (int probes = 1; probes <= 4; probes += 3) {
            double expected = 2 * (square - (probe == TW_PROBE_RADEMACHER ? diagonal : 0.0)) / probes, mean, variance;
            double *found = values_of(&f, divergence(&f, TW_TRACE_HUTCHINSON, (tw_probe)probe, probes));
            mean_and_variance(found, ROWS, &mean, &variance);
            assert_near(mean, trace_of(&f), 4 * sqrt(expected / ROWS), "mean of Hutchinson estimates");
            /* fourth moments are below 15 variances squared: standard error of the variance below sqrt(14/ROWS) */
            assert_near(variance / expected, 1.0, 4 * sqrt(14.0 / ROWS), "variance of Hutchinson estimates");
            free(found);
        }
    free_field(&f);
}

/* Unbiased for any matrix; with a third of the products spent on the dominating directions, better than Hutchinson with
 * as many products when those directions hold most of the trace; exact when they hold all of it. */
static void hutch_plus_plus(void **state)
{
    enum { ROWS = 8000 };
    field f = make_field(*state, ROWS, true);
    double mean, variance, plain;
    for (int probe = TW_PROBE_RADEMACHER; probe <= TW_PROBE_GAUSSIAN; probe++)
        for (int probes = 3; probes <= 9; probes += 3) {
            double *found = values_of(&f, divergence(&f, TW_TRACE_HUTCHPP, (tw_probe)probe, probes));
            mean_and_variance(found, ROWS, &mean, &variance);
            assert_near(mean, trace_of(&f), 4 * sqrt(variance / ROWS), "mean of Hutch++ estimates");
            free(found);
        }
    /* A = 10 q q' + small: variances of both with six products */
    for (int i = 0; i < D * D; i++) f.matrix[i] = 10.0 / D + 0.1 * f.matrix[i];
    double *found = values_of(&f, divergence(&f, TW_TRACE_HUTCHPP, TW_PROBE_GAUSSIAN, 6));
    mean_and_variance(found, ROWS, &mean, &variance);
    assert_near(mean, trace_of(&f), 4 * sqrt(variance / ROWS), "mean of Hutch++ estimates");
    free(found);
    found = values_of(&f, divergence(&f, TW_TRACE_HUTCHINSON, TW_PROBE_GAUSSIAN, 6));
    mean_and_variance(found, ROWS, &mean, &plain);
    free(found);
    print_message("six products a row: variance %.3g by Hutchinson, %.3g by Hutch++\n", plain, variance);
    assert_true(variance < 0.02 * plain);
    /* rank two, two directions: nothing is left to estimate, whatever the probes */
    for (int i = 0; i < D; i++)
        for (int j = 0; j < D; j++) f.matrix[i * D + j] = (i + 1) * cos(j) + (double)(i == 2 && j < 4);
    found = values_of(&f, divergence(&f, TW_TRACE_HUTCHPP, TW_PROBE_GAUSSIAN, 6));
    for (int i = 0; i < ROWS; i += 7) assert_near(found[i], trace_of(&f), 1e-7, "rank two");
    free(found);
    /* rank one, two directions: the second is noise and must be dropped; then no matrix at all */
    for (int i = 0; i < D * D; i++) f.matrix[i] = 1.0;
    found = values_of(&f, divergence(&f, TW_TRACE_HUTCHPP, TW_PROBE_RADEMACHER, 6));
    for (int i = 0; i < ROWS; i += 7) assert_true(isfinite(found[i]));
    free(found);
    memset(f.matrix, 0, sizeof f.matrix);
    found = values_of(&f, divergence(&f, TW_TRACE_HUTCHPP, TW_PROBE_GAUSSIAN, 6));
    for (int i = 0; i < ROWS; i += 7) assert_near(found[i], 0.0, 0.0, "zero");
    free(found);
    free_field(&f);
}

/* Probes are a function of the counter; as many directions as columns are exact; vectors may be given. */
static void probes(void **state)
{
    enum { ROWS = 5 };
    field f = make_field(*state, ROWS, false);
    tw_val estimate = divergence(&f, TW_TRACE_HUTCHINSON, TW_PROBE_RADEMACHER, 2), exact_value, given;
    double *first = values_of(&f, estimate), *again = values_of(&f, estimate);
    f.count[0] = 1;
    double *fresh = values_of(&f, estimate);
    for (int i = 0; i < ROWS; i++) assert_true(first[i] == again[i]);
    assert_memory_not_equal(first, fresh, ROWS * sizeof *first);
    check_status(f.g, tw_divergence(f.x, f.u, NULL, &exact_value));
    assert_int_equal(divergence(&f, TW_TRACE_HUTCHPP, TW_PROBE_GAUSSIAN, 3 * D).id, exact_value.id);
    tw_divergence_desc desc = {.trace = TW_TRACE_HUTCHINSON, .probes = D};
    desc.vectors = tw_muls(tw_broadcast_to(tw_eye(f.g, TW_DTYPE_F64, D), tw_shape_of(ROWS, D, D)), sqrt(D));
    check_status(f.g, tw_divergence(f.x, f.u, &desc, &given));
    double *a = values_of(&f, exact_value), *b = values_of(&f, given);
    for (int i = 0; i < ROWS; i++) assert_near(a[i], b[i], 1e-14, "scaled unit vectors");
    tw_val signs = tw_probe_vectors(TW_PROBE_RADEMACHER, TW_DTYPE_F32, f.key, f.counter, 3, tw_shape_of(50));
    double *s = values_of(&f, signs), sum = 0.0;
    for (int i = 0; i < 50; i++) {
        assert_true(s[i] == 1.0 || s[i] == -1.0);
        sum += s[i];
    }
    assert_true(fabs(sum) < 30);
    free(first), free(again), free(fresh), free(a), free(b), free(s);
    free_field(&f);
}

/* The gradient of an estimate is an estimate of the gradient, for Hutch++ too, whose Q is held fixed in it. */
static void gradients(void **state)
{
    enum { ROWS = 50, ROUNDS = 40 };
    field f = make_field(*state, ROWS, false);
    tw_val exact_value, exact_gradient;
    check_status(f.g, tw_divergence(f.x, f.u, NULL, &exact_value));
    check_status(f.g, tw_grad(tw_mean_all(exact_value), 1, &f.a, &exact_gradient));
    double *expected = values_of(&f, exact_gradient);
    for (int trace = TW_TRACE_HUTCHINSON; trace <= TW_TRACE_HUTCHPP; trace++) {
        tw_val gradient;
        check_status(f.g,
                     tw_grad(tw_mean_all(divergence(&f, (tw_trace)trace, TW_PROBE_GAUSSIAN, 3)), 1, &f.a, &gradient));
        double rounds[D * D][ROUNDS], worst = 0.0;
        for (int n = 0; n < ROUNDS; n++) {
            f.count[0] = n;
            double *found = values_of(&f, gradient);
            for (int i = 0; i < D * D; i++) rounds[i][n] = found[i];
            free(found);
        }
        for (int i = 0; i < D * D; i++) {
            double mean, variance;
            mean_and_variance(rounds[i], ROUNDS, &mean, &variance);
            worst = fmax(worst, fabs(mean - expected[i]) / sqrt(variance / ROUNDS));
        }
        /* the largest of 36 Student's t of 39 degrees exceeds 4.5 once in 500 */
        if (!(worst < 4.5)) fail_msg("gradient of trace %d is %.2f standard errors off", trace, worst);
    }
    free(expected);
    free_field(&f);
}

static void sentences(void **state)
{
    field f = make_field(*state, 3, true);
    tw_val out = TW_NONE;
    tw_divergence_desc desc = {.trace = TW_TRACE_HUTCHPP, .probes = 4, .key = f.key, .counter = f.counter};
    assert_int_equal(tw_divergence(f.x, f.u, &desc, &out), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "divergence: 4 probes; Hutch++ takes 3, 6, 9, ...");
    desc = (tw_divergence_desc){.trace = TW_TRACE_HUTCHINSON, .probes = 1};
    assert_int_equal(tw_divergence(f.x, f.u, &desc, &out), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "divergence: probes need vectors, or a key and a counter");
    desc.vectors = f.x;
    assert_int_equal(tw_divergence(f.x, f.u, &desc, &out), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "divergence: the vectors are not f64(3,1,6) of the field's graph");
    assert_int_equal(tw_divergence(f.x, tw_sum_axis(f.x, 1), NULL, &out), TW_ERR_SHAPE);
    assert_true(tw_is_none(out));
    free_field(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact),  cmocka_unit_test(hutchinson), cmocka_unit_test(hutch_plus_plus),
        cmocka_unit_test(probes), cmocka_unit_test(gradients),  cmocka_unit_test(sentences),
    };
    return cmocka_run_group_tests_name("graph/divergence", tests, open_context, close_context);
}
