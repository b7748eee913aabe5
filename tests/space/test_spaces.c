/* Spaces: what is read is written back, products are their factors side by side, what the network sees does not depend
 * on how a point is written, tangent vectors are tangent; sources are where they say, on the host and in programs, and
 * their densities are those of their draws. */
#include "base/philox.h"
#include "graph/reference.h"
#include "space/space.h"
#include "space/spd.h"
#include "support/context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

static tw_space make(tw_context *ctx, const char *text, int columns, const char *const *names)
{
    tw_piece piece;
    tw_space space;
    assert_int_equal(tw_piece_read(ctx, "space", text, tw_space_list, &piece), TW_OK);
    assert_int_equal(tw_space_make(ctx, &piece, columns, names, &space), TW_OK);
    tw_piece_free(ctx, &piece);
    return space;
}

static void test_what_is_read_is_written(void **state)
{
    static const struct {
        const char *space;
        int columns, numbers, dims;
        double row[8], back[8];
    } cases[] = {
        {"sphere", 4, 6, 4, {12.5, -33, 180, 90}, {12.5, -33, 180, 90}},
        {"torus", 3, 3, 3, {-170, 0, 179.5}, {-170, 0, 179.5}},
        {"torus", 2, 2, 2, {190, 725}, {-170, 5}},
        {"torus:1,0", 2, 2, 2, {0.25, -0.125}, {0.25, 0.875}},
        {"radians", 2, 2, 2, {3, -0.5}, {3, -0.5}},
        {"directions", 2, 2, 1, {3, 4}, {0.6, 0.8}},
        {"so3", 4, 4, 3, {-1, 1, -1, 1}, {0.5, -0.5, 0.5, -0.5}},
        {"se3", 7, 7, 6, {1, -2, 30, 0, 0, 0, 2}, {1, -2, 30, 0, 0, 0, 1}},
        {"poincare", 3, 3, 3, {0.1, -0.9, 0.3}, {0.1, -0.9, 0.3}},
        {"hyperboloid", 2, 2, 2, {4, -9}, {4, -9}},
        {"simplex", 3, 3, 2, {0.5, 0, 0.5}, {0.5, 0, 0.5}},
        {"box", 3, 3, 3, {0, 1, 0.3}, {0, 1, 0.3}},
        {"box:-90,90", 2, 2, 2, {-90, 33}, {-90, 33}},
        {"halfline", 2, 2, 2, {0, 7.5}, {0, 7.5}},
        {"halfline:-3,10", 2, 2, 2, {-3, 25}, {-3, 25}},
        {"log_spd", 6, 6, 6, {4, 1, 3, -0.5, 0.25, 2}, {4, 1, 3, -0.5, 0.25, 2}},
        {"spd", 6, 6, 6, {4, 1, 3, -0.5, 0.25, 2}, {4, 1, 3, -0.5, 0.25, 2}},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        double x[8], out[8];
        const tw_factor *bad = NULL;
        tw_space s = make(*state, cases[i].space, cases[i].columns, NULL);
        assert_int_equal(s.columns, cases[i].columns);
        assert_int_equal(s.numbers, cases[i].numbers);
        assert_int_equal(s.dims, cases[i].dims);
        assert_true(tw_space_read(&s, cases[i].row, x, &bad));
        tw_space_write(&s, x, out);
        for (int j = 0; j < s.columns; j++) assert_true(fabs(out[j] - cases[i].back[j]) < 1e-13 * 180);
        tw_space_free(*state, &s);
    }
}

static void test_latitude_is_found_by_its_name(void **state)
{
    static const char *const names[] = {"LATITUDE", "LONGITUDE"};
    double x[3];
    const tw_factor *bad = NULL;
    tw_space plain = make(*state, "sphere", 2, NULL), named = make(*state, "sphere", 2, names);
    assert_true(tw_space_read(&plain, (double[]){90, 0}, x, &bad)); /* longitude, latitude */
    assert_true(fabs(x[1] - 1) < 1e-15);
    assert_true(tw_space_read(&named, (double[]){90, 0}, x, &bad));
    assert_true(fabs(x[2] - 1) < 1e-15);
    assert_false(tw_space_read(&plain, (double[]){0, 91}, x, &bad));
    assert_int_equal(tw_space_refuse(*state, bad, 6, (double[]){0, 91}, (const char *[]){"a", "b"}), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "row 7: a=0, b=91: expected a latitude from -90 to 90 degrees");
    assert_int_equal(tw_space_refuse(*state, bad, -1, (double[]){0, 91}, (const char *[]){"a", "b"}), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "a row with a=0, b=91: expected"));
    tw_space_free(*state, &plain);
    tw_space_free(*state, &named);
    tw_space ball = make(*state, "poincare", 2, NULL), turn = make(*state, "so3", 4, NULL);
    assert_false(tw_space_read(&ball, (double[]){0.8, 0.7}, x, &bad));
    assert_false(tw_space_read(&turn, (double[]){0, 0, 0, 0}, (double[4]){0}, &bad));
    tw_space_free(*state, &ball);
    tw_space_free(*state, &turn);
}

static void refuse_row(tw_context *ctx, const char *space, int columns, const double *row, const char *expected)
{
    double x[8];
    const tw_factor *bad = NULL;
    tw_space s = make(ctx, space, columns, NULL);
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    assert_false(tw_space_read(&s, row, x, &bad));
    assert_int_equal(tw_space_refuse(ctx, bad, 0, row, names), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), expected));
    tw_space_free(ctx, &s);
}

/* Of a point of many numbers some are told. */
static void test_a_long_row_is_not_told_whole(void **state)
{
    enum { N = 28 * 29 / 2 };
    static double row[N], x[N];
    static const char *names[N];
    const tw_factor *bad = NULL;
    for (int i = 0; i < N; i++) names[i] = "entry";
    tw_space s = make(*state, "spd", N, NULL);
    assert_false(tw_space_read(&s, row, x, &bad));
    assert_int_equal(tw_space_refuse(*state, bad, 4, row, names), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(*state), "row 5: entry=0, "));
    assert_non_null(strstr(tw_context_error(*state), "entry=0 and 390 more: expected the lower triangle"));
    tw_space_free(*state, &s);
}

static void test_walls_are_kept(void **state)
{
    refuse_row(*state, "simplex", 3, (double[]){0.5, 0.4, 0.2}, "sum to 1");
    refuse_row(*state, "simplex", 3, (double[]){-0.1, 0.6, 0.5}, "at least 0");
    refuse_row(*state, "simplex", 2, (double[]){(double)NAN, 1}, "sum to 1");
    refuse_row(*state, "box", 2, (double[]){0.5, 1.001}, "bounds");
    refuse_row(*state, "halfline:2", 2, (double[]){5, 1.9}, "below the bound");
    refuse_row(*state, "log_spd", 3, (double[]){1, 2, 3}, "positive definite");
    refuse_row(*state, "spd", 3, (double[]){1, (double)NAN, 3}, "positive definite");
    tw_piece piece;
    tw_space s;
    assert_int_equal(tw_piece_read(*state, "space", "log_spd", tw_space_list, &piece), TW_OK);
    assert_int_equal(tw_space_make(*state, &piece, 5, NULL, &s), TW_ERR_SHAPE);
    tw_piece_free(*state, &piece);
    assert_int_equal(tw_piece_read(*state, "space", "box:1,1", tw_space_list, &piece), TW_OK);
    assert_int_equal(tw_space_make(*state, &piece, 2, NULL, &s), TW_ERR_INVALID);
    tw_piece_free(*state, &piece);
    /* rows beyond come back from the walls */
    tw_space box = make(*state, "box", 4, NULL), half = make(*state, "halfline", 2, NULL);
    double out[4];
    tw_space_write(&box, (double[]){1.5, -1.5, 3, 6.5}, out);
    assert_true(out[0] == 0.75 && out[1] == 0.25 && out[2] == 0 && out[3] == 0.25);
    tw_space_write(&half, (double[]){-0.25, 0.25}, out);
    assert_true(out[0] == 0.25 && out[1] == 0.25);
    tw_space_free(*state, &box);
    tw_space_free(*state, &half);
}

/* Bhattacharyya's angle, and the triangle's equality along a geodesic, which stays among shares. */
static void test_distances_of_shares(void **state)
{
    const double p[4] = {0.1, 0.2, 0.3, 0.4}, q[4] = {0.7, 0, 0.05, 0.25};
    double x[4], y[4], v[4], z[4], back[4], sum = 0;
    const tw_factor *bad = NULL;
    tw_space s = make(*state, "simplex", 4, NULL);
    for (int i = 0; i < 4; i++) sum += sqrt(p[i] * q[i]);
    assert_true(tw_space_read(&s, p, x, &bad) && tw_space_read(&s, q, y, &bad));
    assert_true(fabs(tw_space_distance(&s, x, y) - acos(sum)) < 1e-14);
    tw_space_log(&s, x, y, v);
    for (int k = 0; k <= 10; k++) {
        double way[4], total = 0;
        for (int i = 0; i < 4; i++) way[i] = 0.1 * k * v[i];
        tw_space_exp(&s, x, way, z);
        tw_space_write(&s, z, back);
        for (int i = 0; i < 4; i++) total += back[i], assert_true(z[i] >= -1e-15);
        assert_true(fabs(total - 1) < 1e-14);
        assert_true(fabs(tw_space_distance(&s, x, z) + tw_space_distance(&s, z, y) - acos(sum)) < 1e-14);
    }
    tw_space_free(*state, &s);
}

/* Of P and P^3, 2 |log P|; the same of inverses, of multiples and seen from another side: similarities are isometries.
 */
static void test_distances_of_logarithms_of_matrices(void **state)
{
    const double c = cos(0.4), sn = sin(0.4), e[2] = {3, 0.2};
    double p[3], cube[3], inverse[3], other[3] = {2, 0.7, 1}, other_inverse[3], x[4][3];
    const double det = 2 * 1 - 0.7 * 0.7;
    const tw_factor *bad = NULL;
    tw_space s = make(*state, "log_spd", 3, NULL);
    for (int k = 0; k < 3; k++) {
        double power = k == 0 ? 1 : k == 1 ? 3 : -1, a = pow(e[0], power), b = pow(e[1], power);
        double *m = k == 0 ? p : k == 1 ? cube : inverse;
        m[0] = c * c * a + sn * sn * b, m[1] = c * sn * (a - b), m[2] = sn * sn * a + c * c * b;
    }
    other_inverse[0] = other[2] / det, other_inverse[1] = -other[1] / det, other_inverse[2] = other[0] / det;
    assert_true(tw_space_read(&s, p, x[0], &bad) && tw_space_read(&s, cube, x[1], &bad));
    double expected = 2 * hypot(log(e[0]), log(e[1]));
    assert_true(fabs(tw_space_distance(&s, x[0], x[1]) - expected) < 1e-12);
    assert_true(tw_space_read(&s, inverse, x[1], &bad));
    assert_true(tw_space_read(&s, other, x[2], &bad) && tw_space_read(&s, other_inverse, x[3], &bad));
    assert_true(fabs(tw_space_distance(&s, x[0], x[2]) - tw_space_distance(&s, x[1], x[3])) < 1e-12);
    for (int i = 0; i < 3; i++) p[i] *= 5, other[i] *= 5;
    double before = tw_space_distance(&s, x[0], x[2]);
    assert_true(tw_space_read(&s, p, x[0], &bad) && tw_space_read(&s, other, x[2], &bad));
    assert_true(fabs(tw_space_distance(&s, x[0], x[2]) - before) < 1e-12);
    tw_space_free(*state, &s);
}

static void test_more_columns_than_a_factor_holds(void **state)
{
    tw_space s = make(*state, "torus", 150, NULL);
    double x[150], y[150], v[150];
    assert_int_equal(s.count, 3);
    assert_int_equal(s.numbers, 150);
    assert_int_equal(s.features, 150 * 2 * 5); /* sines and cosines of five harmonics */
    for (int i = 0; i < 150; i++) x[i] = 0.1, y[i] = 2 * pi - 0.2;
    assert_true(fabs(tw_space_distance(&s, x, y) - 0.3 * sqrt(150)) < 1e-12);
    tw_space_log(&s, x, y, v);
    assert_true(fabs(v[0] + 0.3) < 1e-13 && fabs(v[149] + 0.3) < 1e-13);
    tw_space_free(*state, &s);
    tw_piece piece;
    assert_int_equal(tw_piece_read(*state, "space", "directions", tw_space_list, &piece), TW_OK);
    assert_int_equal(tw_space_make(*state, &piece, 529, NULL, &s), TW_ERR_UNSUPPORTED);
    tw_piece_free(*state, &piece);
}

/* Tokens have no geometry that bounds them: a sequence may be long. */
static void test_long_rows_of_tokens(void **state)
{
    enum { LONG = 1000 };
    static double row[LONG], x[LONG], out[LONG];
    const tw_factor *bad = NULL;
    tw_space s = make(*state, "tokens:7", LONG, NULL);
    for (int i = 0; i < LONG; i++) row[i] = i % 7;
    assert_int_equal(s.symbols, 7);
    assert_int_equal(s.numbers, LONG);
    assert_true(tw_space_read(&s, row, x, &bad));
    tw_space_write(&s, x, out);
    assert_memory_equal(row, out, sizeof row);
    row[LONG - 1] = 7;
    assert_false(tw_space_read(&s, row, x, &bad));
    tw_space_free(*state, &s);
}

static void test_what_is_not_finite_is_no_point(void **state)
{
    static const struct {
        const char *space;
        int columns;
    } cases[] = {{"sphere", 2},   {"torus", 2},       {"radians", 1},  {"directions", 3}, {"so3", 4},     {"se3", 7},
                 {"poincare", 2}, {"hyperboloid", 2}, {"tokens:5", 2}, {"box", 2},        {"halfline", 2}};
    const double odd[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_space s = make(*state, cases[i].space, cases[i].columns, NULL);
        const tw_factor *bad = NULL;
        for (int j = 0; j < s.columns; j++)
            for (int k = 0; k < TW_COUNT(odd); k++) {
                double row[8] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, x[8];
                if (s.symbols > 0) memset(row, 0, sizeof row);
                assert_true(tw_space_read(&s, row, x, &bad));
                row[j] = odd[k];
                if (tw_space_read(&s, row, x, &bad)) fail_msg("%s, column %d: %g", cases[i].space, j, odd[k]);
            }
        tw_space_free(*state, &s);
    }
}

/* --- graphs --------------------------------------------------------------------------------------------------------
 */

enum { ROWS = 40, MOST = 12 };

/* Features of x, outputs lifted at x and their frame. */
static void ask(tw_context *ctx, const tw_space *s, const double *x, const double *y, double *seen, double *lifted,
                double *framed)
{
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val in[2] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, s->numbers)),
                    tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(ROWS, s->outputs))};
    tw_val lift = tw_space_lift(s, in[0], in[1]);
    tw_val out[3] = {tw_space_features(s, in[0]), lift, tw_space_frame(s, in[0], lift)};
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_last_dim(out[0]), s->features);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x, y}, 3, out, (double *[]){seen, lifted, framed}),
                     TW_OK);
    tw_graph_destroy(g);
}

static void test_what_the_network_sees_and_says(void **state)
{
    static const struct {
        const char *space;
        int columns;
    } spaces[] = {{"sphere", 2},           {"so3", 4},       {"se3", 7},        {"poincare", 3},
                  {"torus:360,-180,3", 2}, {"radians:1", 3}, {"directions", 5}, {"spd", 6}};
    static double x[ROWS * MOST], y[ROWS * MOST], seen[ROWS * 4 * MOST], lifted[ROWS * MOST], framed[ROWS * MOST];
    static double seen2[ROWS * 4 * MOST], lifted2[ROWS * MOST];
    tw_random random = {.seed = 9, .stream = 1};
    for (int i = 0; i < TW_COUNT(spaces); i++) {
        tw_space s = make(*state, spaces[i].space, spaces[i].columns, NULL);
        for (int k = 0; k < ROWS * s.numbers; k++) x[k] = tw_random_normal(&random);
        for (int k = 0; k < ROWS * s.outputs; k++) y[k] = tw_random_normal(&random);
        for (int r = 0; r < ROWS; r++) tw_space_project(&s, x + r * s.numbers, x + r * s.numbers);
        for (int r = 0; r < ROWS && s.factor[0].manifold == TW_MANIFOLD_spd; r++)
            tw_spd_map(TW_SPD_EXP, s.numbers, x + r * s.numbers, x + r * s.numbers);
        ask(*state, &s, x, y, seen, lifted, framed);
        for (int r = 0; r < ROWS; r++)
            for (int f = 0; f < s.count; f++) {
                const tw_factor *q = &s.factor[f];
                const double *at = x + r * s.numbers + q->number, *v = lifted + r * s.numbers + q->number;
                const double *w = framed + r * s.numbers + q->number, *out = y + r * s.outputs + q->output;
                double t[MOST], square = 0, said = 0;
                tw_manifold_tangent(q->manifold, q->numbers, at, v, t);
                for (int k = 0; k < q->numbers; k++) assert_true(fabs(t[k] - v[k]) < 1e-13);
                for (int k = 0; k < q->numbers; k++) square += w[k] * w[k];
                assert_true(fabs(square - tw_manifold_inner(q->manifold, q->numbers, at, v, v)) < 1e-11);
                /* outputs are velocities of the manifold's own length, but for what a projection takes */
                for (int k = 0; k < q->outputs; k++) said += out[k] * out[k];
                assert_true(q->manifold == TW_MANIFOLD_sphere ? square < said : fabs(square - said) < 1e-11);
            }
        /* q and -q are one rotation */
        for (int r = 0; r < ROWS; r++)
            for (int f = 0; f < s.count; f++)
                for (int k = 0; k < 4 && s.factor[f].manifold == TW_MANIFOLD_rotation; k++)
                    x[r * s.numbers + s.factor[f].number + k] *= -1;
        ask(*state, &s, x, y, seen2, lifted2, framed);
        for (int k = 0; k < ROWS * s.features; k++) assert_true(fabs(seen[k] - seen2[k]) < 1e-14);
        for (int r = 0; r < ROWS; r++)
            for (int f = 0; f < s.count; f++)
                for (int k = 0; k < 4 && s.factor[f].manifold == TW_MANIFOLD_rotation; k++) {
                    int at = r * s.numbers + s.factor[f].number + k;
                    assert_true(fabs(lifted[at] + lifted2[at]) < 1e-14);
                }
        tw_space_free(*state, &s);
    }
}

/* Of an angle: cosine and sine of it, twice it, three times it; across the seam they are the same. */
static void test_features_of_an_angle_are_harmonics(void **state)
{
    static double x[ROWS * 2], y[ROWS * 2], seen[ROWS * 12], lifted[ROWS * 2], framed[ROWS * 2];
    tw_space s = make(*state, "radians:harmonics=3", 2, NULL);
    for (int r = 0; r < ROWS; r++) x[2 * r] = 0.3 + 2 * pi * (r % 2), x[2 * r + 1] = -1.1 - 2 * pi * (r % 3);
    ask(*state, &s, x, y, seen, lifted, framed);
    for (int r = 0; r < ROWS; r++)
        for (int harmonic = 1; harmonic <= 3; harmonic++)
            for (int k = 0; k < 4; k++) {
                double angle = (k % 2 ? -1.1 : 0.3) * harmonic;
                assert_true(fabs(seen[r * 12 + (harmonic - 1) * 4 + k] - (k < 2 ? cos(angle) : sin(angle))) < 1e-13);
            }
    tw_space_free(*state, &s);
}

/* The features of a rotation are its matrix: those of a product of quaternions multiply. */
static void test_features_of_a_rotation_are_its_matrix(void **state)
{
    static double x[ROWS * 4], y[ROWS * 3], seen[ROWS * 9], lifted[ROWS * 4], framed[ROWS * 4];
    tw_space s = make(*state, "so3", 4, NULL);
    double h = sqrt(0.5), quarter[4] = {h, 0, 0, h}; /* about z: x goes to y */
    const double matrix[9] = {0, -1, 0, 1, 0, 0, 0, 0, 1};
    for (int r = 0; r < ROWS; r++) memcpy(x + 4 * r, quarter, sizeof quarter);
    ask(*state, &s, x, y, seen, lifted, framed);
    for (int k = 0; k < 9; k++) assert_true(fabs(seen[k] - matrix[k]) < 1e-15);
    tw_space_free(*state, &s);
}

/* Normal numbers of deviation sigma as velocities: squared distances are sigma^2 times chi-squares of as many degrees as
 * there are dimensions. */
static void test_spread_points_are_as_far_as_normal_numbers(void **state)
{
    enum { MANY = 4000 };
    static const struct {
        const char *space;
        int columns;
    } spaces[] = {{"sphere", 2}, {"torus", 3},    {"so3", 4}, {"se3", 7},       {"poincare", 3}, {"hyperboloid", 2},
                  {"spd", 6},    {"directions", 4}, {"log_spd", 3}};
    static double first[MANY * MOST], z[MANY * MOST], out[MANY * MOST];
    const double sigma = 0.05;
    for (int i = 0; i < TW_COUNT(spaces); i++) {
        tw_space s = make(*state, spaces[i].space, spaces[i].columns, NULL);
        tw_graph *g = NULL;
        tw_random random = {.seed = 17, .stream = 1};
        tw_piece source = {0};
        assert_true(tw_space_spreads(&s));
        assert_int_equal(tw_piece_read(*state, "source", "wrapped:0.7", tw_source_list, &source), TW_OK);
        for (int r = 0; r < MANY; r++) {
            tw_space_draw_row(&s, &source, 5, 2, r, first + r * s.numbers);
            for (int k = 0; k < s.numbers; k++) z[r * s.numbers + k] = sigma * tw_random_normal(&random);
        }
        tw_piece_free(*state, &source);
        assert_int_equal(tw_graph_create(*state, &g), TW_OK);
        tw_shape shape = tw_shape_of(MANY, s.numbers);
        tw_val x = tw_input(g, "x", TW_DTYPE_F64, shape), v = tw_input(g, "z", TW_DTYPE_F64, shape);
        tw_val y = tw_space_spread(&s, x, v);
        assert_int_equal(tw_graph_check(g), TW_OK);
        assert_int_equal(tw_reference_run(*state, 2, (tw_val[]){x, v}, (const double *[]){first, z}, 1, &y,
                                          (double *[]){out}),
                         TW_OK);
        double mean = 0;
        for (int r = 0; r < MANY; r++) {
            double d = tw_space_distance(&s, first + r * s.numbers, out + r * s.numbers) / sigma;
            mean += d * d / MANY;
        }
        if (!(fabs(mean / s.dims - 1) < 3 * sqrt(2.0 / (MANY * s.dims)) + 0.005))
            fail_msg("%s: %g of %d", spaces[i].space, mean, s.dims);
        tw_graph_destroy(g);
        tw_space_free(*state, &s);
    }
    tw_space tokens = make(*state, "tokens:3", 2, NULL);
    assert_false(tw_space_spreads(&tokens));
    tw_space_free(*state, &tokens);
}

/* --- sources -------------------------------------------------------------------------------------------------------
 */

static tw_piece source_of(tw_context *ctx, const char *text)
{
    tw_piece source;
    assert_int_equal(tw_piece_read(ctx, "source", text, tw_source_list, &source), TW_OK);
    return source;
}

/* Mean and spread of a function of draws, on the host and in a program. */
enum { DRAWS = 20000 };
static double look(const tw_space *s, int which, const double *x)
{
    double origin[MOST] = {0};
    for (int i = 0; i < s->count; i++)
        if (s->factor[i].manifold != TW_MANIFOLD_euclidean) origin[s->factor[i].number] = 1;
    tw_space_project(s, origin, origin);
    if (s->factor[0].manifold == TW_MANIFOLD_spd) tw_spd_identity(s->numbers, origin);
    return which == 0 ? tw_space_distance(s, origin, x) : sin(2 * x[s->numbers - 1]) + x[0] * x[0];
}

static void test_draws_in_programs_are_those_of_the_host(void **state)
{
    static const struct {
        const char *space, *source;
        int columns;
    } cases[] = {{"sphere", "uniform", 2},  {"torus", "uniform", 3},       {"so3", "uniform", 4},
                 {"se3", "uniform", 7},     {"poincare", "uniform", 2},    {"sphere", "wrapped:0.7", 2},
                 {"torus", "wrapped:2", 2}, {"so3", "wrapped:0.5", 4},     {"poincare", "wrapped:0.5", 3},
                 {"simplex", "uniform", 4}, {"simplex", "wrapped:0.8", 3}, {"box", "uniform", 2},
                 {"box", "wrapped:1.5", 2}, {"halfline", "uniform", 2},    {"log_spd", "uniform", 3},
                 {"spd", "wrapped:0.7", 3}};
    static double out[DRAWS * MOST];
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_space s = make(*state, cases[i].space, cases[i].columns, NULL);
        tw_piece source = source_of(*state, cases[i].source);
        double key[2] = {5, 6}, counter[2] = {7, 0}, sums[2][2] = {{0}}, squares[2] = {0};
        tw_graph *g = NULL;
        assert_true(tw_space_draws(&s, &source));
        assert_int_equal(tw_graph_create(*state, &g), TW_OK);
        tw_val in[2] = {tw_input(g, "key", TW_DTYPE_U32, tw_shape_of(2)),
                        tw_input(g, "counter", TW_DTYPE_U32, tw_shape_of(2))};
        tw_val x0 = tw_space_draw(&s, &source, in[0], in[1], 6, DRAWS, TW_DTYPE_F32);
        assert_int_equal(tw_reference_run(*state, 2, in, (const double *[]){key, counter}, 1, &x0, (double *[]){out}),
                         TW_OK);
        tw_graph_destroy(g);
        for (int k = 0; k < DRAWS; k++) {
            double row[MOST], there[MOST], d[MOST];
            tw_space_draw_row(&s, &source, 3, 6, k, row);
            for (int w = 0; w < 2; w++) {
                double a = look(&s, w, row), b = look(&s, w, out + k * s.numbers);
                sums[w][0] += a / DRAWS, sums[w][1] += b / DRAWS, squares[w] += a * a / DRAWS;
            }
            tw_space_project(&s, row, there); /* on the space */
            tw_space_log(&s, row, there, d);
            for (int j = 0; j < s.numbers; j++) assert_true(fabs(d[j]) < 1e-14);
        }
        for (int w = 0; w < 2; w++) {
            double spread = sqrt((squares[w] - sums[w][0] * sums[w][0]) * 2 / DRAWS);
            assert_true(fabs(sums[w][0] - sums[w][1]) < 4.5 * spread);
        }
        tw_piece_free(*state, &source);
        tw_space_free(*state, &s);
    }
}

/* The integral of the density against the uniform source is 1, and the mean of any function under the draws is that
 * weighted by it. */
static void test_densities_are_those_of_the_draws(void **state)
{
    static const struct {
        const char *space, *source;
        int columns;
    } cases[] = {{"sphere", "wrapped:0.4", 2},  {"sphere", "wrapped:0.8", 2},  {"torus", "wrapped:2.5", 1},
                 {"torus", "wrapped:1", 2},     {"so3", "wrapped:0.8", 4},     {"directions", "wrapped:0.7", 4},
                 {"simplex", "wrapped:0.6", 3}, {"simplex", "wrapped:0.9", 2}, {"box", "wrapped:0.5", 2},
                 {"box", "wrapped:1", 1},       {"halfline", "wrapped:0.6", 2}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_space s = make(*state, cases[i].space, cases[i].columns, NULL);
        tw_piece source = source_of(*state, cases[i].source), uniform = source_of(*state, "uniform");
        double mass = 0, square = 0, weighed = 0, drawn = 0, spread = 0;
        for (int k = 0; k < DRAWS; k++) {
            double row[MOST];
            tw_space_draw_row(&s, &uniform, 4, 6, k, row);
            double w = exp(tw_space_log_density(&s, &source, row) - tw_space_log_density(&s, &uniform, row));
            double f = cos(look(&s, 0, row));
            mass += w / DRAWS, square += w * w / DRAWS, weighed += w * f / DRAWS, spread += w * w * f * f / DRAWS;
            tw_space_draw_row(&s, &source, 5, 6, k, row);
            drawn += cos(look(&s, 0, row)) / DRAWS;
        }
        assert_true(fabs(mass - 1) < 4.5 * sqrt((square - 1) / DRAWS));
        assert_true(fabs(weighed - drawn) < 4.5 * sqrt((spread + 1) / DRAWS));
        tw_piece_free(*state, &source);
        tw_piece_free(*state, &uniform);
        tw_space_free(*state, &s);
    }
}

/* Uniform shares are Dirichlet's of one half each: mean 1/n, variance (1/n)(1 - 1/n) / (n/2 + 1). */
static void test_uniform_shares_are_dirichlets(void **state)
{
    enum { N = 4 };
    tw_space s = make(*state, "simplex", N, NULL);
    tw_piece uniform = source_of(*state, "uniform");
    double mean[N] = {0}, square[N] = {0}, x[N], p[N], m = 1.0 / N, v = m * (1 - m) / (0.5 * N + 1);
    for (int k = 0; k < DRAWS; k++) {
        tw_space_draw_row(&s, &uniform, 8, 6, k, x);
        tw_space_write(&s, x, p);
        for (int i = 0; i < N; i++) mean[i] += p[i] / DRAWS, square[i] += (p[i] - m) * (p[i] - m) / DRAWS;
    }
    for (int i = 0; i < N; i++) {
        assert_true(fabs(mean[i] - m) < 4.5 * sqrt(v / DRAWS));
        assert_true(fabs(square[i] - v) < 4.5 * v * sqrt(3.0 / DRAWS));
    }
    /* an eighth of the sphere around us is half of pi */
    tw_space three = make(*state, "simplex", 3, NULL);
    assert_true(fabs(tw_space_log_density(&three, &uniform, x) + log(pi / 2)) < 1e-14);
    tw_piece_free(*state, &uniform);
    tw_space_free(*state, &s);
    tw_space_free(*state, &three);
}

/* Hyperbolic: normal numbers of size sigma; E log p is minus the entropy, whose spreading part is known by quadrature.
 */
static void test_density_of_the_wrapped_normal_in_hyperbolic_space(void **state)
{
    tw_space s = make(*state, "hyperboloid", 2, NULL);
    tw_piece source = source_of(*state, "wrapped:0.7");
    double mass = 0, h = 0.02;
    /* polar coordinates: dV = sinh r dr dangle */
    for (double r = h / 2; r < 8; r += h) {
        double x[2] = {sinh(r) * 0.6, sinh(r) * -0.8};
        mass += 2 * pi * sinh(r) * h * exp(tw_space_log_density(&s, &source, x));
    }
    assert_true(fabs(mass - 1) < 1e-4);
    tw_piece_free(*state, &source);
    tw_space_free(*state, &s);
}

/* Of matrices of two rows, by their own coordinates: p = e^a, r = e^b, q = tanh(u) sqrt(p r), whose volume is the root
 * of two times cosh(u) da db du. */
static void test_density_of_the_wrapped_normal_among_matrices(void **state)
{
    tw_space s = make(*state, "spd", 3, NULL);
    tw_piece source = source_of(*state, "wrapped:0.6");
    const double h = 0.25;
    double mass = 0, x[3];
    const tw_factor *bad = NULL;
    for (double a = -4; a <= 4; a += h)
        for (double b = -4; b <= 4; b += h)
            for (double u = -4; u <= 4; u += h) {
                assert_true(tw_space_read(&s, (double[]){exp(a), tanh(u) * exp((a + b) / 2), exp(b)}, x, &bad));
                mass += exp(tw_space_log_density(&s, &source, x)) * sqrt(2) * cosh(u) * h * h * h;
            }
    assert_true(fabs(mass - 1) < 1e-6);
    tw_piece_free(*state, &source);
    tw_space_free(*state, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read_is_written),
        cmocka_unit_test(test_latitude_is_found_by_its_name),
        cmocka_unit_test(test_a_long_row_is_not_told_whole),
        cmocka_unit_test(test_walls_are_kept),
        cmocka_unit_test(test_distances_of_shares),
        cmocka_unit_test(test_distances_of_logarithms_of_matrices),
        cmocka_unit_test(test_more_columns_than_a_factor_holds),
        cmocka_unit_test(test_long_rows_of_tokens),
        cmocka_unit_test(test_what_is_not_finite_is_no_point),
        cmocka_unit_test(test_what_the_network_sees_and_says),
        cmocka_unit_test(test_spread_points_are_as_far_as_normal_numbers),
        cmocka_unit_test(test_features_of_an_angle_are_harmonics),
        cmocka_unit_test(test_features_of_a_rotation_are_its_matrix),
        cmocka_unit_test(test_draws_in_programs_are_those_of_the_host),
        cmocka_unit_test(test_densities_are_those_of_the_draws),
        cmocka_unit_test(test_uniform_shares_are_dirichlets),
        cmocka_unit_test(test_density_of_the_wrapped_normal_in_hyperbolic_space),
        cmocka_unit_test(test_density_of_the_wrapped_normal_among_matrices),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
