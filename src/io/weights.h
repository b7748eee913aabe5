/* io/weights.h - named tensors of a file as single precision, whichever format it has: .safetensors (io/safetensors.h)
 * or a checkpoint of PyTorch (io/torch_file.h), told by the first bytes. */
#ifndef TW_IO_WEIGHTS_H
#define TW_IO_WEIGHTS_H

#include "io/safetensors.h"
#include "io/torch_file.h"

typedef struct tw_weight_info {
    const char *name, *dtype;
    tw_shape shape;
} tw_weight_info;

typedef struct tw_weights {
    tw_context *ctx;
    const char *path; /* borrowed */
    bool torch;       /* which of the two */
    tw_tensor_file tensors;
    tw_torch_file archive;
    int64_t count;
} tw_weights;

TW_NODISCARD tw_status tw_weights_read(tw_context *ctx, const char *path, tw_weights *out_weights);
void tw_weights_free(tw_weights *weights);
tw_weight_info tw_weights_at(const tw_weights *weights, int64_t index);
/* Row by row as f32: f64, f16, bf16, bool and whole numbers are converted, other types refused (TW_ERR_DTYPE). out
 * holds the tensor's elements. */
TW_NODISCARD tw_status tw_weights_get(tw_weights *weights, int64_t index, float *out);

#endif
