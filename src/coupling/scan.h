/* coupling/scan.h - the loops over a row of costs in which couplings spend their time, in eight logical lanes for
 * whatever vectors the CPU has. All versions do the same arithmetic in the same order: same bits everywhere. */
#ifndef TW_COUPLING_SCAN_H
#define TW_COUPLING_SCAN_H

#include <stdint.h>

typedef struct tw_least {
    int64_t first, second; /* columns of the least value and of the least of the others; second is -1 when n is 1 */
    double least, next;
} tw_least;

typedef struct tw_scan_loops {
    const char *isa;
    /* The two least of row[j] - price[j]; among equals, lower lanes and then lower columns come first. */
    tw_least (*two_least)(int64_t n, const double *row, const double *price);
    /* The least of row[j] - price[j] alone. */
    double (*least)(int64_t n, const double *row, const double *price);
    /* key[j] = min(key[j], row[j] - price[j] - offset), parent[j] = row_number where that is less. Returns a column of
     * the least key, the first free one (row_of -1) if any, -1 when all keys are infinite and no column free. */
    int64_t (*relax)(int64_t n, const double *row, const double *price, double offset, int64_t row_number, double *key,
                     int64_t *parent, const int64_t *row_of);
    /* The first of the least row[j] among those less than limit[j], -1 when there is none. */
    int64_t (*least_below)(int64_t n, const double *row, const double *limit);
    /* row[j] = sum over c < columns of (points[c * n + j] - point[c])^2, added in the order of c. */
    void (*squares)(int64_t n, int64_t columns, const double *points, const double *point, double *row);
    double (*dot)(int64_t n, const double *a, const double *b);
    void (*add_scaled)(int64_t n, double scale, const double *a, double *sum); /* sum += scale * a */
} tw_scan_loops;

/* The versions by index, slowest first; NULL past those this CPU can run. */
const tw_scan_loops *tw_scan_at(int index);
const tw_scan_loops *tw_scan_best(void);

#endif
