/* tokens.h - flows of tokens on the command line: text files as their data, how they jump, and samples as text. */
#ifndef THALWEG_CLI_TOKENS_H
#define THALWEG_CLI_TOKENS_H

#include "model.h"

#include <thalweg/tokens.h>

#define FACT_TOKENISER "tokeniser" /* tw_tokeniser_to_text, of flows of texts */

/* Of nothing else: also tables all whose columns are levels. */
bool is_tokens(const model *m);
/* Whether rows are texts: the model has a tokeniser. */
bool is_texts(const model *m);
/* "at most ", where what scoring finds is a bound: of tokens but in order. */
const char *at_most(const model *m);

/* The model's own tokeniser; NULL when it has none. */
TW_NODISCARD tw_status model_tokeniser(cli *c, const model *m, tw_tokeniser **out_tokeniser);
/* "tokens:K" for --space tokens, where K is the levels, or the greatest number of the data and one more; other spaces
 * as they are. */
TW_NODISCARD tw_status space_text(cli *c, const tw_dataset *data, const tw_tokeniser *tokeniser, char out[64],
                                  const char **out_space);

/* What stands for a token of a model where people look: the bytes of its symbol, or its number; nothing for what fills
 * rows up. *out_text may be in `room`. */
typedef enum piece_kind { PIECE_TEXT, PIECE_MASK, PIECE_NOTHING } piece_kind;
enum { PIECE_BYTES = 32 };
piece_kind token_piece(const model *m, const tw_tokeniser *tokeniser, double value, char room[PIECE_BYTES],
                       const char **out_text, size_t *out_size);
int token_symbols(const model *m);

/* How tokens jump by the options; `known` from --prompt and what was observed. Close it. */
typedef struct jumping {
    tw_token_options options;
    double *known;
} jumping;
TW_NODISCARD tw_status jumping_open(cli *c, const model *m, const double *observed, bool same, jumping *out);
void jumping_close(cli *c, jumping *j);

/* Samples as text: one a line where lines were learned, else parted by a line of dashes; .jsonl: {"text": ...} a line.
 */
TW_NODISCARD tw_status write_texts(cli *c, const model *m, const char *path, int64_t n, const double *rows);

#endif
