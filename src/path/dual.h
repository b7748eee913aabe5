/* path/dual.h - numbers with a derivative: x + x' e with e^2 = 0, so that a formula of t evaluated at (t, 1) gives its
 * value and its slope (Clifford 1873). The names are those of graph building, which lets one source be both
 * (path/schedules.inc). */
#ifndef TW_PATH_DUAL_H
#define TW_PATH_DUAL_H

#include <math.h>

typedef struct tw_dual {
    double v, d;
} tw_dual;

/* f(x) with slope f'(x): where that is unbounded the result is not finite, even if x does not move, as on a graph. */
static inline tw_dual tw_dual_chain(double v, double slope, double d)
{
    return (tw_dual){v, slope * d};
}

static inline tw_dual tw_dual_neg(tw_dual x)
{
    return (tw_dual){-x.v, -x.d};
}
static inline tw_dual tw_dual_add(tw_dual a, tw_dual b)
{
    return (tw_dual){a.v + b.v, a.d + b.d};
}
static inline tw_dual tw_dual_sub(tw_dual a, tw_dual b)
{
    return (tw_dual){a.v - b.v, a.d - b.d};
}
static inline tw_dual tw_dual_mul(tw_dual a, tw_dual b)
{
    return (tw_dual){a.v * b.v, a.d * b.v + a.v * b.d};
}
static inline tw_dual tw_dual_div(tw_dual a, tw_dual b)
{
    return (tw_dual){a.v / b.v, (a.d - a.v / b.v * b.d) / b.v};
}
static inline tw_dual tw_dual_adds(tw_dual x, double c)
{
    return (tw_dual){x.v + c, x.d};
}
static inline tw_dual tw_dual_muls(tw_dual x, double c)
{
    return (tw_dual){x.v * c, x.d * c};
}
static inline tw_dual tw_dual_square(tw_dual x)
{
    return (tw_dual){x.v * x.v, 2 * x.v * x.d};
}
static inline tw_dual tw_dual_exp(tw_dual x)
{
    return tw_dual_chain(exp(x.v), exp(x.v), x.d);
}
static inline tw_dual tw_dual_expm1(tw_dual x)
{
    return tw_dual_chain(expm1(x.v), exp(x.v), x.d);
}
static inline tw_dual tw_dual_log(tw_dual x)
{
    return tw_dual_chain(log(x.v), 1 / x.v, x.d);
}
static inline tw_dual tw_dual_log1p(tw_dual x)
{
    return tw_dual_chain(log1p(x.v), 1 / (1 + x.v), x.d);
}
static inline tw_dual tw_dual_sqrt(tw_dual x)
{
    return tw_dual_chain(sqrt(x.v), 0.5 / sqrt(x.v), x.d);
}
static inline tw_dual tw_dual_sin(tw_dual x)
{
    return tw_dual_chain(sin(x.v), cos(x.v), x.d);
}
static inline tw_dual tw_dual_pows(tw_dual x, double n)
{
    return tw_dual_chain(pow(x.v, n), n * pow(x.v, n - 1), x.d);
}
static inline tw_dual tw_dual_atan2(tw_dual y, tw_dual x)
{
    return (tw_dual){atan2(y.v, x.v), (x.v * y.d - y.v * x.d) / (x.v * x.v + y.v * y.v)};
}
static inline tw_dual tw_dual_ones_like(tw_dual x)
{
    (void)x;
    return (tw_dual){1, 0};
}
static inline tw_dual tw_dual_lts(tw_dual x, double bound)
{
    return (tw_dual){x.v < bound, 0};
}
static inline tw_dual tw_dual_select(tw_dual condition, tw_dual yes, tw_dual no)
{
    return condition.v != 0 ? yes : no;
}

#endif
