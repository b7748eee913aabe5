/* Rows of tokens as data sets: what other columns tell stands beside its own text, whatever was left out between and
 * whatever order the rows are in; gaps, levels and names of a model; what is refused. */
#include <thalweg/tokens.h>

#include "base/base.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 6, RECORDS = 60 };

/* Record i: a kind, a text that spells i in letters a to j behind as many x as the kind says, and i. Every seventh has no
 * text, every eleventh one that is too long. */
static void spell(int i, char *out)
{
    snprintf(out, 16, "%s%c%c%s", i % 3 == 0 ? "" : i % 3 == 1 ? "x" : "xx", 'a' + i / 10, 'a' + i % 10,
             i % 11 == 5 ? "xxxxxx" : "");
    if (i % 7 == 3) *out = 0;
}

static char path[32];

static const char *write_records(const char *gap_of, int gap_at)
{
    static const char *const kind[] = {"none", "one", "two"};
    strcpy(path, "/tmp/told-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    fputs("kind,text,number\n", file);
    for (int i = 0; i < RECORDS; i++) {
        char text[16], number[16];
        spell(i, text);
        snprintf(number, sizeof number, "%d.5", i);
        bool gap = i == gap_at;
        fprintf(file, "%s,%s,%s\n", gap && strcmp(gap_of, "kind") == 0 ? "" : kind[i % 3], text,
                gap && strcmp(gap_of, "number") == 0 ? "" : number);
    }
    assert_int_equal(fclose(file), 0);
    return path;
}

static int remove_file(void **state)
{
    (void)state;
    if (*path) unlink(path);
    *path = 0;
    return 0;
}

typedef struct opened {
    tw_tokeniser *tokeniser;
    tw_tokens *tokens;
} opened;

static opened open_records(tw_context *ctx, const char *file)
{
    static const char letters[] = "abcdefghijx";
    opened o = {0};
    const tw_tokeniser_desc desc = {.special = {[TW_SPECIAL_PADDING] = true}};
    assert_int_equal(tw_tokeniser_train(ctx, &desc, letters, strlen(letters), &o.tokeniser), TW_OK);
    const tw_tokens_desc cut = {
        .tokeniser = o.tokeniser, .column = "text", .longest = WIDTH, .too_long = TW_LONG_DROP, .seed = 5};
    if (tw_tokens_open(ctx, 1, &file, &cut, &o.tokens) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return o;
}

static void close_records(opened *o)
{
    tw_tokens_destroy(o->tokens);
    tw_tokeniser_destroy(o->tokeniser);
}

static tw_status make(tw_context *ctx, const opened *o, const char *told, const tw_dataset_desc *desc,
                      tw_dataset **out)
{
    return tw_dataset_from_tokens(ctx, o->tokens, WIDTH, tw_tokeniser_special(o->tokeniser, TW_SPECIAL_PADDING), told,
                                  desc, out);
}

/* The record that a row spells. */
static int record_of(const opened *o, const double *row)
{
    int32_t token[WIDTH];
    char text[16], expected[16];
    for (int k = 0; k < WIDTH; k++) token[k] = (int32_t)row[k];
    tw_tokeniser_decode(o->tokeniser, token, WIDTH, false, text, sizeof text);
    const char *digits = text + strspn(text, "x");
    int i = 10 * (digits[0] - 'a') + digits[1] - 'a';
    assert_true(i >= 0 && i < RECORDS);
    spell(i, expected);
    assert_string_equal(text, expected);
    return i;
}

static int64_t kept_records(void)
{
    int64_t kept = 0;
    for (int i = 0; i < RECORDS; i++) {
        char text[16];
        spell(i, text);
        kept += *text && strlen(text) <= WIDTH;
    }
    return kept;
}

static void test_what_is_told_stands_beside_its_text(void **state)
{
    opened o = open_records(*state, write_records("", -1));
    tw_dataset *d = NULL;
    const tw_dataset_desc desc = {.conditions = "number,1", .seed = 3};
    if (make(*state, &o, path, &desc, &d) != TW_OK) fail_msg("%s", tw_context_error(*state));
    int64_t rows = tw_dataset_rows(d, TW_PART_ALL);
    assert_int_equal(rows, kept_records());
    assert_int_equal(tw_dataset_columns(d), WIDTH);
    assert_string_equal(tw_dataset_name(d, 0), "x1");
    assert_int_equal(tw_dataset_conditions_count(d), 2);
    const tw_condition *number = tw_dataset_condition(d, 0), *kind = tw_dataset_condition(d, 1);
    assert_string_equal(number->name, "number");
    assert_int_equal(number->classes, 0);
    assert_string_equal(kind->name, "kind");
    assert_int_equal(kind->classes, 3);
    const double *value = tw_dataset_values(d, TW_PART_ALL), *told = tw_dataset_condition_values(d, TW_PART_ALL);
    int moved = 0, before = -1;
    for (int64_t r = 0; r < rows; r++) {
        int i = record_of(&o, value + r * WIDTH);
        static const char *const names[] = {"none", "one", "two"};
        assert_true(told[2 * r] == i + 0.5);
        assert_string_equal(kind->level[(int)told[2 * r + 1]], names[i % 3]);
        moved += i < before;
        before = i;
    }
    assert_true(moved > 5); /* rows are in an order that was drawn */
    /* no place of the texts is noted as one that never changes; what was left out is */
    assert_int_equal(tw_dataset_notes_count(d), 2);
    assert_non_null(strstr(tw_dataset_note(d, 0), "empty"));
    assert_non_null(strstr(tw_dataset_note(d, 1), "too long"));
    tw_dataset_destroy(d);
    close_records(&o);
}

static void test_rows_for_testing_keep_their_order(void **state)
{
    static const char *const levels[] = {"two", "one", "none"}; /* as the model has them */
    const tw_condition known[] = {{.name = "kind", .classes = 3, .level = levels}};
    opened o = open_records(*state, write_records("", -1));
    tw_dataset *d = NULL;
    tw_dataset_desc desc = {.for_testing = true, .known_conditions = known, .known_conditions_count = 1};
    if (make(*state, &o, path, &desc, &d) != TW_OK) fail_msg("%s", tw_context_error(*state));
    int64_t rows = tw_dataset_rows(d, TW_PART_TEST);
    assert_int_equal(rows, kept_records());
    const double *value = tw_dataset_values(d, TW_PART_ALL), *told = tw_dataset_condition_values(d, TW_PART_ALL);
    int before = -1;
    for (int64_t r = 0; r < rows; r++) {
        int i = record_of(&o, value + r * WIDTH);
        assert_true(i > before);
        before = i;
        assert_true(told[r] == 2 - i % 3);
    }
    tw_dataset_destroy(d);

    /* and without anything told */
    desc.known_conditions_count = 0;
    d = NULL;
    assert_int_equal(make(*state, &o, NULL, &desc, &d), TW_OK);
    assert_int_equal(tw_dataset_conditions_count(d), 0);
    assert_int_equal(record_of(&o, tw_dataset_values(d, TW_PART_ALL)), 0);
    tw_dataset_destroy(d);
    close_records(&o);
}

static void check_gap(tw_context *ctx, int at, tw_missing missing, int64_t expected, const char *error)
{
    opened o = open_records(ctx, write_records("number", at));
    tw_dataset *d = NULL;
    const tw_dataset_desc desc = {.conditions = "number", .missing = missing};
    tw_status status = make(ctx, &o, path, &desc, &d);
    if (error) {
        assert_int_not_equal(status, TW_OK);
        assert_non_null(strstr(tw_context_error(ctx), error));
    } else {
        assert_int_equal(status, TW_OK);
        assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), expected);
    }
    tw_dataset_destroy(d);
    close_records(&o);
    remove_file(NULL);
}

static void test_gaps(void **state)
{
    check_gap(*state, 20, TW_MISSING_AUTO, kept_records() - 1, NULL);
    check_gap(*state, 20, TW_MISSING_ERROR, 0, ":22: ");   /* the line of record 20 */
    check_gap(*state, 3, TW_MISSING_ERROR, kept_records(), NULL); /* record 3 has no text */
    check_gap(*state, 20, TW_MISSING_MEDIAN, 0, "no median");
}

static void test_what_is_refused(void **state)
{
    static const char *const levels[] = {"none", "one"};
    const tw_condition few = {.name = "kind", .classes = 2, .level = levels}, other = {.name = "kynd"};
    const struct {
        tw_dataset_desc desc;
        const char *error;
    } cases[] = {{{.conditions = "kynd"}, "no column 'kynd': did you mean 'kind'?"},
                 {{.for_testing = true, .known_conditions = &few, .known_conditions_count = 1}, "no class 'two'"},
                 {{.for_testing = true, .known_conditions = &other, .known_conditions_count = 1}, "the model needs"}};
    opened o = open_records(*state, write_records("", -1));
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_dataset *d = NULL;
        assert_int_not_equal(make(*state, &o, path, &cases[i].desc, &d), TW_OK);
        assert_null(d);
        if (!strstr(tw_context_error(*state), cases[i].error)) fail_msg("%s", tw_context_error(*state));
    }
    /* a file of other texts */
    FILE *file = fopen(path, "a");
    fputs("one,xab,99\n", file);
    assert_int_equal(fclose(file), 0);
    tw_dataset *d = NULL;
    assert_int_not_equal(make(*state, &o, path, &(tw_dataset_desc){.conditions = "kind"}, &d), TW_OK);
    assert_non_null(strstr(tw_context_error(*state), "61 rows, and 60 texts"));
    close_records(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_is_told_stands_beside_its_text, remove_file),
        cmocka_unit_test_teardown(test_rows_for_testing_keep_their_order, remove_file),
        cmocka_unit_test_teardown(test_gaps, remove_file),
        cmocka_unit_test_teardown(test_what_is_refused, remove_file),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
