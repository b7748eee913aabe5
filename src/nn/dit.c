/* nn/dit.c - the transformer of patches of DiT (Peebles, Xie 2023, Scalable diffusion models with transformers) and SiT
 * (Ma et al. 2024), which trains it as a flow.
 *
 *   h = linear(patch x patch pixels) + position;   c = mlp(features of t) + class
 *   h = h + gate1(c) attention(norm(h) (1 + scale1(c)) + shift1(c));   h = h + gate2(c) mlp(norm(h) (1 + scale2) +
 * shift2) patches = linear(norm(h) (1 + scale(c)) + shift(c))
 *
 * Shifts, scales and gates are linear in silu(c) and zero at first (adaLN-zero). Positions are sines and cosines of row
 * and column, or learned. Told nothing, c has no class: DiT's null class is a part of the bias of the features of t.
 * With learn_sigma the last layer has twice the channels and the second half, a variance no flow asks for, is left out.
 * Parameters have the names of the originals ("blocks.0.attn.qkv.weight"). */
#include "nn/dit.h"

#include "graph/node.h"
#include "nn/blocks.h"
#include "nn/network.h"

#include <math.h>

enum { TIME_FEATURES = 256 };
static const double EPSILON = 1e-6; /* of its norms */

/* What PyTorch calls xavier_uniform. */
static tw_val xavier(tw_scope scope, tw_val x, int64_t width)
{
    if (tw_is_none(x)) return x;
    return tw_linear_init(scope, x, width, TW_INIT_UNIFORM, sqrt(6 / (double)(tw_last_dim(x) + width)));
}

/* x (B,H,W,C) -> (B,T,patch^2 C), pixels of a patch row by row. */
static tw_val cut(tw_val x, int64_t patch)
{
    tw_shape s = tw_shape_at(x);
    int64_t tokens = s.dim[1] / patch * (s.dim[2] / patch);
    return tw_reshape(tw_block_gather(x, patch), tw_shape_of(s.dim[0], tokens, patch * patch * s.dim[3]));
}

static tw_val join(tw_val patches, int64_t patch, const tw_image *image)
{
    if (tw_is_none(patches)) return patches;
    int64_t h = image->height / patch, w = image->width / patch;
    tw_shape grid = tw_shape_of(tw_dim(patches, 0), h, w, tw_last_dim(patches));
    return tw_block_spread(tw_reshape(patches, grid), patch);
}

/* The patches' linear layer, kept as the convolution it is. */
static tw_val embed_patches(tw_scope scope, tw_val x, const tw_network_desc *desc)
{
    int64_t patch = desc->patch, channels = tw_last_dim(x), inputs = patch * patch * channels;
    tw_shape shape = tw_shape_of(patch, patch, channels, desc->width);
    tw_val weight = tw_param(scope, "weight", shape, TW_INIT_UNIFORM, sqrt(6 / (double)(inputs + desc->width)));
    tw_val bias = tw_param(scope, "bias", tw_shape_of(desc->width), TW_INIT_ZERO, 0);
    return tw_add(tw_matmul(cut(x, patch), tw_reshape(weight, tw_shape_of(inputs, desc->width))), bias);
}

void tw_dit_positions(int height, int width, int features, double *out)
{
    int half = features / 2, quarter = features / 4;
    for (int i = 0; i < height * width; i++)
        for (int k = 0; k < features; k++) {
            int at = k < half ? i % width : i / width, j = k % half;
            double angle = at / pow(10000, (double)(j % quarter) / quarter);
            out[(int64_t)i * features + k] = j < quarter ? sin(angle) : cos(angle);
        }
}

static tw_val positions(tw_scope scope, tw_val x, const tw_network_desc *desc)
{
    int height = desc->image.height / desc->patch, width = desc->image.width / desc->patch;
    int64_t numbers = (int64_t)height * width * desc->width;
    tw_shape shape = tw_shape_of(1, (int64_t)height * width, desc->width);
    if (desc->learn_positions) return tw_param(scope, "pos_embed", shape, TW_INIT_NORMAL, 0.02);
    tw_context *ctx = x.graph->ctx;
    double *table = tw_alloc(ctx, (size_t)numbers, sizeof *table);
    if (!table)
        return tw_graph_fail(x.graph, TW_ERR_MEMORY, "out of memory: positions of %lld tokens", (long long)numbers);
    tw_dit_positions(height, width, desc->width, table);
    tw_val out = tw_cast(tw_const_data(x.graph, TW_DTYPE_F64, shape, table), tw_dtype_at(x));
    tw_free(ctx, table);
    return out;
}

static void modulation(tw_scope scope, tw_val c, int64_t width, int count, tw_val *out)
{
    tw_block_modulation(tw_at(scope, "adaLN_modulation", 1), tw_silu(c), width, count, out);
}

static tw_val block(tw_scope scope, const void *user, tw_val x, tw_val c)
{
    const tw_network_desc *desc = user;
    if (tw_is_none(x)) return x;
    tw_scope attention = tw_in(scope, "attn"), mlp = tw_in(scope, "mlp");
    int64_t width = desc->width;
    tw_val m[6]; /* shift, scale, gate of attention, then of the perceptron */
    modulation(scope, c, width, 6, m);
    tw_val h = xavier(tw_in(attention, "qkv"), tw_block_modulate(x, m[0], m[1], EPSILON), 3 * width);
    h = xavier(tw_in(attention, "proj"), tw_block_attention(attention, h, desc->heads, false), width);
    x = tw_add(x, tw_mul(m[2], h));
    h = tw_gelu_tanh(xavier(tw_in(mlp, "fc1"), tw_block_modulate(x, m[3], m[4], EPSILON), 4 * width));
    return tw_add(x, tw_mul(m[5], xavier(tw_in(mlp, "fc2"), h, width)));
}

/* What a row is told: time, and a class as a row of the table. */
static tw_val embed_told(tw_scope scope, const tw_network_desc *desc, tw_val t, tw_val condition)
{
    tw_scope mlp = tw_in(scope, "t_embedder");
    tw_val c = tw_timestep_embedding(t, TIME_FEATURES, 10000.0);
    c = tw_silu(tw_linear_init(tw_at(mlp, "mlp", 0), c, desc->width, TW_INIT_NORMAL, 0.02));
    c = tw_linear_init(tw_at(mlp, "mlp", 2), c, desc->width, TW_INIT_NORMAL, 0.02);
    if (tw_is_none(condition)) return c;
    tw_scope table = tw_in(tw_in(scope, "y_embedder"), "embedding_table");
    tw_shape shape = tw_shape_of(tw_last_dim(condition), desc->width);
    return tw_add(c, tw_matmul(condition, tw_param(table, "weight", shape, TW_INIT_NORMAL, 0.02)));
}

static tw_val check(const tw_network_desc *desc, tw_val x)
{
    const tw_image *i = &desc->image;
    if (i->height % desc->patch || i->width % desc->patch)
        return tw_graph_fail(x.graph, TW_ERR_SHAPE, "dit: %d x %d pixels are not cut into patches of %d", i->height,
                             i->width, desc->patch);
    if (desc->width % desc->heads || desc->width % 4)
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "dit: a width of %d, expected a multiple of 4 and of %d heads",
                             desc->width, desc->heads);
    return x;
}

tw_val tw_network_dit(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                      int64_t outputs)
{
    if (tw_is_none(check(desc, x))) return TW_NONE;
    int64_t channels = desc->learn_sigma ? 2 * outputs : outputs, patch = desc->patch;
    tw_val h = embed_patches(tw_in(tw_in(scope, "x_embedder"), "proj"), x, desc), m[2];
    h = tw_add(h, positions(scope, x, desc));
    tw_val c = embed_told(scope, desc, t, condition);
    for (int i = 0; i < desc->depth; i++) h = tw_block_run(tw_at(scope, "blocks", i), block, desc, h, c);
    tw_scope last = tw_in(scope, "final_layer");
    modulation(last, c, desc->width, 2, m);
    h = tw_block_zero_linear(tw_in(last, "linear"), tw_block_modulate(h, m[0], m[1], EPSILON),
                             patch * patch * channels);
    h = join(h, patch, &desc->image);
    return desc->learn_sigma ? tw_slice(h, 3, 0, outputs) : h;
}
