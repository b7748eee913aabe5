/* A path of densities and the field that keeps its mass: laws that are laws, draws by them, the loss of exact fields,
 * and a bound of what inexact ones lead to. */
#include "method/kernels.h"

#include "base/philox.h"
#include "graph/reference.h"
#include "path/contraction.h"
#include "support/own_context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double turn = 6.28318530717958647693, width = 0.05;

static tw_factor factor(tw_manifold m, int number, int numbers)
{
    return (tw_factor){.manifold = m, .number = number, .numbers = numbers};
}

/* Names, factors; two angles, a place on S^2 and a unit vector of five numbers beside two numbers are the last. */
enum { SPACES = 5, MOST = 3 };
static const struct {
    int numbers, count, factors[MOST];
    tw_manifold manifold[MOST];
} spaces[SPACES] = {
    {2, 0, {0}, {0}},
    {3, 1, {3}, {TW_MANIFOLD_sphere}},
    {5, 1, {5}, {TW_MANIFOLD_sphere}},
    {2, 1, {2}, {TW_MANIFOLD_torus}},
    {7, 3, {2, 2, 3}, {TW_MANIFOLD_euclidean, TW_MANIFOLD_torus, TW_MANIFOLD_sphere}},
};

static tw_space space_number(int i, tw_factor room[MOST])
{
    tw_space s = {.flat = spaces[i].count == 0, .count = spaces[i].count, .numbers = spaces[i].numbers, .factor = room};
    for (int k = 0, number = 0; k < s.count; k++) {
        room[k] = factor(spaces[i].manifold[k], number, spaces[i].factors[k]);
        number += room[k].numbers;
    }
    return s;
}

/* Rows of points of a space, some of which are far apart. */
static void points(const tw_space *s, int rows, double seed, double *out)
{
    for (int i = 0; i < rows * s->numbers; i++) out[i] = 2.3 * sin(seed + 1.7 * i + 0.13 * i * i);
    for (int i = 0; i < rows; i++)
        for (int k = 0; k < s->count; k++) {
            double *x = out + i * s->numbers + s->factor[k].number;
            tw_manifold_project(s->factor[k].manifold, s->factor[k].numbers, x, x);
        }
}

/* --- fields that are known
 * --------------------------------------------------------------------------------------------
 */

enum { B = 6, N = 9 };
typedef enum kernels {
    ALIKE,  /* around rows of the batch, */
    VARIED, /* of their own widths, */
    ALL     /* and around all data */
} kernels;
static const double various[N] = {0.05, 0.03, 0.08, 0.04, 0.1, 0.06, 0.05, 0.07, 0.04};

typedef struct known {
    const tw_space *space;
    tw_val data;   /* (N,D) */
    tw_val widths; /* of the kernels around them (N,1), TW_NONE: `width` */
    double times;  /* the exact field */
    bool shares;   /* in shares of width^t, as exfm's network says it */
} known;

/* Towards x1 by the part across x, of all that x sees at the rate at which s falls. */
static tw_val across(const tw_factor *f, tw_val x, tw_val x1)
{
    if (f->manifold == TW_MANIFOLD_torus) return tw_sin(tw_sub(x1, x));
    return f->manifold == TW_MANIFOLD_sphere ? tw_manifold_tangent_rows(TW_MANIFOLD_sphere, x, x1) : TW_NONE;
}

/* Velocity of a path to x1 (B,D), of rate -log w: of numbers (x1 - x) / s ds/dt at x. */
static tw_val velocity_to(const tw_space *space, tw_val x, tw_val x1, tw_val rate)
{
    tw_val out = TW_NONE;
    if (space->flat) return tw_mul(tw_sub(x1, x), rate);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val a = tw_slice(x, 1, f->number, f->number + f->numbers);
        tw_val b = tw_slice(x1, 1, f->number, f->number + f->numbers);
        tw_val v = f->manifold == TW_MANIFOLD_euclidean ? tw_sub(b, a) : across(f, a, b);
        out = i == 0 ? v : tw_concat2(1, out, v);
    }
    return tw_mul(out, rate);
}

/* The mean of the velocities to all data, by how likely each is where x leads to, as a network would say it. */
static tw_val marginal(void *user, tw_val x, tw_val t)
{
    const known *k = user;
    const int64_t rows = tw_dim(x, 0), columns = tw_last_dim(x);
    x = tw_space_project_rows(k->space, x); /* as a network sees it: nothing changes across the tangent space */
    tw_val widths = tw_transpose(tw_kernels_log_widths(k->widths, width, k->data), (const int[]){1, 0});
    tw_val mean = tw_expand_dim(tw_mean_axis(widths, 1), 1); /* about which they differ less: method/kernels.c */
    widths = tw_add(mean, tw_muls(tw_sub(widths, mean), 0.8));
    tw_val s = tw_exp(tw_mul(tw_expand_dim(t, 1), widths));
    tw_val share = tw_softmax(tw_contraction_log_density(k->space, x, k->data, s), 1), sum = TW_NONE;
    for (int64_t j = 0; j < tw_dim(k->data, 0); j++) {
        tw_val to = tw_broadcast_to(tw_slice(k->data, 0, j, j + 1), tw_shape_of(rows, columns));
        tw_val term =
            tw_mul(tw_slice(share, 1, j, j + 1), velocity_to(k->space, x, to, tw_neg(tw_slice(widths, 1, j, j + 1))));
        sum = j == 0 ? term : tw_add(sum, term);
    }
    if (k->shares) sum = tw_mul(sum, tw_exp(tw_muls(tw_expand_dim(t, 1), -log(width))));
    return tw_muls(sum, k->times);
}

/* Losses of rows of the field, `times` times the exact one; x1 are the first of `data` (N rows). */
static void losses(const tw_space *space, const char *method, kernels around, double times, const double *data,
                   double out[B])
{
    double x0[B * 8], z[B * 16] = {0};
    const double time[B] = {0, 0.2, 0.5, 0.7, 0.9, 1};
    tw_graph *g = NULL;
    tw_piece piece = {0}, schedule = {0};
    points(space, B, 0.4, x0);
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "method", method, tw_method_list, &piece), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule), TW_OK);
    const int d = space->numbers;
    tw_val in[] = {tw_input(g, "x0", TW_DTYPE_F64, tw_shape_of(B, d)), tw_input(g, "t", TW_DTYPE_F64, tw_shape_of(B)),
                   tw_input(g, "z", TW_DTYPE_F64, tw_shape_of(B, 2 * d)),
                   tw_input(g, "data", TW_DTYPE_F64, tw_shape_of(N, d)),
                   tw_input(g, "widths", TW_DTYPE_F64, tw_shape_of(N, 1))};
    tw_draws draws = {.x0 = in[0], .x1 = tw_slice(in[3], 0, 0, B), .t = in[1], .z = in[2]};
    if (around != ALIKE) draws.width = tw_slice(in[4], 0, 0, B);
    if (around == ALL) draws.data = in[3], draws.all_widths = in[4];
    known user = {.space = space,
                  .data = around == ALL ? in[3] : draws.x1,
                  .widths = around == ALL ? in[4] : draws.width,
                  .times = times};
    const tw_method *of = (const tw_method *)piece.info;
    user.shares = of->rules == &tw_method_exfm;
    const tw_model model = {
        .space = space, .schedule = &schedule, .method = &piece, .network = marginal, .user = &user};
    tw_val loss = of->rules->row_loss(&model, &draws);
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 5, in, (const double *[]){x0, time, z, data, various}, 1, &loss, &out),
                     TW_OK);
    tw_piece_free(ctx, &piece);
    tw_piece_free(ctx, &schedule);
    tw_graph_destroy(g);
}

static void exact_fields_leave_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        tw_factor room[MOST];
        tw_space space = space_number(i, room);
        double data[N * 8], loss[B], off[B];
        points(&space, N, 2.9, data);
        for (kernels around = ALIKE; around <= ALL; around++) {
            losses(&space, "ppd:width=0.05", around, 1, data, loss);
            losses(&space, "ppd:width=0.05", around, 0.9, data, off);
            for (int k = 0; k < B; k++) assert_true(loss[k] < 1e-9 * (1 + off[k]));
        }
        for (int k = 1; k < B; k++) memcpy(data + k * space.numbers, data, (size_t)space.numbers * sizeof *data);
        losses(&space, "ppd:width=0.05", ALIKE, 1, data, loss); /* one point: p_t = N((1 - s) x_1, s^2) and its kin */
        for (int k = 0; k < B; k++) assert_true(loss[k] < 1e-9 * (1 + off[k]));
    }
}

/* Explicit flow matching regresses the same field, which keeps the mass of the path; half of it is half of it away. */
static void explicit_targets_are_the_exact_field(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        tw_factor room[MOST];
        tw_space space = space_number(i, room);
        double data[N * 8], loss[B], half[B], none[B];
        points(&space, N, 2.9, data);
        for (kernels around = ALIKE; around <= ALL; around++) {
            losses(&space, "exfm:width=0.05", around, 1, data, loss);
            losses(&space, "exfm:width=0.05", around, 0.5, data, half);
            losses(&space, "exfm:width=0.05", around, 0, data, none);
            for (int k = 0; k < B; k++) {
                assert_true(none[k] > 1e-4);
                assert_true(loss[k] < 1e-20 * (1 + none[k]));
                assert_true(fabs(half[k] - 0.25 * none[k]) < 1e-9 * none[k]);
            }
        }
    }
}

static void powers_of_what_is_left(void **state)
{
    (void)state;
    tw_factor room[MOST];
    tw_space space = space_number(1, room);
    double data[N * 8], one[B], half[B], two[B];
    points(&space, N, 2.9, data);
    losses(&space, "ppd:width=0.05,power=1", ALIKE, 0.9, data, one);
    losses(&space, "ppd:width=0.05,power=1.5", ALIKE, 0.9, data, half);
    losses(&space, "ppd:width=0.05,power=2", ALIKE, 0.9, data, two);
    for (int k = 0; k < B; k++) {
        assert_true(fabs(two[k] - one[k] * one[k]) < 1e-9 * two[k]);
        assert_true(fabs(half[k] - pow(one[k], 1.5)) < 1e-9 * half[k]);
    }
}

/* --- laws --------------------------------------------------------------------------------------------------------- */

typedef struct asked {
    tw_graph *g;
    tw_val x, x1, s, point, density;
} asked;

static asked ask(const tw_space *space, int64_t rows, int64_t data)
{
    asked a = {0};
    assert_int_equal(tw_graph_create(ctx, &a.g), TW_OK);
    a.x = tw_input(a.g, "x", TW_DTYPE_F64, tw_shape_of(rows, space->numbers));
    a.x1 = tw_input(a.g, "x1", TW_DTYPE_F64, tw_shape_of(data, space->numbers));
    a.s = tw_input(a.g, "s", TW_DTYPE_F64, tw_shape_of(rows, 1));
    tw_val all = tw_broadcast_to(tw_slice(a.x1, 0, 0, 1), tw_shape_at(a.x));
    a.point = tw_contraction_point(space, a.x, all, a.s, a.x);
    a.density = tw_contraction_log_density(space, a.x, a.x1, a.s);
    assert_int_equal(tw_graph_check(a.g), TW_OK);
    return a;
}

static void run(const asked *a, const double *x, const double *x1, const double *s, tw_val what, double *out)
{
    assert_int_equal(
        tw_reference_run(ctx, 3, (tw_val[]){a->x, a->x1, a->s}, (const double *[]){x, x1, s}, 1, &what, &out), TW_OK);
}

/* Mass around x1 within an angle on S^2 and within a difference on the circle, by sums, is what draws of the uniform
 * law within that angle before have. */
static void laws_are_those_of_draws(void **state)
{
    (void)state;
    enum { CELLS = 20000 };
    static double x[3 * CELLS], s[CELLS], density[CELLS], moved[3 * CELLS];
    for (int i = 0; i < 2; i++) {
        const bool circle = i == 1;
        tw_factor room[MOST];
        tw_space space = circle ? (tw_space){.count = 1, .numbers = 1, .factor = room} : space_number(1, room);
        if (circle) room[0] = factor(TW_MANIFOLD_torus, 0, 1);
        const double x1[3] = {circle ? 1 : 0, 0, 1};
        asked a = ask(&space, CELLS, 1);
        for (double width_here = 1; width_here > 0.01; width_here /= 5) {
            double mass = 0;
            for (int k = 0; k < CELLS; k++) {
                double angle = (k + 0.5) * turn / 2 / CELLS;
                s[k] = width_here;
                if (circle)
                    x[k] = 1 + angle;
                else
                    x[3 * k] = sin(angle), x[3 * k + 1] = 0, x[3 * k + 2] = cos(angle);
            }
            run(&a, x, x1, s, a.density, density);
            run(&a, x, x1, s, a.point, moved);
            for (int k = 0, last = 0; k < CELLS; k++) {
                double angle = (k + 0.5) * turn / 2 / CELLS, cell = turn / 2 / CELLS;
                mass += exp(density[k]) * cell * (circle ? 2 : turn * sin(angle));
                /* the share of the uniform law that has come to within `angle` */
                double to = circle ? moved[k] - 1 : acos(fmax(-1, fmin(1, moved[3 * k + 2])));
                if (k % 997 > 0) continue;
                while (last < CELLS - 1 && (last + 0.5) * cell < to) last++;
                double part = 0;
                for (int j = 0; j <= last; j++)
                    part += exp(density[j]) * cell * (circle ? 2 : turn * sin((j + 0.5) * cell));
                double before = circle ? 2 * angle / turn : (1 - cos(angle)) / 2;
                assert_true(fabs(part - before) < 3e-3);
            }
            assert_true(fabs(mass - 1) < 1e-5);
        }
        tw_graph_destroy(a.g);
    }
}

/* Of three shares as unit vectors: mass 1 on an eighth of the sphere at any time, 1 / area at first, and at last near
 * the data, where draws are, too. */
static void laws_of_shares(void **state)
{
    (void)state;
    enum { SIDE = 300, CELLS = SIDE * SIDE };
    static double x[3 * CELLS], s[CELLS], density[CELLS], moved[3 * CELLS], noise[3 * CELLS];
    tw_random random = {.seed = 1, .stream = 5};
    tw_factor room[1] = {factor(TW_MANIFOLD_sphere, 0, 3)};
    room[0].fold = TW_FOLD_POSITIVE;
    const tw_space space = {.count = 1, .numbers = 3, .factor = room};
    assert_true(tw_contraction_covers(&space));
    const double x1[3] = {sqrt(0.5), sqrt(0.3), sqrt(0.2)}, quarter = turn / 4;
    asked a = ask(&space, CELLS, 1);
    for (int k = 0; k < 3 * CELLS; k++) noise[k] = tw_random_normal(&random);
    for (int k = 0; k < CELLS; k++) {
        double height = (k / SIDE + 0.5) / SIDE, angle = quarter * (k % SIDE + 0.5) / SIDE,
               flat = sqrt(1 - height * height);
        x[3 * k] = flat * cos(angle), x[3 * k + 1] = flat * sin(angle), x[3 * k + 2] = height;
    }
    for (double width_here = 1; width_here > 0.02; width_here /= 3) {
        double mass = 0, apart = 0, spread = 0;
        for (int k = 0; k < CELLS; k++) s[k] = width_here;
        run(&a, x, x1, s, a.density, density);
        run(&a, noise, x1, s, a.point, moved);
        for (int k = 0; k < CELLS; k++) {
            double p = exp(density[k]) * quarter / CELLS, square = 0;
            for (int i = 0; i < 3; i++) square += (x[3 * k + i] - x1[i]) * (x[3 * k + i] - x1[i]);
            mass += p;
            spread += p * square / 2;
            assert_true(moved[3 * k] >= 0 && moved[3 * k + 1] >= 0 && moved[3 * k + 2] >= 0);
            square = 0;
            for (int i = 0; i < 3; i++) square += (moved[3 * k + i] - x1[i]) * (moved[3 * k + i] - x1[i]);
            apart += square / 2 / CELLS;
            if (width_here == 1) assert_true(fabs(density[k] + log(quarter)) < 1e-9);
        }
        assert_true(fabs(mass - 1) < 1e-3);
        assert_true(fabs(sqrt(apart / spread) - 1) < 0.03); /* that of draws is near the law's, */
        if (width_here < 0.2) assert_true(fabs(sqrt(spread) / width_here - 1) < 0.1); /* which is s in each direction */
    }
    tw_graph_destroy(a.g);
}

/* Of numbers it is the affine path's; at s = 1 nothing has moved, antipodes move, too. */
static void points_of_paths(void **state)
{
    (void)state;
    for (int i = 0; i < SPACES; i++) {
        tw_factor room[MOST];
        tw_space space = space_number(i, room);
        double x[B * 8], x1[8], s[B], moved[B * 8], d[B];
        points(&space, B, 1.1, x);
        points(&space, 1, 2.2, x1);
        asked a = ask(&space, B, 1);
        for (int k = 0; k < B; k++) s[k] = 1;
        run(&a, x, x1, s, a.point, moved);
        for (int k = 0; k < B; k++) {
            if (space.flat)
                d[k] = hypot(x[2 * k] - moved[2 * k], x[2 * k + 1] - moved[2 * k + 1]);
            else
                d[k] = tw_space_distance(&space, x + k * space.numbers, moved + k * space.numbers);
            assert_true(d[k] < 1e-9);
            s[k] = 1e-6;
        }
        if (space.count == 1)
            for (int j = 0; j < space.numbers; j++)
                x[j] = room[0].manifold == TW_MANIFOLD_sphere ? -x1[j] : x1[j] + turn / 2;
        run(&a, x, x1, s, a.point, moved);
        for (int k = space.count == 1; k < B; k++) {
            if (space.flat)
                d[k] = hypot(moved[2 * k] - x1[0], moved[2 * k + 1] - x1[1]);
            else
                d[k] = tw_space_distance(&space, moved + k * space.numbers, x1);
            assert_true(d[k] < 1e-3);
        }
        for (int j = 0; j < space.numbers; j++) assert_true(isfinite(moved[j]));
        tw_graph_destroy(a.g);
    }
}

/* Each row's own, within bounds; where there are none, `width`. */
static void widths_are_those_of_the_rows(void **state)
{
    (void)state;
    enum { FEW = 4 };
    const double x[2 * FEW] = {0, 0, 0.1, 0, 0, 0.15, 0.3, 0.2}, each[FEW] = {0, 0.02, 0.3, 7};
    const double expected[FEW] = {1e-3, 0.02, 0.3, 0.5};
    double got[FEW], all[FEW], *out[] = {got, all};
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(ctx, &g), TW_OK);
    tw_val in[2] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(FEW, 2)),
                    tw_input(g, "each", TW_DTYPE_F64, tw_shape_of(FEW, 1))};
    tw_val widths[2] = {tw_kernels_log_widths(in[1], width, in[0]), tw_kernels_log_widths(TW_NONE, width, in[0])};
    assert_int_equal(tw_graph_check(g), TW_OK);
    assert_int_equal(tw_reference_run(ctx, 2, in, (const double *[]){x, each}, 2, widths, out), TW_OK);
    for (int j = 0; j < FEW; j++) {
        assert_true(fabs(got[j] - log(expected[j])) < 1e-12);
        assert_true(fabs(all[j] - log(width)) < 1e-12);
    }
    tw_graph_destroy(g);
}

/* --- the bound ---------------------------------------------------------------------------------------------------- */

/* On a circle: fields that are too fast or too slow lead to densities, here by the characteristics of many points,
 * whose total variation from p_1 is at most half of the mean over t of E |r|. */
static void residuals_bound_what_comes(void **state)
{
    (void)state;
    enum { CELLS = 720, STEPS = 400 };
    static double x[CELLS], s[CELLS], log_q[CELLS], density[CELLS];
    tw_factor room[1] = {factor(TW_MANIFOLD_torus, 0, 1)};
    tw_space space = {.count = 1, .numbers = 1, .factor = room};
    const double x1[1] = {1}, rate = -log(width), cell = turn / CELLS;
    asked a = ask(&space, CELLS, 1);
    for (double times = 0.7; times < 1.25; times += 0.1) {
        double variation = 0, bound = 0;
        /* u = times rate sin(x1 - x): the flow's tan((x - x1) / 2) shrinks by width^(times t), a law of the same kind
         */
        for (int k = 0; k < CELLS; k++) x[k] = (k + 0.5) * cell, s[k] = pow(width, times);
        run(&a, x, x1, s, a.density, log_q);
        for (int k = 0; k < CELLS; k++) s[k] = width;
        run(&a, x, x1, s, a.density, density);
        for (int k = 0; k < CELLS; k++) variation += 0.5 * fabs(exp(density[k]) - exp(log_q[k])) * cell;
        for (int n = 0; n < STEPS; n++) {
            double t = (n + 0.5) / STEPS;
            for (int k = 0; k < CELLS; k++) s[k] = pow(width, t);
            run(&a, x, x1, s, a.density, density);
            for (int k = 0; k < CELLS; k++) {
                /* r is (times - 1) of <grad log p, u> + div u, as exact ones leave nothing */
                double w = 2 * s[k] * s[k] + (1 - s[k] * s[k]) * (1 - cos(x[k] - x1[0]));
                double slope = -(1 - s[k] * s[k]) * sin(x[k] - x1[0]) / w;
                double kept = rate * (slope * sin(x1[0] - x[k]) - cos(x1[0] - x[k]));
                bound += 0.5 * exp(density[k]) * fabs((times - 1) * kept) * cell / STEPS;
            }
        }
        assert_true(variation <= bound * 1.001 + 1e-9);
        assert_true(fabs(times - 1) < 0.01 || variation > 0.2 * bound);
    }
    tw_graph_destroy(a.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_fields_leave_nothing),
        cmocka_unit_test(explicit_targets_are_the_exact_field),
        cmocka_unit_test(powers_of_what_is_left),
        cmocka_unit_test(laws_are_those_of_draws),
        cmocka_unit_test(laws_of_shares),
        cmocka_unit_test(points_of_paths),
        cmocka_unit_test(widths_are_those_of_the_rows),
        cmocka_unit_test(residuals_bound_what_comes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
