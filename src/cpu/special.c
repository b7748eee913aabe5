/* cpu/special.c - polygamma functions: reflection to x > 0, recurrence upwards, asymptotic series.
 *
 * Source: NIST Digital Library of Mathematical Functions, 5.15 (recurrence 5.15.5, reflection 5.15.6, series 5.15.8).
 * Errors are relative to the largest term: next to the zeros of psi only the absolute error is small. */
#include "cpu/special.h"

#include <math.h>

enum { ORDER_MAX = 30, TERMS = 13 };
static const double PI = 3.14159265358979323846;

/* d^n/dx^n cot(pi x) = pi^n Q_n(cot(pi x)), Q_0 = c, Q_(k+1) = -(1 + c^2) Q_k'. All terms of one Q have one sign. */
static double cotangent_derivative(int n, double x)
{
    double q[ORDER_MAX + 2] = {0.0, 1.0}, d = x - rint(x), a = fabs(d), sum = 0.0;
    double c = copysign(a <= 0.25 ? 1.0 / tan(PI * a) : tan(PI * (0.5 - a)), d);
    for (int k = 0; k < n; k++) {
        double next[ORDER_MAX + 2] = {0.0};
        for (int i = 1; i <= k + 1; i++) {
            next[i - 1] -= i * q[i];
            next[i + 1] -= i * q[i];
        }
        for (int i = 0; i <= k + 2; i++) q[i] = next[i];
    }
    for (int i = n + 1; i >= 0; i--) sum = sum * c + q[i];
    return pow(PI, n) * sum;
}

/* (-1)^(n+1) psi^(n)(x) without the recurrence's part: x large enough for the series. n = 0: log x - psi(x) instead of
 * -psi(x), so that the logarithm is added last. */
static double series(int n, double x)
{
    /* Bernoulli numbers B_2, B_4, ... */
    static const double bernoulli[TERMS] = {1.0 / 6,       -1.0 / 30,       1.0 / 42,       -1.0 / 30,
                                            5.0 / 66,      -691.0 / 2730,   7.0 / 6,        -3617.0 / 510,
                                            43867.0 / 798, -174611.0 / 330, 854513.0 / 138, -236364091.0 / 2730,
                                            8553103.0 / 6};
    double y = 1.0 / (x * x), sum = 0.0;
    /* B_2k (2k+n-1)! / ((2k)! x^2k), with the factor of the powers and factorials common to all left out: for k >= 1
     * (2k+n-1)!/(2k)! = (2k+1) ... (2k+n-1), or 1/2k when n = 0 */
    for (int k = TERMS; k >= 1; k--) {
        double factor = n == 0 ? 1.0 / (2.0 * k) : 1.0;
        for (int i = 1; i < n; i++) factor *= 2.0 * k + i;
        sum = (sum + bernoulli[k - 1] * factor) * y;
    }
    double before = n == 0 ? 0.0 : tgamma(n), middle = 0.5 * tgamma(n + 1.0) / x;
    return (sum + middle + before) * pow(x, -n);
}

static double of_positive(int n, double x)
{
    double factorial = tgamma(n + 1.0), sum = 0.0, limit = 12.0 + 1.0 * n;
    for (; x < limit; x += 1.0) sum += pow(x, -(n + 1.0));
    double tail = series(n, x);
    if (n == 0) return log(x) - tail - sum;
    tail += factorial * sum;
    return n % 2 ? tail : -tail;
}

double tw_polygamma_of(double order, double x)
{
    if (!(order >= 0.0 && order <= ORDER_MAX) || order != floor(order) || isnan(x)) return (double)NAN;
    int n = (int)order;
    if (x == 0.0) return n % 2 ? (double)INFINITY : -copysign((double)INFINITY, x);
    if (x > 0.0) return isinf(x) ? (n == 0 ? x : 0.0) : of_positive(n, x);
    if (isinf(x)) return (double)NAN;
    if (x == floor(x)) return n % 2 ? (double)INFINITY : (double)NAN;
    double other = of_positive(n, 1.0 - x);
    return (n % 2 ? -other : other) - PI * cotangent_derivative(n, x);
}
