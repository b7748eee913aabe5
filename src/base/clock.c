/* base/clock.c - seconds of a clock that never goes back; only differences have a meaning. */
#include "base/file.h"

#include <time.h>

double tw_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
