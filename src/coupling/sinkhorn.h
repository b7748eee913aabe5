/* coupling/sinkhorn.h - the entropic plan of a block (coupling/sinkhorn.c). */
#ifndef TW_COUPLING_SINKHORN_H
#define TW_COUPLING_SINKHORN_H

#include "coupling/couple.h"

/* P_ij = u_i K_ij v_j / n^2 with data points in rows, sources in columns; arrays in the block's work memory. */
typedef struct tw_entropic_plan {
    int64_t n;
    const double *kernel, *u, *v;
    double epsilon;    /* the regularisation */
    double iterations; /* made, all regularisations together */
} tw_entropic_plan;

/* Uses the block's n, cost, desc and work. `balanced`: both marginals uniform; otherwise held by desc->tau. */
tw_entropic_plan tw_entropic_plan_make(const tw_block *block, bool balanced);

#endif
