/* Pictures: every one with its label in one part, test files apart, bytes as they were written; resizing by what it
 * must do to constants, ramps and blocks; broken files by one sentence each. */
#include "data/dataset.h"

#include "support/context.h"
#include "support/limited_memory.h"
#include "support/picture_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRAIN_IMAGES "set/train-images-idx3-ubyte.gz"
#define TRAIN_LABELS "set/train-labels-idx1-ubyte.gz"
#define TEST_IMAGES  "set/t10k-images-idx3-ubyte"
#define TEST_LABELS  "set/t10k-labels-idx1-ubyte"

enum { TRAIN = 40, TEST = 9, HEIGHT = 5, WIDTH = 3, COLUMNS = HEIGHT * WIDTH };

static char folder[64];

static tw_dataset *open_set(tw_context *ctx, const char *path, const tw_dataset_desc *desc)
{
    tw_dataset *d = NULL;
    if (tw_dataset_open(ctx, path, desc, &d) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return d;
}

/* Row by row what the file of `start` has, with the class of that row; each number once. */
static void check_part(const tw_dataset *d, tw_part part, int start, bool *seen)
{
    const double *told = tw_dataset_condition_values(d, part);
    for (int64_t r = 0; r < tw_dataset_rows(d, part); r++) {
        double row[COLUMNS];
        assert_int_equal(tw_dataset_read(d, part, r, 1, row), TW_OK);
        int number = (int)row[0];
        assert_false(seen[number]);
        seen[number] = true;
        for (int j = 0; j < COLUMNS; j++) assert_true(row[j] == pixel_of(start, number, j));
        if (told) assert_true(told[r] == class_of(number));
    }
}

/* Bins of 0 to 256, of others when told, and the same of a file that a model is tested on. */
static void pixels_become_levels(void **state)
{
    static const tw_bins asked[] = {{8, 0, 0}, {5, 20, 200}};
    for (int b = 0; b < TW_COUNT(asked); b++) {
        tw_dataset *plain = open_set(*state, "set/", NULL);
        tw_dataset *levels = open_set(*state, "set/", &(tw_dataset_desc){.bins = asked[b]});
        const tw_bins *bins = tw_dataset_bins(levels);
        assert_int_equal(tw_dataset_image(levels)->height, HEIGHT);
        assert_true(bins->count == asked[b].count && bins->high == (b ? 200 : 256) && bins->low == (b ? 20 : 0));
        int64_t rows = tw_dataset_rows(levels, TW_PART_ALL);
        const double *token = tw_dataset_values(levels, TW_PART_ALL);
        assert_int_equal(rows, TRAIN + TEST);
        assert_memory_equal(tw_dataset_condition_values(plain, TW_PART_ALL),
                            tw_dataset_condition_values(levels, TW_PART_ALL), (size_t)rows * sizeof(double));
        for (int64_t r = 0; r < rows; r++) {
            double byte[COLUMNS];
            assert_int_equal(tw_dataset_read(plain, TW_PART_ALL, r, 1, byte), TW_OK);
            for (int j = 0; j < COLUMNS; j++) {
                double bin = b ? floor((byte[j] - 20) / 36) : floor(byte[j] / 32);
                assert_true(token[r * COLUMNS + j] == fmin(asked[b].count - 1, fmax(0, bin)));
            }
        }
        tw_dataset_destroy(plain);
        tw_dataset_destroy(levels);
    }
}

static void folders_hold_training_and_test_files(void **state)
{
    for (uint64_t seed = 0; seed < 3; seed++) {
        tw_dataset *d = open_set(*state, "set/", &(tw_dataset_desc){.conditions = "class", .seed = seed});
        bool train[TRAIN] = {0}, test[TEST] = {0};
        tw_image image = *tw_dataset_image(d);
        assert_true(image.height == HEIGHT && image.width == WIDTH && image.channels == 1);
        assert_int_equal(tw_dataset_columns(d), COLUMNS);
        assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 36);
        assert_int_equal(tw_dataset_rows(d, TW_PART_VALIDATION), 4);
        assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), TEST);
        assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), TRAIN + TEST);
        assert_null(tw_dataset_values(d, TW_PART_ALL));
        assert_int_equal(tw_dataset_decimals(d, 3), 0);
        const tw_condition *class = tw_dataset_condition(d, 0);
        assert_int_equal(class->classes, 3);
        assert_string_equal(class->name, "class");
        assert_string_equal(class->level[2], "2");
        check_part(d, TW_PART_TRAIN, 1, train);
        check_part(d, TW_PART_VALIDATION, 1, train);
        check_part(d, TW_PART_TEST, 2, test);
        double row[COLUMNS];
        assert_int_equal(tw_dataset_read(d, TW_PART_TEST, TEST - 1, 2, row), TW_ERR_INVALID);
        tw_dataset_destroy(d);
    }
}

static void files_are_split_as_tables_are(void **state)
{
    double values[TRAIN * COLUMNS];
    for (int i = 0; i < TRAIN; i++)
        for (int j = 0; j < COLUMNS; j++) values[i * COLUMNS + j] = pixel_of(1, i, j);
    tw_dataset_desc desc = {.split = {0.5, 0.3, 0.2}, .seed = 4};
    tw_dataset *table = NULL, *d = open_set(*state, TRAIN_IMAGES, &desc);
    assert_int_equal(tw_dataset_from_memory(*state, TRAIN, COLUMNS, values, NULL, &desc, &table), TW_OK);
    double read[TRAIN * COLUMNS];
    for (int part = 0; part <= TW_PART_ALL; part++) {
        int64_t rows = tw_dataset_rows(table, (tw_part)part);
        assert_int_equal(tw_dataset_rows(d, (tw_part)part), rows);
        assert_int_equal(tw_dataset_read(d, (tw_part)part, 0, rows, read), TW_OK);
        assert_memory_equal(read, tw_dataset_values(table, (tw_part)part), (size_t)rows * COLUMNS * sizeof(double));
        double again[COLUMNS];
        assert_int_equal(tw_dataset_read(table, (tw_part)part, rows - 1, 1, again), TW_OK);
        assert_memory_equal(again, read + (rows - 1) * COLUMNS, sizeof again);
    }
    assert_int_equal(tw_dataset_conditions_count(d), 1); /* there are labels, and nobody said anything */
    tw_dataset_destroy(table);
    tw_dataset_destroy(d);
    desc.conditions = "none";
    d = open_set(*state, TRAIN_IMAGES, &desc);
    assert_int_equal(tw_dataset_conditions_count(d), 0);
    tw_dataset_destroy(d);
}

static void a_model_is_tested_on_what_is_for_testing(void **state)
{
    const char *names[COLUMNS];
    static const char *const levels[] = {"0", "1", "2"};
    for (int j = 0; j < COLUMNS; j++) names[j] = "x";
    tw_condition class = {"class", 3, levels, 0, 0};
    tw_dataset_desc desc = {.known_conditions = &class, .known_conditions_count = 1};
    desc.known_image = (tw_image){HEIGHT, WIDTH, 1};
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open_like(*state, "set", &desc, COLUMNS, names, &d), TW_OK);
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), TEST);
    for (int i = 0; i < TEST; i++) { /* in the order of the file */
        double row[COLUMNS];
        assert_int_equal(tw_dataset_read(d, TW_PART_TEST, i, 1, row), TW_OK);
        assert_true(row[0] == i && tw_dataset_condition_values(d, TW_PART_TEST)[i] == class_of(i));
    }
    tw_dataset_destroy(d);
    class.classes = 2;
    assert_int_equal(tw_dataset_open_like(*state, "set", &desc, COLUMNS, names, &d), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "set: condition 'class': the model has no class '2'");
    desc.known_image = (tw_image){0};
    desc.known_conditions_count = 0;
    assert_int_equal(tw_dataset_open_like(*state, "set", &desc, COLUMNS - 1, names, &d), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "set: pictures of 5 x 3 x 1 where the model's rows are 14 numbers");
}

/* --- resizing ----------------------------------------------------------------------------------------------------- */

static void fit(tw_context *ctx, tw_image from, const uint8_t *pixels, tw_image to, uint8_t *out)
{
    assert_int_equal(tw_picture_fit(ctx, from, pixels, to, out), TW_OK);
}

static void resizing_keeps_what_it_must(void **state)
{
    uint8_t picture[9 * 12 * 3], out[40 * 40 * 3];
    static const tw_image sizes[] = {{9, 12, 3}, {3, 4, 3}, {4, 4, 3}, {5, 3, 3}, {1, 1, 3}, {20, 31, 3}, {40, 40, 1}};
    memset(picture, 77, sizeof picture);
    for (int i = 0; i < TW_COUNT(sizes); i++) { /* a constant is the same in every size */
        fit(*state, (tw_image){9, 12, 3}, picture, sizes[i], out);
        for (int64_t j = 0; j < tw_image_size(sizes[i]); j++) assert_int_equal(out[j], 77);
    }
    for (int y = 0; y < 8; y++) /* downwards by a whole number: the means of blocks */
        for (int x = 0; x < 8; x++) picture[8 * y + x] = (uint8_t)(16 * y + 2 * x * x);
    fit(*state, (tw_image){8, 8, 1}, picture, (tw_image){4, 4, 1}, out);
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            const uint8_t *p = picture + 16 * y + 2 * x;
            assert_int_equal(out[4 * y + x], (p[0] + p[1] + p[8] + p[9] + 2) / 4);
        }
    for (int i = 0; i < 16; i++) picture[i] = (uint8_t)(40 * (i % 4)); /* upwards: a ramp stays a ramp inside */
    fit(*state, (tw_image){4, 4, 1}, picture, (tw_image){8, 8, 1}, out);
    static const uint8_t ramp[8] = {0, 10, 30, 50, 70, 90, 110, 120};
    for (int y = 0; y < 8; y++) assert_memory_equal(out + 8 * y, ramp, 8);
    for (int i = 0; i < 10; i++) picture[i] = (uint8_t)i; /* the middle of a long one */
    fit(*state, (tw_image){1, 10, 1}, picture, (tw_image){1, 4, 1}, out);
    assert_memory_equal(out, "\3\4\5\6", 4);
    fit(*state, (tw_image){10, 1, 1}, picture, (tw_image){4, 1, 1}, out);
    assert_memory_equal(out, "\3\4\5\6", 4);
    fit(*state, (tw_image){1, 1, 3}, (uint8_t[]){255, 0, 0}, (tw_image){1, 1, 1}, out);
    assert_int_equal(out[0], 76); /* 0.299 of 255 */
}

/* Areas that do not divide evenly: 3 pixels to 2 are one and half of the next. */
static void areas_are_shared(void **state)
{
    uint8_t square[4];
    fit(*state, (tw_image){3, 3, 1}, (uint8_t[]){30, 90, 150, 30, 90, 150, 30, 90, 150}, (tw_image){2, 2, 1}, square);
    assert_int_equal(square[0], 50);  /* (30 + 90 / 2) / 1.5 */
    assert_int_equal(square[1], 130); /* (90 / 2 + 150) / 1.5 */
    assert_memory_equal(square, square + 2, 2);
}

static void sizes_are_asked_for(void **state)
{
    tw_dataset *d = open_set(*state, "set", &(tw_dataset_desc){.size = 2});
    tw_image image = *tw_dataset_image(d);
    assert_true(image.height == 2 && image.width == 2 && image.channels == 1);
    double row[4];
    assert_int_equal(tw_dataset_read(d, TW_PART_TEST, 0, 1, row), TW_OK);
    uint8_t original[COLUMNS], expected[4];
    for (int j = 0; j < COLUMNS; j++) original[j] = pixel_of(2, 0, j);
    fit(*state, (tw_image){HEIGHT, WIDTH, 1}, original, image, expected);
    for (int j = 0; j < 4; j++) assert_true(row[j] == expected[j]);
    tw_dataset_destroy(d);
}

/* --- what is wrong ------------------------------------------------------------------------------------------------ */

static void expect_error(tw_context *ctx, const char *path, const tw_dataset_desc *desc, const char *sentence)
{
    tw_dataset *d = NULL;
    assert_true(tw_dataset_open(ctx, path, desc, &d) != TW_OK);
    assert_null(d);
    assert_string_equal(tw_context_error(ctx), sentence);
}

static void broken_sets_are_refused(void **state)
{
    tw_context *ctx = *state;
    assert_int_equal(mkdir("bad", 0777), 0);
    write_idx_pictures("bad/a-images-idx3-ubyte", "bad/a-labels-idx1-ubyte", 1, 6, 2, 2);
    write_idx_pictures("bad/b-images-idx3-ubyte", NULL, 1, 5, 2, 2);
    assert_int_equal(rename("bad/a-labels-idx1-ubyte", "bad/b-labels-idx1-ubyte"), 0);
    expect_error(ctx, "bad/b-images-idx3-ubyte", NULL,
                 "bad/b-labels-idx1-ubyte: 6 labels for the 5 pictures of bad/b-images-idx3-ubyte");
    expect_error(ctx, "bad/a-images-idx3-ubyte", &(tw_dataset_desc){.conditions = "class"},
                 "bad/a-images-idx3-ubyte: no labels lie beside the pictures, so there is no condition");
    expect_error(ctx, TRAIN_IMAGES, &(tw_dataset_desc){.conditions = "clas"},
                 TRAIN_IMAGES ": no column 'clas': did you mean 'class'?");
    expect_error(ctx, TRAIN_IMAGES, &(tw_dataset_desc){.columns = "1-3"},
                 TRAIN_IMAGES ": pictures keep every pixel: no --columns, no --drop");
    uint8_t file[100];
    size_t size = make_idx(file, 3, (int[]){1, 3, 4}, (const uint8_t *)"twelve bytes");
    write_bytes("bad/short-idx", file, size - 1);
    expect_error(ctx, "bad/short-idx", NULL, "bad/short-idx: 11 bytes of numbers where the IDX header promises 12");
    size = make_idx(file, 4, (int[]){3, 2, 1, 2}, (const uint8_t *)"twelve bytes");
    write_bytes("bad/two-idx", file, size);
    expect_error(ctx, "bad/two-idx", NULL, "bad/two-idx: pictures of 2 channels are not read (1 and 3 are)");
    size = make_idx(file, 3, (int[]){5, 0, 28}, file + 50);
    write_bytes("bad/flat-idx", file, size);
    expect_error(ctx, "bad/flat-idx", NULL, "bad/flat-idx: pictures of 0 x 28 pixels");
    expect_error(ctx, "bad/flat-idx", &(tw_dataset_desc){.size = 4}, "bad/flat-idx: pictures of 0 x 28 pixels");
    expect_error(ctx, TRAIN_IMAGES, &(tw_dataset_desc){.known_image = {4, 4, 2}},
                 TRAIN_IMAGES ": pictures cannot be brought to the 2 channels of the model's (to 1 and 3 they can)");
    size = make_idx(file, 3, (int[]){0, 2, 2}, file + 50);
    write_bytes("bad/none-idx", file, size);
    expect_error(ctx, "bad/none-idx", NULL, "bad/none-idx: there are no pictures in it");
    /* a packed file cut in the middle */
    FILE *whole = fopen(TRAIN_IMAGES, "rb");
    uint8_t packed[4096];
    size_t got = fread(packed, 1, sizeof packed, whole);
    fclose(whole);
    write_bytes("bad/cut", packed, got / 2);
    expect_error(ctx, "bad/cut", NULL, "'bad/cut' is cut short: the gzip data end early");
    /* a folder whose pictures differ in size */
    write_idx_pictures("bad/train-images-idx3-ubyte", NULL, 1, 2, 2, 2);
    write_idx_pictures("bad/t10k-images-idx3-ubyte", NULL, 1, 2, 3, 3);
    expect_error(
        ctx, "bad", NULL,
        "bad/t10k-images-idx3-ubyte: pictures of 3 x 3 x 1 among those of 2 x 2 x 1: --size N makes all N x N");
    tw_dataset_destroy(open_set(ctx, "bad", &(tw_dataset_desc){.size = 3}));
    /* channels are those of each file, not of the first */
    static uint8_t many[1024], zeros[800];
    write_bytes("bad/t10k-images-idx3-ubyte", many, make_idx(many, 4, (int[]){1, 2, 2, 200}, zeros));
    expect_error(ctx, "bad", &(tw_dataset_desc){.size = 3},
                 "bad/t10k-images-idx3-ubyte: pictures of 200 channels are not read (1 and 3 are)");
}

static tw_status open_all(tw_context *ctx, void *user)
{
    (void)user;
    tw_dataset *d = NULL;
    tw_status status = tw_dataset_open(ctx, "set", &(tw_dataset_desc){.conditions = "class", .size = 4}, &d);
    tw_dataset_destroy(d);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    run_with_limited_memory(open_all, NULL);
}

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/thalweg-test-pictures-XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("set", 0777) != 0) return -1;
    write_idx_pictures(TRAIN_IMAGES, TRAIN_LABELS, 1, TRAIN, HEIGHT, WIDTH);
    write_idx_pictures(TEST_IMAGES, TEST_LABELS, 2, TEST, HEIGHT, WIDTH);
    return open_context(state);
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? close_context(state) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_become_levels),          cmocka_unit_test(folders_hold_training_and_test_files),
        cmocka_unit_test(files_are_split_as_tables_are), cmocka_unit_test(a_model_is_tested_on_what_is_for_testing),
        cmocka_unit_test(resizing_keeps_what_it_must),   cmocka_unit_test(areas_are_shared),
        cmocka_unit_test(sizes_are_asked_for),           cmocka_unit_test(broken_sets_are_refused),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
