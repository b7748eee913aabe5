/* flow/inverse.h - inverse problems solved by a flow that was trained for none of them; see thalweg/steer.h. */
#ifndef TW_FLOW_INVERSE_H
#define TW_FLOW_INVERSE_H

#include "nn/piece.h"

const tw_piece_info *tw_inverse_list(int index); /* NULL past the end */

#endif
