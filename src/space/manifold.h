/* space/manifold.h - manifolds by their coordinates, on the host and on a graph: geodesics, their logarithms, distance,
 * transport, projections, metric. What each formula is stands in space/manifolds.inc.
 *
 * A point is n numbers x, a tangent vector n numbers of the same coordinates. Euclidean spaces, tori and hyperbolic
 * space have n dimensions; the sphere and the rotations have one less, and their points are unit vectors. */
#ifndef TW_SPACE_MANIFOLD_H
#define TW_SPACE_MANIFOLD_H

#include "nn/piece.h"

enum { TW_MANIFOLD_MOST = 528 }; /* numbers a point may have: a matrix of 32 rows */

typedef enum tw_manifold {
#define TW_MANIFOLD(name, about, source) TW_MANIFOLD_##name,
#include "space/manifolds.def"
    TW_MANIFOLD_COUNT
} tw_manifold;

const tw_piece_info *tw_manifold_list(int index); /* NULL past the end, in the order of tw_manifold */
int tw_manifold_dims(tw_manifold m, int n);
/* The logarithm of its volume, infinity where it has none. */
double tw_manifold_log_volume(tw_manifold m, int n);

/* --- on the host: arrays of n doubles, out may be any of the arguments ----------------------------------------------
 */
void tw_manifold_exp(tw_manifold m, int n, const double *x, const double *v, double *out);
void tw_manifold_log(tw_manifold m, int n, const double *x, const double *y, double *out);
double tw_manifold_distance(tw_manifold m, int n, const double *x, const double *y);
void tw_manifold_carry(tw_manifold m, int n, const double *x, const double *y, const double *v, double *out);
void tw_manifold_project(tw_manifold m, int n, const double *x, double *out);
void tw_manifold_tangent(tw_manifold m, int n, const double *x, const double *v, double *out);
double tw_manifold_inner(tw_manifold m, int n, const double *x, const double *v, const double *w);
/* k, tangent at z = exp_x(v), as the change of v that makes it: the inverse of the derivative of exp_x at v. For v
 * within the cut locus. */
void tw_manifold_pull(tw_manifold m, int n, const double *x, const double *v, const double *z, const double *k,
                      double *out);
/* log |det d exp_x(v) / dv| of a v of length r: minus (dims - 1) log stretch(r). Not of matrices: tw_spd_log_spread. */
double tw_manifold_log_spread(tw_manifold m, int n, double r);

/* --- on a graph: rows (B,n) ------------------------------------------------------------------------------------------
 */
tw_val tw_manifold_exp_rows(tw_manifold m, tw_val x, tw_val v);
tw_val tw_manifold_log_rows(tw_manifold m, tw_val x, tw_val y);
tw_val tw_manifold_distance_rows(tw_manifold m, tw_val x, tw_val y); /* (B) */
tw_val tw_manifold_carry_rows(tw_manifold m, tw_val x, tw_val y, tw_val v);
tw_val tw_manifold_project_rows(tw_manifold m, tw_val x);
tw_val tw_manifold_tangent_rows(tw_manifold m, tw_val x, tw_val v);
tw_val tw_manifold_frame_rows(tw_manifold m, tw_val x, tw_val v);

#endif
