/* Flows of every piece there is: what is listed can be made, kept in a file and solved, from one end to the other (SiT
 * lists a diffusion form that its program cannot be asked for); and the eight Gaussians followed by their exact
 * velocity. */
#include "flow/flow.h"
#include "path/g8.h"
#include "support/meshes.h"

#include <thalweg/solve.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static tw_context *ctx;
static char path[] = "/tmp/thalweg-pieces-XXXXXX";

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    int made = mkstemp(path);
    if (made >= 0) close(made);
    return !ctx || made < 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    tw_context_destroy(ctx);
    return 0;
}

/* Random weights everywhere, also where a network begins with zeros. */
static void shake(tw_flow *flow)
{
    for (int64_t i = 0; i < tw_params_size(flow->params); i++) flow->weights[i] += (float)(0.2 * sin(1.7 * (double)i));
    tw_flow_programs_drop(flow);
}

/* Makes the flow, saves and loads it, and asks for its velocity where it can be solved: the same, and finite. */
static void check(const tw_flow_desc *desc, const char *what)
{
    enum { N = 9, NUMBERS = 7 };
    tw_flow *flow = NULL, *back = NULL;
    double t[N], x[NUMBERS * N], u[NUMBERS * N], v[NUMBERS * N], low, high;
    if (tw_flow_create(ctx, desc, &flow) != TW_OK) fail_msg("%s: %s", what, tw_context_error(ctx));
    shake(flow);
    assert_int_equal(tw_flow_save(flow, path), TW_OK);
    if (tw_flow_load(ctx, path, &back) != TW_OK) fail_msg("%s: %s", what, tw_context_error(ctx));
    for (int i = 0; i < TW_PIECE_COUNT; i++) assert_string_equal(back->piece[i].text, flow->piece[i].text);
    tw_flow_interval(flow, &low, &high);
    assert_true(low >= 0 && low < 0.01 && high > 0.99 && high <= 1);
    int numbers = flow->space.numbers;
    for (int i = 0; i < N; i++) t[i] = low + (high - low) * i / (N - 1);
    for (int i = 0; i < N * numbers; i++) x[i] = sin(i / 2 + 0.5 * 3.14159265358979323846 * (i % 2));
    for (int i = 0; i < N && tw_space_draws(&flow->space, flow->model.source) && !flow->space.flat; i++)
        tw_space_draw_row(&flow->space, flow->model.source, 1, 1, i, x + i * numbers);
    assert_int_equal(tw_velocity(flow, N, t, x, NULL, u), TW_OK);
    assert_int_equal(tw_velocity(back, N, t, x, NULL, v), TW_OK);
    assert_memory_equal(u, v, (size_t)(N * numbers) * sizeof *u);
    for (int i = 0; i < N * numbers; i++)
        if (!isfinite(u[i])) fail_msg("%s: velocity %g at t = %g", what, u[i], t[i / numbers]);
    tw_flow_destroy(flow);
    tw_flow_destroy(back);
}

/* Whether a piece is of tokens, and of nothing else. */
static bool is_of_tokens(int kind, int row)
{
    const tw_piece_info *info = tw_flow_piece_at(kind)->at(row);
    if (kind == TW_PIECE_method) return ((const tw_method *)info)->rules->tokens;
    if (kind == TW_PIECE_path) return ((const tw_path *)info)->tokens;
    if (kind == TW_PIECE_loss) return tw_loss_of_tokens(&(tw_piece){.row = row});
    return (kind == TW_PIECE_space && strcmp(info->name, "tokens") == 0) ||
           (kind == TW_PIECE_source && strcmp(info->name, "mask") == 0);
}

/* Likewise of sequences. */
static bool is_of_sequences(int kind, int row)
{
    const tw_piece_info *info = tw_flow_piece_at(kind)->at(row);
    if (kind == TW_PIECE_method) return ((const tw_method *)info)->rules->sequences;
    if (kind == TW_PIECE_path) return ((const tw_path *)info)->sequences;
    return (kind == TW_PIECE_space && strcmp(info->name, "sequences") == 0) ||
           (kind == TW_PIECE_source && strcmp(info->name, "empty") == 0);
}

/* Of simplices. */
static bool is_of_shares(int kind, int row)
{
    const tw_piece_info *info = tw_flow_piece_at(kind)->at(row);
    if (kind == TW_PIECE_method) return ((const tw_method *)info)->rules->covers == tw_space_is_shares;
    return kind == TW_PIECE_source && ((const tw_source *)info)->rules->simplex;
}

/* The space of meshes and the paths there, on a sphere of 80 faces. */
static bool is_of_meshes(int kind, int row)
{
    const tw_piece_info *info = tw_flow_piece_at(kind)->at(row);
    if (kind == TW_PIECE_path) return ((const tw_path *)info)->premetric;
    return kind == TW_PIECE_space && strcmp(info->name, "mesh") == 0;
}

static void check_mesh(int kind, const char *name)
{
    tw_mesh *mesh = mesh_of(ctx, raw_sphere(1));
    char path_text[32];
    snprintf(path_text, sizeof path_text, "%s:20", kind == TW_PIECE_path ? name : "biharmonic");
    tw_flow_desc desc = {
        .space = "mesh:0", .path = path_text, .columns = 3, .mesh = mesh, .network = {.width = 8, .depth = 1}};
    if (tw_mesh_has_solver()) {
        assert_int_equal(tw_mesh_find_eigenpairs(mesh, 20), TW_OK);
        check(&desc, name);
    }
    tw_mesh_destroy(mesh);
}

/* The same of tokens, which are drawn, and of sequences. */
static void check_tokens(int kind, const char *name, const char *space)
{
    enum { N = 40 };
    tw_flow *flow = NULL, *back = NULL;
    double x[2 * N], y[2 * N];
    tw_flow_desc desc = {.space = space, .columns = 2, .network = {.width = 8, .depth = 1}};
    if (kind != TW_PIECE_space) *tw_flow_piece_name(&desc, kind) = name;
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK) fail_msg("%s: %s", name, tw_context_error(ctx));
    shake(flow);
    assert_int_equal(tw_flow_save(flow, path), TW_OK);
    if (tw_flow_load(ctx, path, &back) != TW_OK) fail_msg("%s: %s", name, tw_context_error(ctx));
    for (int i = 0; i < TW_PIECE_COUNT; i++) assert_string_equal(back->piece[i].text, flow->piece[i].text);
    assert_int_equal(tw_sample(flow, N, NULL, x, NULL, NULL), TW_OK);
    assert_int_equal(tw_sample(back, N, NULL, y, NULL, NULL), TW_OK);
    assert_memory_equal(x, y, sizeof x);
    bool scored = !flow->space.ragged;
    if (scored) assert_int_equal(tw_log_density(flow, N, x, NULL, y, NULL), TW_OK);
    for (int i = 0; scored && i < N; i++) assert_true(isfinite(y[i]) && y[i] < 0);
    tw_flow_destroy(flow);
    tw_flow_destroy(back);
}

/* The same of a product of numbers, a place and tokens. */
static void check_product(const char *space, const char *source)
{
    enum { N = 40, COLUMNS = 6 };
    tw_flow *flow = NULL, *back = NULL;
    double x[COLUMNS * N], y[COLUMNS * N];
    tw_flow_desc desc = {.space = space, .source = source, .columns = COLUMNS, .network = {.width = 8, .depth = 1}};
    if (tw_flow_create(ctx, &desc, &flow) != TW_OK) fail_msg("%s: %s", space, tw_context_error(ctx));
    shake(flow);
    assert_int_equal(tw_flow_save(flow, path), TW_OK);
    if (tw_flow_load(ctx, path, &back) != TW_OK) fail_msg("%s: %s", space, tw_context_error(ctx));
    for (int i = 0; i < TW_PIECE_COUNT; i++) assert_string_equal(back->piece[i].text, flow->piece[i].text);
    if (tw_sample(flow, N, NULL, x, NULL, NULL) != TW_OK) fail_msg("%s: %s", space, tw_context_error(ctx));
    assert_int_equal(tw_sample(back, N, NULL, y, NULL, NULL), TW_OK);
    assert_memory_equal(x, y, sizeof x);
    for (int i = 0; i < COLUMNS * N; i++) assert_true(isfinite(x[i]));
    tw_flow_destroy(flow);
    tw_flow_destroy(back);
}

/* Pieces that are of products alone. */
static bool is_of_products(int kind, int row)
{
    const tw_piece_info *info = tw_flow_piece_at(kind)->at(row);
    if (kind == TW_PIECE_method) return ((const tw_method *)info)->rules->mixed;
    return kind == TW_PIECE_space && strcmp(info->name, "product") == 0;
}

static void test_products_work(void **state)
{
    (void)state;
    check_product("euclidean*1 + sphere*2 + torus*1 + tokens:3*1 + tokens:5*1", NULL);
    check_product("euclidean*1 + sphere*2 + radians*1 + tokens:3*2", "uniform");
    check_product("tokens:3*5 + tokens:2*1", NULL);
    check_product("euclidean*2 + so3*4", NULL);
}

static void test_all_that_is_listed_works(void **state)
{
    (void)state;
    const tw_flow_desc plain = {.columns = 2, .coupling = "independent", .network = {.width = 8, .depth = 1}};
    for (int kind = 0; kind < TW_PIECE_COUNT; kind++) {
        for (int i = 0; tw_flow_piece_at(kind)->at(i); i++) {
            tw_flow_desc desc = plain;
            if (is_of_tokens(kind, i) || is_of_sequences(kind, i)) {
                const char *space = is_of_sequences(kind, i) ? "sequences:5" : "tokens:5";
                check_tokens(kind, tw_flow_piece_at(kind)->at(i)->name, space);
                continue;
            }
            if (is_of_products(kind, i)) continue;
            if (is_of_meshes(kind, i)) {
                check_mesh(kind, tw_flow_piece_at(kind)->at(i)->name);
                continue;
            }
            if (kind == TW_PIECE_path || kind == TW_PIECE_gamma) desc.method = "si"; /* which takes all of them */
            const tw_piece_info *info = tw_flow_piece_at(kind)->at(i);
            bool table = info->parameters && info->parameters->name && info->parameters->many;
            if (kind == TW_PIECE_space && strcmp(info->name, "so3") == 0) desc.columns = 4;
            if (kind == TW_PIECE_space && strcmp(info->name, "se3") == 0) desc.columns = 7;
            if (kind == TW_PIECE_space && strstr(info->name, "spd")) desc.columns = 3;
            bool curved =
                kind == TW_PIECE_source && !((const tw_source *)info)->rules->draw && strcmp(info->name, "data");
            if (curved) desc.space = "sphere";
            if (is_of_shares(kind, i)) desc.space = "simplex";
            *tw_flow_piece_name(&desc, kind) = table ? "table:0,0,1,0.4,0.3,0.8,1,1,0" : info->name;
            check(&desc, info->name);
        }
    }
    /* every prediction along every schedule */
    for (int i = 0; tw_schedule_list(i); i++)
        for (int j = 0; tw_prediction_list(j); j++) {
            tw_flow_desc desc = plain;
            desc.schedule = tw_schedule_list(i)->name;
            if (strcmp(desc.schedule, "table") == 0) desc.schedule = "table:0,0,1,0.4,0.3,0.8,1,1,0";
            desc.predict = tw_prediction_list(j)->name;
            check(&desc, desc.schedule);
        }
}

static void test_what_does_not_go_together(void **state)
{
    (void)state;
    const struct {
        tw_flow_desc desc;
        const char *says;
    } bad[] = {
        {{.columns = 2, .method = "icfm", .predict = "x1"}, "method 'icfm' predicts the velocity, not 'x1'"},
        {{.columns = 2, .schedule = "vp:-1"}, "beta_min is '-1', expected a number from 0.0001 to 1000"},
        {{.columns = 2, .schedule = "table:0,0,1"}, "at least two"},
        {{.columns = 2, .method = "icfm:sigma=x"}, "sigma is 'x'"},
        {{.columns = 2, .weight = "min_snr:gama=1"}, "no parameter 'gama', expected at most gamma"},
        {{.columns = 2, .path = "encoder_decoder"}, "method 'fm' goes along path 'affine', not 'encoder_decoder'"},
        {{.columns = 2, .gamma = "sine"}, "method 'fm' has no gamma: it is 'sine', expected 'none'"},
        {{.columns = 2, .source = "student", .predict = "score"}, "of source 'normal' only, not 'student'"},
        {{.columns = 2, .source = "student:2.5"}, "D is 2.5, expected a whole number"},
        {{.columns = 2, .schedule = "kinetic", .coupling = "ot"}, "'normal' and 'ot"},
        {{.columns = 2, .predict = "epsilon"}, "unknown predict"},
        {{.columns = 2, .source = "uniform"}, "source 'uniform' is of manifolds, not of space 'euclidean'"},
        {{.columns = 2, .path = "geodesic"}, "method 'fm' goes along path 'affine', not 'geodesic'"},
        {{.columns = 2, .space = "sphere", .source = "normal"}, "source 'normal' is of space 'euclidean', not of"},
        {{.columns = 2, .space = "torus", .path = "affine"}, "path 'affine' is of space 'euclidean', not of"},
        {{.columns = 2, .space = "torus", .method = "edm"}, "method 'edm' is of space 'euclidean', not of 'to"},
        {{.columns = 2, .space = "torus", .predict = "x1"}, "predict 'x1' is of space 'euclidean', not of"},
        {{.columns = 2, .space = "torus", .weight = "snr"}, "weight 'snr' is of space 'euclidean', not of"},
        {{.columns = 2, .space = "torus", .schedule = "ve"}, "schedule 've"},
        {{.columns = 2, .space = "torus", .schedule = "vp"}, "alpha must be 0 at t = 0"},
        {{.columns = 2, .space = "sphere", .schedule = "edm"}, "alpha must be 0 at t = 0"},
        {{.columns = 2, .space = "sphere:2.5"}, "space 'sphere': waves is 2.5, expected a whole number"},
        {{.columns = 2, .space = "tokens:2.5"}, "space 'tokens': symbols is 2.5, expected a whole number"},
        {{.columns = 2, .space = "torus:0"}, "period is '0', expected a number from 1e-09 to 1e+09"}};
    static const struct {
        const char *space, *says;
        int columns;
    } odd[] = {{"sphere", "space 'sphere' takes pairs of columns, longitude and latitude: there are 3", 3},
               {"so3", "space 'so3' takes fours of columns", 6},
               {"se3", "space 'se3' takes sevens of columns", 8},
               {"directions", "space 'directions' takes two columns and more: there are 1", 1}};
    for (int i = 0; i < TW_COUNT(odd); i++) {
        tw_flow *flow = NULL;
        tw_flow_desc desc = {.columns = odd[i].columns, .space = odd[i].space};
        assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_ERR_SHAPE);
        if (!strstr(tw_context_error(ctx), odd[i].says)) fail_msg("case %d: %s", i, tw_context_error(ctx));
    }
    for (int i = 0; i < TW_COUNT(bad); i++) {
        tw_flow *flow = NULL;
        assert_int_equal(tw_flow_create(ctx, &bad[i].desc, &flow), TW_ERR_INVALID);
        assert_null(flow);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("case %d: %s", i, tw_context_error(ctx));
    }
}

static void test_defaults_of_methods(void **state)
{
    (void)state;
    tw_flow *flow = NULL;
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .method = "edm"}, &flow), TW_OK);
    assert_string_equal(tw_flow_about(flow)->schedule, "edm:sigma_min=0.002,sigma_max=80,rho=7");
    assert_string_equal(tw_flow_about(flow)->predict, "v");
    assert_string_equal(tw_flow_about(flow)->time_density, "skewed:mean=-1.2,std=1.2");
    assert_string_equal(tw_flow_about(flow)->source, "normal");
    assert_string_equal(tw_flow_about(flow)->gamma, "none");
    tw_flow_destroy(flow);
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .method = "pfgmpp:16"}, &flow), TW_OK);
    assert_string_equal(tw_flow_about(flow)->source, "student:D=16");
    tw_flow_destroy(flow);
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .method = "si"}, &flow), TW_OK);
    assert_string_equal(tw_flow_about(flow)->gamma, "brownian:a=1");
    tw_flow_destroy(flow);
    assert_int_equal(tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .method = "sbcfm:0.5"}, &flow), TW_OK);
    assert_non_null(
        strstr(tw_flow_about(flow)->coupling, "epsilon=0.5,")); /* 2 sigma^2; torchcfm's default ignores it */
    tw_flow_destroy(flow);
    tw_flow_desc desc = {.columns = 2, .method = "edm", .schedule = "ve:0.01,50", .predict = "x0"};
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK); /* what is named wins */
    assert_string_equal(tw_flow_about(flow)->schedule, "ve:sigma_min=0.01,sigma_max=50");
    assert_string_equal(tw_flow_about(flow)->predict, "x0");
    tw_flow_destroy(flow);
}

/* --- the eight Gaussians along their exact velocity ------------------------------------------------------------------
 */

static tw_status g8_velocity(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user;
    for (int64_t i = 0; i < rows; i++) {
        double x1[2], x0[2];
        g8_means(t[i], 1 - t[i], x + 2 * i, x1, x0);
        for (int j = 0; j < 2; j++) out[2 * i + j] = x1[j] - x0[j];
    }
    return TW_OK;
}

/* Root of the mean squared distance from the exact end, of 1000 points: euler at 1 to 16 steps, heun2 at 4 and 8;
 * values of an independent NumPy script over 4000 other points, to the scatter of the points. */
static void test_errors_of_few_steps(void **state)
{
    (void)state;
    enum { N = 1000 };
    static double begin[2 * N], end[2 * N], x[2 * N];
    const struct {
        const char *method;
        int steps;
        double error, scatter;
    } rows[] = {{"euler", 1, 4.03, 0.04}, {"euler", 2, 1.06, 0.06},   {"euler", 4, 0.357, 0.1},
                {"euler", 8, 0.182, 0.1}, {"euler", 16, 0.0923, 0.1}, {"heun2", 4, 0.0469, 0.25}};
    const tw_piece normal = {.info = tw_source_list(0)};
    for (int i = 0; i < N; i++) tw_source_row(&normal, 11, 1, i, 2, begin + 2 * i);
    memcpy(end, begin, sizeof end);
    tw_ode_desc exact = {.method = "dopri5", .rtol = 1e-8, .atol = 1e-8};
    assert_int_equal(tw_ode_solve(ctx, &exact, g8_velocity, NULL, N, 2, end, NULL), TW_OK);
    for (int k = 0; k < TW_COUNT(rows); k++) {
        memcpy(x, begin, sizeof x);
        tw_ode_desc desc = {.method = rows[k].method, .steps = rows[k].steps};
        assert_int_equal(tw_ode_solve(ctx, &desc, g8_velocity, NULL, N, 2, x, NULL), TW_OK);
        double sum = 0;
        for (int i = 0; i < 2 * N; i++) sum += (x[i] - end[i]) * (x[i] - end[i]);
        double error = sqrt(sum / N);
        if (!(fabs(error - rows[k].error) < rows[k].scatter * rows[k].error))
            fail_msg("%s, %d steps: %g, expected %g", rows[k].method, rows[k].steps, error, rows[k].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_is_listed_works),  cmocka_unit_test(test_products_work),
        cmocka_unit_test(test_what_does_not_go_together), cmocka_unit_test(test_defaults_of_methods),
        cmocka_unit_test(test_errors_of_few_steps),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
