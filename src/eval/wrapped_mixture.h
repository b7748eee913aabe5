/* eval/wrapped_mixture.h - mixtures of wrapped normal distributions of angles, fitted by expectation and maximisation:
 * what flows on tori are held to (Mardia, Jupp 2000, Directional statistics, sections 3.5.7 and 5.5). */
#ifndef TW_EVAL_WRAPPED_MIXTURE_H
#define TW_EVAL_WRAPPED_MIXTURE_H

#include "base/base.h"

enum { TW_WRAPPED_MOST = 64, TW_WRAPPED_COLUMNS = 16 }; /* components, columns at most */

/* Of every component a weight, and of each of its columns, which are independent, mean and variance before wrapping. */
typedef struct tw_wrapped_mixture {
    tw_context *ctx;
    int columns, components;
    double *weight;          /* (components) */
    double *mean, *variance; /* (components, columns) */
} tw_wrapped_mixture;

/* Fits `components` to rows (n, columns) of radians: the likelier of two attempts, begun at rows far from each
 * other. Deviations stay between 0.02 and pi. */
TW_NODISCARD tw_status tw_wrapped_mixture_fit(tw_context *ctx, int columns, int64_t n, const double *rows,
                                              int components, uint64_t seed, tw_wrapped_mixture *out_mixture);
void tw_wrapped_mixture_free(tw_wrapped_mixture *mixture);
/* Mean log-density of rows (n, columns), per radian in every column. */
double tw_wrapped_mixture_score(const tw_wrapped_mixture *mixture, int64_t n, const double *rows);

#endif
