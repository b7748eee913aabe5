/* The normal source: draws on the host and in a program are standard normal, rows are independent of how many are
 * drawn, and the density is that of the draws. */
#include "space/space.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const tw_piece *normal_source(void)
{
    static tw_piece normal;
    for (int i = 0; tw_source_list(i); i++)
        if (strcmp(tw_source_list(i)->name, "normal") == 0) normal.info = tw_source_list(i);
    assert_non_null(normal.info);
    return &normal;
}

/* Largest distance between the empirical distribution and the normal one, times sqrt(n) (Kolmogorov-Smirnov). */
static double ks(int n, double *x)
{
    for (int i = 1; i < n; i++) { /* shell sort is enough here */
        for (int gap = n / 2; i == 1 && gap > 0; gap /= 2)
            for (int j = gap; j < n; j++)
                for (int k = j; k >= gap && x[k - gap] > x[k]; k -= gap) {
                    double swap = x[k];
                    x[k] = x[k - gap];
                    x[k - gap] = swap;
                }
    }
    double worst = 0;
    for (int i = 0; i < n; i++) {
        double cdf = 0.5 * erfc(-x[i] / sqrt(2.0));
        worst = fmax(worst, fmax(fabs(cdf - (double)i / n), fabs(cdf - (double)(i + 1) / n)));
    }
    return worst * sqrt(n);
}

static void test_host_draws(void **state)
{
    (void)state;
    enum { ROWS = 10000, COLUMNS = 3 };
    static double column[ROWS];
    double row[COLUMNS], cross = 0;
    for (int i = 0; i < ROWS; i++) {
        tw_source_row(normal_source(), 11, 7, i, COLUMNS, row);
        column[i] = row[1];
        cross += row[0] * row[2];
    }
    /* 1.95 is passed by chance once in a thousand seeds; the product has standard deviation 1 */
    assert_true(ks(ROWS, column) < 1.95);
    assert_true(fabs(cross / ROWS) < 4 / sqrt(ROWS));
}

static void test_rows_overlap_nowhere(void **state)
{
    (void)state;
    double a[3], b[3], c[3];
    const tw_piece *normal = normal_source();
    tw_source_row(normal, 1, 7, 41, 3, a);
    tw_source_row(normal, 1, 7, 42, 3, b);
    tw_source_row(normal, 1, 7, 41, 3, c);
    assert_memory_equal(a, c, sizeof(a));
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) assert_true(a[i] != b[j]);
    tw_source_row(normal, 2, 7, 41, 3, c);
    assert_memory_not_equal(a, c, sizeof(a));
    tw_source_row(normal, 1, 8, 41, 3, c);
    assert_memory_not_equal(a, c, sizeof(a));
}

static void test_graph_draws(void **state)
{
    (void)state;
    enum { N = 10000 };
    static double out[N];
    double key[2] = {5, 6}, counter[2] = {7, 0};
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val in[2] = {tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)),
                    tw_input(g, "counter", TW_DTYPE_U32, tw_shape_of(2))};
    tw_val x0 = tw_source_draw(normal_source(), in[0], in[1], 6, tw_shape_of(N / 2, 2), TW_DTYPE_F32);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){key, counter}, 1, &x0, (double *[]){out}), TW_OK);
    assert_true(ks(N, out) < 1.95);
    tw_graph_destroy(g);
    tw_context_destroy(ctx);
}

static void test_density(void **state)
{
    (void)state;
    double x[2] = {0, 0}, y[3] = {1, -2, 0.5};
    /* -log(2 pi), and -(3/2) log(2 pi) - (1 + 4 + 0.25) / 2 */
    assert_true(fabs(tw_source_log_density(normal_source(), 2, x) + 1.8378770664093453) < 1e-14);
    assert_true(fabs(tw_source_log_density(normal_source(), 3, y) + 2.7568155996140185 + 2.625) < 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_draws),
        cmocka_unit_test(test_rows_overlap_nowhere),
        cmocka_unit_test(test_graph_draws),
        cmocka_unit_test(test_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
