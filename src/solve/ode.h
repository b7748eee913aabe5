/* solve/ode.h - the inside of an ODE solver: work memory of one block of rows, packed so that the rows still under way
 * are the first `active` ones of every array. */
#ifndef TW_SOLVE_ODE_H
#define TW_SOLVE_ODE_H

#include "base/base.h"
#include "solve/tableau.h"

/* A row of a table without its zeros. */
typedef struct tw_ode_terms {
    int count;
    int stage[TW_TABLEAU_STAGES];
    double weight[TW_TABLEAU_STAGES];
} tw_ode_terms;

/* The first failure among the rows of a run. */
typedef struct tw_ode_failure {
    int64_t row;
    double t, step;
    const char *why;
} tw_ode_failure;

enum { TW_ODE_TILE = 256 }; /* elements whose sums stay in the first cache */

struct tw_ode {
    tw_context *ctx;
    const tw_tableau *table;
    tw_ode_desc desc; /* every default filled in */
    bool adaptive;
    int64_t fixed_steps;
    int columns, error_columns;
    int64_t block; /* rows held at once */
    tw_ode_terms stage[TW_TABLEAU_STAGES], solution, error;
    int stages; /* evaluated in a step: trailing ones that only the error row uses are left out at fixed steps */
    bool weighs[TW_TABLEAU_STAGES]; /* whether a stage has weight in the state after the step */
    void *memory;

    /* Per element (block, columns). */
    double *y, *z;                /* state; state of the stage under way, in the end the state after the step */
    double *k[TW_TABLEAU_STAGES]; /* derivatives */
    double *step;                 /* signed step of the element's row */
    double *square;               /* scaled errors, squared */
    /* Per row (block). */
    double *t, *t_next, *t_stage, *h, *wish, *last; /* wish: size the controller asks for, positive; last: ratio */
    int64_t *index, *tries, *nfe;
    unsigned char *leaving, *fresh, *bad; /* fresh: k[0] is out of date; bad: the last step met a non-finite value */

    /* The run under way. */
    tw_field_fn field;
    void *user;
    double *x;         /* the caller's rows of this block */
    int64_t first_row; /* number of the block's first row */
    int64_t active;
    /* During a call of the field: the stage only leads to other stages. Columns that the field itself does not depend
     * on and that are left out of the error need not be computed then. */
    bool weightless;
    double direction, span;
    tw_ode_stats stats;
    tw_ode_failure failure;
};

/* Evaluates the field on the first `rows` rows. */
tw_status tw_ode_call(tw_ode *ode, int64_t rows, const double *t, const double *x, double *out_dx);
/* Evaluates stages 1 .. stages - 1 and leaves the state after the step in z; k[0], h and t_next must be set. */
tw_status tw_ode_step(tw_ode *ode);
/* out[i] = y[i] + step[i] * sum of weight * k[i] over active rows. */
void tw_ode_combine(const tw_ode *ode, const tw_ode_terms *terms, double *out);
/* sum[i] = sum of weight * k[begin + i], i < n: each element by itself, in the order of the stages. */
static inline void tw_ode_weigh(const tw_ode *ode, const tw_ode_terms *terms, int64_t begin, int n,
                                double *restrict sum)
{
    double w = terms->weight[0];
    const double *k = ode->k[terms->stage[0]] + begin;
    for (int i = 0; i < n; i++) sum[i] = w * k[i];
    for (int j = 1; j < terms->count; j++) {
        w = terms->weight[j];
        k = ode->k[terms->stage[j]] + begin;
        for (int i = 0; i < n; i++) sum[i] += w * k[i];
    }
}
/* Marks an active row as failed at its present state. */
void tw_ode_fail_row(tw_ode *ode, int64_t a, const char *why);
/* Writes the rows marked as leaving to x and closes the gaps, keeping the order. */
void tw_ode_compact(tw_ode *ode);

/* The two drivers: from t0 to t1 for the rows that are packed. */
tw_status tw_ode_run_fixed(tw_ode *ode);
tw_status tw_ode_run_adaptive(tw_ode *ode);

#endif
