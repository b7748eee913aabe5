/* space/space.h - state spaces, and the source distributions p_0 that live on them.
 *
 * A source knows three things: draws inside a training program, draws on the host when sampling (a pure function of
 * seed and row), and its density. */
#ifndef TW_SPACE_SPACE_H
#define TW_SPACE_SPACE_H

#include "base/base.h"

#include <thalweg/nn.h>

typedef struct tw_space {
    tw_piece_info info;
} tw_space;

/* All NULL: points come as rows from outside. */
typedef struct tw_source_rules {
    /* x_0 (shape) of `dtype` from a Philox stream */
    tw_val (*draw)(tw_val key, tw_val counter, uint32_t stream, tw_shape shape, tw_dtype dtype);
    /* row `row` of the draws of a seed (columns), whatever other rows are drawn */
    void (*draw_row)(uint64_t seed, uint32_t stream, int64_t row, int columns, double *out);
    double (*log_density)(int columns, const double *x);
    tw_val (*density)(tw_val x); /* the same as a graph: x (B,D) -> (B) */
} tw_source_rules;

typedef struct tw_source {
    tw_piece_info info;
    const tw_source_rules *rules;
} tw_source;

const tw_piece_info *tw_space_list(int index); /* NULL past the end; each is the head of a tw_space */
const tw_piece_info *tw_source_list(int index);

#define TW_SOURCE(name, about, source) extern const tw_source_rules tw_source_##name;
#include "space/sources.def"

#endif
