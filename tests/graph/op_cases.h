/* tests/graph/op_cases.h - for every op of the table, functions made of one such node: which inputs, from which
 * interval, with which attributes. An op without a case fails test_ops. */
#ifndef TESTS_GRAPH_OP_CASES_H
#define TESTS_GRAPH_OP_CASES_H

#include "graph/control_cases.h"
#include "graph/array_cases.h"
#include "graph/support.h"

static tw_val add_input(tw_graph *g, test_case *c, tw_dtype dtype, tw_shape shape, double low, double high)
{
    tw_val x = tw_input(g, "x", dtype, shape);
    c->low[c->count] = low;
    c->high[c->count] = high;
    c->inputs[c->count++] = x;
    return x;
}

static bool unary_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, test_case *c)
{
    bool positive = op == TW_OP_log || op == TW_OP_sqrt || op == TW_OP_rsqrt || op == TW_OP_log2 || op == TW_OP_lgamma;
    bool inner = op == TW_OP_asin || op == TW_OP_acos || op == TW_OP_erfinv, whole = op == TW_OP_not;
    tw_dtype dtype = whole ? TW_DTYPE_U32 : real;
    double low = positive ? 0.5 : inner || op == TW_OP_log1p ? -0.6 : whole ? 0.0 : -2.0;
    tw_val x = add_input(g, c, dtype, shape, low, whole ? 4e9 : inner ? 0.6 : 2.0);
    tw_draft d = {.op = op, .count = 1, .args = &x, .dtype = dtype};
    c->output = tw_graph_append(&d);
    return true;
}

static bool binary_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    bool whole = op == TW_OP_and || op == TW_OP_xor, power = op == TW_OP_pow, divide = op == TW_OP_div;
    tw_dtype dtype = whole ? TW_DTYPE_U32 : real;
    if (variant > 1) return false;
    tw_val x = add_input(g, c, dtype, shape, power ? 0.8 : whole ? 0.0 : -2.0, whole ? 4e9 : 1.8);
    if (variant == 1) { /* both arguments depend on one input */
        if (whole || op == TW_OP_max || op == TW_OP_min) return false;
        tw_val y = power || divide ? tw_exp(tw_muls(x, 0.3)) : tw_sin(x);
        tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){x, y}};
        c->output = tw_graph_append(&d);
        return true;
    }
    tw_val y = add_input(g, c, dtype, shape, divide ? 0.9 : whole ? 0.0 : -1.5, whole ? 4e9 : 2.5);
    tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){x, y}};
    c->output = tw_graph_append(&d);
    return true;
}

static bool special2_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (op == TW_OP_polygamma) {
        tw_val x = add_input(g, c, real, shape, variant == 2 ? -0.7 : variant ? 2.0 : 1.0, variant == 2 ? -0.4 : 5.0);
        c->output = tw_polygamma(variant == 1 ? 3 : 0, x);
        return variant < 3;
    }
    tw_val y = add_input(g, c, real, shape, op == TW_OP_rem ? 4.2 : -2.0, op == TW_OP_rem ? 4.8 : 2.0);
    tw_val x = add_input(g, c, real, shape, op == TW_OP_rem ? 2.2 : variant ? -2.5 : 0.8, variant ? -0.8 : 2.5);
    if (op == TW_OP_rem) x = variant ? tw_neg(x) : x;
    c->output = op == TW_OP_rem ? tw_rem(y, x) : tw_atan2(y, x);
    return variant < (op == TW_OP_rem ? 1 : 2);
}

static bool select_case(tw_graph *g, tw_dtype real, tw_shape shape, test_case *c)
{
    tw_val condition = add_input(g, c, TW_DTYPE_BOOL, shape, 0.0, 2.0);
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0), y = add_input(g, c, real, shape, -2.0, 2.0);
    c->output = tw_select(condition, x, y);
    return true;
}

static bool leaf_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, test_case *c)
{
    if (op == TW_OP_input) c->output = add_input(g, c, real, shape, -1.0, 1.0);
    if (op == TW_OP_const) c->output = tw_const_data(g, real, shape, NULL);
    if (op != TW_OP_iota) return true;
    if (shape.rank < 1) return false;
    c->output = tw_iota(g, real, shape, shape.rank - 1);
    return true;
}

static bool random_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, test_case *c)
{
    if (op == TW_OP_random_bits) {
        tw_val key = add_input(g, c, TW_DTYPE_U32, tw_shape_of(2), 0.0, 4e9);
        c->output = tw_random_bits(key, add_input(g, c, TW_DTYPE_U32, tw_shape_of(2), 0.0, 4e9), 7, shape);
    } else {
        tw_val bits = add_input(g, c, TW_DTYPE_U32, shape, 0.0, 4e9);
        c->output = op == TW_OP_bits_to_normal ? tw_bits_to_normal(bits, real) : tw_bits_to_uniform(bits, real);
    }
    return true;
}

static tw_val window_case(tw_op op, tw_val x, int variant)
{
    tw_shape shape = tw_shape_at(x);
    int64_t low[TW_MAX_RANK], high[TW_MAX_RANK], step[TW_MAX_RANK];
    for (int i = 0; i < shape.rank; i++) {
        if (op == TW_OP_slice) {
            low[i] = shape.dim[i] > 1 && variant != 2 ? 1 : 0;
            high[i] = shape.dim[i] - (shape.dim[i] > 3 && variant == 1);
            step[i] = 1 + (variant + i) % 3;
        } else {
            low[i] = variant == 1 && shape.dim[i] > 1 ? -1 : i % 2;
            high[i] = variant == 2 && shape.dim[i] > 2 ? -2 : 1;
            step[i] = (variant + i) % 3;
        }
    }
    return op == TW_OP_slice ? tw_slice_strided(x, low, high, step) : tw_pad(x, 0.25, low, high, step);
}

static bool shape_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    int permutation[TW_MAX_RANK];
    tw_shape to = shape;
    if (variant > 2 || (shape.rank < 1 && op != TW_OP_reshape)) return false;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    switch (op) {
    case TW_OP_reshape:
        c->output =
            tw_reshape(x, variant == 0 ? tw_shape_of(tw_shape_size(shape)) : tw_shape_of(1, tw_shape_size(shape), 1));
        return variant < 2;
    case TW_OP_transpose:
        for (int i = 0; i < shape.rank; i++) permutation[i] = variant == 0 ? shape.rank - 1 - i : (i + 1) % shape.rank;
        c->output = tw_transpose(x, permutation);
        return variant < 2;
    case TW_OP_broadcast:
        for (int i = 0; i < shape.rank; i++)
            if (to.dim[i] == 1) to.dim[i] = 3;
        if (variant == 1) {
            to.rank++;
            memmove(to.dim + 1, to.dim, sizeof to.dim - sizeof to.dim[0]);
            to.dim[0] = 2;
        }
        c->output = tw_broadcast_to(x, to);
        return variant < 2;
    case TW_OP_reverse:
        c->output = tw_reverse(x, variant % shape.rank);
        return variant < shape.rank;
    default:
        c->output = window_case(op, x, variant);
        return true;
    }
}

static bool concat_case(tw_graph *g, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (shape.rank < 1 || variant > 1) return false;
    int axis = variant % shape.rank;
    tw_shape longer = shape;
    longer.dim[axis] += 2;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0), y = add_input(g, c, real, longer, -2.0, 2.0);
    c->output =
        variant == 0 ? tw_concat2(axis, x, y) : tw_concat(axis, 6, (tw_val[]){x, y, x, tw_sin(y), tw_exp(x), y});
    return true;
}

static bool reduction_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    bool one_axis = op == TW_OP_argmax || op == TW_OP_cumsum,
         needs_elements = op == TW_OP_argmax || op == TW_OP_reduce_max;
    if (variant > 2 || shape.rank < 1 || (needs_elements && tw_shape_size(shape) == 0)) return false;
    if (one_axis && variant >= shape.rank) return false;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    int axes[TW_MAX_RANK], count = 0;
    for (int i = 0; i < shape.rank; i++)
        if (variant == 2 || i % 2 == variant) axes[count++] = i;
    if (op == TW_OP_sum) c->output = tw_sum(x, count, axes);
    if (op == TW_OP_reduce_max) c->output = tw_reduce_max(x, count, axes);
    if (op == TW_OP_argmax) c->output = tw_argmax(x, variant);
    if (op == TW_OP_cumsum) c->output = tw_cumsum(x, variant);
    return true;
}

/* Every placement of row, column, batch and contracted axes a network uses, and some it does not. */
static bool dot_case(tw_graph *g, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    static const struct {
        int rank_a, rank_b, batches, contractions;
        int a[4], b[4]; /* sizes by letter below */
        int batch_a[2], batch_b[2], contract_a[2], contract_b[2];
    } table[] = {
        /* letters: 0 = M, 1 = K, 2 = N, 3 = batch, 4 = second inner size */
        {2, 2, 0, 1, {0, 1}, {1, 2}, {0}, {0}, {1}, {0}},
        {2, 2, 0, 1, {0, 1}, {2, 1}, {0}, {0}, {1}, {1}},
        {2, 2, 0, 1, {1, 0}, {1, 2}, {0}, {0}, {0}, {0}},
        {2, 2, 0, 1, {1, 0}, {2, 1}, {0}, {0}, {0}, {1}},
        {3, 2, 0, 1, {3, 0, 1}, {1, 2}, {0}, {0}, {2}, {0}},
        {3, 3, 1, 1, {3, 0, 1}, {3, 1, 2}, {0}, {0}, {2}, {1}},
        {3, 3, 1, 1, {0, 3, 1}, {2, 1, 3}, {1}, {2}, {2}, {1}},
        {4, 4, 2, 1, {3, 4, 0, 1}, {3, 4, 2, 1}, {0, 1}, {0, 1}, {3}, {3}},
        {3, 3, 0, 2, {0, 1, 4}, {4, 2, 1}, {0}, {0}, {1, 2}, {2, 0}},
        {1, 1, 0, 1, {1}, {1}, {0}, {0}, {0}, {0}},
        {1, 1, 0, 0, {0}, {2}, {0}, {0}, {0}, {0}},
        {2, 2, 1, 0, {3, 0}, {3, 2}, {0}, {0}, {0}, {0}},
        {2, 2, 1, 1, {3, 1}, {3, 1}, {0}, {0}, {1}, {1}},
    };
    if (variant >= (int)(sizeof table / sizeof table[0]) || shape.rank != 2) return false;
    const int64_t sizes[] = {shape.dim[0], shape.dim[1], 4, 2, 3};
    tw_shape a = {.rank = table[variant].rank_a}, b = {.rank = table[variant].rank_b};
    for (int i = 0; i < a.rank; i++) a.dim[i] = sizes[table[variant].a[i]];
    for (int i = 0; i < b.rank; i++) b.dim[i] = sizes[table[variant].b[i]];
    tw_val x = add_input(g, c, real, a, -2.0, 2.0), y = add_input(g, c, real, b, -2.0, 2.0);
    c->output = tw_dot_general(x, y, table[variant].batches, table[variant].batch_a, table[variant].batch_b,
                               table[variant].contractions, table[variant].contract_a, table[variant].contract_b);
    return true;
}

/* Indices go below and beyond the table: they are clamped. */
static bool index_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, test_case *c)
{
    if (shape.rank < 1 || (op == TW_OP_take_rows && shape.dim[0] == 0)) return false;
    tw_val rows = add_input(g, c, real, shape, -2.0, 2.0);
    int64_t count = op == TW_OP_take_rows ? 6 : shape.dim[0];
    tw_val index = add_input(g, c, TW_DTYPE_I32, tw_shape_of(count), -2.0, (double)shape.dim[0] + 2.0);
    c->output = op == TW_OP_take_rows ? tw_take_rows(rows, index) : tw_scatter_add_rows(rows, index, 4);
    return true;
}

/* Strides, paddings, dilations and groups on one to three axes of space; images smaller than the kernel, no images. */
static bool conv_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    static const struct {
        int64_t x[5], w[5];
        int rank;
        tw_conv_desc desc;
    } table[] = {
        {{2, 5, 4, 3}, {3, 3, 3, 2}, 4, {.low = {1, 1}, .high = {1, 1}}},
        {{1, 4, 5, 2}, {1, 1, 2, 3}, 4, {.groups = 1}},
        {{2, 7, 6, 2}, {3, 2, 2, 2}, 4, {.stride = {2, 3}, .low = {0, 2}, .high = {1, 0}}},
        {{1, 6, 7, 4}, {2, 3, 2, 6}, 4, {.dilation = {2, 2}, .low = {1, 2}, .high = {2, 2}, .groups = 2}},
        {{2, 5, 5, 3}, {3, 3, 1, 3}, 4, {.low = {1, 1}, .high = {1, 1}, .groups = 3}},
        {{1, 5, 5, 2}, {2, 2, 1, 4}, 4, {.stride = {2, 2}, .dilation = {3, 1}, .groups = 2}},
        {{1, 2, 2, 2}, {4, 5, 2, 2}, 4, {.low = {2, 2}, .high = {1, 3}}},
        {{0, 3, 3, 2}, {2, 2, 2, 3}, 4, {.groups = 1}},
        {{2, 7, 3}, {3, 3, 2}, 3, {.stride = {2}, .low = {2}}},
        {{1, 3, 4, 5, 2}, {2, 3, 2, 2, 2}, 5, {.stride = {1, 2, 1}, .high = {1, 1, 0}, .dilation = {2, 1, 3}}},
        {{1, 7, 7, 1}, {3, 3, 1, 1}, 4, {.stride = {3, 2}}},
    };
    if (variant >= TW_COUNT(table) || !tw_shape_equal(shape, tw_shape_of(5, 3))) return false;
    const tw_conv_desc *desc = &table[variant].desc;
    int rank = table[variant].rank;
    tw_shape x = tw_shape_make(rank, table[variant].x), w = tw_shape_make(rank, table[variant].w);
    tw_shape y = tw_shape_at(tw_conv(tw_input(g, "x", real, x), tw_input(g, "w", real, w), desc));
    tw_val first = add_input(g, c, real, op == TW_OP_conv_input ? y : x, -2.0, 2.0);
    tw_val second = add_input(g, c, real, op == TW_OP_conv_weights ? y : w, -2.0, 2.0);
    c->output = op == TW_OP_conv         ? tw_conv(first, second, desc)
                : op == TW_OP_conv_input ? tw_conv_input(first, second, desc, x)
                                         : tw_conv_weights(first, second, desc, w);
    return true;
}

#include "graph/composite_cases.h"

static bool build_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *out)
{
    *out = (test_case){0};
    if (op == TW_OP_input || op == TW_OP_const || op == TW_OP_iota)
        return variant == 0 && leaf_case(g, op, real, shape, out);
    if (op == TW_OP_random_bits || op == TW_OP_bits_to_uniform || op == TW_OP_bits_to_normal)
        return variant == 0 && random_case(g, op, real, shape, out);
    if ((tw_op_table[op].flags & TW_OPF_PRODUCER) || op == TW_OP_part || op == TW_OP_barrier ||
        op == TW_OP_all_reduce_sum)
        return control_case(g, op, real, shape, variant, out);
    bool known;
    bool there = array_case(g, op, real, shape, variant, out, &known);
    if (known) return there;
    if (op == TW_OP_dot_general) return dot_case(g, real, shape, variant, out);
    if (op == TW_OP_conv || op == TW_OP_conv_input || op == TW_OP_conv_weights)
        return conv_case(g, op, real, shape, variant, out);
    if ((tw_op_table[op].flags & TW_OPF_COMPOSITE) && !(tw_op_table[op].flags & TW_OPF_ELEMENTWISE))
        return composite_case(g, op, real, shape, variant, out);
    if (op == TW_OP_concat) return concat_case(g, real, shape, variant, out);
    if (op == TW_OP_select) return variant == 0 && select_case(g, real, shape, out);
    if (op == TW_OP_take_rows || op == TW_OP_scatter_add_rows)
        return variant == 0 && index_case(g, op, real, shape, out);
    if (op == TW_OP_sum || op == TW_OP_reduce_max || op == TW_OP_argmax || op == TW_OP_cumsum)
        return reduction_case(g, op, real, shape, variant, out);
    if (op == TW_OP_atan2 || op == TW_OP_rem || op == TW_OP_polygamma)
        return special2_case(g, op, real, shape, variant, out);
    if (op == TW_OP_bitcast) {
        out->output = tw_bitcast(add_input(g, out, TW_DTYPE_U32, shape, 0.0, 4e9), TW_DTYPE_I32);
        return variant == 0;
    }
    if (op == TW_OP_cast) {
        if (variant > 1) return false;
        tw_val x = add_input(g, out, real, shape, -2.0, 2.0);
        out->output = tw_cast(x, variant ? TW_DTYPE_I32 : real == TW_DTYPE_F64 ? TW_DTYPE_F32 : TW_DTYPE_F64);
        return true;
    }
    if (tw_op_table[op].flags & TW_OPF_ELEMENTWISE)
        return tw_op_table[op].arity == 1 ? variant == 0 && unary_case(g, op, real, shape, out)
                                          : binary_case(g, op, real, shape, variant, out);
    return shape_case(g, op, real, shape, variant, out);
}

/* Sizes that are 0, 1, prime; ranks 0 to 4. */
static inline int shape_list(tw_shape *list)
{
    tw_shape all[] = {TW_SCALAR,          tw_shape_of(1),       tw_shape_of(0),          tw_shape_of(7),
                      tw_shape_of(5, 3),  tw_shape_of(1, 1),    tw_shape_of(0, 4),       tw_shape_of(3, 0),
                      tw_shape_of(2, 11), tw_shape_of(2, 1, 3), tw_shape_of(3, 2, 5, 1), tw_shape_of(2, 3, 1, 5)};
    memcpy(list, all, sizeof all);
    return (int)(sizeof all / sizeof all[0]);
}
enum { SHAPES_MAX = 16, VARIANTS_MAX = 16 };

#endif
