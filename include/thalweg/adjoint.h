/* thalweg/adjoint.h - gradients through the solution of an ordinary differential equation: of a loss of its end, and of
 * states on the way, with respect to where it began and to the parameters of the field.
 *
 * Three ways:
 *   a tape     the exact derivative of the steps a solver took, sizes of steps as they came out. Of any explicit
 *              Runge-Kutta method, through events and their jumps; in as much memory as it is given, to the same bits
 *              for any.
 *   adjoint    the adjoint equation solved backwards beside the state (Chen et al. 2018, Neural ordinary differential
 *              equations): keeps nothing, agrees with the other as tolerances shrink.
 *   unrolled   steps of equal size as a graph, for training: derivatives of every order. */
#ifndef THALWEG_ADJOINT_H
#define THALWEG_ADJOINT_H

#include <thalweg/graph.h>
#include <thalweg/solve.h>

#ifdef __cplusplus
extern "C" {
#endif

/* out_dx = w' df/dx for every row; adds w' df/dtheta, summed over the rows, to dparams (params): t (rows), x, w and
 * out_dx (rows, columns). dparams is NULL when there are no params. */
typedef tw_status (*tw_field_vjp_fn)(void *user, int64_t rows, const double *t, const double *x, const double *w,
                                     double *out_dx, double *dparams);

/* dx/dt = f(t, x; theta) with its transposed derivative. The rows of a field must not depend on each other. */
typedef struct tw_ode_equation {
    int columns;
    int64_t params; /* length of theta; 0: no gradient in it is wanted */
    tw_field_fn field;
    tw_field_vjp_fn vjp;
    void *user;
} tw_ode_equation;

/* --- the exact gradient --------------------------------------------------------------------------------------------
 */

/* Solves an equation and remembers the steps: the times of all, the states of as many as fit. */
typedef struct tw_ode_tape tw_ode_tape;

/* For up to max_rows rows. `memory`: bytes for states, of which one is kept at least; those left out are computed again
 * from the ones before, few times over (Griewank, Walther 2000, Revolve); 0: all states are kept. Any explicit
 * Runge-Kutta method, adaptive or not, with `times` and events (g_vjp, and jump_vjp where they jump, must be there; the
 * states around them are kept beside the memory). */
TW_NODISCARD TW_API tw_status tw_ode_tape_create(tw_context *ctx, const tw_ode_desc *desc,
                                                 const tw_ode_equation *equation, int64_t max_rows, size_t memory,
                                                 tw_ode_tape **out_tape);
TW_API void tw_ode_tape_destroy(tw_ode_tape *tape);
/* tw_ode_run_output, remembered. output may be NULL unless states at times are asked for. A run of which a row fails
 * has no gradient. */
TW_NODISCARD TW_API tw_status tw_ode_tape_run(tw_ode_tape *tape, int64_t rows, double *x, tw_ode_output *output,
                                              tw_ode_stats *out_stats, char *error, size_t size);

/* The derivative of a loss with respect to what a run handed back beside the end (tw_ode_output); NULL: none. */
typedef struct tw_ode_cotangents {
    const double
        *states; /* (times_count, rows, columns) of states at times; not read at times that a row did not reach */
    const double *event_t; /* (output->events_count) of the times of events */
    const double *event_x; /* (output->events_count, columns) of the states there, before any jump */
} tw_ode_cotangents;

/* The gradient of a loss of the last run: a (rows, columns) holds its derivative with respect to the end, and that with
 * respect to where the solution began afterwards; that with respect to theta is added to dparams (params). d: of what
 * else the loss depends on, NULL: nothing. Stages of steps are computed again. out_stats (may be NULL): evaluations of
 * the way back, those of vjp as jvps. May be called again, after a failure too, when dparams means nothing.
 *
 * The time of an event moves by dt = -(dg at the time it had) / (dg/dt along the solution), and what follows begins so
 * much later (Chen, Amos, Nickel 2021, Learning neural event functions for ODEs). Both are taken along the field, so
 * that these derivatives are as right as the solution is, where those of steps are exact. An event at which g has no
 * slope is TW_ERR_NUMERIC. */
TW_NODISCARD TW_API tw_status tw_ode_tape_gradient(tw_ode_tape *tape, const tw_ode_cotangents *d, double *a,
                                                   double *dparams, tw_ode_stats *out_stats, char *error, size_t size);

/* --- the adjoint equation ------------------------------------------------------------------------------------------
 */

typedef struct tw_ode_adjoint_desc {
    const tw_ode_desc *solver; /* of the way there: t0, t1, times. Its method, tolerances and sizes of steps serve for
                                  the way back (steps: between two times) */
    bool seminorm; /* the integrals of theta are left out of the error of a step, as nothing depends on them (Kidger,
                      Chen, Lyons 2021) */
    const double *states;  /* (times_count, rows, columns) at the times, from the way there: the solution is put right
                              on them */
    const double *dstates; /* the derivative of the loss with respect to them */
} tw_ode_adjoint_desc;

/* The same gradient by the adjoint equation, da/dt = -a' df/dx and its integral a' df/dtheta: x (rows, columns) is
 * where the solution ended, and where it would have begun afterwards; a and dparams as above. Every row has its own
 * steps without params; with them all rows take the same, as they share an integral. */
TW_NODISCARD TW_API tw_status tw_ode_adjoint(tw_context *ctx, const tw_ode_adjoint_desc *desc,
                                             const tw_ode_equation *equation, int64_t rows, double *x, double *a,
                                             double *dparams, tw_ode_stats *out_stats);

/* --- the solution as a graph ---------------------------------------------------------------------------------------
 */

enum { TW_UNROLL_STATES = 128 };

typedef struct tw_ode_unroll_desc {
    const char *method; /* an explicit Runge-Kutta method; NULL: "rk4" */
    double t0, t1;      /* both 0: from 0 to 1 */
    int steps;          /* 0: 50 */
    int64_t segment;    /* of the scan (tw_scan_desc): about sqrt(steps) for the least memory on the way back; 0: 1 */
    int states_count;   /* at most TW_UNROLL_STATES */
    /* Writes d state / dt at a time t (a scalar) in the same graph, of the same types as the states. What it needs
     * beside them - parameters, conditions, random numbers - it may use as it stands. */
    void (*field)(void *user, tw_val t, const tw_val *states, tw_val *out_slopes);
    void *user;
} tw_ode_unroll_desc;

/* States (real, any shapes) at t1 from those at t0: a scan over the steps, the field written once for each stage. */
TW_API void tw_ode_unroll(tw_graph *g, const tw_ode_unroll_desc *desc, const tw_val *states, tw_val *out_states);

#ifdef __cplusplus
}
#endif
#endif
