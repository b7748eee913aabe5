/* Brownian motion: a function of its name and time whatever was asked before, increments that add up, the law at
 * 131,072 samples, and what torchsde's motions fail at. */
#include <thalweg/sde.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/limited_memory.h"
#include "support/normality.h"
#include "support/own_context.h"

#include <math.h>
#include <string.h>

#include <cmocka.h>

static tw_brownian *make(tw_brownian_desc desc, int64_t rows)
{
    tw_brownian *b = NULL;
    assert_int_equal(tw_brownian_create(ctx, &desc, rows, &b), TW_OK);
    return b;
}

enum { QUERIES = 500 };

static void shuffle(int *order, int n, tw_random *r)
{
    for (int i = 0; i < n; i++) order[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)tw_random_below(r, i + 1), keep = order[i];
        order[i] = order[j];
        order[j] = keep;
    }
}

/* Half of the times are ends of cells. */
static void any_times(double *t, int cells, tw_random *r)
{
    for (int i = 0; i < QUERIES; i++)
        t[i] = i % 2 ? tw_random_uniform(r) : (double)tw_random_below(r, cells + 1) / cells;
}

static void same_bits_in_any_order_and_block(void **state)
{
    (void)state;
    enum { ROWS = 7, COLUMNS = 3, CELLS = 100, SIZE = ROWS * COLUMNS };
    static double t[QUERIES], w[QUERIES][SIZE], integral[QUERIES][SIZE], again[SIZE], area[SIZE];
    int order[QUERIES];
    tw_random r = {.seed = 1};
    any_times(t, CELLS, &r);
    for (int integrals = 0; integrals < 2; integrals++) {
        tw_brownian_desc desc = {.cells = CELLS, .columns = COLUMNS, .seed = 9, .integrals = integrals};
        tw_brownian *b = make(desc, ROWS);
        for (int i = 0; i < QUERIES; i++) tw_brownian_at(b, 5, ROWS, t[i], w[i], integral[i]);
        for (int round = 0; round < 3; round++) {
            shuffle(order, QUERIES, &r);
            for (int i = 0; i < QUERIES; i++) {
                int q = order[i], row = (int)tw_random_below(&r, ROWS), rows = 1 + (int)tw_random_below(&r, ROWS - row);
                size_t bytes = (size_t)rows * COLUMNS * sizeof(double);
                tw_brownian_at(b, 5 + row, rows, t[q], again, area);
                assert_memory_equal(again, w[q] + row * COLUMNS, bytes);
                if (integrals) assert_memory_equal(area, integral[q] + row * COLUMNS, bytes);
            }
        }
        tw_brownian_destroy(b);
    }
}

static void increments_add_up(void **state)
{
    (void)state;
    enum { SIZE = 64, CELLS = 37 };
    double w[3][SIZE], h[3][SIZE];
    tw_random r = {.seed = 2};
    tw_brownian *b = make((tw_brownian_desc){.cells = CELLS, .columns = SIZE, .seed = 4, .integrals = true}, 1);
    for (int n = 0; n < 200; n++) {
        double t[3];
        for (int i = 0; i < 3; i++)
            t[i] = n % 2 ? tw_random_uniform(&r) : (double)tw_random_below(&r, CELLS + 1) / CELLS;
        qsort(t, 3, sizeof *t, by_size);
        double ab = t[1] - t[0], bc = t[2] - t[1], ac = t[2] - t[0];
        tw_brownian_increment(b, 0, 1, t[0], t[1], w[0], h[0]);
        tw_brownian_increment(b, 0, 1, t[1], t[2], w[1], h[1]);
        tw_brownian_increment(b, 0, 1, t[0], t[2], w[2], h[2]);
        for (int i = 0; i < SIZE; i++) {
            /* the integral from a of W - W(a) */
            double u0 = ab * (w[0][i] / 2 + h[0][i]), u1 = bc * (w[1][i] / 2 + h[1][i]);
            double whole = ac * (w[2][i] / 2 + h[2][i]);
            assert_true(fabs(w[0][i] + w[1][i] - w[2][i]) < 1e-12);
            assert_true(fabs(u0 + u1 + bc * w[0][i] - whole) < 1e-12);
        }
        tw_brownian_increment(b, 0, 1, t[2], t[0], w[0], h[0]);
        for (int i = 0; i < SIZE; i++) assert_true(w[0][i] == -w[2][i]);
    }
    tw_brownian_destroy(b);
}

/* The area belongs to the path: the integral by a fine trapezoidal rule, whose error has variance d^2 / 12 for d = 1/N.
 */
static void integrals_are_those_of_the_path(void **state)
{
    (void)state;
    enum { SIZE = 32, FINE = 2048 };
    static double w[FINE + 1][SIZE];
    double end[SIZE], integral[SIZE];
    tw_brownian *b = make((tw_brownian_desc){.cells = 3, .columns = SIZE, .seed = 6, .integrals = true}, 1);
    for (int i = 0; i <= FINE; i++) tw_brownian_at(b, 0, 1, 0.75 * i / FINE, w[i], NULL);
    tw_brownian_at(b, 0, 1, 0.75, end, integral);
    for (int k = 0; k < SIZE; k++) {
        double sum = 0, d = 0.75 / FINE;
        for (int i = 0; i < FINE; i++) sum += 0.5 * d * (w[i][k] + w[i + 1][k]);
        assert_true(fabs(sum - integral[k]) < 5 * d * sqrt(0.75 / 12));
    }
    tw_brownian_destroy(b);
}

static double correlation(const double *x, const double *y, int64_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < n; i++) {
        xy += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
    }
    return xy / sqrt(xx * yy);
}

enum { SAMPLES = 131072 };
static double first[SAMPLES], second[SAMPLES], area[SAMPLES], scratch[SAMPLES];

static void assert_normal(const double *x, double variance)
{
    for (int i = 0; i < SAMPLES; i++) scratch[i] = x[i] / sqrt(variance);
    assert_true(normality(scratch, SAMPLES) >= 1e-5);
}

static void assert_independent(const double *x, const double *y)
{
    assert_true(fabs(correlation(x, y, SAMPLES)) < 5 / sqrt(SAMPLES));
}

static void increments_have_the_law(void **state)
{
    (void)state;
    static const double ends[][3] = {{0, 1. / 3, 1}, {0.1, 0.1234567, 0.2}, {1. / 3, 0.5, 2. / 3}, {0, 1e-3, 0.999}};
    for (int integrals = 0; integrals < 2; integrals++) {
        tw_brownian_desc desc = {.cells = 6, .columns = 1, .seed = 11, .integrals = integrals};
        tw_brownian *b = make(desc, SAMPLES);
        for (int e = 0; e < TW_COUNT(ends); e++) {
            const double *t = ends[e];
            tw_brownian_increment(b, 0, SAMPLES, t[0], t[1], first, area);
            assert_normal(first, t[1] - t[0]);
            if (integrals) assert_normal(area, (t[1] - t[0]) / 12);
            if (integrals) assert_independent(first, area);
            tw_brownian_increment(b, 0, SAMPLES, t[1], t[2], second, area);
            assert_normal(second, t[2] - t[1]);
            assert_independent(first, second);
            if (integrals) assert_independent(first, area);
            if (integrals) assert_normal(area, (t[2] - t[1]) / 12);
        }
        tw_brownian_destroy(b);
    }
}

/* Given both ends, the middle is a bridge: W(m) - ((e-m) W(s) + (m-s) W(e))/(e-s), of variance (m-s)(e-m)/(e-s),
 * independent of both. */
static void between_ends_it_is_a_bridge(void **state)
{
    (void)state;
    const double s = 0.2, m = 0.45, e = 0.9;
    tw_brownian *b = make((tw_brownian_desc){.cells = 5, .columns = 1, .seed = 12, .integrals = true}, SAMPLES);
    tw_brownian_at(b, 0, SAMPLES, s, first, NULL);
    tw_brownian_at(b, 0, SAMPLES, e, second, NULL);
    tw_brownian_at(b, 0, SAMPLES, m, area, NULL);
    for (int i = 0; i < SAMPLES; i++) area[i] -= ((e - m) * first[i] + (m - s) * second[i]) / (e - s);
    assert_normal(area, (m - s) * (e - m) / (e - s));
    assert_independent(area, first);
    assert_independent(area, second);
    tw_brownian_destroy(b);
}

static void names_are_independent(void **state)
{
    (void)state;
    const tw_brownian_desc desc[] = {{.columns = 1, .seed = 1},
                                     {.columns = 1, .seed = 2},
                                     {.columns = 1, .seed = 1, .stream = 1},
                                     {.columns = 1, .seed = 1, .integrals = true}};
    tw_brownian *b = make(desc[0], SAMPLES);
    tw_brownian_at(b, 0, SAMPLES, 0.7, first, NULL);
    tw_brownian_at(b, SAMPLES, SAMPLES, 0.7, second, NULL);
    assert_independent(first, second);
    tw_brownian_destroy(b);
    for (int i = 1; i < 3; i++) {
        b = make(desc[i], SAMPLES);
        tw_brownian_at(b, 0, SAMPLES, 0.7, second, NULL);
        assert_independent(first, second);
        tw_brownian_destroy(b);
    }
    b = make((tw_brownian_desc){.columns = 2, .seed = 1}, SAMPLES / 2);
    tw_brownian_at(b, 0, SAMPLES / 2, 0.7, scratch, NULL);
    for (int i = 0; i < SAMPLES / 2; i++) {
        first[i] = scratch[2 * i];
        second[i] = scratch[2 * i + 1];
    }
    assert_true(fabs(correlation(first, second, SAMPLES / 2)) < 5 / sqrt(SAMPLES / 2));
    tw_brownian_destroy(b);
}

/* torchsde: the documented recipe for one path (tol 1e-5, halfway_tree) ends in a RecursionError when asked at the
 * float32 times 0.01 i, and long runs do so too (torchsde issue 105). */
static void torchsde_recursion_on_single_precision_times(void **state)
{
    (void)state;
    double w = 0, last = 0, squares = 0;
    tw_brownian *b = make((tw_brownian_desc){.columns = 1, .seed = 3}, 1);
    for (int i = 1; i <= 100; i++) {
        tw_brownian_at(b, 0, 1, (double)(0.01f * (float)i), &w, NULL);
        squares += (w - last) * (w - last);
        last = w;
    }
    assert_true(fabs(squares - 1) < 5 * sqrt(2.0 / 100)); /* the quadratic variation of [0,1] */
    tw_brownian_destroy(b);
    enum { MANY = 1 << 20 };
    b = make((tw_brownian_desc){.columns = 1, .seed = 3, .cells = MANY}, 1);
    squares = 0;
    for (int i = 0; i < MANY; i++) {
        tw_brownian_increment(b, 0, 1, (double)i / MANY, (i + 1.0) / MANY, &w, NULL);
        squares += w * w;
    }
    assert_true(fabs(squares - 1) < 5 * sqrt(2.0 / MANY));
    tw_brownian_destroy(b);
}

/* torchsde: one seed gives one path only if the questions are the same ones in the same order. */
static void torchsde_path_depends_on_what_was_asked_before(void **state)
{
    (void)state;
    double plain[8], after[8], ignored[8];
    tw_brownian *b = make((tw_brownian_desc){.columns = 8, .seed = 5}, 1);
    tw_brownian_at(b, 0, 1, 0.3, plain, NULL);
    tw_brownian_destroy(b);
    b = make((tw_brownian_desc){.columns = 8, .seed = 5}, 1);
    tw_brownian_increment(b, 0, 1, 0.29, 0.31, ignored, NULL);
    tw_brownian_at(b, 0, 1, 0.3, after, NULL);
    assert_memory_equal(plain, after, sizeof plain);
    tw_brownian_destroy(b);
}

/* The generator's counter of elements has 34 bits. */
static void rows_beyond_the_counter_are_new_ones(void **state)
{
    (void)state;
    enum { ROWS = 8 };
    const int64_t row = ((int64_t)1 << 33) - 3;
    double near[2 * ROWS], far[2 * ROWS], part[2];
    tw_brownian *b = make((tw_brownian_desc){.columns = 2, .cells = 2, .integrals = true}, ROWS);
    tw_brownian_at(b, 0, ROWS, 0.5, near, NULL);
    tw_brownian_at(b, row, ROWS, 0.5, far, NULL);
    for (int r = 0; r < ROWS; r++) {
        tw_brownian_at(b, row + r, 1, 0.5, part, NULL);
        assert_memory_equal(part, far + 2 * r, sizeof part);
    }
    assert_memory_not_equal(far + 2 * 3, near, 2 * 5 * sizeof(double)); /* row 2^33 is not row 0 */
    tw_brownian_destroy(b);
}

static void ends_and_beyond(void **state)
{
    (void)state;
    const double times[] = {-2, -1, 0.5, 3};
    double w[2], beyond[2], integral[2];
    tw_brownian *b = make((tw_brownian_desc){.cells = 3, .times = times, .columns = 2, .integrals = true}, 1);
    tw_brownian_at(b, 0, 1, -2, w, integral);
    assert_true(w[0] == 0 && w[1] == 0 && integral[0] == 0);
    tw_brownian_at(b, 0, 1, 3, w, NULL);
    tw_brownian_at(b, 0, 1, 4, beyond, integral);
    assert_memory_equal(w, beyond, sizeof w);
    tw_brownian_increment(b, 0, 1, 1, 1, w, integral);
    assert_true(w[0] == 0 && integral[0] == 0);
    tw_brownian_destroy(b);
}

static void refusals(void **state)
{
    (void)state;
    const double disorder[] = {0, 2, 1};
    const tw_brownian_desc bad[] = {{.columns = 0},
                                    {.columns = 1, .cells = -1},
                                    {.columns = 1, .cells = 1 << 24},
                                    {.columns = 1, .stream = 65536},
                                    {.columns = 1, .t0 = 1, .t1 = 0},
                                    {.columns = 1, .t0 = 1, .t1 = (double)NAN},
                                    {.columns = 1, .cells = 2, .times = disorder}};
    tw_brownian *b = NULL;
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_equal(tw_brownian_create(ctx, &bad[i], 1, &b), TW_ERR_INVALID);
        assert_non_null(strstr(tw_context_error(ctx), "Brownian motion"));
    }
    assert_int_equal(tw_brownian_create(ctx, &(tw_brownian_desc){.columns = 1 << 30}, INT64_MAX / 4, &b),
                     TW_ERR_MEMORY);
    assert_null(b);
}

static tw_status make_and_ask(tw_context *c, void *user)
{
    tw_brownian *b = NULL;
    double w[4];
    (void)user;
    tw_status status = tw_brownian_create(c, &(tw_brownian_desc){.columns = 2, .cells = 9, .integrals = true}, 2, &b);
    if (status == TW_OK) tw_brownian_at(b, 0, 2, 0.4, w, NULL);
    tw_brownian_destroy(b);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(make_and_ask, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_in_any_order_and_block),
        cmocka_unit_test(increments_add_up),
        cmocka_unit_test(integrals_are_those_of_the_path),
        cmocka_unit_test(increments_have_the_law),
        cmocka_unit_test(between_ends_it_is_a_bridge),
        cmocka_unit_test(names_are_independent),
        cmocka_unit_test(torchsde_recursion_on_single_precision_times),
        cmocka_unit_test(torchsde_path_depends_on_what_was_asked_before),
        cmocka_unit_test(rows_beyond_the_counter_are_new_ones),
        cmocka_unit_test(ends_and_beyond),
        cmocka_unit_test(refusals),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
