/* thalweg/steer.h - steering a trained flow without training: by the gradient of a reward of its samples, and towards
 * what was observed of them - columns that are known, or any linear measurement with noise.
 *
 * At every step the flow says where it expects its data point, x1-hat(x, t) = E[x_1 | x_t = x]; what is wanted of data
 * is asked of that. Steps are Euler's, desc->solver.steps of equal length (0: 100); seed, conditions, guidance,
 * schedule, precision and progress are those of tw_sample_desc too, and nothing else of it. Rows are independent of
 * each other and the same for any number of rows and threads. */
#ifndef THALWEG_STEER_H
#define THALWEG_STEER_H

#include <thalweg/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The gradient of a reward at each of `rows` expected data points x1 (rows, columns), in data units; `first` is the
 * number of the first. Called for different rows by several threads at once. Non-zero stops with TW_ERR_CANCELLED. */
typedef int (*tw_reward_fn)(void *user, int64_t first, int64_t rows, double t, const double *x1, double *out_gradient);

typedef struct tw_reward_desc {
    tw_reward_fn gradient;
    void *user;
    double strength;   /* w: about p(x) exp(w reward(x)) is sampled, exactly where posterior spreads do not matter */
    bool skip_network; /* take x1-hat's derivative for that of standard normal data, at half the cost (He et al. 2024,
                          Manifold preserving guided diffusion; FlowChef) */
} tw_reward_desc;

/* Velocity u + w sigma^2 d/dt log(alpha/sigma) d/dx reward(x1-hat(x, t)) (Dhariwal, Nichol 2021; of x1-hat: Bansal et
 * al. 2023, Universal guidance; the factor turns scores into velocities). out (n, columns). */
TW_NODISCARD TW_API tw_status tw_sample_rewarded(tw_flow *flow, int64_t n, const tw_sample_desc *desc,
                                                 const tw_reward_desc *reward, double *out, tw_ode_stats *out_stats);

typedef struct tw_inverse_desc {
    const char *method; /* with parameters (thalweg list inverses); NULL: "ot_ode" */
    /* y = A x + noise for every row, in data units: (n, measures), or one row for all. Without a matrix the columns
     * themselves are observed, (n, columns), and NaN is a column that is not. */
    const double *observed;
    bool same_observed;
    int measures;         /* rows of A; 0: no matrix. At most 1024, unless all are orthogonal for the flow's units */
    const double *matrix; /* A (measures, columns) */
    double noise; /* its deviation in every measure; 0: exact, and observed columns come out as they were given */
} tw_inverse_desc;

/* Samples of the data given what was observed of them, about p(x | y): rows of out (n, columns). The source must be
 * "normal". */
TW_NODISCARD TW_API tw_status tw_flow_inverse(tw_flow *flow, int64_t n, const tw_sample_desc *desc,
                                              const tw_inverse_desc *problem, double *out, tw_ode_stats *out_stats);

/* What may have happened to a picture before it was observed, by name: "average:2" (means of blocks: super-resolution),
 * "blur:1.5", "gray" (thalweg list operators). */
typedef struct tw_operator tw_operator;

TW_NODISCARD TW_API tw_status tw_operator_create(tw_context *ctx, const char *name, tw_image image,
                                                 tw_operator **out_operator);
TW_API void tw_operator_destroy(tw_operator *op);
/* What it makes of a picture: pictures of this kind, `measures` numbers. */
TW_API tw_image tw_operator_image(const tw_operator *op);
TW_API int tw_operator_measures(const tw_operator *op);
TW_NODISCARD TW_API tw_status tw_operator_apply(const tw_operator *op, const double *picture, double *out);
/* The inverse problem it poses, turned so that measures are orthogonal: a matrix (measures, columns) that belongs to the
 * operator, and from an observed picture the measures, with noise as it was. */
TW_API const double *tw_operator_matrix(const tw_operator *op);
TW_NODISCARD TW_API tw_status tw_operator_measure(const tw_operator *op, const double *observed, double *out);

#ifdef __cplusplus
}
#endif
#endif
