/* arguments.c - the command line into settings: --name value, --name=value, -n value, -n5, --set name=value, arguments
 * without a name in the verb's order, `--` before arguments that begin with a dash. Files named by --config are read
 * last, below the flags. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIGS = 16, SENTENCE = 512 };

typedef struct reader {
    cli *c;
    int argc;
    char **argv;
    int at;
    int arguments; /* without a name, seen so far */
    const char *config[MAX_CONFIGS];
    int configs;
    bool help;
} reader;

static int refuse(const reader *r, const char *sentence)
{
    return cli_usage("%s (thalweg %s --help)", sentence, r->c->verb->name);
}

/* Sets an option from the command line; `shown` is how the user wrote it. */
static int take(reader *r, option_id id, const char *value)
{
    char error[SENTENCE];
    if (id == OPT_HELP) r->help = true;
    if (id == OPT_CONFIG) {
        if (r->configs == MAX_CONFIGS) return refuse(r, "too many --config files");
        r->config[r->configs++] = value;
    }
    if (settings_set(&r->c->set, id, value, ORIGIN_COMMAND, error, sizeof error)) return EXIT_DONE;
    return cli_usage("%s%s", option_table[id].group == GROUP_ARGUMENT ? "" : "--", error);
}

static int take_set(reader *r, const char *pair)
{
    char name[128], error[SENTENCE];
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof name)
        return cli_usage("--set: '%s' given, expected KEY=VALUE", pair);
    snprintf(name, sizeof name, "%.*s", (int)(equals - pair), pair);
    option_id id = option_find(r->c->verb->letter, name);
    if (id == OPT_COUNT || id == OPT_SET) {
        option_unknown(r->c->verb->letter, name, "", error, sizeof error);
        return cli_usage("--set: %s", error);
    }
    return take(r, id, equals + 1);
}

/* The option's value: written behind it, or the next argument. NULL after a complaint. */
static const char *value_for(reader *r, option_id id, const char *attached, const char *written)
{
    if (attached) return attached;
    if (option_table[id].type == TYPE_FLAG) return "yes";
    if (r->at + 1 < r->argc) return r->argv[++r->at];
    char expected[256];
    option_expects(&option_table[id], expected, sizeof expected);
    cli_usage("%s needs a value: %s", written, expected);
    return NULL;
}

static int read_long(reader *r, char *argument)
{
    char name[128], written[132], error[SENTENCE];
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    snprintf(name, sizeof name, "%.*s", (int)length - 2, argument + 2);
    snprintf(written, sizeof written, "--%s", name);
    option_id id = option_find(r->c->verb->letter, name);
    if (id == OPT_COUNT) {
        option_unknown(r->c->verb->letter, name, "--", error, sizeof error);
        return refuse(r, error);
    }
    const char *value = value_for(r, id, equals ? equals + 1 : NULL, written);
    if (!value) return EXIT_USAGE;
    return id == OPT_SET ? take_set(r, value) : take(r, id, value);
}

static int read_short(reader *r, char *argument)
{
    char written[3] = {'-', argument[1], 0}, error[SENTENCE];
    option_id id = option_find_letter(r->c->verb->letter, argument[1]);
    if (id == OPT_COUNT) {
        snprintf(error, sizeof error, "unknown option %s", argument);
        return refuse(r, error);
    }
    const char *attached = argument[2] ? argument + 2 : NULL;
    if (attached && option_table[id].type == TYPE_FLAG) {
        snprintf(error, sizeof error, "unknown option %s", argument);
        return refuse(r, error);
    }
    const char *value = value_for(r, id, attached, written);
    return value ? take(r, id, value) : EXIT_USAGE;
}

static int read_argument(reader *r, const char *argument)
{
    const verb *v = r->c->verb;
    option_id id = v->argument[r->arguments];
    if (id == OPT_COUNT && v->many && r->arguments > 0) {
        char joined[4096];
        id = v->argument[r->arguments - 1];
        if (snprintf(joined, sizeof joined, "%s,%s", opt_text(&r->c->set, id), argument) >= (int)sizeof joined)
            return refuse(r, "too many arguments");
        return take(r, id, joined);
    }
    if (id == OPT_COUNT) {
        char error[SENTENCE];
        snprintf(error, sizeof error, "'%s' is one argument too many", argument);
        return refuse(r, error);
    }
    r->arguments++;
    return take(r, id, argument);
}

int arguments_read(cli *c, int argc, char **argv, bool *out_help)
{
    reader r = {.c = c, .argc = argc, .argv = argv};
    bool options = true;
    int result = EXIT_DONE;
    for (; r.at < argc && result == EXIT_DONE; r.at++) {
        char *argument = argv[r.at];
        if (options && strcmp(argument, "--") == 0)
            options = false;
        else if (options && strncmp(argument, "--", 2) == 0)
            result = read_long(&r, argument);
        else if (options && argument[0] == '-' && argument[1])
            result = read_short(&r, argument);
        else
            result = read_argument(&r, argument);
    }
    *out_help = r.help;
    if (r.help) return result;
    for (int i = 0; i < r.configs && result == EXIT_DONE; i++) result = config_read(&c->set, r.config[i], ORIGIN_FILE);
    return result;
}
