/* data/quantile.h - numbers of any law as standard normal ones and back: the quantiles of a sample at normal scores,
 * with straight lines between. Heavy tails, bounds and several bumps are left behind, and nothing goes beyond what was
 * seen (Conover 1999, Practical nonparametric statistics: normal scores). */
#ifndef TW_DATA_QUANTILE_H
#define TW_DATA_QUANTILE_H

#include "base/base.h"

enum { TW_QUANTILE_KNOTS = 257 };

typedef struct tw_quantiles {
    int count;    /* of knots, 0: the identity */
    double top;   /* scores go from -top to top, knots lie at equal distances */
    double *knot; /* (count), not falling */
} tw_quantiles;

/* Of `count` numbers, which are sorted here. */
TW_NODISCARD tw_status tw_quantiles_fit(tw_context *ctx, int64_t count, double *values, tw_quantiles *out_quantiles);
void tw_quantiles_free(tw_context *ctx, tw_quantiles *quantiles);
/* The score of a number; in the middle where a value has many. */
double tw_quantiles_score(const tw_quantiles *quantiles, double value);
double tw_quantiles_value(const tw_quantiles *quantiles, double score);

/* z with Phi(z) = p, p in (0,1). */
double tw_normal_quantile(double p);

#endif
