/* io/utf8.h - is this stream of bytes UTF-8 text, and if not, on which line and column does it stop being so?
 *
 * Works on blocks of any size. Refuses what RFC 3629 refuses: stray and missing continuation bytes, overlong forms,
 * surrogates, code points above U+10FFFF; and zero bytes, which no text file holds. */
#ifndef TW_IO_UTF8_H
#define TW_IO_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Start from TW_UTF8_START. On failure line, column (characters, from 1) and byte tell the fault. */
typedef struct tw_utf8 {
    int64_t line, column;
    unsigned char byte;
    bool after_return; /* the last byte was a carriage return: a line feed now ends the same line */
    int need;          /* continuation bytes still to come */
    uint32_t code, least;
} tw_utf8;

#define TW_UTF8_START ((tw_utf8){.line = 1, .column = 1})

bool tw_utf8_check(tw_utf8 *state, const void *bytes, size_t size);
/* False when the text ends inside a character. */
bool tw_utf8_finish(tw_utf8 *state);

#endif
