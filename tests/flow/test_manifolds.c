/* Flows on manifolds: an untrained one is its source; samples stay on the space, whatever the solver; densities are
 * those of the volume - they integrate to 1 for networks of any weights, and those found on the way to samples are
 * those of scoring them -; distances are along the space; there and back is where one began; a file has it all; what
 * has no meaning there is refused.
 */
#include "flow/flow.h"

#include "base/philox.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

typedef struct place {
    const char *space, *source;
    int columns;
    double radius; /* hyperbolic: of a disc that holds all but nothing of the mass; 0: the whole space, closed */
} place;

/* Random weights everywhere, so that the flow goes somewhere. */
static tw_flow *flow_on(tw_context *ctx, const char *space, const char *source, int columns, double size)
{
    tw_flow *flow = NULL;
    tw_flow_desc desc = {
        .columns = columns, .space = space, .source = source, .network = {.width = 16, .depth = 1}, .seed = 3};
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    tw_random random = {.seed = 8, .stream = 1};
    for (int64_t i = 0; i < tw_params_size(flow->params); i++)
        flow->weights[i] += (float)(size * tw_random_normal(&random));
    return flow;
}

static void test_an_untrained_flow_is_its_source(void **state)
{
    const double exact[] = {-2.5310242469692907, -2 * log(2 * pi), -log(8 * pi * pi)};
    static const char *const spaces[] = {"sphere", "torus", "so3"};
    static const double rows[3][4] = {{10, 20}, {-30, 170}, {1, 0.5, -2, 0}};
    for (int i = 0; i < 3; i++) {
        tw_flow *flow = NULL;
        double density;
        tw_flow_desc desc = {.columns = i == 2 ? 4 : 2, .space = spaces[i]};
        assert_int_equal(tw_flow_create(*state, &desc, &flow), TW_OK);
        assert_int_equal(tw_log_density(flow, 1, rows[i], NULL, &density, NULL), TW_OK);
        assert_true(fabs(density - exact[i]) < 1e-12); /* the sphere: log 4 pi = 2.531 */
        tw_flow_destroy(flow);
    }
}

static void test_samples_stay_and_come_back(void **state)
{
    enum { N = 40 };
    static const char *const solvers[] = {"euler", "midpoint", "rk4", "dopri5"};
    static double x[N * 7], again[N * 7], source[N * 7], density[N], scored[N];
    static const struct {
        const char *space;
        int columns;
    } places[] = {{"sphere:0", 2},   {"torus:harmonics=3", 2}, {"so3", 4},     {"se3", 7}, {"poincare", 2},
                  {"directions", 3}, {"simplex", 3},           {"box", 2},     {"halfline", 2},
                  {"log_spd", 3},    {"spd", 3}};
    for (int i = 0; i < TW_COUNT(places); i++) {
        tw_flow *flow = flow_on(*state, places[i].space, NULL, places[i].columns, 0.3);
        int columns = places[i].columns;
        size_t all = (size_t)(N * columns);
        for (int k = 0; k < TW_COUNT(solvers); k++) {
            tw_sample_desc desc = {.seed = 2, .solver = {.method = solvers[k]}, .double_precision = true};
            if (k == 3) desc.solver.rtol = desc.solver.atol = 1e-9, desc.log_density = density;
            assert_int_equal(tw_sample(flow, N, &desc, x, NULL, NULL), TW_OK);
            for (int r = 0; r < N; r++) {
                double square = 0, *row = x + r * columns;
                for (int j = 0; j < columns; j++) square += row[j] * row[j];
                if (strcmp(places[i].space, "directions") == 0) assert_true(fabs(square - 1) < 1e-12);
                if (strcmp(places[i].space, "simplex") == 0)
                    assert_true(fmin(row[0], fmin(row[1], row[2])) >= 0 && fabs(row[0] + row[1] + row[2] - 1) < 1e-12);
                if (strcmp(places[i].space, "box") == 0)
                    assert_true(fmin(row[0], row[1]) >= 0 && fmax(row[0], row[1]) <= 1);
                if (strcmp(places[i].space, "halfline") == 0) assert_true(fmin(row[0], row[1]) >= 0);
                if (strstr(places[i].space, "spd")) assert_true(row[0] > 0 && row[0] * row[2] > row[1] * row[1]);
                if (strcmp(places[i].space, "so3") == 0) assert_true(fabs(square - 1) < 1e-12 && row[0] >= 0);
                if (strcmp(places[i].space, "poincare") == 0) assert_true(square < 1);
                if (strncmp(places[i].space, "sphere", 6) == 0) assert_true(fabs(row[0]) <= 180 && fabs(row[1]) <= 90);
            }
        }
        /* the density found on the way to a sample is that of scoring it */
        tw_sample_desc fine = {.solver = {.rtol = 1e-9, .atol = 1e-9}, .double_precision = true};
        assert_int_equal(tw_log_density(flow, N, x, &fine, scored, NULL), TW_OK);
        for (int r = 0; r < N; r++) assert_true(fabs(scored[r] - density[r]) < 1e-6);
        fine.solver.t0 = 1, fine.from = x;
        assert_int_equal(tw_sample(flow, N, &fine, source, NULL, NULL), TW_OK);
        fine.solver.t0 = 0, fine.solver.t1 = 1, fine.from = source;
        assert_int_equal(tw_sample(flow, N, &fine, again, NULL, NULL), TW_OK);
        for (size_t j = 0; j < all; j++) {
            double d = fabs(again[j] - x[j]);
            if (strncmp(places[i].space, "sphere", 6) == 0 || strcmp(places[i].space, "torus") == 0)
                d = fmin(d, 360 - d) / 60;
            if (strstr(places[i].space, "spd")) d /= 1 + fabs(x[j]); /* of any size */
            assert_true(d < 1e-6);
        }
        tw_flow_destroy(flow);
    }
}

/* A mean over uniform points, or over points of a box; its error against 1 by its own spread. */
static void check_mass(tw_context *ctx, const place *p)
{
    enum { N = 6000 };
    static double x[N * 4], density[N];
    tw_flow *flow = flow_on(ctx, p->space, p->source, p->columns, 0.2);
    tw_random random = {.seed = 5, .stream = 1};
    double volume = exp(-tw_space_log_density(&flow->space, flow->model.source, (double[]){1, 0, 0, 0}));
    double sum = 0, square = 0;
    for (int i = 0; i < N; i++) {
        double *row = x + i * p->columns, r = sinh(p->radius * tw_random_uniform(&random));
        double angle = 2 * pi * tw_random_uniform(&random);
        row[0] = r * cos(angle), row[1] = r * sin(angle);
        if (p->radius > 0) continue;
        tw_space_draw_row(&flow->space, flow->model.source, 6, 6, i, density);
        tw_space_write(&flow->space, density, row);
    }
    if (p->radius > 0) volume = 2 * pi * p->radius; /* dV = sinh r dr dangle */
    tw_sample_desc desc = {.solver = {.rtol = 1e-5, .atol = 1e-5}};
    assert_int_equal(tw_log_density(flow, N, x, &desc, density, NULL), TW_OK);
    for (int i = 0; i < N; i++) {
        double *row = x + i * p->columns, weight = volume * exp(density[i]);
        if (p->radius > 0) weight *= hypot(row[0], row[1]);
        sum += weight / N, square += weight * weight / N;
    }
    double error = sqrt((square - sum * sum) / N);
    assert_true(square - sum * sum > 0.05); /* it has moved */
    if (!(fabs(sum - 1) < 4 * error && error < 0.06)) fail_msg("%s: mass %g +- %g", p->space, sum, error);
    tw_flow_destroy(flow);
}

static void test_densities_integrate_to_one(void **state)
{
    static const place places[] = {{"sphere:1", NULL, 2, 0},
                                   {"torus", NULL, 2, 0},
                                   {"so3", NULL, 4, 0},
                                   {"directions", NULL, 4, 0},
                                   {"simplex", NULL, 3, 0},
                                   {"box", NULL, 2, 0},
                                   {"hyperboloid", "wrapped:0.5", 2, 7}};
    for (int i = 0; i < TW_COUNT(places); i++) check_mass(*state, &places[i]);
}

/* The volume as in tests/space/test_spaces.c, of a flow that has gone somewhere. */
static void test_a_density_among_matrices_integrates_to_one(void **state)
{
    enum { STEPS = 17, ALL = STEPS * STEPS * STEPS };
    static double rows[ALL * 3], density[ALL];
    const double h = 0.5;
    double mass = 0, moved = 0;
    tw_flow *flow = flow_on(*state, "spd", "wrapped:0.6", 3, 0.2);
    for (int i = 0; i < ALL; i++) {
        double a = h * (i % STEPS - STEPS / 2), b = h * (i / STEPS % STEPS - STEPS / 2);
        double u = h * (i / STEPS / STEPS - STEPS / 2), row[] = {exp(a), tanh(u) * exp((a + b) / 2), exp(b)};
        memcpy(rows + 3 * i, row, sizeof row);
    }
    tw_sample_desc desc = {.solver = {.rtol = 1e-4, .atol = 1e-4}, .double_precision = true};
    if (tw_log_density(flow, ALL, rows, &desc, density, NULL) != TW_OK) fail_msg("%s", tw_context_error(*state));
    for (int i = 0; i < ALL; i++) {
        double at[3], u = h * (i / STEPS / STEPS - STEPS / 2), weight = sqrt(2) * cosh(u) * h * h * h;
        const tw_factor *bad = NULL;
        assert_true(tw_space_read(&flow->space, rows + 3 * i, at, &bad));
        double before = exp(tw_space_log_density(&flow->space, flow->model.source, at));
        mass += weight * exp(density[i]);
        moved += weight * fabs(exp(density[i]) - before);
    }
    if (!(moved > 0.2 && fabs(mass - 1) < 0.01)) fail_msg("mass %g, moved %g", mass, moved);
    tw_flow_destroy(flow);
}

/* Whole numbers in the data, and what a flow says of a matrix is one still: rounded one by one, its entries are not. */
static void test_columns_of_one_point_keep_their_digits(void **state)
{
    static const struct {
        const char *space;
        int columns;
        bool kept;
    } cases[] = {{"spd", 3, true},      {"log_spd", 3, true}, {"simplex", 3, true}, {"so3", 4, true},
                 {"poincare", 2, true}, {"torus", 2, false},  {"sphere", 2, false}, {"euclidean", 3, false}};
    const int none[4] = {0};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_flow *flow = NULL;
        tw_flow_desc desc = {.columns = cases[i].columns, .space = cases[i].space, .decimals = none};
        assert_int_equal(tw_flow_create(*state, &desc, &flow), TW_OK);
        for (int c = 0; c < cases[i].columns; c++)
            assert_int_equal(tw_flow_about(flow)->decimals[c], cases[i].kept ? -1 : 0);
        tw_flow_destroy(flow);
    }
}

static void test_files_and_interpolation(void **state)
{
    enum { N = 5 };
    char path[] = "/tmp/thalweg-manifold-XXXXXX";
    int made = mkstemp(path);
    double a[2 * N], b[2 * N];
    tw_flow *flow = flow_on(*state, "sphere", "wrapped:0.5", 2, 0.1), *back = NULL;
    assert_true(made >= 0);
    close(made);
    assert_int_equal(tw_flow_save(flow, path), TW_OK);
    assert_int_equal(tw_flow_load(*state, path, &back), TW_OK);
    assert_string_equal(tw_flow_about(back)->space, "sphere:waves=4");
    assert_string_equal(tw_flow_about(back)->source, "wrapped:sigma=0.5");
    assert_string_equal(tw_flow_about(back)->path, "geodesic");
    assert_int_equal(tw_sample(flow, N, NULL, a, NULL, NULL), TW_OK);
    assert_int_equal(tw_sample(back, N, NULL, b, NULL, NULL), TW_OK);
    assert_memory_equal(a, b, sizeof a);
    /* a quarter of the equator */
    assert_int_equal(tw_interpolate(flow, 2, (double[]){0, 0, 90, 0}, 2, a), TW_OK);
    const double way[] = {0, 0, 30, 0, 60, 0, 90, 0};
    for (int i = 0; i < 8; i++) assert_true(fabs(a[i] - way[i]) < 1e-12);
    unlink(path);
    tw_flow_destroy(flow);
    tw_flow_destroy(back);
}

static void test_what_has_no_meaning_is_refused(void **state)
{
    tw_flow *flow = flow_on(*state, "sphere:0", NULL, 2, 0.3);
    double x[4], density;
    const tw_sample_desc bad[] = {{.diffusion = "sigma"},
                                  {.schedule = "cosine"},
                                  {.solver = {.method = "radau5"}},
                                  {.solver = {.method = "adams4"}},
                                  {.solver = {.method = "ddim"}}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_status status = tw_sample(flow, 2, &bad[i], x, NULL, NULL);
        assert_true(status == TW_ERR_UNSUPPORTED || status == TW_ERR_INVALID);
    }
    tw_token_options tokens = {.top_k = 1};
    assert_int_equal(tw_sample(flow, 2, &(tw_sample_desc){.tokens = &tokens}, x, NULL, NULL), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "options of tokens for a flow on space 'sphere:waves=0'");
    /* velocities are of points as the flow moves them: x, y and z */
    double t = 0.5, u[3];
    assert_int_equal(tw_flow_numbers(flow), 3);
    assert_int_equal(tw_velocity(flow, 1, &t, (double[]){0, 0, 1}, NULL, u), TW_OK);
    assert_true(fabs(u[2]) < 1e-6 && u[0] * u[0] + u[1] * u[1] > 0); /* tangent at the pole */
    assert_int_equal(tw_log_density(flow, 1, (double[]){0, 120}, NULL, &density, NULL), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(*state), "row 1: x1=0, x2=120: expected a latitude from -90 to 90 degrees");
    tw_flow_destroy(flow);
}

/* Across the cut of angles, of both quaternions of a rotation, of factors together; in deviations of R^D. */
static void test_distances_are_along_the_space(void **state)
{
    const double rows[] = {170, -90, -170, 0, 0, 0};       /* three of two angles in degrees */
    const double turns[] = {1, 0, 0, 0, -0.8, 0, -0.6, 0}; /* by 0 and by 2 acos(0.8) */
    double apart[9];
    tw_flow *flow = flow_on(*state, "torus", NULL, 2, 0);
    assert_int_equal(tw_flow_distances(flow, 3, rows, 3, rows, apart), TW_OK);
    assert_true(fabs(apart[1] - hypot(20, 90) * pi / 180) < 1e-12 && fabs(apart[3] - apart[1]) < 1e-12);
    assert_true(apart[0] == 0 && fabs(apart[5] - 170 * pi / 180) < 1e-12);
    assert_int_equal(tw_flow_distances(flow, 1, rows, 2, rows + 2, apart), TW_OK);
    assert_true(fabs(apart[1] - hypot(170, 90) * pi / 180) < 1e-12);
    assert_int_equal(tw_flow_distances(flow, 0, rows, 1, rows, apart), TW_ERR_INVALID);
    tw_flow_destroy(flow);
    flow = flow_on(*state, "so3", NULL, 4, 0);
    assert_int_equal(tw_flow_distances(flow, 1, turns, 1, turns + 4, apart), TW_OK);
    assert_true(fabs(apart[0] - 2 * acos(0.8)) < 1e-12);
    tw_flow_destroy(flow);
    flow = flow_on(*state, "euclidean", NULL, 2, 0);
    assert_int_equal(tw_flow_distances(flow, 1, rows, 1, rows + 2, apart), TW_OK);
    assert_true(fabs(apart[0] - hypot(340, 90)) < 1e-9);
    tw_flow_destroy(flow);
    flow = NULL;
    const tw_flow_desc tokens = {.columns = 2, .space = "tokens:3"};
    assert_int_equal(tw_flow_create(*state, &tokens, &flow), TW_OK);
    assert_int_equal(tw_flow_distances(flow, 1, (double[]){0, 1}, 1, (double[]){1, 1}, apart), TW_ERR_UNSUPPORTED);
    tw_flow_destroy(flow);
}

/* A method that goes its own way says where it can and what is not for it. */
static void test_paths_of_known_law(void **state)
{
    static const tw_condition told = {.name = "told"};
    static const struct {
        tw_flow_desc desc;
        const char *says;
    } bad[] = {{{.columns = 4, .space = "so3"}, "numbers, angles, unit vectors and shares"},
               {{.columns = 2, .space = "box"}, "numbers, angles, unit vectors and shares"},
               {{.columns = 2, .space = "sphere", .source = "wrapped"}, "source 'wrapped' is not for it"},
               {{.columns = 2, .space = "sphere", .schedule = "cosine"}, "schedule 'cosine'"},
               {{.columns = 2, .coupling = "exact"}, "coupling 'exact'"},
               {{.columns = 2, .loss = "l1"}, "loss 'l1'"},
               {{.columns = 2, .source = "student:5"}, "source 'student' is not for it"},
               {{.columns = 2, .conditions = &told, .conditions_count = 1}, "takes no conditions"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_flow *flow = NULL;
        tw_flow_desc desc = bad[i].desc;
        desc.method = "ppd";
        assert_true(tw_flow_create(*state, &desc, &flow) != TW_OK);
        if (!strstr(tw_context_error(*state), bad[i].says))
            fail_msg("'%s', not '%s'", tw_context_error(*state), bad[i].says);
    }
    tw_flow *flow = NULL;
    static const char *const methods[] = {"ppd", "exfm"};
    for (int i = 0; i < TW_COUNT(methods); i++) {
        const tw_flow_desc good = {.columns = 5, .method = methods[i], .space = "euclidean + sphere*2 + torus*2"};
        if (tw_flow_create(*state, &good, &flow) != TW_OK) fail_msg("%s", tw_context_error(*state));
        tw_flow_destroy(flow);
    }
    /* a mean of velocities is known of fewer paths than a mean of densities */
    const tw_flow_desc shares = {.columns = 3, .method = "exfm", .space = "simplex"};
    flow = NULL;
    assert_true(tw_flow_create(*state, &shares, &flow) != TW_OK);
    assert_non_null(strstr(tw_context_error(*state), "takes numbers, angles and unit vectors"));
}

static tw_status make_sample_score(tw_context *ctx, void *user)
{
    double x[8], between[12], density[4];
    tw_flow *flow = NULL;
    tw_flow_desc desc = {.columns = 2, .space = "sphere:1", .network = {.width = 4, .depth = 1}};
    tw_sample_desc steps = {.solver = {.method = "rk4", .steps = 2}};
    tw_status status = tw_flow_create(ctx, &desc, &flow);
    (void)user;
    if (status == TW_OK) status = tw_sample(flow, 4, &steps, x, NULL, NULL);
    if (status == TW_OK) status = tw_log_density(flow, 4, x, &steps, density, NULL);
    if (status == TW_OK) status = tw_interpolate(flow, 2, x, 4, between);
    tw_flow_destroy(flow);
    return status;
}

static void test_lack_of_memory_is_told(void **state)
{
    (void)state;
    run_with_limited_memory(make_sample_score, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_untrained_flow_is_its_source),
        cmocka_unit_test(test_samples_stay_and_come_back),
        cmocka_unit_test(test_densities_integrate_to_one),
        cmocka_unit_test(test_a_density_among_matrices_integrates_to_one),
        cmocka_unit_test(test_columns_of_one_point_keep_their_digits),
        cmocka_unit_test(test_files_and_interpolation),
        cmocka_unit_test(test_what_has_no_meaning_is_refused),
        cmocka_unit_test(test_distances_are_along_the_space),
        cmocka_unit_test(test_paths_of_known_law),
        cmocka_unit_test(test_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
