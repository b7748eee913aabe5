/* nn/ddit.c - a transformer of tokens told the time: DiT's blocks with rotary positions, as SEDD and MDLM have them
 * (Peebles, Xie 2023; Su et al. 2021, RoFormer; Lou, Meng, Ermon 2024, appendix C).
 *
 *   h = embedding[x];   c = silu(mlp(features of t) + condition)
 *   h = h + gate1 attention(rotary(qkv(norm(h) (1 + scale1) + shift1)));   h = h + gate2 mlp(norm(h) (1 + scale2) +
 * shift2) logits = linear(norm(h) (1 + scale) + shift)
 *
 * Shifts, scales and gates are linear in c and zero at first (adaLN-zero), and so is the last layer. Scores of
 * attention are never stored (graph/attention.c). `tied`: the last layer is the embedding again. `causal`: a token sees
 * those before it and itself alone. */
#include "nn/blocks.h"
#include "nn/network.h"

#include "graph/node.h"

#include <math.h>

static const double EPSILON = 1e-5, ROTARY_BASE = 10000;

/* Scores of blanks at the ends of rows are left out: keys count up to `lengths` (B), TW_NONE: all. */
static tw_val attend(tw_val qkv, int heads, bool causal, tw_val lengths)
{
    tw_attention_options options = {.causal = causal, .mask = lengths};
    tw_val part[3];
    if (tw_is_none(qkv)) return qkv;
    tw_qkv_split(qkv, heads, false, part);
    for (int i = 0; i < 2; i++) part[i] = tw_rotary(part[i], TW_NONE, 1, ROTARY_BASE, TW_ROTARY_HALF);
    tw_val y = tw_attention(part[0], part[1], part[2], &options);
    return tw_reshape(y, tw_shape_of(tw_dim(qkv, 0), tw_dim(qkv, 1), tw_dim(qkv, 2) / 3));
}

static tw_val block(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val c, tw_val lengths)
{
    if (tw_is_none(x)) return x;
    int64_t width = desc->width;
    tw_val m[6]; /* shift, scale, gate of attention, then of the perceptron */
    tw_block_modulation(tw_in(scope, "modulation"), c, width, 6, m);
    tw_val h = tw_linear(tw_in(scope, "qkv"), tw_block_modulate(x, m[0], m[1], EPSILON), 3 * width);
    x = tw_add(x, tw_mul(m[2], tw_linear(tw_in(scope, "out"), attend(h, desc->heads, desc->causal, lengths), width)));
    h = tw_dense(tw_at(scope, "mlp", 0), tw_block_modulate(x, m[3], m[4], EPSILON), 4 * width, tw_gelu_tanh);
    return tw_add(x, tw_mul(m[5], tw_linear(tw_at(scope, "mlp", 2), h, width)));
}

/* How many tokens of a row are none of those that fill it up. */
static tw_val lengths_of(const tw_network_desc *desc, tw_val x)
{
    if (desc->blank == 0) return TW_NONE;
    tw_val filled = tw_not(tw_eq(x, tw_full_like(x, desc->blank)));
    return tw_sum_axis(tw_cast(filled, TW_DTYPE_I32), 1);
}

/* What a row is told: time, and conditions. */
static tw_val embed_told(tw_scope scope, const tw_network_desc *desc, tw_val t, tw_val condition)
{
    tw_val c = tw_dense(tw_at(scope, "time", 0), tw_time_features(t, desc->time_features), desc->width, tw_silu);
    c = tw_linear(tw_at(scope, "time", 2), c, desc->width);
    if (!tw_is_none(condition)) {
        tw_shape shape = tw_shape_of(tw_last_dim(condition), desc->width);
        c = tw_add(c, tw_matmul(condition, tw_param(tw_in(scope, "condition"), "weight", shape, TW_INIT_NORMAL, 0.02)));
    }
    return tw_silu(c);
}

tw_val tw_network_ddit(tw_scope scope, const tw_network_desc *desc, tw_val x, tw_val t, tw_val condition,
                       int64_t outputs)
{
    if (tw_is_none(x)) return x;
    int64_t rows = tw_dim(x, 0), tokens = tw_dim(x, 1), width = desc->width;
    if (width % (2 * desc->heads))
        return tw_graph_fail(x.graph, TW_ERR_INVALID,
                             "ddit: a width of %lld, expected an even number for each of %d heads", (long long)width,
                             desc->heads);
    tw_val table =
               tw_param(tw_in(scope, "embedding"), "weight", tw_shape_of(desc->states, width), TW_INIT_NORMAL, 0.02),
           m[2];
    tw_val h = tw_take_rows(table, tw_reshape(x, tw_shape_of(rows * tokens)));
    h = tw_reshape(h, tw_shape_of(rows, tokens, width));
    tw_val c = embed_told(scope, desc, t, condition), lengths = lengths_of(desc, x);
    for (int i = 0; i < desc->depth; i++) h = block(tw_at(scope, "blocks", i), desc, h, c, lengths);
    tw_block_modulation(tw_in(scope, "last"), c, width, 2, m);
    h = tw_block_modulate(h, m[0], m[1], EPSILON);
    if (!desc->tied) return tw_block_zero_linear(tw_in(scope, "logits"), h, outputs);
    return tw_matmul(h, tw_transpose(tw_slice(table, 0, 0, outputs), (const int[]){1, 0}));
}
