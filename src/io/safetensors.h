/* io/safetensors.h - named tensors in one file: 8 bytes of header length, a JSON header, raw little-endian data.
 *
 * Readable by the Python `safetensors` package and the reverse. Refused with a sentence: truncated, oversized (bytes after the last tensor or
 * gaps), overlapping, offsets outside the file, shape and size that disagree, duplicate names, unknown dtype. */
#ifndef TW_IO_SAFETENSORS_H
#define TW_IO_SAFETENSORS_H

#include "base/base.h"

#include <thalweg/graph.h>

typedef struct tw_tensor {
    char *name;
    char dtype[8]; /* as in the file: "F32", "F64", "I64", "I32", "U32", "U8", "BF16", "F16", "BOOL", ... */
    tw_shape shape;
    const void *data; /* inside the file's buffer when read; borrowed when written */
    size_t size;      /* bytes */
} tw_tensor;

typedef struct tw_tensor_file {
    tw_tensor *tensor;
    int count;
    char **key; /* the __metadata__ map */
    char **value;
    int keys_count;
    char *buffer;
} tw_tensor_file;

TW_NODISCARD tw_status tw_safetensors_read(tw_context *ctx, const char *path, tw_tensor_file *out_file);
/* From memory; `label` names it in errors; bytes are copied. */
TW_NODISCARD tw_status tw_safetensors_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                            tw_tensor_file *out_file);
void tw_safetensors_free(tw_context *ctx, tw_tensor_file *file);
const tw_tensor *tw_safetensors_find(const tw_tensor_file *file, const char *name);
const char *tw_safetensors_metadata(const tw_tensor_file *file, const char *key); /* NULL when absent */

/* Finds a tensor and checks dtype and shape (rank < 0: any); the error names file, tensor, found and expected. */
TW_NODISCARD tw_status tw_safetensors_get(tw_context *ctx, const tw_tensor_file *file, const char *path, const char *name,
                                          const char *dtype, int64_t elements, const void **out_data);

/* Writes tensors (data 8-byte aligned in the file, in the order given) and metadata; whole or not at all. */
TW_NODISCARD tw_status tw_safetensors_write(tw_context *ctx, const char *path, int count, const tw_tensor *tensor,
                                            int keys_count, const char *const *key, const char *const *value);

#endif
