/* The networks of tests/golden/make_torch.py, built by the library. */
#ifndef TW_TESTS_GOLDEN_NETWORKS_H
#define TW_TESTS_GOLDEN_NETWORKS_H

#include "nn/blocks.h"
#include "nn/network.h"
#include "nn/transformer.h"
#include "nn/unet.h"
#include "support/golden.h"

typedef struct golden_network {
    const char *name; /* of the file, too */
    tw_val (*build)(tw_scope root, const tw_val *inputs);
    int64_t size[4]; /* of input "x"; "t" has the first of them */
    int rank;        /* of "x"; 0: the only input are tokens (size[0], size[1]) */
    bool whole;      /* the file has derivatives number by number, or two sums of each */
} golden_network;

static inline tw_val golden_mlp(tw_scope root, const tw_val *in)
{
    return tw_network_plain(root, &(tw_network_desc){.width = 24, .depth = 3}, in[0], in[1], TW_NONE, 2);
}

static inline tw_val golden_unet_block(tw_scope root, const tw_val *in)
{
    tw_unet_desc desc = {.heads = 2};
    tw_val h = tw_unet_residual(tw_in(root, "block"), &desc, in[0], tw_timestep_embedding(in[1], 12, 10000.0), 32);
    h = tw_block_conv(tw_in(root, "down"), h, 32, 3, 2, false);
    return tw_unet_attention(tw_in(root, "attend"), &desc, h);
}

static inline tw_val golden_transformer(tw_scope root, const tw_val *in)
{
    return tw_transformer(root, &(tw_transformer_desc){.symbols = 11, .width = 16, .depth = 2, .heads = 2}, in[0]);
}

static inline tw_val golden_unet(tw_scope root, const tw_val *in)
{
    tw_unet_desc desc = {.width = 32,
                         .levels = 2,
                         .mult = {1, 2},
                         .attend = {false, true},
                         .blocks = 1,
                         .heads = 2,
                         .scale_shift = true};
    return tw_unet(root, &desc, in[0], in[1], TW_NONE, 3);
}

static const golden_network golden_networks[] = {
    {"mlp", golden_mlp, {7, 2}, 2, true},
    {"unet_block", golden_unet_block, {2, 6, 4, 64}, 4, true},
    {"transformer", golden_transformer, {2, 7}, 0, true},
    {"unet", golden_unet, {2, 4, 4, 3}, 4, false},
};

/* Shape of "x", or of the tokens. */
static inline tw_shape golden_shape(const golden_network *g)
{
    return tw_shape_make(g->rank ? g->rank : 2, g->size);
}

/* A constant of tokens. */
static inline tw_val golden_tokens(tw_graph *graph, const golden_network *g)
{
    int32_t tokens[64];
    for (int i = 0; i < 64; i++) tokens[i] = i * 5 % 11;
    return tw_const_data(graph, TW_DTYPE_I32, golden_shape(g), tokens);
}

#endif
