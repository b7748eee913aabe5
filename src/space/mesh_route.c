/* space/mesh_route.c - the shortest way over edges, from its end on, towards the beginning (Hart, Nilsson, Raphael 1968, A
 * formal basis for the heuristic determination of minimum cost paths; what is left is no shorter than the straight line). A
 * vertex waits once for each time it came nearer. */
#include "space/mesh.h"
#include "space/vector3.h"

#include <math.h>

static bool before(const tw_mesh_route *route, const tw_mesh_waiting *a, const tw_mesh_waiting *b)
{
    (void)route;
    return a->whole < b->whole;
}
#define HEAP_WORK tw_mesh_route
#define HEAP_ITEM tw_mesh_waiting
#include "data/heap.inc"

/* --- the search ------------------------------------------------------------------------------------------------------
 */

tw_status tw_mesh_route_create(const tw_mesh *mesh, tw_mesh_route *out)
{
    size_t n = (size_t)mesh->info.vertices, ways = 6 * (size_t)mesh->info.faces + 3;
    tw_context *ctx = mesh->ctx;
    *out = (tw_mesh_route){.mesh = mesh,
                           .far = tw_alloc(ctx, n, sizeof(double)),
                           .whole = tw_alloc(ctx, n, sizeof(double)),
                           .next = tw_alloc(ctx, n, sizeof(int32_t)),
                           .heap = tw_alloc(ctx, ways, sizeof(tw_mesh_waiting))};
    if (out->far && out->whole && out->next && out->heap) return TW_OK;
    tw_mesh_route_free(out);
    return tw_fail_memory(ctx, ways * sizeof(tw_mesh_waiting));
}

void tw_mesh_route_free(tw_mesh_route *r)
{
    if (!r->mesh) return;
    tw_context *ctx = r->mesh->ctx;
    tw_free(ctx, r->far);
    tw_free(ctx, r->whole);
    tw_free(ctx, r->next);
    tw_free(ctx, r->heap);
    *r = (tw_mesh_route){0};
}

static double length_between(const double *a, const double *b)
{
    double difference[3];
    v3_sub(a, b, difference);
    return sqrt(v3_dot(difference, difference));
}

static void come_nearer(tw_mesh_route *r, const double *begin, int32_t vertex, double far, int32_t next)
{
    if (r->far[vertex] <= far) return;
    r->far[vertex] = far;
    r->whole[vertex] = far + length_between(r->mesh->vertex + 3 * vertex, begin);
    r->next[vertex] = next;
    heap_insert(r, (tw_mesh_waiting){r->whole[vertex], vertex});
}

/* From `end` on until the corners of the face of `begin`, a point there, are settled. */
static void search(tw_mesh_route *r, const tw_mesh_place *end, int64_t face, const double *begin)
{
    const tw_mesh *m = r->mesh;
    unsigned wanted = 7; /* a bit for each corner */
    double point[3];
    tw_mesh_point(m, end, point);
    r->heap_count = 0;
    for (int64_t v = 0; v < m->info.vertices; v++) r->far[v] = (double)INFINITY;
    for (int i = 0; i < 3; i++)
        come_nearer(r, begin, m->face[3 * end->face + i], length_between(tw_mesh_corner(m, end->face, i), point), -1);
    while (r->heap_count > 0 && wanted) {
        tw_mesh_waiting w = heap_take(r);
        int32_t v = w.vertex;
        if (w.whole > r->whole[v]) continue;
        for (int i = 0; i < 3; i++)
            if (m->face[3 * face + i] == v) wanted &= ~(1u << i);
        for (int32_t k = m->begin[v]; k < m->begin[v + 1]; k++)
            for (int i = 0; i < 3; i++) {
                int32_t u = m->face[3 * m->ring[k] + i];
                if (r->far[u] <= r->far[v]) continue; /* v itself, too */
                come_nearer(r, begin, u, r->far[v] + length_between(m->vertex + 3 * u, m->vertex + 3 * v), v);
            }
    }
}

void tw_mesh_route_between(tw_mesh_route *r, const tw_mesh_place *x0, const tw_mesh_place *x1, double share,
                           double out_x[3], double out_velocity[3])
{
    const tw_mesh *m = r->mesh;
    double at[3], end[3], step[3], whole;
    int32_t vertex = -1; /* the next on the way, -1: the end */
    tw_mesh_point(m, x0, at);
    tw_mesh_point(m, x1, end);
    whole = length_between(at, end);
    if (x0->face != x1->face) {
        search(r, x1, x0->face, at);
        whole = (double)INFINITY;
        for (int i = 0; i < 3; i++) {
            int32_t v = m->face[3 * x0->face + i];
            double length = length_between(at, m->vertex + 3 * v) + r->far[v];
            if (length >= whole) continue;
            whole = length;
            vertex = v;
        }
    }
    double left = share * whole;
    for (;;) {
        const double *goal = vertex < 0 ? end : m->vertex + 3 * vertex;
        double length = length_between(goal, at);
        v3_sub(goal, at, step);
        bool here = left <= length || vertex < 0;
        if (here && length > 0) {
            for (int j = 0; j < 3; j++) {
                out_x[j] = at[j] + fmin(left / length, 1) * step[j];
                out_velocity[j] = step[j] * whole / length;
            }
            return;
        }
        if (here) {
            for (int j = 0; j < 3; j++) out_x[j] = at[j], out_velocity[j] = 0;
            return;
        }
        left -= length;
        for (int j = 0; j < 3; j++) at[j] = goal[j];
        vertex = r->next[vertex];
    }
}
