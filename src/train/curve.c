/* train/curve.c - see curve.h. */
#include "train/curve.h"

#include <math.h>

static void join_neighbours(tw_curve *curve)
{
    for (int64_t i = 0; i < curve->count / 2; i++) {
        curve->step[i] = curve->step[2 * i + 1];
        curve->loss[i] = 0.5 * (curve->loss[2 * i] + curve->loss[2 * i + 1]);
    }
    curve->count /= 2;
    curve->stride *= 2;
}

void tw_curve_add(tw_curve *curve, double loss)
{
    if (curve->stride == 0) curve->stride = 1;
    curve->recent[curve->seen % TW_CURVE_RECENT] = loss;
    curve->seen++;
    curve->open_sum += loss;
    curve->open++;
    if (curve->open < curve->stride) return;
    if (curve->count == TW_CURVE_POINTS) {
        join_neighbours(curve);
        return; /* the open point has half of its steps now */
    }
    curve->step[curve->count] = (double)curve->seen;
    curve->loss[curve->count++] = curve->open_sum / (double)curve->open;
    curve->open = 0;
    curve->open_sum = 0;
}

double tw_curve_recent(const tw_curve *curve)
{
    int64_t count = tw_min_i64(curve->seen, TW_CURVE_RECENT);
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += curve->recent[i];
    return count ? sum / (double)count : (double)NAN;
}
