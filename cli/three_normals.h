/* three_normals.h - a mixture of three normal distributions in one column, of mean 0 and variance 1, that measures know
 * exactly. */
#ifndef THALWEG_CLI_THREE_NORMALS_H
#define THALWEG_CLI_THREE_NORMALS_H

#include "base/philox.h"

#include <thalweg/thalweg.h>

double three_normals_draw(tw_random *random);
/* The number below which a share of the mixture lies. */
double three_normals_quantile(double share);

/* Of shrink * draw + sigma * a normal number, at x: the density, and the slopes of its logarithm in x and, as shrink and
 * sigma change at these rates, in time. The draws have been moved and divided by a shift and a scale before. */
typedef struct three_normals_law {
    double shift, scale; /* 0 and 1: none */
    double shrink, sigma, shrink_rate, sigma_rate;
} three_normals_law;
double three_normals_density(const three_normals_law *law, double x, double *out_slope_x, double *out_slope_t);

/* A flow of one column that learned 200,000 draws of a stream of the training's seed. With `out_law` the draws are moved and
 * divided by their mean and deviation first, so that the flow's own units are theirs, and it tells by what. */
TW_NODISCARD tw_status three_normals_learn(tw_context *ctx, const tw_flow_desc *desc, const tw_train_desc *how,
                                           uint32_t stream, three_normals_law *out_law, tw_flow **out_flow);

#endif
