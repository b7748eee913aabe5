/* space/spd.c - see spd.h: on the host. */
#include "space/spd.h"

#include "cpu/eigen.h"

#include <math.h>

enum { SQUARE = TW_SPD_MOST * TW_SPD_MOST };
static const double root_two = 1.41421356237309504880;

int tw_spd_side(int n)
{
    int side = 0;
    while (side * (side + 1) / 2 < n) side++;
    return side;
}

void tw_spd_from_triangle(int n, const double *triangle, double *out)
{
    for (int i = 0, at = 0; i < tw_spd_side(n); i++)
        for (int j = 0; j <= i; j++, at++) out[at] = triangle[at] * (i == j ? 1 : root_two);
}

void tw_spd_to_triangle(int n, const double *x, double *out)
{
    for (int i = 0, at = 0; i < tw_spd_side(n); i++)
        for (int j = 0; j <= i; j++, at++) out[at] = x[at] / (i == j ? 1 : root_two);
}

void tw_spd_identity(int n, double *out)
{
    for (int i = 0, at = 0; i < tw_spd_side(n); i++)
        for (int j = 0; j <= i; j++, at++) out[at] = i == j;
}

/* --- matrices ----------------------------------------------------------------------------------------------------- */

static int unfold(int n, const double *x, double *out)
{
    int side = tw_spd_side(n);
    for (int i = 0, at = 0; i < side; i++)
        for (int j = 0; j <= i; j++, at++) out[i * side + j] = out[j * side + i] = x[at] / (i == j ? 1 : root_two);
    return side;
}

static void fold(int n, const double *a, double *out)
{
    int side = tw_spd_side(n);
    for (int i = 0, at = 0; i < side; i++)
        for (int j = 0; j <= i; j++, at++)
            out[at] = i == j ? a[i * side + i] : 0.5 * (a[i * side + j] + a[j * side + i]) * root_two;
}

/* out = A B, or A B' */
static void product(int side, const double *a, const double *b, bool transposed, double *out)
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            double sum = 0;
            for (int k = 0; k < side; k++) sum += a[i * side + k] * (transposed ? b[j * side + k] : b[k * side + j]);
            out[i * side + j] = sum;
        }
}

/* A B A', or with A' in place of A */
static void similar(int side, const double *a, bool turned, const double *b, double *out)
{
    double t[SQUARE], half[SQUARE];
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) t[i * side + j] = turned ? a[j * side + i] : a[i * side + j];
    product(side, t, b, false, half);
    product(side, half, t, true, out);
}

static int decompose(int n, const double *x, double *values, double *vectors)
{
    double a[SQUARE];
    int side = unfold(n, x, a);
    tw_eigen_symmetric(side, a, values, vectors);
    return side;
}

bool tw_spd_is_positive(int n, const double *x)
{
    double values[TW_SPD_MOST], vectors[SQUARE], sum = 0;
    for (int i = 0; i < n; i++) sum += 0 * x[i];
    if (sum != 0) return false;
    int side = decompose(n, x, values, vectors);
    bool positive = true;
    for (int k = 0; k < side; k++) positive = positive && values[k] > 0;
    return positive;
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

static double (*const values_of[])(double) = {expm1, log1p, exp, log};

/* (f(a) - f(b)) / (a - b), the slope where they are one: e^b (e^(a-b) - 1) / (a - b), log1p(r) / r / (1 + b) with r =
 * (a - b) / (1 + b). */
static double difference(tw_spd_function f, double a, double b)
{
    double gap = a - b, r = gap / (1 + b);
    if (f == TW_SPD_EXPM1) return exp(b) * (gap == 0 ? 1 : expm1(gap) / gap);
    return (r == 0 ? 1 : log1p(r) / r) / (1 + b);
}

void tw_spd_map(tw_spd_function f, int n, const double *a, double *out)
{
    double values[TW_SPD_MOST], vectors[SQUARE], middle[SQUARE] = {0}, whole[SQUARE];
    int side = decompose(n, a, values, vectors);
    for (int k = 0; k < side; k++) middle[k * side + k] = values_of[f](values[k]);
    similar(side, vectors, false, middle, whole);
    fold(n, whole, out);
}

static void differentiate(tw_spd_function f, int n, const double *a, const double *d, bool inverse, double *out)
{
    double values[TW_SPD_MOST], vectors[SQUARE], matrix[SQUARE], inside[SQUARE];
    int side = decompose(n, a, values, vectors);
    unfold(n, d, matrix);
    similar(side, vectors, true, matrix, inside);
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            double slope = difference(f, values[i], values[j]);
            inside[i * side + j] = inverse ? inside[i * side + j] / slope : inside[i * side + j] * slope;
        }
    similar(side, vectors, false, inside, matrix);
    fold(n, matrix, out);
}

void tw_spd_along(tw_spd_function f, int n, const double *a, const double *d, double *out)
{
    differentiate(f, n, a, d, false, out);
}

void tw_spd_undo(tw_spd_function f, int n, const double *a, const double *d, double *out)
{
    differentiate(f, n, a, d, true, out);
}

double tw_spd_log_length(int n, const double *a)
{
    double values[TW_SPD_MOST], spare[TW_SPD_MOST], matrix[SQUARE], square = 0;
    int side = unfold(n, a, matrix);
    tw_eigenvalues_symmetric(side, matrix, values, spare);
    for (int k = 0; k < side; k++) square += log1p(values[k]) * log1p(values[k]);
    return sqrt(square);
}

double tw_spd_log_spread(int n, const double *a)
{
    double values[TW_SPD_MOST], vectors[SQUARE], sum = 0;
    int side = decompose(n, a, values, vectors);
    for (int i = 0; i < side; i++)
        for (int j = 0; j < i; j++) {
            double half = 0.5 * fabs(values[i] - values[j]);
            if (half > 0) sum += half + log(-expm1(-2 * half) / (2 * half)); /* log (sinh(half) / half) */
        }
    return sum;
}

/* --- the root of a point -------------------------------------------------------------------------------------------
 */

/* L of X = L L', zeros above; NaN when X is not positive definite. */
static int root_of(int n, const double *x, double *l)
{
    int side = unfold(n, x, l);
    for (int j = 0; j < side; j++)
        for (int i = 0; i < side; i++) {
            double sum = l[i * side + j];
            for (int k = 0; k < j; k++) sum -= l[i * side + k] * l[j * side + k];
            l[i * side + j] = i < j ? 0 : i == j ? sqrt(sum) : sum / l[j * side + j];
        }
    return side;
}

/* B becomes L^-1 B. */
static void lower_solve(int side, const double *l, double *b)
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            for (int k = 0; k < i; k++) b[i * side + j] -= l[i * side + k] * b[k * side + j];
            b[i * side + j] /= l[i * side + i];
        }
}

void tw_spd_whiten(int n, const double *x, const double *v, double *out)
{
    double l[SQUARE], a[SQUARE], t[SQUARE];
    int side = root_of(n, x, l);
    unfold(n, v, a);
    for (int twice = 0; twice < 2; twice++) { /* L^-1 V, then its transpose likewise */
        lower_solve(side, l, a);
        for (int i = 0; i < side * side; i++) t[i] = a[i % side * side + i / side];
        for (int i = 0; i < side * side; i++) a[i] = t[i];
    }
    fold(n, a, out);
}

void tw_spd_colour(int n, const double *x, const double *v, double *out)
{
    double l[SQUARE], a[SQUARE], whole[SQUARE];
    int side = root_of(n, x, l);
    unfold(n, v, a);
    similar(side, l, false, a, whole);
    fold(n, whole, out);
}

void tw_spd_between(int n, const double *a, const double *v, double *out)
{
    double s[SQUARE], b[SQUARE], whole[SQUARE];
    int side = unfold(n, a, s);
    unfold(n, v, b);
    similar(side, s, false, b, whole);
    fold(n, whole, out);
}
