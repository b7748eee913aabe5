/* data/cut.h - how a text is cut into pieces: one function a kind of piece, which looks ahead only, so that a text may
 * be cut from any place where a piece begins. A byte that belongs to no UTF-8 character is a character of its own. */
#ifndef TW_DATA_CUT_H
#define TW_DATA_CUT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the first piece of `text`; size and result are at least 1. */
typedef size_t (*tw_cut_fn)(const char *text, size_t size);

size_t tw_cut_byte(const char *text, size_t size);
size_t tw_cut_character(const char *text, size_t size);
/* A run of letters, numbers and _, with apostrophes inside; or one other character. */
size_t tw_cut_word(const char *text, size_t size);
/* What GPT-2's pattern matches: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t tw_cut_gpt2(const char *text, size_t size);
/* An atom in brackets, Cl, Br, a ring closure %12, or one other character. */
size_t tw_cut_smiles(const char *text, size_t size);

/* Whether a piece that tw_cut_word cuts is a word and no single other character. */
bool tw_is_word(const char *piece, size_t size);

/* Where the last line begins that begins with something other than white space, 0: nowhere. Every kind begins a piece
 * with the line end in front of it, whatever comes before that. */
size_t tw_cut_lines(const char *text, size_t size);

#endif
