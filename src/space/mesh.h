/* space/mesh.h - the inside of a triangle mesh: places on it, the nearest of them, straight walks over edges, what a
 * row of a graph needs of the face it is on, and the matrices of its Laplace-Beltrami operator. */
#ifndef TW_SPACE_MESH_H
#define TW_SPACE_MESH_H

#include "base/base.h"

#include <thalweg/graph.h>
#include <thalweg/mesh.h>

/* A face and the shares of its corners, which sum to 1. */
typedef struct tw_mesh_place {
    int64_t face;
    double share[3];
} tw_mesh_place;

typedef struct tw_mesh_box tw_mesh_box;

struct tw_mesh {
    tw_context *ctx;
    int references;
    tw_mesh_info info;
    double *vertex;
    int32_t *face;
    int32_t *across;          /* (faces,3): the face beyond the edge opposite each corner, -1: none */
    int32_t *begin, *ring;    /* faces around vertex v: ring[begin[v]] to ring[begin[v + 1] - 1] */
    double *normal;           /* (faces,3), of length 1 */
    double *upright;          /* (vertices,3): normals of the surface, means of the faces' by their angles */
    double *below;            /* (faces + 1): area of all faces before each */
    tw_custom plane, uniform; /* calls of graphs */
    tw_mesh_box *box;         /* a tree of boxes around faces, */
    int32_t *order;           /* which are in this order in its leaves */
    double *eigenvalue, *eigenfunction;
};

tw_mesh *tw_mesh_share(tw_mesh *mesh); /* one more owner, who destroys it, too */

const double *tw_mesh_corner(const tw_mesh *mesh, int64_t face, int corner);
double tw_mesh_area(const tw_mesh *mesh, int64_t face);
void tw_mesh_point(const tw_mesh *mesh, const tw_mesh_place *place, double out[3]);
/* The place nearest to x; *out_square (NULL: not wanted): the square of the distance. */
tw_mesh_place tw_mesh_find(const tw_mesh *mesh, const double x[3], double *out_square);
/* How a share of a corner changes along v: (3) for each of the three. */
void tw_mesh_slopes(const tw_mesh *mesh, int64_t face, double out[9]);
/* The same place as one of the face across the edge opposite `corner`, on which it is; which corner of that face is now
 * the one opposite: *out_corner. */
tw_mesh_place tw_mesh_cross(const tw_mesh *mesh, const tw_mesh_place *place, int corner, int *out_corner);
/* Builds the tree; a part of making a mesh. */
tw_status tw_mesh_build_boxes(tw_mesh *mesh);

/* --- straight walks (space/mesh_walk.c): the geodesics of a mesh. Arrays of 3 doubles, out may be any argument -------
 */
void tw_mesh_exp(const tw_mesh *mesh, const double *x, const double *v, double *out);
/* k, tangent where the walk from x along v ends, carried back to x: the inverse of the derivative of exp. */
void tw_mesh_pull(const tw_mesh *mesh, const double *x, const double *v, const double *k, double *out);
void tw_mesh_project(const tw_mesh *mesh, const double *x, double *out);

/* --- on a graph (space/mesh_graph.c): rows (B,3) ---------------------------------------------------------------------
 */
/* The custom calls of both below. */
void tw_mesh_make_calls(tw_mesh *mesh);
/* The point of the plane of the nearest face nearest to x; derivatives are those of the plane. */
tw_val tw_mesh_project_rows(const tw_mesh *mesh, tw_val x);
/* The normal N of the surface at x, on the mesh: about 1 long, linear in each face. */
tw_val tw_mesh_upright_rows(const tw_mesh *mesh, tw_val x);
/* A tangent vector at x, on the mesh, from any vector: n x (y x N). */
tw_val tw_mesh_lift_rows(const tw_mesh *mesh, tw_val x, tw_val y);
/* (x - centre) / size */
tw_val tw_mesh_unit_rows(const tw_mesh *mesh, tw_val x);
/* Points that are uniform by area where z are standard normal numbers; the same on the host. */
tw_val tw_mesh_uniform_rows(const tw_mesh *mesh, tw_val z);
void tw_mesh_uniform(const tw_mesh *mesh, const double *z, double *out);

/* --- the shortest way over edges (space/mesh_route.c)
 * ------------------------------------------------------------------ */
typedef struct tw_mesh_waiting {
    double whole; /* the way through it is no shorter */
    int32_t vertex;
} tw_mesh_waiting;
/* Memory of a search, reused from one to the next. */
typedef struct tw_mesh_route {
    const tw_mesh *mesh;
    double *far;   /* (vertices): from the end */
    double *whole; /* (vertices): and straight on to the beginning */
    int32_t *next; /* (vertices): the vertex after each on its way there; -1: the end itself */
    tw_mesh_waiting *heap;
    int64_t heap_count;
} tw_mesh_route;
TW_NODISCARD tw_status tw_mesh_route_create(const tw_mesh *mesh, tw_mesh_route *out);
void tw_mesh_route_free(tw_mesh_route *route);
/* The point a share of the way from x0 to x1 and the way's velocity there, as long as the way is. On a mesh of one
 * part. */
void tw_mesh_route_between(tw_mesh_route *route, const tw_mesh_place *x0, const tw_mesh_place *x1, double share,
                           double out_x[3], double out_velocity[3]);

/* --- the operator (space/mesh_spectrum.c) ----------------------------------------------------------------------------
 */
/* Sparse columns with both triangles; mass (n): a third of the areas around each vertex. */
typedef struct tw_mesh_matrices {
    int n;
    int *begin, *row; /* entries of column j: begin[j] to begin[j + 1] - 1, by row */
    double *value, *mass;
} tw_mesh_matrices;
TW_NODISCARD tw_status tw_mesh_laplacian(const tw_mesh *mesh, tw_mesh_matrices *out);
void tw_mesh_matrices_free(tw_context *ctx, tw_mesh_matrices *m);
/* Pairs from elsewhere: (count), (vertices, count). */
TW_NODISCARD tw_status tw_mesh_set_eigenpairs(tw_mesh *mesh, int64_t count, const double *value,
                                              const double *function);
bool tw_mesh_has_solver(void);

#endif
