/* Stochastic interpolants: the loss by hand over both signs of the noise, velocities against differences of the point,
 * ends of paths and gammas, the score of a denoiser; and PFGM++ beside EDM. */
#include "method/interpolant.h"

#include "graph/reference.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const tw_space plane = {.flat = true};

enum { B = 4, D = 2 };

static const double x0[B * D] = {0.5, -1, 2, 0.3, 1, 1, -0.7, 0.2}, x1[B * D] = {1, 3, -2, 0.5, 0.4, -1, 2.5, 1.5};
static const double z[B * D] = {0.1, -2, 1.5, 0.4, -0.3, 0.8, 1, -1}, t[B] = {0.1, 0.35, 0.8, 0.99};
static const double pi = 3.14159265358979323846;
static const char *const gammas[] = {"none", "brownian", "brownian:0.3", "quadratic:2", "sine", "sine:0.5"};

/* the paper's table 8, and slopes */
static void gamma_by_hand(const char *name, double a, double time, double *g, double *dg)
{
    *g = *dg = 0;
    if (strncmp(name, "brownian", 8) == 0) {
        *g = sqrt(a * time * (1 - time));
        *dg = a * (1 - 2 * time) / (2 * *g);
    } else if (strncmp(name, "quadratic", 9) == 0) {
        *g = a * time * (1 - time);
        *dg = a * (1 - 2 * time);
    } else if (strncmp(name, "sine", 4) == 0) {
        *g = a * sin(pi * time) * sin(pi * time);
        *dg = a * pi * sin(2 * pi * time);
    }
}
static void point_by_hand(const char *path, const char *schedule, double a, double b, double time, double *x, double *u)
{
    if (strcmp(path, "encoder_decoder") == 0) {
        double c = cos(pi * time), end = time < 0.5 ? a : b;
        *x = c * c * end;
        *u = -pi * sin(2 * pi * time) * end;
    } else if (strcmp(schedule, "condot") == 0) {
        *x = (1 - time) * a + time * b;
        *u = b - a;
    } else { /* trigonometric */
        *x = cos(pi / 2 * time) * a + sin(pi / 2 * time) * b;
        *u = pi / 2 * (cos(pi / 2 * time) * b - sin(pi / 2 * time) * a);
    }
}

/* x, and for the second head 2 x */
static tw_val two_heads(void *user, tw_val x, tw_val time)
{
    (void)user, (void)time;
    return tw_concat2(1, x, tw_muls(x, 2));
}

static tw_val bent(void *user, tw_val x, tw_val time)
{
    (void)user, (void)time;
    return tw_sin(x);
}

typedef struct fixture {
    tw_graph *graph;
    tw_piece method, schedule, path, gamma;
    tw_model model;
    const tw_method *row;
} fixture;

static void open_si(const char *path, const char *schedule, const char *gamma, fixture *f)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(tw_graph_create(ctx, &f->graph), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", "si", tw_method_list, &f->method), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", schedule, tw_schedule_list, &f->schedule), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "path", path, tw_path_list, &f->path), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "gamma", gamma, tw_gamma_list, &f->gamma), TW_OK);
    f->row = (const tw_method *)f->method.info;
    f->model = (tw_model){.space = &plane,
                          .path = (const tw_path *)f->path.info,
                          .schedule = &f->schedule,
                          .method = &f->method,
                          .gamma = &f->gamma,
                          .network = two_heads};
}

static void close_si(fixture *f)
{
    tw_piece_free(ctx, &f->method);
    tw_piece_free(ctx, &f->schedule);
    tw_piece_free(ctx, &f->path);
    tw_piece_free(ctx, &f->gamma);
    tw_graph_destroy(f->graph);
}

static void check_loss(const char *path, const char *schedule, const char *gamma)
{
    fixture f;
    double got[B], *out = got;
    open_si(path, schedule, gamma, &f);
    tw_val in[4] = {tw_input(f.graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
                    tw_input(f.graph, "z", TW_DTYPE_F64, tw_shape_of(B, D))};
    tw_val loss = f.row->rules->row_loss(&f.model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2], .z = in[3]});
    assert_int_equal(tw_graph_check(f.graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 4, in, (const double *[]){x0, x1, t, z}, 1, &loss, &out), TW_OK);
    for (int i = 0; i < B; i++) {
        double want = 0, g, dg;
        gamma_by_hand(gamma, f.gamma.count ? f.gamma.value[0] : 0, t[i], &g, &dg);
        for (int j = 0; j < D; j++)
            for (int sign = -1; sign <= 1; sign += 2) {
                double x, u, noise = sign * z[i * D + j];
                point_by_hand(path, schedule, x0[i * D + j], x1[i * D + j], t[i], &x, &u);
                x += g * noise;
                u += dg * noise;
                want += ((x - u) * (x - u) + (2 * x - noise) * (2 * x - noise)) / (2 * D);
            }
        if (!(fabs(got[i] - want) < 1e-11 * (1 + want)))
            fail_msg("%s, %s, %s: row %d: %.17g, expected %.17g", path, schedule, gamma, i, got[i], want);
    }
    close_si(&f);
}

static void test_loss_over_both_signs(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(gammas); k++) {
        check_loss("affine", "condot", gammas[k]);
        check_loss("affine", "cosine", gammas[k]);
        check_loss("encoder_decoder", "condot", gammas[k]);
    }
}

/* At the ends a path is its source and its data, whatever the noise; half way the encoder's points have all met. */
static void test_ends(void **state)
{
    (void)state;
    static const double ends[B] = {0, 1, 0.5, 0.5};
    for (int k = 0; k < 2 * TW_COUNT(gammas); k++) {
        fixture f;
        double got[B * D], *out = got;
        bool meets = k % 2 == 1;
        open_si(meets ? "encoder_decoder" : "affine", "condot", gammas[k / 2], &f);
        tw_val in[4] = {tw_input(f.graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                        tw_input(f.graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                        tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
                        tw_input(f.graph, "z", TW_DTYPE_F64, tw_shape_of(B, D))};
        tw_val gamma = tw_gamma_at(&f.gamma, tw_expand_dim(in[2], 1));
        tw_val x = tw_add(f.model.path->point(f.model.space, &f.schedule, in[0], in[1], in[2]), tw_mul(gamma, in[3]));
        assert_int_equal(tw_graph_check(f.graph), TW_OK);
        assert_int_equal(tw_reference_run(ctx, 4, in, (const double *[]){x0, x1, ends, z}, 1, &x, &out), TW_OK);
        for (int j = 0; j < D; j++) {
            assert_true(got[j] == x0[j]);
            assert_true(fabs(got[D + j] - x1[D + j]) < 1e-15);
            double g, dg;
            gamma_by_hand(gammas[k / 2], f.gamma.count ? f.gamma.value[0] : 0, 0.5, &g, &dg);
            for (int i = 2; meets && i < B; i++) assert_true(fabs(got[i * D + j] - g * z[i * D + j]) < 1e-15);
        }
        close_si(&f);
    }
}

/* From N(0, 1) to N(0, 4) along condot x_t has variance V = (1-t)^2 + 4 t^2 + gamma^2, E[z | x] = gamma x / V, and the
 * score is -x / V. */
static tw_val mean_noise(void *user, tw_val x, tw_val time)
{
    const tw_piece *gamma = user;
    tw_val column = tw_expand_dim(time, 1), g = tw_gamma_at(gamma, column), rest = tw_adds(tw_neg(column), 1);
    tw_val variance = tw_add(tw_add(tw_square(rest), tw_muls(tw_square(column), 4)), tw_square(g));
    return tw_concat2(1, x, tw_mul(x, tw_div(g, variance)));
}

static void test_score_of_the_denoiser(void **state)
{
    (void)state;
    for (int k = 1; k < TW_COUNT(gammas); k++) {
        fixture f;
        double got[B * D], *out = got, g, dg;
        open_si("affine", "condot", gammas[k], &f);
        f.model.network = mean_noise;
        f.model.user = &f.gamma;
        const double times[B] = {0, 0.3, 0.7, 1};
        tw_val in[2] = {tw_input(f.graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
                        tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
        tw_val score = tw_method_score(f.row, &f.model, in[0], in[1]);
        assert_int_equal(tw_graph_check(f.graph), TW_OK);
        assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x1, times}, 1, &score, &out), TW_OK);
        for (int i = 0; i < B * D; i++) {
            double time = times[i / D];
            gamma_by_hand(gammas[k], f.gamma.value[0], time, &g, &dg);
            double variance = (1 - time) * (1 - time) + 4 * time * time + g * g;
            double want = time > 0 && time < 1 ? -x1[i] / variance : 0;
            assert_true(fabs(got[i] - want) < 1e-12);
        }
        close_si(&f);
    }
}

static void test_no_noise_no_score(void **state)
{
    (void)state;
    fixture f;
    open_si("affine", "condot", "none", &f);
    tw_val x = tw_input(f.graph, "x", TW_DTYPE_F64, tw_shape_of(B, D));
    tw_method_score(f.row, &f.model, x, tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B)));
    assert_int_equal(tw_graph_check(f.graph), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "no score with gamma 'none'"));
    close_si(&f);
}

/* PFGM++ with r = sigma sqrt(D): dx/dr = (x - f) / r is EDM's equation, and the loss is EDM's but for the draws
 * and a weight of rows. */
static void test_pfgmpp_is_edm_with_other_noise(void **state)
{
    (void)state;
    tw_piece pfgmpp = {0}, edm = {0};
    assert_int_equal(tw_piece_read(ctx, "method", "pfgmpp:16", tw_method_list, &pfgmpp), TW_OK);
    const tw_method_rules *rules = ((const tw_method *)pfgmpp.info)->rules;
    assert_string_equal(rules->defaults.source, "student");
    assert_true(rules->source_parameter(&pfgmpp) == 16);
    assert_string_equal(rules->defaults.schedule, tw_method_edm.defaults.schedule);
    assert_string_equal(rules->defaults.predict, tw_method_edm.defaults.predict);
    assert_string_equal(rules->defaults.time_density, tw_method_edm.defaults.time_density);
    assert_true(!rules->velocity && !rules->noise && !rules->velocity_only);
    fixture f;
    double loss[2][B], *out[2] = {loss[0], loss[1]};
    assert_int_equal(tw_piece_read(ctx, "schedule", "edm", tw_schedule_list, &edm), TW_OK);
    open_si("affine", "condot", "none", &f);
    f.model.schedule = &edm;
    f.model.predict = TW_PREDICT_v;
    f.model.network = bent;
    tw_val in[3] = {tw_input(f.graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
    const tw_draws draws = {.x0 = in[0], .x1 = in[1], .t = in[2]};
    tw_val both[2] = {rules->row_loss(&f.model, &draws), tw_method_edm.row_loss(&f.model, &draws)};
    assert_int_equal(tw_graph_check(f.graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){x0, x1, t}, 2, both, out), TW_OK);
    for (int i = 0; i < B; i++) { /* errors count by what the network sees of the point's size */
        double sigma = tw_schedule_at(&edm, t[i]).sigma, square = 0;
        for (int j = 0; j < D; j++) square += pow(x1[i * D + j] + sigma * x0[i * D + j], 2) / (1 + sigma * sigma) / D;
        assert_true(fabs(loss[0][i] - loss[1][i] * 2 / (1 + square)) < 1e-12 * (1 + loss[1][i]));
    }
    close_si(&f);
    tw_piece_free(ctx, &pfgmpp);
    tw_piece_free(ctx, &edm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_over_both_signs),           cmocka_unit_test(test_ends),
        cmocka_unit_test(test_score_of_the_denoiser),          cmocka_unit_test(test_no_noise_no_score),
        cmocka_unit_test(test_pfgmpp_is_edm_with_other_noise),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
