/* safetensors: round trips, a golden file byte by byte, and the exact sentence for each kind of broken file. */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/text.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void make_path(char *path, size_t room, const char *name)
{
    snprintf(path, room, "/tmp/thalweg-test-st-%d-%s", (int)getpid(), name);
}

static tw_tensor tensor_of(const char *name, const char *dtype, tw_shape shape, const void *data, size_t size)
{
    tw_tensor t = {.name = (char *)(uintptr_t)name, .shape = shape, .data = data, .size = size};
    snprintf(t.dtype, sizeof t.dtype, "%s", dtype);
    return t;
}

static const float weights[6] = {1.5f, -2, 3, 0.25f, 5, 6};
static const double shift[1] = {0.1};
static const uint8_t mask[3] = {1, 0, 1};
static const int64_t steps = 12345678901234;

static tw_status write_example(tw_context *ctx, const char *path)
{
    const tw_tensor tensors[] = {
        tensor_of("mask", "BOOL", (tw_shape){1, {3}}, mask, sizeof mask),
        tensor_of("net.weight", "F32", (tw_shape){2, {2, 3}}, weights, sizeof weights),
        tensor_of("shift", "F64", (tw_shape){1, {1}}, shift, sizeof shift),
        tensor_of("steps", "I64", (tw_shape){0, {0}}, &steps, sizeof steps),
        tensor_of("nothing", "F32", (tw_shape){2, {0, 7}}, NULL, 0),
    };
    const char *const keys[] = {"space", "note"};
    const char *const values[] = {"euclidean", "a \"quoted\" line\nand \xC3\xA9"};
    return tw_safetensors_write(ctx, path, TW_COUNT(tensors), tensors, 2, keys, values);
}

static void reads_what_it_wrote(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "a.safetensors");
    tw_context *ctx = tw_context_create(NULL);
    assert_int_equal(write_example(ctx, path), TW_OK);
    tw_tensor_file file;
    assert_int_equal(tw_safetensors_read(ctx, path, &file), TW_OK);
    assert_int_equal(file.count, 5);
    assert_string_equal(file.tensor[0].name, "mask"); /* the order given */
    assert_string_equal(file.tensor[1].dtype, "F32");
    assert_int_equal(file.tensor[1].shape.rank, 2);
    assert_int_equal(file.tensor[1].shape.dim[1], 3);
    assert_memory_equal(file.tensor[0].data, mask, sizeof mask);
    assert_memory_equal(file.tensor[1].data, weights, sizeof weights);
    assert_memory_equal(file.tensor[2].data, shift, sizeof shift);
    assert_memory_equal(file.tensor[3].data, &steps, sizeof steps);
    assert_int_equal(file.tensor[4].size, 0);
    for (int i = 0; i < file.count; i++)
        assert_int_equal((uintptr_t)file.tensor[i].data % tw_safetensors_dtype_size(file.tensor[i].dtype), 0);
    assert_int_equal(file.keys_count, 2);
    assert_string_equal(tw_safetensors_metadata(&file, "space"), "euclidean");
    assert_string_equal(tw_safetensors_metadata(&file, "note"), "a \"quoted\" line\nand \xC3\xA9");
    assert_null(tw_safetensors_metadata(&file, "spac"));
    assert_null(tw_safetensors_find(&file, "Mask"));
    tw_safetensors_free(ctx, &file);
    unlink(path);
    tw_context_destroy(ctx);
}

static void writes_the_format_to_the_byte(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "b.safetensors");
    tw_context *ctx = tw_context_create(NULL);
    const tw_tensor tensors[] = {
        tensor_of("u", "U8", (tw_shape){1, {3}}, mask, 3),
        tensor_of("w", "F32", (tw_shape){1, {2}}, weights, 8),
    };
    assert_int_equal(tw_safetensors_write(ctx, path, 2, tensors, 0, NULL, NULL), TW_OK);
    static const char header[] = "{\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},"
                                 "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}     ";
    assert_int_equal((sizeof header - 1) % 8, 0);
    char expected[200] = {(char)(sizeof header - 1)};
    size_t size = 8 + sizeof header - 1;
    memcpy(expected + 8, header, sizeof header - 1);
    memcpy(expected + size, "\0\0\xC0\x3F\0\0\0\xC0\1\0\1", 11); /* 1.5, -2, then the bytes */
    char *data = NULL;
    size_t got = 0;
    assert_int_equal(tw_file_read(ctx, path, false, 0, &data, &got), TW_OK);
    assert_int_equal(got, size + 11);
    assert_memory_equal(data, expected, got);
    tw_free(ctx, data);
    unlink(path);
    tw_context_destroy(ctx);
}

static void gets_by_name_type_and_size(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "c.safetensors");
    tw_context *ctx = tw_context_create(NULL);
    assert_int_equal(write_example(ctx, path), TW_OK);
    tw_tensor_file file;
    const void *data = NULL;
    assert_int_equal(tw_safetensors_read(ctx, path, &file), TW_OK);
    assert_int_equal(tw_safetensors_get(ctx, &file, "m", "net.weight", "F32", 6, &data), TW_OK);
    assert_memory_equal(data, weights, sizeof weights);
    assert_int_equal(tw_safetensors_get(ctx, &file, "m", "net.weight", NULL, -1, &data), TW_OK);
    assert_int_equal(tw_safetensors_get(ctx, &file, "m", "net.weigh", "F32", 6, &data), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "m: tensor 'net.weigh' is missing");
    assert_int_equal(tw_safetensors_get(ctx, &file, "m", "net.weight", "F64", 6, &data), TW_ERR_DTYPE);
    assert_string_equal(tw_context_error(ctx), "m: tensor 'net.weight' is F32 where F64 is expected");
    assert_int_equal(tw_safetensors_get(ctx, &file, "m", "net.weight", "F32", 7, &data), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(ctx), "m: tensor 'net.weight' has 6 elements where 7 are expected");
    tw_safetensors_free(ctx, &file);
    unlink(path);
    tw_context_destroy(ctx);
}

/* --- broken files ----------------------------------------------------------------------------------------- */

/* Header length, header, then `data` zero bytes. */
static size_t build(char *out, const char *header, size_t data)
{
    size_t length = strlen(header);
    memset(out, 0, 8 + length + data);
    out[0] = (char)(length & 255);
    out[1] = (char)(length >> 8);
    memcpy(out + 8, header, length);
    return 8 + length + data;
}

#define T(name, type, shape, begin, end)                                                                               \
    "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void refuses_broken_files(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *sentence; /* NULL: accepted */
    } cases[] = {
        {"{}", 0, NULL},
        {"{" T("a", "F32", "[2]", 0, 8) "}   ", 8, NULL},
        {"{" T("b", "F32", "[1]", 4, 8) "," T("a", "F32", "[1]", 0, 4) "}", 8, NULL},
        {"{\"__metadata__\":{}," T("a", "F32", "[]", 0, 4) "}", 4, NULL},
        {"{" T("a", "U8", "[1]", 0, 1) "," T("b", "F64", "[1]", 1, 9) "}", 9, NULL}, /* off its alignment */
        {"{" T("a", "F32", "[2]", 0, 8) "}", 7,
         "x: tensor 'a' ends at byte 8 of the data, but there are only 7: the file is cut short"},
        {"{" T("a", "F32", "[2]", 0, 8) "}", 9, "x: 1 bytes after the last tensor belong to no tensor"},
        {"{" T("a", "F32", "[2]", 4, 12) "}", 12, "x: 4 bytes before tensor 'a' belong to no tensor"},
        {"{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12,
         "x: 4 bytes before tensor 'b' belong to no tensor"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, "x: tensor 'b' overlaps tensor 'a'"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 0, 8) "}", 8, "x: tensor 'b' overlaps tensor 'a'"},
        {"{" T("a", "F32", "[3]", 0, 8) "}", 8, "x: tensor 'a': 3 elements of F32 do not fill its 8 bytes"},
        {"{" T("a", "F32", "[2]", 8, 0) "}", 8, "x: tensor 'a': 'data_offsets' is not [begin, end]"},
        {"{" T("a", "F32", "[2]", -8, 0) "}", 8, "x: tensor 'a': 'data_offsets' is not [begin, end]"},
        {"{" T("a", "F32", "[2]", 0, 1e300) "}", 8, "x: tensor 'a': 'data_offsets' is not [begin, end]"},
        {"{" T("a", "F32", "[2]", 0.5, 8) "}", 8, "x: tensor 'a': 'data_offsets' is not [begin, end]"},
        {"{" T("a", "F32", "[-2]", 0, 8) "}", 8, "x: tensor 'a': 'shape' holds something other than whole numbers"},
        {"{" T("a", "F32", "[\"2\"]", 0, 8) "}", 8, "x: tensor 'a': 'shape' holds something other than whole numbers"},
        {"{" T("a", "F32", "[9007199254740992,9007199254740992]", 0, 8) "}", 8,
         "x: tensor 'a': its shape has more elements than can be counted"},
        {"{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "x: tensor 'a' has more than 8 dimensions"},
        {"{" T("a", "F31", "[2]", 0, 8) "}", 8, "x: tensor 'a': unknown number type 'F31'"},
        {"{" T("a", "F32", "[2]", 0, 8) "," T("a", "F32", "[2]", 8, 16) "}", 16, "x: tensor 'a' appears twice"},
        {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "x: metadata key 'k' appears twice"},
        {"{\"__metadata__\":{\"k\":1}}", 0, "x: metadata 'k' is not a text"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "x: '__metadata__' appears twice"},
        {"{\"__metadata__\":[]}", 0, "x: '__metadata__' is not a map"},
        {"{\"a\":3}", 0, "x: tensor 'a' is not described"},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "x: tensor 'a': 'dtype' is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "x: tensor 'a': 'shape' is missing or not a list"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "x: tensor 'a': 'data_offsets' is not [begin, end]"},
        {"[]", 0, "x: the header is not a JSON object"},
        {"{\"a\"", 0, "x: the header is not JSON (byte 11)"},
        {"{} x", 0, "x: something follows the JSON header at byte 11"},
        {"[[[[[[[[[0]]]]]]]]]", 0, "x: the header nests deeper than 8"},
        {"{\"a\\u0000b\":{}}", 0, "x: the header holds \\u0000 in a text"},
    };
    tw_context *ctx = tw_context_create(NULL);
    char bytes[400];
    for (int i = 0; i < TW_COUNT(cases); i++) {
        size_t size = build(bytes, cases[i].header, cases[i].data);
        tw_tensor_file file = {0};
        tw_status status = tw_safetensors_parse(ctx, "x", bytes, size, &file);
        if (!cases[i].sentence) {
            if (status != TW_OK) fail_msg("%s: %s", cases[i].header, tw_context_error(ctx));
            for (int k = 0; k < file.count; k++)
                assert_int_equal((uintptr_t)file.tensor[k].data % tw_safetensors_dtype_size(file.tensor[k].dtype), 0);
            tw_safetensors_free(ctx, &file);
            continue;
        }
        assert_int_not_equal(status, TW_OK);
        assert_null(file.tensor); /* untouched on failure */
        assert_string_equal(tw_context_error(ctx), cases[i].sentence);
    }
    tw_context_destroy(ctx);
}

static void refuses_broken_lengths(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_tensor_file file;
    assert_int_equal(tw_safetensors_parse(ctx, "x", "1234567", 7, &file), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: 7 bytes are too few for a safetensors file");
    assert_int_equal(tw_safetensors_parse(ctx, "x", "\x10\0\0\0\0\0\0\0{}", 10, &file), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: the header of 16 bytes goes beyond the file's 10: it is cut short");
    assert_int_equal(tw_safetensors_parse(ctx, "x", "\1\xE1\xF5\5\0\0\0\0{}", 10, &file), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: not a safetensors file: its header would be 100000001 bytes long");
    assert_int_equal(tw_safetensors_parse(ctx, "x", "\2\0\0\0\0\0\0\0{\0", 10, &file), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x: the header holds a zero byte at 1");
    assert_int_equal(tw_safetensors_read(ctx, "/nowhere/m.safetensors", &file), TW_ERR_IO);
    tw_context_destroy(ctx);
}

/* A file cut at any byte is refused, never read as something shorter. */
static void refuses_every_cut(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "d.safetensors");
    tw_context *ctx = tw_context_create(NULL);
    assert_int_equal(write_example(ctx, path), TW_OK);
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(tw_file_read(ctx, path, false, 0, &data, &size), TW_OK);
    for (size_t n = 0; n < size; n++) {
        tw_tensor_file file;
        assert_int_equal(tw_safetensors_parse(ctx, "x", data, n, &file), TW_ERR_FORMAT);
    }
    tw_free(ctx, data);
    unlink(path);
    tw_context_destroy(ctx);
}

static void refuses_to_write_nonsense(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "e.safetensors");
    tw_context *ctx = tw_context_create(NULL);
    tw_tensor good = tensor_of("a", "F32", (tw_shape){1, {6}}, weights, sizeof weights);
    tw_tensor twice[2] = {good, good}, bad = good;
    assert_int_equal(tw_safetensors_write(ctx, path, 2, twice, 0, NULL, NULL), TW_ERR_INVALID);
    bad.size = 20;
    assert_int_equal(tw_safetensors_write(ctx, path, 1, &bad, 0, NULL, NULL), TW_ERR_SHAPE);
    bad = good;
    bad.name = (char *)(uintptr_t) "__metadata__";
    assert_int_equal(tw_safetensors_write(ctx, path, 1, &bad, 0, NULL, NULL), TW_ERR_INVALID);
    bad = good;
    memcpy(bad.dtype, "F33", 4);
    assert_int_equal(tw_safetensors_write(ctx, path, 1, &bad, 0, NULL, NULL), TW_ERR_DTYPE);
    assert_int_equal(access(path, F_OK), -1); /* nothing was written */
    assert_int_equal(tw_safetensors_write(ctx, "/nowhere/x", 1, &good, 0, NULL, NULL), TW_ERR_IO);
    tw_context_destroy(ctx);
}

static tw_status round_trip(tw_context *ctx, void *user)
{
    const char *path = user;
    tw_tensor_file file = {0};
    tw_status status = write_example(ctx, path);
    if (status == TW_OK) status = tw_safetensors_read(ctx, path, &file);
    tw_safetensors_free(ctx, &file);
    return status;
}

static tw_status parse_unaligned(tw_context *ctx, void *user)
{
    (void)user;
    char bytes[300];
    size_t size = build(bytes, "{" T("a", "U8", "[1]", 0, 1) "," T("b", "F64", "[1]", 1, 9) "}", 9);
    tw_tensor_file file = {0};
    tw_status status = tw_safetensors_parse(ctx, "x", bytes, size, &file);
    tw_safetensors_free(ctx, &file);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    char path[100];
    make_path(path, sizeof path, "f.safetensors");
    run_with_limited_memory(round_trip, path);
    run_with_limited_memory(parse_unaligned, NULL);
    unlink(path);
}

/* `test_io_safetensors write PATH` and `... check PATH` are the two halves of python_safetensors.sh. */
static int serve_python(const char *verb, const char *path)
{
    tw_context *ctx = tw_context_create(NULL);
    if (strcmp(verb, "write") == 0) {
        tw_status status = write_example(ctx, path);
        tw_context_destroy(ctx);
        return status == TW_OK ? 0 : 1;
    }
    tw_tensor_file file = {0};
    const void *weight = NULL, *half = NULL;
    bool good = tw_safetensors_read(ctx, path, &file) == TW_OK &&
                tw_safetensors_get(ctx, &file, path, "net.weight", "F32", 6, &weight) == TW_OK &&
                tw_safetensors_get(ctx, &file, path, "half", "F16", 3, &half) == TW_OK &&
                memcmp(weight, weights, sizeof weights) == 0 && memcmp(half, "\0\x3C\0\x40\0\x42", 6) == 0 &&
                strcmp(tw_safetensors_metadata(&file, "space"), "sph\xC3\xA8re") == 0;
    if (!good) fprintf(stderr, "%s\n", tw_context_error(ctx));
    tw_safetensors_free(ctx, &file);
    tw_context_destroy(ctx);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3) return serve_python(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_wrote),        cmocka_unit_test(writes_the_format_to_the_byte),
        cmocka_unit_test(gets_by_name_type_and_size), cmocka_unit_test(refuses_broken_files),
        cmocka_unit_test(refuses_broken_lengths),     cmocka_unit_test(refuses_every_cut),
        cmocka_unit_test(refuses_to_write_nonsense),  cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
