/* plot/panel.h - one set of axes on a canvas and what is drawn inside: points, densities, histograms. */
#ifndef TW_PLOT_PANEL_H
#define TW_PLOT_PANEL_H

#include "plot/axis.h"
#include "plot/canvas.h"

typedef struct tw_panel {
    tw_canvas *canvas;
    double x, y, w, h; /* inner box */
    tw_axis horizontal, vertical;
} tw_panel;

static inline double tw_panel_x(const tw_panel *p, double v)
{
    return p->x + p->w * tw_axis_at(p->horizontal, v);
}
static inline double tw_panel_y(const tw_panel *p, double v)
{
    return p->y + p->h * (1 - tw_axis_at(p->vertical, v));
}

typedef struct tw_frame_style {
    bool labels_below, labels_left;     /* numbers at the ticks */
    bool lines_across, lines_up;        /* grid lines along the axes: across at vertical ticks, up at horizontal ones */
    const char *name_below, *name_left; /* names of the axes, NULL for none */
    double size;                        /* of the numbers; 0: 9 */
} tw_frame_style;

/* Grid, frame, ticks and their numbers. */
void tw_panel_frame(const tw_panel *panel, tw_frame_style style);

/* Columns i and j of (rows, columns) values. Up to 20 000 points are drawn one by one, more opaque the fewer they are;
 * more become a picture of their density. */
TW_NODISCARD tw_status tw_panel_scatter(const tw_panel *panel, int64_t rows, int columns, const double *values, int i,
                                        int j, tw_colour colour);

typedef struct tw_tally {
    int64_t inside, outside, broken; /* broken: not finite */
} tw_tally;
tw_tally tw_panel_tally(const tw_panel *panel, int64_t rows, int columns, const double *values, int i, int j);
/* "12 809 points, 31 outside". */
void tw_tally_text(tw_tally tally, char *out, size_t size);

/* Density of values[0], values[stride], ... in equal bins along an axis: height[bins]. Values off the axis count for
 * the total only. */
void tw_histogram(tw_axis axis, int64_t rows, const double *values, int64_t stride, int bins, double *out_height);
/* A number of bins that suits so many values. */
int tw_histogram_bins(int64_t rows);
void tw_panel_steps(const tw_panel *panel, int bins, const double *height, tw_colour colour, bool filled);

/* Marks and words in one row: what each colour means. Returns the width taken. */
typedef struct tw_key {
    const char *label;
    tw_colour colour;
    bool filled;
} tw_key;
double tw_legend(tw_canvas *canvas, double x, double y, int count, const tw_key *keys);

/* Point radius for so many points, and opacity. */
double tw_point_radius(int64_t rows);
double tw_point_alpha(int64_t rows);

#endif
