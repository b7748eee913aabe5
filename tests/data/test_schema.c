/* What the columns of a table hold: kinds found and overruled, cells written as the file has them, codes and back, and
 * the exact sentence for what is refused. Every case is a file x.csv in a folder of its own. */
#include "data/schema.h"

#include "base/philox.h"
#include "support/context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void write_file(const char *text)
{
    FILE *f = fopen("x.csv", "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static void find(tw_context *ctx, const char *text, const char *kinds, tw_schema *schema, tw_cells *cells)
{
    write_file(text);
    if (tw_schema_find(ctx, "x.csv", NULL, kinds, schema, cells) != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

/* "age integer, sex yesno" */
static void expect_kinds(tw_context *ctx, const char *text, const char *kinds, const char *expected)
{
    tw_schema s;
    tw_cells cells;
    tw_text found = tw_text_new(ctx);
    find(ctx, text, kinds, &s, &cells);
    for (int i = 0; i < s.columns; i++)
        tw_text_add(&found, "%s%s %s", i ? ", " : "", s.column[i].name, tw_kind_list((int)s.column[i].kind)->name);
    assert_string_equal(found.data, expected);
    tw_text_free(&found);
    tw_schema_free(&s);
    tw_cells_free(&cells);
}

static void refuse(tw_context *ctx, const char *text, const char *kinds, const char *sentence)
{
    tw_schema s;
    tw_cells cells;
    write_file(text);
    if (tw_schema_find(ctx, "x.csv", NULL, kinds, &s, &cells) == TW_OK) fail_msg("accepted: %s", text);
    assert_string_equal(tw_context_error(ctx), sentence);
}

/* Rows of every kind: 60 people, some cells missing. */
static char *people(tw_context *ctx)
{
    tw_text t = tw_text_new(ctx);
    tw_random r = {.seed = 5, .stream = 1};
    tw_text_add(&t, "name,age,height,gain,city,sex,born,lat,lon,wind_dir,children\n");
    for (int i = 0; i < 240; i++) {
        double u = tw_random_uniform(&r);
        tw_text_add(&t, "n%d,", i);
        if (u < 0.1)
            tw_text_add(&t, ",");
        else
            tw_text_add(&t, "%d,", 18 + (int)tw_random_below(&r, 60));
        tw_text_add(&t, "%.2f,", 1.7 + 0.1 * tw_random_normal(&r));
        tw_text_add(&t, "%d,", u < 0.7 ? 0 : (int)exp(8 + 2 * tw_random_normal(&r)));
        tw_text_add(&t, "%s,", (const char *const[]){"Rome", "\"Bonn, old\"", "Oslo", "?"}[tw_random_below(&r, 4)]);
        tw_text_add(&t, "%s,", tw_random_below(&r, 2) ? "F" : "M");
        tw_text_add(&t, "19%02d-0%d-1%d,", (int)tw_random_below(&r, 100), 1 + (int)tw_random_below(&r, 9),
                    (int)tw_random_below(&r, 10));
        tw_text_add(&t, "%.3f,%.3f,", -60 + 120 * tw_random_uniform(&r), -170 + 340 * tw_random_uniform(&r));
        tw_text_add(&t, "%d,%d\n", (int)tw_random_below(&r, 360), (int)tw_random_below(&r, 5));
    }
    return t.data;
}

static void finds_kinds(void **state)
{
    tw_context *ctx = *state;
    char *file = people(ctx);
    expect_kinds(ctx, file, NULL,
                 "name skip, age integer, height number, gain integer, city category, sex yesno, born date, "
                 "lat latitude, lon longitude, wind_dir degrees, children integer");
    expect_kinds(ctx, file, "age=number, city=skip,children = category",
                 "name skip, age number, height number, gain integer, city skip, sex yesno, born date, "
                 "lat latitude, lon longitude, wind_dir degrees, children category");
    tw_free(ctx, file);
    /* a small region is flat, a latitude alone a number */
    expect_kinds(ctx, "lat,lon,y\n50.1,7.5,1\n50.2,7.25,2\n50.3,8.5,4\n", NULL, "lat number, lon number, y integer");
    expect_kinds(ctx, "lat,y\n50.1,1\n-50.2,2\n50.3,4\n", NULL, "lat number, y integer");
    expect_kinds(ctx, "a\n2024-01-01T10:00\n2024-01-02 11:30:10\n", NULL, "a date");
}

static void refuses(void **state)
{
    tw_context *ctx = *state;
    refuse(ctx, "a,b\n1,2\n3,x\n5,6\n", "b=number", "x.csv:3: column 'b': 'x' is not a number");
    refuse(ctx, "a,b\n1,2\n3,4\n", "b=integr", "column: no kind 'integr': did you mean 'integer'?");
    refuse(ctx, "age,b\n1,2\n3,4\n", "aeg=skip", "x.csv: no column 'aeg': did you mean 'age'?");
    refuse(ctx, "a,b\n1,2\n3,4\n", "b", "column: 'b': expected NAME=KIND, such as age=integer");
    refuse(ctx, "a,b\n1,2024-01-01\n3,2024-13-01\n", "b=date",
           "x.csv:3: column 'b': '2024-13-01' is not a date such as 2024-02-29");
    refuse(ctx, "a,lat\n1,2\n3,4\n", "lat=latitude", "x.csv: column 'lat' is a latitude, and there is no longitude");
    refuse(ctx, "a,b\n1,\n2,\n", "b=number", "x.csv: column 'b' is empty");
    refuse(ctx, "a,b\n1,inf\n2,3\n", "b=number", "x.csv:2: column 'b': 'inf' is not finite");
    tw_schema s;
    tw_cells cells;
    find(ctx, "a,sex\n1,F\n3,M\n4,F\n", NULL, &s, &cells);
    tw_cells_free(&cells);
    write_file("a,sex\n1,F\n3,\n7,X\n");
    assert_int_equal(tw_schema_read(&s, "x.csv", NULL, false, &cells), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(ctx), "x.csv:4: column 'sex': 'X' is none of its levels");
    assert_int_equal(tw_schema_read(&s, "x.csv", NULL, true, &cells), TW_OK);
    assert_true(isnan(cells.value[5]));
    assert_int_equal(cells.line[2], 4);
    tw_cells_free(&cells);
    tw_schema_free(&s);
}

/* The file again, but for the column left out and the spelling of what stands in quotes without need. */
static void writes_what_it_read(void **state)
{
    tw_context *ctx = *state;
    char *file = people(ctx);
    tw_schema s;
    tw_cells cells;
    tw_text again = tw_text_new(ctx), expected = tw_text_new(ctx);
    find(ctx, file, NULL, &s, &cells);
    tw_schema_write_header(&s, &again);
    for (int64_t r = 0; r < cells.rows; r++) tw_schema_write_row(&s, cells.value + r * cells.columns, &again);
    for (const char *line = file; *line; line = strchr(line, '\n') + 1) {
        const char *rest = strchr(line, ',') + 1; /* behind the name */
        tw_text_add_bytes(&expected, rest, (size_t)(strchr(rest, '\n') + 1 - rest));
    }
    assert_string_equal(again.data, expected.data);
    tw_text_free(&again);
    tw_text_free(&expected);
    tw_schema_free(&s);
    tw_cells_free(&cells);
    tw_free(ctx, file);
}

static void same_cells(const tw_schema *s, const double *cells, const double *back)
{
    for (int i = 0; i < s->columns; i++) {
        if (s->column[i].kind == TW_KIND_skip) continue;
        if (isnan(cells[i]) != isnan(back[i]) || fabs(cells[i] - back[i]) > 1e-9 * fabs(cells[i]))
            fail_msg("column %s: %g came back as %g", s->column[i].name, cells[i], back[i]);
    }
}

static void codes_come_back(void **state)
{
    tw_context *ctx = *state;
    char *file = people(ctx);
    tw_schema s, loaded;
    tw_cells cells;
    tw_text space = tw_text_new(ctx), json = tw_text_new(ctx), again = tw_text_new(ctx);
    find(ctx, file, NULL, &s, &cells);
    assert_int_equal(tw_schema_fit(&s, &cells, cells.rows, 3), TW_OK);
    tw_schema_space(&s, &space);
    /* age, height, gain, born; the place; the wind. Age has gaps, gain zeros, the city four levels, one of them a gap
     */
    assert_string_equal(space.data, "euclidean*4 + sphere*2 + torus:360,0*1 + tokens:2*2 + tokens:4*1 + tokens:2*1 + "
                                    "tokens:5*1");
    tw_schema_save(&s, &json);
    assert_int_equal(tw_schema_load(ctx, json.data, &loaded), TW_OK);
    tw_schema_save(&loaded, &again);
    assert_string_equal(json.data, again.data);
    assert_int_equal(loaded.codes, s.codes);
    double codes[16], back[16], other[16];
    for (int64_t r = 0; r < cells.rows; r++) {
        tw_schema_encode(&s, cells.value + r * cells.columns, 3, r, false, codes);
        tw_schema_decode(&s, codes, back);
        same_cells(&s, cells.value + r * cells.columns, back);
        tw_schema_encode(&loaded, cells.value + r * cells.columns, 3, r, true, other);
        tw_schema_decode(&loaded, other, back);
        for (int k = 0; k < s.codes; k++)
            if (!isnan(codes[k]) && !isnan(other[k])) assert_true(codes[k] == other[k]);
    }
    tw_schema_free(&loaded);
    json.data[json.length / 2] = ']';
    assert_int_equal(tw_schema_load(ctx, json.data, &loaded), TW_ERR_FORMAT);
    tw_text_free(&space);
    tw_text_free(&json);
    tw_text_free(&again);
    tw_schema_free(&s);
    tw_cells_free(&cells);
    tw_free(ctx, file);
}

/* Whatever the law of a column, its scores are normal: mean 0, variance 1, fourth moment 3, within four deviations. */
static void scores_are_normal(void **state)
{
    tw_context *ctx = *state;
    enum { ROWS = 4000 };
    static double values[ROWS], sorted[ROWS];
    tw_random r = {.seed = 9, .stream = 1};
    for (int i = 0; i < ROWS; i++) values[i] = sorted[i] = exp(3 * tw_random_normal(&r)) * (i % 3 ? 1 : -1);
    tw_quantiles q;
    assert_int_equal(tw_quantiles_fit(ctx, ROWS, sorted, &q), TW_OK);
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < ROWS; i++) {
        double z = tw_quantiles_score(&q, values[i]);
        assert_true(fabs(tw_quantiles_value(&q, z) - values[i]) <= 1e-9 * fabs(values[i]));
        sum += z, square += z * z, fourth += z * z * z * z;
    }
    assert_true(fabs(sum / ROWS) < 4 / sqrt(ROWS));
    assert_true(fabs(square / ROWS - 1) < 4 * sqrt(2.0 / ROWS));
    assert_true(fabs(fourth / ROWS - 3) < 4 * sqrt(96.0 / ROWS));
    tw_quantiles_free(ctx, &q);
    /* scipy.stats.norm.ppf */
    assert_true(fabs(tw_normal_quantile(0.975) - 1.959963984540054) < 1e-14);
    assert_true(fabs(tw_normal_quantile(1e-10) + 6.361340902404056) < 1e-12);
    assert_true(tw_normal_quantile(0.5) == 0 || fabs(tw_normal_quantile(0.5)) < 1e-15);
}

/* Thirty rows of three shares of `total` with one digit behind the point, a number before them; the row that has a gap.
 */
static char *soils(tw_context *ctx, int total, int gap)
{
    tw_text t = tw_text_new(ctx);
    tw_random r = {.seed = 8, .stream = 1};
    tw_text_add(&t, "ph,sand,silt,clay\n");
    for (int i = 0; i < 30; i++) {
        int sand = (int)tw_random_below(&r, (uint32_t)(10 * total)),
            silt = (int)tw_random_below(&r, (uint32_t)(10 * total - sand));
        tw_text_add(&t, "%.2f,%.1f,", 5 + 3 * tw_random_uniform(&r), 0.1 * sand);
        if (i == gap)
            tw_text_add(&t, ",");
        else
            tw_text_add(&t, "%.1f,", 0.1 * silt);
        tw_text_add(&t, "%.1f\n", 0.1 * (10 * total - sand - silt));
    }
    return t.data;
}

static void finds_shares(void **state)
{
    tw_context *ctx = *state;
    char *percent = soils(ctx, 100, -1), *other = soils(ctx, 24, -1), *gaps = soils(ctx, 100, 6);
    expect_kinds(ctx, percent, NULL, "ph number, sand share, silt share, clay share");
    expect_kinds(ctx, gaps, NULL, "ph number, sand share, silt share, clay share");
    expect_kinds(ctx, percent, "silt=number", "ph number, sand number, silt number, clay number");
    expect_kinds(ctx, other, NULL, "ph number, sand number, silt number, clay number"); /* of a day, who knows */
    expect_kinds(ctx, other, "sand=share,silt=share,clay=share", "ph number, sand share, silt share, clay share");
    refuse(ctx, "a,b,c\n1,2,3\n1,2,9\n", "a=share,b=share,c=share", "x.csv:3: shares 'a' to 'c' do not add up to 6");
    tw_text few = tw_text_new(ctx); /* small whole numbers add up to about 1 by chance */
    tw_text_add(&few, "a,b\n");
    for (int i = 0; i < 40; i++) tw_text_add(&few, "%d,%d\n", i % 3, i % 3 ? 0 : i % 2);
    expect_kinds(ctx, few.data, NULL, "a integer, b yesno");
    tw_text_free(&few);
    few = tw_text_new(ctx);
    tw_text_add(&few, "a,b\n");
    for (int i = 0; i < 60; i++)
        tw_text_add(&few, "%d,%d\n", i % 3, i % 3 == 2 ? 0 : (i / 3) % 2 + (i % 3 == 0) * (i % 2));
    expect_kinds(ctx, few.data, NULL, "a integer, b integer");
    tw_text_free(&few);
    refuse(ctx, percent, "clay=share", "x.csv: column 'clay' is a share, and none stands beside it");
    refuse(ctx, "a,b\n-1,2\n3,-2\n", "a=share,b=share", "x.csv: column 'a': shares are not below 0, and there is -1");
    tw_free(ctx, percent);
    tw_free(ctx, other);
    tw_free(ctx, gaps);
}

/* A point of the simplex and a token for the row that has a gap; whatever comes back has the sum, in the file's digits.
 */
static void shares_are_points(void **state)
{
    tw_context *ctx = *state;
    char *file = soils(ctx, 100, 6);
    tw_schema s, again;
    tw_cells cells;
    tw_text text = tw_text_new(ctx), space = tw_text_new(ctx);
    tw_random random = {.seed = 2, .stream = 1};
    find(ctx, file, NULL, &s, &cells);
    assert_int_equal(tw_schema_fit(&s, &cells, cells.rows, 1), TW_OK);
    tw_schema_save(&s, &text);
    assert_int_equal(tw_schema_load(ctx, text.data, &again), TW_OK);
    tw_schema_space(&again, &space);
    assert_string_equal(space.data, "euclidean*1 + simplex*3 + tokens:2*1");
    double codes[5], back[4];
    for (int64_t r = 0; r < cells.rows; r++) {
        const double *row = cells.value + 4 * r;
        tw_schema_encode(&again, row, 1, r, false, codes);
        tw_schema_decode(&again, codes, back);
        assert_true(codes[4] == (r == 6));
        for (int k = 1; k < 4; k++)
            assert_true(r == 6 ? isnan(codes[k]) && isnan(back[k])
                               : fabs(codes[k] - row[k] / 100) < 1e-12 && fabs(back[k] - row[k]) < 1e-9);
    }
    for (int i = 0; i < 1000; i++) { /* of any point, and of one whose first part is known */
        double sum = 0, tenths = 0;
        for (int k = 1; k < 4; k++) sum += codes[k] = i % 7 == k ? 0 : tw_random_uniform(&random);
        for (int k = 1; k < 4; k++) codes[k] /= sum;
        const double known[] = {(double)NAN, 0.1 * (i % 1000), (double)NAN, (double)NAN};
        tw_schema_decode(&again, codes, back);
        for (int turn = 0; turn < 2; turn++) {
            for (int k = 1; k < 4; k++) {
                tenths += floor(10 * back[k] + 0.5);
                assert_true(back[k] >= 0 && fabs(10 * back[k] - floor(10 * back[k] + 0.5)) < 1e-9);
                assert_true(turn || fabs(back[k] - 100 * codes[k]) < 0.1 + 1e-9);
            }
            assert_true(tenths == 1000 * (turn + 1));
            back[1] = known[1];
            tw_schema_agree(&again, known, back);
        }
    }
    tw_schema_free(&s);
    tw_schema_free(&again);
    tw_cells_free(&cells);
    tw_text_free(&text);
    tw_text_free(&space);
    tw_free(ctx, file);
}

/* What a damaged file says of groups is not believed. */
static void groups_are_checked(void **state)
{
    static const char *const wrong[][2] = {{"\"group\": 1, \"rank\": 1", "\"group\": 1, \"rank\": 2"},
                                           {"\"group\": 1, \"rank\": 2", "\"group\": 2, \"rank\": 2"},
                                           {"\"group\": -1", "\"group\": 1"},
                                           {"\"total\": 100", "\"total\": 0"}};
    tw_context *ctx = *state;
    char *file = soils(ctx, 100, -1);
    tw_schema s;
    tw_cells cells;
    tw_text text = tw_text_new(ctx);
    find(ctx, file, NULL, &s, &cells);
    tw_schema_save(&s, &text);
    for (int i = 0; i < TW_COUNT(wrong); i++) {
        tw_text damaged = tw_text_new(ctx);
        const char *at = strstr(text.data, wrong[i][0]);
        assert_non_null(at);
        tw_text_add(&damaged, "%.*s%s%s", (int)(at - text.data), text.data, wrong[i][1], at + strlen(wrong[i][0]));
        tw_schema other;
        assert_int_equal(tw_schema_load(ctx, damaged.data, &other), TW_ERR_FORMAT);
        tw_text_free(&damaged);
    }
    tw_schema_free(&s);
    tw_cells_free(&cells);
    tw_text_free(&text);
    tw_free(ctx, file);
}

static void knows_the_calendar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double days; /* Python: (datetime - datetime(1970, 1, 1)) / timedelta(days=1) */
    } dates[] = {{"1970-01-01", 0},
                 {"2000-02-29", 11016},
                 {"1900-03-01", -25508},
                 {"0001-01-01", -719162},
                 {"2024-12-31T23:59:59", 20088.999988425927},
                 {"1969-12-31 12:00", -0.5}};
    double days;
    tw_date_form form;
    char between, text[TW_DATE_ROOM];
    for (int i = 0; i < TW_COUNT(dates); i++) {
        assert_true(tw_date_parse(dates[i].text, &days, &form, &between));
        assert_true(fabs(days - dates[i].days) < 1e-9);
        tw_date_print(days, form, between, text);
        assert_string_equal(text, dates[i].text);
    }
    static const char *const none[] = {"2023-02-29", "2024-1-01", "2024-01-01x", "2024-01-01T24:00", "20240101", ""};
    for (int i = 0; i < TW_COUNT(none); i++) assert_false(tw_date_parse(none[i], &days, &form, &between));
}

int main(void)
{
    char folder[] = "/tmp/thalweg_schema_XXXXXX";
    if (!mkdtemp(folder) || chdir(folder) != 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_kinds),     cmocka_unit_test(refuses),           cmocka_unit_test(writes_what_it_read),
        cmocka_unit_test(codes_come_back), cmocka_unit_test(scores_are_normal), cmocka_unit_test(knows_the_calendar),
        cmocka_unit_test(finds_shares),    cmocka_unit_test(shares_are_points), cmocka_unit_test(groups_are_checked),
    };
    int failed = cmocka_run_group_tests(tests, open_context, close_context);
    unlink("x.csv");
    if (chdir("/") == 0) rmdir(folder);
    return failed;
}
