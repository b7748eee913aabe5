/* data/density.c - the exact log-densities of the built-in sets.
 *
 * Moons and spirals are curves blurred by noise: a one-dimensional integral along the curve, by Gauss-Legendre
 * quadrature over the stretch that matters. The pinwheel is a change of variables whose inverse is found by safe
 * bisection on each stretch where it is monotone. */
#include "data/dataset.h"

#include <math.h>

#define PI 3.14159265358979323846

double tw_density_checkerboard(const double *x)
{
    double a = floor(x[0] * TW_CHECKERBOARD_SCALE), b = floor(x[1] * TW_CHECKERBOARD_SCALE);
    bool inside = a >= -2 && a < 2 && b >= -2 && b < 2;
    if (!inside || fmod(a + b, 2) != 0) return (double)-INFINITY;
    return log(TW_CHECKERBOARD_SCALE * TW_CHECKERBOARD_SCALE / 8);
}

static double log_add(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return high == (double)-INFINITY ? high : high + log1p(exp(low - high));
}

double tw_density_8gaussians(const double *x)
{
    double sum = (double)-INFINITY;
    for (int k = 0; k < 8; k++) {
        double dx = x[0] - TW_8GAUSSIANS_RADIUS * cos(PI / 4 * k), dy = x[1] - TW_8GAUSSIANS_RADIUS * sin(PI / 4 * k);
        sum = log_add(sum, -(dx * dx + dy * dy) / (2 * TW_8GAUSSIANS_VARIANCE));
    }
    return sum - log(8 * 2 * PI * TW_8GAUSSIANS_VARIANCE);
}

/* Every turn of both angles that a double could tell from none. */
double tw_density_wrapped(const double *x)
{
    enum { TURNS = 4 };
    double sum = (double)-INFINITY;
    for (int k = -TURNS; k <= TURNS; k++)
        for (int l = -TURNS; l <= TURNS; l++) {
            double u = (x[0] - TW_WRAPPED_MIDDLE_0 + 2 * PI * k) / TW_WRAPPED_SPREAD_0;
            double v = (x[1] - TW_WRAPPED_MIDDLE_1 + 2 * PI * l - TW_WRAPPED_SHARED * u) / TW_WRAPPED_SPREAD_1;
            sum = log_add(sum, -0.5 * (u * u + v * v));
        }
    return sum - log(2 * PI * TW_WRAPPED_SPREAD_0 * TW_WRAPPED_SPREAD_1);
}

/* --- quadrature ------------------------------------------------------------------------------------------- */

#define NODES 16

/* Gauss-Legendre nodes and weights on [-1, 1], n = 16 (Abramowitz and Stegun, table 25.4); the negative half follows by
 * symmetry. */
static const double node[NODES / 2] = {0.0950125098376374402, 0.2816035507792589132, 0.4580167776572273863,
                                       0.6178762444026437485, 0.7554044083550030339, 0.8656312023878317439,
                                       0.9445750230732325761, 0.9894009349916499326};
static const double weight[NODES / 2] = {0.1894506104550684963, 0.1826034150449235889, 0.1691565193950025382,
                                         0.1495959888165767321, 0.1246289712555338720, 0.0951585116824927848,
                                         0.0622535239386478929, 0.0271524594117540949};

typedef double (*integrand)(double at, const double *parameters);

static double integrate(integrand f, const double *parameters, double from, double to, int panels)
{
    double sum = 0, half = (to - from) / (2 * panels);
    for (int p = 0; p < panels; p++) {
        double middle = from + half * (2 * p + 1);
        for (int i = 0; i < NODES / 2; i++)
            sum += weight[i] * (f(middle - half * node[i], parameters) + f(middle + half * node[i], parameters));
    }
    return sum * half;
}

/* --- moons ------------------------------------------------------------------------------------------------ */

#define FALL 50.0 /* the integrand is followed until it fell by e^-50 */

/* exp of the exponent relative to its value at the nearest point of the arc: parameters sharpness, angle, cos at the
 * peak. */
static double arc_integrand(double theta, const double *q)
{
    return exp(q[0] * (cos(theta - q[1]) - q[2]));
}

/* log of the mean over theta in (0, pi) of exp(-|x - (cos theta, sin theta)|^2 / (2 sigma^2)) / (2 pi sigma^2): the
 * exponent is sharpness cos(theta - angle) up to a constant. */
static double log_arc(double x, double y)
{
    double variance = TW_MOONS_NOISE * TW_MOONS_NOISE;
    double radius = hypot(x, y), sharpness = radius / variance;
    double angle = atan2(y, x);
    double peak = angle;
    if (peak < 0) peak = angle > -PI / 2 ? 0 : PI; /* below the half circle: the nearer end */
    double top = cos(peak - angle), reach = top - FALL / fmax(sharpness, 1e-300);
    double width = reach > -1 ? acos(reach) : PI; /* cos(theta - angle) >= reach within this distance of the angle */
    double q[3] = {sharpness, angle, top}, mean = 0;
    if (angle >= 0) {
        mean = integrate(arc_integrand, q, fmax(0, angle - width), fmin(PI, angle + width), 8);
    } else if (width >= PI) {
        mean = integrate(arc_integrand, q, 0, PI, 8);
    } else { /* below the half circle: a stretch at either end, or one of them */
        if (angle + width > 0) mean += integrate(arc_integrand, q, 0, angle + width, 8);
        if (angle + 2 * PI - width < PI) mean += integrate(arc_integrand, q, angle + 2 * PI - width, PI, 8);
    }
    double exponent = -(radius * radius + 1) / (2 * variance) + sharpness * top;
    return exponent + log(mean / PI) - log(2 * PI * variance);
}

double tw_density_moons(const double *x)
{
    return log_add(log_arc(x[0], x[1]), log_arc(1 - x[0], 0.5 - x[1])) - log(2);
}

/* --- spirals ---------------------------------------------------------------------------------------------- */

/* Density at u of uniform (0, w) plus normal noise: (Phi(u / s) - Phi((u - w) / s)) / w, from the smaller tails. */
static double blurred_box(double u, double w, double s)
{
    if (u > w / 2) u = w - u; /* symmetric about the middle; now both are lower tails */
    return (erfc(-u / (s * sqrt(2))) - erfc((w - u) / (s * sqrt(2)))) / (2 * w);
}

static double spiral_integrand(double n, const double *x)
{
    double w = TW_SPIRALS_JITTER / TW_SPIRALS_SHRINK;
    double u = x[0] + cos(n) * n / TW_SPIRALS_SHRINK, v = x[1] - sin(n) * n / TW_SPIRALS_SHRINK;
    return n * blurred_box(u, w, TW_SPIRALS_NOISE) * blurred_box(v, w, TW_SPIRALS_NOISE);
}

#define PIECES 48 /* of each arm, of nearly equal length: about 3 noise deviations */

static double piece_edge(int i)
{
    return TW_SPIRALS_END * sqrt((double)i / PIECES);
}

/* Both arms; x seen from the second is -x. Pieces are left out whose every point is so much further from x than the
 * nearest piece that they add less than e^-40. */
double tw_density_spirals(const double *x)
{
    double middle = TW_SPIRALS_JITTER / TW_SPIRALS_SHRINK / 2,
           slack = 0.2 + 2 * middle; /* half a piece and the jitter */
    double distance[2 * PIECES], nearest = (double)INFINITY, density = 0;
    for (int i = 0; i < 2 * PIECES; i++) {
        double sign = i < PIECES ? 1 : -1, n = 0.5 * (piece_edge(i % PIECES) + piece_edge(i % PIECES + 1));
        double dx = sign * x[0] - middle + cos(n) * n / TW_SPIRALS_SHRINK;
        double dy = sign * x[1] - middle - sin(n) * n / TW_SPIRALS_SHRINK;
        distance[i] = hypot(dx, dy);
        nearest = fmin(nearest, distance[i]);
    }
    double far = sqrt((nearest + slack) * (nearest + slack) + 80 * TW_SPIRALS_NOISE * TW_SPIRALS_NOISE) + slack;
    for (int i = 0; i < 2 * PIECES; i++) {
        double sign = i < PIECES ? 1 : -1, seen[2] = {sign * x[0], sign * x[1]};
        if (distance[i] < far)
            density += integrate(spiral_integrand, seen, piece_edge(i % PIECES), piece_edge(i % PIECES + 1), 1);
    }
    return log(density / (TW_SPIRALS_END * TW_SPIRALS_END));
}

/* --- pinwheel --------------------------------------------------------------------------------------------- */

#define REACH 8.0 /* blades further out than this many lengths have a log-density below -250: taken as none */

/* With f = rho (cos a, sin a), a point of arm `arm` stands at polar angle g(a) - arm, g(a) = a - rate exp(rho cos a).
 * dg/da = 1 + rate rho sin a exp(rho cos a) is also the determinant of the bend. */
typedef struct bend {
    double rho, target; /* g(a) = target modulo 2 pi */
    double log_sum;
} bend;

static double bend_angle(double rho, double a)
{
    return a - TW_PINWHEEL_RATE * exp(rho * cos(a));
}
static double bend_slope(double rho, double a)
{
    return 1 + TW_PINWHEEL_RATE * rho * sin(a) * exp(rho * cos(a));
}

/* Newton's steps, kept inside a bracket that every step narrows; bisection where a step would leave it. */
static double solve_bend(double rho, double goal, double left, double right, bool rising)
{
    double a = 0.5 * (left + right);
    for (int i = 0; i < 80; i++) {
        double miss = bend_angle(rho, a) - goal;
        if ((miss < 0) == rising)
            left = a;
        else
            right = a;
        double next = a - miss / bend_slope(rho, a);
        if (!(next > left && next < right)) next = 0.5 * (left + right);
        double step = fabs(next - a);
        a = next;
        if (step < 1e-15) break;
    }
    return a;
}

/* Adds the density of every root in a stretch (from, to) where g is monotone. */
static void add_roots(bend *b, double from, double to)
{
    double g_from = bend_angle(b->rho, from), g_to = bend_angle(b->rho, to);
    bool rising = g_to > g_from;
    double low = rising ? g_from : g_to, high = rising ? g_to : g_from;
    for (double goal = b->target + 2 * PI * ceil((low - b->target) / (2 * PI)); goal < high; goal += 2 * PI) {
        double a = solve_bend(b->rho, goal, from, to, rising);
        double f0 = b->rho * cos(a) - 1, f1 = b->rho * sin(a);
        double exponent = f0 * f0 / (2 * TW_PINWHEEL_RADIAL * TW_PINWHEEL_RADIAL) +
                          f1 * f1 / (2 * TW_PINWHEEL_TANGENTIAL * TW_PINWHEEL_TANGENTIAL);
        b->log_sum = log_add(b->log_sum, -exponent - log(fmax(fabs(bend_slope(b->rho, a)), 1e-12)));
    }
}

/* The place in (from, to), at whose ends the slope has different signs, where it vanishes. */
static double turning_point(double rho, double from, double to)
{
    bool rising = bend_slope(rho, from) < 0;
    for (int i = 0; i < 60; i++) {
        double middle = 0.5 * (from + to);
        if ((bend_slope(rho, middle) < 0) == rising)
            from = middle;
        else
            to = middle;
    }
    return 0.5 * (from + to);
}

double tw_density_pinwheel(const double *x)
{
    double rho = hypot(x[0], x[1]) / TW_PINWHEEL_SCALE;
    if (!(rho <= REACH)) return (double)-INFINITY;
    double polar = atan2(x[1], x[0]);
    /* the slope is least where sin a exp(rho cos a) is: cos a = c solves rho (1 - c^2) = c */
    double c = 2 * rho / (1 + sqrt(1 + 4 * rho * rho)), least = -acos(c);
    bool folds = bend_slope(rho, least) < 0;
    double first = folds ? turning_point(rho, -PI, least) : 0, second = folds ? turning_point(rho, least, 0) : 0;
    bend b = {.rho = rho, .log_sum = (double)-INFINITY};
    for (int arm = 0; arm < TW_PINWHEEL_ARMS; arm++) {
        /* the blade is turned by minus its angle: polar = a - (arm angle + rate exp(f0)) */
        b.target = polar + 2 * PI / TW_PINWHEEL_ARMS * arm;
        if (folds) {
            add_roots(&b, -PI, first);
            add_roots(&b, first, second);
            add_roots(&b, second, PI);
        } else {
            add_roots(&b, -PI, PI);
        }
    }
    double scale =
        2 * PI * TW_PINWHEEL_RADIAL * TW_PINWHEEL_TANGENTIAL * TW_PINWHEEL_ARMS * TW_PINWHEEL_SCALE * TW_PINWHEEL_SCALE;
    return b.log_sum - log(scale);
}
