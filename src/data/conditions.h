/* data/conditions.h - columns a flow is told instead of asked for: classes and numbers beside the data. */
#ifndef TW_DATA_CONDITIONS_H
#define TW_DATA_CONDITIONS_H

#include "base/base.h"

#include <thalweg/data.h>

typedef struct tw_conditions {
    int count;
    tw_condition *item; /* names and levels owned */
    double *values;     /* (rows, count) */
} tw_conditions;

/* Copies: memory of the context. */
TW_NODISCARD tw_status tw_conditions_copy(tw_context *ctx, int count, const tw_condition *from,
                                          tw_condition **out_conditions);
void tw_conditions_release(tw_context *ctx, int count, tw_condition *conditions);
void tw_conditions_free(tw_context *ctx, tw_conditions *conditions);

#endif
