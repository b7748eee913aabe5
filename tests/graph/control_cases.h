/* tests/graph/control_cases.h - cases of op_cases.h for ops of several results and ops that call functions. */
#ifndef TESTS_GRAPH_CONTROL_CASES_H
#define TESTS_GRAPH_CONTROL_CASES_H

#include "graph/bodies.h"

static tw_val add_input(tw_graph *g, test_case *c, tw_dtype dtype, tw_shape shape, double low, double high);

static tw_val scan_case(tw_graph *g, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    static const int64_t lengths[] = {4, 1, 0, 3};
    int64_t length = lengths[variant];
    tw_val w = add_input(g, c, real, shape, -0.5, 0.5), a = add_input(g, c, real, shape, -0.5, 0.5);
    tw_val x = add_input(g, c, real, stack_shape(shape, length), -0.5, 0.5), carries[3], ys[2];
    tw_val one = tw_const(g, TW_DTYPE_I32, 2.0), zero = tw_const(g, TW_DTYPE_I32, 1.0);
    tw_scan(g,
            &(tw_scan_desc){.consts_count = 2,
                            .consts = (tw_val[]){w, one},
                            .carries_count = 3,
                            .init = (tw_val[]){a, zero, tw_zeros_like(a)},
                            .xs_count = 1,
                            .xs = &x,
                            .ys_count = 2,
                            .reversed = variant == 3,
                            .body = body_step},
            carries, ys);
    int axis = 0;
    return tw_add(tw_add(carries[0], tw_mul(carries[2], tw_cast(carries[1], real))), tw_sum(ys[0], 1, &axis));
}

static bool control_case(tw_graph *g, tw_op op, tw_dtype real, tw_shape shape, int variant, test_case *c)
{
    if (variant > (op == TW_OP_scan ? 3 : op == TW_OP_call || op == TW_OP_cond ? 1 : 0)) return false;
    if (op == TW_OP_scan) {
        c->output = scan_case(g, real, shape, variant, c);
        return true;
    }
    tw_val x = add_input(g, c, real, shape, -1.5, 1.5), y = TW_NONE, out[2];
    if (op != TW_OP_all_reduce_sum && op != TW_OP_custom_call) y = add_input(g, c, real, shape, -1.5, 1.5);
    tw_val args[2] = {x, y};
    tw_draft d = {.op = TW_OP_part, .count = 1, .attr = {.number = 1}};
    switch (op) {
    case TW_OP_all_reduce_sum:
        out[0] = tw_all_reduce_sum(x);
        break;
    case TW_OP_barrier:
        out[0] = tw_mul(tw_barrier(x, y), tw_add(x, y));
        break;
    case TW_OP_part:
    case TW_OP_tuple:
        out[0] = tw_tuple(g, 2, (tw_val[]){tw_exp(x), tw_mul(x, y)});
        d.args = out;
        out[0] = tw_graph_append_as_is(&d);
        break;
    case TW_OP_call:
        (variant ? tw_checkpoint : tw_call)(g, body_pair, NULL, 2, args, 2, out);
        out[0] = tw_mul(out[0], out[1]);
        break;
    case TW_OP_cond: {
        tw_val flag = add_input(g, c, TW_DTYPE_BOOL, TW_SCALAR, variant, variant + 0.5);
        tw_cond(g, flag, body_pair, body_other_pair, NULL, 2, args, 2, out);
        out[0] = tw_add(out[0], tw_mul(out[1], tw_exp(x)));
        break;
    }
    case TW_OP_while: {
        tw_val init[2] = {tw_const(g, TW_DTYPE_I32, 0.0), x}, carries[2];
        tw_while(g, body_below_three, body_count, NULL, 1, &y, 2, init, carries);
        out[0] = tw_mul(carries[1], tw_cast(carries[0], real));
        break;
    }
    default: {
        tw_custom made = cube(&right_scale);
        tw_custom_call(g, &made, 1, &x, out);
    }
    }
    c->output = out[0];
    return true;
}

#endif
