/* thalweg/nn.h - networks as functions that build a graph; parameters are collected by name on the way.
 *
 * A scope says where in the network we are ("block.3.linear"); tw_param() makes a parameter there, or returns the one
 * already made, so building twice shares weights. Network code needs no error checks: the graph keeps the first error
 * with its scope path. */
#ifndef THALWEG_NN_H
#define THALWEG_NN_H

#include <thalweg/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The named parameters of a network: their graph inputs, in the order of making, packed one behind another in one flat
 * array. */
typedef struct tw_params tw_params;

TW_NODISCARD TW_API tw_status tw_params_create(tw_context *ctx, tw_graph *graph, tw_dtype dtype,
                                               tw_params **out_params);
TW_API void tw_params_destroy(tw_params *params);
TW_API int tw_params_count(const tw_params *params);
TW_API const char *tw_params_name(const tw_params *params, int index);
TW_API tw_val tw_params_value(const tw_params *params, int index);
TW_API int64_t tw_params_offset(const tw_params *params, int index); /* in elements, multiples of 16 */
TW_API int64_t tw_params_size(const tw_params *params);              /* elements of the flat array, padding included */
TW_API int64_t tw_params_parameters(const tw_params *params);        /* numbers learned, no padding */
/* Fills a zeroed flat array with initial values: a pure function of seed and parameter order. */
TW_API void tw_params_init(const tw_params *params, uint64_t seed, float *flat);

typedef struct tw_scope {
    tw_params *params;
    int32_t path; /* of params' list of paths */
} tw_scope;

TW_API tw_scope tw_scope_root(tw_params *params);
TW_API tw_scope tw_in(tw_scope scope, const char *name);            /* scope.name */
TW_API tw_scope tw_at(tw_scope scope, const char *name, int index); /* scope.name.index */

typedef enum tw_init { TW_INIT_ZERO, TW_INIT_ONE, TW_INIT_UNIFORM, TW_INIT_NORMAL } tw_init;
/* A parameter; scale is the half width (uniform) or the standard deviation (normal). */
TW_API tw_val tw_param(tw_scope scope, const char *name, tw_shape shape, tw_init init, double scale);

/* What a graph that trains asks of layers. */
typedef struct tw_training {
    tw_val key, counter; /* u32 (2) each: random layers draw by them (tw_random_bits) */
    bool recompute;      /* blocks of networks of pictures keep their arguments only for the way back */
} tw_training;
/* Without it, dropout is the identity. */
TW_API void tw_params_train(tw_params *params, tw_training training);
TW_API bool tw_params_recompute(const tw_params *params);
/* Dropout (Srivastava et al. 2014) in training, each call with a stream of its own. */
TW_API tw_val tw_drop(tw_scope scope, tw_val x, double probability);

/* x (...,D) -> (...,width): x W + b, W (D,width) uniform in +-1/sqrt(D) times `gain` (He et al. style), b zero. */
TW_API tw_val tw_linear(tw_scope scope, tw_val x, int64_t width);
TW_API tw_val tw_linear_init(tw_scope scope, tw_val x, int64_t width, tw_init init, double scale);
/* activation(x W + b) of such a layer, which a program computes in one go; activation NULL: none. */
typedef tw_val (*tw_activation)(tw_val x);
TW_API tw_val tw_dense(tw_scope scope, tw_val x, int64_t width, tw_activation activation);
/* t (B) -> (B, count): sin and cos of w t at count/2 angular frequencies w spaced geometrically from 1 to 30. count
 * even. */
TW_API tw_val tw_time_features(tw_val t, int count);

/* t (B) -> (B, count): cos, then sin, of w t at count/2 angular frequencies max_period^(-i/(count/2)), and a zero when
 * count is odd: the time embedding of guided-diffusion's UNet and of DiT, whose t counts to 1000 (max_period 10000). */
TW_API tw_val tw_timestep_embedding(tw_val t, int count, double max_period);

/* Description of a network; zeros mean the defaults of its kind (thalweg list networks), which has no other fields. Of
 * lists the numbers before the first zero count; a first one of -1 is the empty list. */
enum { TW_NETWORK_LEVELS = 8 };
typedef struct tw_network_desc {
    const char *kind; /* "mlp" */
    int width;
    int depth;                        /* residual blocks, hidden layers, blocks of a transformer */
    int time_features;                /* of "mlp" */
    int mult[TW_NETWORK_LEVELS];      /* of UNets: channels of each level, in widths */
    int blocks;                       /* residual blocks a level */
    int attention[TW_NETWORK_LEVELS]; /* heights in pixels of levels with attention; 0: the lowest level */
    int heads, head_channels;         /* of attention: heads, or channels of each when that is not 0 */
    int patch;                        /* of transformers: side of a token in pixels */
    double dropout;                   /* in training, of residual branches */
    int scale_shift;                  /* 1: time scales and shifts norms instead of being added before them */
    int plain_resample;               /* 1: pixels are halved and doubled without convolutions */
    int residual_resample;            /* 1: in residual blocks of their own */
    int timeless;        /* 1: a network of tokens is not told t: what masks hide does not depend on it (Ou et al.
                            2024, Your absorbing discrete diffusion secretly models the conditional
                            distributions of clean data) */
    int tied;            /* 1: logits are products with the embeddings of tokens */
    int causal;          /* 1: a token sees those before it and itself alone */
    int learn_positions; /* of transformers, 1: instead of sines and cosines */
    int learn_sigma;     /* 1: twice the channels in the last layer, the second half unused */
    int states;          /* of tokens, masks included: networks of tokens need it; a flow states its own */
    int blank;           /* of rows of different lengths: the state that fills them up, which is not looked
                            at; 0: none */
    tw_image image;      /* what x is: networks of pictures need it; a flow states its own */
} tw_network_desc;

/* u(x, t, condition): x (B,D), t (B), condition (B,C) or TW_NONE -> (B,outputs); of tokens x (B,T), whole numbers of
 * any type -> (B,T,outputs). Zeros are the condition that says nothing. */
TW_API tw_val tw_network(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                         int64_t outputs);

/* A number a piece is given: its default and what it may be, from low to high, both included. `many`: any number of
 * them, or a file; such a piece has no other parameter and no default. */
typedef struct tw_piece_parameter {
    const char *name;
    double standard, low, high;
    bool many;
} tw_piece_parameter;

/* One piece a flow can be made of (network, method, schedule, ...): name, one line about it, where it was published,
 * and its parameters, the last one without a name (NULL: none). A piece is asked for by its name, with parameters
 * behind a colon in their order or by name: "vp", "vp:0.1,20", "vp:beta_max=10". "@FILE" stands for the numbers of a
 * text file where any number of them is wanted: "table:@schedule.csv". */
typedef struct tw_piece_info {
    const char *name, *about, *source;
    const tw_piece_parameter *parameters;
} tw_piece_info;
typedef tw_piece_info tw_network_info;
TW_API const tw_network_info *tw_network_list(int index); /* NULL past the end */

#ifdef __cplusplus
}
#endif
#endif
