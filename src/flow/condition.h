/* flow/condition.h - what a flow is told beside x and t: kept with the flow, and as the network sees it.
 *
 * A row of conditions has a number for each: the number of a class, or a number in data units. Callers say nothing by
 * NaN; inside it is TW_UNTOLD, because a solver's state, in which conditions ride along, must be finite. The network sees
 * a class as a single one among zeros, and a number as ((value - mean) / scale, 1); what is not told is zeros. */
#ifndef TW_FLOW_CONDITION_H
#define TW_FLOW_CONDITION_H

#include "data/conditions.h"

#include <thalweg/graph.h>

#define TW_UNTOLD (-1e30)
/* NaN becomes TW_UNTOLD; anything else must be a class there is, or finite. `row` (from 0) is for the sentence; below
 * 0: a row of no number the caller knows. */
TW_NODISCARD tw_status tw_conditions_take(tw_context *ctx, int count, const tw_condition *conditions, int64_t row,
                                          const double *values, double *out);

/* Numbers a row takes in the network's eyes. */
int64_t tw_conditions_width(int count, const tw_condition *conditions);
/* raw (B,count) -> (B,width). */
tw_val tw_conditions_features(int count, const tw_condition *conditions, tw_val raw);

#endif
