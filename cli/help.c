/* help.c - what `thalweg --help` and `thalweg VERB --help` print, made from the tables of verbs and options. */
#include "cli.h"

#include <string.h>
#include <unistd.h>

enum { NAME_COLUMNS = 30 };

static int text_width(void)
{
    int width = terminal_width(STDOUT_FILENO);
    return width > 110 ? 110 : width < 60 ? 60 : width;
}

/* Prints words from column `at`, continued lines indented to `indent`. */
static void wrap(const char *text, int at, int indent, int width)
{
    bool first = true;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (!first && at + 1 + length > width) {
            printf("\n%*s", indent, "");
            at = indent;
            first = true;
        }
        printf("%s%.*s", first ? "" : " ", length, text);
        at += length + !first;
        first = false;
        text += length;
        text += strspn(text, " ");
    }
    printf("\n");
}

static void print_option(const option *o, int width)
{
    char head[96], about[512];
    snprintf(head, sizeof head, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
             o->letter ? "," : " ", o->name, *o->value ? " " : "", o->value);
    const char *standard = o->standard;
    size_t length = strlen(standard);
    char choices[256] = "";
    if (o->type == TYPE_CHOICE && o->accepts[0] != '@') snprintf(choices, sizeof choices, " (%s)", o->accepts);
    if (*standard == '(')
        snprintf(about, sizeof about, "%s%s [%.*s]", o->about, choices, (int)length - 2, standard + 1);
    else if (length && o->type != TYPE_FLAG)
        snprintf(about, sizeof about, "%s%s [%s]", o->about, choices, standard);
    else
        snprintf(about, sizeof about, "%s%s", o->about, choices);
    int used = printf("%s", head);
    if (used > NAME_COLUMNS - 2) {
        printf("\n");
        used = 0;
    }
    printf("%*s", NAME_COLUMNS - used, "");
    wrap(about, NAME_COLUMNS, NAME_COLUMNS, width);
}

static void print_lines(const char *text, int indent)
{
    while (*text) {
        int length = (int)strcspn(text, "\n");
        printf("%*s%.*s\n", indent, "", length, text);
        text += length + (text[length] == '\n');
    }
}

void help_verb(const verb *v)
{
    static const char *const titles[] = {[GROUP_ARGUMENT] = "Arguments, also by name",
                                         [GROUP_DATA] = "Data",
                                         [GROUP_FLOW] = "The flow",
                                         [GROUP_TRAINING] = "Training",
                                         [GROUP_SOLVING] = "Solving",
                                         [GROUP_OUTPUT] = "Results",
                                         [GROUP_RUN] = "The run"};
    int width = text_width();
    printf("thalweg %s - %s\n\nUsage: thalweg %s %s\n", v->name, v->about, v->name, v->usage);
    if (v->more) {
        printf("\n");
        wrap(v->more, 0, 0, width);
    }
    printf("\nExamples:\n");
    print_lines(v->examples, 2);
    for (int group = 0; group <= GROUP_RUN; group++) {
        bool titled = false;
        for (int i = 0; i < OPT_COUNT; i++) {
            const option *o = &option_table[i];
            if ((int)o->group != group || !strchr(o->verbs, v->letter)) continue;
            if (!titled) printf("\n%s:\n", titles[group]);
            titled = true;
            print_option(o, width);
        }
    }
}

void help_program(void)
{
    printf("thalweg %s - generative modelling with flows\n\n"
           "Learns how to carry noise to your data, then draws new data and says how likely a row is.\n\n"
           "Usage: thalweg VERB [ARGUMENTS] [OPTIONS]\n\n",
           tw_version());
    for (int i = 0; i < verb_count(); i++) printf("  %-8s %s\n", verb_table[i].name, verb_table[i].about);
    printf("\nFirst steps:\n"
           "  thalweg train checkerboard --minutes 1 --out runs/checkerboard\n"
           "  thalweg sample runs/checkerboard -n 10000 -o samples.csv --plot samples.png\n"
           "  thalweg eval runs/checkerboard\n\n"
           "thalweg VERB --help says everything about a verb, thalweg --version which version this is.\n");
}
