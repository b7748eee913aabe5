/* main.c - finds the verb, reads its settings, runs it. */
#include "cli.h"

#include "base/file.h"

#include <string.h>

static int unknown_verb(const char *name)
{
    const char *names[16] = {"--help", "--version"};
    int count = 2;
    for (int i = 0; i < verb_count() && count < TW_COUNT(names); i++) names[count++] = verb_table[i].name;
    const char *nearest = tw_nearest_name(name, names, count);
    const char *what = name[0] == '-' ? "option" : "verb";
    if (nearest) return cli_usage("unknown %s '%s'; the nearest is '%s'", what, name, nearest);
    return cli_usage("unknown %s '%s'; thalweg --help lists what there is", what, name);
}

static bool is_any(const char *word, const char *a, const char *b, const char *c)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

static int help_for(const char *name)
{
    const verb *v = name ? verb_find(name) : NULL;
    if (name && !v) return unknown_verb(name);
    if (v)
        help_verb(v);
    else
        help_program();
    return EXIT_DONE;
}

static int run_verb(const verb *v, int argc, char **argv)
{
    cli c = {.verb = v, .set = {.verb = v->letter}, .say = stdout, .started = tw_clock()};
    bool help = false;
    int result = arguments_read(&c, argc, argv, &help);
    if (result == EXIT_DONE && help) {
        help_verb(v);
    } else if (result == EXIT_DONE) {
        c.json = opt_flag(&c.set, OPT_JSON);
        c.progress = progress_new(opt_flag(&c.set, OPT_QUIET));
        if (c.json) c.say = NULL;
        result = v->run(&c);
    }
    cli_finish(&c);
    settings_free(&c.set);
    return result;
}

/* Results that did not reach standard output are a failure (disk full, closed pipe). */
static int flushed(int result)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return result;
    cli_complain("cannot write to standard output");
    return result == EXIT_DONE ? EXIT_FAILED : result;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_program();
        return flushed(EXIT_USAGE);
    }
    const char *name = argv[1];
    if (is_any(name, "--version", "-V", "version")) {
        printf("thalweg %s\n", tw_version());
        return flushed(EXIT_DONE);
    }
    if (is_any(name, "--help", "-h", "help")) return flushed(help_for(argc > 2 ? argv[2] : NULL));
    const verb *v = verb_find(name);
    return flushed(v ? run_verb(v, argc - 2, argv + 2) : unknown_verb(name));
}
