/* flow/noise.h - a worker's rows with noise: u and the score of a program that gives both, as a stochastic equation. */
#ifndef TW_FLOW_NOISE_H
#define TW_FLOW_NOISE_H

#include "flow/worker.h"

/* Method, times and steps or tolerances, seed and stream of the motion. */
typedef struct tw_crew_noise {
    const tw_diffusion *diffusion;
    tw_sde_desc solver;
    double *log_prob; /* (steps, n) or NULL, see tw_sde_out */
} tw_crew_noise;

/* The worker's solver for blocks of at most `rows` rows. */
TW_NODISCARD tw_status tw_noise_ready(tw_context *ctx, tw_worker *w, const tw_crew_noise *noise, int64_t rows);
/* The `rows` rows from number `begin` of `total`, whose states (stride each) begin at `state`; as tw_sde_run. */
tw_status tw_noise_run(tw_worker *w, const tw_crew_noise *noise, int64_t begin, int64_t rows, int64_t total,
                       int64_t stride, double *state, tw_ode_stats *out_stats, char *error, size_t size);

#endif
