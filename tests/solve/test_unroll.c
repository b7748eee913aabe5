/* Solutions unrolled as graphs: their gradients against the tape's, second derivatives against differences of first
 * ones, and what a field may use of the graph it stands in. */
#include "solve/bent.h"

#include "graph/reference.h"
#include "support/context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 3, SIZE = ROWS * COLUMNS, STEPS = 7 };

static double theta[PARAMS];

/* x' = theta0 tanh(theta1 y + sin 3t) - theta2 x, y' = cos(x) y - x^2 / 4 + t, of x (ROWS,2); user is theta */
static void bent_graph(void *user, tw_val t, const tw_val *states, tw_val *out)
{
    const tw_val *p = user;
    tw_val u = tw_slice(states[0], 1, 0, 1), v = tw_slice(states[0], 1, 1, 2), half_pi = tw_full_like(u, acos(-1) / 2);
    tw_val wave = tw_sin(tw_muls(t, 3)), cosine = tw_sin(tw_add(u, half_pi));
    tw_val du = tw_sub(tw_mul(p[0], tw_tanh(tw_add(tw_mul(p[1], v), wave))), tw_mul(p[2], u));
    tw_val dv = tw_add(tw_sub(tw_mul(cosine, v), tw_muls(tw_square(u), 0.25)), t);
    out[0] = tw_concat2(1, du, dv);
}

typedef struct problem {
    tw_graph *g;
    tw_val x, params[PARAMS], loss;
} problem;

/* sum of squares of the end over 2 */
static problem make(tw_context *ctx, const char *method, int64_t segment)
{
    problem p = {0};
    tw_val end;
    assert_int_equal(tw_graph_create(ctx, &p.g), TW_OK);
    p.x = tw_input(p.g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
    for (int i = 0; i < PARAMS; i++) p.params[i] = tw_input(p.g, "theta", TW_DTYPE_F64, TW_SCALAR);
    tw_ode_unroll_desc desc = {.method = method,
                               .t0 = 0.2,
                               .t1 = 1.3,
                               .steps = STEPS,
                               .segment = segment,
                               .states_count = 1,
                               .field = bent_graph,
                               .user = p.params};
    tw_ode_unroll(p.g, &desc, &p.x, &end);
    p.loss = tw_muls(tw_sum_all(tw_square(end)), 0.5);
    if (tw_graph_check(p.g) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return p;
}

static void run(tw_context *ctx, const problem *p, const double *x, const double *params, tw_val extra,
                const double *direction, int count, const tw_val *outputs, double *const *results)
{
    tw_val inputs[PARAMS + 2] = {p->x, p->params[0], p->params[1], p->params[2], extra};
    const double *values[PARAMS + 2] = {x, &params[0], &params[1], &params[2], direction};
    assert_int_equal(tw_reference_run(ctx, PARAMS + 1 + (direction != NULL), inputs, values, count, outputs, results),
                     TW_OK);
}

static void start(double *x)
{
    bent_parameters(theta);
    for (int i = 0; i < SIZE; i++) x[i] = sin(2.0 * i + 1);
}

static double worst(int count, const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs(a[i] - b[i]) / (1 + fabs(b[i])));
    return most;
}

static void gradients_are_those_of_the_tape(void **state)
{
    tw_context *ctx = *state;
    const tw_ode_method_info *m;
    const tw_ode_equation equation = {
        .columns = COLUMNS, .params = PARAMS, .field = bent, .vjp = bent_vjp, .user = theta};
    for (int i = 0; (m = tw_ode_method_list(i)); i++) {
        char error[256];
        double x[SIZE], a[SIZE], dparams[PARAMS] = {0}, x0[SIZE], dx[SIZE], dp[PARAMS];
        tw_ode_tape *tape = NULL;
        tw_ode_desc desc = {.method = m->name, .t0 = 0.2, .t1 = 1.3, .steps = STEPS};
        start(x0);
        memcpy(x, x0, sizeof x);
        if (tw_ode_tape_create(ctx, &desc, &equation, ROWS, 0, &tape) != TW_OK) continue; /* not explicit */
        assert_int_equal(tw_ode_tape_run(tape, ROWS, x, NULL, NULL, error, sizeof error), TW_OK);
        memcpy(a, x, sizeof a);
        assert_int_equal(tw_ode_tape_gradient(tape, NULL, a, dparams, NULL, error, sizeof error), TW_OK);
        tw_ode_tape_destroy(tape);

        problem p = make(ctx, m->name, i % 2 ? 3 : 0);
        tw_val wrt[PARAMS + 1] = {p.x, p.params[0], p.params[1], p.params[2]}, slopes[PARAMS + 1];
        assert_int_equal(tw_grad(p.loss, PARAMS + 1, wrt, slopes), TW_OK);
        run(ctx, &p, x0, theta, TW_NONE, NULL, PARAMS + 1, slopes, (double *[]){dx, &dp[0], &dp[1], &dp[2]});
        assert_true(worst(SIZE, dx, a) < 1e-12);
        assert_true(worst(PARAMS, dp, dparams) < 1e-12);
        tw_graph_destroy(p.g);
    }
}

/* Hessian times a direction against differences of gradients along it. */
static void derivatives_of_second_order(void **state)
{
    tw_context *ctx = *state;
    const double d = 1e-5;
    double x[SIZE], up[SIZE], down[SIZE], product[SIZE], v[SIZE], moved[SIZE];
    problem p = make(ctx, "rk4", 0);
    start(x);
    for (int i = 0; i < SIZE; i++) v[i] = cos(i);
    tw_val slope, curved, direction = tw_input(p.g, "v", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
    assert_int_equal(tw_grad(p.loss, 1, &p.x, &slope), TW_OK);
    assert_int_equal(tw_hvp(p.loss, 1, &p.x, &direction, &curved), TW_OK);
    run(ctx, &p, x, theta, direction, v, 1, &curved, (double *[]){product});
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < SIZE; i++) moved[i] = x[i] + side * d * v[i];
        run(ctx, &p, moved, theta, TW_NONE, NULL, 1, &slope, (double *[]){side > 0 ? up : down});
    }
    for (int i = 0; i < SIZE; i++) up[i] = (up[i] - down[i]) / (2 * d);
    assert_true(worst(SIZE, product, up) < 1e-8); /* rounding 1e-16 / d and d^2 times fourth derivatives */
    tw_graph_destroy(p.g);
}

static void refusals(void **state)
{
    tw_context *ctx = *state;
    const struct {
        tw_ode_unroll_desc desc;
        const char *words;
    } wrong[] = {{{.method = "explicit_adams", .states_count = 1}, "explicit_adams"},
                 {{.method = "rk5", .states_count = 1}, "rk4"},
                 {{.states_count = 129}, "1 to 128 states"}};
    for (int i = 0; i < (int)(sizeof wrong / sizeof *wrong); i++) {
        tw_graph *g = NULL;
        tw_val out[129], x[129];
        assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
        for (int k = 0; k < 129; k++) x[k] = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(ROWS, COLUMNS));
        tw_ode_unroll(g, &wrong[i].desc, x, out);
        assert_int_not_equal(tw_graph_check(g), TW_OK);
        assert_non_null(strstr(tw_context_error(ctx), wrong[i].words));
        tw_graph_destroy(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_tape),
        cmocka_unit_test(derivatives_of_second_order),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
