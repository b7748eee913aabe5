/* tests/graph/composite_cases.h - functions made of one composite node, as op_cases.h has them for primitives. */
#ifndef TESTS_GRAPH_COMPOSITE_CASES_H
#define TESTS_GRAPH_COMPOSITE_CASES_H

/* Along every axis of a shape with elements. */
static bool softmax_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (variant >= shape.rank || tw_shape_size(shape) == 0) return false;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    if (tw_op_table[op].arity == 1) {
        tw_draft d = {.op = op, .count = 1, .args = &x};
        d.attr.axis[0] = (int8_t)variant;
        c->output = tw_graph_append(&d);
    } else {
        tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){x, add_input(g, c, real, shape, -1.0, 1.0)}};
        d.attr.axis[0] = (int8_t)variant;
        c->output = tw_graph_append(&d);
    }
    return true;
}

/* Classes go below and beyond the scores; every second variant ignores one. */
static bool cross_entropy_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    tw_shape classes = shape;
    if (shape.rank < 1 || variant > 1 || shape.dim[shape.rank - 1] == 0) return false;
    classes.rank--;
    double count = (double)shape.dim[classes.rank];
    tw_val scores = add_input(g, c, real, shape, -3.0, 3.0);
    tw_val index = add_input(g, c, TW_DTYPE_I32, classes, -1.0, count + 1.0);
    tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){scores, index}};
    d.attr.value = variant ? 0.0 : -1.0;
    c->output = tw_graph_append(&d);
    return true;
}

/* Layer, root mean square and group normalisation, with and without scale and shift, the scale before and after. */
static bool normalise_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (shape.rank < 1 || variant > 5 || tw_shape_size(shape) < 2) return false;
    int last = shape.rank - 1, axis = variant % 2 ? last : shape.rank > 2;
    int64_t groups = variant == 4 ? shape.dim[last] : variant == 2 && shape.dim[last] % 2 == 0 ? 2 : 1;
    if (axis == last && groups == shape.dim[last] && variant != 5) return false; /* statistics of one element */
    int from = variant == 1 ? last : axis;
    tw_shape trailing = tw_shape_make(shape.rank - (groups > 1 ? last : from), shape.dim + (groups > 1 ? last : from));
    tw_val args[3] = {add_input(g, c, real, shape, -2.0, 2.0)};
    tw_draft d = {.op = op, .args = args, .shape = trailing};
    d.count = op == TW_OP_normalise ? 1 + variant % 3 : op == TW_OP_normalise_tangent ? 2 + (variant > 1) : 2;
    for (int k = 1; k < d.count; k++) {
        bool is_scale = op == TW_OP_normalise || k == 2;
        args[k] = add_input(g, c, real, is_scale ? trailing : shape, -1.0, 1.5);
    }
    d.attr.axis[0] = (int8_t)axis;
    d.attr.number = (uint32_t)groups;
    d.attr.option = (variant != 3) | (op == TW_OP_normalise_tangent && variant > 2 ? 2u : 0u);
    d.attr.value = 0.25;
    c->output = tw_graph_append(&d);
    return true;
}

static bool rotary_case(tw_graph *g, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    int last = shape.rank - 1, axis = variant / 2;
    if (axis >= last || variant > 5) return false;
    shape.dim[last] += shape.dim[last] % 2;
    tw_shape angles = tw_shape_of(shape.dim[axis], shape.dim[last] / 2);
    tw_val args[3] = {add_input(g, c, real, shape, -2.0, 2.0)};
    for (int k = 1; k < 3; k++) args[k] = add_input(g, c, real, angles, -1.0, 1.0);
    tw_draft d = {.op = TW_OP_rotary, .count = 3, .args = args};
    d.attr.axis[0] = (int8_t)axis;
    d.attr.option = (uint32_t)(variant % 2);
    c->output = tw_graph_append(&d);
    return true;
}

/* q of the shape; as many keys or more; every kind of mask, some of which leave a query without keys. */
static bool attention_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape q, int variant, test_case *c)
{
    if (q.rank != 4 || variant > 4 || tw_shape_size(q) == 0) return false;
    int64_t keys = q.dim[1] + variant % 2, heads = q.dim[2], width = 2, tokens = keys;
    tw_shape k = tw_shape_of(q.dim[0], keys, heads, q.dim[3]), v = tw_shape_of(q.dim[0], keys, heads, width);
    tw_shape y = tw_shape_of(q.dim[0], q.dim[1], heads * (width + 1)), w = y;
    if (variant == 1) w.dim[2] = heads * width;
    tw_draft d = {.op = op, .attr = {.value = variant == 2 ? 0.7 : 1.0, .number = variant == 1 || variant == 4}};
    tw_val args[8];
    const tw_shape all[8] = {q, k, v, y, op == TW_OP_attention_gradient ? w : q, k, v};
    int fixed = op == TW_OP_attention ? 3 : op == TW_OP_attention_gradient ? 5 : 7;
    for (int i = 0; i < fixed; i++) args[i] = add_input(g, c, real, all[i], -0.6, 0.6);
    d.args = args;
    d.count = fixed + (variant > 1);
    if (variant == 2) args[fixed] = add_input(g, c, TW_DTYPE_I32, tw_shape_of(q.dim[0]), 0.0, (double)tokens);
    if (variant > 2) args[fixed] = add_input(g, c, TW_DTYPE_BOOL, tw_shape_of(q.dim[0], keys), 0.0, 2.0);
    c->output = tw_graph_append(&d);
    return true;
}

static bool composite_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    switch (op) {
    case TW_OP_cross_entropy:
    case TW_OP_cross_entropy_gradient:
        return cross_entropy_case(g, op, real, shape, variant, c);
    case TW_OP_normalise:
    case TW_OP_normalise_tangent:
    case TW_OP_normalise_scale:
        return normalise_case(g, op, real, shape, variant, c);
    case TW_OP_attention:
    case TW_OP_attention_tangent:
    case TW_OP_attention_gradient:
        return attention_case(g, op, real, shape, variant, c);
    case TW_OP_rotary:
        return rotary_case(g, real, shape, variant, c);
    default:
        return softmax_case(g, op, real, shape, variant, c);
    }
}

#endif
