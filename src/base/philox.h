/* base/philox.h - Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as 1, 2, 3;
 * SC 2011): 128 random bits as a pure function of a 128-bit counter and a 64-bit key. */
#ifndef TW_BASE_PHILOX_H
#define TW_BASE_PHILOX_H

#include <math.h>
#include <stdint.h>

typedef struct tw_philox_block {
    uint32_t word[4];
} tw_philox_block;

static inline tw_philox_block tw_philox(tw_philox_block counter, uint32_t key0, uint32_t key1)
{
    uint32_t c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return (tw_philox_block){{c0, c1, c2, c3}};
}

/* A stream of draws on the host: (seed, stream) names the sequence, `index` walks along it. A value, not an
 * object: copy it to remember a place. Streams in use are listed in base/streams.h. */
typedef struct tw_random {
    uint64_t seed;
    uint32_t stream;
    uint64_t index;
} tw_random;

static inline uint32_t tw_random_u32(tw_random *r)
{
    uint64_t block = r->index >> 2;
    tw_philox_block c = {{(uint32_t)block, (uint32_t)(block >> 32), r->stream, 0x7477u}};
    c = tw_philox(c, (uint32_t)r->seed, (uint32_t)(r->seed >> 32));
    return c.word[r->index++ & 3];
}

/* Uniform in (0,1), 53 bits, never 0 nor 1. */
static inline double tw_random_uniform(tw_random *r)
{
    uint64_t hi = tw_random_u32(r), lo = tw_random_u32(r);
    return ((double)((hi << 32 | lo) >> 12) + 0.5) * 0x1p-52;
}

/* Standard normal (Box-Muller; two uniforms a draw, so that the index advances by a fixed amount). */
static inline double tw_random_normal(tw_random *r)
{
    double u = tw_random_uniform(r), v = tw_random_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

/* Uniform integer in [0, n), n >= 1, by multiplication (bias below 2^-32 for n < 2^32). */
static inline int64_t tw_random_below(tw_random *r, int64_t n)
{
    uint64_t hi = tw_random_u32(r), lo = tw_random_u32(r), bits = hi << 32 | lo;
    return (int64_t)(((unsigned __int128)bits * (uint64_t)n) >> 64);
}

#endif
