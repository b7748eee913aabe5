/* path/grid.h - grids of sampling times: where the steps of a fixed-step solver end. */
#ifndef TW_PATH_GRID_H
#define TW_PATH_GRID_H

#include "path/schedule.h"

const tw_piece_info *tw_grid_list(int index); /* NULL past the end */

typedef struct tw_grid_desc {
    const tw_schedule *schedule;
    double low, high; /* the interval solved, within [0,1]: the grid's ends */
    int64_t steps;    /* the grid `at` has its own */
    int64_t columns;  /* of the data */
} tw_grid_desc;

/* Times growing from low to high, one more than steps; *out_times is freed with tw_free. A shift is applied once, to
 * the uniform grid, whoever asks. Fails when `at` does not grow from 0 to 1. */
TW_NODISCARD tw_status tw_grid_make(tw_context *ctx, const tw_piece *grid, const tw_grid_desc *desc, int64_t *out_count,
                                    double **out_times);

#endif
