/* graph/reference_kernels.c - every op by its plainest loop over doubles.
 *
 * Written to be obviously right, not fast: elements are addressed by multi-index, composites by their formula rather
 * than their body. Constant folding uses the same functions. */
#include "base/philox.h"
#include "graph/rules.h"

#include <math.h>
#include <string.h>

static int64_t size_of(const tw_node *n)
{
    return tw_shape_size(n->shape);
}

static tw_shape arg_shape(const tw_graph *g, const tw_node *n, int k)
{
    return tw_node_of(g, tw_node_args(g, n)[k])->shape;
}

/* --- elementwise --- */

/* Whole numbers stay in their 32 bits, bf16 in its 16; reals are as they are. */
double tw_wrap(tw_dtype dtype, double value)
{
    if (tw_dtype_is_real(dtype)) return value;
    if (dtype == TW_DTYPE_BF16) { /* few digits: rounding shows */
        uint16_t half;
        tw_store_element(&half, dtype, 0, value);
        return tw_load_element(&half, dtype, 0);
    }
    double bytes = 0.0;
    tw_store_element(&bytes, dtype, 0, value);
    uint32_t word;
    memcpy(&word, &bytes, sizeof word);
    return dtype == TW_DTYPE_I32 ? (double)(int32_t)word : dtype == TW_DTYPE_U32 ? (double)word : value != 0.0;
}

static uint32_t word_of(double x)
{
    return (uint32_t)(int64_t)x;
}

static double unary(tw_op op, tw_dtype dtype, double x)
{
    const double inv_sqrt2 = 0.70710678118654752440;
    switch (op) {
    case TW_OP_neg:
        return -x;
    case TW_OP_exp:
        return exp(x);
    case TW_OP_expm1:
        return expm1(x);
    case TW_OP_log:
        return log(x);
    case TW_OP_log1p:
        return log1p(x);
    case TW_OP_sin:
        return sin(x);
    case TW_OP_cos:
        return cos(x);
    case TW_OP_tanh:
        return tanh(x);
    case TW_OP_erf:
        return erf(x);
    case TW_OP_sqrt:
        return sqrt(x);
    case TW_OP_rsqrt:
        return 1.0 / sqrt(x);
    case TW_OP_abs:
        return fabs(x);
    case TW_OP_sigmoid:
        return x >= 0.0 ? 1.0 / (1.0 + exp(-x)) : exp(x) / (1.0 + exp(x));
    case TW_OP_sign:
        return isnan(x) ? x : (double)((x > 0.0) - (x < 0.0));
    case TW_OP_floor:
        return floor(x);
    case TW_OP_is_finite:
        return isfinite(x) ? 1.0 : 0.0;
    case TW_OP_not:
        return dtype == TW_DTYPE_BOOL ? (double)(x == 0.0) : -x - 1.0;
    case TW_OP_silu:
        return x / (1.0 + exp(-x));
    case TW_OP_gelu:
        return 0.5 * x * erfc(-x * inv_sqrt2);
    case TW_OP_gelu_slope:
        return 0.5 * erfc(-x * inv_sqrt2) + x * 0.39894228040143267794 * exp(-0.5 * x * x);
    case TW_OP_gelu_tanh:
        return 0.5 * x * (1.0 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
    case TW_OP_softplus:
        return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
    default: /* cast, reshape, stop_gradient */
        return x;
    }
}

static double binary(tw_op op, tw_dtype dtype, double x, double y)
{
    switch (op) {
    case TW_OP_add:
        return x + y;
    case TW_OP_sub:
        return x - y;
    case TW_OP_mul: /* products of 32-bit integers do not fit a double */
        return tw_dtype_is_real(dtype) ? x * y : (double)(uint32_t)((uint64_t)(int64_t)x * (uint64_t)(int64_t)y);
    case TW_OP_div:
        return x / y;
    case TW_OP_pow:
        return pow(x, y);
    case TW_OP_max:
        return x > y || isnan(x) ? x : y;
    case TW_OP_min:
        return x < y || isnan(x) ? x : y;
    case TW_OP_lt:
        return x < y ? 1.0 : 0.0;
    case TW_OP_eq:
        return x == y ? 1.0 : 0.0;
    case TW_OP_and:
        return (double)(word_of(x) & word_of(y));
    case TW_OP_xor:
        return (double)(word_of(x) ^ word_of(y));
    default:
        return (double)NAN;
    }
}

void tw_eval_unary(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_dtype dtype = (tw_dtype)n->dtype;
    (void)g;
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = tw_wrap(dtype, unary((tw_op)n->op, dtype, a[0][i]));
}

void tw_eval_binary(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_dtype dtype = (tw_dtype)n->dtype;
    (void)g;
    for (int64_t i = 0, size = size_of(n); i < size; i++)
        out[i] = tw_wrap(dtype, binary((tw_op)n->op, dtype, a[0][i], a[1][i]));
}

void tw_eval_select(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)g;
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = a[0][i] != 0.0 ? a[1][i] : a[2][i];
}

/* --- leaves and random bits --- */

void tw_eval_const(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)a;
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = tw_const_element(g, n, i);
}

void tw_eval_iota(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int64_t index[TW_MAX_RANK];
    (void)a;
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        out[i] = (double)index[tw_node_attr(g, n)->axis[0]];
    }
}

void tw_eval_random_bits(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    uint32_t stream = tw_node_attr(g, n)->number;
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_philox_block counter = {{(uint32_t)(i / 4), stream, word_of(a[1][0]), word_of(a[1][1])}};
        out[i] = tw_philox(counter, word_of(a[0][0]), word_of(a[0][1])).word[i % 4];
    }
}

/* 23 bits for f32, so that the largest value is below 1 after rounding; all 32 for f64. */
void tw_eval_bits_to_uniform(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)g;
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        uint32_t bits = word_of(a[0][i]);
        out[i] = n->dtype == TW_DTYPE_F32 ? ((bits >> 9) + 0.5) * 0x1p-23 : (bits + 0.5) * 0x1p-32;
    }
}

/* The z < 0 with Phi(z) = p < 1/2. log Phi is concave and the start lies left of the root (Phi(z) <= exp(-z*z/2)/2), so
 * Newton's iteration climbs to it without overshooting. */
static double normal_quantile_low(double p)
{
    const double inv_sqrt2 = 0.70710678118654752440, inv_sqrt2pi = 0.39894228040143267794;
    double z = -sqrt(-2.0 * log(2.0 * p));
    for (int step = 0; step < 64; step++) {
        double cdf = 0.5 * erfc(-z * inv_sqrt2);
        double move = log(cdf / p) * cdf / (inv_sqrt2pi * exp(-0.5 * z * z));
        z -= move;
        if (fabs(move) <= 1e-16 * fabs(z)) break;
    }
    return z;
}

void tw_eval_bits_to_normal(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)g;
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        uint32_t bits = word_of(a[0][i]);
        uint32_t distance = bits & 0x7FFFFFFFu; /* from the median, in cells; the top bit is the sign */
        double z = -normal_quantile_low(((0x7FFFFFFFu - distance) + 0.5) * 0x1p-32);
        out[i] = bits >> 31 ? -z : z;
    }
}

/* --- shape --- */

void tw_eval_transpose(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    tw_shape from = arg_shape(g, n, 0);
    int64_t to_index[TW_MAX_RANK], index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_shape_unravel(n->shape, i, to_index);
        for (int k = 0; k < from.rank; k++) index[attr->axis[k]] = to_index[k];
        out[i] = a[0][tw_shape_ravel(from, index)];
    }
}

void tw_eval_broadcast(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        for (int k = 0; k < from.rank; k++)
            if (from.dim[k] == 1) index[k] = 0;
        out[i] = a[0][tw_shape_ravel(from, index)];
    }
}

void tw_eval_slice(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    tw_shape from = arg_shape(g, n, 0);
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        for (int k = 0; k < from.rank; k++) index[k] = attr->begin[k] + index[k] * attr->stride[k];
        out[i] = a[0][tw_shape_ravel(from, index)];
    }
}

void tw_eval_pad(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    tw_shape from = arg_shape(g, n, 0);
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        bool inside = true;
        tw_shape_unravel(n->shape, i, index);
        for (int k = 0; k < from.rank; k++) {
            int64_t at = index[k] - attr->begin[k], step = attr->stride[k] + 1;
            inside = inside && at >= 0 && at % step == 0 && at / step < from.dim[k];
            index[k] = at / step;
        }
        out[i] = inside ? a[0][tw_shape_ravel(from, index)] : tw_wrap((tw_dtype)n->dtype, attr->value);
    }
}

void tw_eval_reverse(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        tw_shape_unravel(n->shape, i, index);
        index[axis] = n->shape.dim[axis] - 1 - index[axis];
        out[i] = a[0][tw_shape_ravel(n->shape, index)];
    }
}

void tw_eval_concat(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t index[TW_MAX_RANK];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        int part = 0;
        tw_shape_unravel(n->shape, i, index);
        while (index[axis] >= arg_shape(g, n, part).dim[axis]) index[axis] -= arg_shape(g, n, part++).dim[axis];
        out[i] = a[part][tw_shape_ravel(arg_shape(g, n, part), index)];
    }
}

/* --- reductions --- */

/* The position in the result an element of the argument is reduced into. */
static int64_t reduced_position(const tw_node *n, tw_shape from, uint32_t mask, int64_t i)
{
    int64_t index[TW_MAX_RANK], kept[TW_MAX_RANK];
    int rank = 0;
    tw_shape_unravel(from, i, index);
    for (int k = 0; k < from.rank; k++)
        if (!(mask & 1u << k)) kept[rank++] = index[k];
    return tw_shape_ravel(n->shape, kept);
}

void tw_eval_sum(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    uint32_t mask = tw_node_attr(g, n)->axis_mask;
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = 0.0;
    for (int64_t i = 0, size = tw_shape_size(from); i < size; i++) {
        double *to = &out[reduced_position(n, from, mask, i)];
        *to = tw_wrap((tw_dtype)n->dtype, *to + a[0][i]);
    }
}

void tw_eval_reduce_max(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    uint32_t mask = tw_node_attr(g, n)->axis_mask;
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = (double)-INFINITY;
    for (int64_t i = 0, size = tw_shape_size(from); i < size; i++) {
        double *to = &out[reduced_position(n, from, mask, i)], x = a[0][i];
        if (x > *to || isnan(x)) *to = x;
    }
}

/* A NaN counts as the largest, as in reduce_max. */
void tw_eval_argmax(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_shape from = arg_shape(g, n, 0);
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t inner = 1, length = from.dim[axis];
    for (int k = axis + 1; k < from.rank; k++) inner *= from.dim[k];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        const double *x = a[0] + (i / inner) * length * inner + i % inner;
        int64_t best = 0;
        for (int64_t k = 1; k < length; k++) {
            double now = x[k * inner], so_far = x[best * inner];
            if (now > so_far || (isnan(now) && !isnan(so_far))) best = k;
        }
        out[i] = (double)best;
    }
}

void tw_eval_cumsum(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int axis = tw_node_attr(g, n)->axis[0];
    int64_t inner = 1;
    for (int k = axis + 1; k < n->shape.rank; k++) inner *= n->shape.dim[k];
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        bool first = (i / inner) % n->shape.dim[axis] == 0;
        out[i] = tw_wrap((tw_dtype)n->dtype, first ? a[0][i] : out[i - inner] + a[0][i]);
    }
}

/* --- contraction, indexing --- */

void tw_eval_dot_general(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    const tw_attr *attr = tw_node_attr(g, n);
    tw_shape sa = arg_shape(g, n, 0), sb = arg_shape(g, n, 1);
    int batches = attr->batch_count, used = batches + attr->contract_count;
    uint32_t used_a = 0, used_b = 0;
    int64_t inner = 1, index[TW_MAX_RANK], ia[TW_MAX_RANK] = {0}, ib[TW_MAX_RANK] = {0};
    for (int k = 0; k < used; k++) {
        used_a |= 1u << attr->axis[k];
        used_b |= 1u << attr->axis_b[k];
        if (k >= batches) inner *= sa.dim[attr->axis[k]];
    }
    for (int64_t i = 0, size = size_of(n); i < size; i++) {
        int at = batches;
        double sum = 0.0;
        tw_shape_unravel(n->shape, i, index);
        for (int k = 0; k < batches; k++) ia[attr->axis[k]] = ib[attr->axis_b[k]] = index[k];
        for (int k = 0; k < sa.rank; k++)
            if (!(used_a & 1u << k)) ia[k] = index[at++];
        for (int k = 0; k < sb.rank; k++)
            if (!(used_b & 1u << k)) ib[k] = index[at++];
        for (int64_t j = 0; j < inner; j++) {
            int64_t rest = j;
            for (int k = used - 1; k >= batches; k--) {
                ia[attr->axis[k]] = ib[attr->axis_b[k]] = rest % sa.dim[attr->axis[k]];
                rest /= sa.dim[attr->axis[k]];
            }
            sum += a[0][tw_shape_ravel(sa, ia)] * a[1][tw_shape_ravel(sb, ib)];
        }
        out[i] = sum;
    }
}

static int64_t clamp_row(double index, int64_t rows)
{
    return index < 0.0 ? 0 : index >= (double)rows ? rows - 1 : (int64_t)index;
}

static int64_t row_size(tw_shape shape)
{
    int64_t size = 1;
    for (int k = 1; k < shape.rank; k++) size *= shape.dim[k];
    return size;
}

void tw_eval_take_rows(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int64_t rows = arg_shape(g, n, 0).dim[0], width = row_size(n->shape);
    for (int64_t r = 0; r < n->shape.dim[0]; r++)
        for (int64_t k = 0; k < width; k++) out[r * width + k] = a[0][clamp_row(a[1][r], rows) * width + k];
}

void tw_eval_scatter_add_rows(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int64_t rows = n->shape.dim[0], width = row_size(n->shape);
    for (int64_t i = 0, size = size_of(n); i < size; i++) out[i] = 0.0;
    for (int64_t r = 0, count = arg_shape(g, n, 0).dim[0]; r < count; r++)
        for (int64_t k = 0; k < width; k++) {
            double *to = &out[clamp_row(a[1][r], rows) * width + k];
            *to = tw_wrap((tw_dtype)n->dtype, *to + a[0][r * width + k]);
        }
}
