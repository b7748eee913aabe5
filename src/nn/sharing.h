/* nn/sharing.h - values of attention that one call of a network takes from another: what a row is told then says which
 * places look at each other, and the other row what they see there (Wang et al. 2024, RF-Edit).
 *
 * The values (B,T,heads,width) of every layer of attention are remembered by its scope while a network is built. While
 * `take` is set, layers that are built again, on other rows of the same number, take those in place of their own. */
#ifndef TW_NN_SHARING_H
#define TW_NN_SHARING_H

#include "base/base.h"

#include <thalweg/nn.h>

/* take: from now on in the last `layers` layers, 0: in all of them. */
void tw_params_share(tw_params *params, bool take, int layers);
/* Layers of attention that were built. */
int tw_params_attentions(const tw_params *params);
/* The values v that attention of this scope goes by: v, or those remembered. */
tw_val tw_shared_values(tw_scope scope, tw_val v);

#endif
