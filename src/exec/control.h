/* exec/control.h - instructions that run programs of their own, and calls of C functions.
 *
 * A loop or branch holds the compiled programs of its bodies. They run with states whose memory is part of the state
 * they belong to (run.c): such instructions run one at a time, so all share one piece of it. Between steps a loop keeps
 * its carry there too, in two sets that take turns, unless a step's carry has a place of its own: the history, the
 * result. */
#ifndef TW_EXEC_CONTROL_H
#define TW_EXEC_CONTROL_H

#include "exec/program.h"

/* The places of the instruction: arguments, then results in the order of the producer; without home where unused. */
typedef struct tw_control {
    int32_t child[2];            /* numbers in the program's children */
    int32_t args, results;       /* places */
    int32_t inputs, outputs;     /* of child 0 of a scan, of both of a cond, of child 1 of a while */
    int32_t consts, carries, xs; /* of a loop's inputs */
    int64_t length;
    bool reversed;
    void *memory;       /* holds the arrays below */
    int64_t *size;      /* bytes of each input of the body, then of each output */
    int32_t *result_of; /* output of the child -> result of the producer */
    int64_t *carry_at;  /* in the work memory; the second set is set_bytes further */
    int64_t set_bytes;
    const tw_custom *custom;
    tw_array *arrays; /* custom functions: types of arguments and results */
    bool *sliced;     /* of these, which a block has only its rows of */
} tw_control;

#endif
