/* flow/metadata.h - the key-value pairs of a file: collected for writing, read with checks. Used by models and
 * checkpoints. */
#ifndef TW_FLOW_METADATA_H
#define TW_FLOW_METADATA_H

#include "io/safetensors.h"

#include <thalweg/nn.h>

/* Pairs under construction; start from {.ctx = ctx}. The first failure is kept in `status`, so that adding needs no
 * checks. */
typedef struct tw_metadata {
    tw_context *ctx;
    char **key, **value;
    int64_t count, key_capacity, value_capacity;
    tw_status status;
} tw_metadata;

void tw_metadata_add(tw_metadata *m, const char *key, const char *value);
void tw_metadata_add_int(tw_metadata *m, const char *key, int64_t value);
void tw_metadata_add_double(tw_metadata *m, const char *key, double value); /* reads back as the same number */
/* ["a", "b"] */
void tw_metadata_add_names(tw_metadata *m, const char *key, int count, const char *const *names);
void tw_metadata_add_ints(tw_metadata *m, const char *key, int count, const int *values);
/* "network.kind" and each field it has. */
void tw_metadata_add_network(tw_metadata *m, const tw_network_desc *network);
void tw_metadata_free(tw_metadata *m);

/* Writes tensors with the pairs and the checksum of everything. */
TW_NODISCARD tw_status tw_metadata_write(tw_metadata *m, const char *path, int count, const tw_tensor *tensor);

/* Reading: a missing or malformed key fails naming file and key. */
TW_NODISCARD tw_status tw_metadata_text(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                                        const char **out_value);
TW_NODISCARD tw_status tw_metadata_int(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                                       int64_t low, int64_t high, int64_t *out_value);
TW_NODISCARD tw_status tw_metadata_seed(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                                        uint64_t *out_value);
TW_NODISCARD tw_status tw_metadata_double(tw_context *ctx, const char *path, const tw_tensor_file *file,
                                          const char *key, double *out_value);
TW_NODISCARD tw_status tw_metadata_network(tw_context *ctx, const char *path, const tw_tensor_file *file,
                                           tw_network_desc *out_network);
/* A JSON array of strings, 1 to `limit` of them: an array of copies, each and itself to be freed with tw_free. */
TW_NODISCARD tw_status tw_metadata_names(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                                         int limit, int *out_count, char ***out_names);
/* A JSON array of `count` whole numbers from low to high. */
TW_NODISCARD tw_status tw_metadata_ints(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                                        int count, int low, int high, int *out_values);
/* Checks "format" and "format_version" (1 to `version`): other files and newer ones are refused. `what` is for the
 * sentence. */
TW_NODISCARD tw_status tw_metadata_format(tw_context *ctx, const char *path, const tw_tensor_file *file,
                                          const char *what, const char *format, int version);

#endif
