/* tests/graph/composite_cases.h - functions made of one composite node, as op_cases.h has them for primitives. */
#ifndef TESTS_GRAPH_COMPOSITE_CASES_H
#define TESTS_GRAPH_COMPOSITE_CASES_H

/* Along every axis of a shape with elements. */
static bool softmax_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (variant >= shape.rank || tw_shape_size(shape) == 0) return false;
    tw_val x = add_input(g, c, real, shape, -2.0, 2.0);
    if (op == TW_OP_softmax) {
        c->output = tw_softmax(x, variant);
    } else {
        tw_draft d = {.op = op, .count = 2, .args = (tw_val[]){x, add_input(g, c, real, shape, -1.0, 1.0)}};
        d.attr.axis[0] = (int8_t)variant;
        c->output = tw_graph_append(&d);
    }
    return true;
}

static bool composite_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (op == TW_OP_softmax || op == TW_OP_softmax_tangent) return softmax_case(g, op, real, shape, variant, c);
    return false;
}

#endif
