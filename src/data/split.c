/* data/split.c - which row belongs to training, validation and test: an order of the rows drawn by seed (Fisher-Yates
 * on a Philox stream), cut into parts that lie one behind another. */
#include "data/table.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

tw_status tw_split_sizes(tw_context *ctx, int64_t rows, const double share[3], int64_t out_rows[3])
{
    double s[3] = {0.8, 0.1, 0.1}, sum = 0;
    bool given = share[0] != 0 || share[1] != 0 || share[2] != 0;
    for (int i = 0; i < 3; i++) {
        if (given) s[i] = share[i];
        if (!(s[i] >= 0 && isfinite(s[i])))
            return tw_fail(ctx, TW_ERR_INVALID, "split: %g,%g,%g are not shares of training, validation and test",
                           share[0], share[1], share[2]);
        sum += s[i];
    }
    if (!(s[0] > 0)) return tw_fail(ctx, TW_ERR_INVALID, "split: the share for training must be more than 0");
    /* a hair is added so that a tenth of 30 rows is 3 although 0.1 is not quite a tenth */
    int64_t validation = (int64_t)floor((double)rows * (s[1] / sum) + 1e-9);
    int64_t test = (int64_t)floor((double)rows * (s[2] / sum) + 1e-9);
    while (rows > 0 && validation + test >= rows) { /* only when the training share is next to nothing */
        if (validation >= test)
            validation--;
        else
            test--;
    }
    out_rows[TW_PART_TRAIN] = rows - validation - test;
    out_rows[TW_PART_VALIDATION] = validation;
    out_rows[TW_PART_TEST] = test;
    return TW_OK;
}

/* Row i becomes what row order[i] was: each cycle is walked once, done places are marked -1. */
static void reorder(unsigned char *row, int64_t rows, size_t width, int64_t *order, void *held)
{
    for (int64_t start = 0; start < rows; start++) {
        if (order[start] < 0) continue;
        memcpy(held, row + (size_t)start * width, width);
        int64_t at = start;
        while (order[at] != start) {
            int64_t from = order[at];
            memcpy(row + (size_t)at * width, row + (size_t)from * width, width);
            order[at] = -1;
            at = from;
        }
        memcpy(row + (size_t)at * width, held, width);
        order[at] = -1;
    }
}

tw_status tw_split_order(tw_context *ctx, void *data, int64_t rows, size_t width, uint64_t seed)
{
    tw_status status = TW_OK;
    int64_t *order = tw_alloc(ctx, (size_t)rows, sizeof(int64_t));
    void *held = tw_alloc(ctx, width, 1);
    if (order && held) {
        tw_random random = {.seed = seed, .stream = TW_STREAM_SPLIT};
        for (int64_t i = 0; i < rows; i++) order[i] = i;
        for (int64_t i = rows - 1; i > 0; i--) {
            int64_t j = tw_random_below(&random, i + 1), swap = order[i];
            order[i] = order[j];
            order[j] = swap;
        }
        reorder(data, rows, width, order, held);
    } else {
        status = tw_fail_memory(ctx, (size_t)rows * sizeof(int64_t));
    }
    tw_free(ctx, order);
    tw_free(ctx, held);
    return status;
}

tw_status tw_table_split(tw_table *table, const double share[3], uint64_t seed, int64_t out_rows[3])
{
    tw_status status = tw_split_sizes(table->ctx, table->rows, share, out_rows);
    if (status != TW_OK) return status;
    return tw_split_order(table->ctx, table->values, table->rows, (size_t)table->stride * sizeof(double), seed);
}
