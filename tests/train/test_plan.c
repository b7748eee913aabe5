/* How long, how fast, and the loss as it went: all functions of the step that can be checked by hand. */
#include "train/curve.h"
#include "train/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_rate_with_given_steps(void **state)
{
    (void)state;
    tw_plan plan = tw_plan_make(10000, 0, 0, 1e-3);
    assert_int_equal(plan.warmup, 500);
    assert_true(fabs(tw_plan_rate(&plan, 0) - 1e-3 / 500) < 1e-12);
    assert_true(fabs(tw_plan_rate(&plan, 249) - 0.5e-3 * 0.5 * (1 + cos(M_PI * 0.0249))) < 1e-12);
    assert_true(fabs(tw_plan_rate(&plan, 5000) - 0.5e-3) < 1e-12);
    assert_true(tw_plan_rate(&plan, 9999) < 1e-10 && tw_plan_rate(&plan, 9999) > 0);
    tw_plan_revise(&plan, 100, 1e9); /* no budget: nothing to decide */
    assert_int_equal(plan.total, 10000);
    assert_int_equal(tw_plan_make(100, 0, 0, 1).warmup, 5);
    assert_int_equal(tw_plan_make(100, 0, 70, 1).warmup, 70);
}

/* Steps that take 1/speed seconds each, speed changing half way: how long does a budget of 100 s last? */
static double run(double early, double late, int64_t *out_steps)
{
    tw_plan plan = tw_plan_make(0, 100, 0, 1);
    double seconds = 0, last = 0, largest_jump = 0;
    int64_t step = 0;
    while (step < plan.total) {
        double fraction = tw_plan_fraction(&plan, step);
        assert_true(fraction >= last && fraction < 1);
        largest_jump = fmax(largest_jump, fraction - last);
        last = fraction;
        seconds += 1 / (seconds < 50 ? early : late);
        step++;
        tw_plan_revise(&plan, step, seconds);
        assert_true(step < 1000000);
    }
    assert_true(tw_plan_fraction(&plan, step) == 1);
    assert_true(largest_jump < 0.01); /* the line bends, it does not break */
    *out_steps = step;
    return seconds;
}

static void test_budget_is_kept(void **state)
{
    (void)state;
    int64_t steps;
    assert_true(fabs(run(60, 60, &steps) - 100) < 0.5);
    assert_true(steps > 5950 && steps < 6050);
    assert_true(fabs(run(60, 30, &steps) - 100) < 3);
    assert_true(fabs(run(20, 60, &steps) - 100) < 3);
    tw_plan slow = tw_plan_make(0, 10, 0, 1); /* a step longer than the first decision */
    tw_plan_revise(&slow, 5, 12);
    assert_int_equal(slow.total, 6);
}

static void test_average_decay(void **state)
{
    (void)state;
    assert_true(fabs(tw_average_decay(0.999, 1) - 0.1) < 1e-12);
    assert_true(fabs(tw_average_decay(0.999, 91) - 0.91) < 1e-12);
    assert_true(tw_average_decay(0.999, 1000000) == 0.999);
}

static void test_validations(void **state)
{
    (void)state;
    assert_int_equal(tw_validations_due(0), 0);
    assert_int_equal(tw_validations_due(1.0 / 320), 1);
    assert_int_equal(tw_validations_due(0.025), 4);
    assert_int_equal(tw_validations_due(0.5), 23);
    assert_int_equal(tw_validations_due(1), 43);
    for (double f = 0; f < 0.999; f += 0.001) assert_true(tw_validations_due(f + 0.001) >= tw_validations_due(f));
}

static void test_curve(void **state)
{
    (void)state;
    static tw_curve curve;
    assert_true(isnan(tw_curve_recent(&curve)));
    const int64_t steps = 10007;
    for (int64_t i = 0; i < steps; i++) tw_curve_add(&curve, (double)i);
    assert_int_equal(curve.seen, steps);
    assert_true(curve.count <= TW_CURVE_POINTS && curve.count > TW_CURVE_POINTS / 2 - 1);
    assert_true(fabs(tw_curve_recent(&curve) - ((double)steps - 50.5)) < 1e-9);
    for (int64_t i = 0; i < curve.count; i++) {
        /* of the line 0, 1, 2, ...: the mean of `stride` steps that end at step[i] */
        assert_true(fabs(curve.step[i] - (double)((i + 1) * curve.stride)) < 1e-9);
        assert_true(fabs(curve.loss[i] - (curve.step[i] - 0.5 * (double)(curve.stride + 1))) < 1e-9);
    }
}

/* Validations together cost a twentieth of the training, a row forwards counted as a third of one trained on. */
static void test_draws_of_slow_networks(void **state)
{
    (void)state;
    static const struct {
        int64_t steps;
        int batch;
    } cases[] = {{400, 128}, {4000, 64}, {1000, 256}, {30000, 32}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        int64_t draws = tw_validation_draws(cases[i].steps, cases[i].batch, 25, 1000000), times = 0, last = 0;
        for (int64_t step = 1, passed = 0; step <= cases[i].steps; step++) {
            int due = tw_validations_due((double)step / (double)cases[i].steps);
            if (due <= passed || (step < cases[i].steps && step < last + 25)) continue;
            passed = due;
            last = step;
            times++;
        }
        double share = (double)(times * draws) / 3 / (double)(cases[i].steps * cases[i].batch);
        assert_true(share > 0.03 && share < 0.055);
    }
    assert_int_equal(tw_validation_draws(2, 64, 25, 5000), 256); /* a few are needed to tell anything */
    assert_int_equal(tw_validation_draws(1000000, 512, 25, 5000), 5000);
    assert_int_equal(tw_validation_draws(2, 64, 25, 90), 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_with_given_steps),
        cmocka_unit_test(test_budget_is_kept),
        cmocka_unit_test(test_draws_of_slow_networks),
        cmocka_unit_test(test_average_decay),
        cmocka_unit_test(test_validations),
        cmocka_unit_test(test_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
