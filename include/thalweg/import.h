/* thalweg/import.h - flows trained elsewhere: the weights of peers' networks into a flow, and back under their names.
 */
#ifndef THALWEG_IMPORT_H
#define THALWEG_IMPORT_H

#include <thalweg/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Architectures that weights can come from and go to; NULL past the end. */
TW_API const tw_piece_info *tw_architecture_list(int index);

typedef struct tw_import_desc {
    const char *as; /* tw_architecture_list */
    /* What the file does not say: pieces of the flow (zeros: fm along condot), heads of the network, height and width
     * of the image. What it does say may be left zero; what is said twice must agree. */
    tw_flow_desc flow;
    const char *prefix; /* before the network's names, "ema." - NULL: found; averaged weights before others */
    /* What the network sees of a number v of the image: (v - shift) / scale. Scale 0: (v - 127.5) / 127.5 where there
     * are 1 or 3 channels, else v itself. */
    double shift, scale;
} tw_import_desc;

/* Reads a .safetensors file or a checkpoint of PyTorch (of torch.save since 1.6, of which only tensors and plain
 * containers are made) as a flow. Where a network has classes, the flow is told condition "class". The note that is
 * logged names the prefix. */
TW_NODISCARD TW_API tw_status tw_flow_import(tw_context *ctx, const char *path, const tw_import_desc *desc,
                                             tw_flow **out_flow);
/* Writes a flow's averaged weights to a .safetensors file under the names, and in the layouts, of an architecture that
 * has its network. */
TW_NODISCARD TW_API tw_status tw_flow_export(tw_flow *flow, const char *as, const char *path);

#ifdef __cplusplus
}
#endif
#endif
