/* graph/reference_special.c - reference kernels of the special functions, by other formulas than those of cpu/: the C
 * library's, Newton's iteration for erfinv, an integral for polygamma. */
#include "graph/rules.h"

#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

/* The root of erf(y) = x, or of erfc(y) = 1 - x where that keeps more digits; log erfc is concave, so Newton's
 * iteration on it does not overshoot. */
static double erfinv(double x)
{
    double a = fabs(x), y = 0.0;
    if (a >= 1.0 || isnan(x)) return a == 1.0 ? copysign((double)INFINITY, x) : (double)NAN;
    for (int step = 0; step < 100; step++) {
        double slope = 2.0 / sqrt(PI) * exp(-y * y);
        double move = a < 0.5 ? (a - erf(y)) / slope : log(erfc(y) / (1.0 - a)) * erfc(y) / slope;
        y += move;
        if (fabs(move) <= 1e-16 * y) break;
    }
    return copysign(y, x);
}

/* (-1)^(n+1) psi^(n)(x) = int t^n e^(-xt)/(1 - e^-t) dt for n >= 1, log x - psi(x) = int (1/(1 - e^-t) - 1/t) e^(-xt)
 * dt, x >= 1 (DLMF 5.9.12, 5.9.13): the trapezoidal rule in log(xt), whose error is e^(-pi^2/h). */
static double polygamma_integral(int n, double x)
{
    const double h = 0.125;
    double sum = 0.0;
    for (int i = -320; i <= 56; i++) { /* e^-40 to e^7 */
        double s = exp(h * i), t = s / x, kernel = -1.0 / expm1(-t);
        if (n == 0) kernel = t < 0.02 ? 0.5 + t / 12.0 - t * t * t / 720.0 : kernel - 1.0 / t;
        sum += pow(t, n) * exp(-s) * kernel * t;
    }
    return sum * h;
}

/* The recurrence leads to x >= 1; far below zero reflection does (only psi and its derivative have it as one term). */
static double polygamma(double order, double x)
{
    int n = (int)order;
    double factorial = tgamma(order + 1.0), sum = 0.0;
    if (!(order >= 0.0 && order <= 30.0) || order != floor(order) || isnan(x)) return (double)NAN;
    if (x == 0.0) return n % 2 ? (double)INFINITY : -copysign((double)INFINITY, x);
    if (isinf(x)) return x < 0.0 ? (double)NAN : n == 0 ? x : 0.0;
    if (x < 0.0 && x == floor(x)) return n % 2 ? (double)INFINITY : (double)NAN;
    if (x < -1e7 && n > 1) return (double)NAN; /* no one waits for the recurrence */
    if (x < -1e4 && n < 2) {
        double other = polygamma(n, 1.0 - x);
        double d = PI * (x - rint(x));
        return n == 0 ? other - PI / tan(d) : PI * PI / (sin(d) * sin(d)) - other;
    }
    for (; x < 4.0; x += 1.0) sum += pow(x, -(n + 1.0));
    double tail = polygamma_integral(n, x);
    if (n == 0) return log(x) - tail - sum;
    return (n % 2 ? 1.0 : -1.0) * (tail + factorial * sum);
}

static double of_one(tw_op op, double x)
{
    switch (op) {
    case TW_OP_sinh:
        return sinh(x);
    case TW_OP_cosh:
        return cosh(x);
    case TW_OP_asin:
        return asin(x);
    case TW_OP_acos:
        return acos(x);
    case TW_OP_atan:
        return atan(x);
    case TW_OP_exp2:
        return exp2(x);
    case TW_OP_log2:
        return log2(x);
    case TW_OP_erfinv:
        return erfinv(x);
    case TW_OP_lgamma: {
        int sign;
        return lgamma_r(x, &sign);
    }
    case TW_OP_round:
        return rint(x);
    default:
        return (double)NAN;
    }
}

void tw_eval_special(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)g;
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) out[i] = of_one((tw_op)n->op, a[0][i]);
}

void tw_eval_special2(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    (void)g;
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        double x = a[0][i], y = a[1][i];
        out[i] = n->op == TW_OP_atan2 ? atan2(x, y) : n->op == TW_OP_rem ? fmod(x, y) : polygamma(x, y);
    }
}

/* The bits of one 4-byte type read as another. */
void tw_eval_bitcast(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    tw_dtype from = (tw_dtype)tw_node_of(g, tw_node_args(g, n)[0])->dtype;
    for (int64_t i = 0, size = tw_shape_size(n->shape); i < size; i++) {
        uint32_t word = 0;
        float real;
        tw_store_element(&word, from, 0, a[0][i]);
        memcpy(&real, &word, sizeof real);
        out[i] = n->dtype == TW_DTYPE_F32   ? (double)real
                 : n->dtype == TW_DTYPE_I32 ? (double)(int32_t)word
                                            : (double)word;
    }
}
