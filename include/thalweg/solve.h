/* thalweg/solve.h - ordinary differential equations for many independent rows at once.
 *
 * State and time are double. Adaptive methods control the step of every row on its own and keep only unfinished rows in
 * the batch that is evaluated, land exactly on t1 and never evaluate outside [t0, t1]; fixed-step methods take one step
 * size for all. Backward integration is t1 < t0. */
#ifndef THALWEG_SOLVE_H
#define THALWEG_SOLVE_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* dx/dt = f(t, x) for `rows` rows at once: t (rows), x and out_dx (rows, columns). */
typedef tw_status (*tw_field_fn)(void *user, int64_t rows, const double *t, const double *x, double *out_dx);

typedef struct tw_ode_desc {
    const char *method; /* tw_ode_method_list(); NULL: "dopri5" */
    double t0, t1;      /* both 0: from 0 to 1 */
    int steps;          /* number of equal steps (0: 50 for fixed-step methods unless step_size is given) */
    double step_size;   /* size of a step, last one shortened to land on t1; adaptive methods with steps or step_size
                           take these steps without error control */
    double rtol, atol;  /* adaptive methods; 0: 1e-5 each */
    double first_step;  /* 0: chosen */
    int64_t max_steps;  /* per row, accepted and rejected together; 0: 100000 */
    int error_columns;  /* only the first so many columns enter the error norm; 0: all */
} tw_ode_desc;

typedef struct tw_ode_stats {
    int64_t nfe;                /* calls a row saw, largest over the rows (fixed: the same for all) */
    double nfe_mean;            /* mean over the rows */
    int64_t evaluations;        /* field calls made times rows in each: the work done */
    int64_t calls;              /* field calls */
    int64_t accepted, rejected; /* steps, summed over rows */
    int64_t failed;             /* rows that hit max_steps, a step too small or a non-finite value */
} tw_ode_stats;

/* Integrates x (rows, columns) in place from t0 to t1 (desc NULL: all defaults). On failure of some rows
 * (TW_ERR_NUMERIC) the others are finished, failed ones hold their last state, and the sentence tells how many, the
 * first row, its time and why. When the field fails, its status is returned and rows hold the state they had reached.
 * out_stats may be NULL and is written in either case. Large sets are integrated block by block. ctx may be used by
 * this call only. */
TW_NODISCARD TW_API tw_status tw_ode_solve(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field, void *user,
                                           int64_t rows, int columns, double *x, tw_ode_stats *out_stats);

/* Work memory made once, for loops that solve often (and from several threads, each with its own). More than max_rows
 * rows are integrated block by block. */
typedef struct tw_ode tw_ode;
TW_NODISCARD TW_API tw_status tw_ode_create(tw_context *ctx, const tw_ode_desc *desc, int64_t max_rows, int columns,
                                            tw_ode **out_ode);
TW_API void tw_ode_destroy(tw_ode *ode);
/* Like tw_ode_solve, does not allocate; the sentence of a failure goes to `error` (size bytes) instead of the context.
 */
TW_NODISCARD TW_API tw_status tw_ode_run(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x,
                                         tw_ode_stats *out_stats, char *error, size_t size);

typedef struct tw_ode_method_info {
    const char *name, *about, *source;
    int order, stages;
    bool adaptive;
} tw_ode_method_info;
/* Methods by index, NULL past the end. */
TW_API const tw_ode_method_info *tw_ode_method_list(int index);

#ifdef __cplusplus
}
#endif
#endif
