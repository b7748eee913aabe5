/* Methods whose paths carry noise, against torchcfm's formulas (1.0.7, conditional_flow_matching.py) given x_0, x_1, t
 * and the noise; and what each asks for. */
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

/* x, and for a second head 2 x */
static tw_val one_head(void *user, tw_val x, tw_val time)
{
    (void)user, (void)time;
    return x;
}
static tw_val two_heads(void *user, tw_val x, tw_val time)
{
    (void)user, (void)time;
    return tw_concat2(1, x, tw_muls(x, 2));
}

typedef struct fixture {
    tw_graph *graph;
    tw_piece method, schedule;
    tw_model model;
    const tw_method *row;
} fixture;

static void open_method(const char *text, fixture *f)
{
    memset(f, 0, sizeof *f);
    assert_int_equal(tw_graph_create(ctx, &f->graph), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", text, tw_method_list, &f->method), TW_OK);
    f->row = (const tw_method *)f->method.info;
    const char *schedule = f->row->rules->defaults.schedule;
    assert_int_equal(tw_piece_read(ctx, "schedule", schedule ? schedule : "condot", tw_schedule_list, &f->schedule),
                     TW_OK);
    f->model = (tw_model){.space = &plane,
                          .source = &(tw_piece){.info = tw_source_list(0)},
                          .path = (const tw_path *)tw_path_list(0),
                          .schedule = &f->schedule,
                          .method = &f->method,
                          .network = f->row->rules->heads > 1 ? two_heads : one_head};
}

static void close_method(fixture *f)
{
    tw_piece_free(ctx, &f->method);
    tw_piece_free(ctx, &f->schedule);
    tw_graph_destroy(f->graph);
}

static void losses(fixture *f, double *out)
{
    tw_val in[4] = {tw_input(f->graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f->graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f->graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
                    tw_input(f->graph, "z", TW_DTYPE_F64, tw_shape_of(B, D))};
    tw_val loss = f->row->rules->row_loss(&f->model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2], .z = in[3]});
    assert_int_equal(tw_graph_check(f->graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 4, in, (const double *[]){x0, x1, t, z}, 1, &loss, &out), TW_OK);
}

/* torchcfm: mu_t, sigma_t and u_t of a matcher at one number */
typedef void (*matcher)(double sigma, double a, double b, double time, double eps, double *xt, double *ut);

static void icfm(double sigma, double a, double b, double time, double eps, double *xt, double *ut)
{
    *xt = time * b + (1 - time) * a + sigma * eps;
    *ut = b - a;
}
static void sbcfm(double sigma, double a, double b, double time, double eps, double *xt, double *ut)
{
    double mu = time * b + (1 - time) * a;
    *xt = mu + sigma * sqrt(time * (1 - time)) * eps;
    *ut = (1 - 2 * time) / (2 * time * (1 - time)) * (*xt - mu) + b - a;
}
static void vpcfm(double sigma, double a, double b, double time, double eps, double *xt, double *ut)
{
    double s = sin(pi / 2 * time), c = cos(pi / 2 * time);
    *xt = c * a + s * b + sigma * eps;
    *ut = pi / 2 * (c * b - s * a);
}

static void test_losses_of_torchcfm(void **state)
{
    (void)state;
    const struct {
        const char *text;
        matcher match;
        double sigma;
    } cases[] = {{"icfm", icfm, 0},         {"icfm:0.3", icfm, 0.3},   {"otcfm:0.1", icfm, 0.1}, {"sbcfm", sbcfm, 1},
                 {"sbcfm:0.5", sbcfm, 0.5}, {"vpcfm:0.2", vpcfm, 0.2}, {"sf2m:0.7", sbcfm, 0.7}};
    for (int k = 0; k < TW_COUNT(cases); k++) {
        fixture f;
        double got[B];
        open_method(cases[k].text, &f);
        losses(&f, got);
        bool noise_head = f.row->rules->heads == 2;
        for (int i = 0; i < B; i++) {
            double want = 0;
            for (int j = 0; j < D; j++) {
                double xt, ut;
                cases[k].match(cases[k].sigma, x0[i * D + j], x1[i * D + j], t[i], z[i * D + j], &xt, &ut);
                want += (xt - ut) * (xt - ut) / D;
                if (noise_head) want += (2 * xt - z[i * D + j]) * (2 * xt - z[i * D + j]) / D;
            }
            if (!(fabs(got[i] - want) < 1e-12 * (1 + want)))
                fail_msg("%s: row %d: %.17g, expected %.17g", cases[k].text, i, got[i], want);
        }
        close_method(&f);
    }
}

/* The target matcher of torchcfm, x_t = t x_1 + (1 - (1 - sigma) t) x_0, is a schedule: rectified with no alpha_min. */
static void test_target_matcher_is_a_schedule(void **state)
{
    (void)state;
    tw_schedule s;
    assert_int_equal(tw_piece_read(ctx, "schedule", "rectified:0,0.1", tw_schedule_list, &s), TW_OK);
    for (double time = 0; time <= 1; time += 0.125) {
        tw_schedule_point at = tw_schedule_at(&s, time);
        assert_true(at.alpha == time && fabs(at.sigma - (1 - 0.9 * time)) < 1e-15);
        assert_true(at.d_alpha == 1 && fabs(at.d_sigma + 0.9) < 1e-15);
    }
    tw_piece_free(ctx, &s);
}

/* Where the marginals are known - both ends Gaussian, independent - so is the score of a bridge: the noise head that
 * tells E[z | x_t] means -E[z | x_t] / gamma. N(0,1) to N(0,1): x_t is normal of variance (1-t)^2 + t^2 + gamma^2. */
static tw_val mean_noise(void *user, tw_val x, tw_val time)
{
    (void)user;
    tw_val column = tw_expand_dim(time, 1), rest = tw_adds(tw_neg(column), 1), gamma = tw_sqrt(tw_mul(column, rest));
    tw_val variance = tw_add(tw_add(tw_square(rest), tw_square(column)), tw_square(gamma));
    return tw_concat2(1, x, tw_mul(x, tw_div(gamma, variance)));
}

static void test_score_of_sf2m(void **state)
{
    (void)state;
    fixture f;
    double got[B * D], *out = got;
    open_method("sf2m", &f);
    f.model.network = mean_noise;
    tw_val in[2] = {tw_input(f.graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
    const double times[B] = {0, 0.3, 0.7, 1};
    tw_val score = tw_method_score(f.row, &f.model, in[0], in[1]);
    assert_int_equal(tw_graph_check(f.graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x1, times}, 1, &score, &out), TW_OK);
    for (int i = 0; i < B * D; i++) {
        double time = times[i / D], variance = (1 - time) * (1 - time) + time * time + time * (1 - time);
        double want = time > 0 && time < 1 ? -x1[i] / variance : 0; /* at the ends a bridge tells none */
        assert_true(fabs(got[i] - want) < 1e-12);
    }
    close_method(&f);
}

static void test_methods_without_a_score_say_so(void **state)
{
    (void)state;
    fixture f;
    open_method("icfm:0.1", &f);
    tw_val x = tw_input(f.graph, "x", TW_DTYPE_F64, tw_shape_of(B, D));
    tw_method_score(f.row, &f.model, x, tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B)));
    assert_int_equal(tw_graph_check(f.graph), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "method 'icfm' does not tell a score"));
    close_method(&f);
}

/* EDM's denoiser by its own preconditioning: D = c_skip x + c_out F(c_in x), for data of unit variance. */
static tw_val bent(void *user, tw_val x, tw_val time)
{
    (void)user, (void)time;
    return tw_sin(x);
}

static void test_edm_is_its_preconditioning(void **state)
{
    (void)state;
    fixture f;
    double got[B * D], *out = got;
    open_method("edm", &f);
    f.model.network = bent;
    f.model.predict = TW_PREDICT_v;
    assert_string_equal(f.row->rules->defaults.predict, "v");
    tw_val in[2] = {tw_input(f.graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(f.graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
    tw_val velocity = tw_method_velocity(f.row, &f.model, in[0], in[1]);
    assert_int_equal(tw_graph_check(f.graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x1, t}, 1, &velocity, &out), TW_OK);
    for (int i = 0; i < B * D; i++) {
        tw_schedule_point at = tw_schedule_at(&f.schedule, t[i / D]);
        double s = at.sigma, size = sqrt(1 + s * s);
        double denoised = x1[i] / (1 + s * s) + s / size * -sin(x1[i] / size); /* F is minus v */
        double want = at.d_sigma * (x1[i] - denoised) / s;                     /* dx/dsigma = (x - D) / sigma */
        assert_true(fabs(got[i] - want) < 1e-9 * (1 + fabs(want)));
    }
    close_method(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_of_torchcfm),
        cmocka_unit_test(test_target_matcher_is_a_schedule),
        cmocka_unit_test(test_score_of_sf2m),
        cmocka_unit_test(test_methods_without_a_score_say_so),
        cmocka_unit_test(test_edm_is_its_preconditioning),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
