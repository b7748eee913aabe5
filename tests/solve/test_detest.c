/* The classic set of non-stiff problems at 1e-6, beside what torchdiffeq's dopri5 takes and misses. */
#include "solve/detest.h"

#include "base/base.h"
#include "support/own_context.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct outcome {
    double error, scaled; /* largest of a column, and over 1 + |y| */
    int64_t nfe;
} outcome;

static outcome solve(const detest *p, const char *method, double tolerance)
{
    double y[DETEST_COLUMNS];
    tw_ode_stats stats;
    outcome o = {0};
    tw_ode_desc desc = {.method = method, .t1 = 20, .rtol = tolerance, .atol = tolerance};
    detest_start(p, y);
    assert_int_equal(tw_ode_solve(ctx, &desc, detest_field, (void *)(uintptr_t)p, 1, p->columns, y, &stats), TW_OK);
    for (int c = 0; c < p->columns; c++) {
        o.error = fmax(o.error, fabs(y[c] - p->end[c]));
        o.scaled = fmax(o.scaled, fabs(y[c] - p->end[c]) / (1 + fabs(p->end[c])));
    }
    o.nfe = stats.nfe;
    return o;
}

/* Fewer evaluations than the peer's over the set, with half its error in the geometric mean; the global error is within
 * 50 tolerances but for five orbits and Duffing's equation, where neither is: no method of order 5 gets there with so
 * few evaluations. */
static void dopri5_is_no_worse_than_the_peer(void **state)
{
    (void)state;
    const double tolerance = 1e-6;
    int64_t ours = 0, theirs = 0, outside = 0;
    double ratio = 0;
    for (int i = 0; i < DETEST_PROBLEMS; i++) {
        const detest *p = &detest_problems[i];
        outcome o = solve(p, "dopri5", tolerance);
        ours += o.nfe;
        theirs += p->peer_nfe;
        ratio += log(o.error / p->peer_error) / DETEST_PROBLEMS;
        assert_true((double)o.nfe <= 1.15 * (double)p->peer_nfe);
        if (o.scaled <= 50 * tolerance) continue;
        outside++;
        assert_true(p->peer_error > 50 * tolerance && o.error < 3 * p->peer_error);
    }
    print_message("%lld evaluations, the peer %lld; errors %.2f of its in the mean; %lld beyond 50 tolerances\n",
                  (long long)ours, (long long)theirs, exp(ratio), (long long)outside);
    assert_true(ours <= theirs);
    assert_true(exp(ratio) < 0.5);
    assert_true(outside <= 6);
}

static void every_problem_is_solved_to_tolerance_by_dopri8(void **state)
{
    (void)state;
    int64_t nfe = 0;
    for (int i = 0; i < DETEST_PROBLEMS; i++) {
        outcome o = solve(&detest_problems[i], "dopri8", 1e-7);
        nfe += o.nfe;
        assert_true(o.scaled <= 50 * 1e-6);
    }
    print_message("dopri8 at 1e-7: %lld evaluations\n", (long long)nfe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dopri5_is_no_worse_than_the_peer),
        cmocka_unit_test(every_problem_is_solved_to_tolerance_by_dopri8),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
