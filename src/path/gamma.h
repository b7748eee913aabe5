/* path/gamma.h - noise that a path has of its own, beside that of source and data: x_t = point(x_0, x_1, t) + gamma(t)
 * z (Albergo, Boffi, Vanden-Eijnden 2023, Stochastic interpolants, definition 1). */
#ifndef TW_PATH_GAMMA_H
#define TW_PATH_GAMMA_H

#include "nn/piece.h"

const tw_piece_info *tw_gamma_list(int index); /* NULL past the end */

/* gamma(t), elementwise. */
tw_val tw_gamma_at(const tw_piece *gamma, tw_val t);
/* -noise / gamma: the score where `noise` is the mean of z given x_t (ibid., theorem 8); 0 where gamma is 0 and tells
 * nothing. */
tw_val tw_gamma_score(tw_val gamma, tw_val noise);

#endif
