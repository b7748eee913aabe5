/* plot/corner.h - every pair of columns at once; parts of pictures that more than one file draws. */
#ifndef TW_PLOT_CORNER_H
#define TW_PLOT_CORNER_H

#include "plot/plot.h"

tw_status tw_plot_corner(tw_context *ctx, const char *path, int columns, const char *const *names, int count,
                         const tw_cloud *clouds);

/* Latitude first, as data have it; maps want longitude across. */
bool tw_is_latitude_longitude(const char *const *names, int i, int j);

#endif
