/* Data sets: parts, medians, a model's columns, arrays, memory; a real table against facts counted with another
 * program. */
#include <thalweg/data.h>

#include "data/table.h"
#include "support/limited_memory.h"
#include "io/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILES TW_SOURCE_DIR "/tests/data/files/"

/* 200 rows: (i, 2 i) */
static void make_pairs(double *values, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        values[2 * i] = (double)i;
        values[2 * i + 1] = 2 * (double)i;
    }
}

static tw_dataset *open_pairs(tw_context *ctx, int64_t rows, const tw_dataset_desc *desc)
{
    double values[2000];
    tw_dataset *d = NULL;
    make_pairs(values, rows);
    if (tw_dataset_from_memory(ctx, rows, 2, values, NULL, desc, &d) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return d;
}

static void splits_every_size(void **state)
{
    (void)state;
    static const struct {
        int64_t rows;
        double share[3];
        int64_t parts[3];
    } cases[] = {
        {1, {0}, {1, 0, 0}},
        {2, {0}, {2, 0, 0}},
        {9, {0}, {9, 0, 0}},
        {10, {0}, {8, 1, 1}},
        {19, {0}, {17, 1, 1}},
        {30, {0}, {24, 3, 3}},
        {1000, {0}, {800, 100, 100}},
        {100, {0.6, 0.3, 0.1}, {60, 30, 10}},
        {10, {8, 1, 1}, {8, 1, 1}},
        {10, {1, 0, 0}, {10, 0, 0}},
        {10, {0.5, 0.5, 0}, {5, 5, 0}},
        {3, {1e-12, 1, 1}, {1, 1, 1}},
        {2, {1e-12, 0, 1}, {1, 0, 1}},
        {1, {1e-12, 1, 0}, {1, 0, 0}},
    };
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(cases); i++) {
        int64_t parts[3];
        assert_int_equal(tw_split_sizes(ctx, cases[i].rows, cases[i].share, parts), TW_OK);
        for (int k = 0; k < 3; k++) assert_int_equal(parts[k], cases[i].parts[k]);
    }
    int64_t parts[3];
    assert_int_equal(tw_split_sizes(ctx, 10, (double[3]){0, 0.5, 0.5}, parts), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "split: the share for training must be more than 0");
    assert_int_equal(tw_split_sizes(ctx, 10, (double[3]){1, -0.5, 0.5}, parts), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "split: 1,-0.5,0.5 are not shares of training, validation and test");
    assert_int_equal(tw_split_sizes(ctx, 10, (double[3]){1, (double)NAN, 0}, parts), TW_ERR_INVALID);
    tw_context_destroy(ctx);
}

/* Every row is in exactly one part, unbroken; the same seed gives the same order, another seed another. */
static void splits_by_seed(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    int64_t rows = 200;
    double first[400];
    for (int run = 0; run < 3; run++) {
        tw_dataset *d = open_pairs(ctx, rows, &(tw_dataset_desc){.seed = run < 2 ? 7 : 8});
        const double *all = tw_dataset_values(d, TW_PART_ALL);
        bool seen[200] = {false};
        for (int64_t r = 0; r < rows; r++) {
            int64_t i = (int64_t)all[2 * r];
            assert_true(i >= 0 && i < rows && !seen[i]);
            seen[i] = true;
            assert_true(all[2 * r + 1] == 2 * (double)i);
        }
        assert_ptr_equal(tw_dataset_values(d, TW_PART_TRAIN), all);
        assert_ptr_equal(tw_dataset_values(d, TW_PART_VALIDATION), all + 2 * 160);
        assert_ptr_equal(tw_dataset_values(d, TW_PART_TEST), all + 2 * 180);
        if (run == 0) memcpy(first, all, sizeof first);
        if (run == 1) assert_memory_equal(first, all, sizeof first);
        if (run == 2) assert_memory_not_equal(first, all, sizeof first);
        tw_dataset_destroy(d);
    }
    tw_context_destroy(ctx);
}

/* Over many seeds each row is in the test part (20 of 200) one time in ten: chi-square of 200 counts of mean 100. */
/* Pieces of one text: their order is kept, parts are one behind another. */
static void splits_what_runs_on_in_order(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_pairs(ctx, 200, &(tw_dataset_desc){.runs_on = true, .seed = 3});
    const tw_part parts[] = {TW_PART_TRAIN, TW_PART_VALIDATION, TW_PART_TEST};
    const int64_t begin[] = {0, 160, 180};
    for (int p = 0; p < 3; p++) {
        const double *values = tw_dataset_values(d, parts[p]);
        assert_int_equal(tw_dataset_rows(d, parts[p]), p == 0 ? 160 : 20);
        for (int64_t i = 0; i < tw_dataset_rows(d, parts[p]); i++)
            assert_true(values[2 * i] == (double)(begin[p] + i) && values[2 * i + 1] == 2 * values[2 * i]);
    }
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void splits_evenly(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    int64_t count[200] = {0};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        tw_dataset *d = open_pairs(ctx, 200, &(tw_dataset_desc){.seed = seed});
        const double *test = tw_dataset_values(d, TW_PART_TEST);
        for (int64_t r = 0; r < tw_dataset_rows(d, TW_PART_TEST); r++) count[(int64_t)test[2 * r]]++;
        tw_dataset_destroy(d);
    }
    double chi = 0;
    for (int i = 0; i < 200; i++)
        chi += ((double)count[i] - 100) * ((double)count[i] - 100) / 90; /* binomial variance */
    /* 199 degrees of freedom: 199 + 4 sqrt(398) */
    assert_true(chi < 279 && chi > 119);
    tw_context_destroy(ctx);
}

static void fills_with_medians_of_training_rows(void **state)
{
    (void)state;
    double values[200];
    for (int i = 0; i < 100; i++) {
        values[2 * i] = i;
        values[2 * i + 1] = i % 4 == 3 ? (double)NAN : i * i;
    }
    const char *const names[] = {"i", "square"};
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_from_memory(ctx, 100, 2, values, names,
                                            &(tw_dataset_desc){.missing = TW_MISSING_MEDIAN, .seed = 5}, &d),
                     TW_OK);
    assert_string_equal(tw_dataset_note(d, 0),
                        "25 of 100 rows have gaps (the first at data: row 4, column 'square'): filled "
                        "with medians of the training part");
    const double *all = tw_dataset_values(d, TW_PART_ALL);
    double filled = -1;
    for (int r = 0; r < 100; r++)
        if ((int)all[2 * r] % 4 == 3) {
            if (filled < 0) filled = all[2 * r + 1];
            assert_true(all[2 * r + 1] == filled);
        }
    /* half of the known training values lie on either side */
    int below = 0, above = 0;
    for (int r = 0; r < 80; r++)
        if ((int)all[2 * r] % 4 != 3) {
            below += all[2 * r + 1] < filled;
            above += all[2 * r + 1] > filled;
        }
    assert_int_equal(below, above);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void refuses_bad_memory(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    double values[4] = {1, 2, (double)INFINITY, 4};
    const char *const names[] = {"a", "b"};
    assert_int_equal(tw_dataset_from_memory(ctx, 2, 2, values, names, NULL, &d), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "data: row 2: column 'a': 'inf' is not finite");
    values[2] = (double)NAN;
    assert_int_equal(tw_dataset_from_memory(ctx, 2, 2, values, names, NULL, &d), TW_ERR_FORMAT);
    assert_int_equal(tw_dataset_from_memory(ctx, 0, 2, values, names, NULL, &d), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "data: 0 rows of 2 columns hold nothing");
    assert_int_equal(tw_dataset_from_memory(ctx, INT64_MAX, 2, values, names, NULL, &d), TW_ERR_INVALID);
    assert_null(d);
    tw_context_destroy(ctx);
}

/* Counts and means taken with awk: 342 rows with all four measurements. */
static void opens_the_penguins(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open(ctx, FILES "penguins.csv", NULL, &d), TW_OK);
    static const char *const names[] = {"bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"};
    static const double sums[] = {15021.3, 5865.7, 68713, 1437000};
    static const int decimals[] = {1, 1, 0, 0};
    assert_int_equal(tw_dataset_columns(d), 4);
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 342);
    assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), 34);
    for (int c = 0; c < 4; c++) {
        double sum = 0;
        for (int r = 0; r < 342; r++) sum += tw_dataset_values(d, TW_PART_ALL)[4 * r + c];
        assert_true(fabs(sum - sums[c]) < 1e-6);
        assert_string_equal(tw_dataset_name(d, c), names[c]);
        assert_int_equal(tw_dataset_decimals(d, c), decimals[c]);
    }
    assert_int_equal(tw_dataset_notes_count(d), 4);
    assert_string_equal(tw_dataset_note(d, 0), "column 'species' holds text: left out");
    assert_non_null(strstr(tw_dataset_note(d, 3), "2 of 344 rows left out for gaps (the first at "));
    assert_null(tw_dataset_note(d, 4));
    assert_null(tw_dataset_name(d, 4));
    double value;
    assert_false(tw_dataset_log_density(d, sums, &value));
    assert_false(tw_dataset_entropy(d, &value));
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

/* --- a model's columns ------------------------------------------------------------------------------------ */

static char folder[64];

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    fputs(text, f);
    fclose(f);
}

static const char *like_sentence(tw_context *ctx, const char *text, int columns, const char *const *names)
{
    tw_dataset *d = NULL;
    write_file("x.csv", text);
    assert_int_not_equal(tw_dataset_open_like(ctx, "x.csv", NULL, columns, names, &d), TW_OK);
    assert_null(d);
    return tw_context_error(ctx);
}

static void opens_like_a_model(void **state)
{
    (void)state;
    static const char *const names[] = {"b", "a"};
    static const char *const unnamed[] = {"x1", "x3"};
    static const struct {
        const char *text;
        const char *const *names;
    } cases[] = {
        {"a,word,b\n2,x,1\n4,y,3\n6,z,5\n", names}, /* by name, other columns ignored */
        {"1,2\n3,4\n5,6\n", names},                 /* no header: by place */
        {"1,x,2\n3,y,4\n5,z,6\n", names},           /* no header, text in between */
        {"1,9,2\n3,9,4\n5,9,6\n", unnamed},         /* no header, and the model was trained on such a file */
    };
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_dataset *d = NULL;
        write_file("x.csv", cases[i].text);
        if (tw_dataset_open_like(ctx, "x.csv", NULL, 2, cases[i].names, &d) != TW_OK)
            fail_msg("%s", tw_context_error(ctx));
        assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 3);
        assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), 3);
        assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 0);
        assert_string_equal(tw_dataset_name(d, 0), cases[i].names[0]);
        const double *v = tw_dataset_values(d, TW_PART_TEST); /* in the order of the file */
        for (int k = 0; k < 6; k++) assert_true(v[k] == k + 1);
        if (cases[i].names == unnamed) { /* made-up names may agree by chance: said */
            assert_int_equal(tw_dataset_notes_count(d), 1);
            assert_string_equal(tw_dataset_note(d, 0),
                                "no header, and 3 columns where the model has 2: 'x1' is taken as column 1 "
                                "and so on");
        }
        tw_dataset_destroy(d);
    }
    assert_string_equal(like_sentence(ctx, "a,B\n1,2\n", 2, names),
                        "x.csv: no column 'b', which the model needs: did you mean 'B'?");
    assert_string_equal(like_sentence(ctx, "c,d\n1,2\n", 2, names), "x.csv: no column 'b', which the model needs");
    assert_string_equal(like_sentence(ctx, "1,2,3\n4,5,6\n", 2, names),
                        "x.csv: 3 columns and no header, where the model has 2 columns");
    assert_string_equal(like_sentence(ctx, "a,b\n1,x\n2,y\n", 2, names), "x.csv:2: column 'b': 'x' is not a number");
    assert_string_equal(
        like_sentence(ctx, "a,b\n1,2\n,3\n", 2, names),
        "x.csv:3: column 'a' has no value; 1 of 2 rows have gaps: leave them out (--missing drop), fill them "
        "(--missing median) or leave the column out (--drop a)");
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open_like(ctx, "x.csv", &(tw_dataset_desc){.missing = TW_MISSING_MEDIAN}, 2, names, &d),
                     TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "x.csv: medians come from training rows, and there are none here");
    const tw_dataset_desc keep = {.missing = TW_MISSING_KEEP};
    assert_int_equal(tw_dataset_open_like(ctx, "x.csv", &keep, 2, names, &d), TW_OK);
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 2);
    const double *kept = tw_dataset_values(d, TW_PART_ALL);
    assert_true(kept[0] == 2 && kept[1] == 1 && kept[2] == 3 && isnan(kept[3])); /* b, a */
    tw_dataset_destroy(d);
    d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "x.csv", &keep, &d), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "x.csv: data to train on must have no gaps");
    tw_context_destroy(ctx);
}

/* --- arrays ----------------------------------------------------------------------------------------------- */

static void opens_arrays(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    double values[24];
    for (int i = 0; i < 24; i++) values[i] = i * 0.5;
    tw_dataset *d = NULL;
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){2, {8, 3}}, values), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, "a.npy", &(tw_dataset_desc){.columns = "3,1"}, &d), TW_OK);
    assert_int_equal(tw_dataset_columns(d), 2);
    assert_string_equal(tw_dataset_name(d, 0), "x3");
    const double *v = tw_dataset_values(d, TW_PART_ALL);
    for (int r = 0; r < 8; r++) assert_true(v[2 * r] == v[2 * r + 1] + 1);
    tw_dataset_destroy(d);
    d = NULL;
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){3, {4, 2, 3}}, values), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, "a.npy", NULL, &d), TW_OK);
    assert_int_equal(tw_dataset_columns(d), 6);
    assert_string_equal(tw_dataset_note(d, 0), "each of the 4 rows of the array is read as 6 columns");
    tw_dataset_destroy(d);
    d = NULL;
    values[10] = (double)NAN;
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){2, {12, 2}}, values), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, "a.npy", &(tw_dataset_desc){.missing = TW_MISSING_ERROR}, &d), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(ctx), "a.npy: row 6: column 'x1' has no value; 1 of 12 rows have gaps"));
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){2, {0, 2}}, values), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, "a.npy", NULL, &d), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "a.npy: the array is empty");
    assert_null(d);
    tw_context_destroy(ctx);
}

static tw_status open_each(tw_context *ctx, void *user)
{
    (void)user;
    tw_dataset *d = NULL;
    static const char *const names[] = {"body_mass_g", "bill_depth_mm"};
    tw_status status = tw_dataset_open(ctx, "a.npy", NULL, &d);
    tw_dataset_destroy(d);
    d = NULL;
    if (status == TW_OK) status = tw_dataset_open_like(ctx, "p.csv", NULL, 2, names, &d);
    tw_dataset_destroy(d);
    d = NULL;
    if (status == TW_OK) status = tw_dataset_open(ctx, "moons", &(tw_dataset_desc){.rows = 10}, &d);
    tw_dataset_destroy(d);
    double values[2] = {1, 2};
    d = NULL;
    if (status == TW_OK) status = tw_dataset_from_memory(ctx, 2, 1, values, (const char *const[]){"v"}, NULL, &d);
    tw_dataset_destroy(d);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    double values[6] = {1, 2, 3, 4, 5, 6};
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){3, {3, 1, 2}}, values), TW_OK);
    tw_context_destroy(ctx);
    write_file("p.csv", "bill_depth_mm,body_mass_g,sex\n18.7,3750,MALE\n17.4,3800,FEMALE\n");
    run_with_limited_memory(open_each, NULL);
}

static int enter_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/thalweg-test-dataset-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    unlink("x.csv");
    unlink("p.csv");
    unlink("a.npy");
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_every_size),
        cmocka_unit_test(splits_by_seed),
        cmocka_unit_test(splits_what_runs_on_in_order),
        cmocka_unit_test(splits_evenly),
        cmocka_unit_test(fills_with_medians_of_training_rows),
        cmocka_unit_test(refuses_bad_memory),
        cmocka_unit_test(opens_the_penguins),
        cmocka_unit_test(opens_like_a_model),
        cmocka_unit_test(opens_arrays),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
