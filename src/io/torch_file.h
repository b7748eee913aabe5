/* io/torch_file.h - checkpoints of PyTorch: what torch.save has written since 1.6, a zip of one pickle (io/pickle.h)
 * and a member of raw numbers a storage; and what it wrote before, pickles and numbers one behind another. Nothing of a
 * pickle is run.
 *
 * Tensors have the path of keys that leads to them for a name, "ema.blocks.0.attn.qkv.weight", whatever the
 * dictionaries and lists around them are; everything else in the file is left out. */
#ifndef TW_IO_TORCH_FILE_H
#define TW_IO_TORCH_FILE_H

#include "io/zip.h"

#include <thalweg/graph.h>

typedef struct tw_torch_tensor {
    char *name;
    const char *dtype; /* as tw_tensor names them */
    tw_shape shape;
    int64_t stride[TW_MAX_RANK], offset; /* in elements of its storage */
    int32_t storage;
} tw_torch_tensor;

typedef struct tw_torch_storage {
    tw_zip_member member;       /* in a file of before 1.6 its name and size alone */
    const unsigned char *bytes; /* unpacked when first asked for */
    unsigned char *owned;
} tw_torch_storage;

typedef struct tw_torch_file {
    tw_context *ctx;
    char *buffer; /* the file; owned when read */
    tw_zip zip;
    tw_torch_tensor *tensor;
    tw_torch_storage *storage;
    int64_t count, capacity, storages, storages_capacity;
} tw_torch_file;

TW_NODISCARD tw_status tw_torch_read(tw_context *ctx, const char *path, tw_torch_file *out_file);
/* From memory; bytes and label must outlive the result. */
TW_NODISCARD tw_status tw_torch_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                      tw_torch_file *out_file);
/* A tensor's elements row by row, as they are in the file: out holds their number times the size of the type. */
TW_NODISCARD tw_status tw_torch_elements(tw_torch_file *file, int64_t tensor, void *out);
void tw_torch_free(tw_torch_file *file);

#endif
