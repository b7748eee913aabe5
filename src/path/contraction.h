/* path/contraction.h - conditional paths whose law at any time is known in closed form: x_0 is drawn towards x_1 by a
 * factor s, from 1 down, in a chart about x_1 that the source looks the same in from every side.
 *
 *   on R^n      x_1 + s (x_0 - x_1), x_0 normal                     normal: mean (1 - s) x_1, deviation s
 *   on S^n      stereographic coordinates y about x_1 become s y    density over that of the uniform x_0:
 *                                                                   (2 s / (2 s^2 + (1 - s^2) |x - x_1|^2 / 2))^n
 *   of angles   the same, each on a circle                          wrapped Cauchy
 *   of shares   their roots z towards those of x_1                  Dirichlet, 1/2 + tau x_1, tau = (1 / s^2 - 1) / 4
 *
 * On spheres y -> s y is a Moebius transformation, and the law the spherical Cauchy distribution (Kato, McCullagh 2020,
 * Some properties of a Cauchy family on the sphere derived from the Moebius transformations): uniform at s = 1, in any
 * dimension without a Bessel function, sampled by one formula. Of shares points are drawn from a law that is
 * only near the one told (path/contraction.c): what holds at every point of the path may be held at those. Of unit
 * vectors x moves by -(ds/dt) / s times the part of x_1 across x. */
#ifndef TW_PATH_CONTRACTION_H
#define TW_PATH_CONTRACTION_H

#include "space/space.h"

/* Whether that is known of all factors: numbers, angles, unit vectors and shares. */
bool tw_contraction_covers(const tw_space *space);
/* x (B,D) from x0, x1 (B,D) by s (B,1); of shares from standard normal z (B,D) in place of x0. */
tw_val tw_contraction_point(const tw_space *space, tw_val x0, tw_val x1, tw_val s, tw_val z);
/* log p(x_i | x1_j; s_ij) with respect to the volumes of the factors, (B,N), of x (B,D), x1 (N,D), s (B,N) or (B,1). */
tw_val tw_contraction_log_density(const tw_space *space, tw_val x, tw_val x1, tw_val s);

/* Whether the velocity of the paths is known, too: not of shares. */
bool tw_contraction_moves(const tw_space *space);
/* The sum over the data x1 (N,D) of `weight` (B,N) times the direction to each from x (B,D), along which a path moves
 * by -(ds/dt) / s times it: x_1 - x of numbers, the part of x_1 across x of unit vectors, the sine of the difference
 * of angles. */
tw_val tw_contraction_towards(const tw_space *space, tw_val x, tw_val x1, tw_val weight);

#endif
