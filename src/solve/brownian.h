/* solve/brownian.h - what solvers share with the motion that drives them: the times of equal steps. */
#ifndef TW_SOLVE_BROWNIAN_H
#define TW_SOLVE_BROWNIAN_H

#include "base/base.h"
#include "cpu/cpu.h"

#include <thalweg/sde.h>

/* Time number i of n equal steps; the same bits for a motion's cells and for a solver's steps. */
static inline double tw_grid_time(double t0, double t1, int64_t i, int64_t n)
{
    return i == n ? t1 : t0 + (t1 - t0) * ((double)i / (double)n);
}

typedef struct tw_brownian_facts {
    double t0, t1;
    int64_t max_rows;
    int columns;
    bool integrals;
} tw_brownian_facts;
tw_brownian_facts tw_brownian_about(const tw_brownian *brownian);

#endif
