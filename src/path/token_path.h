/* path/token_path.h - paths of tokens: p_t(x | x_0, x_1) of every token by itself, and Markov chains that follow them
 * (Gat et al. 2024, Discrete flow matching; Shaul et al. 2024, Flow matching with general discrete paths).
 *
 *   mixture  kappa0 delta_{x_0} + kappau U + kappa delta_{x_1}, kappa = alpha of a convex schedule, kappa0 = (1 -
 * kappa) (1 - noise kappa), kappau = noise kappa (1 - kappa), U uniform on the symbols; noise = 0 is the usual one
 *   metric   softmax(-beta d(., x_1)), beta = scale (t / (1 - t))^power: the source is uniform
 *
 * Every path here arrives, p_1 = delta_{x_1}, with rates that are unbounded at t = 1. They are therefore kept in a
 * clock of the path's own, tau = -log kappa0 or beta, which grows from 0 to infinity: u_t = tau'(t) r_t with r_t
 * bounded, and what happens between two times depends on tau only. No end needs a margin. */
#ifndef TW_PATH_TOKEN_PATH_H
#define TW_PATH_TOKEN_PATH_H

#include "path/schedule.h"

typedef struct tw_token_path {
    int symbols;                 /* K: what data is made of, 0..K-1 */
    int states;                  /* K, or K + 1 with a mask, which is state K and what a mixture begins at */
    const tw_schedule *schedule; /* of a mixture: tw_schedule_is_convex */
    double noise;                /* of a mixture, 0..1 */
    bool uniform;                /* a mixture's source is uniform on the symbols */
    const double *distance;      /* of a metric path, (K,K): d(x, y) >= 0, 0 only on the diagonal. NULL: a mixture */
    double scale, power;         /* of beta, both above 0 */
} tw_token_path;

/* Whether alpha + sigma = 1, alpha from 0 to 1. */
bool tw_schedule_is_convex(const tw_schedule *schedule);
/* |x - y|^exponent of places (K,width) of the symbols, in units of the mean distance of one from its nearest; NULL: of
 * the numbers 0..K-1. out (K,K). */
void tw_token_distances(int symbols, int width, const double *place, double exponent, double *out);

/* --- on the host, in double ----------------------------------------------------------------------------------------
 * x_0 = -1 below stands for a draw of the source: the mask, or uniform on the symbols without one. */

double tw_token_clock(const tw_token_path *path, double t);    /* tau, 0 at t = 0 and infinite at t = 1 */
double tw_token_time(const tw_token_path *path, double clock); /* the t in [0,1] with that clock */
double tw_token_pace(const tw_token_path *path, double t);     /* tau'(t) */

/* The pace at which the last token arrives, e^(-d tau): 1, or the least distance of two symbols. */
double tw_token_least_distance(const tw_token_path *path);

/* p_t(. | x_0, x_1) and its slope in the clock, (states) each; either may be NULL. */
void tw_token_law(const tw_token_path *path, double t, int x0, int x1, double *out_p, double *out_slope);
/* A draw of it by a uniform number in (0,1). */
int tw_token_draw(const tw_token_path *path, double t, int x0, int x1, double uniform);

/* The velocity per unit of clock: r_t(y, x | x_1) for y other than x, 0 at x; (states). It has the least kinetic energy
 * (tw_kinetic_rates), but for noise > 0, where it is that of the components (tw_components_velocity). */
void tw_token_rates(const tw_token_path *path, double t, int x, int x1, double *out);
/* Its mean over x_1 with probabilities posterior (K): the velocity of the marginal chain when they are p_{1|t}. */
void tw_token_rates_mean(const tw_token_path *path, double t, int x, const double *posterior, double *out);

/* What the rates for posterior e^log_p (K) lose against those for x_1, per unit of clock: sum_y q(y) - r(y) + r(y) log
 * (r(y) / q(y)), y other than x. Its mean over x_t, times the pace, integrates to a bound on -log p(x_1) (Lou, Meng,
 * Ermon 2024, theorem 3.6; Shaul et al. 2024, eq. 24). scratch: 3 states numbers. */
double tw_token_divergence(const tw_token_path *path, double t, int x, int x1, const double *log_p, double *scratch);

/* Probability that a token stays from t to s wherever it goes to, when that is known: of mixtures; else 0. */
double tw_token_stay(const tw_token_path *path, double t, double s);
/* Where the chain is at time s >= t, when it is at x at time t and goes to x_1: exact for a mixture, for a metric path
 * with the rates of t held, and x_1 itself at s = 1. Rates are `mass` times those of the path (1: its own). */
int tw_token_move(const tw_token_path *path, double t, double s, double mass, int x, int x1, double uniform,
                  double uniform_target);

/* --- any path ---------------------------------------------------------------------------------------------------- */

/* The velocity of least kinetic energy sum_{y != x} u(y, x)^2 p(x) / p(y) that moves p (states) with slope dp (sum 0),
 * out of x: u(y, x) = [p(x) dp(y) - p(y) dp(x)]_+ / p(x); 0 at x, and all 0 where p(x) = 0 (Shaul et al. 2024, eq. 17).
 */
void tw_kinetic_rates(int states, const double *p, const double *dp, int x, double *out);

/* The velocity sum_j a_j w_j + b delta_x of a mixture sum_j kappa_j w_j of any number of components (Gat et al. 2024,
 * theorem 3): those with kappa_j = 0 and no slope have a_j = 0. */
void tw_components_velocity(int count, const double *kappa, const double *slope, double *out_a, double *out_b);

/* --- on a graph -------------------------------------------------------------------------------------------------- */

/* x_t (B,T) drawn by uniform numbers (B,T) for x_0, x_1 (B,T), whole numbers in a real type, and t (B). */
tw_val tw_token_point(const tw_token_path *path, tw_val x0, tw_val x1, tw_val t, tw_val uniform);
/* What a token says of its own x_1, log p_t(x | x_1) up to a constant (B,T,K) for x (B,T) and t (B): in a posterior
 * this is the part that sharpens without bounds towards t = 1, and what is left for a network to learn changes little.
 * TW_NONE: nothing, as of masks and of sources of data. */
tw_val tw_token_evidence(const tw_token_path *path, tw_val x, tw_val t);
/* tau'(t), elementwise. */
tw_val tw_token_pace_at(const tw_token_path *path, tw_val t);

#endif
