/* From the text of a table to a data set: what is understood without options, and the exact sentence for what is not.
 * Every case is a file x.csv in a folder of its own. */
#include <thalweg/data.h>

#include "base/text.h"
#include "data/table.h"
#include "support/limited_memory.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const tw_dataset_desc plain = {0};

static void write_file(const char *text, size_t size)
{
    FILE *f = fopen("x.csv", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    fclose(f);
}

/* Names, rows in the order of the file (parts are sorted by their first column, which tests let grow), notes. */
static void describe(tw_text *text, const tw_dataset *d)
{
    int columns = tw_dataset_columns(d);
    int64_t rows = tw_dataset_rows(d, TW_PART_ALL);
    const double *values = tw_dataset_values(d, TW_PART_ALL);
    for (int c = 0; c < columns; c++) tw_text_add(text, c ? " %s" : "%s", tw_dataset_name(d, c));
    tw_text_add(text, ":");
    double last = -(double)INFINITY;
    for (int64_t n = 0; n < rows; n++) {
        const double *next = NULL;
        for (int64_t r = 0; r < rows; r++)
            if (values[r * columns] > last && (!next || values[r * columns] < next[0])) next = values + r * columns;
        assert_non_null(next);
        last = next[0];
        for (int c = 0; c < columns; c++) tw_text_add(text, c ? ",%g" : " %g", next[c]);
    }
    for (int i = 0; i < tw_dataset_notes_count(d); i++) tw_text_add(text, " | %s", tw_dataset_note(d, i));
}

static void expect_with(const char *input, const tw_dataset_desc *desc, const char *expected)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    write_file(input, strlen(input));
    if (tw_dataset_open(ctx, "x.csv", desc, &d) != TW_OK) fail_msg("%s\n%s", input, tw_context_error(ctx));
    tw_text text = tw_text_new(ctx);
    describe(&text, d);
    assert_string_equal(text.data, expected);
    tw_text_free(&text);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void expect(const char *input, const char *expected)
{
    expect_with(input, &plain, expected);
}

static void refuse_with(const char *input, const tw_dataset_desc *desc, const char *sentence)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    write_file(input, strlen(input));
    if (tw_dataset_open(ctx, "x.csv", desc, &d) == TW_OK) fail_msg("accepted: %s", input);
    assert_string_equal(tw_context_error(ctx), sentence);
    assert_null(d);
    tw_context_destroy(ctx);
}

static void understands_headers(void **state)
{
    (void)state;
    expect("a,b\n1,2\n3,4\n", "a b: 1,2 3,4");
    expect("1,2\n3,4\n", "x1 x2: 1,2 3,4");
    expect("1\n2\n", "x1: 1 2");
    expect("7\n", "x1: 7");
    expect("a,1\n1,2\n3,4\n", "a 1: 1,2 3,4");                                          /* one field suffices */
    expect("1,2,red\n3,4,blue\n", "x1 x2: 1,2 3,4 | column 'x3' holds text: left out"); /* text above text: a row */
    expect("1,red\n", "x1: 1 | column 'x2' holds text: left out");
    expect("\"2019\",\"2020\"\n1,2\n3,4\n", "2019 2020: 1,2 3,4"); /* numbers in quotes above bare ones */
    expect("\"1\",\"2\"\n\"3\",\"4\"\n", "x1 x2: 1,2 3,4");
    expect(",b\n0,1\n1,2\n", "x1 b: 0,1 1,2 | column 1 has no name: called 'x1'");
    expect("a,a,a_2,a\n1,2,3,4\n", "a a_3 a_2 a_4: 1,2,3,4 | column 2 repeats the name 'a': called 'a_3' | column 4 "
                                   "repeats the name 'a': called 'a_4'");
    expect_with("1,2\n3,4\n", &(tw_dataset_desc){.header = TW_HEADER_YES}, "1 2: 3,4");
    expect_with("1,2\n3,4\n", &(tw_dataset_desc){.header = TW_HEADER_NO}, "x1 x2: 1,2 3,4");
    refuse_with("a,b\n1,2\n", &(tw_dataset_desc){.header = TW_HEADER_NO}, "x.csv:1: column 'x1': 'a' is not a number");
}

static void skips_preambles_and_comments(void **state)
{
    (void)state;
    expect("3,2,red,green\n1,2,3,4,0\n2,4,5,6,1\n3,4,5,7,1\n",
           "x1 x2 x3 x4 x5: 1,2,3,4,0 2,4,5,6,1 3,4,5,7,1 | line 1 ('3', ...) has 4 fields where the rows have 5: "
           "skipped");
    expect("measured on Monday\na,b\n1,2\n3,4\n",
           "a b: 1,2 3,4 | line 1 ('measured on Monday', ...) has 1 fields where the rows have 2: skipped");
    expect("# made by a program\n# a,b\n1,2\n3,4\n", "a b: 1,2 3,4 | 1 comment line in front of the table skipped");
    expect("# t x y\n1 2 3\n2 3 4\n", "t x y: 1,2,3 2,3,4");
    expect("# 2\n# 3\n1,2\n3,4\n", "x1 x2: 1,2 3,4 | 2 comment lines in front of the table skipped");
    expect("x,y\n1,2,3\n2,3,4\n", "row x y: 1,2,3 2,3,4 | the header has one name less than the rows have fields: the "
                                  "first column is taken for row names and called 'row'"); /* R's write.table */
    expect("x,y\n1,2,\n2,3,\n", "x y: 1,2 2,3 | column 3 has no name: called 'x3' | column 'x3' is empty: left out");
}

static void leaves_out_texts(void **state)
{
    (void)state;
    expect("a,b\n1,red\n2,blue\n", "a: 1 2 | column 'b' holds text: left out");
    expect("a,b\n1,\n2,\n", "a: 1 2 | column 'b' is empty: left out");
    refuse_with("a,b\nred,1\nblue,2\n3,4\n4,5\n", &plain,
                "x.csv:2: column 'a': 'red' is not a number"); /* half of four */
    expect("a,b\nred,1\nblue,2\n3,4\n", "b: 1 2 4 | column 'a' holds text: left out");
    refuse_with("a,b\n1,2\n2,two\n3,4\n", &plain, "x.csv:3: column 'b': 'two' is not a number");
    refuse_with("a,b\n1,red\n", &(tw_dataset_desc){.columns = "a,b"}, "x.csv:2: column 'b': 'red' is not a number");
    refuse_with("a;b\n1,5;2\n2,5;3\n4;5\n3;1\n", &plain,
                "x.csv:2: column 'a': '1,5' is not a number (decimals are written with a point)");
    refuse_with("a,b\nx,y\nz,w\n", &plain, "x.csv: no column holds numbers");
    refuse_with("a,b\n1,2\n2,inf\n", &plain, "x.csv:3: column 'b': 'inf' is not finite");
    refuse_with("a,b\n1,2\n2,-1e999\n", &plain, "x.csv:3: column 'b': '-1e999' is not finite");
    refuse_with("1,1e999\n2,3\n", &plain, "x.csv:1: column 'x2': '1e999' is not finite");
    expect_with("a,b\n1,inf\n", &(tw_dataset_desc){.drop = "b"}, "a: 1");
}

static void refuses_ragged_rows(void **state)
{
    (void)state;
    refuse_with("a,b,c\n1,2,3\n1,2\n1,2,3\n", &plain, "x.csv:3: 2 fields where the other rows have 3");
    refuse_with("a,b,c\n1,2,3\n\n1,2,3,4\n", &plain, "x.csv:4: 4 fields where the other rows have 3");
    refuse_with("a,b,c\n1,2\n", &plain, "x.csv:2: 2 fields where the first row has 3");
    refuse_with("a,b\n1,2,3\n", &plain,
                "x.csv:2: 3 fields where the first row has 2"); /* two rows: neither is "the others" */
    refuse_with("a,b\n1,2,3\n4,5\n6,7\n", &plain, "x.csv:2: 3 fields where the other rows have 2");
    refuse_with("1,2\n1,2,3\n4,5,6\n1,2,3,4\n", &plain, "x.csv:4: 4 fields where the other rows have 3");
}

static void refuses_files_without_rows(void **state)
{
    (void)state;
    refuse_with("", &plain, "x.csv: empty file");
    refuse_with("a,b\n", &plain, "x.csv: a header but no rows");
    refuse_with("a,b", &plain, "x.csv: a header but no rows");
    refuse_with("1,2\n", &(tw_dataset_desc){.header = TW_HEADER_YES}, "x.csv: a header but no rows");
    refuse_with("\n\n", &plain, "x.csv: nothing but blank lines");
    refuse_with("# a\n# b\n", &plain, "x.csv: nothing but comments");
    refuse_with("a,b\n1,\"2\n", &plain, "x.csv:2: the quote that opens here is never closed");
    refuse_with("a,b\n1,\xE9\n", &plain, "x.csv:2: byte 0xE9 at column 3 is not UTF-8 text: save the file as UTF-8");
    refuse_with("PAR1 and so on", &plain, "x.csv: a Parquet file is not read here: save the table as CSV or NPY");
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "missing.csv", NULL, &d), TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx), "cannot open 'missing.csv': no such file");
    assert_true(mkdir("no-pictures", 0777) == 0 || errno == EEXIST);
    assert_int_equal(tw_dataset_open(ctx, "no-pictures", NULL, &d), TW_ERR_FORMAT);
    assert_non_null(strstr(tw_context_error(ctx), "no-pictures: a folder without pictures: expected IDX or CIFAR"));
    assert_int_equal(tw_dataset_open(ctx, "", NULL, &d), TW_ERR_INVALID);
    assert_int_equal(tw_dataset_open(ctx, "chekerboard", NULL, &d), TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx),
                        "'chekerboard' is neither a file nor a built-in set: did you mean 'checkerboard'?");
    tw_context_destroy(ctx);
}

static void chooses_columns(void **state)
{
    (void)state;
    static const char table[] = "a,b,\"c,d\",2,word\n1,2,3,4,x\n2,5,6,7,y\n";
    expect_with(table, &(tw_dataset_desc){.columns = "a, b"}, "a b: 1,2 2,5");
    expect_with(table, &(tw_dataset_desc){.columns = "b,a"}, "b a: 2,1 5,2");
    expect_with(table, &(tw_dataset_desc){.columns = "1,3-4"}, "a c,d 2: 1,3,4 2,6,7");
    expect_with(table, &(tw_dataset_desc){.columns = "a,\"c,d\""}, "a c,d: 1,3 2,6");
    expect_with(table, &(tw_dataset_desc){.columns = "2"}, "2: 4 7"); /* a name wins over a number */
    expect_with(table, &(tw_dataset_desc){.drop = "b,\"c,d\",5"}, "a 2: 1,4 2,7");
    expect_with(table, &(tw_dataset_desc){.columns = "1-4", .drop = "b"}, "a c,d 2: 1,3,4 2,6,7");
    refuse_with(table, &(tw_dataset_desc){.columns = "a,wrod"}, "x.csv: no column 'wrod': did you mean 'word'?");
    refuse_with(table, &(tw_dataset_desc){.drop = "wrod"}, "x.csv: no column 'wrod': did you mean 'word'?");
    refuse_with(table, &(tw_dataset_desc){.columns = "zzzzzz"},
                "x.csv: no column 'zzzzzz'; there are 'a', 'b', 'c,d', '2', 'word'");
    refuse_with(table, &(tw_dataset_desc){.columns = "6"}, "x.csv: no column 6: there are 5, counted from 1");
    refuse_with(table, &(tw_dataset_desc){.columns = "0"}, "x.csv: no column 0: there are 5, counted from 1");
    refuse_with(table, &(tw_dataset_desc){.columns = "4-3"}, "x.csv: the range '4-3' in --columns runs backwards");
    refuse_with(table, &(tw_dataset_desc){.columns = "a,1"}, "x.csv: column 'a' is named twice in --columns");
    refuse_with(table, &(tw_dataset_desc){.columns = "a,,b"}, "x.csv: an empty name in --columns 'a,,b'");
    refuse_with(table, &(tw_dataset_desc){.columns = "a", .drop = "a"}, "x.csv: no column is left to read");
    expect_with("1,2,x\n3,4,y\n", &(tw_dataset_desc){.columns = "x2"}, "x2: 2 4");
    expect_with("1,2,3\n3,4,5\n", &(tw_dataset_desc){.columns = "3,1"}, "x3 x1: 3,1 5,3"); /* no names: numbers */
}

static void treats_gaps(void **state)
{
    (void)state;
    static const char *const markers[] = {"", "NA", "N/A", "NaN", "nan", "null", "?", "-", "\"\"", " NA "};
    for (int i = 0; i < TW_COUNT(markers); i++) {
        char text[100], expected[200];
        snprintf(text, sizeof text, "a,b\n1,2\n2,%s\n3,6\n", markers[i]);
        snprintf(expected, sizeof expected,
                 "a b: 1,2 3,6 | 1 of 3 rows left out for gaps (the first at x.csv:3, column 'b')");
        expect_with(text, &(tw_dataset_desc){.missing = TW_MISSING_DROP}, expected);
    }
    refuse_with("a,b\n1,2\n2,\n3,?\n", &plain,
                "x.csv:3: column 'b' has no value; 2 of 3 rows have gaps: leave them out (--missing drop), fill them "
                "(--missing median) or leave the column out (--drop b)");
    refuse_with("a,b\n1,2\n,3\n", &(tw_dataset_desc){.missing = TW_MISSING_ERROR},
                "x.csv:3: column 'a' has no value; 1 of 2 rows have gaps: leave them out (--missing drop), fill them "
                "(--missing median) or leave the column out (--drop a)");
    refuse_with("a,b\n1,\n,3\n", &(tw_dataset_desc){.missing = TW_MISSING_DROP},
                "x.csv: every row has a gap (the first at x.csv:2, column 'b')");
    expect_with("a,b\n1,2\n2,\n", &(tw_dataset_desc){.missing = TW_MISSING_ERROR, .drop = "b"}, "a: 1 2");
}

static void constant_columns_are_told_in_one_note(void **state)
{
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    FILE *f = fopen("x.csv", "w");
    fprintf(f, "a,b,c,d,e,f\n");
    for (int i = 0; i < 40; i++) fprintf(f, "1,2,%d,3,4,5\n", i);
    fclose(f);
    (void)state;
    assert_int_equal(tw_dataset_open(ctx, "x.csv", NULL, &d), TW_OK);
    assert_string_equal(tw_dataset_note(d, 0),
                        "5 columns are constant ('a', 'b', 'd', ...): kept, with nothing to learn in them");
    assert_null(tw_dataset_note(d, 1));
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

/* 5 % exactly is few enough, one more is not. */
static void drops_few_gaps_by_itself(void **state)
{
    (void)state;
    for (int gaps = 2; gaps <= 3; gaps++) {
        FILE *f = fopen("x.csv", "w");
        fprintf(f, "a,b\n");
        for (int i = 0; i < 40; i++) fprintf(f, i < gaps ? "%d,\n" : "%d,1.5\n", i);
        fclose(f);
        tw_context *ctx = tw_context_create(NULL);
        tw_dataset *d = NULL;
        tw_status status = tw_dataset_open(ctx, "x.csv", NULL, &d);
        assert_int_equal(status, gaps == 2 ? TW_OK : TW_ERR_FORMAT);
        if (d) {
            assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 38);
            assert_string_equal(tw_dataset_note(d, 0),
                                "2 of 40 rows left out for gaps (the first at x.csv:2, column 'b')");
            assert_string_equal(tw_dataset_note(d, 1),
                                "column 'b' is constant (1.5): kept, with nothing to learn in it");
        }
        tw_dataset_destroy(d);
        tw_context_destroy(ctx);
    }
}

static void remembers_decimals(void **state)
{
    (void)state;
    static const char text[] = "a,b,c,d,e\n1,1.50,-2.125,1e3,.5\n2,2.5,3,4,1.123456789012345678901\n";
    write_file(text, strlen(text));
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "x.csv", NULL, &d), TW_OK);
    static const int expected[] = {0, 2, 3, -1, 17};
    for (int c = 0; c < 5; c++) assert_int_equal(tw_dataset_decimals(d, c), expected[c]);
    assert_int_equal(tw_dataset_decimals(d, 5), -1);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void reads_very_wide_tables(void **state)
{
    (void)state;
    FILE *f = fopen("x.csv", "w");
    for (int c = 0; c < 300; c++) fprintf(f, c ? ",c%d" : "c%d", c);
    for (int r = 0; r < 7; r++)
        for (int c = 0; c < 300; c++) fprintf(f, c ? ",%d" : "\n%d", 1000 * r + c);
    fclose(f);
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "x.csv", NULL, &d), TW_OK);
    assert_int_equal(tw_dataset_columns(d), 300);
    assert_int_equal(tw_dataset_rows(d, TW_PART_ALL), 7);
    const double *v = tw_dataset_values(d, TW_PART_ALL);
    for (int r = 0; r < 7; r++)
        for (int c = 1; c < 300; c++) assert_true(v[300 * r + c] == v[300 * r] + c);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

/* Stops at the limit and says what the whole file would need (the fraction read is known: all of it, from memory). */
static void bounds_memory(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_text text = tw_text_new(ctx);
    tw_table table;
    for (int i = 0; i < 140000; i++) tw_text_add(&text, "%d,2\n", i);
    assert_int_equal(tw_table_parse_csv(ctx, "x.csv", text.data, text.length, &plain, 2 << 20, &table), TW_ERR_MEMORY);
    assert_string_equal(tw_context_error(ctx),
                        "x.csv: the table needs 2.0 MiB of memory and 2.0 MiB is the limit: choose "
                        "fewer columns (--columns) or fewer rows");
    /* one of the two columns fits */
    assert_int_equal(
        tw_table_parse_csv(ctx, "x.csv", text.data, text.length, &(tw_dataset_desc){.columns = "1"}, 2 << 20, &table),
        TW_OK);
    assert_int_equal(table.rows, 140000);
    assert_int_equal(table.stride, 1);
    tw_table_free(&table);
    tw_text_free(&text);
    tw_context_destroy(ctx);
}

static tw_status open_all(tw_context *ctx, void *user)
{
    tw_dataset *d = NULL;
    tw_status status = tw_dataset_open(ctx, "x.csv", user, &d);
    tw_dataset_destroy(d);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    static const char text[] = "# c\n4,1\na,a,t\n1,2,x\n2,3,y\n,2,z\n";
    write_file(text, strlen(text));
    run_with_limited_memory(open_all, &(tw_dataset_desc){.missing = TW_MISSING_DROP});
    run_with_limited_memory(open_all, &(tw_dataset_desc){.missing = TW_MISSING_MEDIAN, .columns = "a_2,a"});
    static const char short_header[] = "u v\n1 2 3\n2 3 4\n";
    write_file(short_header, strlen(short_header));
    run_with_limited_memory(open_all, &(tw_dataset_desc){.drop = "u"});
}

static int enter_folder(void **state)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/thalweg-test-table-XXXXXX");
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    unlink("x.csv");
    return chdir("/") == 0 && rmdir(*state) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_headers),
        cmocka_unit_test(skips_preambles_and_comments),
        cmocka_unit_test(leaves_out_texts),
        cmocka_unit_test(refuses_ragged_rows),
        cmocka_unit_test(refuses_files_without_rows),
        cmocka_unit_test(chooses_columns),
        cmocka_unit_test(treats_gaps),
        cmocka_unit_test(drops_few_gaps_by_itself),
        cmocka_unit_test(constant_columns_are_told_in_one_note),
        cmocka_unit_test(remembers_decimals),
        cmocka_unit_test(reads_very_wide_tables),
        cmocka_unit_test(bounds_memory),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
