/* Spectral distances: against distances of eigenvectors from another formula, gradients against differences; paths down
 * them: the law d(x_t, x_1) = kappa d(x_0, x_1), velocities against differences of the path, and the path itself
 * against the equation solved by small steps. */
#include "base/philox.h"
#include "space/premetric.h"
#include "space/vector3.h"
#include "support/context.h"
#include "support/meshes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PAIRS = 200, MOST = 4000 /* vertices */ };

static double biharmonic(double lambda)
{
    return 1 / (lambda * lambda);
}

static double diffusion(double lambda)
{
    return exp(-0.5 * lambda);
}

static double commute(double lambda)
{
    return 1 / lambda;
}

static const struct {
    tw_spectral kind;
    double tau;
    double (*weight)(double lambda); /* where the area is that of the unit sphere */
    int degree;                      /* of the functions on a sphere, of which there are degree * (degree + 2) */
    int animals;                     /* eigenpairs of what is less round */
} kinds[] = {{TW_SPECTRAL_BIHARMONIC, 0, biharmonic, 9, 200},
             {TW_SPECTRAL_DIFFUSION, 0.25, diffusion, 9, 200},
             {TW_SPECTRAL_COMMUTE, 0, commute, 2, 10}};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct world {
    tw_mesh *mesh;
    tw_premetric *p;
    double work[PAIRS + MOST];
} world;

static void make_distance(tw_context *ctx, int kind, int pairs, world *w)
{
    assert_true(tw_mesh_about(w->mesh)->vertices <= MOST);
    assert_int_equal(tw_mesh_find_eigenpairs(w->mesh, pairs), TW_OK);
    assert_int_equal(tw_premetric_create(ctx, w->mesh, kinds[kind].kind, kinds[kind].tau, pairs, &w->p), TW_OK);
}

static void make_world(tw_context *ctx, raw_mesh raw, int kind, world *w)
{
    w->mesh = mesh_of(ctx, raw);
    assert_non_null(w->mesh);
    make_distance(ctx, kind, kinds[kind].degree * (kinds[kind].degree + 2), w);
}

static void end_world(world *w)
{
    tw_premetric_destroy(w->p);
    tw_mesh_destroy(w->mesh);
}

static tw_mesh_place place_of(const world *w, const double *x)
{
    return tw_mesh_find(w->mesh, x, NULL);
}

/* On the unit sphere the sum over 2l + 1 functions of one l is a Legendre polynomial of the angle (addition theorem):
 * d^2 = sum_l w (2l + 1) / (2 pi) (1 - P_l(cos angle)). */
static void test_distances_of_a_sphere(void **state)
{
    if (!tw_mesh_has_solver()) skip();
    for (int kind = 0; kind < KINDS; kind++) {
        world w;
        make_world(*state, raw_sphere(4), kind, &w);
        tw_mesh_place x = place_of(&w, (const double[3]){0, 0, 1});
        for (int i = 1; i < 12; i++) {
            double angle = 0.25 * i, c = cos(angle), below = 1, now = c, sum = 0;
            for (int l = 1; l <= kinds[kind].degree; l++) {
                sum += (2 * l + 1) / (2 * 3.14159265358979323846) * (1 - now) * kinds[kind].weight(l * (l + 1));
                double next = ((2 * l + 1) * c * now - l * below) / (l + 1);
                below = now;
                now = next;
            }
            tw_mesh_place y = place_of(&w, (const double[3]){sin(angle), 0, c});
            assert_true(fabs(tw_premetric_distance(w.p, &x, &y) / sqrt(sum) - 1) < 0.02);
        }
        end_world(&w);
    }
}

static void test_gradients_are_those_of_differences(void **state)
{
    if (!tw_mesh_has_solver()) skip();
    for (int kind = 0; kind < KINDS; kind++) {
        world w;
        double points[60];
        make_world(*state, raw_potato(3), kind, &w);
        assert_int_equal(tw_mesh_draw(w.mesh, NULL, 4, 20, points), TW_OK);
        for (int i = 0; i < 10; i++) {
            tw_mesh_place x = place_of(&w, points + 6 * i), y = place_of(&w, points + 6 * i + 3);
            double g[3], slope[9], h = 1e-6;
            tw_premetric_gradient(w.p, &x, &y, w.work, g);
            tw_mesh_slopes(w.mesh, x.face, slope);
            for (int j = 0; j < 2; j++) { /* along two edges */
                double side[3];
                tw_mesh_place ahead = x, behind = x;
                v3_sub(tw_mesh_corner(w.mesh, x.face, j + 1), tw_mesh_corner(w.mesh, x.face, 0), side);
                for (int k = 0; k < 3; k++) {
                    ahead.share[k] += h * v3_dot(slope + 3 * k, side);
                    behind.share[k] -= h * v3_dot(slope + 3 * k, side);
                }
                double difference =
                    (tw_premetric_distance(w.p, &ahead, &y) - tw_premetric_distance(w.p, &behind, &y)) / (2 * h);
                assert_true(fabs(v3_dot(g, side) - difference) <
                            1e-7 * (fabs(difference) + tw_premetric_distance(w.p, &x, &y)));
            }
        }
        end_world(&w);
    }
}

enum { LAW = 100 /* pairs of points */ };

/* How many curves end before they arrive; the others keep the law all the way. */
static int keep_the_law(world *w)
{
    double points[6 * LAW];
    int ended = 0;
    assert_int_equal(tw_mesh_draw(w->mesh, NULL, 6, 2 * LAW, points), TW_OK);
    for (int i = 0; i < LAW; i++) {
        tw_mesh_place x0 = place_of(w, points + 6 * i), x1 = place_of(w, points + 6 * i + 3);
        double whole = tw_premetric_distance(w->p, &x0, &x1);
        for (int k = 1; k <= 10; k++) {
            double kappa = k < 10 ? 1 - 0.1 * k : 1e-3;
            tw_descent d = tw_premetric_descend(w->p, &x0, &x1, kappa, w->work);
            if (!d.arrived) {
                ended++;
                break;
            }
            double left = tw_premetric_distance(w->p, &d.at, &x1);
            assert_true(fabs(left / whole - kappa) < 1e-6);
        }
    }
    return ended;
}

static double most_of(int kind, double of_others)
{
    return LAW * (kinds[kind].kind == TW_SPECTRAL_COMMUTE ? 0.5 : of_others); /* most arrive, no more */
}

static void test_the_law_of_distances(void **state)
{
    const double most[3] = {0.05, 0.3, 0.05}; /* a coarse torus has dents */
    if (!tw_mesh_has_solver()) skip();
    for (int kind = 0; kind < KINDS; kind++)
        for (int shape = 0; shape < 3; shape++) {
            world w;
            raw_mesh raw = shape == 0 ? raw_potato(3) : shape == 1 ? raw_torus(40, 16) : raw_square(16);
            make_world(*state, raw, kind, &w);
            assert_true(keep_the_law(&w) <= most_of(kind, most[shape]));
            end_world(&w);
        }
}

/* Spot, and the bunny or any other mesh that TW_MESH names. */
static void test_the_law_on_animals(void **state)
{
    const char *const files[] = {TW_SOURCE_DIR "/data/spot.obj.gz", getenv("TW_MESH")};
    if (!tw_mesh_has_solver()) skip();
    for (int i = 0; i < 2 && files[i]; i++) {
        world w;
        assert_int_equal(tw_mesh_read(*state, files[i], &w.mesh), TW_OK);
        for (int kind = 0; kind < KINDS; kind++) {
            make_distance(*state, kind, kinds[kind].animals, &w);
            assert_true(keep_the_law(&w) <= most_of(kind, 0.15));
            tw_premetric_destroy(w.p);
        }
        tw_mesh_destroy(w.mesh);
    }
}

/* du/dt by differences: kappa = 1 - t. */
static void test_velocities_are_those_of_the_path(void **state)
{
    enum { N = 200 };
    world w;
    double points[6 * N];
    int smooth = 0;
    if (!tw_mesh_has_solver()) skip();
    make_world(*state, raw_potato(3), 0, &w);
    assert_int_equal(tw_mesh_draw(w.mesh, NULL, 7, 2 * N, points), TW_OK);
    for (int i = 0; i < N; i++) {
        tw_mesh_place x0 = place_of(&w, points + 6 * i), x1 = place_of(&w, points + 6 * i + 3);
        double t = 0.05 + 0.9 * i / N, h = 1e-5, a[3], b[3];
        tw_descent now = tw_premetric_descend(w.p, &x0, &x1, 1 - t, w.work);
        tw_descent before = tw_premetric_descend(w.p, &x0, &x1, 1 - t + h, w.work);
        tw_descent after = tw_premetric_descend(w.p, &x0, &x1, 1 - t - h, w.work);
        if (!after.arrived || before.at.face != after.at.face) continue;
        tw_mesh_point(w.mesh, &before.at, a);
        tw_mesh_point(w.mesh, &after.at, b);
        double size = 0, error = 0;
        for (int j = 0; j < 3; j++) {
            double u = now.velocity[j] / (1 - t), difference = (b[j] - a[j]) / (2 * h);
            size += difference * difference;
            error += (u - difference) * (u - difference);
        }
        smooth += sqrt(error / size) < 2e-3;
    }
    assert_true(smooth > N * 9 / 10);
    end_world(&w);
}

/* The paper's way: small steps of the field, each brought back to the mesh. */
static void test_the_path_is_that_of_small_steps(void **state)
{
    enum { N = 12, STEPS = 3000 };
    world w;
    double points[6 * N];
    int same = 0;
    if (!tw_mesh_has_solver()) skip();
    make_world(*state, raw_potato(3), 0, &w);
    assert_int_equal(tw_mesh_draw(w.mesh, NULL, 8, 2 * N, points), TW_OK);
    for (int i = 0; i < N; i++) {
        tw_mesh_place x0 = place_of(&w, points + 6 * i), x1 = place_of(&w, points + 6 * i + 3), at = x0;
        double x[3], g[3], there[3], whole = tw_premetric_distance(w.p, &x0, &x1);
        for (int k = 0; k < STEPS / 2; k++) { /* to t = 1/2 */
            double t = (double)k / STEPS;
            tw_premetric_gradient(w.p, &at, &x1, w.work, g);
            tw_mesh_point(w.mesh, &at, x);
            v3_add(x, -tw_premetric_distance(w.p, &at, &x1) / (1 - t) / v3_dot(g, g) / STEPS, g);
            at = tw_mesh_find(w.mesh, x, NULL);
        }
        assert_true(fabs(tw_premetric_distance(w.p, &at, &x1) / whole - 0.5) < 0.01);
        tw_mesh_point(w.mesh, &at, x);
        tw_descent d = tw_premetric_descend(w.p, &x0, &x1, 0.5, w.work);
        tw_mesh_point(w.mesh, &d.at, there);
        v3_sub(there, x, there);
        same += sqrt(v3_dot(there, there)) < 0.02;
    }
    assert_true(same >= N - 2); /* a ridge between two slopes parts neighbours */
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distances_of_a_sphere),
        cmocka_unit_test(test_gradients_are_those_of_differences),
        cmocka_unit_test(test_the_law_of_distances),
        cmocka_unit_test(test_the_law_on_animals),
        cmocka_unit_test(test_velocities_are_those_of_the_path),
        cmocka_unit_test(test_the_path_is_that_of_small_steps),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
