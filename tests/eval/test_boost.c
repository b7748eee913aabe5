/* Boosted trees against scikit-learn's (tests/golden/quality.py), against functions whose answer is known, with gaps,
 * categories and bad input. */
#include "eval/boost.h"

#include "base/philox.h"
#include "eval/logistic.h"
#include "eval/ranks.h"
#include "golden/quality.inc"
#include "support/context.h"
#include "support/limited_memory.h"
#include "support/quality_data.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 5, ALL = 100, SHOWN = 8 };

static golden_table table;

/* Trained on the first rows of the table, asked of the others. */
static void train_and_ask(tw_context *ctx, int rounds, int columns, int classes, const double *target, double *out)
{
    tw_record_column column[4];
    tw_records all = golden_records(ctx, &table, column, columns, NULL, 0, 0, GOLDEN_ROWS);
    tw_boost_desc desc = {.classes = classes, .rounds = rounds};
    int64_t row[GOLDEN_ROWS];
    uint8_t *codes;
    tw_binning bins;
    tw_boost *boost;
    if (columns == 4) { /* scikit-learn puts categories first, and of equal splits the first is taken */
        tw_record_column category = column[3];
        for (int c = 3; c > 0; c--) column[c] = column[c - 1];
        column[0] = category;
    }
    for (int64_t i = 0; i < GOLDEN_ROWS; i++) row[i] = i;
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    assert_int_equal(tw_boost_train(ctx, &desc, &bins, GOLDEN_ROWS, codes, GOLDEN_TRAIN, row, target, &boost), TW_OK);
    tw_boost_predict(boost, GOLDEN_ROWS, codes, GOLDEN_TEST, row + GOLDEN_TRAIN, out);
    tw_boost_destroy(boost);
    tw_binning_free(&bins);
    tw_free(ctx, codes);
}

static void assert_near(const double *got, const double *want, int count, double bound)
{
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) < bound)) fail_msg("number %d is %.9g, expected %.9g", i, got[i], want[i]);
}

/* scikit-learn keeps gradients in single precision, of which few rounds make a few 1e-7; another split is seen as 1e-2.
 */
static const double single = 1e-5;
/* After a hundred rounds ties were decided otherwise; half a deviation of an area over 400 rows. */
static const double other_ties = 0.01;

static void two_classes_as_scikit_learn(void **state)
{
    double p[GOLDEN_TEST], area;
    train_and_ask(*state, FEW, 3, 2, table.binary, p);
    assert_near(p, golden_binary, SHOWN, single);
    train_and_ask(*state, ALL, 3, 2, table.binary, p);
    assert_int_equal(tw_area_under_curve(*state, GOLDEN_TEST, p, table.is_binary + GOLDEN_TRAIN, &area), TW_OK);
    assert_near(&area, golden_binary + SHOWN, 1, other_ties);
}

static void numbers_as_scikit_learn(void **state)
{
    double p[GOLDEN_TEST];
    train_and_ask(*state, FEW, 3, 0, table.number, p);
    assert_near(p, golden_numbers, SHOWN, single);
}

static void more_classes_as_scikit_learn(void **state)
{
    double p[3 * GOLDEN_TEST];
    train_and_ask(*state, 1, 3, 3, table.classes, p);
    assert_near(p, golden_classes, 3 * SHOWN, single);
}

/* Areas alone: which of several splits of nearly equal worth is taken differs from the first round on. */
static void categories_as_scikit_learn(void **state)
{
    double p[GOLDEN_TEST], area;
    train_and_ask(*state, ALL, 4, 2, table.odd, p);
    assert_int_equal(tw_area_under_curve(*state, GOLDEN_TEST, p, table.is_odd + GOLDEN_TRAIN, &area), TW_OK);
    assert_near(&area, golden_category, 1, other_ties);
}

static void logistic_as_scikit_learn(void **state)
{
    static double whole[2][GOLDEN_ROWS];
    double p[SHOWN];
    int64_t row[GOLDEN_ROWS];
    uint8_t *codes;
    tw_binning bins;
    for (int64_t i = 0; i < GOLDEN_ROWS; i++) {
        row[i] = i;
        for (int c = 0; c < 2; c++) whole[c][i] = table.x[c][i];
    }
    tw_record_column column[3] = {{"a", 0, whole[0], NULL}, {"b", 0, whole[1], NULL}, {"c", 12, table.x[3], NULL}};
    tw_records all = {.ctx = *state, .rows = GOLDEN_ROWS, .columns = 3, .column = column};
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    assert_int_equal(tw_logistic(&all, codes, table.is_odd, GOLDEN_TRAIN, row, SHOWN, row + GOLDEN_TRAIN, p), TW_OK);
    assert_near(p, golden_logistic, SHOWN, 1e-4); /* where L-BFGS stops */
    tw_binning_free(&bins);
    tw_free(*state, codes);
}

/* --- functions that are known ----------------------------------------------------------------------------------------
 */

enum { MANY = 3000, LEARNT = 2000 };

/* The area under the curve of the last rows after learning the first ones, of three columns that `target` is made of.
 */
static double area_of(tw_context *ctx, double (*target)(const double *x, double noise))
{
    static double z[3][MANY], y[MANY], p[MANY];
    static bool is[MANY];
    tw_record_column column[3];
    int64_t row[MANY];
    uint8_t *codes;
    tw_binning bins;
    tw_boost *boost;
    double area = 0;
    const char *const name[3] = {"z0", "z1", "z2"};
    for (int64_t i = 0; i < MANY; i++) {
        double x[3];
        row[i] = i;
        for (int c = 0; c < 3; c++) x[c] = z[c][i] = golden_number(name[c], i);
        y[i] = target(x, golden_number("zn", i));
        is[i] = y[i] > 0;
    }
    for (int c = 0; c < 3; c++) column[c] = (tw_record_column){name[c], 0, z[c], NULL};
    tw_records all = {.ctx = ctx, .rows = MANY, .columns = 3, .column = column};
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    tw_boost_desc desc = {.classes = 2};
    assert_int_equal(tw_boost_train(ctx, &desc, &bins, MANY, codes, LEARNT, row, y, &boost), TW_OK);
    tw_boost_predict(boost, MANY, codes, MANY - LEARNT, row + LEARNT, p);
    assert_int_equal(tw_area_under_curve(ctx, MANY - LEARNT, p, is + LEARNT, &area), TW_OK);
    tw_boost_destroy(boost);
    tw_binning_free(&bins);
    tw_free(ctx, codes);
    return area;
}

static double quadrants(const double *x, double noise)
{
    (void)noise;
    return x[0] * x[1] > 0;
}

static double nothing(const double *x, double noise)
{
    (void)x;
    return noise > 0;
}

static double product(const double *x, double noise)
{
    return x[0] + 2 * x[1] * x[2] > noise;
}

static void what_can_be_learnt(void **state)
{
    assert_true(area_of(*state, quadrants) > 0.99);           /* no line parts them */
    assert_true(fabs(area_of(*state, nothing) - 0.5) < 0.05); /* three deviations of an area over 1000 rows */
    assert_true(fabs(area_of(*state, product) - golden_many[0]) < 0.005); /* other quantiles */
}

/* More rounds never raise the loss on the rows that are learnt: each leaf takes a tenth of its best step. */
static void loss_falls_with_rounds(void **state)
{
    tw_record_column column[3];
    tw_records all = golden_records(*state, &table, column, 3, NULL, 0, 0, GOLDEN_ROWS);
    uint8_t *codes;
    tw_binning bins;
    double p[GOLDEN_ROWS], last = INFINITY;
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    for (int rounds = 1; rounds <= 16; rounds *= 2) {
        tw_boost_desc desc = {.rounds = rounds};
        double loss = 0;
        tw_boost *boost;
        assert_int_equal(
            tw_boost_train(*state, &desc, &bins, GOLDEN_ROWS, codes, GOLDEN_ROWS, NULL, table.number, &boost), TW_OK);
        tw_boost_predict(boost, GOLDEN_ROWS, codes, GOLDEN_ROWS, NULL, p);
        for (int64_t i = 0; i < GOLDEN_ROWS; i++) loss += (p[i] - table.number[i]) * (p[i] - table.number[i]);
        assert_true(loss < last);
        last = loss;
        tw_boost_destroy(boost);
    }
    tw_binning_free(&bins);
    tw_free(*state, codes);
}

static void same_for_any_threads(void **state)
{
    tw_context *other = tw_context_create(&(tw_context_desc){.threads = 3});
    tw_record_column column[2];
    int64_t rows = 20000; /* enough that threads are used */
    double *x = malloc(3 * (size_t)rows * sizeof *x), *p[2], *y = x + 2 * rows;
    for (int64_t i = 0; i < 3 * rows; i++) x[i] = golden_number("threads", i);
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = k ? other : *state;
        tw_boost_desc desc = {.rounds = 5};
        uint8_t *codes;
        tw_binning bins;
        tw_boost *boost;
        for (int c = 0; c < 2; c++) column[c] = (tw_record_column){"x", 0, x + c * rows, NULL};
        tw_records all = {.ctx = ctx, .rows = rows, .columns = 2, .column = column};
        p[k] = malloc((size_t)rows * sizeof *p[k]);
        assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
        assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
        assert_int_equal(tw_boost_train(ctx, &desc, &bins, rows, codes, rows, NULL, y, &boost), TW_OK);
        tw_boost_predict(boost, rows, codes, rows, NULL, p[k]);
        tw_boost_destroy(boost);
        tw_binning_free(&bins);
        tw_free(ctx, codes);
    }
    assert_memory_equal(p[0], p[1], (size_t)rows * sizeof *p[0]);
    free(x), free(p[0]), free(p[1]);
    tw_context_destroy(other);
}

/* More categories than bins: the rarest share one; those never seen count as missing. */
static void many_categories(void **state)
{
    enum { LEVELS = 1000, ROWS = 4000 };
    double *x = malloc(2 * ROWS * sizeof *x), later[2] = {LEVELS - 1, (double)NAN};
    for (int64_t i = 0; i < ROWS; i++) x[i] = (double)(i % 4 ? i % 200 : i % (LEVELS - 1)), x[ROWS + i] = x[i] < 100;
    tw_record_column column = {"x", LEVELS, x, NULL}, asked = {"x", LEVELS, later, NULL};
    tw_records all = {.ctx = *state, .rows = ROWS, .columns = 1, .column = &column};
    tw_records two = {.ctx = *state, .rows = 2, .columns = 1, .column = &asked};
    uint8_t *codes, *other;
    tw_binning bins;
    tw_boost *boost;
    double p[ROWS];
    int right = 0;
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(bins.column[0].bins, 255);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &two, &other), TW_OK);
    assert_int_equal(other[0], TW_BIN_MISSING);
    assert_int_equal(other[1], TW_BIN_MISSING);
    tw_boost_desc desc = {.classes = 2};
    assert_int_equal(tw_boost_train(*state, &desc, &bins, ROWS, codes, ROWS, NULL, x + ROWS, &boost), TW_OK);
    tw_boost_predict(boost, ROWS, codes, ROWS, NULL, p);
    for (int i = 0; i < ROWS; i++) right += (p[i] > 0.5) == (x[ROWS + i] > 0);
    assert_true(right > 0.95 * ROWS); /* all but the categories that share a bin */
    tw_boost_destroy(boost);
    tw_binning_free(&bins);
    tw_free(*state, codes);
    tw_free(*state, other);
    free(x);
}

/* --- bad input, no memory ---------------------------------------------------------------------------------------- */

static void bad_targets(void **state)
{
    double x[4] = {1, 2, 3, 4}, half[4] = {0, 1, 0.5, 0}, gap[4] = {0, 1, (double)NAN, 1};
    tw_record_column column = {"x", 0, x, NULL};
    tw_records all = {.ctx = *state, .rows = 4, .columns = 1, .column = &column};
    uint8_t *codes;
    tw_binning bins;
    tw_boost *boost = NULL;
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_binning_codes(&bins, &all, &codes), TW_OK);
    tw_boost_desc two = {.classes = 2}, one = {.classes = 1}, number = {0};
    assert_int_equal(tw_boost_train(*state, &two, &bins, 4, codes, 4, NULL, half, &boost), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "row 3 has the target 0.5"));
    assert_int_equal(tw_boost_train(*state, &number, &bins, 4, codes, 4, NULL, gap, &boost), TW_ERR_INVALID);
    assert_int_equal(tw_boost_train(*state, &one, &bins, 4, codes, 4, NULL, x, &boost), TW_ERR_INVALID);
    assert_int_equal(tw_boost_train(*state, &number, &bins, 4, codes, 0, NULL, x, &boost), TW_ERR_INVALID);
    assert_null(boost);
    tw_binning_free(&bins);
    tw_free(*state, codes);
    x[1] = INFINITY;
    assert_int_equal(tw_records_check(*state, "real", &all), TW_ERR_NUMERIC);
    assert_non_null(strstr(tw_context_error(*state), "row 2, column 'x' of the real records is inf"));
    column.levels = 3, x[1] = 3;
    assert_int_equal(tw_records_check(*state, "real", &all), TW_ERR_NUMERIC);
}

static tw_status work_with_little(tw_context *ctx, void *user)
{
    tw_record_column column[4];
    tw_records all = golden_records(ctx, &table, column, 4, NULL, 0, 0, 60);
    tw_boost_desc desc = {.classes = 3, .rounds = 2};
    tw_binning bins = {0};
    uint8_t *codes = NULL;
    tw_boost *boost = NULL;
    tw_status status = TW_OK;
    (void)user;
    TW_TRY(tw_binning_fit(&all, &bins));
    TW_TRY(tw_binning_codes(&bins, &all, &codes));
    TW_TRY(tw_boost_train(ctx, &desc, &bins, 60, codes, 60, NULL, table.classes, &boost));
done:
    tw_boost_destroy(boost);
    tw_binning_free(&bins);
    tw_free(ctx, codes);
    return status;
}

static void every_allocation_fails_in_turn(void **state)
{
    (void)state;
    run_with_limited_memory(work_with_little, NULL);
}

int main(void)
{
    golden_table_fill(&table);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_classes_as_scikit_learn),
        cmocka_unit_test(numbers_as_scikit_learn),
        cmocka_unit_test(more_classes_as_scikit_learn),
        cmocka_unit_test(categories_as_scikit_learn),
        cmocka_unit_test(logistic_as_scikit_learn),
        cmocka_unit_test(what_can_be_learnt),
        cmocka_unit_test(loss_falls_with_rounds),
        cmocka_unit_test(same_for_any_threads),
        cmocka_unit_test(many_categories),
        cmocka_unit_test(bad_targets),
        cmocka_unit_test(every_allocation_fails_in_turn),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
