/* flow/architecture.h - where each number of a network lies in the tensors of another program.
 *
 * Our networks have the parameter names of their originals, so that only layouts differ: linear layers are (out,in)
 * there and (in,out) here, convolutions OIHW and HWIO, heads of attention may be in another order. */
#ifndef TW_FLOW_ARCHITECTURE_H
#define TW_FLOW_ARCHITECTURE_H

#include "flow/flow.h"
#include "io/weights.h"

#include <thalweg/import.h>

typedef struct tw_state_dict tw_state_dict;

typedef struct tw_architecture {
    tw_piece_info info;
    const char *network, *sign;
    bool split;
    const char *table;
    bool null_class;
    const char *bias;
    bool convolves; /* attention is made of convolutions over one axis */
    tw_status (*infer)(const tw_state_dict *s, tw_flow_desc *desc); /* what shapes tell */
} tw_architecture;

TW_NODISCARD tw_status tw_architecture_find(tw_context *ctx, const char *name,
                                            const tw_architecture **out_architecture);

/* A parameter and its tensor there. */
typedef struct tw_foreign {
    const char *name; /* without the "network." in front */
    tw_shape ours, theirs;
    bool turned; /* outputs first there, last here */
    int heads;   /* rows of a qkv are reordered; 0: not */
} tw_foreign;
tw_foreign tw_architecture_tensor(const tw_architecture *a, const tw_network_desc *network, const char *name,
                                  tw_shape shape);
/* Copies all numbers, from their layout to ours or back. A row of a null class is not among them. */
void tw_foreign_copy(const tw_foreign *f, const float *from, float *to, bool to_ours);

/* What a file says of its network: names behind `prefix`. */
struct tw_state_dict {
    tw_context *ctx;
    const tw_weights *weights;
    const char *prefix;
};
int64_t tw_state_dict_find(const tw_state_dict *s, const char *name); /* -1: none */

/* Fills what a flow's description leaves zero - width, levels, image, classes, ... - from shapes in the file.
 * *out_classes: of the network, 0: none. */
TW_NODISCARD tw_status tw_architecture_infer(const tw_architecture *a, const tw_state_dict *s, tw_flow_desc *desc,
                                             int *out_classes);

#endif
