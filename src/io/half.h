/* io/half.h - numbers of 16 bits: IEEE 754-2008, binary16. */
#ifndef TW_IO_HALF_H
#define TW_IO_HALF_H

#include <math.h>
#include <stdint.h>

static inline double tw_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double size = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                  : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                 : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

#endif
