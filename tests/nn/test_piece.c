/* Pieces by name and their parameters: what is read, what is written, what is refused and how it is told. */
#include "nn/piece.h"

#include "support/limited_memory.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const tw_piece_info table[] = {
    {"plain", "", "", NULL},
    {"pair", "", "", TW_PARAMETERS(TW_P(low, 0.1, 0, 1) TW_P(high, 20, 1, INFINITY))},
    {"list", "", "", TW_PARAMETERS(TW_P_MANY(numbers, -10, 10))},
    {"free", "", "", TW_PARAMETERS(TW_P(x, 0, -INFINITY, INFINITY))},
};

static const tw_piece_info *at(int index)
{
    return index >= 0 && index < TW_COUNT(table) ? &table[index] : NULL;
}

static void test_reading_and_writing(void **state)
{
    (void)state;
    const struct {
        const char *text, *written;
        int count;
        double value[3];
    } cases[] = {
        {"plain", "plain", 0, {0}},
        {"plain:", "plain", 0, {0}},
        {"pair", "pair:low=0.1,high=20", 2, {0.1, 20}},
        {"pair:0.5", "pair:low=0.5,high=20", 2, {0.5, 20}},
        {"pair:0.5,3", "pair:low=0.5,high=3", 2, {0.5, 3}},
        {"pair:high=3", "pair:low=0.1,high=3", 2, {0.1, 3}},
        {"pair:high=3,low=1", "pair:low=1,high=3", 2, {1, 3}},
        {"pair:0.25,high=1e3", "pair:low=0.25,high=1000", 2, {0.25, 1000}},
        {"list:1", "list:1", 1, {1}},
        {"list:1,-2.5,3e0", "list:1,-2.5,3", 3, {1, -2.5, 3}},
        {"free:-1e300", "free:x=-1e+300", 1, {-1e300}},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_piece piece, again;
        if (tw_piece_read(ctx, "thing", cases[i].text, at, &piece) != TW_OK) fail_msg("%s", tw_context_error(ctx));
        if (strcmp(cases[i].text, "free:-1e300") != 0) assert_string_equal(piece.text, cases[i].written);
        assert_int_equal(piece.count, cases[i].count);
        assert_ptr_equal(at(piece.row), piece.info);
        for (int j = 0; j < cases[i].count; j++) assert_true(piece.value[j] == cases[i].value[j]);
        /* what is written reads back as the same */
        assert_int_equal(tw_piece_read(ctx, "thing", piece.text, at, &again), TW_OK);
        assert_string_equal(again.text, piece.text);
        for (int j = 0; j < cases[i].count; j++) assert_true(again.value[j] == piece.value[j]);
        tw_piece_free(ctx, &again);
        tw_piece_free(ctx, &piece);
        assert_null(piece.text);
        tw_piece_free(ctx, &piece);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    const struct {
        const char *text, *says;
    } cases[] = {
        {"pari", "unknown thing 'pari': did you mean 'pair'?"},
        {"", "unknown thing ''"},
        {":1", "unknown thing ''"},
        {"plain:1", "thing 'plain': there is no parameter for '1', expected no parameters"},
        {"pair:x", "thing 'pair': low is 'x', expected a number from 0 to 1"},
        {"pair:0.5,", "thing 'pair': high is '', expected a number, at least 1"},
        {"pair:0.5,0.5", "high is '0.5', expected a number, at least 1"},
        {"pair:nan", "low is 'nan'"},
        {"pair:0,1,2", "there is no parameter for '2', expected at most low, high"},
        {"pair:hihg=2", "no parameter 'hihg', expected at most low, high"},
        {"pair:high=2,0.5", "there is no parameter for '0.5'"},
        {"pair:=2", "no parameter ''"},
        {"free:y", "x is 'y', expected a number"},
        {"list", "it needs numbers, as in list:0,1 or list:@FILE"},
        {"list:1,,2", "numbers is '', expected a number from -10 to 10"},
        {"list:1,11", "numbers is '11'"},
        {"list:@/nonexistent/numbers", "/nonexistent/numbers"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_piece piece = {.row = 77};
        assert_int_not_equal(tw_piece_read(ctx, "thing", cases[i].text, at, &piece), TW_OK);
        if (!strstr(tw_context_error(ctx), cases[i].says)) fail_msg("%s: %s", cases[i].text, tw_context_error(ctx));
        assert_int_equal(piece.row, 77);
    }
    /* however long */
    char text[5000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    tw_piece piece;
    assert_int_equal(tw_piece_read(ctx, "thing", text, at, &piece), TW_ERR_INVALID);
    memcpy(text, "pair:", 5);
    assert_int_equal(tw_piece_read(ctx, "thing", text, at, &piece), TW_ERR_INVALID);
}

static char path[] = "/tmp/thalweg-piece-XXXXXX";

static tw_status read_file(const char *content, tw_piece *out)
{
    char text[64];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
    snprintf(text, sizeof text, "list:@%s", path);
    return tw_piece_read(ctx, "thing", text, at, out);
}

static void test_numbers_of_a_file(void **state)
{
    (void)state;
    tw_piece piece;
    int made = mkstemp(path);
    assert_true(made >= 0);
    close(made);
    assert_int_equal(read_file("t,alpha\n0,1\n0.5,2\n1,3\n", &piece), TW_OK);
    assert_string_equal(piece.text, "list:0,1,0.5,2,1,3"); /* the file is not needed any more */
    tw_piece_free(ctx, &piece);
    assert_int_equal(read_file("4 5\n6 7\n", &piece), TW_OK);
    assert_string_equal(piece.text, "list:4,5,6,7");
    tw_piece_free(ctx, &piece);
    assert_int_equal(read_file("1,2\n3,x\n", &piece), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(ctx), "line 2, field 2 is 'x'"));
    assert_int_equal(read_file("1,99\n", &piece), TW_ERR_INVALID);
    unlink(path);
}

static tw_status read_some(tw_context *c, void *user)
{
    tw_piece piece;
    tw_status status = tw_piece_read(c, "thing", user, at, &piece);
    if (status == TW_OK) tw_piece_free(c, &piece);
    return status;
}

static void test_memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(read_some, "pair:0.5,high=3");
    run_with_limited_memory(read_some, "list:1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_and_writing),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_numbers_of_a_file),
        cmocka_unit_test(test_memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
