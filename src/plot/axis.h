/* plot/axis.h - the range of an axis, from data that may hold anything, and round numbers along it. */
#ifndef TW_PLOT_AXIS_H
#define TW_PLOT_AXIS_H

#include "base/base.h"

typedef struct tw_axis {
    double low, high; /* low < high, both finite */
    bool log;         /* then both positive */
} tw_axis;

enum { TW_TICKS = 24 };
typedef struct tw_ticks {
    int count;
    double at[TW_TICKS];
    char label[TW_TICKS][32];
} tw_ticks;

/* The value below which a share of them lies; sorts them. */
double tw_quantile(int64_t count, double *values, double share);
/* Range of the finite values at values[0], values[stride], ...: quantiles 0.5 % to 99.5 %, widened, so that a few far
 * points do not squeeze the rest; all of them where none is far. [0, 1] when there are none. */
TW_NODISCARD tw_status tw_axis_of_values(tw_context *ctx, int64_t rows, const double *values, int64_t stride,
                                         tw_axis *out_axis);
/* Range of all finite values. */
tw_axis tw_axis_of_all(int64_t rows, const double *values, int64_t stride);
/* The smallest axis that holds both. */
tw_axis tw_axis_join(tw_axis a, tw_axis b);
/* A little air at both ends, and a width where there is none. */
tw_axis tw_axis_widen(double low, double high, double share);
/* Where a value lies: 0 at low, 1 at high. */
double tw_axis_at(tw_axis axis, double value);

/* Ticks at 1, 2 or 5 times powers of ten, at most about `wanted`. */
void tw_axis_ticks(tw_axis axis, double wanted, tw_ticks *out_ticks);

/* "12 809": digits in groups of three. */
void tw_count_text(int64_t count, char *out, size_t size);

#endif
