/* Flow matching: its loss against plain arithmetic, and the theorem it rests on - where the marginal velocity is known
 * in closed form, it is where the expected loss has no slope. */
#include "method/method.h"

#include "base/philox.h"
#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const tw_space plane = {.flat = true};

static tw_context *ctx;
static tw_graph *graph;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return tw_graph_create(ctx, &graph) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_graph_destroy(graph);
    tw_context_destroy(ctx);
    return 0;
}

static const tw_method *fm(void)
{
    for (int i = 0; tw_method_list(i); i++)
        if (strcmp(tw_method_list(i)->name, "fm") == 0) return (const tw_method *)tw_method_list(i);
    fail_msg("no method fm");
    return NULL;
}

static tw_model model_with(tw_val (*network)(void *, tw_val, tw_val), void *user)
{
    static const tw_schedule condot = {.row = 0};
    return (tw_model){.space = &plane,
                      .source = &(tw_piece){.info = tw_source_list(0)},
                      .path = (const tw_path *)tw_path_list(0),
                      .schedule = &condot,
                      .network = network,
                      .user = user};
}

/* u = 2 x + t */
static tw_val affine_network(void *user, tw_val x, tw_val t)
{
    (void)user;
    return tw_add(tw_muls(x, 2), tw_expand_dim(t, 1));
}

static void test_loss_values(void **state)
{
    (void)state;
    enum { B = 3, D = 2 };
    double x0[B * D] = {0.5, -1, 2, 0, 1, 1}, x1[B * D] = {1, 3, -2, 0.5, 0, -1}, t[B] = {0, 0.25, 1}, loss[B];
    tw_model model = model_with(affine_network, NULL);
    tw_val in[3] = {tw_input(graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
    tw_val out = fm()->rules->row_loss(&model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2]});
    assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){x0, x1, t}, 1, &out, (double *[]){loss}), TW_OK);
    for (int i = 0; i < B; i++) {
        double want = 0;
        for (int j = 0; j < D; j++) {
            double xt = t[i] * x1[i * D + j] + (1 - t[i]) * x0[i * D + j];
            double error = 2 * xt + t[i] - (x1[i * D + j] - x0[i * D + j]);
            want += error * error / D;
        }
        assert_true(fabs(loss[i] - want) < 1e-13);
    }
}

/* N(0,1) to N(2, 0.25) along condot: u = 2 + g(t) (x - 2 t), plus a perturbation a + b (x - 2 t) that should not pay.
 */
static tw_val oracle_network(void *user, tw_val x, tw_val t)
{
    tw_val *ab = user;
    tw_val time = tw_expand_dim(t, 1), s = tw_adds(tw_neg(time), 1);
    tw_val variance = tw_add(tw_square(s), tw_muls(tw_square(time), 0.25));
    tw_val slope = tw_div(tw_sub(tw_muls(time, 0.25), s), variance);
    tw_val centred = tw_sub(x, tw_muls(time, 2));
    return tw_add(tw_adds(tw_mul(slope, centred), 2), tw_add(ab[0], tw_mul(ab[1], centred)));
}

static void test_marginal_velocity_is_the_minimum(void **state)
{
    (void)state;
    enum { B = 40000 };
    static double x0[B], x1[B], t[B];
    tw_random random = {.seed = 3, .stream = 99};
    for (int i = 0; i < B; i++) {
        x0[i] = tw_random_normal(&random);
        x1[i] = 2 + 0.5 * tw_random_normal(&random);
        t[i] = (i + 0.5) / B;
    }
    tw_val ab[2] = {tw_input(graph, "a", TW_DTYPE_F64, TW_SCALAR), tw_input(graph, "b", TW_DTYPE_F64, TW_SCALAR)};
    tw_model model = model_with(oracle_network, ab);
    tw_val in[5] = {tw_input(graph, "x0", TW_DTYPE_F64, tw_shape_of(B, 1)),
                    tw_input(graph, "x1", TW_DTYPE_F64, tw_shape_of(B, 1)),
                    tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B)), ab[0], ab[1]};
    tw_val loss = tw_mean_axis(fm()->rules->row_loss(&model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2]}), 0),
           slope[2];
    assert_int_equal(tw_grad(loss, 2, ab, slope), TW_OK);
    double zero = 0, off = 0.2, da, db;
    const double *values[5] = {x0, x1, t, &zero, &zero};
    double *results[2] = {&da, &db};
    assert_int_equal(tw_reference_run(ctx, 5, in, values, 2, slope, results), TW_OK);
    /* 2 E[(u - u_t) (1 | x - 2t)]: standard errors 2 sqrt(0.5 / B) and less; four of them */
    assert_true(fabs(da) < 0.03 && fabs(db) < 0.03);
    values[3] = &off;
    assert_int_equal(tw_reference_run(ctx, 5, in, values, 2, slope, results), TW_OK);
    assert_true(fabs(da - 2 * off) < 0.03); /* away from it there is one: 2 a */
}

static void test_velocity_is_the_network(void **state)
{
    (void)state;
    tw_model model = model_with(affine_network, NULL);
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(2, 2)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(2));
    assert_int_equal(tw_method_velocity(fm(), &model, x, t).id, affine_network(NULL, x, t).id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loss_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marginal_velocity_is_the_minimum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_velocity_is_the_network, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
