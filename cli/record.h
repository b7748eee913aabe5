/* record.h - what a study has measured so far, kept in measured.json beside its runs, so that one that was stopped goes
 * on after the last measure and every seed's figures can be read. */
#ifndef THALWEG_CLI_RECORD_H
#define THALWEG_CLI_RECORD_H

#include "measures.h"

typedef struct record {
    tw_context *ctx;
    char path[MODEL_PATH];
    cJSON *entries; /* array of {seed, measure, settings, value, floor, seconds}; owned */
} record;

/* What an earlier run in `folder` left; nothing when `resume` is false or the file cannot be read. */
void record_open(record *r, tw_context *ctx, const char *folder, bool resume);
void record_close(record *r);
/* The measure of this name that was taken of a seed; `how` says by what settings, as text. */
bool record_find(const record *r, int seed, const char *name, const char *how, measured *out, double *out_seconds);
/* Keeps one, in the place of another of that seed and name; the file is written anew, whole. Exit status. */
int record_keep(record *r, int seed, const char *name, const char *how, measured value, double seconds);
/* Forgets a seed whose flows are trained again. Exit status. */
int record_forget(record *r, int seed);

#endif
