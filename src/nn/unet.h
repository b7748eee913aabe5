/* nn/unet.h - the UNet of guided-diffusion (Dhariwal, Nichol 2021, Diffusion models beat GANs on image synthesis,
 * section 3), which torchcfm's image examples train. */
#ifndef TW_NN_UNET_H
#define TW_NN_UNET_H

#include "base/base.h"

#include <thalweg/nn.h>

enum { TW_UNET_LEVELS = TW_NETWORK_LEVELS };

typedef struct tw_unet_desc {
    int width;                   /* channels of the first level; a multiple of 32 at every level */
    int levels;                  /* resolutions, each half of the one before */
    int mult[TW_UNET_LEVELS];    /* channels of a level, in widths */
    int blocks;                  /* residual blocks a level on the way down; one more on the way up */
    bool attend[TW_UNET_LEVELS]; /* levels with self-attention behind every residual block; the middle always has it */
    int heads;                   /* 0: as many as give each head_channels */
    int head_channels;
    bool scale_shift;       /* time scales and shifts the second norm's result instead of being added before it */
    bool plain_resample;    /* halve by means and double by repeating, no convolutions */
    bool residual_resample; /* halve and double within a residual block */
    double dropout;
} tw_unet_desc;

/* u(x, t, condition): x (B,H,W,C), t (B), condition (B,K) or TW_NONE -> (B,H,W,outputs); H and W divisible by
 * 2^(levels-1). A class, a one among zeros, is a row of the embedding. */
tw_val tw_unet(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val t, tw_val condition, int64_t outputs);

/* A residual block and an attention block by themselves, for tests: features is the embedding of time (B,E). */
tw_val tw_unet_residual(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val features, int64_t channels);
tw_val tw_unet_attention(tw_scope scope, const tw_unet_desc *desc, tw_val x);

#endif
