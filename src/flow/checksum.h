/* flow/checksum.h - a 64-bit fingerprint of bytes: tells damaged or different, not made against forgers. */
#ifndef TW_FLOW_CHECKSUM_H
#define TW_FLOW_CHECKSUM_H

#include "io/safetensors.h"

/* Extends `hash` (start from 0) by size bytes. */
uint64_t tw_checksum(uint64_t hash, const void *data, size_t size);
/* Of tensors and metadata whatever their order, leaving the key "checksum" out. */
uint64_t tw_checksum_tensors(int count, const tw_tensor *tensor, int keys_count, const char *const *key,
                             const char *const *value);

/* Enough for any number in hexadecimal. */
typedef struct tw_checksum_text {
    char text[20];
} tw_checksum_text;
tw_checksum_text tw_checksum_show(uint64_t hash);

/* Compares a file that was read with its "checksum" key; a mismatch is told with the path. */
TW_NODISCARD tw_status tw_checksum_verify(tw_context *ctx, const char *path, const tw_tensor_file *file);

#endif
