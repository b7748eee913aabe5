/* flow/factors.h - what the factors of a product with tokens have of their own: schedules, and weights of their losses.
 */
#ifndef TW_FLOW_FACTORS_H
#define TW_FLOW_FACTORS_H

#include "flow/flow.h"

/* Reads desc's factor_schedules and factor_weights into a flow that knows its space and pieces; neither: nothing. */
TW_NODISCARD tw_status tw_flow_take_factors(tw_flow *flow, const tw_flow_desc *desc);
void tw_flow_free_factors(tw_flow *flow);

#endif
