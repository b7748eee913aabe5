/* solve/tape.h - what is remembered of a solution so that it can be differentiated: for every step the time of its end,
 * and the states behind some of the steps.
 *
 * Rows take steps of their own and different numbers of them. Step n of all rows is done at once, on the way back as
 * well, by the rows that have so many: ordered by their number of steps they are the first ones. */
#ifndef TW_SOLVE_TAPE_H
#define TW_SOLVE_TAPE_H

#include "solve/ode.h"

#include <thalweg/adjoint.h>

/* An event of a run. Those of a step are found by its number, in the order they were met. */
typedef struct tw_tape_event {
    int64_t row, step, number; /* number: in the order of the output, and of the states around events */
    int event;
    bool cut, over;         /* the step ends here; so does the row */
    double t, theta, until; /* when; as a part of the step, which was planned to end at `until` */
} tw_tape_event;

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

    int64_t events, events_capacity, around_capacity;
    tw_tape_event *event; /* (events) */
    double *around;       /* (events, 2, columns) states before and behind them */

    /* Of the way back, rows in `order`. */
    int64_t *rank;               /* (max_rows) where a row stands in it */
    double *k[TW_TABLEAU_SLOTS]; /* cotangents of derivatives */
    double *a, *y, *dx;          /* of the state after a step, before it, within it */
    double *spot[3];             /* (columns) at one event: cotangent of the state; the field; a derivative */
    void *memory;
};

/* Called when steps were judged: those accepted are remembered. */
tw_status tw_tape_record(tw_ode *ode);

/* Makes room for `need` of something, at most `most` of `size` bytes each; without a sentence, as tapes run in threads
 * that share a context. `array` is the address of a pointer. */
tw_status tw_tape_room(tw_context *ctx, void *array, int64_t *capacity, int64_t need, int64_t most, size_t size);

/* Called when an active row meets an event, and when its step has been cut there. */
tw_status tw_tape_meet(tw_ode *ode, int64_t a, int event, double theta, double t, const double *x);
void tw_tape_cut(tw_ode *ode, int64_t a);
/* Orders the events for the way back. */
void tw_tape_sort_events(tw_ode_tape *tape);
/* The events of step n, one behind the other. */
const tw_tape_event *tw_tape_events(const tw_ode_tape *tape, int64_t n, int64_t *out_count);
/* States behind step n where an event cut it, in place of those at its planned end. */
void tw_tape_land(tw_ode_tape *tape, int64_t n);
/* Cotangents from behind the events of step n to what the step leaves; *why is set on failure. */
tw_status tw_tape_events_back(tw_ode_tape *tape, int64_t n, const tw_ode_cotangents *d, double *dparams,
                              const char **why);
/* The transpose of tw_ode_between for active row a: w is the cotangent of the state, that of z goes to tape->a. */
void tw_tape_within(tw_ode_tape *tape, int64_t a, double theta, const double *w);

/* Rows that have a step number n. */
int64_t tw_tape_rows(const tw_ode_tape *tape, int64_t n);
/* Brings replay->y behind step n (state n), from the last state kept before it; states on the way are kept where there
 * is room, and those behind n forgotten. */
tw_status tw_tape_seek(tw_ode_tape *tape, int64_t n);
/* Step n from state n: stages, and in replay->z state n + 1, or what would be at its planned end. */
tw_status tw_tape_step(tw_ode_tape *tape, int64_t n);

#endif
