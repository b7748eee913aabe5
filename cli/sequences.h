/* sequences.h - lines of different lengths on the command line: built-in texts, texts taken line by line as they stand,
 * and texts that flows begin at. */
#ifndef THALWEG_CLI_SEQUENCES_H
#define THALWEG_CLI_SEQUENCES_H

#include "model.h"

#include <thalweg/tokens.h>

bool is_sequences(const model *m);
/* Whether a training is to be of sequences: --method edit, or --space sequences. */
bool wants_sequences(const settings *s);
bool is_builtin_text(const char *name);

/* A text in memory, to be freed with tw_string_free: a file (gzip too), or a built-in text as the settings say. */
TW_NODISCARD tw_status text_read(cli *c, const settings *s, const char *path, char **out_text, size_t *out_size);
/* Its lines, those that are not empty, as rows of tokens in their order, filled up with `padding`. *columns 0: becomes
 * the longest, at most `longest`; lines of more tokens are an error. *out_tokens (rows, columns) is to be freed with
 * tw_free. */
TW_NODISCARD tw_status text_rows(cli *c, const tw_tokeniser *tokeniser, const char *name, const char *text, size_t size,
                                 int longest, int32_t padding, int *columns, int64_t *out_rows, int32_t **out_tokens);
/* The lines of a file as rows of the model, in their order. */
TW_NODISCARD tw_status model_read_lines(cli *c, const model *m, const char *path, int64_t *out_rows,
                                        double **out_values);

#endif
