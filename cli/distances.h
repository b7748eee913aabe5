/* distances.h - how far a flow's samples are from held-out rows.
 *
 * A distance alone says little: between two finite sets it is never 0. So each stands beside its floor, the distance of
 * as many training rows to the same held-out rows; both are averaged over fresh draws because one draw is noisy. */
#ifndef THALWEG_CLI_DISTANCES_H
#define THALWEG_CLI_DISTANCES_H

#include "model.h"

#include "data/normaliser.h"

/* Means over the repeats, with standard deviations (NaN for one repeat); the floor is NaN without training rows. */
typedef struct distance {
    double value, value_sd, floor, floor_sd;
} distance;

typedef enum distance_kind { DISTANCE_ENERGY, DISTANCE_W2, DISTANCE_SLICED, DISTANCE_W1, DISTANCE_COUNT } distance_kind;

typedef struct comparison {
    cli *c;
    const model *m;
    const held_out *held;
    tw_ode_desc solver;
    bool halves;   /* the floor is the distance of held-out rows to others of them, in place of training rows */
    int64_t pairs; /* rows on each side */
    int repeats;
    int64_t samples_count;
    double *samples; /* (samples_count, columns), data units */
    tw_ode_stats sampling;
    bool curved;         /* distances are along the flow's space, not of columns */
    tw_normaliser scale; /* of --units standardised, else without columns */
    distance of[DISTANCE_COUNT];
} comparison;

/* Settles pairs, repeats, units and how many samples that makes, from the options and the rows there are; at most
 * `most_pairs` pairs. c, m and held must be set. */
TW_NODISCARD tw_status comparison_settle(comparison *d, int64_t most_pairs);
/* The same, with samples drawn from the flow by `solver`, or those of eval's --samples. */
TW_NODISCARD tw_status comparison_draw(comparison *d);
/* Measures the kinds asked for (a bit each). */
TW_NODISCARD tw_status comparison_measure(comparison *d, unsigned kinds);
void comparison_free(comparison *d);

#endif
