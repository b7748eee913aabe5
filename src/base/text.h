/* base/text.h - growing strings, numbers to text, and the nearest right name for a misspelt one. */
#ifndef TW_BASE_TEXT_H
#define TW_BASE_TEXT_H

#include "base/base.h"

/* A string that grows; start from {0}. After a failed allocation `failed` is set, further appends do nothing
 * and tw_text_check reports it once, so that building needs no checks. */
typedef struct tw_text {
    tw_context *ctx;
    char *data; /* zero-terminated; NULL while empty */
    size_t length;
    size_t capacity;
    bool failed;
} tw_text;

static inline tw_text tw_text_new(tw_context *ctx)
{
    return (tw_text){.ctx = ctx};
}
void tw_text_add(tw_text *text, const char *format, ...) TW_PRINTF(2, 3);
void tw_text_add_bytes(tw_text *text, const char *bytes, size_t length);
/* Appends a JSON string literal, quotes included, invalid UTF-8 replaced by U+FFFD. */
void tw_text_add_json_string(tw_text *text, const char *value);
/* Appends the shortest decimal text that reads back as the same number; "nan", "inf" as null when json. */
void tw_text_add_double(tw_text *text, double value, bool json);
void tw_text_free(tw_text *text);
TW_NODISCARD tw_status tw_text_check(const tw_text *text);

/* Bytes of the well-formed UTF-8 character that `bytes` begins with (RFC 3629: no surrogates, no overlong forms), 0:
 * there is none. */
int tw_utf8_length(const char *bytes, size_t size);

/* Parses a whole string as a number (C locale whatever the program's locale, no hex, surrounding blanks
 * allowed). False when it is not one; NaN and infinities are numbers ("nan", "inf", "-Infinity"). */
bool tw_parse_double(const char *text, size_t length, double *out_value);
bool tw_parse_int(const char *text, int64_t *out_value);

/* The name among `names` nearest to `word` in edit distance, or NULL when none is near (more than a third of
 * its letters wrong). */
const char *tw_nearest_name(const char *word, const char *const *names, int count);

#endif
