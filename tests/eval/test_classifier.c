/* The judge of pictures: learns real digits, answers the same from its file and with any number of threads, and refuses
 * what it was not made for. */
#include "eval/classifier.h"

#include "support/context.h"
#include "support/limited_memory.h"

#include <thalweg/data.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 8, NUMBERS = SIDE * SIDE, ROWS = 1797, TRAIN = 1400, CLASSES = 10 };
static double pictures[ROWS * NUMBERS]; /* the last ROWS - TRAIN of them held out */
static int32_t class_of[ROWS];
static char path[64];

/* Pictures with their class as one more column. */
static tw_dataset *data_of(tw_context *ctx, int64_t rows, int numbers, const double *x, const int32_t *class)
{
    char condition[16];
    double *both = malloc((size_t)(rows * (numbers + 1)) * sizeof *both);
    tw_dataset *data = NULL;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(both + i * (numbers + 1), x + i * numbers, (size_t)numbers * sizeof *both);
        both[i * (numbers + 1) + numbers] = class[i];
    }
    snprintf(condition, sizeof condition, "%d", numbers + 1);
    tw_dataset_desc desc = {.conditions = condition, .split = {1, 0, 0}};
    assert_int_equal(tw_dataset_from_memory(ctx, rows, numbers + 1, both, NULL, &desc, &data), TW_OK);
    free(both);
    return data;
}

static int open_digits(void **state)
{
    tw_dataset *data;
    if (open_pool(state) != 0) return -1;
    tw_dataset_desc desc = {.conditions = "65", .split = {1, 0, 0}};
    if (tw_dataset_open(*state, TW_SOURCE_DIR "/data/digits.csv.gz", &desc, &data) != TW_OK) return -1;
    for (int i = 0; i < ROWS; i++) {
        class_of[i] = (int32_t)tw_dataset_condition_values(data, TW_PART_ALL)[i];
        for (int j = 0; j < NUMBERS; j++)
            pictures[i * NUMBERS + j] = 15.9 * tw_dataset_values(data, TW_PART_ALL)[i * NUMBERS + j];
    }
    tw_dataset_destroy(data);
    return 0;
}

static tw_classifier_desc desc_of(const tw_dataset *data, int64_t steps)
{
    return (tw_classifier_desc){.image = {SIDE, SIDE, 1}, .classes = CLASSES, .data = data, .steps = steps};
}

static void digits_are_told_apart(void **state)
{
    tw_classifier *c, *again;
    tw_dataset *data = data_of(*state, TRAIN, NUMBERS, pictures, class_of);
    tw_classifier_desc desc = desc_of(data, 400);
    int32_t got[ROWS], got_again[ROWS];
    double *features = malloc(sizeof *features * ROWS * TW_CLASSIFIER_FEATURES);
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_OK);
    assert_int_equal(tw_classifier_run(c, ROWS, pictures, got, features), TW_OK);
    int right = 0;
    for (int i = TRAIN; i < ROWS; i++) right += got[i] == class_of[i];
    assert_true(right > 0.95 * (ROWS - TRAIN)); /* nearest neighbours reach 0.96 to 0.98 here */
    /* features belong to a row alone */
    double one[TW_CLASSIFIER_FEATURES];
    assert_int_equal(tw_classifier_run(c, 1, pictures + 1500 * NUMBERS, NULL, one), TW_OK);
    assert_memory_equal(one, features + 1500 * TW_CLASSIFIER_FEATURES, sizeof one);
    /* from a file */
    assert_int_equal(tw_classifier_save(c, path, "digits"), TW_OK);
    assert_int_equal(tw_classifier_load(*state, path, desc.image, CLASSES, "digits", &again), TW_OK);
    assert_int_equal(tw_classifier_run(again, ROWS, pictures, got_again, NULL), TW_OK);
    assert_memory_equal(got, got_again, sizeof got);
    tw_classifier_destroy(again);
    again = NULL;
    assert_int_equal(tw_classifier_load(*state, path, desc.image, CLASSES, "others", &again), TW_ERR_INVALID);
    assert_int_equal(tw_classifier_load(*state, path, desc.image, 11, "digits", &again), TW_ERR_INVALID);
    assert_int_equal(tw_classifier_load(*state, "/nowhere.safetensors", desc.image, 10, "digits", &again), TW_ERR_IO);
    assert_null(again);
    tw_classifier_destroy(c);
    tw_dataset_destroy(data);
    free(features);
}

static void any_number_of_threads(void **state)
{
    double features[2][TW_CLASSIFIER_FEATURES];
    (void)state;
    for (int k = 0; k < 2; k++) {
        tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = k ? 3 : 1});
        tw_dataset *data = data_of(ctx, 500, NUMBERS, pictures, class_of);
        tw_classifier_desc desc = desc_of(data, 12);
        tw_classifier *c;
        assert_int_equal(tw_classifier_train(ctx, &desc, &c), TW_OK);
        assert_int_equal(tw_classifier_run(c, 1, pictures, NULL, features[k]), TW_OK);
        tw_classifier_destroy(c);
        tw_dataset_destroy(data);
        tw_context_destroy(ctx);
    }
    assert_memory_equal(features[0], features[1], sizeof features[0]);
}

static int stop(void *user, int64_t done, int64_t total)
{
    (void)user;
    return done > total / 2;
}

static void wrong_rows_are_refused(void **state)
{
    tw_classifier *c = NULL;
    tw_dataset *data = data_of(*state, 500, NUMBERS, pictures, class_of);
    tw_classifier_desc desc = desc_of(data, 1);
    desc.classes = CLASSES - 1; /* the last one is of none */
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_ERR_INVALID);
    desc = desc_of(data, 1);
    desc.condition = 1;
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_ERR_INVALID);
    desc = desc_of(data, 1);
    desc.image.height = 2;
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_ERR_INVALID);
    desc = desc_of(data, 64);
    desc.on_progress = stop;
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_ERR_CANCELLED);
    assert_null(c);
    tw_dataset_destroy(data);
}

/* Odd sides, three channels. */
static void other_pictures(void **state)
{
    enum { H = 21, W = 17, N = 60 };
    double *x = malloc(sizeof *x * N * H * W * 3);
    int32_t class[N], got[N];
    for (int i = 0; i < N; i++) {
        class[i] = i % 2;
        for (int j = 0; j < H * W * 3; j++) x[i * H * W * 3 + j] = (j % 3 == 2 * class[i] ? 200 : 20) + (i * j) % 30;
    }
    tw_dataset *data = data_of(*state, N, H * W * 3, x, class);
    tw_classifier_desc desc = {.image = {H, W, 3}, .classes = 2, .data = data, .steps = 30};
    tw_classifier *c;
    assert_int_equal(tw_classifier_train(*state, &desc, &c), TW_OK);
    assert_int_equal(tw_classifier_run(c, N, x, got, NULL), TW_OK);
    assert_memory_equal(got, class, sizeof got);
    tw_classifier_destroy(c);
    tw_dataset_destroy(data);
    free(x);
}

/* Every failure but the first hundred is tried in growing leaps: there are thousands of allocations. */
static void allocations_may_fail(void **state)
{
    (void)state;
    for (int64_t n = 0;; n += 1 + n / 8) {
        limited_memory memory = {0};
        tw_context *ctx =
            tw_context_create(&(tw_context_desc){.alloc = limited_alloc, .alloc_user = &memory, .threads = 1});
        assert_non_null(ctx);
        tw_dataset *data = data_of(ctx, 200, NUMBERS, pictures, class_of);
        int64_t alive = memory.alive;
        tw_classifier_desc desc = desc_of(data, 1);
        tw_classifier *c = NULL;
        memory.left = n;
        memory.armed = true;
        tw_status status = tw_classifier_train(ctx, &desc, &c);
        memory.armed = false;
        tw_classifier_destroy(c);
        assert_int_equal(memory.alive, alive);
        tw_dataset_destroy(data);
        tw_context_destroy(ctx);
        if (status == TW_OK) return;
        assert_int_equal(status, TW_ERR_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(digits_are_told_apart), cmocka_unit_test(any_number_of_threads),
                                       cmocka_unit_test(wrong_rows_are_refused), cmocka_unit_test(other_pictures),
                                       cmocka_unit_test(allocations_may_fail)};
    snprintf(path, sizeof path, "/tmp/thalweg-test-classifier-%d.safetensors", (int)getpid());
    int failed = cmocka_run_group_tests(tests, open_digits, close_context);
    unlink(path);
    return failed;
}
