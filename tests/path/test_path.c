/* Every path with every schedule: exact ends, a velocity that is the derivative of the point, and known values. */
#include "path/path.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 5, D = 3 };

static tw_context *ctx;
static tw_graph *graph;
static double x0[B * D], x1[B * D];
static const tw_space space = {.flat = true, .columns = D, .numbers = D, .features = D, .outputs = D, .dims = D};

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    for (int i = 0; i < B * D; i++) {
        x0[i] = sin(1.3 * i + 0.2);
        x1[i] = 3 * cos(0.7 * i);
    }
    return tw_graph_create(ctx, &graph) != TW_OK;
}

static int teardown(void **state)
{
    (void)state;
    tw_graph_destroy(graph);
    tw_context_destroy(ctx);
    return 0;
}

static void evaluate(const tw_path *path, const tw_schedule *schedule, const double *t, double *xt, double *ut)
{
    tw_val in[3] = {tw_input(graph, "x0", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "x1", TW_DTYPE_F64, tw_shape_of(B, D)),
                    tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B))};
    tw_val out[2];
    tw_path_at(path, &space, schedule, in[0], in[1], in[2], &out[0], &out[1]);
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 3, in, (const double *[]){x0, x1, t}, 2, out, (double *[]){xt, ut}), TW_OK);
}

static void check_pair(const tw_path *path, const tw_schedule *schedule)
{
    double t[B], xt[B * D], ut[B * D], before[B * D], after[B * D], unused[B * D];
    for (int end = 0; end < 2; end++) {
        tw_schedule_point at = tw_schedule_at(schedule, end);
        for (int i = 0; i < B; i++) t[i] = end;
        evaluate(path, schedule, t, xt, ut);
        for (int i = 0; i < B * D; i++) assert_true(xt[i] == at.alpha * x1[i] + at.sigma * x0[i]);
        if (end == 1) assert_true(at.alpha == 1);
    }
    for (int i = 0; i < B; i++) t[i] = 0.05 + 0.88 * i / (B - 1); /* not the middle, where paths may bend */
    evaluate(path, schedule, t, xt, ut);
    const double h = 1e-5; /* central differences: error h^2 f''' / 6 + 1e-16 / h, about 1e-10 */
    for (int i = 0; i < B; i++) t[i] -= h;
    evaluate(path, schedule, t, before, unused);
    for (int i = 0; i < B; i++) t[i] += 2 * h;
    evaluate(path, schedule, t, after, unused);
    for (int i = 0; i < B * D; i++)
        assert_true(fabs((after[i] - before[i]) / (2 * h) - ut[i]) < 1e-7 * fmax(1, fabs(ut[i])));
}

static void test_all_pairs(void **state)
{
    (void)state;
    int pairs = 0;
    for (int i = 0; tw_path_list(i); i++)
        for (int j = 0; tw_schedule_list(j); j++, pairs++) {
            tw_schedule schedule;
            const tw_piece_parameter *p = tw_schedule_list(j)->parameters;
            const tw_path *path = (const tw_path *)tw_path_list(i);
            /* only the affine path minds the schedule; those of tokens and sequences have no point */
            if ((p && p->many) || (i > 0 && j > 0) || !path->point) continue;
            assert_int_equal(tw_piece_read(ctx, "schedule", tw_schedule_list(j)->name, tw_schedule_list, &schedule),
                             TW_OK);
            check_pair(path, &schedule);
            tw_piece_free(ctx, &schedule);
        }
    assert_true(pairs > 0);
}

static void test_condot_values(void **state)
{
    (void)state;
    double t[B] = {0.25, 0.25, 0.5, 0.75, 0.9}, xt[B * D], ut[B * D];
    assert_string_equal(tw_path_list(0)->name, "affine");
    assert_string_equal(tw_schedule_list(0)->name, "condot");
    evaluate((const tw_path *)tw_path_list(0), &(tw_schedule){.row = 0}, t, xt, ut);
    for (int i = 0; i < B * D; i++) {
        assert_true(fabs(xt[i] - (t[i / D] * x1[i] + (1 - t[i / D]) * x0[i])) < 1e-15 * 4);
        assert_true(fabs(ut[i] - (x1[i] - x0[i])) < 1e-15 * 4);
    }
}

/* flow_matching 1.0.10: x_t and its velocity at t = 0.3 of x_0 = (-1, 0.5), x_1 = (1, 2). */
static void test_values_of_flow_matching(void **state)
{
    (void)state;
    const struct {
        const char *schedule;
        double xt[2], ut[2];
    } golden[] = {{"vp", {-0.9120834006, 0.6669231258}, {0.6418260349, 1.1584201821}},
                  {"cosine", {-0.4370160244, 1.3534842616}, {2.1127163847, 2.4426162460}}};
    for (int k = 0; k < TW_COUNT(golden); k++) {
        tw_schedule s;
        double t[B], xt[B * D], ut[B * D];
        assert_int_equal(tw_piece_read(ctx, "schedule", golden[k].schedule, tw_schedule_list, &s), TW_OK);
        for (int i = 0; i < B; i++) t[i] = 0.3;
        x0[0] = -1, x0[1] = 0.5, x1[0] = 1, x1[1] = 2;
        evaluate((const tw_path *)tw_path_list(0), &s, t, xt, ut);
        for (int j = 0; j < 2; j++) {
            assert_true(fabs(xt[j] - golden[k].xt[j]) < 1e-9);
            assert_true(fabs(ut[j] - golden[k].ut[j]) < 1e-9);
        }
        tw_piece_free(ctx, &s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_condot_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_values_of_flow_matching, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
