/* Student's t: draws on the host and in a program have the quantiles and moments of PFGM++'s noise law in closed form,
 * point everywhere alike, are independent of how many are drawn; the density is Cauchy's, then nearly normal. */
#include "space/space.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 20000 };

static tw_context *ctx;
static tw_piece source;
static double draws[2 * ROWS];

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_piece_free(ctx, &source);
    tw_context_destroy(ctx);
    return 0;
}

static void use(int degrees)
{
    char text[32];
    snprintf(text, sizeof text, "student:%d", degrees);
    tw_piece_free(ctx, &source);
    assert_int_equal(tw_piece_read(ctx, "source", text, tw_source_list, &source), TW_OK);
}

static void draw_on_host(void)
{
    for (int i = 0; i < ROWS; i++) tw_source_row(&source, 11, 7, i, 2, draws + 2 * i);
}

static void draw_in_graph(void)
{
    enum { BLOCK = 500 }; /* the interpreter keeps every number of a program */
    for (int block = 0; block < ROWS / BLOCK; block++) {
        double key[2] = {5, 6}, counter[2] = {block, 0};
        tw_graph *g = NULL;
        assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
        tw_val in[2] = {tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)),
                        tw_input(g, "counter", TW_DTYPE_U32, tw_shape_of(2))};
        tw_val x0 = tw_source_draw(&source, in[0], in[1], 6, tw_shape_of(BLOCK, 2), TW_DTYPE_F32);
        assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){key, counter}, 1, &x0,
                                          (double *[]){draws + 2 * block * BLOCK}),
                         TW_OK);
        tw_graph_destroy(g);
    }
}

/* In the plane P(|x| < q) = 1 - (1 + q^2/D)^(-D/2): medians 1.732, 1.414, 1.202, 1.179 and 99 % at
 * 100, 14.07, 3.53, 3.09 for D = 1, 2, 16, 128 (and 1.177, 3.03 without end: Rayleigh's law). */
static void check_law(int degrees, const char *where)
{
    const double share[] = {0.01, 0.1, 0.5, 0.9, 0.99};
    double along = 0, across = 0, square = 0, fourth = 0;
    for (int k = 0; k < TW_COUNT(share); k++) {
        double q = sqrt(degrees * (pow(1 - share[k], -2.0 / degrees) - 1));
        int below = 0;
        for (int i = 0; i < ROWS; i++) below += hypot(draws[2 * i], draws[2 * i + 1]) < q;
        double off = ((double)below / ROWS - share[k]) / sqrt(share[k] * (1 - share[k]) / ROWS);
        if (!(fabs(off) < 4)) fail_msg("D = %d %s: share below %g is off by %g deviations", degrees, where, q, off);
    }
    for (int i = 0; i < ROWS; i++) {
        double x = draws[2 * i], y = draws[2 * i + 1], r2 = x * x + y * y;
        along += (x * x - y * y) / r2;
        across += 2 * x * y / r2;
        square += r2 / ROWS;
        fourth += r2 * r2 / ROWS;
    }
    /* cosine and sine of twice the angle: mean 0, variance 1/2 */
    assert_true(fabs(along) < 4 * sqrt(ROWS / 2.0) && fabs(across) < 4 * sqrt(ROWS / 2.0));
    if (degrees >= 16) { /* E R^2 = N D / (D - 2) */
        double error = sqrt((fourth - square * square) / ROWS);
        assert_true(fabs(square - 2.0 * degrees / (degrees - 2)) < 4 * error);
    }
}

static void test_noise_law_of_pfgmpp(void **state)
{
    (void)state;
    const int degrees[] = {1, 2, 3, 16, 128, 2048};
    for (int k = 0; k < TW_COUNT(degrees); k++) {
        use(degrees[k]);
        draw_on_host();
        check_law(degrees[k], "on the host");
        if (degrees[k] > 128) continue;
        memset(draws, 0, sizeof draws);
        draw_in_graph();
        check_law(degrees[k], "in a program");
    }
}

static void test_rows_overlap_nowhere(void **state)
{
    (void)state;
    double a[3], b[3], c[3];
    use(5);
    tw_source_row(&source, 1, 7, 41, 3, a);
    tw_source_row(&source, 1, 7, 42, 3, b);
    tw_source_row(&source, 1, 7, 41, 3, c);
    assert_memory_equal(a, c, sizeof a);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) assert_true(a[i] != b[j]);
}

static void test_density(void **state)
{
    (void)state;
    const double pi = 3.14159265358979323846;
    use(1);
    for (double x = -3; x <= 3; x += 0.5)
        assert_true(fabs(tw_source_log_density(&source, 1, &x) + log(pi * (1 + x * x))) < 1e-13);
    /* in the plane 1 / 2 pi at the middle, whatever D */
    const double zero[2] = {0, 0}, point[2] = {1, -0.5};
    use(7);
    assert_true(fabs(tw_source_log_density(&source, 2, zero) + log(2 * pi)) < 1e-13);
    double points[6] = {0, 0, 1, -0.5, 30, 4}, on_graph[3];
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(3, 2)), log_density = tw_source_density(&source, x);
    assert_int_equal(tw_reference_run(ctx, 1, &x, (const double *[]){points}, 1, &log_density, (double *[]){on_graph}),
                     TW_OK);
    for (int i = 0; i < 3; i++)
        assert_true(fabs(on_graph[i] - tw_source_log_density(&source, 2, points + 2 * i)) < 1e-13);
    tw_graph_destroy(g);
    use(4096);
    assert_true(fabs(tw_source_log_density(&source, 2, point) + log(2 * pi) + 0.625) < 1e-3);
}

static void test_score_is_the_slope_of_the_density(void **state)
{
    (void)state;
    const double x[3] = {0.3, -2, 5}, d = 1e-5;
    double score[3];
    for (int degrees = 1; degrees <= 64; degrees *= 4) {
        use(degrees);
        tw_source_rules_of(&source)->score(source.value, 3, x, score);
        for (int k = 0; k < 3; k++) {
            double up[3] = {x[0], x[1], x[2]}, down[3] = {x[0], x[1], x[2]};
            up[k] += d;
            down[k] -= d;
            double slope = (tw_source_log_density(&source, 3, up) - tw_source_log_density(&source, 3, down)) / (2 * d);
            assert_true(fabs(score[k] - slope) < 1e-8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise_law_of_pfgmpp),
                                       cmocka_unit_test(test_rows_overlap_nowhere), cmocka_unit_test(test_density),
                                       cmocka_unit_test(test_score_is_the_slope_of_the_density)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
