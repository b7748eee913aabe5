/* flow/gradient.h - the way there and back through a flow, made once for many evaluations: a tape for every block of
 * rows. */
#ifndef TW_FLOW_GRADIENT_H
#define TW_FLOW_GRADIENT_H

#include "flow/grid.h"
#include "flow/journey.h"
#include "solve/tape.h"

#include <thalweg/gradient.h>

/* The workers of a thread: `user` of the functions an equation is made of. */
typedef struct tw_both_ways {
    tw_worker *there, *back;
} tw_both_ways;

/* What the crew of the way back computes. */
tw_flow_second tw_two_way_back(bool density, bool weights);
tw_ode_equation tw_both_ways_equation(const tw_crew *there, bool weights);

typedef struct tw_two_way {
    tw_flow *flow;
    tw_flow_gradient_desc desc;
    tw_journey journey; /* its state holds x on the way there, its gradient on the way back */
    tw_crew *back;
    tw_flow_grid grid;
    int64_t n, block, blocks;
    double scale; /* of source points where the flow begins */
    bool weights; /* are differentiated, too */
    bool density; /* from data to source, beside the divergence */
    tw_ode_tape **tape;
    tw_both_ways *workers;  /* one a thread */
    double *told, *x1, *dx; /* (n, crew columns) at the start; (n, columns) */
    double *gradients;      /* (a few blocks, parameters) */
    struct tw_leg *leg;     /* (blocks) how each ended */
    tw_ode_stats stats;     /* of all evaluations */
} tw_two_way;

/* From source points to samples, or, for densities (desc without a loss), from data with the divergence to the
 * source. */
TW_NODISCARD tw_status tw_two_way_open(tw_flow *flow, const tw_flow_gradient_desc *desc, bool density, int64_t n,
                                       bool weights, tw_two_way *w);
void tw_two_way_close(tw_two_way *w);
/* The journey's state to its end, or the derivative with respect to that end, in its place, to the beginning. */
TW_NODISCARD tw_status tw_two_way_travel(tw_two_way *w, bool back, double *dweights);
/* From the layout of tw_params, with its padding, to numbers one behind the other, added. */
void tw_two_way_close_up(const tw_params *params, const double *flat, double *dweights);
/* The loss of x0 and its derivative; dweights (as tw_params lays them out) NULL: none. w->x1 then holds the samples. */
TW_NODISCARD tw_status tw_two_way_run(tw_two_way *w, const double *x0, double *out_loss, double *out_dx0,
                                      double *dweights);

#endif
