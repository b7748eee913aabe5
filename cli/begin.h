/* begin.h - where samples begin, what they are told and how they are guided: the rest of a tw_sample_desc that comes
 * from options, files and the model. */
#ifndef THALWEG_CLI_BEGIN_H
#define THALWEG_CLI_BEGIN_H

#include "model.h"

typedef struct begin {
    int64_t n;
    double *from;       /* (n, columns), NULL: draws of the source */
    double *conditions; /* (n, conditions), or one row for all, NULL: nothing told */
    bool same;
    double *edited; /* what --edit says they are to be, likewise */
    bool same_edited;
    double guidance;
    const char *guidance_kind;
    model guide; /* --guide */
} begin;

/* For n samples, 0: as many as --from has rows, else 1000, or of pictures a few of every class. --from, or the held-out
 * part of the source data the model was trained on; --condition as "name=value,...", or the conditions of a file, row
 * by row and again from the top. `held` gives conditions where no option does; it may be NULL, and pictures are then of
 * every class in turn. */
TW_NODISCARD tw_status begin_open(cli *c, const model *m, const held_out *held, int64_t n, begin *out_begin);
void begin_close(cli *c, begin *b);
void begin_set(const begin *b, tw_sample_desc *desc);

#endif
