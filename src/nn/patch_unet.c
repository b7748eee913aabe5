/* nn/patch_unet.c - a small UNet of our own for pictures of about 28 to 64 pixels: as good a picture as a second of two
 * cores buys.
 *
 *   h = conv(patches x)                                   patch x patch pixels are the channels of one
 *   residual:  y = x + conv(silu(norm(conv(silu(norm(x)))) (1 + scale(c)) + shift(c)))
 *   down:      residuals, kept; a convolution of stride 2.   Up: a quarter of the channels becomes twice the pixels;
 * what was kept is added by a linear layer of both; residuals.   Attention behind the residuals of the levels that have
 * it.
 *
 * The expensive part of the UNet of guided-diffusion (nn/unet.c) is its first level: many pixels of few channels, where
 * convolutions are slow and norms and activations touch the most memory, to say nothing of attention. Here pixels are
 * gathered before anything else (space to depth, as in Saharia et al. 2022, Imagen, section B.1, and Hoogeboom et al.
 * 2023, Simple diffusion), so that the first level has a quarter of them, and the channels that this saves. */
#include "nn/blocks.h"
#include "nn/network.h"

#include <math.h>

enum { GROUPS = 8, TIME_FEATURES = 64, TOLD = 4 };

typedef struct level {
    const tw_network_desc *desc;
    int64_t channels;
    bool attends;
} level;

static tw_val residual(tw_scope scope, const level *l, tw_val x, tw_val told)
{
    if (tw_is_none(x)) return x;
    int64_t c = l->channels;
    tw_val h = tw_silu(tw_block_groupnorm(tw_in(scope, "norm1"), x, GROUPS));
    h = tw_block_conv(tw_in(scope, "conv1"), h, c, 3, 1, false);
    tw_val e = tw_linear(tw_in(scope, "told"), told, 2 * c);
    tw_val scale = tw_reshape(tw_slice(e, 1, 0, c), tw_shape_of(-1, 1, 1, c));
    tw_val shift = tw_reshape(tw_slice(e, 1, c, 2 * c), tw_shape_of(-1, 1, 1, c));
    h = tw_add(tw_mul(tw_block_groupnorm(tw_in(scope, "norm2"), h, GROUPS), tw_adds(scale, 1)), shift);
    h = tw_drop(scope, tw_silu(h), l->desc->dropout);
    return tw_add(x, tw_block_conv(tw_in(scope, "conv2"), h, c, 3, 1, true));
}

static tw_val attention(tw_scope scope, const level *l, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape shape = tw_shape_at(x);
    tw_val h = tw_block_groupnorm(tw_in(scope, "norm"), x, GROUPS);
    h = tw_linear(tw_in(scope, "qkv"), tw_reshape(h, tw_shape_of(shape.dim[0], -1, l->channels)), 3 * l->channels);
    h = tw_block_zero_linear(tw_in(scope, "out"), tw_block_attention(scope, h, l->desc->heads, false), l->channels);
    return tw_add(x, tw_reshape(h, shape));
}

static tw_val block(tw_scope scope, const void *user, tw_val x, tw_val told)
{
    const level *l = user;
    x = residual(scope, l, x, told);
    return l->attends ? attention(tw_in(scope, "attention"), l, x) : x;
}

static tw_val blocks(tw_scope scope, const char *list, const level *l, tw_val x, tw_val told)
{
    for (int i = 0; i < l->desc->blocks; i++) x = tw_block_run(tw_at(scope, list, i), block, l, x, told);
    return x;
}

/* From level `index` down to the lowest and back. */
static tw_val descend(tw_scope scope, const tw_network_desc *desc, int index, tw_val x, tw_val told)
{
    if (tw_is_none(x)) return x;
    tw_scope here = tw_at(scope, "level", index);
    level l = {.desc = desc, .channels = (int64_t)desc->width * desc->mult[index]};
    for (int i = 0; i < TW_NETWORK_LEVELS; i++) l.attends |= desc->attention[i] == tw_dim(x, 1);
    x = blocks(here, "down", &l, x, told);
    if (index + 1 < TW_NETWORK_LEVELS && desc->mult[index + 1] > 0) {
        int64_t below = (int64_t)desc->width * desc->mult[index + 1];
        tw_val h = tw_block_conv(tw_in(here, "halve"), x, below, 3, 2, false);
        h = descend(scope, desc, index + 1, h, told);
        h = tw_block_spread(tw_block_conv(tw_in(here, "double"), h, 4 * l.channels, 1, 1, false), 2);
        x = tw_block_conv(tw_in(here, "join"), tw_concat2(3, x, h), l.channels, 1, 1, false);
    }
    return blocks(here, "up", &l, x, told);
}

/* Time, and a class as a row of the table; ends in what every layer is linear in. */
static tw_val embed_told(tw_scope scope, const tw_network_desc *desc, tw_val t, tw_val condition)
{
    int64_t width = (int64_t)TOLD * desc->width;
    tw_val e = tw_dense(tw_at(scope, "time", 0), tw_time_features(t, TIME_FEATURES), width, tw_silu);
    e = tw_linear(tw_at(scope, "time", 1), e, width);
    if (!tw_is_none(condition)) {
        tw_shape table = tw_shape_of(tw_last_dim(condition), width);
        e = tw_add(e, tw_matmul(condition, tw_param(tw_in(scope, "condition"), "weight", table, TW_INIT_UNIFORM, 1)));
    }
    return tw_silu(e);
}

static tw_val check(const tw_network_desc *desc, tw_val x)
{
    const tw_image *i = &desc->image;
    int levels = 0, unit = desc->patch;
    while (levels < TW_NETWORK_LEVELS && desc->mult[levels] > 0) unit <<= levels++ > 0;
    if (i->height % unit || i->width % unit)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "patch_unet: %d x %d pixels, expected multiples of %d", i->height,
                             i->width, unit);
    if (desc->width % GROUPS || desc->width % desc->heads)
        return tw_graph_fail(x.graph, TW_ERR_INVALID,
                             "patch_unet: a width of %d, expected a multiple of %d and of %d heads", desc->width,
                             GROUPS, desc->heads);
    for (int k = 0; k < TW_NETWORK_LEVELS && desc->attention[k] > 0; k++) {
        int at = 0;
        while (at < levels && i->height / desc->patch >> at != desc->attention[k]) at++;
        if (at == levels)
            return tw_graph_fail(x.graph, TW_ERR_INVALID,
                                 "patch_unet: attention at a height of %d: the %d levels go from %d to %d pixels",
                                 desc->attention[k], levels, i->height / desc->patch,
                                 i->height / desc->patch >> (levels - 1));
    }
    return x;
}

tw_val tw_network_patch_unet(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                             int64_t outputs)
{
    if (tw_is_none(check(desc, x))) return TW_NONE;
    tw_val told = embed_told(scope, desc, t, condition);
    int64_t patch = desc->patch;
    tw_val h =
        tw_block_conv(tw_in(scope, "in"), tw_block_gather(x, patch), (int64_t)desc->width * desc->mult[0], 3, 1, false);
    h = descend(scope, desc, 0, h, told);
    h = tw_silu(tw_block_groupnorm(tw_in(scope, "norm"), h, GROUPS));
    return tw_block_spread(tw_block_conv(tw_in(scope, "out"), h, patch * patch * outputs, 3, 1, true), patch);
}
