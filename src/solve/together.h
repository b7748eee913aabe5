/* solve/together.h - rows of numbers that flow and tokens that jump, simulated together: the generator of a product is
 * the sum of its factors' (Holderrieth et al. 2024, Generator matching), so within a step each goes its own way, told the
 * whole row.
 *
 * A step asks twice, at its start and in its middle. Numbers take the midpoint rule in the tangent space at the start;
 * tokens jump in both halves, along the exact chain of their path towards an x_1 drawn from what was said. */
#ifndef TW_SOLVE_TOGETHER_H
#define TW_SOLVE_TOGETHER_H

#include "path/token_path.h"
#include "space/space.h"

/* What the model says at t of rows x (rows, numbers of the space), which are the caller's rows number `first` and on:
 * velocities (rows, M) of the M numbers that move, and logits (rows, ...) of every token, factor by factor. */
typedef tw_status (*tw_together_fn)(void *user, int64_t rows, double t, const double *x, double *out_velocity,
                                    float *out_logits);

typedef struct tw_together {
    const tw_space *space;
    const tw_token_path *path; /* of each factor of tokens */
    double t0, t1;             /* 0 <= t0 < t1 <= 1 */
    int64_t steps;
    double temperature; /* of the logits, 0: 1 */
    const int *never;   /* (tokens) a symbol each never becomes, -1: none; NULL: none */
    uint64_t seed;
    int64_t first_row;
} tw_together;

/* Moves x (rows, numbers) in place; held (rows, numbers) stay. memory: tw_together_bytes, aligned for doubles. Random
 * numbers are functions of seed, row, token and step. Answers that are not numbers fail with TW_ERR_NUMERIC. */
tw_status tw_together_run(const tw_together *desc, tw_together_fn model, void *user, int64_t rows, double *x,
                          const unsigned char *held, void *memory);
size_t tw_together_bytes(const tw_space *space, int64_t rows);

#endif
