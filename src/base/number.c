/* base/number.c - numbers to text and back, the same in every locale.
 *
 * Reading scans the text itself into at most 19 digits and a power of ten. When the digits fit 53 bits and the power is
 * at most 22, one multiplication or division of exact doubles rounds correctly (W. D. Clinger, How to read floating
 * point numbers accurately, PLDI 1990); everything else goes through strtod in the C locale. */
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DIGITS = 800 }; /* more than the 767 significant digits a double can need */

typedef struct scan {
    bool negative, more; /* more: nonzero digits beyond those kept */
    int count;           /* digits kept, leading zeros left out */
    int64_t exponent;    /* value = digits * 10^exponent */
    char digits[DIGITS];
} scan;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

static void trim(const char **begin, const char **end)
{
    while (*begin < *end && is_blank(**begin)) ++*begin;
    while (*end > *begin && is_blank((*end)[-1])) --*end;
}

static const char *scan_digits(const char *at, const char *end, bool fraction, scan *s)
{
    for (; at < end && is_digit(*at); at++) {
        if (s->count == 0 && *at == '0') {
            s->exponent -= fraction;
        } else if (s->count < DIGITS) {
            s->digits[s->count++] = *at;
            s->exponent -= fraction;
        } else {
            s->more |= *at != '0';
            s->exponent += !fraction;
        }
    }
    return at;
}

/* DIGITS [. DIGITS] [e [+-] DIGITS], at least one digit before the e, nothing left over. */
static bool scan_number(const char *at, const char *end, scan *s)
{
    const char *begin = at;
    at = scan_digits(at, end, false, s);
    int64_t seen = at - begin;
    if (at < end && *at == '.') {
        begin = at + 1;
        at = scan_digits(begin, end, true, s);
        seen += at - begin;
    }
    if (seen == 0) return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool negative = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+')) at++;
        if (at == end || !is_digit(*at)) return false;
        int64_t power = 0;
        for (; at < end && is_digit(*at); at++)
            if (power < INT64_MAX / 100) power = 10 * power + (*at - '0');
        s->exponent += negative ? -power : power;
    }
    return at == end;
}

static double strtod_c_locale(const char *text)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a constant object in glibc and musl: no allocation */
    double value = strtod_l(text, NULL, c);
    if (c) freelocale(c);
    return value;
}

static double number_value(const scan *s)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (s->count <= 19 && s->exponent >= -22 && s->exponent <= 22) {
        uint64_t digits = 0;
        for (int i = 0; i < s->count; i++) digits = 10 * digits + (uint64_t)(s->digits[i] - '0');
        if (digits <= (uint64_t)1 << 53)
            return s->exponent < 0 ? (double)digits / ten[-s->exponent] : (double)digits * ten[s->exponent];
    }
    char text[DIGITS + 40];
    memcpy(text, s->digits, (size_t)s->count);
    int count = s->count;
    int64_t exponent = s->exponent;
    if (count == 0) text[count++] = '0';
    if (s->more) { /* any digit there breaks the tie the right way */
        text[count++] = '1';
        exponent--;
    }
    if (exponent > 1000000) exponent = 1000000;
    if (exponent < -1000000) exponent = -1000000;
    snprintf(text + count, sizeof text - (size_t)count, "e%lld", (long long)exponent);
    return strtod_c_locale(text);
}

static bool is_word(const char *begin, const char *end, const char *word)
{
    return (size_t)(end - begin) == strlen(word) && strncasecmp(begin, word, (size_t)(end - begin)) == 0;
}

bool tw_parse_double(const char *text, size_t length, double *out_value)
{
    const char *at = text, *end = text + length;
    trim(&at, &end);
    scan s;
    s.negative = at < end && *at == '-';
    s.more = false;
    s.count = 0;
    s.exponent = 0;
    if (at < end && (*at == '-' || *at == '+')) at++;
    double value;
    if (is_word(at, end, "nan"))
        value = (double)NAN;
    else if (is_word(at, end, "inf") || is_word(at, end, "infinity"))
        value = (double)INFINITY;
    else if (scan_number(at, end, &s))
        value = number_value(&s);
    else
        return false;
    *out_value = s.negative ? -value : value;
    return true;
}

bool tw_parse_int(const char *text, int64_t *out_value)
{
    const char *at = text, *end = text + strlen(text);
    trim(&at, &end);
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (at == end) return false;
    int64_t value = 0;
    for (; at < end; at++) {
        int digit = *at - '0';
        if (!is_digit(*at) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    *out_value = value;
    return true;
}

/* Writes value with `precision` significant digits; whatever the locale's decimal point is becomes '.'. */
static int print_double(char *out, size_t size, double value, int precision)
{
    char raw[64];
    snprintf(raw, sizeof raw, "%.*g", precision, value);
    int length = 0;
    for (const char *s = raw; *s && (size_t)length + 1 < size;) {
        if (is_digit(*s) || strchr("+-e", *s)) {
            out[length++] = *s++;
            continue;
        }
        out[length++] = '.';
        while (*s && !is_digit(*s) && !strchr("+-e", *s)) s++;
    }
    out[length] = 0;
    return length;
}

void tw_text_add_double(tw_text *text, double value, bool json)
{
    if (!isfinite(value)) {
        const char *name = json ? "null" : isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
        tw_text_add(text, "%s", name);
        return;
    }
    /* 15 digits survive text-number-text for normal numbers, so a shorter form that reads back is found there;
     * subnormal numbers have fewer digits. */
    int precision = fabs(value) < 0x1p-1022 && value != 0 ? 1 : 15;
    char out[64];
    for (; precision <= 17; precision++) {
        double back;
        int length = print_double(out, sizeof out, value, precision);
        if (precision == 17 || (tw_parse_double(out, (size_t)length, &back) && back == value)) break;
    }
    tw_text_add(text, "%s", out);
}
