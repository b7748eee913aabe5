/* base/text.c - growing strings; misspelt names. Numbers are in base/number.c. */
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Makes room for `more` bytes and the zero behind them. */
static bool reserve(tw_text *text, size_t more)
{
    if (text->failed) return false;
    size_t need;
    if (__builtin_add_overflow(text->length, more, &need) || need >= SIZE_MAX / 2) {
        text->failed = true;
        return false;
    }
    if (need < text->capacity) return true;
    size_t capacity = need + 1 > 2 * text->capacity ? need + 1 : 2 * text->capacity;
    if (capacity < 64) capacity = 64;
    char *data = tw_resize(text->ctx, text->data, capacity, 1);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void tw_text_add_bytes(tw_text *text, const char *bytes, size_t length)
{
    if (!reserve(text, length)) return;
    if (length) memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = 0;
}

void tw_text_add(tw_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char small[256];
    int length = vsnprintf(small, sizeof small, format, args);
    if (length < 0)
        text->failed = true;
    else if ((size_t)length < sizeof small)
        tw_text_add_bytes(text, small, (size_t)length);
    else if (reserve(text, (size_t)length)) {
        vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

int tw_utf8_length(const char *bytes, size_t size)
{
    const unsigned char *s = (const unsigned char *)bytes;
    if (size == 0) return 0;
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
    int length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (size < (size_t)length) return 0;
    unsigned low = 0x80, high = 0xBF; /* range of the second byte */
    if (s[0] == 0xE0) low = 0xA0;
    if (s[0] == 0xED) high = 0x9F;
    if (s[0] == 0xF0) low = 0x90;
    if (s[0] == 0xF4) high = 0x8F;
    if (s[1] < low || s[1] > high) return 0;
    for (int i = 2; i < length; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    return length;
}

static void add_json_character(tw_text *text, const unsigned char *s, int length)
{
    static const char *const named[] = {['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    if (*s == '"' || *s == '\\')
        tw_text_add(text, "\\%c", *s);
    else if (*s < TW_COUNT(named) && named[*s])
        tw_text_add(text, "%s", named[*s]);
    else if (*s < 0x20 || *s == 0x7F)
        tw_text_add(text, "\\u%04x", (unsigned)*s);
    else
        tw_text_add_bytes(text, (const char *)s, (size_t)length);
}

void tw_text_add_json_string(tw_text *text, const char *value)
{
    tw_text_add_bytes(text, "\"", 1);
    for (const char *s = value, *end = value + strlen(value); s < end;) {
        int length = tw_utf8_length(s, (size_t)(end - s));
        if (length)
            add_json_character(text, (const unsigned char *)s, length);
        else
            tw_text_add_bytes(text, "\xEF\xBF\xBD", 3); /* U+FFFD */
        s += length ? length : 1;
    }
    tw_text_add_bytes(text, "\"", 1);
}

void tw_text_free(tw_text *text)
{
    if (text->data) tw_free(text->ctx, text->data);
    *text = (tw_text){.ctx = text->ctx};
}

tw_status tw_text_check(const tw_text *text)
{
    return text->failed ? tw_fail_memory(text->ctx, text->length) : TW_OK;
}

enum { NAME_LENGTH = 64 };

/* Letters as compared: case does not matter, nor '-' for '_'. */
static int letter(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

/* Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) from a to b. */
static int edit_distance(const char *a, const char *b)
{
    int rows[3][NAME_LENGTH + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    int la = (int)strlen(a), lb = (int)strlen(b);
    if (la > NAME_LENGTH || lb > NAME_LENGTH) return NAME_LENGTH;
    for (int j = 0; j <= lb; j++) last[j] = before[j] = j;
    for (int i = 1; i <= la; i++) {
        row[0] = i;
        for (int j = 1; j <= lb; j++) {
            int best = last[j - 1] + (letter(a[i - 1]) != letter(b[j - 1]));
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && letter(a[i - 1]) == letter(b[j - 2]) && letter(a[i - 2]) == letter(b[j - 1]) &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        int *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[lb];
}

const char *tw_nearest_name(const char *word, const char *const *names, int count)
{
    int length = (int)strlen(word), best = (length + 2) / 3 + 1;
    const char *nearest = NULL;
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(word, names[i]);
        if (distance < best && distance < length) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
