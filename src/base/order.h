/* base/order.h - the order of doubles, for qsort. */
#ifndef TW_BASE_ORDER_H
#define TW_BASE_ORDER_H

/* Rising; of NaN nothing is said. Records that begin with a double are ordered by it, too. */
static inline int tw_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#endif
