/* NPY and NPZ: every number type and byte order against known bytes, Fortran order, archives, and broken files. The
 * .npy and .npz files under files/ were written by NumPy (files/make.py). */
#include "io/npy.h"

#include "base/file.h"
#include "support/limited_memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILES TW_SOURCE_DIR "/tests/io/files/"

static size_t build(unsigned char *out, int version, const char *header, const void *data, size_t size)
{
    size_t length = strlen(header), prefix = version == 1 ? 10 : 12;
    memset(out, 0, prefix);
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (unsigned char)version;
    out[8] = (unsigned char)length;
    out[9] = (unsigned char)(length >> 8);
    memcpy(out + prefix, header, length);
    if (size) memcpy(out + prefix + length, data, size);
    return prefix + length + size;
}

static void reads_every_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *bytes;
        size_t size;
        double value[2];
    } cases[] = {
        {"|b1", "\0\1", 2, {0, 1}},
        {"|i1", "\x80\x7F", 2, {-128, 127}},
        {"|u1", "\x80\xFF", 2, {128, 255}},
        {"<i2", "\xFE\xFF\1\2", 4, {-2, 513}},
        {">i2", "\xFF\xFE\2\1", 4, {-2, 513}},
        {"<u2", "\xFE\xFF\1\2", 4, {65534, 513}},
        {"<i4", "\0\0\0\x80\4\3\2\1", 8, {-2147483648.0, 16909060}},
        {">u4", "\x80\0\0\0\1\2\3\4", 8, {2147483648.0, 16909060}},
        {"<i8", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\1\0\0\0", 16, {-1, 4294967296.0}},
        {">u8", "\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7", 16, {9223372036854775808.0, 7}},
        {"<f2", "\0\x3C\1\x80", 4, {1, -0x1p-24}},
        {">f2", "\x7B\xFF\x35\x55", 4, {65504, 0.333251953125}},
        {"<f4", "\0\0\xC0\xBF\xDB\x0F\x49\x40", 8, {-1.5, 3.1415927410125732}},
        {">f8", "\x3F\xB9\x99\x99\x99\x99\x99\x9A\x7F\xEF\xFF\xFF\xFF\xFF\xFF\xFF", 16, {0.1, 0x1.fffffffffffffp1023}},
        {"=f8", "\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0\0\0\0", 16, {1, 0}},
    };
    tw_context *ctx = tw_context_create(NULL);
    for (int version = 1; version <= 3; version++)
        for (int i = 0; i < TW_COUNT(cases); i++) {
            char header[200];
            unsigned char bytes[300];
            snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }  \n",
                     cases[i].type);
            size_t size = build(bytes, version, header, cases[i].bytes, cases[i].size);
            tw_npy array;
            if (tw_npy_parse(ctx, "x", bytes, size, &array) != TW_OK)
                fail_msg("%s: %s", cases[i].type, tw_context_error(ctx));
            assert_int_equal(array.shape.rank, 1);
            assert_int_equal(array.shape.dim[0], 2);
            assert_true(array.value[0] == cases[i].value[0]);
            assert_true(array.value[1] == cases[i].value[1]);
            tw_npy_free(ctx, &array);
        }
    tw_context_destroy(ctx);
}

static void knows_special_halves(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    unsigned char bytes[200];
    size_t size =
        build(bytes, 1, "{'descr': '<f2', 'fortran_order': False, 'shape': (4,), }\n", "\0\x7C\0\xFC\1\x7E\0\x80", 8);
    tw_npy array;
    assert_int_equal(tw_npy_parse(ctx, "x", bytes, size, &array), TW_OK);
    assert_true(isinf(array.value[0]) && array.value[0] > 0);
    assert_true(isinf(array.value[1]) && array.value[1] < 0);
    assert_true(isnan(array.value[2]));
    assert_true(array.value[3] == 0 && signbit(array.value[3]));
    tw_npy_free(ctx, &array);
    tw_context_destroy(ctx);
}

static void turns_fortran_order(void **state)
{
    (void)state;
    /* element (i, j, k) of a (2, 3, 2) array is 100 i + 10 j + k, stored with i running fastest */
    double stored[12];
    int at = 0;
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++) stored[at++] = 100 * i + 10 * j + k;
    tw_context *ctx = tw_context_create(NULL);
    unsigned char bytes[300];
    size_t size =
        build(bytes, 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3, 2), }\n", stored, sizeof stored);
    tw_npy array;
    assert_int_equal(tw_npy_parse(ctx, "x", bytes, size, &array), TW_OK);
    at = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++) assert_true(array.value[at++] == 100 * i + 10 * j + k);
    tw_npy_free(ctx, &array);
    tw_context_destroy(ctx);
}

/* files/: x = arange(6).reshape(2, 3) / 4 as <f8, y = arange(3) as <i4, deflated.npz also has a zero block of 1000
 * x 50. */
static void reads_what_numpy_writes(void **state)
{
    (void)state;
    static const struct {
        const char *file, *name;
    } cases[] = {{"x.npy", NULL},     {"x_fortran.npy", NULL}, {"stored.npz", NULL},
                 {"stored.npz", "x"}, {"deflated.npz", "x"},   {"deflated.npz", "x.npy"}};
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(cases); i++) {
        char path[400];
        snprintf(path, sizeof path, FILES "%s", cases[i].file);
        tw_npy array;
        if (tw_npy_read(ctx, path, cases[i].name, &array) != TW_OK) fail_msg("%s", tw_context_error(ctx));
        assert_int_equal(array.shape.rank, 2);
        assert_int_equal(array.shape.dim[0], 2);
        assert_int_equal(array.shape.dim[1], 3);
        assert_string_equal(array.type, "<f8");
        for (int k = 0; k < 6; k++) assert_true(array.value[k] == k / 4.0);
        tw_npy_free(ctx, &array);
    }
    tw_npy array;
    assert_int_equal(tw_npy_read(ctx, FILES "deflated.npz", "y", &array), TW_OK);
    assert_string_equal(array.type, "<i4");
    assert_true(array.shape.rank == 1 && array.shape.dim[0] == 3 && array.value[2] == 2);
    tw_npy_free(ctx, &array);
    assert_int_equal(tw_npy_read(ctx, FILES "deflated.npz", "zeros", &array), TW_OK);
    assert_true(array.shape.dim[0] == 1000 && array.shape.dim[1] == 50 && array.value[49999] == 0);
    tw_npy_free(ctx, &array);
    assert_int_equal(tw_npy_read(ctx, FILES "deflated.npz", "z", &array), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), FILES "deflated.npz: no array 'z'; it holds 'x', 'y', 'zeros'");
    tw_context_destroy(ctx);
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    char path[100];
    snprintf(path, sizeof path, "/tmp/thalweg-test-npy-%d.npy", (int)getpid());
    double value[6] = {0, 0.25, 0.5, 0.75, 1, 1.25};
    tw_npy array;
    char *ours = NULL, *numpys = NULL;
    size_t size = 0, numpys_size = 0;
    assert_int_equal(tw_npy_write(ctx, path, (tw_shape){2, {2, 3}}, value), TW_OK);
    assert_int_equal(tw_npy_read(ctx, path, NULL, &array), TW_OK);
    assert_memory_equal(array.value, value, sizeof value);
    tw_npy_free(ctx, &array);
    /* the same length as NumPy's own and the same numbers behind it */
    assert_int_equal(tw_file_read(ctx, path, false, 0, &ours, &size), TW_OK);
    assert_int_equal(tw_file_read(ctx, FILES "x.npy", false, 0, &numpys, &numpys_size), TW_OK);
    assert_int_equal(size, numpys_size);
    assert_memory_equal(ours + size - sizeof value, numpys + size - sizeof value, sizeof value);
    tw_free(ctx, ours);
    tw_free(ctx, numpys);
    assert_int_equal(tw_npy_write(ctx, path, (tw_shape){0, {0}}, value + 1), TW_OK);
    assert_int_equal(tw_npy_read(ctx, path, NULL, &array), TW_OK);
    assert_true(array.shape.rank == 0 && array.value[0] == 0.25);
    tw_npy_free(ctx, &array);
    const uint8_t bytes[4] = {0, 1, 128, 255};
    assert_int_equal(tw_npy_write_bytes(ctx, path, (tw_shape){3, {2, 1, 2}}, bytes), TW_OK);
    assert_int_equal(tw_npy_read(ctx, path, NULL, &array), TW_OK);
    assert_true(array.shape.rank == 3 && array.shape.dim[0] == 2 && array.shape.dim[2] == 2);
    assert_string_equal(array.type, "|u1");
    for (int i = 0; i < 4; i++) assert_true(array.value[i] == bytes[i]);
    tw_npy_free(ctx, &array);
    unlink(path);
    tw_context_destroy(ctx);
}

static void refuses_broken_arrays(void **state)
{
    (void)state;
#define HEAD "{'descr': '<f8', 'fortran_order': False, 'shape': "
    static const struct {
        const char *header;
        size_t data;
        const char *sentence; /* NULL: accepted */
    } cases[] = {
        {HEAD "(), }\n", 8, NULL},
        {HEAD "(0,), }\n", 0, NULL},
        {"{\"shape\": (1L,), 'fortran_order':False,'descr':'<f8'}", 8, NULL},
        {HEAD "(2,), }\n", 8, "x: 8 bytes of numbers where the header promises 16"},
        {HEAD "(1,), }\n", 9, "x: 9 bytes of numbers where the header promises 8"},
        {HEAD "(4294967296, 4294967296), }\n", 8,
         "x: the NPY header is malformed: 'shape' has more elements than can be counted"},
        {HEAD "(0, 4294967296, 4294967296), }\n", 0,
         "x: the NPY header is malformed: 'shape' has more elements than can be counted"},
        {HEAD "(99999999999999999999,), }\n", 8, "x: the NPY header is malformed: a dimension is too large"},
        {HEAD "(1000000000,), }\n", 8, "x: the array needs 7.5 GiB of memory and 4.0 GiB is the limit"},
        {HEAD "(-1,), }\n", 8, "x: the NPY header is malformed: 'shape' holds something other than whole numbers"},
        {HEAD "(1,1,1,1,1,1,1,1,1), }\n", 8, "x: more than 8 dimensions"},
        {HEAD "(1", 8, "x: the NPY header is malformed: 'shape' does not end"},
        {HEAD "[1], }\n", 8, "x: the NPY header is malformed: 'shape' is not a tuple"},
        {HEAD "(1,), } x\n", 8, "x: the NPY header is malformed: something follows its }"},
        {HEAD "(1,), 'shape': (1,), }\n", 8, "x: the NPY header is malformed: a key is unknown or appears twice"},
        {"{'descr': '<f8', 'shape': (1,), }\n", 8,
         "x: the NPY header is malformed: 'descr', 'fortran_order' or 'shape' is missing"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", 8,
         "x: Python objects are not read: save an array of numbers"},
        {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }\n", 8,
         "x: records with named fields are not read: save a plain array"},
        {"{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }\n", 16,
         "x: numbers of type '<c16' are not read (bool, integers, f2, f4, f8 are)"},
        {"{'descr': '<U5', 'fortran_order': False, 'shape': (1,), }\n", 20,
         "x: numbers of type '<U5' are not read (bool, integers, f2, f4, f8 are)"},
        {"{'descr': '<f8', 'fortran_order': 0, 'shape': (1,), }\n", 8,
         "x: the NPY header is malformed: 'fortran_order' is neither True nor False"},
        {"{'descr': '", 8, "x: the NPY header is malformed: 'descr' is not a text"},
        {"", 8, "x: the NPY header is malformed: it does not begin with {"},
    };
    static const char zeros[64] = {0};
    tw_context *ctx = tw_context_create(NULL);
    unsigned char bytes[400];
    for (int i = 0; i < TW_COUNT(cases); i++) {
        size_t size = build(bytes, 1, cases[i].header, zeros, cases[i].data);
        tw_npy array = {0};
        tw_status status = tw_npy_parse(ctx, "x", bytes, size, &array);
        if (!cases[i].sentence) {
            if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
            tw_npy_free(ctx, &array);
            continue;
        }
        assert_int_not_equal(status, TW_OK);
        assert_string_equal(tw_context_error(ctx), cases[i].sentence);
        assert_null(array.value);
    }
    tw_npy array;
    assert_int_equal(tw_npy_parse(ctx, "x", "\x93NUMPY\4\0\1\0{", 11, &array), TW_ERR_UNSUPPORTED);
    assert_string_equal(tw_context_error(ctx), "x: NPY version 4.0 is unknown (1, 2 and 3 are read)");
    assert_int_equal(tw_npy_parse(ctx, "x", "\x93NUMPY\1\0\xFF\1{", 11, &array), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: the NPY header goes beyond the file: it is cut short");
    assert_int_equal(tw_npy_parse(ctx, "x", "\x93NUMPY\2\0\1\0\0", 11, &array), TW_ERR_FORMAT);
    tw_context_destroy(ctx);
}

/* Every cut and every single changed byte: never a crash; a cut is never taken for a whole file. */
static void survives_damaged_archives(void **state)
{
    (void)state;
    static const char *const files[] = {FILES "stored.npz", FILES "deflated.npz", FILES "x.npy"};
    tw_context *ctx = tw_context_create(NULL);
    for (int f = 0; f < TW_COUNT(files); f++) {
        char *data = NULL;
        size_t size = 0;
        tw_npy array;
        assert_int_equal(tw_file_read(ctx, files[f], false, 0, &data, &size), TW_OK);
        for (size_t n = 0; n < size; n++) {
            char *cut = malloc(n + 1); /* exact size, so that the address sanitizer sees reads beyond it */
            memcpy(cut, data, n);
            assert_int_not_equal(
                (f < 2 ? tw_npz_parse(ctx, "x", cut, n, NULL, &array) : tw_npy_parse(ctx, "x", cut, n, &array)), TW_OK);
            free(cut);
        }
        for (size_t n = 0; n < size; n++) {
            for (int bit = 0; bit < 8; bit += 3) {
                data[n] = (char)(data[n] ^ 1 << bit);
                tw_status status = f < 2 ? tw_npz_parse(ctx, "x", data, size, NULL, &array)
                                         : tw_npy_parse(ctx, "x", data, size, &array);
                if (status == TW_OK) tw_npy_free(ctx, &array);
                data[n] = (char)(data[n] ^ 1 << bit);
            }
        }
        tw_free(ctx, data);
    }
    tw_context_destroy(ctx);
}

/* A member that claims 3 GiB behind a few bytes is refused before memory is asked for. */
static void refuses_zip_bombs(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(tw_file_read(ctx, FILES "deflated.npz", false, 0, &data, &size), TW_OK);
    for (size_t i = 0; i + 4 < size; i++)
        if (memcmp(data + i, "PK\1\2", 4) == 0) {
            memcpy(data + i + 24, "\0\0\0\xC0", 4); /* the unpacked size in the directory */
            break;
        }
    tw_npy array;
    assert_int_equal(tw_npz_parse(ctx, "x", data, size, NULL, &array), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: not a sound NPZ file: a member claims more bytes than it can hold");
    tw_free(ctx, data);
    tw_context_destroy(ctx);
}

/* A directory alone, whose one member lies at 2^64 - 1: found by fuzzing. */
static void refuses_members_outside_the_file(void **state)
{
    (void)state;
    unsigned char bytes[46 + 1 + 12 + 22] = {'P', 'K', 1, 2};
    bytes[28] = 1;  /* length of the name */
    bytes[30] = 12; /* of the extra field */
    memset(bytes + 42, 0xFF, 4);
    bytes[46] = 'x';
    memcpy(bytes + 47, "\1\0\x08\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12);
    unsigned char *end = bytes + 59;
    memcpy(end, "PK\5\6\0\0\0\0\1\0\1\0", 12);
    end[12] = 59;
    tw_context *ctx = tw_context_create(NULL);
    tw_npy array;
    assert_int_equal(tw_npz_parse(ctx, "x", bytes, sizeof bytes, NULL, &array), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: not a sound NPZ file: a member lies outside the file");
    bytes[47] = 2; /* no long offset after all: 0xFFFFFFFF */
    assert_int_equal(tw_npz_parse(ctx, "x", bytes, sizeof bytes, NULL, &array), TW_ERR_FORMAT);
    bytes[42] = bytes[43] = bytes[44] = bytes[45] = 0; /* inside, but the directory itself */
    assert_int_equal(tw_npz_parse(ctx, "x", bytes, sizeof bytes, NULL, &array), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: not a sound NPZ file: a member is not where the directory says");
    tw_context_destroy(ctx);
}

static tw_status read_all(tw_context *ctx, void *user)
{
    static const char *const files[] = {FILES "x_fortran.npy", FILES "deflated.npz"};
    tw_status status = TW_OK;
    char path[100];
    (void)user;
    for (int i = 0; i < TW_COUNT(files) && status == TW_OK; i++) {
        tw_npy array;
        status = tw_npy_read(ctx, files[i], NULL, &array);
        if (status == TW_OK) tw_npy_free(ctx, &array);
    }
    snprintf(path, sizeof path, "/tmp/thalweg-test-npy-%d.npy", (int)getpid());
    if (status == TW_OK) status = tw_npy_write(ctx, path, (tw_shape){1, {2}}, (double[]){1, 2});
    unlink(path);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    run_with_limited_memory(read_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(knows_special_halves),
        cmocka_unit_test(turns_fortran_order),
        cmocka_unit_test(reads_what_numpy_writes),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(refuses_broken_arrays),
        cmocka_unit_test(survives_damaged_archives),
        cmocka_unit_test(refuses_zip_bombs),
        cmocka_unit_test(refuses_members_outside_the_file),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
