/* coupling/network_simplex.h - the transport problem between any two sets of masses, exactly. */
#ifndef TW_COUPLING_NETWORK_SIMPLEX_H
#define TW_COUPLING_NETWORK_SIMPLEX_H

#include "base/base.h"

typedef struct tw_transport {
    int64_t n, m;                   /* rows and columns, at least 1; n + m below 2^31 */
    const int64_t *supply, *demand; /* (n), (m): at least 0, of equal sums below 2^62 */
    const double *cost;             /* (n,m) row-major, finite; or NULL: rows come from `row` when they are wanted */
    void (*row)(void *user, int64_t i, double *out_row);
    void *user;
} tw_transport;

/* A move of mass. A plan has at most n + m - 1 of them with amounts above 0. */
typedef struct tw_move {
    int64_t row, column, amount;
} tw_move;

/* Finds a cheapest plan in work memory of tw_transport_bytes, 64-byte aligned. moves: room for n + m - 1; returns how
 * many there are. row_price (n) and column_price (m) get dual prices, row_price[i] + column_price[j] <= cost[i][j] up
 * to roundings and equal where mass moves: a certificate. Nothing is checked. */
size_t tw_transport_bytes(int64_t n, int64_t m);
int64_t tw_transport_run(const tw_transport *problem, void *work, tw_move *moves, double *row_price,
                         double *column_price);

/* The same with memory of its own; masses and costs are checked first. Both prices may be NULL. */
TW_NODISCARD tw_status tw_transport_solve(tw_context *ctx, const tw_transport *problem, tw_move *moves,
                                          double *row_price, double *column_price, int64_t *out_count);

/* Whole numbers proportional to the masses (finite, not negative, of positive sum) that add up to `total`. */
TW_NODISCARD tw_status tw_transport_masses(tw_context *ctx, int64_t n, const double *mass, int64_t total, int64_t *out);

#endif
