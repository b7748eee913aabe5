/* Ranges that survive any data, and round numbers along them. */
#include "plot/axis.h"
#include "plot/panel.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_labels(tw_axis axis, double wanted, int count, const char *const *labels)
{
    tw_ticks ticks;
    tw_axis_ticks(axis, wanted, &ticks);
    assert_int_equal(ticks.count, count);
    for (int k = 0; k < count; k++) assert_string_equal(ticks.label[k], labels[k]);
}

static void ticks_are_round(void **state)
{
    (void)state;
    assert_labels((tw_axis){-4.3, 4.3, false}, 5, 5, (const char *[]){"\u22124", "\u22122", "0", "2", "4"});
    assert_labels((tw_axis){0, 1, false}, 4, 3, (const char *[]){"0.0", "0.5", "1.0"});
    assert_labels((tw_axis){0, 50000, false}, 3, 3, (const char *[]){"0", "20\u202F000", "40\u202F000"});
    assert_labels((tw_axis){0, 2.2e7, false}, 3, 3, (const char *[]){"0", "10\u2077", "2\u00B710\u2077"});
    assert_labels((tw_axis){-2.5e-5, 2.5e-5, false}, 3, 3,
                  (const char *[]){"\u22122\u00B710\u207B\u2075", "0", "2\u00B710\u207B\u2075"});
    assert_labels((tw_axis){0.05, 200, true}, 6, 4, (const char *[]){"0.1", "1", "10", "100"});
    assert_labels((tw_axis){0.9, 6, true}, 6, 3, (const char *[]){"1", "2", "5"});
    assert_labels((tw_axis){1e-8, 1e-4, true}, 3, 3,
                  (const char *[]){"10\u207B\u2078", "10\u207B\u2076", "10\u207B\u2074"});
}

static void ticks_lie_inside_and_are_spaced_evenly(void **state)
{
    (void)state;
    static const double ends[] = {-1e300, -7e9, -123.4, -1, -3e-7, 0, 2e-9, 0.37, 1, 99.5, 1e6, 1e17, 1e300};
    for (int a = 0; a < TW_COUNT(ends); a++)
        for (int b = a + 1; b < TW_COUNT(ends); b++)
            for (double wanted = 1; wanted < 12; wanted += 2.5) {
                tw_ticks t;
                tw_axis_ticks((tw_axis){ends[a], ends[b], false}, wanted, &t);
                assert_true(t.count >= 2 && t.count <= TW_TICKS);
                for (int k = 0; k < t.count; k++) {
                    assert_true(t.at[k] >= ends[a] && t.at[k] <= ends[b]);
                    assert_true(t.label[k][0] != 0);
                    if (k < 2) continue;
                    double step = t.at[1] - t.at[0];
                    assert_true(fabs((t.at[k] - t.at[k - 1]) / step - 1) < 1e-6);
                    assert_string_not_equal(t.label[k], t.label[k - 1]);
                }
                double mantissa = (t.at[1] - t.at[0]) / pow(10, floor(log10((t.at[1] - t.at[0]) * 1.0000001)));
                assert_true(fabs(mantissa - 1) < 1e-6 || fabs(mantissa - 2) < 1e-6 || fabs(mantissa - 5) < 1e-6);
            }
}

static tw_axis range_of(int64_t rows, const double *values)
{
    tw_axis axis;
    assert_int_equal(tw_axis_of_values(ctx, rows, values, 1, &axis), TW_OK);
    assert_true(isfinite(axis.low) && isfinite(axis.high) && axis.low < axis.high);
    return axis;
}

static void ranges_survive_any_data(void **state)
{
    (void)state;
    static double values[1000];
    for (int i = 0; i < 1000; i++) values[i] = i / 999.0;
    tw_axis a = range_of(1000, values);
    assert_true(a.low < 0 && a.low > -0.1 && a.high > 1 && a.high < 1.1);
    values[0] = -1e9, values[5] = (double)NAN, values[7] = HUGE_VAL, values[8] = -HUGE_VAL, values[9] = 1e308;
    a = range_of(1000, values);
    assert_true(a.low < 0.01 && a.low > -0.2 && a.high > 0.99 && a.high < 1.2);
    assert_true(range_of(0, values).high == 1);
    values[0] = 3;
    a = range_of(1, values);
    assert_true(a.low < 3 && a.high > 3);
    for (int i = 0; i < 10; i++) values[i] = (double)NAN;
    assert_true(range_of(10, values).low == 0);
    values[0] = -1e300, values[1] = 1e300;
    range_of(2, values);
    values[0] = 1e17, values[1] = 1e17;
    range_of(2, values);
    values[0] = 0, values[1] = 5e-324;
    range_of(2, values);
    a = tw_axis_of_all(10, values, 1);
    assert_true(a.low < a.high);
    assert_true(tw_axis_at((tw_axis){-1e300, 1e300, false}, 0) == 0.5);
    assert_true(fabs(tw_axis_at((tw_axis){0.01, 100, true}, 1) - 0.5) < 1e-15);
}

static void counts_and_histograms(void **state)
{
    (void)state;
    char text[80];
    tw_count_text(0, text, sizeof text);
    assert_string_equal(text, "0");
    tw_count_text(999, text, sizeof text);
    assert_string_equal(text, "999");
    tw_count_text(1234567, text, sizeof text);
    assert_string_equal(text, "1\u202F234\u202F567");
    tw_tally_text((tw_tally){1, 0, 0}, text, sizeof text);
    assert_string_equal(text, "1 point");
    tw_tally_text((tw_tally){5, 2, 3}, text, sizeof text);
    assert_string_equal(text, "10 points, 2 outside, 3 not finite");
    double values[6] = {0.1, 0.1, 0.6, 0.9, 7, (double)NAN}, height[2];
    tw_histogram((tw_axis){0, 1, false}, 6, values, 1, 2, height);
    assert_true(fabs(height[0] - 2 / 5.0 / 0.5) < 1e-15 && fabs(height[1] - 2 / 5.0 / 0.5) < 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(ticks_lie_inside_and_are_spaced_evenly),
        cmocka_unit_test(ranges_survive_any_data),
        cmocka_unit_test(counts_and_histograms),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
