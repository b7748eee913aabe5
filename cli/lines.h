/* lines.h - rows of tokens beside held-out ones: what they are made of, how long they are, and whether they are copies.
 */
#ifndef THALWEG_CLI_LINES_H
#define THALWEG_CLI_LINES_H

#include "model.h"

/* Of samples, and of as many training rows; NAN: not known. Total variations are between shares here and in held-out
 * rows. */
typedef struct lines_pair {
    double samples, floor;
} lines_pair;
typedef struct lines {
    int64_t n; /* rows of each kind */
    lines_pair symbols, pairs,
        lengths;                /* total variation; pairs of neighbours, NAN of large alphabets; NAN: all as long */
    lines_pair distinct, known; /* share; known: among all training rows; their floor is that of held-out rows */
} lines;

/* Of `count` rows (columns) of a model of tokens or sequences. */
TW_NODISCARD tw_status lines_compare(cli *c, const model *m, const held_out *held, int64_t count, const double *samples,
                                     lines *out);
/* Total variation of lengths of samples and, beside it, of training rows from held-out ones, of as many rows as there
 * are of each. */
TW_NODISCARD tw_status lines_lengths(cli *c, const model *m, const held_out *held, int64_t count, const double *samples,
                                     lines_pair *out);
void lines_text(const lines *l, tw_text *out);
void lines_json(const lines *l, cJSON *object);

#endif
