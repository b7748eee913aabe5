/* thalweg/gradient.h - gradients through a trained flow: of any loss of its samples with respect to the source points
 * they come from, of log-densities with respect to the rows they are of, of both to the weights; and source points
 * found by that.
 *
 * Source points are as the source draws them (standard normal numbers); samples are in the units of the data. */
#ifndef THALWEG_GRADIENT_H
#define THALWEG_GRADIENT_H

#include <thalweg/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One number for all samples x (n, columns), and its derivative out_dx (n, columns). */
typedef tw_status (*tw_sample_loss_fn)(void *user, int64_t n, const double *x, double *out_loss, double *out_dx);

typedef struct tw_flow_gradient_desc {
    const tw_sample_desc *sample; /* solver (explicit Runge-Kutta), grid, schedule, conditions, guidance and precision;
                                     NULL: the defaults. Without noise and frames; on_progress is not called */
    size_t memory; /* bytes for states on the way, 0: all are kept (tw_ode_tape_create); any gives the same bits */
    tw_sample_loss_fn loss;
    void *user;
} tw_flow_gradient_desc;

/* Where source points x0 (n, columns) go, the loss of that, and its exact derivative with respect to x0 - for the steps
 * the solver took - and to the weights, added to dweights (tw_flow_parameters: one parameter behind the other, in the
 * order of the model file). out_x1, dweights and out_stats may be NULL. Any number of threads gives the same bits. */
TW_NODISCARD TW_API tw_status tw_flow_gradient(tw_flow *flow, const tw_flow_gradient_desc *desc, int64_t n,
                                               const double *x0, double *out_x1, double *out_loss, double *out_dx0,
                                               double *dweights, tw_ode_stats *out_stats);

typedef struct tw_density_gradient_desc {
    const tw_sample_desc *sample; /* as tw_log_density has it, solver an explicit Runge-Kutta method unless `adjoint` is
                                     chosen; NULL: the defaults */
    size_t memory;                /* as above */
    const double *slopes;         /* (n) of the loss in each log-density; NULL: the loss is their sum, all are 1 */
    bool adjoint;  /* by the adjoint equation (tw_ode_adjoint), which keeps nothing and is as exact as tolerances are;
                      with weights all rows take the same steps back */
    bool seminorm; /* of the adjoint: the integrals of the weights are left out of the error of a step */
} tw_density_gradient_desc;

/* Log-densities of rows x (n, columns), in data units, and the derivative of a loss of them with respect to x, out_dx
 * (n, columns), and to the weights, added to dweights (as above). With slopes NULL out_dx is the score, the gradient of
 * each row's log-density. A column that never changed in training has no derivative: 0. Probes (sample->probes) give
 * the derivative of the estimate, which is unbiased too. out_log_density, dweights and out_stats may be NULL. Any
 * number of threads gives the same bits. */
TW_NODISCARD TW_API tw_status tw_log_density_gradient(tw_flow *flow, const tw_density_gradient_desc *desc, int64_t n,
                                                      const double *x, double *out_log_density, double *out_dx,
                                                      double *dweights, tw_ode_stats *out_stats);

typedef struct tw_source_search_desc {
    tw_flow_gradient_desc gradient;
    double lambda;    /* weight of -log density of the lengths |x0| of normal vectors, sum over rows of
                         |x0|^2 / 2 - (columns - 1) log |x0|; 0: none */
    int iterations;   /* of L-BFGS; 0: 100 */
    int history;      /* pairs it keeps; 0: 20 */
    double tolerance; /* ends when no entry of the gradient is larger; 0: 1e-6 */
    double target;    /* ends when loss and penalty are no larger together, such as at the level of noise; 0: none */
} tw_source_search_desc;

typedef struct tw_source_search_result {
    double loss;         /* without the penalty */
    int iterations;      /* of L-BFGS */
    int64_t evaluations; /* of the loss and its gradient */
    bool reached;        /* tolerance or target; else the iterations were used up or no step helped any more */
} tw_source_search_result;

/* D-Flow (Ben-Hamu, Puny, Gat, Karrer, Singer, Lipman 2024, D-Flow: differentiating through flows for controlled
 * generation): changes the source points x0 (n, columns), in place, so that the loss of where they go becomes small.
 * Samples stay near the data, as the flow moves points where the data vary. All rows are one problem: for samples that
 * have nothing to do with each other, call with one at a time. out_x1 (n, columns) and out_result may be NULL. */
TW_NODISCARD TW_API tw_status tw_source_search(tw_flow *flow, const tw_source_search_desc *desc, int64_t n, double *x0,
                                               double *out_x1, tw_source_search_result *out_result);

#ifdef __cplusplus
}
#endif
#endif
