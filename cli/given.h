/* given.h - --given NAME=VALUE,...: values that the rows of a table are to have, and ranges they are to lie in. */
#ifndef THALWEG_CLI_GIVEN_H
#define THALWEG_CLI_GIVEN_H

#include "cli.h"

#include "data/schema.h"

typedef struct given {
    tw_context *ctx;
    int columns;
    double *low, *high; /* of the cells, where a range is given; NaN: none */
    double *codes;      /* what is known of every row, NaN where nothing is */
    bool known, ranges; /* whether there are any */
} given;

TW_NODISCARD tw_status given_open(cli *c, const tw_schema *schema, const char *text, given *out_given);
void given_close(given *g);
/* Whether a row of cells lies in all ranges. */
bool given_holds(const given *g, const double *cells);

#endif
