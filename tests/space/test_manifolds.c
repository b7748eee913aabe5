/* Every manifold: exp and log undo each other, transport keeps lengths, projections are idempotent, geodesics are
 * shortest, exp's derivative is what pulling undoes - on the host to 1e-12 and as programs of floats to 1e-6 -, values
 * known elsewhere, and what other libraries get wrong. */
#include "base/philox.h"
#include "graph/node.h"
#include "space/manifold.h"
#include "space/spd.h"
#include "support/context.h"

#include <thalweg/exec.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

typedef struct sort {
    tw_manifold m;
    int n;
    double reach; /* lengths of v within the cut locus */
} sort;

static const sort sorts[] = {
    {TW_MANIFOLD_euclidean, 3, 5},   {TW_MANIFOLD_torus, 1, 3.14},    {TW_MANIFOLD_torus, 7, 3.14},
    {TW_MANIFOLD_sphere, 2, 3.1415}, {TW_MANIFOLD_sphere, 3, 3.1415}, {TW_MANIFOLD_sphere, 64, 3.1415},
    {TW_MANIFOLD_rotation, 4, 3.14}, {TW_MANIFOLD_hyperbolic, 2, 4},  {TW_MANIFOLD_hyperbolic, 5, 2},
    {TW_MANIFOLD_spd, 1, 4},         {TW_MANIFOLD_spd, 3, 4},         {TW_MANIFOLD_spd, 10, 3},
    {TW_MANIFOLD_spd, 406, 3},
};
enum { TRIES = 200, N = TW_MANIFOLD_MOST };

static double size_of(const sort *s, const double *x, const double *v)
{
    return sqrt(tw_manifold_inner(s->m, s->n, x, v, v));
}

/* A point and a tangent vector of length r there. */
static void draw(const sort *s, tw_random *random, double r, double *x, double *v)
{
    for (int i = 0; i < s->n; i++) x[i] = tw_random_normal(random);
    for (int i = 0; i < s->n; i++) v[i] = tw_random_normal(random);
    if (s->m == TW_MANIFOLD_spd) { /* with eigenvalues between e^-2 and e^2, or so */
        for (int i = 0; i < s->n; i++) x[i] *= 0.5;
        tw_spd_map(TW_SPD_EXP, s->n, x, x);
    }
    tw_manifold_project(s->m, s->n, x, x);
    tw_manifold_tangent(s->m, s->n, x, v, v);
    tw_manifold_tangent(s->m, s->n, x, v, v);
    double share = r / size_of(s, x, v);
    for (int i = 0; i < s->n; i++) v[i] *= share;
}

/* Lengths from 1e-7 of the reach to the reach, many small. */
static double length_of(const sort *s, int i)
{
    return i % 2 ? s->reach * pow(1e-7, (double)i / TRIES) : s->reach * (i + 1) / TRIES;
}

static double gap(int n, const double *a, const double *b)
{
    double worst = 0;
    for (int i = 0; i < n; i++) worst = fmax(worst, fabs(a[i] - b[i]));
    return worst;
}

/* Of points: on the torus those beside 0 and a turn are near, rotations q and -q one. */
static double apart(const sort *s, const double *a, const double *b)
{
    double d[N], sum = 0;
    tw_manifold_log(s->m, s->n, a, b, d);
    for (int i = 0; i < s->n; i++) sum = fmax(sum, fabs(d[i]));
    return sum;
}

/* How much of an error at the end of a geodesic its direction at the start has. */
static double condition(const sort *s, double r)
{
    double arc = s->m == TW_MANIFOLD_rotation ? r / 2 : r;
    bool round = s->m == TW_MANIFOLD_sphere || s->m == TW_MANIFOLD_rotation;
    return round && s->n > 2 ? fmax(1, arc / sin(arc)) : 1;
}

static double scale_of(const sort *s, const double *x, const double *y)
{
    double square = 0;
    for (int i = 0; i < s->n; i++) square += x[i] * x[i] + y[i] * y[i];
    for (int side = 0; side < 2 && s->m == TW_MANIFOLD_spd; side++) { /* inverses count as much */
        double inverse[N];
        tw_spd_map(TW_SPD_LOG, s->n, side ? y : x, inverse);
        for (int i = 0; i < s->n; i++) inverse[i] = -inverse[i];
        tw_spd_map(TW_SPD_EXP, s->n, inverse, inverse);
        for (int i = 0; i < s->n; i++) square += inverse[i] * inverse[i];
    }
    return s->m == TW_MANIFOLD_hyperbolic || s->m == TW_MANIFOLD_spd ? 1 + square : 1;
}

static void check_host(const sort *s, int i, tw_random *random)
{
    double x[N], v[N], w[N], y[N], back[N], there[N], zeros[N] = {0}, r = length_of(s, i);
    int n = s->n;
    draw(s, random, r, x, v);
    draw(s, random, 1, y, w); /* w: some direction at x */
    tw_manifold_tangent(s->m, n, x, w, w);
    tw_manifold_exp(s->m, n, x, v, y);
    double tight = 1e-12 * scale_of(s, x, y);
    tw_manifold_log(s->m, n, x, y, back);
    assert_true(gap(n, back, v) <= tight * condition(s, r));
    assert_true(fabs(tw_manifold_distance(s->m, n, x, y) - r) <= tight);
    assert_true(fabs(tw_manifold_distance(s->m, n, y, x) - r) <= tight);
    tw_manifold_exp(s->m, n, x, back, there);
    assert_true(apart(s, y, there) <= tight);
    /* points stay, vectors are tangent */
    tw_manifold_project(s->m, n, y, there);
    assert_true(apart(s, y, there) <= tight);
    tw_manifold_tangent(s->m, n, y, w, there);
    tw_manifold_tangent(s->m, n, y, there, back);
    assert_true(gap(n, there, back) <= tight);
    /* transport: the geodesic's own direction goes on, lengths and products stay, and back it comes */
    tw_manifold_carry(s->m, n, x, y, v, there);
    tw_manifold_log(s->m, n, y, x, back);
    for (int k = 0; k < n; k++) back[k] = -back[k];
    assert_true(gap(n, there, back) <= 2 * tight * condition(s, r));
    tw_manifold_carry(s->m, n, x, y, w, back);
    double kept = tw_manifold_inner(s->m, n, y, there, back), was = tw_manifold_inner(s->m, n, x, v, w);
    assert_true(fabs(kept - was) <= 4 * tight * condition(s, r));
    tw_manifold_carry(s->m, n, y, x, back, there);
    assert_true(gap(n, there, w) <= 4 * tight * condition(s, r));
    /* a point on the way parts the distance */
    for (int k = 0; k < n; k++) there[k] = 0.3 * v[k];
    tw_manifold_exp(s->m, n, x, there, back);
    double parts = tw_manifold_distance(s->m, n, x, back) + tw_manifold_distance(s->m, n, back, y);
    assert_true(fabs(parts - r) <= tight);
    tw_manifold_log(s->m, n, x, x, there);
    assert_true(gap(n, there, zeros) == 0 && tw_manifold_distance(s->m, n, x, x) == 0);
}

static void test_identities_on_the_host(void **state)
{
    (void)state;
    tw_random random = {.seed = 1, .stream = 1};
    for (int k = 0; k < TW_COUNT(sorts); k++)
        for (int i = 0; i < TRIES; i++) check_host(&sorts[k], i, &random);
}

/* exp along v + e u and v - e u, against what pulling says of the difference. */
static void test_pulling_undoes_the_derivative_of_exp(void **state)
{
    (void)state;
    tw_random random = {.seed = 2, .stream = 1};
    for (int k = 0; k < TW_COUNT(sorts); k++)
        for (int i = 0; i < 20; i++) {
            const sort *s = &sorts[k];
            double x[N], v[N], u[N], z[N], high[N], low[N], d[N], e = 1e-5, r = s->reach * 0.9 * (i + 1) / 20;
            double y[N];
            draw(s, &random, r, x, v);
            draw(s, &random, 1, y, u);
            tw_manifold_tangent(s->m, s->n, x, u, u);
            for (int j = 0; j < s->n; j++) high[j] = v[j] + e * u[j];
            for (int j = 0; j < s->n; j++) low[j] = v[j] - e * u[j];
            tw_manifold_exp(s->m, s->n, x, v, z);
            tw_manifold_exp(s->m, s->n, x, high, high);
            tw_manifold_exp(s->m, s->n, x, low, low);
            tw_manifold_log(TW_MANIFOLD_torus == s->m ? s->m : TW_MANIFOLD_euclidean, s->n, low, high, d);
            for (int j = 0; j < s->n; j++) d[j] /= 2 * e;
            tw_manifold_pull(s->m, s->n, x, v, z, d, d);
            assert_true(gap(s->n, d, u) < 1e-7 * scale_of(s, x, z) * condition(s, r));
            /* and of volumes: the determinant of exp's derivative is the inverse of pulling's */
            double spread = tw_manifold_log_spread(s->m, s->n, r);
            assert_true(isfinite(spread) && (s->m == TW_MANIFOLD_hyperbolic ? spread >= 0 : spread <= 0));
        }
}

static void test_volumes(void **state)
{
    (void)state;
    assert_true(fabs(tw_manifold_log_volume(TW_MANIFOLD_sphere, 3) - 2.5310242469692907) < 1e-14); /* log 4 pi */
    assert_true(fabs(tw_manifold_log_volume(TW_MANIFOLD_sphere, 2) - log(2 * pi)) < 1e-14);
    assert_true(fabs(tw_manifold_log_volume(TW_MANIFOLD_torus, 7) - 7 * log(2 * pi)) < 1e-13);
    assert_true(fabs(tw_manifold_log_volume(TW_MANIFOLD_rotation, 4) - log(8 * pi * pi)) < 1e-14);
    assert_true(isinf(tw_manifold_log_volume(TW_MANIFOLD_hyperbolic, 2)));
}

/* --- floats --------------------------------------------------------------------------------------------------------
 */

/* What a program of floats makes of x, y, v, w: log(x, y), exp(x, v), distance, w carried to y and back, y projected.
 */
enum { LOG, EXP, DISTANCE, CARRIED, RETURNED, PROJECTED, OUTPUTS };

static void run_floats(tw_context *ctx, const sort *s, int rows, float *const in[4], float *const out[OUTPUTS])
{
    tw_graph *g = NULL;
    tw_program *program = NULL;
    tw_state *run = NULL;
    tw_val x[4], y[OUTPUTS];
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    for (int i = 0; i < 4; i++) x[i] = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(rows, s->n));
    y[LOG] = tw_manifold_log_rows(s->m, x[0], x[1]);
    y[EXP] = tw_manifold_exp_rows(s->m, x[0], x[2]);
    y[DISTANCE] = tw_manifold_distance_rows(s->m, x[0], x[1]);
    y[CARRIED] = tw_manifold_carry_rows(s->m, x[0], x[1], x[3]);
    y[RETURNED] = tw_manifold_carry_rows(s->m, x[1], x[0], y[CARRIED]);
    y[PROJECTED] = tw_manifold_project_rows(s->m, x[1]);
    tw_program_desc desc = {.name = "manifold", .inputs_count = 4, .inputs = x, .outputs_count = OUTPUTS, .outputs = y};
    assert_int_equal(tw_program_compile(ctx, &desc, &program), TW_OK);
    assert_int_equal(tw_state_create(program, 0, &run), TW_OK);
    assert_int_equal(tw_program_run(run, (const void *const *)in, (void *const *)out, 0), TW_OK);
    tw_state_destroy(run);
    tw_program_destroy(program);
    tw_graph_destroy(g);
}

static void widen(int n, const float *from, double *to)
{
    for (int i = 0; i < n; i++) to[i] = (double)from[i];
}

static void test_identities_in_floats(void **state)
{
    static float in_space[4][TRIES * N], out_space[OUTPUTS][TRIES * N];
    float *const in[4] = {in_space[0], in_space[1], in_space[2], in_space[3]};
    float *out[OUTPUTS];
    tw_random random = {.seed = 3, .stream = 1};
    for (int i = 0; i < OUTPUTS; i++) out[i] = out_space[i];
    for (int k = 0; k < TW_COUNT(sorts); k++) {
        const sort *s = &sorts[k];
        int n = s->n;
        for (int i = 0; i < TRIES; i++) {
            double x[N], y[N], v[N], w[N];
            draw(s, &random, length_of(s, i), x, v);
            draw(s, &random, 1, y, w);
            tw_manifold_tangent(s->m, n, x, w, w);
            tw_manifold_exp(s->m, n, x, v, y);
            for (int j = 0; j < n; j++) {
                in[0][i * n + j] = (float)x[j];
                in[1][i * n + j] = (float)y[j];
                in[2][i * n + j] = (float)v[j];
                in[3][i * n + j] = (float)w[j];
            }
        }
        run_floats(*state, s, TRIES, in, out);
        for (int i = 0; i < TRIES; i++) {
            double x[N], y[N], v[N], w[N], got[OUTPUTS][N], exact[N];
            for (int j = 0; j < OUTPUTS; j++)
                widen(j == DISTANCE ? 1 : n, out[j] + i * (j == DISTANCE ? 1 : n), got[j]);
            widen(n, in[0] + i * n, x), widen(n, in[1] + i * n, y), widen(n, in[2] + i * n, v),
                widen(n, in[3] + i * n, w);
            double r = tw_manifold_distance(s->m, n, x, y), scale = scale_of(s, x, y), tight = 1e-6 * scale;
            /* the points as floats are the truth; a float has 6e-8 of itself, angles up to 2 pi */
            tw_manifold_log(s->m, n, x, y, exact);
            assert_true(gap(n, got[LOG], exact) <= tight * condition(s, r));
            assert_true(fabs(got[DISTANCE][0] - r) <= tight && fabs(got[DISTANCE][0] - r) <= 1e-3 * r + 2e-7);
            tw_manifold_exp(s->m, n, x, v, exact);
            assert_true(apart(s, exact, got[EXP]) <= tight);
            tw_manifold_exp(s->m, n, x, got[LOG], exact);
            assert_true(apart(s, exact, y) <= tight);
            tw_manifold_carry(s->m, n, x, y, w, exact);
            assert_true(gap(n, got[CARRIED], exact) <= 2 * tight * condition(s, r));
            assert_true(gap(n, got[RETURNED], w) <= 2 * tight * condition(s, r));
            assert_true(apart(s, got[PROJECTED], y) <= tight);
        }
    }
}

/* Peers take acos of the product, which is wrong by 390 % here. */
static void test_short_and_long_distances_on_the_sphere_in_floats(void **state)
{
    enum { COUNT = 128 };
    static float in_space[4][COUNT * 3], out_space[OUTPUTS][COUNT * 3];
    float *const in[4] = {in_space[0], in_space[1], in_space[2], in_space[3]};
    float *out[OUTPUTS];
    const sort s = {TW_MANIFOLD_sphere, 3, pi};
    tw_random random = {.seed = 4, .stream = 1};
    double r[COUNT];
    for (int i = 0; i < OUTPUTS; i++) out[i] = out_space[i];
    for (int i = 0; i < COUNT; i++) {
        double x[3], v[3], y[3];
        r[i] = 1e-4 * pow(pi / 1e-4, (double)i / (COUNT - 1));
        draw(&s, &random, r[i], x, v);
        tw_manifold_exp(s.m, 3, x, v, y);
        for (int j = 0; j < 3; j++) in[0][3 * i + j] = (float)x[j];
        for (int j = 0; j < 3; j++) in[1][3 * i + j] = (float)y[j];
    }
    run_floats(*state, &s, COUNT, in, out);
    for (int i = 0; i < COUNT; i++) assert_true(fabs((double)out[DISTANCE][i] / r[i] - 1) < 1e-3);
}

/* --- values known elsewhere ----------------------------------------------------------------------------------------
 */

static void check_geodesic(const sort *s, const double *x, const double *y, const double *at, const double *velocity)
{
    double v[N], there[N], later[N], e = 1e-6;
    tw_manifold_log(s->m, s->n, x, y, v);
    for (int i = 0; i < s->n; i++) there[i] = 0.3 * v[i];
    for (int i = 0; i < s->n; i++) later[i] = (0.3 + e) * v[i];
    tw_manifold_exp(s->m, s->n, x, there, there);
    tw_manifold_exp(s->m, s->n, x, later, later);
    assert_true(gap(s->n, there, at) < 1e-9);
    for (int i = 0; i < s->n; i++) later[i] = (later[i] - there[i]) / e;
    assert_true(gap(s->n, later, velocity) < 2e-6);
}

/* Points and velocities of facebookresearch/flow_matching at 0.3 of the way. */
static void test_golden_geodesics(void **state)
{
    (void)state;
    check_geodesic(&(sort){TW_MANIFOLD_sphere, 3, 0}, (double[]){1, 0, 0}, (double[]){0, 1, 0},
                   (double[]){0.8910065242, 0.4539904997, 0}, (double[]){-0.7131266094, 1.3995897753, 0});
    check_geodesic(&(sort){TW_MANIFOLD_torus, 2, 0}, (double[]){0.2, 6.0}, (double[]){6.0, 0.2},
                   (double[]){0.0550444078, 6.1449555921}, (double[]){-0.4831853072, 0.4831853072});
}

/* Distances of matrices: the roots of sums of squared logarithms of the eigenvalues of X^-1 Y, the same of A X A' and A
 * Y A' and of inverses; on positive numbers |log(y/x)|. The volume of a neighbourhood is that of its preimage,
 * stretched. */
static void test_matrices(void **state)
{
    (void)state;
    const double x[3] = {2, 0.5 * sqrt(2), 1}, y[3] = {1, -0.3 * sqrt(2), 4}, a[4] = {1.5, 0.2, -0.7, 0.6};
    const double det = 2 * 1 - 0.25, trace = (1 * 1 - 2 * 0.5 * -0.3 + 2 * 4) / det, both = (4 - 0.09) / det;
    const double root = sqrt(trace * trace / 4 - both), expected = hypot(log(trace / 2 + root), log(trace / 2 - root));
    double moved[2][3], seven = 7, third = 1.0 / 3;
    assert_true(fabs(tw_manifold_distance(TW_MANIFOLD_spd, 3, x, y) - expected) < 1e-14);
    assert_true(fabs(tw_manifold_distance(TW_MANIFOLD_spd, 1, &seven, &third) - log(21)) < 1e-14);
    for (int k = 0; k < 2; k++) {
        const double *m = k ? y : x, p = m[0], q = m[1] / sqrt(2), r = m[2];
        moved[k][0] = a[0] * a[0] * p + 2 * a[0] * a[1] * q + a[1] * a[1] * r;
        moved[k][1] = (a[0] * a[2] * p + (a[0] * a[3] + a[1] * a[2]) * q + a[1] * a[3] * r) * sqrt(2);
        moved[k][2] = a[2] * a[2] * p + 2 * a[2] * a[3] * q + a[3] * a[3] * r;
    }
    assert_true(fabs(tw_manifold_distance(TW_MANIFOLD_spd, 3, moved[0], moved[1]) - expected) < 1e-13);
    for (int k = 0; k < 2; k++) {
        const double *m = k ? y : x, d = m[0] * m[2] - m[1] * m[1] / 2;
        moved[k][0] = m[2] / d, moved[k][1] = -m[1] / d, moved[k][2] = m[0] / d;
    }
    assert_true(fabs(tw_manifold_distance(TW_MANIFOLD_spd, 3, moved[0], moved[1]) - expected) < 1e-13);
    /* exp at the identity, differentiated: its determinant, whose factors pulling takes back, in the metric there */
    const double v[3] = {0.7, 0.4, -1.1}, one[3] = {1, 0, 1};
    double z[3], inverse[9], e = 1, log_det;
    tw_manifold_exp(TW_MANIFOLD_spd, 3, one, v, z);
    for (int k = 0; k < 3; k++) {
        double unit[3] = {k == 0, k == 1, k == 2};
        tw_spd_colour(3, z, unit, unit); /* a unit vector at z */
        tw_manifold_pull(TW_MANIFOLD_spd, 3, one, v, z, unit, inverse + 3 * k);
    }
    const double *n = inverse;
    e = n[0] * (n[4] * n[8] - n[5] * n[7]) - n[1] * (n[3] * n[8] - n[5] * n[6]) + n[2] * (n[3] * n[7] - n[4] * n[6]);
    log_det = -log(fabs(e));
    assert_true(fabs(log_det - tw_spd_log_spread(3, v)) < 1e-12);
}

/* D10 of flow_matching: the distance of a point from itself was NaN for 18 % of float points, the gradient of log
 * there for 68 %. */
static void test_a_point_and_itself_have_finite_derivatives(void **state)
{
    enum { ROWS = 64 };
    tw_random random = {.seed = 5, .stream = 1};
    for (int k = 0; k < TW_COUNT(sorts); k++) {
        const sort *s = &sorts[k];
        static float x[ROWS * N], v[ROWS * N], distance[ROWS], slope[ROWS * N], back[ROWS * N];
        for (int i = 0; i < ROWS; i++) {
            double p[N], w[N];
            draw(s, &random, 1, p, w);
            for (int j = 0; j < s->n; j++) x[i * s->n + j] = (float)p[j];
            widen(s->n, x + i * s->n, p);
            for (int j = 0; j < s->n; j++) w[j] = sin(1.7 * j + i);
            tw_manifold_tangent(s->m, s->n, p, w, w);
            for (int j = 0; j < s->n; j++) v[i * s->n + j] = (float)w[j];
        }
        tw_graph *g = NULL;
        tw_program *program = NULL;
        tw_state *run = NULL;
        assert_int_equal(tw_graph_create(*state, &g), TW_OK);
        tw_val in[3], out[3];
        for (int i = 0; i < 3; i++) in[i] = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(ROWS, s->n));
        out[0] = tw_manifold_distance_rows(s->m, in[0], in[1]);
        assert_int_equal(tw_grad(tw_sum_all(out[0]), 1, &in[1], &out[1]), TW_OK);
        tw_val along = tw_mul(in[2], tw_manifold_log_rows(s->m, in[0], in[1]));
        assert_int_equal(tw_grad(tw_sum_all(along), 1, &in[1], &out[2]), TW_OK);
        tw_program_desc desc = {
            .name = "derivatives", .inputs_count = 3, .inputs = in, .outputs_count = 3, .outputs = out};
        assert_int_equal(tw_program_compile(*state, &desc, &program), TW_OK);
        assert_int_equal(tw_state_create(program, 0, &run), TW_OK);
        assert_int_equal(tw_program_run(run, (const void *[]){x, x, v}, (void *[]){distance, slope, back}, 0), TW_OK);
        /* products that are added at once leave the rounding of one of two equal ones */
        for (int i = 0; i < ROWS; i++) assert_true(distance[i] <= (s->m == TW_MANIFOLD_hyperbolic ? 5e-7F : 0));
        for (int i = 0; i < ROWS * s->n; i++) assert_true(isfinite(slope[i]));
        /* log's derivative at the point itself is the projection on the tangent space, its own transpose */
        for (int i = 0; i < ROWS * s->n; i++) assert_true(fabsf(back[i] - v[i]) < 1e-5F);
        tw_state_destroy(run);
        tw_program_destroy(program);
        tw_graph_destroy(g);
    }
}

/* D11 of flow_matching: its log of the antipode is 0. */
static void test_log_of_an_antipode_is_half_a_turn(void **state)
{
    (void)state;
    tw_random random = {.seed = 6, .stream = 1};
    for (int n = 2; n <= 5; n++)
        for (int i = 0; i < 50; i++) {
            const sort s = {TW_MANIFOLD_sphere, n, pi};
            double x[N], y[N], v[N], w[N], back[N];
            draw(&s, &random, 1, x, w);
            if (i < n)
                for (int j = 0; j < n; j++) x[j] = i == j;
            tw_manifold_tangent(s.m, n, x, w, w);
            for (int j = 0; j < n; j++) y[j] = -x[j];
            tw_manifold_log(s.m, n, x, y, v);
            assert_true(fabs(size_of(&s, x, v) - pi) < 1e-12);
            tw_manifold_exp(s.m, n, x, v, back);
            assert_true(gap(n, back, y) < 1e-12);
            /* transport goes along the same geodesic */
            tw_manifold_carry(s.m, n, x, y, v, back);
            for (int j = 0; j < n; j++) v[j] = -v[j];
            assert_true(gap(n, back, v) < 1e-12);
        }
}

/* riemannian-fm clamps the cosine, so that points nearer than 1e-4 to each other's antipode lose their direction. */
static void test_near_the_antipode_directions_are_kept(void **state)
{
    (void)state;
    tw_random random = {.seed = 7, .stream = 1};
    const sort s = {TW_MANIFOLD_sphere, 3, pi};
    for (int i = 1; i <= 12; i++) {
        double x[3], v[3], y[3], w[3], off = pow(10, -i);
        draw(&s, &random, pi - off, x, v);
        tw_manifold_exp(s.m, 3, x, v, y);
        tw_manifold_log(s.m, 3, x, y, w);
        assert_true(gap(3, v, w) < 2e-15 / off);
        tw_manifold_exp(s.m, 3, x, w, w);
        assert_true(gap(3, y, w) < 1e-14);
    }
}

/* Yue et al. 2025: the matrix logarithm by its trace is wrong by 2 near half a turn in floats, quaternions by 4e-7. */
static void test_rotations_near_half_a_turn_in_floats(void **state)
{
    static float in_space[4][4], out_space[OUTPUTS][4];
    float *const in[4] = {in_space[0], in_space[1], in_space[2], in_space[3]};
    float *out[OUTPUTS];
    static const double angles[] = {3.0, 3.13, 3.14, 3.1415};
    const sort s = {TW_MANIFOLD_rotation, 4, 3.1415};
    tw_random random = {.seed = 8, .stream = 1};
    for (int i = 0; i < OUTPUTS; i++) out[i] = out_space[i];
    for (int a = 0; a < 4 * 50; a++) {
        double x[4], v[4], y[4], part[4], exact[4], got[4], lx[4];
        draw(&s, &random, angles[a % 4], x, v);
        tw_manifold_exp(s.m, 4, x, v, y);
        double sign = a % 8 < 4 ? 1 : -1; /* -y is the same rotation */
        for (int j = 0; j < 4; j++) {
            in[0][j] = (float)x[j];
            in[1][j] = (float)(sign * y[j]);
        }
        run_floats(*state, &s, 1, in, out);
        for (int j = 0; j < 4; j++) part[j] = 0.37 * (double)out[LOG][j];
        for (int j = 0; j < 4; j++) lx[j] = (double)in[0][j];
        tw_manifold_exp(s.m, 4, lx, part, got);
        for (int j = 0; j < 4; j++) part[j] = 0.37 * v[j];
        tw_manifold_exp(s.m, 4, x, part, exact);
        assert_true(gap(4, got, exact) < 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identities_on_the_host),
        cmocka_unit_test(test_pulling_undoes_the_derivative_of_exp),
        cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_identities_in_floats),
        cmocka_unit_test(test_short_and_long_distances_on_the_sphere_in_floats),
        cmocka_unit_test(test_golden_geodesics),
        cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_a_point_and_itself_have_finite_derivatives),
        cmocka_unit_test(test_log_of_an_antipode_is_half_a_turn),
        cmocka_unit_test(test_near_the_antipode_directions_are_kept),
        cmocka_unit_test(test_rotations_near_half_a_turn_in_floats),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
