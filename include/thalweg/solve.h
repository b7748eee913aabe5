/* thalweg/solve.h - ordinary differential equations for many independent rows at once.
 *
 * State and time are double. Adaptive methods control the step of every row on its own and keep only unfinished rows in
 * the batch that is evaluated, land exactly on t1 and never evaluate outside [t0, t1]; fixed-step methods take one step
 * size, or one grid of steps, for all. Backward integration is t1 < t0. States between steps come from interpolants
 * whose order is stated with the method. */
#ifndef THALWEG_SOLVE_H
#define THALWEG_SOLVE_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* dx/dt = f(t, x) for `rows` rows at once: t (rows), x and out_dx (rows, columns). */
typedef tw_status (*tw_field_fn)(void *user, int64_t rows, const double *t, const double *x, double *out_dx);

/* J v for `rows` rows at once, J the derivative of f(t, x) in x: x, v and out_jv are (rows, columns). */
typedef tw_status (*tw_field_jvp_fn)(void *user, int64_t rows, const double *t, const double *x, const double *v,
                                     double *out_jv);

/* Something that happens where a function g(t, x) of each row passes zero. g is looked at four times a step, so that a
 * pair of zeros closer than a quarter of a step may go unseen; a g that starts at zero has not passed it. The place is
 * found on the interpolant, to the last digits of t. */
typedef struct tw_ode_event {
    tw_status (*g)(void *user, int64_t rows, const double *t, const double *x, double *out_g);
    int direction; /* 1: only when g grows on the way, -1: only when it falls, 0: both */
    int64_t limit; /* the row ends at so many of these events; 0: never because of them. Terminal: 1 */
    /* Changes the row's state at an event, which then goes on from there; not called where the row ends. NULL: no
     * change, the event is recorded only. */
    tw_status (*jump)(void *user, int64_t row, double t, double *x);
    /* Transposed derivatives, for gradients alone (adjoint.h): with the cotangent w of g, or w (columns) of the state
     * behind a jump from x, those of t and of x (columns) are written, and that of theta is added to dparams, which is
     * NULL where it is not wanted. */
    tw_status (*g_vjp)(void *user, double t, const double *x, double w, double *out_dt, double *out_dx,
                       double *dparams);
    tw_status (*jump_vjp)(void *user, int64_t row, double t, const double *x, const double *w, double *out_dt,
                          double *out_dx, double *dparams);
} tw_ode_event;

/* How states move where they are no vectors: every explicit Runge-Kutta method then steps in the tangent space at the
 * start of its step, along v with z = exp_y(v), and has its order there (Munthe-Kaas 1999, High order Runge-Kutta methods
 * on manifolds). Rows of all columns; columns that are plain numbers move straight. */
typedef struct tw_ode_chart {
    void (*go)(void *user, int64_t rows, const double *y, const double *v, double *out_z);
    /* k, derivatives at z = exp_y(v), as those of v: in place */
    void (*pull)(void *user, int64_t rows, const double *y, const double *v, const double *z, double *k);
    void *user;
} tw_ode_chart;

typedef struct tw_ode_desc {
    const char *method; /* tw_ode_method_list(); NULL: "dopri5" */
    double t0, t1;      /* both 0: from 0 to 1 */
    int steps;          /* number of equal steps (0: 50 for fixed-step methods unless step_size is given) */
    double step_size;   /* size of a step, last one shortened to land on t1; adaptive methods with steps, step_size or
                           time_grid take these steps without error control */
    double rtol, atol;  /* adaptive methods; 0: 1e-5 each */
    double first_step;  /* 0: chosen */
    int64_t max_steps;  /* per row, accepted and rejected together; 0: 100000 */
    int error_columns;  /* only the first so many columns enter the error norm; 0: all */
    int error_parts[3]; /* instead: lengths of runs of columns, the first ones; the norm is the largest of theirs */

    /* The controller of an adaptive method, with r the error over the tolerance of this step and the two before, and k
     * the power of the step in it (Soederlind 2002, in the parameters of diffrax):
     *   factor = safety r_n^-((p + i + d)/k) r_(n-1)^((p + 2 d)/k) r_(n-2)^-(d/k)
     * p, i and d all 0: 0.1, 0.9, 0; the plain controller of textbooks is 0, 1, 0. */
    double pcoeff, icoeff, dcoeff;
    double safety, min_factor, max_factor; /* 0: 0.86, 0.2, 10 */
    double min_step, max_step;             /* 0: none; a step of min_step is accepted whatever its error */

    const double
        *time_grid; /* (time_grid_count) steps go from each of these times to the next, in place of t0 and t1 */
    int64_t time_grid_count;
    const double *times; /* (times_count) in the direction of time, within [t0, t1]: where states are asked for */
    int64_t times_count;

    const tw_ode_event *events;
    int events_count;

    const tw_ode_chart *chart; /* NULL: states are vectors. With one: explicit methods without times, events, gradients */

    tw_field_jvp_fn jvp; /* for implicit methods; NULL: differences of the field */
    double difference;   /* their step, relative to max(1, |x|), for fields computed in less than double; 0: for double
                            ones */
    int krylov;          /* vectors of GMRES; 0: LU up to 64 unknowns of a row, GMRES with 30 vectors beyond */
} tw_ode_desc;

typedef struct tw_ode_stats {
    int64_t nfe;                /* calls a row saw, largest over the rows (fixed: the same for all) */
    double nfe_mean;            /* mean over the rows */
    int64_t evaluations;        /* field calls made times rows in each: the work done */
    int64_t calls;              /* field calls */
    int64_t jvps;               /* calls of jvp times rows in each */
    int64_t accepted, rejected; /* steps, summed over rows */
    int64_t failed;             /* rows that hit max_steps, a step too small or a non-finite value */
} tw_ode_stats;

/* One event of one row: where g was zero, before any jump. What a gradient of t needs, dt/dx = -(dg/dx) / slope. */
typedef struct tw_ode_occurrence {
    int64_t row;
    int event; /* number in the description */
    double t;
    double slope; /* dg/dt along the solution */
} tw_ode_occurrence;

/* What a run hands back beside the end state; everything may be NULL. Arrays are the caller's. */
typedef struct tw_ode_output {
    double *states; /* (times_count, rows, columns); NaN at times that a row did not reach */
    double *ends;   /* (rows) the time at which the row stands: t1, or where an event or a failure stopped it */
    int64_t *nfe, *accepted, *rejected; /* (rows) */
    /* The first events_capacity events; those of one row stand in the order of time. */
    tw_ode_occurrence *events;
    double *event_x, *event_dx;            /* (events_capacity, columns) the state there and the field */
    int64_t events_capacity, events_count; /* count: set to the number that happened, which may be greater */
} tw_ode_output;

/* Integrates x (rows, columns) in place from t0 to t1 (desc NULL: all defaults). On failure of some rows
 * (TW_ERR_NUMERIC) the others are finished, failed ones hold their last state, and the sentence tells how many, the
 * first row, its time and why. When the field fails, its status is returned and rows hold the state they had reached.
 * out_stats may be NULL and is written in either case. Large sets are integrated block by block. ctx may be used by
 * this call only. */
TW_NODISCARD TW_API tw_status tw_ode_solve(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field, void *user,
                                           int64_t rows, int columns, double *x, tw_ode_stats *out_stats);
/* The same with output (NULL: none). */
TW_NODISCARD TW_API tw_status tw_ode_solve_output(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field,
                                                  void *user, int64_t rows, int columns, double *x,
                                                  tw_ode_output *output, tw_ode_stats *out_stats);

/* Work memory made once, for loops that solve often (and from several threads, each with its own). More than max_rows
 * rows are integrated block by block. Grid, times and events of the description are copied. */
typedef struct tw_ode tw_ode;
TW_NODISCARD TW_API tw_status tw_ode_create(tw_context *ctx, const tw_ode_desc *desc, int64_t max_rows, int columns,
                                            tw_ode **out_ode);
TW_API void tw_ode_destroy(tw_ode *ode);
/* Like tw_ode_solve, does not allocate; the sentence of a failure goes to `error` (size bytes) instead of the context.
 */
TW_NODISCARD TW_API tw_status tw_ode_run(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x,
                                         tw_ode_stats *out_stats, char *error, size_t size);
TW_NODISCARD TW_API tw_status tw_ode_run_output(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x,
                                                tw_ode_output *output, tw_ode_stats *out_stats, char *error,
                                                size_t size);

typedef struct tw_ode_method_info {
    const char *name, *about, *source;
    int order, stages;
    bool adaptive;
    int dense_order; /* of the interpolant: a state between steps is wrong by O(h^(dense_order + 1)) more than an end */
    bool implicit;   /* solves equations in every step: for stiff fields */
} tw_ode_method_info;
/* Methods by index, NULL past the end. */
TW_API const tw_ode_method_info *tw_ode_method_list(int index);

#ifdef __cplusplus
}
#endif
#endif
