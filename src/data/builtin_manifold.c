/* data/builtin_manifold.c - built-in sets of rotations, poses, points of the hyperbolic disc and many angles, for flows on
 * spaces that are not flat: how they are drawn and how dense they are, with respect to the volume of their space. */
#include "data/dataset.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static double log_normal(double sigma, int dims, double square)
{
    return -0.5 * square / (sigma * sigma) - dims * (0.5 * log(2 * pi) + log(sigma));
}

/* --- rotations: four that things stand near, as quaternions w, x, y, z ------------------------------------------------- */

enum { STANDS = 4 };
static const double stand_turn = 2.2, stand_spread = 0.3; /* radians */

static void stand(int k, double out[4])
{
    for (int i = 0; i < 4; i++) out[i] = 0;
    out[0] = k == 0 ? 1 : cos(stand_turn / 2);
    if (k > 0) out[k] = sin(stand_turn / 2);
}

static void multiply(const double a[4], const double b[4], double out[4])
{
    const double c[4] = {a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
                         a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
                         a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
                         a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0]};
    memcpy(out, c, sizeof c);
}

/* q turned by a rotation about an axis and by an angle that three normal numbers of this size tell. */
static void stagger(tw_random *r, double spread, double q[4])
{
    double v[3], square = 0, turned[4];
    for (int i = 0; i < 3; i++) v[i] = spread * tw_random_normal(r);
    for (int i = 0; i < 3; i++) square += v[i] * v[i];
    double angle = sqrt(square), along = angle > 0 ? sin(angle / 2) / angle : 0.5;
    turned[0] = cos(angle / 2);
    for (int i = 0; i < 3; i++) turned[i + 1] = along * v[i];
    multiply(q, turned, q);
}

int tw_draw_rotations(tw_random *r, double *out)
{
    int k = (int)tw_random_below(r, STANDS);
    stand(k, out);
    stagger(r, stand_spread, out);
    return k;
}

/* A normal vector of rotation has the density of its end times 4 sin^2(angle / 2) / angle^2; a turn further is the same. */
double tw_density_rotations(const double *x)
{
    double sum = 0;
    for (int k = 0; k < STANDS; k++) {
        double from[4], dot = 0;
        stand(k, from);
        for (int i = 0; i < 4; i++) dot += from[i] * x[i];
        double half = acos(fmin(fabs(dot), 1)), sine = sin(half);
        for (int turn = -1; turn <= 0; turn++) {
            double angle = fabs(2 * half + 2 * pi * turn), stretch = sine > 1e-9 ? angle / (2 * sine) : 1;
            sum += exp(log_normal(stand_spread, 3, angle * angle)) * stretch * stretch / STANDS;
        }
    }
    return log(sum);
}

/* --- poses: a body on a loop, turned as far as it has come -------------------------------------------------------------- */

int tw_draw_poses(tw_random *r, double *out)
{
    const double radius = 2, off = 0.1, spread = 0.2;
    double u = 2 * pi * tw_random_uniform(r), q[4] = {cos(u / 2), 0, 0, sin(u / 2)};
    out[0] = radius * cos(u) + off * tw_random_normal(r);
    out[1] = radius * sin(u) + off * tw_random_normal(r);
    out[2] = sin(2 * u) + off * tw_random_normal(r);
    stagger(r, spread, q);
    memcpy(out + 3, q, sizeof q);
    return 0;
}

/* --- the hyperbolic plane in Poincare's disc: three wrapped normals on a circle ------------------------------------------ */

enum { CAMPS = 3 };
static const double camp_distance = 1.5, camp_spread = 0.4;

static void camp(int k, double out[2])
{
    double radius = tanh(camp_distance / 2), angle = 2 * pi * k / CAMPS;
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

/* Moebius addition: the isometry that takes 0 to a, at b. */
static void moebius(const double a[2], const double b[2], double out[2])
{
    double ab = a[0] * b[0] + a[1] * b[1], aa = a[0] * a[0] + a[1] * a[1], bb = b[0] * b[0] + b[1] * b[1];
    double over = 1 + 2 * ab + aa * bb;
    const double c[2] = {((1 + 2 * ab + bb) * a[0] + (1 - aa) * b[0]) / over,
                         ((1 + 2 * ab + bb) * a[1] + (1 - aa) * b[1]) / over};
    memcpy(out, c, sizeof c);
}

int tw_draw_disc(tw_random *r, double *out)
{
    int k = (int)tw_random_below(r, CAMPS);
    double from[2], v[2];
    camp(k, from);
    for (int i = 0; i < 2; i++) v[i] = camp_spread * tw_random_normal(r);
    double length = hypot(v[0], v[1]), scale = length > 0 ? tanh(length / 2) / length : 0.5;
    for (int i = 0; i < 2; i++) v[i] *= scale;
    moebius(from, v, out);
    return k;
}

double tw_density_disc(const double *x)
{
    double sum = 0;
    if (!(hypot(x[0], x[1]) < 1)) return (double)-INFINITY;
    for (int k = 0; k < CAMPS; k++) {
        double from[2], to[2];
        camp(k, from);
        from[0] = -from[0], from[1] = -from[1];
        moebius(from, x, to);
        double d = 2 * atanh(fmin(hypot(to[0], to[1]), 1 - 1e-16)), spread = d > 0 ? d / sinh(d) : 1;
        sum += exp(log_normal(camp_spread, 2, d * d)) * spread / CAMPS;
    }
    return log(sum);
}

/* --- angles: independent, wrapped normal --------------------------------------------------------------------------------- */

static const double angle_middle = 1, angle_spread = 0.5;

int tw_draw_angles(tw_random *r, double *out)
{
    for (int i = 0; i < TW_ANGLES; i++) {
        double x = angle_middle + angle_spread * tw_random_normal(r);
        out[i] = x - 2 * pi * floor(x / (2 * pi) + 0.5);
    }
    return 0;
}

double tw_density_angles(const double *x)
{
    double sum = 0;
    for (int k = -3; k <= 3; k++) {
        double off = *x - angle_middle + 2 * pi * k;
        sum += exp(log_normal(angle_spread, 1, off * off));
    }
    return log(sum);
}
