/* solve/ode.h - the inside of an ODE solver: work memory of one block of rows, packed so that the rows still under way
 * are the first `active` ones of every array.
 *
 * The loop (drive.c) is: derivatives at the start of the step where they are out of date, a step (step.c, implicit.c,
 * adams.c), a verdict on it and the next step's size (fixed.c, adaptive.c), a look at what is asked for within the step
 * (dense.c, events.c), and on. */
#ifndef TW_SOLVE_ODE_H
#define TW_SOLVE_ODE_H

#include "base/base.h"
#include "solve/tableau.h"

/* A row of a table without its zeros. */
typedef struct tw_ode_terms {
    int count;
    int stage[TW_TABLEAU_SLOTS];
    double weight[TW_TABLEAU_SLOTS];
} tw_ode_terms;

/* One block of memory, laid out twice: without a base to be measured, then to be used. */
typedef struct tw_layout {
    char *base;
    int64_t used;
    bool overflow;
} tw_layout;

/* Room for count * each things of `size` bytes, aligned to 64. */
static inline void *tw_layout_take(tw_layout *l, int64_t count, int64_t each, size_t size)
{
    int64_t bytes = 0, end = 0;
    void *place = l->base ? l->base + l->used : NULL;
    l->overflow |= __builtin_mul_overflow(count, each, &bytes) ||
                   __builtin_mul_overflow(bytes, (int64_t)size, &bytes) || __builtin_add_overflow(bytes, 63, &bytes) ||
                   __builtin_add_overflow(l->used, bytes / 64 * 64, &end);
    if (!l->overflow) l->used = end;
    return place;
}

/* The first failure among the rows of a run. */
typedef struct tw_ode_failure {
    int64_t row;
    double t, step;
    const char *why;
} tw_ode_failure;

enum { TW_ODE_TILE = 256 }; /* elements whose sums stay in the first cache */
enum { TW_ODE_LOOKS = 4 };  /* places of a step at which events are looked for */

/* Adams methods: the slot of the derivative at the end of a step; history of a row that starts anew. */
enum { TW_ADAMS_END = 7, TW_ADAMS_FORGET = 255 };

/* What the last step of a row met. */
enum { TW_ODE_WENT_WELL, TW_ODE_NOT_FINITE, TW_ODE_NO_SOLUTION };

typedef struct tw_newton tw_newton;

struct tw_ode {
    tw_context *ctx;
    const tw_tableau *table;
    tw_ode_desc desc; /* every default filled in; arrays are our own */
    tw_ode_chart chart;
    bool adaptive;
    int64_t fixed_steps;
    int columns, error_columns;
    int part[3]; /* lengths of the runs of columns whose norms count, in all error_columns; 0: none */
    int error_power;
    double exponent[3]; /* of the three last error ratios in the factor of a step */
    int64_t block;      /* rows held at once */
    tw_ode_terms stage[TW_TABLEAU_STAGES], solution, error, node[TW_TABLEAU_NODES], between[3];
    int nodes, betweens; /* of the interpolant; 0 where nothing is asked for within steps */
    int stages;      /* evaluated in a step: trailing ones that only the error row uses are left out at fixed steps */
    int begin, end;  /* the slots of the derivatives at the start and the end of a step */
    bool ends_known; /* a step leaves the derivative at its end */
    bool looks;      /* states at times or events are asked for */
    bool weighs[TW_TABLEAU_SLOTS]; /* whether a stage has weight in the state after the step */
    void *memory;
    double *grid, *times;
    tw_ode_event *events;
    tw_newton *newton;        /* of implicit methods */
    struct tw_ode_tape *tape; /* remembers accepted steps, NULL: nobody does */

    /* Per element (block, columns). */
    double *y, *z;                /* state; state of the stage under way, in the end the state after the step */
    double *k[TW_TABLEAU_SLOTS];  /* derivatives */
    double *step;                 /* signed step of the element's row */
    double *square;               /* scaled errors, squared */
    double *packed_x, *packed_dx; /* some of the rows, for calls on those alone */
    double *way, *raw;            /* with a chart: v of the stage under way; slot `end` before it was pulled */
    /* Per row (block). */
    double *t, *t_next, *t_stage, *h, *packed_t;
    double *wish;          /* size of step the controller asks for, positive */
    double *last, *before; /* error ratios of the last two accepted steps */
    double *past[3];       /* Adams: times of the derivatives in slots 1 to 3 */
    int64_t *index, *tries, *nfe, *taken;
    int64_t *place, *asked; /* steps of the grid made; number of the next time asked for */
    int64_t *cause;         /* the event that cut the last step, -1: none yet */
    unsigned char *leaving, *bad, *marked;
    unsigned char *fresh;   /* the step was accepted */
    unsigned char *stale;   /* slot `begin` is out of date */
    unsigned char *known;   /* slot `end` holds the derivative at the end of the step */
    unsigned char *history; /* Adams: derivatives before this one that can be used */
    unsigned char *anew;    /* starts here: at t0, or behind an event */
    /* Per row and event. */
    int64_t *fired;
    signed char *side; /* sign of g at the start of the step, 0: not known */
    double *looked;    /* (block, events, looks) g within the step */
    /* For one row at a time: g of packed rows; states; per event the sign that follows and the first passing. */
    double *g, *there, *probe, *passing;
    signed char *side_next;

    /* The run under way. */
    tw_field_fn field;
    void *user;
    double *x;             /* the caller's rows of this block */
    tw_ode_output *output; /* may be NULL */
    int64_t rows;          /* of the whole run */
    int64_t first_row;     /* number of the block's first row */
    int64_t active;
    /* During a call of the field: the stage only leads to other stages. Columns that the field itself does not depend
     * on and that are left out of the error need not be computed then. */
    bool weightless;
    double direction, span;
    tw_ode_stats stats;
    tw_ode_failure failure;
};

/* Checks a description and fills in ode->desc and what follows from it alone. */
TW_NODISCARD tw_status tw_ode_describe(tw_context *ctx, const tw_ode_desc *desc, tw_ode *ode);

/* Evaluates the field on the first `rows` rows. */
tw_status tw_ode_call(tw_ode *ode, int64_t rows, const double *t, const double *x, double *out_dx);
/* out = f(t, x) for the active rows of which `which` is set; they are counted. */
tw_status tw_ode_call_some(tw_ode *ode, const unsigned char *which, const double *t, const double *x, double *out_dx);

/* One step of every active row from y, leaving the state after it in z; slot `begin`, h and t_next must be set. */
tw_status tw_ode_step(tw_ode *ode);
tw_status tw_ode_step_explicit(tw_ode *ode);
tw_status tw_ode_step_implicit(tw_ode *ode);
tw_status tw_ode_step_adams(tw_ode *ode);
/* Before slot `begin` is written anew: keeps it as the youngest of the past. */
void tw_adams_remember(tw_ode *ode);

/* z as a stage has it, or the solution: on a chart along `way`. */
void tw_ode_reach(tw_ode *ode, const tw_ode_terms *terms);
/* With a chart (chart.c): z from way; the derivatives that a slot holds of z, as those of way; after the verdict on a step,
 * slot `end` as the field gave it. */
void tw_chart_go(tw_ode *ode, const tw_ode_terms *terms);
void tw_chart_pull(tw_ode *ode, int slot);
void tw_chart_restore(tw_ode *ode);
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
/* The place t + c h of a node within a step that ends on `end`: rounding may put it an ulp beyond, and a field is never
 * asked there. */
static inline double tw_ode_node(double t, double c, double h, double end)
{
    double s = t + c * h;
    return c >= 1 || (h > 0 ? s > end : s < end) ? end : s;
}
/* True when all are finite. */
bool tw_ode_finite(const double *z, int64_t count);

/* Marks an active row as failed at its present state. */
void tw_ode_fail_row(tw_ode *ode, int64_t a, const char *why);
/* Writes the rows marked as leaving to x and closes the gaps, keeping the order. */
void tw_ode_compact(tw_ode *ode);

/* From t0 to t1 for the rows that are packed. */
tw_status tw_ode_drive(tw_ode *ode);

/* The two ways to choose steps. start: what a run needs first; plan: the next step of a row, false when it fails;
 * judge: sets fresh, and fails rows. */
tw_status tw_adaptive_start(tw_ode *ode);
bool tw_adaptive_plan(tw_ode *ode, int64_t a);
void tw_adaptive_judge(tw_ode *ode);
void tw_fixed_plan(tw_ode *ode, int64_t a);
void tw_fixed_judge(tw_ode *ode);

/* States asked for at t0 itself and signs of every event there; derivatives at the start must be there. */
tw_status tw_ode_look_at_start(tw_ode *ode);
/* Looks at the steps just accepted: writes the states asked for and cuts steps short at events. */
tw_status tw_ode_look(tw_ode *ode);
/* Row a's state a part theta of its step behind the start; both ends, derivatives there and nodes must be there. */
void tw_ode_between(const tw_ode *ode, int64_t a, double theta, double *out);

/* Signs of g where rows start, or start anew behind an event. */
tw_status tw_events_start(tw_ode *ode);
/* g at TW_ODE_LOOKS places of every accepted step. */
tw_status tw_events_sample(tw_ode *ode);
/* Records the events of an accepted step up to the first one at which the row ends or jumps: then cut is set. */
tw_status tw_events_find(tw_ode *ode, int64_t a, double *out_end, bool *out_cut);
/* Ends the step there, with the jump made. */
tw_status tw_events_cut(tw_ode *ode, int64_t a, double end);

/* Memory of the implicit methods. */
TW_NODISCARD tw_status tw_newton_create(tw_ode *ode);
void tw_newton_destroy(tw_context *ctx, tw_newton *newton);
/* out = (1 - g h J)^-1 times the error estimate of each row: `error` (active, columns), in place. */
tw_status tw_newton_filter(tw_ode *ode, double *error);

#endif
