/* space/premetric.h - spectral distances on a mesh, and the paths that go down them (Chen, Lipman 2024, Flow matching on
 * general geometries, section 3.2).
 *
 *   d(x, y)^2 = sum_k w(lambda_k) (phi_k(x) - phi_k(y))^2
 *
 * over eigenpairs of the Laplace-Beltrami operator. With y fixed, x_t is where the curve of steepest descent of d(., y)
 * from x_0 has d(x_t, y) = kappa(t) d(x_0, y); its velocity is then kappa'/kappa d grad d / |grad d|^2.
 *
 * Functions that are linear in each face make the mesh a surface of as many flat faces in R^count, whose chords d
 * measures: within a face d^2 is a quadratic, told by its values at the corners and the lengths of edges there. So the
 * curve is followed face by face, with the time told by d itself: no step of time is chosen and no law of d is missed,
 * whatever the curve's own error. Where faces on both sides lead to their edge, it goes along the edge.
 *
 * A spectral distance may have other minima than y. Of random pairs on the bunny and on Spot 4 and 6 % have a curve
 * that ends in one (biharmonic, 200 pairs; diffusion 5 and 9 %). With commute times, whose sum of weights grows without
 * bound, 16 and 9 % have one of 10 eigenpairs, 64 and 52 % of 50, 95 and 93 % of 200. Such pairs go the shortest way
 * over edges at constant speed instead: flow matching asks no more of a path than that it joins its pair. */
#ifndef TW_SPACE_PREMETRIC_H
#define TW_SPACE_PREMETRIC_H

#include "space/mesh.h"

#include <stdatomic.h>

typedef enum tw_spectral {
    TW_SPECTRAL_BIHARMONIC, /* lambda^-2 (Lipman, Rustamov, Funkhouser 2010) */
    TW_SPECTRAL_COMMUTE,    /* lambda^-1, times to there and back (Fouss et al. 2007) */
    TW_SPECTRAL_DIFFUSION,  /* e^(-2 tau lambda), tau in squares of the radius of a sphere of the same area (Coifman,
                               Lafon  2006) */
} tw_spectral;

/* Memory of one thread at a time. */
typedef struct tw_premetric_room {
    atomic_flag taken;
    double *work;
    tw_mesh_route route;
} tw_premetric_room;

typedef struct tw_premetric {
    tw_context *ctx;
    const tw_mesh *mesh;
    int rooms;
    tw_premetric_room *room;
    tw_custom path; /* see tw_premetric_rows */
    int64_t count;  /* of eigenpairs */
    double *place;  /* (vertices, count): the mesh in R^count */
    double *square; /* (faces, 3): squared lengths there of the edges opposite each corner */
} tw_premetric;

/* For the first `count` eigenpairs, which the mesh has; it must outlive the distance. */
TW_NODISCARD tw_status tw_premetric_create(tw_context *ctx, const tw_mesh *mesh, tw_spectral kind, double tau,
                                           int64_t count, tw_premetric **out);
void tw_premetric_destroy(tw_premetric *p);

double tw_premetric_distance(const tw_premetric *p, const tw_mesh_place *x, const tw_mesh_place *y);
/* Numbers of memory that the following want of their caller, which may be reused. */
static inline int64_t tw_premetric_work(const tw_premetric *p)
{
    return p->count + p->mesh->info.vertices;
}
/* Its gradient in x, a tangent vector of the face x is said to be on; x and y are apart. */
void tw_premetric_gradient(const tw_premetric *p, const tw_mesh_place *x, const tw_mesh_place *y, double *work,
                           double out[3]);

typedef struct tw_descent {
    tw_mesh_place at;   /* where d(x, x1) = kappa d(x0, x1), */
    double velocity[3]; /* and how it moves there, by kappa' / kappa = -1: to be multiplied by -kappa' / kappa */
    bool arrived;       /* false: the curve ended before, where d has a least value that is not 0; velocity 0 */
} tw_descent;
/* kappa above 0. */
tw_descent tw_premetric_descend(const tw_premetric *p, const tw_mesh_place *x0, const tw_mesh_place *x1, double kappa,
                                double *work);

/* On a graph: points x_t (B,3) of the mesh for rows x0, x1 (B,3) and share = 1 - kappa (B,1), and their derivative in the
 * share. The pairs' path, shortest ways included; neither has derivatives of its own. */
void tw_premetric_rows(const tw_premetric *p, tw_val x0, tw_val x1, tw_val share, tw_val *out_x, tw_val *out_velocity);

#endif
