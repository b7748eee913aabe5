/* coupling/scan.c - one body in GNU vector types, compiled for each instruction set and chosen when it is called.
 * Dijkstra's inner loop over all columns without indirection beats the textbook's lists of open columns several times
 * over: finished columns carry a price of minus infinity and a key of plus infinity, and so never change again. */
#include "coupling/scan.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Takes a value into the two least seen so far. */
static inline void take(tw_least *two, double value, int64_t column)
{
    if (value < two->least) {
        two->next = two->least;
        two->second = two->first;
        two->least = value;
        two->first = column;
    } else if (value < two->next) {
        two->next = value;
        two->second = column;
    }
}

/* Looks for the minimum among keys [begin, end): true when its column is free, otherwise the first is remembered. */
static inline bool pick(int64_t begin, int64_t end, const double *key, double minimum, const int64_t *row_of,
                        int64_t *first)
{
    for (int64_t j = begin; j < end; j++) {
        if (key[j] != minimum) continue;
        if (row_of[j] < 0) {
            *first = j;
            return true;
        }
        if (*first < 0) *first = j;
    }
    return false;
}

#define WIDE 2
#define TARGET
#define NAMED(name) name##_2
#include "coupling/scan.inc"

#ifdef __x86_64__
#define WIDE        4
#define TARGET      __attribute__((target("avx2")))
#define NAMED(name) name##_4
#include "coupling/scan.inc"
#endif

const tw_scan_loops *tw_scan_at(int index)
{
    static const tw_scan_loops scans[] = {
        {"plain", two_least_2, least_2, relax_2, least_below_2, squares_2, dot_2, add_scaled_2},
#ifdef __x86_64__
        {"avx2", two_least_4, least_4, relax_4, least_below_4, squares_4, dot_4, add_scaled_4},
#endif
    };
    if (index < 0 || index >= (int)(sizeof scans / sizeof *scans)) return NULL;
#ifdef __x86_64__
    if (index == 1 && !__builtin_cpu_supports("avx2")) return NULL;
#endif
    return &scans[index];
}

const tw_scan_loops *tw_scan_best(void)
{
    int best = 0;
    while (tw_scan_at(best + 1)) best++;
    return tw_scan_at(best);
}
