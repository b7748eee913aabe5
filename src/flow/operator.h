/* flow/operator.h - linear operators on pictures by name, which thalweg/steer.h offers: their list. */
#ifndef TW_FLOW_OPERATOR_H
#define TW_FLOW_OPERATOR_H

#include <thalweg/steer.h>

const tw_piece_info *tw_operator_list(int index);

#endif
