/* train/widths.h - how wide around each row of the data a training draws: a share of the geometric mean of the
 * distances to its six nearest other places. What is learned is then a kernel estimate of the data, wide where rows are
 * few and narrow where they crowd (Breiman, Meisel, Purcell 1977, Variable kernel estimates of multivariate densities,
 * who take the distance to one neighbour, which says less of how many are near: of fires left out by 0.1 nats), and not
 * the rows themselves, which a flow of few of them learns by heart. */
#ifndef TW_TRAIN_WIDTHS_H
#define TW_TRAIN_WIDTHS_H

#include "space/space.h"

enum { TW_WIDTHS_NEIGHBOURS = 6, TW_WIDTHS_ROWS = 50000 /* at most: every pair is looked at */ };

/* Asked now and then; not 0: stop. */
typedef int (*tw_widths_fn)(void *user, int64_t done, int64_t rows);

/* Of points x (rows, numbers), in a space that spreads; `ignored` (numbers, NULL: none): what is no part of a flat
 * space's distances. on_progress may be NULL. *out_width (rows, 1) is to be freed with tw_free_aligned, also after a
 * failure. */
TW_NODISCARD tw_status tw_widths_make(tw_context *ctx, const tw_space *space, const int *ignored, int64_t rows,
                                      int numbers, const float *x, double share, tw_widths_fn on_progress, void *user,
                                      float **out_width);

#endif
