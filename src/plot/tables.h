/* plot/tables.h - pictures of synthetic beside real tables: columns one by one, associations of pairs. */
#ifndef TW_PLOT_TABLES_H
#define TW_PLOT_TABLES_H

#include "eval/records.h"

/* A small panel for each column: numbers as histograms laid over each other, categories as pairs of bars, the most
 * frequent ones of `real` first. note (columns): words beside each name. Fails when they differ in columns. */
TW_NODISCARD tw_status tw_plot_marginals(tw_context *ctx, const char *path, const tw_records *real,
                                         const tw_records *synthetic, const char *const *note);

/* Two matrices (columns, columns) of associations, -1 blue, 0 white, 1 red, and their difference, side by side. */
TW_NODISCARD tw_status tw_plot_associations(tw_context *ctx, const char *path, const tw_records *records,
                                            const double *real, const double *synthetic);

#endif
