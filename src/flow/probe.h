/* flow/probe.h - probes of Hutchinson's estimate of a divergence, functions of seed and row, or, fresh ones, of the time
 * as well. Held through a solve they leave an equation that adaptive solvers can follow (Grathwohl et al. 2019, FFJORD,
 * section 3.1); fresh ones average over the steps of a solver with fixed steps. */
#ifndef TW_FLOW_PROBE_H
#define TW_FLOW_PROBE_H

#include "nn/piece.h"

const tw_piece_info *tw_probes_list(int index); /* NULL past the end */

typedef struct tw_probes {
    int count; /* for each row; 0: none, divergences are exact */
    int kind;  /* row of the table */
    bool fresh;
    uint64_t seed;
} tw_probes;

/* Reads a kind ("gaussian:fresh=1"; NULL: "signs"). */
TW_NODISCARD tw_status tw_probes_read(tw_context *ctx, const char *kind, int count, uint64_t seed,
                                      tw_probes *out_probes);
/* Those of a row at time t: out (count, columns), doubles when `wide`, else floats. */
void tw_probes_draw(const tw_probes *probes, int64_t row, double t, int columns, bool wide, void *out);

#endif
