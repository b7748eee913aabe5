/* flow/grid.h - the grid of a sampling run: where its solver's steps end (path/grid.h), also when the run stops for
 * frames on its way. */
#ifndef TW_FLOW_GRID_H
#define TW_FLOW_GRID_H

#include "flow/flow.h"

typedef struct tw_flow_grid {
    double *times; /* (count); NULL: equal steps, as the solver has it */
    double *part;  /* (count + 2) those of one leg */
    int64_t count;
} tw_flow_grid;

/* The grid that `text` names for a solver of solver->steps (0: 50) steps over [t0, t1]; NULL text: none. Free with
 * tw_flow_grid_free. */
TW_NODISCARD tw_status tw_flow_grid_make(const tw_flow *flow, const char *text, const tw_ode_desc *solver,
                                         tw_flow_grid *out_grid);
/* Gives a solver of a part of the way the times that lie in it. */
void tw_flow_grid_use(const tw_flow_grid *grid, tw_ode_desc *leg);
void tw_flow_grid_free(tw_context *ctx, tw_flow_grid *grid);

#endif
