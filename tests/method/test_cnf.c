/* Likelihood of a continuous normalising flow through unrolled steps: of a linear field against the closed form, its
 * gradient against differences, estimated divergences against the exact one. */
#include "method/method.h"

#include "base/philox.h"
#include "graph/reference.h"
#include "support/context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 3, D = 2 };

static const double x1[B * D] = {0.5, -1, 2, 0.3, -0.7, 0.2}, a[D * D] = {0.8, 0, -0.5, -0.6}; /* a[input][output] */

/* u = x A + t b, A the matrix in user; b = (1, -1) */
static tw_val linear(void *user, tw_val x, tw_val t)
{
    const tw_val *matrix = user;
    tw_val s = tw_expand_dim(t, 1);
    return tw_add(tw_matmul(x, *matrix), tw_concat2(1, s, tw_neg(s)));
}

typedef struct fixture {
    tw_graph *g;
    tw_piece method, schedule;
    tw_val x1, z, matrix, loss; /* (B) */
} fixture;

static void open_fixture(tw_context *ctx, const char *text, int64_t rows, const char *source, fixture *f)
{
    tw_piece s = {0};
    *f = (fixture){0};
    assert_int_equal(tw_graph_create(ctx, &f->g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", text, tw_method_list, &f->method), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &f->schedule), TW_OK);
    for (int i = 0; tw_source_list(i); i++)
        if (strcmp(tw_source_list(i)->name, source) == 0) s.info = tw_source_list(i);
    f->x1 = tw_input(f->g, "x1", TW_DTYPE_F64, tw_shape_of(rows, D));
    f->z = tw_input(f->g, "z", TW_DTYPE_F64, tw_shape_of(rows, D));
    f->matrix = tw_input(f->g, "a", TW_DTYPE_F64, tw_shape_of(D, D));
    tw_model model = {
        .source = &s, .schedule = &f->schedule, .method = &f->method, .network = linear, .user = &f->matrix};
    const tw_method *method = (const tw_method *)f->method.info;
    f->loss = method->rules->row_loss(&model, &(tw_draws){.x1 = f->x1, .z = f->z});
}

static void close_fixture(tw_context *ctx, fixture *f)
{
    tw_piece_free(ctx, &f->method);
    tw_piece_free(ctx, &f->schedule);
    tw_graph_destroy(f->g);
}

static void run(tw_context *ctx, const fixture *f, const double *x, const double *z, const double *matrix, tw_val what,
                double *out)
{
    assert_int_equal(
        tw_reference_run(ctx, 3, (tw_val[]){f->x1, f->z, f->matrix}, (const double *[]){x, z, matrix}, 1, &what, &out),
        TW_OK);
}

/* Backwards from x(1): y = x2 solves y' = r y - t, x = x1 solves x' = p x + q y + t, integrated here by many small
 * steps of the midpoint rule, which is another method. */
static double by_small_steps(const double *x)
{
    enum { STEPS = 20000 };
    double u = x[0], v = x[1], h = -1.0 / STEPS;
    for (int n = 0; n < STEPS; n++) {
        double t = 1 + n * h, um = u + h / 2 * (a[0] * u + a[2] * v + t), vm = v + h / 2 * (a[3] * v - t);
        u += h * (a[0] * um + a[2] * vm + t + h / 2);
        v += h * (a[3] * vm - t - h / 2);
    }
    return log(2 * acos(-1)) + (u * u + v * v) / 2 + a[0] + a[3];
}

static void losses_are_likelihoods(void **state)
{
    tw_context *ctx = *state;
    double coarse[B], fine[B];
    fixture f, g;
    open_fixture(ctx, "cnf", B, "normal", &f);
    open_fixture(ctx, "cnf:16", B, "normal", &g);
    run(ctx, &f, x1, x1, a, f.loss, coarse);
    run(ctx, &g, x1, x1, a, g.loss, fine);
    for (int i = 0; i < B; i++) {
        double want = by_small_steps(x1 + D * i);
        assert_true(fabs(coarse[i] - want) < 1e-5); /* 8^-4 / 120 = 2e-6 times fifth derivatives */
        assert_true(fabs(fine[i] - want) < fabs(coarse[i] - want) / 12 + 1e-8); /* order 4; the small steps' own */
    }
    close_fixture(ctx, &f);
    close_fixture(ctx, &g);
}

static void gradients_are_those_of_the_steps(void **state)
{
    tw_context *ctx = *state;
    const double d = 1e-5;
    double slope[D * D], up[B], down[B];
    fixture f;
    open_fixture(ctx, "cnf:steps=3", B, "normal", &f);
    tw_val all = tw_sum_all(f.loss), gradient;
    assert_int_equal(tw_grad(all, 1, &f.matrix, &gradient), TW_OK);
    run(ctx, &f, x1, x1, a, gradient, slope);
    for (int k = 0; k < D * D; k++) {
        double moved[D * D], difference = 0;
        memcpy(moved, a, sizeof moved);
        moved[k] = a[k] + d;
        run(ctx, &f, x1, x1, moved, f.loss, up);
        moved[k] = a[k] - d;
        run(ctx, &f, x1, x1, moved, f.loss, down);
        for (int i = 0; i < B; i++) difference += (up[i] - down[i]) / (2 * d);
        assert_true(fabs(slope[k] - difference) < 1e-8 * (1 + fabs(difference)));
    }
    close_fixture(ctx, &f);
}

/* The adjoint equation is solved with an error of its own, of order 4 in the step. */
static void adjoint_gradients_agree_as_steps_shrink(void **state)
{
    tw_context *ctx = *state;
    static const char *const methods[][2] = {{"cnf:steps=4", "cnf:steps=4,adjoint=1"},
                                             {"cnf:steps=8,probe=1", "cnf:steps=8,probe=1,adjoint=1"}};
    double error[2] = {0}, loss[2][B], slope[2][D * D];
    for (int m = 0; m < 2; m++) {
        for (int k = 0; k < 2; k++) {
            fixture f;
            tw_val gradient;
            open_fixture(ctx, methods[m][k], B, "normal", &f);
            run(ctx, &f, x1, x1, a, f.loss, loss[k]);
            assert_int_equal(tw_grad(tw_mean_axis(f.loss, 0), 1, &f.matrix, &gradient), TW_OK);
            run(ctx, &f, x1, x1, a, gradient, slope[k]);
            close_fixture(ctx, &f);
        }
        assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
        for (int i = 0; i < D * D; i++) error[m] = fmax(error[m], fabs(slope[0][i] - slope[1][i]));
    }
    assert_true(error[0] > 0 && error[0] < 1e-3 && error[1] < error[0] / 12);
}

/* v' A v over random signs: the trace and, off the diagonal, q v1 v2, of mean 0 and variance q^2. */
static void estimates_are_unbiased(void **state)
{
    enum { MANY = 4000 };
    static double x[MANY * D], z[MANY * D], loss[MANY];
    tw_context *ctx = *state;
    tw_random random = {.seed = 5, .stream = 77};
    double exact[B], mean = 0, square = 0;
    fixture f, g;
    open_fixture(ctx, "cnf", B, "normal", &f);
    open_fixture(ctx, "cnf:probe=1", MANY, "normal", &g);
    run(ctx, &f, x1, x1, a, f.loss, exact);
    for (int i = 0; i < MANY * D; i++) {
        x[i] = x1[i % D];
        z[i] = tw_random_normal(&random);
    }
    run(ctx, &g, x, z, a, g.loss, loss);
    for (int i = 0; i < MANY; i++) {
        mean += (loss[i] - exact[0]) / MANY;
        square += (loss[i] - exact[0]) * (loss[i] - exact[0]) / MANY;
    }
    assert_true(fabs(square - 0.25) < 1e-10); /* q^2: the two values are q above and below */
    assert_true(fabs(mean) < 4 * 0.5 / sqrt(MANY));
    close_fixture(ctx, &f);
    close_fixture(ctx, &g);
}

static void a_source_without_density_is_refused(void **state)
{
    tw_context *ctx = *state;
    fixture f;
    open_fixture(ctx, "cnf", B, "data", &f);
    assert_int_equal(tw_graph_check(f.g), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(ctx), "density"));
    close_fixture(ctx, &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_likelihoods),
        cmocka_unit_test(gradients_are_those_of_the_steps),
        cmocka_unit_test(adjoint_gradients_agree_as_steps_shrink),
        cmocka_unit_test(estimates_are_unbiased),
        cmocka_unit_test(a_source_without_density_is_refused),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
