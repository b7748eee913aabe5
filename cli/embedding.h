/* embedding.h - places of the symbols of tokens, between which path 'metric' takes its distances: from a table of
 * numbers, or what the network of a trained model has learned. */
#ifndef THALWEG_CLI_EMBEDDING_H
#define THALWEG_CLI_EMBEDDING_H

#include "model.h"

#include <thalweg/tokens.h>

typedef struct embedding {
    int symbols, width;
    double *place; /* (symbols, width), NULL: none; owned */
} embedding;

/* What --embedding says, nothing without it: a file with a row for each symbol in their order (columns of text are left
 * out), or a run. A run must have the symbols of `tokeniser` (NULL: as many as its own are taken). */
TW_NODISCARD tw_status embedding_open(cli *c, const tw_tokeniser *tokeniser, embedding *out);
void embedding_close(cli *c, embedding *e);

#endif
