/* data/cut.c - see cut.h. Regular expressions by hand: the classes of characters are a table of runs (unicode.inc, made
 * by unicode.py), ASCII has one of its own. */
#include "data/cut.h"

#include "base/text.h"

#include <stdint.h>
#include <string.h>

typedef enum class { OTHER, SPACE, LETTER, NUMBER } class;

static const struct {
    uint32_t first, last;
    uint8_t class;
} runs[] = {
#include "data/unicode.inc"
};

static class class_of(uint32_t code)
{
    if (code < 0x80) {
        if ((code | 0x20) - 'a' < 26) return LETTER;
        if (code - '0' < 10) return NUMBER;
        return code == ' ' || code - 9 < 5 ? SPACE : OTHER;
    }
    int low = 0, high = TW_COUNT(runs);
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (runs[middle].first <= code)
            low = middle;
        else
            high = middle;
    }
    return code >= runs[low].first && code <= runs[low].last ? (class)runs[low].class : OTHER;
}

/* The first character: its length and class; a stray byte is OTHER. */
static size_t look(const char *text, size_t size, class *out_class)
{
    const unsigned char *s = (const unsigned char *)text;
    int length = tw_utf8_length(text, size);
    uint32_t code = length == 2 ? s[0] & 0x1Fu : length == 3 ? s[0] & 0x0Fu : length == 4 ? s[0] & 0x07u : s[0];
    for (int i = 1; i < length; i++) code = code << 6 | (s[i] & 0x3Fu);
    *out_class = length ? class_of(code) : OTHER;
    return length ? (size_t)length : 1;
}

/* Bytes of the run of one class that the text begins with. */
static size_t run_of(const char *text, size_t size, class wanted)
{
    size_t at = 0;
    while (at < size) {
        class here;
        size_t length = look(text + at, size - at, &here);
        if (here != wanted) break;
        at += length;
    }
    return at;
}

size_t tw_cut_byte(const char *text, size_t size)
{
    (void)text, (void)size;
    return 1;
}

size_t tw_cut_character(const char *text, size_t size)
{
    int length = tw_utf8_length(text, size);
    return length ? (size_t)length : 1;
}

/* Bytes of the first character if it may stand in a word. */
static size_t word_character(const char *text, size_t size)
{
    class here;
    if (size == 0) return 0;
    if (*text == '_') return 1;
    size_t length = look(text, size, &here);
    return here == LETTER || here == NUMBER ? length : 0;
}

size_t tw_cut_word(const char *text, size_t size)
{
    size_t at = word_character(text, size);
    if (at == 0) return tw_cut_character(text, size);
    while (at < size) {
        size_t quote = text[at] == '\'', next = word_character(text + at + quote, size - at - quote);
        if (next == 0) break;
        at += quote + next;
    }
    return at;
}

bool tw_is_word(const char *piece, size_t size)
{
    return word_character(piece, size) > 0;
}

/* \s+(?!\S)|\s+ on a text that begins with white space: the run, without its last character when something else
 * follows and one remains. */
static size_t gpt2_space(const char *text, size_t size)
{
    size_t at = 0, last = 0;
    while (at < size) {
        class here;
        size_t length = look(text + at, size - at, &here);
        if (here != SPACE) return last ? last : at;
        last = at;
        at += length;
    }
    return at;
}

size_t tw_cut_gpt2(const char *text, size_t size)
{
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    for (int i = 0; *text == '\'' && i < TW_COUNT(endings); i++) {
        size_t length = strlen(endings[i]);
        if (length <= size && memcmp(text, endings[i], length) == 0) return length;
    }
    size_t blank = *text == ' ' && size > 1;
    class here;
    look(text + blank, size - blank, &here);
    if (here != SPACE) return blank + run_of(text + blank, size - blank, here);
    return gpt2_space(text, size);
}

size_t tw_cut_smiles(const char *text, size_t size)
{
    if (*text == '[') {
        for (size_t at = 1; at < size && text[at] != '['; at++) {
            if (text[at] == ']') return at + 1;
            if (text[at] == '\n' || text[at] == '\r') break;
        }
        return 1;
    }
    if (size >= 2 && ((text[0] == 'C' && text[1] == 'l') || (text[0] == 'B' && text[1] == 'r'))) return 2;
    if (size >= 3 && *text == '%' && text[1] >= '0' && text[1] <= '9' && text[2] >= '0' && text[2] <= '9') return 3;
    return tw_cut_character(text, size);
}

size_t tw_cut_lines(const char *text, size_t size)
{
    for (size_t at = size; at-- > 1;) {
        if (text[at - 1] != '\n') continue;
        class here;
        size_t left = size - at;
        look(text + at, left, &here);
        /* a character that the block cuts in two looks like stray bytes: wait for the rest of it */
        if (here != SPACE && (left >= 4 || !(text[at] & 0x80))) return at;
    }
    return 0;
}
