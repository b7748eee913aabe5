/* io/safetensors.h - named tensors in one file: 8 bytes of header length, a JSON header, raw little-endian data.
 *
 * Readable by the Python `safetensors` package and the reverse. Refused with a sentence: truncated, oversized (bytes
 * after the last tensor or gaps), overlapping, offsets outside the file, shape and size that disagree, duplicate names,
 * unknown dtype, a header over 100 MB. */
#ifndef TW_IO_SAFETENSORS_H
#define TW_IO_SAFETENSORS_H

#include "base/base.h"

#include <thalweg/graph.h>

typedef struct tw_tensor {
    char *name;
    char dtype[8]; /* as in the file: "F32", "F64", "I64", "I32", "U32", "U8", "BF16", "F16", "BOOL", ... */
    tw_shape shape;
    const void *data; /* inside the file's buffer when read, aligned for its type; borrowed when written */
    size_t size;      /* bytes */
} tw_tensor;

typedef struct tw_tensor_file {
    tw_tensor *tensor; /* in the order of the header */
    int count;
    char **key; /* the __metadata__ map */
    char **value;
    int keys_count;
    char *buffer;
} tw_tensor_file;

#define TW_SAFETENSORS_MAX_HEADER 100000000u

TW_NODISCARD tw_status tw_safetensors_read(tw_context *ctx, const char *path, tw_tensor_file *out_file);
/* From memory; `label` names it in errors; bytes are copied. */
TW_NODISCARD tw_status tw_safetensors_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                            tw_tensor_file *out_file);
void tw_safetensors_free(tw_context *ctx, tw_tensor_file *file);
const tw_tensor *tw_safetensors_find(const tw_tensor_file *file, const char *name);
const char *tw_safetensors_metadata(const tw_tensor_file *file, const char *key); /* NULL when absent */

/* Finds a tensor and checks its type (dtype NULL: any) and number of elements (elements < 0: any); the error names
 * file, tensor, found and expected. */
TW_NODISCARD tw_status tw_safetensors_get(tw_context *ctx, const tw_tensor_file *file, const char *path,
                                          const char *name, const char *dtype, int64_t elements, const void **out_data);

/* Writes tensors and metadata, whole or not at all. The header keeps the order given; the data lie without gaps, types
 * of large elements first, so that each tensor is aligned for its type. size must be what dtype and shape say. */
TW_NODISCARD tw_status tw_safetensors_write(tw_context *ctx, const char *path, int count, const tw_tensor *tensor,
                                            int keys_count, const char *const *key, const char *const *value);

/* Bytes of one element of a type named as in the file; 0 for an unknown name. */
size_t tw_safetensors_dtype_size(const char *dtype);

#endif
