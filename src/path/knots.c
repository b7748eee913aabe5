/* path/knots.c - see knots.h. */
#include "path/knots.h"

#include <math.h>

static const double half_pi = 1.57079632679489661923;

static double time_at(const tw_schedule *s, int64_t row)
{
    return s->value[3 * row];
}
static double place_at(const tw_schedule *s, int64_t row)
{
    return atan2(s->value[3 * row + 1], s->value[3 * row + 2]) / half_pi;
}
static double radius_at(const tw_schedule *s, int64_t row)
{
    return hypot(s->value[3 * row + 1], s->value[3 * row + 2]);
}

typedef double (*quantity)(const tw_schedule *s, int64_t row);

static double secant(const tw_schedule *s, quantity f, int64_t bin)
{
    return (f(s, bin + 1) - f(s, bin)) / (time_at(s, bin + 1) - time_at(s, bin));
}

/* The slope at an end: that of the parabola for r, which may turn, held to at most three secants and no other sign; a
 * power of secants for y, which must grow (Gregory, Delbourgo 1982, eq. 3.2). */
static double end_slope(const tw_schedule *s, quantity f, int64_t near, int64_t next)
{
    double h0 = time_at(s, near + 1) - time_at(s, near), h1 = time_at(s, next + 1) - time_at(s, next);
    double at = secant(s, f, near), after = secant(s, f, next);
    if (f == place_at) return at * pow(at * (h0 + h1) / (at * h0 + after * h1), h0 / h1);
    double end = at + (at - after) * h0 / (h0 + h1);
    if (end * at <= 0) return 0;
    return fabs(end) > 3 * fabs(at) ? 3 * at : end;
}

/* The slope at a row: a weighted harmonic mean of the secants beside it, 0 where they differ in sign. */
static double slope(const tw_schedule *s, quantity f, int64_t row)
{
    int64_t bins = tw_knots_bins(s);
    if (bins == 1) return secant(s, f, 0);
    if (row > 0 && row < bins) {
        double before = secant(s, f, row - 1), after = secant(s, f, row);
        double h0 = time_at(s, row) - time_at(s, row - 1), h1 = time_at(s, row + 1) - time_at(s, row);
        if (before * after <= 0) return 0;
        return 3 * (h0 + h1) / ((2 * h1 + h0) / before + (h1 + 2 * h0) / after);
    }
    return row == 0 ? end_slope(s, f, 0, 1) : end_slope(s, f, bins - 1, bins - 2);
}

void tw_knots_bin(const tw_schedule *s, int64_t bin, double out[TW_BIN_NUMBERS])
{
    out[TW_BIN_T] = time_at(s, bin);
    out[TW_BIN_WIDTH] = time_at(s, bin + 1) - time_at(s, bin);
    out[TW_BIN_Y] = place_at(s, bin);
    out[TW_BIN_RISE] = place_at(s, bin + 1) - place_at(s, bin);
    out[TW_BIN_DY0] = slope(s, place_at, bin);
    out[TW_BIN_DY1] = slope(s, place_at, bin + 1);
    out[TW_BIN_R0] = radius_at(s, bin);
    out[TW_BIN_R1] = radius_at(s, bin + 1);
    out[TW_BIN_DR0] = slope(s, radius_at, bin);
    out[TW_BIN_DR1] = slope(s, radius_at, bin + 1);
}

int64_t tw_knots_find(const tw_schedule *s, bool by_place, double value)
{
    int64_t low = 0, high = tw_knots_bins(s);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (value >= (by_place ? place_at(s, middle) : time_at(s, middle)))
            low = middle;
        else
            high = middle;
    }
    return low;
}

tw_status tw_schedule_check(tw_context *ctx, const tw_schedule *s)
{
    const tw_piece_parameter *p = s->info->parameters;
    if (!p || !p->many || (s->count == 0 && p->standard != 0)) return TW_OK;
    const char *name = s->info->name;
    int64_t rows = s->count / 3;
    if (s->count % 3 != 0 || rows < 2)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "schedule '%s': %lld numbers, expected rows of t, alpha, sigma, at least two", name,
                       (long long)s->count);
    if (time_at(s, 0) != 0 || time_at(s, rows - 1) != 1 || s->value[3 * rows - 2] != 1)
        return tw_fail(ctx, TW_ERR_INVALID, "schedule '%s': the rows go from t = 0 to t = 1, where alpha = 1", name);
    for (int64_t i = 0; i < rows; i++) {
        if (!(radius_at(s, i) > 0))
            return tw_fail(ctx, TW_ERR_INVALID, "schedule '%s': row %lld: alpha and sigma are both 0", name,
                           (long long)i + 1);
        if (i > 0 && time_at(s, i) <= time_at(s, i - 1))
            return tw_fail(ctx, TW_ERR_INVALID, "schedule '%s': row %lld: t is %g after %g, expected growing times",
                           name, (long long)i + 1, time_at(s, i), time_at(s, i - 1));
        if (i > 0 && place_at(s, i) <= place_at(s, i - 1))
            return tw_fail(ctx, TW_ERR_INVALID, "schedule '%s': row %lld: alpha/sigma does not grow", name,
                           (long long)i + 1);
    }
    return TW_OK;
}
