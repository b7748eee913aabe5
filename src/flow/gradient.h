/* flow/gradient.h - the way there and back through a flow, made once for many evaluations: a tape for every block of
 * rows. */
#ifndef TW_FLOW_GRADIENT_H
#define TW_FLOW_GRADIENT_H

#include "flow/grid.h"
#include "flow/journey.h"
#include "solve/tape.h"

#include <thalweg/gradient.h>

/* The workers of a thread. */
typedef struct tw_both_ways {
    tw_worker *there, *back;
} tw_both_ways;

typedef struct tw_two_way {
    tw_flow *flow;
    tw_flow_gradient_desc desc;
    tw_journey journey; /* its state holds x on the way there, its gradient on the way back */
    tw_crew *back;
    tw_flow_grid grid;
    int64_t n, block, blocks;
    double scale; /* of source points where the flow begins */
    bool weights; /* are differentiated, too */
    tw_ode_tape **tape;
    tw_both_ways *workers;  /* one a thread */
    double *told, *x1, *dx; /* (n, crew columns) at the start; (n, columns) */
    double *gradients;      /* (a few blocks, parameters) */
    struct tw_leg *leg;     /* (blocks) how each ended */
    tw_ode_stats stats;     /* of all evaluations */
} tw_two_way;

TW_NODISCARD tw_status tw_two_way_open(tw_flow *flow, const tw_flow_gradient_desc *desc, int64_t n, bool weights,
                                       tw_two_way *w);
void tw_two_way_close(tw_two_way *w);
/* The loss of x0 and its derivative; dweights (as tw_params lays them out) NULL: none. w->x1 then holds the samples. */
TW_NODISCARD tw_status tw_two_way_run(tw_two_way *w, const double *x0, double *out_loss, double *out_dx0,
                                      double *dweights);

#endif
