/* options.c - the table of options, and values checked against it.
 *
 * One table so that a flag, its key in a file, its help and its error can never disagree. */
#include "options.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const option option_table[OPT_COUNT] = {
#define X(id, verbs, group, name, letter, type, accepts, standard, value, about)                                       \
    [OPT_##id] = {verbs, GROUP_##group, name, letter, TYPE_##type, accepts, standard, value, about},
#include "options.def"
#undef X
};

void settings_free(settings *s)
{
    for (int i = 0; i < OPT_COUNT; i++) free(s->value[i].text);
    *s = (settings){0};
}

static bool knows(const option *o, char verb)
{
    return strchr(o->verbs, verb) != NULL;
}

option_id option_find(char verb, const char *name)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (knows(&option_table[i], verb) && strcmp(option_table[i].name, name) == 0) return (option_id)i;
    /* the library calls a solver a method; train's --method is the flow's */
    if (strcmp(name, "method") == 0) return option_find(verb, "solver");
    return OPT_COUNT;
}

option_id option_find_letter(char verb, char letter)
{
    for (int i = 0; i < OPT_COUNT; i++)
        if (knows(&option_table[i], verb) && option_table[i].letter == letter) return (option_id)i;
    return OPT_COUNT;
}

/* --- checking ------------------------------------------------------------------------------------------------ */

typedef struct range {
    double low, high;
    bool above; /* low itself is not accepted */
} range;

static range range_of(const option *o)
{
    range r = {-HUGE_VAL, HUGE_VAL, false};
    const char *text = o->accepts, *dots = strstr(text, "..");
    r.above = *text == '>';
    if (r.above) text++;
    if (*text && *text != '.') r.low = strtod(text, NULL);
    if (dots && dots[2]) r.high = strtod(dots + 2, NULL);
    return r;
}

static bool number_fits(const option *o, const char *text, double *out_value)
{
    range r = range_of(o);
    double value;
    if (!tw_parse_double(text, strlen(text), &value) || !isfinite(value)) return false;
    if (value < r.low || value > r.high || (r.above && value <= r.low)) return false;
    *out_value = value;
    return true;
}

/* Whole numbers may be written 20000 or 2e4. */
static bool whole_fits(const option *o, const char *text, int64_t *out_value)
{
    double value;
    if (!number_fits(o, text, &value) || value != floor(value) || fabs(value) > 9e15) return false;
    *out_value = (int64_t)value;
    return o->type != TYPE_EVEN || *out_value % 2 == 0;
}

/* Whole numbers between commas, or none. */
static bool list_fits(const option *o, const char *text)
{
    int64_t value;
    if (strcmp(text, "none") == 0) return true;
    for (;; text++) {
        char one[32];
        size_t length = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)tw_min_i64((int64_t)length, 31), text);
        if (!whole_fits(o, one, &value)) return false;
        text += length;
        if (!*text) return true;
    }
}

static bool seed_fits(const char *text, uint64_t *out_value)
{
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 20) return false;
    uint64_t value = 0;
    for (; *text; text++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    *out_value = value;
    return true;
}

static bool flag_fits(const char *text, bool *out_value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (int i = 0; i < TW_COUNT(words); i++)
        if (strcmp(text, words[i]) == 0) return *out_value = i % 2, true;
    return false;
}

static bool separator_fits(const char *text, char *out_value)
{
    static const struct {
        const char *name;
        char value;
    } named[] = {{"auto", 0}, {"tab", '\t'}, {"\\t", '\t'}, {"space", ' '}, {"comma", ','}, {"semicolon", ';'}};
    for (int i = 0; i < TW_COUNT(named); i++)
        if (strcmp(text, named[i].name) == 0) return *out_value = named[i].value, true;
    *out_value = text[0];
    return strlen(text) == 1 && text[0] > 0 && text[0] != '"' && text[0] != '\n' && text[0] != '\r';
}

bool split_parse(const char *text, double out_share[3])
{
    double sum = 0;
    for (int i = 0; i < 3; i++) {
        size_t length = strcspn(text, ",");
        if (!tw_parse_double(text, length, &out_share[i]) || !(out_share[i] >= 0 && out_share[i] <= 1)) return false;
        sum += out_share[i];
        text += length;
        if (i < 2 && *text++ != ',') return false;
    }
    return *text == 0 && out_share[0] > 0 && fabs(sum - 1) < 1e-6;
}

bool levels_parse(const char *text, tw_bins *out_bins)
{
    double number[3] = {0};
    int count = 0;
    for (const char *at = text; count < 3; at++) {
        size_t length = strcspn(at, ",");
        if (!tw_parse_double(at, length, &number[count]) || !isfinite(number[count])) return false;
        count++;
        at += length;
        if (!*at) break;
        if (count == 3) return false;
    }
    bool whole = number[0] >= 2 && number[0] <= 65536 && number[0] == floor(number[0]);
    *out_bins = (tw_bins){(int)number[0], number[1], number[2]};
    return whole && (count == 1 || (count == 3 && number[1] < number[2]));
}

char separator_of(const char *text)
{
    char value = 0;
    return text && separator_fits(text, &value) ? value : 0;
}

/* Whether the word is the name, or the name of a piece followed by parameters, which the library checks. */
static bool is_choice(const option *o, const char *text, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(text, name, length) != 0) return false;
    return text[length] == 0 || (o->accepts[0] == '@' && text[length] == ':');
}

/* On failure the nearest choice is left in out_nearest, when one is near. */
static bool choice_fits(const option *o, const char *text, char *out_nearest, size_t size)
{
    const char *names[128];
    char words[256];
    int count = 0;
    listed item;
    if (o->accepts[0] == '@') {
        while (count < TW_COUNT(names) && list_item(o->accepts + 1, count, &item)) names[count++] = item.name;
    } else {
        snprintf(words, sizeof words, "%s", o->accepts);
        for (char *rest = words, *word; (word = strsep(&rest, "|")) && count < TW_COUNT(names);) names[count++] = word;
    }
    for (int i = 0; i < count; i++)
        if (is_choice(o, text, names[i])) return true;
    const char *nearest = tw_nearest_name(text, names, count);
    if (nearest) snprintf(out_nearest, size, "%s", nearest);
    return false;
}

void option_expects(const option *o, char *out, size_t size)
{
    range r = range_of(o);
    const char *noun = o->type == TYPE_NUMBER ? "a number" : o->type == TYPE_EVEN ? "an even number" : "a whole number";
    switch (o->type) {
    case TYPE_INT:
    case TYPE_EVEN:
    case TYPE_NUMBER:
        if (isfinite(r.high))
            snprintf(out, size, "%s %s %.10g%s%.10g", noun, r.above ? "above" : "from", r.low,
                     r.above ? ", at most " : " to ", r.high);
        else
            snprintf(out, size, "%s%s %.10g", noun, r.above ? " above" : ", at least", r.low);
        break;
    case TYPE_LIST:
        snprintf(out, size, "whole numbers from %.10g to %.10g between commas, or none", r.low, r.high);
        break;
    case TYPE_SEED:
        snprintf(out, size, "a whole number from 0 to 18446744073709551615");
        break;
    case TYPE_FLAG:
        snprintf(out, size, "yes or no");
        break;
    case TYPE_SEPARATOR:
        snprintf(out, size, "one character, or tab, space, auto");
        break;
    case TYPE_SPLIT:
        snprintf(out, size, "three shares that add up to 1, such as 0.8,0.1,0.1");
        break;
    case TYPE_LEVELS:
        snprintf(out, size, "a whole number from 2 to 65536, or with a range: 32,-1,1");
        break;
    case TYPE_CHOICE:
        if (o->accepts[0] == '@') {
            snprintf(out, size, "one of `thalweg list %s`", o->accepts + 1);
        } else {
            size_t used = (size_t)snprintf(out, size, "one of ");
            for (const char *at = o->accepts; *at && used + 3 < size; at++)
                used += (size_t)snprintf(out + used, size - used, *at == '|' ? ", " : "%c", *at);
        }
        break;
    case TYPE_TEXT:
        snprintf(out, size, "%s", o->value);
        break;
    }
}

static bool value_fits(const option *o, const char *text, char *out_nearest, size_t size)
{
    double number, share[3];
    tw_bins bins;
    int64_t whole;
    uint64_t seed;
    bool flag;
    char separator;
    switch (o->type) {
    case TYPE_TEXT:
        return *text != 0;
    case TYPE_FLAG:
        return flag_fits(text, &flag);
    case TYPE_INT:
    case TYPE_EVEN:
        return whole_fits(o, text, &whole);
    case TYPE_LIST:
        return list_fits(o, text);
    case TYPE_NUMBER:
        return number_fits(o, text, &number);
    case TYPE_SEED:
        return seed_fits(text, &seed);
    case TYPE_CHOICE:
        return choice_fits(o, text, out_nearest, size);
    case TYPE_SEPARATOR:
        return separator_fits(text, &separator);
    case TYPE_SPLIT:
        return split_parse(text, share);
    case TYPE_LEVELS:
        return levels_parse(text, &bins);
    }
    return false;
}

bool settings_set(settings *s, option_id id, const char *text, origin from, char *error, size_t size)
{
    const option *o = &option_table[id];
    char nearest[64] = "";
    if (!value_fits(o, text, nearest, sizeof nearest)) {
        char expected[256];
        option_expects(o, expected, sizeof expected);
        if (*nearest)
            snprintf(error, size, "%s: '%s' is unknown; the nearest is '%s'; expected %s", o->name, text, nearest,
                     expected);
        else
            snprintf(error, size, "%s: '%s' given, expected %s", o->name, text, expected);
        return false;
    }
    if (s->value[id].from > from) return true;
    bool more = id == OPT_COLUMN && s->value[id].from == from; /* one column each time */
    size_t before = more ? strlen(s->value[id].text) + 1 : 0, length = strlen(text) + 1;
    char *copy = malloc(before + length);
    if (copy && more) snprintf(copy, before + 1, "%s,", s->value[id].text);
    if (copy) memcpy(copy + before, text, length);
    if (!copy) {
        snprintf(error, size, "out of memory");
        return false;
    }
    free(s->value[id].text);
    s->value[id].text = copy;
    s->value[id].from = from;
    return true;
}

void settings_forget(settings *s, option_id id)
{
    free(s->value[id].text);
    s->value[id].text = NULL;
    s->value[id].from = ORIGIN_NONE;
}

/* "train" for 'T', or NULL. */
static const char *owner_of(const option *o)
{
    static const struct {
        char letter;
        const char *name;
    } verbs[] = {{'T', "train"}, {'S', "sample"}, {'C', "score"},  {'E', "eval"},  {'R', "reproduce"}, {'P', "impute"},
                 {'I', "info"},  {'L', "list"},   {'M', "import"}, {'X', "export"}, {'H', "mesh"}};
    for (int i = 0; i < TW_COUNT(verbs); i++)
        if (verbs[i].letter == o->verbs[0]) return verbs[i].name;
    return NULL;
}

void option_unknown(char verb, const char *name, const char *dashes, char *error, size_t size)
{
    const char *names[OPT_COUNT];
    int count = 0;
    for (int i = 0; i < OPT_COUNT; i++)
        if (knows(&option_table[i], verb)) names[count++] = option_table[i].name;
    const char *kind = *dashes ? "option" : "key";
    const char *nearest = tw_nearest_name(name, names, count);
    size_t used = (size_t)snprintf(error, size, "unknown %s %s%s", kind, dashes, name);
    if (used >= size) return;
    if (nearest) {
        snprintf(error + used, size - used, "; the nearest is %s%s", dashes, nearest);
        return;
    }
    for (int i = 0; i < OPT_COUNT; i++) {
        const char *owner = owner_of(&option_table[i]);
        if (owner && strcmp(option_table[i].name, name) == 0) {
            snprintf(error + used, size - used, " here; it belongs to thalweg %s", owner);
            return;
        }
    }
    snprintf(error + used, size - used, "; --help lists what there is");
}

/* --- reading ------------------------------------------------------------------------------------------------- */

bool opt_given(const settings *s, option_id id)
{
    return s->value[id].from != ORIGIN_NONE;
}

const char *opt_text(const settings *s, option_id id)
{
    if (s->value[id].text) return s->value[id].text;
    const char *standard = option_table[id].standard;
    return *standard == 0 || *standard == '(' ? NULL : standard;
}

bool opt_flag(const settings *s, option_id id)
{
    const char *text = opt_text(s, id);
    bool value = false;
    return text && flag_fits(text, &value) && value;
}

int64_t opt_int(const settings *s, option_id id)
{
    const char *text = opt_text(s, id);
    int64_t value = 0;
    return text && whole_fits(&option_table[id], text, &value) ? value : 0;
}

double opt_number(const settings *s, option_id id)
{
    const char *text = opt_text(s, id);
    double value = 0;
    return text && number_fits(&option_table[id], text, &value) ? value : 0;
}

uint64_t opt_seed(const settings *s, option_id id)
{
    const char *text = opt_text(s, id);
    uint64_t value = 0;
    return text && seed_fits(text, &value) ? value : 0;
}
