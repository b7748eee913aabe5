/* Pictures in folders, in CIFAR's format and in arrays: pixels and classes where they belong, damaged files left out
 * and counted, sets beyond the limit in a file; one sentence for what is wrong. */
#include "data/dataset.h"

#include "base/file.h"
#include "io/npy.h"
#include "io/picture.h"
#include "io/png.h"
#include "support/limited_memory.h"
#include "support/picture_files.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static tw_dataset *open_set(tw_context *ctx, const char *path, const tw_dataset_desc *desc)
{
    tw_dataset *d = NULL;
    if (tw_dataset_open(ctx, path, desc, &d) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return d;
}

static void expect_error(tw_context *ctx, const char *path, const tw_dataset_desc *desc, const char *sentence)
{
    tw_dataset *d = NULL;
    assert_true(tw_dataset_open(ctx, path, desc, &d) != TW_OK);
    assert_string_equal(tw_context_error(ctx), sentence);
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static bool lacks_png(void)
{
    return tw_picture_kind_at(0).library == NULL;
}

/* --- folders ------------------------------------------------------------------------------------------------------ */

/* A picture of 2 x 3 pixels whose first pixel is its number. */
static void write_picture(tw_context *ctx, const char *path, int number, int channels)
{
    unsigned char pixels[18];
    for (int i = 0; i < 6 * channels; i++) pixels[i] = (unsigned char)(i == 0 ? number : 5 * i + number);
    if (tw_png_write(ctx, path, 3, 2, channels, pixels) != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

static void make_folder(tw_context *ctx, const char *root, int each)
{
    static const char *const classes[] = {"bag", "boot"};
    char path[200];
    int number = 1;
    mkdir(root, 0777);
    for (int c = 0; c < 2; c++) {
        snprintf(path, sizeof path, "%s/%s", root, classes[c]);
        mkdir(path, 0777);
        for (int i = 0; i < each; i++, number++) {
            snprintf(path, sizeof path, "%s/%s/%02d.png", root, classes[c], i);
            write_picture(ctx, path, number, 1);
        }
    }
}

/* Number and class of every row. */
static void check_rows(const tw_dataset *d, tw_part part, int first_boot, bool *seen)
{
    for (int64_t i = 0; i < tw_dataset_rows(d, part); i++) {
        double row[6];
        assert_int_equal(tw_dataset_read(d, part, i, 1, row), TW_OK);
        int number = (int)row[0];
        assert_false(seen[number]);
        seen[number] = true;
        for (int j = 1; j < 6; j++) assert_true(row[j] == 5 * j + number);
        assert_true(tw_dataset_condition_values(d, part)[i] == (number >= first_boot));
    }
}

static void sub_folders_are_classes(void **state)
{
    bool seen[64] = {0};
    if (lacks_png()) skip();
    make_folder(*state, "plain", 10);
    tw_dataset *d = open_set(*state, "plain", &(tw_dataset_desc){.conditions = "class"});
    assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 16);
    assert_string_equal(tw_dataset_condition(d, 0)->level[1], "boot");
    assert_int_equal(tw_dataset_notes_count(d), 0);
    for (int part = 0; part < 3; part++) check_rows(d, (tw_part)part, 11, seen);
    for (int i = 1; i <= 20; i++) assert_true(seen[i]);
    tw_dataset_destroy(d);
}

static void train_and_test_lie_apart(void **state)
{
    bool train[64] = {0}, test[64] = {0};
    if (lacks_png()) skip();
    mkdir("apart", 0777);
    make_folder(*state, "apart/train", 10);
    make_folder(*state, "apart/test", 3);
    tw_dataset *d = open_set(*state, "apart", &(tw_dataset_desc){.conditions = "class"});
    assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 18);
    assert_int_equal(tw_dataset_rows(d, TW_PART_VALIDATION), 2);
    assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), 6);
    check_rows(d, TW_PART_TRAIN, 11, train);
    check_rows(d, TW_PART_VALIDATION, 11, train);
    check_rows(d, TW_PART_TEST, 4, test);
    tw_dataset_destroy(d);
}

static void a_table_tells_classes(void **state)
{
    tw_context *ctx = *state;
    if (lacks_png()) skip();
    mkdir("told", 0777);
    write_picture(ctx, "told/a.png", 1, 1);
    write_picture(ctx, "told/b.png", 2, 1);
    write_picture(ctx, "told/c.png", 3, 3); /* colour among grey: all are colour */
    write_text("told/labels.csv", "file,class\nc.png,tall\na.png,short\nb,tall\n");
    tw_dataset *d = open_set(ctx, "told", &(tw_dataset_desc){.conditions = "class", .split = {1, 0, 0}});
    assert_int_equal(tw_dataset_image(d)->channels, 3);
    for (int i = 0; i < 3; i++) {
        double row[18];
        assert_int_equal(tw_dataset_read(d, TW_PART_TRAIN, i, 1, row), TW_OK);
        assert_true(tw_dataset_condition_values(d, TW_PART_TRAIN)[i] == (row[0] > 1));
        if (row[0] < 3) assert_true(row[0] == row[1] && row[1] == row[2]);
    }
    tw_dataset_destroy(d);
    write_text("other.csv", "a.png,1\nb.png,0\n");
    expect_error(ctx, "told", &(tw_dataset_desc){.labels = "other.csv"}, "other.csv: no class for 'told/c.png'");
    write_text("other.csv", "a.png\n");
    expect_error(ctx, "told", &(tw_dataset_desc){.labels = "other.csv"},
                 "other.csv:1: expected the name of a file and its class");
}

static void damaged_files_are_left_out_and_counted(void **state)
{
    tw_context *ctx = *state;
    bool seen[64] = {0};
    if (lacks_png()) skip();
    make_folder(ctx, "hurt", 10);
    write_text("hurt/bag/03.png", "\x89PNG\r\n\x1a\nwhat follows is no picture");
    write_text("hurt/boot/09.png", "");
    tw_dataset *d = open_set(ctx, "hurt", &(tw_dataset_desc){.conditions = "class", .split = {1, 0, 0}});
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 18);
    assert_int_equal(tw_dataset_notes_count(d), 1);
    assert_non_null(strstr(tw_dataset_note(d, 0), "2 of 20 pictures left out: hurt/bag/03.png: not a sound PNG file"));
    check_rows(d, TW_PART_TRAIN, 11, seen);
    assert_false(seen[4] || seen[20]);
    tw_dataset_destroy(d);
    if (tw_picture_kind_at(1).library) { /* a picture of other colours is one that cannot be used, no end of all */
        char *bytes = NULL;
        size_t size;
        assert_int_equal(tw_file_read(ctx, TW_SOURCE_DIR "/tests/io/files/cmyk.jpg", false, 0, &bytes, &size), TW_OK);
        write_bytes("hurt/bag/00a.jpg", bytes, size);
        tw_free(ctx, bytes);
        d = open_set(ctx, "hurt", NULL);
        assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 18);
        assert_non_null(strstr(tw_dataset_note(d, 0), "3 of 21 pictures left out: hurt/bag/00a.jpg: a JPEG file of 4"));
        tw_dataset_destroy(d);
        unlink("hurt/bag/00a.jpg");
    }
    assert_int_equal(tw_dataset_open(ctx, "hurt", &(tw_dataset_desc){.strict = true}, &d), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(ctx), "hurt/bag/03.png: not a sound PNG file"));
    assert_int_equal(tw_png_write(ctx, "hurt/bag/03.png", 2, 2, 1, (unsigned char[4]){0}), TW_OK);
    expect_error(ctx, "hurt", NULL, "hurt/bag/03.png: 2 x 2 pixels among pictures of 2 x 3: --size N makes all N x N");
    tw_dataset_destroy(open_set(ctx, "hurt", &(tw_dataset_desc){.size = 2}));
    mkdir("empty", 0777);
    expect_error(
        ctx, "empty", NULL,
        "empty: a folder without pictures: expected IDX or CIFAR (.bin) files, or PNG and JPEG files, perhaps in "
        "a folder for each class");
}

static tw_status open_plain(tw_context *ctx, void *user)
{
    (void)user;
    tw_dataset *d = NULL;
    tw_status status = tw_dataset_open(ctx, "plain", &(tw_dataset_desc){.conditions = "class", .size = 2}, &d);
    tw_dataset_destroy(d);
    return status;
}

static void folders_survive_lack_of_memory(void **state)
{
    (void)state;
    if (lacks_png()) skip();
    run_with_limited_memory(open_plain, NULL);
}

/* --- sets that are larger than memory ----------------------------------------------------------------------------- */

static void large_sets_lie_in_a_file(void **state)
{
    tw_pictures p = {.ctx = *state, .path = NULL, .limit = 100};
    const tw_image image = {2, 3, 1};
    uint8_t pixels[6];
    for (int round = 0; round < 3; round++) { /* grows from memory into the file, then the file */
        assert_int_equal(tw_pictures_expect(&p, &(tw_dataset_desc){0}, "x", image, 10), TW_OK);
        for (int i = 0; i < 10; i++) {
            memset(pixels, 10 * round + i, sizeof pixels);
            assert_int_equal(tw_pictures_add(&p, image, pixels, NULL), TW_OK);
        }
        assert_true((p.mapped > 0) == (round > 0));
        assert_int_equal((uintptr_t)p.bytes % 64, 0);
    }
    for (int i = 0; i < 30; i++)
        for (int j = 0; j < 8; j++) assert_int_equal(p.bytes[8 * i + j], j < 6 ? i : 0);
    tw_pictures_free(&p);
    p = (tw_pictures){.ctx = *state, .path = strcpy(tw_alloc(*state, 8, 1), "set"), .limit = 1};
    setenv("TMPDIR", "/nowhere", 1);
    assert_int_equal(tw_pictures_expect(&p, &(tw_dataset_desc){0}, "x", image, 10), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(*state), "cannot write '/nowhere/thalweg-pictures-"));
    unsetenv("TMPDIR");
    tw_pictures_free(&p);
}

/* --- CIFAR -------------------------------------------------------------------------------------------------------- */

enum { RECORD = 3073 };

static void write_cifar(const char *name, int labels, int start, int count)
{
    static uint8_t bytes[20 * (RECORD + 1)];
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        if (labels == 2) bytes[at++] = 3; /* the coarse class */
        bytes[at++] = (uint8_t)((start + i) % 10 * (labels == 2 ? 9 : 1));
        for (int j = 0; j < 3072; j++) bytes[at++] = (uint8_t)(j == 0 ? start + i : 7 * (j % 1024) + 50 * (j / 1024));
    }
    write_bytes(name, bytes, at);
}

static void check_cifar(const tw_dataset *d, int per_class, bool *seen)
{
    static double row[3072];
    const tw_condition *class = tw_dataset_condition(d, 0);
    for (int64_t i = 0; i < tw_dataset_rows(d, TW_PART_ALL); i++) {
        char expected[8];
        assert_int_equal(tw_dataset_read(d, TW_PART_ALL, i, 1, row), TW_OK);
        int number = (int)row[0];
        seen[number] = true;
        for (int j = 3; j < 3072; j++) assert_true(row[j] == (7 * (j / 3) + 50 * (j % 3)) % 256);
        snprintf(expected, sizeof expected, "%d", number % 10 * per_class);
        assert_string_equal(class->level[(int)tw_dataset_condition_values(d, TW_PART_ALL)[i]], expected);
    }
}

static void cifar_is_turned_channels_last(void **state)
{
    bool seen[64] = {0};
    mkdir("cifar", 0777);
    write_cifar("cifar/data_batch_1.bin", 1, 0, 20);
    write_cifar("cifar/data_batch_2.bin.gz", 1, 20, 20);
    write_cifar("cifar/test_batch.bin", 1, 40, 10);
    tw_dataset *d = open_set(*state, "cifar/", &(tw_dataset_desc){.conditions = "class"});
    assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 36);
    assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), 10);
    check_cifar(d, 1, seen);
    for (int i = 0; i < 50; i++) assert_true(seen[i]);
    tw_dataset_destroy(d);
    write_cifar("hundred.bin", 2, 0, 20);
    d = open_set(*state, "hundred.bin", &(tw_dataset_desc){.conditions = "class"});
    check_cifar(d, 9, seen);
    tw_dataset_destroy(d);
    expect_error(*state, "hundred.bin", &(tw_dataset_desc){.labels = "labels.csv"},
                 "hundred.bin: a table of labels is for PNG and JPEG files, these have their own");
    /* an array is one whatever its name */
    assert_int_equal(tw_npy_write_bytes(*state, "array.bin", (tw_shape){3, {10, 1, 2}}, (uint8_t[20]){0}), TW_OK);
    d = open_set(*state, "array.bin", NULL);
    assert_int_equal(tw_dataset_columns(d), 2);
    assert_non_null(tw_dataset_image(d));
    tw_dataset_destroy(d);
    assert_int_equal(tw_npy_write(*state, "array.bin", (tw_shape){2, {10, 3}}, (double[30]){0}), TW_OK);
    d = open_set(*state, "array.bin", NULL);
    assert_int_equal(tw_dataset_columns(d), 3);
    assert_null(tw_dataset_image(d));
    tw_dataset_destroy(d);
    write_text("short.bin", "no records");
    expect_error(
        *state, "short.bin", NULL,
        "short.bin: 10 bytes are no CIFAR file: expected records of 3073 bytes with a label below 10 (or of 3074 "
        "with two, CIFAR-100)");
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

static void arrays_of_bytes_are_pictures(void **state)
{
    tw_context *ctx = *state;
    uint8_t bytes[10 * 2 * 3 * 3];
    static const tw_shape shapes[] = {{3, {10, 2, 3}}, {4, {10, 2, 3, 3}}, {4, {10, 3, 2, 3}}};
    for (int i = 0; i < TW_COUNT(shapes); i++) {
        const tw_shape *s = &shapes[i];
        bool planes = s->rank == 4 && s->dim[3] == 3 && s->dim[1] != 2;
        int channels = s->rank == 3 ? 1 : 3, size = 6 * channels;
        for (int j = 0; j < 10 * size; j++) bytes[j] = (uint8_t)(j % size == 0 ? j / size : 3 * (j % size));
        assert_int_equal(tw_npy_write_bytes(ctx, "a.npy", *s, bytes), TW_OK);
        tw_dataset *d = open_set(ctx, "a.npy", NULL);
        tw_image image = *tw_dataset_image(d);
        /* (10,3,2,3) could be 3 x 2 pixels of 3 channels, too: channels last is tried first */
        if (i == 2) planes = false;
        assert_int_equal(image.height, i == 2 ? 3 : 2);
        assert_int_equal(image.width, i == 2 ? 2 : 3);
        assert_int_equal(image.channels, channels);
        for (int64_t r = 0; r < 10; r++) {
            double row[18];
            assert_int_equal(tw_dataset_read(d, TW_PART_ALL, r, 1, row), TW_OK);
            for (int j = 1; j < size; j++)
                assert_true(row[j] == 3 * (planes && channels > 1 ? j % channels * 6 + j / channels : j));
        }
        tw_dataset_destroy(d);
    }
    /* planes of 4 x 5 pixels */
    uint8_t wide[2 * 3 * 20];
    for (int i = 0; i < 120; i++) wide[i] = (uint8_t)i;
    assert_int_equal(tw_npy_write_bytes(ctx, "a.npy", (tw_shape){4, {2, 3, 4, 5}}, wide), TW_OK);
    tw_dataset *d = open_set(ctx, "a.npy", &(tw_dataset_desc){.split = {1, 0, 0}});
    double row[60];
    assert_int_equal(tw_dataset_read(d, TW_PART_TRAIN, 0, 1, row), TW_OK);
    for (int j = 0; j < 60; j++) assert_true(row[j] - row[0] == j % 3 * 20 + j / 3);
    tw_dataset_destroy(d);
    /* two axes, or numbers that are no bytes, are a table as ever */
    assert_int_equal(tw_npy_write_bytes(ctx, "a.npy", (tw_shape){2, {10, 6}}, bytes), TW_OK);
    d = open_set(ctx, "a.npy", NULL);
    assert_null(tw_dataset_image(d));
    tw_dataset_destroy(d);
    double numbers[60] = {0};
    for (int i = 0; i < 60; i++) numbers[i] = i;
    assert_int_equal(tw_npy_write(ctx, "a.npy", (tw_shape){3, {10, 2, 3}}, numbers), TW_OK);
    d = open_set(ctx, "a.npy", NULL);
    assert_null(tw_dataset_image(d));
    tw_dataset_destroy(d);
}

/* files/pictures.npz, by NumPy: labels, then x (20, 2, 3, 3), deflated. */
static void archives_hold_labels(void **state)
{
    const char *path = TW_SOURCE_DIR "/tests/io/files/pictures.npz";
    tw_dataset *d = open_set(*state, path, &(tw_dataset_desc){.conditions = "class"});
    const double *told = tw_dataset_condition_values(d, TW_PART_ALL);
    for (int64_t r = 0; r < 20; r++) {
        double row[18];
        assert_int_equal(tw_dataset_read(d, TW_PART_ALL, r, 1, row), TW_OK);
        for (int j = 1; j < 18; j++) assert_true(row[j] == row[0] + j);
        assert_string_equal(tw_dataset_condition(d, 0)->level[(int)told[r]], (int)row[0] % 4 ? "2" : "0");
    }
    tw_dataset_destroy(d);
    assert_int_equal(tw_dataset_open(*state, path, &(tw_dataset_desc){.array = "wrong"}, &d), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "no array 'wrong'; it holds 'labels', 'x'"));
}

static size_t put_entry(char *out, size_t at, bool central, const char *name, const char *bytes, size_t size,
                        size_t offset)
{
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)bytes, (uInt)size),
             field[] = {crc, (uint32_t)size, (uint32_t)size};
    size_t length = strlen(name), head = central ? 46 : 30;
    memset(out + at, 0, head);
    memcpy(out + at, central ? "PK\1\2" : "PK\3\4", 4);
    memcpy(out + at + (central ? 16 : 14), field, sizeof field);
    out[at + (central ? 28 : 26)] = (char)length;
    if (central) memcpy(out + at + 42, &(uint32_t){(uint32_t)offset}, 4);
    memcpy(out + at + head, name, length);
    if (!central) memcpy(out + at + head + length, bytes, size);
    return at + head + length + (central ? 0 : size);
}

/* Labels that are whole numbers but no classes. */
static void labels_are_bounded(void **state)
{
    static const double labels[] = {1e300, INFINITY, -INFINITY, NAN, 0.5};
    static char zip[4096];
    for (int i = 0; i < TW_COUNT(labels); i++) {
        char *x = NULL, *y = NULL;
        size_t x_size, y_size, at = 0;
        assert_int_equal(tw_npy_write_bytes(*state, "x.npy", (tw_shape){3, {1, 2, 2}}, (uint8_t[4]){0}), TW_OK);
        assert_int_equal(tw_npy_write(*state, "y.npy", (tw_shape){1, {1}}, &labels[i]), TW_OK);
        assert_int_equal(tw_file_read(*state, "x.npy", false, 0, &x, &x_size), TW_OK);
        assert_int_equal(tw_file_read(*state, "y.npy", false, 0, &y, &y_size), TW_OK);
        at = put_entry(zip, at, false, "x.npy", x, x_size, 0);
        size_t second = at;
        at = put_entry(zip, at, false, "y.npy", y, y_size, 0);
        uint32_t begin = (uint32_t)at, end[2];
        at = put_entry(zip, at, true, "x.npy", x, x_size, 0);
        at = put_entry(zip, at, true, "y.npy", y, y_size, second);
        end[0] = (uint32_t)at - begin, end[1] = begin;
        memcpy(zip + at, "PK\5\6\0\0\0\0\2\0\2\0", 12);
        memcpy(zip + at + 12, end, sizeof end);
        memset(zip + at + 20, 0, 2);
        write_bytes("labels.npz", zip, at + 22);
        char expected[100];
        snprintf(expected, sizeof expected, "labels.npz: label 0 is %g, expected whole numbers", labels[i]);
        expect_error(*state, "labels.npz", NULL, expected);
        tw_free(*state, x);
        tw_free(*state, y);
    }
}

/* A link back to a folder that is being read is not gone along; one to another folder is. */
static void links_do_not_go_round(void **state)
{
    if (lacks_png()) skip();
    mkdir("ring", 0777);
    mkdir("ring/one", 0777);
    mkdir("elsewhere", 0777);
    assert_int_equal(tw_png_write(*state, "ring/one/a.png", 2, 2, 1, (unsigned char[4]){1}), TW_OK);
    assert_int_equal(tw_png_write(*state, "elsewhere/b.png", 2, 2, 1, (unsigned char[4]){2}), TW_OK);
    assert_int_equal(symlink("..", "ring/one/up"), 0);
    assert_int_equal(symlink(".", "ring/one/here"), 0);
    assert_int_equal(symlink("../elsewhere", "ring/two"), 0);
    tw_dataset *d = open_set(*state, "ring", &(tw_dataset_desc){.split = {1, 0, 0}});
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 2);
    tw_dataset_destroy(d);
}

static int setup(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/thalweg-test-files-XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0) return -1;
    *state = tw_context_create(&(tw_context_desc){.threads = 3});
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    tw_context_destroy(*state);
    return system(command) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sub_folders_are_classes),        cmocka_unit_test(train_and_test_lie_apart),
        cmocka_unit_test(a_table_tells_classes),          cmocka_unit_test(damaged_files_are_left_out_and_counted),
        cmocka_unit_test(folders_survive_lack_of_memory), cmocka_unit_test(large_sets_lie_in_a_file),
        cmocka_unit_test(cifar_is_turned_channels_last),  cmocka_unit_test(arrays_of_bytes_are_pictures),
        cmocka_unit_test(archives_hold_labels),           cmocka_unit_test(labels_are_bounded),
        cmocka_unit_test(links_do_not_go_round),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
