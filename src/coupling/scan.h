/* coupling/scan.h - the two loops over a row of costs in which an assignment spends its time, in eight logical lanes
 * for whatever vectors the CPU has. All versions do the same arithmetic in the same order: same bits everywhere. */
#ifndef TW_COUPLING_SCAN_H
#define TW_COUPLING_SCAN_H

#include <stdint.h>

typedef struct tw_least {
    int64_t first, second; /* columns of the least value and of the least of the others; second is -1 when n is 1 */
    double least, next;
} tw_least;

typedef struct tw_scan {
    const char *isa;
    /* The two least of row[j] - price[j]; among equals, lower lanes and then lower columns come first. */
    tw_least (*two_least)(int64_t n, const double *row, const double *price);
    /* key[j] = min(key[j], row[j] - price[j] - offset), parent[j] = row_number where that is less. Returns a column of
     * the least key, the first free one (row_of -1) if any, -1 when all keys are infinite and no column free. */
    int64_t (*relax)(int64_t n, const double *row, const double *price, double offset, int64_t row_number, double *key,
                     int64_t *parent, const int64_t *row_of);
} tw_scan;

/* The versions by index, slowest first; NULL past those this CPU can run. */
const tw_scan *tw_scan_at(int index);
const tw_scan *tw_scan_best(void);

#endif
