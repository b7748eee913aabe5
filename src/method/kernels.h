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

/* At times t (B); `width` is that of all, where nothing is smoothed. */
tw_kernels tw_kernels_at(const tw_draws *draws, tw_val t, double width);

#endif
