/* files.h - paths, tables written as CSV or NPY, and whether a place can be written to before hours of work. */
#ifndef THALWEG_CLI_FILES_H
#define THALWEG_CLI_FILES_H

#include "base/base.h"

bool file_exists(const char *path);
bool folder_exists(const char *path);
/* Whether nothing is in it, or it cannot be read. */
bool folder_is_empty(const char *path);
/* FOLDER/NAME into out; false when it does not fit. */
bool path_join(char *out, size_t size, const char *folder, const char *name);
/* "housing.csv.gz" of "/data/housing.csv.gz", "garments" of "/data/garments/". */
void path_name(char *out, size_t size, const char *path);
/* "housing" of "/data/housing.csv.gz": what a run of it is called. */
void path_stem(char *out, size_t size, const char *path);
bool has_ending(const char *path, const char *ending);

/* A word of a command line as the user would type it: quoted when it must be. */
const char *shell_word(char *out, size_t size, const char *word);

/* Fails with a sentence when a file at `path` (or a folder, with its parents) could not be made. Makes nothing. */
TW_NODISCARD tw_status check_writable_file(tw_context *ctx, const char *path);
TW_NODISCARD tw_status check_writable_folder(tw_context *ctx, const char *path);

/* A file of this text, whole or not at all. */
TW_NODISCARD tw_status write_text(tw_context *ctx, const char *path, const char *text);

/* A table as text. decimals: digits after the point per column, NULL or -1: as many as read back the same number. path
 * "-" is standard output. Stops with TW_ERR_CANCELLED when a watched signal came. */
TW_NODISCARD tw_status write_csv(tw_context *ctx, const char *path, int columns, const char *const *names,
                                 const int *decimals, int64_t rows, const double *values);

#endif
