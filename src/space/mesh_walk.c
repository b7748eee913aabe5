/* space/mesh_walk.c - straight walks on a mesh: within a face along a line, over an edge as if both faces were unfolded
 * into one plane (Polthier, Schmies 1998, Straightest geodesics on polyhedral surfaces). A boundary is a mirror.
 *
 * Unfolding changes no length and no angle, so that tangent vectors are carried along a walk exactly, and so is what a
 * walk makes of a difference of its velocity: the derivative of exp is a rotation. */
#include "space/mesh.h"
#include "space/vector3.h"

#include <math.h>
#include <string.h>

typedef struct walk {
    tw_mesh_place at;
    double v[3];     /* its velocity, turned with the plane */
    double mirrored; /* -1: seen in a mirror an odd number of times */
} walk;

static void make_tangent(const tw_mesh *m, int64_t face, double *v)
{
    const double *n = m->normal + 3 * face;
    v3_add(v, -v3_dot(n, v), n);
}

/* Over the edge opposite `corner`; returns which corner is the one opposite now. */
static int cross(const tw_mesh *m, walk *w, int corner)
{
    double edge[3], out[3], in[3], v[3] = {0};
    int64_t before = w->at.face;
    v3_sub(tw_mesh_corner(m, before, (corner + 2) % 3), tw_mesh_corner(m, before, (corner + 1) % 3), edge);
    v3_scale(1 / sqrt(v3_dot(edge, edge)), edge, edge);
    v3_cross(edge, m->normal + 3 * before, out);
    double along = v3_dot(w->v, edge), across = v3_dot(w->v, out);
    v3_add(v, along, edge);
    if (m->across[3 * before + corner] < 0) {
        v3_add(v, -across, out);
        w->mirrored = -w->mirrored;
    } else {
        w->at = tw_mesh_cross(m, &w->at, corner, &corner);
        v3_cross(edge, m->normal + 3 * w->at.face, in);
        v3_add(v, across, in);
    }
    memcpy(w->v, v, sizeof v);
    return corner;
}

/* For one unit of time. */
static void go(const tw_mesh *m, walk *w)
{
    enum { MOST = 100000 }; /* edges: beyond any step that makes sense */
    double left = 1;
    int from = -1; /* the corner opposite the edge just crossed */
    for (int n = 0; n < MOST; n++) {
        double slope[9], time = left;
        int leaves = -1;
        tw_mesh_slopes(m, w->at.face, slope);
        double change[3];
        for (int i = 0; i < 3; i++) {
            change[i] = v3_dot(slope + 3 * i, w->v);
            if (i == from || !(change[i] < 0)) continue;
            double until = fmax(w->at.share[i], 0) / -change[i];
            if (until >= time) continue;
            time = until;
            leaves = i;
        }
        for (int i = 0; i < 3; i++) w->at.share[i] += time * change[i];
        if (leaves < 0) return;
        w->at.share[leaves] = 0;
        left -= time;
        from = cross(m, w, leaves);
    }
}

static walk begin(const tw_mesh *m, const double *x, const double *v)
{
    walk w = {.at = tw_mesh_find(m, x, NULL), .v = {v[0], v[1], v[2]}, .mirrored = 1};
    make_tangent(m, w.at.face, w.v);
    return w;
}

void tw_mesh_exp(const tw_mesh *mesh, const double *x, const double *v, double *out)
{
    walk w = begin(mesh, x, v);
    if (isfinite(v3_dot(v, v))) go(mesh, &w);
    tw_mesh_point(mesh, &w.at, out);
    for (int j = 0; j < 3 && !isfinite(v3_dot(v, v)); j++) out[j] = (double)NAN;
}

void tw_mesh_pull(const tw_mesh *mesh, const double *x, const double *v, const double *k, double *out)
{
    walk w = begin(mesh, x, v);
    double ahead[3], aside[3], then_ahead[3], then_aside[3], back[3] = {0};
    double length = sqrt(v3_dot(w.v, w.v));
    const double *normal = mesh->normal + 3 * w.at.face;
    if (!(length > 0) || !isfinite(length)) {
        double same[3] = {k[0], k[1], k[2]};
        make_tangent(mesh, w.at.face, same);
        memcpy(out, same, sizeof same);
        return;
    }
    v3_scale(1 / length, w.v, ahead);
    v3_cross(normal, ahead, aside);
    go(mesh, &w);
    v3_scale(1 / length, w.v, then_ahead);
    v3_cross(mesh->normal + 3 * w.at.face, then_ahead, then_aside);
    v3_add(back, v3_dot(k, then_ahead), ahead);
    v3_add(back, w.mirrored * v3_dot(k, then_aside), aside);
    memcpy(out, back, sizeof back);
}
