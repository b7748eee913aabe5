/* thalweg/sde.h - stochastic differential equations for many independent rows at once, and the Brownian motion that
 * drives them.
 *
 *   dx = f(t, x) dt + g(t, x) dW          in the sense of Ito or Stratonovich
 *
 * State and time are double. The motion is a pure function of seed, row, column and time: solving again, with another
 * method, other steps or backwards, meets the same path, and rows do not depend on how many stand beside them. Steps
 * are given, or halved for each row by its own error. */
#ifndef THALWEG_SDE_H
#define THALWEG_SDE_H

#include <thalweg/graph.h>
#include <thalweg/solve.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Brownian motion ----------------------------------------------------------------------------------------------
 *
 * W(t) for t in [times[0], times[cells]], W = 0 at its beginning: a tree of bridges, over the cells first and then
 * halving them (Gaines, Lyons 1997; Li et al. 2020; Jelincic, Foster, Kidger 2024). The cells are part of what names a
 * path. Walking through their ends in order costs one normal number a cell, any other time one a level of the tree. */
typedef struct tw_brownian tw_brownian;

typedef struct tw_brownian_desc {
    double t0, t1;       /* both 0: from 0 to 1; ignored when times are given */
    int64_t cells;       /* equal ones, or those between `times`; 0: 1 */
    const double *times; /* (cells + 1), increasing; NULL: equal cells */
    int columns;         /* independent motions in a row */
    uint64_t seed;
    int stream;     /* 0 to 65535: one of the independent motions of a seed */
    bool integrals; /* also know the integral of W (another path than without: it takes two normal numbers a bridge) */
} tw_brownian_desc;

/* Memory for blocks of at most max_rows rows. One thread at a time. */
TW_NODISCARD TW_API tw_status tw_brownian_create(tw_context *ctx, const tw_brownian_desc *desc, int64_t max_rows,
                                                 tw_brownian **out_brownian);
TW_API void tw_brownian_destroy(tw_brownian *brownian);

/* W(t) of `rows` rows from number `row` on, (rows, columns), and the integral of W from the beginning to t, (rows,
 * columns), NULL unless the motion knows integrals. t is moved into the interval; between times closer than 2^-40 of a
 * cell W is a straight line. The same bits in any order of questions. */
TW_API void tw_brownian_at(tw_brownian *brownian, int64_t row, int64_t rows, double t, double *out_w,
                           double *out_integral);
/* W(b) - W(a), and H = 1/(b-a) int_a^b W(s) - W(a) ds - (W(b) - W(a))/2, the space-time area: normal with variance
 * (b-a)/12, independent of the increment (NULL as above; b may stand before a). */
TW_API void tw_brownian_increment(tw_brownian *brownian, int64_t row, int64_t rows, double a, double b, double *out_dw,
                                  double *out_area);

/* --- equations ----------------------------------------------------------------------------------------------------
 */
typedef enum tw_sde_sense { TW_SDE_ITO, TW_SDE_STRATONOVICH } tw_sde_sense;

/* What g dW is. Shapes of what the diffusion writes: */
typedef enum tw_sde_noise {
    TW_SDE_DIAGONAL, /* g (rows, columns): a motion for every column; column i of g depends on t and x_i alone */
    TW_SDE_SCALAR,   /* g (rows, columns): one motion for the row */
    TW_SDE_ADDITIVE, /* g (rows, columns, noises), depends on t alone */
    TW_SDE_GENERAL,  /* g (rows, columns, noises) */
} tw_sde_noise;

/* Transposed derivative of drift and diffusion at (t, x): with cotangents df (rows, columns) of f and dg (the shape of
 * g) of g, writes df . f_x + dg . g_x to out_dx (rows, columns) and *adds* the same for the parameters, summed over the
 * rows, to dparams (params). */
typedef tw_status (*tw_sde_vjp_fn)(void *user, int64_t rows, const double *t, const double *x, const double *df,
                                   const double *dg, double *out_dx, double *dparams);

typedef struct tw_sde_equation {
    tw_sde_sense sense;
    tw_sde_noise noise;
    int columns;
    int noises; /* of additive and general noise; otherwise 0 */
    tw_field_fn drift;
    tw_field_fn diffusion;
    tw_field_fn derivative;  /* for Milstein, diagonal or scalar noise: sum_j g_j dg_i/dx_j, (rows, columns); NULL: from
                                a difference of g */
    tw_field_fn other_drift; /* for out->kl: that of an equation with the same diffusion */
    tw_sde_vjp_fn vjp;       /* for gradients */
    int64_t params;          /* for gradients */
    void *user;
} tw_sde_equation;

/* --- solving ------------------------------------------------------------------------------------------------------
 */
typedef struct tw_sde_desc {
    const char *method;  /* tw_sde_method_list(); NULL: "srk" (Ito) or "midpoint" (Stratonovich); "euler" for general
                            noise in Ito's sense */
    double t0, t1;       /* both 0: from 0 to 1. Backwards, on the same path, in Stratonovich's sense only */
    int64_t steps;       /* equal steps; 0: 100 */
    const double *times; /* instead: (steps + 1) times the steps lead through, in order; t0 and t1 are not read */
    uint64_t seed;
    int stream;            /* 0 to 65535: one of the independent motions of a seed */
    int64_t first_row;     /* number of the first row, so that a part of the rows is driven as in the whole */
    tw_brownian *brownian; /* drive by this motion instead of one made of seed, stream and the steps */

    /* Not both 0: each row halves the steps above (0: 10 of them) as often as its error asks for, found from two halves
     * of every step. Halves of halves only, so that a place once looked at stays one and steps that know the future of
     * the path still lead to the solution (Gaines, Lyons 1997; Foster, Jelincic 2024, On the convergence of adaptive
     * approximations for SDEs). Not euler with noise that depends on the state, which would lead elsewhere. */
    double rtol, atol;
    int64_t max_steps; /* then: per row, accepted and rejected together; 0: 100000 */
} tw_sde_desc;

/* What a solution is asked for beside its end; all zero: nothing. Arrays are the caller's. */
typedef struct tw_sde_out {
    /* log_prob and kl are those of given steps. */
    int64_t stride;      /* rows of the arrays where they are longer than the solution; 0: its rows */
    int64_t times_count; /* states at these times, in the order of going: steps are cut to end on them */
    const double *times;
    double *states;   /* (times_count, rows, columns) */
    double *log_prob; /* (steps, rows): log-density of every transition of Euler-Maruyama (steps cut for `times`: of all
                         their parts) */
    double *kl;       /* (rows): int 1/2 |g^-1 (f - other_drift)|^2 dt along the way: averaged, the divergence of the
                         measure of paths from that with other_drift (Girsanov). By the left rule for euler, which is
                         exact for its chain, else by the trapezoidal one */
} tw_sde_out;

typedef struct tw_sde_stats {
    int64_t steps;                                    /* of every row; of chosen ones: the most a row took */
    int64_t accepted, rejected;                       /* of chosen ones, summed over rows */
    int64_t drift_evaluations, diffusion_evaluations; /* calls */
    int64_t failed;                                   /* rows that are not finite */
} tw_sde_stats;

/* Integrates x (rows, columns) in place. Rows that became infinite or NaN make it TW_ERR_NUMERIC (the others are
 * finished); the sentence tells how many, the first and when. out, out_stats may be NULL. ctx may be used by this call
 * only. */
TW_NODISCARD TW_API tw_status tw_sde_solve(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc,
                                           int64_t rows, double *x, const tw_sde_out *out, tw_sde_stats *out_stats);

/* Work memory made once; more than max_rows rows are taken block by block (not with a motion of the caller's, whose
 * memory must do). */
typedef struct tw_sde tw_sde;
TW_NODISCARD TW_API tw_status tw_sde_create(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc,
                                            int64_t max_rows, tw_sde **out_sde);
TW_API void tw_sde_destroy(tw_sde *sde);
/* Like tw_sde_solve for rows numbered from `row` (in place of first_row), does not allocate; the sentence of a failure
 * goes to `error` (size bytes) instead of the context. */
TW_NODISCARD TW_API tw_status tw_sde_run(tw_sde *sde, int64_t row, int64_t rows, double *x, const tw_sde_out *out,
                                         tw_sde_stats *out_stats, char *error, size_t size);

/* Log-density (rows) of Euler-Maruyama's transition from x at t to y at t + h, N(x + f h, h g g^T), (rows, columns)
 * each: what policy gradients need for steps that another drift has taken. Noises must be as many as columns or more.
 */
TW_NODISCARD TW_API tw_status tw_sde_transition_log_prob(tw_context *ctx, const tw_sde_equation *equation, double t,
                                                         double h, int64_t rows, const double *x, const double *y,
                                                         double *out_log_prob);

/* The gradient of a loss of the solution's end: a (rows, columns) holds its derivative with respect to the end, and
 * that with respect to where the solution began afterwards; that with respect to the parameters is added to dparams
 * (params), which is not read if a call fails. Needs the equation's vjp. */
typedef enum tw_sde_gradient_kind {
    TW_SDE_DISCRETE, /* exact for the method of desc and steps that are given; x (rows, columns) is where the solution
                        began. Keeps the states of all steps, but those of reversible_heun, which come back by
                        themselves */
    TW_SDE_ADJOINT,  /* the stochastic adjoint, by the midpoint rule on the way back whatever the method was; x is where
                        the solution ended, and no state is kept. In Ito's sense the drift is corrected by differences of
                        the diffusion: two for each motion of general noise, else two */
} tw_sde_gradient_kind;
TW_NODISCARD TW_API tw_status tw_sde_gradient(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc,
                                              tw_sde_gradient_kind kind, int64_t rows, const double *x, double *a,
                                              double *dparams);

/* --- the solution as a graph, for training: derivatives of every order in all that the fields use ---------------- */

typedef struct tw_sde_fields {
    tw_val drift, diffusion; /* (rows, columns): a motion for every column */
    tw_val other_drift;      /* for out_kl alone: that of an equation with the same diffusion */
} tw_sde_fields;

typedef struct tw_sde_unroll_desc {
    tw_sde_sense sense;
    const char *method; /* one of diagonal noise that needs no integrals; NULL: "euler" (Ito) or "midpoint" */
    double t0, t1;      /* both 0: from 0 to 1 */
    int steps;          /* equal ones; 0: 100 */
    int64_t segment;    /* of the scan (tw_scan_desc): about sqrt(steps) for the least memory on the way back; 0: 1 */
    int given_count;
    const tw_val *given; /* (steps, ...) each: what a step is told beside time and state, such as what was observed */
    /* Writes the fields at a time t (a scalar) in the same graph, of the type of x (rows, columns), with the step's
     * rows of `given`. Parameters it may use as they stand. */
    void (*fields)(void *user, tw_val t, tw_val x, const tw_val *given, tw_sde_fields *out);
    void *user;
} tw_sde_unroll_desc;

/* From x (rows, columns) at t0, driven by noise (steps, rows, columns), standard normal numbers: the states behind all
 * steps (steps, rows, columns), and int 1/2 |(drift - other_drift) / diffusion|^2 dt (rows), as tw_sde_out.kl by the
 * left rule; either may be NULL. */
TW_API void tw_sde_unroll(tw_graph *g, const tw_sde_unroll_desc *desc, tw_val x, tw_val noise, tw_val *out_states,
                          tw_val *out_kl);

typedef struct tw_sde_method_info {
    const char *name, *about, *source;
    bool ito, stratonovich;
    bool noise[4];        /* by tw_sde_noise: whether it can */
    double strong[4];     /* by tw_sde_noise: order of the error of paths; 0 where it cannot */
    double weak;          /* order of the error of moments */
    bool needs_integrals; /* of its motion (a caller's must know them) */
} tw_sde_method_info;
/* Methods by index, NULL past the end. */
TW_API const tw_sde_method_info *tw_sde_method_list(int index);

#ifdef __cplusplus
}
#endif
#endif
