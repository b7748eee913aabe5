/* data/builtin_text.c - texts that need no file: lines of different lengths that obey a rule, so that samples can be told
 * right from wrong. Line i is a pure function of (seed, i). */
#include "data/dataset.h"

#include "base/philox.h"
#include "base/streams.h"
#include "base/text.h"

#include <thalweg/tokens.h>

#include <string.h>

enum { MOST_PAIRS = 10, MOST_DIGITS = 12, LONGEST = 2 * MOST_DIGITS, DRAWS_PER_LINE = 256 /* words of the stream */ };

static tw_random stream_at(uint64_t seed, uint32_t purpose, int64_t line)
{
    return (tw_random){.seed = seed,
                       .stream = TW_STREAM_SYNTHETIC | purpose << 8,
                       .index = (uint64_t)line * DRAWS_PER_LINE};
}

/* A word of n pairs, every one as likely as any other (Arnold, Sleep 1980, Uniform random generation of balanced
 * parenthesis strings): at a depth with so many brackets left the next one closes with the share of words that do. */
static int draw_brackets(uint64_t seed, int64_t line, char *out)
{
    tw_random r = stream_at(seed, 1, line);
    int length = 2 * (1 + (int)tw_random_below(&r, MOST_PAIRS)), depth = 0;
    for (int i = 0; i < length; i++) {
        double left = length - i, closes = depth * (left + depth + 2) / (2 * left * (depth + 1));
        bool close = tw_random_uniform(&r) < closes;
        out[i] = close ? ')' : '(';
        depth += close ? -1 : 1;
    }
    return length;
}

static bool are_brackets(const char *line)
{
    int depth = 0;
    const char *at = line;
    for (; (*at == '(' || *at == ')') && depth >= 0; at++) depth += *at == '(' ? 1 : -1;
    return *line && !*at && depth == 0;
}

static int draw_sorted_digits(uint64_t seed, int64_t line, char *out)
{
    tw_random r = stream_at(seed, 2, line);
    int length = 1 + (int)tw_random_below(&r, MOST_DIGITS), count[10] = {0}, made = 0;
    for (int i = 0; i < length; i++) count[tw_random_below(&r, 10)]++;
    for (int digit = 0; digit < 10; digit++)
        while (count[digit]-- > 0) out[made++] = (char)('0' + digit);
    return length;
}

static bool are_sorted_digits(const char *line)
{
    const char *at = line;
    while (*at >= '0' && *at <= '9' && (at == line || at[-1] <= *at)) at++;
    return *line && !*at;
}

/* The line of sorted digits of the same number, mistyped: a tenth of the digits is left out, a tenth another one, behind
 * a tenth stands one more; something is left. */
static int draw_digit_slips(uint64_t seed, int64_t line, char *out)
{
    char right[LONGEST];
    tw_random r = stream_at(seed, 3, line);
    int length = draw_sorted_digits(seed, line, right), made = 0;
    for (int i = 0; i < length; i++) {
        double which = tw_random_uniform(&r);
        int other = (right[i] - '0' + 1 + (int)tw_random_below(&r, 9)) % 10;
        if (which < 0.1) continue;
        out[made++] = which < 0.2 ? (char)('0' + other) : right[i];
        if (which > 0.9) out[made++] = (char)('0' + tw_random_below(&r, 10));
    }
    if (made == 0) out[made++] = right[0];
    return made;
}

static const struct {
    tw_builtin_info info;
    int (*draw)(uint64_t seed, int64_t line, char *out); /* out: LONGEST bytes; returns how many */
    bool (*holds)(const char *line);                     /* NULL: lines of any kind */
} texts[] = {
    {{"brackets", "lines of balanced brackets, 1 to 10 pairs, each word of a length as likely",
      "Arnold, Sleep 1980, Uniform random generation of balanced parenthesis strings"},
     draw_brackets,
     are_brackets},
    {{"sorted_digits", "lines of 1 to 12 digits in rising order", "Havasi et al. 2025, Edit flows (toy of its kind)"},
     draw_sorted_digits,
     are_sorted_digits},
    {{"digit_slips", "the lines of sorted_digits with the same seed, three tenths of the digits mistyped, for --source-data",
      "Havasi et al. 2025, Edit flows (toy of its kind)"},
     draw_digit_slips,
     NULL},
};

const tw_builtin_info *tw_builtin_text_list(int index)
{
    return index >= 0 && index < TW_COUNT(texts) ? &texts[index].info : NULL;
}

static int find(const char *name)
{
    int i = 0;
    while (i < TW_COUNT(texts) && strcmp(texts[i].info.name, name) != 0) i++;
    return i;
}

tw_status tw_builtin_text(tw_context *ctx, const char *name, int64_t lines, uint64_t seed, char **out_text,
                          size_t *out_size)
{
    int which = find(name);
    if (which == TW_COUNT(texts)) return tw_fail(ctx, TW_ERR_INVALID, "there is no built-in text '%s'", name);
    if (lines < 1) return tw_fail(ctx, TW_ERR_INVALID, "'%s': %lld lines asked for", name, (long long)lines);
    char *text = tw_alloc(ctx, (size_t)lines, LONGEST + 1);
    if (!text) return tw_fail_memory(ctx, (size_t)lines * (LONGEST + 1));
    size_t size = 0;
    for (int64_t i = 0; i < lines; i++) {
        size += (size_t)texts[which].draw(seed, i, text + size);
        text[size++] = '\n';
    }
    text[size - 1] = 0;
    *out_text = text;
    *out_size = size - 1;
    return TW_OK;
}

bool tw_builtin_text_holds(const char *name, const char *line, bool *out_holds)
{
    int which = find(name);
    if (which == TW_COUNT(texts) || !texts[which].holds) return false;
    *out_holds = texts[which].holds(line);
    return true;
}
