/* nn/blocks.h - layers with parameters that image and sequence networks share. Names under the scope are PyTorch's
 * ("weight", "bias"); layouts are ours: linear (in, out), convolution (space..., in, out). */
#ifndef TW_NN_BLOCKS_H
#define TW_NN_BLOCKS_H

#include "base/base.h"

#include <thalweg/nn.h>

/* x (B,H,W,C) -> (B,H',W',channels): square kernel of odd size, padding that keeps H and W at stride 1. Weights uniform
 * in +-1/sqrt(inputs of a result) or zero. */
tw_val tw_block_conv(tw_scope scope, tw_val x, int64_t channels, int kernel, int stride, bool zero);
/* x (...,D) -> (...,width), weights and bias zero: the last layer of a residual branch. */
tw_val tw_block_zero_linear(tw_scope scope, tw_val x, int64_t width);
/* x (B,...,C): every image of a group of C/groups neighbouring channels to mean 0 and variance 1 (Wu, He 2018), then
 * weight and bias for each channel. */
tw_val tw_block_groupnorm(tw_scope scope, tw_val x, int groups);
/* x (...,D): the last axis to mean 0 and variance 1 (Ba et al. 2016), then weight and bias. */
tw_val tw_block_layernorm(tw_scope scope, tw_val x);
/* Self-attention of qkv (B,T,3*C) -> (B,T,C): queries of all heads before keys before values, or, by_head, those of
 * each head together. Its values may be another row's (nn/sharing.h). */
tw_val tw_block_attention(tw_scope scope, tw_val qkv, int heads, bool by_head);

/* x (B,H,W,C) -> (B,H/n,W/n,n*n*C), pixels of a square row by row, and back. */
tw_val tw_block_gather(tw_val x, int64_t n);
tw_val tw_block_spread(tw_val x, int64_t n);
/* Shifts, scales and gates of adaLN-zero (Peebles, Xie 2023): `count` vectors (B,1,width) that are linear in c (B,E),
 * zero at first. */
void tw_block_modulation(tw_scope scope, tw_val c, int64_t width, int count, tw_val *out);
/* x (B,T,D) to mean 0 and variance 1 (plus `more`), times 1 + scale, plus shift. */
tw_val tw_block_modulate(tw_val x, tw_val shift, tw_val scale, double more);

/* A layer of x and of what rows are told (B,E), by parameters below a scope; `user` says what kind. */
typedef tw_val (*tw_layer)(tw_scope scope, const void *user, tw_val x, tw_val told);
/* layer(x, told). Where a training graph is to save memory (tw_training.recompute), only x and told are kept for the
 * way back, and the layer is computed once more there (Chen et al. 2016, Training deep nets with sublinear memory
 * cost). */
tw_val tw_block_run(tw_scope scope, tw_layer layer, const void *user, tw_val x, tw_val told);

#endif
