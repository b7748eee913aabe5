/* graph/activations.c - composites of one argument, element by element.
 *
 * Their derivative is one factor, so that the way back keeps a single array. GELU: Hendrycks & Gimpel, 2016, by erf and
 * by its tanh form; SiLU (swish): Elfwing et al., 2018. */
#include "graph/rules.h"

static tw_val activation(tw_op op, tw_val x)
{
    tw_draft d = {.op = op, .count = 1, .args = &x};
    return tw_graph_append(&d);
}

tw_val tw_silu(tw_val x)
{
    return activation(TW_OP_silu, x);
}
tw_val tw_gelu(tw_val x)
{
    return activation(TW_OP_gelu, x);
}
tw_val tw_gelu_tanh(tw_val x)
{
    return activation(TW_OP_gelu_tanh, x);
}
tw_val tw_softplus(tw_val x)
{
    return activation(TW_OP_softplus, x);
}

tw_val tw_body_silu(const tw_draft *call)
{
    tw_val x = call->args[0];
    return tw_mul(x, tw_sigmoid(x));
}

tw_val tw_body_gelu(const tw_draft *call)
{
    const double inv_sqrt2 = 0.70710678118654752440;
    tw_val x = call->args[0];
    return tw_mul(x, tw_adds(tw_muls(tw_erf(tw_muls(x, inv_sqrt2)), 0.5), 0.5));
}

/* Phi(x) + x phi(x), a composite so that one kernel does it. */
tw_val tw_jvp_gelu(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], activation(TW_OP_gelu_slope, x[0]));
}

tw_val tw_body_gelu_slope(const tw_draft *call)
{
    const double inv_sqrt2 = 0.70710678118654752440, inv_sqrt_2pi = 0.39894228040143267794;
    tw_val x = call->args[0], density = tw_muls(tw_exp(tw_muls(tw_square(x), -0.5)), inv_sqrt_2pi);
    return tw_add(tw_adds(tw_muls(tw_erf(tw_muls(x, inv_sqrt2)), 0.5), 0.5), tw_mul(x, density));
}

/* x sigmoid(2 u) with u = sqrt(2/pi) (x + 0.044715 x^3), which is x (1 + tanh u) / 2. */
tw_val tw_body_gelu_tanh(const tw_draft *call)
{
    const double two_sqrt_2_over_pi = 1.59576912160573071176, cubic = 0.044715;
    tw_val x = call->args[0];
    tw_val inner = tw_mul(x, tw_adds(tw_muls(tw_square(x), cubic * two_sqrt_2_over_pi), two_sqrt_2_over_pi));
    return tw_mul(x, tw_sigmoid(inner));
}

/* log(1 + e^x) without overflow: the exponent is never positive. */
tw_val tw_body_softplus(const tw_draft *call)
{
    tw_val x = call->args[0];
    return tw_add(tw_max(x, tw_zeros_like(x)), tw_log1p(tw_exp(tw_neg(tw_abs(x)))));
}

/* The body's derivative breaks down at 0, where |x| has none; softplus itself is smooth. */
tw_val tw_jvp_softplus(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_sigmoid(x[0]));
}
