/* io/zip.h - zip archives in memory, stored or deflated: what NPZ files and PyTorch's checkpoints are. */
#ifndef TW_IO_ZIP_H
#define TW_IO_ZIP_H

#include "base/base.h"

typedef struct tw_zip {
    tw_context *ctx;
    const char *label;          /* names it in errors */
    const char *kind, *content; /* "NPZ file" of "array", for the sentences */
    const unsigned char *bytes; /* borrowed */
    size_t size, directory, directory_size;
    int count; /* of members */
} tw_zip;

typedef struct tw_zip_member {
    const char *name; /* not terminated */
    size_t name_length;
    unsigned flags, method;
    uint32_t crc;
    uint64_t packed, size, offset;
} tw_zip_member;

/* Finds the directory. `bytes` must outlive the archive. */
TW_NODISCARD tw_status tw_zip_open(tw_context *ctx, const char *label, const char *kind, const char *content,
                                   const void *bytes, size_t size, tw_zip *out_zip);
/* The entry at *at, which begins as zip->directory and moves on; called zip->count times. */
TW_NODISCARD tw_status tw_zip_next(const tw_zip *zip, size_t *at, tw_zip_member *out_member);
/* A member's bytes, checked: in place, or unpacked in memory of *out_owned (NULL: in place), which the caller frees. */
TW_NODISCARD tw_status tw_zip_unpack(const tw_zip *zip, const tw_zip_member *member, const unsigned char **out_bytes,
                                     unsigned char **out_owned);
/* The beginning of a member's bytes, as far as a header of ordinary length goes, unchecked; returns how many. */
size_t tw_zip_peek(const tw_zip *zip, const tw_zip_member *member, unsigned char *out, size_t room);

#endif
