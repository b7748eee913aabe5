/* graph/build.c - builders of leaves and elementwise nodes.
 *
 * Nodes themselves know no broadcasting: a builder that mixes shapes first reshapes and broadcasts its arguments as
 * NumPy would, so that every elementwise node has arguments of its own shape and every derivative rule is one line. */
#include "graph/node.h"

#define SHOW(v) (tw_shape_show(tw_shape_at(v)).text)

/* --- leaves --- */

tw_val tw_input(tw_graph *g, const char *name, tw_dtype dtype, tw_shape shape)
{
    if (!g || g->status != TW_OK) return tw_val_of(g, -1);
    tw_draft d = {.graph = g, .op = TW_OP_input, .dtype = dtype, .shape = shape};
    d.attr.name = tw_graph_store_name(g, name ? name : "");
    if (d.attr.name < 0) return tw_val_of(g, -1);
    d.attr.number = g->inputs_count++;
    return tw_graph_append(&d);
}

tw_val tw_const_data(tw_graph *g, tw_dtype dtype, tw_shape shape, const void *data)
{
    if (!g || g->status != TW_OK) return tw_val_of(g, -1);
    if (!tw_shape_is_valid(shape))
        return tw_graph_fail(g, TW_ERR_SHAPE, "const: %s is not a shape an array can have", tw_shape_show(shape).text);
    tw_draft d = {.graph = g, .op = TW_OP_const, .dtype = dtype, .shape = shape};
    d.attr.data = tw_graph_store(g, data, tw_shape_size(shape) * (int64_t)tw_dtype_size(dtype));
    if (d.attr.data < 0) return tw_val_of(g, -1);
    return tw_graph_append(&d);
}

tw_val tw_const(tw_graph *g, tw_dtype dtype, double value)
{
    double bytes = 0.0;
    tw_store_element(&bytes, dtype, 0, value);
    return tw_const_data(g, dtype, TW_SCALAR, &bytes);
}

tw_val tw_full(tw_graph *g, tw_dtype dtype, tw_shape shape, double value)
{
    return tw_broadcast_to(tw_const(g, dtype, value), shape);
}

tw_val tw_full_like(tw_val v, double value)
{
    return v.id < 0 ? v : tw_full(v.graph, tw_dtype_at(v), tw_shape_at(v), value);
}

tw_val tw_zeros_like(tw_val v)
{
    return tw_full_like(v, 0.0);
}

tw_val tw_ones_like(tw_val v)
{
    return tw_full_like(v, 1.0);
}

tw_val tw_iota(tw_graph *g, tw_dtype dtype, tw_shape shape, int axis)
{
    tw_draft d = {.graph = g, .op = TW_OP_iota, .dtype = dtype, .shape = shape};
    if (axis < 0) axis += shape.rank;
    d.attr.axis[0] = (int8_t)(axis < -1 || axis > TW_MAX_RANK ? -1 : axis);
    return tw_graph_append(&d);
}

tw_val tw_random_bits(tw_val key, tw_val counter, uint32_t stream, tw_shape shape)
{
    tw_draft d = {.op = TW_OP_random_bits, .count = 2, .args = (tw_val[]){key, counter}, .shape = shape};
    d.attr.number = stream;
    return tw_graph_append(&d);
}

/* --- one argument --- */

static tw_val unary(tw_op op, tw_val x)
{
    tw_draft d = {.op = op, .count = 1, .args = &x};
    return tw_graph_append(&d);
}

static tw_val unary_to(tw_op op, tw_val x, tw_dtype dtype)
{
    tw_draft d = {.op = op, .count = 1, .args = &x, .dtype = dtype};
    return tw_graph_append(&d);
}

tw_val tw_bits_to_uniform(tw_val bits, tw_dtype dtype)
{
    return unary_to(TW_OP_bits_to_uniform, bits, dtype);
}
tw_val tw_bits_to_normal(tw_val bits, tw_dtype dtype)
{
    return unary_to(TW_OP_bits_to_normal, bits, dtype);
}
tw_val tw_cast(tw_val x, tw_dtype dtype)
{
    return unary_to(TW_OP_cast, x, dtype);
}
tw_val tw_neg(tw_val x)
{
    return unary(TW_OP_neg, x);
}
tw_val tw_exp(tw_val x)
{
    return unary(TW_OP_exp, x);
}
tw_val tw_expm1(tw_val x)
{
    return unary(TW_OP_expm1, x);
}
tw_val tw_log(tw_val x)
{
    return unary(TW_OP_log, x);
}
tw_val tw_log1p(tw_val x)
{
    return unary(TW_OP_log1p, x);
}
tw_val tw_sin(tw_val x)
{
    return unary(TW_OP_sin, x);
}
tw_val tw_cos(tw_val x)
{
    return unary(TW_OP_cos, x);
}
tw_val tw_tanh(tw_val x)
{
    return unary(TW_OP_tanh, x);
}
tw_val tw_erf(tw_val x)
{
    return unary(TW_OP_erf, x);
}
tw_val tw_sqrt(tw_val x)
{
    return unary(TW_OP_sqrt, x);
}
tw_val tw_rsqrt(tw_val x)
{
    return unary(TW_OP_rsqrt, x);
}
tw_val tw_abs(tw_val x)
{
    return unary(TW_OP_abs, x);
}
tw_val tw_sigmoid(tw_val x)
{
    return unary(TW_OP_sigmoid, x);
}
tw_val tw_sign(tw_val x)
{
    return unary(TW_OP_sign, x);
}
tw_val tw_floor(tw_val x)
{
    return unary(TW_OP_floor, x);
}
tw_val tw_is_finite(tw_val x)
{
    return unary(TW_OP_is_finite, x);
}
tw_val tw_not(tw_val x)
{
    return unary(TW_OP_not, x);
}
tw_val tw_stop_gradient(tw_val x)
{
    return unary(TW_OP_stop_gradient, x);
}

/* --- more arguments --- */

/* The shape two shapes stretch to, right-aligned; false when a size is neither equal nor 1. */
static bool broadcast_shapes(tw_shape a, tw_shape b, tw_shape *out_shape)
{
    tw_shape shape = {.rank = a.rank > b.rank ? a.rank : b.rank};
    for (int i = 1; i <= shape.rank; i++) {
        int64_t m = i <= a.rank ? a.dim[a.rank - i] : 1, n = i <= b.rank ? b.dim[b.rank - i] : 1;
        if (m != n && m != 1 && n != 1) return false;
        shape.dim[shape.rank - i] = m == 1 ? n : m;
    }
    *out_shape = shape;
    return true;
}

/* Brings `count` values to their common shape in place; false (and a failed graph) when they have none. */
static bool broadcast_values(tw_op op, int count, tw_val *values)
{
    for (int i = 0; i < count; i++)
        if (values[i].id < 0) return true; /* append says what is wrong */
    tw_shape shape = tw_shape_at(values[0]);
    for (int i = 1; i < count; i++) {
        if (broadcast_shapes(shape, tw_shape_at(values[i]), &shape)) continue;
        tw_graph_fail(values[0].graph, TW_ERR_SHAPE, "%s: %s does not fit %s: sizes must be equal or 1, from the right",
                      tw_op_table[op].name, SHOW(values[0]), SHOW(values[i]));
        return false;
    }
    for (int i = 0; i < count; i++) values[i] = tw_broadcast_to(values[i], shape);
    return true;
}

tw_val tw_elementwise2(tw_op op, tw_val a, tw_val b)
{
    tw_val args[2] = {a, b};
    if (!broadcast_values(op, 2, args)) return tw_val_of(a.graph, -1);
    tw_draft d = {.op = op, .count = 2, .args = args};
    return tw_graph_append(&d);
}

tw_val tw_add(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_add, a, b);
}
tw_val tw_sub(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_sub, a, b);
}
tw_val tw_mul(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_mul, a, b);
}
tw_val tw_div(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_div, a, b);
}
tw_val tw_pow(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_pow, a, b);
}
tw_val tw_max(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_max, a, b);
}
tw_val tw_min(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_min, a, b);
}
tw_val tw_lt(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_lt, a, b);
}
tw_val tw_eq(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_eq, a, b);
}
tw_val tw_and(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_and, a, b);
}
tw_val tw_xor(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_xor, a, b);
}
tw_val tw_square(tw_val x)
{
    return tw_elementwise2(TW_OP_mul, x, x);
}
tw_val tw_adds(tw_val a, double b)
{
    return tw_elementwise2(TW_OP_add, a, tw_full_like(a, b));
}
tw_val tw_muls(tw_val a, double b)
{
    return tw_elementwise2(TW_OP_mul, a, tw_full_like(a, b));
}
tw_val tw_pows(tw_val a, double b)
{
    return tw_elementwise2(TW_OP_pow, a, tw_full_like(a, b));
}

tw_val tw_select(tw_val condition, tw_val yes, tw_val no)
{
    tw_val args[3] = {condition, yes, no};
    if (!broadcast_values(TW_OP_select, 3, args)) return tw_val_of(condition.graph, -1);
    tw_draft d = {.op = TW_OP_select, .count = 3, .args = args};
    return tw_graph_append(&d);
}
