/* graph/normalise.c - layer, root-mean-square and group normalisation: one op with optional scale and shift.
 *
 * Statistics are over the axes from `axis` on; with groups > 1 the last axis (channels) is split into so many groups
 * that have their own. With u the normalised array and r = 1/sqrt(var + eps), the Jacobian J is r (1 - 11'/n - uu'/n),
 * symmetric: normalise_tangent(x, t, s) is s J t or J s t, each the transpose of the other. What the scale is given on
 * the way back, a sum over rows, has a node too. Layer: Ba et al., 2016; root mean square (no mean taken off, no 11'):
 * Zhang & Sennrich, 2019; group: Wu & He, 2018. */
#include "graph/rules.h"

#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

/* Bits of the attribute `option`. */
enum { CENTRED = 1, SCALE_FIRST = 2 };

/* (lead..., pixels, groups, channels of a group): what the statistics are taken over lies in the first and last of the
 * three. */
static tw_shape grouped_shape(const tw_draft *d)
{
    tw_shape x = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    int64_t groups = d->attr.number, channels = x.dim[x.rank - 1];
    tw_shape out = {.rank = axis + 3};
    for (int i = 0; i < axis; i++) out.dim[i] = x.dim[i];
    out.dim[axis] = 1;
    for (int i = axis; i < x.rank - 1; i++) out.dim[axis] *= x.dim[i];
    out.dim[axis + 1] = groups;
    out.dim[axis + 2] = channels / groups;
    return out;
}

/* Trailing axes of x, of those that are normalised at most. */
static bool is_trailing(const tw_draft *d, tw_shape x, tw_shape s)
{
    bool fits = s.rank >= 1 && s.rank <= x.rank - d->attr.axis[0];
    for (int i = 1; fits && i <= s.rank; i++) fits = s.dim[s.rank - i] == x.dim[x.rank - i];
    return fits;
}

/* Scale, and shift alike. */
static bool check_affine(const tw_draft *d, int k)
{
    tw_shape x = d->shape, s = tw_shape_at(d->args[k]);
    bool fits = tw_dtype_at(d->args[k]) == d->dtype && is_trailing(d, x, s);
    if (k == 2 && d->op == TW_OP_normalise) fits = fits && tw_shape_equal(s, tw_shape_at(d->args[1]));
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s %s%s does not fit %s%s, normalised from axis %d on",
                      tw_op_table[d->op].name, k == 2 && d->op == TW_OP_normalise ? "shift" : "scale",
                      tw_dtype_name(tw_dtype_at(d->args[k])), SHOW(d->args[k]), tw_dtype_name(d->dtype),
                      tw_shape_show(x).text, d->attr.axis[0]);
    return fits;
}

static bool check_groups(const tw_draft *d)
{
    int axis = d->attr.axis[0];
    int64_t groups = d->attr.number;
    uint32_t most = d->op == TW_OP_normalise_tangent ? CENTRED | SCALE_FIRST : CENTRED;
    bool fits = axis >= 0 && axis < d->shape.rank && axis + 3 <= TW_MAX_RANK && groups >= 1 &&
                d->shape.dim[d->shape.rank - 1] % groups == 0 && d->attr.option <= most;
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s from axis %d on does not split into %lld groups of channels",
                      tw_op_table[d->op].name, tw_shape_show(d->shape).text, axis, (long long)groups);
    return fits;
}

static bool like_first(tw_draft *d)
{
    d->shape = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (tw_dtype_is_real(d->dtype)) return check_groups(d);
    tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: %s%s is not f32 or f64", tw_op_table[d->op].name,
                  tw_dtype_name(d->dtype), SHOW(d->args[0]));
    return false;
}

bool tw_infer_normalise(tw_draft *d)
{
    if (d->count < 1 || d->count > 3) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "normalise: takes 1 to 3 arguments, not %d", d->count);
        return false;
    }
    if (!like_first(d)) return false;
    for (int k = 1; k < d->count; k++)
        if (!check_affine(d, k)) return false;
    return true;
}

static bool second_like_first(const tw_draft *d)
{
    if (tw_shape_equal(tw_shape_at(d->args[1]), d->shape) && tw_dtype_at(d->args[1]) == d->dtype) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s%s and %s%s differ", tw_op_table[d->op].name, tw_dtype_name(d->dtype),
                  tw_shape_show(d->shape).text, tw_dtype_name(tw_dtype_at(d->args[1])), SHOW(d->args[1]));
    return false;
}

bool tw_infer_normalise_tangent(tw_draft *d)
{
    if (d->count < 2 || d->count > 3) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "normalise_tangent: takes 2 or 3 arguments, not %d", d->count);
        return false;
    }
    return like_first(d) && second_like_first(d) && (d->count < 3 || check_affine(d, 2));
}

/* The result has the shape of the scale: found in the draft. */
bool tw_infer_normalise_scale(tw_draft *d)
{
    tw_shape scale = d->shape;
    if (!like_first(d) || !second_like_first(d)) return false;
    if (!is_trailing(d, d->shape, scale)) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "normalise_scale: %s are not trailing axes of %s, from %d on",
                      tw_shape_show(scale).text, tw_shape_show(d->shape).text, d->attr.axis[0]);
        return false;
    }
    d->shape = scale;
    return true;
}

/* --- bodies, on the grouped shape --- */

typedef struct grouped {
    tw_val u, r; /* normalised, 1 / standard deviation */
    int axes[2];
    tw_shape shape;
} grouped;

static tw_val mean_kept(const grouped *s, tw_val x)
{
    tw_shape kept = s->shape;
    double n = (double)(kept.dim[s->axes[0]] * kept.dim[s->axes[1]]);
    kept.dim[s->axes[0]] = kept.dim[s->axes[1]] = 1;
    return tw_reshape(tw_muls(tw_sum(x, 2, s->axes), n > 0.0 ? 1.0 / n : 0.0), kept);
}

static grouped normalised(const tw_draft *d)
{
    int axis = d->attr.axis[0];
    grouped s = {.axes = {axis, axis + 2}, .shape = grouped_shape(d)};
    tw_val x = tw_reshape(d->args[0], s.shape);
    if (d->attr.option & CENTRED) x = tw_sub(x, mean_kept(&s, x));
    s.r = tw_rsqrt(tw_adds(mean_kept(&s, tw_square(x)), d->attr.value));
    s.u = tw_mul(x, s.r);
    return s;
}

tw_val tw_body_normalise(const tw_draft *call)
{
    tw_val y = tw_reshape(normalised(call).u, call->shape);
    if (call->count > 1) y = tw_mul(y, call->args[1]);
    return call->count > 2 ? tw_add(y, call->args[2]) : y;
}

tw_val tw_body_normalise_tangent(const tw_draft *call)
{
    grouped s = normalised(call);
    bool scaled = call->count > 2, first = scaled && (call->attr.option & SCALE_FIRST);
    tw_val t = tw_reshape(first ? tw_mul(call->args[1], call->args[2]) : call->args[1], s.shape);
    tw_val along = tw_mul(s.u, mean_kept(&s, tw_mul(s.u, t)));
    if (call->attr.option & CENTRED) t = tw_sub(t, mean_kept(&s, t));
    tw_val out = tw_reshape(tw_mul(s.r, tw_sub(t, along)), call->shape);
    return scaled && !first ? tw_mul(out, call->args[2]) : out;
}

/* A sum over the axes that `shape` lacks. */
static tw_val sum_leading(tw_val x, tw_shape shape)
{
    int rank = x.id < 0 ? 0 : tw_shape_at(x).rank - shape.rank;
    return tw_sum_mask(x, (1u << rank) - 1u);
}

/* The node of another op with the same way of normalising. */
static tw_val likewise(tw_op op, const tw_draft *like, int count, const tw_val *args, tw_shape shape)
{
    tw_draft d = *like;
    d.op = op;
    d.count = count;
    d.args = args;
    d.shape = shape;
    d.attr.option &= CENTRED;
    return tw_graph_append(&d);
}

tw_val tw_body_normalise_scale(const tw_draft *call)
{
    tw_val u = likewise(TW_OP_normalise, call, 1, call->args, call->shape);
    return sum_leading(tw_mul(u, call->args[1]), call->shape);
}

/* --- derivatives --- */

tw_val tw_jvp_normalise(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_draft d = tw_draft_of(y, x);
    tw_val out = TW_NONE, linear = TW_NONE;
    if (t[0].id >= 0)
        out = likewise(TW_OP_normalise_tangent, &d, d.count > 1 ? 3 : 2,
                       (tw_val[]){x[0], t[0], d.count > 1 ? x[1] : TW_NONE}, d.shape);
    if (d.count > 1 && t[1].id >= 0) {
        bool shifted = d.count > 2 && t[2].id >= 0;
        linear =
            likewise(TW_OP_normalise, &d, shifted ? 3 : 2, (tw_val[]){x[0], t[1], shifted ? t[2] : TW_NONE}, d.shape);
    } else if (d.count > 2 && t[2].id >= 0) {
        linear = tw_broadcast_to(t[2], d.shape);
    }
    return out.id < 0 ? linear : linear.id < 0 ? out : tw_add(out, linear);
}

void tw_transpose_normalise(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_draft d = tw_draft_of(node, x);
    if (d.count > 1 && wanted[1])
        out[1] = likewise(TW_OP_normalise_scale, &d, 2, (tw_val[]){x[0], ct}, tw_shape_at(x[1]));
    if (d.count > 2 && wanted[2]) out[2] = sum_leading(ct, tw_shape_at(x[2]));
}

/* The scale on the other side. */
void tw_transpose_normalise_tangent(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_val args[3] = {x[0], ct};
    tw_draft d = tw_draft_of(node, args);
    (void)wanted;
    if (d.count > 2) {
        args[2] = x[2];
        d.attr.option ^= SCALE_FIRST;
    }
    out[1] = tw_graph_append(&d);
}

void tw_transpose_normalise_scale(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_draft d = tw_draft_of(node, x);
    (void)wanted;
    out[1] = likewise(TW_OP_normalise, &d, 2, (tw_val[]){x[0], ct}, tw_shape_at(x[0]));
}

/* --- builders --- */

static tw_val normalise(tw_val x, int axis, int64_t groups, bool centred, tw_val scale, tw_val shift, double epsilon)
{
    tw_val args[3] = {x, scale, shift};
    if (x.id < 0) return x;
    if (groups < 1 || groups > INT32_MAX || !(epsilon >= 0.0))
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "normalise: %lld groups, epsilon %g: not a number above 0",
                             (long long)groups, epsilon);
    if (scale.id < 0 && shift.id >= 0) args[1] = tw_ones_like(shift);
    tw_draft d = {.op = TW_OP_normalise, .count = shift.id >= 0 ? 3 : scale.id >= 0 ? 2 : 1, .args = args};
    d.attr.axis[0] = (int8_t)(axis < 0 ? -1 : axis);
    d.attr.number = (uint32_t)groups;
    d.attr.option = centred ? CENTRED : 0;
    d.attr.value = epsilon;
    return tw_graph_append(&d);
}

/* The axes of the scale, or of the shift, or the last one. */
static int first_axis(tw_val x, tw_val scale, tw_val shift)
{
    int rank = scale.id >= 0 ? tw_shape_at(scale).rank : shift.id >= 0 ? tw_shape_at(shift).rank : 1;
    return tw_shape_at(x).rank - rank;
}

tw_val tw_layernorm(tw_val x, tw_val scale, tw_val shift, double epsilon)
{
    return normalise(x, first_axis(x, scale, shift), 1, true, scale, shift, epsilon);
}

tw_val tw_rmsnorm(tw_val x, tw_val scale, double epsilon)
{
    return normalise(x, first_axis(x, scale, TW_NONE), 1, false, scale, TW_NONE, epsilon);
}

tw_val tw_groupnorm(tw_val x, int64_t groups, tw_val scale, tw_val shift, double epsilon)
{
    return normalise(x, 1, groups, true, scale, shift, epsilon);
}
