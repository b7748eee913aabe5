/* solve/jump_draw.c - see jump_draw.h.
 *
 * Stratified numbers are the radical inverse of the row in base 2 with Owen's scrambling (Owen 1995; Laine, Karras 2011
 * for the hash, in Burley's form: Practical hash-based Owen scrambling, 2020). Each use first shuffles the rows by
 * another scramble, so that uses are independent of each other ("padding", Owen 2003). */
#include "solve/jump_draw.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <stdlib.h>

static uint32_t reversed(uint32_t x)
{
    x = (x >> 1 & 0x55555555u) | (x & 0x55555555u) << 1;
    x = (x >> 2 & 0x33333333u) | (x & 0x33333333u) << 2;
    x = (x >> 4 & 0x0F0F0F0Fu) | (x & 0x0F0F0F0Fu) << 4;
    return __builtin_bswap32(x);
}

/* Every bit is flipped by a hash of the bits below it. */
static uint32_t scrambled_upwards(uint32_t x, uint32_t seed)
{
    x ^= x * 0x3D20ADEAu;
    x += seed;
    x *= (seed >> 16) | 1u;
    x ^= x * 0x05526C56u;
    x ^= x * 0x53A22864u;
    return x;
}

static tw_philox_block block_of(const tw_jump_dice *d, uint64_t row, uint32_t token, tw_jump_purpose purpose)
{
    tw_philox_block c = {
        {token, d->step, (uint32_t)row, TW_STREAM_JUMP | (uint32_t)purpose << 8 | (uint32_t)(row >> 32) << 16}};
    return tw_philox(c, (uint32_t)d->seed, (uint32_t)(d->seed >> 32));
}

static double uniform_of(uint32_t high, uint32_t low)
{
    return ((double)(((uint64_t)high << 32 | low) >> 12) + 0.5) * 0x1p-52;
}

double tw_jump_uniform(const tw_jump_dice *dice, uint32_t token, tw_jump_purpose purpose)
{
    const uint64_t everybody = UINT64_C(1) << 47; /* no row has this number */
    tw_philox_block own = block_of(dice, (uint64_t)dice->row, token, purpose);
    if (!dice->stratified) return uniform_of(own.word[0], own.word[1]);
    tw_philox_block use = block_of(dice, everybody, token, purpose);
    uint32_t place = reversed(scrambled_upwards(reversed((uint32_t)dice->row), use.word[0]));
    uint32_t high = reversed(scrambled_upwards(place, use.word[1]));
    return uniform_of(high, own.word[1]);
}

/* --- what a model says ------------------------------------------------------------------------------------------- */

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The least probability that is kept; equals are kept together. */
static double threshold(const tw_jump_shape *shape, int count, const double *p, double *sorted)
{
    double sum = 0, seen = 0, least;
    for (int i = 0; i < count; i++) sum += sorted[i] = p[i];
    qsort(sorted, (size_t)count, sizeof(double), descending);
    least = sorted[(shape->top_k > 0 && shape->top_k < count ? shape->top_k : count) - 1];
    for (int i = 0; i < count && seen < shape->top_p * sum; i++) {
        seen += sorted[i];
        if (seen >= shape->top_p * sum) least = fmax(least, sorted[i]);
    }
    return least;
}

double tw_jump_probabilities(const tw_jump_shape *shape, int count, const float *logits, double *out, double *scratch)
{
    double most = -(double)INFINITY, sum = 0, scale = 1 / shape->temperature;
    for (int i = 0; i < count; i++) most = (double)logits[i] > most ? (double)logits[i] : most; /* a NaN is met below */
    if (!isfinite(most)) return (double)NAN;
    for (int i = 0; i < count; i++) sum += out[i] = exp(scale * ((double)logits[i] - most));
    if (!(sum > 0) || ((shape->top_k <= 0 || shape->top_k >= count) && shape->top_p >= 1)) return sum;
    double least = threshold(shape, count, out, scratch);
    sum = 0;
    for (int i = 0; i < count; i++) sum += out[i] = out[i] >= least ? out[i] : 0;
    return sum;
}

int tw_jump_pick(int count, const double *p, double sum, double uniform)
{
    double place = uniform * sum, seen = 0;
    int last = 0;
    for (int i = 0; i < count; i++) {
        if (!(p[i] > 0)) continue;
        seen += p[i];
        if (place < seen) return i;
        last = i;
    }
    return last;
}

int tw_jump_most(int count, const double *p)
{
    int most = 0;
    for (int i = 1; i < count; i++)
        if (p[i] > p[most]) most = i;
    return most;
}
