/* latent.h - a latent stochastic equation (Li, Wong, Chen, Duvenaud 2020, Scalable gradients for stochastic
 * differential equations, section 5): series observed with noise at equal times come from a prior equation, and are
 * explained by a posterior one with the same diffusion that sees them. Both are learned together, by the evidence bound
 *
 *   E [sum_i log p(y_i | z_i)] - KL(q(z_0) | p(z_0)) - E int 1/2 |(drift - prior drift) / diffusion|^2 dt.
 *
 * The state is what is observed, so that its diffusion has a meaning. The posterior begins as the bridge to the
 * observation ahead, drift h + w ((y - z) / left - h) with w = s^2 left / (r^2 + s^2 left), which is exact where drift
 * and diffusion are constant and nothing comes after y; a network that also sees the observation behind it corrects w
 * and the drift. All of it is one graph (tw_sde_unroll, Euler-Maruyama). */
#ifndef THALWEG_CLI_LATENT_H
#define THALWEG_CLI_LATENT_H

#include "base/base.h"

#include <thalweg/exec.h>
#include <thalweg/nn.h>

typedef struct latent_desc {
    int64_t columns, rows, intervals; /* of a series; series in a batch; between its observations */
    int substeps;                     /* steps of the equation between two observations */
    double interval, noise;           /* time between observations, their deviation r */
    bool geometric;                   /* drift and diffusion in proportion to the state, else a network and constants */
    bool coincide;                    /* the posterior is the prior */
} latent_desc;

typedef struct latent {
    latent_desc desc;
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
    tw_val y;            /* (intervals + 1, rows, columns): the series */
    tw_val key, counter; /* u32 [2] each, of what is drawn */
    tw_val weight;       /* of the divergences in the loss */
    tw_val loss;         /* -bound an observed number */
    tw_val states;       /* (intervals + 1, rows, columns) of the posterior where it was observed */
    tw_val divergence;   /* of the paths, mean of the rows */
    tw_val diffusion;    /* (columns) the constant, or what the state is multiplied by */
} latent;

TW_NODISCARD tw_status latent_open(tw_context *ctx, const latent_desc *desc, latent *out_latent);
void latent_close(latent *m);
/* `rows` paths of the prior over so many steps of the same size: (steps, rows, columns). */
tw_val latent_prior(latent *m, int64_t rows, int steps);
/* A value of the graph at weights laid out as params are, into `out`. y may be NULL where it is not needed. */
TW_NODISCARD tw_status latent_evaluate(const latent *m, tw_val value, const float *weights, const float *y,
                                       uint64_t seed, float *out);

#endif
