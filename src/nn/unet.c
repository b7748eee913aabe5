/* nn/unet.c - see unet.h.
 *
 *   residual:   h = conv(silu(norm(x))) + linear(silu(e));   y = skip(x) + conv(silu(norm(h)))
 *   attention:  y = x + project(attention(qkv(norm(x)))) over all pixels
 *
 * down: `blocks` residual blocks a level, then a convolution of stride 2 (or a mean of four pixels, or a residual block
 * around that); every result is kept. Middle: residual,
 * attention, residual. Up: the kept results are joined to the channels one by one, last first; then pixels are doubled
 * and convolved. Parameters have the names of the original ("input_blocks.3.0.in_layers.2.weight") and its order of
 * queries, keys and values, head by head. */
#include "nn/unet.h"

#include "nn/blocks.h"
#include "nn/network.h"

enum { GROUPS = 32, MOST_KEPT = 256 };

static tw_val at(tw_val x, int axis)
{
    return tw_expand_dim(x, axis);
}

static tw_val spread_over_pixels(tw_val features)
{
    return at(at(features, 1), 1);
}

/* Every pixel becomes four. */
static tw_val double_pixels(tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape s = tw_shape_at(x);
    int64_t b = s.dim[0], h = s.dim[1], w = s.dim[2], c = s.dim[3];
    tw_val wide = tw_broadcast_to(tw_reshape(x, tw_shape_of(b, h, 1, w, 1, c)), tw_shape_of(b, h, 2, w, 2, c));
    return tw_reshape(wide, tw_shape_of(b, 2 * h, 2 * w, c));
}

/* Four pixels become their mean. */
static tw_val halve_pixels(tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape s = tw_shape_at(x);
    tw_val four = tw_reshape(x, tw_shape_of(s.dim[0], s.dim[1] / 2, 2, s.dim[2] / 2, 2, s.dim[3]));
    return tw_muls(tw_sum(four, 2, (const int[]){2, 4}), 0.25);
}

typedef tw_val (*resample)(tw_val x);

static tw_val same_pixels(tw_val x)
{
    return x;
}

static tw_val residual(tw_scope scope, const tw_unet_desc *desc, resample pixels, tw_val x, tw_val features,
                       int64_t channels)
{
    if (tw_is_none(x)) return x;
    tw_val h = pixels(tw_silu(tw_block_groupnorm(tw_at(scope, "in_layers", 0), x, GROUPS)));
    h = tw_block_conv(tw_at(scope, "in_layers", 2), h, channels, 3, 1, false);
    tw_val e = tw_linear(tw_at(scope, "emb_layers", 1), tw_silu(features), desc->scale_shift ? 2 * channels : channels);
    tw_scope norm = tw_at(scope, "out_layers", 0);
    if (desc->scale_shift) {
        tw_val scale = spread_over_pixels(tw_slice(e, 1, 0, channels));
        tw_val shift = spread_over_pixels(tw_slice(e, 1, channels, 2 * channels));
        h = tw_add(tw_mul(tw_block_groupnorm(norm, h, GROUPS), tw_adds(scale, 1)), shift);
    } else {
        h = tw_block_groupnorm(norm, tw_add(h, spread_over_pixels(e)), GROUPS);
    }
    h = tw_drop(scope, tw_silu(h), desc->dropout);
    h = tw_block_conv(tw_at(scope, "out_layers", 3), h, channels, 3, 1, true);
    x = pixels(x);
    if (tw_last_dim(x) != channels) x = tw_block_conv(tw_in(scope, "skip_connection"), x, channels, 1, 1, false);
    return tw_add(x, h);
}

tw_val tw_unet_residual(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val features, int64_t channels)
{
    return residual(scope, desc, same_pixels, x, features, channels);
}

static int heads_of(const tw_unet_desc *desc, int64_t channels)
{
    return desc->head_channels > 0 ? (int)(channels / desc->head_channels) : desc->heads > 0 ? desc->heads : 1;
}

tw_val tw_unet_attention(tw_scope scope, const tw_unet_desc *desc, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape shape = tw_shape_at(x);
    int64_t channels = tw_last_dim(x);
    tw_val h = tw_block_groupnorm(tw_in(scope, "norm"), x, GROUPS);
    h = tw_reshape(h, tw_shape_of(shape.dim[0], -1, channels));
    h = tw_block_attention(scope, tw_linear(tw_in(scope, "qkv"), h, 3 * channels), heads_of(desc, channels), true);
    h = tw_block_zero_linear(tw_in(scope, "proj_out"), h, channels);
    return tw_add(x, tw_reshape(h, shape));
}

typedef struct builder {
    tw_scope scope;
    const tw_unet_desc *desc;
    tw_val features;
    tw_val kept[MOST_KEPT];
    int count;
} builder;

/* What tw_block_run runs: a residual block that may change the pixels, and attention. */
typedef struct step {
    const tw_unet_desc *desc;
    resample pixels;
    int64_t channels;
    bool attends;
} step;

static tw_val run_step(tw_scope scope, const void *user, tw_val x, tw_val features)
{
    const step *s = user;
    x = residual(tw_in(scope, "0"), s->desc, s->pixels, x, features, s->channels);
    return s->attends ? tw_unet_attention(tw_in(scope, "1"), s->desc, x) : x;
}

/* Residual block number `index` of a list, with attention where its level has it. */
static tw_val block(builder *b, const char *list, int index, int level, tw_val h)
{
    step s = {b->desc, same_pixels, (int64_t)b->desc->mult[level] * b->desc->width, b->desc->attend[level]};
    return tw_block_run(tw_at(b->scope, list, index), run_step, &s, h, b->features);
}

static tw_val halve(builder *b, tw_scope scope, tw_val h)
{
    if (b->desc->residual_resample) return residual(scope, b->desc, halve_pixels, h, b->features, tw_last_dim(h));
    if (b->desc->plain_resample) return halve_pixels(h);
    return tw_block_conv(tw_in(scope, "op"), h, tw_last_dim(h), 3, 2, false);
}

static tw_val twice(builder *b, tw_scope scope, tw_val h)
{
    if (b->desc->residual_resample) return residual(scope, b->desc, double_pixels, h, b->features, tw_last_dim(h));
    if (b->desc->plain_resample) return double_pixels(h);
    return tw_block_conv(tw_in(scope, "conv"), double_pixels(h), tw_last_dim(h), 3, 1, false);
}

static tw_val down(builder *b, tw_val x)
{
    const tw_unet_desc *d = b->desc;
    tw_scope first = tw_in(tw_at(b->scope, "input_blocks", 0), "0");
    tw_val h = b->kept[b->count++] = tw_block_conv(first, x, (int64_t)d->mult[0] * d->width, 3, 1, false);
    for (int level = 0; level < d->levels; level++) {
        for (int i = 0; i < d->blocks; i++, b->count++)
            h = b->kept[b->count] = block(b, "input_blocks", b->count, level, h);
        if (level + 1 == d->levels || tw_is_none(h)) break;
        h = halve(b, tw_in(tw_at(b->scope, "input_blocks", b->count), "0"), h);
        b->kept[b->count++] = h;
    }
    return h;
}

static tw_val middle(builder *b, tw_val h)
{
    if (tw_is_none(h)) return h;
    int64_t channels = tw_last_dim(h);
    h = tw_unet_residual(tw_at(b->scope, "middle_block", 0), b->desc, h, b->features, channels);
    h = tw_unet_attention(tw_at(b->scope, "middle_block", 1), b->desc, h);
    return tw_unet_residual(tw_at(b->scope, "middle_block", 2), b->desc, h, b->features, channels);
}

static tw_val up(builder *b, tw_val h)
{
    const tw_unet_desc *d = b->desc;
    int index = 0;
    if (tw_is_none(h)) return h; /* the way down may have ended early */
    for (int level = d->levels - 1; level >= 0; level--)
        for (int i = 0; i <= d->blocks; i++, index++) {
            h = block(b, "output_blocks", index, level, tw_concat2(3, h, b->kept[--b->count]));
            if (level == 0 || i < d->blocks || tw_is_none(h)) continue;
            h = twice(b, tw_in(tw_at(b->scope, "output_blocks", index), d->attend[level] ? "2" : "1"), h);
        }
    return h;
}

static tw_val check(const tw_unet_desc *d, tw_val x)
{
    tw_shape s = tw_shape_at(x);
    bool fits = d->levels >= 1 && d->levels <= TW_UNET_LEVELS && d->blocks >= 1 &&
                1 + (int64_t)d->levels * (d->blocks + 1) <= MOST_KEPT && s.rank == 4;
    for (int i = 0; fits && i < d->levels; i++) fits = d->mult[i] >= 1;
    if (!fits)
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "unet: x has rank %d, %d levels of %d blocks", (int)s.rank,
                             d->levels, d->blocks);
    int64_t unit = (int64_t)1 << (d->levels - 1);
    if (s.dim[1] % unit || s.dim[2] % unit)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "unet: %lld x %lld pixels cannot be halved %d times",
                             (long long)s.dim[1], (long long)s.dim[2], d->levels - 1);
    return x;
}

static tw_val check_heads(const tw_unet_desc *d, tw_val x)
{
    for (int i = 0; i < d->levels; i++) {
        int64_t channels = (int64_t)d->mult[i] * d->width;
        int heads = heads_of(d, channels);
        bool attends = d->attend[i] || i + 1 == d->levels;
        if (!attends || (heads > 0 && channels % heads == 0 && !(d->head_channels > 0 && channels % d->head_channels)))
            continue;
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "unet: %lld channels cannot be shared by heads of equal size",
                             (long long)channels);
    }
    return x;
}

tw_val tw_unet(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val t, tw_val condition, int64_t outputs)
{
    if (tw_is_none(x) || tw_is_none(t) || tw_is_none(check(desc, x)) || tw_is_none(check_heads(desc, x)))
        return TW_NONE;
    builder b = {.scope = scope, .desc = desc};
    int64_t width = (int64_t)desc->width * 4;
    tw_val e = tw_dense(tw_at(scope, "time_embed", 0), tw_timestep_embedding(t, desc->width, 10000.0), width, tw_silu);
    b.features = tw_linear(tw_at(scope, "time_embed", 2), e, width);
    if (!tw_is_none(condition)) {
        tw_shape table = tw_shape_of(tw_last_dim(condition), width);
        tw_val label = tw_param(tw_in(scope, "label_emb"), "weight", table, TW_INIT_NORMAL, 1);
        b.features = tw_add(b.features, tw_matmul(condition, label));
    }
    tw_val h = up(&b, middle(&b, down(&b, x)));
    h = tw_silu(tw_block_groupnorm(tw_at(scope, "out", 0), h, GROUPS));
    return tw_block_conv(tw_at(scope, "out", 2), h, outputs, 3, 1, true);
}

tw_val tw_network_unet(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                       int64_t outputs)
{
    tw_unet_desc d = {.width = desc->width,
                      .blocks = desc->blocks,
                      .heads = desc->heads,
                      .head_channels = desc->head_channels,
                      .scale_shift = desc->scale_shift,
                      .plain_resample = desc->plain_resample,
                      .residual_resample = desc->residual_resample,
                      .dropout = desc->dropout};
    while (d.levels < TW_UNET_LEVELS && desc->mult[d.levels] > 0) {
        d.mult[d.levels] = desc->mult[d.levels];
        d.levels++;
    }
    for (int i = 0; i < TW_NETWORK_LEVELS && desc->attention[i] > 0; i++) {
        int level = 0, height = desc->attention[i];
        while (level < d.levels && desc->image.height >> level != height) level++;
        if (level == d.levels)
            return tw_graph_fail(x.graph, TW_ERR_INVALID,
                                 "unet: attention at a height of %d pixels: the %d levels go from %d to %d", height,
                                 d.levels, desc->image.height, desc->image.height >> (d.levels - 1));
        d.attend[level] = true;
    }
    return tw_unet(scope, &d, x, t, condition, outputs);
}
