/* Grids of sampling times: values of other libraries, where theirs are right, and bad input. */
#include "path/grid.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static tw_context *ctx;
static tw_schedule condot, vp;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return !ctx || tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &condot) != TW_OK ||
           tw_piece_read(ctx, "schedule", "vp", tw_schedule_list, &vp) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_piece_free(ctx, &condot);
    tw_piece_free(ctx, &vp);
    tw_context_destroy(ctx);
    return 0;
}

/* The grid of `text` in t[]; the number of times, 0 after a failure. */
static int64_t grid(const char *text, const tw_schedule *schedule, int64_t steps, int64_t columns, double *t)
{
    tw_piece piece;
    double *times = NULL;
    int64_t count = 0;
    tw_grid_desc desc = {.schedule = schedule, .steps = steps, .columns = columns};
    tw_schedule_interval(schedule, &desc.low, &desc.high);
    if (tw_piece_read(ctx, "grid", text, tw_grid_list, &piece) != TW_OK) return 0;
    if (tw_grid_make(ctx, &piece, &desc, &count, &times) == TW_OK)
        memcpy(t, times, (size_t)count * sizeof(double));
    else
        count = 0;
    tw_free(ctx, times);
    tw_piece_free(ctx, &piece);
    return count;
}

/* flow_matching's image example, 8 points and the end; its first time is 0.0123, where this one is the source's. */
static void test_edm(void **state)
{
    (void)state;
    const double want[] = {0.01234568, 0.02778381, 0.06803381, 0.17739697,
                           0.43732781, 0.78896997, 0.96600937, 0.99800399};
    double t[16];
    assert_int_equal(grid("edm", &condot, 8, 2, t), 9);
    assert_true(t[0] == 0 && t[8] == 1);
    for (int i = 1; i < 8; i++) assert_true(fabs(t[i] - want[i]) < 1e-8);
    /* the same ratios along another schedule */
    assert_int_equal(grid("edm", &vp, 8, 2, t), 9);
    for (int i = 1; i < 8; i++) {
        tw_schedule_point at = tw_schedule_at(&vp, t[i]);
        assert_true(fabs(at.alpha / (at.alpha + at.sigma) - want[i]) < 1e-8);
    }
    assert_true(t[8] == 1 - TW_SCHEDULE_MARGIN);
}

/* diffusers' FlowMatchEulerDiscreteScheduler shifts twice when it makes the grid itself: with shift 3 its noise levels
 * of 1, 0.667, 0.334, 0.001 become 1, 0.857692, 0.602151, 0.008929. Once is 1, 0.857326, 0.600719, 0.002994. */
static void test_shift_is_applied_once(void **state)
{
    (void)state;
    double t[1001];
    assert_int_equal(grid("shift:3", &condot, 1000, 2, t), 1001);
    const double want[] = {1, 0.857326, 0.600719, 0.002994};
    const int at[] = {0, 333, 666, 999};
    for (int i = 0; i < 4; i++) assert_true(fabs(1 - t[at[i]] - want[i]) < 1e-6);
    assert_int_equal(grid("shift:1", &condot, 4, 2, t), 5); /* no shift */
    for (int i = 0; i < 5; i++) assert_true(fabs(t[i] - 0.25 * i) < 1e-15);
}

/* mu(256) = 0.5, mu(1024) = 0.63, mu(4096) = 1.15; noise 0.5 shifted by mu 0.5 and 1.15 is 0.622459 and 0.759511. */
static void test_dynamic_shift(void **state)
{
    (void)state;
    double t[3];
    assert_int_equal(grid("dynamic", &condot, 2, 256, t), 3);
    assert_true(fabs(1 - t[1] - 0.622459) < 1e-6);
    assert_int_equal(grid("dynamic", &condot, 2, 4096, t), 3);
    assert_true(fabs(1 - t[1] - 0.759511) < 1e-6);
    assert_int_equal(grid("dynamic", &condot, 2, 1024, t), 3);
    assert_true(fabs(1 - t[1] - 1 / (1 + exp(-0.63))) < 1e-12);
}

static void test_given_times(void **state)
{
    (void)state;
    double t[8];
    assert_int_equal(grid("at:0,0.1,0.5,1", &condot, 0, 2, t), 4);
    assert_true(t[0] == 0 && t[1] == 0.1 && t[2] == 0.5 && t[3] == 1);
    const struct {
        const char *text, *says;
    } bad[] = {{"at:0.1,1", "from 0 to 1"},
               {"at:0", "from 0 to 1"},
               {"at:0,0.5,0.5,1", "time 3 is 0.5 after 0.5"},
               {"at:0,2", "times is '2'"},
               {"at", "it needs numbers"},
               {"at:0,x,1", "times is 'x'"},
               {"shift:0", "s is '0'"},
               {"shift:1,2", "no parameter"},
               {"shfit", "did you mean 'shift'"},
               {"edm:rho=x", "rho is 'x', expected a number from 0.1 to 100"}};
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_equal(grid(bad[i].text, &condot, 4, 2, t), 0);
        if (!strstr(tw_context_error(ctx), bad[i].says)) fail_msg("%s: %s", bad[i].text, tw_context_error(ctx));
    }
}

static void test_all_grow(void **state)
{
    (void)state;
    double t[65];
    for (int i = 0; tw_grid_list(i); i++) {
        if (tw_grid_list(i)->parameters->many) continue;
        for (int64_t steps = 1; steps <= 64; steps *= 2) {
            assert_int_equal(grid(tw_grid_list(i)->name, &condot, steps, 10, t), steps + 1);
            assert_true(t[0] == 0 && t[steps] == 1);
            for (int64_t j = 0; j < steps; j++) assert_true(t[j] < t[j + 1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edm),           cmocka_unit_test(test_shift_is_applied_once),
        cmocka_unit_test(test_dynamic_shift), cmocka_unit_test(test_given_times),
        cmocka_unit_test(test_all_grow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
