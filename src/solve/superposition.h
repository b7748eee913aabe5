/* solve/superposition.h - a Markov superposition of a flow and of jumps, simulated: of the generators of both, (1 - a)
 * times that of the flow and a times that of the jumps, which has the marginals of either (Holderrieth et al. 2024,
 * Generator matching, section 5: the generators that keep a path are a convex set).
 *
 * A step from t to s asks once, at t, and is Euler's in the clock of the path, tau = -log(1 - t), in which rates are
 * bounded (path/jump_kernel.h): with k = (1 - s) / (1 - t) a coordinate whose intensity is q jumps with probability
 * 1 - k^(a q), which is 1 - e^-(integral of its rate); else it goes (1 - k^(1 - a)) (1 - t) v along its velocity, to
 * where pull towards x + (1 - t) v weakened to 1 - a leads. Without jumps that is Euler's step. */
#ifndef TW_SOLVE_SUPERPOSITION_H
#define TW_SOLVE_SUPERPOSITION_H

#include "base/base.h"
#include "path/jump_kernel.h"

/* What the model says at t of rows x (rows, columns): of each row velocities (columns), intensities (columns) and
 * logits of lengths (columns, TW_JUMP_BINS). */
typedef tw_status (*tw_superposition_fn)(void *user, int64_t rows, double t, const double *x, float *out_answer);

typedef struct tw_superposition {
    int columns;
    double share;  /* a, 0..1 */
    double t0, t1; /* 0 <= t0 < t1 <= 1 */
    int64_t steps;
    uint64_t seed;
    int64_t first_row; /* the caller's number of row 0 */
} tw_superposition;

/* Moves x (rows, columns) in place; answer: memory for (rows, tw_superposition_answers). Random numbers are functions of
 * seed, row, column and step. Answers that are not numbers fail with TW_ERR_NUMERIC. */
tw_status tw_superposition_run(const tw_superposition *desc, tw_superposition_fn model, void *user, int64_t rows, double *x,
                               float *answer);
static inline int tw_superposition_answers(int columns)
{
    return columns * (2 + TW_JUMP_BINS);
}

#endif
