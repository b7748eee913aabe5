/* The CSV reader: what it hands out, row by row, and the exact sentence for what it refuses. */
#include "io/csv.h"

#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* Rows written down as "line|field|'quoted field'\n". */
typedef struct record {
    tw_text text;
    int64_t rows;
} record;

static tw_status write_down(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    record *r = user;
    assert_int_equal(row, r->rows);
    r->rows++;
    tw_text_add(&r->text, "%lld", (long long)line);
    for (int i = 0; i < count; i++) {
        assert_int_equal(strlen(fields[i].text), fields[i].length);
        tw_text_add(&r->text, fields[i].quoted ? "|'%s'" : "|%s", fields[i].text);
    }
    tw_text_add(&r->text, "\n");
    return tw_text_check(&r->text);
}

static void expect_rows(const char *input, size_t size, const tw_csv_desc *desc, const char *expected, char separator)
{
    tw_context *ctx = tw_context_create(NULL);
    record r = {.text = tw_text_new(ctx)};
    tw_csv_desc used;
    tw_status status = tw_csv_parse(ctx, "x.csv", input, size, desc, write_down, &r, &used);
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
    assert_string_equal(r.text.data, expected);
    assert_int_equal(used.separator, separator);
    tw_text_free(&r.text);
    tw_context_destroy(ctx);
}

static void expect(const char *input, const char *expected, char separator)
{
    expect_rows(input, strlen(input), NULL, expected, separator);
}

static void refuse(const char *input, size_t size, tw_status expected, const char *sentence)
{
    tw_context *ctx = tw_context_create(NULL);
    record r = {.text = tw_text_new(ctx)};
    if (tw_csv_parse(ctx, "x.csv", input, size, NULL, write_down, &r, NULL) != expected)
        fail_msg("%s, not: %s", tw_context_error(ctx), sentence);
    assert_string_equal(tw_context_error(ctx), sentence);
    tw_text_free(&r.text);
    tw_context_destroy(ctx);
}

static void cuts_plain_rows(void **state)
{
    (void)state;
    expect("a,b\n1,2\n", "1|a|b\n2|1|2\n", ',');
    expect("a,b\n1,2", "1|a|b\n2|1|2\n", ',');
    expect("a,b\r\n1,2\r\n", "1|a|b\n2|1|2\n", ',');
    expect("a,b\r1,2\r", "1|a|b\n2|1|2\n", ',');
    expect("1\n2\n3\n", "1|1\n2|2\n3|3\n", ',');
    expect(" a , b \n\t1,\t2\t\n", "1|a|b\n2|1|2\n", ',');
    expect("a,,\n,,b\n", "1|a||\n2|||b\n", ',');
}

static void skips_blank_lines_and_counts_them(void **state)
{
    (void)state;
    expect("\n\n1,2\n\n  \n3,4\n\n", "3|1|2\n6|3|4\n", ',');
    expect("\r\n1,2\r\n\r\n3,4", "2|1|2\n4|3|4\n", ',');
    expect("\r\r1,2\r\r3,4", "3|1|2\n5|3|4\n", ',');
}

static void knows_quotes(void **state)
{
    (void)state;
    expect("\"a,b\",c\n", "1|'a,b'|c\n", ',');
    expect("\"say \"\"hi\"\"\",1\n", "1|'say \"hi\"'|1\n", ',');
    expect("\"\",\" x \"\n", "1|''|' x '\n", ',');
    expect("5\" pipe,2\n", "1|5\" pipe|2\n", ',');
    expect("\"two\nlines\",1\n3,4\n", "1|'two\nlines'|1\n3|3|4\n", ',');
    expect("\"two\r\nlines\",1\r\n3,4\r\n", "1|'two\r\nlines'|1\n3|3|4\n", ',');
    expect("1,\"x\"\n\"y\",2\n", "1|1|'x'\n2|'y'|2\n", ',');
    expect("\"a\"\n\"b\"\nc\n", "1|'a'\n2|'b'\n3|c\n", ',');
}

static void guesses_the_separator(void **state)
{
    (void)state;
    expect("a;b\n1;2\n", "1|a|b\n2|1|2\n", ';');
    expect("a\tb\n1\t2\n", "1|a|b\n2|1|2\n", '\t');
    expect("a|b\n1|2\n", "1|a|b\n2|1|2\n", '|');
    expect("1 2\n3 4\n", "1|1|2\n2|3|4\n", ' ');
    expect("a;b\n1,5;2,5\n3,5;4,5\n", "1|a|b\n2|1,5|2,5\n3|3,5|4,5\n", ';'); /* commas cut unevenly */
    expect("1,5;2,5;3\n3,5;4,5;5\n", "1|1,5|2,5|3\n2|3,5|4,5|5\n", ';');
    expect("New York,1\nRio,2\nSao Paulo do Sul,3\n", "1|New York|1\n2|Rio|2\n3|Sao Paulo do Sul|3\n", ',');
    expect("39, Private, 77\n50, Self, 83\n", "1|39|Private|77\n2|50|Self|83\n", ',');
    expect("\"a;b;c\",1\n\"d;e;f\",2\n", "1|'a;b;c'|1\n2|'d;e;f'|2\n", ',');
    expect("my value\n1\n2\n", "1|my value\n2|1\n3|2\n", ',');
    expect("x\n", "1|x\n", ',');
}

static void folds_runs_of_blanks(void **state)
{
    (void)state;
    expect("  59   2 32.1\n 48 \t 1\t21.6  \n", "1|59|2|32.1\n2|48|1|21.6\n", ' ');
    expect("\"a b\" 2\n\"c  d\"\t3\n", "1|'a b'|2\n2|'c  d'|3\n", ' ');
    expect("1 2\n   \n3 4\n", "1|1|2\n3|3|4\n", ' ');
    expect_rows("1 \"2", 4, &(tw_csv_desc){.separator = ' ', .quote = '\''}, "1|1|\"2\n", ' ');
}

static void obeys_a_given_separator(void **state)
{
    (void)state;
    expect_rows("a;b,c\n", 6, &(tw_csv_desc){.separator = ';'}, "1|a|b,c\n", ';');
    expect_rows("'a,b',c\n", 8, &(tw_csv_desc){.quote = '\''}, "1|'a,b'|c\n", ',');
}

static void knows_unicode(void **state)
{
    (void)state;
    expect("\xEF\xBB\xBFname,size\nH\xC3\xA5kon,2\n", "1|name|size\n2|H\xC3\xA5kon|2\n", ',');
    expect("\xF0\x9F\x8C\x8A,\xE6\xB2\xB3\n", "1|\xF0\x9F\x8C\x8A|\xE6\xB2\xB3\n", ',');
    refuse("a,b\nH\xE5kon,2\n", 12, TW_ERR_FORMAT,
           "x.csv:2: byte 0xE5 at column 2 is not UTF-8 text: save the file as UTF-8");
    refuse("\xC3\xA5\xC3\xA5,\xC0\x80\n", 8, TW_ERR_FORMAT, /* overlong; columns count characters */
           "x.csv:1: byte 0xC0 at column 4 is not UTF-8 text: save the file as UTF-8");
    refuse("a\r\nb\r\n\xED\xA0\x80\n", 10, TW_ERR_FORMAT, /* a surrogate */
           "x.csv:3: byte 0xED at column 1 is not UTF-8 text: save the file as UTF-8");
    refuse("a\n\xE2\x82", 4, TW_ERR_FORMAT, /* cut inside a character */
           "x.csv:2: byte 0xE2 at column 1 is not UTF-8 text: save the file as UTF-8");
    refuse("\xF4\x90\x80\x80", 4, TW_ERR_FORMAT, /* above U+10FFFF */
           "x.csv:1: byte 0xF4 at column 1 is not UTF-8 text: save the file as UTF-8");
    refuse("\xFF\xFE"
           "a\0",
           4, TW_ERR_UNSUPPORTED, "x.csv: UTF-16 text is not supported: save the file as UTF-8");
    refuse("\xFE\xFF\0a", 4, TW_ERR_UNSUPPORTED, "x.csv: UTF-16 text is not supported: save the file as UTF-8");
}

static void refuses_what_is_no_table(void **state)
{
    (void)state;
    refuse("", 0, TW_ERR_FORMAT, "x.csv: empty file");
    refuse("\n \r\n", 4, TW_ERR_FORMAT, "x.csv: nothing but blank lines");
    refuse("a,b\n1,\0\n", 8, TW_ERR_FORMAT, "x.csv:2: a zero byte at column 3: this is not a text file");
    refuse("a\n\"b\nc\nd\n", 9, TW_ERR_FORMAT, "x.csv:2: the quote that opens here is never closed");
    refuse("\"a\",\"b\"\n\"c\",\"d\nx\ny", 18, TW_ERR_FORMAT, "x.csv:2: the quote that opens here is never closed");
    refuse("\"a\nb\",\"c\nd", 10, TW_ERR_FORMAT, "x.csv:2: the quote that opens here is never closed");
}

static void bounds_rows(void **state)
{
    (void)state;
    size_t size = (size_t)TW_CSV_MAX_ROW_BYTES + 100;
    char *bytes = malloc(size + 1);
    memset(bytes, '7', size);
    bytes[size] = 0;
    memcpy(bytes, "a\n", 2);
    refuse(bytes, size, TW_ERR_UNSUPPORTED, "x.csv:2: a row longer than 16 MiB");
    bytes[2] = '"';
    bytes[5] = '\n';
    refuse(bytes, size, TW_ERR_FORMAT, "x.csv:2: the quote that opens here is not closed within 16 MiB");
    memset(bytes, ',', size);
    memcpy(bytes, "a\n", 2);
    refuse(bytes, size, TW_ERR_UNSUPPORTED, "x.csv:2: more than 100000 fields in one row");
    free(bytes);
}

static tw_status stop_at_third(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    (void)line, (void)count, (void)fields;
    return row == 2 ? tw_fail(user, TW_ERR_CANCELLED, "enough") : TW_OK;
}

static void stops_when_told(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    assert_int_equal(tw_csv_parse(ctx, "x", "1\n2\n3\n4\n", 8, NULL, stop_at_third, ctx, NULL), TW_ERR_CANCELLED);
    assert_string_equal(tw_context_error(ctx), "enough");
    tw_context_destroy(ctx);
}

/* --- files ------------------------------------------------------------------------------------------------ */

typedef struct sums {
    int64_t rows, line, fields;
    double sum;
} sums;

static tw_status add_up(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    sums *s = user;
    s->rows = row + 1;
    s->line = line;
    s->fields += count;
    double value;
    assert_true(tw_parse_double(fields[0].text, fields[0].length, &value));
    s->sum += value;
    return TW_OK;
}

static void make_path(char *path, size_t room, const char *name)
{
    snprintf(path, room, "/tmp/thalweg-test-csv-%d-%s", (int)getpid(), name);
}

/* Many blocks, rows across block borders, plain and packed: the same rows. */
static void streams_files(void **state)
{
    (void)state;
    char plain[100], packed[100];
    make_path(plain, sizeof plain, "a.csv");
    make_path(packed, sizeof packed, "a.csv.gz");
    FILE *f = fopen(plain, "w");
    gzFile g = gzopen(packed, "w");
    int64_t rows = 40000;
    for (int64_t i = 0; i < rows; i++) {
        fprintf(f, "%lld,\"x\xC3\xA9 %lld\",0.5\n", (long long)i, (long long)(i * i));
        gzprintf(g, "%lld,\"x\xC3\xA9 %lld\",0.5\n", (long long)i, (long long)(i * i));
    }
    fclose(f);
    gzclose(g);
    tw_context *ctx = tw_context_create(NULL);
    for (int k = 0; k < 2; k++) {
        sums s = {0};
        double fraction = -1;
        tw_csv_desc desc = {.fraction = &fraction};
        assert_int_equal(tw_csv_read(ctx, k ? packed : plain, &desc, add_up, &s, NULL), TW_OK);
        assert_int_equal(s.rows, rows);
        assert_int_equal(s.line, rows);
        assert_int_equal(s.fields, 3 * rows);
        assert_true(s.sum == (double)(rows * (rows - 1) / 2));
        assert_true(fraction > 0.99 && fraction <= 1.0);
    }
    /* the packed file cut short, then damaged */
    assert_int_equal(truncate(packed, 50000), 0);
    sums s = {0};
    char sentence[200];
    assert_int_equal(tw_csv_read(ctx, packed, NULL, add_up, &s, NULL), TW_ERR_FORMAT);
    snprintf(sentence, sizeof sentence, "'%s' is cut short: the gzip data end early", packed);
    assert_string_equal(tw_context_error(ctx), sentence);
    f = fopen(packed, "r+");
    fseek(f, 20000, SEEK_SET);
    for (int i = 0; i < 1000; i++) fputc(0xFF, f);
    fclose(f);
    assert_int_equal(tw_csv_read(ctx, packed, NULL, add_up, &s, NULL), TW_ERR_FORMAT);
    tw_context_destroy(ctx);
    unlink(plain);
    unlink(packed);
}

static void names_files_it_cannot_read(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    sums s = {0};
    assert_int_equal(tw_csv_read(ctx, "/nowhere/x.csv", NULL, add_up, &s, NULL), TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx), "cannot open '/nowhere/x.csv': no such file");
    assert_int_equal(tw_csv_read(ctx, "/tmp", NULL, add_up, &s, NULL), TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx), "'/tmp' is a directory");
    assert_int_equal(tw_csv_read(ctx, "/dev/null", NULL, add_up, &s, NULL), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "/dev/null: empty file");
    tw_context_destroy(ctx);
}

/* --- writing ---------------------------------------------------------------------------------------------- */

static void writes_what_it_reads(void **state)
{
    (void)state;
    static const char *const values[] = {"plain",    "",           " blank ", "com,ma", "quo\"te", "new\nline",
                                         "tab\tbed", "semi;colon", "\"",      "\"\"",   "a b",     "x\r"};
    static const char separators[] = {',', ';', '\t', '|', ' '};
    tw_context *ctx = tw_context_create(NULL);
    for (int s = 0; s < TW_COUNT(separators); s++) {
        tw_text text = tw_text_new(ctx), expected = tw_text_new(ctx);
        tw_text_add(&expected, "1");
        for (int i = 0; i < TW_COUNT(values); i++) {
            if (i) tw_text_add(&text, "%c", separators[s]);
            size_t before = text.length;
            tw_csv_add_field(&text, values[i], separators[s]);
            tw_text_add(&expected, text.data[before] == '"' ? "|'%s'" : "|%s", values[i]);
        }
        tw_text_add(&text, "\n");
        tw_text_add(&expected, "\n");
        expect_rows(text.data, text.length, &(tw_csv_desc){.separator = separators[s]}, expected.data, separators[s]);
        tw_text_free(&text);
        tw_text_free(&expected);
    }
    tw_context_destroy(ctx);
}

static tw_status read_little(tw_context *ctx, void *user)
{
    (void)user;
    record r = {.text = tw_text_new(ctx)};
    tw_status status = tw_csv_parse(ctx, "x.csv", "a,\"b\"\n1,2\n3,4\n", 14, NULL, write_down, &r, NULL);
    tw_text_free(&r.text);
    return status;
}

static tw_status read_file(tw_context *ctx, void *user)
{
    sums s = {0};
    return tw_csv_read(ctx, user, NULL, add_up, &s, NULL);
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    run_with_limited_memory(read_little, NULL);
    char path[100];
    make_path(path, sizeof path, "memory.csv");
    FILE *f = fopen(path, "w");
    fprintf(f, "1,2\n3,4\n");
    fclose(f);
    run_with_limited_memory(read_file, path);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_plain_rows),      cmocka_unit_test(skips_blank_lines_and_counts_them),
        cmocka_unit_test(knows_quotes),         cmocka_unit_test(guesses_the_separator),
        cmocka_unit_test(folds_runs_of_blanks), cmocka_unit_test(obeys_a_given_separator),
        cmocka_unit_test(knows_unicode),        cmocka_unit_test(refuses_what_is_no_table),
        cmocka_unit_test(bounds_rows),          cmocka_unit_test(stops_when_told),
        cmocka_unit_test(streams_files),        cmocka_unit_test(names_files_it_cannot_read),
        cmocka_unit_test(writes_what_it_reads), cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
