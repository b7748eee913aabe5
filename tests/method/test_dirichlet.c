/* Flow matching of shares along Dirichlet laws: the laws points have on their way, their velocities, and the density of
 * where they begin. */
#include "method/dirichlet.h"

#include "base/order.h"
#include "graph/reference.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 20000, K = 3 };

static double from[N * K], normals[N * K], data[N * K], times[N], at[N * K], velocity[N * K];

static tw_factor three = {
    .manifold = TW_MANIFOLD_sphere, .fold = TW_FOLD_POSITIVE, .columns = K, .numbers = K, .features = K, .outputs = K};
static const tw_space simplex = {
    .count = 1, .factor = &three, .columns = K, .numbers = K, .features = K, .outputs = K, .dims = K - 1, .moving = 1};

static void draw(uint64_t seed)
{
    tw_piece source = {0};
    assert_int_equal(tw_piece_read(ctx, "source", "shares", tw_source_list, &source), TW_OK);
    for (int i = 0; i < N; i++) {
        tw_space_draw_row(&simplex, &source, seed, 1, i, from + (ptrdiff_t)K * i);
        tw_source_normal.draw_row(NULL, seed, 2, i, K, normals + (ptrdiff_t)K * i);
    }
    tw_piece_free(ctx, &source);
}

/* Roots of all rows at one time, and their velocities. */
static void travel(double t, const char *method)
{
    tw_graph *g = NULL;
    tw_piece piece = {0}, schedule = {0};
    for (int i = 0; i < N; i++) times[i] = t;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", method, tw_method_list, &piece), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule), TW_OK);
    const tw_shape rows = tw_shape_of(N, K);
    const tw_val in[4] = {tw_input(g, "x0", TW_DTYPE_F64, rows), tw_input(g, "x1", TW_DTYPE_F64, rows),
                          tw_input(g, "t", TW_DTYPE_F64, tw_shape_of(N)), tw_input(g, "z", TW_DTYPE_F64, rows)};
    const tw_model model = {.space = &simplex, .schedule = &schedule, .method = &piece};
    tw_val out[2];
    tw_dirichlet_at(&model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2], .z = in[3]}, &out[0], &out[1]);
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 4, in, (const double *[]){from, data, times, normals}, 2, out,
                                      (double *[]){at, velocity}),
                     TW_OK);
    tw_piece_free(ctx, &piece);
    tw_piece_free(ctx, &schedule);
    tw_graph_destroy(g);
}

/* Kolmogorov and Smirnov's distance from a distribution function with one parameter, times sqrt(n). */
static double ks(double *x, double (*cdf)(double x, double a), double a)
{
    double worst = 0;
    qsort(x, N, sizeof *x, tw_by_value);
    for (int i = 0; i < N; i++) {
        double f = cdf(x[i], a);
        worst = fmax(worst, fmax(fabs(f - (double)i / N), fabs(f - (double)(i + 1) / N)));
    }
    return worst * sqrt(N);
}

static double flat(double x, double a)
{
    (void)a;
    return x;
}

/* Of Beta(a, 2). */
static double beta_of_two(double x, double a)
{
    return (a + 1) * pow(x, a) - a * pow(x, a + 1);
}

static double kappa(double t, double scale)
{
    return scale * K * (t / (1 - t)) * (t / (1 - t));
}

static void corners(int which)
{
    memset(data, 0, sizeof data);
    for (int i = 0; i < N; i++) data[(ptrdiff_t)K * i + which] = 1;
}

/* Of Dirichlet (1 + kappa, 1, 1) the first share is of Beta(1 + kappa, 2), and where the others part the rest is
 * uniform. 1.95 is passed by chance once in a thousand. */
static void laws_are_dirichlet(void **state)
{
    (void)state;
    static double first[N], parted[N];
    const double when[] = {1e-3, 0.2, 0.5, 0.8, 0.99};
    draw(3);
    corners(1);
    for (int k = 0; k < TW_COUNT(when); k++)
        for (int wide = 0; wide < 2; wide++) {
            travel(when[k], wide ? "dirichlet:4" : "dirichlet");
            for (int i = 0; i < N; i++) {
                const double *s = at + (ptrdiff_t)K * i;
                assert_true(fabs(s[0] * s[0] + s[1] * s[1] + s[2] * s[2] - 1) < 1e-12);
                first[i] = s[1] * s[1];
                parted[i] = s[0] * s[0] / (1 - first[i]);
            }
            assert_true(ks(first, beta_of_two, 1 + kappa(when[k], wide ? 4 : 1)) < 1.95);
            assert_true(ks(parted, flat, 0) < 1.95);
        }
}

/* The paper's field of a corner, (e - x) C: the mean velocity of the share b is -d/dt F(b) over the density of b, F the
 * distribution function of Beta(1 + kappa, 2). Means of it times 1 and times b, so that the density drops out. */
static void velocities_are_those_of_the_paper(void **state)
{
    (void)state;
    enum { CELLS = 4000 };
    const double t = 0.4, h = 1e-5;
    draw(4);
    corners(0);
    travel(t, "dirichlet");
    double mean[2] = {0}, square[2] = {0}, exact[2] = {0};
    for (int i = 0; i < N; i++) {
        double s = at[(ptrdiff_t)K * i], rate = 2 * s * velocity[(ptrdiff_t)K * i], b = s * s;
        mean[0] += rate / N;
        mean[1] += rate * b / N;
        square[0] += rate * rate / N;
        square[1] += rate * b * rate * b / N;
    }
    for (int c = 0; c < CELLS; c++) {
        double b = (c + 0.5) / CELLS;
        double slope = (beta_of_two(b, 1 + kappa(t + h, 1)) - beta_of_two(b, 1 + kappa(t - h, 1))) / (2 * h);
        exact[0] -= slope / CELLS;
        exact[1] -= slope * b / CELLS;
    }
    for (int k = 0; k < 2; k++) assert_true(fabs(mean[k] - exact[k]) < 4 * sqrt(square[k] / N));
}

/* Whatever the data, velocities are those of the points, and the ends are source and data. */
static void points_move_as_told(void **state)
{
    (void)state;
    static double before[N * K], after[N * K];
    const double t = 0.6, h = 1e-5;
    draw(5);
    for (int i = 0; i < N; i++) {
        double b = (i % 97) / 96.0, c = (1 - b) * (i % 13) / 12.0;
        data[(ptrdiff_t)K * i] = sqrt(b);
        data[(ptrdiff_t)K * i + 1] = sqrt(c);
        data[(ptrdiff_t)K * i + 2] = sqrt(fmax(1 - b - c, 0));
    }
    travel(t - h, "dirichlet");
    memcpy(before, at, sizeof at);
    travel(t + h, "dirichlet");
    memcpy(after, at, sizeof at);
    travel(t, "dirichlet");
    for (int i = 0; i < N * K; i++)
        assert_true(fabs((after[i] - before[i]) / (2 * h) - velocity[i]) < 1e-6 * (1 + fabs(velocity[i])));
    travel(1e-6, "dirichlet");
    int near = 0;
    for (int i = 0; i < N * K; i++) near += fabs(at[i] - from[i]) < 1e-6;
    assert_true(near > N * K - 60);
    travel(1 - 1e-6, "dirichlet");
    for (int i = 0; i < N * K; i++) assert_true(fabs(at[i] - data[i]) < 5e-4 && isfinite(velocity[i]));
}

/* The greatest and least normal numbers that there are as floats, and shares that are 0 at both ends. */
static void extremes_are_finite(void **state)
{
    (void)state;
    enum { ROWS = 6 };
    double z[ROWS * K] = {6.5, 6.5, 6.5, -6.5, -6.5, -6.5, 6.5, -6.5, 0, -6.5, 6.5, 6.5, 0, 6.5, -6.5, 5.6, 5.5, 5.3};
    double corner[ROWS * K] = {0}, out[4][ROWS * K], when[ROWS];
    const double all[] = {1e-7, 1e-3, 0.5, 0.999, 0.9999999};
    tw_graph *g = NULL;
    tw_piece piece = {0}, schedule = {0};
    for (int i = 0; i < ROWS; i++) corner[K * i + i % K] = 1;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", "dirichlet", tw_method_list, &piece), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule), TW_OK);
    const tw_shape rows = tw_shape_of(ROWS, K);
    const tw_val in[3] = {tw_input(g, "z", TW_DTYPE_F32, rows), tw_input(g, "x1", TW_DTYPE_F32, rows),
                          tw_input(g, "t", TW_DTYPE_F32, tw_shape_of(ROWS))};
    const tw_model model = {.space = &simplex, .schedule = &schedule, .method = &piece};
    tw_val x0 = tw_source_shares.place_rows(NULL, &three, in[0]), to[4];
    tw_dirichlet_at(&model, &(tw_draws){.x0 = x0, .x1 = in[1], .t = in[2], .z = in[0]}, &to[0], &to[1]);
    tw_dirichlet_at(&model, &(tw_draws){.x0 = in[1], .x1 = in[1], .t = in[2], .z = in[0]}, &to[2], &to[3]);
    assert_int_equal(tw_graph_check(g), TW_OK);
    for (int k = 0; k < TW_COUNT(all); k++) {
        for (int i = 0; i < ROWS; i++) when[i] = all[k];
        assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){z, corner, when}, 4, to,
                                          (double *[]){out[0], out[1], out[2], out[3]}),
                         TW_OK);
        for (int i = 0; i < ROWS * K; i++)
            for (int j = 0; j < 4; j++)
                if (!isfinite(out[j][i])) fail_msg("t = %g: output %d is %g", all[k], j, out[j][i]);
    }
    tw_piece_free(ctx, &piece);
    tw_piece_free(ctx, &schedule);
    tw_graph_destroy(g);
}

static void source_has_its_density(void **state)
{
    (void)state;
    enum { CELLS = 200 };
    const double quarter = 1.57079632679489661923;
    tw_piece source = {0};
    double sum = 0;
    assert_int_equal(tw_piece_read(ctx, "source", "shares", tw_source_list, &source), TW_OK);
    for (int i = 0; i < CELLS; i++)
        for (int k = 0; k < CELLS; k++) {
            double a = quarter * (i + 0.5) / CELLS, b = quarter * (k + 0.5) / CELLS;
            double x[K] = {sin(a) * cos(b), sin(a) * sin(b), cos(a)};
            sum += exp(tw_space_log_density(&simplex, &source, x)) * sin(a) * quarter / CELLS * quarter / CELLS;
        }
    assert_true(fabs(sum - 1) < 1e-3);
    tw_piece_free(ctx, &source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(laws_are_dirichlet),  cmocka_unit_test(velocities_are_those_of_the_paper),
        cmocka_unit_test(points_move_as_told), cmocka_unit_test(source_has_its_density),
        cmocka_unit_test(extremes_are_finite),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
