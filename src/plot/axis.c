/* plot/axis.c - see plot/axis.h. Labels use a real minus sign and powers of ten with raised exponents. */
#include "plot/axis.h"

#include "base/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Quantiles of more values than this are taken from an even subset. */
enum { MOST_SORTED = 200000 };

double tw_quantile(int64_t count, double *values, double share)
{
    qsort(values, (size_t)count, sizeof *values, tw_by_value);
    return values[(int64_t)(share * (double)(count - 1))];
}

tw_axis tw_axis_widen(double low, double high, double share)
{
    double air = share * (high - low);
    /* Halving first: the span of the whole double range overflows. */
    if (!(high - low > 1e-9 * fmax(fabs(low), fabs(high)))) air = fmax(0.5, 0.05 * fabs(low));
    if (!isfinite(air)) air = 0;
    return (tw_axis){fmax(low - air, -1e300), fmin(high + air, 1e300), false};
}

tw_axis tw_axis_of_all(int64_t rows, const double *values, int64_t stride)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t i = 0; i < rows; i++)
        if (fabs(values[i * stride]) <= 1e300) {
            low = fmin(low, values[i * stride]);
            high = fmax(high, values[i * stride]);
        }
    return low <= high ? tw_axis_widen(low, high, 0.04) : (tw_axis){0, 1, false};
}

tw_status tw_axis_of_values(tw_context *ctx, int64_t rows, const double *values, int64_t stride, tw_axis *out_axis)
{
    int64_t step = 1 + rows / MOST_SORTED, count = 0;
    double *sorted = tw_alloc(ctx, (size_t)(rows / step + 1), sizeof *sorted);
    if (!sorted) return tw_fail_memory(ctx, (size_t)(rows / step + 1) * sizeof *sorted);
    for (int64_t i = 0; i < rows; i += step)
        if (fabs(values[i * stride]) <= 1e300) sorted[count++] = values[i * stride];
    *out_axis = (tw_axis){0, 1, false};
    if (count > 0) {
        qsort(sorted, (size_t)count, sizeof *sorted, tw_by_value);
        double low = sorted[(int64_t)(0.005 * (double)(count - 1))];
        double high = sorted[(int64_t)ceil(0.995 * (double)(count - 1))], span = high - low;
        if (sorted[0] > low - 0.15 * span) low = sorted[0];
        if (sorted[count - 1] < high + 0.15 * span) high = sorted[count - 1];
        *out_axis = tw_axis_widen(low, high, 0.06);
    }
    tw_free(ctx, sorted);
    return TW_OK;
}

tw_axis tw_axis_join(tw_axis a, tw_axis b)
{
    return (tw_axis){fmin(a.low, b.low), fmax(a.high, b.high), a.log};
}

double tw_axis_at(tw_axis axis, double value)
{
    if (axis.log) return (log(value) - log(axis.low)) / (log(axis.high) - log(axis.low));
    /* Quarters, as a span may overflow. */
    return (0.25 * value - 0.25 * axis.low) / (0.25 * axis.high - 0.25 * axis.low);
}

static void add_text(char *out, size_t size, const char *text)
{
    size_t length = strlen(out);
    snprintf(out + length, size - length, "%s", text);
}

static void add_power_of_ten(char *out, size_t size, int exponent)
{
    static const char *const raised[] = {"\u2070", "\u00B9", "\u00B2", "\u00B3", "\u2074",
                                         "\u2075", "\u2076", "\u2077", "\u2078", "\u2079"};
    char digits[16];
    snprintf(digits, sizeof digits, "%d", abs(exponent));
    add_text(out, size, exponent < 0 ? "10\u207B" : "10");
    for (const char *d = digits; *d; d++) add_text(out, size, raised[*d - '0']);
}

static void plain_label(double value, int decimals, char *out, size_t size)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(value));
    out[0] = 0;
    if (value < 0 && strtod(digits, NULL) != 0) add_text(out, size, "\u2212");
    if (decimals == 0 && fabs(value) >= 1e4 && fabs(value) < 1e15)
        tw_count_text((int64_t)(fabs(value) + 0.5), digits, sizeof digits);
    add_text(out, size, digits);
}

static void power_label(double value, int exponent, int decimals, char *out, size_t size)
{
    double mantissa = value / pow(10, exponent);
    out[0] = 0;
    if (value == 0) {
        add_text(out, size, "0");
    } else if (fabs(mantissa - 1) < 1e-9) {
        add_power_of_ten(out, size, exponent);
    } else {
        plain_label(mantissa, decimals, out, size);
        add_text(out, size, "\u00B7");
        add_power_of_ten(out, size, exponent);
    }
}

static void linear_ticks(tw_axis axis, double wanted, tw_ticks *ticks)
{
    double raw = (axis.high / fmax(1, wanted) - axis.low / fmax(1, wanted));
    int exponent = (int)floor(log10(raw));
    double unit = pow(10, exponent), factor = raw / unit;
    factor = factor <= 1 ? 1 : factor <= 2 ? 2 : factor <= 5 ? 5 : 10;
    double step = factor * unit, greatest = fmax(fabs(axis.low), fabs(axis.high));
    int step_exponent = factor == 10 ? exponent + 1 : exponent, scale = (int)floor(log10(greatest));
    bool plain = greatest < 1e6 && step >= 1e-4;
    for (double k = ceil(axis.low / step); k * step <= axis.high && ticks->count < TW_TICKS; k++) {
        char *label = ticks->label[ticks->count];
        ticks->at[ticks->count++] = k * step;
        if (plain)
            plain_label(k * step, step_exponent < 0 ? -step_exponent : 0, label, sizeof ticks->label[0]);
        else
            power_label(k * step, scale, (int)fmin(6, fmax(0, scale - step_exponent)), label, sizeof ticks->label[0]);
    }
}

static void log_ticks(tw_axis axis, double wanted, tw_ticks *ticks)
{
    double low = log10(axis.low), high = log10(axis.high);
    int step = (int)fmax(1, ceil((high - low) / fmax(1, wanted)));
    bool between = high - low < 2.5;
    for (int e = (int)floor(low); e <= (int)ceil(high); e++)
        for (int m = 1; m <= 5; m = m == 1 ? 2 : m == 2 ? 5 : 6) {
            double value = m * pow(10, e);
            if (value < axis.low || value > axis.high || ticks->count == TW_TICKS) continue;
            if (m > 1 ? !between : ((e % step) + step) % step != 0) continue;
            char *label = ticks->label[ticks->count];
            ticks->at[ticks->count++] = value;
            if (e >= -3 && e <= 4)
                plain_label(value, e < 0 ? -e : 0, label, sizeof ticks->label[0]);
            else
                power_label(value, e, 0, label, sizeof ticks->label[0]);
        }
}

void tw_axis_ticks(tw_axis axis, double wanted, tw_ticks *out_ticks)
{
    /* One number alone says nothing about the scale. */
    for (int attempt = 0; attempt < 8; attempt++, wanted *= 1.5) {
        *out_ticks = (tw_ticks){0};
        if (axis.log)
            log_ticks(axis, wanted, out_ticks);
        else
            linear_ticks(axis, wanted, out_ticks);
        if (out_ticks->count >= 2) return;
    }
}

void tw_count_text(int64_t count, char *out, size_t size)
{
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    out[0] = 0;
    for (int i = 0; i < length; i++) {
        /* A thin space that does not break. */
        if (i > 0 && (length - i) % 3 == 0) add_text(out, size, "\u202F");
        add_text(out, size, (char[2]){digits[i], 0});
    }
}
