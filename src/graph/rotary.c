/* graph/rotary.c - rotary position embedding (Su et al., RoFormer, 2021): pairs of features turned by angles that grow
 * with the position; the turn back, sin negated, is the transpose.
 *
 * Two conventions are in use and not interchangeable for trained weights: `half` pairs feature i with i + D/2 (LLaMA,
 * GPT-NeoX), `interleaved` pairs 2i with 2i + 1 (RoFormer, GPT-J). */
#include "graph/rules.h"

#include <math.h>

/* x (...,T,...,D) with T at the axis, cos and sin (T, D/2) */
bool tw_infer_rotary(tw_draft *d)
{
    tw_shape x = tw_shape_at(d->args[0]), c = tw_shape_at(d->args[1]), s = tw_shape_at(d->args[2]);
    int axis = d->attr.axis[0];
    d->shape = x;
    d->dtype = tw_dtype_at(d->args[0]);
    bool fits = tw_dtype_is_real(d->dtype) && tw_dtype_at(d->args[1]) == d->dtype &&
                tw_dtype_at(d->args[2]) == d->dtype && axis >= 0 && axis < x.rank - 1 && c.rank == 2 &&
                tw_shape_equal(c, s) && c.dim[0] == x.dim[axis] && 2 * c.dim[1] == x.dim[x.rank - 1];
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE,
                      "rotary: %s%s with positions on axis %d does not fit angles %s%s: "
                      "expected (positions, features/2)",
                      tw_dtype_name(d->dtype), tw_shape_show(x).text, axis, tw_dtype_name(tw_dtype_at(d->args[1])),
                      tw_shape_show(c).text);
    return fits;
}

/* The first (0) or second (1) features of all pairs. */
static tw_val members(const tw_draft *d, int which)
{
    tw_shape shape = d->shape;
    int last = shape.rank - 1;
    int64_t begin[TW_MAX_RANK] = {0}, stride[TW_MAX_RANK], half = shape.dim[last] / 2;
    for (int i = 0; i < shape.rank; i++) stride[i] = 1;
    shape.dim[last] = half;
    begin[last] = d->attr.option == TW_ROTARY_INTERLEAVED ? which : which * half;
    stride[last] = d->attr.option == TW_ROTARY_INTERLEAVED ? 2 : 1;
    if (half == 0) begin[last] = 0;
    return tw_slice_given(d->args[0], begin, stride, shape);
}

tw_val tw_body_rotary(const tw_draft *call)
{
    int axis = call->attr.axis[0], last = call->shape.rank - 1;
    tw_shape angles = {.rank = call->shape.rank};
    for (int i = 0; i < angles.rank; i++) angles.dim[i] = i == axis || i == last ? call->shape.dim[i] : 1;
    angles.dim[last] /= 2;
    tw_val c = tw_reshape(call->args[1], angles), s = tw_reshape(call->args[2], angles);
    tw_val a = members(call, 0), b = members(call, 1);
    tw_val first = tw_sub(tw_mul(a, c), tw_mul(b, s)), second = tw_add(tw_mul(b, c), tw_mul(a, s));
    if (call->attr.option != TW_ROTARY_INTERLEAVED) return tw_concat2(last, first, second);
    if (last + 1 >= TW_MAX_RANK) return tw_graph_fail(call->graph, TW_ERR_SHAPE, "rotary: too many axes");
    return tw_reshape(tw_concat2(last + 1, tw_expand_dim(first, last + 1), tw_expand_dim(second, last + 1)),
                      call->shape);
}

void tw_transpose_rotary(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    out[0] = tw_graph_remake(node, (tw_val[]){ct, x[1], tw_neg(x[2])});
}

/* base^(-2i/D) for i < D/2, of the dtype. */
static tw_val frequencies(tw_graph *g, tw_dtype dtype, int64_t half, double base)
{
    double *w = tw_alloc(g->ctx, (size_t)half, 2 * sizeof *w);
    if (!w) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: %lld frequencies", (long long)half);
    for (int64_t i = 0; i < half; i++) tw_store_element(w + half, dtype, i, pow(base, -(double)i / (double)half));
    tw_val out = tw_const_data(g, dtype, tw_shape_of(1, half), w + half);
    tw_free(g->ctx, w);
    return out;
}

tw_val tw_rotary(tw_val x, tw_val positions, int axis, double base, tw_rotary_layout layout)
{
    if (x.id < 0) return x;
    tw_graph *g = x.graph;
    tw_dtype dtype = tw_dtype_at(x);
    tw_shape shape = tw_shape_at(x);
    if (axis < 0) axis += shape.rank;
    bool fits = tw_dtype_is_real(dtype) && axis >= 0 && axis < shape.rank - 1 && shape.dim[shape.rank - 1] % 2 == 0;
    if (!fits || !(base > 0.0) || (positions.id >= 0 && tw_shape_at(positions).rank != 1))
        return tw_graph_fail(g, TW_ERR_SHAPE,
                             "rotary: %s%s with positions %s on axis %d: expected real (...,T,...,D), "
                             "D even, positions (T), a base above 0",
                             tw_dtype_name(dtype), tw_shape_show(shape).text,
                             tw_shape_show(tw_shape_at(positions)).text, axis);
    if (positions.id < 0) positions = tw_iota(g, dtype, tw_shape_of(shape.dim[axis]), 0);
    tw_val w = frequencies(g, dtype, shape.dim[shape.rank - 1] / 2, base);
    tw_val angle = tw_mul(tw_expand_dim(tw_cast(positions, dtype), 1), w);
    tw_draft d = {.op = TW_OP_rotary, .count = 3, .args = (tw_val[]){x, tw_cos(angle), tw_sin(angle)}};
    d.attr.axis[0] = (int8_t)axis;
    d.attr.option = layout;
    return tw_graph_append(&d);
}
