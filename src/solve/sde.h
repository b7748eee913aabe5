/* solve/sde.h - the inside of an SDE solver: methods as tables, work memory of one block of rows, and the few
 * operations on it that steps and their gradients are made of. */
#ifndef TW_SOLVE_SDE_H
#define TW_SOLVE_SDE_H

#include "solve/brownian.h"

/* What the diffusions of a step are multiplied by, for every motion of a row; for a step h with increment w and
 * space-time area H. Ito's iterated integrals, or Stratonovich's where the equation is. */
typedef enum tw_sde_control {
    TW_CONTROL_W,    /* I_1 = w */
    TW_CONTROL_ROOT, /* sqrt |h| */
    TW_CONTROL_W2,   /* I_11 / sqrt |h| = (w^2 - h) / 2 sqrt |h|, Stratonovich w^2 / 2 sqrt |h| */
    TW_CONTROL_AREA, /* I_10 / h = w/2 + H */
    TW_CONTROL_W3,   /* I_111 / h = (w^3 / h - 3 w) / 6 */
    TW_CONTROLS
} tw_sde_control;

enum { TW_SDE_STAGES = 5 };

/* Weights of earlier stages in a state: h sum a_j f_j + sum_j g_j sum_k b_jk control_k. */
typedef struct tw_sde_weights {
    double a[TW_SDE_STAGES];
    double b[TW_SDE_STAGES][TW_CONTROLS];
} tw_sde_weights;

/* A stochastic Runge-Kutta method: where which of f and g is evaluated, and the state after the step. */
typedef struct tw_sde_tableau {
    int stages;
    struct {
        bool f, g;
        double c; /* time */
        tw_sde_weights from;
    } stage[TW_SDE_STAGES];
    tw_sde_weights end;
} tw_sde_tableau;

typedef struct tw_sde_method {
    tw_sde_method_info info;
    const tw_sde_tableau *tableau, *additive; /* NULL: reversible Heun */
} tw_sde_method;

/* NULL when there is none. */
const tw_sde_method *tw_sde_method_find(const char *name);
/* What Milstein does where the derivative of the diffusion is given: Euler-Maruyama and a term of its own. */
const tw_sde_tableau *tw_sde_euler_tableau(void);

typedef struct tw_sde_walk tw_sde_walk;

struct tw_sde {
    tw_context *ctx;
    tw_sde_equation equation;
    const tw_sde_method *method;
    const tw_sde_tableau *tableau; /* NULL: reversible Heun */
    int64_t steps, block;          /* block: rows held at once */
    int columns, noises, width;    /* of the state; motions of a row; of what the diffusion writes for a row */
    tw_brownian *brownian, *own;   /* own: made here, or NULL */
    double *times;                 /* (steps + 1) */
    void *memory;
    tw_sde_walk *walk; /* steps chosen for each row, NULL: the same for all */

    /* Per row and column (block, columns). */
    double *z;                            /* state of a stage, in the end the state after the step */
    double *f[TW_SDE_STAGES], *other, *v; /* drifts; that of the other equation; whatever a file needs */
    double *at[TW_SDE_STAGES];            /* states of the stages of a step, for gradients; NULL: in z */
    double *mate;                         /* reversible Heun's second state */
    double *g[TW_SDE_STAGES];             /* diffusions (block, width) */
    double *control[TW_CONTROLS], *sum;   /* (block, noises); weighted sum of controls */
    double *t;                            /* (block) */
    const double *from, *to;              /* (block) with a walk: the step of each row, whose controls are there */
    double *rate;                         /* (block) integrand of kl at the beginning of the step */
    double *matrix;                       /* (columns, columns) */
    unsigned char *broken;                /* (block): the row was found not finite */

    /* The run under way: the block of rows, and its first row among the motion's. */
    int64_t rows, row;
    tw_sde_stats stats;
    struct {
        int64_t row;
        double t;
        const char *why; /* NULL: none yet */
    } failure;
};

/* The time of all rows of the block, as fields want it. */
const double *tw_sde_times(tw_sde *sde, double t);
/* Evaluations at one time for all rows of the block, counted. */
tw_status tw_sde_drift(tw_sde *sde, double t, const double *x, double *out_f);
tw_status tw_sde_diffusion(tw_sde *sde, double t, const double *x, double *out_g);

/* The controls of a step that a tableau uses (NULL: the increment alone). */
void tw_sde_controls(tw_sde *sde, const tw_sde_tableau *tableau, double t, double next);
/* Which it uses; and those of `count` motions from number `first` on, for a step h, from W and the space-time area. */
void tw_sde_needs(const tw_sde *sde, const tw_sde_tableau *tableau, bool out[TW_CONTROLS]);
void tw_sde_fill_controls(tw_sde *sde, const bool needed[TW_CONTROLS], double h, int64_t first, int64_t count);
/* sum_k b[k] control_k (rows, noises): a control itself or sde->sum; NULL when all weights are zero. */
const double *tw_sde_weighted(tw_sde *sde, const double b[TW_CONTROLS]);

/* out (rows, columns) += scale * g u, with u (rows, noises). */
void tw_sde_apply(const tw_sde *sde, double scale, const double *g, const double *u, double *out);
/* Its transpose: out (rows, width) += scale * a u^T, with a (rows, columns). */
void tw_sde_outer(const tw_sde *sde, double scale, const double *a, const double *u, double *out);
/* out += scale * v over n numbers. */
static inline void tw_sde_add(double scale, const double *v, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) out[i] += scale * v[i];
}

/* One step of the rows of the block from x (rows, columns) to sde->z. Leaves f and g of x in f[0], g[0]. With a walk t
 * and next are not read, and drifts come multiplied by the step of their row. */
tw_status tw_sde_step(tw_sde *sde, double t, double next, const double *x);
static inline double tw_sde_stage_time(const tw_sde_tableau *tableau, int stage, double t, double next)
{
    double c = tableau->stage[stage].c;
    return c == 1 ? next : t + c * (next - t);
}
/* Rows that tw_sde_solve and gradients take at once: a block stays in the second cache. */
int64_t tw_sde_block(const tw_sde_equation *equation);

/* Reversible Heun: the second state and the fields there where the solution begins, and a step. Before and after a
 * step, sde->mate is the second state and f[0], g[0] the fields at it. */
tw_status tw_sde_start_reversible(tw_sde *sde, double t, const double *x);
tw_status tw_sde_step_reversible(tw_sde *sde, double t, double next, const double *x);

/* Marks a row as lost, once; the first one is told by the run. */
void tw_sde_break(tw_sde *sde, int64_t r, double t, const char *why);

/* Steps chosen for each row (sde_adaptive.c): work memory; the block's rows x from times[0] to the end of times, states
 * at out->times written for row `first` of `total` on. */
TW_NODISCARD tw_status tw_sde_walk_create(tw_sde *sde, const tw_sde_desc *desc);
void tw_sde_walk_destroy(tw_context *ctx, tw_sde_walk *walk);
/* The number within the block of the row that a field is asked about at place `at`. */
int64_t tw_sde_row(const tw_sde *sde, int64_t at);
tw_status tw_sde_walk_block(tw_sde *sde, const tw_sde_out *out, int64_t first, int64_t total, double *x);

/* Densities of the rows of a block (sde_density.c). out += log N(y; x + f h, h g g^T); out = 1/2 |g^-1 (f - other)|^2.
 */
void tw_sde_log_prob(tw_sde *sde, double t, double h, const double *x, const double *f, const double *g,
                     const double *y, double *out);
void tw_sde_kl_rate(tw_sde *sde, double t, const double *f, const double *other, const double *g, double *out);
/* Refuses, in the name of `what`, noise with fewer motions than columns. */
tw_status tw_sde_check_invertible(tw_context *ctx, const tw_sde_equation *equation, const char *what);

#endif
