/* graph/linalg.h - the forms of a triangular solve: bits of its attribute, the same as cpu/linalg.h has. */
#ifndef TW_GRAPH_LINALG_H
#define TW_GRAPH_LINALG_H

enum {
    TW_SOLVE_RIGHT = 1,      /* X op(A) = B instead of op(A) X = B */
    TW_SOLVE_UPPER = 2,      /* of A; the other half is not read */
    TW_SOLVE_TRANSPOSED = 4, /* op(A) = A^T */
    TW_SOLVE_UNIT = 8        /* the diagonal is taken as 1 and not read */
};

#endif
