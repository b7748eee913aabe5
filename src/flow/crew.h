/* flow/crew.h - threads that integrate a flow: each takes a block of rows through all solver steps.
 *
 * A block stays with one thread, its state, its solver memory and the packed weights in that core's cache; nothing is
 * shared, so the work needs no barriers but the last. Blocks are cut by shape alone and rows never see each other: the
 * result does not depend on the number of threads. The solver works in double; the network's own precision begins and
 * ends at the field. */
#ifndef TW_FLOW_CREW_H
#define TW_FLOW_CREW_H

#include "flow/noise.h"
#include "flow/worker.h"

typedef struct tw_crew {
    tw_flow *flow;
    tw_flow_program *program, *bare;
    int count;         /* of threads that may work */
    tw_worker *worker; /* each made when first needed: a few rows are work for one */
    int columns; /* of the state: D, then 1 for the divergence when it is integrated; then, standing still, the number
                    of the row when the divergence is estimated, and the conditions */
} tw_crew;

typedef int (*tw_rows_progress_fn)(void *user, int64_t done, int64_t total);

/* The flow's crew for u, or u and what is wanted beside it, in f32 or f64: made when first asked for and kept with the
 * program, because fresh memory costs a single row more than its whole journey. */
TW_NODISCARD tw_status tw_crew_get(tw_flow *flow, tw_flow_second second, bool wide, tw_crew **out_crew);
void tw_crew_destroy(tw_crew *crew); /* what the program does with its own */

/* Integrates the rows of `state` (n, crew->columns) in place, by `solver`, or by `noise` unless that is NULL. Writes
 * the time at which each row stands to ends (n), NULL: does not; by an equation without noise only. Adds to *stats (nfe
 * and nfe_mean of successive solves add up). Rows that fail are counted and told by TW_ERR_NUMERIC when all others are
 * done. */
TW_NODISCARD tw_status tw_crew_solve(tw_crew *crew, const tw_ode_desc *solver, const tw_crew_noise *noise, int64_t n,
                                     double *state, double *ends, tw_rows_progress_fn on_progress, void *user,
                                     tw_ode_stats *stats);

/* Makes the first `count` workers ready to evaluate. */
TW_NODISCARD tw_status tw_crew_ready(tw_crew *crew, int count);
/* Rows of a block, by the number of rows alone: few rows are shared out, many fill the program. */
int64_t tw_crew_block(const tw_crew *crew, int64_t n);
/* Adds up those of a part of the rows. */
void tw_crew_add_stats(tw_ode_stats *sum, const tw_ode_stats *part, double share);

/* The field itself, on worker 0: dx (rows, columns) of x (rows, columns) at t (rows). */
TW_NODISCARD tw_status tw_crew_field(tw_crew *crew, int64_t rows, const double *t, const double *x, double *out_dx);

#endif
