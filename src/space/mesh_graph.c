/* space/mesh_graph.c - meshes on a graph: a custom call finds the face of each row, of which everything else is
 * formulas with derivatives. The face itself has none.
 *
 * Velocities are n x (y x N) = (n . N) y - (n . y) N, with y what a network says, n the normal of the face and N that
 * of the surface, which is linear in each face between the normals of its corners and goes on over edges. What flows
 * across an edge with direction e is then (n x e) . v = e . (y x N) from either side: nothing is lost or made at edges,
 * so that the divergence within faces is all of it and densities integrate to one. A projection of y to each face alone
 * leaves out what edges hide, the curvature of the surface times the part of y across it. */
#include "space/mesh.h"
#include "space/vector3.h"

#include "graph/node.h"

#include <math.h>

/* Of a face: n and what n . (x - centre) is on it; N = N_0 + M (x - centre), row by row. */
enum { NORMAL = 0, OFFSET = 3, UPRIGHT = 4, TURN = 7, PLANE = 16 };

static void plane_of(const tw_mesh *m, const double *x, double *out)
{
    double slope[9], corner[3];
    int64_t f = tw_mesh_find(m, x, NULL).face;
    const double *n = m->normal + 3 * f;
    tw_mesh_slopes(m, f, slope);
    v3_sub(tw_mesh_corner(m, f, 0), m->info.centre, corner);
    for (int j = 0; j < 3; j++) out[NORMAL + j] = n[j];
    out[OFFSET] = v3_dot(n, corner);
    for (int j = UPRIGHT; j < PLANE; j++) out[j] = 0;
    for (int i = 0; i < 3; i++) {
        const double *upright = m->upright + 3 * (int64_t)m->face[3 * f + i], *s = slope + 3 * i;
        v3_sub(tw_mesh_corner(m, f, i), m->info.centre, corner);
        v3_add(out + UPRIGHT, 1 - v3_dot(s, corner), upright);
        for (int j = 0; j < 3; j++) v3_add(out + TURN + 3 * j, upright[j], s);
    }
}

static bool infer_uniform(void *user, int args_count, const tw_array *args, tw_array *results)
{
    (void)user;
    if (args_count != 1 || args[0].shape.rank != 2 || args[0].shape.dim[1] != 3 ||
        (args[0].dtype != TW_DTYPE_F32 && args[0].dtype != TW_DTYPE_F64))
        return false;
    results[0] = args[0];
    return true;
}

static bool infer_plane(void *user, int args_count, const tw_array *args, tw_array *results)
{
    bool fits = infer_uniform(user, args_count, args, results);
    results[0].shape.dim[1] = PLANE;
    return fits;
}

/* A function of three numbers for each row. */
static void evaluate(const tw_mesh *m, const tw_array *in, const tw_array *out,
                     void (*f)(const tw_mesh *m, const double *x, double *out))
{
    bool wide = in->dtype == TW_DTYPE_F64;
    int64_t columns = out->shape.dim[1];
    for (int64_t i = 0; i < in->shape.dim[0]; i++) {
        double x[3], made[PLANE];
        for (int j = 0; j < 3; j++)
            x[j] = wide ? ((const double *)in->data)[3 * i + j] : (double)((const float *)in->data)[3 * i + j];
        f(m, x, made);
        for (int64_t j = 0; j < columns; j++)
            if (wide)
                ((double *)out->data)[columns * i + j] = made[j];
            else
                ((float *)out->data)[columns * i + j] = (float)made[j];
    }
}

static void evaluate_plane(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    (void)args_count;
    evaluate(user, args, results, plane_of);
}

static void evaluate_uniform(void *user, int args_count, const tw_array *args, const tw_array *results)
{
    (void)args_count;
    evaluate(user, args, results, tw_mesh_uniform);
}

/* It does not change within a face. */
static void no_derivative(void *user, tw_graph *g, int args_count, const tw_val *args, const tw_val *results,
                          const tw_val *tangents, tw_val *out_tangents)
{
    (void)user, (void)g, (void)args_count, (void)args, (void)results, (void)tangents, (void)out_tangents;
}

void tw_mesh_make_calls(tw_mesh *mesh)
{
    mesh->plane = (tw_custom){.name = "mesh_plane",
                              .user = mesh,
                              .results_count = 1,
                              .infer = infer_plane,
                              .evaluate = evaluate_plane,
                              .jvp = no_derivative,
                              .by_rows = true};
    mesh->uniform = mesh->plane;
    mesh->uniform.name = "mesh_uniform";
    mesh->uniform.infer = infer_uniform;
    mesh->uniform.evaluate = evaluate_uniform;
}

static tw_val part(tw_val plane, int begin, int count)
{
    return tw_slice(plane, 1, begin, begin + count);
}

static tw_val dot(tw_val a, tw_val b)
{
    return tw_expand_dim(tw_sum_axis(tw_mul(a, b), 1), 1);
}

static tw_val centred(const tw_mesh *mesh, tw_val x)
{
    tw_val centre = tw_const_data(x.graph, TW_DTYPE_F64, tw_shape_of(1, 3), mesh->info.centre);
    return tw_sub(x, tw_broadcast_to(tw_cast(centre, tw_dtype_at(x)), tw_shape_at(x)));
}

static tw_val planes(const tw_mesh *mesh, tw_val x)
{
    tw_val plane = TW_NONE;
    tw_custom_call(x.graph, &mesh->plane, 1, &x, &plane);
    return plane;
}

tw_val tw_mesh_project_rows(const tw_mesh *mesh, tw_val x)
{
    if (tw_is_none(x)) return x;
    tw_val plane = planes(mesh, x), n = part(plane, NORMAL, 3);
    tw_val above = tw_sub(dot(n, centred(mesh, x)), part(plane, OFFSET, 1));
    return tw_sub(x, tw_mul(n, above));
}

static tw_val upright_of(const tw_mesh *mesh, tw_val plane, tw_val x)
{
    tw_val at = centred(mesh, x), turned[3];
    for (int j = 0; j < 3; j++) turned[j] = dot(part(plane, TURN + 3 * j, 3), at);
    return tw_add(part(plane, UPRIGHT, 3), tw_concat(1, 3, turned));
}

tw_val tw_mesh_upright_rows(const tw_mesh *mesh, tw_val x)
{
    return tw_is_none(x) ? x : upright_of(mesh, planes(mesh, x), x);
}

tw_val tw_mesh_lift_rows(const tw_mesh *mesh, tw_val x, tw_val y)
{
    if (tw_is_none(x) || tw_is_none(y)) return y;
    tw_val plane = planes(mesh, x), n = part(plane, NORMAL, 3), upright = upright_of(mesh, plane, x);
    return tw_sub(tw_mul(y, dot(n, upright)), tw_mul(upright, dot(n, y)));
}

tw_val tw_mesh_unit_rows(const tw_mesh *mesh, tw_val x)
{
    return tw_is_none(x) ? x : tw_muls(centred(mesh, x), 1 / mesh->info.size);
}

tw_val tw_mesh_uniform_rows(const tw_mesh *mesh, tw_val z)
{
    tw_val out = TW_NONE;
    if (!tw_is_none(z)) tw_custom_call(z.graph, &mesh->uniform, 1, &z, &out);
    return out;
}
