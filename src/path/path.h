/* path/path.h - how a source point and a data point are joined: x_t for t in [0,1], t = 0 source, t = 1 data.
 *
 * A path states the point only; its velocity u_t = d/dt x_t is the forward derivative of the point in t, so the two
 * cannot disagree. */
#ifndef TW_PATH_PATH_H
#define TW_PATH_PATH_H

#include "path/schedule.h"
#include "space/space.h"

#include <thalweg/edit.h>

typedef struct tw_path {
    tw_piece_info info;
    /* x_t (B,D) from x_0, x_1 (B,D) and t (B) */
    tw_val (*point)(const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t);
    bool everywhere; /* on any space, not on R^D alone */
    bool premetric;  /* on a mesh, down a distance of this kind: space/premetric.h tells point and velocity */
    tw_spectral spectral;
    bool tokens;     /* of tokens; without a point: path/token_path.h */
    bool sequences;  /* of sequences, likewise: path/edit_path.h */
    tw_alignment alignment; /* and how two of them are aligned */
} tw_path;

const tw_piece_info *tw_path_list(int index); /* NULL past the end; each is the head of a tw_path */

/* x_t and its velocity u_t, both (B,D). Errors are kept in the graph. */
void tw_path_at(const tw_path *path, const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t,
                tw_val *out_xt, tw_val *out_ut);

#endif
