/* show.h - texts on the terminal while they form: a screenful that renews itself at every frame of sampling, and the
 * whole texts in its place when they are done. Where standard output is no terminal there is nothing to renew: the
 * texts are written when they are done, one behind another, as --out - does. */
#ifndef THALWEG_CLI_SHOW_H
#define THALWEG_CLI_SHOW_H

#include "model.h"

#include <thalweg/tokens.h>

typedef struct show {
    cli *c;
    const model *m;
    tw_tokeniser *tokeniser;
    bool live, colour; /* live: on a terminal */
    int width, height; /* of it */
    int drawn;         /* lines that stand there */
    double last;       /* clock of the last screenful */
} show;

enum { SHOW_FRAMES = 65 };

/* False after a complaint: of models of texts, and not with --json. */
bool show_suits(const cli *c, const model *m);
TW_NODISCARD tw_status show_open(cli *c, const model *m, show *out);
/* How many samples fit a screen. */
int64_t show_rows(const show *s);
/* Draws n rows, `before` (NULL: none) those of the frame before. */
void show_draw(show *s, int64_t n, const double *rows, const double *before);
/* The texts of n rows, whole, in place of what was drawn. */
TW_NODISCARD tw_status show_end(show *s, int64_t n, const double *rows);
void show_close(show *s);

#endif
