/* thalweg/tokens.h - sequences of whole numbers: tokenisers, which make them of text and text of them, and tables of
 * them.
 *
 * A tokeniser cuts a text into pieces and gives each a number. Symbols are 0 to K - 1; special tokens, which stand for
 * no text, follow them in the order of tw_special, so that the mask is always the last one. Whatever was encoded
 * decodes to the same bytes, also where they are no UTF-8 (a stray byte is a piece of its own). */
#ifndef THALWEG_TOKENS_H
#define THALWEG_TOKENS_H

#include <thalweg/base.h>
#include <thalweg/data.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_special {
    TW_SPECIAL_UNKNOWN, /* in place of every symbol that is not known; without it such a symbol is an error */
    TW_SPECIAL_BEGIN,
    TW_SPECIAL_END,
    TW_SPECIAL_PADDING,
    TW_SPECIAL_MASK,
    TW_SPECIALS
} tw_special;

typedef struct tw_tokeniser_desc {
    const char *kind;          /* tw_tokeniser_list(); NULL: "characters" */
    int64_t min_count;         /* symbols seen fewer times are not known, merges seen fewer times not made; 0: 1 */
    int64_t symbols;           /* at most so many, the most frequent ones; 0: bpe 1024, others all */
    bool special[TW_SPECIALS]; /* which special tokens there are */
} tw_tokeniser_desc;

typedef struct tw_tokeniser_info {
    const char *name, *about, *source;
} tw_tokeniser_info;
/* NULL past the end. */
TW_API const tw_tokeniser_info *tw_tokeniser_list(int index);

typedef struct tw_tokeniser tw_tokeniser;

/* Finds the symbols of a text of any bytes. Nothing is drawn: the same text gives the same tokeniser. Symbols are in
 * the order of their bytes; those of words by how often they came, then by bytes. bpe: the 256 bytes in GPT-2's order,
 * then the merges: the pair that is most frequent now, of equals the one whose numbers are least. */
TW_NODISCARD TW_API tw_status tw_tokeniser_train(tw_context *ctx, const tw_tokeniser_desc *desc, const char *text,
                                                 size_t size, tw_tokeniser **out_tokeniser);
/* From text files (gzip too), which are read in blocks. */
TW_NODISCARD TW_API tw_status tw_tokeniser_train_files(tw_context *ctx, const tw_tokeniser_desc *desc, int count,
                                                       const char *const *paths, tw_tokeniser **out_tokeniser);
/* One of another program, of GPT-2's kind: a `tokenizer.json` (merges_path NULL), or a `vocab.json` with its
 * `merges.txt`. Tokens have the numbers they have there; added ones such as <|endoftext|> are symbols that are found
 * wherever they stand in a text. `special` (NULL: none) come behind them. What would make other tokens than that
 * program makes (normalisers, other pre-tokenisers) is refused. */
TW_NODISCARD TW_API tw_status tw_tokeniser_open(tw_context *ctx, const char *path, const char *merges_path,
                                                const bool special[TW_SPECIALS], tw_tokeniser **out_tokeniser);
TW_API void tw_tokeniser_destroy(tw_tokeniser *tokeniser);

/* All that a tokeniser is as ASCII text, for the metadata of a model file; to be freed with tw_string_free. */
TW_NODISCARD TW_API tw_status tw_tokeniser_to_text(tw_context *ctx, const tw_tokeniser *tokeniser, char **out_text);
/* Reads it back; `label` names it in errors. Anything else is refused with a sentence. */
TW_NODISCARD TW_API tw_status tw_tokeniser_from_text(tw_context *ctx, const char *label, const char *text,
                                                     tw_tokeniser **out_tokeniser);

TW_API const char *tw_tokeniser_kind(const tw_tokeniser *tokeniser);
/* K, special tokens not included, and with them. */
TW_API int tw_tokeniser_symbols(const tw_tokeniser *tokeniser);
TW_API int tw_tokeniser_size(const tw_tokeniser *tokeniser);
/* The token of a special, -1: there is none. */
TW_API int tw_tokeniser_special(const tw_tokeniser *tokeniser, tw_special which);
/* "unknown", "begin", ... */
TW_API const char *tw_special_name(tw_special which);
/* The bytes of a symbol, not terminated; NULL for special tokens and numbers out of range. */
TW_API const char *tw_tokeniser_symbol(const tw_tokeniser *tokeniser, int token, size_t *out_size);

/* Text into tokens: `out_tokens` has room for `size` of them, more cannot come. A symbol that is not known is the token
 * for it, or else a failure that names it and its line: `name` is the text's (NULL: "text"), `first_line` the number of
 * its first line. */
TW_NODISCARD TW_API tw_status tw_tokeniser_encode(tw_context *ctx, const tw_tokeniser *tokeniser, const char *name,
                                                  int64_t first_line, const char *text, size_t size,
                                                  int32_t *out_tokens, int64_t *out_count);
/* Tokens into text, in the manner of snprintf: writes at most `capacity` bytes, the last of which is zero, and returns
 * how long the text is (without the zero). A row ends at its first end token. Specials and numbers out of range become
 * nothing, or, when `show`, "<mask>", "<unknown>" and the like; unknown is always shown. */
TW_API size_t tw_tokeniser_decode(const tw_tokeniser *tokeniser, const int32_t *tokens, int64_t count, bool show,
                                  char *out_text, size_t capacity);

/* --- texts that need no file ------------------------------------------------------------------------------------- */

/* Lines of different lengths by a rule: name, one line about, source. NULL past the end. */
TW_API const tw_builtin_info *tw_builtin_text_list(int index);
/* So many lines of one, parted by line ends, to be freed with tw_string_free; line i of a seed is the same whatever
 * `lines`. */
TW_NODISCARD TW_API tw_status tw_builtin_text(tw_context *ctx, const char *name, int64_t lines, uint64_t seed,
                                              char **out_text, size_t *out_size);
/* Whether a line obeys its rule; false when it has none. */
TW_API bool tw_builtin_text_holds(const char *name, const char *line, bool *out_holds);

/* --- tables of tokens: what a flow over sequences learns from ------------------------------------------------------
 */

typedef enum tw_too_long { TW_LONG_ERROR, TW_LONG_CUT, TW_LONG_DROP } tw_too_long;

/* How files become rows. Without chunks every line, field, or row of numbers that is not empty is a row, in an order
 * drawn from `seed`; texts then get the begin and end tokens that the tokeniser has. With chunks each file is one
 * sequence - a text with its line ends, an array row after row - cut into rows of T; they keep their order, so that the
 * validation and test parts are the last pages of a book and no training row overlaps them. */
typedef struct tw_tokens_desc {
    const tw_tokeniser *tokeniser; /* NULL: the files hold numbers */
    const char *column;            /* the column of a CSV file whose texts are the rows (a name, or a number from 1); of
                                      numbers the columns, as in tw_dataset_desc. NULL: plain text; all columns */
    tw_header header;              /* of CSV files; texts: auto is yes */
    int64_t chunk;                 /* T, 0: no chunks */
    bool keep_tail;                /* what is left at the end of a file is a shorter row; false: it is left out */
    int64_t longest;               /* the most tokens a line or field may make, 0: any */
    tw_too_long too_long;          /* what happens to longer ones: cut (at the end), left out, refused */

    /* Numbers. levels 0: they are whole, and tokens count from `low`. Else tokens are `levels` bins of equal width from
     * low to high, ends included. low and high both 0: the least and greatest number of all files. A number outside is
     * refused by its place. */
    int levels;
    double low, high;

    double split[3]; /* shares of training, validation, test; all 0: 0.8, 0.1, 0.1 */
    uint64_t seed;
} tw_tokens_desc;

typedef struct tw_tokens tw_tokens;

/* Reads files of text, or of numbers (CSV, NPY, NPZ; gzip too). Texts are read in blocks: what is held is the table,
 * two bytes a token (four beyond 65536 different ones). Errors name file and line. */
TW_NODISCARD TW_API tw_status tw_tokens_open(tw_context *ctx, int count, const char *const *paths,
                                             const tw_tokens_desc *desc, tw_tokens **out_tokens);
/* From an open data set of numbers or pictures, whose rows and parts it keeps. Of desc levels, low and high matter. */
TW_NODISCARD TW_API tw_status tw_tokens_from_dataset(tw_context *ctx, const tw_dataset *dataset,
                                                     const tw_tokens_desc *desc, tw_tokens **out_tokens);
/* From memory: `rows` rows of tokens from 0 to size - 1, one behind another, of the lengths given (NULL: each `width`);
 * copied. Of desc (NULL: all defaults) split, seed and chunk (not 0: rows keep their order) matter. */
TW_NODISCARD TW_API tw_status tw_tokens_from_memory(tw_context *ctx, int64_t rows, int64_t width,
                                                    const int64_t *lengths, const int32_t *tokens, int size,
                                                    const tw_tokens_desc *desc, tw_tokens **out_tokens);
TW_API void tw_tokens_destroy(tw_tokens *tokens);

/* Rows of tokens as a data set of whole numbers, which flows of tokens are trained on: (rows, columns), named x1, x2,
 * ..., shorter rows filled up with `padding`, longer ones cut. `told` (NULL: none) is the CSV file with a header that
 * the tokens are one column of: desc->conditions are others of it, or with desc->for_testing desc->known_conditions,
 * each row beside its own. The notes of the tokens are the data set's, too. */
TW_NODISCARD TW_API tw_status tw_dataset_from_tokens(tw_context *ctx, const tw_tokens *tokens, int columns,
                                                     int32_t padding, const char *told, const tw_dataset_desc *desc,
                                                     tw_dataset **out_dataset);

TW_API int64_t tw_tokens_rows(const tw_tokens *tokens, tw_part part);
/* Length of the longest row, over all parts; of the shortest. */
TW_API int64_t tw_tokens_width(const tw_tokens *tokens);
TW_API int64_t tw_tokens_least(const tw_tokens *tokens);
/* Different tokens there may be: of a tokeniser its size, special tokens included. */
TW_API int tw_tokens_size(const tw_tokens *tokens);
/* (size) the number that each token stands for, of a bin its middle; NULL for texts and tables from memory. */
TW_API const double *tw_tokens_values(const tw_tokens *tokens);
/* Sentences worth telling the user once; NULL past the end. */
TW_API const char *tw_tokens_note(const tw_tokens *tokens, int index);

/* Row by row of a part: `rows` (count) are their numbers, each within tw_tokens_rows; out_tokens (count, width) gets
 * their tokens, longer rows are cut, shorter ones filled up with `padding`; out_lengths (count, may be NULL) how many
 * are the row's own. */
TW_API void tw_tokens_gather(const tw_tokens *tokens, tw_part part, int64_t count, const int64_t *rows, int64_t width,
                             int32_t padding, int32_t *out_tokens, int32_t *out_lengths);

#ifdef __cplusplus
}
#endif
#endif
