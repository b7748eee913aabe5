/* PyTorch's checkpoints: what torch.save wrote (tests/golden/make_import.py), pickles by hand, and pickles and archives
 * that are broken in every way that changing their bytes makes. */
#include "base/file.h"
#include "io/pickle.h"
#include "io/weights.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define SMALL     TW_SOURCE_DIR "/tests/golden/small.pt"
#define SMALL_OLD TW_SOURCE_DIR "/tests/golden/small_old.pt" /* as before 1.6 */

static int64_t find(const tw_weights *w, const char *name)
{
    for (int64_t i = 0; i < w->count; i++)
        if (strcmp(tw_weights_at(w, i).name, name) == 0) return i;
    fail_msg("no tensor '%s'", name);
    return -1;
}

/* Names, types, shapes and numbers are those the script says. */
static void check_every_type(tw_context *ctx, const char *path)
{
    static const struct {
        const char *name, *dtype;
        int rank;
        int64_t dim[2];
        float value[12];
    } cases[] = {
        {"model.f32", "F32", 1, {3}, {-1.5f, 0.25f, 3}},
        {"model.f64", "F64", 1, {3}, {-1.5f, 0.25f, 3}},
        {"model.f16", "F16", 1, {3}, {-1.5f, 0.25f, 3}},
        {"model.bf16", "BF16", 1, {3}, {-1.5f, 0.25f, 3}},
        {"model.i64", "I64", 1, {2}, {-0x1p40f, 7}},
        {"model.i32", "I32", 1, {2}, {-5, 7}},
        {"model.i16", "I16", 1, {2}, {-5, 7}},
        {"model.i8", "I8", 1, {2}, {-5, 7}},
        {"model.u8", "U8", 1, {2}, {250, 7}},
        {"model.flag", "BOOL", 1, {2}, {1, 0}},
        {"model.turned", "F32", 2, {4, 3}, {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
        {"model.part", "F32", 2, {2, 2}, {5, 6, 9, 10}},
        {"model.scalar", "F32", 0, {0}, {2.5f}},
        {"model.empty", "F32", 2, {0, 3}, {0}},
        {"list.0", "F32", 1, {3}, {-1.5f, 0.25f, 3}},
        {"list.1.0", "F32", 1, {3}, {-1.5f, 0.25f, 3}},
    };
    tw_weights w;
    assert_int_equal(tw_weights_read(ctx, path, &w), TW_OK);
    assert_int_equal(w.count, TW_COUNT(cases));
    for (int i = 0; i < TW_COUNT(cases); i++) {
        int64_t at = find(&w, cases[i].name);
        tw_weight_info info = tw_weights_at(&w, at);
        float got[12];
        assert_string_equal(info.dtype, cases[i].dtype);
        assert_true(tw_shape_equal(info.shape, tw_shape_make(cases[i].rank, cases[i].dim)));
        assert_int_equal(tw_weights_get(&w, at, got), TW_OK);
        for (int64_t k = 0; k < tw_shape_size(info.shape); k++) assert_true(got[k] == cases[i].value[k]);
    }
    tw_weights_free(&w);
}

static void reads_every_type(void **state)
{
    check_every_type(*state, SMALL);
    check_every_type(*state, SMALL_OLD);
}

/* Unsigned numbers, which only the other format has. */
static void reads_unsigned_numbers(void **state)
{
    static const char json[] = "{\"a\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                               "\"b\":{\"dtype\":\"U32\",\"shape\":[1],\"data_offsets\":[2,6]},"
                               "\"c\":{\"dtype\":\"U64\",\"shape\":[1],\"data_offsets\":[6,14]}}";
    char path[] = "/tmp/thalweg-weights-XXXXXX";
    uint64_t length = sizeof json - 1;
    tw_weights w;
    FILE *file = fdopen(mkstemp(path), "wb");
    fwrite(&length, 8, 1, file);
    fwrite(json, 1, sizeof json - 1, file);
    for (int i = 0; i < 14; i++) fputc(i == 1 || i == 5 || i == 13 ? 0x80 : 0, file);
    fclose(file);
    assert_int_equal(tw_weights_read(*state, path, &w), TW_OK);
    for (int i = 0; i < 3; i++) {
        float got = 0;
        static const float want[] = {0x1p15f, 0x1p31f, 0x1p63f};
        assert_int_equal(tw_weights_get(&w, find(&w, (const char *[]){"a", "b", "c"}[i]), &got), TW_OK);
        assert_true(got == want[i]);
    }
    tw_weights_free(&w);
    remove(path);
}

/* --- pickles by hand ------------------------------------------------------------------------------------------------
 */

#define PICKLE(text) text, sizeof(text) - 1

static void refuses_pickles(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *word;
        tw_status status;
    } cases[] = {
        {PICKLE(""), "ends early", TW_ERR_FORMAT},
        {PICKLE("(dp0\n."), "protocol 2", TW_ERR_FORMAT},
        {PICKLE("\x80\x06N."), "protocol is not", TW_ERR_FORMAT},
        {PICKLE("\x80\x02"), "ends early", TW_ERR_FORMAT},
        {PICKLE("\x80\x02."), "more than one value", TW_ERR_FORMAT},
        {PICKLE("\x80\x02NN."), "more than one value", TW_ERR_FORMAT},
        {PICKLE("\x80\x02(N."), "more than one value", TW_ERR_FORMAT},
        {PICKLE("\x80\x02"
                "0."),
         "stack is empty", TW_ERR_FORMAT},
        {PICKLE("\x80\x02N(0."), "stack is empty", TW_ERR_FORMAT},
        {PICKLE("\x80\x02t."), "mark is missing", TW_ERR_FORMAT},
        {PICKLE("\x80\x02NK\x01"
                "a."),
         "no container", TW_ERR_FORMAT},
        {PICKLE("\x80\x02](Nu."), "no container", TW_ERR_FORMAT},
        {PICKLE("\x80\x02}(Nu."), "no value", TW_ERR_FORMAT},
        {PICKLE("\x80\x02h\x03."), "not remembered", TW_ERR_FORMAT},
        {PICKLE("\x80\x02Nr\xFF\xFF\xFF\xFF."), "remembers too much", TW_ERR_FORMAT},
        {PICKLE("\x80\x02X\xFF\xFF\xFF\x7F"
                "abc."),
         "ends early", TW_ERR_FORMAT},
        {PICKLE("\x80\x04\x8d\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                "abc."),
         "ends early", TW_ERR_FORMAT},
        {PICKLE("\x80\x02\x8a\x09"
                "123456789."),
         "64 bits", TW_ERR_FORMAT},
        {PICKLE("\x80\x02K\x01)R."), "no function", TW_ERR_FORMAT},
        {PICKLE("\x80\x02"
                "ctorch\nFloatStorage\n)R."),
         "calls a storage", TW_ERR_FORMAT},
        {PICKLE("\x80\x02"
                "ccollections\nOrderedDict\n]K\x01"
                "a\x85R."),
         "than pairs", TW_ERR_FORMAT},
        {PICKLE("\x80\x02Nb."), "stack is empty", TW_ERR_FORMAT},
        {PICKLE("\x80\x02NNb."), "state", TW_ERR_FORMAT},
        {PICKLE("\x80\x02\x8f."), "opcode 0x8f", TW_ERR_FORMAT},
        {PICKLE("\x80\x02I1\n."), "opcode 0x49", TW_ERR_FORMAT},
        /* what a pickle must not do */
        {PICKLE("\x80\x02"
                "cposix\nsystem\nX\x02\0\0\0ls\x85R."),
         "posix.system", TW_ERR_UNSUPPORTED},
        {PICKLE("\x80\x02"
                "c__builtin__\neval\n."),
         "__builtin__.eval", TW_ERR_UNSUPPORTED},
        {PICKLE("\x80\x04\x8c\x08"
                "builtins\x8c\x04"
                "exec\x93."),
         "builtins.exec", TW_ERR_UNSUPPORTED},
        {PICKLE("\x80\x02"
                "ctorch\nload\n."),
         "torch.load", TW_ERR_UNSUPPORTED},
        {PICKLE("\x80\x02"
                "c\x01\x02\n\xFF\n."),
         "??.?", TW_ERR_UNSUPPORTED},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_pickle p = {0};
        tw_status status = tw_pickle_parse(*state, "x", cases[i].bytes, cases[i].size, &p);
        if (status != cases[i].status || !strstr(tw_context_error(*state), cases[i].word))
            fail_msg("%d: status %d: %s", i, (int)status, tw_context_error(*state));
    }
}

static int64_t number_of(const tw_pickle *p, int32_t value)
{
    return value >= 0 && p->value[value].kind == TW_PICKLE_INT ? p->value[value].number : INT64_MIN;
}

static void reads_values(void **state)
{
    /* [-1, 300, 2^40, -2, {"a": 7}, ["a", ...]]: numbers of each width, memory, containers; Python's own bytes */
    static const char bytes[] =
        "\x80\x02]q\x00(J\xFF\xFF\xFF\xFFM\x2C\x01\x8a\x06\0\0\0\0\0\x01\x8a\x01\xFE}q\x01X\x01\0\0\0aq\x02"
        "K\x07s]q\x03h\x02"
        "ae.";
    tw_pickle p;
    assert_int_equal(tw_pickle_parse(*state, "x", bytes, sizeof bytes - 1, &p), TW_OK);
    static const int64_t want[] = {-1, 300, (int64_t)1 << 40, -2};
    assert_int_equal(p.value[p.root].list.count, 6);
    for (int i = 0; i < 4; i++) assert_int_equal(number_of(&p, tw_pickle_item(&p, p.root, i)), want[i]);
    int32_t dict = tw_pickle_item(&p, p.root, 4), list = tw_pickle_item(&p, p.root, 5);
    assert_int_equal(p.value[dict].kind, TW_PICKLE_DICT);
    assert_true(tw_pickle_is_text(&p, tw_pickle_item(&p, dict, 0), "a"));
    assert_int_equal(number_of(&p, tw_pickle_item(&p, dict, 1)), 7);
    assert_true(tw_pickle_is_text(&p, tw_pickle_item(&p, list, 0), "a"));
    assert_int_equal(tw_pickle_item(&p, list, 1), -1);
    tw_pickle_free(&p);
    /* what a training script was called with is a dictionary of its arguments */
    static const char space[] = "\x80\x02"
                                "cargparse\nNamespace\n)\x81}X\x02\0\0\0lrG\x3F\xE0\0\0\0\0\0\0sb.";
    assert_int_equal(tw_pickle_parse(*state, "x", space, sizeof space - 1, &p), TW_OK);
    assert_true(tw_pickle_is_text(&p, tw_pickle_item(&p, p.root, 0), "lr"));
    assert_true(p.value[tw_pickle_item(&p, p.root, 1)].real == 0.5);
    tw_pickle_free(&p);
    /* the attributes of a dictionary are not what it holds, even of an empty one */
    static const char empty[] = "\x80\x02"
                                "ccollections\nOrderedDict\n)R}X\x09\0\0\0_metadataK\x07sb.";
    assert_int_equal(tw_pickle_parse(*state, "x", empty, sizeof empty - 1, &p), TW_OK);
    assert_int_equal(p.value[p.root].kind, TW_PICKLE_DICT);
    assert_int_equal(p.value[p.root].list.count, 0);
    tw_pickle_free(&p);
}

/* --- changed bytes --------------------------------------------------------------------------------------------------
 */

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static bytes read_small(tw_context *ctx, const char *path)
{
    bytes b = {0};
    assert_int_equal(tw_file_read(ctx, path, false, 0, &b.data, &b.size), TW_OK);
    return b;
}

/* Whatever is accepted can be read to its last number. */
static void try_file(tw_context *ctx, const char *data, size_t size)
{
    tw_torch_file file;
    if (tw_torch_parse(ctx, "x", data, size, &file) != TW_OK) {
        assert_true(tw_context_error(ctx)[0] != 0);
        return;
    }
    for (int64_t i = 0; i < file.count; i++) {
        size_t elements = (size_t)tw_shape_size(file.tensor[i].shape);
        char *out = malloc(elements * 8 + 1);
        (void)!tw_torch_elements(&file, i, out);
        free(out);
    }
    tw_torch_free(&file);
}

static void survives_other_bytes(void **state)
{
    for (int old_kind = 0; old_kind < 2; old_kind++) {
        bytes b = read_small(*state, old_kind ? SMALL_OLD : SMALL);
        for (size_t i = 0; i < b.size; i++)
            for (int bit = (int)i % 8; bit < 8; bit += old_kind ? 1 : 8) {
                char old = b.data[i];
                b.data[i] = (char)(old ^ (1 << bit));
                try_file(*state, b.data, b.size);
                b.data[i] = old;
            }
        for (size_t size = 1; size < b.size; size += old_kind ? 1 : 7) {
            char *exact = memcpy(malloc(size), b.data, size); /* no room behind it */
            try_file(*state, exact, size);
            free(exact);
        }
        tw_free(*state, b.data);
    }
}

/* The same within the pickle, whose checksum is then made right. */
static void survives_other_pickles(void **state)
{
    bytes b = read_small(*state, SMALL);
    tw_zip zip;
    tw_zip_member m;
    const unsigned char *at = NULL;
    unsigned char *owned = NULL;
    assert_int_equal(tw_zip_open(*state, "x", "file", "member", b.data, b.size, &zip), TW_OK);
    size_t next = zip.directory, entry = next;
    assert_int_equal(tw_zip_next(&zip, &next, &m), TW_OK);
    assert_int_equal(tw_zip_unpack(&zip, &m, &at, &owned), TW_OK);
    assert_null(owned);
    size_t begin = (size_t)(at - (const unsigned char *)b.data);
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        int changes = 1 + round % 3;
        size_t place[3];
        char old[3];
        for (int k = 0; k < changes; k++) {
            random = random * 1664525u + 1013904223u;
            place[k] = begin + (random >> 8) % m.size;
            old[k] = b.data[place[k]];
            b.data[place[k]] = (char)(random % 3 ? random >> 24 : (unsigned)(unsigned char)old[k] + 1);
        }
        uint32_t crc = (uint32_t)crc32(0, (const Bytef *)b.data + begin, (uInt)m.size);
        for (int k = 0; k < 4; k++) b.data[entry + 16 + (size_t)k] = (char)(crc >> (8 * k));
        try_file(*state, b.data, b.size);
        for (int k = changes - 1; k >= 0; k--) b.data[place[k]] = old[k];
    }
    tw_free(*state, b.data);
}

/* --- archives by hand --------------------------------------------------------------------------------------------- */

/* A member: its bytes as they are in the file, and what the directory says of them. */
typedef struct member {
    const char *name;
    const void *bytes;
    size_t packed, size;
    int method;
    uint32_t crc;
    bool shares; /* lies where the one before it lies */
} member;

static size_t put(char *out, size_t at, int width, size_t value)
{
    for (int i = 0; i < width; i++) out[at + (size_t)i] = (char)(value >> (8 * i));
    return at + (size_t)width;
}

static size_t put_bytes(char *out, size_t at, const void *from, size_t size)
{
    memcpy(out + at, from, size);
    return at + size;
}

static bytes make_zip(const member *members, int count)
{
    bytes b = {.data = calloc(1, 1 << 16)};
    size_t offset[8], at = 0, begin;
    for (int i = 0; i < count; i++) {
        const member *m = &members[i];
        offset[i] = m->shares ? offset[i - 1] : at;
        if (m->shares) continue;
        at = put_bytes(b.data, at, "PK\3\4", 4);
        at = put(b.data, put(b.data, at + 22, 2, strlen(m->name)), 2, 0);
        at = put_bytes(b.data, put_bytes(b.data, at, m->name, strlen(m->name)), m->bytes, m->packed);
    }
    begin = at;
    for (int i = 0; i < count; i++) {
        const member *m = &members[i];
        at = put_bytes(b.data, at, "PK\1\2", 4);
        at = put(b.data, at + 6, 2, (size_t)m->method);
        at = put(b.data, put(b.data, put(b.data, at + 4, 4, m->crc), 4, m->packed), 4, m->size);
        at = put(b.data, put(b.data, at, 2, strlen(m->name)) + 12, 4, offset[i]);
        at = put_bytes(b.data, at, m->name, strlen(m->name));
    }
    size_t end = at;
    at = put(b.data, put_bytes(b.data, at, "PK\5\6", 4) + 4, 2, (size_t)count);
    at = put(b.data, put(b.data, put(b.data, at, 2, (size_t)count), 4, end - begin), 4, begin);
    b.size = at + 2;
    return b;
}

static member stored(const char *name, const void *data, size_t size)
{
    return (member){name, data, size, size, 0, (uint32_t)crc32(0, data, (uInt)size), false};
}

static member deflated(const char *name, const void *data, size_t size, unsigned char *room, size_t room_size)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = room};
    z.avail_out = (uInt)room_size;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return (member){name, room, z.total_out, size, 8, (uint32_t)crc32(0, data, (uInt)size), false};
}

/* Tensors of storages 0, of 1 number, and 1, of 4096. */
#define TENSOR(key, count)                                                                                             \
    "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0" key                     \
    "X\x03\0\0\0cpuM" count "tQK\0M" count "\x85K\x01\x85\x89NtR"
static const char two_tensors[] = "\x80\x02](" TENSOR("0", "\x01\0") TENSOR("1", "\0\x10") "e.";

/* Two entries of the directory at one place in the file: the first a few bytes stored, the second what these unpack to.
 * Each storage is what its own entry says. */
static void entries_at_one_place_are_two_storages(void **state)
{
    static float numbers[4096], got[4096];
    static unsigned char room[1000];
    for (int i = 0; i < 4096; i++) numbers[i] = 1.5f;
    member second = deflated("a/data/1", numbers, sizeof numbers, room, sizeof room);
    second.shares = true;
    member members[] = {stored("a/data.pkl", two_tensors, sizeof two_tensors - 1),
                        stored("a/data/0", room, second.packed), second};
    bytes b = make_zip(members, TW_COUNT(members));
    char *exact = memcpy(malloc(b.size), b.data, b.size); /* no room behind it */
    tw_torch_file file;
    if (tw_torch_parse(*state, "x", exact, b.size, &file) != TW_OK) fail_msg("%s", tw_context_error(*state));
    assert_int_equal(file.count, 2);
    assert_int_equal(file.storages, 2);
    for (int i = 0; i < 2; i++) assert_int_equal(tw_torch_elements(&file, i, got), TW_OK);
    assert_memory_equal(got, numbers, sizeof got);
    tw_torch_free(&file);
    free(exact);
    free(b.data);
}

/* "metadata.pkl" is not the pickle, whatever it ends with; what a byte order cannot be is not unpacked for it; storages
 * whose directory entries say that together they unpack to more than memory has are refused before any is. */
static void other_members_are_what_they_are(void **state)
{
    static const unsigned char one[8] = {0}, many[20000] = {0};
    static unsigned char room[100];
    tw_torch_file file;
    member members[] = {stored("a/metadata.pkl", "x", 1), stored("a/data.pkl", two_tensors, sizeof two_tensors - 1),
                        stored("a/data/0", one, 4), stored("a/data/1", many, 4 * 4096),
                        stored("a/byteorder", "little", 6)};
    bytes b = make_zip(members, TW_COUNT(members));
    if (tw_torch_parse(*state, "x", b.data, b.size, &file) != TW_OK) fail_msg("%s", tw_context_error(*state));
    assert_int_equal(file.count, 2);
    tw_torch_free(&file);
    free(b.data);
    members[4] = deflated("a/byteorder", many, sizeof many, room, sizeof room);
    members[4].crc++; /* would be told, were it unpacked */
    b = make_zip(members, TW_COUNT(members));
    assert_int_equal(tw_torch_parse(*state, "x", b.data, b.size, &file), TW_ERR_UNSUPPORTED);
    free(b.data);
    members[2] = deflated("a/data/0", one, 8, room, sizeof room);
    members[3] = members[2];
    members[3].name = "a/data/1";
    for (int i = 2; i < 4; i++) members[i].size = 0xFFFFFFF0u;
    b = make_zip(members, 4);
    assert_int_equal(tw_torch_parse(*state, "x", b.data, b.size, &file), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(*state), "packed storages"));
    free(b.data);
}

static tw_status read_all(tw_context *ctx, void *user)
{
    tw_weights w;
    tw_status status = tw_weights_read(ctx, user, &w);
    float out[12];
    for (int64_t i = 0; status == TW_OK && i < w.count; i++) {
        status = tw_weights_get(&w, i, out);
        if (status != TW_OK) tw_weights_free(&w);
    }
    if (status == TW_OK) tw_weights_free(&w);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    run_with_limited_memory(read_all, (char[]){SMALL});
    run_with_limited_memory(read_all, (char[]){SMALL_OLD});
}

static void refuses_other_files(void **state)
{
    tw_torch_file file;
    assert_int_equal(tw_torch_parse(*state, "old.pt", "\x80\x02}.", 4, &file), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(*state), "torch.save"));
    assert_int_equal(tw_torch_read(*state, TW_SOURCE_DIR "/tests/io/files/stored.npz", &file), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(*state), "data.pkl"));
    assert_int_equal(tw_torch_parse(*state, "text", "hello", 5, &file), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(*state), "PyTorch file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_unsigned_numbers),
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(refuses_pickles),
        cmocka_unit_test(reads_values),
        cmocka_unit_test(survives_other_bytes),
        cmocka_unit_test(survives_other_pickles),
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(other_members_are_what_they_are),
        cmocka_unit_test(entries_at_one_place_are_two_storages),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
