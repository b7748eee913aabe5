/* reproduce.h - `thalweg reproduce`: the studies it was asked for, and what came of them. */
#ifndef THALWEG_CLI_REPRODUCE_H
#define THALWEG_CLI_REPRODUCE_H

#include "study.h"

enum { MAX_STUDIES = 256 };

typedef struct reproduction {
    cli *c;
    char path[MAX_STUDIES][MODEL_PATH];
    int studies;
    int bars, held, skipped;
    cJSON *array; /* with --json: what is printed at the end; owned */
} reproduction;

/* A folder that an option names, else ./NAME, else where it was installed, beside this program. */
const char *folder_of(const cli *c, option_id id, const char *name, char buffer[MODEL_PATH]);

/* study_run.c: trains and measures one study, tells how its bars fared and counts them. Exit status. */
int study_run(reproduction *r, const study *s);

#endif
