/* nn/unet.c - see unet.h.
 *
 *   residual:   h = conv(silu(norm(x))) + linear(silu(e));   y = skip(x) + conv(silu(norm(h)))
 *   attention:  y = x + project(attention(qkv(norm(x)))) over all pixels
 *
 * down: `blocks` residual blocks a level, then a convolution of stride 2; every result is kept. Middle: residual,
 * attention, residual. Up: the kept results are joined to the channels one by one, last first; then pixels are doubled
 * and convolved. Parameters have the names of the original ("input_blocks.3.0.in_layers.2.weight") and its order of
 * queries, keys and values, head by head. */
#include "nn/unet.h"

#include "nn/blocks.h"

enum { GROUPS = 32, MOST_KEPT = 256 };

static tw_val at(tw_val x, int axis)
{
    return tw_expand_dim(x, axis);
}

static tw_val spread_over_pixels(tw_val features)
{
    return at(at(features, 1), 1);
}

tw_val tw_unet_residual(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val features, int64_t channels)
{
    if (tw_is_none(x)) return x;
    tw_val h = tw_silu(tw_block_groupnorm(tw_at(scope, "in_layers", 0), x, GROUPS));
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
    h = tw_block_conv(tw_at(scope, "out_layers", 3), tw_silu(h), channels, 3, 1, true);
    if (tw_last_dim(x) != channels) x = tw_block_conv(tw_in(scope, "skip_connection"), x, channels, 1, 1, false);
    return tw_add(x, h);
}

tw_val tw_unet_attention(tw_scope scope, const tw_unet_desc *desc, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_shape shape = tw_shape_at(x);
    int64_t channels = tw_last_dim(x);
    int heads = desc->head_channels > 0 ? (int)(channels / desc->head_channels) : desc->heads > 0 ? desc->heads : 1;
    tw_val h = tw_block_groupnorm(tw_in(scope, "norm"), x, GROUPS);
    h = tw_reshape(h, tw_shape_of(shape.dim[0], -1, channels));
    h = tw_block_attention(tw_linear(tw_in(scope, "qkv"), h, 3 * channels), heads, true);
    h = tw_block_zero_linear(tw_in(scope, "proj_out"), h, channels);
    return tw_add(x, tw_reshape(h, shape));
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

typedef struct builder {
    tw_scope scope;
    const tw_unet_desc *desc;
    tw_val features;
    tw_val kept[MOST_KEPT];
    int count;
} builder;

/* Residual block number `index` of a list, with attention where its level has it. */
static tw_val block(builder *b, const char *list, int index, int level, tw_val h)
{
    tw_scope scope = tw_at(b->scope, list, index);
    h = tw_unet_residual(tw_in(scope, "0"), b->desc, h, b->features, (int64_t)b->desc->mult[level] * b->desc->width);
    return b->desc->attend[level] ? tw_unet_attention(tw_in(scope, "1"), b->desc, h) : h;
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
        tw_scope op = tw_in(tw_in(tw_at(b->scope, "input_blocks", b->count), "0"), "op");
        h = b->kept[b->count++] = tw_block_conv(op, h, tw_last_dim(h), 3, 2, false);
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
            tw_scope place = tw_in(tw_at(b->scope, "output_blocks", index), d->attend[level] ? "2" : "1");
            h = tw_block_conv(tw_in(place, "conv"), double_pixels(h), tw_last_dim(h), 3, 1, false);
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

tw_val tw_unet(tw_scope scope, const tw_unet_desc *desc, tw_val x, tw_val t, int64_t outputs)
{
    if (tw_is_none(x) || tw_is_none(t) || tw_is_none(check(desc, x))) return TW_NONE;
    builder b = {.scope = scope, .desc = desc};
    tw_val e = tw_dense(tw_at(scope, "time_embed", 0), tw_timestep_embedding(t, desc->width, 10000.0),
                        (int64_t)desc->width * 4, tw_silu);
    b.features = tw_linear(tw_at(scope, "time_embed", 2), e, (int64_t)desc->width * 4);
    tw_val h = up(&b, middle(&b, down(&b, x)));
    h = tw_silu(tw_block_groupnorm(tw_at(scope, "out", 0), h, GROUPS));
    return tw_block_conv(tw_at(scope, "out", 2), h, outputs, 3, 1, true);
}
