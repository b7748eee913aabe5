/* Values that tests and the scripts that made their golden files compute alike: see tests/golden/make_torch.py. */
#ifndef TW_TESTS_GOLDEN_H
#define TW_TESTS_GOLDEN_H

#include <thalweg/graph.h>

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

/* Number i of the array called `name`, in (-1,1). */
static inline double golden_number(const char *name, int64_t i)
{
    uint32_t h = (uint32_t)i * 0x9E3779B1u + (uint32_t)crc32(0, (const Bytef *)name, (uInt)strlen(name));
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    return ((double)(h >> 8) + 0.5) * 0x1p-23 - 1;
}

static inline double golden_value(const char *name, tw_shape shape, int64_t i)
{
    double x = golden_number(name, i);
    size_t length = strlen(name);
    if (strcmp(name, "x") == 0 || strcmp(name, "t") == 0 || strcmp(name, "target") == 0) return x;
    if (shape.rank >= 2) return x * sqrt(3.0 * (double)shape.dim[shape.rank - 1] / (double)tw_shape_size(shape));
    return length >= 6 && strcmp(name + length - 6, "weight") == 0 ? 1 + 0.2 * x : 0.2 * x;
}

#endif
