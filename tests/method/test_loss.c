/* Distances and weights of the loss, against formulas of the papers and of other libraries; that a weight means the
 * same objective for every prediction; and the learned one. */
#include "method/method.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 5, D = 3 };
static const double t[B] = {0.05, 0.3, 0.5, 0.8, 0.97};
static double x[B * D], y[B * D], target[B * D];

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    for (int i = 0; i < B * D; i++) x[i] = 2 * sin(i), y[i] = cos(3 * i), target[i] = sin(5 * i + 1);
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

static const double learned_h[B] = {-1, 0, 0.5, 1, 2};

static tw_val uncertainty(void *user, tw_val time)
{
    (void)user;
    return tw_const_data(time.graph, TW_DTYPE_F64, tw_shape_of(B), learned_h);
}

/* Loss of each row; y and target are predictions of kind `given` and are converted to `predict` first. */
static void losses(const char *schedule, const char *loss, const char *weight, tw_prediction given,
                   tw_prediction predict, double *out)
{
    tw_piece s, l, w;
    tw_graph *graph = NULL;
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", schedule, tw_schedule_list, &s), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "loss", loss, tw_loss_list, &l), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "weight", weight, tw_weight_list, &w), TW_OK);
    tw_model model = {.schedule = &s, .loss = &l, .weight = &w, .predict = predict, .uncertainty = uncertainty};
    tw_val in[4] = {tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
                    tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "y", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "target", TW_DTYPE_F64, tw_shape_of(B, D))};
    tw_schedule_values at = tw_schedule_values_at(&s, tw_expand_dim(in[0], 1));
    tw_val a = tw_prediction_convert(given, predict, &at, in[1], in[2]);
    tw_val b = tw_prediction_convert(given, predict, &at, in[1], in[3]);
    tw_val rows = tw_model_loss(&model, in[0], a, b);
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 4, in, (const double *[]){t, x, y, target}, 1, &rows, &out), TW_OK);
    tw_graph_destroy(graph);
    tw_piece_free(ctx, &s);
    tw_piece_free(ctx, &l);
    tw_piece_free(ctx, &w);
}

static double squares(int row)
{
    double sum = 0;
    for (int j = 0; j < D; j++) sum += pow(y[row * D + j] - target[row * D + j], 2);
    return sum;
}

static void near(double got, double want, const char *what)
{
    if (!(fabs(got - want) < 1e-9 * (1e-3 + fabs(want)))) fail_msg("%s: %.17g, expected %.17g", what, got, want);
}

static void test_distances(void **state)
{
    (void)state;
    double mse[B], l1[B], huber[B], wide[B];
    losses("condot", "mse", "none", TW_PREDICT_x1, TW_PREDICT_x1, mse);
    losses("condot", "l1", "none", TW_PREDICT_x1, TW_PREDICT_x1, l1);
    losses("condot", "pseudo_huber", "none", TW_PREDICT_x1, TW_PREDICT_x1, huber);
    losses("condot", "pseudo_huber:c=1e4", "none", TW_PREDICT_x1, TW_PREDICT_x1, wide);
    for (int i = 0; i < B; i++) {
        double sum = 0, c = 0.00054 * D; /* lucidrains: 0.00054 times the dimension, not 0.00054 */
        for (int j = 0; j < D; j++) sum += fabs(y[i * D + j] - target[i * D + j]);
        near(mse[i], squares(i) / D, "mse");
        near(l1[i], sum / D, "l1");
        near(huber[i], sqrt(squares(i) + c * c) - c, "pseudo_huber");
        /* far below c it is a square: e^2 / 2c; the difference of numbers of 3e4 keeps 12 digits */
        assert_true(fabs(wide[i] - squares(i) / (2e4 * D)) < 1e-6 * squares(i));
    }
}

/* SiT's weights of the noise and score losses: (w/sigma)^2 (velocity), w/sigma^2 (likelihood), w^2 and w for the score,
 * with w = (alpha'/alpha) sigma^2 - sigma sigma'. */
static void test_weights_of_sit(void **state)
{
    (void)state;
    const char *const schedules[] = {"condot", "cosine", "vp"};
    for (int k = 0; k < TW_COUNT(schedules); k++) {
        tw_schedule s;
        double plain[B], noise[2][B], score[2][B];
        assert_int_equal(tw_piece_read(ctx, "schedule", schedules[k], tw_schedule_list, &s), TW_OK);
        losses(schedules[k], "mse", "none", TW_PREDICT_x0, TW_PREDICT_x0, plain);
        losses(schedules[k], "mse", "velocity", TW_PREDICT_x0, TW_PREDICT_x0, noise[0]);
        losses(schedules[k], "mse", "likelihood", TW_PREDICT_x0, TW_PREDICT_x0, noise[1]);
        losses(schedules[k], "mse", "velocity", TW_PREDICT_score, TW_PREDICT_score, score[0]);
        losses(schedules[k], "mse", "likelihood", TW_PREDICT_score, TW_PREDICT_score, score[1]);
        for (int i = 0; i < B; i++) {
            tw_schedule_point at = tw_schedule_at(&s, t[i]);
            double w = at.d_alpha / at.alpha * at.sigma * at.sigma - at.sigma * at.d_sigma;
            near(noise[0][i] / plain[i], fmin(1e4, pow(w / at.sigma, 2)), "velocity weight of noise");
            near(noise[1][i] / plain[i], fmin(1e4, w / at.sigma / at.sigma), "likelihood weight of noise");
            near(score[0][i] / plain[i], fmin(1e4, w * w), "velocity weight of the score");
            near(score[1][i] / plain[i], fmin(1e4, w), "likelihood weight of the score");
        }
        tw_piece_free(ctx, &s);
    }
}

/* Hang et al. 2023: min(SNR, 5) for data, min(SNR, 5)/SNR for noise, min(SNR, 5)/(SNR + 1) for v; SNR for data is 1 for
 * noise (Salimans, Ho 2022). diffusers: cosmap and sigma_sqrt. */
static void test_other_weights(void **state)
{
    (void)state;
    tw_schedule s;
    double plain[B], data[B], noise[B], v[B], ones[B], cosmap[B], root[B];
    assert_int_equal(tw_piece_read(ctx, "schedule", "cosine", tw_schedule_list, &s), TW_OK);
    losses("cosine", "mse", "none", TW_PREDICT_x1, TW_PREDICT_x1, plain);
    losses("cosine", "mse", "min_snr", TW_PREDICT_x1, TW_PREDICT_x1, data);
    losses("cosine", "mse", "min_snr", TW_PREDICT_x0, TW_PREDICT_x0, noise);
    losses("cosine", "mse", "min_snr", TW_PREDICT_v, TW_PREDICT_v, v);
    losses("cosine", "mse", "snr", TW_PREDICT_x0, TW_PREDICT_x0, ones);
    losses("cosine", "mse", "cosmap", TW_PREDICT_velocity, TW_PREDICT_velocity, cosmap);
    losses("cosine", "mse", "sigma_sqrt", TW_PREDICT_velocity, TW_PREDICT_velocity, root);
    for (int i = 0; i < B; i++) {
        tw_schedule_point at = tw_schedule_at(&s, t[i]);
        double snr = pow(at.alpha / at.sigma, 2), low = fmin(snr, 5), sigma = at.sigma;
        near(data[i] / plain[i], low, "min_snr of data");
        near(noise[i] / plain[i], low / snr, "min_snr of noise");
        near(v[i] / plain[i], low / (snr + 1), "min_snr of v");
        near(ones[i] / plain[i], 1, "snr of noise");
        near(cosmap[i] / plain[i], 2 / (3.14159265358979323846 * (1 - 2 * sigma + 2 * sigma * sigma)), "cosmap");
        near(root[i] / plain[i], 1 / (sigma * sigma), "sigma_sqrt");
    }
    tw_piece_free(ctx, &s);
}

/* With a weight that is said of one prediction, training any other is the same objective. */
static void test_a_weight_means_one_objective(void **state)
{
    (void)state;
    const char *const weights[] = {"velocity", "likelihood", "snr", "min_snr:2"};
    for (int k = 0; k < TW_COUNT(weights); k++) {
        double want[B], got[B];
        losses("vp:0.5,3", "mse", weights[k], TW_PREDICT_velocity, TW_PREDICT_velocity, want);
        for (int kind = 0; tw_prediction_list(kind); kind++) {
            losses("vp:0.5,3", "mse", weights[k], TW_PREDICT_velocity, (tw_prediction)kind, got);
            for (int i = 0; i < B; i++) near(got[i], want[i], tw_prediction_list(kind)->name);
        }
    }
    double plain[B], weighted[B];
    losses("vp:0.5,3", "mse", "none", TW_PREDICT_velocity, TW_PREDICT_velocity, plain);
    losses("vp:0.5,3", "mse", "velocity", TW_PREDICT_velocity, TW_PREDICT_x1, weighted);
    for (int i = 0; i < B; i++) near(weighted[i], plain[i], "velocity weight of the velocity");
}

/* loss / e^h + h: least where e^h is the loss, where every time has the same say, 1 + log loss. */
static void test_learned_weight(void **state)
{
    (void)state;
    double got[B];
    losses("condot", "mse", "learned", TW_PREDICT_x1, TW_PREDICT_x1, got);
    for (int i = 0; i < B; i++) {
        double loss = squares(i) / D;
        near(got[i], loss * exp(-learned_h[i]) + learned_h[i], "learned");
        assert_true(got[i] >= 1 + log(loss) - 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances),      cmocka_unit_test(test_weights_of_sit),
        cmocka_unit_test(test_other_weights),  cmocka_unit_test(test_a_weight_means_one_objective),
        cmocka_unit_test(test_learned_weight),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
