/* Conditions: which columns become classes and which numbers, that they stay with their rows through gaps and splits,
 * and a model's classes found again in another file. */
#include <thalweg/data.h>

#include "base/base.h"
#include "data/levels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *write_file(const char *text)
{
    static char path[64];
    snprintf(path, sizeof path, "conditions-%d.csv", (int)getpid());
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static tw_dataset *open_text(tw_context *ctx, const char *text, const tw_dataset_desc *desc)
{
    tw_dataset *d = NULL;
    tw_status status = tw_dataset_open(ctx, write_file(text), desc, &d);
    unlink(write_file(""));
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return d;
}

static void refused(const char *text, const tw_dataset_desc *desc, const char *words)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_true(tw_dataset_open(ctx, write_file(text), desc, &d) != TW_OK);
    unlink(write_file(""));
    if (!strstr(tw_context_error(ctx), words)) fail_msg("'%s' says nothing of '%s'", tw_context_error(ctx), words);
    assert_null(d);
    tw_context_destroy(ctx);
}

/* y = 10 x + the number of the class, z is x again: rows can be told apart after any shuffling. */
static void classes_and_numbers_stay_with_their_rows(void **state)
{
    (void)state;
    static const char *const kinds[] = {"b", "c", "a"}; /* in alphabetical order: a 0, b 1, c 2 */
    static const int code[] = {1, 2, 0};
    char text[20000] = "kind,x,year,y,weight\n";
    size_t used = strlen(text);
    for (int i = 0; i < 300; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s,%d,%d,%d,%.2f\n", kinds[i % 3], i, 2000 + i % 4,
                                 i % 7 == 3 ? 0 : 10 * i + code[i % 3], i * 0.25);
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_text(ctx, text, &(tw_dataset_desc){.conditions = "kind,year,weight"});
    assert_int_equal(tw_dataset_columns(d), 2);
    assert_int_equal(tw_dataset_conditions_count(d), 3);
    const tw_condition *kind = tw_dataset_condition(d, 0), *year = tw_dataset_condition(d, 1),
                       *weight = tw_dataset_condition(d, 2);
    assert_null(tw_dataset_condition(d, 3));
    assert_int_equal(kind->classes, 3);
    assert_string_equal(kind->level[0], "a");
    assert_string_equal(kind->level[2], "c");
    assert_int_equal(year->classes, 4);
    assert_string_equal(year->level[3], "2003");
    assert_int_equal(weight->classes, 0);
    double sum = 0, squares = 0;
    int64_t train = tw_dataset_rows(d, TW_PART_TRAIN);
    for (int part = TW_PART_TRAIN; part <= TW_PART_TEST; part++) {
        const double *x = tw_dataset_values(d, (tw_part)part), *c = tw_dataset_condition_values(d, (tw_part)part);
        for (int64_t r = 0; r < tw_dataset_rows(d, (tw_part)part); r++, x += 2, c += 3) {
            int i = (int)x[0];
            assert_int_equal((int)c[0], code[i % 3]);
            assert_int_equal((int)c[1], i % 4);
            assert_true(c[2] == i * 0.25);
            if (i % 7 != 3) assert_int_equal((int)x[1], 10 * i + code[i % 3]);
            if (part == TW_PART_TRAIN) {
                sum += c[2];
                squares += c[2] * c[2];
            }
        }
    }
    double mean = sum / (double)train;
    assert_true(fabs(weight->mean - mean) < 1e-9);
    assert_true(fabs(weight->scale - sqrt(squares / (double)train - mean * mean)) < 1e-9);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void gaps_take_their_conditions_along(void **state)
{
    (void)state;
    char text[4000] = "x,kind\n";
    for (int i = 0; i < 100; i++) {
        char row[32];
        if (i == 17)
            snprintf(row, sizeof row, ",even\n");
        else if (i == 40)
            snprintf(row, sizeof row, "40,\n");
        else
            snprintf(row, sizeof row, "%d,%s\n", i, i % 2 ? "odd" : "even");
        strcat(text, row);
    }
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_text(ctx, text, &(tw_dataset_desc){.conditions = "kind"});
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 98);
    const double *x = tw_dataset_values(d, TW_PART_ALL), *c = tw_dataset_condition_values(d, TW_PART_ALL);
    for (int r = 0; r < 98; r++) assert_true(c[r] == fmod(x[r], 2));
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
    refused(text, &(tw_dataset_desc){.conditions = "kind", .missing = TW_MISSING_MEDIAN}, "no median stands for one");
}

static void a_models_classes_are_found_again(void **state)
{
    (void)state;
    static const char *const levels[] = {"a", "b", "c"}, *const names[] = {"x"};
    const tw_condition known[] = {{"kind", 3, levels, 0, 0}, {"weight", 0, NULL, 5, 2}};
    tw_dataset_desc desc = {.known_conditions = known, .known_conditions_count = 2};
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(
        tw_dataset_open_like(ctx, write_file("weight,kind,x\n1,c,10\n2,a,20\n3,c,30\n"), &desc, 1, names, &d), TW_OK);
    const double *c = tw_dataset_condition_values(d, TW_PART_ALL);
    const double want[] = {2, 1, 0, 2, 2, 3};
    for (int i = 0; i < 6; i++) assert_true(c[i] == want[i]);
    assert_true(tw_dataset_condition(d, 1)->mean == 5 && tw_dataset_condition(d, 1)->scale == 2);
    assert_int_equal(tw_dataset_condition(d, 0)->classes, 3);
    tw_dataset_destroy(d);
    d = NULL;
    assert_int_equal(tw_dataset_open_like(ctx, write_file("weight,kind,x\n1,d,10\n"), &desc, 1, names, &d),
                     TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "the model has no class 'd'"));
    assert_int_equal(tw_dataset_open_like(ctx, write_file("weight,x\n1,10\n"), &desc, 1, names, &d), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "no column 'kind', which the model needs"));
    unlink(write_file(""));
    tw_context_destroy(ctx);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    const char *text = "x,kind,mixed\n1,a,1\n2,b,z\n3,a,2\n";
    refused(text, &(tw_dataset_desc){.conditions = "knid"}, "no column 'knid': did you mean 'kind'?");
    refused(text, &(tw_dataset_desc){.conditions = "mixed"}, ":3: condition 'mixed': 'z' among numbers");
    refused(text, &(tw_dataset_desc){.conditions = "kind", .columns = "x,kind"}, "in --columns and in --condition");
    refused("kind\na\nb\n", &(tw_dataset_desc){.conditions = "kind", .header = TW_HEADER_YES},
            "every column is a condition");
}

/* The class of a built-in point is where it lies: for bumps the nearest, for the board the square. */
static void built_in_sets_have_classes(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "8gaussians", &(tw_dataset_desc){.conditions = "class", .rows = 2000}, &d),
                     TW_OK);
    assert_int_equal(tw_dataset_condition(d, 0)->classes, 8);
    const double *x = tw_dataset_values(d, TW_PART_ALL), *c = tw_dataset_condition_values(d, TW_PART_ALL);
    for (int i = 0; i < 2000; i++) {
        double turn = atan2(x[2 * i + 1], x[2 * i]) / (2 * 3.14159265358979323846) * 8;
        assert_int_equal((int)floor(turn + 8.5) % 8, (int)c[i]);
    }
    tw_dataset_destroy(d);
    d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "checkerboard", &(tw_dataset_desc){.conditions = "class", .rows = 2000}, &d),
                     TW_OK);
    x = tw_dataset_values(d, TW_PART_ALL);
    c = tw_dataset_condition_values(d, TW_PART_ALL);
    double square[8][2];
    bool seen[8] = {false};
    for (int i = 0; i < 2000; i++) {
        double corner[2] = {floor(x[2 * i] * 0.45), floor(x[2 * i + 1] * 0.45)};
        int k = (int)c[i];
        if (!seen[k]) memcpy(square[k], corner, sizeof corner);
        seen[k] = true;
        assert_memory_equal(square[k], corner, sizeof corner);
    }
    for (int k = 0; k < 8; k++)
        for (int j = 0; j < k; j++) assert_true(memcmp(square[j], square[k], sizeof square[k]) != 0);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void levels_are_numbered_and_sorted(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_levels levels = {0};
    char text[16];
    int number, *now = tw_alloc(ctx, 1000, sizeof *now);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 1000; i++) {
            snprintf(text, sizeof text, i % 2 ? "%d" : "t%d", 1000 - i);
            assert_int_equal(tw_levels_take(ctx, &levels, text, &number), TW_OK);
            assert_int_equal(number, i);
        }
    assert_int_equal(tw_levels_sort(ctx, &levels, now), TW_OK);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, i % 2 ? "%d" : "t%d", 1000 - i);
        assert_string_equal(levels.item[now[i]], text);
        assert_int_equal(tw_levels_take(ctx, &levels, text, &number), TW_OK);
        assert_int_equal(number, now[i]);
    }
    assert_string_equal(levels.item[0], "1"); /* numbers by size, then texts */
    assert_string_equal(levels.item[1], "3");
    assert_int_equal(levels.item[500][0], 't');
    tw_free(ctx, now);
    tw_levels_free(ctx, &levels);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_and_numbers_stay_with_their_rows),
        cmocka_unit_test(gaps_take_their_conditions_along),
        cmocka_unit_test(a_models_classes_are_found_again),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(built_in_sets_have_classes),
        cmocka_unit_test(levels_are_numbered_and_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
