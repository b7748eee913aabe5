/* graph/attention.c - scaled dot-product attention, its tangent and the transpose of that: composites whose kernels
 * never store the scores (cpu/attention.h); here, in primitives, they are whole.
 *
 *   attention(q, k, v)                      -> y (B,Tq,H*E + H): outputs of all heads, then their log-sum-exps
 *   attention_tangent(q, k, v, y, dq, dk, dv)  -> tangent of y
 *   attention_gradient(q, k, v, y, w)       -> (B,max(Tq,Tk),2*H*D + H*E): cotangents of q, k, v side by side; w has
 * the shape of y, or that of the outputs alone
 *
 * for q (B,Tq,H,D), k (B,Tk,H,D), v (B,Tk,H,E), and behind these perhaps a mask of the keys: how many count, i32 (B),
 * or which, bool (B,Tk). A query that sees no key gives zeros. Backward needs only y where others store probabilities:
 * T. Dao, FlashAttention-2, 2023. */
#include "graph/rules.h"

#include <math.h>

/* Arguments and sizes of one of the three. */
typedef struct call {
    tw_graph *g;
    tw_val q, k, v, y, mask;
    int64_t batch, queries, keys, heads, depth, width;
    double scale;
    bool causal;
} call;

/* Arguments before the mask: of attention, attention_tangent, attention_gradient. */
static int fixed_count(tw_op op)
{
    return op == TW_OP_attention ? 3 : op == TW_OP_attention_tangent ? 7 : 5;
}

static call call_of(const tw_draft *d)
{
    tw_shape q = tw_shape_at(d->args[0]), v = tw_shape_at(d->args[2]);
    int fixed = fixed_count(d->op);
    return (call){.g = d->graph,
                  .q = d->args[0],
                  .k = d->args[1],
                  .v = d->args[2],
                  .y = fixed > 3 ? d->args[3] : TW_NONE,
                  .mask = d->count > fixed ? d->args[fixed] : TW_NONE,
                  .batch = q.dim[0],
                  .queries = q.dim[1],
                  .keys = v.dim[1],
                  .heads = q.dim[2],
                  .depth = q.dim[3],
                  .width = v.dim[3],
                  .scale = d->attr.value,
                  .causal = d->attr.number != 0};
}

static tw_val remade(tw_op op, tw_val like, int count, const tw_val *args)
{
    tw_draft d = {.graph = like.graph, .op = op, .count = count, .args = args};
    d.attr = *tw_node_attr(like.graph, tw_node_at(like));
    return tw_graph_append(&d);
}

/* --- shapes --------------------------------------------------------------------------------------------------------
 */

static bool check_arg(const tw_draft *d, int k, const char *what, tw_shape shape)
{
    const char *name = tw_op_table[d->op].name;
    if (tw_dtype_at(d->args[k]) != tw_dtype_at(d->args[0]) || !tw_dtype_is_real(tw_dtype_at(d->args[k]))) {
        tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: %s is %s; all arguments must be f32 or all f64", name, what,
                      tw_dtype_name(tw_dtype_at(d->args[k])));
        return false;
    }
    if (tw_shape_equal(tw_shape_at(d->args[k]), shape)) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s is %s, expected %s", name, what,
                  tw_shape_show(tw_shape_at(d->args[k])).text, tw_shape_show(shape).text);
    return false;
}

static bool check_mask(const tw_draft *d, const call *c)
{
    if (tw_is_none(c->mask)) return true;
    tw_shape shape = tw_shape_at(c->mask);
    tw_dtype dtype = tw_dtype_at(c->mask);
    if (dtype == TW_DTYPE_I32 && tw_shape_equal(shape, tw_shape_of(c->batch))) return true;
    if (dtype == TW_DTYPE_BOOL && tw_shape_equal(shape, tw_shape_of(c->batch, c->keys))) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: the mask is %s%s, expected i32(%lld), lengths, or bool(%lld,%lld)",
                  tw_op_table[d->op].name, tw_dtype_name(dtype), tw_shape_show(shape).text, (long long)c->batch,
                  (long long)c->batch, (long long)c->keys);
    return false;
}

/* q, k, v and the mask; completes the draft as a value like y. */
static bool infer_like_y(tw_draft *d)
{
    int fixed = fixed_count(d->op);
    if (d->count < fixed || d->count > fixed + 1) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "%s: takes %d arguments and perhaps a mask, not %d",
                      tw_op_table[d->op].name, fixed, d->count);
        return false;
    }
    if (tw_shape_at(d->args[0]).rank != 4 || tw_shape_at(d->args[2]).rank != 4) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: q is %s and v %s, expected (B,T,H,D) each", tw_op_table[d->op].name,
                      tw_shape_show(tw_shape_at(d->args[0])).text, tw_shape_show(tw_shape_at(d->args[2])).text);
        return false;
    }
    call c = call_of(d);
    if (!(c.scale > 0) || !isfinite(c.scale)) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "%s: the scale is %g, expected a positive number",
                      tw_op_table[d->op].name, c.scale);
        return false;
    }
    d->dtype = tw_dtype_at(c.q);
    d->shape = tw_shape_of(c.batch, c.queries, c.heads * (c.width + 1));
    return check_arg(d, 0, "q", tw_shape_at(c.q)) &&
           check_arg(d, 1, "k", tw_shape_of(c.batch, c.keys, c.heads, c.depth)) &&
           check_arg(d, 2, "v", tw_shape_of(c.batch, c.keys, c.heads, c.width)) && check_mask(d, &c);
}

bool tw_infer_attention(tw_draft *d)
{
    return infer_like_y(d);
}

bool tw_infer_attention_tangent(tw_draft *d)
{
    if (!infer_like_y(d) || !check_arg(d, 3, "y", d->shape)) return false;
    for (int k = 0; k < 3; k++)
        if (!check_arg(d, 4 + k, "a tangent", tw_shape_at(d->args[k]))) return false;
    return true;
}

bool tw_infer_attention_gradient(tw_draft *d)
{
    if (!infer_like_y(d) || !check_arg(d, 3, "y", d->shape)) return false;
    call c = call_of(d);
    tw_shape outputs = tw_shape_of(c.batch, c.queries, c.heads * c.width);
    if (!tw_shape_equal(tw_shape_at(d->args[4]), outputs) && !check_arg(d, 4, "the cotangent", d->shape)) return false;
    int64_t tokens = c.queries > c.keys ? c.queries : c.keys;
    d->shape = tw_shape_of(c.batch, tokens, c.heads * (2 * c.depth + c.width));
    return true;
}

/* --- bodies: scores s (B,H,Tq,Tk) and probabilities as whole arrays ---------------------------------------------- */

enum { ROWS, KEYS }; /* which axis of scores a product sums */

/* s (B,H,Tq,Tk) from x (B,Tq,H,D) and z (B,Tk,H,D) */
static tw_val inner(tw_val x, tw_val z)
{
    return tw_dot_general(x, z, 2, (int[]){0, 2}, (int[]){0, 2}, 1, (int[]){3}, (int[]){3});
}

/* sum of p (B,H,Tq,Tk) times x (B,T,H,D) over keys or rows, as (B,T',H,D) */
static tw_val weigh(tw_val p, int over, tw_val x)
{
    tw_val sum = tw_dot_general(p, x, 2, (int[]){0, 1}, (int[]){0, 2}, 1, (int[]){over == KEYS ? 3 : 2}, (int[]){1});
    return tw_transpose(sum, (int[]){0, 2, 1, 3});
}

/* (B,H,T) -> (B,T,H), (B,T,H) -> (B,H,T), (B,T,H) -> (B,H,T,1) */
static tw_val swapped(tw_val x)
{
    return tw_transpose(x, (int[]){0, 2, 1});
}
static tw_val a_row(tw_val x)
{
    return tw_expand_dim(swapped(x), 3);
}

/* Which scores count, bool (B,H,Tq,Tk); none: all. */
static tw_val seen(const call *c)
{
    tw_val out = TW_NONE, key = tw_iota(c->g, TW_DTYPE_I32, tw_shape_of(1, c->keys), 1);
    if (c->causal) out = tw_not(tw_lt(tw_iota(c->g, TW_DTYPE_I32, tw_shape_of(c->queries, 1), 0), key));
    if (!tw_is_none(c->mask)) {
        tw_val mask = c->mask;
        if (tw_dtype_at(mask) == TW_DTYPE_I32) mask = tw_lt(key, tw_expand_dim(mask, 1));
        mask = tw_reshape(mask, tw_shape_of(c->batch, 1, 1, c->keys));
        out = tw_is_none(out) ? mask : tw_and(out, mask);
    }
    if (tw_is_none(out)) return out;
    return tw_broadcast_to(out, tw_shape_of(c->batch, c->heads, c->queries, c->keys));
}

static tw_val hidden_as(tw_val seen, tw_val x, double value)
{
    return tw_is_none(seen) ? x : tw_select(seen, x, tw_full_like(x, value));
}

/* y from whole scores. The shift is constant; where nothing is seen it is infinite and nothing of it is left. */
static tw_val from_scores(const call *c, tw_val s)
{
    tw_val visible = seen(c), shift = TW_NONE;
    if (c->keys == 0)
        return tw_full(c->g, tw_dtype_at(c->q), tw_shape_of(c->batch, c->queries, c->heads * (c->width + 1)), 0.0);
    shift = tw_stop_gradient(tw_reduce_max(hidden_as(visible, s, -INFINITY), 1, (int[]){3}));
    tw_val e = tw_exp(hidden_as(visible, tw_sub(s, tw_expand_dim(shift, 3)), -INFINITY));
    tw_val sum = tw_sum_axis(e, 3), any = tw_lt(tw_full_like(sum, 0.5), sum); /* the largest adds 1 */
    sum = tw_max(sum, tw_full_like(sum, 0.5));
    tw_val lse = tw_select(any, tw_add(shift, tw_log(sum)), tw_zeros_like(sum));
    tw_val o = weigh(tw_div(e, tw_expand_dim(sum, 3)), KEYS, c->v);
    return tw_concat2(2, tw_reshape(o, tw_shape_of(c->batch, c->queries, c->heads * c->width)), swapped(lse));
}

tw_val tw_body_attention(const tw_draft *d)
{
    call c = call_of(d);
    return from_scores(&c, tw_muls(inner(c.q, c.k), c.scale));
}

/* The outputs (B,T,H,E) and the rest (B,T,H) of a value like y; the rest is none where there are outputs only. */
static tw_val outputs_of(const call *c, tw_val y)
{
    return tw_reshape(tw_slice(y, 2, 0, c->heads * c->width), tw_shape_of(c->batch, c->queries, c->heads, c->width));
}
static tw_val rest_of(const call *c, tw_val y)
{
    int64_t begin = c->heads * c->width;
    return tw_dim(y, 2) > begin ? tw_slice(y, 2, begin, begin + c->heads) : TW_NONE;
}

/* (B,H,Tq,Tk) */
static tw_val probabilities(const call *c)
{
    tw_val s = tw_muls(inner(c->q, c->k), c->scale);
    return tw_exp(hidden_as(seen(c), tw_sub(s, a_row(rest_of(c, c->y))), -INFINITY));
}

tw_val tw_body_attention_tangent(const tw_draft *d)
{
    call c = call_of(d);
    const tw_val *t = d->args + 4;
    tw_val p = probabilities(&c), ds = tw_muls(tw_add(inner(t[0], c.k), inner(c.q, t[1])), c.scale);
    tw_val change = tw_mul(p, ds), slope = swapped(tw_sum_axis(change, 3)); /* (B,Tq,H) */
    tw_val o = tw_add(weigh(change, KEYS, c.v), weigh(p, KEYS, t[2]));
    o = tw_sub(o, tw_mul(outputs_of(&c, c.y), tw_expand_dim(slope, 3)));
    return tw_concat2(2, tw_reshape(o, tw_shape_of(c.batch, c.queries, c.heads * c.width)), slope);
}

/* (B,T,H,size) as (B,tokens,H*size), filled up with zeros */
static tw_val beside(tw_val x, int64_t tokens)
{
    tw_shape s = tw_shape_at(x);
    if (s.rank != 4) return x;
    tw_val flat = tw_reshape(x, tw_shape_of(s.dim[0], s.dim[1], s.dim[2] * s.dim[3]));
    return tw_pad(flat, 0.0, (int64_t[]){0, 0, 0}, (int64_t[]){0, tokens - s.dim[1], 0}, (int64_t[]){0, 0, 0});
}

tw_val tw_body_attention_gradient(const tw_draft *d)
{
    call c = call_of(d);
    tw_val w = outputs_of(&c, d->args[4]), u = rest_of(&c, d->args[4]), p = probabilities(&c);
    tw_val centre = tw_sum_axis(tw_mul(w, outputs_of(&c, c.y)), 3);
    if (!tw_is_none(u)) centre = tw_sub(centre, u);
    tw_val g = tw_muls(tw_mul(p, tw_sub(inner(w, c.v), a_row(centre))), c.scale);
    int64_t tokens = c.queries > c.keys ? c.queries : c.keys;
    return tw_concat(2, 3,
                     (tw_val[]){beside(weigh(g, KEYS, c.k), tokens), beside(weigh(g, ROWS, c.q), tokens),
                                beside(weigh(p, ROWS, w), tokens)});
}

tw_val tw_jvp_attention(tw_val y, const tw_val *x, const tw_val *t)
{
    bool masked = tw_node_at(y)->args_count > 3;
    tw_val args[8] = {x[0],
                      x[1],
                      x[2],
                      y,
                      tw_tangent_or_zeros(t[0], x[0]),
                      tw_tangent_or_zeros(t[1], x[1]),
                      tw_tangent_or_zeros(t[2], x[2])};
    if (masked) args[7] = x[3];
    return remade(TW_OP_attention_tangent, y, masked ? 8 : 7, args);
}

/* What was padded behind its last axis alone: the cotangent of outputs that are a slice of y. */
static tw_val before_padding(tw_val x, int64_t size)
{
    const tw_node *n = tw_node_at(x);
    if (n->op != TW_OP_pad) return x;
    tw_shape out = n->shape, in = tw_node_of(x.graph, n->args[0])->shape;
    const tw_attr *at = tw_node_attr(x.graph, n);
    if (out.rank != 3 || in.dim[0] != out.dim[0] || in.dim[1] != out.dim[1] || in.dim[2] != size) return x;
    bool behind = at->value == 0.0;
    for (int i = 0; i < 3; i++) behind = behind && at->begin[i] == 0 && at->stride[i] == 0;
    return behind ? tw_val_of(x.graph, n->args[0]) : x;
}

void tw_transpose_attention_tangent(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_graph *g = node.graph;
    bool masked = tw_node_at(node)->args_count > 7;
    tw_draft d = tw_draft_of(node, x);
    call c = call_of(&d);
    tw_val args[6] = {x[0], x[1], x[2], x[3], before_padding(ct, c.heads * c.width)};
    if (masked) args[5] = x[7];
    tw_val all = remade(TW_OP_attention_gradient, node, masked ? 6 : 5, args);
    int64_t at = 0;
    for (int k = 0; k < 3 && g->status == TW_OK; k++) {
        tw_shape shape = tw_shape_at(x[k]);
        int64_t size = shape.dim[2] * shape.dim[3];
        if (wanted[4 + k])
            out[4 + k] = tw_reshape(tw_slice(tw_slice(all, 1, 0, shape.dim[1]), 2, at, at + size), shape);
        at += size;
    }
}

void tw_transpose_attention_gradient(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    bool masked = tw_node_at(node)->args_count > 5;
    int64_t at = 0;
    tw_val args[8] = {x[0], x[1], x[2], x[3]};
    if (!wanted[4]) return;
    for (int k = 0; k < 3; k++) {
        tw_shape shape = tw_shape_at(x[k]);
        int64_t size = shape.dim[2] * shape.dim[3];
        args[4 + k] = tw_reshape(tw_slice(tw_slice(ct, 1, 0, shape.dim[1]), 2, at, at + size), shape);
        at += size;
    }
    if (masked) args[7] = x[5];
    out[4] = remade(TW_OP_attention_tangent, node, masked ? 8 : 7, args);
    if (node.graph->status == TW_OK) out[4] = tw_slice(out[4], 2, 0, tw_dim(x[4], 2));
}

/* --- building ---------------------------------------------------------------------------------------------------- */

tw_val tw_attention(tw_val q, tw_val k, tw_val v, const tw_attention_options *options)
{
    tw_attention_options none = {.mask = TW_NONE, .bias = TW_NONE}, o = options ? *options : none;
    tw_val args[4] = {q, k, v, o.mask};
    bool masked = o.mask.graph && !tw_is_none(o.mask), biased = o.bias.graph && !tw_is_none(o.bias);
    tw_draft d = {.graph = q.graph, .op = TW_OP_attention, .count = masked ? 4 : 3, .args = args};
    if (q.id < 0 || k.id < 0 || v.id < 0) return q.id < 0 ? q : k.id < 0 ? k : v;
    d.attr.value = o.scale == 0.0 && tw_last_dim(q) > 0 ? 1.0 / sqrt((double)tw_last_dim(q)) : o.scale;
    d.attr.number = o.causal;
    if (biased && !tw_infer_attention(&d)) return tw_val_of(q.graph, -1);
    call c = {0};
    tw_val y = TW_NONE;
    if (biased) {
        c = call_of(&d);
        y = from_scores(&c, tw_add(tw_muls(inner(q, k), c.scale), o.bias));
    } else {
        y = tw_graph_append(&d);
        c = y.id < 0 ? c : call_of(&d);
    }
    return y.id < 0 ? y : outputs_of(&c, y);
}

void tw_qkv_split(tw_val qkv, int64_t heads, bool by_head, tw_val out[3])
{
    tw_shape s = tw_shape_at(qkv);
    int64_t depth = s.rank == 3 && heads > 0 ? s.dim[2] / (3 * heads) : 0;
    for (int i = 0; i < 3; i++) out[i] = TW_NONE;
    if (qkv.id < 0) return;
    if (s.rank != 3 || heads < 1 || s.dim[2] != 3 * heads * depth) {
        tw_graph_fail(qkv.graph, TW_ERR_SHAPE, "qkv_split: %s is not (B,T,3*H*D) with H = %lld", tw_shape_show(s).text,
                      (long long)heads);
        return;
    }
    tw_shape each = tw_shape_of(s.dim[0], s.dim[1], heads, depth);
    tw_val rows = by_head ? tw_reshape(qkv, tw_shape_of(s.dim[0], s.dim[1], heads, 3 * depth)) : qkv;
    int64_t step = by_head ? depth : heads * depth;
    for (int i = 0; i < 3; i++) out[i] = tw_reshape(tw_slice(rows, by_head ? 3 : 2, i * step, (i + 1) * step), each);
}
