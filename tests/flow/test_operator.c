/* Operators on pictures: what they make of a picture by formulas of their own, the inverse problem they pose - the same
 * as that of the plain matrix, with measures that are orthogonal - and pictures that do not suit. */
#include "flow/flow.h"
#include "flow/observation.h"

#include "base/philox.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <math.h>
#include <string.h>

enum { H = 6, W = 4, C = 3, D = H * W * C };
static const tw_image image = {H, W, C};

static void random_picture(uint64_t seed, int count, double *out)
{
    tw_random r = {.seed = seed, .stream = 1};
    for (int i = 0; i < count; i++) out[i] = 255 * tw_random_uniform(&r);
}

static void averages_are_means(void **state)
{
    double x[D], y[D];
    tw_operator *o;
    random_picture(1, D, x);
    assert_int_equal(tw_operator_create(*state, "average:2", image, &o), TW_OK);
    tw_image made = tw_operator_image(o);
    assert_true(made.height == H / 2 && made.width == W / 2 && made.channels == C);
    assert_int_equal(tw_operator_measures(o), D / 4);
    assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
    for (int i = 0; i < H / 2; i++)
        for (int j = 0; j < W / 2; j++)
            for (int c = 0; c < C; c++) {
                const double *p = x + (2 * i * W + 2 * j) * C + c;
                double want = (p[0] + p[C] + p[W * C] + p[(W + 1) * C]) / 4;
                assert_true(fabs(y[(i * (W / 2) + j) * C + c] - want) < 1e-12 * 255);
            }
    tw_operator_destroy(o);
}

static void gray_is_luminance(void **state)
{
    double x[D], y[D];
    tw_operator *o;
    random_picture(2, D, x);
    assert_int_equal(tw_operator_create(*state, "gray", image, &o), TW_OK);
    assert_int_equal(tw_operator_measures(o), H * W);
    assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
    for (int i = 0; i < H * W; i++)
        assert_true(fabs(y[i] - (0.299 * x[3 * i] + 0.587 * x[3 * i + 1] + 0.114 * x[3 * i + 2])) < 1e-10);
    tw_operator_destroy(o);
}

/* Flat pictures stay, and a point far from the edges spreads with the variance that was asked for. */
static void blur_spreads(void **state)
{
    enum { SIDE = 41, MIDDLE = 20 };
    static double x[SIDE * SIDE], y[SIDE * SIDE];
    tw_operator *o;
    assert_int_equal(tw_operator_create(*state, "blur:2", (tw_image){SIDE, SIDE, 1}, &o), TW_OK);
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = 100;
    assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
    for (int i = 0; i < SIDE * SIDE; i++) assert_true(fabs(y[i] - 100) < 1e-9);
    memset(x, 0, sizeof x);
    x[MIDDLE * SIDE + MIDDLE] = 1;
    assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
    double sum = 0, across = 0, down = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            sum += y[i * SIDE + j];
            down += y[i * SIDE + j] * (i - MIDDLE) * (i - MIDDLE);
            across += y[i * SIDE + j] * (j - MIDDLE) * (j - MIDDLE);
        }
    assert_true(fabs(sum - 1) < 1e-9 && fabs(across - 4) < 1e-6 && fabs(down - 4) < 1e-6);
    tw_operator_destroy(o);
}

static const char *const names[] = {"average:2", "blur:0.7", "blur:3", "gray"};

/* Matrix times picture is what is measured of what the operator makes of it; the turn keeps lengths; rows are
 * orthogonal. */
static void measures_are_turned(void **state)
{
    for (int k = 0; k < TW_COUNT(names); k++) {
        double x[D], y[D], measured[D];
        tw_operator *o;
        random_picture(3 + (uint64_t)k, D, x);
        assert_int_equal(tw_operator_create(*state, names[k], image, &o), TW_OK);
        int m = tw_operator_measures(o);
        const double *a = tw_operator_matrix(o);
        assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
        assert_int_equal(tw_operator_measure(o, y, measured), TW_OK);
        double of_y = 0, of_measured = 0;
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int j = 0; j < D; j++) sum += a[i * D + j] * x[j];
            assert_true(fabs(sum - measured[i]) < 1e-3); /* lengths below 1e-6 of the longest are left out */
            of_y += y[i] * y[i], of_measured += measured[i] * measured[i];
        }
        assert_true(fabs(of_y - of_measured) < 1e-9 * of_y);
        for (int i = 0; i < m; i++)
            for (int j = 0; j < i; j++) {
                double both = 0;
                for (int l = 0; l < D; l++) both += a[i * D + l] * a[j * D + l];
                assert_true(fabs(both) < 1e-9);
            }
        tw_operator_destroy(o);
    }
}

/* The plain matrix, column by column. */
static void plain_matrix(const tw_operator *o, double *out)
{
    double x[D], y[D];
    for (int j = 0; j < D; j++) {
        for (int l = 0; l < D; l++) x[l] = l == j;
        assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
        for (int i = 0; i < tw_operator_measures(o); i++) out[i * D + j] = y[i];
    }
}

static void the_problem_is_the_same(void **state)
{
    tw_flow *flow;
    const tw_flow_desc desc = {.columns = D, .image = image, .network = {.width = 4, .depth = 1}};
    assert_int_equal(tw_flow_create(*state, &desc, &flow), TW_OK);
    for (int j = 0; j < D; j++) flow->normaliser.shift[j] = flow->normaliser.scale[j] = 127.5;
    for (int k = 0; k < TW_COUNT(names); k++) {
        static double plain[D * D];
        double x[D], y[D], measured[D], g[2][D];
        tw_operator *o;
        tw_observation turned, direct;
        assert_int_equal(tw_operator_create(*state, names[k], image, &o), TW_OK);
        random_picture(20 + (uint64_t)k, D, x);
        assert_int_equal(tw_operator_apply(o, x, y), TW_OK);
        for (int i = 0; i < tw_operator_measures(o); i++) y[i] += i % 5 - 2;
        assert_int_equal(tw_operator_measure(o, y, measured), TW_OK);
        plain_matrix(o, plain);
        tw_inverse_desc problem = {.observed = y,
                                   .same_observed = true,
                                   .measures = tw_operator_measures(o),
                                   .matrix = plain,
                                   .noise = 3};
        assert_int_equal(tw_observation_make(flow, 1, &problem, &direct), TW_OK);
        problem.observed = measured;
        problem.matrix = tw_operator_matrix(o);
        assert_int_equal(tw_observation_make(flow, 1, &problem, &turned), TW_OK);
        for (int s = 0; s < 4; s++) {
            const double spread[] = {-1, 0, 0.1, 1};
            for (int j = 0; j < D; j++) x[j] = sin(j + s);
            double a = tw_observation_pull(&direct, 0, x, spread[s], NULL, g[0]);
            double b = tw_observation_pull(&turned, 0, x, spread[s], NULL, g[1]);
            assert_true(fabs(a - b) < 1e-5 * fabs(a));
            double apart = 0, size = 0;
            for (int j = 0; j < D; j++) apart += pow(g[0][j] - g[1][j], 2), size += g[0][j] * g[0][j];
            assert_true(apart < 1e-10 * size);
        }
        tw_observation_free(*state, &direct);
        tw_observation_free(*state, &turned);
        tw_operator_destroy(o);
    }
    tw_flow_destroy(flow);
}

static void pictures_that_do_not_suit(void **state)
{
    tw_operator *o = NULL;
    const struct {
        const char *name, *words;
        tw_image image;
    } cases[] = {{"average:4", "blocks must be whole", image},
                 {"average:1.5", "average", image},
                 {"gray", "three channels", {H, W, 1}},
                 {"blurr", "blur", image},
                 {"average", "pictures", {0, 0, 0}},
                 {"blur", "more than can be kept", {128, 128, 1}},
                 {"blur", "more than can be kept", {50000, 1, 1}},
                 {"average:2", "more than can be kept", {INT32_MAX - 1, INT32_MAX - 1, INT32_MAX}}};
    for (int k = 0; k < TW_COUNT(cases); k++) {
        assert_int_not_equal(tw_operator_create(*state, cases[k].name, cases[k].image, &o), TW_OK);
        assert_non_null(strstr(tw_context_error(*state), cases[k].words));
    }
    assert_null(o);
    assert_string_equal(tw_piece_list("operators", 0)->name, "average");
}

static tw_status make(tw_context *ctx, void *user)
{
    double x[D] = {0}, y[D];
    tw_operator *o = NULL;
    tw_status status = TW_OK;
    (void)user;
    TW_TRY(tw_operator_create(ctx, "blur", image, &o));
    TW_TRY(tw_operator_apply(o, x, y));
done:
    tw_operator_destroy(o);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    run_with_limited_memory(make, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_are_means),        cmocka_unit_test(gray_is_luminance),
        cmocka_unit_test(blur_spreads),              cmocka_unit_test(measures_are_turned),
        cmocka_unit_test(the_problem_is_the_same),   cmocka_unit_test(pictures_that_do_not_suit),
        cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
