/* data/conditions.h - columns a flow is told instead of asked for: classes and numbers beside the data. */
#ifndef TW_DATA_CONDITIONS_H
#define TW_DATA_CONDITIONS_H

#include "data/table.h"

typedef struct tw_conditions {
    int count;
    tw_condition *item; /* names and levels owned */
    double *values;     /* (rows, count) */
} tw_conditions;

/* Which columns `desc->conditions` names: *out_list (tw_free) holds numbers from 0. */
TW_NODISCARD tw_status tw_conditions_choose(const tw_table *table, const tw_dataset_desc *desc, int **out_list,
                                            int *out_count);
/* Whether the columns of the list can be conditions, or a sentence. */
TW_NODISCARD tw_status tw_conditions_check(const tw_table *table, tw_missing missing, const int *list, int count);
/* Takes the last `count` columns of a table, whose rows are in their final order, out of it as conditions. Numbers are
 * standardised by the first `train` rows. `like` (count of them) are a model's, whose classes must not be exceeded;
 * NULL: found here. */
TW_NODISCARD tw_status tw_conditions_split(tw_table *table, int count, int64_t train, const tw_condition *like,
                                           tw_conditions *out_conditions);
void tw_conditions_free(tw_context *ctx, tw_conditions *conditions);

#endif
