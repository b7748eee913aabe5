/* cli.h - what the verbs of the program share: the run's settings, its context, and how it speaks.
 *
 * Exit status: 0 done, 1 failed, 2 wrong use, 128 + signal when cancelled. Results go to standard output, everything
 * about the work itself (progress, notes, failures) to standard error. */
#ifndef THALWEG_CLI_CLI_H
#define THALWEG_CLI_CLI_H

#include "options.h"
#include "progress.h"

#include "base/text.h"

#include <cjson/cJSON.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

typedef struct cli cli;

typedef struct verb {
    char letter;
    const char *name, *usage, *about;
    const char *more; /* paragraphs of help, NULL: none */
    const char *examples;
    option_id argument[3]; /* what arguments without a name are, ended by OPT_COUNT */
    bool many;             /* the last of them may be given several times: joined by commas */
    int (*run)(cli *c);
} verb;

extern const verb verb_table[];
const verb *verb_find(const char *name);
int verb_count(void);

struct cli {
    const verb *verb;
    settings set;
    tw_context *ctx; /* made by cli_start */
    FILE *
        say; /* where results for people go: standard output, standard error when that carries data, NULL with --json */
    bool json;
    progress progress;
    double started;
    char last_note[512];
};

int run_train(cli *c);
int run_sample(cli *c);
int run_score(cli *c);
int run_eval(cli *c);
int run_impute(cli *c);
int run_reproduce(cli *c);
int run_info(cli *c);
int run_list(cli *c);
int run_import(cli *c);
int run_export(cli *c);
int run_mesh(cli *c);

/* Creates the context with --threads workers. */
TW_NODISCARD tw_status cli_start(cli *c);
void cli_finish(cli *c);
/* The exit status for `status`: says the sentence of a failure. */
int cli_exit(cli *c, tw_status status);
/* "thalweg: ..." on standard error. */
void cli_complain(const char *format, ...) TW_PRINTF(1, 2);
/* Wrong use of the program: complains and returns EXIT_USAGE. */
int cli_usage(const char *format, ...) TW_PRINTF(1, 2);
/* A line of the result for people; nothing with --json. */
void cli_say(cli *c, const char *format, ...) TW_PRINTF(2, 3);
/* Something worth knowing that is no failure; dropped by --quiet and when it repeats the last note. */
void cli_note(cli *c, const char *format, ...) TW_PRINTF(2, 3);

/* arguments.c: reads argv into c->set; EXIT_DONE to go on. *out_help: --help was asked for. */
int arguments_read(cli *c, int argc, char **argv, bool *out_help);

/* config.c */
/* Settings from a file, or from text with `label` for errors; sets them with `from`. Exit status. */
int config_read(settings *s, const char *path, origin from);
int config_parse(settings *s, const char *label, const char *text, origin from);
/* Whether an option says what is trained and how, not only where and how fast. */
bool config_keeps(const settings *s, option_id id);
/* Such settings as YAML. `data` replaces the value of that key. Appends. */
void config_write(const settings *s, const char *data, tw_text *out);

/* help.c */
void help_program(void);
void help_verb(const verb *v);

/* json.c: numbers that are not finite become null; cJSON_Delete is the caller's. */
void json_number(cJSON *object, const char *name, double value);
void json_int(cJSON *object, const char *name, int64_t value);
void json_seed(cJSON *object, const char *name, uint64_t value);
void json_text(cJSON *object, const char *name, const char *value_or_null);
/* Prints one line on standard output and deletes the value. EXIT_FAILED when it could not be written. */
int json_print(cJSON *value);

#endif
