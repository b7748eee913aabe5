/* plot/plot.h - the pictures Thalweg draws by itself: points beside points, curves, the flow in frames (PNG, by cairo).
 */
#ifndef TW_PLOT_PLOT_H
#define TW_PLOT_PLOT_H

#include "base/base.h"

/* A set of points to draw: (rows, columns) doubles. */
typedef struct tw_cloud {
    const char *title;
    int64_t rows;
    const double *values;
} tw_cloud;

/* Clouds side by side on shared axes (ranges from `clouds[0]`, 0.5-99.5 % quantiles widened). Two columns: scatter with
 * density-aware opacity. One column: histograms. More: a corner plot of at most 6 columns (diagonal: histograms laid
 * over each other, lower: scatter of cloud 0, upper: of the last one). names: column names. */
TW_NODISCARD tw_status tw_plot_clouds(tw_context *ctx, const char *path, int columns, const char *const *names,
                                      int count, const tw_cloud *clouds);

/* One or more curves over x with a legend; log_y where the values span decades. NaN values are gaps. */
typedef struct tw_curve {
    const char *label;
    int64_t count;
    const double *x, *y;
} tw_curve;
TW_NODISCARD tw_status tw_plot_curves(tw_context *ctx, const char *path, const char *title, const char *x_label,
                                      const char *y_label, int count, const tw_curve *curves);

/* The same points at successive times in one strip of frames (two columns, or a chosen pair of columns `i`, `j`; one
 * column: histograms). Axes are shared by all frames; each point keeps its colour (by its angle at the start) so that
 * the eye can follow it. */
TW_NODISCARD tw_status tw_plot_frames(tw_context *ctx, const char *path, int columns, const char *const *names, int i,
                                      int j, int count, const double *times, const tw_cloud *frames);

#endif
