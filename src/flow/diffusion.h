/* flow/diffusion.h - sampling with noise: dx = (u + w/2 s) dt + sqrt(w) dW has the flow's own distribution at every
 * time for any w(t) >= 0, s being the score (Song et al. 2021, app. D; Albergo, Boffi, Vanden-Eijnden 2023, cor. 18; Ma
 * et al. 2024, eq. 5). */
#ifndef TW_FLOW_DIFFUSION_H
#define TW_FLOW_DIFFUSION_H

#include "path/schedule.h"

const tw_piece_info *tw_diffusion_list(int index); /* NULL past the end */

/* A w for steps of about `step`. */
typedef struct tw_diffusion {
    tw_piece piece; /* read with tw_diffusion_list */
    const tw_schedule *schedule;
    double step;
} tw_diffusion;

/* w(t), finite: never more than sigma^2 / step. The score pulls back what the noise spreads at the rate w / 2 sigma^2,
 * which a step must resolve; since any w is right, one that it cannot is lowered, and where nothing of the source is
 * left (sigma = 0) it is 0. */
double tw_diffusion_at(const tw_diffusion *diffusion, double t);

#endif
