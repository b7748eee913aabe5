/* solve/newton.h - the inside of implicit steps: the equations of some stages of every row, and their linear systems
 * (1 - h A x J) d = r, A being the square of the table for the stages solved together and J the row's Jacobian at the
 * start of the step. */
#ifndef TW_SOLVE_NEWTON_H
#define TW_SOLVE_NEWTON_H

#include "solve/ode.h"

/* Rows of `list` have their packed values one behind the other, a row's stages together. */
struct tw_newton {
    int group;     /* stages solved together: all of a collocation method, one of a diagonally implicit one */
    int unknowns;  /* of a row: group * columns */
    int vectors;   /* of GMRES; 0: LU */
    int64_t *list; /* (block) active rows whose equations are not solved yet */
    int64_t count;
    double *t, *x, *dx;      /* (block * group), (block * group, columns) states of stages and the field there */
    double *base;            /* (block, columns) the field at the start of the step, where differences need it */
    double *right;           /* (block * unknowns) residuals, then corrections */
    double *last;            /* (block) size of the correction before */
    double *jacobian;        /* LU: (block, columns, columns) */
    double *factor;          /* (block, unknowns + 1, unknowns) */
    double *matrix, *turned; /* (unknowns, unknowns), (unknowns) of one row */
    double *scratch;
    double *basis;                    /* GMRES: (block, vectors + 1, unknowns) */
    double *upper;                    /* (block, vectors, vectors + 1) R of the Hessenberg matrix, column by column */
    double *cosine, *sine, *residual; /* (block, vectors + 1) rotations and what is left of the right side */
    double *step, *image;             /* (block * group, columns) a vector of each row and J of it */
    int *used;                        /* (block) vectors made */
    int64_t *open, *rows;             /* (block) rows still at work: numbers within list, and of the rows themselves */
    void *memory;
};

/* A square of a table: entry (i, j) is at a[i * TW_TABLEAU_STAGES + j]. */
typedef struct tw_stage_square {
    int size;
    const double *a;
} tw_stage_square;

/* Made ready for a step: J of every active row at its start where LU wants it. */
tw_status tw_newton_jacobian(tw_ode *ode);
/* The factors for active rows. */
void tw_newton_factor(tw_ode *ode, tw_stage_square square);
/* Solves for the rows of the list, in place: right (count, square.size * columns). */
tw_status tw_newton_solve(tw_ode *ode, tw_stage_square square);
tw_status tw_gmres_solve(tw_ode *ode, tw_stage_square square);
/* image = J step at the starts of rows: `each` vectors for each of the `count` rows whose numbers are in `rows`. */
tw_status tw_newton_product(tw_ode *ode, int64_t count, const int64_t *rows, int each);

#endif
