/* cpu/special.h - special functions of one number that are too long for a loop over a tile. */
#ifndef TW_CPU_SPECIAL_H
#define TW_CPU_SPECIAL_H

/* psi^(order)(x), the (order+1)-th derivative of log|gamma|: order 0 is digamma, 1 trigamma. Whole orders from 0 to 30,
 * any other gives NaN. At the poles 0, -1, -2, ...: infinity where both sides agree (odd orders; 0 itself by the sign
 * of zero), else NaN. */
double tw_polygamma_of(double order, double x);

#endif
