/* eval/sets.h - what every distance asks of its two sets of points before it starts. */
#ifndef TW_EVAL_SETS_H
#define TW_EVAL_SETS_H

#include "base/base.h"

/* Fails unless there is a column and a point and every number is finite; `which` names the set in the sentence. */
tw_status tw_check_set(tw_context *ctx, const char *which, int columns, int64_t rows, const double *values);

#endif
