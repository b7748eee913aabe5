/* coupling/assignment.h - the cheapest permutation of a dense cost matrix (Jonker, Volgenant 1987; exact). */
#ifndef TW_COUPLING_ASSIGNMENT_H
#define TW_COUPLING_ASSIGNMENT_H

#include "base/base.h"

/* cost (n,n) row-major, finite. out_column[i] is the column of row i; row_price and column_price (n each, may be NULL)
 * receive dual prices with row_price[i] + column_price[j] <= cost[i][j], equal on assigned pairs (a certificate of
 * optimality). work: tw_assignment_bytes(n). */
size_t tw_assignment_bytes(int64_t n);
void tw_assignment_run(int64_t n, const double *cost, void *work, int64_t *out_column, double *row_price,
                       double *column_price);

/* The same with memory of its own; costs that are not finite are refused. */
TW_NODISCARD tw_status tw_assignment_solve(tw_context *ctx, int64_t n, const double *cost, int64_t *out_column,
                                           double *row_price, double *column_price);

#endif
