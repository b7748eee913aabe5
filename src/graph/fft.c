/* graph/fft.c - discrete Fourier transforms: fft of complex numbers (a last axis of 2), rfft of a real axis to half a
 * spectrum, irfft back. Builders, inference, transposes, reference.
 *
 * Each op carries a factor, so that the family is closed: the transpose of a transform is a transform the other way
 * with the same factor. A real line of n points has n/2 + 1 coefficients, of which all but the first and - n even - the
 * last stand for two: rfft and irfft are each other's transposes once those are weighted 1/2 or 2. */
#include "graph/rules.h"

#include <math.h>

static const tw_attr *attr_of(tw_val node)
{
    return tw_node_attr(node.graph, tw_node_at(node));
}

/* --- builders --- */

/* The axes as a mask, each within [0, rank); false and a failed graph otherwise. Without a list: all of them. */
static bool mask_of(const char *who, tw_val x, int rank, int count, const int *axes, uint32_t *out_mask)
{
    *out_mask = axes ? 0 : rank > 0 ? (1u << rank) - 1 : 0;
    for (int i = 0; axes && i < count; i++) {
        int axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank || (*out_mask & 1u << axis)) {
            tw_graph_fail(x.graph, TW_ERR_SHAPE, "%s: axis %d is not one of the %d of %s, or named twice", who, axes[i],
                          rank, tw_shape_show(tw_shape_at(x)).text);
            return false;
        }
        *out_mask |= 1u << axis;
    }
    return true;
}

static tw_val transform(tw_val z, uint32_t mask, bool inverse, double scale)
{
    if (mask == 0) return scale == 1.0 ? z : tw_muls(z, scale);
    tw_draft d = {.op = TW_OP_fft, .count = 1, .args = &z};
    d.attr.axis_mask = mask;
    d.attr.number = inverse;
    d.attr.value = scale;
    return tw_graph_append(&d);
}

static double points_of(tw_val x, uint32_t mask)
{
    double points = 1.0;
    for (int i = 0; i < tw_shape_at(x).rank; i++)
        if (mask & 1u << i) points *= (double)tw_shape_at(x).dim[i];
    return points;
}

tw_val tw_fft(tw_val z, int count, const int *axes)
{
    uint32_t mask;
    if (z.id < 0 || !mask_of("fft", z, tw_shape_at(z).rank - 1, count, axes, &mask)) return tw_val_of(z.graph, -1);
    return transform(z, mask, false, 1.0);
}

tw_val tw_ifft(tw_val z, int count, const int *axes)
{
    uint32_t mask;
    if (z.id < 0 || !mask_of("ifft", z, tw_shape_at(z).rank - 1, count, axes, &mask)) return tw_val_of(z.graph, -1);
    return transform(z, mask, true, 1.0 / points_of(z, mask));
}

static tw_val real_transform(tw_op op, tw_val x, int axis, int64_t n, double scale)
{
    tw_draft d = {.op = op, .count = 1, .args = &x, .shape = tw_shape_at(x)};
    d.attr.axis[0] = (int8_t)axis;
    d.attr.value = scale;
    if (op == TW_OP_irfft) {
        d.shape.rank--;
        d.shape.dim[axis] = n;
    }
    return tw_graph_append(&d);
}

static int highest(uint32_t mask)
{
    int axis = -1;
    for (int i = 0; i < TW_MAX_RANK; i++)
        if (mask & 1u << i) axis = i;
    return axis;
}

tw_val tw_rfft(tw_val x, int count, const int *axes)
{
    uint32_t mask;
    if (x.id < 0 || !mask_of("rfft", x, tw_shape_at(x).rank, count, axes, &mask)) return tw_val_of(x.graph, -1);
    int last = highest(mask);
    if (last < 0) return tw_graph_fail(x.graph, TW_ERR_INVALID, "rfft: no axes");
    return transform(real_transform(TW_OP_rfft, x, last, 0, 1.0), mask & ~(1u << last), false, 1.0);
}

tw_val tw_irfft(tw_val z, int count, const int *axes, int64_t n)
{
    uint32_t mask;
    if (z.id < 0 || !mask_of("irfft", z, tw_shape_at(z).rank - 1, count, axes, &mask)) return tw_val_of(z.graph, -1);
    int last = highest(mask);
    if (last < 0) return tw_graph_fail(z.graph, TW_ERR_INVALID, "irfft: no axes");
    if (n <= 0) n = 2 * (tw_dim(z, last) - 1);
    uint32_t others = mask & ~(1u << last);
    double points = points_of(z, others) * (double)n;
    return real_transform(TW_OP_irfft, transform(z, others, true, 1.0), last, n, 1.0 / points);
}

/* --- inference --- */

static bool fail(const tw_draft *d, const char *what)
{
    tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: %s%s %s", tw_op_table[d->op].name,
                  tw_dtype_name(tw_dtype_at(d->args[0])), tw_shape_show(tw_shape_at(d->args[0])).text, what);
    return false;
}

static bool infer(tw_draft *d, bool pairs)
{
    tw_shape from = tw_shape_at(d->args[0]);
    d->dtype = tw_dtype_at(d->args[0]);
    if (!tw_dtype_is_real(d->dtype)) return fail(d, "is not f32 or f64");
    if (pairs && (from.rank < 2 || from.dim[from.rank - 1] != 2))
        return fail(d, "does not hold complex numbers: its last axis is not 2");
    return true;
}

bool tw_infer_fft(tw_draft *d)
{
    if (!infer(d, true)) return false;
    d->shape = tw_shape_at(d->args[0]);
    if (d->attr.axis_mask == 0 || d->attr.axis_mask >> (d->shape.rank - 1)) return fail(d, "has no such axes");
    for (int i = 0; i < d->shape.rank; i++)
        if (d->attr.axis_mask & 1u << i && d->shape.dim[i] == 0) return fail(d, "has no points along an axis");
    return d->attr.number < 2 || fail(d, "is transformed forward (0) or inversely (1)");
}

bool tw_infer_rfft(tw_draft *d)
{
    if (!infer(d, false)) return false;
    tw_shape from = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    if (axis < 0 || axis >= from.rank || from.rank + 1 > TW_MAX_RANK || from.dim[axis] == 0)
        return fail(d, "has no such axis with points, or too many axes");
    d->shape = from;
    d->shape.dim[axis] = from.dim[axis] / 2 + 1;
    d->shape.dim[d->shape.rank++] = 2;
    return true;
}

/* The length along the axis is the node's own: n/2 + 1 coefficients fit two of them. */
bool tw_infer_irfft(tw_draft *d)
{
    if (!infer(d, true)) return false;
    tw_shape from = tw_shape_at(d->args[0]);
    int axis = d->attr.axis[0];
    if (axis < 0 || axis >= from.rank - 1) return fail(d, "has no such axis");
    int64_t n = d->shape.rank == from.rank - 1 ? d->shape.dim[axis] : 0;
    if (n < 1 || n / 2 + 1 != from.dim[axis]) return fail(d, "is not half the spectrum of so many points");
    d->shape = from;
    d->shape.rank--;
    d->shape.dim[axis] = n;
    return true;
}

/* --- transposes --- */

/* The matrix of a transform is symmetric, its adjoint conjugate: the other direction. */
void tw_transpose_fft(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    const tw_attr *attr = attr_of(node);
    (void)x;
    (void)wanted;
    out[0] = transform(ct, attr->axis_mask, !attr->number, attr->value);
}

/* z with the coefficients that stand for two multiplied by `weight`. */
static tw_val weighted(tw_val z, int axis, int64_t n, double weight)
{
    tw_shape shape = tw_shape_at(z), line = {.rank = shape.rank};
    int64_t low[TW_MAX_RANK] = {0}, high[TW_MAX_RANK] = {0};
    for (int i = 0; i < shape.rank; i++) line.dim[i] = 1;
    low[axis] = 1;
    high[axis] = n % 2 == 0;
    line.dim[axis] = shape.dim[axis] - 1 - high[axis];
    tw_val inside = tw_full(z.graph, tw_dtype_at(z), line, weight);
    return tw_mul(z, tw_broadcast_to(tw_pad(inside, 1.0, low, high, NULL), shape));
}

void tw_transpose_rfft(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int axis = attr_of(node)->axis[0];
    int64_t n = tw_dim(x[0], axis);
    (void)wanted;
    out[0] = real_transform(TW_OP_irfft, weighted(ct, axis, n, 0.5), axis, n, attr_of(node)->value);
}

void tw_transpose_irfft(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int axis = attr_of(node)->axis[0];
    (void)x;
    (void)wanted;
    out[0] = weighted(real_transform(TW_OP_rfft, ct, axis, 0, attr_of(node)->value), axis, tw_dim(ct, axis), 2.0);
}

/* --- reference: the sums as they are defined --- */

/* Sets (re, im) to the sum over the points of one line of x_j e^(-2 pi i jk/n), x real. By whole and half turns a point
 * stays real, whatever it is: the first coefficient and with n even the last have no imaginary part, NaN or not. */
static void sum_line(int64_t n, int64_t k, const double *x, int64_t step, double *out_re, double *out_im)
{
    *out_re = *out_im = 0.0;
    for (int64_t j = 0; j < n; j++) {
        int64_t turns = j * k % n;
        double angle = -6.28318530717958647693 * (double)turns / (double)n;
        *out_re += x[j * step] * cos(angle);
        if (2 * turns % n != 0) *out_im += x[j * step] * sin(angle);
    }
}

static int64_t elements_after(tw_shape shape, int axis)
{
    int64_t size = 1;
    for (int i = axis + 1; i < shape.rank; i++) size *= shape.dim[i];
    return size;
}

/* One sum over all transformed axes at once: k_1 j_1/n_1 + k_2 j_2/n_2 + ... */
void tw_eval_fft(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    int64_t points = 1, size = tw_shape_size(n->shape) / 2;
    for (int i = 0; i < n->shape.rank; i++) points *= attr->axis_mask & 1u << i ? n->shape.dim[i] : 1;
    for (int64_t i = 0; i < size; i++) {
        double re = 0.0, im = 0.0;
        for (int64_t p = 0; p < points; p++) {
            int64_t rest = p, at = i, turns = 0;
            double angle = 0.0;
            for (int axis = n->shape.rank - 2; axis >= 0; axis--) {
                if (!(attr->axis_mask & 1u << axis)) continue;
                int64_t length = n->shape.dim[axis], step = elements_after(n->shape, axis) / 2, j = rest % length;
                int64_t k = i / step % length;
                rest /= length;
                at += (j - k) * step;
                turns = j * k % length;
                angle += (double)turns / (double)length;
            }
            angle *= (attr->number ? 2.0 : -2.0) * 3.14159265358979323846;
            re += a[0][2 * at] * cos(angle) - a[0][2 * at + 1] * sin(angle);
            im += a[0][2 * at] * sin(angle) + a[0][2 * at + 1] * cos(angle);
        }
        out[2 * i] = re * attr->value;
        out[2 * i + 1] = im * attr->value;
    }
}

void tw_eval_rfft(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    tw_shape from = tw_node_of(g, tw_node_args(g, n)[0])->shape;
    int64_t length = from.dim[attr->axis[0]], inner = elements_after(from, attr->axis[0]), half = length / 2 + 1;
    for (int64_t i = 0, size = tw_shape_size(n->shape) / 2; i < size; i++) {
        double re, im;
        sum_line(length, i / inner % half, a[0] + i / inner / half * length * inner + i % inner, inner, &re, &im);
        out[2 * i] = re * attr->value;
        out[2 * i + 1] = im * attr->value;
    }
}

/* x_j = Re z_0 + 2 sum Re(z_k e^(2 pi i jk/n)) + (n even) (-1)^j Re z_(n/2) */
void tw_eval_irfft(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    int axis = attr->axis[0];
    int64_t length = n->shape.dim[axis], inner = elements_after(n->shape, axis), half = length / 2 + 1;
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        int64_t j = i / inner % length;
        const double *z = a[0] + 2 * (i / inner / length * half * inner + i % inner);
        double sum = z[0];
        for (int64_t k = 1; k < half; k++) {
            double angle = 6.28318530717958647693 * (double)(j * k % length) / (double)length;
            double re = z[2 * k * inner], im = z[2 * k * inner + 1];
            sum += 2 * k == length ? re * cos(angle) : 2.0 * (re * cos(angle) - im * sin(angle));
        }
        out[i] = sum * attr->value;
    }
}
