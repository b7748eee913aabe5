/* eval/boost_tree.h - one tree: the bins that go left at each node, and how it is grown from gradients. */
#ifndef TW_EVAL_BOOST_TREE_H
#define TW_EVAL_BOOST_TREE_H

#include "eval/boost.h"

/* A split of any column is the set of its bins that go left: numbers below an edge, categories, with or without what is
 * missing. */
typedef struct tw_bin_set {
    uint64_t word[TW_BINS / 64];
} tw_bin_set;

static inline bool tw_bin_set_has(const tw_bin_set *set, int bin)
{
    return set->word[bin >> 6] >> (bin & 63) & 1;
}

typedef struct tw_tree_node {
    int column;   /* -1: a leaf */
    int32_t left; /* the right child is the next one */
    double value; /* of a leaf */
    tw_bin_set goes_left;
} tw_tree_node;

/* Gradient and second derivative of the loss by the prediction of a row. */
typedef struct tw_slope {
    double gradient, hessian;
} tw_slope;

typedef struct tw_grower tw_grower;

/* Memory for trees over `count` rows; row, bins and codes as in tw_boost_train, to last as long. */
TW_NODISCARD tw_status tw_grower_make(tw_context *ctx, const tw_boost_desc *desc, const tw_binning *bins, int64_t rows,
                                      const uint8_t *codes, int64_t count, const int64_t *row, tw_grower **out_grower);
void tw_grower_destroy(tw_grower *grower);

/* Grows a tree from slope (count), in the order of row, into node (2 leaves - 1 at most), root first. Adds the value
 * of each row's leaf to prediction[i * stride]. How many nodes there are. */
int tw_grower_grow(tw_grower *grower, const tw_slope *slope, double *prediction, int stride, tw_tree_node *node);

#endif
