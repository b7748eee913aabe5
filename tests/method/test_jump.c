/* Jumps and a flow learned together: the loss by hand, least where the rates are those of the path, and what solvers
 * are given. */
#include "method/method.h"

#include "graph/reference.h"
#include "path/jump_kernel.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 3, D = 2, HEADS = 2 + TW_JUMP_BINS };

static const tw_space plane = {.flat = true};
static const double x0[B * D] = {2.5, -1, 0.3, -2.3, 1, 1.8}, x1[B * D] = {1, 0.3, -2, 0.5, 0.4, -1},
                           t[B] = {0.1, 0.6, 0.95};

/* Whatever it is asked: the B answers of user, (HEADS D) each. */
static tw_val says(void *user, tw_val x, tw_val time)
{
    (void)time;
    return tw_const_data(x.graph, TW_DTYPE_F64, tw_shape_of(B, HEADS * D), user);
}

/* x as softplus of the result. */
static double before_softplus(double x)
{
    return log(expm1(x));
}

/* Rates of the path, `off` times too large, lengths tilted by `tilt`. */
static void answer(double off, double tilt, double *out)
{
    double mass[TW_JUMP_BINS];
    for (int i = 0; i < B; i++)
        for (int j = 0; j < D; j++) {
            double u = x0[i * D + j], z = x1[i * D + j], *row = out + i * HEADS * D;
            tw_jump_kernel_masses(u, z, mass);
            row[j] = z - u;
            row[D + j] = before_softplus(fmax(off * tw_jump_kernel_intensity(u, z), 1e-8));
            for (int b = 0; b < TW_JUMP_BINS; b++)
                row[2 * D + j * TW_JUMP_BINS + b] = log(fmax(mass[b], 1e-20)) + tilt * b;
        }
}

static void losses(double *said, double loss[B], double *jumps)
{
    tw_graph *g = NULL;
    tw_piece schedule = {0}, path = {0};
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "path", "affine", tw_path_list, &path), TW_OK);
    tw_model model = {
        .space = &plane, .path = (const tw_path *)path.info, .schedule = &schedule, .network = says, .user = said};
    tw_val in[3] = {tw_input(g, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(g, "x1", TW_DTYPE_F64, tw_shape_of(B, D)), tw_input(g, "t", TW_DTYPE_F64, tw_shape_of(B))};
    tw_val out[2] = {tw_method_jump.row_loss(&model, &(tw_draws){.x0 = in[0], .x1 = in[1], .t = in[2]}),
                     tw_method_jump.jumps(&model, in[0], in[2])};
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){x0, x1, t}, 2, out, (double *[]){loss, jumps}),
                     TW_OK);
    tw_piece_free(ctx, &schedule);
    tw_piece_free(ctx, &path);
    tw_graph_destroy(g);
}

/* Sum over bins of q p_b - k J_b log(q p_b), and the flow's error, which is 0 or 1. */
static void loss_by_hand(void **state)
{
    (void)state;
    static double said[B * HEADS * D], jumps[B * HEADS * D];
    double loss[B], mass[TW_JUMP_BINS];
    answer(1.7, 0.02, said);
    said[0] += 1; /* of one velocity */
    losses(said, loss, jumps);
    for (int i = 0; i < B; i++) {
        double want = i == 0 ? 0.5 : 0;
        for (int j = 0; j < D; j++) {
            double k = tw_jump_kernel_intensity(x0[i * D + j], x1[i * D + j]), sum = 0;
            const double *row = said + i * HEADS * D, *logits = row + 2 * D + j * TW_JUMP_BINS;
            double q = log1p(exp(row[D + j]));
            tw_jump_kernel_masses(x0[i * D + j], x1[i * D + j], mass);
            for (int b = 0; b < TW_JUMP_BINS; b++) sum += exp(logits[b]);
            for (int b = 0; b < TW_JUMP_BINS; b++) {
                double rate = q * exp(logits[b]) / sum;
                want += (rate - k * mass[b] * log(rate + 1e-300)) / D;
            }
            assert_true(fabs(jumps[i * HEADS * D + D + j] - q) < 1e-12);
        }
        assert_true(fabs(loss[i] - want) < 1e-6); /* the logarithm's argument is 1e-9 off */
        assert_memory_equal(jumps + i * HEADS * D, said + i * HEADS * D, D * sizeof(double));
    }
}

static void least_at_the_rates_of_the_path(void **state)
{
    (void)state;
    static double said[B * HEADS * D], jumps[B * HEADS * D];
    const double wrong[][2] = {{1.1, 0}, {0.9, 0}, {1, 0.01}, {1, -0.01}};
    double least[B], loss[B];
    answer(1, 0, said);
    losses(said, least, jumps);
    for (int k = 0; k < 4; k++) {
        answer(wrong[k][0], wrong[k][1], said);
        losses(said, loss, jumps);
        double more = 0;
        for (int i = 0; i < B; i++) assert_true(loss[i] > least[i] - 1e-7), more += loss[i] - least[i];
        assert_true(more > 1e-4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loss_by_hand),
                                       cmocka_unit_test(least_at_the_rates_of_the_path)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
