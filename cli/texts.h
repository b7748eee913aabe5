/* texts.h - texts as data: plain files, built-in texts or a column of a table, by a tokeniser that is made of them or
 * read; rows of tokens, lines filled up to the longest, or chunks. */
#ifndef THALWEG_CLI_TEXTS_H
#define THALWEG_CLI_TEXTS_H

#include "model.h"

#include <thalweg/tokens.h>

/* Whether the data of these settings are texts: --tokeniser, --vocabulary, --chunk, or a .txt file most of which is
 * letters. */
bool is_text_data(const settings *s, const char *path);
/* Texts as rows of tokens. *tokeniser NULL: trained on the file, and the caller's. columns: how long rows are, 0: as
 * --chunk or the longest line says. Of desc the split, the seed, what is missing and the conditions matter, which are
 * other columns of the file. */
TW_NODISCARD tw_status open_text(cli *c, const settings *s, const char *path, int columns, tw_tokeniser **tokeniser,
                                 const tw_dataset_desc *desc, tw_dataset **out_data);
/* The same of a training: the data, and the texts the flow begins at by --source-data, with rows as long as the longer
 * of both; the source is not touched without. */
TW_NODISCARD tw_status open_texts(cli *c, const settings *s, const char *path, const tw_dataset_desc *desc,
                                  tw_tokeniser **tokeniser, tw_dataset **data, tw_dataset **source);

/* A text as rows of a model of texts, by its own tokeniser: of a table the column it was trained on, of a built-in text
 * lines it cannot have seen, unless a seed is given. All rows, in their order; `told`: with the model's conditions. */
TW_NODISCARD tw_status open_text_like(cli *c, const model *m, const char *path, bool told, tw_dataset **out_data);

#endif
