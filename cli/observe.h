/* observe.h - what was observed of the rows to draw: --observe NAME=VALUE,... for all, or a file whose gaps are to be
 * filled in, or, with --matrix, what that made of them; what rows should have
 * more of (--reward); and words of that form in general. */
#ifndef THALWEG_CLI_OBSERVE_H
#define THALWEG_CLI_OBSERVE_H

#include "model.h"

/* Takes "a=1,b=x" apart; `take` gets each name and value. `flag` is for sentences. */
typedef tw_status (*pair_fn)(void *user, const char *name, const char *value);
TW_NODISCARD tw_status pairs_parse(cli *c, const char *flag, const char *text, pair_fn take, void *user);

/* `count` times columns numbers: the `rows` of values, and again from the top. */
void repeat_rows(int64_t count, int columns, int64_t rows, const double *values, double *out);

typedef struct observed {
    double *values; /* (n, columns), or one row for all; NaN: a gap. NULL: nothing was observed */
    bool same;
    int measures;   /* with --matrix: values are (n, measures) without gaps; else 0 */
    double *matrix; /* (measures, columns) */
    /* (n, columns) of pictures, to be drawn: what was seen, NaN where nothing was; with --degrade, as they were */
    double *seen, *truth;
} observed;

/* --observe or --reward without options that mean nothing beside it, or a complaint. Tokens that are known stay where
 * they are: any solver of theirs goes around them. */
bool observe_check(const cli *c, const model *m, tw_ode_desc *out_solver);
/* *n of 0 becomes the number of the file's rows. */
TW_NODISCARD tw_status observe_open(cli *c, const model *m, int64_t *n, observed *out);
/* Samples given what was observed, or by --reward when that is nothing. */
TW_NODISCARD tw_status sample_steered(cli *c, const model *m, const observed *o, int64_t n, const tw_sample_desc *desc,
                                      double *out, tw_ode_stats *out_stats);
/* What observe_open does for a model of pictures: file or folder, --mask, --operator, --degrade. */
TW_NODISCARD tw_status observe_pictures(cli *c, const model *m, int64_t *n, observed *out);
void observe_close(cli *c, observed *o);

#endif
