/* What tables are judged by: marginals and associations against scipy, learning against scikit-learn
 * (tests/golden/quality.py), statistics of equal and of shifted distributions, rows that are repeated, bad input. */
#include "eval/quality.h"

#include "base/philox.h"
#include "eval/associations.h"
#include "eval/closest.h"
#include "eval/marginals.h"
#include "eval/ranks.h"
#include "golden/quality.inc"
#include "support/context.h"
#include "support/limited_memory.h"
#include "support/quality_data.h"

#include <stdlib.h>
#include <string.h>

static golden_table table;
static const double exact = 1e-12; /* the same sums in another order */

/* --- beside scipy and scikit-learn ------------------------------------------------------------------------------- */

static void marginals_of_numbers(void **state)
{
    double b[GOLDEN_ROWS], share, w1;
    for (int i = 500; i < GOLDEN_ROWS; i++) b[i - 500] = pow(table.x[1][i], 3);
    tw_record_column first = {.name = "a", .value = table.x[0]}, second = {.name = "a", .value = b};
    tw_records x = {.ctx = *state, .rows = 500, .columns = 1, .column = &first};
    tw_records y = {.ctx = *state, .rows = GOLDEN_ROWS - 500, .columns = 1, .column = &second};
    assert_int_equal(tw_marginal_distance(&x, &y, 0, &share, &w1), TW_OK);
    assert_true(fabs(share - golden_ks[0]) < exact);
    assert_true(fabs(w1 - golden_w1[0]) < exact);
}

/* What is missing is the lowest value of a number, and a category. */
static void marginals_with_gaps(void **state)
{
    double a[4] = {1, 2, (double)NAN, (double)NAN}, b[4] = {1, 2, 1, 2}, share, w1;
    tw_record_column first = {.name = "a", .value = a}, second = {.name = "a", .value = b};
    tw_records x = {.ctx = *state, .rows = 4, .columns = 1, .column = &first};
    tw_records y = {.ctx = *state, .rows = 4, .columns = 1, .column = &second};
    assert_int_equal(tw_marginal_distance(&x, &y, 0, &share, &w1), TW_OK);
    assert_true(share == 0.5 && w1 == 0);
    first.levels = second.levels = 3;
    a[0] = 0; /* shares 1/4, 0, 1/4 and 1/2 missing against 0, 1/2, 1/2 */
    assert_int_equal(tw_marginal_distance(&x, &y, 0, &share, &w1), TW_OK);
    assert_true(share == 0.75 && isnan(w1));
}

static void associations_of_pairs(void **state)
{
    tw_record_column column[4] = {{"x0", 0, table.x[0], NULL},
                                  {"y", 0, table.number, NULL},
                                  {"category", 12, table.x[3], NULL},
                                  {"class", 3, table.classes, NULL}};
    tw_records all = {.ctx = *state, .rows = GOLDEN_ROWS, .columns = 4, .column = column};
    double a[16], b[16];
    int worst[2];
    tw_binning bins;
    assert_int_equal(tw_binning_fit(&all, &bins), TW_OK);
    assert_int_equal(tw_associations(&all, &bins, a), TW_OK);
    assert_true(fabs(a[0 * 4 + 1] - golden_spearman[0]) < exact);
    assert_true(fabs(a[1 * 4 + 2] - golden_ratio[0]) < exact);
    assert_true(fabs(a[2 * 4 + 3] - golden_cramer[0]) < exact);
    for (int i = 0; i < 4; i++) {
        assert_true(a[i * 4 + i] == 1);
        for (int j = 0; j < 4; j++) assert_true(a[i * 4 + j] == a[j * 4 + i] && fabs(a[i * 4 + j]) <= 1);
    }
    memcpy(b, a, sizeof a);
    assert_true(tw_associations_distance(4, a, b, worst) == 0);
    b[1 * 4 + 3] -= 0.3; /* above the diagonal counts, and one of six pairs */
    assert_true(fabs(tw_associations_distance(4, a, b, worst) - 0.05) < exact);
    assert_true(worst[0] == 1 && worst[1] == 3);
    tw_binning_free(&bins);
}

static void area_with_ties(void **state)
{
    double area;
    assert_int_equal(tw_area_under_curve(*state, GOLDEN_ROWS, table.x[0], table.is_binary, &area), TW_OK);
    assert_true(fabs(area - golden_area[0]) < exact);
    assert_int_equal(tw_area_under_curve(*state, 3, table.x[0], (const bool[3]){true, true, true}, &area), TW_OK);
    assert_true(isnan(area));
}

static void learning_as_scikit_learn(void **state)
{
    tw_record_column first[5], second[5];
    tw_utility u;
    tw_records train = golden_records(*state, &table, first, 3, table.number, 0, 0, GOLDEN_TRAIN);
    tw_records test = golden_records(*state, &table, second, 3, table.number, 0, GOLDEN_TRAIN, GOLDEN_TEST);
    assert_int_equal(tw_learn_from(&train, &test, 3, &u), TW_OK);
    assert_true(fabs(u.r2 - golden_r2[0]) < 0.005 && isnan(u.area)); /* ties of a hundred rounds */
    train = golden_records(*state, &table, first, 4, table.classes, 3, 0, GOLDEN_TRAIN);
    test = golden_records(*state, &table, second, 4, table.classes, 3, GOLDEN_TRAIN, GOLDEN_TEST);
    assert_int_equal(tw_learn_from(&train, &test, 4, &u), TW_OK);
    assert_true(fabs(u.area - golden_learnt[0]) < 0.01 && isnan(u.r2));
    assert_true(fabs(u.accuracy - golden_learnt[1]) < 0.02);
}

/* --- tables of known distributions ------------------------------------------------------------------------------- */

/* (columns 4, rows): two correlated numbers, a heavy tail with gaps, a category that depends on the first; `shift` of
 * the first, `weight` of the correlation. */
typedef struct made {
    double *value;
    tw_record_column column[4];
    tw_records records;
} made;

static void make(tw_context *ctx, uint64_t seed, int64_t rows, double shift, double weight, made *m)
{
    static const char *const name[4] = {"a", "b", "tail", "kind"};
    tw_random r = {.seed = seed, .stream = 1};
    m->value = malloc(4 * (size_t)rows * sizeof *m->value);
    for (int64_t i = 0; i < rows; i++) {
        double a = tw_random_normal(&r), b = tw_random_normal(&r), tail = exp(2 * tw_random_normal(&r));
        m->value[i] = a + shift;
        m->value[rows + i] = weight * a + sqrt(1 - weight * weight) * b;
        m->value[2 * rows + i] = tw_random_uniform(&r) < 0.1 ? (double)NAN : tail;
        m->value[3 * rows + i] = a + tw_random_normal(&r) > 0 ? 1 + (tw_random_uniform(&r) < 0.3) : 0;
    }
    for (int c = 0; c < 4; c++) m->column[c] = (tw_record_column){name[c], c == 3 ? 3 : 0, m->value + c * rows, NULL};
    m->records = (tw_records){.ctx = ctx, .rows = rows, .columns = 4, .column = m->column};
}

static void measure(tw_context *ctx, const made *held, const made *training, const made *samples, tw_quality *out)
{
    const tw_quality_desc desc = {
        .held = &held->records, .training = &training->records, .samples = &samples->records, .target = 3, .seed = 3};
    assert_int_equal(tw_quality_measure(ctx, &desc, out), TW_OK);
}

static void equal_distributions_are_at_the_floor(void **state)
{
    enum { ROWS = 1500 };
    made held, training, samples;
    tw_quality q;
    make(*state, 1, ROWS, 0, 0.8, &held);
    make(*state, 2, ROWS, 0, 0.8, &training);
    make(*state, 3, ROWS, 0, 0.8, &samples);
    measure(*state, &held, &training, &samples, &q);
    /* three deviations of such areas over 24 seeds, 0.0165; that of one score would be (2 / 12 / n)^(1/2), 0.0105 */
    assert_true(fabs(q.detection.value - 0.5) < 0.05 && fabs(q.detection.floor - 0.5) < 0.05);
    assert_true(fabs(q.logistic.value - 0.5) < 0.05);
    assert_true(fabs(q.closer - 0.5) < 0.04);
    for (int c = 0; c < 4; c++) assert_true(q.marginal[c].value < 0.06); /* 1.63 (2 / n)^(1/2): one in a hundred */
    assert_true(q.association.value < 0.05 && q.association.value < 3 * q.association.floor);
    assert_true(fabs(q.by_samples.area - q.by_training.area) < 0.03);
    assert_true(q.copies.value == 0 && fabs(q.closest.value / q.closest.floor - 1) < 0.1);
    tw_quality_free(*state, &q);
    free(held.value), free(training.value), free(samples.value);
}

static void differences_are_seen_where_they_are(void **state)
{
    enum { ROWS = 1000 };
    made held, training, shifted, unrelated;
    tw_quality q;
    make(*state, 1, ROWS, 0, 0.8, &held);
    make(*state, 2, ROWS, 0, 0.8, &training);
    make(*state, 3, ROWS, 3, 0.8, &shifted);
    make(*state, 4, ROWS, 0, 0, &unrelated);
    measure(*state, &held, &training, &shifted, &q);
    assert_true(q.detection.value > 0.95 && q.logistic.value > 0.95);
    assert_int_equal(q.worst_column, 0);
    assert_true(fabs(q.marginal[0].value - (2 * 0.5 * erfc(-1.5 / sqrt(2)) - 1)) < 0.06); /* 2 Phi(3/2) - 1 */
    assert_true(fabs(q.w1[0].value - 3) < 0.2 && q.w1[0].floor < 0.2);
    assert_true(q.closer < 0.4);
    tw_quality_free(*state, &q);
    /* the same columns one by one, but not together: no line sees it, trees do */
    measure(*state, &held, &training, &unrelated, &q);
    assert_true(q.detection.value > 0.65 && q.logistic.value < 0.6);
    assert_true(q.worst_pair[0] == 0 && q.worst_pair[1] == 1);
    assert_true(fabs(fabs(q.held[1] - q.samples[1]) - 6 / M_PI * asin(0.4)) < 0.08); /* of ranks of normals */
    for (int c = 0; c < 4; c++) assert_true(q.marginal[c].value < 0.08);
    tw_quality_free(*state, &q);
    free(held.value), free(training.value), free(shifted.value), free(unrelated.value);
}

/* A table whose target is not learnt from the columns: right now and then, beside training rows that teach it. */
static void rows_that_teach_nothing(void **state)
{
    enum { ROWS = 1000 };
    made held, training, samples;
    tw_quality q;
    make(*state, 1, ROWS, 0, 0.8, &held);
    make(*state, 2, ROWS, 0, 0.8, &training);
    make(*state, 3, ROWS, 0, 0.8, &samples);
    for (int64_t i = 0; i < ROWS; i++) samples.value[3 * ROWS + i] = (double)(i % 3);
    measure(*state, &held, &training, &samples, &q);
    assert_true(fabs(q.by_samples.area - 0.5) < 0.08 && q.by_training.area > 0.65);
    assert_int_equal(q.worst_column, 3);
    tw_quality_free(*state, &q);
    free(held.value), free(training.value), free(samples.value);
}

/* A table of training rows is like the held-out ones in every way but one. */
static void repeated_rows_are_found(void **state)
{
    enum { ROWS = 800 };
    made held, training;
    tw_quality q;
    make(*state, 1, ROWS, 0, 0.8, &held);
    make(*state, 2, ROWS, 0, 0.8, &training);
    measure(*state, &held, &training, &training, &q);
    assert_true(q.copies.value == 1 && q.copies.floor == 0);
    assert_true(q.closer == 1 && q.closest.value == 0 && q.closest.floor > 0);
    assert_true(fabs(q.detection.value - 0.5) < 0.04);
    tw_quality_free(*state, &q);
    free(held.value), free(training.value);
}

static void distances_by_hand(void **state)
{
    /* ranges 4 and 1 category: |1 - 2| / 4, and missing differs from all but missing */
    double a[2][3] = {{1, (double)NAN, 100}, {0, 0, 2}}, b[2][3] = {{0, 2, 4}, {0, 0, 1}}, got[3];
    tw_record_column first[2] = {{"a", 0, a[0], NULL}, {"b", 3, a[1], NULL}};
    tw_record_column second[2] = {{"a", 0, b[0], NULL}, {"b", 3, b[1], NULL}};
    tw_records x = {.ctx = *state, .rows = 3, .columns = 2, .column = first};
    tw_records y = {.ctx = *state, .rows = 3, .columns = 2, .column = second};
    assert_int_equal(tw_closest_records(&x, &y, got), TW_OK);
    assert_true(got[0] == 0.125 && got[1] == 0.5 && got[2] == 1);
    b[0][0] = (double)NAN;
    assert_int_equal(tw_closest_records(&x, &y, got), TW_OK);
    assert_true(got[1] == 0);
}

/* --- bad input, no memory ---------------------------------------------------------------------------------------- */

static void refused(void **state)
{
    made a, b;
    tw_quality q;
    tw_utility u;
    make(*state, 1, 10, 0, 0, &a);
    make(*state, 2, 10, 0, 0, &b);
    tw_quality_desc desc = {.held = &a.records, .training = &a.records, .samples = &b.records, .target = -1};
    b.records.rows = 4;
    assert_int_equal(tw_quality_measure(*state, &desc, &q), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "4 synthetic rows: expected at least 5"));
    b.records.rows = 10;
    b.column[3].levels = 4;
    assert_int_equal(tw_quality_measure(*state, &desc, &q), TW_ERR_SHAPE);
    assert_non_null(strstr(tw_context_error(*state), "column 'kind' has 3 categories on one side and 4"));
    b.column[3].levels = 2, b.value[30] = 2;
    assert_int_equal(tw_quality_measure(*state, &desc, &q), TW_ERR_NUMERIC);
    b.records.columns = 3;
    assert_int_equal(tw_quality_measure(*state, &desc, &q), TW_ERR_SHAPE);
    assert_int_equal(tw_learn_from(&a.records, &a.records, 4, &u), TW_ERR_INVALID);
    a.column[3].levels = 65;
    assert_int_equal(tw_learn_from(&a.records, &a.records, 3, &u), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "'kind' has 65 categories"));
    for (int i = 0; i < 10; i++) a.value[i] = (double)NAN;
    assert_int_equal(tw_learn_from(&a.records, &a.records, 0, &u), TW_ERR_INVALID);
    free(a.value), free(b.value);
}

static int stop(void *user, int done, int total, const char *what)
{
    (void)user, (void)what;
    return done == total - 1;
}

static tw_status measure_little(tw_context *ctx, void *user)
{
    made m;
    tw_detection d;
    tw_utility u;
    tw_binning bins = {0};
    double distance[20], matrix[16];
    tw_status status = TW_OK;
    (void)user;
    make(ctx, 1, 20, 0, 0.5, &m);
    TW_TRY(tw_detect(&m.records, &m.records, 2, 1, &d));
    TW_TRY(tw_binning_fit(&m.records, &bins));
    TW_TRY(tw_associations(&m.records, &bins, matrix));
    TW_TRY(tw_closest_records(&m.records, &m.records, distance));
    TW_TRY(tw_learn_from(&m.records, &m.records, 3, &u));
done:
    tw_binning_free(&bins);
    free(m.value);
    return status;
}

static void every_allocation_fails_in_turn(void **state)
{
    (void)state;
    run_with_limited_memory(measure_little, NULL);
}

static void work_can_be_stopped(void **state)
{
    made m;
    tw_quality q;
    make(*state, 1, 50, 0, 0.5, &m);
    tw_quality_desc desc = {
        .held = &m.records, .training = &m.records, .samples = &m.records, .target = -1, .on_progress = stop};
    assert_int_equal(tw_quality_measure(*state, &desc, &q), TW_ERR_CANCELLED);
    free(m.value);
}

int main(void)
{
    golden_table_fill(&table);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marginals_of_numbers),
        cmocka_unit_test(marginals_with_gaps),
        cmocka_unit_test(associations_of_pairs),
        cmocka_unit_test(area_with_ties),
        cmocka_unit_test(learning_as_scikit_learn),
        cmocka_unit_test(equal_distributions_are_at_the_floor),
        cmocka_unit_test(differences_are_seen_where_they_are),
        cmocka_unit_test(rows_that_teach_nothing),
        cmocka_unit_test(repeated_rows_are_found),
        cmocka_unit_test(distances_by_hand),
        cmocka_unit_test(refused),
        cmocka_unit_test(every_allocation_fails_in_turn),
        cmocka_unit_test(work_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
