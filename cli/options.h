/* options.h - settings of one run of the program: from flags, --set and configuration files, all through one table.
 *
 * Values are kept as text with the place they came from and are checked when they are set, so that getters cannot fail.
 * A value from the command line wins over one from a file, and of two from the same place the later one wins. */
#ifndef THALWEG_CLI_OPTIONS_H
#define THALWEG_CLI_OPTIONS_H

#include <thalweg/thalweg.h>

typedef enum option_id {
#define X(id, verbs, group, name, letter, type, accepts, standard, value, about) OPT_##id,
#include "options.def"
#undef X
    OPT_COUNT
} option_id;

typedef enum option_group {
    GROUP_ARGUMENT,
    GROUP_DATA,
    GROUP_FLOW,
    GROUP_TRAINING,
    GROUP_SOLVING,
    GROUP_OUTPUT,
    GROUP_RUN
} option_group;

typedef enum option_type {
    TYPE_TEXT,
    TYPE_FLAG,
    TYPE_INT,
    TYPE_EVEN,
    TYPE_LIST,
    TYPE_NUMBER,
    TYPE_SEED,
    TYPE_CHOICE,
    TYPE_SEPARATOR,
    TYPE_SPLIT,
    TYPE_LEVELS
} option_type;

typedef struct option {
    const char *verbs;
    option_group group;
    const char *name;
    char letter; /* 0: none */
    option_type type;
    const char *accepts, *standard, *value, *about;
} option;

extern const option option_table[OPT_COUNT];

/* Where a value came from; a higher origin wins. */
typedef enum origin { ORIGIN_NONE, ORIGIN_RUN, ORIGIN_FILE, ORIGIN_COMMAND } origin;

typedef struct settings {
    char verb; /* letter as in option.verbs; 0: none yet */
    struct {
        char *text; /* owned */
        origin from;
    } value[OPT_COUNT];
} settings;

void settings_free(settings *s);

/* The option called `name` that the verb knows, or OPT_COUNT. */
option_id option_find(char verb, const char *name);
option_id option_find_letter(char verb, char letter);

/* Sets one value after checking it. On failure a sentence without a name of the place ("steps: 'x' is not ...") is
 * left in `error` and false returned. */
bool settings_set(settings *s, option_id id, const char *text, origin from, char *error, size_t size);
/* As if it had never been given. */
void settings_forget(settings *s, option_id id);
/* Why there is no such option for the verb, and the nearest that is: "unknown option --stpes; the nearest is --steps".
 * `dashes`: "--" or "". */
void option_unknown(char verb, const char *name, const char *dashes, char *error, size_t size);
/* What an option accepts, as words: "a whole number, at least 1". */
void option_expects(const option *o, char *out, size_t size);

bool opt_given(const settings *s, option_id id);
/* The value given, else the table's default, else NULL where that is a rule. */
const char *opt_text(const settings *s, option_id id);
bool opt_flag(const settings *s, option_id id);
/* 0 where the default is a rule. */
int64_t opt_int(const settings *s, option_id id);
double opt_number(const settings *s, option_id id);
uint64_t opt_seed(const settings *s, option_id id);

/* The character a checked separator stands for, 0: to be guessed; the three shares of a split; "N" or "N,LOW,HIGH", a
 * range of 0 to 0 being the one to be found. */
char separator_of(const char *text);
bool split_parse(const char *text, double out_share[3]);
bool levels_parse(const char *text, tw_bins *out_bins);

/* Names of a kind, as `thalweg list KIND` prints them. */
typedef struct listed {
    const char *name, *about, *source;
    const tw_piece_parameter *parameters; /* NULL: none */
} listed;
bool list_item(const char *kind, int index, listed *out_item);

#endif
