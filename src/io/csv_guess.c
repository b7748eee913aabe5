/* io/csv_guess.c - which separator does a table use? Each candidate cuts the first lines; the one whose lines agree
 * best on the number of fields wins, ties go to the one with more fields that begin like numbers, then to the order
 * below. Blanks come last: text in a comma-separated table has blanks too. */
#include "io/csv.h"

#include <string.h>

#define GUESS_LINES 64

/* 1.5, or 1,5 as much of Europe writes it: a sign that a comma does not separate, though it is not read as a number. */
static bool looks_like_number(const char *p, const char *end, char separator)
{
    double value;
    if (tw_parse_double(p, (size_t)(end - p), &value)) return true;
    const char *comma = separator == ',' ? NULL : memchr(p, ',', (size_t)(end - p));
    return comma && comma + 1 < end && comma[1] >= '0' && comma[1] <= '9' &&
           tw_parse_double(p, (size_t)(comma - p), &value) &&
           tw_parse_double(comma + 1, (size_t)(end - comma - 1), &value);
}

/* Cuts one line (quotes respected) and tells the fields and how many of them look like numbers. */
static int cut_line(const char *p, const char *end, char separator, char quote, int *out_numbers)
{
    int fields = 0, numbers = 0;
    bool blank = separator == ' ';
    while (p < end) {
        while (p < end && (*p == ' ' || (*p == '\t' && separator != '\t'))) p++;
        if (blank && p == end) break;
        const char *start = p;
        bool quoted = p < end && *p == quote;
        if (quoted) {
            for (p++; p < end && *p != quote;) p++;
            if (p < end) p++;
        }
        while (p < end && *p != separator && !(blank && *p == '\t')) p++;
        fields++;
        if (!quoted && looks_like_number(start, p, separator)) numbers++;
        if (p < end && ++p == end && !blank) fields++; /* a separator at the end opens one more, empty field */
    }
    *out_numbers = numbers;
    return fields;
}

typedef struct candidate {
    int lines, agreeing, fields;
    int64_t numbers, all;
} candidate;

/* The commonest number of fields among the lines, and how many lines have it. */
static void find_mode(const int *count, int lines, candidate *out)
{
    for (int i = 0; i < lines; i++) {
        int same = 0;
        for (int j = 0; j < lines; j++) same += count[j] == count[i];
        if (same > out->agreeing || (same == out->agreeing && count[i] > out->fields)) {
            out->agreeing = same;
            out->fields = count[i];
        }
    }
    out->lines = lines;
}

static candidate try_separator(const char *bytes, size_t size, char separator, char quote)
{
    candidate result = {0};
    int count[GUESS_LINES], lines = 0;
    const char *p = bytes, *end = bytes + size;
    while (p < end && lines < GUESS_LINES) {
        const char *stop = p;
        bool inside = false;
        for (; stop < end && (inside || (*stop != '\n' && *stop != '\r')); stop++)
            if (*stop == quote) inside = !inside;
        if (stop == end && lines > 0) break; /* perhaps cut short by the end of the block */
        int numbers, fields = cut_line(p, stop, separator, quote, &numbers);
        if (fields > 0 && *p != '#') { /* comments are cut by nothing */
            count[lines++] = fields;
            result.numbers += numbers;
            result.all += fields;
        }
        p = stop + (stop < end);
    }
    find_mode(count, lines, &result);
    return result;
}

static bool is_better(const candidate *a, const candidate *b)
{
    int64_t agree_a = (int64_t)a->agreeing * b->lines, agree_b = (int64_t)b->agreeing * a->lines;
    if (agree_a != agree_b) return agree_a > agree_b;
    return a->numbers * b->all > b->numbers * a->all;
}

char tw_csv_guess_separator(const char *bytes, size_t size, char quote)
{
    static const char separators[] = {',', ';', '\t', '|', ' '};
    char best_separator = ',';
    candidate best = {0};
    for (int i = 0; i < TW_COUNT(separators); i++) {
        candidate c = try_separator(bytes, size, separators[i], quote);
        if (c.fields < 2) continue;
        if (best.lines == 0 || is_better(&c, &best)) {
            best = c;
            best_separator = separators[i];
        }
    }
    return best_separator;
}
