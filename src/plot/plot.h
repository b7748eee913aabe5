/* plot/plot.h - the pictures Thalweg draws by itself: points beside points, curves, pictures in tiles, the flow in
 * frames and as an animation (PNG and APNG, by cairo). */
#ifndef TW_PLOT_PLOT_H
#define TW_PLOT_PLOT_H

#include "base/base.h"

#include <thalweg/mesh.h>

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

/* A density on a closed surface of two angles. */
typedef struct tw_density_map {
    int across, down;          /* cells, from the low ends of both axes: longitude -180, latitude -90 on a globe */
    const double *log_density; /* (down, across) at their middles */
    bool closed_above;         /* the second angle comes back to where it began: a torus */
    bool swapped;              /* points have the vertical one first: latitude before longitude */
} tw_density_map;

/* Of a globe: from the side where the points (degrees) are, from the other one, and flat with true areas. */
TW_NODISCARD tw_status tw_plot_globe(tw_context *ctx, const char *path, const tw_density_map *map,
                                     const tw_cloud *points);
/* Of a torus, angles from low on: a square with the points of each cloud on it - of torsions, a Ramachandran plot. */
TW_NODISCARD tw_status tw_plot_torus(tw_context *ctx, const char *path, const char *const *names, double low,
                                     double period, const tw_density_map *map, int count, const tw_cloud *clouds);

/* Functions of a mesh's vertices, from 0 in the last one's scale of colours: each seen from in front and from behind, y
 * upwards. */
typedef struct tw_surface {
    const char *title;
    const double *value; /* (vertices) */
} tw_surface;
TW_NODISCARD tw_status tw_plot_mesh(tw_context *ctx, const char *path, const tw_mesh *mesh, int count,
                                    const tw_surface *surfaces);
/* The density of points (rows,3) at the vertices, a little smoothed: out (vertices). */
TW_NODISCARD tw_status tw_plot_mesh_density(tw_context *ctx, const tw_mesh *mesh, int64_t rows, const double *points,
                                            double *out);

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

/* The same as an animation (APNG), a frame of it a time, and a pause at the end. */
TW_NODISCARD tw_status tw_plot_points_moving(tw_context *ctx, const char *path, int columns, const char *const *names,
                                             int i, int j, int count, const double *times, const tw_cloud *frames);

/* Pictures as tiles in lines. */
typedef struct tw_tiles {
    const char *title; /* above, NULL: none */
    tw_image image;
    int64_t across, down;
    int64_t count;            /* of pictures */
    const double *values;     /* (count, H W C): 0 to 255, others are clipped, NaN is a pale chequer */
    const int64_t *order;     /* (down, across) which picture a tile shows, -1: none; NULL: one after another */
    const char *const *heads; /* (across) words above the columns, NULL: none */
    const char *const *lines; /* (down) words left of the lines, NULL: none; of the first group */
} tw_tiles;

/* Groups of tiles side by side. Small pictures are enlarged by whole factors, pixels staying squares. */
TW_NODISCARD tw_status tw_plot_tiles(tw_context *ctx, const char *path, int count, const tw_tiles *groups);
/* Tiles at successive times as an animation (APNG): values (frames, count, H W C). */
TW_NODISCARD tw_status tw_plot_tiles_moving(tw_context *ctx, const char *path, const tw_tiles *tiles, int frames,
                                            const double *times);

#endif
