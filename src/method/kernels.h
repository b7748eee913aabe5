/* method/kernels.h - what methods along path/contraction.h share: the widths of their kernels, and how far each is
 * drawn together at a time, s = w^t. */
#ifndef TW_METHOD_KERNELS_H
#define TW_METHOD_KERNELS_H

#include "method/method.h"

/* Of a step's draws: the data that densities are means over (N,D), all where they are few, else those of the batch. */
typedef struct tw_kernels {
    tw_val data;      /* (N,D) */
    tw_val log_width; /* (1,N) */
    tw_val s;         /* (B,N), of the data at the rows' times */
    tw_val own;       /* (B,1), of each row's own x1 */
} tw_kernels;

/* log w_j (N,1) for each of the data x1 (N,D): of their own widths `each` (N,1), within 0.001, where rounding begins to
 * tell in path/contraction.h, and 0.5, which is next to the source; with TW_NONE all are `width`. */
tw_val tw_kernels_log_widths(tw_val each, double width, tw_val x1);
/* At times t (B); `width` is that of all, where nothing is smoothed. */
tw_kernels tw_kernels_at(const tw_draws *draws, tw_val t, double width);

#endif
