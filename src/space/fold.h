/* space/fold.h - factors that are a part of their manifold, between walls: shares among unit vectors, numbers above or
 * between bounds. What goes through a wall comes back as if from a mirror.
 *
 * The part is convex: geodesics between its points stay in it, so that paths need no walls, and velocities of flows are
 * made to vanish across them (space/product.c); draws of sources are folded, and samples that rounding has put beyond. A
 * density within is the sum of those at all mirror images (method of images; Lou, Ermon 2023, Reflected diffusion
 * models). */
#ifndef TW_SPACE_FOLD_H
#define TW_SPACE_FOLD_H

#include "nn/piece.h"

typedef enum tw_fold {
    TW_FOLD_NONE,
    TW_FOLD_POSITIVE, /* numbers of at least 0; of unit vectors, too */
    TW_FOLD_BETWEEN,  /* numbers from -1 to 1 */
} tw_fold;

void tw_fold_point(tw_fold fold, int n, const double *x, double *out);
tw_val tw_fold_rows(tw_fold fold, tw_val x);

/* The logarithm of the sum over mirror images of a normal density at 0, of n independent numbers. */
double tw_fold_normal(tw_fold fold, int n, double sigma, const double *x);

#endif
