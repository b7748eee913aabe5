/* graph/special.c - the less common functions: builders and forward derivatives.
 *
 * The family is closed: the derivative of lgamma is digamma, that of polygamma(n) is polygamma(n+1), sinh and cosh are
 * each other's. Formulas: NIST Digital Library of Mathematical Functions, chapters 4, 5 and 7. */
#include "graph/rules.h"

static tw_val unary(tw_op op, tw_val x)
{
    tw_draft d = {.op = op, .count = 1, .args = &x};
    return tw_graph_append(&d);
}

static bool has(tw_val tangent)
{
    return tangent.id >= 0;
}

/* --- builders --- */

tw_val tw_sinh(tw_val x)
{
    return unary(TW_OP_sinh, x);
}
tw_val tw_cosh(tw_val x)
{
    return unary(TW_OP_cosh, x);
}
tw_val tw_asin(tw_val x)
{
    return unary(TW_OP_asin, x);
}
tw_val tw_acos(tw_val x)
{
    return unary(TW_OP_acos, x);
}
tw_val tw_atan(tw_val x)
{
    return unary(TW_OP_atan, x);
}
tw_val tw_exp2(tw_val x)
{
    return unary(TW_OP_exp2, x);
}
tw_val tw_log2(tw_val x)
{
    return unary(TW_OP_log2, x);
}
tw_val tw_erfinv(tw_val x)
{
    return unary(TW_OP_erfinv, x);
}
tw_val tw_lgamma(tw_val x)
{
    return unary(TW_OP_lgamma, x);
}
tw_val tw_round(tw_val x)
{
    return unary(TW_OP_round, x);
}

tw_val tw_atan2(tw_val y, tw_val x)
{
    return tw_elementwise2(TW_OP_atan2, y, x);
}
tw_val tw_rem(tw_val a, tw_val b)
{
    return tw_elementwise2(TW_OP_rem, a, b);
}
tw_val tw_polygamma(int order, tw_val x)
{
    if (x.id < 0) return x;
    if (order < 0 || order > 30)
        return tw_graph_fail(x.graph, TW_ERR_INVALID, "polygamma: order %d is not one of 0 to 30", order);
    return tw_elementwise2(TW_OP_polygamma, tw_full_like(x, order), x);
}
tw_val tw_digamma(tw_val x)
{
    return tw_polygamma(0, x);
}

tw_val tw_bitcast(tw_val x, tw_dtype dtype)
{
    tw_draft d = {.op = TW_OP_bitcast, .count = 1, .args = &x, .dtype = dtype};
    return tw_graph_append(&d);
}

/* --- forward derivatives --- */

tw_val tw_jvp_sinh(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_cosh(x[0]));
}

tw_val tw_jvp_cosh(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_sinh(x[0]));
}

/* 1/sqrt(1 - x^2), without cancellation near the ends */
static tw_val arc_factor(tw_val x)
{
    tw_val one = tw_ones_like(x);
    return tw_rsqrt(tw_mul(tw_sub(one, x), tw_add(one, x)));
}

tw_val tw_jvp_asin(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], arc_factor(x[0]));
}

tw_val tw_jvp_acos(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_neg(arc_factor(x[0])));
}

tw_val tw_jvp_atan(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_div(t[0], tw_adds(tw_square(x[0]), 1.0));
}

static const double ln2 = 0.69314718055994530942;

tw_val tw_jvp_exp2(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], tw_muls(y, ln2));
}

tw_val tw_jvp_log2(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_div(t[0], tw_muls(x[0], ln2));
}

tw_val tw_jvp_erfinv(tw_val y, const tw_val *x, const tw_val *t)
{
    const double half_root_pi = 0.88622692545275801365;
    (void)x;
    return tw_mul(t[0], tw_muls(tw_exp(tw_square(y)), half_root_pi));
}

tw_val tw_jvp_lgamma(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_digamma(x[0]));
}

tw_val tw_jvp_polygamma(tw_val y, const tw_val *x, const tw_val *t)
{
    if (has(t[0]))
        return tw_graph_fail(y.graph, TW_ERR_UNSUPPORTED, "polygamma: there is no derivative along the order");
    return tw_mul(t[1], tw_elementwise2(TW_OP_polygamma, tw_adds(x[0], 1.0), x[1]));
}

/* d atan2(y, x) = (x dy - y dx) / (x^2 + y^2) */
tw_val tw_jvp_atan2(tw_val angle, const tw_val *v, const tw_val *t)
{
    tw_val square = tw_add(tw_square(v[0]), tw_square(v[1]));
    tw_val by_y = has(t[0]) ? tw_mul(t[0], tw_div(v[1], square)) : TW_NONE;
    tw_val by_x = has(t[1]) ? tw_mul(t[1], tw_neg(tw_div(v[0], square))) : TW_NONE;
    (void)angle;
    return tw_sum_present(by_y, by_x);
}

/* a - b q with the whole quotient q, which stays as it is */
tw_val tw_jvp_rem(tw_val y, const tw_val *x, const tw_val *t)
{
    if (!has(t[1])) return t[0];
    tw_val quotient = tw_round(tw_div(tw_sub(x[0], y), x[1]));
    return tw_sum_present(t[0], tw_mul(t[1], tw_neg(quotient)));
}
