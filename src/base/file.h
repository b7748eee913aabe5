/* base/file.h - whole files in, whole files out. A file being written lives beside its final name and is renamed only
 * when every byte reached the disk: readers see the old file or the new one, never a part. */
#ifndef TW_BASE_FILE_H
#define TW_BASE_FILE_H

#include "base/base.h"

#include <stdio.h>

/* Reads a whole file (plain or gzip, told by its first bytes, when `gunzip`) into memory to be freed with tw_free;
 * one zero byte follows the data. Errors name the path: missing, a directory, not readable, larger than `limit` (0:
 * none). */
TW_NODISCARD tw_status tw_file_read(tw_context *ctx, const char *path, bool gunzip, size_t limit, char **out_data,
                                    size_t *out_size);

/* An output file under construction. */
typedef struct tw_writer {
    tw_context *ctx;
    FILE *file;
    char *path;
    char *temporary;
} tw_writer;

/* Opens PATH.tmp-PID for writing. path "-" writes to standard output directly. */
TW_NODISCARD tw_status tw_writer_open(tw_context *ctx, const char *path, tw_writer *out_writer);
TW_NODISCARD tw_status tw_writer_write(tw_writer *writer, const void *data, size_t size);
TW_NODISCARD tw_status tw_writer_print(tw_writer *writer, const char *format, ...) TW_PRINTF(2, 3);
/* Flushes, syncs and renames onto the final name. On failure (disk full, ...) the temporary file is removed, the old
 * file stays and the error names the path. The writer is closed either way. */
TW_NODISCARD tw_status tw_writer_commit(tw_writer *writer);
/* Removes the temporary file; does nothing after a commit or on a zeroed writer. */
void tw_writer_abandon(tw_writer *writer);

/* A folder under construction: files are made in `temporary` and appear together, as if in one moment. */
typedef struct tw_new_folder {
    tw_context *ctx;
    char *path;
    char *temporary;
    bool there; /* the folder was there, empty */
} tw_new_folder;

/* Makes PATH.tmp-PID, and the parents of path where missing; in a folder that is there, PATH/tmp-PID. */
TW_NODISCARD tw_status tw_new_folder_open(tw_context *ctx, const char *path, tw_new_folder *out_folder);
/* The temporary folder becomes the final one, or its files go up to where it lies. On failure the
 * temporary folder is removed and the error names the path. */
TW_NODISCARD tw_status tw_new_folder_commit(tw_new_folder *folder);
/* Removes the temporary folder and the files in it; does nothing after a commit or on a zeroed one. */
void tw_new_folder_abandon(tw_new_folder *folder);

/* Makes a folder and its parents where missing; succeeds when it is there. */
TW_NODISCARD tw_status tw_make_folder(tw_context *ctx, const char *path);

/* Seconds of a steady clock. */
double tw_clock(void);

#endif
