/* flow/worker.h - one thread's part of integrating a flow: a program's memory for a block of rows, the field it is to
 * solvers, and the solver. State and time are double; the network's own number type begins and ends here. */
#ifndef TW_FLOW_WORKER_H
#define TW_FLOW_WORKER_H

#include "flow/diffusion.h"
#include "flow/flow.h"

#include <thalweg/sde.h>

typedef struct tw_worker {
    const tw_flow_program *program;
    const tw_flow_program *bare; /* u alone, for stages at which the divergence has no weight; NULL: the same */
    tw_state *state, *bare_state;
    tw_ode *ode;
    struct tw_sampler *sampler; /* instead, for a solver of that list */
    tw_sde *sde;                /* instead, for sampling with noise */
    const tw_diffusion *diffusion;
    const double *told;       /* with noise: the conditions of the block's rows, a row of the state apart */
    double *rows;             /* with noise and conditions: the block's x alone */
    int64_t evaluated;        /* with noise: rows, all calls together */
    int columns, conditions;  /* of the data; told */
    void *x, *t, *u, *second; /* one block, in the program's number type */
    void *along;              /* of a crew that pushes or pulls: v or w, likewise */
    struct tw_worker *push;   /* of another crew, for implicit methods */
    void *condition;          /* (rows, conditions), likewise */
    void *vectors;            /* (rows, probes, columns), likewise; NULL: exact divergences */
    tw_probes probes;
    const void **inputs, **bare_inputs;
    void *gradients; /* of a crew that pulls with weights: the parameters', flat */
    void **outputs;
} tw_worker;

/* Memory for `program` (and `bare`, NULL: none), unless it is there. */
TW_NODISCARD tw_status tw_worker_make(tw_flow *flow, const tw_flow_program *program, const tw_flow_program *bare,
                                      tw_worker *w);
void tw_worker_free(tw_context *ctx, tw_worker *w);
void tw_worker_drop_solver(tw_context *ctx, tw_worker *w);

/* A worker's field for solvers, `user` the worker: rows of the crew's columns. */
tw_status tw_worker_field(void *user, int64_t rows, const double *t, const double *x, double *out_dx);
/* J v of the field of a worker that has another one in `push`. */
tw_status tw_worker_push(void *user, int64_t rows, const double *t, const double *x, const double *v, double *out_jv);
/* The field of a crew that pulls: w' times the derivative of u, and of the divergence where it is a column, in the same
 * columns; adds that in the weights to dweights (as tw_params lays them out), NULL: none. */
tw_status tw_worker_pull(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                         double *dweights);

/* `columns` of the state's, from `first`, in the program's number type; a number of such an array. */
void tw_worker_take(const tw_worker *w, int64_t rows, int64_t stride, int64_t first, int64_t columns,
                    const double *state, void *out);
static inline double tw_worker_number(const tw_worker *w, const void *array, int64_t i)
{
    return w->program->wide ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

#endif
