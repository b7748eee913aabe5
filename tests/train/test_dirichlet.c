/* Flows of shares along Dirichlet laws: corners are learned, in their frequencies; what is no simplex is refused. */
#include "support/own_context.h"

#include <thalweg/data.h>
#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/flow_checks.h"

enum { K = 3 };

static void corners_are_learned(void **state)
{
    (void)state;
    enum { ROWS = 5000, DRAWN = 4000 };
    static double rows[ROWS * K], drawn[DRAWN * K];
    const double share[K] = {0.5, 0.3, 0.2};
    tw_flow *flow = NULL;
    tw_dataset *set = NULL;
    for (int i = 0; i < ROWS; i++) rows[K * i + (i % 10 < 5 ? 0 : i % 10 < 8 ? 1 : 2)] = 1;
    check(tw_dataset_from_memory(ctx, ROWS, K, rows, NULL, NULL, &set));
    const tw_flow_desc desc = {
        .space = "simplex", .method = "dirichlet", .columns = K, .network = {.width = 32, .depth = 2}};
    check(tw_flow_create(ctx, &desc, &flow));
    check(tw_train(flow, set, &(tw_train_desc){.steps = 600, .batch = 256, .lr = 0.005}, NULL));
    check(tw_sample(flow, DRAWN, &(tw_sample_desc){.solver = {.steps = 50}, .seed = 2}, drawn, NULL, NULL));
    double found[K] = {0}, sharp = 0;
    for (int i = 0; i < DRAWN; i++) {
        const double *x = drawn + (ptrdiff_t)K * i;
        int most = x[0] > x[1] ? (x[0] > x[2] ? 0 : 2) : (x[1] > x[2] ? 1 : 2);
        assert_true(fabs(x[0] + x[1] + x[2] - 1) < 1e-5 && x[0] >= 0 && x[1] >= 0 && x[2] >= 0);
        found[most] += 1.0 / DRAWN;
        sharp += (x[most] > 0.95) / (double)DRAWN;
    }
    for (int k = 0; k < K; k++) assert_true(fabs(found[k] - share[k]) < 0.05);
    assert_true(sharp > 0.9);
    tw_flow_destroy(flow);
    tw_dataset_destroy(set);
}

static void others_are_refused(void **state)
{
    (void)state;
    refused(&(tw_flow_desc){.method = "dirichlet", .columns = 3}, "source 'shares' is of manifolds");
    refused(&(tw_flow_desc){.method = "dirichlet", .source = "normal", .columns = 3},
            "'dirichlet' takes shares, not all");
    refused(&(tw_flow_desc){.method = "dirichlet", .space = "torus", .columns = 3},
            "'dirichlet' takes shares, not all");
    refused(&(tw_flow_desc){.space = "sphere", .source = "shares", .columns = 2},
            "source 'shares' takes shares, not all");
    refused(&(tw_flow_desc){.space = "simplex*3 + torus*1", .method = "dirichlet", .columns = 4}, "takes shares");
    refused(&(tw_flow_desc){.space = "tokens:3", .source = "shares", .columns = 2}, "source 'shares'");
    tw_flow *flow = NULL;
    check(tw_flow_create(ctx, &(tw_flow_desc){.space = "simplex*3 + simplex*4", .method = "dirichlet", .columns = 7},
                         &flow));
    tw_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corners_are_learned),
        cmocka_unit_test(others_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
