/* solve/lbfgs.h - minimising a smooth function of many numbers by L-BFGS with strong Wolfe conditions (Nocedal, Wright
 * 2006, Numerical optimization, algorithms 7.4, 7.5, 3.5 and 3.6). */
#ifndef TW_SOLVE_LBFGS_H
#define TW_SOLVE_LBFGS_H

#include "base/base.h"

/* f(x) and its gradient (size); where f is not finite the search steps back. */
typedef tw_status (*tw_objective_fn)(void *user, const double *x, double *out_value, double *out_gradient);

typedef struct tw_lbfgs_desc {
    int64_t size;
    int history;      /* pairs kept; 0: 20 */
    int iterations;   /* at most; 0: 100 */
    double tolerance; /* ends when no entry of the gradient is larger; 0: 1e-8 */
    double target;    /* ends when the value is no larger; 0: none */
} tw_lbfgs_desc;

typedef struct tw_lbfgs_result {
    int iterations;
    int64_t evaluations;
    double value, slope; /* at the end; the largest entry of the gradient */
    bool reached;        /* tolerance or target; else iterations were used up or no step lowers the value any more */
} tw_lbfgs_result;

/* From x (size) to a minimum nearby, in place. A failure of f ends it with that status at the best x so far. */
TW_NODISCARD tw_status tw_lbfgs(tw_context *ctx, const tw_lbfgs_desc *desc, tw_objective_fn f, void *user, double *x,
                                tw_lbfgs_result *out_result);

#endif
