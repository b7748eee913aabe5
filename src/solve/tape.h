/* solve/tape.h - what is remembered of a solution so that it can be differentiated: for every step the time of its end,
 * and the states behind some of the steps.
 *
 * Rows take steps of their own and different numbers of them. Step n of all rows is done at once, on the way back as
 * well, by the rows that have so many: ordered by their number of steps they are the first ones. */
#ifndef TW_SOLVE_TAPE_H
#define TW_SOLVE_TAPE_H

#include "solve/ode.h"

#include <thalweg/adjoint.h>

struct tw_ode_tape {
    tw_context *ctx;
    tw_ode_equation equation;
    tw_ode *forward, *replay; /* the solver; the same method, led from outside */
    int64_t rows;             /* of the last run */
    bool told;                /* the last run went well */
    int64_t *taken, *order;   /* (max_rows) steps of a row; rows by falling number of them */

    int64_t width, longest, times_capacity; /* numbers a step: one for each row, or 1 when all are the same; steps */
    double *times;                          /* (steps, width) where steps end */

    /* States behind steps, in the order of their numbers: a stack that the way back pops and refills. */
    int64_t most, kept, states_capacity; /* at most; now */
    int64_t stride;                      /* those behind a multiple of it are kept on the way there */
    double *states;                      /* (states_capacity, rows, columns) */
    int64_t *number, number_capacity;

    /* Of the way back, rows in `order`. */
    double *k[TW_TABLEAU_SLOTS]; /* cotangents of derivatives */
    double *a, *y, *dx;          /* of the state after a step, before it, within it */
    void *memory;
};

/* Called when steps were judged: those accepted are remembered. */
tw_status tw_tape_record(tw_ode *ode);

/* Rows that have a step number n. */
int64_t tw_tape_rows(const tw_ode_tape *tape, int64_t n);
/* Brings replay->y behind step n (state n), from the last state kept before it; states on the way are kept where there
 * is room, and those behind n forgotten. */
tw_status tw_tape_seek(tw_ode_tape *tape, int64_t n);
/* Step n from state n: stages, and state n + 1 in replay->z. */
tw_status tw_tape_step(tw_ode_tape *tape, int64_t n);

#endif
