/* graph/conv.h - the sizes of a convolution node, whichever of the three it is. */
#ifndef TW_GRAPH_CONV_H
#define TW_GRAPH_CONV_H

#include "graph/node.h"

/* x (n, image..., c), w (kernel..., c/groups, o), y (n, result..., o); unused spatial axes stand in front and are 1. */
typedef struct tw_conv_sizes {
    int64_t n, c, o, groups;
    int64_t image[TW_MAX_SPATIAL], kernel[TW_MAX_SPATIAL], result[TW_MAX_SPATIAL];
    int64_t stride[TW_MAX_SPATIAL], dilation[TW_MAX_SPATIAL], low[TW_MAX_SPATIAL], high[TW_MAX_SPATIAL];
} tw_conv_sizes;

tw_conv_sizes tw_conv_sizes_of(const tw_graph *g, const tw_node *node);

/* A convolution of kernel size, stride and groups 1 without padding as the product it is; none for any other. The
 * draft's shape is known. */
tw_val tw_conv_as_product(const tw_draft *d);

#endif
