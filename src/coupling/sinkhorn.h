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

typedef enum tw_entropic_kind {
    TW_ENTROPIC_BALANCED,   /* both marginals uniform */
    TW_ENTROPIC_UNBALANCED, /* held by desc->tau */
    TW_ENTROPIC_PARTIAL,    /* nowhere above uniform, desc->mass (less than 1) in all */
} tw_entropic_kind;

/* Uses the block's n, cost, desc and work. */
tw_entropic_plan tw_entropic_plan_make(const tw_block *block, tw_entropic_kind kind);

#endif
