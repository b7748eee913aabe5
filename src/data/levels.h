/* data/levels.h - the different texts of a column, numbered as they come. */
#ifndef TW_DATA_LEVELS_H
#define TW_DATA_LEVELS_H

#include "base/base.h"

enum { TW_LEVELS_MAX = 65536 };

typedef struct tw_levels {
    char **item; /* owned, in the order of their numbers */
    int64_t count, capacity;
    int32_t *slot; /* hash table of numbers + 1, 0: free; `slots` is a power of two */
    int64_t slots;
} tw_levels;

/* The number of a text, which is added when it is new; -1 when there are TW_LEVELS_MAX others. */
TW_NODISCARD tw_status tw_levels_take(tw_context *ctx, tw_levels *levels, const char *text, int *out_number);
/* Sorts the texts (numbers by size, before others) and tells what has become of each number: out_new (count). */
TW_NODISCARD tw_status tw_levels_sort(tw_context *ctx, tw_levels *levels, int *out_new);
void tw_levels_free(tw_context *ctx, tw_levels *levels);

#endif
