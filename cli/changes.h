/* changes.h - how tokens change on the way from source to data, as one HTML page that needs nothing beside it: a slider
 * over time, rows of tokens in the colour of the time each was fixed at. */
#ifndef THALWEG_CLI_CHANGES_H
#define THALWEG_CLI_CHANGES_H

#include "model.h"

/* Of flows of tokens and sequences, from frames (frames, n, columns) as tw_sample gives them; the first rows of many.
 */
TW_NODISCARD tw_status write_changes(cli *c, const model *m, const char *path, int64_t n, int frames,
                                     const double *rows);

#endif
