/* space/manifold_host.c - manifolds on the host: the source of space/manifolds.inc with arrays of doubles for vectors,
 * which live in scratch memory on the stack. */
#include "space/manifold.h"
#include "space/spd.h"

#include <math.h>
#include <string.h>

enum { MOST_VECTORS = 64 }; /* made by any of the formulas */

typedef struct scratch {
    int n;
    double *at;
} scratch;

/* --- vectors ----------------------------------------------------------------------------------------------------- */

static double *take(scratch *w)
{
    double *v = w->at;
    w->at += w->n;
    return v;
}
static const double *sum_of(scratch *w, const double *a, double share, const double *b)
{
    double *out = take(w);
    for (int i = 0; i < w->n; i++) out[i] = a[i] + share * b[i];
    return out;
}
static const double *scaled(scratch *w, const double *a, double s)
{
    double *out = take(w);
    for (int i = 0; i < w->n; i++) out[i] = s * a[i];
    return out;
}
static double dot(const scratch *w, const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < w->n; i++) sum += a[i] * b[i];
    return sum;
}
static const double *axis(scratch *w, int which)
{
    double *out = take(w);
    for (int i = 0; i < w->n; i++) out[i] = i == which;
    return out;
}

static const double turn = 6.28318530717958647693;
static const double *wrapped(scratch *w, const double *a)
{
    double *out = take(w);
    for (int i = 0; i < w->n; i++) out[i] = a[i] - turn * nearbyint(a[i] / turn);
    return out;
}
/* From 0 to a turn; a little below 0 is 0, and not a turn by rounding. */
static const double *turned(scratch *w, const double *a)
{
    double *out = take(w);
    for (int i = 0; i < w->n; i++) {
        out[i] = a[i] - turn * floor(a[i] / turn);
        if (out[i] >= turn) out[i] = 0;
    }
    return out;
}

typedef void (*matrices_fn)(int n, const double *a, const double *b, double *out);
static const double *of_matrices(scratch *w, matrices_fn f, const double *a, const double *b)
{
    double *out = take(w);
    f(w->n, a, b, out);
    return out;
}
static const double *of_matrix(scratch *w, tw_spd_function f, const double *a)
{
    double *out = take(w);
    tw_spd_map(f, w->n, a, out);
    return out;
}
static const double *identity(scratch *w)
{
    double *out = take(w);
    tw_spd_identity(w->n, out);
    return out;
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

#define h_add(a, b)       ((a) + (b))
#define h_sub(a, b)       ((a) - (b))
#define h_mul(a, b)       ((a) * (b))
#define h_div(a, b)       ((a) / (b))
#define h_neg(a)          (-(a))
#define h_ones(a)         ((void)(a), 1.0)
#define h_zeros(a)        ((void)(a), 0.0)
#define h_not(a)          (!(a))
#define h_or(a, b)        ((a) || (b))
#define h_lts(a, b)       ((a) < (b))
#define h_gts(a, b)       ((a) > (b))
#define h_ges(a, b)       ((a) >= (b))
#define h_select(c, a, b) ((c) ? (a) : (b))
#define h_adds            h_add
#define h_muls            h_mul
#define h_mins            fmin
#define h_sqrt            sqrt
#define h_sin             sin
#define h_cos             cos
#define h_sinh            sinh
#define h_cosh            cosh
#define h_atan2           atan2
#define h_log1p           log1p

typedef const double *vector;
#define V             vector
#define S             double
#define TRUTH         bool
#define FN            scratch *w_,
#define UNUSED        w_
#define CALL(f, ...)  f(w_, __VA_ARGS__)
#define N(op)         h_##op
#define ADD(a, b)     sum_of(w_, a, 1, b)
#define SUB(a, b)     sum_of(w_, a, -1, b)
#define SCALE(a, s)   scaled(w_, a, s)
#define DOT(a, b)     dot(w_, a, b)
#define AXIS(like, i) axis(w_, i)
#define PICK(c, a, b) ((c) ? (a) : (b))
#define WRAP(a)       wrapped(w_, a)
#define TURN(a)       turned(w_, a)
#define WHITEN(x, v)  of_matrices(w_, tw_spd_whiten, x, v)
#define COLOUR(x, v)  of_matrices(w_, tw_spd_colour, x, v)
#define MATRIX(f, a)  of_matrix(w_, TW_SPD_##f, a)
#define BETWEEN(a, v) of_matrices(w_, tw_spd_between, a, v)
#define IDENTITY(a)   identity(w_)
#define LEAST         1e-150
#define RULES         host_rules
#include "space/manifolds.inc"

/* --- the functions ------------------------------------------------------------------------------------------------ */

#define SCRATCH(name, n)                                                                                               \
    double memory[MOST_VECTORS * TW_MANIFOLD_MOST];                                                                    \
    scratch name = {(n), memory}

static void give(int n, const double *from, double *out)
{
    memmove(out, from, (size_t)n * sizeof(double));
}

void tw_manifold_exp(tw_manifold m, int n, const double *x, const double *v, double *out)
{
    SCRATCH(w, n);
    give(n, rules[m].exp(&w, x, v), out);
}
void tw_manifold_log(tw_manifold m, int n, const double *x, const double *y, double *out)
{
    SCRATCH(w, n);
    give(n, rules[m].log(&w, x, y), out);
}

/* By eigenvalues alone, much the quicker. */
static double spd_length(int n, const double *x, const double *y)
{
    double a[TW_MANIFOLD_MOST];
    for (int i = 0; i < n; i++) a[i] = y[i] - x[i];
    tw_spd_whiten(n, x, a, a);
    return tw_spd_log_length(n, a);
}

double tw_manifold_distance(tw_manifold m, int n, const double *x, const double *y)
{
    if (m == TW_MANIFOLD_spd) return spd_length(n, x, y);
    SCRATCH(w, n);
    return rules[m].distance(&w, x, y);
}
void tw_manifold_carry(tw_manifold m, int n, const double *x, const double *y, const double *v, double *out)
{
    SCRATCH(w, n);
    give(n, rules[m].carry(&w, x, y, v), out);
}
void tw_manifold_project(tw_manifold m, int n, const double *x, double *out)
{
    SCRATCH(w, n);
    give(n, rules[m].project(&w, x), out);
}
void tw_manifold_tangent(tw_manifold m, int n, const double *x, const double *v, double *out)
{
    SCRATCH(w, n);
    give(n, rules[m].tangent(&w, x, v), out);
}
double tw_manifold_inner(tw_manifold m, int n, const double *x, const double *v, const double *u)
{
    SCRATCH(w, n);
    return dot(&w, rules[m].frame(&w, x, v), rules[m].frame(&w, x, u));
}

/* Whitened, the derivative of the exponential of matrices, whose inverse is known. */
static void spd_pull(int n, const double *x, const double *v, const double *k, double *out)
{
    double a[TW_MANIFOLD_MOST], d[TW_MANIFOLD_MOST];
    tw_spd_whiten(n, x, v, a);
    tw_spd_whiten(n, x, k, d);
    tw_spd_undo(TW_SPD_EXPM1, n, a, d, d);
    tw_spd_colour(n, x, d, out);
}

/* Transported back; then what is across the geodesic is stretched, as Jacobi fields are in constant curvature. */
void tw_manifold_pull(tw_manifold m, int n, const double *x, const double *v, const double *z, const double *k,
                      double *out)
{
    if (m == TW_MANIFOLD_spd) {
        spd_pull(n, x, v, k, out);
        return;
    }
    SCRATCH(w, n);
    const double *back = rules[m].carry(&w, z, x, k), *f = rules[m].frame(&w, x, v);
    double square = dot(&w, f, f), stretch = rules[m].stretch(&w, sqrt(square));
    if (square > 0 && stretch != 1) {
        double along = dot(&w, rules[m].frame(&w, x, back), f) / square;
        back = sum_of(&w, scaled(&w, back, stretch), (1 - stretch) * along, v);
    }
    give(n, back, out);
}

double tw_manifold_log_spread(tw_manifold m, int n, double r)
{
    if (m == TW_MANIFOLD_sphere || m == TW_MANIFOLD_rotation) { /* beyond the bound that pulling has */
        double arc = m == TW_MANIFOLD_rotation ? 0.5 * r : r;
        return arc > 0 ? (tw_manifold_dims(m, n) - 1) * log(fabs(sin(arc)) / arc) : 0;
    }
    scratch none = {n, NULL};
    return -(tw_manifold_dims(m, n) - 1) * log(rules[m].stretch(&none, r));
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static const tw_piece_info infos[] = {
#define TW_MANIFOLD(name, about, source) {#name, about, source, NULL},
#include "space/manifolds.def"
};

const tw_piece_info *tw_manifold_list(int index)
{
    return index >= 0 && index < TW_COUNT(infos) ? &infos[index] : NULL;
}

int tw_manifold_dims(tw_manifold m, int n)
{
    return m == TW_MANIFOLD_sphere || m == TW_MANIFOLD_rotation ? n - 1 : n;
}

double tw_manifold_log_volume(tw_manifold m, int n)
{
    const double pi = 3.14159265358979323846;
    switch (m) {
    case TW_MANIFOLD_torus:
        return n * log(2 * pi);
    case TW_MANIFOLD_sphere:
        return log(2) + 0.5 * n * log(pi) - lgamma(0.5 * n);
    case TW_MANIFOLD_rotation:
        return log(8 * pi * pi); /* half of the sphere's 2 pi^2, at lengths twice as long */
    default:
        return (double)INFINITY;
    }
}
