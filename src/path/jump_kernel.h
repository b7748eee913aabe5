/* path/jump_kernel.h - jumps of a number that follow the straight path from a normal source, p_t(x | z) = N(t z, (1-t)^2):
 * the jump solution of the CondOT path (Holderrieth et al. 2024, Generator matching, section 4 and its appendix).
 *
 * In units u = (x - t z) / (1 - t) and in a clock with d tau = dt / (1 - t) neither time nor an end is left of it:
 *
 *   intensity     [u^2 - z u - 1]_+        where the density falls, it is left,
 *   places        (1 + z u' - u'^2)_+ phi(u')   up to a factor: where it grows, it is come to.
 *
 * The density of places has the primitive (u' - z) phi(u'), so that the mass of any interval is known. A jump is told
 * by its length in these units, u' - u = (x' - x) / (1 - t), in bins of equal width: what a network says of it is as fine
 * near the data as far from it. */
#ifndef TW_PATH_JUMP_KERNEL_H
#define TW_PATH_JUMP_KERNEL_H

#include <thalweg/graph.h>

/* Bins of lengths from -REACH to REACH; longer jumps are in the outer ones. Their width, 1/4, adds 0.5 % to the variance
 * of what is drawn evenly within them. */
enum { TW_JUMP_BINS = 64, TW_JUMP_REACH = 8 };

/* Per unit of the clock, at u when the path goes to z. */
double tw_jump_kernel_intensity(double u, double z);
/* Probabilities of the bins. */
void tw_jump_kernel_masses(double u, double z, double out[TW_JUMP_BINS]);
/* Length of a jump by weights of the bins, whose sum is positive: evenly within one, by a uniform number in (0,1). */
double tw_jump_kernel_length(const double weight[TW_JUMP_BINS], double sum, double uniform);

/* The same on a graph: (B,D) of u, z (B,D); and (B,D,TW_JUMP_BINS). */
tw_val tw_jump_kernel_intensities(tw_val u, tw_val z);
tw_val tw_jump_kernel_masses_of(tw_val u, tw_val z);

#endif
