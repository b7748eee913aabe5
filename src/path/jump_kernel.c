/* path/jump_kernel.c - see jump_kernel.h. */
#include "path/jump_kernel.h"

#include "graph/node.h"

#include <math.h>

static const double width = 2.0 * TW_JUMP_REACH / TW_JUMP_BINS;

/* Left end of a bin; the outer ones have no end. */
static double edge(int bin)
{
    const double beyond = 1e6; /* any u */
    return bin == 0 ? -beyond : bin == TW_JUMP_BINS ? beyond : width * bin - TW_JUMP_REACH;
}

/* --- on the host ------------------------------------------------------------------------------------------------- */

double tw_jump_kernel_intensity(double u, double z)
{
    return fmax(u * u - z * u - 1, 0);
}

/* Primitive of the places, between whose roots u' is. */
static double primitive(double u, double z)
{
    return (u - z) * exp(-0.5 * u * u);
}

void tw_jump_kernel_masses(double u, double z, double out[TW_JUMP_BINS])
{
    double half = 0.5 * sqrt(z * z + 4), low = 0.5 * z - half, high = 0.5 * z + half;
    double begin = primitive(low, z), all = primitive(high, z) - begin;
    for (int b = 0; b < TW_JUMP_BINS; b++) {
        double end = primitive(fmin(fmax(u + edge(b + 1), low), high), z);
        out[b] = (end - begin) / all;
        begin = end;
    }
}

double tw_jump_kernel_length(const double weight[TW_JUMP_BINS], double sum, double uniform)
{
    double left = uniform * sum;
    int b = 0;
    while (b < TW_JUMP_BINS - 1 && left >= weight[b]) left -= weight[b++];
    return width * (b + fmin(left / weight[b], 1)) - TW_JUMP_REACH;
}

/* --- on a graph -------------------------------------------------------------------------------------------------- */

tw_val tw_jump_kernel_intensities(tw_val u, tw_val z)
{
    tw_val falls = tw_adds(tw_mul(u, tw_sub(u, z)), -1);
    return tw_max(falls, tw_zeros_like(falls));
}

static tw_val primitives(tw_val u, tw_val z)
{
    return tw_mul(tw_sub(u, z), tw_exp(tw_muls(tw_square(u), -0.5)));
}

tw_val tw_jump_kernel_masses_of(tw_val u, tw_val z)
{
    double edges[TW_JUMP_BINS + 1];
    for (int b = 0; b <= TW_JUMP_BINS; b++) edges[b] = edge(b);
    tw_val from = tw_cast(tw_const_data(u.graph, TW_DTYPE_F64, tw_shape_of(1, 1, TW_JUMP_BINS + 1), edges), tw_dtype_at(u));
    u = tw_expand_dim(u, 2);
    z = tw_expand_dim(z, 2);
    tw_val half = tw_muls(tw_sqrt(tw_adds(tw_square(z), 4)), 0.5), middle = tw_muls(z, 0.5);
    tw_val low = tw_sub(middle, half), high = tw_add(middle, half);
    tw_val at = primitives(tw_min(tw_max(tw_add(u, from), low), high), z);
    tw_val mass = tw_sub(tw_slice(at, 2, 1, TW_JUMP_BINS + 1), tw_slice(at, 2, 0, TW_JUMP_BINS));
    return tw_div(mass, tw_sub(primitives(high, z), primitives(low, z)));
}
