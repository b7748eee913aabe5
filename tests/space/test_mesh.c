/* Meshes: neighbours, normals and areas of known surfaces; the nearest place against a search through all faces; walks
 * that are geodesics of cubes and spheres and carry vectors; the operator's identities, eigenvalues of the sphere, the
 * torus and the square with the order of the discretisation; draws; velocities that lose nothing at edges. */
#include "base/philox.h"
#include "graph/reference.h"
#include "space/mesh.h"
#include "space/vector3.h"
#include "support/context.h"
#include "support/meshes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const double pi = 3.14159265358979323846;

static tw_mesh *sphere(void **state, int levels)
{
    tw_mesh *mesh = mesh_of(*state, raw_sphere(levels));
    assert_non_null(mesh);
    return mesh;
}

static void test_measures_of_known_surfaces(void **state)
{
    double before = 0;
    for (int levels = 1; levels <= 4;
         levels++) { /* an inscribed polyhedron: area 4 pi less O(h^2), radius of inertia 1 */
        tw_mesh *mesh = sphere(state, levels);
        const tw_mesh_info *info = tw_mesh_about(mesh);
        double lack = 4 * pi - info->area;
        assert_int_equal(info->euler, 2);
        assert_int_equal(info->boundary_edges, 0);
        assert_int_equal(info->components, 1);
        assert_true(lack > 0);
        if (levels > 1) assert_true(before / lack > 3.5 && before / lack < 4.5);
        before = lack;
        for (int64_t v = 0; v < info->vertices; v++)
            assert_true(v3_dot(mesh->upright + 3 * v, info->vertex + 3 * v) > 0.9999);
        tw_mesh_destroy(mesh);
    }
    tw_mesh *torus = mesh_of(*state, raw_torus(40, 20));
    assert_int_equal(tw_mesh_about(torus)->euler, 0);
    assert_true(fabs(tw_mesh_about(torus)->area - 8 * pi * pi) < 0.03 * 8 * pi * pi);
    tw_mesh_destroy(torus);
    tw_mesh *square = mesh_of(*state, raw_square(7));
    const tw_mesh_info *info = tw_mesh_about(square);
    assert_int_equal(info->euler, 1);
    assert_int_equal(info->boundary_edges, 28);
    assert_true(fabs(info->area - 1) < 1e-14 && fabs(info->size * info->size - 1.0 / 6) < 1e-14);
    assert_true(fabs(info->centre[0] - 0.5) < 1e-14 && fabs(info->centre[1] - 0.5) < 1e-14);
    tw_mesh_destroy(square);
}

static void test_what_is_no_mesh_is_refused(void **state)
{
    const double x[15] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0};
    static const struct {
        int64_t vertices, faces;
        int32_t face[9];
        const char *says;
    } bad[] = {{3, 1, {0, 1, 3}, "face 1 has vertex 4 of 3"},
               {3, 1, {0, 1, 1}, "has a vertex twice"},
               {4, 1, {0, 1, 2}, "vertex 4 belongs to no face"},
               {5, 3, {0, 1, 2, 1, 0, 3, 0, 1, 4}, "3 faces"},
               {4, 2, {0, 1, 2, 0, 1, 3}, "turned opposite ways"},
               {5, 2, {0, 1, 4, 0, 2, 3}, "face 1 has no area"},
               {2, 1, {0, 1, 1}, "2 vertices"}};
    for (int i = 0; i < (int)(sizeof bad / sizeof bad[0]); i++) {
        tw_mesh *mesh = NULL;
        assert_int_equal(tw_mesh_create(*state, bad[i].vertices, x, bad[i].faces, bad[i].face, &mesh), TW_ERR_INVALID);
        assert_non_null(strstr(tw_context_error(*state), bad[i].says));
    }
}

/* The squared distance to a triangle, by the best of the plane's point when it is within, and of a fine walk along the
 * sides. */
static double square_by_search(const tw_mesh *mesh, const double *x)
{
    double best = (double)INFINITY;
    for (int64_t f = 0; f < mesh->info.faces; f++) {
        double slope[9], from[3], share[3];
        const double *n = mesh->normal + 3 * f;
        tw_mesh_slopes(mesh, f, slope);
        bool within = true;
        for (int i = 0; i < 3; i++) {
            v3_sub(x, tw_mesh_corner(mesh, f, i), from);
            share[i] = 1 + v3_dot(slope + 3 * i, from);
            within = within && share[i] >= 0;
        }
        if (within) best = fmin(best, v3_dot(n, from) * v3_dot(n, from));
        for (int i = 0; i < 3; i++) {
            double side[3];
            const double *a = tw_mesh_corner(mesh, f, i), *b = tw_mesh_corner(mesh, f, (i + 1) % 3);
            v3_sub(b, a, side);
            v3_sub(x, a, from);
            double t = fmin(fmax(v3_dot(from, side) / v3_dot(side, side), 0), 1);
            v3_add(from, -t, side);
            best = fmin(best, v3_dot(from, from));
        }
    }
    return best;
}

static void test_the_nearest_place(void **state)
{
    tw_mesh *mesh = mesh_of(*state, raw_potato(3));
    tw_random random = {.seed = 3};
    for (int i = 0; i < 500; i++) {
        double x[3], square, point[3];
        for (int j = 0; j < 3; j++) x[j] = (i % 2 ? 1.3 : 0.4) * tw_random_normal(&random);
        tw_mesh_place at = tw_mesh_find(mesh, x, &square);
        assert_true(fabs(square - square_by_search(mesh, x)) < 1e-13);
        tw_mesh_point(mesh, &at, point);
        v3_sub(point, x, point);
        assert_true(fabs(v3_dot(point, point) - square) < 1e-13);
        assert_true(fabs(at.share[0] + at.share[1] + at.share[2] - 1) < 1e-14);
    }
    tw_mesh_destroy(mesh);
}

/* Around a square prism: four sides of width 1 unfold to a strip. */
static tw_mesh *prism(tw_context *ctx)
{
    double x[24];
    int32_t face[24];
    const double place[4][2] = {{0, 0}, {1, 0}, {1, 1}, {0, 1}};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 2; j++) {
            x[3 * (2 * i + j)] = place[i][0];
            x[3 * (2 * i + j) + 1] = place[i][1];
            x[3 * (2 * i + j) + 2] = 10 * j;
        }
    for (int i = 0; i < 4; i++) {
        int a = 2 * i, b = 2 * ((i + 1) % 4);
        const int32_t two[6] = {a, b, b + 1, a, b + 1, a + 1};
        memcpy(face + 6 * i, two, sizeof two);
    }
    tw_mesh *mesh = NULL;
    assert_int_equal(tw_mesh_create(ctx, 8, x, 8, face, &mesh), TW_OK);
    return mesh;
}

static void test_walks_unfold_edges(void **state)
{
    tw_mesh *mesh = prism(*state);
    const double x[3] = {0.25, 0, 5}, v[3] = {2, 0.7, 0.5}; /* the part across the face is dropped */
    double z[3], k[3] = {-3, 0, 1}, back[3];
    tw_mesh_exp(mesh, x, v, z);
    const double there[3] = {0.75, 1, 5.5}; /* after 0.75 on the first side and 1 on the second, 0.25 on the third */
    for (int j = 0; j < 3; j++) assert_true(fabs(z[j] - there[j]) < 1e-13);
    tw_mesh_pull(mesh, x, v, k, back); /* there the walk goes along -x */
    assert_true(fabs(back[0] - 3) < 1e-13 && fabs(back[1]) < 1e-13 && fabs(back[2] - 1) < 1e-13);
    /* a wall is a mirror */
    const double up[3] = {0.5, 0, 7};
    tw_mesh_exp(mesh, x, up, z);
    assert_true(fabs(z[0] - 0.75) < 1e-13 && fabs(z[1]) < 1e-13 && fabs(z[2] - 8) < 1e-13);
    const double down[3] = {0.3, 0, -2};
    tw_mesh_pull(mesh, x, up, down, back);
    assert_true(fabs(back[0] - 0.3) < 1e-13 && fabs(back[2] - 2) < 1e-13);
    tw_mesh_destroy(mesh);
}

/* exp's derivative is what pull undoes; there and back again. */
static void test_walks_and_pulls_agree(void **state)
{
    tw_mesh *mesh = mesh_of(*state, raw_potato(3));
    tw_random random = {.seed = 5};
    double x[300];
    int used = 0;
    assert_int_equal(tw_mesh_draw(mesh, NULL, 9, 100, x), TW_OK);
    for (int i = 0; i < 100; i++) {
        double v[3], w[3], z[3], near[3], home[3];
        for (int j = 0; j < 3; j++) v[j] = 0.5 * tw_random_normal(&random);
        tw_mesh_place at = tw_mesh_find(mesh, x + 3 * i, NULL);
        v3_add(v, -v3_dot(v, mesh->normal + 3 * at.face), mesh->normal + 3 * at.face);
        tw_mesh_exp(mesh, x + 3 * i, v, z);
        for (int j = 0; j < 3; j++) w[j] = v[j] + 1e-6 * (j - 1 + 0.3);
        tw_mesh_exp(mesh, x + 3 * i, w, near);
        v3_sub(near, z, near);
        if (sqrt(v3_dot(near, near)) > 3e-6) continue; /* a vertex between the two walks */
        tw_mesh_pull(mesh, x + 3 * i, v, near, home);
        v3_sub(w, v, w);
        v3_add(w, -v3_dot(w, mesh->normal + 3 * at.face), mesh->normal + 3 * at.face);
        v3_sub(home, w, home);
        if (sqrt(v3_dot(home, home)) < 1e-10) used++;
    }
    assert_true(used > 90);
    tw_mesh_destroy(mesh);
}

static void test_the_operator(void **state)
{
    tw_mesh *mesh = mesh_of(*state, raw_potato(2));
    tw_mesh_matrices m;
    double mass = 0;
    assert_int_equal(tw_mesh_laplacian(mesh, &m), TW_OK);
    for (int j = 0; j < m.n; j++) {
        double sum = 0;
        for (int k = m.begin[j]; k < m.begin[j + 1]; k++) {
            sum += m.value[k];
            double other = (double)NAN; /* symmetric */
            for (int l = m.begin[m.row[k]]; l < m.begin[m.row[k] + 1]; l++)
                if (m.row[l] == j) other = m.value[l];
            assert_true(fabs(other - m.value[k]) < 1e-13);
        }
        assert_true(fabs(sum) < 1e-12);
        mass += m.mass[j];
    }
    assert_true(fabs(mass - mesh->info.area) < 1e-12 * mass);
    /* x' L x is the Dirichlet energy: of a coordinate, by its slopes in the faces */
    for (int axis = 0; axis < 3; axis++) {
        double energy = 0, by_faces = 0;
        for (int j = 0; j < m.n; j++)
            for (int k = m.begin[j]; k < m.begin[j + 1]; k++)
                energy += m.value[k] * mesh->vertex[3 * j + axis] * mesh->vertex[3 * m.row[k] + axis];
        for (int64_t f = 0; f < mesh->info.faces; f++) {
            double n = mesh->normal[3 * f + axis];
            by_faces += tw_mesh_area(mesh, f) * (1 - n * n);
        }
        assert_true(fabs(energy - by_faces) < 1e-11);
    }
    tw_mesh_matrices_free(*state, &m);
    tw_mesh_destroy(mesh);
}

/* The largest relative error of the first eigenvalues. */
static double worst_eigenvalue(tw_mesh *mesh, int count, const double *right)
{
    double worst = 0;
    assert_int_equal(tw_mesh_find_eigenpairs(mesh, count), TW_OK);
    for (int k = 0; k < count; k++) worst = fmax(worst, fabs(mesh->info.eigenvalue[k] / right[k] - 1));
    return worst;
}

static void test_eigenvalues_of_the_sphere(void **state)
{
    double right[24], before = 0;
    if (!tw_mesh_has_solver()) skip();
    for (int l = 1, k = 0; l <= 4; l++)
        for (int j = 0; j < 2 * l + 1; j++) right[k++] = l * (l + 1);
    for (int levels = 2; levels <= 4; levels++) {
        tw_mesh *mesh = sphere(state, levels);
        double error = worst_eigenvalue(mesh, 24, right);
        if (before > 0) assert_true(before / error > 3.4 && before / error < 4.6); /* second order */
        before = error;
        tw_mesh_destroy(mesh);
    }
    assert_true(before < 0.01);
}

/* pi^2 (i^2 + j^2) of the square whose walls are mirrors. */
static void test_eigenvalues_of_the_square(void **state)
{
    if (!tw_mesh_has_solver()) skip();
    const double right[6] = {pi * pi, pi * pi, 2 * pi * pi, 4 * pi * pi, 4 * pi * pi, 5 * pi * pi};
    tw_mesh *mesh = mesh_of(*state, raw_square(24));
    assert_true(worst_eigenvalue(mesh, 6, right) < 0.01);
    tw_mesh_destroy(mesh);
}

static void test_eigenfunctions(void **state)
{
    enum { COUNT = 60 };
    if (!tw_mesh_has_solver()) skip();
    tw_mesh *mesh = mesh_of(*state, raw_potato(3));
    tw_mesh_matrices m;
    assert_int_equal(tw_mesh_find_eigenpairs(mesh, COUNT), TW_OK);
    assert_int_equal(tw_mesh_laplacian(mesh, &m), TW_OK);
    const double *phi = mesh->info.eigenfunction;
    for (int k = 0; k < COUNT; k++) {
        double left = 0, lambda = mesh->info.eigenvalue[k];
        assert_true(k == 0 || lambda >= mesh->info.eigenvalue[k - 1] * (1 - 1e-12));
        for (int j = 0; j < m.n; j++) {
            double sum = -lambda * m.mass[j] * phi[j * COUNT + k];
            for (int e = m.begin[j]; e < m.begin[j + 1]; e++) sum += m.value[e] * phi[m.row[e] * COUNT + k];
            left += sum * sum / m.mass[j];
        }
        assert_true(sqrt(left) < 1e-9 * lambda);
        for (int l = 0; l <= k; l++) {
            double product = 0;
            for (int j = 0; j < m.n; j++) product += m.mass[j] * phi[j * COUNT + k] * phi[j * COUNT + l];
            assert_true(fabs(product - (k == l)) < 1e-10);
        }
    }
    assert_int_equal(tw_mesh_find_eigenpairs(mesh, mesh->info.vertices), TW_ERR_INVALID);
    tw_mesh_matrices_free(*state, &m);
    tw_mesh_destroy(mesh);
}

static void test_draws(void **state)
{
    enum { N = 40000 };
    tw_mesh *mesh = sphere(state, 3);
    double *x = malloc(3 * N * sizeof(double)), *height = malloc((size_t)mesh->info.vertices * sizeof(double));
    double mean[3] = {0}, square = 0;
    assert_int_equal(tw_mesh_draw(mesh, NULL, 1, N, x), TW_OK);
    for (int i = 0; i < N; i++) {
        v3_add(mean, 1.0 / N, x + 3 * i);
        square += x[3 * i] * x[3 * i] / N;
    }
    for (int j = 0; j < 3; j++) assert_true(fabs(mean[j]) < 4 * sqrt(1.0 / 3 / N));
    assert_true(fabs(square - 1.0 / 3) < 0.01);
    /* max(z, 0) on the unit sphere: E z = (2 pi / 3) / pi */
    for (int64_t v = 0; v < mesh->info.vertices; v++) height[v] = mesh->vertex[3 * v + 2];
    assert_int_equal(tw_mesh_draw(mesh, height, 2, N, x), TW_OK);
    double sum = 0, lowest = 1;
    for (int i = 0; i < N; i++) {
        sum += x[3 * i + 2] / N;
        lowest = fmin(lowest, x[3 * i + 2]);
    }
    assert_true(fabs(sum - 2.0 / 3) < 0.01);
    assert_true(lowest > -1e-12);
    for (int64_t v = 0; v < mesh->info.vertices; v++) height[v] = -1;
    assert_int_equal(tw_mesh_draw(mesh, height, 2, N, x), TW_ERR_INVALID);
    free(x);
    free(height);
    tw_mesh_destroy(mesh);
}

/* On a graph: the point is the host's, velocities are tangent, and what flows across an edge is the same on both sides.
 */
static void test_velocities_lose_nothing_at_edges(void **state)
{
    enum { EDGES = 64 };
    tw_mesh *mesh = mesh_of(*state, raw_potato(2));
    tw_graph *g = NULL;
    assert_int_equal(tw_graph_create(*state, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2 * EDGES, 3)),
           y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_of(2 * EDGES, 3));
    tw_val at = tw_mesh_project_rows(mesh, x), out[2] = {at, tw_mesh_lift_rows(mesh, at, y)};
    double points[6 * EDGES], free_vectors[6 * EDGES], on[6 * EDGES], v[6 * EDGES], side[3 * EDGES];
    tw_random random = {.seed = 8};
    for (int e = 0; e < EDGES; e++) { /* either side of an edge, a hair away */
        tw_mesh_place here = {.face = 5 * e, .share = {1e-9, 0.4, 0.6 - 1e-9}}, over;
        tw_mesh_place edge = {.face = 5 * e, .share = {0, 0.4, 0.6}};
        int corner;
        over = tw_mesh_cross(mesh, &edge, 0, &corner);
        for (int j = 0; j < 3; j++) over.share[j] = j == corner ? 1e-9 : over.share[j] * (1 - 1e-9);
        tw_mesh_point(mesh, &here, points + 6 * e);
        tw_mesh_point(mesh, &over, points + 6 * e + 3);
        v3_sub(tw_mesh_corner(mesh, 5 * e, 2), tw_mesh_corner(mesh, 5 * e, 1), side + 3 * e);
        for (int j = 0; j < 3; j++) free_vectors[6 * e + j] = free_vectors[6 * e + 3 + j] = tw_random_normal(&random);
    }
    const double *const inputs[2] = {points, free_vectors};
    double *const outputs[2] = {on, v};
    assert_int_equal(tw_reference_run(*state, 2, (const tw_val[]){x, y}, inputs, 2, out, outputs), TW_OK);
    for (int e = 0; e < EDGES; e++) {
        double flow[2];
        for (int s = 0; s < 2; s++) {
            double across[3], exact[3];
            const double *n = mesh->normal + 3 * tw_mesh_find(mesh, points + 6 * e + 3 * s, NULL).face;
            tw_mesh_project(mesh, points + 6 * e + 3 * s, exact);
            for (int j = 0; j < 3; j++) assert_true(fabs(on[6 * e + 3 * s + j] - exact[j]) < 1e-14);
            assert_true(fabs(v3_dot(n, v + 6 * e + 3 * s)) < 1e-14);
            v3_cross(n, side + 3 * e, across);
            flow[s] = v3_dot(across, v + 6 * e + 3 * s);
        }
        assert_true(fabs(flow[0] - flow[1]) < 1e-7 * sqrt(v3_dot(side + 3 * e, side + 3 * e)));
    }
    tw_graph_destroy(g);
    tw_mesh_destroy(mesh);
}

/* What the network sees of the surface: on a sphere the point itself, within faces between those of their corners. */
static void test_normals_of_the_surface(void **state)
{
    enum { N = 50 };
    tw_mesh *mesh = mesh_of(*state, raw_sphere(3));
    tw_graph *g = NULL;
    double points[3 * N], normal[3 * N];
    assert_int_equal(tw_mesh_draw(mesh, NULL, 3, N, points), TW_OK);
    assert_int_equal(tw_graph_create(*state, &g), TW_OK);
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(N, 3)), n = tw_mesh_upright_rows(mesh, x);
    assert_int_equal(tw_reference_run(*state, 1, &x, (const double *[]){points}, 1, &n, (double *[]){normal}), TW_OK);
    for (int i = 0; i < N; i++) {
        tw_mesh_place at = tw_mesh_find(mesh, points + 3 * i, NULL);
        for (int j = 0; j < 3; j++) {
            double between = 0;
            for (int k = 0; k < 3; k++) between += at.share[k] * mesh->upright[3 * mesh->face[3 * at.face + k] + j];
            assert_true(fabs(normal[3 * i + j] - between) < 1e-12);
            assert_true(fabs(normal[3 * i + j] - points[3 * i + j]) < 0.01);
        }
    }
    tw_graph_destroy(g);
    tw_mesh_destroy(mesh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measures_of_known_surfaces),
        cmocka_unit_test(test_what_is_no_mesh_is_refused),
        cmocka_unit_test(test_the_nearest_place),
        cmocka_unit_test(test_walks_unfold_edges),
        cmocka_unit_test(test_walks_and_pulls_agree),
        cmocka_unit_test(test_the_operator),
        cmocka_unit_test(test_eigenvalues_of_the_sphere),
        cmocka_unit_test(test_eigenvalues_of_the_square),
        cmocka_unit_test(test_eigenfunctions),
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_velocities_lose_nothing_at_edges),
        cmocka_unit_test(test_normals_of_the_surface),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
