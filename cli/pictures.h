/* pictures.h - the pictures several verbs draw. */
#ifndef THALWEG_CLI_PICTURES_H
#define THALWEG_CLI_PICTURES_H

#include "model.h"

/* The flow from source to data in `frames` equal times; rows (frames, n, columns), of which at most a few thousand rows
 * are drawn. */
TW_NODISCARD tw_status plot_flow(tw_context *ctx, const char *path, const model *m, int frames, int64_t n,
                                 const double *rows);

#endif
