/* graph/conv.c - convolutions: one trilinear form, seen from three sides.
 *
 *     T(x, w, y) = sum over n, o, k, c, q of  x[n, o*stride + k*dilation - low, c] w[k, c, q] y[n, o, q]
 *
 * (x outside the image is zero; with groups, c and q run within the same group). conv is its derivative in y, from x
 * and w; conv_input that in x, from y and w - the transposed convolution; conv_weights that in w, from x and y. Each is
 * bilinear and the transpose of the others, so the three are closed under forward and reverse derivatives of any order.
 * Images are (N, H, W, C), weights (H, W, C/groups, O), with one to three spatial axes. */
#include "graph/conv.h"

#include "graph/rules.h"

#define NAME(d) (tw_op_table[(d)->op].name)
#define SHOW(v) (tw_shape_show(v).text)

/* --- shapes --- */

typedef struct form {
    tw_shape x, w, y;
} form;

/* The three shapes; the one the node makes is taken from `own`. */
static form form_of(tw_op op, tw_shape first, tw_shape second, tw_shape own)
{
    if (op == TW_OP_conv) return (form){first, second, own};
    if (op == TW_OP_conv_input) return (form){own, second, first};
    return (form){first, own, second};
}

/* Positions of the kernel along an axis, or -1 when it does not fit even once. */
static int64_t positions(const tw_attr *at, int axis, int64_t image, int64_t kernel)
{
    int64_t padded = image + at->begin[axis] + at->end[axis], reach;
    if (kernel < 1 || __builtin_mul_overflow(kernel - 1, at->dilation[axis], &reach) || reach >= padded) return -1;
    return (padded - 1 - reach) / at->stride[axis] + 1;
}

static bool check_numbers(const tw_draft *d, int spatial)
{
    const tw_attr *at = &d->attr;
    bool fits = at->number >= 1;
    for (int i = 0; i < spatial; i++)
        fits = fits && at->stride[i] >= 1 && at->stride[i] <= INT32_MAX && at->dilation[i] >= 1 &&
               at->dilation[i] <= INT32_MAX && at->begin[i] >= 0 && at->begin[i] <= INT32_MAX && at->end[i] >= 0 &&
               at->end[i] <= INT32_MAX;
    if (!fits)
        tw_graph_fail(d->graph, TW_ERR_INVALID,
                      "%s: stride, dilation and groups are at least 1, padding at least 0, all below 2^31", NAME(d));
    return fits;
}

static bool check_args(tw_draft *d)
{
    tw_dtype dtype = tw_dtype_at(d->args[0]);
    tw_shape a = tw_shape_at(d->args[0]), b = tw_shape_at(d->args[1]);
    d->dtype = dtype;
    if (!tw_dtype_is_real(dtype) || tw_dtype_at(d->args[1]) != dtype) {
        tw_graph_fail(d->graph, TW_ERR_DTYPE, "%s: %s%s and %s%s must both be f32 or both f64", NAME(d),
                      tw_dtype_name(dtype), SHOW(a), tw_dtype_name(tw_dtype_at(d->args[1])), SHOW(b));
        return false;
    }
    if (a.rank != b.rank || a.rank < 3 || a.rank > 2 + TW_MAX_SPATIAL) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s and %s must both have 3 to %d axes (N, space..., C)", NAME(d),
                      SHOW(a), SHOW(b), 2 + TW_MAX_SPATIAL);
        return false;
    }
    return check_numbers(d, a.rank - 2);
}

static bool check_channels(const tw_draft *d, const form *f)
{
    int last = f->x.rank - 1;
    int64_t groups = d->attr.number, c = f->w.dim[last - 1], o = f->w.dim[last], wanted;
    if (!__builtin_mul_overflow(c, groups, &wanted) && wanted == f->x.dim[last] && o % groups == 0) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE,
                  "%s: images %s and weights %s do not fit in %lld group%s: %lld channels, weights for %lld and %lld "
                  "results",
                  NAME(d), SHOW(f->x), SHOW(f->w), (long long)groups, groups == 1 ? "" : "s",
                  (long long)f->x.dim[last], (long long)c, (long long)o);
    return false;
}

/* What the images and the weights make, to compare with or to take. */
static bool result_shape(const tw_draft *d, const form *f, tw_shape *out_shape)
{
    int last = f->x.rank - 1;
    *out_shape = f->x;
    out_shape->dim[last] = f->w.dim[last];
    for (int i = 0; i < last - 1; i++) {
        out_shape->dim[i + 1] = positions(&d->attr, i, f->x.dim[i + 1], f->w.dim[i]);
        if (out_shape->dim[i + 1] >= 0) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE,
                      "%s: weights %s do not fit into images %s: along axis %d, %lld of them %lld apart, padding %lld "
                      "and %lld",
                      NAME(d), SHOW(f->w), SHOW(f->x), i + 1, (long long)f->w.dim[i], (long long)d->attr.dilation[i],
                      (long long)d->attr.begin[i], (long long)d->attr.end[i]);
        return false;
    }
    return true;
}

bool tw_infer_conv(tw_draft *d)
{
    if (!check_args(d)) return false;
    form f = form_of(d->op, tw_shape_at(d->args[0]), tw_shape_at(d->args[1]), d->shape);
    tw_shape y;
    if (d->op != TW_OP_conv && (d->shape.rank != f.y.rank || !tw_shape_is_valid(d->shape))) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: a result of shape %s from %s and %s", NAME(d), SHOW(d->shape),
                      SHOW(tw_shape_at(d->args[0])), SHOW(tw_shape_at(d->args[1])));
        return false;
    }
    if (!check_channels(d, &f) || !result_shape(d, &f, &y)) return false;
    if (d->op == TW_OP_conv) d->shape = y;
    if (d->op == TW_OP_conv && !tw_shape_is_valid(y)) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "conv: a result of shape %s has too many elements", SHOW(y));
        return false;
    }
    if (d->op == TW_OP_conv || tw_shape_equal(f.y, y)) return true;
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: images %s and weights %s make %s, not %s", NAME(d), SHOW(f.x), SHOW(f.w),
                  SHOW(y), SHOW(f.y));
    return false;
}

tw_conv_sizes tw_conv_sizes_of(const tw_graph *g, const tw_node *node)
{
    const int32_t *args = tw_node_args(g, node);
    const tw_attr *at = tw_node_attr(g, node);
    form f = form_of((tw_op)node->op, tw_node_of(g, args[0])->shape, tw_node_of(g, args[1])->shape, node->shape);
    int spatial = f.x.rank - 2, first = TW_MAX_SPATIAL - spatial;
    tw_conv_sizes s = {
        .n = f.x.dim[0], .c = f.x.dim[spatial + 1], .o = f.w.dim[spatial + 1], .groups = (int64_t)at->number};
    for (int i = 0; i < TW_MAX_SPATIAL; i++) {
        int k = i - first;
        s.image[i] = k < 0 ? 1 : f.x.dim[k + 1];
        s.kernel[i] = k < 0 ? 1 : f.w.dim[k];
        s.result[i] = k < 0 ? 1 : f.y.dim[k + 1];
        s.stride[i] = k < 0 ? 1 : at->stride[k];
        s.dilation[i] = k < 0 ? 1 : at->dilation[k];
        s.low[i] = k < 0 ? 0 : at->begin[k];
        s.high[i] = k < 0 ? 0 : at->end[k];
    }
    return s;
}

/* --- builders --- */

/* The description with what was left 0 filled in. */
static tw_conv_desc complete(const tw_conv_desc *desc)
{
    tw_conv_desc full = desc ? *desc : (tw_conv_desc){0};
    for (int i = 0; i < TW_MAX_SPATIAL; i++) {
        if (full.stride[i] == 0) full.stride[i] = 1;
        if (full.dilation[i] == 0) full.dilation[i] = 1;
    }
    if (full.groups == 0) full.groups = 1;
    return full;
}

static tw_val append(tw_op op, tw_val a, tw_val b, const tw_conv_desc *desc, tw_shape shape)
{
    tw_conv_desc full = complete(desc);
    tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){a, b}, .shape = shape};
    for (int i = 0; i < TW_MAX_SPATIAL && i < tw_shape_at(a).rank - 2; i++) {
        d.attr.stride[i] = full.stride[i];
        d.attr.dilation[i] = full.dilation[i];
        d.attr.begin[i] = full.low[i];
        d.attr.end[i] = full.high[i];
    }
    d.attr.number = full.groups < 0 || full.groups > INT32_MAX ? 0 : (uint32_t)full.groups;
    return tw_graph_append(&d);
}

tw_val tw_conv(tw_val x, tw_val w, const tw_conv_desc *desc)
{
    return append(TW_OP_conv, x, w, desc, TW_SCALAR);
}

/* (steps - 1) * step, or false */
static bool span(int64_t steps, int64_t step, int64_t *out_span)
{
    return !__builtin_mul_overflow(steps - 1, step, out_span);
}

/* The smallest image that gives y; rank -1, which inference refuses with both shapes, when there is none. */
static tw_shape smallest_image(tw_shape y, tw_shape w, const tw_conv_desc *desc)
{
    tw_conv_desc full = complete(desc);
    tw_shape shape = y;
    bool fits = !__builtin_mul_overflow(w.dim[w.rank - 2], full.groups, &shape.dim[y.rank - 1]);
    for (int i = 0; i < y.rank - 2 && fits; i++) {
        int64_t *image = &shape.dim[i + 1], steps, reach;
        fits = span(y.dim[i + 1], full.stride[i], &steps) && span(w.dim[i], full.dilation[i], &reach) &&
               !__builtin_add_overflow(reach, 1, &reach) && !__builtin_add_overflow(steps, reach, image) &&
               !__builtin_sub_overflow(*image, full.low[i], image) &&
               !__builtin_sub_overflow(*image, full.high[i], image);
    }
    if (!fits) shape.rank = -1;
    return shape;
}

tw_val tw_conv_input(tw_val y, tw_val w, const tw_conv_desc *desc, tw_shape shape)
{
    tw_shape ys = tw_shape_at(y), ws = tw_shape_at(w);
    bool both = ys.rank == ws.rank && ys.rank >= 3 && ys.rank <= 2 + TW_MAX_SPATIAL;
    return append(TW_OP_conv_input, y, w, desc, shape.rank == 0 && both ? smallest_image(ys, ws, desc) : shape);
}

tw_val tw_conv_weights(tw_val x, tw_val y, const tw_conv_desc *desc, tw_shape shape)
{
    return append(TW_OP_conv_weights, x, y, desc, shape);
}

/* --- transposes: the node's op on other sides of the form --- */

static tw_val turned(tw_val node, tw_op op, tw_val a, tw_val b, tw_val like)
{
    tw_draft d = tw_draft_of(node, (tw_val[]){a, b});
    d.op = op;
    d.shape = tw_shape_at(like);
    return tw_graph_append(&d);
}

static bool refuse_both(tw_val node, const bool *wanted)
{
    if (!wanted[0] || !wanted[1]) return false;
    tw_graph_fail(node.graph, TW_ERR_INVALID, "linear_transpose: both arguments of %s depend on the inputs",
                  tw_op_table[tw_node_at(node)->op].name);
    return true;
}

void tw_transpose_conv(tw_val node, const tw_val *a, const bool *wanted, tw_val ct, tw_val *out)
{
    if (refuse_both(node, wanted)) return;
    if (wanted[0]) out[0] = turned(node, TW_OP_conv_input, ct, a[1], a[0]);
    if (wanted[1]) out[1] = turned(node, TW_OP_conv_weights, a[0], ct, a[1]);
}

void tw_transpose_conv_input(tw_val node, const tw_val *a, const bool *wanted, tw_val ct, tw_val *out)
{
    if (refuse_both(node, wanted)) return;
    if (wanted[0]) out[0] = turned(node, TW_OP_conv, ct, a[1], a[0]);
    if (wanted[1]) out[1] = turned(node, TW_OP_conv_weights, ct, a[0], a[1]);
}

void tw_transpose_conv_weights(tw_val node, const tw_val *a, const bool *wanted, tw_val ct, tw_val *out)
{
    if (refuse_both(node, wanted)) return;
    if (wanted[0]) out[0] = turned(node, TW_OP_conv_input, a[1], ct, a[0]);
    if (wanted[1]) out[1] = turned(node, TW_OP_conv, a[0], ct, a[1]);
}

/* --- as a product --- */

tw_val tw_conv_as_product(const tw_draft *d)
{
    tw_shape w = d->op == TW_OP_conv_weights ? d->shape : tw_shape_at(d->args[1]);
    int last = w.rank - 1, axes[TW_MAX_RANK];
    bool plain = d->attr.number == 1;
    for (int i = 0; i < last - 1; i++)
        plain = plain && w.dim[i] == 1 && d->attr.stride[i] == 1 && d->attr.begin[i] == 0 && d->attr.end[i] == 0;
    if (!plain) return TW_NONE;
    for (int i = 0; i < last; i++) axes[i] = i;
    if (d->op == TW_OP_conv_weights)
        return tw_reshape(tw_dot_general(d->args[0], d->args[1], 0, NULL, NULL, last, axes, axes), w);
    tw_val matrix = tw_reshape(d->args[1], tw_shape_of(w.dim[last - 1], w.dim[last]));
    int inner = d->op == TW_OP_conv ? 0 : 1;
    return tw_dot_general(d->args[0], matrix, 0, NULL, NULL, 1, &last, &inner);
}

/* --- reference kernel: the trilinear form, summed term by term into the side that is missing --- */

typedef struct sides {
    tw_op op;
    const double *a, *b;
    double *out;
} sides;

/* One pixel of an image, one of a result, one tap of the kernel: all channels. */
static void add_pixel(const sides *s, const tw_conv_sizes *z, int64_t x, int64_t w, int64_t y)
{
    int64_t cs = z->c / z->groups, os = z->o / z->groups;
    for (int64_t c = 0; c < z->c; c++)
        for (int64_t q = c / cs * os; q < (c / cs + 1) * os; q++) {
            int64_t at_x = x * z->c + c, at_w = (w * cs + c % cs) * z->o + q, at_y = y * z->o + q;
            if (s->op == TW_OP_conv) s->out[at_y] += s->a[at_x] * s->b[at_w];
            if (s->op == TW_OP_conv_input) s->out[at_x] += s->a[at_y] * s->b[at_w];
            if (s->op == TW_OP_conv_weights) s->out[at_w] += s->a[at_x] * s->b[at_y];
        }
}

void tw_eval_conv(const tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    tw_conv_sizes z = tw_conv_sizes_of(g, node);
    sides s = {(tw_op)node->op, args[0], args[1], out};
    int64_t kernel = z.kernel[0] * z.kernel[1] * z.kernel[2], result = z.result[0] * z.result[1] * z.result[2];
    for (int64_t i = 0, size = tw_shape_size(node->shape); i < size; i++) out[i] = 0.0;
    for (int64_t i = 0; i < z.n * result * kernel; i++) {
        int64_t k = i % kernel, p = i / kernel % result, n = i / kernel / result, rest_k = k, rest_p = p;
        int64_t x = 0, scale = 1;
        bool inside = true;
        for (int axis = TW_MAX_SPATIAL - 1; axis >= 0; axis--) {
            int64_t at = rest_p % z.result[axis] * z.stride[axis] + rest_k % z.kernel[axis] * z.dilation[axis] -
                         z.low[axis];
            rest_p /= z.result[axis];
            rest_k /= z.kernel[axis];
            inside = inside && at >= 0 && at < z.image[axis];
            x += at * scale;
            scale *= z.image[axis];
        }
        if (inside) add_pixel(&s, &z, n * scale + x, k, n * result + p);
    }
}
