/* flow/guidance.h - guiding a flow away from a worse velocity: that of the same flow told nothing (classifier-free
 * guidance), or that of a worse model told the same (autoguidance; Karras et al. 2024, Guiding a diffusion model with a
 * bad version of itself). Which one it is and how the two are combined (flow/guidances.def) are independent.
 *
 * All of it is part of the compiled velocity. The momentum that APG's paper adds is a memory of a solver's steps, which
 * an equation has not, and is left out. */
#ifndef TW_FLOW_GUIDANCE_H
#define TW_FLOW_GUIDANCE_H

#include "path/schedule.h"

const tw_piece_info *tw_guidance_list(int index); /* NULL past the end */

typedef struct tw_guidance {
    double strength; /* w, 0: none */
    tw_piece piece;  /* read with tw_guidance_list */
} tw_guidance;

/* The guided velocity of `better` and `worse` (B,D) at x (B,D), t (B); `at` the schedule's values at t (B,1). Outside its
 * times it is `better` to the bit. */
tw_val tw_guidance_apply(const tw_guidance *guidance, const tw_schedule_values *at, tw_val x, tw_val t, tw_val better,
                         tw_val worse);

#endif
