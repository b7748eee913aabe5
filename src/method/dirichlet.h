/* method/dirichlet.h - points of shares on their way along Dirichlet laws. */
#ifndef TW_METHOD_DIRICHLET_H
#define TW_METHOD_DIRICHLET_H

#include "method/method.h"

/* x_t and its velocity, roots of shares (B,D) each; none after an error, which the graph keeps. */
void tw_dirichlet_at(const tw_model *model, const tw_draws *draws, tw_val *out_xt, tw_val *out_ut);

#endif
