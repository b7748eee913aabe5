/* Strings, numbers to text and back in any locale, JSON strings, misspelt names; contexts and failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "base/text.h"
#include "support/limited_memory.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

static void check_double(double value, const char *expected)
{
    tw_text text = tw_text_new(ctx);
    tw_text_add_double(&text, value, false);
    assert_string_equal(text.data, expected);
    tw_text_free(&text);
}

static void test_doubles_to_text(void **state)
{
    (void)state;
    check_double(0.0, "0");
    check_double(-0.0, "-0");
    check_double(0.1, "0.1");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(5e-324, "5e-324");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    check_double(9007199254740993.0, "9007199254740992");
    check_double(123456789.0, "123456789");
    check_double((double)NAN, "nan");
    check_double(-(double)INFINITY, "-inf");
    tw_text text = tw_text_new(ctx);
    tw_text_add_double(&text, (double)NAN, true);
    tw_text_add_double(&text, (double)INFINITY, true);
    assert_string_equal(text.data, "nullnull");
    tw_text_free(&text);
}

static void round_trips(void)
{
    tw_random random = {.seed = 1};
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)tw_random_u32(&random) << 32 | tw_random_u32(&random);
        double value, back;
        memcpy(&value, &bits, 8);
        if (i % 2) value = (double)(int64_t)(bits % 2000001) / 1000 - 1000;
        if (i % 50 == 0) value = ldexp((double)(bits >> 40), -1074);
        if (!isfinite(value)) continue;
        tw_text text = tw_text_new(ctx);
        tw_text_add_double(&text, value, true);
        assert_null(strchr(text.data, ','));
        assert_true(tw_parse_double(text.data, text.length, &back));
        assert_memory_equal(&value, &back, 8);
        tw_text_free(&text);
    }
}

static void test_round_trips_in_any_locale(void **state)
{
    (void)state;
    round_trips();
    const char *comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C.UTF-8"};
    for (int i = 0; i < TW_COUNT(comma); i++)
        if (setlocale(LC_ALL, comma[i])) {
            round_trips();
            break;
        }
    setlocale(LC_ALL, "C");
}

static bool parse(const char *text, double *value)
{
    return tw_parse_double(text, strlen(text), value);
}

static void test_parse_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"1", 1},
                {" -2.5e3\t", -2500},
                {"+.5", 0.5},
                {"5.", 5},
                {"1e-400", 0},
                {"1e400", (double)INFINITY},
                {"inf", (double)INFINITY},
                {"-Infinity", -(double)INFINITY},
                {"0.0000000000000000000000000000000000000001", 1e-40},
                {"1797693134862315700000000000000e278", 1.7976931348623157e308},
                {"4.9406564584124654e-324", 4.9406564584124654e-324},
                {"2.2250738585072011e-308", 2.2250738585072011e-308},
                {"9007199254740993", 9007199254740992.0},
                {"9007199254740993.0000000000000000000000000000001", 9007199254740994.0},
                {"1e0000000000000000000000000000000000000001", 10},
                {"0e99999999999999999999", 0}};
    double value = 0;
    for (int i = 0; i < TW_COUNT(good); i++) {
        assert_true(parse(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    assert_true(parse("NaN", &value) && isnan(value));
    assert_true(parse("-0", &value) && value == 0 && signbit(value));
    static const char *const bad[] = {"",     " ",   ".",   "-",   "+",    "e5",   "1e",    "1e+",
                                      "0x10", "1,5", "1 2", "--1", "infi", "nano", "1.2.3", "1f"};
    for (int i = 0; i < TW_COUNT(bad); i++) assert_false(parse(bad[i], &value));
    assert_true(tw_parse_double("123456", 3, &value) && value == 123); /* not zero-terminated */
    /* a tie broken only by the 900th digit */
    char text[1000];
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    assert_true(tw_parse_double(text, 1000, &value) && value == 9007199254740992.0);
    text[999] = '1';
    assert_true(tw_parse_double(text, 1000, &value) && value == 9007199254740994.0);
}

static void test_parse_int(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(tw_parse_int(" 42 ", &value) && value == 42);
    assert_true(tw_parse_int("-9223372036854775808", &value) && value == INT64_MIN);
    assert_true(tw_parse_int("9223372036854775807", &value) && value == INT64_MAX);
    static const char *const bad[] = {"",    "-",  "9223372036854775808", "-9223372036854775809", "1.0", "1e3", "x",
                                      "1 2", "0x1"};
    for (int i = 0; i < TW_COUNT(bad); i++) assert_false(tw_parse_int(bad[i], &value));
    assert_true(value == INT64_MAX);
}

static void test_json_strings(void **state)
{
    (void)state;
    tw_text text = tw_text_new(ctx);
    tw_text_add_json_string(&text, "a\"\\\n\x01 \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80");
    assert_string_equal(text.data, "\"a\\\"\\\\\\n\\u0001 \xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
    tw_text_free(&text);
    /* lone continuation, overlong slash, surrogate, cut short, beyond U+10FFFF: each wrong byte becomes U+FFFD */
    static const struct {
        const char *bytes;
        int wrong;
    } invalid[] = {{"\x80", 1},     {"\xC0\xAF", 2},         {"\xED\xA0\x80", 3},
                   {"\xE2\x82", 2}, {"\xF4\x90\x80\x80", 4}, {"\xFF", 1}};
    for (int i = 0; i < TW_COUNT(invalid); i++) {
        tw_text_add_json_string(&text, invalid[i].bytes);
        assert_int_equal(text.length, 2 + 3 * invalid[i].wrong);
        assert_memory_equal(text.data + 1, "\xEF\xBF\xBD", 3);
        tw_text_free(&text);
    }
}

static void test_growing(void **state)
{
    (void)state;
    tw_text text = tw_text_new(ctx);
    for (int i = 0; i < 5000; i++) tw_text_add(&text, "%d,", i % 10);
    assert_int_equal(text.length, 10000);
    char *wide = malloc(3000);
    memset(wide, 'x', 2999);
    wide[2999] = 0;
    tw_text_add(&text, "<%s>", wide); /* longer than the small buffer */
    assert_int_equal(text.length, 13001);
    assert_int_equal(strlen(text.data), 13001);
    assert_int_equal(tw_text_check(&text), TW_OK);
    free(wide);
    tw_text_free(&text);
}

static void test_nearest_name(void **state)
{
    (void)state;
    static const char *const names[] = {"learning_rate", "batch", "steps", "depth", "width", "lr"};
#define NEAR(word) tw_nearest_name(word, names, TW_COUNT(names))
    assert_string_equal(NEAR("learning-rate"), "learning_rate");
    assert_string_equal(NEAR("LEARNIGN_RATE"), "learning_rate");
    assert_string_equal(NEAR("bacth"), "batch");
    assert_string_equal(NEAR("step"), "steps");
    assert_string_equal(NEAR("rl"), "lr");
    assert_null(NEAR("zebra"));
    assert_null(NEAR("x"));
    assert_null(NEAR(""));
#undef NEAR
    assert_null(tw_nearest_name("steps", names, 0));
}

/* --- contexts and memory ------------------------------------------------------------------------------------ */

static bool use_memory(tw_context *c)
{
    int64_t capacity = 0;
    int *numbers = NULL;
    tw_text text = tw_text_new(c);
    tw_text_add(&text, "%s", "some text that is longer than the first small block of a text object, to make it grow");
    tw_text_add_json_string(&text, "and more and more and more and more and more and more and more and more and more");
    char *copy = tw_strdup(c, "copy");
    double *aligned = tw_alloc_aligned(c, 1000);
    bool ok = tw_text_check(&text) == TW_OK && copy && aligned &&
              tw_grow(c, &numbers, &capacity, 100, sizeof *numbers) == TW_OK;
    if (aligned) assert_true(((uintptr_t)aligned & 63) == 0 && aligned[124] == 0);
    if (ok) {
        for (int i = 0; i < 100; i++) assert_int_equal(numbers[i], 0), numbers[i] = i;
        ok = tw_grow(c, &numbers, &capacity, 101, sizeof *numbers) == TW_OK;
        if (ok) assert_true(numbers[99] == 99 && numbers[100] == 0 && capacity >= 101);
    }
    if (!ok) assert_true(tw_context_error(c)[0] != 0 || !copy || !aligned);
    tw_text_free(&text);
    tw_free(c, copy);
    tw_free(c, numbers);
    tw_free_aligned(c, aligned);
    return ok;
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    bool done = false;
    for (int64_t n = 0; !done && n < 100; n++) {
        limited_memory c = {.armed = true, .left = n};
        tw_context *small =
            tw_context_create(&(tw_context_desc){.threads = 2, .alloc = limited_alloc, .alloc_user = &c});
        if (small) done = use_memory(small);
        tw_context_destroy(small);
        assert_int_equal(c.alive, 0);
    }
    assert_true(done);
}

static void test_contexts(void **state)
{
    (void)state;
    assert_string_equal(tw_version(), TW_VERSION);
    assert_string_equal(tw_status_text(TW_ERR_MEMORY), "out of memory");
    assert_non_null(tw_status_text((tw_status)999));
    tw_context_destroy(NULL);
    tw_context *c = tw_context_create(NULL);
    assert_string_equal(tw_context_error(c), "");
    assert_int_equal(tw_fail(c, TW_ERR_SHAPE, "first %d", 1), TW_ERR_SHAPE);
    assert_int_equal(tw_fail(c, TW_ERR_IO, "second after '%s'", tw_context_error(c)),
                     TW_ERR_IO); /* may quote the last one */
    assert_string_equal(tw_context_error(c), "second after 'first 1'");
    char longer[3000];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    assert_int_equal(tw_fail(c, TW_ERR_IO, "%s", longer), TW_ERR_IO);
    assert_int_equal(strlen(tw_context_error(c)), sizeof c->error - 1);
    assert_null(tw_alloc(c, SIZE_MAX / 2, 4));
    assert_null(tw_alloc(c, SIZE_MAX, 1));
    assert_null(tw_alloc_aligned(c, SIZE_MAX - 8));
    void *empty = tw_alloc(c, 0, 8);
    assert_non_null(empty);
    tw_free(c, empty);
    tw_context_destroy(c);
}

static void keep_message(void *user, tw_log_level level, const char *message)
{
    snprintf(user, 64, "%d %s", (int)level, message);
}

static void test_log(void **state)
{
    (void)state;
    char kept[64] = "";
    tw_context *c = tw_context_create(&(tw_context_desc){.threads = 1, .log = keep_message, .log_user = kept});
    tw_report(c, TW_LOG_WARNING, "%d rows", 5);
    assert_string_equal(kept, "2 5 rows");
    tw_context_destroy(c);
    tw_report(ctx, TW_LOG_INFO, "dropped");
}

static void test_random(void **state)
{
    (void)state;
    tw_random r = {.seed = 5, .stream = 2};
    double mean = 0, square = 0;
    int64_t cells[7] = {0};
    enum { N = 200000 };
    for (int i = 0; i < N; i++) {
        double u = tw_random_uniform(&r), z = tw_random_normal(&r);
        assert_true(u > 0 && u < 1);
        mean += z / N, square += z * z / N;
        cells[tw_random_below(&r, 7)]++;
    }
    assert_true(fabs(mean) < 5 / sqrt(N) && fabs(square - 1) < 5 * sqrt(2.0 / N)); /* five standard errors */
    double chi = 0;
    for (int i = 0; i < 7; i++) chi += ((double)cells[i] - N / 7.0) * ((double)cells[i] - N / 7.0) / (N / 7.0);
    assert_true(chi < 27.9); /* 6 degrees of freedom, 99.99 % */
    tw_random a = {.seed = 5, .index = 1000}, b = {.seed = 5};
    for (int i = 0; i < 1000; i++) (void)tw_random_u32(&b);
    assert_int_equal(tw_random_u32(&a), tw_random_u32(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_to_text), cmocka_unit_test(test_round_trips_in_any_locale),
        cmocka_unit_test(test_parse_double),    cmocka_unit_test(test_parse_int),
        cmocka_unit_test(test_json_strings),    cmocka_unit_test(test_growing),
        cmocka_unit_test(test_nearest_name),    cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_contexts),        cmocka_unit_test(test_log),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
