/* IDX: sizes and bytes as they were written, every prefix of a file and every wrong head refused with a sentence. */
#include "io/idx.h"

#include "base/base.h"
#include "support/context.h"
#include "support/picture_files.h"

static void reads_what_was_written(void **state)
{
    uint8_t bytes[24], file[64];
    for (int i = 0; i < 24; i++) bytes[i] = (uint8_t)(11 * i);
    static const int dims[4][4] = {{24}, {4, 6}, {4, 3, 2}, {2, 2, 2, 3}};
    for (int rank = 1; rank <= 4; rank++) {
        size_t size = make_idx(file, rank, dims[rank - 1], bytes);
        tw_idx array;
        assert_int_equal(tw_idx_parse(*state, "x", file, size, &array), TW_OK);
        assert_int_equal(array.rank, rank);
        for (int i = 0; i < rank; i++) assert_int_equal(array.dim[i], dims[rank - 1][i]);
        assert_memory_equal(array.bytes, bytes, 24);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(tw_idx_parse(*state, "x", file, cut, &array), TW_ERR_FORMAT);
        assert_int_equal(tw_idx_parse(*state, "x", file, size + 1, &array), TW_ERR_FORMAT);
    }
}

static void refuses_other_heads(void **state)
{
    static const struct {
        const char *head, *sentence;
    } cases[] = {
        {"\0\0\x08\0....", "x: not an IDX file (expected bytes 0 0 8 and a rank of 1 to 4)"},
        {"\0\0\x08\5....", "x: not an IDX file (expected bytes 0 0 8 and a rank of 1 to 4)"},
        {"\1\0\x08\1\0\0\0\0", "x: not an IDX file (expected bytes 0 0 8 and a rank of 1 to 4)"},
        {"\0\0\x0D\1\0\0\0\0", "x: IDX numbers of type 0x0D are not read (bytes, 0x08, are)"},
        {"\0\0\x08\2\0\0\0\1", "x: the IDX header is cut short"},
        {"\0\0\x08\1\0\0\0\1", "x: 0 bytes of numbers where the IDX header promises 1"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_idx array;
        assert_true(tw_idx_parse(*state, "x", cases[i].head, 8, &array) != TW_OK);
        assert_string_equal(tw_context_error(*state), cases[i].sentence);
    }
    uint8_t huge[20] = {0, 0, 8, 4};
    memset(huge + 4, 0xFF, 16);
    tw_idx array;
    assert_int_equal(tw_idx_parse(*state, "x", huge, sizeof huge, &array), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(*state), "x: the IDX header promises more bytes than can be counted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(refuses_other_heads),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
