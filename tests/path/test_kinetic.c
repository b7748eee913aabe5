/* Schedules of least kinetic energy: the separation of data against closed forms, the energy against brute force, the
 * best schedule where it is known, and its energy beside those of others. */
#include "path/kinetic.h"

#include "base/philox.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ANGLES = TW_KINETIC_ANGLES, ROWS = 20000 };

static const double half_pi = 1.57079632679489661923;
static float rows[2 * ROWS];

static double ratio_at(int k)
{
    return tan(half_pi * (k + 0.5) / ANGLES);
}

/* Eight Gaussians on a circle, every column of variance 1: radius^2 / 2 + size^2 = 1. */
static const double size = 0.1;

static void centre(int k, double out[2])
{
    double radius = sqrt(2 * (1 - size * size));
    out[0] = radius * cos(half_pi / 2 * k);
    out[1] = radius * sin(half_pi / 2 * k);
}

/* E[x_1 | alpha x_1 + sigma x_0 = x], and the trace of its variance */
static double denoised(double alpha, double sigma, const double x[2], double out[2])
{
    double variance = sigma * sigma + alpha * alpha * size * size, sum = 0, squares = 0, c[2];
    double gain = alpha * size * size / variance;
    out[0] = out[1] = 0;
    for (int k = 0; k < 8; k++) {
        centre(k, c);
        double dx = x[0] - alpha * c[0], dy = x[1] - alpha * c[1];
        double w = exp(-(dx * dx + dy * dy) / (2 * variance));
        double y[2] = {c[0] + gain * dx, c[1] + gain * dy};
        sum += w;
        squares += w * (y[0] * y[0] + y[1] * y[1]);
        for (int j = 0; j < 2; j++) out[j] += w * y[j];
    }
    out[0] /= sum;
    out[1] /= sum;
    return squares / sum - out[0] * out[0] - out[1] * out[1] + 2 * size * size * sigma * sigma / variance;
}

static void draw_pair(tw_random *random, double x1[2], double x0[2])
{
    double c[2];
    centre((int)tw_random_below(random, 8), c);
    for (int j = 0; j < 2; j++) {
        x1[j] = c[j] + size * tw_random_normal(random);
        x0[j] = tw_random_normal(random);
    }
}

/* lambda = 1 - E tr Var(x_1 | x) / 2 by many draws */
static void exact_lambda(double lambda[ANGLES])
{
    enum { DRAWS = 40000 };
    static double kept[ANGLES];
    if (kept[0] > 0) {
        memcpy(lambda, kept, sizeof kept);
        return;
    }
    for (int k = 0; k < ANGLES; k++) {
        tw_random random = {.seed = 3, .stream = 1};
        lambda[k] = 1;
        for (int i = 0; i < DRAWS; i++) {
            double x1[2], x0[2], x[2], mean[2], s = ratio_at(k);
            draw_pair(&random, x1, x0);
            for (int j = 0; j < 2; j++) x[j] = x1[j] + x0[j] / s;
            lambda[k] -= denoised(1, 1 / s, x, mean) / (2 * DRAWS);
        }
    }
    memcpy(kept, lambda, sizeof kept);
}

static void read_schedule(const char *text, tw_schedule *out)
{
    assert_int_equal(tw_piece_read(ctx, "schedule", text, tw_schedule_list, out), TW_OK);
}

static void test_one_point_goes_straight(void **state)
{
    (void)state;
    double lambda[ANGLES];
    bool degenerate;
    tw_schedule s = {0}, condot = {0};
    for (int k = 0; k < ANGLES; k++) lambda[k] = 1;
    assert_int_equal(tw_kinetic_schedule(ctx, lambda, &s, &degenerate), TW_OK);
    assert_false(degenerate);
    for (int64_t i = 0; i < s.count / 3; i++) { /* the rows themselves */
        const double *row = s.value + 3 * i;
        assert_true(fabs(row[1] - row[0]) < 1.1e-6 && fabs(row[2] - (1 - row[0])) < 1.1e-6);
    }
    double most = 0;
    for (double t = 0; t <= 1; t += 1.0 / 512) { /* and what is between them */
        tw_schedule_point p = tw_schedule_at(&s, t);
        most = fmax(most, fmax(fabs(p.alpha - t), fabs(p.sigma - (1 - t))));
    }
    print_message("between rows: %.2g\n", most);
    assert_true(most < 1e-4);
    read_schedule("condot", &condot);
    assert_true(fabs(tw_kinetic_energy(&condot, lambda) - 2) < 1e-6); /* int 1 + 1 dt */
    assert_true(fabs(tw_kinetic_energy(&s, lambda) - 2) < 1e-3);
    tw_piece_free(ctx, &s);
    tw_piece_free(ctx, &condot);
}

/* One Gaussian: lambda = s^2 / (1 + s^2), gamma = 0; along the circle its flow stands still. */
static void test_a_gaussian_is_degenerate(void **state)
{
    (void)state;
    double lambda[ANGLES], measured[ANGLES];
    tw_random random = {.seed = 1, .stream = 1};
    bool degenerate;
    tw_schedule s = {0}, cosine = {0};
    for (int i = 0; i < 2 * ROWS; i++) rows[i] = (float)tw_random_normal(&random);
    for (int k = 0; k < ANGLES; k++) lambda[k] = 1 / (1 + 1 / (ratio_at(k) * ratio_at(k)));
    assert_int_equal(tw_kinetic_separation(ctx, ROWS, 2, rows, 5, measured), TW_OK);
    for (int k = 0; k < ANGLES; k++) assert_true(fabs(measured[k] - lambda[k]) < 0.03);
    read_schedule("cosine", &cosine);
    assert_true(fabs(tw_kinetic_energy(&cosine, lambda)) < 1e-3);
    for (int own = 0; own < 2; own++) {
        assert_int_equal(tw_kinetic_schedule(ctx, own ? measured : lambda, &s, &degenerate), TW_OK);
        assert_true(degenerate);
        for (double t = 0; t <= 1; t += 1.0 / 64) {
            tw_schedule_point p = tw_schedule_at(&s, t), q = tw_schedule_at(&cosine, t);
            assert_true(fabs(p.alpha - q.alpha) < 1e-4 && fabs(p.sigma - q.sigma) < 1e-4);
        }
        tw_piece_free(ctx, &s);
    }
    tw_piece_free(ctx, &cosine);
}

static void test_separation_of_eight_gaussians(void **state)
{
    (void)state;
    double lambda[ANGLES], measured[ANGLES], again[ANGLES];
    tw_random random = {.seed = 2, .stream = 1};
    for (int i = 0; i < ROWS; i++) {
        double x1[2], x0[2];
        draw_pair(&random, x1, x0);
        for (int j = 0; j < 2; j++) rows[2 * i + j] = (float)x1[j];
    }
    exact_lambda(lambda);
    assert_int_equal(tw_kinetic_separation(ctx, ROWS, 2, rows, 5, measured), TW_OK);
    for (int k = 0; k < ANGLES; k++) {
        if (!(fabs(measured[k] - lambda[k]) < 0.03))
            fail_msg("lambda(%g) = %g, not %g", ratio_at(k), measured[k], lambda[k]);
        assert_true(k == 0 || measured[k] >= measured[k - 1]);
    }
    assert_int_equal(tw_kinetic_separation(ctx, ROWS, 2, rows, 5, again), TW_OK);
    assert_memory_equal(measured, again, sizeof again);
    /* a table of one row is a point */
    assert_int_equal(tw_kinetic_separation(ctx, 1, 2, rows, 5, again), TW_OK);
    for (int k = 0; k < ANGLES; k++) assert_true(again[k] == 1);
}

/* E|u|^2 / 2 over the marginals of a schedule, u = alpha' E[x_1 | x] + sigma' E[x_0 | x]. */
static double energy_by_force(const tw_schedule *s)
{
    enum { TIMES = 1000, DRAWS = 200 };
    tw_random random = {.seed = 7, .stream = 1};
    double sum = 0;
    for (int i = 0; i < TIMES; i++) {
        tw_schedule_point p = tw_schedule_at(s, (i + 0.5) / TIMES);
        for (int n = 0; n < DRAWS; n++) {
            double x1[2], x0[2], x[2], mean[2];
            draw_pair(&random, x1, x0);
            for (int j = 0; j < 2; j++) x[j] = p.alpha * x1[j] + p.sigma * x0[j];
            denoised(p.alpha, p.sigma, x, mean);
            for (int j = 0; j < 2; j++) {
                double u = p.d_alpha * mean[j] + p.d_sigma * (x[j] - p.alpha * mean[j]) / p.sigma;
                sum += u * u / (2.0 * TIMES * DRAWS);
            }
        }
    }
    return sum;
}

/* The paper's identity, and that nothing is below the kinetic schedule. Its order condot < cosine < vp is that of data
 * whose points are far apart (lambda = 1: many columns); in the plane the circle costs less than the line. */
static void test_energies(void **state)
{
    (void)state;
    const char *const others[] = {"condot", "cosine", "vp"};
    double lambda[ANGLES], energy[TW_COUNT(others) + 1];
    bool degenerate;
    exact_lambda(lambda);
    for (int k = 0; k <= TW_COUNT(others); k++) {
        tw_schedule s = {0};
        if (k == 0)
            assert_int_equal(tw_kinetic_schedule(ctx, lambda, &s, &degenerate), TW_OK);
        else
            read_schedule(others[k - 1], &s);
        energy[k] = tw_kinetic_energy(&s, lambda);
        double force = energy_by_force(&s);
        print_message("%s: energy %.4f, by force %.4f\n", k ? others[k - 1] : "kinetic", energy[k], force);
        assert_true(fabs(energy[k] - force) < (k == 3 ? 0.05 : 0.01) * force); /* vp moves fast where draws are few */
        tw_piece_free(ctx, &s);
    }
    assert_false(degenerate);
    for (int k = 1; k <= TW_COUNT(others); k++) assert_true(energy[0] < energy[k]);
    for (int k = 0; k < ANGLES; k++) lambda[k] = 1;
    for (int k = 1; k <= TW_COUNT(others); k++) {
        tw_schedule s = {0};
        read_schedule(others[k - 1], &s);
        energy[k] = tw_kinetic_energy(&s, lambda);
        tw_piece_free(ctx, &s);
    }
    assert_true(energy[1] < energy[2] && energy[2] < energy[3]);
    assert_true(fabs(energy[2] - half_pi * half_pi) < 1e-3);
}

static void test_unfitted_is_condot(void **state)
{
    (void)state;
    tw_schedule s = {0};
    read_schedule("kinetic", &s);
    assert_string_equal(s.text, "kinetic");
    assert_int_equal(tw_schedule_check(ctx, &s), TW_OK);
    tw_schedule_point p = tw_schedule_at(&s, 0.25);
    assert_true(p.alpha == 0.25 && p.sigma == 0.75 && p.d_alpha == 1 && p.d_sigma == -1);
    tw_piece_free(ctx, &s);
    read_schedule("kinetic:0,0,1,0.5,0.4,0.7,1,1,0", &s);
    assert_true(fabs(tw_schedule_at(&s, 0.5).alpha - 0.4) < 1e-12);
    tw_piece_free(ctx, &s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_point_goes_straight),
                                       cmocka_unit_test(test_a_gaussian_is_degenerate),
                                       cmocka_unit_test(test_separation_of_eight_gaussians),
                                       cmocka_unit_test(test_energies), cmocka_unit_test(test_unfitted_is_condot)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
