/* Tables of tokens: lines, chunks, columns of texts, whole numbers and levels; parts, orders, notes, what is refused.
 */
#include <thalweg/graph.h>
#include <thalweg/tokens.h>

#include "base/base.h"
#include "io/npy.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* A file of the text under a name of its own; remove_files takes them away. */
static char names[8][32];
static int files;

static const char *write_file(const char *text, bool gzip)
{
    char *name = names[files++];
    strcpy(name, "/tmp/rows-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    gzFile file = gzdopen(fd, gzip ? "wb" : "wbT");
    assert_true(gzwrite(file, text, (unsigned)strlen(text)) == (int)strlen(text));
    gzclose(file);
    return name;
}

static int remove_files(void **state)
{
    (void)state;
    while (files > 0) unlink(names[--files]);
    return 0;
}

static tw_tokeniser *characters(tw_context *ctx, const char *text, bool ends)
{
    tw_tokeniser *t = NULL;
    tw_tokeniser_desc desc = {
        .special = {[TW_SPECIAL_BEGIN] = ends, [TW_SPECIAL_END] = ends, [TW_SPECIAL_MASK] = true}};
    assert_int_equal(tw_tokeniser_train(ctx, &desc, text, strlen(text), &t), TW_OK);
    return t;
}

static tw_tokens *open_files(tw_context *ctx, int count, const char *const *paths, const tw_tokens_desc *desc)
{
    tw_tokens *t = NULL;
    if (tw_tokens_open(ctx, count, paths, desc, &t) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return t;
}

static tw_tokens *open_one(tw_context *ctx, const char *path, const tw_tokens_desc *desc)
{
    return open_files(ctx, 1, &path, desc);
}

static void assert_refused(tw_context *ctx, const char *path, const tw_tokens_desc *desc, const char *error)
{
    tw_tokens *t = NULL;
    char expected[200];
    assert_int_not_equal(tw_tokens_open(ctx, 1, &path, desc, &t), TW_OK);
    assert_null(t);
    snprintf(expected, sizeof expected, error, path);
    assert_string_equal(tw_context_error(ctx), expected);
}

/* A row as text, specials shown. */
static const char *shown(const tw_tokens *tokens, const tw_tokeniser *t, tw_part part, int64_t row)
{
    static char text[100];
    int32_t values[50], length;
    tw_tokens_gather(tokens, part, 1, &row, 50, -7, values, &length);
    for (int i = length; i < 50; i++) assert_int_equal(values[i], -7);
    int32_t end = tw_tokeniser_special(t, TW_SPECIAL_END);
    bool ended = end >= 0 && length > 0 && values[length - 1] == end;
    tw_tokeniser_decode(t, values, length, true, text, sizeof text - 5);
    return ended ? strcat(text, "<end>") : text;
}

/* Whatever the order, each of the texts is a row once. */
static void assert_rows(const tw_tokens *tokens, const tw_tokeniser *t, int count, const char *const *texts)
{
    assert_int_equal(tw_tokens_rows(tokens, TW_PART_ALL), count);
    for (int i = 0; i < count; i++) {
        int found = 0;
        for (int r = 0; r < count; r++) found += strcmp(shown(tokens, t, TW_PART_ALL, r), texts[i]) == 0;
        if (found != 1) fail_msg("'%s' is a row %d times", texts[i], found);
    }
}

static void lines(void **state)
{
    tw_context *ctx = *state;
    const char *text = "one\r\n\ntwo  \n  three\n\n\nfour";
    const char *expected[] = {"one", "two  ", "  three", "four"};
    const char *ended[] = {"<begin>one<end>", "<begin>two  <end>", "<begin>  three<end>", "<begin>four<end>"};
    for (int ends = 0; ends < 2; ends++) {
        tw_tokeniser *t = characters(ctx, "\nthreeonetwofour ", ends);
        tw_tokens *rows = open_one(ctx, write_file(text, ends), &(tw_tokens_desc){.tokeniser = t});
        assert_rows(rows, t, 4, ends ? ended : expected);
        assert_int_equal(tw_tokens_width(rows), ends ? 9 : 7);
        assert_int_equal(tw_tokens_least(rows), ends ? 5 : 3);
        assert_int_equal(tw_tokens_size(rows), tw_tokeniser_size(t));
        assert_null(tw_tokens_values(rows));
        assert_string_equal(tw_tokens_note(rows, 0), "3 empty lines or fields are left out");
        assert_null(tw_tokens_note(rows, 1));
        tw_tokens_destroy(rows);
        tw_tokeniser_destroy(t);
    }
}

static void long_lines(void **state)
{
    tw_context *ctx = *state;
    tw_tokeniser *t = characters(ctx, "ab\n", true);
    const char *path = write_file("ab\nabab\na\n", false);
    assert_refused(ctx, path, &(tw_tokens_desc){.tokeniser = t, .longest = 5}, "%s:2: 6 tokens, at most 5 are allowed");
    tw_tokens *rows = open_one(ctx, path, &(tw_tokens_desc){.tokeniser = t, .longest = 5, .too_long = TW_LONG_CUT});
    assert_rows(rows, t, 3, (const char *[]){"<begin>ab<end>", "<begin>aba<end>", "<begin>a<end>"});
    assert_string_equal(tw_tokens_note(rows, 0), "1 rows are cut as they are too long");
    tw_tokens_destroy(rows);
    rows = open_one(ctx, path, &(tw_tokens_desc){.tokeniser = t, .longest = 5, .too_long = TW_LONG_DROP});
    assert_rows(rows, t, 2, (const char *[]){"<begin>ab<end>", "<begin>a<end>"});
    tw_tokens_destroy(rows);
    assert_refused(ctx, path, &(tw_tokens_desc){.tokeniser = t, .longest = 1, .too_long = TW_LONG_CUT},
                   "tokens: rows of at most 1 do not hold the tokens for begin and end");
    tw_tokeniser_destroy(t);
}

/* Chunks keep their order and never cross from file to file. */
static void chunks(void **state)
{
    tw_context *ctx = *state;
    tw_tokeniser *t = characters(ctx, "abcdefghijklm\n", false);
    const char *paths[] = {write_file("abc\ndefg\n", false), write_file("hijklm", true)};
    static const char *const all[] = {"abc\n", "defg", "\n", "hijk", "lm"};
    tw_tokens *rows =
        open_files(ctx, 2, paths, &(tw_tokens_desc){.tokeniser = t, .chunk = 4, .keep_tail = true, .split = {3, 1, 1}});
    assert_int_equal(tw_tokens_rows(rows, TW_PART_ALL), 5);
    for (int i = 0; i < 5; i++) assert_string_equal(shown(rows, t, TW_PART_ALL, i), all[i]);
    assert_string_equal(shown(rows, t, TW_PART_TRAIN, 2), "\n");
    assert_string_equal(shown(rows, t, TW_PART_VALIDATION, 0), "hijk");
    assert_string_equal(shown(rows, t, TW_PART_TEST, 0), "lm");
    assert_null(tw_tokens_note(rows, 0));
    tw_tokens_destroy(rows);
    rows = open_files(ctx, 2, paths, &(tw_tokens_desc){.tokeniser = t, .chunk = 4});
    assert_int_equal(tw_tokens_rows(rows, TW_PART_ALL), 3);
    assert_string_equal(shown(rows, t, TW_PART_ALL, 2), "hijk");
    assert_string_equal(tw_tokens_note(rows, 0),
                        "3 tokens at the ends of files are left out, they do not fill rows of 4");
    assert_null(tw_tokens_note(rows, 1));
    tw_tokens_destroy(rows);
    assert_refused(ctx, paths[1], &(tw_tokens_desc){.tokeniser = t, .chunk = 7}, "%s: not one row of tokens");
    tw_tokeniser_destroy(t);
}

static void a_column_of_texts(void **state)
{
    tw_context *ctx = *state;
    tw_tokeniser *t = NULL;
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.kind = "smiles"}, "C[nH]Cl(=O)1", 12, &t), TW_OK);
    const char *path = write_file("id,smiles,w\n1,CC(=O)Cl,3\n2,\"C[nH]\",4\n3,,5\n4,CBr,6\n", false);
    assert_refused(ctx, path, &(tw_tokens_desc){.tokeniser = t, .column = "smiles"},
                   "%s:5: 'Br' is not among the 8 symbols of the tokeniser (smiles)");
    assert_refused(ctx, path, &(tw_tokens_desc){.tokeniser = t, .column = "smile"},
                   "%s: there is no column 'smile' among its 3");
    tw_tokeniser_destroy(t);
    const char *text = "CC(=O)ClC[nH]CBr";
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.kind = "smiles"}, text, strlen(text), &t), TW_OK);
    for (int way = 0; way < 3; way++) {
        const char *file = way < 2 ? path : write_file("1,CC(=O)Cl\n2,C[nH]\n4,CBr\n", true);
        tw_tokens_desc desc = {
            .tokeniser = t, .column = way ? "2" : "smiles", .header = way == 2 ? TW_HEADER_NO : TW_HEADER_AUTO};
        tw_tokens *rows = open_one(ctx, file, &desc);
        assert_rows(rows, t, 3, (const char *[]){"CC(=O)Cl", "C[nH]", "CBr"});
        assert_int_equal(tw_tokens_least(rows), 2);
        assert_int_equal(tw_tokens_width(rows), 7);
        tw_tokens_destroy(rows);
    }
    tw_tokeniser_destroy(t);
}

/* Two pieces of music: voices of whole numbers, silence 0; one sequence a file, cut into rows. */
static void whole_numbers(void **state)
{
    tw_context *ctx = *state;
    const char *paths[] = {write_file("a,b\n60,64\n62,0\n65,67\n", false), write_file("a,b\n59,55\n70,71\n", false)};
    tw_tokens *rows = open_files(ctx, 2, paths, &(tw_tokens_desc){.chunk = 4, .keep_tail = true});
    static const int32_t expected[] = {60, 64, 62, 0, 65, 67, -1, -1, 59, 55, 70, 71};
    int32_t got[12], length[3];
    assert_int_equal(tw_tokens_size(rows), 72);
    tw_tokens_gather(rows, TW_PART_ALL, 3, (int64_t[]){0, 1, 2}, 4, -1, got, length);
    assert_memory_equal(got, expected, sizeof got);
    assert_memory_equal(length, ((int32_t[]){4, 2, 4}), sizeof length);
    assert_true(tw_tokens_values(rows)[71] == 71);
    tw_tokens_destroy(rows);
    assert_refused(ctx, paths[0], &(tw_tokens_desc){.low = 0, .high = 66},
                   "%s: row 3, column 'b': 67 is not a number from 0 to 66");
    rows = open_one(ctx, paths[1], &(tw_tokens_desc){.column = "b", .low = 50, .high = 80});
    assert_int_equal(tw_tokens_width(rows), 1);
    assert_int_equal(tw_tokens_size(rows), 31);
    assert_true(tw_tokens_values(rows)[0] == 50);
    tw_tokens_destroy(rows);
    assert_refused(ctx, write_file("a\n1\n2.5\n", false), &(tw_tokens_desc){0},
                   "%s: row 2, column 'a': 2.5 is not a whole number from 1 to 2.5");
}

static void levels(void **state)
{
    tw_context *ctx = *state;
    char path[] = "/tmp/levels-XXXXXX";
    close(mkstemp(path));
    double pixels[2 * 2 * 3] = {0, 31.9, 32, 63, 64, 127, 128, 191, 192, 223, 254, 255};
    assert_int_equal(tw_npy_write(ctx, path, (tw_shape){3, {2, 2, 3}}, pixels), TW_OK);
    tw_tokens *rows = open_one(ctx, path, &(tw_tokens_desc){.levels = 8, .low = 0, .high = 256, .split = {1, 0, 0}});
    int32_t got[12];
    static const int32_t expected[] = {0, 0, 1, 1, 2, 3, 4, 5, 6, 6, 7, 7};
    assert_int_equal(tw_tokens_rows(rows, TW_PART_TRAIN), 2);
    tw_tokens_gather(rows, TW_PART_TRAIN, 2, (int64_t[]){0, 1}, 6, 0, got, NULL);
    bool turned = got[0] == 4; /* the order is drawn */
    assert_memory_equal(got + 6 * turned, expected, 6 * sizeof *got);
    assert_memory_equal(got + 6 - 6 * turned, expected + 6, 6 * sizeof *got);
    for (int i = 0; i < 8; i++) assert_true(tw_tokens_values(rows)[i] == 32 * i + 16);
    tw_tokens_destroy(rows);
    rows = open_one(ctx, path, &(tw_tokens_desc){.levels = 3}); /* 0 to 255, both within */
    tw_tokens_gather(rows, TW_PART_ALL, 2, (int64_t[]){turned, !turned}, 6, 0, got, NULL);
    assert_int_equal(tw_tokens_size(rows), 3);
    tw_tokens_destroy(rows);
    assert_refused(ctx, path, &(tw_tokens_desc){.levels = 4, .low = 0, .high = 200},
                   "%s: row 2, column 'x4': 223 is not a number from 0 to 200");
    assert_refused(ctx, path, &(tw_tokens_desc){.levels = 4, .low = 5, .high = 2},
                   "tokens: from 5 to 2 is no range of numbers");
    assert_refused(ctx, path, &(tw_tokens_desc){.levels = -1}, "tokens: -1 levels, expected 0 to 65536");
    tw_dataset *data = NULL; /* the same numbers by way of a data set, which has the rows in its own order */
    assert_int_equal(tw_dataset_open(ctx, path, &(tw_dataset_desc){.split = {1, 1, 0}}, &data), TW_OK);
    assert_int_equal(tw_tokens_from_dataset(ctx, data, &(tw_tokens_desc){.levels = 8, .low = 0, .high = 256}, &rows),
                     TW_OK);
    assert_int_equal(tw_tokens_rows(rows, TW_PART_TRAIN), 1);
    for (int part = 0; part < 2; part++) {
        bool second = tw_dataset_values(data, (tw_part)part)[0] == 128;
        tw_tokens_gather(rows, (tw_part)part, 1, (int64_t[]){0}, 6, 0, got, NULL);
        assert_memory_equal(got, expected + 6 * second, 6 * sizeof *got);
    }
    tw_tokens_destroy(rows);
    assert_int_equal(tw_tokens_from_dataset(ctx, data, &(tw_tokens_desc){0}, &rows), TW_ERR_INVALID);
    tw_dataset_destroy(data);
    unlink(path);
}

/* Rows keep together, every one is in one part, the seed decides which; wide tokens are kept whole. */
static void from_memory(void **state)
{
    enum { ROWS = 300 };
    int64_t lengths[ROWS], count = 0;
    int32_t tokens[ROWS * 8];
    for (int r = 0; r < ROWS; r++) {
        lengths[r] = r % 8;
        for (int i = 0; i < r % 8; i++) tokens[count++] = 70000 - r;
    }
    int64_t first[2];
    for (int seed = 0; seed < 2; seed++) {
        tw_tokens *rows = NULL;
        assert_int_equal(tw_tokens_from_memory(*state, ROWS, 0, lengths, tokens, 70001,
                                               &(tw_tokens_desc){.seed = (uint64_t)seed}, &rows),
                         TW_OK);
        bool seen[ROWS] = {false};
        int64_t all = 0, zero = 0;
        for (int part = TW_PART_TRAIN; part <= TW_PART_TEST; part++)
            for (int64_t r = 0; r < tw_tokens_rows(rows, (tw_part)part); r++, all++) {
                int32_t got[8], length;
                tw_tokens_gather(rows, (tw_part)part, 1, &r, 8, -1, got, &length);
                if (length == 0) {
                    zero++;
                    continue;
                }
                int row = 70000 - got[0];
                assert_true(row >= 0 && row < ROWS && !seen[row] && length == row % 8);
                for (int i = 0; i < 8; i++) assert_int_equal(got[i], i < length ? got[0] : -1);
                seen[row] = true;
                if (all < 2) first[seed] = row;
            }
        assert_int_equal(all, ROWS);
        assert_int_equal(zero, (ROWS + 7) / 8);
        assert_int_equal(tw_tokens_rows(rows, TW_PART_TEST), ROWS / 10);
        tw_tokens_destroy(rows);
    }
    assert_int_not_equal(first[0], first[1]);
    tw_tokens *rows = NULL;
    assert_int_equal(tw_tokens_from_memory(*state, 2, 2, NULL, (int32_t[]){0, 1, 2, 3}, 3, NULL, &rows),
                     TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "tokens: row 1 holds 3, expected 0 to 2");
}

/* A line that is cut by no block is found under its number in a file of several blocks. */
static void line_numbers_over_blocks(void **state)
{
    tw_context *ctx = *state;
    enum { LINES = 300000 };
    char *text = malloc(LINES * 10), *at = text;
    for (int i = 0; i < LINES; i++) at += sprintf(at, i == 250000 ? "x\n" : i % 3 ? "ababab\n" : "\n");
    tw_tokeniser *t = characters(ctx, "ab\n", false);
    assert_refused(ctx, write_file(text, true), &(tw_tokens_desc){.tokeniser = t},
                   "%s:250001: 'x' is not among the 3 symbols of the tokeniser (characters)");
    assert_refused(ctx, names[files - 1], &(tw_tokens_desc){.tokeniser = t, .chunk = 64},
                   "%s:250001: 'x' is not among the 3 symbols of the tokeniser (characters)");
    strchr(text, 'x')[0] = 'a';
    tw_tokens *rows = open_one(ctx, write_file(text, false), &(tw_tokens_desc){.tokeniser = t});
    assert_int_equal(tw_tokens_rows(rows, TW_PART_ALL), LINES - LINES / 3 + (250000 % 3 == 0));
    tw_tokens_destroy(rows);
    rows = open_one(ctx, names[files - 1], &(tw_tokens_desc){.tokeniser = t, .chunk = 1000, .keep_tail = true});
    assert_int_equal(tw_tokens_rows(rows, TW_PART_ALL), ((int64_t)strlen(text) + 999) / 1000);
    tw_tokens_destroy(rows);
    tw_tokeniser_destroy(t);
    free(text);
}

static tw_status open_in_little_memory(tw_context *ctx, void *user)
{
    tw_tokeniser *t = NULL;
    tw_tokens *rows = NULL;
    const char *path = user;
    tw_status status = tw_tokeniser_train(ctx, &(tw_tokeniser_desc){0}, "ab\n1", 4, &t);
    if (status == TW_OK) status = tw_tokens_open(ctx, 1, &path, &(tw_tokens_desc){.tokeniser = t}, &rows);
    tw_tokens_destroy(rows);
    rows = NULL;
    if (status == TW_OK) status = tw_tokens_open(ctx, 1, &path, &(tw_tokens_desc){.levels = 2}, &rows);
    tw_tokens_destroy(rows);
    tw_tokeniser_destroy(t);
    return status;
}

static void little_memory(void **state)
{
    (void)state;
    run_with_limited_memory(open_in_little_memory, (void *)write_file("a\n1\n11\n", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines, remove_files),
        cmocka_unit_test_teardown(long_lines, remove_files),
        cmocka_unit_test_teardown(chunks, remove_files),
        cmocka_unit_test_teardown(a_column_of_texts, remove_files),
        cmocka_unit_test_teardown(whole_numbers, remove_files),
        cmocka_unit_test(levels),
        cmocka_unit_test(from_memory),
        cmocka_unit_test_teardown(line_numbers_over_blocks, remove_files),
        cmocka_unit_test_teardown(little_memory, remove_files),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
